"""The role jobs: work for later, from the table `job`, by lease.

There is one kind of work so far: once a day the main database refreshes what its query planner knows of the tables.
A job is taken by writing a lease into its row, so of several processes one does it; it may run twice, never be lost.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from telerehab.clock import Clock, SystemClock, utc_now
from telerehab.db.engine import Database, open_database, writing
from telerehab.db.migrate import is_database_at_head
from telerehab.db.tables import Job
from telerehab.db.workers import BEAT_INTERVAL_S, Heartbeat
from telerehab.roles.process import set_up_logging, wish_to_end
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS

log = logging.getLogger(__name__)

LEASE_S: Final = 300.0
STATISTICS_EVERY: Final = timedelta(days=1)


def run(settings: Settings) -> int:
    """Do what is due until SIGTERM or SIGINT; return the exit code."""
    set_up_logging(settings, role="jobs")
    wish = wish_to_end()
    database = open_database(settings)
    if not is_database_at_head(database):
        log.error("The database has another version than this program: run `telerehab migrate`")
        return EXIT_SETTINGS
    clock = SystemClock()
    heartbeat = Heartbeat(database.main, role="jobs", clock=clock)
    heartbeat.register()
    plan(database, clock=clock)
    done_count = _work(database, heartbeat, clock=clock, wish=wish)
    heartbeat.remove()
    database.close()
    log.info("ended, %d jobs done", done_count)
    return 0


def _work(database: Database, heartbeat: Heartbeat, *, clock: Clock, wish: threading.Event) -> int:
    """Do what is due every two seconds until told to end; return how many jobs were done."""
    done_count = 0
    while not wish.wait(BEAT_INTERVAL_S):
        try:
            done_count += do_one(database, clock=clock)
            heartbeat.beat({"done": done_count})
        except SQLAlchemyError as error:
            log.warning("the database refused: %s", type(error).__name__)
    return done_count


def plan(database: Database, *, clock: Clock) -> None:
    """Put the standing jobs into the table, where they are not there yet."""
    with writing(database.main, owner="jobs") as db:
        for kind in _WORK:
            if db.exec(select(Job).where(Job.kind == kind, Job.key == "main")).first() is None:
                db.add(Job(kind=kind, key="main", due_at=utc_now(clock)))


def do_one(database: Database, *, clock: Clock) -> bool:
    """Take the job that is due longest, do it, and say when it is due again; return whether there was one."""
    job = _take_lease(database, now=utc_now(clock))
    if job is None:
        return False
    _WORK[job.kind](database)
    with writing(database.main, owner="jobs") as db:
        db.exec(
            sa.update(Job)
            .where(col(Job.id) == job.id, col(Job.lease_until) == job.lease_until)
            .values(due_at=utc_now(clock) + STATISTICS_EVERY, lease_until=None)
        )
    return True


def _take_lease(database: Database, *, now: datetime) -> Job | None:
    """Return a due job that nobody else works on, now leased to us."""
    with writing(database.main, owner="jobs") as db:
        is_free = sa.or_(col(Job.lease_until).is_(None), col(Job.lease_until) < now)
        due = select(Job).where(col(Job.kind).in_(list(_WORK)), col(Job.due_at) <= now, is_free)
        job = db.exec(due.order_by(col(Job.due_at)).limit(1).with_for_update(skip_locked=True)).first()
        if job is not None:
            job.lease_until = now + timedelta(seconds=LEASE_S)
            db.add(job)
        return job


def _refresh_statistics(database: Database) -> None:
    """Let the planner look at the tables again."""
    with database.main.connect() as connection:
        connection.execute(sa.text("PRAGMA optimize" if database.main.dialect.name == "sqlite" else "ANALYZE"))
        connection.commit()


_WORK: Final[Mapping[str, Callable[[Database], None]]] = MappingProxyType({"statistics": _refresh_statistics})
