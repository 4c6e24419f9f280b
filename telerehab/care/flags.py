"""What a flag is, when two days' findings are the same flag, and what people make of it.

A rule (`flag_rules.py`) finds something in the data of one patient: a `Finding`. A flag is a finding with a life: it
begins, is found again on the next day under the same cause, may become worse, and ends by itself when the condition is
gone. People acknowledge or resolve it with a `Mark`; the rules never read marks and people never change findings, so
both sides may write at the same moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

RETURNS_WITHIN: Final = timedelta(days=7)
"""A cause that is found again so soon after its flag ended continues that flag: one message, one history."""
EVIDENCE_MAX: Final = 30
"""Raw values that a finding carries, the newest last."""


class Rule(StrEnum):
    """What was found; the word is the key of its sentence, `flag.<word>`."""

    PAIN_HIGH = "pain_high"
    PAIN_RISING = "pain_rising"
    RANGE_FALLING = "range_falling"
    DAYS_MISSED = "days_missed"
    DEVICE_SILENT = "device_silent"
    SCORE_WITHHELD = "score_withheld"
    GOAL_MET = "goal_met"


class Severity(IntEnum):
    """How much a flag asks for somebody; larger comes first."""

    GOOD_NEWS = 0
    TECHNICAL = 1
    WATCH = 2
    WORSE = 3
    PAIN = 4
    HIGH_PAIN = 5


class Action(StrEnum):
    """The one thing that a flag proposes; the word is the key of its button, `flag.action.<word>`."""

    CALL = "call"
    REVIEW = "review"
    MESSAGE = "message"
    CHECK_DEVICE = "check_device"
    PRAISE = "praise"


SEVERITY: Final[Mapping[Rule, Severity]] = MappingProxyType(
    {
        Rule.PAIN_HIGH: Severity.HIGH_PAIN,
        Rule.PAIN_RISING: Severity.PAIN,
        Rule.RANGE_FALLING: Severity.WORSE,
        Rule.DAYS_MISSED: Severity.WATCH,
        Rule.DEVICE_SILENT: Severity.TECHNICAL,
        Rule.SCORE_WITHHELD: Severity.TECHNICAL,
        Rule.GOAL_MET: Severity.GOOD_NEWS,
    }
)
ACTION: Final[Mapping[Rule, Action]] = MappingProxyType(
    {
        Rule.PAIN_HIGH: Action.CALL,
        Rule.PAIN_RISING: Action.CALL,
        Rule.RANGE_FALLING: Action.REVIEW,
        Rule.DAYS_MISSED: Action.MESSAGE,
        Rule.DEVICE_SILENT: Action.CHECK_DEVICE,
        Rule.SCORE_WITHHELD: Action.CHECK_DEVICE,
        Rule.GOAL_MET: Action.PRAISE,
    }
)
WORSE_STEP: Final[Mapping[Rule, float]] = MappingProxyType(
    {
        Rule.PAIN_HIGH: 1.0,
        Rule.PAIN_RISING: 1.0,
        Rule.RANGE_FALLING: 5.0,
        Rule.DAYS_MISSED: 3.0,
        Rule.DEVICE_SILENT: 3.0,
        Rule.SCORE_WITHHELD: 3.0,
        Rule.GOAL_MET: float("inf"),
    }
)
"""By how much the number must have grown since a person's mark to open the flag again, in the number's unit."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Evidence:
    """One raw value behind a finding: where it stands, of which day it is."""

    source: str
    """`training_session`, `pain_report`, `planned_day`, `device` or `goal`."""
    id: str
    day: date
    value: float


@dataclass(kw_only=True, frozen=True, slots=True)
class Finding:
    """What a rule found on one day. In all but good news a larger `number` is worse."""

    rule: Rule
    cause_key: str
    """The same word on every day on which it is the same thing, unique within the patient."""
    number: float
    unit: str
    """UCUM: `deg`, `d`, `{score}`, `{sessions}`."""
    threshold: float
    since: date
    """The first day of which it holds."""
    exercise: str | None = None
    side: str | None = None
    evidence: tuple[Evidence, ...] = field(default=())

    @property
    def severity(self) -> Severity:
        """Return its place in the order of need."""
        return SEVERITY[self.rule]

    @property
    def action(self) -> Action:
        """Return the one thing to do."""
        return ACTION[self.rule]


@dataclass(kw_only=True, frozen=True, slots=True)
class Flag:
    """A finding with its life. Written by the rules only."""

    finding: Finding
    """As last found."""
    opened_at: datetime
    seen_at: datetime
    """When the rules last found it."""
    level_severity: Severity
    level_number: float
    """What it had become when `version` last counted."""
    version: int = 1
    """Counts up when it gets worse, by a higher severity or by `WORSE_STEP`: what was marked before is open again."""
    ended_at: datetime | None = None


class MarkKind(StrEnum):
    """What a person did with a flag."""

    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"


@dataclass(kw_only=True, frozen=True, slots=True)
class Mark:
    """What a person did with a flag, and which version of it the person had seen."""

    kind: MarkKind
    at: datetime
    flag_version: int


class FlagState(StrEnum):
    """Where a flag stands."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    ENDED = "ended"
    """The condition is gone."""


def carry_on(
    flags: Iterable[Flag], findings: Iterable[Finding], *, now: datetime
) -> tuple[list[Flag], list[Flag], list[Flag]]:
    """Bring one patient's flags up to date with what the rules find now.

    Parameters
    ----------
    flags : iterable of Flag
        Those that have not ended, and those that ended within `RETURNS_WITHIN`; one per cause.
    findings : iterable of Finding
        What the rules find; of several with one cause the gravest counts.

    Returns
    -------
    new, changed, unchanged : list of Flag
        `changed` holds those found again, those that came back and those that ended now. Evaluating twice is harmless.
    """
    known = {flag.finding.cause_key: flag for flag in flags}
    found = gravest_by_cause(findings)
    new: list[Flag] = []
    changed: list[Flag] = []
    unchanged: list[Flag] = []
    for cause_key, finding in found.items():
        flag = known.get(cause_key)
        if flag is None or (flag.ended_at is not None and now - flag.ended_at > RETURNS_WITHIN):
            new.append(_begin(finding, now))
        else:
            changed.append(_find_again(flag, finding, now))
    for cause_key, flag in known.items():
        if cause_key not in found:
            (unchanged if flag.ended_at else changed).append(flag if flag.ended_at else replace(flag, ended_at=now))
    return new, changed, unchanged


def gravest_by_cause(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return one finding per cause: pain that rises and is high is one flag, the high pain."""
    found: dict[str, Finding] = {}
    for finding in findings:
        other = found.get(finding.cause_key)
        if other is None or (finding.severity, finding.number) > (other.severity, other.number):
            found[finding.cause_key] = finding
    return found


def state_of(flag: Flag, marks: Sequence[Mark]) -> FlagState:
    """Return where a flag stands, from its life and what people did with it, in any order."""
    return FlagState.ENDED if flag.ended_at is not None else standing_state(flag.version, marks)


def standing_state(version: int, marks: Sequence[Mark]) -> FlagState:
    """Return where a flag stands that has not ended.

    The last mark on the newest version counts; marks on earlier versions were made before it became worse.
    """
    current = [mark for mark in marks if mark.flag_version >= version]
    if not current:
        return FlagState.OPEN
    last = max(current, key=lambda mark: mark.at)
    return FlagState.RESOLVED if last.kind is MarkKind.RESOLVED else FlagState.ACKNOWLEDGED


def _begin(finding: Finding, now: datetime) -> Flag:
    """Return a new flag."""
    return Flag(
        finding=finding,
        opened_at=now,
        seen_at=now,
        level_severity=finding.severity,
        level_number=finding.number,
    )


def _find_again(flag: Flag, finding: Finding, now: datetime) -> Flag:
    """Return the flag with what was found now; since when it holds does not move while it stands."""
    since = min(flag.finding.since, finding.since) if flag.ended_at is None else finding.since
    again = replace(flag, finding=replace(finding, since=since), seen_at=now, ended_at=None)
    if not _is_worse(flag, finding):
        return again
    return replace(again, version=flag.version + 1, level_severity=finding.severity, level_number=finding.number)


def _is_worse(flag: Flag, finding: Finding) -> bool:
    """Return whether a finding is worse, by the stated step, than the flag had been when its version last counted."""
    if finding.severity != flag.level_severity:
        return finding.severity > flag.level_severity
    return finding.number >= flag.level_number + WORSE_STEP[finding.rule]
