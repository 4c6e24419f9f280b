"""Plans: versions, differences, templates, and what is to be trained today."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Path, Query, status
from pydantic import Field, StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.exercises import ExerciseRead, read_exercise
from telerehab.api.models import Answer, Body
from telerehab.auth.policies import CARE, STAFF, TABLET, THERAPIST, declares
from telerehab.care.figures import mirrored
from telerehab.care.plans import BandColour, PlanContent, PlanItem, PlanSide, Tempo, find_plan_faults, short_hash
from telerehab.care.reading import Words, refuse
from telerehab.care.safety import Limits
from telerehab.care.templates import TEMPLATE_CODES, fill_template, find_template
from telerehab.db.repositories.plans import NewVersion, PlanRepository, Today, TodaysItem, WrittenPlan

router = APIRouter(prefix="/api", tags=["plans"])

VersionNumber = Annotated[int, Path(ge=1, le=100_000)]
ManyLines = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")
]


def get_plans(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> PlanRepository:
    """Return the plans that the reader may see."""
    return PlanRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_plans(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> PlanRepository:
    """Return the plans that the reader may see, to write the next version."""
    return PlanRepository(db, reader=reader, now=now, key_ring=key_ring)


Plans = Annotated[PlanRepository, Depends(get_plans)]
WritablePlans = Annotated[PlanRepository, Depends(get_writable_plans)]


class AuthorRead(Answer):
    """Who wrote a version."""

    account_id: UUID
    display_name: str


class PlanVersionRead(Answer):
    """One version; two people who see the same `short_hash` see the same plan."""

    id: UUID
    number: int
    content: PlanContent
    hash: str
    short_hash: str
    author: AuthorRead
    reason: str
    template: str | None
    created_at: datetime
    is_in_force: bool


class ChangeRead(Answer):
    """One difference between two versions; see `telerehab.care.plans.Change`."""

    kind: Literal["added", "removed", "changed", "reordered"]
    of: Literal["item", "limits", "plan"]
    exercise: str | None
    local_exercise_id: UUID | None
    side: str | None
    field: str | None
    before: Any
    after: Any


class ChangesRead(Answer):
    """What differs between two versions."""

    from_number: int
    to_number: int
    changes: list[ChangeRead]


class NewVersionBody(Body):
    """The next version of a plan, made from version `based_on` (0: there is none yet)."""

    based_on: Annotated[int, Field(ge=0, le=100_000)]
    content: PlanContent
    reason: ManyLines
    template: Literal["knee", "hip", "shoulder"] | None = None


class TemplateRead(Answer):
    """A template, turned to one side. Without `is_reviewed` pages show the text `library.not_reviewed`."""

    code: str
    version: int
    title: Words
    is_reviewed: bool
    items: tuple[PlanItem, ...]
    limits: Limits


class TodaysItemRead(ExerciseRead):
    """One exercise of today; the figure is drawn for the item's side."""

    index: int
    side: PlanSide
    sets: int
    repetitions: int
    tempo: Tempo | None
    target_low_deg: float | None
    target_high_deg: float | None
    load_kg: float | None
    band: BandColour | None
    done_set_count: int
    """Sets that were done today."""


class TodaysPlanRead(Answer):
    """The plan in force. `items` are those of today; `other_items` are those of other days."""

    id: UUID
    number: int
    hash: str
    short_hash: str
    limits: Limits
    items: list[TodaysItemRead]
    other_items: list[TodaysItemRead]


class PauseRead(Answer):
    """Why nobody expects training today; `ends_on` is the last such day."""

    kind: str
    starts_on: date
    ends_on: date | None


class TodayRead(Answer):
    """What is to be trained on the local day."""

    date: date
    plan: TodaysPlanRead | None
    is_training_day: bool
    """Whether the plan asks for something today and no pause covers the day."""
    pause: PauseRead | None


@router.get("/plan-templates", response_model=list[TemplateRead])
@declares(STAFF)
def list_templates(now: Now, side: Annotated[Literal["left", "right"], Query()] = "right") -> object:
    """List the templates for one side of the body."""
    return [_read_template(code, side, now.date()) for code in TEMPLATE_CODES]


@router.get("/patients/{patient_id}/plan", response_model=PlanVersionRead | None)
@declares(CARE)
def get_plan(patient_id: UUID, plans: Plans) -> object:
    """Show the newest version of a plan; null where nothing was ever prescribed."""
    head = plans.head(patient_id)
    return None if head is None else _read_version(head)


@router.get("/patients/{patient_id}/plan-versions", response_model=list[PlanVersionRead])
@declares(CARE)
def list_plan_versions(patient_id: UUID, plans: Plans) -> object:
    """List the versions of a plan, the newest first."""
    return [_read_version(version) for version in plans.list(patient_id)]


@router.get("/patients/{patient_id}/plan-versions/{number}/diff", response_model=ChangesRead)
@declares(CARE)
def show_changes(
    patient_id: UUID,
    number: VersionNumber,
    plans: Plans,
    to: Annotated[int | None, Query(ge=1, le=100_000)] = None,
) -> object:
    """Show what differs between a version and another one, or the newest."""
    to_number, changes = plans.find_changes(patient_id, number, to)
    told = [ChangeRead(**asdict(change)) for change in changes]
    return ChangesRead(from_number=number, to_number=to_number, changes=told)


@router.post(
    "/patients/{patient_id}/plan-versions", response_model=PlanVersionRead, status_code=status.HTTP_201_CREATED
)
@declares(THERAPIST)
def write_plan_version(patient_id: UUID, body: NewVersionBody, plans: WritablePlans) -> object:
    """Write the next version of a plan; a conflict (`plan_moved`) when somebody was quicker."""
    refuse([*find_plan_faults(body.content)])
    wish = NewVersion(based_on=body.based_on, content=body.content, reason=body.reason, template=body.template)
    return _read_version(plans.add(patient_id, wish))


@router.get("/my/today", response_model=TodayRead)
@declares(TABLET)
def show_my_today(reader: CurrentReader, plans: Plans) -> object:
    """Show the tablet what its patient is to train today."""
    assert reader.patient_id is not None
    return _read_today(plans.today(reader.patient_id))


@router.get("/patients/{patient_id}/today", response_model=TodayRead)
@declares(CARE)
def show_today(patient_id: UUID, plans: Plans) -> object:
    """Show what a patient is to train today."""
    return _read_today(plans.today(patient_id))


def _read_version(written: WrittenPlan) -> PlanVersionRead:
    version = written.version
    return PlanVersionRead(
        id=written.id,
        number=version.number,
        content=version.content,
        hash=version.content_hash,
        short_hash=short_hash(version.content_hash),
        author=AuthorRead(account_id=version.author_account_id, display_name=written.author),
        reason=version.reason,
        template=written.template,
        created_at=version.written_at,
        is_in_force=written.is_in_force,
    )


def _read_template(code: str, side: Literal["left", "right"], day: date) -> TemplateRead:
    template = find_template(code)
    content = fill_template(template, side=side, valid_from=day)
    return TemplateRead(
        code=template.code,
        version=template.version,
        title=template.title,
        is_reviewed=template.is_clinically_reviewed,
        items=content.items,
        limits=content.limits,
    )


def _read_today(today: Today) -> TodayRead:
    plan = today.plan
    items = [_read_item(one) for one in today.items if one.is_today]
    return TodayRead(
        date=today.day,
        plan=None
        if plan is None
        else TodaysPlanRead(
            id=plan.id,
            number=plan.version.number,
            hash=plan.version.content_hash,
            short_hash=short_hash(plan.version.content_hash),
            limits=plan.version.content.limits,
            items=items,
            other_items=[_read_item(one) for one in today.items if not one.is_today],
        ),
        is_training_day=bool(items) and today.pause is None,
        pause=None if today.pause is None else PauseRead.model_validate(today.pause),
    )


def _read_item(one: TodaysItem) -> TodaysItemRead:
    exercise = read_exercise(one.exercise)
    if exercise.figure is not None and one.item.side == "left":
        exercise = exercise.model_copy(update={"figure": mirrored(exercise.figure)})
    item = one.item
    return TodaysItemRead(
        **dict(exercise),
        index=one.index,
        side=item.side,
        sets=item.sets,
        repetitions=item.repetitions,
        tempo=item.tempo,
        target_low_deg=item.target_low_deg,
        target_high_deg=item.target_high_deg,
        load_kg=item.load_kg,
        band=item.band,
        done_set_count=one.done_set_count,
    )
