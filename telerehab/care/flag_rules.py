"""The rules behind the flags: plain values of one patient in, findings out.

Each rule is a sentence that a therapist can check against the raw values that come with the finding. Nothing here is
learned, and nothing stops training: that is `safety.py`. What "beyond measurement error" means for a range of motion
stands in `range_change.py`.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import takewhile
from statistics import mean
from typing import Final

from telerehab.care.flags import EVIDENCE_MAX, Evidence, Finding, Rule
from telerehab.care.range_change import RangeReading, find_range_loss, joint_of

PAIN_LIMIT_DEFAULT: Final = 7
"""On the scale 0-10; a plan may set another."""
PAIN_RISE: Final = 2.0
"""Two points of the numeric rating scale are a clinically important change (Farrar 2001, Pain 94:149)."""
PAIN_DAYS: Final = 3
PAIN_DAYS_HIGH: Final = 2
PAIN_MEANS_OF: Final = (2, 3)
PAIN_DAYS_ABOVE: Final = 2
PAIN_BASELINE_DAYS_MIN: Final = 3
PAIN_BASELINE_DAYS_MAX: Final = 10
PAIN_FRESH: Final = timedelta(days=7)
"""What was reported longer ago says nothing of today."""
MISSED_IN_A_ROW: Final = 3
MISSED_IN_A_ROW_MAX: Final = 5
CHANCE_OF_A_ROW: Final = 0.005
SILENT_FOR: Final = timedelta(hours=48)
SILENT_TRAININGS: Final = 2
"""One training without its sensor is forgetfulness, two in a row are a fault."""
WITHHELD_COUNT: Final = 3
WITHHELD_OF: Final = 4
GOAL_READINGS: Final = 2
"""A goal is met when it was reached twice in a row."""


@dataclass(kw_only=True, frozen=True, slots=True)
class PlannedDay:
    """A day on which the plan asks for training."""

    day: date
    is_done: bool
    is_excused: bool = False
    """Illness, a planned rest, a holiday: neither done nor missed."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Training:
    """A training session that was closed."""

    id: str
    at: datetime
    day: date
    is_score_withheld: bool | None = None
    """None: there was nothing to score, because no sensor was heard or the exercise has none."""


@dataclass(kw_only=True, frozen=True, slots=True)
class PainReport:
    """Pain 0-10 as the patient said."""

    id: str
    day: date
    value: int


@dataclass(kw_only=True, frozen=True, slots=True)
class Sensor:
    """A device that is lent to the patient."""

    name: str
    assigned_at: datetime
    last_heard_at: datetime | None


@dataclass(kw_only=True, frozen=True, slots=True)
class GoalReading:
    """A value of what a goal is measured by."""

    id: str
    day: date
    value: float


@dataclass(kw_only=True, frozen=True, slots=True)
class Goal:
    """A goal with a measure."""

    id: str
    target: float
    unit: str
    is_reached_downwards: bool = False
    """Pain is; a range of motion is not."""
    readings: tuple[GoalReading, ...] = ()


@dataclass(kw_only=True, frozen=True, slots=True)
class PatientFacts:
    """What is known of one patient, the oldest first everywhere; the last five weeks are enough."""

    now: datetime
    today: date
    """The local day of `now`."""
    planned_days: tuple[PlannedDay, ...] = ()
    trainings: tuple[Training, ...] = ()
    ranges: tuple[RangeReading, ...] = ()
    pains: tuple[PainReport, ...] = ()
    pain_limit: int = PAIN_LIMIT_DEFAULT
    sensors: tuple[Sensor, ...] = ()
    goals: tuple[Goal, ...] = ()


def find(facts: PatientFacts, *, standing: AbstractSet[str] = frozenset()) -> list[Finding]:
    """Return everything that the rules find today.

    Parameters
    ----------
    standing : set of str
        Cause keys of flags that have not ended: what stands must fall further before it ends than it had to rise.
    """
    return [
        *find_pain(facts, is_standing="pain" in standing),
        *find_range_losses(facts, standing=standing),
        *find_missed_days(facts),
        *find_silent_devices(facts),
        *find_withheld_scores(facts, is_standing="score_withheld" in standing),
        *find_met_goals(facts),
    ]


def find_pain(facts: PatientFacts, *, is_standing: bool = False) -> list[Finding]:
    """Pain at the limit on 2 of the last 3 days of reports, or the mean of 2 or 3 days 2 points above the own level.

    One report at the limit stops the training and is an alert; a flag is about days: two of them must be at least one
    point above. A standing flag ends when the mean no longer is.
    """
    daily = _worst_of_each_day([report for report in facts.pains if report.day <= facts.today])
    if not daily or facts.today - daily[-1].day > PAIN_FRESH:
        return []
    recent, earlier = daily[-PAIN_DAYS:], daily[:-PAIN_DAYS][-PAIN_BASELINE_DAYS_MAX:]
    high = [report for report in recent if report.value >= facts.pain_limit]
    findings = []
    if len(high) >= PAIN_DAYS_HIGH:
        findings.append(_pain(Rule.PAIN_HIGH, high, [*earlier, *recent], float(facts.pain_limit)))
    for n_recent in PAIN_MEANS_OF:
        recent, earlier = daily[-n_recent:], daily[:-n_recent][-PAIN_BASELINE_DAYS_MAX:]
        if len(earlier) < PAIN_BASELINE_DAYS_MIN:
            continue
        level = mean(report.value for report in earlier)
        above = [report for report in recent if report.value >= level + PAIN_RISE / 2]
        rise = mean(report.value for report in recent) - level
        if rise >= (PAIN_RISE / 2 if is_standing else PAIN_RISE) and len(above) >= PAIN_DAYS_ABOVE:
            findings.append(_pain(Rule.PAIN_RISING, above, [*earlier, *recent], round(level + PAIN_RISE, 1)))
            break
    return findings


def find_range_losses(facts: PatientFacts, *, standing: AbstractSet[str] = frozenset()) -> list[Finding]:
    """Range of motion below the patient's own level by more than the measurement error.

    Looked for in each exercise and side; one joint and side is one cause (`flags.gravest_by_cause`).
    """
    by_exercise: dict[tuple[str, str], list[RangeReading]] = {}
    for reading in facts.ranges:
        by_exercise.setdefault((reading.exercise, reading.side), []).append(reading)
    findings = []
    for (exercise, side), readings in sorted(by_exercise.items()):
        cause_key = f"range:{joint_of(exercise)}:{side}"
        loss = find_range_loss(readings, today=facts.today, is_standing=cause_key in standing)
        if loss is not None:
            findings.append(
                Finding(
                    rule=Rule.RANGE_FALLING,
                    cause_key=cause_key,
                    number=round(loss.loss_deg, 1),
                    unit="deg",
                    threshold=round(loss.threshold_deg, 1),
                    since=loss.since,
                    exercise=exercise,
                    side=side,
                    evidence=tuple(
                        Evidence(
                            source="training_session", id=each.training_session_id, day=each.day, value=each.rom_deg
                        )
                        for each in loss.used[-EVIDENCE_MAX:]
                    ),
                )
            )
    return findings


def find_missed_days(facts: PatientFacts) -> list[Finding]:
    """Planned days in a row without any training, more than this patient misses by habit: at least three.

    Excused days do not count, today is not over, and a training on another day ends the row.
    """
    last_trained = max((training.day for training in facts.trainings), default=date.min)
    over = [each for each in facts.planned_days if each.day < facts.today and not each.is_excused]
    missed = [each for each in takewhile(lambda each: not each.is_done, reversed(over)) if each.day > last_trained][
        ::-1
    ]
    limit = missed_days_limit(over[: len(over) - len(missed)])
    if len(missed) < limit:
        return []
    return [
        Finding(
            rule=Rule.DAYS_MISSED,
            cause_key="days_missed",
            number=float(len(missed)),
            unit="d",
            threshold=float(limit),
            since=missed[0].day,
            evidence=tuple(
                Evidence(source="planned_day", id=each.day.isoformat(), day=each.day, value=0.0)
                for each in missed[-EVIDENCE_MAX:]
            ),
        )
    ]


def missed_days_limit(before: Sequence[PlannedDay]) -> int:
    """Return how many missed days in a row are no longer chance, from the planned days before them.

    With the share of missed days m (one miss in five is assumed beforehand, with the weight of five days) a row of n
    happens by chance with probability m^n; the limit is the first n of at most `CHANCE_OF_A_ROW`, from 3 to 5.

    Examples
    --------
    >>> always = [PlannedDay(day=date(2026, 9, day), is_done=True) for day in range(1, 21)]
    >>> every_third_missed = [PlannedDay(day=date(2026, 9, day), is_done=day % 3 > 0) for day in range(1, 21)]
    >>> missed_days_limit(always), missed_days_limit(every_third_missed)
    (3, 5)
    """
    n_missed = sum(not each.is_done for each in before)
    share = (n_missed + 1) / (len(before) + 5)
    return next(
        (n for n in range(MISSED_IN_A_ROW, MISSED_IN_A_ROW_MAX) if share**n <= CHANCE_OF_A_ROW), MISSED_IN_A_ROW_MAX
    )


def find_silent_devices(facts: PatientFacts) -> list[Finding]:
    """A device unheard for 48 hours although the patient trained twice meanwhile.

    Silence without training is not the device's fault: that is a missed day.
    """
    findings = []
    for sensor in facts.sensors:
        heard_at = sensor.last_heard_at or sensor.assigned_at
        without = [training for training in facts.trainings if training.at > max(heard_at, sensor.assigned_at)]
        silent_for = facts.now - heard_at
        if silent_for >= SILENT_FOR and len(without) >= SILENT_TRAININGS:
            findings.append(
                Finding(
                    rule=Rule.DEVICE_SILENT,
                    cause_key=f"device:{sensor.name}",
                    number=float(silent_for // timedelta(days=1)),
                    unit="d",
                    threshold=SILENT_FOR / timedelta(days=1),
                    since=without[0].day,
                    evidence=tuple(
                        Evidence(source="training_session", id=training.id, day=training.day, value=0.0)
                        for training in without[-EVIDENCE_MAX:]
                    ),
                )
            )
    return findings


def find_withheld_scores(facts: PatientFacts, *, is_standing: bool = False) -> list[Finding]:
    """No score, because the data were bad, in three of the last four training sessions that had something to score."""
    scored = [training for training in facts.trainings if training.is_score_withheld is not None][-WITHHELD_OF:]
    withheld = [training for training in scored if training.is_score_withheld]
    if len(withheld) < (WITHHELD_COUNT - 1 if is_standing else WITHHELD_COUNT):
        return []
    return [
        Finding(
            rule=Rule.SCORE_WITHHELD,
            cause_key="score_withheld",
            number=float(len(withheld)),
            unit="{sessions}",
            threshold=float(WITHHELD_COUNT),
            since=withheld[0].day,
            evidence=tuple(
                Evidence(
                    source="training_session", id=each.id, day=each.day, value=0.0 if each.is_score_withheld else 1.0
                )
                for each in scored
            ),
        )
    ]


def find_met_goals(facts: PatientFacts) -> list[Finding]:
    """A goal whose last two readings both reach the target."""
    findings = []
    for goal in facts.goals:
        last = goal.readings[-GOAL_READINGS:]
        if len(last) == GOAL_READINGS and all(_reaches(reading.value, goal) for reading in last):
            findings.append(
                Finding(
                    rule=Rule.GOAL_MET,
                    cause_key=f"goal:{goal.id}",
                    number=last[-1].value,
                    unit=goal.unit,
                    threshold=goal.target,
                    since=last[0].day,
                    evidence=tuple(
                        Evidence(source="goal", id=reading.id, day=reading.day, value=reading.value)
                        for reading in goal.readings[-EVIDENCE_MAX:]
                    ),
                )
            )
    return findings


def _reaches(value: float, goal: Goal) -> bool:
    return value <= goal.target if goal.is_reached_downwards else value >= goal.target


def _worst_of_each_day(reports: list[PainReport]) -> list[PainReport]:
    """Return the worst report of each day, the oldest day first."""
    by_day: dict[date, PainReport] = {}
    for report in reports:
        other = by_day.get(report.day)
        if other is None or report.value > other.value:
            by_day[report.day] = report
    return [by_day[day] for day in sorted(by_day)]


def _pain(rule: Rule, above: list[PainReport], used: list[PainReport], threshold: float) -> Finding:
    """Return a finding about pain: its number is the worst of the reports that made it."""
    return Finding(
        rule=rule,
        cause_key="pain",
        number=float(max(report.value for report in above)),
        unit="{score}",
        threshold=threshold,
        since=above[0].day,
        evidence=tuple(
            Evidence(source="pain_report", id=report.id, day=report.day, value=float(report.value))
            for report in used[-EVIDENCE_MAX:]
        ),
    )
