"""The account that a demonstration gives at its end: what the simulator knows to be true against what was stored.

Truth comes from the simulator's files, never over the wire; the stored side is read from the database like anybody's.
"""

import hashlib
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlmodel import col, select

from devices.wire import HEADER_SIZE
from telerehab.db import tables
from telerehab.db.engine import Database, reading
from telerehab.db.ledger_rows import read_boots, read_duplicates, read_holes, read_tallies
from telerehab.demo.care_report import CareReport
from telerehab.demo.intake_scene import IntakeKill
from telerehab.demo.observer import SeenAngles
from telerehab.demo.truth import Repetition, read_poses, read_true_blocks, read_true_repetitions
from telerehab.intake.hot_reads import read_clocks
from telerehab.ledger import ALL_TIME, Hole, make_ledger

OPEN: Final = "missing"
UNFINISHED_US: Final = 1_500_000
"""A repetition that ended this shortly before the simulator stopped may be counted or not: both are right."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HomeReport:
    """What one home did, and what became of it."""

    home: str
    true_repetition_count: int
    counted_repetition_count: int
    missed_count: int
    invented_count: int
    true_rom_deg: float | None
    rom_deg: float | None
    angle_rmse_deg: float | None
    """Of the angles as the observer's screen had them, against the truth at their capture."""
    blocks_produced: int
    blocks_sent: int
    blocks_stored: int
    blocks_lost: int
    blocks_late: int
    """Among the stored: they came as backfill, or more than two seconds after they were taken."""
    blocks_duplicate: int
    """Came again, beside the stored."""
    blocks_missing: Mapping[str, int]
    """Those that are not stored and lie in a hole, by its cause; `missing` where it is still open."""

    @property
    def blocks_unexplained(self) -> int:
        """Return how many are not stored, and no row says why."""
        return self.blocks_lost - sum(self.blocks_missing.values())


@dataclass(frozen=True, kw_only=True, slots=True)
class ProcessReport:
    """What one process used."""

    name: str
    cpu_share: float
    memory_mib: float


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoReport:
    """The whole account."""

    seconds: float
    homes: Sequence[HomeReport]
    age_ms: Mapping[str, float | None]
    processes: Sequence[ProcessReport]
    restarts: Mapping[str, int]
    intake_kills: Sequence[IntakeKill]
    care: CareReport

    @property
    def is_right(self) -> bool:
        """Return whether nothing is missing, the care scene went as it should, and values came back after each kill."""
        return self.is_whole and self.care.is_right and all(kill.back_after_s is not None for kill in self.intake_kills)

    @property
    def is_whole(self) -> bool:
        """Return whether nothing was lost, missed or invented, and every home trained."""
        return bool(self.homes) and all(
            home.blocks_produced > 0 and not (home.blocks_lost or home.missed_count or home.invented_count)
            for home in self.homes
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        care = {**asdict(self.care), "is_right": self.care.is_right, "outcomes": self.care.outcomes()}
        homes = [{**asdict(home), "blocks_unexplained": home.blocks_unexplained} for home in self.homes]
        return {**asdict(self), "homes": homes, "care": care, "is_whole": self.is_whole, "is_right": self.is_right}


def match_repetitions(
    truth: Sequence[Repetition], counted: Sequence[Repetition], *, stopped_us: int
) -> tuple[int, int]:
    """Return how many true repetitions were missed and how many were invented.

    A counted repetition belongs to the true one that it overlaps by more than half of the shorter. What ends within
    `UNFINISHED_US` of the stop is left out on both sides.

    Examples
    --------
    >>> truth = [Repetition(start_us=0, stop_us=2_000_000, rom_deg=80.0)]
    >>> match_repetitions(truth, truth, stopped_us=9_000_000)
    (0, 0)
    >>> match_repetitions(truth, [], stopped_us=9_000_000)
    (1, 0)
    """
    unmatched = list(counted)
    missed_count = 0
    for true in truth:
        match = next((each for each in unmatched if _overlap_share(true, each) > 0.5), None)
        if match is not None:
            unmatched.remove(match)
        elif true.stop_us < stopped_us - UNFINISHED_US:
            missed_count += 1
    return missed_count, sum(each.stop_us < stopped_us - UNFINISHED_US for each in unmatched)


def report_home(
    home: str,
    *,
    devices: Sequence[str],
    training_session: UUID,
    truth: Path,
    database: Database,
    sent: int,
    seen: SeenAngles,
) -> HomeReport:
    """Compare one home's truth with what the database holds."""
    poses = read_poses(truth / f"{home}.pose.bin")
    true_repetitions = read_true_repetitions(truth / f"{home}.repetitions.jsonl")
    counted = _read_counted_repetitions(database, training_session)
    missed_count, invented_count = match_repetitions(
        true_repetitions, counted, stopped_us=int(poses["utc_us"][-1]) if len(poses) else 0
    )
    produced_count = stored_count = late_count = duplicate_count = 0
    missing: Counter[str] = Counter()
    for device in devices:
        produced = read_true_blocks(truth / f"{device}.blocks.bin")
        stored = read_stored_digests(database, device)
        absent = [
            (int(row["boot"]), int(row["sequence"]))
            for row in produced
            if stored.get((int(row["boot"]), int(row["sequence"]))) != bytes(row["digest"]).ljust(16, b"\0")
        ]
        produced_count += len(produced)
        stored_count += len(produced) - len(absent)
        with reading(database.hot) as db:
            boots = read_boots(db, [device])
            holes, duplicates = read_holes(db, boots), read_duplicates(db, boots)
            received = read_tallies(db, dict.fromkeys(boots, ALL_TIME), clocks=read_clocks(db, [device]))
        missing += count_by_cause(absent, holes)
        for stream in make_ledger(received, holes, duplicates):
            late_count += stream.late_count
            duplicate_count += stream.duplicate_count
    return HomeReport(
        home=home,
        true_repetition_count=len(true_repetitions),
        counted_repetition_count=len(counted),
        missed_count=missed_count,
        invented_count=invented_count,
        true_rom_deg=_median_rom_deg(true_repetitions),
        rom_deg=_median_rom_deg(counted),
        angle_rmse_deg=angle_rmse_deg(seen, poses),
        blocks_produced=produced_count,
        blocks_sent=sent,
        blocks_stored=stored_count,
        blocks_lost=produced_count - stored_count,
        blocks_late=late_count,
        blocks_duplicate=duplicate_count,
        blocks_missing=dict(sorted(missing.items())),
    )


def count_by_cause(absent: Iterable[tuple[int, int]], holes: Iterable[Hole]) -> Counter[str]:
    """Return how many blocks, by boot and sequence, lie in a hole of each cause.

    Examples
    --------
    >>> holes = [Hole("s", 1, "imu", 4, 8, "device_overflow"), Hole("s", 1, "imu", 9, 11, None)]
    >>> sorted(count_by_cause([(1, 4), (1, 7), (1, 8), (1, 9), (2, 9)], holes).items())
    [('device_overflow', 2), ('missing', 1)]
    """
    known = list(holes)
    causes = (
        hole.cause or OPEN
        for boot, sequence in absent
        for hole in known
        if hole.boot == boot and hole.start_sequence <= sequence < hole.stop_sequence
    )
    return Counter(causes)


def read_stored_digests(database: Database, device: str) -> dict[tuple[int, int], bytes]:
    """Return (boot, sequence) -> digest of the rows of each stored block of a device with one stream."""
    with reading(database.hot) as db:
        blocks = db.exec(
            select(tables.Block.boot, tables.Block.sequence, tables.Block.payload).where(tables.Block.device == device)
        )
        return {(boot, sequence): digest_rows(payload) for boot, sequence, payload in blocks}


def digest_rows(payload: bytes) -> bytes:
    """Return the first 16 bytes of the SHA-256 of a block's rows, without its header."""
    return hashlib.sha256(payload[HEADER_SIZE:]).digest()[:16]


def _read_counted_repetitions(database: Database, training_session: UUID) -> list[Repetition]:
    with reading(database.main) as db:
        rows = db.exec(
            select(tables.Repetition)
            .where(tables.Repetition.training_session_id == training_session)
            .order_by(col(tables.Repetition.index))
        )
        return [Repetition(start_us=row.start_us, stop_us=row.stop_us, rom_deg=row.rom_deg) for row in rows]


def _overlap_share(left: Repetition, right: Repetition) -> float:
    overlap_us = min(left.stop_us, right.stop_us) - max(left.start_us, right.start_us)
    return overlap_us / max(min(left.stop_us - left.start_us, right.stop_us - right.start_us), 1)


def angle_rmse_deg(seen: SeenAngles, poses: NDArray[np.void]) -> float | None:
    """Return the root mean square difference between seen and true joint angles [°]; None where nothing compares."""
    captured_us, angle_deg = seen.as_arrays()
    if len(poses) == 0:
        return None
    within = (captured_us >= poses["utc_us"][0]) & (captured_us <= poses["utc_us"][-1])
    if not within.any():
        return None
    true_deg = np.interp(captured_us[within], poses["utc_us"].astype(np.float64), poses["angle_deg"])
    return round(float(np.sqrt(np.mean((angle_deg[within] - true_deg) ** 2))), 2)


def _median_rom_deg(repetitions: Sequence[Repetition]) -> float | None:
    known = [each.rom_deg for each in repetitions if each.rom_deg is not None]
    return round(statistics.median(known), 1) if known else None
