"""A clinic with a patient, lent sensors, training sessions and what intake has stored: rows as the roles write them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import text
from sqlmodel import select

from devices.clock_sync import ClockFit
from devices.effects import ClockFitted, DeviceMeta, StepEffects, StoreBlock
from telerehab.archive.sealing import mark_cleared, seal_due
from telerehab.archive.segment_rows import Archive, open_archive
from telerehab.clock import from_us
from telerehab.db import provisioning
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Segment, TrainingSession
from telerehab.intake.hot_store import HotStore, forget_run
from telerehab.intake.main_store import read_uncleared
from tests.telerehab.archive.frames_by_hand import BOOT, T0_US, frames_of, noise

OPENED_US: Final = 1_790_000_000_000_000
OPENED: Final = from_us(OPENED_US)
MINUTE: Final = timedelta(minutes=1)
DEVICE: Final = "shank-1"
STREAM: Final = "imu"
SCALES: Final = (0.005, 0.0625)
META: Final = {
    "v": 1,
    "firmware": "2.1",
    "serial": "A17",
    "streams": {
        STREAM: {
            "schema": 1,
            "rate_hz": 100,
            "body_site": "shank_right",
            "channels": [
                {"name": f"{kind}_{axis}", "unit": unit, "scale": scale, "range": [-32768 * scale, 32767 * scale]}
                for kind, unit, scale in (("accel", "m/s2", SCALES[0]), ("gyro", "deg/s", SCALES[1]))
                for axis in "xyz"
            ],
        }
    },
}


@dataclass(kw_only=True)
class World:
    """The rows, and shortcuts to what happens to them."""

    database: Database
    archive: Archive
    organisation_id: UUID
    patient_id: UUID

    def add_patient(self) -> UUID:
        with writing(self.database.main, owner="web") as db:
            return provisioning.create_patient(
                db, key_ring=self.archive.key_ring, organisation_id=self.organisation_id, name="Other"
            ).id

    def lend(
        self,
        device: str = DEVICE,
        *,
        patient_id: UUID | None = None,
        from_: datetime = OPENED - 60 * MINUTE,
        until: datetime | None = None,
    ) -> None:
        with writing(self.database.main, owner="web") as db:
            if (
                db.connection().execute(text("SELECT 1 FROM device WHERE name = :name"), {"name": device}).first()
                is None
            ):
                provisioning.create_device(db, organisation_id=self.organisation_id, name=device, kind="imu6")
            provisioning.assign_device(
                db,
                device_name=device,
                patient_id=patient_id or self.patient_id,
                body_site="shank_right",
                starts_at=from_,
                ends_at=until,
            )

    def train(
        self, *, opened: datetime = OPENED, closed: datetime | None = OPENED + MINUTE, patient_id: UUID | None = None
    ) -> UUID:
        with writing(self.database.main, owner="web") as db:
            row = TrainingSession(
                id=uuid4(),
                patient_id=patient_id or self.patient_id,
                exercise="knee_extension_seated",
                side="right",
                opened_at=opened,
                opened_by=self.organisation_id,
                closed_at=closed,
                close_reason=None if closed is None else "done",
            )
            db.add(row)
            return row.id

    def store(self, frames: Sequence[bytes], *, device: str = DEVICE, received_us: Sequence[int] | None = None) -> None:
        """Let the hot store take frames; they arrive 50 ms after their first sample where nothing else is said."""
        blocks = [
            stored(frame, device=device, at_us=at_us)
            for frame, at_us in zip(frames, received_us or [0] * len(frames), strict=True)
        ]
        store = HotStore(self.database.hot, group_wait_s=0, queue_max_rows=1_000_000)
        assert store.offer(StepEffects(blocks=blocks))
        store.start()
        assert store.close(timeout_s=60)

    def describe(self, device: str = DEVICE, *, boot: int = BOOT, b: float = 1.0, from_us: int = T0_US) -> None:
        """Store what the device says of itself, and a clock fit: its `T0_US` is the server's `OPENED_US`."""
        fit = ClockFit(a_us=OPENED_US - b * T0_US, b=b, rmse_us=300.0, n=30)
        store = HotStore(self.database.hot, group_wait_s=0)
        meta = DeviceMeta(device=device, received_us=OPENED_US, streams={}, document=META)
        store.offer(
            StepEffects(
                clock_fits=[ClockFitted(device=device, boot=boot, from_us=from_us, fit=fit)], device_meta=[meta]
            )
        )
        store.start()
        assert store.close(timeout_s=60)

    def seal(self, *, after: timedelta = 30 * MINUTE) -> list[UUID]:
        return seal_due(self.archive, OPENED + after)

    def forget(self) -> int:
        """Delete what segments cover, as ingest does, and let jobs see it; return how many blocks went."""
        with reading(self.database.main) as db:
            runs = read_uncleared(db)
        n_blocks = 0
        for run in runs:
            rest: Any = run
            while rest is not None:
                part = forget_run(self.database.hot, rest, block_max=30)
                n_blocks, rest = n_blocks + part.block_count, part.rest
        mark_cleared(self.archive, OPENED + 60 * MINUTE)
        return n_blocks

    def hot_count(self) -> int:
        with reading(self.database.hot) as db:
            return int(db.connection().execute(text("SELECT count(*) FROM block")).scalar_one())

    def segments(self) -> list[Segment]:
        with reading(self.database.main) as db:
            return list(db.exec(select(Segment)))


def make_world(database: Database) -> World:
    archive = open_archive(database)
    with writing(database.main, owner="web") as db:
        clinic = provisioning.create_organisation(db, name="clinic")
        patient = provisioning.create_patient(
            db, key_ring=archive.key_ring, organisation_id=clinic.id, name="Patient", created_at=OPENED - 600 * MINUTE
        )
    return World(database=database, archive=archive, organisation_id=clinic.id, patient_id=patient.id)


def stored(frame: bytes, *, device: str = DEVICE, at_us: int = 0) -> StoreBlock:
    """Return a frame as the row of the hot store."""

    def number(start: int, stop: int) -> int:
        return int.from_bytes(frame[start:stop], "little")

    t0_us = number(16, 24)
    return StoreBlock(
        device,
        number(8, 12),
        STREAM,
        number(12, 16),
        frame[3],
        t0_us,
        number(6, 8),
        at_us or OPENED_US + t0_us - T0_US + 150_000,
        frame,
    )


def minute_of(
    *, seconds: float = 40.0, start_s: float = 0.0, boot: int = BOOT, first: int = 0
) -> tuple[NDArray[np.int16], list[bytes]]:
    """Return rows and frames of a sensor that samples from `start_s` after the opening."""
    rows = noise(round(seconds * 100), seed=first + 1)
    return rows, frames_of(rows, t0_us=T0_US + round(start_s * 1e6), boot=boot, first_sequence=first)
