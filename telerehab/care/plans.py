"""Plans: what a patient is asked to train, in immutable versions.

A version is never changed; the next one is made from the head with an author and a reason (`make_next_version`). On a
day the version with the highest number holds of those whose `valid_from` has come (`find_in_force`). Its hash covers
content, version number and first day, so two people who compare the short form on two screens know that they look at
the same plan.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Final, Literal
from uuid import UUID

from pydantic import BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from analytics.exercises import EXERCISES
from telerehab.care.library import ExerciseCode, ExerciseVersion
from telerehab.care.reading import (
    KNOWN_FIELDS_ONLY,
    Day,
    Fault,
    Number,
    Whole,
    read_value,
    refuse,
    write_value,
)
from telerehab.care.safety import Limits, LimitsError, find_faults, read_limits, write_limits

SHORT_HASH_CHARACTERS: Final = 8
PlanSide = Literal["left", "right", "both"]
BandColour = Literal["yellow", "red", "green", "blue", "black", "silver"]
"""From light to heavy; what a colour means in newtons differs between makers. Each has a text `band.<colour>`."""
Weekday = Annotated[Whole, Field(ge=1, le=7)]
PhaseSeconds = Annotated[Number, Field(ge=0, le=60)]
AngleDeg = Annotated[Number, Field(ge=-180, le=180)]


def _as_limits(said: object) -> object:
    """Read limits by their own rules; which field is wrong `find_faults` tells."""
    if not isinstance(said, dict):
        return said
    try:
        return read_limits(said)
    except LimitsError as error:
        raise PydanticCustomError("limits", "limits out of their rules") from error


@dataclass(frozen=True, kw_only=True, slots=True)
class Tempo:
    """How long the phases of one repetition should take. [s]"""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    up_s: PhaseSeconds
    hold_s: PhaseSeconds
    down_s: PhaseSeconds


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanItem:
    """One exercise of a plan."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    exercise: ExerciseCode
    exercise_version: ExerciseVersion
    """Of the local exercise where one is named, else of the shared one."""
    local_exercise_id: UUID | None = None
    side: PlanSide
    sets: Annotated[Whole, Field(ge=1, le=10)]
    repetitions: Annotated[Whole, Field(ge=1, le=100)]
    tempo: Tempo | None = None
    target_low_deg: AngleDeg | None = None
    target_high_deg: AngleDeg | None = None
    load_kg: Annotated[Number, Field(gt=0, le=200)] | None = None
    band: BandColour | None = None
    weekdays: Annotated[tuple[Weekday, ...], Field(min_length=1, max_length=7)]
    """ISO: 1 is Monday."""

    @property
    def key(self) -> "ItemKey":
        """Return what tells this item from the others of its plan."""
        return ItemKey(exercise=self.exercise, local_exercise_id=self.local_exercise_id, side=self.side)


@dataclass(frozen=True, kw_only=True, slots=True)
class ItemKey:
    """One exercise and side: stands once in a plan."""

    exercise: str
    local_exercise_id: UUID | None
    side: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanContent:
    """What one version of a plan says."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    items: Annotated[tuple[PlanItem, ...], Field(min_length=1, max_length=30)]
    limits: Annotated[Limits, BeforeValidator(_as_limits)]
    valid_from: Day

    def items_on(self, day: date) -> tuple[PlanItem, ...]:
        """Return what is planned on the weekday of a day, in the order of the plan."""
        return tuple(item for item in self.items if day.isoweekday() in item.weekdays)


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanVersion:
    """One version of a patient's plan: who wrote it, when and why."""

    number: int
    content: PlanContent
    author_account_id: UUID
    reason: str
    written_at: datetime

    @property
    def content_hash(self) -> str:
        """Return the hash of this version."""
        return content_hash(self.content, number=self.number)


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One difference between two versions, from which a page makes a sentence.

    `kind` is `added`, `removed`, `changed` or `reordered`; `of` is `item`, `limits` or `plan`. `field` is None where a
    whole item came or went; `before` and `after` are JSON values.
    """

    kind: Literal["added", "removed", "changed", "reordered"]
    of: Literal["item", "limits", "plan"]
    exercise: str | None = None
    local_exercise_id: UUID | None = None
    side: str | None = None
    field: str | None = None
    before: Any = None
    after: Any = None


def read_plan_content(said: object) -> PlanContent:
    """Return plan content from JSON data; raise InvalidContentError with all faults where there are any."""
    limits = said.get("limits") if isinstance(said, dict) else None
    if isinstance(limits, dict):
        refuse([Fault(at=f"limits.{fault.field}", code=fault.code) for fault in find_faults(limits)])
    content = read_value(PlanContent, said)
    refuse([*find_plan_faults(content)])
    return content


def find_plan_faults(content: PlanContent) -> Iterator[Fault]:
    """Yield what makes no sense in a plan, apart from exercises that only the database knows."""
    seen: set[ItemKey] = set()
    for index, item in enumerate(content.items):
        at = f"items.{index}"
        if item.exercise not in EXERCISES:
            yield Fault(at=f"{at}.exercise", code="exercise_unknown")
        if item.key in seen:
            yield Fault(at=at, code="twice")
        overlapping = ("left", "right") if item.side == "both" else ("both",)
        if any(replace(item.key, side=side) in seen for side in overlapping):
            yield Fault(at=f"{at}.side", code="side_overlaps")
        seen.add(item.key)
        if any(later <= earlier for earlier, later in pairwise(item.weekdays)):
            yield Fault(at=f"{at}.weekdays", code="not_rising")
        yield from _target_faults(item, at=at)
    yield from (
        Fault(at=f"limits.{fault.field}", code=fault.code) for fault in find_faults(write_limits(content.limits))
    )


def canonical_json(content: PlanContent) -> str:
    """Return the content as JSON that is the same text for equal content."""
    return json.dumps(write_value(content), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(content: PlanContent, *, number: int) -> str:
    """Return the SHA-256 of content, version number and first day, as 64 hexadecimal digits."""
    return hashlib.sha256(f"telerehab-plan-1\n{number}\n{canonical_json(content)}".encode()).hexdigest()


def short_hash(full_hash: str) -> str:
    """Return the part of a hash that people compare.

    Examples
    --------
    >>> short_hash("0123456789abcdef")
    '01234567'
    """
    return full_hash[:SHORT_HASH_CHARACTERS]


def make_next_version(
    head: PlanVersion | None,
    content: PlanContent,
    *,
    author_account_id: UUID,
    reason: str,
    written_at: datetime,
    today: date,
) -> PlanVersion:
    """Return the version after the head (None: the first); raise InvalidContentError.

    A version cannot begin before the day on which it is written: what a patient was asked to do is never rewritten.
    """
    faults = [*find_plan_faults(content)]
    if not reason.strip():
        faults.append(Fault(at="reason", code="missing"))
    if content.valid_from < today:
        faults.append(Fault(at="valid_from", code="in_the_past"))
    if head is not None and not find_changes(head.content, content):
        faults.append(Fault(at="items", code="nothing_changed"))
    refuse(faults)
    return PlanVersion(
        number=1 if head is None else head.number + 1,
        content=content,
        author_account_id=author_account_id,
        reason=reason,
        written_at=written_at,
    )


def find_in_force(versions: Sequence[PlanVersion], day: date) -> PlanVersion | None:
    """Return the version that holds on a day: the highest number of those that have begun; None before the first."""
    begun = [version for version in versions if version.content.valid_from <= day]
    return max(begun, key=lambda version: version.number, default=None)


def find_changes(old: PlanContent, new: PlanContent) -> tuple[Change, ...]:
    """Return every difference, items first in the order of the new plan; empty exactly when the contents are equal."""
    pairs = _match_items(old, new)
    changes = [_of_item("removed", item, before=write_value(item)) for item, after in pairs if item and after is None]
    for before, after in pairs:
        if before is None and after is not None:
            changes.append(_of_item("added", after, after=write_value(after)))
        elif before is not None and after is not None:
            changes.extend(_item_changes(before, after))
    kept = [(before, after) for before, after in pairs if before is not None and after is not None]
    places = [old.items.index(before) for before, _ in kept]
    if places != sorted(places):
        changes.append(Change(kind="reordered", of="plan", field="items"))
    changes.extend(
        _changed_fields(write_limits(old.limits), write_limits(new.limits), lambda **told: Change(of="limits", **told))
    )
    if old.valid_from != new.valid_from:
        before_day, after_day = old.valid_from.isoformat(), new.valid_from.isoformat()
        changes.append(Change(kind="changed", of="plan", field="valid_from", before=before_day, after=after_day))
    return tuple(changes)


def _target_faults(item: PlanItem, *, at: str) -> Iterator[Fault]:
    if (item.target_low_deg is None) != (item.target_high_deg is None):
        yield Fault(at=f"{at}.target_low_deg", code="half_a_target")
    elif item.target_low_deg is not None and item.target_high_deg is not None:
        if item.target_low_deg >= item.target_high_deg:
            yield Fault(at=f"{at}.target_low_deg", code="crossed")
        if item.exercise in EXERCISES and not EXERCISES[item.exercise].is_measurable:
            yield Fault(at=f"{at}.target_low_deg", code="not_measurable")


def _match_items(old: PlanContent, new: PlanContent) -> list[tuple[PlanItem | None, PlanItem | None]]:
    """Pair items by exercise and side; where one of an exercise is left over on both sides, its side has changed."""
    olds = {item.key: item for item in old.items}
    new_keys = {item.key for item in new.items}
    left_over = [item for item in old.items if item.key not in new_keys]
    pairs: list[tuple[PlanItem | None, PlanItem | None]] = []
    for item in new.items:
        before = olds.get(item.key)
        if before is None:
            same = [one for one in left_over if _same_exercise(one, item)]
            before = same[0] if same else None
            left_over = [one for one in left_over if one is not before]
        pairs.append((before, item))
    return pairs + [(item, None) for item in left_over]


def _same_exercise(one: PlanItem, other: PlanItem) -> bool:
    return (one.exercise, one.local_exercise_id) == (other.exercise, other.local_exercise_id)


def _item_changes(before: PlanItem, after: PlanItem) -> Iterator[Change]:
    old, new = write_value(before), write_value(after)
    for field in fields(PlanItem):
        if old[field.name] != new[field.name]:
            yield _of_item("changed", after, field=field.name, before=old[field.name], after=new[field.name])


def _of_item(kind: Literal["added", "removed", "changed"], item: PlanItem, **told: Any) -> Change:
    return Change(
        kind=kind,
        of="item",
        exercise=item.exercise,
        local_exercise_id=item.local_exercise_id,
        side=item.side,
        **told,
    )


def _changed_fields(old: dict[str, Any], new: dict[str, Any], make: Callable[..., Change]) -> Iterator[Change]:
    for name, value in old.items():
        if value != new[name]:
            yield make(kind="changed", field=name, before=value, after=new[name])
