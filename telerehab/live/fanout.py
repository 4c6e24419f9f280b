"""From media worker, intake and database to the pages: events, states, live values, each to whom they concern.

One object per web process. It holds no state of a live session that could not be read again: a channel is the last
snapshot of the media worker plus the sockets of this process. Three loops, run under the app's task supervisor:

- broker: live frames to the hub, events to the pages. A message lost on the way is made up from the events' rows.
- heartbeats: tells the workers which pages were heard, and gets the newer snapshot back.
- access: reads logins, care relations and training sessions again; what has ended, ends here.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy.exc import SQLAlchemyError

from devices.broker_client import BrokerClient
from devices.ports import Raw
from sessions import messages
from sessions.feature_hub import FeatureHub, Value
from sessions.live_rooms import RoomEvent
from sessions.live_session import RUNNING, LiveSessionState
from sessions.live_view import Quality, find_participant, may_read_event, quality_for, view_for
from sessions.participant import LINK_LOST_S, SEATED, Role
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.login_rows import find_ended, keep_alive
from telerehab.auth.reader import Reader
from telerehab.clock import Clock, from_us, utc_now
from telerehab.db.engine import Database, reading, writing
from telerehab.errors import MediaUnavailableError, NotFoundError
from telerehab.live.directory import Directory, read_directory
from telerehab.live.media_client import MediaClient, MediaRefusedError
from telerehab.live.media_protocol import EVENT_TOPIC_PREFIX
from telerehab.live.outbox import CLOSE_REPLACED, CLOSE_REVOKED, Outbox
from telerehab.live.store import read_events
from telerehab.live_frame import ENTRY_DTYPE, HEADER_DTYPE, MalformedLiveFrameError, decode_live_frame, transit_us
from telerehab.settings import Settings
from telerehab.supervision import TaskSupervisor

log = logging.getLogger(__name__)

HEARTBEAT_INTERVAL_S: Final = 0.5
HEARTBEAT_DEADLINE_S: Final = 1.5
ACCESS_INTERVAL_S: Final = 2.0
ACCESS_INTERVAL_MIN_S: Final = 0.1
KEEP_ALIVE_INTERVAL_NS: Final = 60_000_000_000
"""How often it is written down that logins take part in training. [ns]"""
BROKER_TEND_S: Final = 0.25
REPLAY_MAX: Final = 500
"""Events sent again at one request; the page asks for the rest."""
UNIQUE_REQUEST_ID_CHARS: Final = 16
"""A request id of at least so many characters is held to be unique over all sockets of a login."""
ROLE: Final = "web"

_TOPICS: Final = ("live/1/#", f"{EVENT_TOPIC_PREFIX}#", "app/1/changed/#")
_AGE_ON_ARRIVAL_MAX_US: Final = 5_000_000


@dataclass(kw_only=True, slots=True, eq=False)
class Connection:
    """One accepted WebSocket."""

    reader: Reader
    outbox: Outbox
    id: str = field(default_factory=lambda: uuid4().hex)
    joined: dict[UUID, UUID] = field(default_factory=dict)
    """By live session: the participant that this socket is there."""
    round_trip_ms: float | None = None
    kept_alive_ns: int | None = None
    """When it was last written down that this login takes part in training."""
    quality: dict[UUID, Quality] = field(default_factory=dict)


@dataclass(kw_only=True, slots=True, eq=False)
class _Channel:
    """A live session, as this process knows it, and who of this process is in it."""

    live_session: UUID
    snapshot: Mapping[str, Any]
    version: int
    media_epoch: str
    last_sequence: int
    members: dict[UUID, Connection] = field(default_factory=dict)
    was_behind: bool = False
    refreshing: asyncio.Task[None] | None = None
    refresh_again: bool = False
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class LiveFanout:
    """The live part of one web process; belongs to its event loop.

    Use: `start` (or `running`) in the app's lifespan, `aclose` at its end; the WebSocket route calls the rest.
    """

    def __init__(
        self, settings: Settings, *, database: Database, media: MediaClient, clock: Clock, key_ring: KeyRing
    ) -> None:
        self.hub: FeatureHub[UUID] = FeatureHub()
        self._settings = settings
        self._database = database
        self._media = media
        self._clock = clock
        self._key_ring = key_ring
        self._directory = Directory()
        self._connections: dict[UUID, Connection] = {}
        self._channels: dict[UUID, _Channel] = {}
        self._background: set[asyncio.Task[None]] = set()
        self._access_wanted = asyncio.Event()
        self._arrived = asyncio.Event()
        self._broker: BrokerClient | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    # --- life ---

    def start(self, tasks: TaskSupervisor) -> None:
        """Connect to the broker and keep the loops running."""
        self._loop = asyncio.get_running_loop()
        self._broker = BrokerClient(
            self._settings.mqtt_host,
            self._settings.mqtt_port,
            username=ROLE,
            password=self._settings.mqtt_password(ROLE),
            subscriptions=_TOPICS,
            on_wake=self._wake_from_thread,
        )
        self._broker.start()
        tasks.start("live values", self._run_broker)
        tasks.start("live heartbeats", self._run_heartbeats)
        tasks.start("live access", self._run_access)

    async def aclose(self) -> None:
        """Disconnect; the loops that still run do nothing any more."""
        self._loop = None
        for task in tuple(self._background):
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        if self._broker is not None:
            await asyncio.to_thread(self._broker.close)

    def end_login(self, login_id: UUID) -> None:
        """Close the socket of a login that has ended; may be called from any thread."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._revoke, login_id)

    @contextlib.asynccontextmanager
    async def running(self, tasks: TaskSupervisor) -> AsyncIterator["LiveFanout"]:
        """Run for the time of a lifespan; `tasks` keeps the loops and is closed by its owner."""
        self.start(tasks)
        try:
            yield self
        finally:
            await self.aclose()

    # --- what the route calls ---

    def connect(self, reader: Reader) -> Connection:
        """Take up a socket; an older one of the same login is replaced."""
        connection = Connection(reader=reader, outbox=Outbox(self.hub, clock=self._clock))
        older = self._connections.get(reader.login_id)
        self._connections[reader.login_id] = connection
        if older is not None:
            self._replace(older)
        self._access_wanted.set()  # until it is read, the screen sees nothing
        return connection

    async def disconnect(self, connection: Connection) -> None:
        """Note that a socket is gone; its seats are kept for a while."""
        connection.outbox.end()
        if self._connections.get(connection.reader.login_id) is connection:
            del self._connections[connection.reader.login_id]
        for live_session, participant in tuple(connection.joined.items()):
            self._forget_member(connection, live_session)
            self._spawn(self._drop(live_session, participant, connection.id))

    async def execute(self, connection: Connection, message: messages.ChannelMessage) -> dict[str, Any]:
        """Do what a page asks; return the fields of the reply.

        Raises
        ------
        NotFoundError
            There is no such live session for this reader.
        MediaRefusedError
            The media worker, or the lack of a seat, refuses.
        MediaUnavailableError
            No media worker answers.
        """
        match message:
            case messages.Join():
                return await self._join(connection, message)
            case messages.Leave():
                return await self._leave(connection, message.live_session)
            case messages.QualityReport():
                connection.round_trip_ms = message.round_trip_ms
                return {}
        participant = connection.joined.get(message.live_session)
        if participant is None:
            raise MediaRefusedError("not_joined", "join first")
        if isinstance(message, messages.Replay):
            return await self._replay(connection, message.live_session, participant, message.after)
        try:
            result = await self._command_for(connection, participant, message)
        except MediaRefusedError as error:
            if error.code != "not_joined":
                raise
            await self._rejoin(connection, message.live_session, participant)  # the worker has started anew
            result = await self._command_for(connection, participant, message)
        channel = self._channels.get(message.live_session)
        if channel is not None:
            self._refresh(channel)
        return result

    async def _command_for(
        self, connection: Connection, participant: UUID, message: messages.ChannelMessage
    ) -> dict[str, Any]:
        return await self._media.command(
            message.live_session, participant, _to_command(message), request_id=_request_id(connection, message)
        )

    # --- joining and leaving ---

    async def _join(self, connection: Connection, message: messages.Join) -> dict[str, Any]:
        live_session, reader = message.live_session, connection.reader
        try:
            result = await self._media.command(live_session, None, {"type": "state"})
        except MediaRefusedError as error:
            if error.code == "unknown_live_session":
                raise NotFoundError("no such live session") from error
            raise
        if reader.role == "helper":
            found = await self._seat_helper(live_session, result["state"], reader)
        else:
            found = find_participant(
                result["state"],
                account_id=None if reader.account_id is None else str(reader.account_id),
                patient_id=None if reader.patient_id is None else str(reader.patient_id),
            )
        if found is None:
            raise NotFoundError("no such live session")
        participant = UUID(found)
        result = await self._media.command(live_session, participant, {"type": "join", "connection": connection.id})
        if connection.outbox.close_code is not None:  # replaced or revoked meanwhile
            self._spawn(self._drop(live_session, participant, connection.id))
            raise MediaRefusedError("not_joined", "the socket is being closed")
        channel = self._open_channel(live_session, result)
        self._take_snapshot(channel, result)  # who is a member stands in the snapshot, from here on
        older = channel.members.get(participant)
        channel.members[participant] = connection
        connection.joined[live_session] = participant
        connection.outbox.forget_state(live_session)
        connection.quality.pop(live_session, None)
        if older is not None and older is not connection:
            older.joined.pop(live_session, None)
            self._replace(older)
        await self._read_access()
        self._push(channel)
        return {
            "participant": found,
            "media_epoch": channel.media_epoch,
            "event_sequence": channel.snapshot["event_sequence"],
        }

    async def _seat_helper(self, live_session: UUID, snapshot: Mapping[str, Any], helper: Reader) -> str | None:
        """Return the helper's seat beside a patient whom the helper may join now; one is made where there is none."""
        await self._read_access()
        beside = [
            UUID(person["patient_id"])
            for person in snapshot["participants"]
            if person["role"] == Role.PATIENT and self._directory.may_join(helper, UUID(person["patient_id"]))
        ]
        if not beside:
            return None
        command = {"type": "add_helper", "helper_id": str(helper.helper_id), "patient_id": str(beside[0])}
        result = await self._media.command(live_session, None, command)
        return str(result["participant"])

    async def _rejoin(self, connection: Connection, live_session: UUID, participant: UUID) -> None:
        """Take the seat again for a socket that has it, as far as this process knows."""
        join = {"type": "join", "connection": connection.id}
        result = await self._media.command(live_session, participant, join)
        channel = self._channels.get(live_session)
        if channel is not None:
            self._take_snapshot(channel, result)

    async def _leave(self, connection: Connection, live_session: UUID) -> dict[str, Any]:
        participant = connection.joined.get(live_session)
        if participant is not None:
            self._forget_member(connection, live_session)
            await self._media.command(live_session, participant, {"type": "leave", "connection": connection.id})
        return {}

    async def _drop(self, live_session: UUID, participant: UUID, connection_id: str) -> None:
        """Tell the worker that a socket is gone; without an answer it finds out by the silence."""
        await self._command_quietly(live_session, participant, {"type": "drop", "connection": connection_id})

    def _open_channel(self, live_session: UUID, result: Mapping[str, Any]) -> _Channel:
        channel = self._channels.get(live_session)
        if channel is None:
            channel = self._channels[live_session] = _Channel(
                live_session=live_session,
                snapshot=result["state"],
                version=result["version"],
                media_epoch=result["media_epoch"],
                last_sequence=result["state"]["event_sequence"],
            )
        return channel

    def _forget_member(self, connection: Connection, live_session: UUID) -> None:
        participant = connection.joined.pop(live_session, None)
        channel = self._channels.get(live_session)
        if channel is None or participant is None:
            return
        if channel.members.get(participant) is connection:
            del channel.members[participant]
        if not channel.members:
            del self._channels[live_session]

    def _replace(self, connection: Connection) -> None:
        """Say good-bye to a socket whose place a newer one took."""
        connection.outbox.say(messages.make_bye("replaced"))
        connection.outbox.close(CLOSE_REPLACED)

    def _revoke(self, login_id: UUID) -> None:
        """Close a socket whose login has ended, and its media with it."""
        connection = self._connections.get(login_id)
        if connection is None:
            return
        for live_session, participant in tuple(connection.joined.items()):
            self._forget_member(connection, live_session)
            leave = {"type": "leave", "connection": connection.id}
            self._spawn(self._command_quietly(live_session, participant, leave))
        connection.outbox.screen.show(())
        connection.outbox.say(messages.make_bye("revoked"))
        connection.outbox.close(CLOSE_REVOKED)

    def _end_channel(self, channel: _Channel) -> None:
        """Say good-bye on the channel of a live session that has ended; the sockets stay."""
        for connection in tuple(channel.members.values()):
            self._forget_member(connection, channel.live_session)
            connection.outbox.say(messages.make_bye("ended", live_session=channel.live_session))
        self._channels.pop(channel.live_session, None)

    # --- states ---

    def _take_snapshot(self, channel: _Channel, result: Mapping[str, Any]) -> None:
        """Take over a newer snapshot."""
        snapshot = result["state"]
        is_new = result["media_epoch"] != channel.media_epoch or result["version"] > channel.version
        if snapshot is not None and is_new:
            channel.snapshot, channel.version = snapshot, result["version"]
            channel.media_epoch = result["media_epoch"]

    def _push(self, channel: _Channel) -> None:
        """Send each member its view of the live session, where it changed."""
        for participant, connection in tuple(channel.members.items()):
            state = self._describe(channel, str(participant))
            connection.outbox.show_state(channel.live_session, messages.make_state(state))
            self._steer(channel, participant, connection)
        if channel.snapshot["state"] not in RUNNING:
            self._end_channel(channel)

    def _steer(self, channel: _Channel, participant: UUID, connection: Connection) -> None:
        """Tell a page that may send how well it shall send, when that changed."""
        state = next(p["state"] for p in channel.snapshot["participants"] if p["id"] == str(participant))
        quality = quality_for(channel.snapshot, str(participant))
        if state in SEATED and connection.quality.get(channel.live_session) != quality:
            connection.quality[channel.live_session] = quality
            connection.outbox.say(
                messages.make_quality(channel.live_session, width=quality.width, fps=quality.fps, kbps=quality.kbps)
            )

    def _describe(self, channel: _Channel, viewer: str) -> dict[str, Any]:
        """Return the viewer's part of the snapshot, with the names and training sessions that no worker knows."""
        view = view_for(channel.snapshot, viewer)
        view["media_epoch"] = channel.media_epoch
        view["participants"] = [self._describe_participant(p, channel.live_session) for p in view["participants"]]
        return view

    def _describe_participant(self, participant: Mapping[str, Any], live_session: UUID) -> dict[str, Any]:
        patient_id = participant["patient_id"]
        person = UUID(participant["helper_id"] or participant["account_id"] or patient_id)
        training = None
        if participant["role"] == "patient" and patient_id is not None:
            training = self._directory.training_of(UUID(patient_id), live_session)
        return {
            "id": participant["id"],
            "role": participant["role"],
            "display_name": self._directory.names.get(person, ""),
            "state": participant["state"],
            "link": participant["link"],
            "publishes": participant["publishes"],
            "patient_id": patient_id,
            "training_session": None if training is None else training.describe(),
            "help_since": _iso_or_none(participant["help_since_us"]),
            "paused_since": _iso_or_none(participant["paused_since_us"]),
        }

    def _refresh(self, channel: _Channel) -> None:
        """Get the newest snapshot soon; calls while one is on its way add one more."""
        if channel.refreshing is not None and not channel.refreshing.done():
            channel.refresh_again = True
        else:
            channel.refreshing = self._spawn(self._refresh_now(channel))

    async def _refresh_now(self, channel: _Channel) -> None:
        channel.refresh_again = True
        while channel.refresh_again:
            channel.refresh_again = False
            try:
                result = await self._media.command(channel.live_session, None, {"type": "state"})
            except MediaUnavailableError:
                return  # the next heartbeat asks again
            except MediaRefusedError as error:
                await self._heed_refusal(channel, error)
                return
            self._take_snapshot(channel, result)
            self._push(channel)

    async def _heed_refusal(self, channel: _Channel, error: MediaRefusedError) -> None:
        """Tell the members that the live session has ended, when that is why the worker refuses."""
        if error.code not in ("not_allowed", "unknown_live_session") or channel.live_session not in self._channels:
            return
        await self._catch_up(channel)
        channel.snapshot = {**channel.snapshot, "state": LiveSessionState.ENDED.value}
        self._push(channel)

    # --- events ---

    async def _replay(
        self, connection: Connection, live_session: UUID, participant: UUID, after: int
    ) -> dict[str, Any]:
        events = await asyncio.to_thread(read_events, self._database, live_session, after=after, limit=REPLAY_MAX)
        channel = self._channels.get(live_session)
        if channel is None:
            raise MediaRefusedError("not_joined", "join first")
        for event in events:
            self._tell(channel, participant, connection, event)
        return {"sequence": events[-1].sequence if events else after, "complete": len(events) < REPLAY_MAX}

    def _tell(self, channel: _Channel, participant: UUID, connection: Connection, event: RoomEvent) -> None:
        if may_read_event(channel.snapshot, str(participant), kind=event.kind, data=event.data):
            connection.outbox.say(
                messages.make_event(
                    channel.live_session,
                    sequence=event.sequence,
                    kind=event.kind,
                    at=from_us(event.at_us).isoformat(),
                    data=event.data,
                )
            )

    async def _catch_up(self, channel: _Channel) -> None:
        """Tell the events since the last one told, from their rows: in order, each once."""
        async with channel.reading:
            try:
                events = await asyncio.to_thread(
                    read_events,
                    self._database,
                    channel.live_session,
                    after=channel.last_sequence,
                    limit=REPLAY_MAX,
                )
            except SQLAlchemyError as error:
                log.warning("events could not be read: %s", type(error).__name__)
                return
            for event in events:
                channel.last_sequence = event.sequence
                for participant, connection in tuple(channel.members.items()):
                    self._tell(channel, participant, connection, event)

    # --- loops ---

    async def _run_broker(self) -> None:
        """Take messages as they come, and look after the connection."""
        while True:
            try:
                async with asyncio.timeout(BROKER_TEND_S):
                    await self._arrived.wait()
            except TimeoutError:
                pass
            self._arrived.clear()
            if self._broker is None:
                return
            self._broker.tend(self._clock.monotonic_ns())
            for raw in self._broker.take():
                self._take_message(raw)

    async def _run_heartbeats(self) -> None:
        """Twice a second, for each live session, tell its worker which pages were heard."""
        while True:
            await asyncio.gather(*(self._beat(channel) for channel in tuple(self._channels.values())))
            await asyncio.sleep(HEARTBEAT_INTERVAL_S)

    async def _run_access(self) -> None:
        """Read again who may see what, every two seconds and when something changed."""
        while True:
            try:
                async with asyncio.timeout(ACCESS_INTERVAL_S):
                    await self._access_wanted.wait()
            except TimeoutError:
                pass
            self._access_wanted.clear()
            await self._read_access()
            await self._check_logins()
            for channel in tuple(self._channels.values()):
                self._push(channel)
            await asyncio.sleep(ACCESS_INTERVAL_MIN_S)

    # --- helpers of the loops ---

    def _wake_from_thread(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._arrived.set)

    def _take_message(self, raw: Raw) -> None:
        if raw.topic.startswith("live/1/"):
            self._take_live_frame(raw)
        elif raw.topic.startswith(EVENT_TOPIC_PREFIX):
            self._take_event(raw)
        else:
            self._access_wanted.set()

    def _take_live_frame(self, raw: Raw) -> None:
        """Hand the entries of a frame to the screens; unknown training sessions make us read the directory again."""
        try:
            tick, entries = decode_live_frame(raw.payload)
        except MalformedLiveFrameError:
            log.warning("a malformed live frame was dropped")
            return
        now_us = self._clock.utc_ns() // 1000
        on_its_way_us = max(now_us - raw.received_us, transit_us(raw.payload, now_us=now_us), 0)
        waited_us = min(on_its_way_us, _AGE_ON_ARRIVAL_MAX_US)
        received_ns = self._clock.monotonic_ns() - waited_us * 1000
        size, start = ENTRY_DTYPE.itemsize, HEADER_DTYPE.itemsize
        values = {}
        for number in range(len(entries)):
            data = raw.payload[start + number * size : start + (number + 1) * size]
            values[UUID(bytes=data[:16])] = Value(data=data, received_ns=received_ns, tick=tick)
        self.hub.put(values)
        if not values.keys() <= {training.id for training in self._directory.trainings}:
            self._access_wanted.set()

    def _take_event(self, raw: Raw) -> None:
        """Tell an event that follows the last one at once; make up for a hole from the rows."""
        try:
            channel = self._channels.get(UUID(raw.topic.removeprefix(EVENT_TOPIC_PREFIX)))
            sequence = int(json.loads(raw.payload)["sequence"])
        except (ValueError, KeyError, TypeError):
            log.warning("a malformed event was dropped")
            return
        if channel is not None and sequence > channel.last_sequence:
            self._spawn(self._catch_up(channel))
            self._refresh(channel)

    async def _beat(self, channel: _Channel) -> None:
        members = dict(channel.members)
        beats = [
            {
                "participant": str(participant),
                "connection": connection.id,
                "silence_ms": round(connection.outbox.silence_s() * 1000),
                "round_trip_ms": connection.round_trip_ms,
            }
            for participant, connection in members.items()
        ]
        command = {"type": "heartbeat", "beats": beats, "version": channel.version}
        try:
            result = await self._media.command(channel.live_session, None, command, deadline_s=HEARTBEAT_DEADLINE_S)
        except MediaUnavailableError:
            return
        except MediaRefusedError as error:
            await self._heed_refusal(channel, error)
            return
        for participant, connection in members.items():
            if channel.members.get(participant) is connection:
                await self._heed(channel, participant, connection, result["seats"][str(participant)])
        if result["media_epoch"] != channel.media_epoch and result["state"] is None:
            self._refresh(channel)
        self._take_snapshot(channel, result)
        self._push(channel)
        is_behind = channel.snapshot["event_sequence"] > channel.last_sequence
        if is_behind and channel.was_behind:  # the broker has had its time
            await self._catch_up(channel)
        channel.was_behind = is_behind

    async def _heed(self, channel: _Channel, participant: UUID, connection: Connection, seat: str) -> None:
        """React to what the worker says of a seat."""
        if seat == "replaced":
            self._forget_member(connection, channel.live_session)
            self._replace(connection)
        elif seat == "gone" and connection.outbox.silence_s() < LINK_LOST_S:  # the worker has started anew
            try:
                await self._rejoin(connection, channel.live_session, participant)
            except (MediaUnavailableError, MediaRefusedError) as error:
                log.info("live session %s: could not join again: %s", channel.live_session, error)

    async def _read_access(self) -> None:
        """Read names, training sessions and relations; let each screen see what its reader may see now."""
        named = {
            UUID(identifier)
            for channel in self._channels.values()
            for participant in channel.snapshot["participants"]
            for identifier in (participant["account_id"], participant["patient_id"], participant["helper_id"])
            if identifier is not None
        }
        readers = [connection.reader for connection in self._connections.values()]
        try:
            self._directory = await asyncio.to_thread(
                read_directory,
                self._database,
                key_ring=self._key_ring,
                readers=readers,
                named=named,
                now=utc_now(self._clock),
            )
        except SQLAlchemyError as error:
            log.warning("the live directory could not be read: %s", type(error).__name__)
            return
        for connection in self._connections.values():
            if connection.outbox.close_code is None:
                connection.outbox.screen.show(self._directory.visible_trainings(connection.reader))
                if connection.reader.role == "helper":
                    self._check_helper(connection)

    def _check_helper(self, connection: Connection) -> None:
        """Take the seats from a helper that no patient's consent holds any more, and the media with them."""
        for live_session, participant in tuple(connection.joined.items()):
            channel = self._channels.get(live_session)
            seats = () if channel is None else channel.snapshot["participants"]
            patients = [UUID(seat["patient_id"]) for seat in seats if seat["id"] == str(participant)]
            if all(self._directory.may_join(connection.reader, patient) for patient in patients):
                continue
            self._forget_member(connection, live_session)
            leave = {"type": "leave", "connection": connection.id}
            self._spawn(self._command_quietly(live_session, participant, leave))
            connection.outbox.say(messages.make_bye("revoked", live_session=live_session))

    async def _check_logins(self) -> None:
        """Close the sockets of logins that have ended; those that take part in training do not end meanwhile."""
        login_ids = tuple(self._connections)
        now_ns = self._clock.monotonic_ns()
        training = [
            connection
            for connection in self._connections.values()
            if (connection.joined or self._directory.trains(connection.reader))
            and (connection.kept_alive_ns is None or now_ns - connection.kept_alive_ns >= KEEP_ALIVE_INTERVAL_NS)
        ]

        def look() -> list[UUID]:
            now = utc_now(self._clock)
            if training:
                with writing(self._database.main, owner=ROLE) as db:
                    keep_alive(db, [connection.reader.login_id for connection in training], now)
            with reading(self._database.main) as db:
                return find_ended(db, login_ids, now)

        try:
            ended = await asyncio.to_thread(look)
        except SQLAlchemyError as error:
            log.warning("logins could not be read: %s", type(error).__name__)
            return
        for connection in training:
            connection.kept_alive_ns = now_ns
        for login_id in ended:
            self._revoke(login_id)

    async def _command_quietly(
        self, live_session: UUID, participant: UUID | None, command: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Send a command whose failure mends itself; return None then."""
        try:
            return await self._media.command(live_session, participant, command)
        except (MediaUnavailableError, MediaRefusedError) as error:
            log.info("live session %s: %s: %s", live_session, command["type"], error)
            return None

    def _spawn(self, work: Coroutine[Any, Any, object]) -> asyncio.Task[None]:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task


def _iso_or_none(at_us: int | None) -> str | None:
    return None if at_us is None else from_us(at_us).isoformat()


def _to_command(message: messages.ChannelMessage) -> dict[str, Any]:
    """Return the worker's command for a page's message."""
    match message:
        case messages.Publish(sdp=sdp) | messages.SubscribeSdp(sdp=sdp):
            fields: dict[str, Any] = {"sdp": sdp}
        case messages.Subscribe(audio=audio, video=video):
            fields = {"audio": audio, "video": video}
        case messages.Bind(slot=slot, source=source):
            fields = {"slot": slot, "source": None if source is None else str(source)}
        case (
            messages.Admit(participant=chosen)
            | messages.Focus(participant=chosen)
            | messages.TalkTo(participant=chosen)
        ):
            fields = {"participant": None if chosen is None else str(chosen)}
        case messages.Help(on=on) | messages.Pause(on=on):
            fields = {"on": on}
        case messages.Text(text=text):
            fields = {"text": text}
        case _:
            fields = {}
    return {"type": message.type, **fields}


def _request_id(connection: Connection, message: messages.ChannelMessage) -> str | None:
    """Return the id under which the worker remembers a request.

    A long id is unique over the sockets of a login, so a page may repeat a request on its next socket; a short one may
    be a counter that begins anew, so it counts within its socket.
    """
    if message.request_id is None:
        return None
    is_unique = len(message.request_id) >= UNIQUE_REQUEST_ID_CHARS
    scope = str(connection.reader.login_id) if is_unique else connection.id
    return f"{scope}:{message.live_session}:{message.request_id}"
