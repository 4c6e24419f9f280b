"""The states of a participant, and how the link to one is judged. Pure: time is an argument."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from sessions.errors import WrongStateError

LINK_WEAK_S: Final = 2.0
LINK_LOST_S: Final = 3.0
SOCKET_KEPT_S: Final = 15.0
SEAT_KEPT_S: Final = 60.0
ROUND_TRIP_WEAK_MS: Final = 400.0
LOSS_WEAK_SHARE: Final = 0.05


class Role(StrEnum):
    """As whom a participant sits in a live session."""

    THERAPIST = "therapist"
    PATIENT = "patient"
    HELPER = "helper"


class ParticipantState(StrEnum):
    """Where a participant stands."""

    INVITED = "invited"
    WAITING = "waiting"
    ADMITTED = "admitted"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    DEGRADED = "degraded"
    RECONNECTING = "reconnecting"
    LEFT = "left"
    REMOVED = "removed"
    EXPIRED = "expired"


class ParticipantEvent(StrEnum):
    """What moves a participant."""

    JOIN = "join"
    """Someone came who has not been let in yet."""
    JOIN_ADMITTED = "join_admitted"
    """Someone came, or came back, who has been let in."""
    ADMIT = "admit"
    NEGOTIATE = "negotiate"
    """A media connection was answered."""
    CONNECT = "connect"
    """The media connection stands."""
    WEAKEN = "weaken"
    RECOVER = "recover"
    DROP = "drop"
    """The socket is gone without a word."""
    SEAT_EXPIRE = "seat_expire"
    LEAVE = "leave"
    REMOVE = "remove"


_S, _E = ParticipantState, ParticipantEvent

TRANSITIONS: Final[Mapping[tuple[ParticipantState, ParticipantEvent], ParticipantState]] = {
    (_S.INVITED, _E.JOIN): _S.WAITING,
    (_S.INVITED, _E.JOIN_ADMITTED): _S.ADMITTED,
    (_S.INVITED, _E.REMOVE): _S.REMOVED,
    (_S.WAITING, _E.JOIN): _S.WAITING,
    (_S.WAITING, _E.JOIN_ADMITTED): _S.ADMITTED,
    (_S.WAITING, _E.ADMIT): _S.ADMITTED,
    (_S.WAITING, _E.DROP): _S.INVITED,  # a wait that is broken off leaves no ghost
    (_S.WAITING, _E.LEAVE): _S.LEFT,
    (_S.WAITING, _E.REMOVE): _S.REMOVED,
    (_S.ADMITTED, _E.JOIN_ADMITTED): _S.ADMITTED,
    (_S.ADMITTED, _E.NEGOTIATE): _S.CONNECTING,
    (_S.ADMITTED, _E.DROP): _S.RECONNECTING,
    (_S.ADMITTED, _E.LEAVE): _S.LEFT,
    (_S.ADMITTED, _E.REMOVE): _S.REMOVED,
    (_S.CONNECTING, _E.JOIN_ADMITTED): _S.CONNECTING,
    (_S.CONNECTING, _E.NEGOTIATE): _S.CONNECTING,
    (_S.CONNECTING, _E.CONNECT): _S.CONNECTED,
    (_S.CONNECTING, _E.DROP): _S.RECONNECTING,
    (_S.CONNECTING, _E.LEAVE): _S.LEFT,
    (_S.CONNECTING, _E.REMOVE): _S.REMOVED,
    (_S.CONNECTED, _E.JOIN_ADMITTED): _S.CONNECTING,  # a newer socket took the seat: new peer connections follow
    (_S.CONNECTED, _E.NEGOTIATE): _S.CONNECTED,
    (_S.CONNECTED, _E.WEAKEN): _S.DEGRADED,
    (_S.CONNECTED, _E.DROP): _S.RECONNECTING,
    (_S.CONNECTED, _E.LEAVE): _S.LEFT,
    (_S.CONNECTED, _E.REMOVE): _S.REMOVED,
    (_S.DEGRADED, _E.JOIN_ADMITTED): _S.CONNECTING,
    (_S.DEGRADED, _E.NEGOTIATE): _S.DEGRADED,
    (_S.DEGRADED, _E.RECOVER): _S.CONNECTED,
    (_S.DEGRADED, _E.DROP): _S.RECONNECTING,
    (_S.DEGRADED, _E.LEAVE): _S.LEFT,
    (_S.DEGRADED, _E.REMOVE): _S.REMOVED,
    (_S.RECONNECTING, _E.JOIN_ADMITTED): _S.CONNECTING,
    (_S.RECONNECTING, _E.SEAT_EXPIRE): _S.EXPIRED,
    (_S.RECONNECTING, _E.LEAVE): _S.LEFT,
    (_S.RECONNECTING, _E.REMOVE): _S.REMOVED,
    (_S.LEFT, _E.JOIN): _S.WAITING,
    (_S.LEFT, _E.JOIN_ADMITTED): _S.ADMITTED,  # leaving is not ending: who was let in may come back
    (_S.LEFT, _E.REMOVE): _S.REMOVED,
    (_S.EXPIRED, _E.JOIN): _S.WAITING,
    (_S.EXPIRED, _E.JOIN_ADMITTED): _S.ADMITTED,
    (_S.EXPIRED, _E.REMOVE): _S.REMOVED,
}

PRESENT: Final = frozenset({_S.WAITING, _S.ADMITTED, _S.CONNECTING, _S.CONNECTED, _S.DEGRADED})
"""States with a socket."""
SEATED: Final = frozenset({_S.ADMITTED, _S.CONNECTING, _S.CONNECTED, _S.DEGRADED, _S.RECONNECTING})
"""States that hold a seat: media may flow, slots stay bound."""


def next_state(state: ParticipantState, event: ParticipantEvent) -> ParticipantState:
    """Return the state after the event; `WrongStateError` where the table has none.

    Examples
    --------
    >>> next_state(ParticipantState.CONNECTED, ParticipantEvent.DROP).value
    'reconnecting'
    """
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise WrongStateError(f"a participant who is {state} knows no {event}") from None


class Link(StrEnum):
    """How well somebody can be reached, as both sides are shown it."""

    GOOD = "good"
    WEAK = "weak"
    LOST = "lost"


def judge_link(
    *,
    heartbeat_silence_s: float,
    packet_silence_s: float | None = None,
    round_trip_ms: float | None = None,
    loss_share: float | None = None,
) -> Link:
    """Judge a link by what was last heard on it.

    Parameters
    ----------
    heartbeat_silence_s : float
        Time since the last heartbeat of the page. [s]
    packet_silence_s : float or None
        Time since the last media packet; None for somebody who sends none, which is no fault. [s]
    round_trip_ms, loss_share : float or None
        Of the media connection, where known. [ms], [1]

    Returns
    -------
    link : Link
        `LOST` when neither was heard for more than 3 s; `WEAK` when one of them is late, slow or lossy.

    Examples
    --------
    >>> judge_link(heartbeat_silence_s=3.1).value, judge_link(heartbeat_silence_s=3.1, packet_silence_s=0.02).value
    ('lost', 'weak')
    """
    silences_s = [heartbeat_silence_s] if packet_silence_s is None else [heartbeat_silence_s, packet_silence_s]
    if min(silences_s) > LINK_LOST_S:
        return Link.LOST
    slow = round_trip_ms is not None and round_trip_ms > ROUND_TRIP_WEAK_MS
    lossy = loss_share is not None and loss_share > LOSS_WEAK_SHARE
    return Link.WEAK if max(silences_s) > LINK_WEAK_S or slow or lossy else Link.GOOD
