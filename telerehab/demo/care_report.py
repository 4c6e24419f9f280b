"""The account of the care scene: what should have been seen, what was, and whether a run may leave anything out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WHOLE_FROM_S: Final = 60.0
"""A shorter run has no time for an unanswered help call, and may end within the scene."""
NOT_REACHED: Final = "the scene did not come so far"
CUT_SHORT: Final = "the demonstration ended before"


class CareStep(StrEnum):
    """What the scene shows, in its order."""

    SAME_PLAN = "tablet and therapist see the same plan"
    OWN_CLINIC_ONLY = "another organisation finds no such patient"
    STOP_ON_PAIN = "pain 8 stops the tablet"
    ALERT_SEEN = "the therapist sees the alert within 2 s"
    NO_WAY_BACK = "nothing new begins before a confirmation"
    MAY_CONTINUE = "the therapist lets training go on"
    RECEIPT = "training ends with a receipt"
    HELP_UNANSWERED = "nobody answers: telephone and 112 after 30 s"
    HELP_CLOSED = "the therapist answers the call and closes it"
    FLAGS = "the planted flags are on the caseload"


class Outcome(StrEnum):
    """How a step went."""

    RIGHT = "right"
    WRONG = "wrong"
    LEFT_OUT = "left out"


@dataclass(frozen=True, kw_only=True, slots=True)
class StepReport:
    """One step; `detail` says what was seen."""

    step: CareStep
    outcome: Outcome
    detail: str
    seconds: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CareReport:
    """All steps of the scene, in their order."""

    steps: tuple[StepReport, ...]

    @property
    def is_right(self) -> bool:
        """Return whether every step is accounted for and none went wrong."""
        return [each.step for each in self.steps] == list(CareStep) and all(
            each.outcome is not Outcome.WRONG for each in self.steps
        )

    def outcomes(self) -> Mapping[str, str]:
        """Return how each step went, by the step's name."""
        return {each.step.name.lower(): each.outcome.value for each in self.steps}


def account_for(steps: Iterable[StepReport], *, planned_s: float | None, was_told_to_end: bool) -> CareReport:
    """Return the report of a scene that is over.

    What was not reached is wrong where the run had time for it, and left out where it ended before.

    Parameters
    ----------
    planned_s : float or None
        How long the run was to be [s]; None: until somebody ends it.

    Examples
    --------
    >>> account_for([], planned_s=120, was_told_to_end=False).is_right
    False
    >>> account_for([], planned_s=20, was_told_to_end=False).is_right
    True
    """
    known = {each.step: each for each in steps}
    had_time = planned_s is not None and planned_s >= WHOLE_FROM_S and not was_told_to_end
    missing = Outcome.WRONG if had_time else Outcome.LEFT_OUT
    why = NOT_REACHED if had_time else CUT_SHORT
    return CareReport(
        steps=tuple(known.get(step) or StepReport(step=step, outcome=missing, detail=why) for step in CareStep)
    )
