"""Archived training sessions through the analysis of today; what earlier versions found stays beside it."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from analytics.batch import SessionRecording, analyse_many
from analytics.exercises import EXERCISES
from analytics.results import ALGORITHM_VERSION
from devices.wire import Schema
from telerehab.archive.alignment import GRID_US, align
from telerehab.archive.errors import ArchiveError, ScaleUnknownError
from telerehab.archive.grid import Recording
from telerehab.archive.reader import list_streams, read_stream
from telerehab.archive.segment_rows import OWNER, Archive
from telerehab.clock import to_us
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Assignment, Reanalysis, Segment, TrainingSession, TrainingSet

MOVEMENT: Final = frozenset({Schema.IMU6, Schema.IMU9})
SAMPLES_MAX: Final = 3 * 3_600 * 100
"""Three hours: a stretch that is longer is cut there."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Stretch:
    """`[start_us, stop_us)` of a training session in which one exercise was trained with one side."""

    training_session_id: UUID
    exercise: str
    side: str
    start_us: int
    stop_us: int
    target_deg: tuple[float, float]


@dataclass(kw_only=True, slots=True)
class Outcome:
    """What came of going through the archive."""

    analysed_count: int = 0
    known_count: int = 0
    """Stretches that this version of the analysis had seen before."""
    unmeasurable_count: int = 0
    """Stretches without the sensors that the exercise needs."""
    repetition_count: int = 0
    unreadable: list[UUID] = field(default_factory=list)
    """Training sessions of which a segment cannot be read."""


def reanalyse(
    archive: Archive,
    training_session_ids: Sequence[UUID],
    now: datetime,
    *,
    progress: Callable[[int, int], None],
    map: Callable[..., Any] = map,
) -> Outcome:
    """Analyse archived training sessions with this version and keep the results; what is known already stays."""
    outcome = Outcome()
    for number, training_session_id in enumerate(training_session_ids):
        try:
            prepared = list(_prepare(archive, training_session_id, outcome))
        except ArchiveError:
            outcome.unreadable.append(training_session_id)
            prepared = []
        results = analyse_many([item for _, item in prepared], map=map)
        for (stretch, item), repetitions in zip(prepared, results, strict=True):
            _keep(archive, stretch, item, repetitions, now)
            outcome.analysed_count += 1
            outcome.repetition_count += len(repetitions)
        progress(number + 1, len(training_session_ids))
    return outcome


def list_archived(archive: Archive) -> list[UUID]:
    """Return the training sessions that have segments, oldest first; not those that were entered in error."""
    statement = (
        select(TrainingSession.id)
        .where(
            col(TrainingSession.retracted_at).is_(None),
            col(TrainingSession.id).in_(select(Segment.training_session_id).where(col(Segment.path).is_not(None))),
        )
        .order_by(col(TrainingSession.opened_at))
    )
    with reading(archive.database.main) as db:
        return list(db.exec(statement))


def find_stretches(training: TrainingSession, sets: Sequence[TrainingSet]) -> list[Stretch]:
    """Return in which stretches which exercise was trained: sets that follow each other, else the whole.

    A stretch begins where the one before ended, so that the rest before the first repetition is in it.
    """
    opened_us = to_us(training.opened_at)
    closed_us = opened_us if training.closed_at is None else to_us(training.closed_at)
    trained = [
        (exercise, side, list(same))
        for (exercise, side), same in groupby(
            sorted(sets, key=lambda each: each.number), key=lambda each: (each.exercise, each.side)
        )
    ]
    if not trained:
        return [_stretch(training, training.exercise, training.side, opened_us, closed_us)]
    begins_us = [to_us(same[0].started_at) for _, _, same in trained]
    stops_us = [*begins_us[1:], closed_us]
    return [
        _stretch(training, exercise, side, begin_us, stop_us)
        for (exercise, side, _), begin_us, stop_us in zip(trained, begins_us, stops_us, strict=True)
        if begin_us < stop_us
    ]


def _stretch(training: TrainingSession, exercise: str, side: str, start_us: int, stop_us: int) -> Stretch:
    known = EXERCISES.get(exercise)
    low, high = (0.0, 0.0) if known is None else known.target_deg
    if exercise == training.exercise:
        low = low if training.target_low_deg is None else training.target_low_deg
        high = high if training.target_high_deg is None else training.target_high_deg
    return Stretch(
        training_session_id=training.id,
        exercise=exercise,
        side=side,
        start_us=start_us,
        stop_us=min(stop_us, start_us + SAMPLES_MAX * GRID_US),
        target_deg=(low, high),
    )


def _prepare(
    archive: Archive, training_session_id: UUID, outcome: Outcome
) -> Iterator[tuple[Stretch, SessionRecording]]:
    """Yield what is to be analysed of a training session."""
    with reading(archive.database.main) as db:
        training = db.get_one(TrainingSession, training_session_id)
        sets = db.exec(select(TrainingSet).where(col(TrainingSet.training_session_id) == training_session_id)).all()
        known = _read_known(db, training_session_id)
        sites = _read_sites(db, training)
    stretches = find_stretches(training, sets)
    new = [stretch for stretch in stretches if stretch.start_us not in known]
    outcome.known_count += len(stretches) - len(new)
    recordings = _read_movement(archive, training_session_id) if new else {}
    for stretch in new:
        item = _make_item(stretch, {site: recordings[device] for site, device in sites.items() if device in recordings})
        if item is None:
            outcome.unmeasurable_count += 1
        else:
            yield stretch, item


def _read_movement(archive: Archive, training_session_id: UUID) -> dict[str, Recording]:
    """Return the movement of each sensor."""
    found = {}
    for name in list_streams(archive, training_session_id):
        try:
            recording = read_stream(
                archive, training_session_id=training_session_id, device=name.device, stream=name.stream
            )
        except ScaleUnknownError:
            continue  # without units there is no angle
        if recording.schema in MOVEMENT:
            found[name.device] = recording
    return found


def _make_item(stretch: Stretch, at_site: dict[str, Recording]) -> SessionRecording | None:
    """Return the recording of a stretch; None without the sensors that the exercise needs."""
    exercise = EXERCISES.get(stretch.exercise)
    if exercise is None or not exercise.is_measurable:
        return None
    proximal = _at(at_site, exercise.proximal_site, stretch.side)
    distal = _at(at_site, exercise.distal_site, stretch.side)
    if distal is None or (exercise.needs_both_sensors and proximal is None):
        return None
    worn = (proximal if exercise.needs_both_sensors else None, distal)
    n_samples = (stretch.stop_us - stretch.start_us) // GRID_US
    raw, valid = np.zeros((2, 6, n_samples), np.int16), np.zeros((2, n_samples), np.bool_)
    for sensor, recording in enumerate(worn):
        if recording is not None:
            raw[sensor], valid[sensor] = align(recording, start_us=stretch.start_us, n_samples=n_samples)
    scaled = worn[0] or distal
    return SessionRecording(
        raw=raw,
        valid=valid,
        exercise=stretch.exercise,
        side=stretch.side,
        accel_scale_m_s2=(scaled.scales[0], distal.scales[0]),
        gyro_scale_rad_s=(scaled.scales[3], distal.scales[3]),
        sensors="both" if exercise.needs_both_sensors else "distal",
        target_deg=stretch.target_deg,
    )


def _keep(archive: Archive, stretch: Stretch, item: SessionRecording, repetitions: NDArray[Any], now: datetime) -> None:
    """Write a result beside those of other versions."""
    n_sensors = 2 if item.sensors == "both" else 1
    rows = [_say(row, stretch.start_us) for row in repetitions]
    with writing(archive.database.main, owner=OWNER) as db:
        if stretch.start_us in _read_known(db, stretch.training_session_id):
            return
        db.add(
            Reanalysis(
                training_session_id=stretch.training_session_id,
                algorithm_version=ALGORITHM_VERSION,
                exercise=stretch.exercise,
                side=stretch.side,
                start_us=stretch.start_us,
                stop_us=stretch.stop_us,
                completeness=float(item.valid.sum() / max(n_sensors * item.valid.shape[1], 1)),
                repetitions=rows,
                created_at=now,
            )
        )


def _say(row: Any, start_us: int) -> dict[str, Any]:
    """Return a repetition as JSON has it, its samples as moments of the server's clock; None = not measured."""
    said: dict[str, Any] = {f"{name}_us": start_us + int(row[name]) * GRID_US for name in ("start", "peak", "stop")}
    for name in row.dtype.names:
        if name not in ("slot", "start", "peak", "stop", "algorithm_version"):
            value = row[name].item()
            said[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return said


def _read_known(db: Session, training_session_id: UUID) -> set[int]:
    """Return the beginnings of the stretches that this version has seen."""
    statement = select(Reanalysis.start_us).where(
        col(Reanalysis.training_session_id) == training_session_id,
        col(Reanalysis.algorithm_version) == ALGORITHM_VERSION,
    )
    return set(db.exec(statement))


def _read_sites(db: Session, training: TrainingSession) -> dict[str, str]:
    """Return which device was worn where when the training session began."""
    rows = db.exec(select(Assignment).where(col(Assignment.patient_id) == training.patient_id)).all()
    return {
        row.body_site: row.device_name
        for row in sorted(rows, key=lambda row: row.starts_at)
        if row.body_site is not None
        and (training.closed_at is None or row.starts_at < training.closed_at)
        and (row.ends_at is None or row.ends_at > training.opened_at)
    }


def _at(at_site: dict[str, Recording], segment: str, side: str) -> Recording | None:
    """Return the sensor on a segment of this side; the trunk and the pelvis have no sides."""
    return at_site.get(f"{segment}_{side}") or at_site.get(segment)
