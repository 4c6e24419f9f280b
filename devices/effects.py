"""What one step of the intake asks its shell to do. Values only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from devices.clock_sync import ClockFit
from devices.reports import StreamMeta
from devices.sequencer import GapCause
from devices.wire import Schema

SPAN_US: Final = 60_000_000
"""Blocks are counted by stretches of this length of their device's clock."""


class StreamKey(NamedTuple):
    """One stream of a device since one boot."""

    device: str
    boot: int
    stream: str


class BlockKey(NamedTuple):
    """What a block is known by: the same block sent twice has the same key."""

    device: str
    boot: int
    stream: str
    sequence: int


class SequenceRun(NamedTuple):
    """Blocks `[start_sequence, stop_sequence)` of one stream."""

    device: str
    boot: int
    stream: str
    start_sequence: int
    stop_sequence: int


class StoreBlock(NamedTuple):
    """A new block for the store; `payload` is the whole frame. `_asdict` names the columns."""

    device: str
    boot: int
    stream: str
    sequence: int
    schema: int
    t0_us: int
    n_samples: int
    received_us: int
    payload: bytes

    @property
    def key(self) -> BlockKey:
        """Return what to hand to `Ingest.committed`."""
        return BlockKey(self.device, self.boot, self.stream, self.sequence)


class GapRow(NamedTuple):
    """A hole `[start_sequence, stop_sequence)` as it now is; replaces the row with the same first four columns."""

    device: str
    boot: int
    stream: str
    start_sequence: int
    stop_sequence: int
    seen_at_us: int
    cause: str
    closed_at_us: int | None

    @property
    def given_up(self) -> SequenceRun | None:
        """Return what will never come, to hand to `Ingest.committed` once the row is; None for other holes."""
        is_lost = self.closed_at_us is not None and self.cause != GapCause.FILLED
        return SequenceRun(*self[:5]) if is_lost else None


class DuplicateSeen(NamedTuple):
    """How many blocks of a stretch of a stream came again; replaces the row with the same first five columns.

    `span` is `t0_us` in whole `SPAN_US`. Whoever forgets a count begins a new one: counts of a stretch add up.
    """

    device: str
    boot: int
    stream: str
    span: int
    counted_since_us: int
    duplicate_count: int


class Outgoing(NamedTuple):
    """A message to publish, not retained."""

    topic: str
    payload: bytes
    qos: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A message that was refused.

    With a `key` it arrived as the device sent it, but cannot be read: hand the key to `Ingest.committed` once the row
    is committed, so that the device may forget it.
    """

    device: str
    received_us: int
    why: str
    payload: bytes
    key: BlockKey | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBatch:
    """New blocks of one schema and length, by stream and then by sequence, each at most once.

    `stream_ids`, shape (n_blocks,), index `Ingest.stream_keys` and never change their meaning; `headers`, shape
    (n_blocks,), HEADER_DTYPE; `rows`, shape (n_blocks, n_rows), the schema's dtype; `received_us`, shape (n_blocks,).
    """

    schema: Schema
    stream_ids: np.ndarray[Any, np.dtype[np.int64]]
    headers: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]
    received_us: np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceMeta:
    """What a device says it is; `document` is the whole JSON."""

    device: str
    received_us: int
    streams: Mapping[str, StreamMeta]
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceState:
    """How a device says it is; `document` is the whole JSON."""

    device: str
    received_us: int
    is_online: bool
    boot: int | None
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFitted:
    """A fit that is worth keeping, from device time `from_us` on."""

    device: str
    boot: int
    from_us: int
    fit: ClockFit


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEffects:
    """All that follows from one step.

    Store `blocks`, `quarantined`, gaps (no two of one step have the same start), `device_meta`, `device_state`,
    `clock_fits` and `duplicates` together. `live_restarts` are streams whose clock jumped: begin their ring slot anew
    before writing `live`.
    """

    blocks: Sequence[StoreBlock] = ()
    live: Sequence[LiveBatch] = ()
    live_restarts: Sequence[int] = ()
    quarantined: Sequence[Quarantined] = ()
    gaps_opened: Sequence[GapRow] = ()
    gaps_closed: Sequence[GapRow] = ()
    device_meta: Sequence[DeviceMeta] = ()
    device_state: Sequence[DeviceState] = ()
    clock_fits: Sequence[ClockFitted] = ()
    duplicates: Sequence[DuplicateSeen] = ()
    outgoing: Sequence[Outgoing] = ()
