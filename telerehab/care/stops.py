"""When training stands still, and who may let it go on. There is no way round a confirmation.

```text
            stop                     confirm (nothing open)           resume
TRAINING ----------> STOPPED ----------------------------> CONFIRMED --------> TRAINING
                       |  ^-- stop (one more cause)             |  ^-- stop -> STOPPED
                       '---------------- end -------------------'----> ENDED (causes may still be open)
```

What was open when a training session ended stays open for the patient's next one: `opening` begins there.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from telerehab.care.safety import Cause
from telerehab.errors import TelerehabError


class StopState(StrEnum):
    """Where a training session stands."""

    TRAINING = "training"
    STOPPED = "stopped"
    CONFIRMED = "confirmed"
    ENDED = "ended"


class Confirmer(StrEnum):
    """Who must say that training may go on."""

    PATIENT = "patient"
    THERAPIST = "therapist"


CONFIRMED_BY: Final[Mapping[Cause, Confirmer | None]] = {
    Cause.HEART_RATE_HIGH: Confirmer.THERAPIST,
    Cause.HEART_RATE_LOW: Confirmer.THERAPIST,
    Cause.SPO2_LOW: Confirmer.THERAPIST,
    Cause.PAIN_HIGH: Confirmer.THERAPIST,
    Cause.PAIN_RISE: Confirmer.THERAPIST,
    Cause.FALL_HINT: Confirmer.THERAPIST,
    Cause.STOP_PRESSED: Confirmer.PATIENT,
    Cause.STREAM_LOST: None,
}
"""None: this is told, and stops nothing."""


class NoWayBackError(TelerehabError):
    """Training cannot go on from here: somebody must confirm first, or it has ended."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stops:
    """How a training session stands, and what nobody has confirmed yet."""

    state: StopState = StopState.TRAINING
    open_causes: frozenset[Cause] = frozenset()

    @property
    def may_train(self) -> bool:
        """Return whether the next exercise may be shown."""
        return self.state is StopState.TRAINING

    @property
    def needs_confirmation_by(self) -> Confirmer | None:
        """Return whose word is missing; the therapist's includes the patient's."""
        wanted = {CONFIRMED_BY[cause] for cause in self.open_causes}
        return next((each for each in (Confirmer.THERAPIST, Confirmer.PATIENT) if each in wanted), None)


def is_stop(cause: Cause) -> bool:
    """Return whether a cause stops training."""
    return CONFIRMED_BY[cause] is not None


def opening(open_causes: Iterable[Cause]) -> Stops:
    """Return how a training session begins, given what is still open for the patient."""
    causes = frozenset(cause for cause in open_causes if is_stop(cause))
    return Stops(state=StopState.STOPPED if causes else StopState.TRAINING, open_causes=causes)


def stop(stops: Stops, cause: Cause) -> Stops:
    """Stop, for one more cause; what comes after the end waits for the next training session."""
    if not is_stop(cause):
        return stops
    state = StopState.ENDED if stops.state is StopState.ENDED else StopState.STOPPED
    return Stops(state=state, open_causes=stops.open_causes | {cause})


def confirm(stops: Stops, by: Confirmer) -> Stops:
    """Take off what this person may confirm; when nothing is left, training may be resumed."""
    kept = frozenset(
        cause for cause in stops.open_causes if by is Confirmer.PATIENT and CONFIRMED_BY[cause] is not Confirmer.PATIENT
    )
    state = StopState.CONFIRMED if stops.state is StopState.STOPPED and not kept else stops.state
    return Stops(state=state, open_causes=kept)


def resume(stops: Stops) -> Stops:
    """Go on after a confirmation; raise NoWayBackError from a stop or after the end."""
    if stops.state not in (StopState.CONFIRMED, StopState.TRAINING):
        raise NoWayBackError(f"{stops.state}, open: {', '.join(sorted(stops.open_causes))}")
    return replace(stops, state=StopState.TRAINING)


def end(stops: Stops) -> Stops:
    """End the training session; always possible."""
    return replace(stops, state=StopState.ENDED)
