"""Tablets in patients' homes: the link that pairs one, the list, the end of one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlmodel import Session, col, func, select, update

from telerehab.auth import audit
from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.login_rows import end_logins
from telerehab.auth.reader import Reader
from telerehab.db import provisioning
from telerehab.db.changes import note_change
from telerehab.db.repositories.consents import ASSISTED_START, WITHOUT_EID, add_consent, has_consent
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.tables import Login, OneTimeLink, Tablet
from telerehab.errors import NotFoundError

LIST_MAX: Final = 100


@dataclass(kw_only=True, frozen=True, slots=True)
class TabletRows:
    """A tablet, and when it was last used."""

    tablet: Tablet
    last_seen_at: datetime | None


@dataclass(kw_only=True, frozen=True, slots=True)
class NewTabletLink:
    """The token of a link that pairs one tablet, shown once."""

    token: str
    expires_at: datetime


class TabletRepository:
    """The tablets of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self, patient_id: UUID) -> Sequence[TabletRows]:
        """Return a patient's tablets that were paired, the newest first.

        Raises
        ------
        NotFoundError
            The reader may not lend this patient anything.
        """
        self._patients.require(patient_id, Scope.LEND)
        statement = (
            select(Tablet, func.max(Login.last_seen_at))
            .join(Login, col(Login.tablet_id) == col(Tablet.id), isouter=True)
            .where(col(Tablet.patient_id) == patient_id, col(Tablet.paired_at).is_not(None))
            .group_by(*Tablet.__table__.columns)  # type: ignore[attr-defined]  # SQLModel gives every table one
            .order_by(col(Tablet.paired_at).desc(), col(Tablet.id))
            .limit(LIST_MAX)
        )
        return [TabletRows(tablet=tablet, last_seen_at=seen_at) for tablet, seen_at in self._db.exec(statement)]

    def create_link(self, patient_id: UUID) -> NewTabletLink:
        """Make a link that pairs one tablet; an unused older one of the same patient is void from now on.

        Raises
        ------
        NotFoundError
            The reader may not lend this patient anything.
        """
        self._patients.require(patient_id, Scope.LEND)
        tablets = select(Tablet.id).where(col(Tablet.patient_id) == patient_id)
        self._db.exec(
            update(OneTimeLink)
            .where(col(OneTimeLink.tablet_id).in_(tablets), col(OneTimeLink.used_at).is_(None))
            .values(expires_at=self._now)
        )
        tablet = provisioning.create_tablet(self._db, patient_id=patient_id)
        made = provisioning.create_one_time_link(self._db, now=self._now, tablet_id=tablet.id)
        note_assisted_start(self._db, reader=self._reader, patient_id=patient_id, now=self._now)
        audit.record(
            self._db,
            actor=self._reader,
            action="invite_tablet",
            patient_id=patient_id,
            object=f"tablet:{tablet.id}",
            now=self._now,
        )
        return NewTabletLink(token=made.token, expires_at=made.link.expires_at)

    def revoke(self, tablet_id: UUID) -> None:
        """Make a tablet unknown again: its logins end and its sockets close. A second time changes nothing.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not lend its patient anything.
        """
        tablet = self._db.get(Tablet, tablet_id)
        if tablet is None:
            raise NotFoundError("no such tablet")
        self._patients.require(tablet.patient_id, Scope.LEND)
        if tablet.revoked_at is not None:
            return
        tablet.revoked_at = self._now
        for login_id in end_logins(self._db, col(Login.tablet_id) == tablet.id, now=self._now):
            note_change(self._db, "login", login_id, version=1)
        audit.record(
            self._db,
            actor=self._reader,
            action="revoke_tablet",
            patient_id=tablet.patient_id,
            object=f"tablet:{tablet.id}",
            now=self._now,
        )


def note_assisted_start(db: Session, *, reader: Reader, patient_id: UUID, now: datetime) -> None:
    """Write down, once, that somebody lets a patient in who gave no e-ID: a consent of its own."""
    if not has_consent(db, patient_id, ASSISTED_START, now=now):
        add_consent(
            db,
            reader=reader,
            patient_id=patient_id,
            consent_id=uuid4(),
            kind=ASSISTED_START,
            given_how=WITHOUT_EID,
            ends_at=None,
            now=now,
        )
