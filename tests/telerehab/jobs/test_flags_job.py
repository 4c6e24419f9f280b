from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import event
from sqlmodel import col, update

from telerehab.care.adherence import DayStatus
from telerehab.care.flags import Rule
from telerehab.db import provisioning
from telerehab.db.engine import Database, writing
from telerehab.db.flag_rows import read_flag
from telerehab.db.tables import (
    Assignment,
    Block,
    Correction,
    Goal,
    Organisation,
    Patient,
    Substitution,
    TrainingPause,
    TrainingSession,
)
from telerehab.jobs import flags
from telerehab.jobs.flags import evaluate_all, evaluate_fresh
from telerehab.jobs.patient_facts import KnownPatient, read_known_patients
from telerehab.settings import Settings
from tests.telerehab.db.stores import make_settings
from tests.telerehab.jobs.course import EXERCISE, SIDE, Course, begin_course

HELD_DEG = (96.0, 94.0, 97.0, 95.0, 96.0)
LOST_DEG = (81.0, 80.0)


@pytest.fixture
def course(settings: Settings, database: Database) -> Course:
    return begin_course(settings, database)


@pytest.fixture
def sqlite_course(sqlite_database: Database, tmp_path: Path) -> Course:
    """Give a course on SQLite only: for what does not ask the database much."""
    return begin_course(make_settings(tmp_path), sqlite_database)


def _lose_range(course: Course) -> None:
    """Have a patient train seven days in a row, 15 degrees less on the last two."""
    for i, rom_deg in enumerate((*HELD_DEG, *LOST_DEG)):
        course.train(len(HELD_DEG) + len(LOST_DEG) - i, rom_deg)


def _rules(course: Course) -> list[str]:
    return [flag.rule for flag in course.flags() if flag.ended_at is None]


def test_a_falling_range_is_one_flag_with_its_raw_data_and_one_notice(course: Course) -> None:
    _lose_range(course)
    evaluate_all(course.database, course.now)
    evaluate_all(course.database, course.now + timedelta(minutes=10))
    (flag,) = course.flags()
    assert (flag.rule, flag.cause, flag.unit) == ("range_falling", "range:knee:left", "deg")
    assert flag.value == pytest.approx(15, abs=0.6)
    assert (flag.data["exercise"], flag.data["side"]) == (EXERCISE, SIDE)
    sources = [(each.source, each.id) for each in read_flag(flag).finding.evidence]
    assert sources == [("training_session", str(each)) for each in course.session_ids]
    (notice,) = course.notices()
    assert notice.recipient == f"account:{course.therapist_id}"
    assert notice.data == {"flag_id": str(flag.id), "rule": "range_falling", "number": flag.value}


def test_the_next_day_it_is_the_same_flag_and_it_ends_by_itself(sqlite_course: Course) -> None:
    _lose_range(sqlite_course)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    sqlite_course.clock.advance(86_400)
    sqlite_course.train(0.1, 80.5)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    (flag,) = sqlite_course.flags()
    assert flag.ended_at is None
    for i in range(4):
        sqlite_course.train(0.05 - 0.01 * i, 96)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    (ended,) = sqlite_course.flags()
    assert (ended.id, ended.ended_at) == (flag.id, sqlite_course.now)
    assert len(sqlite_course.notices()) == 1


def test_processes_that_look_at_the_same_moment_make_one_flag(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    _lose_range(course)
    all_have_read = Barrier(4, timeout=20)

    def read_and_wait(*args: Any, **named: Any) -> list[KnownPatient]:
        known = read_known_patients(*args, **named)
        all_have_read.wait()
        return known

    monkeypatch.setattr(flags, "read_known_patients", read_and_wait)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: evaluate_all(course.database, course.now), range(4)))
    assert len(course.flags()) == 1
    assert len(course.notices()) == 1


def test_a_process_that_dies_midway_leaves_nothing_half_done(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    _lose_range(course)

    def die(*_args: Any, **_named: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(flags, "put_notice", die)
        with pytest.raises(KeyboardInterrupt):
            evaluate_all(course.database, course.now)
    assert course.flags() == []
    evaluate_all(course.database, course.now)
    assert len(course.flags()) == len(course.notices()) == 1


def test_what_was_entered_in_error_and_sets_that_are_not_valid_count_nowhere(course: Course) -> None:
    for i, rom_deg in enumerate(HELD_DEG):
        course.train(9 - i, rom_deg)
    course.train(2, 70)
    with writing(course.database.main, owner="web") as db:
        retracted = col(TrainingSession.id) == course.session_ids[-1]
        db.exec(update(TrainingSession).where(retracted).values(retracted_at=course.now))
    spoiled = [course.train(1.5, 70), course.train(1, 71)]
    for set_id, session_id in zip(spoiled, course.session_ids[-2:], strict=True):
        course.write(
            Correction(
                training_session_id=session_id,
                training_set_id=set_id,
                kind="not_valid",
                account_id=course.therapist_id,
                at=course.now,
            )
        )
    evaluate_all(course.database, course.now)
    assert course.flags() == []


def test_a_training_session_that_is_not_valid_as_a_whole_was_no_training(sqlite_course: Course) -> None:
    sqlite_course.add_plan(days_ago=20)
    for day in range(20, 0, -1):
        sqlite_course.train(day, 95)
    for session_id in sqlite_course.session_ids[-3:]:
        not_valid = Correction(
            training_session_id=session_id,
            kind="not_valid",
            account_id=sqlite_course.therapist_id,
            at=sqlite_course.now,
        )
        sqlite_course.write(not_valid)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    assert _rules(sqlite_course) == ["days_missed"]


def test_missed_days_end_with_illness_and_with_training(sqlite_course: Course) -> None:
    sqlite_course.add_plan(days_ago=20)
    for day in range(20, 3, -1):
        sqlite_course.train(day, 95)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    assert _rules(sqlite_course) == ["days_missed"]
    today = sqlite_course.now.date()
    pause = TrainingPause(
        patient_id=sqlite_course.patient_id,
        kind="illness",
        starts_on=today - timedelta(days=3),
        created_by=sqlite_course.therapist_id,
        created_at=sqlite_course.now,
    )
    sqlite_course.write(pause)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    assert _rules(sqlite_course) == []


def test_pain_is_judged_by_the_limit_of_the_plan_in_force(sqlite_course: Course) -> None:
    sqlite_course.add_plan(pain_max=5)
    for day in range(20, 0, -1):
        sqlite_course.train(day, 95)
        sqlite_course.report_pain(day, 5)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    (flag,) = sqlite_course.flags()
    assert (flag.rule, flag.threshold) == (Rule.PAIN_HIGH, 5)


def test_a_device_whose_blocks_stopped_is_silent_and_one_that_sent_is_not(course: Course) -> None:
    with writing(course.database.main, owner="web") as db:
        db.exec(update(Organisation).values(time_zone="UTC"))
        from_start = course.now - timedelta(days=30)
        for name in ("imu-a", "imu-b"):
            provisioning.create_device(db, organisation_id=course.organisation_id, name=name, kind="imu6")
            db.flush()
            db.add(Assignment(device_name=name, patient_id=course.patient_id, starts_at=from_start))
    for days_ago in (4, 2, 1):
        course.train(days_ago, 95 if days_ago == 4 else None)
    _hear(course, "imu-a", days_ago=4)
    _hear(course, "imu-b", days_ago=1)
    evaluate_all(course.database, course.now)
    assert [flag.cause for flag in course.flags()] == ["device:imu-a"]
    assert course.notices() == []  # it waits on the caseload


def test_a_goal_with_a_measure_is_met_when_it_is_reached_twice(sqlite_course: Course) -> None:
    sqlite_course.write(
        Goal(
            patient_id=sqlite_course.patient_id,
            text_sealed=b"",
            measure={"kind": "rom", "exercise": EXERCISE, "side": SIDE, "at_least": 110},
            created_by=sqlite_course.therapist_id,
            created_at=sqlite_course.now,
        )
    )
    sqlite_course.train(3, 112)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    assert sqlite_course.flags() == []
    sqlite_course.train(2, 111)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    assert _rules(sqlite_course) == ["goal_met"]


def test_soon_after_training_only_those_who_trained_are_looked_at(settings: Settings, database: Database) -> None:
    rested, trained = begin_course(settings, database), begin_course(settings, database)
    for course in (rested, trained):
        _lose_range(course)
    evaluate_fresh(database, rested.now)
    assert rested.flags() == []
    trained.train(0.5 / 24, 80)
    with writing(database.main, owner="web") as db:
        last = col(TrainingSession.id) == trained.session_ids[-1]
        db.exec(update(TrainingSession).where(last).values(closed_at=trained.now - timedelta(seconds=10)))
    evaluate_fresh(database, rested.now)
    assert [flag.patient_id for flag in trained.flags()] == [trained.patient_id]


@pytest.mark.parametrize("service", ["measure_only", "communication_only"])
def test_an_organisation_that_wants_nothing_judged_has_no_flags(sqlite_course: Course, service: str) -> None:
    _lose_range(sqlite_course)
    evaluate_all(sqlite_course.database, sqlite_course.now)
    with writing(sqlite_course.database.main, owner="web") as db:
        db.exec(update(Organisation).values(service=service))
    evaluate_all(sqlite_course.database, sqlite_course.now + timedelta(hours=1))
    assert _rules(sqlite_course) == []


def test_nobody_looks_after_whose_course_is_over(sqlite_course: Course) -> None:
    _lose_range(sqlite_course)
    with writing(sqlite_course.database.main, owner="web") as db:
        db.exec(update(Patient).values(ended_at=sqlite_course.now))
    evaluate_all(sqlite_course.database, sqlite_course.now)
    assert sqlite_course.flags() == []


def test_the_number_of_queries_does_not_grow_with_the_patients(settings: Settings, database: Database) -> None:
    counts = []
    for n_more in (1, 5):
        for _ in range(n_more):
            course = begin_course(settings, database)
            course.add_plan()
            _lose_range(course)
            course.report_pain(1, 3)
        with _counted(database) as statements:
            known = read_known_patients(database, now=course.now)
        counts.append(len(statements))
    assert len(known) == 6
    assert counts[0] == counts[1]


@contextmanager
def _counted(database: Database) -> Iterator[list[str]]:
    """Give the statements that run meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        statements.append(statement)

    event.listen(database.main, "before_cursor_execute", note)
    yield statements
    event.remove(database.main, "before_cursor_execute", note)


def _hear(course: Course, device: str, *, days_ago: float) -> None:
    """Write a block of a device as ingest does."""
    received_us = course.clock.utc_ns() // 1_000 - round(days_ago * 86_400e6)
    with writing(course.database.hot, owner="ingest") as db:
        db.add(
            Block(
                device=device,
                boot=1,
                stream="imu",
                sequence=0,
                schema_code=1,
                t0_us=0,
                n_samples=1,
                received_us=received_us,
                payload=b"",
            )
        )


def test_who_stands_in_is_told_of_a_flag_like_the_absent_one(course: Course) -> None:
    with writing(course.database.main, owner="web") as db:
        per = provisioning.create_account(
            db, organisation_id=course.organisation_id, email="per@byen.example", display_name="Per"
        )
        db.add(
            Substitution(
                absent_account_id=course.therapist_id,
                substitute_account_id=per.id,
                starts_at=course.now - timedelta(days=1),
                ends_at=course.now + timedelta(days=1),
                created_by=course.therapist_id,
            )
        )
    _lose_range(course)
    evaluate_all(course.database, course.now)
    told = {notice.recipient for notice in course.notices()}
    assert told == {f"account:{course.therapist_id}", f"account:{per.id}"}


def test_the_first_of_the_five_weeks_days_counts_from_its_morning(sqlite_course: Course) -> None:
    sqlite_course.add_plan()
    sqlite_course.train(35 + 2 / 24, 96)
    (known,) = read_known_patients(sqlite_course.database, now=sqlite_course.now)
    first = known.days[0]
    assert (sqlite_course.now.date() - first.day, first.status) == (timedelta(days=35), DayStatus.DONE)
