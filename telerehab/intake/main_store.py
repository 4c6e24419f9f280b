"""What intake has to do with the main database, in one thread: write alerts and repetitions, read who trains, beat.

The intake loop never waits for it. What could not be written is tried again; the newest `Places` is there to be taken
whenever something changed. An alert is told to the others once it is committed; what a process before this one may have
left untold is told again at the start.
"""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from sqlmodel import Session, col, select

from devices.effects import SequenceRun
from telerehab.attribution import find_owner_at
from telerehab.clock import Clock, utc_now
from telerehab.db.alert_rows import is_open, store_event
from telerehab.db.assignment_rows import read_lendings, read_wearers
from telerehab.db.changes import Change, take_changes
from telerehab.db.engine import reading, writing
from telerehab.db.locks import lock_patient
from telerehab.db.tables import Alert, Patient, Repetition, Segment, SegmentRun, TrainingSession
from telerehab.db.workers import BEAT_INTERVAL_S, Heartbeat
from telerehab.intake.guard import FoundEvent
from telerehab.intake.hot_reads import table_of
from telerehab.intake.places import Places, read_places
from telerehab.intake.sets import read_spans, set_at
from telerehab.intake.slots import EndedRepetition

log = logging.getLogger(__name__)

T = TypeVar("T")

OWNER: Final = "ingest"
PAUSE_MIN_S: Final = 0.1
QUEUE_MAX_REPETITIONS: Final = 10_000
QUEUE_MAX_EVENTS: Final = 1_000
UNCLEARED_MAX: Final = 1_000
UNTOLD_MAX: Final = timedelta(hours=1)
"""Open alerts that are younger are told again at the start."""


class MainStore:
    """Owner of the thread.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        The main database.
    heartbeat : Heartbeat
        Registered already.
    status : callable
        Returns what the heartbeat tells; called in the thread.
    """

    def __init__(
        self, engine: sa.Engine, *, heartbeat: Heartbeat, status: Callable[[], Mapping[str, Any]], clock: Clock
    ) -> None:
        self._engine = engine
        self._heartbeat = heartbeat
        self._status = status
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[EndedRepetition] = deque(maxlen=QUEUE_MAX_REPETITIONS)
        self._found: deque[FoundEvent] = deque(maxlen=QUEUE_MAX_EVENTS)
        self._changes: list[Change] = []
        self._has_told_untold = False
        self._places: Places | None = None
        self._sealed: list[SequenceRun] | None = None
        self._is_woken = False
        self._is_closing = False
        self._last_beat_ns = clock.monotonic_ns()
        self.refused_count = 0
        self._thread = threading.Thread(target=self._run, name="main store", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write(self, ended: Sequence[EndedRepetition]) -> None:
        """Queue repetitions; when even ten thousand wait, the oldest are given up (blocks are the record)."""
        if ended:
            with self._changed:
                self._queue.extend(ended)
                self._wake()

    def write_found(self, found: Sequence[FoundEvent]) -> None:
        """Queue events that become alerts."""
        if found:
            with self._changed:
                self._found.extend(found)
                self._wake()

    def take_changes(self) -> list[Change]:
        """Return the rows that were committed since the last call and that others must hear of."""
        with self._changed:
            changes, self._changes = self._changes, []
        return changes

    def look_again(self) -> None:
        """Read the places now: somebody said that a row changed."""
        with self._changed:
            self._wake()

    def take_places(self) -> Places | None:
        """Return what was read since the last call, None when nothing was."""
        with self._changed:
            places, self._places = self._places, None
        return places

    def take_sealed(self) -> list[SequenceRun] | None:
        """Return the blocks that the archive holds and that may be in the hot store still; None: nothing was read."""
        with self._changed:
            sealed, self._sealed = self._sealed, None
        return sealed

    def close(self, *, timeout_s: float) -> bool:
        """Write what is queued, end the thread; return whether everything was written in time."""
        with self._changed:
            self._is_closing = True
            self._wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._queue and not self._found

    def _wake(self) -> None:
        self._is_woken = True
        self._changed.notify_all()

    def _run(self) -> None:
        """Do a round every two seconds, sooner when woken; the last one after closing."""
        is_last = False
        while not is_last:
            with self._changed:
                self._changed.wait_for(lambda: self._is_woken, timeout=BEAT_INTERVAL_S)
                self._is_woken = False
                is_last = self._is_closing
            try:
                self._make_round()
            except SQLAlchemyError as error:
                self.refused_count += 1
                log.warning("the main database refused: %s", type(error).__name__)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, timeout=PAUSE_MIN_S)

    def _make_round(self) -> None:
        """Write, beat when due, read."""
        self._write_found()
        with self._changed:
            waiting = list(self._queue)
        self._write(waiting)
        with self._changed:
            _take_written(self._queue, waiting)
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._last_beat_ns >= BEAT_INTERVAL_S * 1e9:
            self._last_beat_ns = now_ns
            self._heartbeat.beat(self._status())
        with reading(self._engine) as db:
            places = read_places(db, now=utc_now(self._clock))
            sealed = read_uncleared(db)
        with self._changed:
            self._places, self._sealed = places, sealed

    def _write_found(self) -> None:
        """Write alerts; only what is committed is told."""
        with self._changed:
            found = list(self._found)
        changes = write_alerts(self._engine, found)
        if not self._has_told_untold:
            changes = read_untold(self._engine, since=utc_now(self._clock) - UNTOLD_MAX)
            self._has_told_untold = True
        with self._changed:
            _take_written(self._found, found)
            self._changes += changes

    def _write(self, ended: Sequence[EndedRepetition]) -> None:
        """Write repetitions, those that are there already stay; a training session that is gone takes its own along."""
        try:
            write_repetitions(self._engine, ended)
        except IntegrityError:
            for repetition in ended:
                try:
                    write_repetitions(self._engine, [repetition])
                except IntegrityError:
                    log.warning("a repetition of a training session that is gone was left out")


def _take_written(queue: deque[T], written: Sequence[T]) -> None:
    """Take what was written out of a queue, and nothing that came since: a full one has dropped its oldest itself."""
    done = {id(each) for each in written}
    while queue and id(queue[0]) in done:
        queue.popleft()


def write_alerts(engine: sa.Engine, found: Sequence[FoundEvent]) -> list[Change]:
    """Write an alert for each event that has none yet; return the new rows, committed."""
    if not found:
        return []
    with writing(engine, owner=OWNER) as db:
        for each in found:
            training_session = db.get(TrainingSession, each.training_session)
            if training_session is None:
                log.warning("an event of a training session that is gone was left out")
                continue
            lock_patient(db, training_session.patient_id)
            db.refresh(training_session)  # it may have been taken back, or handed to another patient, meanwhile
            patient = db.get_one(Patient, training_session.patient_id)
            alert = store_event(
                db, each.event, patient=patient, training_session_id=training_session.id, found_by=OWNER
            )
            if alert is not None:
                alert.retracted_at = training_session.retracted_at
    return take_changes(db)


def read_untold(engine: sa.Engine, *, since: datetime) -> list[Change]:
    """Return intake's open alerts since a moment: the process that wrote them may have ended before it told them."""
    statement = select(Alert.id).where(col(Alert.found_by) == OWNER, col(Alert.found_at) >= since, is_open())
    with reading(engine) as db:
        return [Change(table="alert", id=row_id, version=1) for row_id in db.exec(statement)]


def read_uncleared(db: Session) -> list[SequenceRun]:
    """Return the blocks of segments that nobody has yet seen gone from the hot store, a bounded number of runs."""
    statement = (
        select(SegmentRun)
        .join(Segment, col(Segment.id) == col(SegmentRun.segment_id))
        .where(col(Segment.cleared_at).is_(None))
        .limit(UNCLEARED_MAX)
    )
    return [
        SequenceRun(row.device, row.boot, row.stream, row.start_sequence, row.stop_sequence)
        for row in db.exec(statement)
    ]


def write_repetitions(engine: sa.Engine, ended: Sequence[EndedRepetition]) -> None:
    """Insert repetitions with the set in which each started; those whose index is there already stay as they are.

    A repetition whose sensors were not lent to the patient of its training session for all of its time is left out.
    """
    if not ended:
        return
    make = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    with writing(engine, owner=OWNER) as db:
        ended = _only_the_patients(db, ended)
        spans = read_spans(db, (repetition.training_session for repetition in ended))
        rows = [_row(each, set_at(spans.get(each.training_session, ()), each.start_us)) for each in ended]
        if rows:
            db.connection().execute(make(table_of(Repetition)).on_conflict_do_nothing(), rows)


def _only_the_patients(db: Session, ended: Sequence[EndedRepetition]) -> list[EndedRepetition]:
    """Return the repetitions that the table of assignments gives to the patient of their training session."""
    lendings = read_lendings(db, frozenset().union(*(repetition.devices for repetition in ended)))
    wearers = read_wearers(db, {repetition.training_session for repetition in ended})
    kept: list[EndedRepetition] = []
    for each in ended:
        owners = {find_owner_at(each.start_us, each.stop_us, lendings[device]) for device in each.devices}
        if each.training_session in wearers and not owners <= wearers[each.training_session]:
            log.warning("a repetition that belongs to nobody, or to another patient, was left out")
        else:
            kept.append(each)
    return kept


def _row(repetition: EndedRepetition, training_set_id: UUID | None) -> dict[str, Any]:
    """Return the row of the table `repetition`."""
    row = repetition.row
    return {
        "training_session_id": repetition.training_session,
        "index": repetition.index,
        "training_set_id": training_set_id,
        "start_us": repetition.start_us,
        "stop_us": repetition.stop_us,
        "rom_deg": _finite(row["rom_deg"]),
        "up_s": _finite(row["up_s"]),
        "hold_s": _finite(row["hold_s"]),
        "down_s": _finite(row["down_s"]),
        "peak_speed_deg_s": _finite(row["peak_speed_deg_s"]),
        "trust": _finite(row["trust"]),
        "reason": int(row["reason"]),
        "algorithm_version": str(row["algorithm_version"]),
        "data": {
            "peak_us": repetition.peak_us,
            "peak_angle_deg": _finite(row["peak_angle_deg"]),
            "kind": int(row["kind"]),
            "trust_completeness": _finite(row["trust_completeness"]),
            "trust_calibration": _finite(row["trust_calibration"]),
            "calibrations": {device: asdict(each) for device, each in repetition.calibrations.items()},
        },
    }


def _finite(value: float) -> float:
    """Return a number that every database keeps; what is unknown counts nothing."""
    return float(value) if math.isfinite(value) else 0.0
