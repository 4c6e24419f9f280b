"""What a live session asks of the machine that forwards audio and video.

`AiortcEngine` is the engine in production, tests have one that forwards nothing. Nothing here knows WebRTC's libraries.

Two connections per seat: *publish* (the client sends at most one audio and one video) and *subscribe* (the client
receives into named slots such as `audio-0` and `video-3`). Who is seen in which slot is a `bind`, never a new SDP.

Errors: `MediaError`
  |- `NotOpenError`: the live session is not open here; open it first, or ask the right worker
  |- `DrainingError`: this engine takes nothing new; open the live session on another worker
  |- `SdpRefusedError`: the client's SDP cannot be served; tell the client, it may offer again
  `- `NoSuchSlotError`: a slot name that does not say its kind, or a publisher and viewer of different live sessions
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, Protocol
from uuid import UUID

MAX_SLOTS: Final = 64  # of one seat: a therapist with 20 patients needs 40

Kind = Literal["audio", "video"]


class MediaError(Exception):
    """Anything the engine refuses."""


class NotOpenError(MediaError):
    """The live session is not open on this engine."""


class DrainingError(MediaError):
    """The engine ends what it has and takes nothing new."""


class SdpRefusedError(MediaError):
    """The SDP is malformed, or asks for what cannot be served."""


class NoSuchSlotError(MediaError):
    """The slot's name does not begin with its kind, or the binding crosses live sessions."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Seat:
    """A participant's place in a live session; connections come and go, the seat stays."""

    live_session: UUID
    participant: UUID


class LegKind(StrEnum):
    """Which of a seat's two connections."""

    PUBLISH = "publish"
    SUBSCRIBE = "subscribe"


class LegState(StrEnum):
    """How far a connection is: new -> answered -> ice -> dtls -> waiting_key -> flowing <-> stalled -> closed."""

    NEW = "new"
    ANSWERED = "answered"
    ICE = "ice"
    DTLS = "dtls"  # reached by media keys; packets may come
    WAITING_KEY = "waiting_key"  # connected, no key frame yet
    FLOWING = "flowing"
    STALLED = "stalled"  # had packets, now none for two seconds
    CLOSED = "closed"


@dataclass(frozen=True, kw_only=True, slots=True)
class LegChange:
    """A connection of a seat reached another state."""

    seat: Seat
    leg: LegKind
    state: LegState


@dataclass(frozen=True, kw_only=True, slots=True)
class SeatStats:
    """Counters of one seat since it first appeared; they survive a reconnect.

    `last_packet_ns` is monotonic time [ns]; `fraction_lost` and `bitrate_bps` concern what the seat publishes,
    `round_trip_s` and `viewer_fraction_lost` what it receives, as its client last reported.
    """

    publish: LegState | None
    subscribe: LegState | None
    packets_received: int
    packets_forwarded: int  # sent to this seat
    packets_lost: int
    packets_repaired: int  # came as retransmission
    keyframe_request_count: int  # sent to this seat's client
    last_packet_ns: int | None
    audio_flowing: bool
    video_flowing: bool
    fraction_lost: float
    bitrate_bps: float
    viewer_fraction_lost: float
    round_trip_s: float | None


class MediaEngine(Protocol):
    """Forwards what seats publish into the slots of other seats. All calls belong to the engine's event loop."""

    async def open(self, live_session: UUID) -> None:
        """Accept seats of this live session; opening twice is no error. Raises DrainingError."""
        ...

    async def close(self, live_session: UUID) -> None:
        """Close every connection of this live session and forget its seats and bindings; unknown ones are no error."""
        ...

    async def publish(self, seat: Seat, sdp: str) -> str:
        """Answer the client's offer to send. An earlier publish connection closes once the new one has delivered.

        Raises NotOpenError, SdpRefusedError.
        """
        ...

    async def begin_subscribe(self, seat: Seat, slots: Sequence[str]) -> str | None:
        """Name the slots of the next subscribe connection: `<kind>-<number>`, audio and video.

        Returns an offer when this engine is the one that offers, else None: then the client offers as many
        receive-only audio and video m-lines, taken in order of the slots of that kind. Slots that no earlier
        connection has are added to the seat, slots that one has move to the new connection.
        Raises NotOpenError, NoSuchSlotError.
        """
        ...

    async def finish_subscribe(self, seat: Seat, sdp: str) -> str | None:
        """Take the client's SDP; return the answer when the client offered, else None.

        The stream id (msid) of each m-line is the slot's name. An earlier subscribe connection with one of these
        slots closes once the new one carries packets. Raises NotOpenError, SdpRefusedError.
        """
        ...

    def bind(self, seat: Seat, slot: str, source: Seat | None) -> None:
        """Show `source` in the slot, or nothing. The client notices no new SDP, sequence and time stay continuous.

        The binding outlives connections of both sides and may come before either. Raises NotOpenError,
        NoSuchSlotError.
        """
        ...

    def request_keyframe(self, seat: Seat) -> None:
        """Ask the seat's client for a key frame (at most two requests a second leave); no publisher is no error."""
        ...

    async def leave(self, seat: Seat) -> None:
        """Close both connections of a seat and clear its slots; slots of others bound to it stay and wait."""
        ...

    def stats(self, live_session: UUID) -> Mapping[Seat, SeatStats]:
        """Return the counters of every seat of a live session; none when it is not open."""
        ...

    def watch(self, callback: Callable[[LegChange], None]) -> None:
        """Call back at each change of a leg's state, on the event loop; it must not raise nor block."""
        ...

    def drain(self) -> None:
        """Open no live session from now on; those open go on, also with new connections."""
        ...

    async def aclose(self) -> None:
        """Close everything. Must end before the event loop does."""
        ...


def slot_kind(slot: str) -> Kind:
    """Return the kind that a slot's name begins with.

    Examples
    --------
    >>> slot_kind("video-3")
    'video'
    """
    kind, _, number = slot.partition("-")
    if not (number.isascii() and number.isdigit()):
        raise NoSuchSlotError(slot)
    match kind:
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            raise NoSuchSlotError(slot)
