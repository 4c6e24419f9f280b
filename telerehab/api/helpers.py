"""Helpers: inviting, accepting, revoking; what patients agreed to."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Response
from pydantic import Field, StringConstraints

from telerehab.api.dependencies import (
    CurrentReader,
    CurrentSite,
    CurrentVisit,
    Keys,
    MaybeReader,
    Now,
    Parts,
    ReadingDb,
    WritingDb,
)
from telerehab.api.logins import ChallengeRead, Credential, set_cookie
from telerehab.api.models import Answer, Body, LooseUuid, Title
from telerehab.auth.access import Scope
from telerehab.auth.policies import HELPER, PUBLIC, THERAPIST_OR_TABLET, declares
from telerehab.auth.totp import qr_svg
from telerehab.db.provisioning import link_address
from telerehab.db.repositories.consents import ConsentKind, ConsentRepository, ConsentWish, GivenHow
from telerehab.db.repositories.helpers import GrantRows, HelperRepository, HelperScope, InvitationWish
from telerehab.db.tables import Consent
from telerehab.errors import NotLoggedInError

router = APIRouter(prefix="/api", tags=["helpers"])

INVITATION_PREFIX = "helper-"
"""What the fragment of an invitation's address begins with, so that the page knows it from a one-time link."""
LooseDate = Annotated[date, Field(strict=False)]
InvitationToken = Annotated[str, StringConstraints(min_length=1, max_length=100)]


def get_helpers(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> HelperRepository:
    """Return the helpers of the patients whom the reader may see."""
    return HelperRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_helpers(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> HelperRepository:
    """Return the helpers of the patients whom the reader may see, to change them."""
    return HelperRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_consents(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> ConsentRepository:
    """Return the consents of the patients whom the reader may see."""
    return ConsentRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_consents(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> ConsentRepository:
    """Return the consents of the patients whom the reader may see, to change them."""
    return ConsentRepository(db, reader=reader, now=now, key_ring=key_ring)


Helpers = Annotated[HelperRepository, Depends(get_helpers)]
WritableHelpers = Annotated[HelperRepository, Depends(get_writable_helpers)]
Consents = Annotated[ConsentRepository, Depends(get_consents)]
WritableConsents = Annotated[ConsentRepository, Depends(get_writable_consents)]


class HelperConsentBody(Body):
    """How the patient agreed that somebody helps."""

    given_how: GivenHow


class InvitationBody(Body):
    """Who shall help, with what, and until the end of which day."""

    id: LooseUuid
    name: Title
    scopes: Annotated[list[HelperScope], Field(min_length=1, max_length=4)]
    ends_on: LooseDate
    consent: HelperConsentBody


class InvitationRead(Answer):
    """An invitation as an address and as a QR code; shown this once."""

    grant_id: UUID
    link: str
    qr_svg: str
    expires_at: datetime


class GrantRead(Answer):
    """What somebody may help with, or was invited to."""

    id: UUID
    name: str | None
    scopes: list[str]
    starts_at: datetime
    ends_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None
    invitation_expires_at: datetime | None


class TokenBody(Body):
    """An invitation."""

    token: InvitationToken


class AcceptBody(Body):
    """An invitation, and the passkey that this browser made; without one where a helper is logged in already."""

    token: InvitationToken
    challenge_id: LooseUuid | None = None
    credential: Credential | None = None


class InvitationLookRead(Answer):
    """Whom it is about."""

    organisation: str
    patient_name: str | None
    """The first name alone."""


class AcceptedRead(Answer):
    """Which pages this browser shows from now on."""

    face: Literal["helper"]


class HelpedPatientRead(Answer):
    """A patient whom I help."""

    patient_id: UUID
    display_name: str | None
    birth_date: date | None
    scopes: list[str]
    ends_at: datetime


class ConsentBody(Body):
    """What the patient agrees to, and how it was given."""

    id: LooseUuid
    kind: ConsentKind
    given_how: GivenHow
    ends_on: LooseDate | None = None


class ConsentRead(Answer):
    """What a patient agreed to."""

    id: UUID
    kind: str
    given_how: str
    given_at: datetime
    ends_at: datetime | None
    revoked_at: datetime | None


@router.post("/patients/{patient_id}/helpers", status_code=201, response_model=InvitationRead)
@declares(THERAPIST_OR_TABLET, scope=Scope.INVITE)
def invite_helper(patient_id: UUID, body: InvitationBody, helpers: WritableHelpers, site: CurrentSite) -> object:
    """Invite somebody to help a patient who agreed to it."""
    wish = InvitationWish(
        name=body.name, scopes=frozenset(body.scopes), ends_on=body.ends_on, given_how=body.consent.given_how
    )
    made = helpers.invite(patient_id, body.id, wish)
    address = link_address(site.origin, f"{INVITATION_PREFIX}{made.token}")
    return InvitationRead(grant_id=made.grant_id, link=address, qr_svg=qr_svg(address), expires_at=made.expires_at)


@router.get("/patients/{patient_id}/helpers", response_model=list[GrantRead])
@declares(THERAPIST_OR_TABLET, scope=Scope.INVITE)
def list_helpers(patient_id: UUID, helpers: Helpers) -> object:
    """List who helps a patient, who was invited, and who did."""
    return [_shown(rows) for rows in helpers.list(patient_id)]


@router.delete("/helper-grants/{grant_id}", status_code=204)
@declares(THERAPIST_OR_TABLET, scope=Scope.INVITE)
def revoke_grant(grant_id: UUID, helpers: WritableHelpers) -> None:
    """End what a helper may do for a patient, at once."""
    helpers.revoke(grant_id)


@router.get("/my/patients", response_model=list[HelpedPatientRead])
@declares(HELPER)
def list_helped_patients(helpers: Helpers) -> object:
    """List the patients whom I help."""
    return [
        HelpedPatientRead(
            patient_id=each.opened.patient.id,
            display_name=each.opened.identity.name,
            birth_date=each.opened.identity.birth_date,
            scopes=sorted(each.scopes),
            ends_at=each.ends_at,
        )
        for each in helpers.helped()
    ]


@router.post("/invitations/look", response_model=InvitationLookRead)
@declares(PUBLIC)
def look_at_invitation(body: TokenBody, parts: Parts, visit: CurrentVisit) -> object:
    """Show whom an invitation is about."""
    look = parts.invitation_desk.look(body.token, visit=visit)
    return InvitationLookRead(organisation=look.organisation, patient_name=look.patient_first_name)


@router.post("/invitations/passkey-options", response_model=ChallengeRead)
@declares(PUBLIC)
def ask_invited(body: TokenBody, parts: Parts, site: CurrentSite, visit: CurrentVisit) -> object:
    """Get what makes this browser make the helper's passkey."""
    return parts.invitation_desk.ask(body.token, site=site, visit=visit)


@router.post("/invitations/accept", response_model=AcceptedRead)
@declares(PUBLIC)
def accept_invitation(
    body: AcceptBody,
    response: Response,
    reader: MaybeReader,
    parts: Parts,
    site: CurrentSite,
    visit: CurrentVisit,
) -> object:
    """Become a helper, or the helper of one more patient."""
    desk = parts.invitation_desk
    if body.challenge_id is not None and body.credential is not None:
        login = desk.accept(
            body.token, challenge_id=body.challenge_id, credential=body.credential, site=site, visit=visit
        )
        set_cookie(response, login)
    elif reader is not None:
        desk.take(body.token, reader=reader, visit=visit)
    else:
        raise NotLoggedInError("make a passkey first")
    return AcceptedRead(face="helper")


@router.get("/patients/{patient_id}/consents", response_model=list[ConsentRead])
@declares(THERAPIST_OR_TABLET, scope=Scope.INVITE)
def list_consents(patient_id: UUID, consents: Consents) -> object:
    """List what a patient agreed to, the newest first."""
    return consents.list(patient_id)


@router.post("/patients/{patient_id}/consents", status_code=201, response_model=ConsentRead)
@declares(THERAPIST_OR_TABLET, scope=Scope.INVITE)
def create_consent(patient_id: UUID, body: ConsentBody, consents: WritableConsents) -> Consent:
    """Write down what a patient agrees to."""
    wish = ConsentWish(kind=body.kind, given_how=body.given_how, ends_on=body.ends_on)
    return consents.create(patient_id, body.id, wish)


@router.delete("/consents/{consent_id}", status_code=204)
@declares(THERAPIST_OR_TABLET, scope=Scope.INVITE)
def revoke_consent(consent_id: UUID, consents: WritableConsents) -> None:
    """Take a consent back; what rests on it ends."""
    consents.revoke(consent_id)


def _shown(rows: GrantRows) -> GrantRead:
    grant = rows.grant
    return GrantRead(
        id=grant.id,
        name=rows.name,
        scopes=list(grant.scopes),
        starts_at=grant.starts_at,
        ends_at=grant.ends_at,
        accepted_at=grant.accepted_at,
        revoked_at=grant.revoked_at,
        invitation_expires_at=grant.token_expires_at if grant.token_hash is not None else None,
    )
