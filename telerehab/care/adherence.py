"""Adherence: what was planned on each day, and what came of it.

A day's status depends on that day alone: the plan version in force, the pauses that cover it, the training done on it,
and today. So it is the same in every window in which the day is looked at. What was retracted counts nowhere.

"Not measured" differs from nothing done: training whose sets no sensor counted is `unmeasured`, not `missed`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, Literal

from telerehab.care.plans import PlanVersion, find_in_force

COMPLETE_MIN: Final = 0.9
"""A day counts as done from this share of its prescribed sets on; below it is marked."""
WINDOW_MAX_DAYS: Final = 400
PauseKind = Literal["planned_rest", "illness", "holiday"]


class DayStatus(StrEnum):
    """What a day was. Each has a text `adherence.<value>`."""

    REST = "rest"
    """Nothing was planned and nothing was done."""
    EXTRA = "extra"
    """Nothing was planned, and the patient trained."""
    DONE = "done"
    PARTLY = "partly"
    UNMEASURED = "unmeasured"
    """The patient trained, and nobody counted the sets."""
    MISSED = "missed"
    EXCUSED = "excused"
    """Training was planned, and a pause covers the day."""
    OPEN = "open"
    """Today, planned and not done yet: not known."""
    AHEAD = "ahead"
    """Planned on a day to come."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause:
    """Days on which nobody expects training, half-open `[first_day, stop_day)`; no stop day: until further notice."""

    kind: PauseKind
    first_day: date
    stop_day: date | None

    def covers(self, day: date) -> bool:
        """Return whether the pause covers a day."""
        return self.first_day <= day and (self.stop_day is None or day < self.stop_day)


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingDone:
    """One exercise trained on one day; `set_count` is None where nobody counted."""

    day: date
    exercise: str
    side: str
    set_count: int | None
    is_retracted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class DayAdherence:
    """One day.

    `done_set_count` is None where nobody counted. `completeness` is done sets over prescribed sets, at most 1; None
    where nothing was counted, where a pause covers the day, and as long as the day is not over and not done.
    """

    day: date
    status: DayStatus
    plan_number: int | None
    prescribed_set_count: int
    done_set_count: int | None
    completeness: float | None
    pause: PauseKind | None

    @property
    def is_incomplete(self) -> bool:
        """Whether completeness is known and below `COMPLETE_MIN`."""
        return self.completeness is not None and self.completeness < COMPLETE_MIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Adherence:
    """The days of a window, and what they come to.

    `completeness` is that of the days together that have one; None without any.
    `missed_run` is the number of missed days since the patient last trained, within the window.
    """

    days: tuple[DayAdherence, ...]
    counts: dict[DayStatus, int]
    completeness: float | None
    missed_run: int

    @property
    def is_incomplete(self) -> bool:
        """Whether completeness is known and below `COMPLETE_MIN`."""
        return self.completeness is not None and self.completeness < COMPLETE_MIN


def find_adherence(
    versions: Sequence[PlanVersion],
    done: Iterable[TrainingDone],
    pauses: Sequence[Pause],
    *,
    first_day: date,
    stop_day: date,
    today: date,
) -> Adherence:
    """Return the adherence of the days `[first_day, stop_day)`, at most `WINDOW_MAX_DAYS`."""
    n_days = max(0, min((stop_day - first_day).days, WINDOW_MAX_DAYS))
    trained: dict[date, list[TrainingDone]] = {}
    for training in done:
        trained.setdefault(training.day, []).append(training)
    days = tuple(
        judge_day(day, versions=versions, done=trained.get(day, ()), pauses=pauses, today=today)
        for day in (first_day + timedelta(days=i) for i in range(n_days))
    )
    judged = [day for day in days if day.completeness is not None]
    prescribed = sum(day.prescribed_set_count for day in judged)
    return Adherence(
        days=days,
        counts=dict(Counter(day.status for day in days)),
        completeness=sum(day.done_set_count or 0 for day in judged) / prescribed if prescribed else None,
        missed_run=_missed_run(days),
    )


def judge_day(
    day: date,
    *,
    versions: Sequence[PlanVersion],
    done: Sequence[TrainingDone],
    pauses: Sequence[Pause],
    today: date,
) -> DayAdherence:
    """Return what one day was; `done` holds the training of this day only."""
    version = find_in_force(versions, day)
    prescribed: Counter[tuple[str, str]] = Counter()
    for item in version.content.items_on(day) if version else ():
        prescribed[item.exercise, item.side] += item.sets
    planned = prescribed.total()
    pause = next((pause.kind for pause in pauses if pause.covers(day)), None)
    done = [training for training in done if not training.is_retracted]
    done_set_count = _count_sets(prescribed, done)
    status = _status(
        planned=planned,
        done_set_count=done_set_count,
        has_trained=bool(done),
        is_paused=pause is not None,
        days_ahead=(day - today).days,
    )
    is_final = status is DayStatus.DONE or (status in {DayStatus.PARTLY, DayStatus.MISSED} and day < today)
    is_judged = is_final and pause is None
    return DayAdherence(
        day=day,
        status=status,
        plan_number=version.number if version else None,
        prescribed_set_count=planned,
        done_set_count=done_set_count,
        completeness=done_set_count / planned if is_judged and done_set_count is not None else None,
        pause=pause,
    )


_TRAINED: Final = frozenset({DayStatus.DONE, DayStatus.PARTLY, DayStatus.UNMEASURED, DayStatus.EXTRA})


def _count_sets(prescribed: Mapping[tuple[str, str], int], done: Sequence[TrainingDone]) -> int | None:
    """Return the prescribed sets that were done; None where some training was not counted.

    More sets of one exercise do not make up for another. A local exercise counts by its code; training of both sides
    counts for either, and that of one side for an exercise of both.
    """
    if any(training.set_count is None for training in done):
        return None
    reached: Counter[tuple[str, str]] = Counter()
    for training in done:
        reached[training.exercise, training.side] += training.set_count or 0
    total = 0
    for (exercise, side), set_count in prescribed.items():
        one_sided = (
            max(reached[exercise, "left"], reached[exercise, "right"]) if side == "both" else reached[exercise, side]
        )
        total += min(one_sided + reached[exercise, "both"], set_count)
    return total


def _status(
    *, planned: int, done_set_count: int | None, has_trained: bool, is_paused: bool, days_ahead: int
) -> DayStatus:
    if not planned:
        return DayStatus.EXTRA if has_trained else DayStatus.REST
    if has_trained and done_set_count is None:
        return DayStatus.UNMEASURED
    if done_set_count:
        return DayStatus.DONE if done_set_count >= COMPLETE_MIN * planned else DayStatus.PARTLY
    if is_paused:
        return DayStatus.EXCUSED
    if days_ahead > 0:
        return DayStatus.AHEAD
    return DayStatus.OPEN if days_ahead == 0 else DayStatus.MISSED


def _missed_run(days: Sequence[DayAdherence]) -> int:
    """Return how many days were missed since the last training; rest, pauses and today neither count nor end a run."""
    run = 0
    for day in reversed(days):
        if day.status in _TRAINED:
            break
        run += day.status is DayStatus.MISSED
    return run
