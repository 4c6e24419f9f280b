from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.reminders import (
    Appointment,
    DueQuestionnaire,
    Reminder,
    ReminderFacts,
    ReminderKind,
    due_reminders,
)

COPENHAGEN = ZoneInfo("Europe/Copenhagen")
DAY = date(2026, 10, 20)


def _at(hour: int, minute: int = 0, *, day: date = DAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=COPENHAGEN)


def _kinds(facts: ReminderFacts, now: datetime) -> list[ReminderKind]:
    return [reminder.kind for reminder in due_reminders(facts, now=now, zone=COPENHAGEN)]


TOMORROW = ReminderFacts(appointments=(Appointment(id="a", starts_at=_at(0, 30, day=DAY + timedelta(days=1))),))
TRAINS = ReminderFacts(trains_today=True)


def test_an_appointment_is_remembered_the_day_before_from_ten() -> None:
    assert _kinds(TOMORROW, _at(9, 59)) == []
    (reminder,) = due_reminders(TOMORROW, now=_at(10), zone=COPENHAGEN)
    assert (reminder.kind, reminder.cause_key, reminder.day) == (ReminderKind.APPOINTMENT, "appointment:a", DAY)
    assert _kinds(TOMORROW, _at(10) - timedelta(days=1)) == []
    assert _kinds(TOMORROW, _at(10) + timedelta(days=1)) == []


def test_tomorrow_is_the_patients_tomorrow_also_when_it_is_today_in_utc() -> None:
    starts_at = _at(0, 30, day=DAY + timedelta(days=1)).astimezone(UTC)
    assert starts_at.date() == DAY
    assert _kinds(ReminderFacts(appointments=(Appointment(id="a", starts_at=starts_at),)), _at(12)) == [
        ReminderKind.APPOINTMENT
    ]


def test_a_training_day_is_remembered_in_the_evening_when_it_is_not_done() -> None:
    assert _kinds(TRAINS, _at(16, 59)) == []
    assert _kinds(TRAINS, _at(17)) == [ReminderKind.TRAINING]
    assert _kinds(ReminderFacts(trains_today=True, has_trained_today=True), _at(17)) == []
    assert _kinds(ReminderFacts(trains_today=False), _at(17)) == []


@pytest.mark.parametrize(("days_after", "is_remembered"), [(-1, False), (0, True), (1, False), (3, True), (30, False)])
def test_a_questionnaire_is_remembered_when_it_is_due_and_not_every_day(days_after: int, is_remembered: bool) -> None:
    facts = ReminderFacts(questionnaires=(DueQuestionnaire(id="q", due_on=DAY - timedelta(days=days_after)),))
    assert bool(_kinds(facts, _at(12))) == is_remembered


def test_nobody_is_reminded_at_night() -> None:
    for hour in (21, 23, 0, 6):
        assert _kinds(TRAINS, _at(hour)) == []
        assert _kinds(TOMORROW, _at(hour)) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(-3 * 1440, 3 * 1440)), max_size=6, unique_by=lambda each: each[0]
    ),
    st.booleans(),
    st.lists(st.integers(0, 1439), min_size=2, max_size=30),
)
def test_one_cause_is_one_message_a_day_however_often_one_looks(
    appointments: list[tuple[int, int]], trains_today: bool, looks: list[int]
) -> None:
    facts = ReminderFacts(
        appointments=tuple(Appointment(id=str(i), starts_at=_at(12) + timedelta(minutes=m)) for i, m in appointments),
        trains_today=trains_today,
    )
    seen: dict[tuple[str, date], Reminder] = {}
    for minute in sorted(looks):
        for reminder in due_reminders(facts, now=_at(minute // 60, minute % 60), zone=COPENHAGEN):
            assert seen.setdefault((reminder.cause_key, reminder.day), reminder) == reminder
    assert len(seen) <= len(appointments) + 1
