"""`MediaEngine` on aiortc: owns the connections of all seats, what is bound to which slot, and their closing."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Final
from uuid import UUID

from sessions.media.compat import Addresses, ForwardingConnection, Stage, check_versions
from sessions.media.engine import (
    MAX_SLOTS,
    DrainingError,
    Kind,
    LegChange,
    LegKind,
    LegState,
    NoSuchSlotError,
    NotOpenError,
    SdpRefusedError,
    Seat,
    SeatStats,
    slot_kind,
)
from sessions.media.forward import SECOND_NS, ForwardReceiver, ForwardSender

TICK_S: Final = 0.1
TICKS_PER_SECOND: Final = 10
STALLED_AFTER_NS: Final = 2 * SECOND_NS
CONNECT_WITHIN_NS: Final = 20 * SECOND_NS  # else the leg is closed
REPLACE_WITHIN_NS: Final = 10 * SECOND_NS  # after connecting, the old leg closes even if the new one is silent
MAX_SUBSCRIBE_LEGS: Final = 4  # of one seat, such as one, one more for further slots, and their successors
CLOSE_WITHIN_S: Final = 5.0
SETTLE_WITHIN_NS: Final = 2 * SECOND_NS  # after its first packet, a new leg need not have brought every kind

log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Leg:
    """One connection of a seat."""

    kind: LegKind
    connection: ForwardingConnection
    slots: tuple[str, ...]
    created_ns: int
    state: LegState = LegState.NEW
    connected_ns: int | None = None

    @property
    def last_packet_ns(self) -> int | None:
        ends: list[ForwardReceiver | ForwardSender] = [*self.connection.receivers, *self.connection.senders]
        return max((end.last_packet_ns for end in ends if end.last_packet_ns is not None), default=None)

    @property
    def first_packet_ns(self) -> int | None:
        ends: list[ForwardReceiver | ForwardSender] = [*self.connection.receivers, *self.connection.senders]
        return min((end.first_packet_ns for end in ends if end.first_packet_ns is not None), default=None)

    def has_begun_everywhere(self, now_ns: int) -> bool:
        """Whether each track that comes, and each slot whose source sends, began; video with a key frame."""
        return all(receiver.first_key_frame_ns is not None for receiver in self.connection.receivers) and all(
            not sender.waiting_key
            for sender in self.connection.senders
            if sender.source is not None and _is_recent(sender.source.last_packet_ns, now_ns)
        )

    def receiver(self, kind: Kind) -> ForwardReceiver | None:
        return next((receiver for receiver in self.connection.receivers if receiver.kind == kind), None)

    def sender(self, slot: str) -> ForwardSender | None:
        """Return the sender of a slot; a connection's senders of a kind are in the order of its slots."""
        if slot not in self.slots:
            return None
        kind = slot_kind(slot)
        place = [name for name in self.slots if slot_kind(name) == kind].index(slot)
        senders = [sender for sender in self.connection.senders if sender.kind == kind]
        return senders[place] if place < len(senders) else None


@dataclass(slots=True)
class _Tally:
    """What a seat's closed connections had counted."""

    packets_received: int = 0
    packets_forwarded: int = 0
    packets_lost: int = 0
    packets_repaired: int = 0
    keyframe_request_count: int = 0


@dataclass(slots=True, eq=False)
class _SeatMedia:
    publishing: _Leg | None = None  # whose packets are shown
    succeeding: _Leg | None = None  # its successor, until that has delivered
    subscribing: list[_Leg] = field(default_factory=list)
    next_slots: tuple[str, ...] = ()
    bound: dict[str, Seat] = field(default_factory=dict)
    closed: _Tally = field(default_factory=_Tally)
    bitrate_bps: float = 0.0
    bytes_before: int = 0

    @property
    def legs(self) -> list[_Leg]:
        return [leg for leg in (self.publishing, self.succeeding, *self.subscribing) if leg is not None]


class AiortcEngine:
    """Forwards between the seats of the live sessions that are open here; implements `MediaEngine`.

    Parameters
    ----------
    addresses : Addresses
        Where media is received and what the clients are told. Never a STUN server.
    monotonic_ns : callable
        The clock of all states and intervals.
    """

    def __init__(
        self, addresses: Addresses | None = None, *, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        check_versions()
        self._addresses = addresses or Addresses()
        self._monotonic_ns = monotonic_ns
        self._live_sessions: dict[UUID, dict[Seat, _SeatMedia]] = {}
        self._watchers: list[Callable[[LegChange], None]] = []
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._tick_count = 0
        self._is_draining = False

    async def open(self, live_session: UUID) -> None:
        """See `MediaEngine`."""
        if live_session in self._live_sessions:
            return
        if self._is_draining:
            raise DrainingError(str(live_session))
        self._live_sessions[live_session] = {}
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    async def close(self, live_session: UUID) -> None:
        """See `MediaEngine`."""
        seats = self._live_sessions.pop(live_session, {})
        for seat, media in seats.items():
            for leg in media.legs:
                self._end(seat, leg)
        await self._finish_closing()

    async def publish(self, seat: Seat, sdp: str) -> str:
        """See `MediaEngine`."""
        media = self._media(seat)
        leg = self._new_leg(seat, LegKind.PUBLISH, ())
        answer = await self._answer(seat, leg, sdp)
        if media.succeeding is not None:  # asked again before the last one delivered
            self._end(seat, media.succeeding)
        media.succeeding = leg
        if media.publishing is None:
            self._promote(seat, media)
        return answer

    async def begin_subscribe(self, seat: Seat, slots: Sequence[str]) -> str | None:
        """See `MediaEngine`; on aiortc the client offers."""
        media = self._media(seat)
        for slot in slots:
            slot_kind(slot)
        if not slots or len(set(slots)) != len(slots) or len(slots) > MAX_SLOTS:
            raise NoSuchSlotError(f"{len(slots)} slots, each once, at most {MAX_SLOTS}")
        media.next_slots = tuple(slots)
        return None

    async def finish_subscribe(self, seat: Seat, sdp: str) -> str | None:
        """See `MediaEngine`."""
        media = self._media(seat)
        if not media.next_slots:
            raise SdpRefusedError("slots must be named first")
        leg = self._new_leg(seat, LegKind.SUBSCRIBE, media.next_slots)
        answer = await self._answer(seat, leg, sdp)
        for older in list(media.subscribing):
            if older.connected_ns is None and set(older.slots) & set(leg.slots):  # asked again before it connected
                self._end(seat, older)
        while len(media.subscribing) >= MAX_SUBSCRIBE_LEGS:
            self._end(seat, media.subscribing[0])
        media.subscribing.append(leg)
        for slot in leg.slots:
            self._show(seat, media, slot)
        return answer

    def bind(self, seat: Seat, slot: str, source: Seat | None) -> None:
        """See `MediaEngine`."""
        media = self._media(seat)
        slot_kind(slot)
        if source is not None and source.live_session != seat.live_session:
            raise NoSuchSlotError("a slot shows seats of its own live session only")
        if slot not in media.bound and len(media.bound) >= MAX_SLOTS:
            raise NoSuchSlotError(f"more than {MAX_SLOTS} slots")
        if source is None:
            media.bound.pop(slot, None)
        else:
            media.bound[slot] = source
        self._show(seat, media, slot)

    def request_keyframe(self, seat: Seat) -> None:
        """See `MediaEngine`."""
        media = self._live_sessions.get(seat.live_session, {}).get(seat)
        receiver = media.publishing.receiver("video") if media is not None and media.publishing is not None else None
        if receiver is not None:
            receiver.request_keyframe(self._monotonic_ns())

    async def leave(self, seat: Seat) -> None:
        """See `MediaEngine`."""
        media = self._live_sessions.get(seat.live_session, {}).pop(seat, None)
        if media is not None:
            for leg in media.legs:
                self._end(seat, leg)
        await self._finish_closing()

    def stats(self, live_session: UUID) -> Mapping[Seat, SeatStats]:
        """See `MediaEngine`."""
        now_ns = self._monotonic_ns()
        return {seat: _stats(media, now_ns) for seat, media in self._live_sessions.get(live_session, {}).items()}

    def watch(self, callback: Callable[[LegChange], None]) -> None:
        """See `MediaEngine`."""
        self._watchers.append(callback)

    def drain(self) -> None:
        """See `MediaEngine`."""
        self._is_draining = True

    async def aclose(self) -> None:
        """See `MediaEngine`."""
        self._is_draining = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for live_session in list(self._live_sessions):
            await self.close(live_session)
        await self._finish_closing()

    # Connections

    def _media(self, seat: Seat) -> _SeatMedia:
        seats = self._live_sessions.get(seat.live_session)
        if seats is None:
            raise NotOpenError(str(seat.live_session))
        return seats.setdefault(seat, _SeatMedia())

    def _is_seated(self, seat: Seat, media: _SeatMedia) -> bool:
        return self._live_sessions.get(seat.live_session, {}).get(seat) is media

    def _new_leg(self, seat: Seat, kind: LegKind, slots: tuple[str, ...]) -> _Leg:
        def note_stage(stage: Stage) -> None:
            self._note_stage(seat, leg, stage)

        connection = ForwardingConnection(addresses=self._addresses, on_stage=note_stage)
        leg = _Leg(kind=kind, connection=connection, slots=slots, created_ns=self._monotonic_ns())
        self._report(seat, leg, LegState.NEW)
        return leg

    async def _answer(self, seat: Seat, leg: _Leg, sdp: str) -> str:
        media = self._media(seat)
        is_answered = False
        try:
            if leg.kind is LegKind.PUBLISH:
                answer = await leg.connection.answer(sdp, direction="recvonly")
            else:
                answer = await leg.connection.answer(
                    sdp, direction="sendonly", slots=[(slot_kind(slot), slot) for slot in leg.slots]
                )
            is_answered = self._is_seated(seat, media)
        finally:
            if not is_answered:  # refused, cancelled, or the seat left meanwhile
                self._end(seat, leg)
        if not is_answered:
            raise NotOpenError("the seat left")
        if leg.state is LegState.NEW:
            self._reach(seat, leg, LegState.ANSWERED)
        return answer

    def _note_stage(self, seat: Seat, leg: _Leg, stage: Stage) -> None:
        if leg.state is LegState.CLOSED:
            return
        match stage:
            case "ice":
                self._reach(seat, leg, LegState.ICE)
            case "dtls":
                leg.connected_ns = self._monotonic_ns()
                self._reach(seat, leg, LegState.DTLS)
            case "closed":
                self._end(seat, leg)

    def _end(self, seat: Seat, leg: _Leg) -> asyncio.Task[None] | None:
        """Take a leg out of service at once and close it in the background."""
        if leg.state is LegState.CLOSED:
            return None
        leg.state = LegState.CLOSED
        leg.connection.detach()
        task = asyncio.get_running_loop().create_task(leg.connection.close(), name="close a media leg")
        self._closing.add(task)
        task.add_done_callback(self._note_closed)
        media = self._live_sessions.get(seat.live_session, {}).get(seat)
        if media is None:
            self._report(seat, leg, LegState.CLOSED)
            return task
        _add_to_tally(media.closed, leg)
        if leg is media.succeeding:
            media.succeeding = None
        elif leg is media.publishing:
            media.publishing = None
            if media.succeeding is not None:
                self._promote(seat, media)
        elif leg in media.subscribing:
            media.subscribing.remove(leg)
        if not any(other.kind is leg.kind for other in media.legs):
            self._report(seat, leg, LegState.CLOSED)
        return task

    def _note_closed(self, task: asyncio.Task[None]) -> None:
        self._closing.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a media leg did not close cleanly: %s", type(error).__name__)

    async def _finish_closing(self) -> None:
        if self._closing:
            await asyncio.wait(set(self._closing), timeout=CLOSE_WITHIN_S)

    # What is shown where

    def _show(self, seat: Seat, media: _SeatMedia, slot: str) -> None:
        source = media.bound.get(slot)
        publisher = self._live_sessions.get(seat.live_session, {}).get(source) if source is not None else None
        leg = publisher.publishing if publisher is not None else None
        receiver = leg.receiver(slot_kind(slot)) if leg is not None else None
        for leg in media.subscribing:
            if (sender := leg.sender(slot)) is not None:
                sender.bind(receiver, self._monotonic_ns())

    def _promote(self, seat: Seat, media: _SeatMedia) -> None:
        """Show what the newer publish connection brings, and close the older."""
        before, media.publishing, media.succeeding = media.publishing, media.succeeding, None
        for viewer, viewer_media in self._live_sessions.get(seat.live_session, {}).items():
            for slot, source in viewer_media.bound.items():
                if source == seat:
                    self._show(viewer, viewer_media, slot)
        if before is not None:
            self._end(seat, before)

    # Time

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
        self._tick_count += 1
        now_ns = self._monotonic_ns()
        for seats in list(self._live_sessions.values()):
            for seat, media in list(seats.items()):
                for leg in media.legs:
                    leg.connection.tick(now_ns)
                    self._advance(seat, media, leg, now_ns)
                self._replace(seat, media, now_ns)
                if self._tick_count % TICKS_PER_SECOND == 0:
                    _measure_bitrate(media)

    def _advance(self, seat: Seat, media: _SeatMedia, leg: _Leg, now_ns: int) -> None:
        if leg.state is LegState.CLOSED:
            return
        if leg.connected_ns is None:
            if now_ns - leg.created_ns > CONNECT_WITHIN_NS:
                self._end(seat, leg)
            return
        is_asked = leg.kind is LegKind.PUBLISH or any(slot in media.bound for slot in leg.slots)
        self._reach(seat, leg, _flow_state(leg, now_ns) if is_asked else LegState.WAITING_KEY)

    def _replace(self, seat: Seat, media: _SeatMedia, now_ns: int) -> None:
        """Let newer connections take over once they carry what the older ones did, or time is up."""
        if media.succeeding is not None and _has_taken_over(media.succeeding, now_ns):
            self._promote(seat, media)
        for place, newer in enumerate(media.subscribing):
            is_idle = newer.connected_ns is not None and not any(slot in media.bound for slot in newer.slots)
            if not is_idle and not _has_taken_over(newer, now_ns):
                continue
            for older in media.subscribing[:place]:
                if set(older.slots) & set(newer.slots):
                    self._end(seat, older)

    def _reach(self, seat: Seat, leg: _Leg, state: LegState) -> None:
        if leg.state in (state, LegState.CLOSED):
            return
        leg.state = state
        self._report(seat, leg, state)

    def _report(self, seat: Seat, leg: _Leg, state: LegState) -> None:
        change = LegChange(seat=seat, leg=leg.kind, state=state)
        for callback in self._watchers:
            callback(change)


def _flow_state(leg: _Leg, now_ns: int) -> LegState:
    last_ns = leg.last_packet_ns
    has_begun = any(receiver.first_key_frame_ns is not None for receiver in leg.connection.receivers) or any(
        not sender.waiting_key for sender in leg.connection.senders
    )
    if last_ns is not None and (has_begun or leg.state in (LegState.FLOWING, LegState.STALLED)):
        return LegState.FLOWING if now_ns - last_ns <= STALLED_AFTER_NS else LegState.STALLED
    return LegState.WAITING_KEY


def _has_taken_over(leg: _Leg, now_ns: int) -> bool:
    """Whether a newer connection carries what the older one did, or has had the time to."""
    if leg.connected_ns is None:
        return False
    if now_ns - leg.connected_ns > REPLACE_WITHIN_NS:
        return True
    first_ns = leg.first_packet_ns
    if first_ns is None:
        return False
    return leg.has_begun_everywhere(now_ns) or now_ns - first_ns > SETTLE_WITHIN_NS


def _is_recent(time_ns: int | None, now_ns: int) -> bool:
    return time_ns is not None and now_ns - time_ns <= STALLED_AFTER_NS


def _count(leg: _Leg) -> _Tally:
    receivers, senders = leg.connection.receivers, leg.connection.senders
    return _Tally(
        packets_received=sum(receiver.counters.packets for receiver in receivers),
        packets_forwarded=sum(sender.counters.packets for sender in senders),
        packets_lost=sum(receiver.packets_lost for receiver in receivers),
        packets_repaired=sum(receiver.counters.repaired for receiver in receivers),
        keyframe_request_count=sum(receiver.counters.keyframe_requests for receiver in receivers),
    )


def _add_to_tally(tally: _Tally, leg: _Leg) -> None:
    counted = _count(leg)
    for each in fields(_Tally):
        setattr(tally, each.name, getattr(tally, each.name) + getattr(counted, each.name))


def _published_bytes(media: _SeatMedia) -> int:
    legs = (media.publishing, media.succeeding)
    return sum(
        receiver.counters.payload_bytes for leg in legs if leg is not None for receiver in leg.connection.receivers
    )


def _measure_bitrate(media: _SeatMedia) -> None:
    now_bytes = _published_bytes(media)
    media.bitrate_bps = max(0, now_bytes - media.bytes_before) * 8 / (TICKS_PER_SECOND * TICK_S)
    media.bytes_before = now_bytes


def _stats(media: _SeatMedia, now_ns: int) -> SeatStats:
    tally = _Tally()
    for leg in media.legs:
        _add_to_tally(tally, leg)
    publish_legs = [leg for leg in (media.publishing, media.succeeding) if leg is not None]
    receivers = [receiver for leg in publish_legs for receiver in leg.connection.receivers]
    senders = [sender for leg in media.subscribing for sender in leg.connection.senders]
    return SeatStats(
        publish=media.publishing.state if media.publishing is not None else None,
        subscribe=media.subscribing[-1].state if media.subscribing else None,
        packets_received=media.closed.packets_received + tally.packets_received,
        packets_forwarded=media.closed.packets_forwarded + tally.packets_forwarded,
        packets_lost=media.closed.packets_lost + tally.packets_lost,
        packets_repaired=media.closed.packets_repaired + tally.packets_repaired,
        keyframe_request_count=media.closed.keyframe_request_count + tally.keyframe_request_count,
        last_packet_ns=max((leg.last_packet_ns or 0 for leg in publish_legs), default=0) or None,
        audio_flowing=any(_is_recent(each.last_packet_ns, now_ns) for each in receivers if each.kind == "audio"),
        video_flowing=any(_is_recent(each.last_packet_ns, now_ns) for each in receivers if each.kind == "video"),
        fraction_lost=max((receiver.fraction_lost for receiver in receivers), default=0.0),
        bitrate_bps=media.bitrate_bps,
        viewer_fraction_lost=max((sender.viewer_fraction_lost for sender in senders), default=0.0),
        round_trip_s=max((each.round_trip_s for each in senders if each.round_trip_s is not None), default=None),
    )
