"""The errors of the archive, and what to do about each.

```text
ArchiveError
  SegmentMissingError    the row is there, its file is not: put the archive's folder back
  SegmentDamagedError    the file is not what was sealed: put it back from a copy of the archive
  SegmentLockedError     the key that opens it is gone (erased patient), or the key ring is another one
  FramesRefusedError     blocks of the hot store are no frames of this protocol: they stay where they are
  ScaleUnknownError      nothing says what the integers of a stream mean: read them with `as_counts`
  ArchiveUnavailableError  the archive's place cannot be read or written: correct `ARCHIVE_URL`, or make room
```
"""

from telerehab.errors import TelerehabError


class ArchiveError(TelerehabError):
    """Any error of the archive. The message names ids, never a person."""


class SegmentMissingError(ArchiveError):
    """A segment's file is not there."""


class SegmentDamagedError(ArchiveError):
    """A segment's file is not what was sealed."""


class SegmentLockedError(ArchiveError):
    """The key of a segment is gone, or is another one."""


class FramesRefusedError(ArchiveError):
    """What was to be sealed is no frame."""


class ScaleUnknownError(ArchiveError):
    """Nobody says what the integers of a stream mean."""


class ArchiveUnavailableError(ArchiveError):
    """The archive's place cannot be read or written."""
