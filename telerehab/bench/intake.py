"""Durable intake under load: Mosquitto, the role ingest and the simulated devices, each a process of its own.

What one block costs the ingest process, from the socket to the watermark, against what paho's stock reader with an
empty callback needs for the same message under the same load; and how long a block is on its way to the ring.
"""

import getpass
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlmodel import select

from devices.mosquitto_files import LOOPBACK, SETTINGS_FILE, MosquittoPlan
from telerehab.auth.key_ring import open_key_ring
from telerehab.bench.runner import Figure, Floor
from telerehab.broker_files import MosquittoFiles
from telerehab.db import provisioning
from telerehab.db.engine import Database, open_database, reading, writing
from telerehab.db.migrate import upgrade
from telerehab.db.tables import Block, TrainingSession, Worker
from telerehab.intake.hot_reads import table_of
from telerehab.settings import Settings

EXERCISE: Final = "knee_extension_seated"
SITES: Final = ("thigh_right", "shank_right")
N_SHARDS: Final = 64
RATES_HZ: Final = (10_000, 5_000, 2_500)
"""Blocks a second of all devices together."""
INTAKE_FLOORS: Final[Mapping[Literal["stock", "fast"], float]] = MappingProxyType({"stock": 2.0, "fast": 1.2})
"""By reader, in processor times of stock paho with an empty callback."""
WAY_DEVICES: Final = 400
TO_RING_FLOOR_MS: Final = 60.0
BLOCK_S: Final = 0.1
"""How often a device sends its ten samples."""
START_TIMEOUT_S: Final = 120.0
DRAIN_S: Final = 15.0
IDLE_S: Final = 1.0
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """What one process did with one window of load."""

    sent: int
    stored: int
    acknowledged: int
    cpu_us: float
    """Processor time per block that was sent."""
    rate_hz: float
    """Blocks that were sent each second, by the clock on the wall."""
    late_ms: float
    """How late the load's latest block went out."""
    seen: dict[str, Any]
    """What the ingest process told of itself."""


def find_mosquitto() -> str | None:
    """Return the path of Debian's broker, None where there is none."""
    return shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/sbin")


class LoadedIntake:
    """An installation of its own with a Mosquitto and many connected devices, two per patient.

    Parameters
    ----------
    folder : Path
        For databases, files of the broker and logs.
    n_devices : int
    training : bool
        Whether every patient has an open training session, so that all sensors are analysed live.
    """

    def __init__(self, folder: Path, *, n_devices: int, training: bool) -> None:
        self._folder = folder
        self._n_devices = n_devices
        self._is_training = training
        self._settings = Settings(data_dir=folder / "data", mqtt_port=_free_port(), media_control_port=0)
        upgrade(self._settings)
        self._database: Database = open_database(self._settings)
        self._homes_file = folder / "homes.json"
        self._stack = ExitStack()
        self._stack.callback(self._database.close)
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise

    def close(self) -> None:
        """End all processes, close the databases."""
        self._stack.close()

    def take(self, reader: Literal["fast", "stock"], *, seconds: float, block_s: float = BLOCK_S) -> Taken:
        """Let the role ingest take one window; everything that was sent is waited for, and counted in the store."""
        out = self._folder / "seen.json"
        n_rings = 0 if self._is_training else self._n_devices
        arguments = ["telerehab.bench.intake_process", "--out", str(out), "--devices", str(n_rings)]
        with self._running(arguments, reader=reader) as process:
            self._wait_until(self._is_ingest_connected)
            before_s = _cpu_s(process.pid)
            window = self._send(seconds, block_s, wait_s=DRAIN_S, describe=self._is_training)
            spent_s = _cpu_s(process.pid) - before_s
        return Taken(
            sent=window["sent"],
            stored=self._count_stored(window["boot"]),
            acknowledged=window["acknowledged"],
            cpu_us=spent_s / window["sent"] * 1e6,
            rate_hz=window["sent"] / window["took_s"],
            late_ms=window["late_ms"],
            seen=json.loads(out.read_text()),
        )

    def take_by_stock_paho(self, *, seconds: float, block_s: float = BLOCK_S) -> float:
        """Let paho with an empty callback take one window; return its processor time per message. [µs]

        Raises
        ------
        RuntimeError
            It was not given all messages.
        """
        arguments = ["telerehab.bench.readers", "--port", str(self._settings.mqtt_port)]
        with self._running(arguments, MQTT_PASSWORD=self._settings.mqtt_password("ingest")) as process:
            assert process.stdout is not None
            process.stdout.readline()  # it is subscribed
            before_s = _cpu_s(process.pid)
            window = self._send(seconds, block_s)
            spent_s = self._wait_until_idle(process.pid) - before_s
            process.send_signal(signal.SIGTERM)
            count = int(process.stdout.readline())
        if count != window["sent"]:
            raise RuntimeError(f"stock paho was given {count} of {window['sent']} messages")
        return spent_s / count * 1e6

    def _open(self) -> None:
        self._seed()
        port = _free_port()
        plan = MosquittoPlan(
            folder=self._folder / "mosquitto",
            device_port=port,
            role_port=self._settings.mqtt_port,
            tls=None,
            device_address=LOOPBACK,
            run_as=getpass.getuser(),
        )
        MosquittoFiles(self._settings, plan).write(self._database)
        program = find_mosquitto()
        assert program is not None
        with (self._folder / "mosquitto.log").open("wb") as log:
            broker = subprocess.Popen([program, "-c", str(plan.folder / SETTINGS_FILE)], stderr=log, stdout=log)
        self._stack.callback(_end, broker)
        self._wait_until(lambda: _is_open(port) and _is_open(self._settings.mqtt_port))
        arguments = ["firmware_sim.load", "--port", str(port), "--homes", str(self._homes_file)]
        self._load = self._stack.enter_context(self._running(arguments))
        self._answer()

    @contextmanager
    def _running(
        self, arguments: Sequence[str], *, reader: str = "fast", **variables: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Run a module of ours; SIGTERM at the end."""
        settings = self._settings.model_copy(update={"mqtt_reader": reader})
        name = arguments[0].rpartition(".")[2]
        with (self._folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *arguments],
                env={**os.environ, **settings.as_environment(), "OMP_NUM_THREADS": "1", **variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        try:
            yield process
        finally:
            _end(process)

    def _send(self, seconds: float, block_s: float, *, wait_s: float = 0.0, describe: bool = False) -> dict[str, Any]:
        assert self._load.stdin is not None
        asked = {"seconds": seconds, "block_s": block_s, "wait_s": wait_s, "describe": describe}
        self._load.stdin.write(json.dumps(asked) + "\n")
        self._load.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._load.stdout is not None
        line = self._load.stdout.readline()
        if not line:
            raise RuntimeError(f"the load has ended: {(self._folder / 'load.log').read_text()[-2_000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _is_ingest_connected(self) -> bool:
        with reading(self._database.main) as db:  # the process before it has taken its row away
            return any(worker.role == "ingest" and worker.status.get("connected") for worker in db.exec(select(Worker)))

    def _count_stored(self, boot: int) -> int:
        with reading(self._database.hot) as db:
            block = table_of(Block)
            statement = sa.select(sa.func.count()).select_from(block).where(block.c.boot == boot)
            return int(db.connection().execute(statement).scalar_one())

    def _wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while not is_so():
            if time.monotonic() > deadline_s:
                raise RuntimeError(f"a process did not start; see {self._folder}")
            time.sleep(0.05)

    def _wait_until_idle(self, pid: int) -> float:
        """Wait until a process needs no more time, because the broker has nothing left for it; return what it had."""
        spent_s, deadline_s = _cpu_s(pid), time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            time.sleep(IDLE_S)
            before_s, spent_s = spent_s, _cpu_s(pid)
            if spent_s - before_s < IDLE_S / 20:
                break
        return spent_s

    def _seed(self) -> None:
        """Make the clinic: a patient for every two devices, and the file that tells the load its part."""
        now, key_ring = datetime.now(UTC), open_key_ring(self._settings)
        homes: list[dict[str, Any]] = []
        with writing(self._database.main, owner="web") as db:
            clinic = provisioning.create_organisation(db, name="bench")
            for number in range(self._n_devices // len(SITES)):
                name = f"home-{number:03d}"
                patient = provisioning.create_patient(
                    db, key_ring=key_ring, organisation_id=clinic.id, name=name, created_at=now
                )
                kit = provisioning.create_kit(db, organisation_id=clinic.id, name=name, shard=number % N_SHARDS)
                devices = []
                for site in SITES:
                    device = f"{name}-{site.partition('_')[0]}"
                    made = provisioning.create_device(
                        db, organisation_id=clinic.id, name=device, kind="imu6", kit_id=kit.id
                    )
                    provisioning.assign_device(
                        db, device_name=device, patient_id=patient.id, body_site=site, starts_at=now
                    )
                    devices.append(
                        {"name": device, "password": made.password, "kind": "imu6", "stream": "imu", "site": site}
                    )
                if self._is_training:
                    db.add(
                        TrainingSession(
                            patient_id=patient.id, exercise=EXERCISE, side="right", opened_at=now, opened_by=clinic.id
                        )
                    )
                homes.append(
                    {
                        "home": name,
                        "shard": kit.shard,
                        "exercise": EXERCISE,
                        "side": "right",
                        "repetitions": None,
                        "start_at": None,
                        "devices": devices,
                    }
                )
        self._homes_file.touch(mode=0o600)
        self._homes_file.write_text(json.dumps({"homes": homes}))


def measure_intake(
    figures: dict[str, Figure], floors: dict[str, Floor], *, seconds: float, n_devices: int, way_seconds: float
) -> None:
    """Measure durable intake and the way to the ring; without Mosquitto it is left out, visibly.

    Each reader at the first of `RATES_HZ` at which all is stored that is sent: else the processor time would be that of
    losing. The shares that were stored at higher rates are told.
    """
    if find_mosquitto() is None:
        figures["intake"] = {"value": "left out", "unit": "Debian's mosquitto is not installed"}
        return
    for reader, floor in INTAKE_FLOORS.items():
        for rate_hz in RATES_HZ:
            block_s = n_devices / rate_hz
            with loaded_intake(n_devices=n_devices, training=False) as intake:
                taken = intake.take(reader, seconds=seconds, block_s=block_s)
                is_kept = taken.stored == taken.sent
                paho_us = intake.take_by_stock_paho(seconds=seconds, block_s=block_s) if is_kept else math.nan
            figures[f"stored_{reader}_{rate_hz}"] = {
                "value": round(taken.stored / taken.sent, 4),
                "unit": f"of {taken.sent} blocks sent, {taken.rate_hz:.0f}/s; {taken.acknowledged} acknowledged",
            }
            if is_kept:
                break
        where = f"{n_devices} devices, {rate_hz}/s, QoS 0"
        figures[f"intake_{reader}"] = {"value": round(taken.cpu_us, 1), "unit": f"CPU µs/block, {where}"}
        figures[f"paho_{reader}"] = {
            "value": round(paho_us, 1),
            "unit": "CPU µs/message, stock, empty callback, the same",
        }
        ratio = taken.cpu_us / paho_us
        figures[f"ratio_{reader}"] = {"value": round(ratio, 2), "unit": "intake/paho"}
        floors[f"ratio_{reader}"] = {"value": round(ratio, 2), "floor": floor, "direction": "<=", "met": ratio <= floor}
    with loaded_intake(n_devices=WAY_DEVICES, training=True) as intake:
        taken = intake.take("fast", seconds=way_seconds)
    to_ring_ms = taken.seen["since_sample"]["p95_ms"]
    figures["intake_to_ring"] = {
        "value": round(to_ring_ms, 1),
        "unit": f"ms p95 from a block's last sample, {WAY_DEVICES // len(SITES)} patients analysed live",
    }
    figures["arrival_to_ring"] = {"value": round(taken.seen["since_arrival"]["p95_ms"], 1), "unit": "ms p95"}
    floors["intake_to_ring"] = {
        "value": round(to_ring_ms, 1),
        "floor": TO_RING_FLOOR_MS,
        "direction": "<=",
        "met": to_ring_ms <= TO_RING_FLOOR_MS and taken.seen["n_columns_with_samples"] == WAY_DEVICES,
    }


@contextmanager
def loaded_intake(*, n_devices: int, training: bool) -> Iterator[LoadedIntake]:
    """Give an installation under load in a folder of its own, and end everything with it."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        intake = LoadedIntake(Path(folder), n_devices=n_devices, training=training)
        try:
            yield intake
        finally:
            intake.close()


def _cpu_s(pid: int) -> float:
    """Return the processor time of a process and all its threads. [s]"""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S


def _end(process: "subprocess.Popen[Any]") -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def _is_open(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0
