"""Sealed segments and what was analysed from them again: written by jobs."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from telerehab.db.tables.base import (
    Table,
    json_list,
    may_refer_to,
    maybe_moment,
    maybe_sealed,
    moment,
    own_id,
    owned_by,
    refers_to,
)


class Segment(Table, table=True):
    """Blocks of one stream in one encrypted file: of a training session, or of a device in one hour outside of any."""

    __tablename__ = "segment"
    __table_args__ = (Index(None, "device", "stream"), owned_by("jobs"))

    id: uuid.UUID = own_id()
    training_session_id: uuid.UUID | None = may_refer_to("training_session.id")
    patient_id: uuid.UUID | None = may_refer_to("patient.id")
    """Whose key wraps this segment's key; None: the installation's."""
    device: str
    stream: str
    hour_us: int | None = Field(default=None, sa_type=BigInteger)
    """Begin of the hour, where it belongs to no training session."""
    schema_code: int
    start_us: int | None = Field(default=None, sa_type=BigInteger)
    """Server's UTC of the first sample by the clock fits of the time; None: no fit."""
    stop_us: int | None = Field(default=None, sa_type=BigInteger)
    received_us: int = Field(sa_type=BigInteger)
    """When the last block arrived."""
    n_blocks: int
    n_samples: int = Field(sa_type=BigInteger)
    n_bytes: int = Field(sa_type=BigInteger)
    """Of the file."""
    sha256: str
    """Of the plain content, in hex."""
    wrapped_key: bytes | None = maybe_sealed()
    path: str | None = None
    """Below the archive's address; None: the patient's key had been destroyed, so nothing was kept."""
    format_version: int
    created_at: datetime = moment()
    cleared_at: datetime | None = maybe_moment(index=True)
    """When none of its blocks was in the hot store any more."""


class SegmentRun(Table, table=True):
    """Blocks `[start_sequence, stop_sequence)` of one boot that a segment holds; a segment may have holes."""

    __tablename__ = "segment_run"
    __table_args__ = (Index(None, "device", "boot", "stream"), owned_by("jobs"))

    segment_id: uuid.UUID = Field(primary_key=True, foreign_key="segment.id")
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    start_sequence: int = Field(primary_key=True, sa_type=BigInteger)
    stop_sequence: int = Field(sa_type=BigInteger)
    device: str
    stream: str


class Reanalysis(Table, table=True):
    """What a version of the analysis finds in a stretch of one exercise; results of other versions stay beside it."""

    __tablename__ = "reanalysis"
    __table_args__ = (
        Index(None, "training_session_id", "algorithm_version", "start_us", unique=True),
        owned_by("jobs"),
    )

    id: uuid.UUID = own_id()
    training_session_id: uuid.UUID = refers_to("training_session.id", index=False)
    algorithm_version: int
    exercise: str
    side: str
    start_us: int = Field(sa_type=BigInteger)
    """Server's UTC of sample 0."""
    stop_us: int = Field(sa_type=BigInteger)
    completeness: float
    """Share of the samples that are there, of both sensors, 0 to 1."""
    repetitions: list[dict[str, Any]] = json_list()
    created_at: datetime = moment()
