"""Who needs me first: the order of a caseload.

Help pressed, then an alert that nobody has acknowledged, then flags by their severity, then messages, then what
somebody has seen already, then those who are fine. Within one need whoever waits longest comes first.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import IntEnum
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

from telerehab.care.flags import FlagState, Rule, Severity


class Need(IntEnum):
    """What a patient needs most; larger comes first. The name in lower case is the key of its sentence."""

    FINE = 0
    GOOD_NEWS = 1
    SEEN = 2
    """Something stands that somebody has acknowledged."""
    MESSAGE = 3
    TECHNICAL = 4
    WATCH = 5
    WORSE = 6
    PAIN = 7
    HIGH_PAIN = 8
    ALERT = 9
    HELP_CALL = 10


NEED_OF: Final[Mapping[Severity, Need]] = MappingProxyType(
    {
        Severity.GOOD_NEWS: Need.GOOD_NEWS,
        Severity.TECHNICAL: Need.TECHNICAL,
        Severity.WATCH: Need.WATCH,
        Severity.WORSE: Need.WORSE,
        Severity.PAIN: Need.PAIN,
        Severity.HIGH_PAIN: Need.HIGH_PAIN,
    }
)


class StandingFlag(NamedTuple):
    """A flag as far as the order needs it."""

    rule: Rule
    severity: Severity
    state: FlagState
    opened_at: datetime


class PatientNeeds(NamedTuple):
    """What stands for one patient."""

    patient_id: UUID
    name: str
    help_calls_at: Sequence[datetime] = ()
    """When the calls that are not closed began."""
    alerts_at: Sequence[datetime] = ()
    """When the alerts were raised that nobody has acknowledged."""
    seen_alerts_at: Sequence[datetime] = ()
    """Acknowledged, not yet closed."""
    flags: Sequence[StandingFlag] = ()
    unread_messages_at: Sequence[datetime] = ()


class Triaged(NamedTuple):
    """A patient in the order, and why there."""

    patient_id: UUID
    name: str
    need: Need
    since: datetime | None
    """When what is needed most began; None for those who are fine."""


def order_caseload(patients: Iterable[PatientNeeds]) -> list[Triaged]:
    """Return the patients, the greatest need first, then the longest wait, then the name."""
    return sorted(
        (triage(patient) for patient in patients),
        key=lambda each: (-each.need, each.since.timestamp() if each.since else 0.0, each.name, each.patient_id),
    )


def triage(patient: PatientNeeds) -> Triaged:
    """Return what a patient needs most and since when."""
    need, since = max(_needs(patient), key=lambda each: (each[0], -each[1].timestamp()), default=(Need.FINE, None))
    return Triaged(patient_id=patient.patient_id, name=patient.name, need=need, since=since)


def _needs(patient: PatientNeeds) -> Iterator[tuple[Need, datetime]]:
    """Yield everything that stands, each with its need and since when."""
    for at in patient.help_calls_at:
        yield Need.HELP_CALL, at
    for at in patient.alerts_at:
        yield Need.ALERT, at
    for at in patient.seen_alerts_at:
        yield Need.SEEN, at
    for at in patient.unread_messages_at:
        yield Need.MESSAGE, at
    for flag in patient.flags:
        if flag.state is FlagState.OPEN:
            yield NEED_OF[flag.severity], flag.opened_at
        elif flag.state is FlagState.ACKNOWLEDGED:
            yield (Need.GOOD_NEWS if flag.severity is Severity.GOOD_NEWS else Need.SEEN), flag.opened_at
