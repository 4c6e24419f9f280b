"""The second implementation of `MediaEngine`: it answers and remembers, and forwards nothing."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from sessions.media.engine import (
    DrainingError,
    LegChange,
    LegState,
    NotOpenError,
    SdpRefusedError,
    Seat,
    SeatStats,
    slot_kind,
)

REFUSED_SDP = "not sdp"


@dataclass
class NullSeat:
    """What a seat has asked for."""

    publish: LegState | None = None
    subscribe: LegState | None = None
    slots: tuple[str, ...] = ()
    last_packet_ns: int | None = None


@dataclass
class NullEngine:
    """An engine without a network. `now_ns` None: nobody sends packets."""

    monotonic_ns: Callable[[], int] | None = None
    seats: dict[UUID, dict[Seat, NullSeat]] = field(default_factory=dict)
    bound: dict[tuple[Seat, str], Seat] = field(default_factory=dict)
    left: list[Seat] = field(default_factory=list)
    is_draining: bool = False
    is_closed: bool = False

    async def open(self, live_session: UUID) -> None:
        if self.is_draining:
            raise DrainingError("drains")
        self.seats.setdefault(live_session, {})

    async def close(self, live_session: UUID) -> None:
        self.seats.pop(live_session, None)
        self.bound = {key: on for key, on in self.bound.items() if key[0].live_session != live_session}

    async def publish(self, seat: Seat, sdp: str) -> str:
        self._check(sdp)
        self._seat(seat).publish = LegState.FLOWING
        return f"answer to {sdp}"

    async def begin_subscribe(self, seat: Seat, slots: Sequence[str]) -> str | None:
        for slot in slots:
            slot_kind(slot)
        self._seat(seat).slots = tuple(slots)
        return None

    async def finish_subscribe(self, seat: Seat, sdp: str) -> str | None:
        self._check(sdp)
        self._seat(seat).subscribe = LegState.FLOWING
        return f"answer to {sdp}"

    def bind(self, seat: Seat, slot: str, source: Seat | None) -> None:
        if seat.live_session not in self.seats:
            raise NotOpenError("not open")
        self.bound.pop((seat, slot), None)
        if source is not None:
            self.bound[seat, slot] = source

    def request_keyframe(self, seat: Seat) -> None:
        pass

    async def leave(self, seat: Seat) -> None:
        self.left.append(seat)
        self.seats.get(seat.live_session, {}).pop(seat, None)
        self.bound = {key: on for key, on in self.bound.items() if key[0] != seat}

    def stats(self, live_session: UUID) -> Mapping[Seat, SeatStats]:
        return {seat: self._stats(state) for seat, state in self.seats.get(live_session, {}).items()}

    def watch(self, callback: Callable[[LegChange], None]) -> None:
        pass

    def drain(self) -> None:
        self.is_draining = True

    async def aclose(self) -> None:
        self.is_closed = True
        self.seats.clear()

    def _seat(self, seat: Seat) -> NullSeat:
        try:
            return self.seats[seat.live_session].setdefault(seat, NullSeat())
        except KeyError:
            raise NotOpenError("not open") from None

    def _check(self, sdp: str) -> None:
        if sdp == REFUSED_SDP:
            raise SdpRefusedError("not SDP")

    def _stats(self, state: NullSeat) -> SeatStats:
        flowing = state.publish is LegState.FLOWING
        packet_ns = self.monotonic_ns() if flowing and self.monotonic_ns is not None else state.last_packet_ns
        return SeatStats(
            publish=state.publish,
            subscribe=state.subscribe,
            packets_received=0,
            packets_forwarded=0,
            packets_lost=0,
            packets_repaired=0,
            keyframe_request_count=0,
            last_packet_ns=packet_ns,
            audio_flowing=flowing,
            video_flowing=flowing,
            fraction_lost=0.0,
            bitrate_bps=0.0,
            viewer_fraction_lost=0.0,
            round_trip_s=None,
        )
