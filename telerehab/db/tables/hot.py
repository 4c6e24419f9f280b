"""The hot store, written by ingest: blocks as they came, holes, clocks, what was refused."""

import uuid
from typing import Any

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field

from telerehab.db.tables.base import Table, json_object, own_id, owned_by


class Block(Table, table=True):
    """Consecutive samples as the device sent them; the key makes a replay harmless."""

    __tablename__ = "block"
    __table_args__ = owned_by("ingest", store="hot") | {"sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    stream: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    schema_code: int = Field(sa_column=Column("schema", BigInteger, nullable=False))
    t0_us: int = Field(sa_type=BigInteger)
    """Device clock at the first sample."""
    n_samples: int
    received_us: int = Field(sa_type=BigInteger)
    payload: bytes = Field(sa_type=LargeBinary)
    """The whole frame."""


class SealedRun(Table, table=True):
    """Blocks `[start_sequence, stop_sequence)` that were deleted because a segment of the archive holds them."""

    __tablename__ = "sealed_run"
    __table_args__ = owned_by("ingest", store="hot") | {"sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    stream: str = Field(primary_key=True)
    start_sequence: int = Field(primary_key=True, sa_type=BigInteger)
    stop_sequence: int = Field(sa_type=BigInteger)


class Gap(Table, table=True):
    """Blocks `[start_sequence, stop_sequence)` that have not come; closed when they do."""

    __tablename__ = "gap"
    __table_args__ = owned_by("ingest", store="hot") | {"sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    stream: str = Field(primary_key=True)
    start_sequence: int = Field(primary_key=True, sa_type=BigInteger)
    stop_sequence: int = Field(sa_type=BigInteger)
    seen_at_us: int = Field(sa_type=BigInteger)
    cause: str
    closed_at_us: int | None = Field(default=None, sa_type=BigInteger)


class ClockFit(Table, table=True):
    """Server time = `a_us + b * device time`, from device time `from_us` on."""

    __tablename__ = "clock_fit"
    __table_args__ = owned_by("ingest", store="hot") | {"sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    from_us: int = Field(primary_key=True, sa_type=BigInteger)
    a_us: float
    b: float
    rmse_us: float


class Quarantine(Table, table=True):
    """A message that was refused, kept raw, with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = owned_by("ingest", store="hot")

    id: uuid.UUID = own_id()
    device: str = Field(index=True)
    received_us: int = Field(sa_type=BigInteger)
    why: str
    payload: bytes = Field(sa_type=LargeBinary)


class DeviceReport(Table, table=True):
    """The last that a device said of itself."""

    __tablename__ = "device_report"
    __table_args__ = owned_by("ingest", store="hot")

    device: str = Field(primary_key=True)
    meta: dict[str, Any] = json_object()
    state: dict[str, Any] = json_object()
    received_us: int = Field(sa_type=BigInteger)
    kept_told_us: int | None = Field(default=None, sa_type=BigInteger)
    """When the device last said what it keeps; a last will says nothing of it."""
    emptied_us: int | None = Field(default=None, sa_type=BigInteger)
    """When the device last said that it keeps nothing."""


class BlockCount(Table, table=True):
    """What one stream brought in a minute of its device's clock: of blocks that are no longer in `block`.

    Written in the transaction that deletes the blocks, so that every block is counted once.
    """

    __tablename__ = "block_count"
    __table_args__ = owned_by("ingest", store="hot") | {"sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    stream: str = Field(primary_key=True)
    span: int = Field(primary_key=True, sa_type=BigInteger)
    """`t0_us` in whole `devices.effects.SPAN_US`."""
    block_count: int
    sample_count: int
    late_count: int
    """Blocks that came as backfill, or more than two seconds after they were taken."""
    start_sequence: int = Field(sa_type=BigInteger)
    stop_sequence: int = Field(sa_type=BigInteger)
    first_us: int = Field(sa_type=BigInteger)
    """Device clock at the first sample of the first and of the last block."""
    last_us: int = Field(sa_type=BigInteger)
    first_received_us: int = Field(sa_type=BigInteger)


class DuplicateCount(Table, table=True):
    """Blocks that came again within a minute of a device's clock, as one intake process counted them."""

    __tablename__ = "duplicate_count"
    __table_args__ = owned_by("ingest", store="hot") | {"sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    stream: str = Field(primary_key=True)
    span: int = Field(primary_key=True, sa_type=BigInteger)
    counted_since_us: int = Field(primary_key=True, sa_type=BigInteger)
    """When the process began to count: its number replaces its last one, and adds to those before it."""
    duplicate_count: int
