"""Goals in the patient's own words."""

from datetime import date, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, status
from pydantic import Field

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseDay, LooseUuid
from telerehab.api.plans import ManyLines
from telerehab.auth.policies import CARE, THERAPIST, declares
from telerehab.care.goals import GoalMeasure, find_measure_faults
from telerehab.care.reading import refuse, write_value
from telerehab.db.repositories.goals import GoalRepository, GoalWish, OpenedGoal

router = APIRouter(prefix="/api", tags=["goals"])


def get_goals(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> GoalRepository:
    """Return the goals that the reader may see."""
    return GoalRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_goals(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> GoalRepository:
    """Return the goals that the reader may see, to write them."""
    return GoalRepository(db, reader=reader, now=now, key_ring=key_ring)


Goals = Annotated[GoalRepository, Depends(get_goals)]
WritableGoals = Annotated[GoalRepository, Depends(get_writable_goals)]


class GoalRead(Answer):
    """A goal. `measure` is null where only the patient can tell whether it is met."""

    id: UUID
    text: str | None
    target_on: date | None
    measure: dict[str, Any] | None
    state: Literal["open", "met", "dropped"]
    state_changed_at: datetime | None
    created_at: datetime
    version: int


class GoalFields(Body):
    """What a page says about a goal."""

    text: ManyLines
    target_on: LooseDay | None = None
    measure: GoalMeasure | None = None
    state: Literal["open", "met", "dropped"] = "open"

    def as_wish(self) -> GoalWish:
        """Return what the goal shall be; raise InvalidContentError."""
        refuse(() if self.measure is None else find_measure_faults(self.measure))
        measure = {} if self.measure is None else write_value(self.measure)
        return GoalWish(text=self.text, target_on=self.target_on, measure=measure, state=self.state)


class NewGoalBody(GoalFields):
    """A new goal, under an id that the page chose."""

    id: LooseUuid


class GoalBody(GoalFields):
    """A goal as it shall be from now on; `version` is the one that was read."""

    version: Annotated[int, Field(ge=1, le=100_000)]


@router.get("/patients/{patient_id}/goals", response_model=list[GoalRead])
@declares(CARE)
def list_goals(patient_id: UUID, goals: Goals) -> object:
    """List a patient's goals."""
    return [_read(goal) for goal in goals.list(patient_id)]


@router.post("/patients/{patient_id}/goals", response_model=GoalRead, status_code=status.HTTP_201_CREATED)
@declares(THERAPIST)
def write_goal(patient_id: UUID, body: NewGoalBody, goals: WritableGoals) -> object:
    """Write a goal down."""
    return _read(goals.add(patient_id, body.id, body.as_wish()))


@router.put("/goals/{goal_id}", response_model=GoalRead)
@declares(THERAPIST)
def change_goal(goal_id: UUID, body: GoalBody, goals: WritableGoals) -> object:
    """Change a goal, or say that it is met or dropped; a conflict (`goal_moved`) when somebody was quicker."""
    return _read(goals.change(goal_id, body.as_wish(), based_on=body.version))


def _read(goal: OpenedGoal) -> GoalRead:
    row = goal.row
    return GoalRead.model_validate(
        {
            "id": row.id,
            "text": goal.text,
            "target_on": row.target_on,
            "measure": row.measure or None,
            "state": row.state,
            "state_changed_at": row.state_changed_at,
            "created_at": row.created_at,
            "version": row.version,
        }
    )
