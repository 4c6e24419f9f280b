"""Standing work of the archive: seal what is over, hand keys over after a retraction, note what is hot no more."""

import logging
from datetime import datetime

from telerehab.archive.errors import ArchiveUnavailableError
from telerehab.archive.sealing import mark_cleared, rewrap_retracted, seal_due
from telerehab.archive.segment_rows import open_archive
from telerehab.db.engine import Database

log = logging.getLogger(__name__)


def seal_segments(database: Database, now: datetime) -> None:
    """Do a bounded part of what is due; an archive that cannot be written leaves the blocks where they are."""
    try:
        archive = open_archive(database)
        mark_cleared(archive, now)
        rewrap_retracted(archive)
        sealed = seal_due(archive, now)
    except ArchiveUnavailableError as error:
        log.warning("nothing is sealed: %s", error)
        return
    if sealed:
        log.info("%d segments sealed", len(sealed))
