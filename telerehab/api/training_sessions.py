"""Training sessions and their sets."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import AfterValidator, Field, model_validator

from analytics.exercises import EXERCISES
from telerehab.api.dependencies import (
    CurrentReader,
    Keys,
    Now,
    TrainingSessions,
    WritableTrainingSessions,
    WritingDb,
)
from telerehab.api.models import (
    AngleDeg,
    Answer,
    Body,
    LooseDay,
    LooseMoment,
    LooseUuid,
    RepetitionRead,
    TrainingSessionRead,
)
from telerehab.auth.access import Scope
from telerehab.auth.policies import CARE, declares
from telerehab.db.repositories.training_sessions import TrainingSessionWish
from telerehab.db.repositories.training_sets import SetWish, TrainingSetRepository

router = APIRouter(prefix="/api", tags=["training sessions"])


def get_writable_training_sets(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> TrainingSetRepository:
    """Return the sets of the training sessions that the reader may train in."""
    return TrainingSetRepository(db, reader=reader, now=now, key_ring=key_ring)


WritableTrainingSets = Annotated[TrainingSetRepository, Depends(get_writable_training_sets)]


def _known_exercise(code: str) -> str:
    """Return the code of an exercise that analysis knows."""
    if code not in EXERCISES:
        raise ValueError("unknown exercise")
    return code


class _ExerciseBody(Body):
    """What is trained, and to what target."""

    exercise: Annotated[str, AfterValidator(_known_exercise)]
    side: Literal["left", "right", "both"]
    target_low_deg: AngleDeg | None = None
    target_high_deg: AngleDeg | None = None
    target_repetitions: Annotated[int, Field(ge=1, le=1_000)] | None = None

    @model_validator(mode="after")
    def _has_a_whole_target(self) -> Self:
        """Refuse half a target, and one whose ends are swapped."""
        low, high = self.target_low_deg, self.target_high_deg
        if (low is None) != (high is None) or (low is not None and high is not None and low >= high):
            raise ValueError("a target has a lower and a higher end")
        return self


class TrainingSessionBody(_ExerciseBody):
    """What a training session shall be."""

    patient_id: LooseUuid
    live_session_id: LooseUuid | None = None
    plan_version_id: LooseUuid | None = None


class SetBody(_ExerciseBody):
    """What a set shall be; `at` where it began before it could be told."""

    plan_item: Annotated[int, Field(ge=0, lt=30)] | None = None
    set_number: Annotated[int, Field(ge=1, le=100)] | None = None
    at: LooseMoment | None = None


class SetEndBody(Body):
    """How a set ended; `counted_repetitions` where the tablet counted and no sensor."""

    reason: Literal["done", "stopped", "pain"]
    counted_repetitions: Annotated[int, Field(ge=0, le=1_000)] | None = None
    at: LooseMoment | None = None


class CloseBody(Body):
    """Why the training ends."""

    reason: Literal["done", "stop"]


class TrainingSetRead(Answer):
    """A set."""

    id: UUID
    training_session_id: UUID
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


class TrainingSessionWithSets(TrainingSessionRead):
    """A training session and its sets, in their order."""

    sets: list[TrainingSetRead]


@router.put("/training-sessions/{training_session_id}", response_model=TrainingSessionRead)
@declares(CARE)
def put_training_session(
    training_session_id: UUID, body: TrainingSessionBody, training_sessions: WritableTrainingSessions
) -> object:
    """Open a training session under an id that the page chose, or change the targets of an open one."""
    return training_sessions.put(training_session_id, TrainingSessionWish(**dict(body)))


@router.post("/training-sessions/{training_session_id}/close", response_model=TrainingSessionRead)
@declares(CARE)
def close_training_session(
    training_session_id: UUID, body: CloseBody, training_sessions: WritableTrainingSessions
) -> object:
    """Close a training session."""
    return training_sessions.close(training_session_id, body.reason)


@router.get("/training-sessions/{training_session_id}", response_model=TrainingSessionWithSets)
@declares(CARE)
def get_training_session(training_session_id: UUID, training_sessions: TrainingSessions) -> object:
    """Show one training session; also to who may only train with the patient."""
    row = training_sessions.get(training_session_id, Scope.SEE_RESULTS, Scope.TRAIN)
    sets = [TrainingSetRead.model_validate(each) for each in training_sessions.sets(row.id)]
    return TrainingSessionWithSets(**dict(TrainingSessionRead.model_validate(row)), sets=sets)


@router.get("/training-sessions/{training_session_id}/repetitions", response_model=list[RepetitionRead])
@declares(CARE)
def list_repetitions(training_session_id: UUID, training_sessions: TrainingSessions) -> object:
    """List the repetitions of one training session."""
    return training_sessions.repetitions(training_session_id)


@router.get("/patients/{patient_id}/training-sessions", response_model=list[TrainingSessionRead])
@declares(CARE)
def list_training_sessions(
    patient_id: UUID,
    first_day: Annotated[LooseDay, Query(alias="from")],
    stop_day: Annotated[LooseDay, Query(alias="to")],
    training_sessions: TrainingSessions,
) -> object:
    """List a patient's training sessions of the local days `[from, to)`, the newest first."""
    return training_sessions.list(patient_id, first_day=first_day, stop_day=stop_day)


@router.put("/training-sessions/{training_session_id}/sets/{set_id}", response_model=TrainingSetRead)
@declares(CARE)
def put_training_set(
    training_session_id: UUID, set_id: UUID, body: SetBody, training_sets: WritableTrainingSets
) -> object:
    """Start the next set under an id that the page chose, or change the targets of the one that is trained."""
    return training_sets.start(training_session_id, set_id, SetWish(**dict(body)))


@router.post("/training-sessions/{training_session_id}/sets/{set_id}/end", response_model=TrainingSetRead)
@declares(CARE)
def end_training_set(
    training_session_id: UUID, set_id: UUID, body: SetEndBody, training_sets: WritableTrainingSets
) -> object:
    """End a set."""
    return training_sets.end(
        training_session_id,
        set_id,
        reason=body.reason,
        counted_repetitions=body.counted_repetitions,
        at=body.at,
    )
