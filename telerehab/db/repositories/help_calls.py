"""Help calls, as far as one reader may see them.

A tablet sees its patient's calls. A therapist sees those of the patients in their care, and those that are the duty's:
every open call of the organisation while the therapist is on duty, and every call of which the therapist was told.
Whoever answers for a patient in somebody else's care sees name, birth date and telephone, and it is written down.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.help_calls import HelpCall as Call
from telerehab.care.help_calls import answer, begin, close, press_again, withdraw
from telerehab.db.help_call_rows import read_call, read_lines, write_call
from telerehab.db.repositories.patients import PatientRepository, is_visible_patient
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import Account, HelpCall, Organisation, Participant, Patient
from telerehab.errors import ConflictError, NotFoundError

LIST_MAX: Final = 200
_TABLE: Final = "help_call"


@dataclass(kw_only=True, frozen=True, slots=True)
class HelpCallRows:
    """A call, who called, and the names that belong to it."""

    row: HelpCall
    call: Call
    identity: Identity
    patient_telephone: str | None
    told_name: str | None
    """Whose turn it is."""
    answered_name: str | None
    organisation_telephone: str | None
    note: str | None


class HelpCallRepository:
    """The help calls of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list_open(self) -> list[HelpCallRows]:
        """Return the open calls that the reader may see, the oldest first, at most `LIST_MAX`."""
        statement = select(HelpCall).where(
            col(HelpCall.organisation_id) == self._reader.organisation_id, col(HelpCall.closed_at).is_(None)
        )
        rows = self._db.exec(statement.order_by(col(HelpCall.called_at), col(HelpCall.id)).limit(LIST_MAX)).all()
        own = self._own_patients(rows)
        is_on_duty = self._is_on_duty() if rows else False
        return self._complete([row for row in rows if self._may_see(row, own=own, is_on_duty=is_on_duty)])

    def get(self, help_call_id: UUID) -> HelpCallRows:
        """Return one call, open or closed.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see it.
        """
        (rows,) = self._complete([self._find(help_call_id)])
        return rows

    def call(self, help_call_id: UUID, *, live_session_id: UUID | None) -> HelpCallRows:
        """Begin a call of the reader's own patient; where one is open, it rings anew and is returned.

        The same id twice is one press, sent twice.

        Raises
        ------
        NotFoundError
            The id is another patient's call, or the patient has no seat in the live session.
        """
        assert self._reader.patient_id is not None
        opened = self._patients.require(self._reader.patient_id, Scope.TRAIN)
        self._db.exec(select(Patient.id).where(col(Patient.id) == opened.patient.id).with_for_update()).first()
        same = self._db.get(HelpCall, help_call_id)
        if same is not None:
            if same.patient_id != opened.patient.id:
                raise NotFoundError("no such help call")
            return self.get(help_call_id)
        if live_session_id is not None:
            self._require_seat(live_session_id, opened.patient.id)
        line = self._line()
        is_open = (col(HelpCall.patient_id) == opened.patient.id) & col(HelpCall.closed_at).is_(None)
        row = self._db.exec(select(HelpCall).where(is_open).order_by(col(HelpCall.called_at))).first()
        if row is not None:
            write_call(self._db, row, press_again(read_call(row), now=self._now, line=line))
            return self.get(row.id)
        row = HelpCall(
            id=help_call_id,
            organisation_id=opened.patient.organisation_id,
            patient_id=opened.patient.id,
            live_session_id=live_session_id,
            called_at=self._now,
            rang_at=self._now,
        )
        write_call(self._db, row, begin(now=self._now, line=line), is_new=True)
        self._db.flush()
        return self.get(row.id)

    def answer(self, help_call_id: UUID) -> HelpCallRows:
        """Take a call.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see it.
        ConflictError
            Somebody else has it (`help_call_taken`), or it is closed.
        """
        assert self._reader.account_id is not None
        row = self._find(help_call_id, is_locked=True)
        write_call(self._db, row, answer(read_call(row), account_id=self._reader.account_id, now=self._now))
        return self._done(row, "answer_help_call")

    def close(self, help_call_id: UUID, *, outcome: str, note: str | None) -> HelpCallRows:
        """Close a call with what came of it.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see it.
        ConflictError
            It was closed otherwise.
        """
        assert self._reader.account_id is not None
        row = self._find(help_call_id, is_locked=True)
        before = read_call(row)
        after = close(before, account_id=self._reader.account_id, outcome=outcome, now=self._now)
        if after == before:
            if note != self._open_note(row):
                raise ConflictError("this help call was closed with another note", code="help_call_closed")
            return self.get(help_call_id)
        if note is not None:
            row.note_sealed = self._seal(row).seal(note, table=_TABLE, column="note", row_id=row.id)
        write_call(self._db, row, after)
        return self._done(row, "close_help_call")

    def withdraw(self, help_call_id: UUID) -> HelpCallRows:
        """Take the patient's own call back; it stays open until staff closes it.

        Raises
        ------
        NotFoundError
            There is none, or it is another patient's.
        ConflictError
            It is closed.
        """
        row = self._find(help_call_id, is_locked=True)
        write_call(self._db, row, withdraw(read_call(row), now=self._now))
        return self.get(help_call_id)

    def _done(self, row: HelpCall, action: str) -> HelpCallRows:
        """Return the call after staff did something with it, and write that down."""
        self._db.flush()
        rows = self.get(row.id)
        record(
            self._db,
            actor=self._reader,
            action=action,
            patient_id=row.patient_id,
            object=f"help_call:{row.id}",
            now=self._now,
        )
        return rows

    def _find(self, help_call_id: UUID, *, is_locked: bool = False) -> HelpCall:
        statement = select(HelpCall).where(
            col(HelpCall.id) == help_call_id, col(HelpCall.organisation_id) == self._reader.organisation_id
        )
        row = self._db.exec(statement.with_for_update() if is_locked else statement).first()
        if row is None or not self._may_see(row, own=self._own_patients([row]), is_on_duty=self._is_on_duty()):
            raise NotFoundError("no such help call")
        return row

    def _may_see(self, row: HelpCall, *, own: set[UUID], is_on_duty: bool) -> bool:
        """Return whether the reader may see a call of the own organisation."""
        if row.patient_id in own:
            return True
        if self._reader.role != "therapist":
            return False
        account_id = str(self._reader.account_id)
        was_told = any(told["account_id"] == account_id for told in row.told)
        return (is_on_duty and row.closed_at is None) or was_told or row.answered_by == self._reader.account_id

    def _own_patients(self, rows: Iterable[HelpCall]) -> set[UUID]:
        """Return the patients of the calls who are the reader's anyhow."""
        visible = is_visible_patient(self._reader, self._now, Scope.SEE_RESULTS)
        if self._reader.role not in ("therapist", "tablet"):
            return set()
        statement = select(Patient.id).where(col(Patient.id).in_({row.patient_id for row in rows}), visible)
        return set(self._db.exec(statement))

    def _is_on_duty(self) -> bool:
        return self._reader.account_id is not None and self._reader.account_id in self._line()

    def _line(self) -> list[UUID]:
        organisation_id = self._reader.organisation_id
        return read_lines(self._db, [organisation_id], now=self._now)[organisation_id]

    def _require_seat(self, live_session_id: UUID, patient_id: UUID) -> None:
        """Raise when the patient has no seat in the live session."""
        seat = select(Participant.id).where(
            col(Participant.live_session_id) == live_session_id, col(Participant.patient_id) == patient_id
        )
        if self._db.exec(seat).first() is None:
            raise NotFoundError("no such live session")

    def _complete(self, rows: Sequence[HelpCall]) -> list[HelpCallRows]:
        """Return calls with the names that belong to them, in a constant number of queries."""
        if not rows:
            return []
        patient_ids = {row.patient_id for row in rows}
        patients = {each.id: each for each in self._db.exec(select(Patient).where(col(Patient.id).in_(patient_ids)))}
        organisation = self._db.get_one(Organisation, self._reader.organisation_id)
        calls = [(row, read_call(row)) for row in rows]
        named = {call.answered_by for _, call in calls} | {call.told[-1].account_id for _, call in calls if call.told}
        names: dict[UUID | None, str] = {
            account.id: account.display_name
            for account in self._db.exec(select(Account).where(col(Account.id).in_(named - {None})))
        }
        completed = []
        for row, call in calls:
            seal = PatientSeal(patients[row.patient_id], self._key_ring)
            is_staff = self._reader.account_id is not None
            completed.append(
                HelpCallRows(
                    row=row,
                    call=call,
                    identity=seal.identity(),
                    patient_telephone=seal.telephone() if is_staff else None,
                    told_name=names.get(call.told[-1].account_id) if call.told else None,
                    answered_name=names.get(call.answered_by),
                    organisation_telephone=organisation.help_telephone,
                    note=seal.open(row.note_sealed, table=_TABLE, column="note", row_id=row.id) if is_staff else None,
                )
            )
        return completed

    def _seal(self, row: HelpCall) -> PatientSeal:
        return PatientSeal(self._db.get_one(Patient, row.patient_id), self._key_ring)

    def _open_note(self, row: HelpCall) -> str | None:
        return self._seal(row).open(row.note_sealed, table=_TABLE, column="note", row_id=row.id)
