"""Blocks move from the hot store into sealed segments. Every step may be the last one: nothing is lost, all runs again.

1. Blocks whose training session (or hour) is over, grace included, become a file under a random name.
2. The file is read back, decrypted and turned into frames again; these must be the frames of the hot store.
3. The rows `segment` and `segment_run` are committed. Before this the file is one that nobody knows.
4. Ingest, which owns the hot store, deletes what the rows cover (`telerehab.intake.hot_store`). Until then a block lies
   in both places; whoever reads takes it once.
5. When none of its blocks is hot any more, a segment is marked as cleared.

Late blocks become a further segment of the same stream.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final
from uuid import UUID, uuid4

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from devices.effects import StreamKey
from devices.reports import StreamMeta, read_meta
from devices.sequencer import RangeSet
from telerehab.archive.attribution import HOUR_US, UNATTRIBUTED, TrainingSpan
from telerehab.archive.claims import Claims, Placed, place, read_claims
from telerehab.archive.envelope import new_key, seal_body
from telerehab.archive.errors import ArchiveError, FramesRefusedError, SegmentDamagedError, SegmentLockedError
from telerehab.archive.frames import Run, StreamBlocks, digest_of, from_frames, to_frames
from telerehab.archive.hot_blocks import (
    HotHeaders,
    has_blocks,
    read_fits,
    read_frames,
    read_headers,
    read_stream_keys,
)
from telerehab.archive.layout import FORMAT_VERSION, encode_body
from telerehab.archive.segment_rows import (
    OWNER,
    Archive,
    add_segment,
    context_of_segment,
    key_of,
    open_segment,
    read_covered,
    read_runs,
    read_segments,
    say_channels,
    say_fits,
    wrap_for_device,
    wrap_for_patient,
)
from telerehab.archive.store import path_of
from telerehab.attribution import StoredFit
from telerehab.clock import from_us, to_us
from telerehab.db.engine import reading, writing
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import DeviceReport, Patient, Repetition, Segment, SegmentRun, TrainingSession

log = logging.getLogger(__name__)

QUIET_US: Final = 60_000_000
"""While blocks of a training session still come in, they are waited for: one segment rather than many."""
SEGMENTS_PER_RUN: Final = 100
CLEARED_PER_RUN: Final = 500
LOOK_BACK: Final = timedelta(hours=2)


@dataclass(kw_only=True, frozen=True, slots=True)
class Wish:
    """Blocks of one stream that belong together and are due."""

    key: StreamKey
    training: TrainingSpan | None
    hour_us: int
    runs: tuple[Run, ...]
    start_us: int | None
    stop_us: int | None
    fits: tuple[StoredFit, ...]


def seal_due(archive: Archive, now: datetime) -> list[UUID]:
    """Seal what is due, a bounded number of segments; return the new ones.

    A stream that cannot be sealed is logged and stays hot; the others go on.

    Raises
    ------
    ArchiveUnavailableError
        The archive's place cannot be written; nothing is lost.
    """
    sealed: list[UUID] = []
    with reading(archive.database.hot) as hot:
        keys = list(read_stream_keys(hot))
    for key in keys:
        try:
            for wish in find_due(archive, key, now):
                sealed += seal(archive, wish, now)
                if len(sealed) >= SEGMENTS_PER_RUN:
                    return sealed
        except (FramesRefusedError, SegmentDamagedError, SegmentLockedError) as error:
            log.error("a stream of device %s could not be sealed: %s", key.device, error)
    return sealed


def find_due(archive: Archive, key: StreamKey, now: datetime) -> list[Wish]:
    """Return what of a stream is to be sealed now; one look at its first block where nothing can be."""
    database, now_us = archive.database, to_us(now)
    grace_us = round(database.settings.archive_grace_s * 1e6)
    with reading(database.hot) as hot:
        fits = read_fits(hot, key.device, key.boot)
        blocks = read_headers(hot, key, limit=1)
        if not blocks.received_us.size:
            return []
        first = _first_moment(blocks, fits)
        with reading(database.main) as db:
            claims = read_claims(db, key.device, since=from_us(max(first, 0)) - LOOK_BACK)
            covered = read_covered(db, device=key.device, boot=key.boot, stream=key.stream)
        ended = [each.stop_us + grace_us for each in claims.trainings if each.is_closed and each.stop_us > first]
        if now_us < min([_due_us(place(blocks, fits=fits, claims=claims), claims, grace_us=grace_us)[0], *ended]):
            return []
        blocks = read_headers(hot, key)
    placed = place(blocks, fits=fits, claims=claims)
    due_us = _due_us(placed, claims, grace_us=grace_us)
    sequence = blocks.headers["sequence"].astype(np.int64)
    is_new = ~_is_in(sequence, covered)
    if not is_new.all():
        _wake_cleared(archive, key, sequence[~is_new])
    return [
        _wish(key, blocks, placed, claims, chosen & is_new, fits)
        for chosen in _groups(placed)
        if (chosen & is_new).any()
        and now_us
        >= max(int(due_us[chosen].max()), int(blocks.received_us[chosen & is_new].max()) + min(QUIET_US, grace_us))
    ]


def seal(archive: Archive, wish: Wish, now: datetime) -> list[UUID]:
    """Seal blocks that belong together; return the segments: one for each schema that there is.

    Raises
    ------
    FramesRefusedError
        A block is no frame.
    SegmentDamagedError
        What was written does not read back as it was; the file is gone again.
    ArchiveUnavailableError
        The archive's place cannot be written.
    """
    with reading(archive.database.hot) as hot:
        frames, received_us = read_frames(hot, wish.key, wish.runs)
        report = hot.get(DeviceReport, wish.key.device)
    parts = from_frames(frames, received_us)
    if digest_of(sorted(frame for part in parts for frame in to_frames(part))) != digest_of(sorted(frames)):
        raise FramesRefusedError("a block does not come back as it was")
    described = {} if report is None else report.meta
    return [made for part in parts if (made := _seal_part(archive, wish, part, described, now)) is not None]


def _seal_part(
    archive: Archive, wish: Wish, stream: StreamBlocks, described: dict[str, Any], now: datetime
) -> UUID | None:
    """Write, verify and commit one segment; None when somebody else has sealed the same blocks meanwhile."""
    segment = Segment(
        id=uuid4(),
        training_session_id=None if wish.training is None else wish.training.id,
        device=wish.key.device,
        stream=wish.key.stream,
        hour_us=wish.hour_us if wish.training is None else None,
        schema_code=int(stream.schema),
        start_us=wish.start_us,
        stop_us=wish.stop_us,
        received_us=int(stream.blocks["received_us"].max()),
        n_blocks=stream.blocks.size,
        n_samples=stream.n_samples,
        n_bytes=0,
        sha256="",
        format_version=FORMAT_VERSION,
        created_at=now,
    )
    key = _take_key(archive, segment)
    if key is not None:
        with reading(archive.database.main) as db:
            about = _about(db, segment, wish, described)
        write_file(archive, segment, stream, key=key, about=about)
    with writing(archive.database.main, owner=OWNER) as db:
        covered = read_covered(db, device=wish.key.device, boot=wish.key.boot, stream=wish.key.stream)
        is_taken = any(covered.overlap(run.start, run.stop) for run in stream.runs())
        if not is_taken and _is_still_theirs(db, segment):
            add_segment(db, segment, stream.runs())
            return segment.id
    if segment.path is not None:
        archive.store.remove(segment.path)
    return None


def write_file(archive: Archive, segment: Segment, stream: StreamBlocks, *, key: bytes, about: dict[str, Any]) -> None:
    """Write a segment's file and note in its row (not in the database yet) what it is; read it back.

    Raises
    ------
    SegmentDamagedError
        It does not read back as it was; the file is gone again.
    """
    body = encode_body(stream, about)
    data = seal_body(body, key=key, context=context_of_segment(segment))
    segment.sha256, segment.n_bytes = sha256(body).hexdigest(), len(data)
    path = path_of(segment.id)
    archive.store.write(path, data)
    segment.path = path
    try:
        read_back = open_segment(archive.store, segment, key=key, is_checked=True).stream
        if digest_of(to_frames(read_back)) != digest_of(to_frames(stream)):
            raise SegmentDamagedError(f"segment {segment.id}: it does not read back as it was written")
    except ArchiveError:
        archive.store.remove(path)
        raise


def mark_cleared(archive: Archive, now: datetime) -> int:
    """Mark segments of which nothing is hot any more; return how many."""
    database = archive.database
    with reading(database.main) as db:
        statement = select(Segment).where(col(Segment.cleared_at).is_(None)).order_by(col(Segment.created_at))
        waiting = [(row, read_runs(db, row.id)) for row in db.exec(statement.limit(CLEARED_PER_RUN))]
    with reading(database.hot) as hot:
        cleared = [
            row.id
            for row, runs in waiting
            if not any(has_blocks(hot, device=row.device, stream=row.stream, run=run) for run in runs)
        ]
    _set_cleared(archive, cleared, now)
    return len(cleared)


def rewrap_retracted(archive: Archive) -> int:
    """Wrap the keys of training sessions that have become another patient's under that one's key; return how many.

    The wrong patient can open them no more; the files stay as they are.
    """
    statement = (
        select(Segment.id)
        .join(TrainingSession, col(TrainingSession.id) == col(Segment.training_session_id))
        .where(col(Segment.patient_id) != col(TrainingSession.patient_id), col(Segment.wrapped_key).is_not(None))
    )
    with reading(archive.database.main) as db:
        ids = db.exec(statement).all()
    n_done = 0
    for segment_id in ids:
        with writing(archive.database.main, owner=OWNER) as db:
            n_done += _rewrap(db, archive, db.get_one(Segment, segment_id))
    return n_done


def _rewrap(db: Session, archive: Archive, segment: Segment) -> bool:
    training = db.get_one(TrainingSession, segment.training_session_id)
    if segment.patient_id == training.patient_id or segment.wrapped_key is None:
        return False
    right = PatientSeal(db.get_one(Patient, training.patient_id), archive.key_ring)
    try:
        key = key_of(db, segment, archive.key_ring)
    except SegmentLockedError:
        key = None
    segment.patient_id = training.patient_id
    gone = key is None or not right.has_key
    segment.wrapped_key = None if gone or key is None else wrap_for_patient(key, right, training_session_id=training.id)
    db.add(segment)
    return True


def _set_cleared(archive: Archive, segment_ids: Sequence[UUID], moment: datetime | None) -> None:
    """Say since when nothing of segments is hot; None: something is again, ingest shall look."""
    if not segment_ids:
        return
    with writing(archive.database.main, owner=OWNER) as db:
        for segment in db.exec(select(Segment).where(col(Segment.id).in_(segment_ids))):
            segment.cleared_at = moment
            db.add(segment)


def _wake_cleared(archive: Archive, key: StreamKey, sequence: NDArray[np.int64]) -> None:
    """Let ingest look again at segments whose blocks have come back: an order that was forgotten took them as new."""
    with reading(archive.database.main) as db:
        statement = (
            select(SegmentRun.segment_id)
            .join(Segment, col(Segment.id) == col(SegmentRun.segment_id))
            .where(
                col(SegmentRun.device) == key.device,
                col(SegmentRun.boot) == key.boot,
                col(SegmentRun.stream) == key.stream,
                col(SegmentRun.stop_sequence) > int(sequence[0]),
                col(SegmentRun.start_sequence) <= int(sequence[-1]),
                col(Segment.cleared_at).is_not(None),
            )
        )
        found = db.exec(statement.distinct()).all()
    _set_cleared(archive, found, None)


def _take_key(archive: Archive, segment: Segment) -> bytes | None:
    """Return the key of a new segment and wrap it in its row; None where the patient's key has been destroyed.

    All segments of a training session have one key.
    """
    with reading(archive.database.main) as db:
        if segment.training_session_id is None:
            key = new_key()
            segment.wrapped_key = wrap_for_device(
                key, archive.key_ring, device=segment.device, hour_us=segment.hour_us or 0
            )
            return key
        training = db.get_one(TrainingSession, segment.training_session_id)
        patient = db.get_one(Patient, training.patient_id)
        segment.patient_id = patient.id
        seal = PatientSeal(patient, archive.key_ring)
        if not seal.has_key:
            return None
        for other in read_segments(db, training_session_id=training.id):
            if other.patient_id == patient.id and other.wrapped_key is not None:
                segment.wrapped_key = other.wrapped_key
                return key_of(db, other, archive.key_ring)
    key = new_key()
    segment.wrapped_key = wrap_for_patient(key, seal, training_session_id=training.id)
    return key


def _is_still_theirs(db: Session, segment: Segment) -> bool:
    """Return whether the training session has not been handed to another patient since the key was wrapped."""
    if segment.training_session_id is None:
        return True
    return db.get_one(TrainingSession, segment.training_session_id).patient_id == segment.patient_id


def _about(db: Session, segment: Segment, wish: Wish, described: dict[str, Any]) -> dict[str, Any]:
    """Return what a segment says of itself, inside its encrypted content."""
    meta: StreamMeta | None = (read_meta(described) or {}).get(wish.key.stream)
    return {
        "device": segment.device,
        "stream": segment.stream,
        "training_session": None if segment.training_session_id is None else str(segment.training_session_id),
        "firmware": described.get("firmware"),
        "serial": described.get("serial"),
        "body_site": None if meta is None else meta.body_site,
        "rate_hz": None if meta is None else meta.rate_hz,
        "channels": None if meta is None else say_channels(meta.channels),
        "clock_fits": say_fits(wish.key.boot, wish.fits),
        "calibration": None if segment.training_session_id is None else _calibration(db, segment),
    }


def _calibration(db: Session, segment: Segment) -> dict[str, Any] | None:
    """Return how live analysis understood the sensor at the last repetition that it showed; None: it showed none."""
    statement = (
        select(Repetition.data)
        .where(col(Repetition.training_session_id) == segment.training_session_id)
        .order_by(col(Repetition.index).desc())
    )
    of_device = (data.get("calibrations", {}).get(segment.device) for data in db.exec(statement))
    return next((each for each in of_device if each is not None), None)


def _wish(
    key: StreamKey,
    blocks: HotHeaders,
    placed: Placed,
    claims: Claims,
    chosen: NDArray[np.bool_],
    fits: Sequence[StoredFit],
) -> Wish:
    index = int(placed.training[chosen][0])
    return Wish(
        key=key,
        training=None if index == UNATTRIBUTED else claims.trainings[index],
        hour_us=int(placed.hour_us[chosen][0]),
        runs=tuple(blocks.runs(chosen)),
        start_us=int(placed.start_us[chosen].min()) if fits else None,
        stop_us=int(placed.stop_us[chosen].max()) if fits else None,
        fits=tuple(fits),
    )


def _groups(placed: Placed) -> Iterator[NDArray[np.bool_]]:
    """Yield which blocks belong together: those of a training session, those of an hour outside of any."""
    for index in np.unique(placed.training).tolist():
        mine = placed.training == index
        if index != UNATTRIBUTED:
            yield mine
            continue
        for hour_us in np.unique(placed.hour_us[mine]).tolist():
            yield mine & (placed.hour_us == hour_us)


def _due_us(placed: Placed, claims: Claims, *, grace_us: int) -> NDArray[np.int64]:
    """Return when each block may be sealed: when what it belongs to is over, and the grace for late ones."""
    stops = np.array([each.stop_us for each in claims.trainings] or [0], np.int64)
    of_training = stops[np.maximum(placed.training, 0)]
    return np.where(placed.training == UNATTRIBUTED, placed.hour_us + HOUR_US, of_training) + grace_us


def _first_moment(blocks: HotHeaders, fits: Sequence[StoredFit]) -> int:
    placed = place(blocks, fits=fits, claims=Claims(lent=(), trainings=()))
    return int(placed.start_us[0] if fits else blocks.received_us[0])


def _is_in(sequence: NDArray[np.int64], covered: RangeSet) -> NDArray[np.bool_]:
    """Return which sequences lie in a set."""
    ranges = np.array(list(covered), np.int64).reshape(-1, 2)
    if not ranges.size:
        return np.zeros(sequence.shape, np.bool_)
    at = np.searchsorted(ranges[:, 0], sequence, "right") - 1
    inside: NDArray[np.bool_] = (at >= 0) & (sequence < ranges[np.maximum(at, 0), 1])
    return inside
