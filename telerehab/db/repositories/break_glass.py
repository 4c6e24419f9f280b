"""Break-glass: a look at a patient who is not in one's care, with a reason, an end, two notices and a review."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from telerehab.auth import audit
from telerehab.auth.access import Scope
from telerehab.auth.factors import accept_code
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.repositories.notices import put_notice, to_patient, to_role
from telerehab.db.repositories.patients import is_visible_patient
from telerehab.db.sealing import Identity, PatientSeal, cpr_hash
from telerehab.db.tables import Account, BreakGlass, Login, Organisation, Patient
from telerehab.errors import ConflictError, NotFoundError, SecondFactorError

LASTS: Final = timedelta(minutes=60)
REVIEW_WITHIN: Final = timedelta(hours=72)
JUST_NOW: Final = timedelta(minutes=5)
"""A login that was opened with both factors so lately needs no further code."""
LIST_MAX: Final = 200
NOTICE_KIND: Final = "notice.break_glass"
ALREADY_IN_CARE: Final = "already_in_care"
SECOND_FACTOR_NOW: Final = "second_factor_now"
_TABLE: Final = "break_glass"

Outcome = Literal["justified", "not_justified"]


@dataclass(kw_only=True, frozen=True, slots=True)
class BreakGlassRows:
    """A look, with what its reader may know of it."""

    row: BreakGlass
    actor_name: str
    reason: str | None
    """None after the patient's erasure."""
    identity: Identity | None
    """Only while the one who looks may look."""

    @property
    def review_due_at(self) -> datetime:
        """Return until when somebody has to judge it."""
        return self.row.starts_at + REVIEW_WITHIN


class BreakGlassRepository:
    """The looks that one reader takes, or reviews."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring

    def begin(self, *, patient_id: UUID | None, cpr: str | None, reason: str, code: str | None) -> BreakGlassRows:
        """Let the reader see a patient for an hour; a look that still runs goes on as it is.

        The patient and the auditors of the organisation are told, and the chain has a record.

        Raises
        ------
        NotFoundError
            There is no such patient in the organisation.
        ConflictError
            With code `already_in_care`: no glass is in the way.
        SecondFactorError
            With code `second_factor_now`: neither a right code nor a login of the last minutes.
        """
        self._require_second_factor(code)
        patient = self._find(patient_id, cpr)
        if self._is_in_care(patient):
            raise ConflictError("this patient is in your care", code=ALREADY_IN_CARE)
        running = self._running(patient.id)
        return self._shown([self._open(patient, reason) if running is None else running])[0]

    def list(self) -> Sequence[BreakGlassRows]:
        """Return all looks to an auditor, those without review first; to others their own; the newest first."""
        statement = select(BreakGlass).where(col(BreakGlass.organisation_id) == self._reader.organisation_id)
        if self._reader.role == "auditor":
            waiting = col(BreakGlass.reviewed_at).is_not(None)
            statement = statement.order_by(waiting, col(BreakGlass.starts_at).desc(), col(BreakGlass.id))
        else:
            own = col(BreakGlass.account_id) == self._reader.account_id
            statement = statement.where(own).order_by(col(BreakGlass.starts_at).desc(), col(BreakGlass.id))
        return self._shown(self._db.exec(statement.limit(LIST_MAX)).all())

    def review(self, break_glass_id: UUID, outcome: Outcome) -> BreakGlassRows:
        """Judge a look, once; the same judgement again changes nothing.

        Raises
        ------
        NotFoundError
            There is none in the auditor's organisation.
        ConflictError
            It was judged otherwise.
        """
        row = self._db.exec(
            select(BreakGlass)
            .where(
                col(BreakGlass.id) == break_glass_id,
                col(BreakGlass.organisation_id) == self._reader.organisation_id,
            )
            .with_for_update()
        ).first()
        if row is None:
            raise NotFoundError("no such look")
        if row.outcome not in (None, outcome):
            raise ConflictError("this look was judged otherwise")
        if row.outcome is None:
            row.outcome, row.reviewed_at, row.reviewed_by = outcome, self._now, self._reader.account_id
            note_change(self._db, _TABLE, row.id, version=2)
            self._record("review_break_glass", row, reason_code=outcome)
        return self._shown([row])[0]

    def _require_second_factor(self, code: str | None) -> None:
        """Raise unless the second factor was given just now: as a code, or in the last minutes to log in."""
        if code is not None:
            account = self._db.get_one(Account, self._reader.account_id)
            if accept_code(self._db, account, code, key_ring=self._key_ring, now=self._now):
                return
        else:
            login = self._db.get_one(Login, self._reader.login_id)
            if self._now - max(login.created_at, login.rotated_at or login.created_at) < JUST_NOW:
                return
        raise SecondFactorError("give the second factor now", code=SECOND_FACTOR_NOW)

    def _find(self, patient_id: UUID | None, cpr: str | None) -> Patient:
        """Return a patient of the organisation, by id or by CPR number."""
        statement = select(Patient).where(col(Patient.organisation_id) == self._reader.organisation_id)
        if patient_id is not None:
            statement = statement.where(col(Patient.id) == patient_id)
        else:
            hashed = cpr_hash(self._key_ring, self._reader.organisation_id, cpr or "")
            statement = statement.where(col(Patient.cpr_hash) == hashed)
        patient = self._db.exec(statement.with_for_update()).first()
        if patient is None or patient.wrapped_key is None:
            raise NotFoundError("no such patient")
        return patient

    def _is_in_care(self, patient: Patient) -> bool:
        visible = is_visible_patient(self._reader, self._now, Scope.WRITE_CARE)
        return self._db.exec(select(Patient.id).where(col(Patient.id) == patient.id, visible)).first() is not None

    def _running(self, patient_id: UUID) -> BreakGlass | None:
        return self._db.exec(
            select(BreakGlass).where(
                col(BreakGlass.account_id) == self._reader.account_id,
                col(BreakGlass.patient_id) == patient_id,
                col(BreakGlass.starts_at) <= self._now,
                col(BreakGlass.ends_at) > self._now,
            )
        ).first()

    def _open(self, patient: Patient, reason: str) -> BreakGlass:
        """Write the look, the two notices and the record."""
        assert self._reader.account_id is not None
        row_id = uuid4()
        seal = PatientSeal(patient, self._key_ring)
        row = BreakGlass(
            id=row_id,
            organisation_id=patient.organisation_id,
            account_id=self._reader.account_id,
            patient_id=patient.id,
            reason_sealed=seal.seal(reason, table=_TABLE, column="reason", row_id=row_id),
            starts_at=self._now,
            ends_at=self._now + LASTS,
        )
        self._db.add(row)
        self._db.flush()
        zone = ZoneInfo(self._db.get_one(Organisation, patient.organisation_id).time_zone)
        for recipient in (to_patient(patient.id), to_role("auditor", patient.organisation_id)):
            put_notice(
                self._db,
                organisation_id=patient.organisation_id,
                recipient=recipient,
                kind=NOTICE_KIND,
                cause=f"break_glass:{row.id}",
                day=self._now.astimezone(zone).date(),
                now=self._now,
                patient_id=patient.id,
                data={"break_glass_id": str(row.id)},
            )
        note_change(self._db, _TABLE, row.id, version=1)
        self._record("break_glass", row)
        return row

    def _record(self, action: str, row: BreakGlass, *, reason_code: str | None = None) -> None:
        audit.record(
            self._db,
            actor=self._reader,
            action=action,
            patient_id=row.patient_id,
            object=f"break_glass:{row.id}",
            reason_code=reason_code,
            now=self._now,
        )

    def _shown(self, rows: Sequence[BreakGlass]) -> Sequence[BreakGlassRows]:
        """Return looks with names, in three queries however many there are."""
        wanted_patients = select(Patient).where(col(Patient.id).in_({row.patient_id for row in rows}))
        wanted_accounts = select(Account).where(col(Account.id).in_({row.account_id for row in rows}))
        patients = {patient.id: patient for patient in self._db.exec(wanted_patients)}
        accounts = {account.id: account for account in self._db.exec(wanted_accounts)}
        return [self._describe(row, patients[row.patient_id], accounts[row.account_id]) for row in rows]

    def _describe(self, row: BreakGlass, patient: Patient, account: Account) -> BreakGlassRows:
        seal = PatientSeal(patient, self._key_ring)
        may_look = row.account_id == self._reader.account_id and row.ends_at > self._now
        return BreakGlassRows(
            row=row,
            actor_name=account.display_name,
            reason=seal.open(row.reason_sealed, table=_TABLE, column="reason", row_id=row.id),
            identity=seal.identity() if may_look else None,
        )
