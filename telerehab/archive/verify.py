"""Whether the archive still holds what its rows say: every file read, opened, compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.archive.errors import SegmentDamagedError, SegmentLockedError, SegmentMissingError
from telerehab.archive.reader import read_segment
from telerehab.archive.segment_rows import Archive, OpenedSegment, read_runs
from telerehab.db.engine import reading
from telerehab.db.tables import Patient, Segment

Progress = Callable[[int, int], None]
"""Told how many are done, of how many."""


class Fault(StrEnum):
    """What is wrong with a segment."""

    MISSING = "missing"
    """The file is not there."""
    DAMAGED = "damaged"
    """The file, or its content, is not what was sealed."""
    LOCKED = "locked"
    """It does not open, although its patient's key is there: changed, exchanged, or another key ring."""
    OTHER_RANGES = "other_ranges"
    """The row says that it holds other blocks than it does."""
    OTHER_COUNT = "other_count"
    """The row says another number of blocks or samples."""
    DOUBLED = "doubled"
    """Another segment holds some of its blocks too: harmless, `merge` puts them together."""


HARMLESS: Final = frozenset({Fault.DOUBLED})


@dataclass(kw_only=True, frozen=True, slots=True)
class Finding:
    """Something that is wrong with one segment."""

    fault: Fault
    segment_id: UUID
    training_session_id: UUID | None
    device: str
    stream: str


@dataclass(kw_only=True, slots=True)
class Report:
    """What a look at the whole archive found."""

    segment_count: int = 0
    sample_count: int = 0
    byte_count: int = 0
    erased_count: int = 0
    """Segments that nobody can read any more, because their patient's key was destroyed."""
    stray_paths: list[str] = field(default_factory=list)
    """Files without a row: what a process left that ended before its commit. Harmless."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_sound(self) -> bool:
        """Return whether all that should be readable is, and is what was sealed."""
        return all(finding.fault in HARMLESS for finding in self.findings)


def verify(archive: Archive, *, progress: Progress) -> Report:
    """Look at every segment.

    Raises
    ------
    ArchiveUnavailableError
        The archive's place cannot be read at all.
    """
    report = Report()
    with reading(archive.database.main) as db:
        segments = db.exec(select(Segment).order_by(col(Segment.created_at), col(Segment.id))).all()
        report.stray_paths = sorted(archive.store.paths() - {row.path for row in segments if row.path is not None})
        seen: dict[tuple[str, str, int], list[tuple[int, int, Segment]]] = {}
        for number, segment in enumerate(segments):
            for run in read_runs(db, segment.id):
                place = (segment.device, segment.stream, run.boot)
                seen.setdefault(place, []).append((run.start, run.stop, segment))
            _look(archive, db, segment, report)
            progress(number + 1, len(segments))
        for spans in seen.values():
            report.findings += [_finding(Fault.DOUBLED, segment) for segment in _doubled(spans)]
    return report


def _look(archive: Archive, db: Session, segment: Segment, report: Report) -> None:
    """Look at one segment."""
    if _is_erased(db, segment):
        report.erased_count += 1
        return
    report.segment_count += 1
    report.sample_count += segment.n_samples
    report.byte_count += segment.n_bytes
    try:
        opened = read_segment(archive, db, segment, is_checked=True)
    except SegmentMissingError:
        report.findings.append(_finding(Fault.MISSING, segment))
    except SegmentDamagedError:
        report.findings.append(_finding(Fault.DAMAGED, segment))
    except SegmentLockedError:
        report.findings.append(_finding(Fault.LOCKED, segment))
    else:
        report.findings += [_finding(fault, segment) for fault in _compare(db, segment, opened)]


def _compare(db: Session, segment: Segment, opened: OpenedSegment) -> list[Fault]:
    faults = []
    if opened.stream.runs() != read_runs(db, segment.id):
        faults.append(Fault.OTHER_RANGES)
    if (opened.stream.blocks.size, opened.stream.n_samples) != (segment.n_blocks, segment.n_samples):
        faults.append(Fault.OTHER_COUNT)
    return faults


def _is_erased(db: Session, segment: Segment) -> bool:
    """Return whether the patient's key was destroyed, so that nobody is meant to read it."""
    if segment.training_session_id is None:
        return False
    patient = db.get(Patient, segment.patient_id)
    return segment.wrapped_key is None or patient is None or patient.wrapped_key is None


def _doubled(spans: list[tuple[int, int, Segment]]) -> list[Segment]:
    """Return segments of which some blocks lie in an earlier one of the same boot, each once."""
    found: dict[UUID, Segment] = {}
    top, holder = -1, None
    for start, stop, segment in sorted(spans, key=lambda span: span[:2]):
        if start < top and holder != segment.id:
            found[segment.id] = segment
        if stop > top:
            top, holder = stop, segment.id
    return list(found.values())


def _finding(fault: Fault, segment: Segment) -> Finding:
    return Finding(
        fault=fault,
        segment_id=segment.id,
        training_session_id=segment.training_session_id,
        device=segment.device,
        stream=segment.stream,
    )
