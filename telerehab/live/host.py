"""What one media worker does with its live sessions: commands in, engine and rows kept in step with the rooms.

The rooms decide (`sessions.live_rooms`), the engine forwards (`sessions.media.engine`), the store writes. This is the
shell between them, on the media role's event loop: rows are written in a thread, and an event is published only after
its row. A broker that is down loses messages, not events: the web role reads those from their rows.
"""

import asyncio
import json
import logging
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from sessions.errors import NotAllowedError, UnknownLiveSessionError, UnknownParticipantError
from sessions.live_rooms import (
    LiveRoom,
    LiveRooms,
    MediaReport,
    Participant,
    RoomChanges,
    RoomEvent,
    RoomOptions,
    may_publish,
)
from sessions.live_session import RUNNING, LiveSessionState
from sessions.media.engine import LegState, MediaEngine, MediaError, Seat, SeatStats
from sessions.messages import slot_names
from sessions.participant import PRESENT, Role
from sessions.ports import Instant
from telerehab.clock import Clock, from_us
from telerehab.live import media_protocol as protocol
from telerehab.live.store import LiveStore, RoomRecord

log = logging.getLogger(__name__)

TICK_S: Final = 0.2
COMMAND_DEADLINE_S: Final = 8.0
ROWS_WAITED_FOR_S: Final = 2.0
"""A command answers after its rows are on the disk, but not later than this: media does not wait for a disk."""
WRITE_RETRY_S: Final = 0.5
REMEMBERED_REQUESTS_MAX: Final = 4096
WAITING_RECORDS_MAX: Final = 10_000

_CONNECTED_PUBLISHING: Final = frozenset({LegState.WAITING_KEY, LegState.FLOWING})
_CONNECTED_SUBSCRIBING: Final = frozenset({LegState.DTLS, LegState.WAITING_KEY, LegState.FLOWING})
_EXPECTING_PACKETS: Final = frozenset({LegState.FLOWING, LegState.STALLED})

IsAlive = Callable[[str, str], Coroutine[Any, Any, bool]]
"""Asks the worker at an address, with its secret, whether it lives."""


class RunsElsewhereError(UnknownLiveSessionError):
    """Another living worker runs this live session."""

    code = "elsewhere"


class OverloadedError(NotAllowedError):
    """Rows wait to be written in such a number that nothing new is taken."""

    code = "overloaded"


@dataclass(kw_only=True, slots=True)
class _Waiting:
    """A record on its way to the disk."""

    record: RoomRecord
    written: asyncio.Event = field(default_factory=asyncio.Event)


class LiveHost:
    """The live sessions of one media worker.

    Parameters
    ----------
    engine : MediaEngine
        Forwards audio and video; belongs to the same event loop.
    store : LiveStore
        Called in threads.
    publish : callable
        Sends an event (topic, payload) to whoever listens; must not block, may lose it.
    is_alive : callable
        Tells whether another worker answers, before a live session is taken over from it.
    """

    def __init__(
        self,
        *,
        engine: MediaEngine,
        store: LiveStore,
        clock: Clock,
        publish: Callable[[str, bytes], object],
        is_alive: IsAlive,
    ) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._publish = publish
        self._is_alive = is_alive
        self._rooms = LiveRooms()
        self._bound: dict[UUID, dict[tuple[UUID, str], UUID | None]] = {}
        self._leaving: dict[Seat, asyncio.Task[None]] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._requests: OrderedDict[str, asyncio.Task[protocol.Result]] = OrderedDict()
        self._loading = asyncio.Lock()
        self._waiting: list[_Waiting] = []
        self._has_waiting = asyncio.Event()

    @property
    def epoch(self) -> str:
        """Return what changes when media connections are gone for good: pages then make new ones."""
        return str(self._store.worker_id)

    @property
    def status(self) -> dict[str, Any]:
        """Return what the worker's row tells of it."""
        return {"live_sessions": sum(1 for _ in self._rooms), "rows_waiting": len(self._waiting)}

    # --- commands ---

    async def execute(self, request: protocol.CommandRequest) -> protocol.Result:
        """Do what a request asks, once: the same request id again has the same answer.

        Raises
        ------
        SessionsError
            The live session, its state or its rules refuse.
        MediaError
            The engine refuses.
        TimeoutError
            It took too long; the request may be repeated.
        """
        task = self._requests.get(request.request_id)
        if task is None:
            task = asyncio.create_task(self._execute_in_time(request))
            self._remember(request.request_id, task)
        return await asyncio.shield(task)

    async def adopt_orphans(self, *, living: frozenset[UUID]) -> int:
        """Take over the running live sessions whose worker is gone and that this worker wins; return how many."""
        adopted_count = 0
        everywhere = await asyncio.to_thread(self._store.running_elsewhere)
        for live_session_id, worker in everywhere.items():
            winner = protocol.pick_worker(live_session_id, living | {self._store.worker_id})
            if worker not in living and winner == self._store.worker_id:
                await self._load(live_session_id)
                adopted_count += 1
        return adopted_count

    # --- time ---

    def step(self) -> None:
        """Let time act, see what the engine knows, and carry out what follows."""
        now = self._now()
        for room in self._rooms:
            for seat, stats in self._engine.stats(room.id).items():
                if room.participant(seat.participant).state in PRESENT:
                    room.observe_media(seat.participant, _report(stats), now=now)
            room.tick(now)
            try:
                self._carry_out(room)
            except MediaError:  # one live session's fault stops no other's time
                log.exception("live session %s: the engine refused", room.id)

    async def run_ticks(self) -> None:
        """Step for ever."""
        while True:
            self.step()
            await asyncio.sleep(TICK_S)

    async def run_writer(self) -> None:
        """Write rows for ever, then publish their events; a database that refuses is asked again."""
        while True:
            await self._has_waiting.wait()
            if not await self._write_waiting():
                await asyncio.sleep(WRITE_RETRY_S)

    async def aclose(self) -> None:
        """Write what waits, end all connections. The seats are kept: clients come back to the next worker."""
        for task in [*self._leaving.values(), *self._closing]:
            await task
        await self._write_waiting()
        await self._engine.aclose()

    # --- helpers: commands ---

    def _remember(self, request_id: str, task: asyncio.Task[protocol.Result]) -> None:
        self._requests[request_id] = task
        if len(self._requests) > REMEMBERED_REQUESTS_MAX:
            self._requests.popitem(last=False)

        def forget_failure(done: asyncio.Task[protocol.Result]) -> None:
            if done.cancelled() or done.exception() is not None:  # a refusal may be different next time
                self._requests.pop(request_id, None)

        task.add_done_callback(forget_failure)

    async def _execute_in_time(self, request: protocol.CommandRequest) -> protocol.Result:
        async with asyncio.timeout(COMMAND_DEADLINE_S):
            if len(self._waiting) >= WAITING_RECORDS_MAX:
                raise OverloadedError("the database does not keep up")
            if isinstance(request.command, protocol.Create):
                return await self._create(request.live_session, request.command)
            room = await self._load(request.live_session)
            result = await self._act(room, request)
            written = self._carry_out(room)
            if written is not None:
                await _wait_at_most(written, ROWS_WAITED_FOR_S)
            return result

    async def _act(self, room: LiveRoom, request: protocol.CommandRequest) -> protocol.Result:
        """Do one command in a room."""
        now = self._now()
        match request.command:
            case protocol.State():
                return {"version": room.version, "media_epoch": self.epoch, "state": room.snapshot()}
            case protocol.Heartbeat(beats=beats, version=version):
                return self._beat(room, beats, version, now)
            case protocol.AddHelper(helper_id=helper_id, patient_id=patient_id):
                seat_id = room.add_helper(helper_id, patient_id, seat_id=uuid4(), now=now)
                return {"participant": str(seat_id)}
        me = request.participant
        if me is None:
            raise UnknownParticipantError("the command names no participant")
        match request.command:
            case protocol.Join(connection=connection):
                room.join(me, connection=connection, now=now)
                return {"version": room.version, "media_epoch": self.epoch, "state": room.snapshot()}
            case protocol.Drop(connection=connection):
                room.drop(me, connection=connection, now=now)
            case protocol.Leave(connection=connection):
                if connection is None or room.participant(me).connection == connection:
                    room.leave(me, now=now)
            case protocol.Publish(sdp=sdp):
                return {"sdp": await self._negotiate_publish(room, me, sdp)}
            case protocol.Subscribe(audio=audio, video=video):
                seat = await self._seat(room, me)
                return {"offer": await self._engine.begin_subscribe(seat, slot_names(audio=audio, video=video))}
            case protocol.SubscribeSdp(sdp=sdp):
                return {"sdp": await self._negotiate_subscribe(room, me, sdp)}
            case protocol.Bind(slot=slot, source=source):
                room.choose_source(me, slot, source)
            case protocol.Admit(participant=participant):
                room.admit(me, participant, now=now)
            case protocol.Remove(participant=participant):
                room.remove(me, participant, now=now)
            case protocol.Focus(participant=chosen):
                room.set_focus(me, chosen, now=now)
            case protocol.TalkTo(participant=chosen):
                room.set_talk_to(me, chosen, now=now)
            case protocol.Help(on=on):
                room.set_help(me, on=on, now=now)
            case protocol.Pause(on=on):
                room.set_pause(me, on=on, now=now)
            case protocol.Text(text=text):
                room.write_text(me, text, now=now)
            case protocol.End():
                room.end(me, now=now)
        return {}

    async def _create(self, live_session_id: UUID, command: protocol.Create) -> protocol.Result:
        now = self._now()
        participants = [
            Participant(id=uuid4(), role=Role.THERAPIST, account_id=command.therapist_account_id),
            *(Participant(id=uuid4(), role=Role.PATIENT, patient_id=patient) for patient in command.patient_ids),
        ]
        room = LiveRoom(
            live_session_id,
            title=command.title,
            state=LiveSessionState.OPEN,
            participants=participants,
            now=now,
            options=RoomOptions(auto_admit=command.auto_admit, patients_see_each_other=command.patients_see_each_other),
        )
        room.record_creation(now)
        record = _record(room, room.take_changes(), now)
        async with self._loading:
            if live_session_id in self._rooms:
                return {}
            await self._engine.open(live_session_id)
            is_created = await asyncio.to_thread(
                self._store.create,
                room,
                record,
                organisation_id=command.organisation_id,
                therapist_account_id=command.therapist_account_id,
            )
            if not is_created:
                await self._engine.close(live_session_id)
                raise NotAllowedError("its people do not exist, or it has been created before")
            self._rooms.add(room)
        self._announce(room.id, record.events)
        return {}

    async def _load(self, live_session_id: UUID) -> LiveRoom:
        """Return a room; take it over, from its rows, when the worker that had it is gone."""
        if live_session_id in self._rooms:
            return self._rooms.get(live_session_id)
        async with self._loading:
            if live_session_id in self._rooms:
                return self._rooms.get(live_session_id)
            owner = await asyncio.to_thread(self._store.read_owner, live_session_id)
            if owner is None:
                raise UnknownLiveSessionError("there is none of this id")
            state, worker = owner
            if state not in RUNNING:
                raise NotAllowedError(f"the live session is {state}")
            if worker != self._store.worker_id:
                await self._take_over(live_session_id, worker)
            now = self._now()
            room = await asyncio.to_thread(self._store.read_room, live_session_id, now=now)
            if room is None:
                raise UnknownLiveSessionError("its rows are gone")
            await self._engine.open(live_session_id)
            self._rooms.add(room)
        room.resume(now)
        self._carry_out(room)
        return room

    async def _take_over(self, live_session_id: UUID, worker: UUID | None) -> None:
        others = await asyncio.to_thread(self._store.other_workers)
        for other in others:
            if other.id == worker and await self._is_alive(other.address, other.secret):
                raise RunsElsewhereError("another worker runs it")
        if not await asyncio.to_thread(self._store.claim, live_session_id, from_worker=worker):
            raise RunsElsewhereError("another worker took it over")
        log.info("took over live session %s", live_session_id)

    async def _seat(self, room: LiveRoom, participant_id: UUID) -> Seat:
        """Return the seat of somebody who may have media, after what was left there has been cleared away."""
        participant = room.require_seat(participant_id)
        if not may_publish(participant, room.state):
            raise NotAllowedError("no media in this state")
        seat = Seat(live_session=room.id, participant=participant_id)
        leaving = self._leaving.get(seat)
        if leaving is not None:
            await asyncio.shield(leaving)
        return seat

    async def _negotiate_publish(self, room: LiveRoom, participant_id: UUID, sdp: str) -> str:
        seat = await self._seat(room, participant_id)
        answer = await self._engine.publish(seat, sdp)
        self._note_negotiation(room, participant_id)
        return answer

    async def _negotiate_subscribe(self, room: LiveRoom, participant_id: UUID, sdp: str) -> str | None:
        seat = await self._seat(room, participant_id)
        answer = await self._engine.finish_subscribe(seat, sdp)
        self._note_negotiation(room, participant_id)
        return answer

    def _note_negotiation(self, room: LiveRoom, participant_id: UUID) -> None:
        """Note an answered connection, unless its participant went while the engine was answering."""
        if room.participant(participant_id).state in PRESENT:
            room.negotiated(participant_id, now=self._now())

    def _beat(self, room: LiveRoom, beats: list[protocol.Beat], version: int, now: Instant) -> protocol.Result:
        seats = {}
        for beat in beats:
            is_held = room.beat(
                beat.participant,
                connection=beat.connection,
                heard_ns=now.monotonic_ns - beat.silence_ms * 1_000_000,
                round_trip_ms=beat.round_trip_ms,
                now=now,
            )
            other = room.participant(beat.participant).connection not in (None, beat.connection)
            seats[str(beat.participant)] = "held" if is_held else "replaced" if other else "gone"
        snapshot = None if room.version == version else room.snapshot()
        return {"version": room.version, "media_epoch": self.epoch, "state": snapshot, "seats": seats}

    # --- helpers: carrying out ---

    def _carry_out(self, room: LiveRoom) -> asyncio.Event | None:
        """Bind, close and hand rows to the writer; return what tells that they are written."""
        changes = room.take_changes()
        self._bind(room)
        for participant_id in changes.freed_seats:
            self._start_leaving(Seat(live_session=room.id, participant=participant_id))
        written = self._hand_over(room, changes) if changes.has_rows else None
        if room.state not in RUNNING:
            self._close(room.id)
        return written

    def _bind(self, room: LiveRoom) -> None:
        """Bring the engine's slots to what the room wants."""
        wanted, bound = room.bindings(), self._bound.setdefault(room.id, {})
        for (viewer, slot), source in wanted.items():
            if bound.get((viewer, slot)) == source:
                continue
            self._engine.bind(
                Seat(live_session=room.id, participant=viewer),
                slot,
                None if source is None else Seat(live_session=room.id, participant=source),
            )
        self._bound[room.id] = wanted

    def _start_leaving(self, seat: Seat) -> None:
        async def leave() -> None:
            try:
                await self._engine.leave(seat)
            finally:
                self._leaving.pop(seat, None)
                if seat.live_session in self._rooms:  # back already: its slots were cleared with the old connections
                    bound = self._bound.get(seat.live_session, {})
                    self._bound[seat.live_session] = {
                        key: on for key, on in bound.items() if key[0] != seat.participant
                    }
                    self._bind(self._rooms.get(seat.live_session))

        if seat not in self._leaving:
            self._leaving[seat] = asyncio.create_task(leave())

    def _close(self, live_session_id: UUID) -> None:
        """Forget a live session here and close its connections."""
        self._rooms.discard(live_session_id)
        self._bound.pop(live_session_id, None)
        task = asyncio.create_task(self._engine.close(live_session_id))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _hand_over(self, room: LiveRoom, changes: RoomChanges) -> asyncio.Event:
        waiting = _Waiting(record=_record(room, changes, self._now()))
        self._waiting.append(waiting)
        self._has_waiting.set()
        return waiting.written

    async def _write_waiting(self) -> bool:
        """Write all records that wait, then publish their events; False when the database refused."""
        batch = tuple(self._waiting)
        if not batch:
            self._has_waiting.clear()
            return True
        try:
            lost = await asyncio.to_thread(self._store.write, [waiting.record for waiting in batch])
        except SQLAlchemyError as error:
            log.warning("live session rows could not be written: %s", type(error).__name__)
            return False
        del self._waiting[: len(batch)]
        if not self._waiting:
            self._has_waiting.clear()
        for live_session_id in lost:
            log.warning("live session %s belongs to another worker now", live_session_id)
            self._close(live_session_id)
        for waiting in batch:
            if waiting.record.live_session_id not in lost:
                self._announce(waiting.record.live_session_id, waiting.record.events)
            waiting.written.set()
        return True

    def _announce(self, live_session_id: UUID, events: tuple[RoomEvent, ...]) -> None:
        for event in events:
            body = {
                "sequence": event.sequence,
                "kind": event.kind,
                "at": from_us(event.at_us).isoformat(),
                "data": event.data,
            }
            self._publish(f"{protocol.EVENT_TOPIC_PREFIX}{live_session_id}", json.dumps(body).encode())

    def _now(self) -> Instant:
        return Instant(utc_us=self._clock.utc_ns() // 1000, monotonic_ns=self._clock.monotonic_ns())


def _record(room: LiveRoom, changes: RoomChanges, now: Instant) -> RoomRecord:
    return RoomRecord(
        live_session_id=room.id,
        state=room.state,
        event_sequence=room.event_sequence,
        at_us=now.utc_us,
        events=changes.events,
        participants=changes.participants,
    )


def _report(stats: SeatStats) -> MediaReport:
    """Return what the rooms need of the engine's counters."""
    return MediaReport(
        connected=stats.publish in _CONNECTED_PUBLISHING or stats.subscribe in _CONNECTED_SUBSCRIBING,
        packet_ns=stats.last_packet_ns if stats.publish in _EXPECTING_PACKETS else None,
        publishes_audio=stats.audio_flowing,
        publishes_video=stats.video_flowing,
        loss_share=stats.fraction_lost if stats.publish in _EXPECTING_PACKETS else None,
    )


async def _wait_at_most(event: asyncio.Event, duration_s: float) -> None:
    try:
        async with asyncio.timeout(duration_s):
            await event.wait()
    except TimeoutError:
        log.warning("rows of live sessions are late")
