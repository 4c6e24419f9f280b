"""What patients agreed to: written down with how it was given, and taken back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, Literal
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from telerehab.auth import audit
from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.tables import Consent, HelperGrant, Organisation
from telerehab.db.unique import flush_unique
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

ConsentKind = Literal["auto_answer", "seen_by_group", "assisted_start"]
GivenHow = Literal["on_tablet", "spoken", "on_paper", "assisted_without_eid"]
HELPER: Final = "helper"
"""The kind of a consent that goes with a grant; it is made by an invitation only."""
ASSISTED_START: Final = "assisted_start"
WITHOUT_EID: Final = "assisted_without_eid"
LASTS_DAYS_MAX: Final = 366
LIST_MAX: Final = 200
_TABLE: Final = "consent"


@dataclass(kw_only=True, frozen=True, slots=True)
class ConsentWish:
    """What a patient agrees to."""

    kind: ConsentKind
    given_how: GivenHow
    ends_on: date | None


class ConsentRepository:
    """The consents of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self, patient_id: UUID) -> Sequence[Consent]:
        """Return a patient's consents, the newest first, also those that were taken back.

        Raises
        ------
        NotFoundError
            The reader may not see the patient.
        """
        self._patients.require(patient_id, Scope.INVITE)
        statement = select(Consent).where(col(Consent.patient_id) == patient_id)
        return self._db.exec(statement.order_by(col(Consent.given_at).desc(), col(Consent.id)).limit(LIST_MAX)).all()

    def create(self, patient_id: UUID, consent_id: UUID, wish: ConsentWish) -> Consent:
        """Write down a consent under an id that the page chose; the same one again changes nothing.

        Raises
        ------
        NotFoundError
            The reader may not see the patient.
        ConflictError
            There is another one of this id.
        InvalidContentError
            It cannot have been given in this way, or its end is past or too far ahead.
        """
        opened = self._patients.require(patient_id, Scope.INVITE)
        require_way(self._reader, wish.given_how)
        if (wish.given_how == WITHOUT_EID) != (wish.kind == ASSISTED_START):
            raise InvalidContentError("a start without e-ID is a consent of its own", faults=_fault("given_how"))
        ends_at = None if wish.ends_on is None else end_of_day(self._db, opened, wish.ends_on, now=self._now)
        known = self._db.get(Consent, consent_id)
        if known is not None:
            if (known.patient_id, known.kind, known.given_how, known.ends_at) != (
                patient_id,
                wish.kind,
                wish.given_how,
                ends_at,
            ):
                raise ConflictError("there is another consent of this id")
            return known
        return add_consent(
            self._db,
            reader=self._reader,
            patient_id=patient_id,
            consent_id=consent_id,
            kind=wish.kind,
            given_how=wish.given_how,
            ends_at=ends_at,
            now=self._now,
        )

    def revoke(self, consent_id: UUID) -> None:
        """Take a consent back; what rests on it ends with it.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see its patient.
        """
        row = self._db.get(Consent, consent_id)
        if row is None:
            raise NotFoundError("no such consent")
        self._patients.require(row.patient_id, Scope.INVITE)
        if row.revoked_at is not None:
            return
        row.revoked_at = self._now
        for grant in self._db.exec(
            select(HelperGrant).where(col(HelperGrant.consent_id) == row.id, col(HelperGrant.revoked_at).is_(None))
        ):
            grant.revoked_at, grant.token_hash = self._now, None
            note_change(self._db, "helper_grant", grant.id, version=1)
        note_change(self._db, _TABLE, row.id, version=2)
        audit.record(
            self._db,
            actor=self._reader,
            action="revoke_consent",
            patient_id=row.patient_id,
            object=f"consent:{row.id}",
            reason_code=row.kind,
            now=self._now,
        )


def add_consent(
    db: Session,
    *,
    reader: Reader,
    patient_id: UUID,
    consent_id: UUID,
    kind: str,
    given_how: str,
    ends_at: datetime | None,
    now: datetime,
) -> Consent:
    """Write a consent, for a reader who may."""
    row = Consent(
        id=consent_id,
        patient_id=patient_id,
        kind=kind,
        given_how=given_how,
        given_at=now,
        ends_at=ends_at,
        recorded_by=reader.holder_id,
    )
    db.add(row)
    flush_unique(db, "there is another consent of this id")
    note_change(db, _TABLE, row.id, version=1)
    audit.record(
        db,
        actor=reader,
        action="record_consent",
        patient_id=patient_id,
        object=f"consent:{row.id}",
        reason_code=kind,
        now=now,
    )
    return row


def has_consent(db: Session, patient_id: UUID, kind: str, *, now: datetime) -> bool:
    """Return whether a consent of this kind is in force."""
    statement = select(Consent.id).where(
        col(Consent.patient_id) == patient_id,
        col(Consent.kind) == kind,
        col(Consent.revoked_at).is_(None),
        (col(Consent.ends_at).is_(None)) | (col(Consent.ends_at) > now),
    )
    return db.exec(statement).first() is not None


def require_way(reader: Reader, given_how: str) -> None:
    """Refuse a way of giving consent that the reader cannot have seen: a tablet sees itself, and staff the rest.

    Raises
    ------
    InvalidContentError
        A tablet says that something was spoken, or staff that it was given on the tablet.
    """
    if (given_how == "on_tablet") != (reader.role == "tablet"):
        raise InvalidContentError("it cannot have been given in this way", faults=_fault("given_how"))


def end_of_day(db: Session, opened: OpenedPatient, day: date, *, now: datetime) -> datetime:
    """Return when a day ends where the patient lives.

    Raises
    ------
    InvalidContentError
        It is over, or too far ahead.
    """
    organisation = db.get_one(Organisation, opened.patient.organisation_id)
    zone = ZoneInfo(organisation.time_zone)
    today = now.astimezone(zone).date()
    if not today <= day <= today + timedelta(days=LASTS_DAYS_MAX):
        raise InvalidContentError("the end is past or too far ahead", faults=_fault("ends_on"))
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=zone)


def _fault(at: str) -> list[dict[str, str]]:
    return [{"at": at, "kind": "out_of_range"}]
