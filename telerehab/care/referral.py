"""The clock of a referral to municipal rehabilitation (sundhedsloven section 140), as a value from dates and today.

Training must be offered to begin within seven calendar days of discharge, or the patient may choose a private provider;
the patient must be told within four. A date that is missing makes the answer `unknown`, never "in time".
"""

from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from telerehab.care.reading import Fault

START_DAYS_MAX: Final = 7
INFORM_DAYS_MAX: Final = 4
REFERRAL_STOP_REASONS: Final = ("postponed", "other_municipality", "free_choice", "free_choice_declined", "error")
"""Why a referral is not followed: the status reasons of KL Gateway's ServiceRequest."""
PLAN_STOP_REASONS: Final = (
    "needs_met_by_citizen",
    "needs_met_by_professional",
    "opt_out",
    "other_illness",
    "transport_cost",
    "transport_logistics",
    "other_training",
    "event",
    "no_show",
)
"""Why training that has begun stops: the nine status reasons of KL Gateway's CarePlan."""


class ClockState(StrEnum):
    """Where a deadline stands. Each has a text `clock.<value>`."""

    RUNNING = "running"
    IN_TIME = "in_time"
    LATE = "late"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferralDates:
    """What is known of a referral; None is "not known", and for events also "not yet"."""

    discharged_on: date | None
    informed_on: date | None = None
    """When the patient was told when training begins, and of the free choice."""
    first_offered_on: date | None = None
    """The day of the first contact that was offered to the patient."""
    stopped_on: date | None = None
    stop_reason: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Deadline:
    """One deadline: `last_day` still counts; `days_left` only while it runs (0: today is the last day)."""

    state: ClockState
    last_day: date | None
    days_left: int | None = None
    days_late: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class ReferralClock:
    """Both deadlines of a referral, and whether the patient may choose a private provider."""

    start: Deadline
    inform: Deadline
    stop_reason: str | None

    @property
    def has_free_choice(self) -> bool | None:
        """Whether the start is late; None where a date is missing."""
        return None if self.start.state is ClockState.UNKNOWN else self.start.state is ClockState.LATE


def read_clock(dates: ReferralDates, *, today: date) -> ReferralClock:
    """Return where a referral stands.

    Examples
    --------
    >>> clock = read_clock(ReferralDates(discharged_on=date(2026, 11, 2)), today=date(2026, 11, 5))
    >>> clock.start.state.value, clock.start.days_left, clock.inform.days_left
    ('running', 4, 1)
    """
    return ReferralClock(
        start=_deadline(dates, happened_on=dates.first_offered_on, days_max=START_DAYS_MAX, today=today),
        inform=_deadline(dates, happened_on=dates.informed_on, days_max=INFORM_DAYS_MAX, today=today),
        stop_reason=dates.stop_reason if _has_stopped(dates, today) else None,
    )


def find_referral_faults(dates: ReferralDates, *, reasons: frozenset[str]) -> tuple[Fault, ...]:
    """Return what cannot be; `reasons` are the stop reasons that the organisation uses."""
    faults = []
    if dates.discharged_on and dates.first_offered_on and dates.first_offered_on < dates.discharged_on:
        faults.append(Fault(at="first_offered_on", code="before_discharge"))
    if (dates.stopped_on is None) != (dates.stop_reason is None):
        faults.append(Fault(at="stop_reason", code="day_and_reason_belong_together"))
    elif dates.stop_reason is not None and dates.stop_reason not in reasons:
        faults.append(Fault(at="stop_reason", code="reason_unknown"))
    return tuple(faults)


def _deadline(dates: ReferralDates, *, happened_on: date | None, days_max: int, today: date) -> Deadline:
    if dates.discharged_on is None:
        stopped = _has_stopped(dates, today)
        return Deadline(state=ClockState.STOPPED if stopped else ClockState.UNKNOWN, last_day=None)
    last_day = dates.discharged_on + timedelta(days=days_max)
    if happened_on is not None and happened_on <= last_day:
        return Deadline(state=ClockState.IN_TIME, last_day=last_day)
    stopped_on = dates.stopped_on
    if stopped_on is not None and stopped_on <= today and stopped_on <= last_day:
        return Deadline(state=ClockState.STOPPED, last_day=last_day)
    counted_to = happened_on or (min(stopped_on, today) if stopped_on else today)
    if counted_to > last_day:
        return Deadline(state=ClockState.LATE, last_day=last_day, days_late=(counted_to - last_day).days)
    return Deadline(state=ClockState.RUNNING, last_day=last_day, days_left=(last_day - today).days)


def _has_stopped(dates: ReferralDates, today: date) -> bool:
    return dates.stopped_on is not None and dates.stopped_on <= today
