"""The rows of segments: which there are, which blocks they hold, and the keys that open them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import UUID

from sqlmodel import Session, col, select

from devices.reports import Channel
from devices.sequencer import RangeSet
from telerehab.archive.envelope import context_of, device_hour, open_body
from telerehab.archive.errors import SegmentDamagedError, SegmentLockedError
from telerehab.archive.frames import Run, StreamBlocks
from telerehab.archive.layout import decode_body
from telerehab.archive.store import ArchiveStore, open_store
from telerehab.attribution import StoredFit
from telerehab.auth.key_ring import KeyRing, open_key_ring
from telerehab.db.engine import Database
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import Patient, Segment, SegmentRun
from telerehab.errors import KeyRingError

OWNER: Final = "jobs"
_COLUMN: Final = "wrapped_key"


@dataclass(kw_only=True, frozen=True, slots=True)
class Archive:
    """All that segments are written and read with."""

    database: Database
    store: ArchiveStore
    key_ring: KeyRing


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedSegment:
    """A segment's blocks, and what it says of them."""

    stream: StreamBlocks
    channels: tuple[Channel, ...] | None
    """None: the device had not said what its numbers mean when it was sealed."""
    fits: dict[int, list[StoredFit]]
    about: dict[str, Any]


def open_archive(database: Database) -> Archive:
    """Return the archive that belongs to a database.

    Raises
    ------
    KeyRingError, ArchiveUnavailableError
        The keys cannot be read; the archive's address is none.
    """
    settings = database.settings
    return Archive(database=database, store=open_store(settings), key_ring=open_key_ring(settings))


def read_segments(
    db: Session, *, training_session_id: UUID, device: str | None = None, stream: str | None = None
) -> Sequence[Segment]:
    """Return the segments of a training session, oldest first."""
    statement = select(Segment).where(col(Segment.training_session_id) == training_session_id)
    if device is not None:
        statement = statement.where(col(Segment.device) == device)
    if stream is not None:
        statement = statement.where(col(Segment.stream) == stream)
    return db.exec(statement.order_by(col(Segment.created_at), col(Segment.id))).all()


def read_runs(db: Session, segment_id: UUID) -> list[Run]:
    """Return the blocks that a segment holds."""
    statement = select(SegmentRun).where(col(SegmentRun.segment_id) == segment_id)
    rows = db.exec(statement.order_by(col(SegmentRun.boot), col(SegmentRun.start_sequence)))
    return [Run(boot=row.boot, start=row.start_sequence, stop=row.stop_sequence) for row in rows]


def read_covered(db: Session, *, device: str, boot: int, stream: str) -> RangeSet:
    """Return the sequences of a boot that lie in any segment."""
    statement = select(SegmentRun.start_sequence, SegmentRun.stop_sequence).where(
        col(SegmentRun.device) == device, col(SegmentRun.boot) == boot, col(SegmentRun.stream) == stream
    )
    return RangeSet(db.exec(statement.order_by(col(SegmentRun.start_sequence))).all())


def add_segment(db: Session, segment: Segment, runs: Iterable[Run]) -> None:
    """Write a segment's row and what it holds."""
    db.add(segment)
    db.flush()
    db.add_all(
        SegmentRun(
            segment_id=segment.id,
            boot=run.boot,
            start_sequence=run.start,
            stop_sequence=run.stop,
            device=segment.device,
            stream=segment.stream,
        )
        for run in runs
    )


def wrap_for_patient(key: bytes, seal: PatientSeal, *, training_session_id: UUID) -> bytes:
    """Return a training session's key, wrapped by the patient's.

    Raises
    ------
    KeyRingError
        The patient's key has been destroyed.
    """
    return seal.seal(key.hex(), table=Segment.__tablename__, column=_COLUMN, row_id=training_session_id)


def unwrap_for_patient(wrapped: bytes, seal: PatientSeal, *, training_session_id: UUID) -> bytes | None:
    """Return a training session's key; None when the patient's has been destroyed."""
    opened = seal.open(wrapped, table=Segment.__tablename__, column=_COLUMN, row_id=training_session_id)
    return None if opened is None else bytes.fromhex(opened)


def wrap_for_device(key: bytes, key_ring: KeyRing, *, device: str, hour_us: int) -> bytes:
    """Return the key of a device and hour, wrapped by the installation's."""
    return key_ring.seal(key, context=device_hour(device, hour_us))


def key_of(db: Session, segment: Segment, key_ring: KeyRing) -> bytes:
    """Return the key of a segment.

    Raises
    ------
    SegmentLockedError
        The patient's key has been destroyed, or the key ring is another one.
    """
    if segment.wrapped_key is None:
        raise SegmentLockedError(f"segment {segment.id}: the patient's key had been destroyed before it was sealed")
    try:
        if segment.training_session_id is None:
            return key_ring.open(segment.wrapped_key, context=device_hour(segment.device, segment.hour_us or 0))
        seal = PatientSeal(db.get_one(Patient, segment.patient_id), key_ring)
        key = unwrap_for_patient(segment.wrapped_key, seal, training_session_id=segment.training_session_id)
    except KeyRingError as error:
        raise SegmentLockedError(f"segment {segment.id}: its key does not open") from error
    if key is None:
        raise SegmentLockedError(f"segment {segment.id}: the patient's key has been destroyed")
    return key


def context_of_segment(segment: Segment) -> str:
    """Return the additional data of a segment's file."""
    return context_of(
        segment_id=segment.id,
        training_session_id=segment.training_session_id,
        device=segment.device,
        hour_us=segment.hour_us,
    )


def open_segment(store: ArchiveStore, segment: Segment, *, key: bytes, is_checked: bool = False) -> OpenedSegment:
    """Return what is in a segment.

    Parameters
    ----------
    is_checked : bool
        Also compare its SHA-256 with the row; the encryption's own check is made in any case.

    Raises
    ------
    SegmentMissingError, SegmentDamagedError, SegmentLockedError
        The file is gone; it is not what was sealed; it does not open with this key.
    """
    if segment.path is None:
        raise SegmentLockedError(f"segment {segment.id}: nothing was kept of an erased patient")
    data = store.read(segment.path)
    body = open_body(data, key=key, context=context_of_segment(segment))
    if is_checked and sha256(body).hexdigest() != segment.sha256:
        raise SegmentDamagedError(f"segment {segment.id}: its content is not what the row says")
    stream, about = decode_body(body)
    return OpenedSegment(
        stream=stream, channels=_read_channels(about["channels"]), fits=_read_fits(about["clock_fits"]), about=about
    )


def say_channels(channels: Sequence[Channel] | None) -> list[dict[str, Any]] | None:
    """Return channels as the metadata of a segment has them."""
    if channels is None:
        return None
    return [
        {"name": each.name, "unit": each.unit, "scale": each.scale, "range": [each.low, each.high]} for each in channels
    ]


def say_fits(boot: int, fits: Iterable[StoredFit]) -> list[list[float]]:
    """Return clock fits as the metadata of a segment has them."""
    return [[boot, fit.from_us, fit.a_us, fit.b] for fit in fits]


def _read_channels(said: list[dict[str, Any]] | None) -> tuple[Channel, ...] | None:
    if said is None:
        return None
    return tuple(
        Channel(name=each["name"], unit=each["unit"], scale=each["scale"], low=each["range"][0], high=each["range"][1])
        for each in said
    )


def _read_fits(said: Iterable[Sequence[float]]) -> dict[int, list[StoredFit]]:
    fits: dict[int, list[StoredFit]] = {}
    for boot, from_us, a_us, b in said:
        fits.setdefault(int(boot), []).append(StoredFit(from_us=int(from_us), a_us=a_us, b=b))
    return fits
