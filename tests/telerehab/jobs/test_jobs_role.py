from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from telerehab.clock import ManualClock, utc_now
from telerehab.db.engine import Database, reading
from telerehab.db.tables import Job
from telerehab.jobs.kinds import KINDS, JobKind
from telerehab.roles import jobs


def _all_jobs(database: Database) -> dict[str, Job]:
    with reading(database.main) as db:
        return {job.kind: job for job in db.exec(select(Job))}


def _do_all(database: Database, clock: ManualClock) -> int:
    """Do what is due; return how many jobs there were."""
    n_done = 0
    while jobs.do_one(database, clock=clock):
        n_done += 1
        assert n_done <= len(KINDS)
    return n_done


def test_each_kind_stands_in_the_table_once_however_many_processes_start(database: Database) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: jobs.plan(database, clock=ManualClock()), range(4)))
    assert set(_all_jobs(database)) == set(KINDS)


def test_every_kind_is_done_when_due_and_is_due_again_after_its_own_time(database: Database) -> None:
    clock = ManualClock()
    jobs.plan(database, clock=clock)
    assert _do_all(database, clock) == len(KINDS)
    for kind, job in _all_jobs(database).items():
        assert job.lease_until is None
        assert job.due_at == utc_now(clock) + KINDS[kind].every
    clock.advance(20)
    assert _do_all(database, clock) == sum(kind.every <= timedelta(seconds=20) for kind in KINDS.values())
    clock.advance(600)
    assert _do_all(database, clock) == len(KINDS) - 1
    clock.advance(86_400)
    assert _do_all(database, clock) == len(KINDS)


def test_a_job_whose_worker_died_is_taken_again_when_its_lease_is_over(database: Database) -> None:
    clock = ManualClock()
    jobs.plan(database, clock=clock)
    for _ in KINDS:
        assert jobs._take_lease(database, now=utc_now(clock)) is not None
    assert not jobs.do_one(database, clock=clock)
    clock.advance(jobs.LEASE_S + 1)
    assert _do_all(database, clock) == len(KINDS)


def test_a_fault_in_one_kind_does_not_keep_the_next_process_from_the_others(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    clock, done = ManualClock(), list[str]()
    kinds = {
        "broken": JobKind(every=timedelta(seconds=1), run=fail),
        "sound": JobKind(every=timedelta(seconds=1), run=lambda *_: done.append("sound")),
    }
    monkeypatch.setattr(jobs, "KINDS", kinds)
    jobs.plan(database, clock=clock)
    for _ in range(2):
        try:
            while jobs.do_one(database, clock=clock):
                pass
        except ZeroDivisionError:
            continue
    assert done == ["sound"]


def test_of_several_processes_one_does_a_job(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    clock, done = ManualClock(), list[str]()
    monkeypatch.setattr(jobs, "KINDS", {"slow": JobKind(every=timedelta(days=1), run=lambda *_: done.append("slow"))})
    jobs.plan(database, clock=clock)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: jobs.do_one(database, clock=clock), range(8)))
    assert (done, results.count(True)) == (["slow"], 1)


def test_who_finds_nothing_due_disturbs_nobody_who_writes(sqlite_database: Database) -> None:
    clock = ManualClock()
    jobs.plan(sqlite_database, clock=clock)
    assert _do_all(sqlite_database, clock) == len(KINDS)
    with sqlite_database.main.connect() as writer:  # holds SQLite's only write lock
        writer.exec_driver_sql("UPDATE job SET state = state")
        assert not jobs.do_one(sqlite_database, clock=clock)
