import uuid
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine
from sqlmodel import Session

from telerehab.clock import ManualClock, to_us
from telerehab.db.engine import Database, writing
from telerehab.db.tables import (
    Appointment,
    GroupMembership,
    Notice,
    PatientGroup,
    QuestionnaireResponse,
    QuestionnaireSchedule,
)
from telerehab.jobs import reminders
from telerehab.jobs.reminders import remind_all
from telerehab.settings import Settings
from tests.telerehab.jobs.course import Course, begin_course

EVENING = datetime(2026, 10, 20, 16, 0, tzinfo=UTC)  # 18 in Copenhagen, a Tuesday


@pytest.fixture
def course(settings: Settings, database: Database) -> Course:
    return begin_course(settings, database, clock=ManualClock(utc_now_ns=to_us(EVENING) * 1_000))


def _remind(course: Course) -> list[Notice]:
    """Look twice and return all notices."""
    for _ in range(2):
        remind_all(course.database, course.now)
    return course.notices()


def _appointment(
    course: Course, *, in_hours: float, state: str = "planned", group_id: uuid.UUID | None = None
) -> Appointment:
    starts_at = course.now + timedelta(hours=in_hours)
    return Appointment(
        organisation_id=course.organisation_id,
        kind="live_session",
        title="Knæhold",
        account_id=course.therapist_id,
        starts_at=starts_at,
        ends_at=starts_at + timedelta(hours=1),
        state=state,
        created_at=course.now,
        patient_id=None if group_id else course.patient_id,
        group_id=group_id,
    )


def test_a_training_day_that_is_not_done_is_remembered_once(course: Course) -> None:
    course.add_plan()
    (notice,) = _remind(course)
    assert (notice.recipient, notice.kind, notice.day) == (
        f"patient:{course.patient_id}",
        "reminder.training_not_done",
        "2026-10-20",
    )
    course.clock.advance(86_400)
    assert len(_remind(course)) == 2


@pytest.mark.parametrize("why", ["trained", "rest day", "no plan"])
def test_who_need_not_train_is_not_reminded(course: Course, why: str) -> None:
    if why != "no plan":
        course.add_plan(weekdays=(1,) if why == "rest day" else (1, 2, 3))
    if why == "trained":
        course.train(0.2, None, is_closed=False)
    assert _remind(course) == []


def test_tomorrows_appointments_of_the_patient_and_of_the_group_are_remembered(course: Course) -> None:
    group = PatientGroup(organisation_id=course.organisation_id, name="Hold", account_id=course.therapist_id)
    course.write(group)
    course.write(
        GroupMembership(group_id=group.id, patient_id=course.patient_id, starts_at=course.now - timedelta(days=9)),
        _appointment(course, in_hours=16),
        _appointment(course, in_hours=18, group_id=group.id),
        _appointment(course, in_hours=16, state="cancelled"),
        _appointment(course, in_hours=40),
    )
    notices = _remind(course)
    assert [notice.kind for notice in notices] == ["reminder.appointment_tomorrow"] * 2
    assert sorted(notice.data["at"] for notice in notices) == [
        "2026-10-21T08:00:00+00:00",
        "2026-10-21T10:00:00+00:00",
    ]


def test_who_left_the_group_before_is_not_reminded(course: Course) -> None:
    group = PatientGroup(organisation_id=course.organisation_id, name="Hold", account_id=course.therapist_id)
    course.write(group)
    member = GroupMembership(
        group_id=group.id,
        patient_id=course.patient_id,
        starts_at=course.now - timedelta(days=9),
        ends_at=course.now + timedelta(hours=1),
    )
    course.write(member, _appointment(course, in_hours=18, group_id=group.id))
    assert _remind(course) == []


def test_a_questionnaire_is_remembered_until_it_is_answered(course: Course) -> None:
    schedule = QuestionnaireSchedule(
        patient_id=course.patient_id,
        code="function",
        first_on=course.now.date(),
        created_by=course.therapist_id,
        created_at=course.now,
    )
    course.write(schedule)
    assert [notice.kind for notice in _remind(course)] == ["reminder.questionnaire_due"]
    course.write(
        QuestionnaireResponse(
            patient_id=course.patient_id,
            code="function",
            schedule_id=schedule.id,
            answers_sealed=b"",
            answered_by=course.patient_id,
            answered_at=course.now,
        )
    )
    course.clock.advance(3 * 86_400)
    assert len(_remind(course)) == 1


def test_a_process_that_dies_midway_reminds_of_everything_later_and_once(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    course.add_plan()
    course.write(_appointment(course, in_hours=16))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("sqlmodel.Session.commit", die)
        with pytest.raises(KeyboardInterrupt):
            remind_all(course.database, course.now)
    assert course.notices() == []
    assert len(_remind(course)) == 2
    with writing(course.database.main, owner="jobs"):
        pass  # no lock was left behind


def test_many_reminders_are_written_a_few_at_a_time(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    course.add_plan()
    course.write(_appointment(course, in_hours=16), _appointment(course, in_hours=17))
    began: list[str] = []

    def counted(engine: Engine, *, owner: str) -> AbstractContextManager[Session]:
        began.append(owner)
        return writing(engine, owner=owner)

    monkeypatch.setattr(reminders, "writing", counted)
    monkeypatch.setattr(reminders, "AT_ONCE", 2)
    remind_all(course.database, course.now)
    assert (len(course.notices()), began) == (3, ["jobs", "jobs"])
