"""Several segments of one stream become one: after late blocks, or after two processes sealed the same.

The new file is written and read back like any other; its row and the end of the old rows are one commit; the old files
go after it. A process that ends in between leaves files that nobody knows, and loses nothing.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID, uuid4

import sqlalchemy as sa
from sqlmodel import Session, col, select

from telerehab.archive.errors import SegmentLockedError
from telerehab.archive.frames import StreamBlocks, merge_blocks
from telerehab.archive.reader import read_segment
from telerehab.archive.sealing import write_file
from telerehab.archive.segment_rows import OWNER, Archive, OpenedSegment, add_segment, key_of, say_fits
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Segment, SegmentRun

Key = tuple[UUID | None, int | None, str, str, int]


def merge_segments(archive: Archive, now: datetime, *, progress: Callable[[int, int], None]) -> list[UUID]:
    """Merge what there is several of; return the new segments. What belongs to an erased patient stays as it is.

    Raises
    ------
    ArchiveError
        A segment cannot be read, or the new one does not read back: the old ones stay.
    """
    with reading(archive.database.main) as db:
        groups: dict[Key, list[Segment]] = {}
        for row in db.exec(select(Segment).order_by(col(Segment.created_at), col(Segment.id))):
            key = (row.training_session_id, row.hour_us, row.device, row.stream, row.schema_code)
            groups.setdefault(key, []).append(row)
    several = [rows for rows in groups.values() if len(rows) > 1]
    made = []
    for number, rows in enumerate(several):
        made += _merge(archive, rows, now)
        progress(number + 1, len(several))
    return made


def _merge(archive: Archive, rows: Sequence[Segment], now: datetime) -> list[UUID]:
    """Merge the segments of one stream and schema: those with the same channels."""
    try:
        with reading(archive.database.main) as db:
            key = key_of(db, rows[0], archive.key_ring)
            opened = [read_segment(archive, db, row, is_checked=True) for row in rows]
    except SegmentLockedError:
        return []
    by_width: dict[int, list[tuple[Segment, OpenedSegment]]] = {}
    for row, each in zip(rows, opened, strict=True):
        by_width.setdefault(len(each.stream.channels), []).append((row, each))
    made = []
    for pairs in by_width.values():
        if len(pairs) > 1 and (segment_id := _replace(archive, pairs, key, rows[0], now)) is not None:
            made.append(segment_id)
    return made


def _replace(
    archive: Archive, pairs: Sequence[tuple[Segment, OpenedSegment]], key: bytes, keyed: Segment, now: datetime
) -> UUID | None:
    """Write one segment for several and let it take their place; None when they have changed meanwhile."""
    old, opened = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    stream = merge_blocks([each.stream for each in opened])
    segment = _new_row(old, stream, keyed, now)
    write_file(archive, segment, stream, key=key, about=_about(opened))
    with writing(archive.database.main, owner=OWNER) as db:
        is_unchanged = _is_unchanged(db, [*old, keyed])
        if is_unchanged:
            ids = [row.id for row in old]
            segment.cleared_at = _cleared_at(db, ids)
            db.connection().execute(sa.delete(SegmentRun).where(col(SegmentRun.segment_id).in_(ids)))
            db.connection().execute(sa.delete(Segment).where(col(Segment.id).in_(ids)))
            add_segment(db, segment, stream.runs())
    gone = [row.path for row in old] if is_unchanged else [segment.path]
    for path in filter(None, gone):
        archive.store.remove(path)
    return segment.id if is_unchanged else None


def _new_row(old: Sequence[Segment], stream: StreamBlocks, keyed: Segment, now: datetime) -> Segment:
    starts_us = [row.start_us for row in old if row.start_us is not None]
    stops_us = [row.stop_us for row in old if row.stop_us is not None]
    return Segment(
        id=uuid4(),
        training_session_id=keyed.training_session_id,
        patient_id=keyed.patient_id,
        device=keyed.device,
        stream=keyed.stream,
        hour_us=keyed.hour_us,
        schema_code=keyed.schema_code,
        start_us=min(starts_us, default=None),
        stop_us=max(stops_us, default=None),
        received_us=max(row.received_us for row in old),
        n_blocks=stream.blocks.size,
        n_samples=stream.n_samples,
        n_bytes=0,
        sha256="",
        wrapped_key=keyed.wrapped_key,
        format_version=keyed.format_version,
        created_at=now,
    )


def _about(opened: Sequence[OpenedSegment]) -> dict[str, object]:
    """Return what is said of the newest, with the clock fits of all."""
    fits = {boot: spans for each in opened for boot, spans in each.fits.items()}
    channels = next((each.about["channels"] for each in reversed(opened) if each.channels is not None), None)
    said = [one for boot, spans in fits.items() for one in say_fits(boot, spans)]
    return {**opened[-1].about, "channels": channels, "clock_fits": said}


def _is_unchanged(db: Session, rows: Sequence[Segment]) -> bool:
    """Return whether the rows are there still, under the same keys: no retraction has wrapped them anew meanwhile."""
    wanted = {row.id: row.wrapped_key for row in rows}
    statement = select(Segment).where(col(Segment.id).in_(wanted)).with_for_update()
    found = {row.id: row.wrapped_key for row in db.exec(statement)}
    return found == wanted


def _cleared_at(db: Session, segment_ids: Sequence[UUID]) -> datetime | None:
    """Return when all of them had been cleared; None while one is not."""
    moments = db.exec(select(Segment.cleared_at).where(col(Segment.id).in_(segment_ids))).all()
    known = [moment for moment in moments if moment is not None]
    return max(known) if len(known) == len(moments) else None
