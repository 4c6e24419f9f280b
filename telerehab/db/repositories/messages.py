"""Messages between a patient and those who treat the patient."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, func, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.repositories.teams import account_names
from telerehab.db.tables import Message
from telerehab.errors import ConflictError, NotFoundError, TooManyAttemptsError

LIST_MAX: Final = 100
A_DAY: Final = timedelta(days=1)
PER_DAY_MAX: Final = 200
"""Messages that one side may send to the other within a day."""
_RETRY_AFTER_S: Final = 3_600.0
_TABLE: Final = "message"


@dataclass(kw_only=True, frozen=True, slots=True)
class MessageRow:
    """A message, opened; None as text after erasure."""

    id: UUID
    patient_id: UUID
    sender: Literal["patient", "staff"]
    author: str | None
    """The name of the member of staff."""
    is_own: bool
    """Whether the reader's side wrote it."""
    text: str | None
    sent_at: datetime
    read_at: datetime | None


class MessageRepository:
    """The messages of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def of(self, patient_id: UUID, *, before: UUID | None = None) -> Sequence[MessageRow]:
        """Return the newest messages of a patient, the oldest of them first, at most `LIST_MAX`.

        Parameters
        ----------
        before : UUID, optional
            Only those that were sent before this one.

        Raises
        ------
        NotFoundError
            The reader does not converse with the patient, or there is no such message.
        """
        opened = self._patients.require(patient_id, Scope.CONVERSE)
        statement = select(Message).where(col(Message.patient_id) == patient_id, col(Message.retracted_at).is_(None))
        if before is not None:
            edge = self._db.get(Message, before)
            if edge is None or edge.patient_id != patient_id:
                raise NotFoundError("no such message")
            statement = statement.where(
                (col(Message.sent_at) < edge.sent_at)
                | ((col(Message.sent_at) == edge.sent_at) & (col(Message.id) < edge.id))
            )
        newest = self._db.exec(
            statement.order_by(col(Message.sent_at).desc(), col(Message.id).desc()).limit(LIST_MAX)
        ).all()
        return self._shown(newest[::-1], opened)

    def put(self, patient_id: UUID, message_id: UUID, text: str) -> MessageRow:
        """Send a message; the same one again adds nothing.

        Raises
        ------
        NotFoundError
            The reader does not converse with the patient, or the id is that of another patient's message.
        ConflictError
            The id is that of another message, or the course is over (`course_ended`): nobody would read it.
        TooManyAttemptsError
            The reader's side has sent very many today.
        """
        opened = self._patients.require(patient_id, Scope.CONVERSE)
        lock_patient(self._db, patient_id)
        self._db.refresh(opened.patient)  # the course may have ended while we waited
        known = self._db.get(Message, message_id)
        if known is not None:
            if known.patient_id != patient_id:
                raise NotFoundError("no such message")
            is_same_text = opened.seal.open(known.text_sealed, table=_TABLE, column="text", row_id=known.id) == text
            if known.account_id != self._reader.account_id or not is_same_text:
                raise ConflictError("this message is another one")
            return self._shown([known], opened)[0]
        if opened.patient.ended_at is not None:
            raise ConflictError("the course is over: nobody would read it", code="course_ended")
        sent = select(func.count()).where(
            col(Message.patient_id) == patient_id,
            col(Message.sent_at) > self._now - A_DAY,
            self._is_from_own_side(),
        )
        if self._db.exec(sent).one() >= PER_DAY_MAX:
            raise TooManyAttemptsError("very many messages", retry_after_s=_RETRY_AFTER_S)
        row = Message(
            id=message_id,
            patient_id=patient_id,
            account_id=self._reader.account_id,
            text_sealed=opened.seal.seal(text, table=_TABLE, column="text", row_id=message_id),
            sent_at=self._now,
        )
        self._db.add(row)
        self._db.flush()
        note_change(self._db, _TABLE, row.id, version=1)
        return self._shown([row], opened)[0]

    def mark_read(self, patient_id: UUID) -> int:
        """Mark what the other side has written as read; return how many became so.

        Raises
        ------
        NotFoundError
            The reader does not converse with the patient.
        """
        self._patients.require(patient_id, Scope.CONVERSE)
        unread = self._db.exec(
            select(Message)
            .where(
                col(Message.patient_id) == patient_id,
                col(Message.read_at).is_(None),
                ~self._is_from_own_side(),
            )
            .with_for_update()
        ).all()
        for row in unread:
            row.read_at = self._now
            self._db.add(row)
            note_change(self._db, _TABLE, row.id, version=2)
        return len(unread)

    def _is_from_own_side(self) -> ColumnElement[bool]:
        """Return the condition that the patient wrote it, for a tablet; that a member of staff did, for staff."""
        if self._reader.role == "tablet":
            return col(Message.account_id).is_(None)
        return col(Message.account_id).is_not(None)

    def _shown(self, rows: Sequence[Message], opened: OpenedPatient) -> Sequence[MessageRow]:
        names = account_names(self._db, [row.account_id for row in rows if row.account_id is not None])
        is_patient = self._reader.role == "tablet"
        return [
            MessageRow(
                id=row.id,
                patient_id=row.patient_id,
                sender="patient" if row.account_id is None else "staff",
                author=None if row.account_id is None else names[row.account_id],
                is_own=(row.account_id is None) == is_patient,
                text=opened.seal.open(row.text_sealed, table=_TABLE, column="text", row_id=row.id),
                sent_at=row.sent_at,
                read_at=row.read_at,
            )
            for row in rows
        ]
