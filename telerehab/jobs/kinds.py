"""Every kind of standing work, how often it is done, and by which function.

A function gets the database and the moment; it may run twice at the same time and must then do no harm.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa

from telerehab.archive.errors import ArchiveUnavailableError
from telerehab.db.engine import Database
from telerehab.jobs.flags import evaluate_all, evaluate_fresh
from telerehab.jobs.reminders import remind_all
from telerehab.jobs.retractions import carry_out_retractions
from telerehab.jobs.sealing import seal_segments


@dataclass(kw_only=True, frozen=True, slots=True)
class JobKind:
    """Work that comes again."""

    every: timedelta
    """From the end of one time to when the next one is due."""
    run: Callable[[Database, datetime], None]
    hindered_by: tuple[type[Exception], ...] = ()
    """Errors that say that something outside stands in the way: the work is tried again and `/readyz` names it."""


def refresh_statistics(database: Database, now: datetime) -> None:
    """Let the planner of the main database look at its tables again."""
    del now
    with database.main.connect() as connection:
        connection.execute(sa.text("PRAGMA optimize" if database.main.dialect.name == "sqlite" else "ANALYZE"))
        connection.commit()


KINDS: Final[Mapping[str, JobKind]] = MappingProxyType(
    {
        "flags": JobKind(every=timedelta(minutes=10), run=evaluate_all),
        "flags_after_training": JobKind(every=timedelta(seconds=20), run=evaluate_fresh),
        "reminders": JobKind(every=timedelta(minutes=5), run=remind_all),
        "retractions": JobKind(every=timedelta(seconds=10), run=carry_out_retractions),
        "sealing": JobKind(every=timedelta(seconds=30), run=seal_segments, hindered_by=(ArchiveUnavailableError,)),
        "statistics": JobKind(every=timedelta(days=1), run=refresh_statistics),
    }
)
