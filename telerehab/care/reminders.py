"""What a patient is reminded of, and when: at most one message per cause and day, never at night.

An appointment tomorrow, a training day not done by the evening, a questionnaire that is due. Whether a message was sent
already is not decided here but by a unique row (recipient, cause, day), so asking often is harmless.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

APPOINTMENT_FROM: Final = time(10)
"""On the day before."""
QUESTIONNAIRE_FROM: Final = time(9)
EVENING: Final = time(17)
"""A training day that is not done by then is remembered."""
QUIET_FROM: Final = time(21)
QUESTIONNAIRE_AGAIN_DAYS: Final = (0, 3, 7)
"""A questionnaire is remembered on the day that it is due, and so many days later."""


class ReminderKind(StrEnum):
    """What is remembered; the word is the key of its sentence, `reminder.<word>`."""

    APPOINTMENT = "appointment_tomorrow"
    TRAINING = "training_not_done"
    QUESTIONNAIRE = "questionnaire_due"


@dataclass(kw_only=True, frozen=True, slots=True)
class Appointment:
    """A meeting that was not cancelled."""

    id: str
    starts_at: datetime


@dataclass(kw_only=True, frozen=True, slots=True)
class DueQuestionnaire:
    """A questionnaire that was not answered."""

    id: str
    due_on: date


@dataclass(kw_only=True, frozen=True, slots=True)
class ReminderFacts:
    """What there is to remind one patient of."""

    appointments: tuple[Appointment, ...] = ()
    questionnaires: tuple[DueQuestionnaire, ...] = ()
    trains_today: bool = False
    """The plan asks for training today, and the day is not excused."""
    has_trained_today: bool = False


@dataclass(kw_only=True, frozen=True, slots=True)
class Reminder:
    """One message to the patient."""

    kind: ReminderKind
    cause_key: str
    """With the day it is unique."""
    day: date
    at: datetime | None = None
    """When the appointment begins."""


def due_reminders(facts: ReminderFacts, *, now: datetime, zone: ZoneInfo) -> list[Reminder]:
    """Return what the patient is to be told now; the same until the day is over or the cause is gone."""
    local = now.astimezone(zone)
    today, clock = local.date(), local.time()
    if clock >= QUIET_FROM:
        return []
    reminders: list[Reminder] = []
    if clock >= APPOINTMENT_FROM:
        reminders += _appointments_tomorrow(facts.appointments, today=today, zone=zone)
    if clock >= EVENING and facts.trains_today and not facts.has_trained_today:
        reminders.append(Reminder(kind=ReminderKind.TRAINING, cause_key="training", day=today))
    if clock >= QUESTIONNAIRE_FROM:
        reminders += [
            Reminder(kind=ReminderKind.QUESTIONNAIRE, cause_key=f"questionnaire:{each.id}", day=today)
            for each in facts.questionnaires
            if (today - each.due_on).days in QUESTIONNAIRE_AGAIN_DAYS
        ]
    return reminders


def _appointments_tomorrow(appointments: Iterable[Appointment], *, today: date, zone: ZoneInfo) -> list[Reminder]:
    """Return a reminder for each appointment of the local day after today."""
    tomorrow = today + timedelta(days=1)
    return [
        Reminder(kind=ReminderKind.APPOINTMENT, cause_key=f"appointment:{each.id}", day=today, at=each.starts_at)
        for each in sorted(appointments, key=lambda each: each.starts_at)
        if each.starts_at.astimezone(zone).date() == tomorrow
    ]
