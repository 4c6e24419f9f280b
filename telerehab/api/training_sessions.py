"""Training sessions."""

from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter
from pydantic import AfterValidator, Field, model_validator

from analytics.exercises import EXERCISES
from telerehab.api.dependencies import TrainingSessions, WritableTrainingSessions
from telerehab.api.models import AngleDeg, Body, LooseUuid, RepetitionRead, TrainingSessionRead
from telerehab.auth.policies import THERAPIST_OR_TABLET, declares
from telerehab.db.repositories.training_sessions import TrainingSessionWish

router = APIRouter(prefix="/api/training-sessions", tags=["training sessions"])


def _known_exercise(code: str) -> str:
    """Return the code of an exercise that analysis knows."""
    if code not in EXERCISES:
        raise ValueError("unknown exercise")
    return code


class TrainingSessionBody(Body):
    """What a training session shall be."""

    patient_id: LooseUuid
    exercise: Annotated[str, AfterValidator(_known_exercise)]
    side: Literal["left", "right", "both"]
    live_session_id: LooseUuid | None = None
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


class CloseBody(Body):
    """Why the training ends."""

    reason: Literal["done", "stop"]


@router.put("/{training_session_id}", response_model=TrainingSessionRead)
@declares(THERAPIST_OR_TABLET)
def put_training_session(
    training_session_id: UUID, body: TrainingSessionBody, training_sessions: WritableTrainingSessions
) -> object:
    """Open a training session under an id that the page chose, or change the targets of an open one."""
    return training_sessions.put(training_session_id, TrainingSessionWish(**dict(body)))


@router.post("/{training_session_id}/close", response_model=TrainingSessionRead)
@declares(THERAPIST_OR_TABLET)
def close_training_session(
    training_session_id: UUID, body: CloseBody, training_sessions: WritableTrainingSessions
) -> object:
    """Close a training session."""
    return training_sessions.close(training_session_id, body.reason)


@router.get("/{training_session_id}", response_model=TrainingSessionRead)
@declares(THERAPIST_OR_TABLET)
def get_training_session(training_session_id: UUID, training_sessions: TrainingSessions) -> object:
    """Show one training session."""
    return training_sessions.get(training_session_id)


@router.get("/{training_session_id}/repetitions", response_model=list[RepetitionRead])
@declares(THERAPIST_OR_TABLET)
def list_repetitions(training_session_id: UUID, training_sessions: TrainingSessions) -> object:
    """List the repetitions of one training session."""
    return training_sessions.repetitions(training_session_id)
