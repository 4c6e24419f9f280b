"""Helpers: a patient's consent that somebody may assist, as an invitation, then as a grant with scopes and an end."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from telerehab.auth import audit
from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.auth.tokens import hash_token, new_token
from telerehab.db.changes import note_change
from telerehab.db.repositories.consents import HELPER, GivenHow, add_consent, end_of_day, require_way
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.tables import Consent, HelperGrant
from telerehab.errors import ConflictError, NotFoundError

HelperScope = Literal["join", "see_plan", "see_results", "train_for"]
INVITATION_LIFETIME: Final = timedelta(days=7)
LIST_MAX: Final = 100
_TABLE: Final = "helper_grant"


@dataclass(kw_only=True, frozen=True, slots=True)
class InvitationWish:
    """Who shall help, with what, until when, and how the patient agreed."""

    name: str
    scopes: frozenset[HelperScope]
    ends_on: date
    given_how: GivenHow


@dataclass(kw_only=True, frozen=True, slots=True)
class NewInvitation:
    """An invitation; its token is shown this once."""

    grant_id: UUID
    token: str
    expires_at: datetime


@dataclass(kw_only=True, frozen=True, slots=True)
class GrantRows:
    """A grant, and the name that the invitation gave the helper; None after erasure."""

    grant: HelperGrant
    name: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class HelpedPatient:
    """A patient whom a helper assists: what the grants in force allow together, and until when at the longest."""

    opened: OpenedPatient
    scopes: frozenset[str]
    ends_at: datetime


class HelperRepository:
    """The helpers of the patients whom one reader may see; for a helper, the patients."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self, patient_id: UUID) -> Sequence[GrantRows]:
        """Return a patient's grants and open invitations, the newest first, also those that have ended.

        Raises
        ------
        NotFoundError
            The reader may not see the patient.
        """
        opened = self._patients.require(patient_id, Scope.INVITE)
        statement = select(HelperGrant).where(col(HelperGrant.patient_id) == patient_id)
        newest = statement.order_by(col(HelperGrant.starts_at).desc(), col(HelperGrant.id)).limit(LIST_MAX)
        return [GrantRows(grant=grant, name=_name_of(opened, grant)) for grant in self._db.exec(newest)]

    def invite(self, patient_id: UUID, grant_id: UUID, wish: InvitationWish) -> NewInvitation:
        """Invite somebody, under an id that the page chose; the same wish again makes a new link of the same grant.

        Raises
        ------
        NotFoundError
            The reader may not see the patient.
        ConflictError
            There is another grant of this id, or this one was accepted or revoked.
        InvalidContentError
            The consent cannot have been given in this way, or the end is past or too far ahead.
        """
        opened = self._patients.require(patient_id, Scope.INVITE)
        require_way(self._reader, wish.given_how)
        ends_at = end_of_day(self._db, opened, wish.ends_on, now=self._now)
        token = new_token()
        expires_at = min(self._now + INVITATION_LIFETIME, ends_at)
        known = self._db.get(HelperGrant, grant_id)
        if known is not None:
            self._require_same(opened, known, wish, ends_at)
            known.token_hash, known.token_expires_at = hash_token(token), expires_at
            return NewInvitation(grant_id=grant_id, token=token, expires_at=expires_at)
        consent_id = uuid4()
        add_consent(
            self._db,
            reader=self._reader,
            patient_id=patient_id,
            consent_id=consent_id,
            kind=HELPER,
            given_how=wish.given_how,
            ends_at=ends_at,
            now=self._now,
        )
        self._db.add(
            HelperGrant(
                id=grant_id,
                patient_id=patient_id,
                invited_name_sealed=opened.seal.seal(wish.name, table=_TABLE, column="invited_name", row_id=grant_id),
                scopes=sorted(wish.scopes),
                starts_at=self._now,
                ends_at=ends_at,
                consent_id=consent_id,
                token_hash=hash_token(token),
                token_expires_at=expires_at,
                created_by=self._reader.holder_id,
            )
        )
        note_change(self._db, _TABLE, grant_id, version=1)
        self._record("invite_helper", patient_id, grant_id)
        return NewInvitation(grant_id=grant_id, token=token, expires_at=expires_at)

    def revoke(self, grant_id: UUID) -> None:
        """End a grant, or take an invitation back, at once. A second time changes nothing.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see its patient.
        """
        grant = self._db.get(HelperGrant, grant_id)
        if grant is None:
            raise NotFoundError("no such grant")
        self._patients.require(grant.patient_id, Scope.INVITE)
        if grant.revoked_at is not None:
            return
        grant.revoked_at, grant.token_hash = self._now, None
        consent = None if grant.consent_id is None else self._db.get(Consent, grant.consent_id)
        if consent is not None:
            consent.revoked_at = consent.revoked_at or self._now
        note_change(self._db, _TABLE, grant_id, version=2)
        self._record("revoke_helper", grant.patient_id, grant_id)

    def helped(self) -> Sequence[HelpedPatient]:
        """Return the patients whom a helper assists now, by name."""
        statement = select(HelperGrant).where(
            col(HelperGrant.helper_id) == self._reader.helper_id,
            col(HelperGrant.starts_at) <= self._now,
            col(HelperGrant.ends_at) > self._now,
            col(HelperGrant.revoked_at).is_(None),
            col(HelperGrant.accepted_at).is_not(None),
        )
        grants: dict[UUID, list[HelperGrant]] = {}
        for grant in self._db.exec(statement.limit(LIST_MAX)):
            grants.setdefault(grant.patient_id, []).append(grant)
        return [
            HelpedPatient(
                opened=opened,
                scopes=frozenset().union(*(grant.scopes for grant in grants[opened.patient.id])),
                ends_at=max(grant.ends_at for grant in grants[opened.patient.id]),
            )
            for opened in self._patients.list(Scope.IDENTIFY)
            if opened.patient.id in grants
        ]

    def _require_same(self, opened: OpenedPatient, known: HelperGrant, wish: InvitationWish, ends_at: datetime) -> None:
        """Refuse an id that is that of another grant, or of one that is no open invitation any more."""
        wished = (wish.name, wish.scopes, ends_at)
        if (
            known.patient_id != opened.patient.id
            or (_name_of(opened, known), frozenset(known.scopes), known.ends_at) != wished
            or known.accepted_at is not None
            or known.revoked_at is not None
        ):
            raise ConflictError("there is another grant of this id")

    def _record(self, action: str, patient_id: UUID, grant_id: UUID) -> None:
        audit.record(
            self._db,
            actor=self._reader,
            action=action,
            patient_id=patient_id,
            object=f"helper_grant:{grant_id}",
            now=self._now,
        )


def _name_of(opened: OpenedPatient, grant: HelperGrant) -> str | None:
    return opened.seal.open(grant.invited_name_sealed, table=_TABLE, column="invited_name", row_id=grant.id)
