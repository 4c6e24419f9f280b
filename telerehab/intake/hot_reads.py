"""What intake reads from the hot store when it starts: how far it was, and what open training sessions have so far.

Statements are of SQLAlchemy's core, rows are plain values: a restart may read a million blocks.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlmodel import Session, SQLModel

from devices.effects import SequenceRun
from telerehab.attribution import Clocks, StoredFit, make_clocks
from telerehab.db.tables import Block, ClockFit, DeviceReport, Gap, SealedRun


class StoredClockFit(NamedTuple):
    """Server time = `a_us + b * device time` of one boot."""

    device: str
    boot: int
    a_us: float
    b: float
    rmse_us: float


def read_sequence_runs(db: Session) -> list[SequenceRun]:
    """Return the stored blocks of all streams as runs: those of the hot store, then those that the archive has taken.

    Runs of the two may touch or overlap. The database does the counting: one row comes back per run, however many
    blocks there are.
    """
    block = table_of(Block).c
    rank = sa.func.row_number().over(partition_by=(block.device, block.boot, block.stream), order_by=block.sequence)
    island = (block.sequence - rank).label("island")
    numbered = sa.select(block.device, block.boot, block.stream, block.sequence, island).subquery()
    key = (numbered.c.device, numbered.c.boot, numbered.c.stream)
    runs = (
        sa.select(*key, sa.func.min(numbered.c.sequence), sa.func.max(numbered.c.sequence) + 1)
        .group_by(*key, numbered.c.island)
        .order_by(*key, sa.func.min(numbered.c.sequence))
    )
    return [SequenceRun(*row) for row in db.connection().execute(runs)] + read_sealed_runs(db)


def read_sealed_runs(db: Session) -> list[SequenceRun]:
    """Return what was deleted here because the archive has it."""
    table = table_of(SealedRun)
    return [SequenceRun(*row) for row in db.connection().execute(sa.select(*table.c).order_by(*table.primary_key))]


def has_blocks_of(db: Session, devices: Iterable[str]) -> bool:
    """Return whether there is a block of any of these devices."""
    table = table_of(Block)
    statement = sa.select(table.c.device).where(table.c.device.in_(list(devices))).limit(1)
    return db.connection().execute(statement).first() is not None


def read_lost_gaps(db: Session) -> list[SequenceRun]:
    """Return the holes that were closed without data: the watermark passes them."""
    gap = table_of(Gap).c
    return _read_gaps(db, sa.and_(gap.closed_at_us.is_not(None), gap.cause != "filled"))


def read_open_gaps(db: Session) -> list[SequenceRun]:
    """Return the holes that may still be filled."""
    return _read_gaps(db, table_of(Gap).c.closed_at_us.is_(None))


def read_newest_clock_fits(db: Session) -> list[StoredClockFit]:
    """Return the newest fit of every boot."""
    table = table_of(ClockFit)
    newest = (
        sa.select(table.c.device, table.c.boot, sa.func.max(table.c.from_us).label("from_us"))
        .group_by(table.c.device, table.c.boot)
        .subquery()
    )
    statement = sa.select(table.c.device, table.c.boot, table.c.a_us, table.c.b, table.c.rmse_us).join(
        newest,
        sa.and_(table.c.device == newest.c.device, table.c.boot == newest.c.boot, table.c.from_us == newest.c.from_us),
    )
    return [StoredClockFit(*row) for row in db.connection().execute(statement)]


def read_clocks(db: Session, devices: Collection[str]) -> Clocks:
    """Return the clocks of all boots of these devices, from all fits that are stored."""
    table = table_of(ClockFit)
    statement = sa.select(table.c.device, table.c.boot, table.c.from_us, table.c.a_us, table.c.b).where(
        table.c.device.in_(list(devices))
    )
    rows = db.connection().execute(statement)
    return make_clocks((device, boot, StoredFit(from_us, a_us, b)) for device, boot, from_us, a_us, b in rows)


def read_device_reports(db: Session) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return (meta, state), as the device said them last, of every device."""
    table = table_of(DeviceReport)
    return {
        device: (meta, state)
        for device, meta, state in db.connection().execute(sa.select(table.c.device, table.c.meta, table.c.state))
    }


def read_blocks(db: Session, *, device: str, received_from_us: int) -> Iterator[bytes]:
    """Yield the frames of a device that arrived since a moment, ordered by boot, stream and sequence."""
    table = table_of(Block)
    statement = (
        sa.select(table.c.payload)
        .where(table.c.device == device, table.c.received_us >= received_from_us)
        .order_by(table.c.boot, table.c.stream, table.c.sequence)
    )
    yield from db.connection().execute(statement).scalars()


def _read_gaps(db: Session, where: sa.ColumnElement[bool]) -> list[SequenceRun]:
    gap = table_of(Gap).c
    columns = (gap.device, gap.boot, gap.stream, gap.start_sequence, gap.stop_sequence)
    return [SequenceRun(*row) for row in db.connection().execute(sa.select(*columns).where(where))]


def table_of(model: type[SQLModel]) -> sa.Table:
    """Return the table behind a model: rows here are plain values, never objects."""
    table = sa.inspect(model).local_table
    assert isinstance(table, sa.Table)
    return table
