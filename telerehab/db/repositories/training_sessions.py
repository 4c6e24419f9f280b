"""Training sessions and their repetitions, as far as one reader may see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.repositories.live_sessions import LiveSessionRepository
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.tables import Patient, Repetition, TrainingSession
from telerehab.errors import ConflictError, NotFoundError

SUPERSEDED: Final = "superseded"
"""Why a training session was closed when the next one of the same patient was opened."""
_TABLE: Final = "training_session"


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


class TrainingSessionRepository:
    """The training sessions of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)
        self._live_sessions = LiveSessionRepository(db, reader=reader)

    def get(self, training_session_id: UUID, scope: Scope = Scope.SEE_RESULTS) -> TrainingSession:
        """Return one training session.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see its patient.
        """
        row = self._db.get(TrainingSession, training_session_id)
        if row is None:
            raise NotFoundError("no such training session")
        self._patients.require(row.patient_id, scope)
        return row

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

    def put(self, training_session_id: UUID, wish: TrainingSessionWish) -> TrainingSession:
        """Open a training session, or change the targets of an open one; the same wish twice changes nothing.

        An open training session of the same patient is closed: a body does one exercise at a time.

        Raises
        ------
        NotFoundError
            The reader may not see the patient, the live session, or the training session of this id.
        ConflictError
            It is closed, it was opened for something else, or the patient has no seat in the live session.
        """
        row = self._find_locked(training_session_id, wish.patient_id)
        if row is not None:
            self._patients.require(row.patient_id, Scope.TRAIN)
            return self._change(row, wish)
        self._patients.require(wish.patient_id, Scope.TRAIN)
        if wish.live_session_id is not None:
            self._require_seat(wish.live_session_id, wish.patient_id)
        for older in self._open_of(wish.patient_id):
            self._end(older, SUPERSEDED)
        row = TrainingSession(
            id=training_session_id,
            patient_id=wish.patient_id,
            live_session_id=wish.live_session_id,
            exercise=wish.exercise,
            side=wish.side,
            target_low_deg=wish.target_low_deg,
            target_high_deg=wish.target_high_deg,
            target_repetitions=wish.target_repetitions,
            opened_at=self._now,
            opened_by=self._reader.holder_id,
        )
        self._db.add(row)
        note_change(self._db, _TABLE, row.id, version=row.version)
        return row

    def close(self, training_session_id: UUID, reason: str) -> TrainingSession:
        """Close a training session; one that is closed stays as it is.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see its patient.
        """
        row = self.get(training_session_id, Scope.TRAIN)
        if row.closed_at is None:
            self._end(row, reason)
        return row

    def _find_locked(self, training_session_id: UUID, patient_id: UUID) -> TrainingSession | None:
        """Return the training session of this id; of several pages that open one for a patient, one at a time goes on.

        SQLite's writers wait for each other anyhow; on PostgreSQL they wait for the patient's row.
        """
        self._db.exec(select(Patient.id).where(col(Patient.id) == patient_id).with_for_update()).first()
        return self._db.get(TrainingSession, training_session_id)

    def _change(self, row: TrainingSession, wish: TrainingSessionWish) -> TrainingSession:
        """Change the targets of an open training session."""
        same = (row.patient_id, row.exercise, row.side, row.live_session_id)
        if same != (wish.patient_id, wish.exercise, wish.side, wish.live_session_id):
            raise ConflictError("this training session was opened for something else")
        targets = (wish.target_low_deg, wish.target_high_deg, wish.target_repetitions)
        if targets == (row.target_low_deg, row.target_high_deg, row.target_repetitions):
            return row
        if row.closed_at is not None:
            raise ConflictError("this training session is closed")
        row.target_low_deg, row.target_high_deg, row.target_repetitions = targets
        self._note_new_version(row)
        return row

    def _require_seat(self, live_session_id: UUID, patient_id: UUID) -> None:
        """Raise when the reader may not see the live session, it has ended, or the patient has no seat in it."""
        rows = self._live_sessions.get(live_session_id)
        if patient_id not in rows.patient_ids:
            raise ConflictError("the patient has no seat in this live session")
        if rows.live_session.ended_at is not None:
            raise ConflictError("this live session has ended")

    def _open_of(self, patient_id: UUID) -> list[TrainingSession]:
        """Return the open training sessions of a patient."""
        statement = select(TrainingSession).where(
            col(TrainingSession.patient_id) == patient_id, col(TrainingSession.closed_at).is_(None)
        )
        return list(self._db.exec(statement))

    def _end(self, row: TrainingSession, reason: str) -> None:
        """Close an open training session."""
        row.closed_at = self._now
        row.close_reason = reason
        self._note_new_version(row)

    def _note_new_version(self, row: TrainingSession) -> None:
        """Count the change and have it announced."""
        row.version += 1
        self._db.add(row)
        note_change(self._db, _TABLE, row.id, version=row.version)
