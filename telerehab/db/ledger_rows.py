"""The hot store's blocks, holes and duplicates as `telerehab.ledger` counts them.

Nothing is counted while blocks come in. Blocks that are in the hot store are counted by the database when somebody
asks; those that leave it, because they were sealed, are counted once more by `keep_counts` in the transaction that
deletes them. So a count is right whatever was killed in between: a block is counted in one of the two places.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from devices.effects import SPAN_US
from devices.wire import FLAG_BACKFILL, HEADER_DTYPE, HEADER_SIZE
from telerehab.attribution import Clocks
from telerehab.db.tables import Block, BlockCount, DuplicateCount, Gap
from telerehab.intake.hot_reads import table_of
from telerehab.ledger import LATE_AFTER_US, BlockTally, DuplicateTally, Hole, Window

FILLED: Final = "filled"
_FLAGS_AT: Final = HEADER_DTYPE.fields["flags"][1] + 1  # type: ignore[index]  # SQL counts from 1
_BACKFILL_BYTES: Final = [bytes([flags]) for flags in range(256) if flags & FLAG_BACKFILL]

Windows = Mapping[tuple[str, int], Window]
"""By device and boot."""


def read_boots(db: Session, devices: Collection[str]) -> list[tuple[str, int]]:
    """Return (device, boot) of which anything is known to have come."""
    found: set[tuple[str, int]] = set()
    for model in (Block, BlockCount):
        table = table_of(model)
        statement = sa.select(table.c.device, table.c.boot).where(table.c.device.in_(list(devices))).distinct()
        found |= {(device, boot) for device, boot in db.connection().execute(statement)}
    return sorted(found)


def read_tallies(db: Session, windows: Windows, *, clocks: Clocks) -> list[BlockTally]:
    """Return what was received of these boots in these windows of their clocks: by stream, and kept minutes."""
    tallies: list[BlockTally] = []
    for (device, boot), (start_us, stop_us) in windows.items():
        block = table_of(Block).c
        statement = (
            sa.select(block.device, block.boot, block.stream, *_counted(clocks, device, boot, start_us, stop_us))
            .where(block.device == device, block.boot == boot, block.t0_us >= start_us, block.t0_us < stop_us)
            .group_by(block.device, block.boot, block.stream)
        )
        kept = table_of(BlockCount).c
        minutes = sa.select(*(kept[name] for name in BlockTally._fields)).where(
            kept.device == device, kept.boot == boot, kept.last_us >= start_us, kept.first_us < stop_us
        )
        for each in (statement, minutes):
            tallies += [BlockTally(*row) for row in db.connection().execute(each)]
    return tallies


def read_minutes(db: Session, devices: Collection[str], *, since_us: int = 0) -> list[BlockTally]:
    """Return what devices brought since a moment, a tally for each stream and minute of its clock, without lateness."""
    block, kept = table_of(Block).c, table_of(BlockCount).c
    span = (block.t0_us // SPAN_US).label("span")
    statement = (
        sa.select(block.device, block.boot, block.stream, *_counted({}, "", 0, 0, 0))
        .where(block.device.in_(list(devices)), block.received_us >= since_us)
        .group_by(block.device, block.boot, block.stream, span)
    )
    minutes = sa.select(*(kept[name] for name in BlockTally._fields)).where(
        kept.device.in_(list(devices)), kept.first_received_us >= since_us
    )
    return [BlockTally(*row) for each in (statement, minutes) for row in db.connection().execute(each)]


def read_single_blocks(db: Session, tally: BlockTally) -> list[BlockTally]:
    """Return the blocks of a tally one by one, none of those that are no longer in the hot store.

    A block ends where its header says: the tally's `last_us` is then its last moment, and it counts as one block.
    """
    block = table_of(Block).c
    statement = sa.select(
        block.sequence, block.t0_us, block.n_samples, block.received_us, sa.func.substr(block.payload, 1, HEADER_SIZE)
    ).where(
        block.device == tally.device,
        block.boot == tally.boot,
        block.stream == tally.stream,
        block.sequence >= tally.start_sequence,
        block.sequence < tally.stop_sequence,
        block.t0_us >= tally.first_us,
        block.t0_us <= tally.last_us,
    )
    single = []
    for sequence, t0_us, n_samples, received_us, header in db.connection().execute(statement):
        period_us = int(np.frombuffer(header, HEADER_DTYPE)["period_us"][0])
        single.append(
            BlockTally(
                *tally.key,
                block_count=1,
                sample_count=n_samples,
                late_count=0,
                start_sequence=sequence,
                stop_sequence=sequence + 1,
                first_us=t0_us,
                last_us=t0_us + n_samples * period_us,
                first_received_us=received_us,
            )
        )
    return single


def read_holes(db: Session, boots: Iterable[tuple[str, int]]) -> list[Hole]:
    """Return the holes of these boots that no data has filled."""
    gap = table_of(Gap).c
    return [
        Hole(device, boot, stream, start, stop, None if closed_at_us is None else cause)
        for chosen in boots
        for device, boot, stream, start, stop, cause, closed_at_us in db.connection().execute(
            sa.select(
                gap.device, gap.boot, gap.stream, gap.start_sequence, gap.stop_sequence, gap.cause, gap.closed_at_us
            ).where(gap.device == chosen[0], gap.boot == chosen[1])
        )
        if closed_at_us is None or cause != FILLED
    ]


def read_duplicates(db: Session, boots: Iterable[tuple[str, int]]) -> list[DuplicateTally]:
    """Return what came again of these boots."""
    seen = table_of(DuplicateCount).c
    key = (seen.device, seen.boot, seen.stream, seen.span)
    return [
        DuplicateTally(device, boot, stream, span, int(count))
        for chosen in boots
        for device, boot, stream, span, count in db.connection().execute(
            sa.select(*key, sa.func.sum(seen.duplicate_count))
            .where(seen.device == chosen[0], seen.boot == chosen[1])
            .group_by(*key)
        )
    ]


def keep_counts(
    db: Session, *, device: str, boot: int, stream: str, runs: Sequence[tuple[int, int]], clocks: Clocks
) -> None:
    """Keep the counts of blocks that are about to be deleted; call it in the transaction that deletes them, before.

    Parameters
    ----------
    runs : sequence of (int, int)
        Their sequences, disjoint `[start, stop)`.
    clocks : Clocks
        From the stored fits: how late a block came is known only while it is there.
    """
    block, kept = table_of(Block).c, table_of(BlockCount)
    make = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
    span = (block.t0_us // SPAN_US).label("span")
    for start, stop in runs:
        of_run = (
            sa.select(block.device, block.boot, block.stream, *_counted(clocks, device, boot, None, None), span)
            .where(
                block.device == device,
                block.boot == boot,
                block.stream == stream,
                block.sequence >= start,
                block.sequence < stop,
            )
            .group_by(block.device, block.boot, block.stream, span)
        )
        rows = [
            dict(zip((*BlockTally._fields, "span"), row, strict=True)) for row in db.connection().execute(of_run).all()
        ]
        if rows:
            statement = make(kept)
            new = statement.excluded
            added = {name: kept.c[name] + new[name] for name in ("block_count", "sample_count", "late_count")}
            least, most = _least_and_most(db.get_bind().dialect.name)
            lower = {
                name: least(kept.c[name], new[name]) for name in ("start_sequence", "first_us", "first_received_us")
            }
            upper = {name: most(kept.c[name], new[name]) for name in ("stop_sequence", "last_us")}
            db.connection().execute(
                statement.on_conflict_do_update(
                    index_elements=["device", "boot", "stream", "span"], set_=added | lower | upper
                ),
                rows,
            )


def _least_and_most(dialect: str) -> tuple[Any, Any]:
    """Return the functions for the smaller and the larger of two values; SQLite gives them other names."""
    return (sa.func.least, sa.func.greatest) if dialect == "postgresql" else (sa.func.min, sa.func.max)


def _counted(clocks: Clocks, device: str, boot: int, start_us: int | None, stop_us: int | None) -> list[Any]:
    """Return the columns that count blocks, in the order of `BlockTally` after its first three."""
    block = table_of(Block).c
    is_late: sa.ColumnElement[bool] = sa.func.substr(block.payload, _FLAGS_AT, 1).in_(
        [sa.literal(each, sa.LargeBinary) for each in _BACKFILL_BYTES]
    )
    clock = clocks.get((device, boot))
    if clock is not None:
        fit = clock.fits[-1] if stop_us is None or start_us is None else clock.fit_at((start_us + stop_us) // 2)
        is_late |= block.received_us - (fit.a_us + fit.b * block.t0_us) > LATE_AFTER_US
    return [
        sa.func.count(),
        sa.cast(sa.func.sum(block.n_samples), sa.BigInteger),
        sa.cast(sa.func.sum(sa.case((is_late, 1), else_=0)), sa.BigInteger),
        sa.func.min(block.sequence),
        sa.func.max(block.sequence) + 1,
        sa.func.min(block.t0_us),
        sa.func.max(block.t0_us),
        sa.func.min(block.received_us),
    ]
