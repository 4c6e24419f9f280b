"""The exercise library: shared exercises and the organisation's own."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, status
from pydantic import Field

from analytics.exercises import EXERCISES
from telerehab.api.dependencies import CurrentReader, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseUuid
from telerehab.auth.policies import LOGGED_IN, THERAPIST, declares
from telerehab.care.figures import Figure
from telerehab.care.library import Equipment, ExerciseCode, ExerciseContent, Sentences, StartPose
from telerehab.care.reading import Words
from telerehab.db.repositories.exercises import ExerciseRepository, LibraryExercise

router = APIRouter(prefix="/api/exercises", tags=["exercises"])


def get_exercises(db: ReadingDb, reader: CurrentReader, now: Now) -> ExerciseRepository:
    """Return the exercises of the reader's organisation."""
    return ExerciseRepository(db, reader=reader, now=now)


def get_writable_exercises(db: WritingDb, reader: CurrentReader, now: Now) -> ExerciseRepository:
    """Return the exercises of the reader's organisation, to change the local ones."""
    return ExerciseRepository(db, reader=reader, now=now)


Exercises = Annotated[ExerciseRepository, Depends(get_exercises)]
WritableExercises = Annotated[ExerciseRepository, Depends(get_writable_exercises)]


class ExerciseRead(Answer):
    """An exercise. Without `is_reviewed` pages show the text `library.not_reviewed`."""

    code: str
    version: int
    local_id: UUID | None
    name: Words
    start_pose: StartPose
    equipment: tuple[Equipment, ...]
    instructions: Sentences
    safety: Sentences
    figure: Figure | None
    """Drawn for the right side; see `telerehab.care.figures`."""
    is_reviewed: bool
    is_measurable: bool
    """Whether sensors can tell angle and repetitions; if not, there is no target and nothing is counted."""
    default_target_deg: tuple[float, float] | None


class LocalExerciseBody(Body):
    """The next version of a local exercise; `based_on` 0 begins a new one under an id that the page chose."""

    exercise_id: LooseUuid
    code: ExerciseCode
    based_on: Annotated[int, Field(ge=0, le=100_000)]
    content: ExerciseContent


@router.get("", response_model=list[ExerciseRead])
@declares(LOGGED_IN)
def list_exercises(exercises: Exercises) -> object:
    """List the newest version of every exercise: the shared ones, then the organisation's own."""
    return [read_exercise(one) for one in exercises.list()]


@router.post("", response_model=ExerciseRead, status_code=status.HTTP_201_CREATED)
@declares(THERAPIST)
def write_local_exercise(body: LocalExerciseBody, exercises: WritableExercises) -> object:
    """Write the next version of a local exercise."""
    return read_exercise(
        exercises.put_local(body.exercise_id, code=body.code, based_on=body.based_on, content=body.content)
    )


@router.delete("/{exercise_id}", status_code=status.HTTP_204_NO_CONTENT)
@declares(THERAPIST)
def retire_local_exercise(exercise_id: UUID, exercises: WritableExercises) -> None:
    """Take a local exercise off the list; plans that name it keep it."""
    exercises.retire(exercise_id)


def read_exercise(exercise: LibraryExercise) -> ExerciseRead:
    """Return what pages get of an exercise."""
    measured = EXERCISES[exercise.code]
    content = exercise.content
    return ExerciseRead(
        code=exercise.code,
        version=exercise.version,
        local_id=exercise.local_id,
        name=exercise.name,
        start_pose=content.start_pose,
        equipment=content.equipment,
        instructions=content.instructions,
        safety=content.safety_notes,
        figure=content.figure,
        is_reviewed=content.is_clinically_reviewed,
        is_measurable=measured.is_measurable,
        default_target_deg=measured.target_deg if measured.is_measurable else None,
    )
