"""A small clinic of real processes: broker, roles and simulated homes on free ports, over a database in a folder.

For chaos, integration and browser tests. Everything that was started ends with the `with` block, by its own pid.
"""

import getpass
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

import numpy as np
from sqlalchemy import text
from sqlmodel import select

from devices.broker_client import BrokerClient
from devices.mosquitto_files import LOOPBACK, SETTINGS_FILE, MosquittoPlan
from devices.wire import HEADER_SIZE
from telerehab.auth.key_ring import open_key_ring
from telerehab.broker_files import MosquittoFiles
from telerehab.db import provisioning
from telerehab.db.engine import Database, open_database, reading, writing
from telerehab.db.migrate import upgrade
from telerehab.db.tables import TrainingSession, Worker
from telerehab.live_frame import decode_live_frame
from telerehab.settings import Settings
from tests.conftest import find_program

ROOT: Final = Path(__file__).resolve().parents[2]
TRUTH_BLOCK_DTYPE: Final = np.dtype(
    [("boot", "<u4"), ("sequence", "<u4"), ("n_samples", "<u2"), ("t0_us", "<u8"), ("digest", "S16")]
)
SPARE_DEVICE: Final = "spare"
"""A known device that no simulated home has: tests speak in its name."""
START_TIMEOUT_S: Final = 60.0
PATIENCE: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """A patient with sensors and an open training session."""

    name: str
    patient_id: UUID
    training_session_id: UUID
    devices: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredBlock:
    """What is compared of a block: its key and the digest of its rows."""

    device: str
    boot: int
    stream: str
    sequence: int
    digest: bytes


@dataclass(kw_only=True, slots=True)
class LiveWatch:
    """What the live frames say of one training session, as they come."""

    ages_ms: list[int] = field(default_factory=list)
    repetitions: list[int] = field(default_factory=list)
    phases: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    heart_rates: list[int] = field(default_factory=list)


class World:
    """Settings, database and processes of one test.

    Parameters
    ----------
    folder : Path
        For database, truth and logs.
    n_homes : int
        Patients, each with movement sensors and a heart-rate strap.
    exercise : str
    sites : sequence of str
        Where the movement sensors are worn.
    database_url : str
        Default: SQLite in the folder.
    ingest_client_id : str
        Under it Mosquitto keeps for ingest what it has not committed; default: nothing is kept.
    """

    def __init__(
        self,
        folder: Path,
        *,
        n_homes: int = 1,
        exercise: str = "knee_extension_seated",
        sites: Sequence[str] = ("thigh_right", "shank_right"),
        database_url: str = "",
        ingest_client_id: str = "",
    ) -> None:
        self.folder = folder
        self.truth = folder / "truth"
        self.exercise = exercise
        self.sites = sites
        self.settings = Settings(
            data_dir=folder / "data",
            database_url=database_url,
            mqtt_port=free_port(),
            ingest_client_id=ingest_client_id,
            web_port=free_port(),
            media_control_port=0,
            dev=True,
        )
        self.device_port = self.settings.mqtt_port  # with Mosquitto another one
        upgrade(self.settings)
        self.settings.secret_for("test")  # makes the key before several roles ask for it
        self.database: Database = open_database(self.settings)
        self.homes_file = folder / "homes.json"
        self.passwords: dict[str, str] = {}
        self.homes = self._seed(n_homes)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        self.database.close()
        if kind is not None:
            for log in sorted(self.folder.glob("*.log")):
                sys.stderr.write(f"--- {log.name}\n{log.read_text(errors='replace')[-4_000:]}\n")

    # --- processes ---------------------------------------------------------------------------------------------------

    def start_role(self, role: str) -> subprocess.Popen[bytes]:
        """Start a role as its own process and wait until it beats."""
        started_at = datetime.now(UTC)
        process = self._start(role, [sys.executable, "-m", "telerehab.roles", role])
        wait_until(lambda: process.poll() is not None or self._is_beating(role, started_at), timeout_s=START_TIMEOUT_S)
        assert process.poll() is None, f"{role} ended with {process.returncode}"
        if role == "broker":
            wait_until(self._is_broker_listening, timeout_s=START_TIMEOUT_S)
        return process

    def start_mosquitto(self) -> subprocess.Popen[bytes]:
        """Start Debian's broker with the files that we render: loopback, nothing kept over its own restart."""
        program = find_program("mosquitto")
        assert program is not None
        if self.device_port == self.settings.mqtt_port:
            self.device_port = free_port()
        plan = MosquittoPlan(
            folder=self.folder / "mosquitto",
            device_port=self.device_port,
            role_port=self.settings.mqtt_port,
            tls=None,
            device_address=LOOPBACK,
            run_as=getpass.getuser(),
        )
        MosquittoFiles(self.settings, plan).write(self.database)
        process = self._start("mosquitto", [program, "-c", str(plan.folder / SETTINGS_FILE)])
        wait_until(self._is_broker_listening, timeout_s=START_TIMEOUT_S)
        return process

    def start_simulator(self, *, seconds: float | None = None, options: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """Start the simulated homes."""
        arguments = [sys.executable, "-m", "firmware_sim", "--broker", f"127.0.0.1:{self.device_port}"]
        arguments += ["--homes", str(self.homes_file), "--truth", str(self.truth), "--seed", "5", *options]
        if seconds is not None:
            arguments += ["--seconds", str(seconds)]
        return self._start("simulator", arguments)

    def kill(self, name: str) -> None:
        """SIGKILL a process: no goodbye."""
        self.processes[name].kill()
        self.processes[name].wait()

    def stop(self, name: str, *, timeout_s: float = 15.0) -> int:
        """SIGTERM a process; return its exit code."""
        self.processes[name].send_signal(signal.SIGTERM)
        return self.processes[name].wait(PATIENCE * timeout_s)

    def wait_for_end(self, name: str, *, timeout_s: float) -> int:
        """Return the exit code of a process that ends by itself."""
        return self.processes[name].wait(timeout_s)

    def output_of(self, name: str) -> str:
        """Return what a process said on standard output."""
        return (self.folder / f"{name}.out").read_text()

    def resident_bytes(self, name: str) -> int:
        """Return the memory that a process holds now."""
        status = Path(f"/proc/{self.processes[name].pid}/status").read_text()
        kibibytes = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kibibytes) * 1024

    def _start(self, name: str, arguments: Sequence[str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log, (self.folder / f"{name}.out").open("wb") as output:
            self.processes[name] = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={**os.environ, **self.settings.as_environment(), "OMP_NUM_THREADS": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            )
        return self.processes[name]

    def _is_beating(self, role: str, started_at: datetime) -> bool:
        with reading(self.database.main) as db:
            return any(worker.role == role and worker.started_at >= started_at for worker in db.exec(select(Worker)))

    def _is_broker_listening(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.settings.mqtt_port)) == 0

    # --- what the database and the truth say -------------------------------------------------------------------------

    def worker_status(self, role: str = "ingest") -> dict[str, Any]:
        """Return what the newest process of a role tells of itself."""
        with reading(self.database.main) as db:
            workers = [worker for worker in db.exec(select(Worker)) if worker.role == role]
        return max(workers, key=lambda worker: worker.started_at).status if workers else {}

    def stored_blocks(self) -> set[StoredBlock]:
        """Return all blocks of the hot store."""
        with reading(self.database.hot) as db:
            rows = db.connection().execute(text("SELECT device, boot, stream, sequence, payload FROM block")).all()
        return {StoredBlock(device=d, boot=b, stream=s, sequence=q, digest=digest_of(p)) for d, b, s, q, p in rows}

    def true_blocks(self) -> set[StoredBlock]:
        """Return all blocks that the simulated devices made, by the files that they never send."""
        blocks = set()
        for file in sorted(self.truth.glob("*.blocks.bin")):
            device = file.name.removesuffix(".blocks.bin")
            stream = (self.truth / f"{device}.stream.txt").read_text().strip()
            for row in np.fromfile(file, TRUTH_BLOCK_DTYPE):
                digest = bytes(row["digest"]).ljust(16, b"\0")
                blocks.add(
                    StoredBlock(
                        device=device,
                        boot=int(row["boot"]),
                        stream=stream,
                        sequence=int(row["sequence"]),
                        digest=digest,
                    )
                )
        return blocks

    def true_repetitions(self, home: Home) -> list[dict[str, Any]]:
        """Return the repetitions that a home has made so far, by its truth file."""
        file = self.truth / f"{home.name}.repetitions.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def stored_repetition_count(self, home: Home) -> int:
        """Return how many repetitions the database has of a home."""
        with reading(self.database.main) as db:
            statement = text("SELECT count(*) FROM repetition WHERE training_session_id = :id")
            return int(db.connection().execute(statement, {"id": home.training_session_id.hex}).scalar_one())

    def log_of(self, name: str) -> str:
        """Return what a process has logged."""
        return (self.folder / f"{name}.log").read_text()

    def stored_block_count(self) -> int:
        """Return how many blocks the hot store has."""
        with reading(self.database.hot) as db:
            return int(db.connection().execute(text("SELECT count(*) FROM block")).scalar_one())

    @contextmanager
    def watch_live(self) -> Iterator[dict[UUID, LiveWatch]]:
        """Gather the live frames, as the web role gets them, while the block runs; reading takes in what has come."""
        seen: dict[UUID, LiveWatch] = {home.training_session_id: LiveWatch() for home in self.homes}
        client = BrokerClient(
            "127.0.0.1",
            self.settings.mqtt_port,
            username="web",
            password=self.settings.mqtt_password("web"),
            subscriptions=("live/1/#",),
        )
        watch = _WatchingClient(client, seen)
        client.start()
        wait_until(lambda: client.is_subscribed, timeout_s=START_TIMEOUT_S)
        try:
            yield watch
        finally:
            client.close()

    def _seed(self, n_homes: int) -> list[Home]:
        """Make the clinic, and the file that tells the simulator its part."""
        now, key_ring = datetime.now(UTC), open_key_ring(self.settings)
        homes: list[Home] = []
        for_simulator: list[dict[str, Any]] = []
        with writing(self.database.main, owner="web") as db:
            clinic = provisioning.create_organisation(db, name="clinic")
            spare = provisioning.create_device(db, organisation_id=clinic.id, name=SPARE_DEVICE, kind="imu6")
            self.passwords[SPARE_DEVICE] = spare.password
            therapist = provisioning.create_account(
                db, organisation_id=clinic.id, email="therapist@clinic.example", display_name="Therapist"
            )
            for number in range(1, n_homes + 1):
                name = f"home{number}"
                patient = provisioning.create_patient(
                    db, key_ring=key_ring, organisation_id=clinic.id, name=f"Patient {number}"
                )
                provisioning.create_care_relation(db, account_id=therapist.id, patient_id=patient.id, starts_at=now)
                kit = provisioning.create_kit(db, organisation_id=clinic.id, name=name, shard=number % 64)
                devices: list[dict[str, Any]] = []
                for site, kind in (*((site, "imu6") for site in self.sites), (None, "heart")):
                    device_name = f"{name}-{site.partition('_')[0] if site else 'heart'}"
                    made = provisioning.create_device(
                        db, organisation_id=clinic.id, name=device_name, kind=kind, kit_id=kit.id
                    )
                    provisioning.assign_device(
                        db, device_name=device_name, patient_id=patient.id, body_site=site, starts_at=now
                    )
                    self.passwords[device_name] = made.password
                    stream = {"stream": "imu", "site": site} if site else {"stream": "heart"}
                    devices.append({"name": device_name, "password": made.password, "kind": kind, **stream})
                training_session = TrainingSession(
                    patient_id=patient.id,
                    exercise=self.exercise,
                    side="right",
                    opened_at=now,
                    opened_by=therapist.id,
                )
                db.add(training_session)
                db.flush()
                homes.append(
                    Home(
                        name=name,
                        patient_id=patient.id,
                        training_session_id=training_session.id,
                        devices=tuple(device["name"] for device in devices),
                    )
                )
                for_simulator.append(
                    {
                        "home": name,
                        "shard": kit.shard,
                        "exercise": self.exercise,
                        "side": "right",
                        "repetitions": None,
                        "start_at": None,
                        "devices": devices,
                    }
                )
        self.homes_file.touch(mode=0o600)
        self.homes_file.write_text(json.dumps({"homes": for_simulator}))
        return homes


class _WatchingClient(dict[UUID, LiveWatch]):
    """The watched training sessions; reading one takes in what has arrived."""

    def __init__(self, client: BrokerClient, seen: dict[UUID, LiveWatch]) -> None:
        super().__init__(seen)
        self._client = client

    def __getitem__(self, training_session: UUID) -> LiveWatch:
        self._client.tend(time.monotonic_ns())
        for raw in self._client.take():
            _, entries = decode_live_frame(raw.payload)
            for entry in entries:
                watch = self.get(UUID(bytes=entry["training_session"].tobytes()))
                if watch is not None:
                    watch.ages_ms.append(int(entry["age_ms"]))
                    watch.repetitions.append(int(entry["repetitions"]))
                    watch.phases.append(int(entry["phase"]))
                    watch.flags.append(int(entry["flags"]))
                    watch.heart_rates.append(int(entry["heart_rate"]))
        return super().__getitem__(training_session)


def digest_of(frame: bytes) -> bytes:
    """Return the first 16 bytes of the sha256 of a frame's rows, as the simulator's truth has it."""
    return sha256(frame[HEADER_SIZE:]).digest()[:16]


def free_port() -> int:
    """Return a port of the loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(is_so: Callable[[], object], *, timeout_s: float, every_s: float = 0.05) -> None:
    """Wait for a real condition, with a deadline; a busy machine gets `PATIENCE` times as long."""
    deadline_s = time.monotonic() + PATIENCE * timeout_s
    while not is_so():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(every_s)
