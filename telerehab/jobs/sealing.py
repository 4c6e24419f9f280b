"""Standing work of the archive: seal what is over, hand keys over after a retraction, note what is hot no more."""

import logging
from datetime import datetime

from telerehab.archive.sealing import mark_cleared, rewrap_retracted, seal_due
from telerehab.archive.segment_rows import open_archive
from telerehab.db.engine import Database

log = logging.getLogger(__name__)


def seal_segments(database: Database, now: datetime) -> None:
    """Do a bounded part of what is due.

    Raises
    ------
    ArchiveUnavailableError
        The archive cannot be written; the blocks stay where they are.
    """
    archive = open_archive(database)
    mark_cleared(archive, now)
    rewrap_retracted(archive)
    sealed = seal_due(archive, now)
    if sealed:
        log.info("%d segments sealed", len(sealed))
