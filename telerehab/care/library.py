"""The exercise library: what a patient is told and shown for each exercise.

The twenty exercises of `analytics.exercises` have shared content here, as package data, one file per exercise and
version (`data/exercises/<code>.v<version>.json`). A released file is never changed: plans name the version.
An organisation may write its own content for one of the codes ("local exercise"); it has the same form.

Everything shared is an example: `is_clinically_reviewed` is False and pages say so (`library.not_reviewed`). The name
of a shared exercise is the text `exercise.<code>`; what is measured stands in `analytics.exercises`. Sentences of
exercises are content with versions, like a patient's plan, so they stand here and not in `telerehab/texts`.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from analytics.exercises import EXERCISES
from telerehab.care.figures import Figure, find_figure_faults
from telerehab.care.reading import (
    KNOWN_FIELDS_ONLY,
    Fault,
    Line,
    Switch,
    Whole,
    Words,
    invalid,
    read_value,
    refuse,
)

EXERCISE_CODES: Final = tuple(EXERCISES)
Equipment = Literal["chair", "table", "step", "handrail", "mat", "band", "weight", "towel", "wall"]
"""Each has a text `equipment.<code>`."""
StartPose = Literal["sitting", "standing", "lying_on_back", "lying_on_side", "lying_on_front"]
"""Each has a text `start_pose.<code>`."""
INSTRUCTIONS_MIN: Final = 3

ExerciseCode = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,63}$")]
ExerciseVersion = Annotated[Whole, Field(ge=1, le=100_000)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Sentences:
    """Short sentences in Danish and, where there are any, in English; shown and read out one by one."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    da: Annotated[tuple[Line, ...], Field(min_length=1, max_length=8)]
    en: Annotated[tuple[Line, ...], Field(max_length=8)] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ExerciseContent:
    """What a patient is told and shown: the same form for shared and local exercises."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    title: Words | None
    """Only of a local exercise."""
    start_pose: StartPose
    equipment: Annotated[tuple[Equipment, ...], Field(max_length=6)]
    instructions: Sentences
    safety_notes: Sentences
    is_clinically_reviewed: Switch
    figure: Figure | None
    """None where a local exercise has no picture of its own."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SharedExercise:
    """One version of a shared exercise."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    code: ExerciseCode
    version: ExerciseVersion
    content: ExerciseContent


def find_shared(code: str, version: int | None = None) -> SharedExercise:
    """Return a shared exercise, the newest version unless one is named; raise InvalidContentError."""
    found = [exercise for exercise in read_library() if exercise.code == code and version in (None, exercise.version)]
    if not found:
        raise invalid("exercise", "exercise_unknown")
    return max(found, key=lambda exercise: exercise.version)


def newest_shared() -> tuple[SharedExercise, ...]:
    """Return the newest version of every shared exercise, in the order of `EXERCISE_CODES`."""
    return tuple(find_shared(code) for code in EXERCISE_CODES)


def read_content(said: object, *, is_shared: bool = False) -> ExerciseContent:
    """Return exercise content from JSON data; raise InvalidContentError with all faults where there are any."""
    content = read_value(ExerciseContent, said)
    refuse([*find_content_faults(content, is_shared=is_shared)])
    return content


def find_content_faults(content: ExerciseContent, *, is_shared: bool, at: str = "content") -> Iterator[Fault]:
    """Yield what a patient would miss or stumble over."""
    if is_shared == (content.title is not None):
        yield Fault(at=f"{at}.title", code="title_not_wanted" if is_shared else "title_missing")
    if len(content.instructions.da) < INSTRUCTIONS_MIN:
        yield Fault(at=f"{at}.instructions.da", code="too_few_sentences")
    for name, sentences in (("instructions", content.instructions), ("safety_notes", content.safety_notes)):
        if (is_shared or sentences.en) and len(sentences.en) != len(sentences.da):
            yield Fault(at=f"{at}.{name}.en", code="not_translated")
    if len(set(content.equipment)) != len(content.equipment):
        yield Fault(at=f"{at}.equipment", code="twice")
    if content.figure is not None:
        yield from find_figure_faults(content.figure, at=f"{at}.figure")
    elif is_shared:
        yield Fault(at=f"{at}.figure", code="figure_missing")


@cache
def read_library() -> tuple[SharedExercise, ...]:
    """Return all versions of all shared exercises; the package data is read once.

    Raises
    ------
    InvalidContentError
        The package data is damaged: a fault of ours, which a test keeps out.
    """
    folder = resources.files("telerehab.care").joinpath("data", "exercises")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return tuple(_read_shared(json.loads(file.read_text(encoding="utf-8"))) for file in files)


def _read_shared(said: Mapping[str, object]) -> SharedExercise:
    exercise = read_value(SharedExercise, said)
    faults = [*find_content_faults(exercise.content, is_shared=True)]
    if exercise.code not in EXERCISES:
        faults.append(Fault(at="code", code="exercise_unknown"))
    refuse(faults)
    return exercise
