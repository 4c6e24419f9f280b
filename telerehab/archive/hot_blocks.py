"""What the archive reads of the hot store: which streams have blocks, their headers and frames. It writes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from devices.effects import StreamKey
from devices.wire import HEADER_DTYPE, HEADER_SIZE
from telerehab.archive.frames import Run
from telerehab.attribution import StoredFit
from telerehab.db.tables import Block, ClockFit
from telerehab.intake.hot_reads import table_of

HEADERS_MAX: Final = 40_000
"""Blocks of a stream that are looked at together: an hour and more."""


@dataclass(kw_only=True, frozen=True, slots=True)
class HotHeaders:
    """Blocks of one stream, in order: `headers`, HEADER_DTYPE, and `received_us`, both of shape (n_blocks,)."""

    headers: NDArray[Any]
    received_us: NDArray[np.int64]

    @property
    def stop_device_us(self) -> NDArray[np.int64]:
        """Return where each block ends on the device's clock; irregular ones end with their first sample."""
        period_us = self.headers["period_us"].astype(np.int64)
        stop_us: NDArray[np.int64] = self.headers["t0_us"].astype(np.int64) + period_us * self.headers["n_samples"]
        return stop_us

    def runs(self, chosen: NDArray[np.bool_]) -> list[Run]:
        """Return the sequences of chosen blocks, shape (n_blocks,), as runs without holes."""
        sequence = self.headers["sequence"].astype(np.int64)[chosen]
        if not sequence.size:
            return []
        boot = int(self.headers["boot"][0])
        parts = np.split(sequence, np.flatnonzero(np.diff(sequence) != 1) + 1)
        return [Run(boot=boot, start=int(part[0]), stop=int(part[-1]) + 1) for part in parts]


def read_stream_keys(db: Session, *, device: str | None = None) -> Iterator[StreamKey]:
    """Yield every stream that has blocks, one seek each, however many blocks there are."""
    table = table_of(Block)
    columns = (table.c.device, table.c.boot, table.c.stream)
    last: Any = None
    while True:
        statement = sa.select(*columns).order_by(*columns).limit(1)
        if device is not None:
            statement = statement.where(table.c.device == device)
        if last is not None:
            statement = statement.where(sa.tuple_(*columns) > sa.tuple_(*map(sa.literal, last)))
        row = db.connection().execute(statement).first()
        if row is None:
            return
        last = StreamKey(*row)
        yield last


def read_headers(db: Session, key: StreamKey, *, limit: int | None = HEADERS_MAX) -> HotHeaders:
    """Return the headers of a stream's blocks, at most `limit` (None: all), lowest sequence first."""
    table = table_of(Block)
    head = sa.func.substr(table.c.payload, 1, HEADER_SIZE, type_=sa.LargeBinary)
    statement = (
        sa.select(head, table.c.received_us)
        .where(table.c.device == key.device, table.c.boot == key.boot, table.c.stream == key.stream)
        .order_by(table.c.sequence)
        .limit(limit)
    )
    rows = db.connection().execute(statement).all()
    return HotHeaders(
        headers=np.frombuffer(b"".join(bytes(row[0]) for row in rows), HEADER_DTYPE),
        received_us=np.array([row[1] for row in rows], np.int64),
    )


def read_frames(db: Session, key: StreamKey, runs: Sequence[Run]) -> tuple[list[bytes], list[int]]:
    """Return frames and arrivals of these runs of a stream, in order of their sequence."""
    table = table_of(Block)
    frames: list[bytes] = []
    received_us: list[int] = []
    for run in runs:
        statement = (
            sa.select(table.c.payload, table.c.received_us)
            .where(
                table.c.device == key.device,
                table.c.boot == key.boot,
                table.c.stream == key.stream,
                table.c.sequence >= run.start,
                table.c.sequence < run.stop,
            )
            .order_by(table.c.sequence)
        )
        for payload, arrived_us in db.connection().execute(statement):
            frames.append(bytes(payload))
            received_us.append(arrived_us)
    return frames, received_us


def has_blocks(db: Session, *, device: str, stream: str, run: Run) -> bool:
    """Return whether the hot store has any block of a run."""
    table = table_of(Block)
    statement = sa.select(table.c.sequence).where(
        table.c.device == device,
        table.c.boot == run.boot,
        table.c.stream == stream,
        table.c.sequence >= run.start,
        table.c.sequence < run.stop,
    )
    return db.connection().execute(statement.limit(1)).first() is not None


def read_fits(db: Session, device: str, boot: int) -> list[StoredFit]:
    """Return the clock fits of a boot, in order of time."""
    table = table_of(ClockFit)
    statement = (
        sa.select(table.c.from_us, table.c.a_us, table.c.b)
        .where(table.c.device == device, table.c.boot == boot)
        .order_by(table.c.from_us)
    )
    return [StoredFit(from_us=row[0], a_us=row[1], b=row[2]) for row in db.connection().execute(statement)]
