"""Streams of training sessions, from segments and hot store together, as arrays with units."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

from sqlmodel import Session, col, select

from devices.effects import StreamKey
from devices.reports import Channel, read_meta
from telerehab.archive.claims import Claims, place, read_claims
from telerehab.archive.errors import SegmentMissingError
from telerehab.archive.frames import Run, StreamBlocks, from_frames, merge_blocks
from telerehab.archive.grid import Recording, make_recording
from telerehab.archive.hot_blocks import read_fits, read_frames, read_headers, read_stream_keys
from telerehab.archive.segment_rows import Archive, OpenedSegment, key_of, open_segment, read_segments
from telerehab.attribution import StoredFit
from telerehab.db.engine import reading
from telerehab.db.tables import Assignment, DeviceReport, Segment, TrainingSession


class StreamName(NamedTuple):
    """One stream of a device."""

    device: str
    stream: str


@dataclass(kw_only=True, frozen=True, slots=True)
class _Found:
    """What is there of a stream, from both places."""

    parts: tuple[StreamBlocks, ...]
    channels: tuple[Channel, ...] | None
    fits: Mapping[int, Sequence[StoredFit]]


def list_streams(archive: Archive, training_session_id: UUID) -> list[StreamName]:
    """Return the streams of which a training session has blocks, sealed or hot."""
    with reading(archive.database.main) as db:
        found = {
            StreamName(row.device, row.stream) for row in read_segments(db, training_session_id=training_session_id)
        }
        training = db.get(TrainingSession, training_session_id)
        devices = [] if training is None else _devices_of(db, training, found)
    for device in devices:
        found |= {StreamName(device, part.stream) for part, _ in _hot_runs(archive, training_session_id, device)}
    return sorted(found)


def read_stream(
    archive: Archive, *, training_session_id: UUID, device: str, stream: str, as_counts: bool = False
) -> Recording:
    """Return one stream of a training session; a block that lies in several places is taken once.

    Parameters
    ----------
    as_counts : bool
        The integers as the device sent them, where nobody knows their scale.

    Raises
    ------
    SegmentMissingError
        There is nothing of this stream, or a segment's file is gone.
    SegmentDamagedError, SegmentLockedError
        A segment's file is not what was sealed; its key is gone.
    ScaleUnknownError
        The device has not said what its numbers mean.
    """
    hot = _read_hot(archive, training_session_id, device, stream)  # first: what is gone from there is sealed by now
    try:
        found = _read_sealed(archive, training_session_id, device, stream)
    except SegmentMissingError:  # a merge may have replaced it meanwhile: then the rows name another file
        found = _read_sealed(archive, training_session_id, device, stream)
    parts = (*found.parts, *hot.parts)
    if not parts:
        raise SegmentMissingError(f"training session {training_session_id} has nothing of {device}/{stream}")
    same = [part for part in parts if part.schema is parts[0].schema and len(part.channels) == len(parts[0].channels)]
    return make_recording(
        merge_blocks(same),
        device=device,
        name=stream,
        channels=found.channels or _read_channels(archive, device, stream),
        fits={**found.fits, **hot.fits},
        as_counts=as_counts,
    )


def read_segment(archive: Archive, db: Session, segment: Segment, *, is_checked: bool = False) -> OpenedSegment:
    """Return what is in one segment.

    Raises
    ------
    SegmentMissingError, SegmentDamagedError, SegmentLockedError
        Its file is gone; it is not what was sealed; its key is gone.
    """
    return open_segment(archive.store, segment, key=key_of(db, segment, archive.key_ring), is_checked=is_checked)


def _read_sealed(archive: Archive, training_session_id: UUID, device: str, stream: str) -> _Found:
    """Return what the segments have; what is said last of a boot's clock counts."""
    fits: dict[int, Sequence[StoredFit]] = {}
    channels = None
    parts = []
    with reading(archive.database.main) as db:
        rows = read_segments(db, training_session_id=training_session_id, device=device, stream=stream)
        for segment in rows:
            opened = read_segment(archive, db, segment)
            parts.append(opened.stream)
            channels = opened.channels or channels
            fits.update(opened.fits)
    return _Found(parts=tuple(parts), channels=channels, fits=fits)


def _read_hot(archive: Archive, training_session_id: UUID, device: str, stream: str) -> _Found:
    """Return what the hot store has."""
    runs = [each for each in _hot_runs(archive, training_session_id, device) if each[0].stream == stream]
    fits: dict[int, Sequence[StoredFit]] = {}
    parts: list[StreamBlocks] = []
    with reading(archive.database.hot) as db:
        for key, mine in runs:
            frames, received_us = read_frames(db, key, mine)
            parts += from_frames(frames, received_us)
            fits[key.boot] = read_fits(db, device, key.boot)
    return _Found(parts=tuple(parts), channels=None, fits=fits)


def _read_channels(archive: Archive, device: str, stream: str) -> tuple[Channel, ...] | None:
    """Return what the device says now of its numbers."""
    with reading(archive.database.hot) as db:
        report = db.get(DeviceReport, device)
    meta = None if report is None else (read_meta(report.meta) or {}).get(stream)
    return None if meta is None else meta.channels


def _hot_runs(archive: Archive, training_session_id: UUID, device: str) -> list[tuple[StreamKey, list[Run]]]:
    """Return which hot blocks of a device belong to a training session."""
    with reading(archive.database.hot) as hot:
        keys = list(read_stream_keys(hot, device=device))
        if not keys:
            return []
        with reading(archive.database.main) as db:
            training = db.get(TrainingSession, training_session_id)
            if training is None:
                return []
            claims = read_claims(db, device, since=training.opened_at)
        found = [(key, _runs_of(hot, key, claims, training_session_id)) for key in keys]
    return [(key, runs) for key, runs in found if runs]


def _runs_of(hot: Session, key: StreamKey, claims: Claims, training_session_id: UUID) -> list[Run]:
    blocks = read_headers(hot, key, limit=None)
    placed = place(blocks, fits=read_fits(hot, key.device, key.boot), claims=claims)
    wanted = [index for index, each in enumerate(claims.trainings) if each.id == training_session_id]
    if not wanted:
        return []
    mine = placed.training == wanted[0]
    return blocks.runs(mine)


def _devices_of(db: Session, training: TrainingSession, known: set[StreamName]) -> set[str]:
    """Return the devices that may have blocks: those lent to the patient at the time, and those that are known."""
    statement = select(Assignment.device_name).where(col(Assignment.patient_id) == training.patient_id)
    if training.closed_at is not None:
        statement = statement.where(col(Assignment.starts_at) <= training.closed_at)
    return {*db.exec(statement), *(each.device for each in known)}
