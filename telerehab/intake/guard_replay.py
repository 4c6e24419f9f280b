"""After a restart: let the stored values of open training sessions run past their limits again.

So an episode that a killed process saw, and could not write, is found again; one that is written is known by its id or
its onset (`telerehab.db.alert_rows`). What a device measured on an earlier wearer, and brought later, is nobody's here
(`telerehab.attribution`).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session

from devices.codec import decode_frames
from devices.effects import StoreBlock
from devices.wire import FLAG_BACKFILL, Schema
from telerehab.attribution import Clocks, Lendings, Unattributed, find_owner
from telerehab.db.tables import Block
from telerehab.intake.guard import GUARDED_SCHEMAS, Guard
from telerehab.intake.hot_reads import read_clocks, table_of
from telerehab.intake.taken_at import TakenAt

LOOK_BACK_US: Final = 600_000_000
BLOCKS_MAX: Final = 10_000  # per training session, the newest


class _Stored(NamedTuple):
    """One stored block: when its last row was taken by the server's clock, as far as that is known here."""

    last_us: int
    device: str
    schema: Schema
    rows: NDArray[Any]


class _Frame(NamedTuple):
    device: str
    boot: int
    schema: Schema
    is_backfill: bool
    end_device_us: int
    received_us: int
    rows: NDArray[Any]


def replay_guard(db: Session, guard: Guard, *, now_us: int, came: Sequence[StoreBlock] = ()) -> None:
    """Feed the guard with what there is of the last ten minutes of the training sessions that it watches.

    Parameters
    ----------
    came
        Blocks that may not be stored yet.
    """
    for training in guard.trainings:
        since_us = max(training.opened_us, now_us - LOOK_BACK_US)
        worn = sorted(training.worn)
        frames = _read_frames(db, worn, since_us=since_us, came=[block for block in came if block.device in worn])
        lendings = {device: [guard.lendings[device]] for device in worn if device in guard.lendings}
        for block in _in_order(frames, clocks=read_clocks(db, worn), lendings=lendings):
            guard.note_heard([block.device])
            guard.note_rows(block.device, block.schema, block.rows, last_us=block.last_us)


def _read_frames(db: Session, devices: Sequence[str], *, since_us: int, came: Sequence[StoreBlock]) -> list[_Frame]:
    """Return the blocks of values that arrived since a moment."""
    block = table_of(Block).c
    statement = (
        sa.select(block.device, block.boot, block.stream, block.sequence, block.received_us, block.payload)
        .where(
            block.device.in_(devices),
            block.received_us >= since_us,
            block.schema.in_([int(schema) for schema in GUARDED_SCHEMAS]),
        )
        .order_by(block.received_us.desc(), block.sequence.desc())
        .limit(BLOCKS_MAX)
    )
    found = {tuple(key): (received_us, payload) for *key, received_us, payload in db.connection().execute(statement)}
    found |= {
        tuple(each.key): (each.received_us, each.payload)
        for each in came
        if each.received_us >= since_us and each.schema in GUARDED_SCHEMAS
    }
    stored = [(key[0], received_us, payload) for key, (received_us, payload) in found.items()]
    frames = []
    for group in decode_frames([payload for _, _, payload in stored]).groups:
        for index, header, rows in zip(group.index.tolist(), group.headers, group.rows, strict=True):
            device, received_us, _ = stored[index]
            if rows.size:
                frames.append(
                    _Frame(
                        device=device,
                        boot=int(header["boot"]),
                        schema=group.schema,
                        is_backfill=bool(header["flags"] & FLAG_BACKFILL),
                        end_device_us=int(header["t0_us"]) + int(rows["delta_us"][-1]),
                        received_us=received_us,
                        rows=rows,
                    )
                )
    return frames


def _in_order(frames: Sequence[_Frame], *, clocks: Clocks, lendings: Lendings) -> list[_Stored]:
    """Return the wearers' blocks in the order in which their values were taken."""
    taken_at = TakenAt()
    stored = []
    for frame in sorted(frames, key=lambda each: (each.is_backfill, each.received_us, each.end_device_us)):
        is_placed = not frame.is_backfill or taken_at.knows(frame.device, frame.boot)
        find = taken_at.of_backfill if frame.is_backfill else taken_at.of_live
        last_us = find(frame.device, boot=frame.boot, device_us=frame.end_device_us, received_us=frame.received_us)
        lent, clock = lendings.get(frame.device, ()), clocks.get((frame.device, frame.boot))
        if clock is None:  # as on the live stream: at the arrival, where that tells anything
            is_theirs = is_placed and any(lending.contains(last_us, last_us + 1) for lending in lent)
        else:
            owner = find_owner(frame.end_device_us, frame.end_device_us + 1, clock=clock, lendings=lent)
            is_theirs = not isinstance(owner, Unattributed)
        if is_theirs:
            stored.append(_Stored(last_us=last_us, device=frame.device, schema=frame.schema, rows=frame.rows))
    return sorted(stored, key=lambda block: block.last_us)
