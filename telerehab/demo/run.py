"""Run the demonstration: all roles, a clinic, simulated homes, and an account at the end."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx2

from telerehab.api.helpers import INVITATION_PREFIX
from telerehab.auth.key_ring import open_key_ring
from telerehab.clock import SystemClock, utc_now
from telerehab.db.engine import Database, open_database
from telerehab.db.migrate import upgrade
from telerehab.demo.captions import care_caption, intake_caption, scene_caption
from telerehab.demo.care_report import CareReport
from telerehab.demo.care_scene import CareDoors, CareScene
from telerehab.demo.certificates import Certificates, make_certificates
from telerehab.demo.clinic import (
    CLINIC_HOST,
    HELP_TELEPHONE,
    HELPER_HOST,
    STRANGER_HOST,
    VERA_BIRTH_DATE,
    VERA_HOST,
    VERA_NAME,
    Clinic,
    DemoHome,
    host_names,
    make_clinic,
)
from telerehab.demo.control import serve_control
from telerehab.demo.errors import NoNetworkAddressError, NotReadyError, PagesMissingError, PortTakenError
from telerehab.demo.folder import demo_folder
from telerehab.demo.homes_plan import Home, HomesPlan
from telerehab.demo.intake_scene import IntakeScene
from telerehab.demo.observer import Observer
from telerehab.demo.portal import Portal, create_live_session, enter, open_training_session
from telerehab.demo.report import DemoReport, HomeReport, report_home
from telerehab.demo.usage import ProcessUsage
from telerehab.errors import ChildFailedError
from telerehab.roles import Role
from telerehab.settings import Settings
from telerehab.supervision import Child, Supervisor, role_child
from telerehab.web.pages import missing_pages

LOOPBACK: Final = "127.0.0.1"
READY_TIMEOUT_S: Final = 60.0
SIMULATOR_STOP_S: Final = 60.0  # it goes on while answers come
ANY_EXIT_CODE: Final = frozenset(range(-64, 256))
AUTOMATIC: Final = "auto"


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoOptions:
    """What the person who runs the demonstration chose."""

    homes: int = 4
    port: int = 8000
    seconds: float | None = None
    """Ends by itself after this time; None: on a signal."""
    lan: str | None = None
    """An address of this machine for tablets on the network, `auto` to find one; None: loopback only."""
    folder: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Links:
    """One-time links to print."""

    staff: dict[str, str]
    """The therapist first."""
    tablets: dict[str, str]
    helper: str
    authority: Path | None


async def run_demo(
    options: DemoOptions, *, say: Callable[[str], None], show_links: Callable[[Links], None]
) -> DemoReport:
    """Run until the time is over or a signal comes; return the account.

    Raises
    ------
    DemoError
        It cannot start; the message is one plain sentence.
    """
    for page in missing_pages():
        raise PagesMissingError(page)
    address = _find_address(options.lan) if options.lan else LOOPBACK
    _check_port(address, options.port)
    told_to_stop = _stop_event()
    with demo_folder(options.folder) as folder:
        say(f"Setting up the clinic in {folder}")
        certificates = _certificates(folder, address, options.homes) if options.lan else None
        settings = _settings(options, folder, address=address, certificates=certificates)
        await asyncio.to_thread(upgrade, settings)
        database = open_database(settings)
        clinic = await asyncio.to_thread(
            make_clinic, database, key_ring=open_key_ring(settings), homes=options.homes, now=utc_now(SystemClock())
        )
        say(f"Starting {', '.join(Role)}")
        try:
            async with _roles(settings, folder) as roles:
                report = await _run_scene(options, settings, clinic, roles, database, told_to_stop, say, show_links)
        finally:
            database.close()
        return report


async def _run_scene(
    options: DemoOptions,
    settings: Settings,
    clinic: Clinic,
    roles: Supervisor,
    database: Database,
    told_to_stop: asyncio.Event,
    say: Callable[[str], None],
    show_links: Callable[[Links], None],
) -> DemoReport:
    """Let the homes train and the observer watch; account for all of it."""
    folder = settings.data_dir
    watch = await _enter(settings, CLINIC_HOST, clinic.observer_token)
    live_session = await create_live_session(
        watch, title=clinic.live_session_title, patient_ids=[home.patient_id for home in clinic.homes]
    )
    await _open_training_sessions(settings, clinic, live_session)
    observer = Observer(watch)
    scene = CareScene(await _care_doors(settings, clinic), planned_s=options.seconds)
    intake = IntakeScene(
        pid_of_intake=lambda: roles.pids().get(Role.INGEST), count_values=lambda: len(observer.arrival_age_ms)
    )
    simulator = Supervisor([_simulator_child(folder, clinic, settings)], stop_timeout_s=SIMULATOR_STOP_S)
    homes = Supervisor([_homes_child(folder, clinic, settings, live_session)])
    started_s = time.monotonic()
    usage = ProcessUsage()
    async with homes, simulator, serve_control(intake) as control:
        children = {**roles.pids(), **simulator.pids(), **homes.pids()}
        usage.begin(children)
        watching, playing = asyncio.create_task(observer.run()), asyncio.create_task(scene.run())
        killing = asyncio.create_task(intake.run(options.seconds))
        show_links(_links(settings, clinic))
        for line in care_caption(options.seconds):
            say(line)
        for line in intake_caption(options.seconds, control):
            say(line)
        say(scene_caption(len(clinic.homes)))
        await _wait_for_the_end(options.seconds, told_to_stop, roles)
        say("Ending: the homes stop, what is still on the way is stored")
        processes = usage.end()
        seconds = time.monotonic() - started_s
        for task in (watching, killing):
            task.cancel()
        await asyncio.gather(watching, killing, return_exceptions=True)
        care = await _end_care(scene, playing, was_told_to_end=told_to_stop.is_set(), say=say)
        await simulator.stop()
    sent = _read_sent_counts(folder / "simulator.log")
    return DemoReport(
        seconds=round(seconds, 1),
        homes=[await asyncio.to_thread(_report_home, home, folder, database, sent, observer) for home in clinic.homes],
        age_ms=observer.age_quantiles_ms(),
        processes=processes,
        restarts=roles.restart_counts(),
        intake_kills=intake.kills,
        care=care,
    )


async def _end_care(
    scene: CareScene, playing: asyncio.Task[None], *, was_told_to_end: bool, say: Callable[[str], None]
) -> CareReport:
    """End the care scene wherever it is, and account for it."""
    playing.cancel()
    (broken,) = await asyncio.gather(playing, return_exceptions=True)
    if isinstance(broken, Exception):
        say(f"The care scene broke: {type(broken).__name__}")
    return scene.report(was_told_to_end=was_told_to_end)


def _stop_event() -> asyncio.Event:
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    return told_to_stop


def _find_address(lan: str) -> str:
    if lan != AUTOMATIC:
        return lan
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # a documentation address: nothing is sent, only a route is chosen
        except OSError as error:
            raise NoNetworkAddressError from error
        return str(probe.getsockname()[0])


def _check_port(address: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise PortTakenError(port) from error


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _certificates(folder: Path, address: str, homes: int) -> Certificates:
    names = host_names(homes)  # no browser accepts *.localhost
    return make_certificates(folder, hosts=[address, LOOPBACK, "localhost", *names], now=utc_now(SystemClock()))


def _settings(options: DemoOptions, folder: Path, *, address: str, certificates: Certificates | None) -> Settings:
    return Settings(
        data_dir=folder,
        mqtt_port=_free_port(),
        web_host=address,
        web_port=options.port,
        public_hosts=[address, "localhost", "*.localhost"],
        tls_certificate=certificates.certificate if certificates else None,
        tls_key=certificates.key if certificates else None,
        media_address=address,
        demo=True,
        dev=True,
    )


@contextlib.asynccontextmanager
async def _roles(settings: Settings, folder: Path) -> AsyncIterator[Supervisor]:
    """Run all roles; their logs go to files in the folder."""
    children = [
        role_child(
            settings,
            role,
            is_ready=(lambda: _is_ready(settings)) if role is Role.WEB else None,
            output=folder / f"{role}.log",
        )
        for role in Role
    ]
    async with Supervisor(children) as supervisor:
        try:
            await supervisor.wait_ready(READY_TIMEOUT_S)
        except ChildFailedError as error:
            raise NotReadyError(READY_TIMEOUT_S, f"{error}; {_last_words(folder, error.name)}") from error
        yield supervisor


def _is_ready(settings: Settings) -> bool:
    """Ask the web role whether everything is well."""
    try:
        response = httpx2.get(
            f"{settings.scheme}://{settings.web_host}:{settings.web_port}/readyz",
            headers={"Host": f"{_host(settings, CLINIC_HOST)}:{settings.web_port}"},
            verify=False,  # only asks whether it is up; nothing secret is sent
            timeout=2.0,
            trust_env=False,
        )
    except httpx2.HTTPError:
        return False
    return response.status_code == httpx2.codes.OK


def _last_words(folder: Path, role: str) -> str:
    log = folder / f"{role}.log"
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"


def _host(settings: Settings, name: str) -> str:
    """Return the host name of a page: its own on this machine, the one address on a network."""
    return name if settings.web_host == LOOPBACK else settings.web_host


async def _enter(settings: Settings, host: str, token: str) -> Portal:
    return await enter(
        address=settings.web_host,
        port=settings.web_port,
        host=_host(settings, host),
        authority=_authority(settings),
        token=token,
    )


def _authority(settings: Settings) -> Path | None:
    return settings.data_dir / "authority.pem" if settings.scheme == "https" else None


async def _care_doors(settings: Settings, clinic: Clinic) -> CareDoors:
    care = clinic.care
    return CareDoors(
        patient_id=care.patient_id,
        tablet=await _enter(settings, VERA_HOST, care.tablet_token),
        therapist=await _enter(settings, CLINIC_HOST, care.therapist_token),
        stranger=await _enter(settings, STRANGER_HOST, care.stranger_token),
        planted=care.planted,
        name=VERA_NAME,
        birth_date=VERA_BIRTH_DATE.isoformat(),
        telephone=HELP_TELEPHONE,
    )


async def _open_training_sessions(settings: Settings, clinic: Clinic, live_session: UUID) -> None:
    for home in clinic.homes:
        portal = await _enter(settings, home.host, home.opener_token)
        await open_training_session(
            portal,
            home.training_session_id,
            patient_id=home.patient_id,
            exercise=home.exercise,
            side=home.side,
            live_session_id=live_session,
        )


def _simulator_child(folder: Path, clinic: Clinic, settings: Settings) -> Child:
    homes_file = folder / "homes.json"
    _write_private(homes_file, json.dumps({"homes": [home.as_simulated() for home in clinic.homes]}))
    truth = folder / "truth"
    truth.mkdir(exist_ok=True)
    return Child(
        name="simulator",
        arguments=(
            *(sys.executable, "-m", "firmware_sim"),
            *("--broker", f"{LOOPBACK}:{settings.mqtt_port}"),
            *("--homes", str(homes_file), "--truth", str(truth)),
        ),
        gives_up_on=ANY_EXIT_CODE,
        output=folder / "simulator.log",
    )


def _homes_child(folder: Path, clinic: Clinic, settings: Settings, live_session: UUID) -> Child:
    authority = _authority(settings)
    plan = HomesPlan(
        address=settings.web_host,
        port=settings.web_port,
        authority=str(authority) if authority else None,
        live_session=live_session,
        media_address=settings.media_address,
        homes=tuple(
            Home(
                name=home.name,
                host=_host(settings, home.host),
                token=home.tablet_token,
                pose_file=str(folder / "truth" / f"{home.name}.pose.bin"),
            )
            for home in clinic.homes
        ),
    )
    plan_file = folder / "homes-plan.json"
    _write_private(plan_file, plan.to_json())
    return Child(
        name="homes",
        arguments=(sys.executable, "-m", "telerehab.demo.homes", str(plan_file)),
        gives_up_on=ANY_EXIT_CODE,
        output=folder / "homes.log",
    )


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _links(settings: Settings, clinic: Clinic) -> Links:
    def link(host: str, token: str) -> str:
        return f"{settings.scheme}://{_host(settings, host)}:{settings.web_port}/enter#{token}"

    return Links(
        staff={
            "therapist": link(CLINIC_HOST, clinic.therapist_token),
            **{each.name: link(each.host, each.token) for each in clinic.staff},
        },
        tablets={
            **{home.name: link(home.host, home.page_token) for home in clinic.homes},
            clinic.vera.name: link(clinic.vera.host, clinic.vera.token),
        },
        helper=link(HELPER_HOST, f"{INVITATION_PREFIX}{clinic.invitation_token}"),
        authority=_authority(settings),
    )


async def _wait_for_the_end(seconds: float | None, told_to_stop: asyncio.Event, roles: Supervisor) -> None:
    failure = asyncio.create_task(roles.wait_given_up())
    signal_came = asyncio.create_task(told_to_stop.wait())
    done, pending = await asyncio.wait({failure, signal_came}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    if failure in done:
        name, exit_code = failure.result()
        raise NotReadyError(0, f"{name} ended with exit code {exit_code}")


def _read_sent_counts(log: Path) -> dict[str, int]:
    """Return how many blocks each device sent, from the simulator's closing line."""
    for line in reversed(_lines(log)):
        if line.startswith("{"):
            summary = json.loads(line)
            return {name: int(device["sent"]) for name, device in summary["devices"].items()}
    return {}


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []


def _report_home(
    home: DemoHome, folder: Path, database: Database, sent: dict[str, int], observer: Observer
) -> HomeReport:
    return report_home(
        home.name,
        devices=[device.name for device in home.devices],
        training_session=home.training_session_id,
        truth=folder / "truth",
        database=database,
        sent=sum(sent.get(device.name, 0) for device in home.devices),
        seen=observer.angles[home.training_session_id],
    )
