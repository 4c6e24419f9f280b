"""A demonstration has its folder alone, and says plainly when it cannot."""

from pathlib import Path

import pytest

from telerehab.demo.errors import FolderInUseError, FolderNotWritableError
from telerehab.demo.folder import demo_folder


def test_a_temporary_folder_goes_away() -> None:
    with demo_folder(None) as folder:
        (folder / "file").write_text("x")
    assert not folder.exists()


def test_a_chosen_folder_stays(tmp_path: Path) -> None:
    with demo_folder(tmp_path / "demo") as folder:
        (folder / "file").write_text("x")
    assert (tmp_path / "demo" / "file").exists()


def test_a_second_demonstration_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    with demo_folder(tmp_path), pytest.raises(FolderInUseError, match="end it"), demo_folder(tmp_path):
        pass
    with demo_folder(tmp_path):
        pass


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with (
        pytest.raises(FolderNotWritableError, match=r"/proc/nowhere cannot be written"),
        demo_folder(Path("/proc/nowhere")),
    ):
        pass
