"""Goals of the patients whom one reader may see, in the patients' own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.reading import invalid
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.tables import Goal
from telerehab.errors import ConflictError, NotFoundError

GOALS_MAX: Final = 50
"""Goals of one patient."""
GOAL_MOVED: Final = "goal_moved"
_TABLE: Final = "goal"


@dataclass(kw_only=True, frozen=True, slots=True)
class GoalWish:
    """What a goal shall be."""

    text: str
    target_on: date | None
    measure: Mapping[str, Any]
    """As `telerehab.care.goals` writes it; empty where only the patient can tell."""
    state: str


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedGoal:
    """A goal and its words; None once the patient's key was destroyed."""

    row: Goal
    text: str | None


class GoalRepository:
    """The goals of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self, patient_id: UUID) -> Sequence[OpenedGoal]:
        """Return a patient's goals, the oldest first; without retracted ones.

        Raises
        ------
        NotFoundError
            There is no such patient, or the reader may not see results.
        """
        opened = self._patients.require(patient_id, Scope.SEE_RESULTS)
        return [_open(row, opened) for row in self._rows(patient_id)]

    def add(self, patient_id: UUID, goal_id: UUID, wish: GoalWish) -> OpenedGoal:
        """Write a goal under an id that the page chose; the same one twice is written once.

        Raises
        ------
        NotFoundError
            There is no such patient, the reader may not write, or the id belongs to somebody else's goal.
        ConflictError
            The id is taken by another goal of this patient.
        """
        opened = self._patients.require(patient_id, Scope.WRITE_CARE)
        lock_patient(self._db, patient_id)
        row = self._db.get(Goal, goal_id)
        if row is not None:
            if row.patient_id != patient_id:
                raise NotFoundError("no such goal")
            if row.version != 1 or row.retracted_at is not None or not _is_same(row, opened, wish):
                raise ConflictError("another goal has this id")
            return _open(row, opened)
        if len(self._rows(patient_id)) >= GOALS_MAX:
            raise invalid("id", "too_many")
        row = Goal(
            id=goal_id,
            patient_id=patient_id,
            text_sealed=_seal(wish.text, goal_id, opened),
            target_on=wish.target_on,
            measure=dict(wish.measure),
            state=wish.state,
            created_by=self._reader.holder_id,
            created_at=self._now,
        )
        self._db.add(row)
        note_change(self._db, _TABLE, row.id, version=row.version)
        return _open(row, opened)

    def change(self, goal_id: UUID, wish: GoalWish, *, based_on: int) -> OpenedGoal:
        """Change a goal; the same change sent twice is made once.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not write the patient's goals.
        ConflictError
            Somebody has changed it since (code `goal_moved`).
        """
        row = self._db.exec(select(Goal).where(col(Goal.id) == goal_id).with_for_update()).first()
        if row is None or row.retracted_at is not None:
            raise NotFoundError("no such goal")
        opened = self._patients.require(row.patient_id, Scope.WRITE_CARE)
        if row.version == based_on + 1 and _is_same(row, opened, wish):
            return _open(row, opened)
        if row.version != based_on:
            raise ConflictError("somebody has changed this goal", code=GOAL_MOVED)
        if row.state != wish.state:
            row.state_changed_at = self._now
        row.text_sealed = _seal(wish.text, goal_id, opened)
        row.target_on, row.measure, row.state = wish.target_on, dict(wish.measure), wish.state
        row.version += 1
        self._db.add(row)
        note_change(self._db, _TABLE, row.id, version=row.version)
        return _open(row, opened)

    def _rows(self, patient_id: UUID) -> Sequence[Goal]:
        statement = select(Goal).where(col(Goal.patient_id) == patient_id, col(Goal.retracted_at).is_(None))
        return self._db.exec(statement.order_by(col(Goal.created_at), col(Goal.id))).all()


def _is_same(row: Goal, opened: OpenedPatient, wish: GoalWish) -> bool:
    there = (_open(row, opened).text, row.target_on, row.measure, row.state)
    return there == (wish.text, wish.target_on, dict(wish.measure), wish.state)


def _open(row: Goal, opened: OpenedPatient) -> OpenedGoal:
    return OpenedGoal(row=row, text=opened.seal.open(row.text_sealed, table=_TABLE, column="text", row_id=row.id))


def _seal(text: str, goal_id: UUID, opened: OpenedPatient) -> bytes:
    return opened.seal.seal(text, table=_TABLE, column="text", row_id=goal_id)
