"""What came of a training session: each set with its repetitions, what they amount to, and what a therapist corrects.

Three things are told apart everywhere: measured by sensors, counted by hand on the tablet, and not known. Not known is
None and never 0. What a therapist corrects stands beside the original, which stays as it is; a correction that was
taken back stands there too and counts nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import fmean, median
from typing import Any, Final, Literal
from uuid import UUID

from analytics.exercises import EXERCISES
from telerehab.care.plans import PlanContent
from telerehab.care.range_change import TRUST_MIN

COMPLETENESS_MARKED_BELOW: Final = 0.9
CorrectionKind = Literal["repetition_count", "not_valid", "note"]
CountedBy = Literal["sensors", "tablet", "therapist"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RepetitionDone:
    """One repetition as the sensors showed it."""

    index: int
    set_id: UUID | None
    start_us: int
    stop_us: int
    rom_deg: float
    peak_angle_deg: float | None
    trust: float
    completeness: float | None
    reason: int

    @property
    def is_measured(self) -> bool:
        """Return whether its angles can be relied on; where not it is counted, and its range of motion goes nowhere."""
        return self.trust >= TRUST_MIN


@dataclass(frozen=True, kw_only=True, slots=True)
class SetTrained:
    """One set as it was started and ended; `id` None stands for a training session without sets."""

    id: UUID | None
    number: int
    plan_item: int | None
    set_number: int | None
    exercise: str
    side: str
    target_low_deg: float | None
    target_high_deg: float | None
    target_repetitions: int | None
    started_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    counted_repetitions: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CorrectionMade:
    """What a therapist says a set, or the whole training session, really was."""

    id: UUID
    set_id: UUID | None
    kind: CorrectionKind
    count: int | None
    at: datetime
    is_withdrawn: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SetResult:
    """One set and what came of it.

    `counted` is what holds: the therapist's count, else the sensors', else the tablet's; None where nobody counted.
    `original_count` is the same without corrections. `rom_median_deg`, `trust` and `completeness` are of the measured
    repetitions. `in_target_count` is None where nothing was measured; without a target the exercise's own holds.
    """

    trained: SetTrained
    repetitions: tuple[RepetitionDone, ...]
    counted: int | None
    counted_by: CountedBy | None
    original_count: int | None
    rom_median_deg: float | None
    in_target_count: int | None
    trust: float | None
    completeness: float | None
    is_valid: bool

    @property
    def is_incomplete(self) -> bool:
        """Return whether so much of the data is missing that the figures are marked."""
        return self.completeness is not None and self.completeness < COMPLETENESS_MARKED_BELOW


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanShare:
    """How much of what the plan asked for on that day was done in one training session."""

    plan_number: int
    prescribed_set_count: int
    done_set_count: int

    @property
    def share(self) -> float | None:
        """Return the done share, None where nothing was prescribed for the day."""
        return self.done_set_count / self.prescribed_set_count if self.prescribed_set_count else None


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingResult:
    """All sets of a training session, and the repetitions that started in none."""

    sets: tuple[SetResult, ...]
    outside: tuple[RepetitionDone, ...]


def find_results(
    sets: Sequence[SetTrained], repetitions: Iterable[RepetitionDone], corrections: Iterable[CorrectionMade]
) -> TrainingResult:
    """Return what came of a training session; corrections of a set that is not there change nothing."""
    by_set: dict[UUID | None, list[RepetitionDone]] = {}
    known = {each.id for each in sets}
    for repetition in sorted(repetitions, key=lambda each: each.index):
        by_set.setdefault(repetition.set_id if repetition.set_id in known else None, []).append(repetition)
    in_force = [each for each in corrections if not each.is_withdrawn]
    is_void = any(each.kind == "not_valid" and each.set_id is None for each in in_force)
    results = tuple(
        find_set_result(
            each,
            by_set.get(each.id, []),
            [correction for correction in in_force if correction.set_id == each.id],
            is_void=is_void,
        )
        for each in sets
    )
    return TrainingResult(sets=results, outside=() if None in known else tuple(by_set.get(None, ())))


def find_set_result(
    trained: SetTrained,
    repetitions: Sequence[RepetitionDone],
    corrections: Sequence[CorrectionMade],
    *,
    is_void: bool = False,
) -> SetResult:
    """Return what came of one set; `corrections` are those of this set that have not been taken back."""
    measured = [each for each in repetitions if each.is_measured]
    completeness = [each.completeness for each in repetitions if each.completeness is not None]
    original, counted_by = _count(trained, repetitions)
    counts = [each for each in corrections if each.kind == "repetition_count" and each.count is not None]
    corrected = max(counts, key=lambda each: each.at).count if counts else None
    return SetResult(
        trained=trained,
        repetitions=tuple(repetitions),
        counted=original if corrected is None else corrected,
        counted_by=counted_by if corrected is None else "therapist",
        original_count=original,
        rom_median_deg=median(each.rom_deg for each in measured) if measured else None,
        in_target_count=_count_in_target(trained, measured),
        trust=fmean(each.trust for each in repetitions) if repetitions else None,
        completeness=fmean(completeness) if completeness else None,
        is_valid=not is_void and all(each.kind != "not_valid" for each in corrections),
    )


def find_plan_share(content: PlanContent, *, number: int, isoweekday: int, results: Sequence[SetResult]) -> PlanShare:
    """Return how much of the day's plan was done, by the version that was in force when the training was opened.

    A set counts once it has ended and is valid. More sets of one item do not make up for another's.
    """
    done: dict[int, int] = {}
    for result in results:
        if result.trained.plan_item is not None and result.trained.ended_at is not None and result.is_valid:
            done[result.trained.plan_item] = done.get(result.trained.plan_item, 0) + 1
    planned = {place: item.sets for place, item in enumerate(content.items) if isoweekday in item.weekdays}
    return PlanShare(
        plan_number=number,
        prescribed_set_count=sum(planned.values()),
        done_set_count=sum(min(done.get(place, 0), sets) for place, sets in planned.items()),
    )


def original_of(result: SetResult, kind: CorrectionKind) -> Mapping[str, Any]:
    """Return what a correction is about to change, to be kept beside it."""
    if kind == "repetition_count":
        return {"repetitions": result.original_count, "counted_by": result.counted_by}
    return {"is_valid": result.is_valid} if kind == "not_valid" else {}


def _count(trained: SetTrained, repetitions: Sequence[RepetitionDone]) -> tuple[int | None, CountedBy | None]:
    """Return how many repetitions there were and who counted: sensors where they saw any, else the tablet."""
    if repetitions:
        return len(repetitions), "sensors"
    if trained.counted_repetitions is not None:
        return trained.counted_repetitions, "tablet"
    return None, None


def _count_in_target(trained: SetTrained, measured: Sequence[RepetitionDone]) -> int | None:
    """Return how many repetitions had their largest angle within the target."""
    exercise = EXERCISES.get(trained.exercise)
    low, high = trained.target_low_deg, trained.target_high_deg
    if (low is None or high is None) and exercise is not None:
        low, high = exercise.target_deg
    peaks = [each.peak_angle_deg for each in measured if each.peak_angle_deg is not None]
    if low is None or high is None or not peaks:
        return None
    return sum(low <= peak <= high for peak in peaks)
