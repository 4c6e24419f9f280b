"""Referrals of the patients whom one reader may see, with the clock that the law runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.referral import (
    PLAN_STOP_REASONS,
    REFERRAL_STOP_REASONS,
    ReferralClock,
    ReferralDates,
    find_referral_faults,
    read_clock,
)
from telerehab.db.changes import note_change
from telerehab.db.repositories.organisations import organisation_zone
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.tables import Referral
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

LIST_MAX: Final = 100
STOP_REASONS: Final = frozenset({*REFERRAL_STOP_REASONS, *PLAN_STOP_REASONS})
_TABLE: Final = "referral"


@dataclass(kw_only=True, frozen=True, slots=True)
class ReferralWish:
    """What a referral shall say; None = not known, or not yet."""

    kind: str
    discharged_on: date | None
    received_on: date | None
    informed_on: date | None
    first_offered_on: date | None
    started_on: date | None
    stopped_on: date | None
    stop_reason: str | None
    note: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class ReferralRow:
    """A referral as it stands today."""

    id: UUID
    patient_id: UUID
    kind: str
    discharged_on: date | None
    received_on: date | None
    informed_on: date | None
    first_offered_on: date | None
    started_on: date | None
    stopped_on: date | None
    stop_reason: str | None
    note: str | None
    created_at: datetime
    version: int
    clock: ReferralClock


class ReferralRepository:
    """The referrals of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def of(self, patient_id: UUID) -> Sequence[ReferralRow]:
        """Return a patient's referrals, the newest first; NotFoundError where the reader may not see them."""
        opened = self._patients.require(patient_id, Scope.SEE_RESULTS)
        return [self._row(row, opened) for row in self._rows(patient_id)]

    def latest(self, patient_id: UUID) -> ReferralRow | None:
        """Return a patient's newest referral."""
        opened = self._patients.require(patient_id, Scope.SEE_RESULTS)
        return next((self._row(row, opened) for row in self._rows(patient_id)), None)

    def create(self, patient_id: UUID, wish: ReferralWish, *, referral_id: UUID | None) -> ReferralRow:
        """Write a referral down; the same wish under the same id adds nothing.

        Raises
        ------
        NotFoundError
            The reader may not.
        ConflictError
            The id is that of another referral.
        InvalidContentError
            The dates cannot be.
        """
        opened = self._patients.require(patient_id, Scope.WRITE_CARE)
        known = None if referral_id is None else self._db.get(Referral, referral_id)
        if known is not None:
            if known.patient_id != patient_id or _wish_of(known, opened) != wish:
                raise ConflictError("this referral is another one")
            return self._row(known, opened)
        _refuse_faults(wish)
        assert self._reader.account_id is not None
        row = Referral(
            id=referral_id or uuid4(), patient_id=patient_id, created_by=self._reader.account_id, created_at=self._now
        )
        self._write(row, wish, opened)
        return self._row(row, opened)

    def change(self, referral_id: UUID, wish: ReferralWish, *, version: int) -> ReferralRow:
        """Change a referral; what is so already stays as it is.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not.
        ConflictError
            Somebody else has changed it meanwhile (`referral_moved`).
        InvalidContentError
            The dates cannot be.
        """
        row = self._db.exec(select(Referral).where(col(Referral.id) == referral_id).with_for_update()).first()
        if row is None or row.retracted_at is not None:
            raise NotFoundError("no such referral")
        try:
            opened = self._patients.require(row.patient_id, Scope.WRITE_CARE)
        except NotFoundError:
            raise NotFoundError("no such referral") from None
        if _wish_of(row, opened) == wish:
            return self._row(row, opened)
        if row.version != version:
            raise ConflictError("the referral was changed meanwhile", code="referral_moved")
        _refuse_faults(wish)
        row.version += 1
        self._write(row, wish, opened)
        return self._row(row, opened)

    def _rows(self, patient_id: UUID) -> Sequence[Referral]:
        statement = select(Referral).where(col(Referral.patient_id) == patient_id, col(Referral.retracted_at).is_(None))
        return self._db.exec(
            statement.order_by(col(Referral.created_at).desc(), col(Referral.id)).limit(LIST_MAX)
        ).all()

    def _write(self, row: Referral, wish: ReferralWish, opened: OpenedPatient) -> None:
        row.kind = wish.kind
        row.discharged_on, row.received_on = wish.discharged_on, wish.received_on
        row.informed_on, row.first_offered_on = wish.informed_on, wish.first_offered_on
        row.started_on, row.stopped_on, row.stop_reason = wish.started_on, wish.stopped_on, wish.stop_reason
        row.note_sealed = (
            None if wish.note is None else opened.seal.seal(wish.note, table=_TABLE, column="note", row_id=row.id)
        )
        self._db.add(row)
        self._db.flush()
        note_change(self._db, _TABLE, row.id, version=row.version)

    def _row(self, row: Referral, opened: OpenedPatient) -> ReferralRow:
        today = self._now.astimezone(organisation_zone(self._db, self._reader)).date()
        said = _wish_of(row, opened)
        return ReferralRow(
            id=row.id,
            patient_id=row.patient_id,
            kind=said.kind,
            discharged_on=said.discharged_on,
            received_on=said.received_on,
            informed_on=said.informed_on,
            first_offered_on=said.first_offered_on,
            started_on=said.started_on,
            stopped_on=said.stopped_on,
            stop_reason=said.stop_reason,
            note=said.note,
            created_at=row.created_at,
            version=row.version,
            clock=read_clock(_dates_of(said), today=today),
        )


def _wish_of(row: Referral, opened: OpenedPatient) -> ReferralWish:
    """Return what a row says."""
    return ReferralWish(
        kind=row.kind,
        discharged_on=row.discharged_on,
        received_on=row.received_on,
        informed_on=row.informed_on,
        first_offered_on=row.first_offered_on,
        started_on=row.started_on,
        stopped_on=row.stopped_on,
        stop_reason=row.stop_reason,
        note=opened.seal.open(row.note_sealed, table=_TABLE, column="note", row_id=row.id),
    )


def _dates_of(wish: ReferralWish) -> ReferralDates:
    return ReferralDates(
        discharged_on=wish.discharged_on,
        informed_on=wish.informed_on,
        first_offered_on=wish.first_offered_on,
        stopped_on=wish.stopped_on,
        stop_reason=wish.stop_reason,
    )


def _refuse_faults(wish: ReferralWish) -> None:
    """Raise InvalidContentError where the dates cannot be."""
    faults = find_referral_faults(_dates_of(wish), reasons=STOP_REASONS)
    if faults:
        raise InvalidContentError(
            "these dates cannot be", faults=[{"at": f"body.{fault.at}", "kind": fault.code} for fault in faults]
        )
