"""The role jobs: work for later, from the table `job`, by lease.

What there is to do stands in `telerehab.jobs.kinds`. A job is taken by writing a lease into its row, so of several
processes one does it; a process that dies leaves a lease that runs out, so work may run twice and is never lost. A
fault in one kind ends the process; while its lease runs, the next process does the other kinds.
"""

import logging
import threading
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from telerehab.clock import Clock, SystemClock, utc_now
from telerehab.db.engine import Database, open_database, reading, writing
from telerehab.db.migrate import is_database_at_head
from telerehab.db.tables import Job, JobState
from telerehab.db.workers import BEAT_INTERVAL_S, Heartbeat
from telerehab.jobs.kinds import KINDS
from telerehab.roles.process import set_up_logging, wish_to_end
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS

log = logging.getLogger(__name__)

LEASE_S: Final = 300.0
LOOK_INTERVAL_S: Final = 2.0
OWNER: Final = "jobs"
KEY: Final = "main"
"""There is one standing job of each kind."""


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
    beating = threading.Thread(target=_keep_beating, args=(heartbeat, wish), name="heartbeat", daemon=True)
    beating.start()
    done_count = _work(database, clock=clock, wish=wish)
    beating.join()
    heartbeat.remove()
    database.close()
    log.info("ended, %d jobs done", done_count)
    return 0


def _keep_beating(heartbeat: Heartbeat, wish: threading.Event) -> None:
    """Say every two seconds that the role is well, also while it is busy for longer."""
    while not wish.wait(BEAT_INTERVAL_S):
        try:
            heartbeat.beat()
        except SQLAlchemyError as error:
            log.warning("the database refused: %s", type(error).__name__)


def _work(database: Database, *, clock: Clock, wish: threading.Event) -> int:
    """Do what is due every two seconds until told to end; return how many jobs were done."""
    done_count = 0
    while not wish.wait(LOOK_INTERVAL_S):
        try:
            while not wish.is_set() and do_one(database, clock=clock):
                done_count += 1
        except SQLAlchemyError as error:
            log.warning("the database refused: %s", type(error).__name__)
    return done_count


def plan(database: Database, *, clock: Clock) -> None:
    """Put the standing jobs into the table, where they are not there yet; several processes may do so at once."""
    with writing(database.main, owner=OWNER) as db:
        insert = postgresql.insert if database.main.dialect.name == "postgresql" else sqlite.insert
        each = {"key": KEY, "due_at": utc_now(clock), "state": JobState.WAITING.value}
        rows = [{"id": uuid4(), "kind": kind, **each} for kind in KINDS]
        db.execute(insert(Job).values(rows).on_conflict_do_nothing(index_elements=["kind", "key"]))


def do_one(database: Database, *, clock: Clock) -> bool:
    """Take the job that is due longest, do it, and say when it is due again; return whether there was one."""
    job = _take_lease(database, now=utc_now(clock))
    if job is None:
        return False
    kind, state = KINDS[job.kind], JobState.WAITING
    try:
        kind.run(database, utc_now(clock))
    except kind.hindered_by as error:
        log.warning("%s: %s", job.kind, error)
        state = JobState.HINDERED
    with writing(database.main, owner=OWNER) as db:
        db.exec(
            sa.update(Job)
            .where(col(Job.id) == job.id, col(Job.lease_until) == job.lease_until)
            .values(due_at=utc_now(clock) + kind.every, lease_until=None, state=state.value)
        )
    return True


def _take_lease(database: Database, *, now: datetime) -> Job | None:
    """Return a due job that nobody else works on, now leased to us."""
    is_free = sa.or_(col(Job.lease_until).is_(None), col(Job.lease_until) < now)
    due = select(Job).where(col(Job.kind).in_(list(KINDS)), col(Job.due_at) <= now, is_free)
    with reading(database.main) as db:  # nothing is due most of the time: then nobody's writing is disturbed
        if db.exec(due.limit(1)).first() is None:
            return None
    with writing(database.main, owner=OWNER) as db:
        job = db.exec(due.order_by(col(Job.due_at)).limit(1).with_for_update(skip_locked=True)).first()
        if job is not None:
            job.lease_until = now + timedelta(seconds=LEASE_S)
            db.add(job)
        return job
