"""The states of a live session, and what time alone does to them. Pure: time is an argument."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from sessions.errors import WrongStateError

THERAPIST_GONE_PAUSES_S: Final = 60.0
THERAPIST_GONE_ENDS_S: Final = 600.0


class LiveSessionState(StrEnum):
    """Where a live session stands."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    """The waiting room: people may come, the therapist has not."""
    LIVE = "live"
    PAUSED = "paused"
    ENDED = "ended"
    ARCHIVED = "archived"
    CANCELLED = "cancelled"
    NO_SHOW = "no_show"


class LiveSessionEvent(StrEnum):
    """What moves a live session."""

    OPEN = "open"
    THERAPIST_JOINED = "therapist_joined"
    THERAPIST_GONE = "therapist_gone"
    END = "end"
    ARCHIVE = "archive"
    CANCEL = "cancel"
    NO_SHOW = "no_show"


_S, _E = LiveSessionState, LiveSessionEvent

TRANSITIONS: Final[Mapping[tuple[LiveSessionState, LiveSessionEvent], LiveSessionState]] = {
    (_S.SCHEDULED, _E.OPEN): _S.OPEN,
    (_S.SCHEDULED, _E.CANCEL): _S.CANCELLED,
    (_S.SCHEDULED, _E.NO_SHOW): _S.NO_SHOW,
    (_S.OPEN, _E.THERAPIST_JOINED): _S.LIVE,
    (_S.OPEN, _E.END): _S.ENDED,
    (_S.OPEN, _E.CANCEL): _S.CANCELLED,
    (_S.OPEN, _E.NO_SHOW): _S.NO_SHOW,
    (_S.LIVE, _E.THERAPIST_JOINED): _S.LIVE,
    (_S.LIVE, _E.THERAPIST_GONE): _S.PAUSED,
    (_S.LIVE, _E.END): _S.ENDED,
    (_S.PAUSED, _E.THERAPIST_JOINED): _S.LIVE,
    (_S.PAUSED, _E.END): _S.ENDED,
    (_S.ENDED, _E.ARCHIVE): _S.ARCHIVED,
}

RUNNING: Final = frozenset({_S.OPEN, _S.LIVE, _S.PAUSED})
"""States in which people may sit in the live session."""


def next_state(state: LiveSessionState, event: LiveSessionEvent) -> LiveSessionState:
    """Return the state after the event; `WrongStateError` where the table has none.

    Examples
    --------
    >>> next_state(LiveSessionState.OPEN, LiveSessionEvent.THERAPIST_JOINED).value
    'live'
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise WrongStateError(f"a live session that is {state} knows no {event}") from None


def due_event(state: LiveSessionState, *, therapist_gone_s: float) -> LiveSessionEvent | None:
    """Return what the therapist's absence of so many seconds brings about, or None.

    Examples
    --------
    >>> due_event(LiveSessionState.LIVE, therapist_gone_s=61).value
    'therapist_gone'
    """
    if state is LiveSessionState.LIVE and therapist_gone_s > THERAPIST_GONE_PAUSES_S:
        return LiveSessionEvent.THERAPIST_GONE
    if state is LiveSessionState.PAUSED and therapist_gone_s > THERAPIST_GONE_ENDS_S:
        return LiveSessionEvent.END
    return None
