"""Sealed segments: bytes per sample, encrypted and with all that is said in them, and how long reading takes.

Two inputs: a knee that extends for twenty minutes, felt by two sensors with the noise of a BMI270, and, where
`TELEREHAB_DATA` names the folder with the recordings, `pt/s1e6` as the simulator replays it. Both go the whole way:
frames, hot store, sealing with its reading back, ingest's deletion, reader. The same training session read from the hot
store is the other side of the reading time.
"""

import math
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid4
from zlib import crc32

import numpy as np
import numpy.typing as npt
from sqlmodel import select

from devices.clock_sync import ClockFit
from devices.effects import ClockFitted, DeviceMeta, SequenceRun, StepEffects, StoreBlock
from devices.reports import read_meta
from devices.wire import HEADER_DTYPE, MAGIC, VERSION, Schema
from telerehab.archive.reader import read_stream
from telerehab.archive.sealing import mark_cleared, seal_due
from telerehab.archive.segment_rows import Archive, open_archive
from telerehab.bench.live_tick import make_recordings
from telerehab.bench.runner import Figure, Floor, Result
from telerehab.clock import from_us
from telerehab.db import provisioning
from telerehab.db.engine import Database, open_database, reading, writing
from telerehab.db.migrate import upgrade
from telerehab.db.tables import Segment, TrainingSession
from telerehab.intake.hot_store import FORGET_MAX_BLOCKS, HotStore, forget_run
from telerehab.intake.main_store import read_uncleared
from telerehab.settings import Settings

SIZE_FLOOR_B: Final = 7.6
SIZE_GOAL_B: Final = 7.1
READ_FLOOR_MS: Final = 25.0
SECONDS: Final = 1_200.0
RATE_HZ: Final = 100.0
BLOCK_SAMPLES: Final = 10
DEVICES: Final = ("thigh-1", "shank-1")
STREAM: Final = "imu"
RECORDING: Final = "pt/s1e6.npz"
FOREARM_SENSOR: Final = 1
REST_S: Final = 4.0
OPENED_US: Final = 1_790_000_000_000_000
BOOT: Final = 7
ACCEL_SCALE_M_S2: Final = 8 * 9.80665 / 32768
GYRO_SCALE_DEG_S: Final = 2000 / 32768
STORE_TIMEOUT_S: Final = 600.0

Int16 = npt.NDArray[np.int16]


def run(*, seconds: float = SECONDS, rounds: int = 9) -> Result:
    """Measure both inputs; without the recordings the second one is left out, visibly."""
    figures: dict[str, Figure] = {}
    floors: dict[str, Floor] = {}
    simulated = make_recordings(1, seconds)[0].transpose(0, 2, 1)
    with tempfile.TemporaryDirectory() as folder:
        sealed = _Measured(Path(folder), dict(zip(DEVICES, simulated, strict=True)), rate_hz=RATE_HZ)
        try:
            hot_ms = sealed.read_ms(rounds)
            size = sealed.seal()
            archive_ms = sealed.read_ms(rounds)
        finally:
            sealed.close()
    _hold(figures, floors, "simulated", size, unit="B/sample", floor=SIZE_FLOOR_B)
    _hold(figures, floors, "read_two_imus", archive_ms, unit="ms", floor=READ_FLOOR_MS)
    figures["read_two_imus_hot"] = {"value": round(hot_ms, 1), "unit": "ms, the same from the hot store"}
    figures["read_ratio"] = {"value": round(archive_ms / hot_ms, 3), "unit": "archive/hot"}
    figures["samples"] = {"value": int(simulated.shape[0] * simulated.shape[1]), "unit": "rows of 6"}
    path = Path(os.environ.get("TELEREHAB_DATA", "")) / RECORDING
    if not path.is_file():
        figures["replayed"] = {"value": "left out", "unit": "TELEREHAB_DATA names no folder with it"}
        return {"name": "archive", "figures": figures, "floors": floors}
    rows, rate_hz = read_replayed(path)
    with tempfile.TemporaryDirectory() as folder:
        replayed = _Measured(Path(folder), {DEVICES[1]: rows}, rate_hz=rate_hz)
        try:
            size = replayed.seal()
        finally:
            replayed.close()
    _hold(figures, floors, "replayed", size, unit="B/sample", floor=SIZE_FLOOR_B)
    return {"name": "archive", "figures": figures, "floors": floors}


def read_replayed(path: Path) -> tuple[Int16, float]:
    """Return a recording as the simulator replays it, shape (n_samples, 6), and its rate [Hz]."""
    with np.load(path, allow_pickle=False) as file:
        samples, rate_hz = file["test"][:, FOREARM_SENSOR].astype(np.float64), float(file["fs"])
    rest = np.zeros((round(REST_S * rate_hz), 6))
    rest[:, :3] = samples[0, :3]
    whole = np.concatenate([rest, samples[:, :6]])
    scales = np.repeat([ACCEL_SCALE_M_S2, math.radians(GYRO_SCALE_DEG_S)], 3)
    return np.clip(np.rint(whole / scales), -32768, 32767).astype(np.int16), rate_hz


def pack_frames(rows: Int16, *, rate_hz: float, n_samples: int = BLOCK_SAMPLES) -> list[StoreBlock]:
    """Return rows, shape (n, 6), as the stored blocks of one boot of a device that has no name yet."""
    period_us = round(1e6 / rate_hz)
    random = np.random.default_rng(1)
    blocks = []
    header = np.zeros(1, HEADER_DTYPE)
    header["magic"], header["version"], header["schema"], header["flags"] = MAGIC, VERSION, int(Schema.IMU6), 2
    header["boot"], header["period_us"] = BOOT, period_us
    for sequence, start in enumerate(range(0, len(rows), n_samples)):
        part = np.ascontiguousarray(rows[start : start + n_samples], "<i2")
        t0_us = 1_000_000 + start * period_us
        header["sequence"], header["n_samples"], header["t0_us"] = sequence, len(part), t0_us
        head, body = header.tobytes()[:28], part.tobytes()
        received_us = OPENED_US + t0_us + len(part) * period_us + int(random.exponential(20_000))
        payload = head + crc32(body, crc32(head)).to_bytes(4, "little") + body
        blocks.append(StoreBlock("", BOOT, STREAM, sequence, int(Schema.IMU6), t0_us, len(part), received_us, payload))
    return blocks


def meta_of(rate_hz: float) -> dict[str, Any]:
    """Return what such a device says it is."""
    kinds = (("accel", "m/s2", ACCEL_SCALE_M_S2), ("gyro", "deg/s", GYRO_SCALE_DEG_S))
    channels = [
        {"name": f"{kind}_{axis}", "unit": unit, "scale": scale, "range": [-32768 * scale, 32767 * scale]}
        for kind, unit, scale in kinds
        for axis in "xyz"
    ]
    stream = {"schema": int(Schema.IMU6), "rate_hz": rate_hz, "body_site": "shank_right", "channels": channels}
    return {"v": 1, "firmware": "bench", "serial": "bench", "streams": {STREAM: stream}}


class _Measured:
    """An installation of its own with one training session of some sensors, in the hot store."""

    def __init__(self, folder: Path, sensors: Mapping[str, Int16], *, rate_hz: float) -> None:
        settings = Settings(data_dir=folder, archive_grace_s=0.0)
        upgrade(settings)
        self._database = open_database(settings)
        self._archive = open_archive(self._database)
        self._devices = tuple(sensors)
        self._n_samples = sum(len(rows) for rows in sensors.values())
        longest_s = max(len(rows) for rows in sensors.values()) / rate_hz
        self._closed_at = from_us(OPENED_US + 2_000_000) + timedelta(seconds=longest_s)
        self._training = _open_training(self._database, self._archive, sensors, closed_at=self._closed_at)
        _store(self._database, sensors, rate_hz=rate_hz)

    def seal(self) -> float:
        """Seal the training session, delete it from the hot store; return the bytes per sample."""
        now = self._closed_at + timedelta(hours=1)
        seal_due(self._archive, now)
        with reading(self._database.main) as db:
            runs: Sequence[SequenceRun] = read_uncleared(db)
            rows = db.exec(select(Segment)).all()
            n_bytes, n_samples = sum(row.n_bytes for row in rows), sum(row.n_samples for row in rows)
        for run_ in runs:
            rest: SequenceRun | None = run_
            while rest is not None:
                rest = forget_run(self._database.hot, rest, block_max=FORGET_MAX_BLOCKS).rest
        if mark_cleared(self._archive, now) != len(rows) or n_samples != self._n_samples:
            raise RuntimeError(f"{n_samples} of {self._n_samples} samples were sealed")
        return n_bytes / n_samples

    def read_ms(self, rounds: int) -> float:
        """Return how long all streams take to read, the best of some rounds."""
        took_ms = []
        for _ in range(rounds):
            began_s = time.perf_counter()
            read = [
                read_stream(self._archive, training_session_id=self._training, device=device, stream=STREAM)
                for device in self._devices
            ]
            took_ms.append(1e3 * (time.perf_counter() - began_s))
            if sum(int(each.valid.sum()) for each in read) != self._n_samples:
                raise RuntimeError("not all samples were read")
        return min(took_ms)

    def close(self) -> None:
        """Close the databases."""
        self._database.close()


def _open_training(database: Database, archive: Archive, devices: Mapping[str, Int16], *, closed_at: Any) -> UUID:
    opened_at = from_us(OPENED_US)
    with writing(database.main, owner="web") as db:
        clinic = provisioning.create_organisation(db, name="bench")
        patient = provisioning.create_patient(
            db, key_ring=archive.key_ring, organisation_id=clinic.id, name="bench", created_at=opened_at
        )
        for device in devices:
            provisioning.create_device(db, organisation_id=clinic.id, name=device, kind="imu6")
            provisioning.assign_device(
                db, device_name=device, patient_id=patient.id, body_site=None, starts_at=opened_at
            )
        training = TrainingSession(
            id=uuid4(),
            patient_id=patient.id,
            exercise="knee_extension_seated",
            side="right",
            opened_at=opened_at,
            opened_by=clinic.id,
            closed_at=closed_at,
            close_reason="done",
        )
        db.add(training)
        return training.id


def _store(database: Database, sensors: Mapping[str, Int16], *, rate_hz: float) -> None:
    """Let the hot store take all blocks, as intake does."""
    store = HotStore(database.hot, group_wait_s=0, queue_max_rows=10_000_000)
    document = meta_of(rate_hz)
    for device, rows in sensors.items():
        blocks = [block._replace(device=device) for block in pack_frames(rows, rate_hz=rate_hz)]
        fit = ClockFit(a_us=float(OPENED_US), b=1.0, rmse_us=400.0, n=60)
        store.offer(
            StepEffects(
                blocks=blocks,
                clock_fits=[ClockFitted(device=device, boot=BOOT, from_us=0, fit=fit)],
                device_meta=[
                    DeviceMeta(
                        device=device, received_us=OPENED_US, streams=read_meta(document) or {}, document=document
                    )
                ],
            )
        )
    store.start()
    if not store.close(timeout_s=STORE_TIMEOUT_S):
        raise RuntimeError("the hot store did not take all blocks")


def _hold(
    figures: dict[str, Figure], floors: dict[str, Floor], key: str, value: float, *, unit: str, floor: float
) -> None:
    figures[key] = {"value": round(value, 3), "unit": unit}
    floors[key] = {"value": value, "floor": floor, "direction": "<=", "met": value <= floor}
