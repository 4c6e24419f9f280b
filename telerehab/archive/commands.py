"""What `telerehab archive` does, as values: the command line prints them. Imported when one of them is asked for."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any
from uuid import UUID

from telerehab.archive.export import ExportForm, export_training_session
from telerehab.archive.merge import merge_segments
from telerehab.archive.reanalysis import list_archived, reanalyse
from telerehab.archive.segment_rows import Archive, open_archive
from telerehab.archive.verify import verify
from telerehab.clock import SystemClock, utc_now
from telerehab.db.engine import open_database
from telerehab.settings import Settings

Progress = Callable[[int, int], None]


def run_verify(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Look at the whole archive; `is_sound` tells whether all is as it was sealed."""
    with _opened(settings) as archive:
        report = verify(archive, progress=progress)
    return {
        "is_sound": report.is_sound,
        "segments": report.segment_count,
        "samples": report.sample_count,
        "bytes": report.byte_count,
        "erased": report.erased_count,
        "stray_files": report.stray_paths,
        "findings": [asdict(finding) for finding in report.findings],
    }


def run_merge(settings: Settings, progress: Progress) -> dict[str, Any]:
    """Put the segments of each stream together."""
    with _opened(settings) as archive:
        return {"merged": [str(each) for each in merge_segments(archive, utc_now(SystemClock()), progress=progress)]}


def run_export(settings: Settings, training_session_id: UUID, folder: Path, form: ExportForm) -> dict[str, Any]:
    """Write one training session into a folder."""
    with _opened(settings) as archive:
        paths = export_training_session(archive, training_session_id, folder, form=form, now=utc_now(SystemClock()))
    return {"files": [str(path) for path in paths]}


def run_reanalyse(settings: Settings, training_session_ids: Sequence[UUID], progress: Progress) -> dict[str, Any]:
    """Analyse training sessions anew; none named: all that are archived."""
    with _opened(settings) as archive:
        wanted = list(training_session_ids) or list_archived(archive)
        outcome = reanalyse(archive, wanted, utc_now(SystemClock()), progress=progress)
    return {
        "training_sessions": len(wanted),
        "analysed": outcome.analysed_count,
        "known": outcome.known_count,
        "not_measurable": outcome.unmeasurable_count,
        "repetitions": outcome.repetition_count,
        "unreadable": [str(each) for each in outcome.unreadable],
    }


@contextmanager
def _opened(settings: Settings) -> Iterator[Archive]:
    """Give the archive of an installation."""
    database = open_database(settings)
    try:
        yield open_archive(database)
    finally:
        database.close()
