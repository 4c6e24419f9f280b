"""Who a patient is and who treats the patient: making, changing and ending that; looks that need a reason."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Final, Literal
from uuid import UUID, uuid4

from sqlalchemy import or_
from sqlmodel import Session, col, func, select

from telerehab.auth.access import Scope
from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.cpr import CprFault, agree_on_birth_date, read_cpr
from telerehab.db import provisioning
from telerehab.db.alert_rows import is_open
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.care_relations import CareRelationRepository, CareRow
from telerehab.db.repositories.organisations import lock_organisation, organisation_zone
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.sealing import cpr_hash
from telerehab.db.tables import (
    Alert,
    Appointment,
    Assignment,
    GroupMembership,
    HelpCall,
    Patient,
    SecretLook,
    Tablet,
)
from telerehab.db.unique import flush_unique
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

Secret = Literal["cpr", "protected_address"]
_TABLE: Final = "patient"


@dataclass(kw_only=True, frozen=True, slots=True)
class IdentityWish:
    """Who a patient shall be; None = not known."""

    name: str
    birth_date: date | None
    cpr: str | None
    telephone: str | None
    has_protected_address: bool | None
    language: str


@dataclass(kw_only=True, frozen=True, slots=True)
class RecordHead:
    """The head of a patient's record. Whether CPR number and mark are there is told, what they are is not."""

    id: UUID
    display_name: str | None
    birth_date: date | None
    language: str
    telephone: str | None
    has_cpr: bool
    has_address_mark: bool
    created_at: datetime | None
    ended_at: datetime | None
    care: Sequence[CareRow]
    tablets_count: int
    devices_count: int
    scopes: Sequence[str]
    """What the reader may do with the patient, sorted."""


class PatientRecordRepository:
    """The records of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)
        self._care = CareRelationRepository(db, reader=reader, now=now, key_ring=key_ring)

    def head(self, patient_id: UUID) -> RecordHead:
        """Return the head of a record; NotFoundError where the reader may not see the patient."""
        return self._head_of(self._patients.require(patient_id, Scope.IDENTIFY))

    def create(
        self, wish: IdentityWish, *, patient_id: UUID | None, therapist_id: UUID | None, team_id: UUID | None
    ) -> RecordHead:
        """Make a patient, in the care of whoever is named; of a therapist who names nobody, in the own care.

        The same wish under the same id adds nothing.

        Raises
        ------
        NotFoundError
            Therapist, team or the patient of this id is of elsewhere.
        ConflictError
            A patient has this CPR number (`cpr_known`), or the id is that of another wish.
        InvalidContentError
            CPR number and birth date cannot be, both or none of therapist and team are named.
        """
        wish = self._checked(wish)
        lock_organisation(self._db, self._reader.organisation_id)
        known = None if patient_id is None else self._db.get(Patient, patient_id)
        if known is not None:
            opened = self._patients.require(known.id, Scope.ASSIGN)
            if _wish_of(opened) != wish:
                raise ConflictError("this patient was made for somebody else")
            return self._head_of(opened)
        patient = provisioning.new_patient(
            key_ring=self._key_ring,
            organisation_id=self._reader.organisation_id,
            name=wish.name,
            birth_date=wish.birth_date,
            cpr=wish.cpr,
            telephone=wish.telephone,
            has_protected_address=wish.has_protected_address,
            language=wish.language,
            created_at=self._now,
            patient_id=patient_id or uuid4(),
        )
        self._db.add(patient)
        flush_unique(self._db, "a patient has this CPR number", code="cpr_known")
        if therapist_id is None and team_id is None and self._reader.role == "therapist":
            therapist_id = self._reader.account_id
        if therapist_id is not None or team_id is not None:
            self._care.add_for_new(patient, therapist_id=therapist_id, team_id=team_id)
        note_change(self._db, _TABLE, patient.id, version=1)
        self._record("create_patient", patient.id)
        try:
            return self._head_of(self._patients.require(patient.id, Scope.IDENTIFY))
        except NotFoundError:
            raise InvalidContentError(
                "a therapist's patient is in the own care", faults=[{"at": "body.therapist_id", "kind": "not_own_care"}]
            ) from None

    def change_identity(self, patient_id: UUID, wish: IdentityWish, *, kept: Collection[Secret]) -> RecordHead:
        """Change who a patient is; what is `kept` stays as it is, for pages do not know it.

        Raises
        ------
        NotFoundError
            The reader may not change the patient's identity, or the patient was erased.
        ConflictError
            Another patient has this CPR number (`cpr_known`).
        InvalidContentError
            CPR number and birth date cannot be.
        """
        opened = self._require_locked(patient_id)
        patient, seal = opened.patient, opened.seal
        if not seal.has_key:
            raise NotFoundError("no such patient")
        if "cpr" in kept:
            wish = replace(wish, cpr=seal.cpr())
        if "protected_address" in kept:
            wish = replace(wish, has_protected_address=seal.has_protected_address())
        wish = self._checked(wish)
        if wish == _wish_of(opened):
            return self._head_of(opened)
        seal.set_identity(
            name=wish.name,
            birth_date=wish.birth_date,
            telephone=wish.telephone,
            cpr=wish.cpr,
            has_protected_address=wish.has_protected_address,
        )
        if wish.birth_date is None:
            patient.birth_date_sealed = None
        if wish.telephone is None:
            patient.telephone_sealed = None
        if wish.cpr is None:
            patient.cpr_sealed = None
        if wish.has_protected_address is None:
            patient.protected_address_sealed = None
        patient.cpr_hash = self._hash(wish.cpr)
        patient.language = wish.language
        self._db.add(patient)
        flush_unique(self._db, "a patient has this CPR number", code="cpr_known")
        note_change(self._db, _TABLE, patient.id, version=1)
        self._record("change_identity", patient.id)
        return self._head_of(opened)

    def reveal(self, patient_id: UUID, what: Secret, *, reason: str) -> str | bool | None:
        """Return the CPR number (ten digits), or whether the address is protected; None = unknown.

        The look stands in the audit chain, its reason sealed beside it.

        Raises
        ------
        NotFoundError
            The reader may not look, or the patient was erased.
        """
        opened = self._patients.require(patient_id, Scope.ASSIGN)
        if not opened.seal.has_key or self._reader.account_id is None:
            raise NotFoundError("no such patient")
        look_id = uuid4()
        self._db.add(
            SecretLook(
                id=look_id,
                patient_id=patient_id,
                account_id=self._reader.account_id,
                what=what,
                reason_sealed=opened.seal.seal(reason, table="secret_look", column="reason", row_id=look_id),
                at=self._now,
            )
        )
        record(
            self._db,
            actor=self._reader,
            action=f"reveal_{what}",
            patient_id=patient_id,
            object=f"secret_look:{look_id}",
            now=self._now,
        )
        return opened.seal.cpr() if what == "cpr" else opened.seal.has_protected_address()

    def find(self, cpr: str) -> Sequence[Patient]:
        """Return the organisation's patient with this CPR number, or nothing; every question is recorded."""
        digits = _digits(cpr)
        found = self._db.exec(
            select(Patient).where(
                col(Patient.organisation_id) == self._reader.organisation_id,
                col(Patient.cpr_hash) == self._hash(digits),
            )
        ).all()
        record(
            self._db,
            actor=self._reader,
            action="find_by_cpr",
            patient_id=found[0].id if found else None,
            allowed=True,
            now=self._now,
        )
        return found

    def end_course(self, patient_id: UUID) -> None:
        """End the course of a patient: care, lent devices, groups and coming appointments end now.

        Raises
        ------
        NotFoundError
            The reader may not.
        ConflictError
            An alert is open (`open_alert`) or a help call (`open_help_call`): nobody would see it any more.
        """
        patient = self._require_locked(patient_id).patient
        if patient.ended_at is not None:
            return
        if self._db.exec(select(Alert.id).where(col(Alert.patient_id) == patient.id, is_open())).first() is not None:
            raise ConflictError("an alert is open", code="open_alert")
        call = select(HelpCall.id).where(col(HelpCall.patient_id) == patient.id, col(HelpCall.closed_at).is_(None))
        if self._db.exec(call).first() is not None:
            raise ConflictError("a help call is open", code="open_help_call")
        patient.ended_at = self._now
        self._db.add(patient)
        self._care.end_all(patient.id)
        end_what_runs(self._db, patient.id, now=self._now)
        note_change(self._db, _TABLE, patient.id, version=1)
        self._record("end_course", patient.id)

    def reopen(self, patient_id: UUID, *, therapist_id: UUID | None, team_id: UUID | None) -> RecordHead:
        """Begin a new course of a patient whose last one is over.

        Raises
        ------
        NotFoundError
            The reader may not, or the patient was erased.
        """
        opened = self._require_locked(patient_id)
        patient = opened.patient
        if not opened.seal.has_key:
            raise NotFoundError("no such patient")
        was_over = patient.ended_at is not None
        patient.ended_at = None
        self._db.add(patient)
        self._care.add_for_new(patient, therapist_id=therapist_id, team_id=team_id)
        note_change(self._db, _TABLE, patient.id, version=1)
        if was_over:
            self._record("reopen_course", patient.id)
        return self._head_of(opened)

    def _require_locked(self, patient_id: UUID) -> OpenedPatient:
        """Return a patient whose record the reader may change; of several who do, one at a time goes on."""
        self._patients.require(patient_id, Scope.ASSIGN)
        lock_patient(self._db, patient_id)
        self._db.expire_all()  # the key, too, may have gone while we waited
        return self._patients.require(patient_id, Scope.ASSIGN)

    def _head_of(self, opened: OpenedPatient) -> RecordHead:
        patient = opened.patient
        tablets = select(func.count()).where(
            col(Tablet.patient_id) == patient.id, col(Tablet.paired_at).is_not(None), col(Tablet.revoked_at).is_(None)
        )
        devices = select(func.count()).where(
            col(Assignment.patient_id) == patient.id,
            col(Assignment.starts_at) <= self._now,
            or_(col(Assignment.ends_at).is_(None), col(Assignment.ends_at) > self._now),
        )
        return RecordHead(
            id=patient.id,
            display_name=opened.identity.name,
            birth_date=opened.identity.birth_date,
            language=patient.language,
            telephone=opened.seal.telephone(),
            has_cpr=patient.cpr_sealed is not None,
            has_address_mark=patient.protected_address_sealed is not None,
            created_at=patient.created_at,
            ended_at=patient.ended_at,
            care=self._care.rows_of(patient.id),
            tablets_count=self._db.exec(tablets).one(),
            devices_count=self._db.exec(devices).one(),
            scopes=sorted(opened.scopes),
        )

    def _checked(self, wish: IdentityWish) -> IdentityWish:
        """Return the wish with ten digits and the day of birth that they tell."""
        cpr = None if wish.cpr is None else _digits(wish.cpr)
        today = self._now.astimezone(organisation_zone(self._db, self._reader)).date()
        born_on = agree_on_birth_date(cpr, wish.birth_date, today=today)
        if isinstance(born_on, CprFault):
            at = "birth_date" if cpr is None or wish.birth_date is not None else "cpr"
            raise InvalidContentError("no such birth date", faults=[{"at": f"body.{at}", "kind": born_on.value}])
        return replace(wish, cpr=cpr, birth_date=born_on)

    def _hash(self, cpr: str | None) -> str | None:
        return None if cpr is None else cpr_hash(self._key_ring, self._reader.organisation_id, cpr)

    def _record(self, action: str, patient_id: UUID) -> None:
        record(self._db, actor=self._reader, action=action, patient_id=patient_id, now=self._now)


def end_what_runs(db: Session, patient_id: UUID, *, now: datetime) -> None:
    """Give back the devices, leave the groups, and cancel the coming appointments of a patient."""
    for row in db.exec(select(Assignment).where(col(Assignment.patient_id) == patient_id)):
        if row.ends_at is None or row.ends_at > now:
            row.ends_at = max(row.starts_at, now)
            db.add(row)
            note_change(db, "assignment", row.id, version=2)
    for membership in db.exec(select(GroupMembership).where(col(GroupMembership.patient_id) == patient_id)):
        if membership.ends_at is None or membership.ends_at > now:
            membership.ends_at = max(membership.starts_at, now)
            db.add(membership)
    coming = select(Appointment).where(
        col(Appointment.patient_id) == patient_id,
        col(Appointment.state) == "planned",
        col(Appointment.starts_at) > now,
    )
    for appointment in db.exec(coming):
        appointment.state = "cancelled"
        appointment.version += 1
        db.add(appointment)
        note_change(db, "appointment", appointment.id, version=appointment.version)


def _digits(said: str) -> str:
    """Return the ten digits of a CPR number; raise InvalidContentError."""
    cpr = read_cpr(said)
    if isinstance(cpr, CprFault):
        raise InvalidContentError("no CPR number", faults=[{"at": "body.cpr", "kind": cpr.value}])
    return cpr


def _wish_of(opened: OpenedPatient) -> IdentityWish:
    """Return what stands in a patient's row, as a wish."""
    identity = opened.identity
    return IdentityWish(
        name=identity.name or "",
        birth_date=identity.birth_date,
        cpr=opened.seal.cpr(),
        telephone=opened.seal.telephone(),
        has_protected_address=opened.seal.has_protected_address(),
        language=opened.patient.language,
    )
