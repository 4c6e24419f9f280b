"""Training sessions and their repetitions, as far as one reader may see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.alerts import require_no_open_stop
from telerehab.db.repositories.live_sessions import LiveSessionRepository
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.tables import PlanVersion, Repetition, TrainingSession, TrainingSet
from telerehab.db.training_rows import (
    CLOSED_BY_US,
    SUPERSEDED,
    TABLE,
    end_training_session,
    find_plan_version,
    local_day,
    note_new_version,
    open_sessions_of,
    zone_of,
)
from telerehab.errors import ConflictError, NotFoundError

LATE_MAX: Final = timedelta(hours=24)
"""So long after it happened a page may still say when something was; what is older counts as now."""
LIST_MAX: Final = 500


@dataclass(kw_only=True, frozen=True, slots=True)
class TrainingSessionWish:
    """What a training session shall be."""

    patient_id: UUID
    exercise: str
    side: str
    live_session_id: UUID | None
    target_low_deg: float | None
    target_high_deg: float | None
    target_repetitions: int | None
    plan_version_id: UUID | None = None
    """The version that is on the page; None: the one in force today."""


class TrainingSessionRepository:
    """The training sessions of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)
        self._live_sessions = LiveSessionRepository(db, reader=reader, now=now)

    def get(self, training_session_id: UUID, *scopes: Scope) -> TrainingSession:
        """Return one training session, for whoever has one of the scopes; without any: who may see results.

        Raises
        ------
        NotFoundError
            There is none, it was entered in error, or the reader may not see its patient.
        """
        row = self._db.get(TrainingSession, training_session_id)
        if row is None or row.retracted_at is not None:
            raise NotFoundError("no such training session")
        opened = self._patients.require(row.patient_id, Scope.IDENTIFY)
        if not opened.scopes & set(scopes or {Scope.SEE_RESULTS}):
            raise NotFoundError("no such training session")
        return row

    def get_locked(self, training_session_id: UUID) -> TrainingSession:
        """Return one training session in which the reader may train; of several who change it, one at a time goes on.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not train with its patient.
        """
        row = self.get(training_session_id, Scope.TRAIN)
        lock_patient(self._db, row.patient_id)
        self._db.refresh(row)
        return self.get(training_session_id, Scope.TRAIN)  # it may have been handed to another patient meanwhile

    def sets(self, training_session_id: UUID) -> Sequence[TrainingSet]:
        """Return the sets of one training session, in their order."""
        statement = select(TrainingSet).where(col(TrainingSet.training_session_id) == training_session_id)
        return self._db.exec(statement.order_by(col(TrainingSet.number))).all()

    def repetitions(self, training_session_id: UUID) -> list[Repetition]:
        """Return the repetitions of one training session, in order.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see its patient.
        """
        row = self.get(training_session_id)
        statement = select(Repetition).where(col(Repetition.training_session_id) == row.id)
        return list(self._db.exec(statement.order_by(col(Repetition.index))))

    def list(self, patient_id: UUID, *, first_day: date, stop_day: date) -> Sequence[TrainingSession]:
        """Return a patient's training sessions of the local days `[first_day, stop_day)`, the newest first.

        At most `LIST_MAX`, none of those that were entered in error.

        Raises
        ------
        NotFoundError
            There is no such patient, or the reader may not see results.
        """
        self._patients.require(patient_id, Scope.SEE_RESULTS)
        zone = zone_of(self._db, patient_id)
        start, stop = (datetime.combine(day, datetime.min.time(), zone) for day in (first_day, stop_day))
        statement = select(TrainingSession).where(
            col(TrainingSession.patient_id) == patient_id,
            col(TrainingSession.retracted_at).is_(None),
            col(TrainingSession.opened_at) >= start,
            col(TrainingSession.opened_at) < stop,
        )
        return self._db.exec(statement.order_by(col(TrainingSession.opened_at).desc()).limit(LIST_MAX)).all()

    def put(self, training_session_id: UUID, wish: TrainingSessionWish) -> TrainingSession:
        """Open a training session, or change the targets of an open one; the same wish twice changes nothing.

        An open training session of the same patient is closed: a body does one exercise at a time.

        Raises
        ------
        NotFoundError
            The reader may not train with the patient, or see the live session, the plan version or the training session
            of this id.
        ConflictError
            It is closed, it was opened for something else, the patient has no seat in the live session, or a stop waits
            for a confirmation (code `stop_unconfirmed`).
        """
        lock_patient(self._db, wish.patient_id)
        row = self._db.get(TrainingSession, training_session_id)
        if row is not None:
            return self._change(self.get(training_session_id, Scope.TRAIN), wish)
        self._patients.require(wish.patient_id, Scope.TRAIN)
        if wish.live_session_id is not None:
            self._require_seat(wish.live_session_id, wish.patient_id)
        plan_version_id = self._find_plan_version(wish)
        require_no_open_stop(self._db, wish.patient_id)
        for older in open_sessions_of(self._db, wish.patient_id):
            end_training_session(self._db, older, reason=SUPERSEDED, now=self._now)
        row = TrainingSession(
            id=training_session_id,
            patient_id=wish.patient_id,
            live_session_id=wish.live_session_id,
            plan_version_id=plan_version_id,
            helper_id=self._reader.helper_id,
            exercise=wish.exercise,
            side=wish.side,
            target_low_deg=wish.target_low_deg,
            target_high_deg=wish.target_high_deg,
            target_repetitions=wish.target_repetitions,
            opened_at=self._now,
            opened_by=self._reader.holder_id,
        )
        self._db.add(row)
        note_change(self._db, TABLE, row.id, version=row.version)
        return row

    def close(self, training_session_id: UUID, reason: str) -> TrainingSession:
        """Close a training session; one that somebody closed stays as it is.

        Where the program itself had closed it, what the page says later is why it ended; when it ended stays.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not train with its patient.
        """
        row = self.get_locked(training_session_id)
        if row.closed_at is None:
            end_training_session(self._db, row, reason=reason, now=self._now)
        elif row.close_reason in CLOSED_BY_US:
            row.close_reason = reason
            note_new_version(self._db, row)
        return row

    def _change(self, row: TrainingSession, wish: TrainingSessionWish) -> TrainingSession:
        """Change the targets of an open training session, and of the set that is trained in it."""
        same = (row.patient_id, row.exercise, row.side, row.live_session_id)
        if same != (wish.patient_id, wish.exercise, wish.side, wish.live_session_id):
            raise ConflictError("this training session was opened for something else")
        if wish.plan_version_id not in (None, row.plan_version_id):
            raise ConflictError("this training session was opened with another version of the plan")
        targets = (wish.target_low_deg, wish.target_high_deg, wish.target_repetitions)
        if targets == (row.target_low_deg, row.target_high_deg, row.target_repetitions):
            return row
        if row.closed_at is not None:
            raise ConflictError("this training session is closed")
        row.target_low_deg, row.target_high_deg, row.target_repetitions = targets
        running = None if row.training_set_id is None else self._db.get(TrainingSet, row.training_set_id)
        if running is not None and running.ended_at is None:
            running.target_low_deg, running.target_high_deg, running.target_repetitions = targets
            self._db.add(running)
        note_new_version(self._db, row)
        return row

    def _find_plan_version(self, wish: TrainingSessionWish) -> UUID | None:
        """Return the version that is trained: the one on the page, which must be the patient's, else today's."""
        if wish.plan_version_id is not None:
            version = self._db.get(PlanVersion, wish.plan_version_id)
            if version is None or version.patient_id != wish.patient_id:
                raise NotFoundError("no such version of the plan")
            return version.id
        in_force = find_plan_version(self._db, wish.patient_id, local_day(self._db, wish.patient_id, self._now))
        return None if in_force is None else in_force.id

    def _require_seat(self, live_session_id: UUID, patient_id: UUID) -> None:
        """Raise when the reader may not see the live session, it has ended, or the patient has no seat in it."""
        rows = self._live_sessions.get(live_session_id)
        if patient_id not in rows.patient_ids:
            raise ConflictError("the patient has no seat in this live session")
        if rows.live_session.ended_at is not None:
            raise ConflictError("this live session has ended")
