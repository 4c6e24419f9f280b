"""Where segments lie: files of any file system that fsspec knows, named by random ids, never written twice."""

import os
from typing import Any, Final
from uuid import UUID

import fsspec
from fsspec.implementations.local import LocalFileSystem

from telerehab.archive.errors import ArchiveUnavailableError, SegmentMissingError
from telerehab.settings import Settings

FOLDER: Final = "segments"
ENDING: Final = ".trs"


class ArchiveStore:
    """The files of the archive.

    Parameters
    ----------
    url : str
        `file:///...`, `s3://bucket/folder`, or what else fsspec reaches.
    """

    def __init__(self, url: str) -> None:
        try:
            filesystem, root = fsspec.core.url_to_fs(url)
        except (ValueError, ImportError) as error:
            raise ArchiveUnavailableError(f"the archive's address cannot be used: {type(error).__name__}") from error
        self._files: Any = filesystem
        self._root = str(root).rstrip("/")

    def write(self, path: str, data: bytes) -> None:
        """Write a new file; on a disk of this machine it lies there when this returns.

        Raises
        ------
        ArchiveUnavailableError
            The place cannot be written.
        """
        whole = self._whole(path)
        try:
            self._files.makedirs(whole.rpartition("/")[0], exist_ok=True)
            with self._files.open(whole, "wb") as file:
                file.write(data)
                if isinstance(self._files, LocalFileSystem):
                    file.flush()
                    os.fsync(file.fileno())
            if isinstance(self._files, LocalFileSystem):
                _sync_folder(whole.rpartition("/")[0])
        except OSError as error:
            raise ArchiveUnavailableError(f"the archive cannot be written: {type(error).__name__}") from error

    def read(self, path: str) -> bytes:
        """Return the content of a file.

        Raises
        ------
        SegmentMissingError
            There is none.
        ArchiveUnavailableError
            The place cannot be read.
        """
        try:
            data: bytes = self._files.cat_file(self._whole(path))
        except FileNotFoundError as error:
            raise SegmentMissingError(f"the file {path} is not there") from error
        except OSError as error:
            raise ArchiveUnavailableError(f"the archive cannot be read: {type(error).__name__}") from error
        return data

    def remove(self, path: str) -> None:
        """Remove a file; one that is not there is removed already."""
        try:
            self._files.rm_file(self._whole(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise ArchiveUnavailableError(f"the archive cannot be written: {type(error).__name__}") from error

    def paths(self) -> set[str]:
        """Return the paths of all files."""
        try:
            found = self._files.find(f"{self._root}/{FOLDER}")
        except FileNotFoundError:
            return set()
        except OSError as error:
            raise ArchiveUnavailableError(f"the archive cannot be read: {type(error).__name__}") from error
        return {path[len(self._root) + 1 :] for path in map(str, found)}

    def _whole(self, path: str) -> str:
        return f"{self._root}/{path}"


def open_store(settings: Settings) -> ArchiveStore:
    """Return the archive of an installation."""
    return ArchiveStore(settings.archive_url)


def path_of(segment_id: UUID) -> str:
    """Return where a segment's file lies; it tells nothing of what is in it."""
    return f"{FOLDER}/{segment_id.hex[:2]}/{segment_id}{ENDING}"


def _sync_folder(folder: str) -> None:
    """Make sure that a new name in a folder is on the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
