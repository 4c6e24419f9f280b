"""What tells that a goal is met: a measure with a target, as data. Most goals have none: only the patient can tell."""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from telerehab.care.library import EXERCISE_CODES, ExerciseCode
from telerehab.care.reading import KNOWN_FIELDS_ONLY, Fault, Number


@dataclass(frozen=True, kw_only=True, slots=True)
class RangeMeasure:
    """The range of motion of an exercise reaches so much. [°]"""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    kind: Literal["rom"]
    exercise: ExerciseCode
    side: Literal["left", "right"]
    at_least: Annotated[Number, Field(gt=0, le=180)]


@dataclass(frozen=True, kw_only=True, slots=True)
class PainMeasure:
    """Pain, reported from 0 to 10, is no more than so much."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    kind: Literal["pain"]
    at_most: Annotated[Number, Field(ge=0, le=9)]


GoalMeasure = Annotated[RangeMeasure | PainMeasure, Field(discriminator="kind")]


def find_measure_faults(measure: RangeMeasure | PainMeasure) -> tuple[Fault, ...]:
    """Return what makes no sense in a measure."""
    if isinstance(measure, RangeMeasure) and measure.exercise not in EXERCISE_CODES:
        return (Fault(at="measure.exercise", code="exercise_unknown"),)
    return ()


def is_reached(measure: RangeMeasure | PainMeasure, value: float) -> bool:
    """Return whether one value reaches the target; that a goal is met takes more than one (`flag_rules`).

    Examples
    --------
    >>> is_reached(PainMeasure(kind="pain", at_most=3), 3)
    True
    """
    return value <= measure.at_most if isinstance(measure, PainMeasure) else value >= measure.at_least
