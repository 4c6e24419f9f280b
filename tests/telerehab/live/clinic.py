"""A whole clinic for the tests of live sessions: real database, broker, media worker and web app, on loopback.

The parts run on the test's own event loop and speak through real sockets; only the engine forwards nothing.
"""

import asyncio
import contextlib
import json
import secrets
import shutil
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Self
from uuid import UUID, uuid4

import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Origin

from devices.broker_client import BrokerClient
from devices.embedded_broker import EmbeddedBroker
from sessions.feature_hub import FeatureHub
from telerehab.app import create_app
from telerehab.auth.device_credentials import SqlCredentials
from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.tokens import hash_token, new_token
from telerehab.clock import SystemClock, utc_now
from telerehab.db import provisioning, tables
from telerehab.db.engine import Database, open_database, writing
from telerehab.db.migrate import upgrade
from telerehab.db.workers import Heartbeat
from telerehab.live.host import LiveHost
from telerehab.live.media_client import MediaClient
from telerehab.live.media_control import create_control_app
from telerehab.live.store import LiveStore
from telerehab.roles.media import is_alive
from telerehab.settings import Settings
from telerehab.supervision import TaskSupervisor
from tests.sessions.null_engine import NullEngine

WAIT_S = 30.0
BEAT_S = 0.5


async def until(condition: Callable[[], object], *, what: str = "", wait_s: float = WAIT_S) -> None:
    """Wait for a real condition, with a deadline."""
    deadline_s = asyncio.get_running_loop().time() + wait_s
    while not condition():
        assert asyncio.get_running_loop().time() < deadline_s, f"not within {wait_s} s: {what}"
        await asyncio.sleep(0.01)


def unused_port() -> int:
    """A loopback port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: Any, **options: Any) -> AsyncIterator[int]:
    """Serve an ASGI app; give its port. The system keeps little for a peer that does not read."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_192)
        config = uvicorn.Config(
            app, log_config=None, access_log=False, ws="websockets-sansio", timeout_graceful_shutdown=1, **options
        )
        server = QuietServer(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await until(lambda: server.started or task.done(), what="server")
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


class BrokerThread:
    """The embedded broker on an event loop of its own, as in a process of its own."""

    def __init__(self, credentials: SqlCredentials) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._broker = EmbeddedBroker("127.0.0.1", 0, credentials=credentials)

    @property
    def port(self) -> int:
        return self._broker.port

    async def start(self) -> None:
        self._thread.start()
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._broker.start(), self._loop))

    async def stop(self) -> None:
        """End it; pages and worker have to live without."""
        if self._thread.is_alive():
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._broker.stop(), self._loop))
            self._loop.call_soon_threadsafe(self._loop.stop)
            await asyncio.to_thread(self._thread.join)
            self._loop.close()


@dataclass
class Worker:
    """A media worker in this process, with an engine that forwards nothing."""

    host: LiveHost
    engine: NullEngine
    row: Heartbeat
    port: int
    secret: str
    tasks: TaskSupervisor
    serving: contextlib.AsyncExitStack

    async def kill(self) -> None:
        """End it as a crash does: no good-bye, the row stays, what waits is lost."""
        await self.tasks.close()
        await self.serving.aclose()


@dataclass
class Clinic:
    """One therapist, some patients with a tablet each, everybody logged in."""

    settings: Settings
    database: Database
    organisation_id: UUID
    therapist_id: UUID
    patient_ids: list[UUID]
    tokens: dict[UUID, str]
    login_ids: dict[UUID, UUID]
    media: MediaClient
    web_port: int = 0
    broker: BrokerThread | None = None
    workers: list[Worker] = field(default_factory=list)
    hub: FeatureHub[UUID] = field(default_factory=FeatureHub)

    async def start_worker(self) -> Worker:
        """Start one more media worker."""
        engine = NullEngine(monotonic_ns=SystemClock().monotonic_ns)
        secret = secrets.token_hex(16)
        port = unused_port()
        row = Heartbeat(
            self.database.main, role="media", clock=SystemClock(), address=f"http://127.0.0.1:{port}", secret=secret
        )
        broker = self.broker_client("media") if self.broker is not None else None
        host = LiveHost(
            engine=engine,
            store=LiveStore(self.database, worker_id=row.id),
            clock=SystemClock(),
            publish=broker.publish if broker is not None else lambda topic, payload: None,
            is_alive=is_alive,
        )
        stack = contextlib.AsyncExitStack()
        if broker is not None:
            stack.push_async_callback(asyncio.to_thread, broker.close)
        server = QuietServer(
            uvicorn.Config(
                create_control_app(host, secret=secret),
                host="127.0.0.1",
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
        )
        task = asyncio.create_task(server.serve())

        async def stop() -> None:
            server.should_exit = server.force_exit = True
            await task

        stack.push_async_callback(stop)
        await until(lambda: server.started, what="control server")
        await asyncio.to_thread(row.register)
        tasks = TaskSupervisor()
        tasks.start("ticks", host.run_ticks)
        tasks.start("rows", host.run_writer)
        worker = Worker(host, engine, row, port, secret, tasks, stack)
        self.workers.append(worker)
        return worker

    def broker_client(self, role: str, subscriptions: tuple[str, ...] = ()) -> BrokerClient:
        client = BrokerClient(
            self.settings.mqtt_host,
            self.settings.mqtt_port,
            username=role,
            password=self.settings.mqtt_password(role),
            subscriptions=subscriptions,
        )
        client.start()
        return client

    async def create_live_session(self, *, auto_admit: bool = True, n_patients: int | None = None) -> UUID:
        return await self.media.create_live_session(
            organisation_id=self.organisation_id,
            therapist_account_id=self.therapist_id,
            title="Knee group",
            patient_ids=self.patient_ids[:n_patients],
            auto_admit=auto_admit,
        )

    def cookie(self, person: UUID) -> dict[str, str]:
        return {"Cookie": f"__Host-telerehab={self.tokens[person]}"}

    async def page(self, person: UUID, **options: Any) -> "Page":
        """Open the socket of somebody's page."""
        host = f"127.0.0.1:{self.web_port}"
        socket_ = await connect(
            f"ws://{host}/ws",
            origin=Origin(options.pop("origin", f"http://{host}")),
            additional_headers=options.pop("headers", self.cookie(person)),
            compression=None,
            ping_interval=None,
            proxy=None,
            **options,
        )
        return Page(socket_)

    def end_login(self, person: UUID) -> None:
        with writing(self.database.main, owner="web") as db:
            row = db.get_one(tables.Login, self.login_ids[person])
            row.revoked_at = utc_now(SystemClock())

    def open_training(self, patient_id: UUID, *, live_session_id: UUID | None = None) -> UUID:
        training = tables.TrainingSession(
            patient_id=patient_id,
            live_session_id=live_session_id,
            exercise="knee_extension_seated",
            side="right",
            target_low_deg=60,
            target_high_deg=90,
            target_repetitions=10,
            opened_at=utc_now(SystemClock()),
            opened_by=self.therapist_id,
        )
        with writing(self.database.main, owner="web") as db:
            db.add(training)
        return training.id


class Page:
    """What a browser page does with its socket: heartbeats, requests, and everything it was told."""

    def __init__(self, socket_: ClientConnection) -> None:
        self.socket = socket_
        self.states: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.qualities: list[dict[str, Any]] = []
        self.errors: list[dict[str, Any]] = []
        self.byes: list[str] = []
        self.frames: list[bytes] = []
        self.pong_count = 0
        self.last_beat_s = 0.0
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._reading = asyncio.create_task(self._read())
        self._beating = asyncio.create_task(self._beat())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    @property
    def state(self) -> dict[str, Any]:
        """The last state."""
        return self.states[-1] if self.states else {}

    @property
    def close_code(self) -> int | None:
        return self.socket.close_code

    @property
    def is_closed(self) -> bool:
        return self._reading.done()

    def participant(self, role: str, number: int = 0) -> dict[str, Any]:
        """A participant of the last state."""
        found: list[dict[str, Any]] = [p for p in self.state.get("participants", []) if p["role"] == role]
        return found[number] if number < len(found) else {}

    async def ask(
        self, type_name: str, live_session: UUID, *, request_id: str | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Send a request; return its reply or error."""
        request_id = request_id or str(uuid4())
        future = self._replies[request_id] = asyncio.get_running_loop().create_future()
        await self.send(type=type_name, id=request_id, live_session=str(live_session), **fields)
        return await asyncio.wait_for(future, WAIT_S)

    async def send(self, **fields: Any) -> None:
        await self.socket.send(json.dumps({"v": 1, **fields}))

    async def closed(self) -> None:
        """Wait until the server has closed the socket."""
        await asyncio.wait_for(asyncio.shield(self._reading), WAIT_S)

    def stop_beating(self) -> None:
        """Fall silent, as a page does whose network is gone."""
        self._beating.cancel()

    async def aclose(self) -> None:
        self._beating.cancel()
        await self.socket.close()
        await self._reading

    async def _beat(self) -> None:
        number = 0
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.last_beat_s = asyncio.get_running_loop().time()
                await self.send(type="ping", t=number)
                number += 1
                await asyncio.sleep(BEAT_S)

    async def _read(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in self.socket:
                if isinstance(message, bytes):
                    self.frames.append(message)
                else:
                    self._take(json.loads(message))

    def _take(self, message: dict[str, Any]) -> None:
        match message["type"]:
            case "reply" | "error":
                future = self._replies.get(message["re"] or "")
                if future is not None and not future.done():
                    future.set_result(message)
                elif message["type"] == "error":
                    self.errors.append(message)
            case "state":
                self.states.append(message["live_session"])
            case "event":
                self.events.append(message)
            case "quality":
                self.qualities.append(message)
            case "bye":
                self.byes.append(message["reason"])
            case "pong":
                self.pong_count += 1


def make_template(folder: Path) -> Path:
    """Return a folder with empty databases at the newest version, to be copied: migrating each test anew is slow."""
    upgrade(Settings(data_dir=folder))
    return folder


@contextlib.asynccontextmanager
async def open_clinic(
    folder: Path,
    template: Path,
    *,
    n_patients: int = 2,
    with_broker: bool = True,
    with_worker: bool = True,
    with_web: bool = True,
) -> AsyncIterator[Clinic]:
    """Run everything for one test."""
    shutil.copytree(template, folder, dirs_exist_ok=True)
    settings = Settings(data_dir=folder, public_hosts=["*.localhost"])
    async with contextlib.AsyncExitStack() as stack:
        database = open_database(settings)
        stack.callback(database.close)
        clinic = _provision(settings, database, n_patients=n_patients)
        if with_broker:
            credentials = SqlCredentials(database.main, settings)
            await asyncio.to_thread(credentials.refresh)
            clinic.broker = BrokerThread(credentials)
            await clinic.broker.start()
            stack.push_async_callback(clinic.broker.stop)
        mqtt_port = clinic.broker.port if clinic.broker is not None else unused_port()
        clinic.settings = settings = settings.model_copy(update={"mqtt_port": mqtt_port})

        stack.push_async_callback(clinic.media.aclose)

        async def end_workers() -> None:
            for worker in clinic.workers:
                await worker.kill()

        stack.push_async_callback(end_workers)
        if with_worker:
            await clinic.start_worker()
        if not with_web:
            yield clinic
            return
        app = create_app(settings)
        clinic.web_port = await stack.enter_async_context(serving(app, ws_max_size=64 * 1024))
        clinic.hub = app.state.live_fanout.hub
        yield clinic


def _provision(settings: Settings, database: Database, *, n_patients: int) -> Clinic:
    now, key_ring = utc_now(SystemClock()), open_key_ring(settings)
    tokens, login_ids = {}, {}
    with writing(database.main, owner="web") as db:
        organisation = provisioning.create_organisation(db, name="Clinic")
        therapist = provisioning.create_account(
            db, organisation_id=organisation.id, email="mette@clinic.example", display_name="Mette"
        )
        holders: dict[UUID, dict[str, UUID]] = {therapist.id: {"account_id": therapist.id}}
        patient_ids = []
        for number in range(n_patients):
            patient = provisioning.create_patient(
                db, key_ring=key_ring, organisation_id=organisation.id, name=f"Patient {number}"
            )
            provisioning.create_care_relation(db, account_id=therapist.id, patient_id=patient.id, starts_at=now)
            tablet = provisioning.create_tablet(db, patient_id=patient.id)
            holders[patient.id] = {"tablet_id": tablet.id}
            patient_ids.append(patient.id)
        for person, holder in holders.items():
            tokens[person] = new_token()
            login = tables.Login(
                account_id=holder.get("account_id"),
                tablet_id=holder.get("tablet_id"),
                token_hash=hash_token(tokens[person]),
                created_at=now,
                last_seen_at=now,
                expires_at=now + timedelta(hours=1),
            )
            db.add(login)
            login_ids[person] = login.id
    return Clinic(
        settings=settings,
        database=database,
        organisation_id=organisation.id,
        therapist_id=therapist.id,
        patient_ids=patient_ids,
        tokens=tokens,
        login_ids=login_ids,
        media=MediaClient(settings, database),
    )
