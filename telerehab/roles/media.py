"""The media role: forwards audio and video, and owns the live sessions that it hosts. uvloop; never NumPy on its loop.

Start: register address and secret in table `worker`, take over live sessions whose worker is gone, serve commands.
The end of the broker, of the web role or of the database ends no live session: events wait for their rows, people keep
their seats, media flows on.
"""

import asyncio
import contextlib
import logging
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from typing import Final
from uuid import UUID

import httpx2
import uvicorn
import uvloop
from sqlalchemy.exc import SQLAlchemyError

from devices.broker_client import BrokerClient
from sessions.media.aiortc_engine import AiortcEngine
from sessions.media.compat import Addresses
from sessions.media.engine import MediaEngine
from telerehab.clock import Clock, SystemClock
from telerehab.db.engine import open_database
from telerehab.db.migrate import is_database_at_head
from telerehab.db.workers import BEAT_INTERVAL_S, Heartbeat
from telerehab.live.host import LiveHost
from telerehab.live.media_control import create_control_app
from telerehab.live.media_protocol import HEALTH_PATH, SECRET_HEADER
from telerehab.live.store import OWNER, LiveStore
from telerehab.plain_http import make_plain_client
from telerehab.roles.process import set_up_logging, settle
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS, TaskSupervisor

log = logging.getLogger(__name__)

CONTROL_HOST: Final = "127.0.0.1"
BROKER_TEND_S: Final = 0.25
ALIVE_TIMEOUT_S: Final = 0.5
STOP_TIMEOUT_S: Final = 5.0
EXIT_OK: Final = 0
EXIT_CONTROL_ENDED: Final = 1


def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT; return the exit code."""
    set_up_logging(settings, role="media")
    try:
        addresses = media_addresses(settings)
    except OSError as error:
        log.error("No own address leads to the media address %s: %s", settings.media_address, error.strerror)
        return EXIT_SETTINGS
    settle()
    return run_with(settings, make_engine=lambda: AiortcEngine(addresses))


def run_with(settings: Settings, *, make_engine: Callable[[], MediaEngine]) -> int:
    """Run with another engine; it is made inside the event loop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(settings, make_engine))


async def _serve(settings: Settings, make_engine: Callable[[], MediaEngine]) -> int:
    clock, secret = SystemClock(), secrets.token_hex(32)
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with contextlib.AsyncExitStack() as opened:
        database = open_database(settings)
        opened.callback(database.close)
        if not await asyncio.to_thread(is_database_at_head, database):
            log.error("The database has another version than this program: run `telerehab migrate`")
            return EXIT_SETTINGS
        try:
            listener = socket.create_server((CONTROL_HOST, settings.media_control_port))
        except OSError:
            log.error("Port %d of %s is in use", settings.media_control_port, CONTROL_HOST)
            return EXIT_SETTINGS
        opened.callback(listener.close)
        address = f"http://{CONTROL_HOST}:{listener.getsockname()[1]}"
        row = Heartbeat(database.main, role=OWNER, clock=clock, address=address, secret=secret)
        store = LiveStore(database, worker_id=row.id)
        broker = _connect_broker(settings)
        opened.callback(broker.close)
        host = LiveHost(engine=make_engine(), store=store, clock=clock, publish=broker.publish, is_alive=is_alive)
        opened.push_async_callback(host.aclose)
        server = _ControlServer(_control_config(host, secret))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        opened.push_async_callback(_stop_serving, server, serving)
        tasks = TaskSupervisor()
        opened.push_async_callback(tasks.close)
        living = await _forget_the_dead(store)
        await asyncio.to_thread(row.register)
        opened.push_async_callback(_remove, row)
        adopted_count = await host.adopt_orphans(living=living)
        log.info("media worker %s on %s, took over %d live sessions", row.id, address, adopted_count)
        tasks.start("ticks", host.run_ticks)
        tasks.start("rows", host.run_writer)
        tasks.start("heartbeat", lambda: _keep_beating(row, host))
        tasks.start("broker", lambda: _tend(broker, clock))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        return EXIT_OK if stopped.is_set() else EXIT_CONTROL_ENDED


def media_addresses(settings: Settings) -> Addresses:
    """Return where media is received: the announced address itself, or, behind 1:1 NAT, this machine's own one.

    Raises
    ------
    OSError
        The announced address is not ours, and no own address leads there.
    """
    announced = settings.media_address
    family = socket.AF_INET6 if ":" in announced else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((announced, 0))
        except OSError:
            probe.connect((announced, 9))  # sends nothing: asks the kernel which own address leads there
            own = str(probe.getsockname()[0])
            return Addresses(bind=(own,), announce={own: announced})
    return Addresses(bind=(announced,))


async def is_alive(address: str, secret: str) -> bool:
    """Tell whether a media worker answers."""
    try:
        async with make_plain_client(timeout=ALIVE_TIMEOUT_S) as http:
            answer = await http.get(f"{address}{HEALTH_PATH}", headers={SECRET_HEADER: secret})
    except httpx2.HTTPError:
        return False
    return answer.status_code == httpx2.codes.OK


async def _forget_the_dead(store: LiveStore) -> frozenset[UUID]:
    """Take away the rows of media workers that do not answer; return those that do."""
    others = await asyncio.to_thread(store.other_workers)
    answers = await asyncio.gather(*(is_alive(other.address, other.secret) for other in others))
    living = frozenset(other.id for other, answered in zip(others, answers, strict=True) if answered)
    for other in others:
        if other.id not in living:
            await asyncio.to_thread(store.forget_worker, other.id)
    return living


async def _remove(row: Heartbeat) -> None:
    with contextlib.suppress(SQLAlchemyError):  # it grows old, and the next worker takes it away
        await asyncio.to_thread(row.remove)


async def _keep_beating(row: Heartbeat, host: LiveHost) -> None:
    """Say every two seconds that this worker lives."""
    while True:
        try:
            await asyncio.to_thread(row.beat, host.status)
        except SQLAlchemyError as error:
            log.warning("the worker's heartbeat could not be written: %s", type(error).__name__)
        await asyncio.sleep(BEAT_INTERVAL_S)


async def _tend(broker: BrokerClient, clock: Clock) -> None:
    while True:
        broker.tend(clock.monotonic_ns())
        broker.take()
        await asyncio.sleep(BROKER_TEND_S)


def _connect_broker(settings: Settings) -> BrokerClient:
    broker = BrokerClient(
        settings.mqtt_host, settings.mqtt_port, username="media", password=settings.mqtt_password("media")
    )
    broker.start()
    return broker


def _control_config(host: LiveHost, secret: str) -> uvicorn.Config:
    return uvicorn.Config(
        create_control_app(host, secret=secret),
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        timeout_graceful_shutdown=int(STOP_TIMEOUT_S),
    )


async def _stop_serving(server: uvicorn.Server, serving: asyncio.Task[None]) -> None:
    server.should_exit = True
    await serving


class _ControlServer(uvicorn.Server):
    """uvicorn without its signal handlers: the role has its own."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals alone."""
        yield
