"""The folder of one demonstration: made, locked, and taken away again."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from telerehab.demo.errors import FolderInUseError, FolderNotWritableError


@contextmanager
def demo_folder(chosen: Path | None) -> Iterator[Path]:
    """Yield the folder of this demonstration.

    A chosen folder is kept afterwards; without one, a temporary folder is made and removed at the end.

    Raises
    ------
    FolderNotWritableError
        The folder cannot be made or written.
    FolderInUseError
        Another demonstration runs in it.
    """
    folder = _make(chosen)
    try:
        with _locked(folder):
            yield folder
    finally:
        if chosen is None:
            shutil.rmtree(folder, ignore_errors=True)


def _make(chosen: Path | None) -> Path:
    try:
        if chosen is None:
            return Path(tempfile.mkdtemp(prefix="telerehab-demo-"))
        chosen.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.NamedTemporaryFile(dir=chosen):
            pass
    except OSError as error:
        raise FolderNotWritableError(chosen, error.strerror or "") from error
    return chosen.resolve()


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(lock)
        raise FolderInUseError(folder) from error
    try:
        yield
    finally:
        os.close(lock)
