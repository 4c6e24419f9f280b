"""Logging in and out, and who I am."""

from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Response
from pydantic import Field, JsonValue, StringConstraints

from telerehab.api.dependencies import CurrentReader, CurrentSite, CurrentVisit, Keys, Logins, ReadingDb, Token
from telerehab.api.models import Answer, Body, Email, LooseUuid, Password
from telerehab.auth.cookies import clear_login_cookie, set_login_cookie
from telerehab.auth.factors import Method, Next
from telerehab.auth.login_rows import Face, NewLogin, face_of
from telerehab.auth.logins import Entered
from telerehab.auth.policies import FIRST_FACTOR, LOGGED_IN, PUBLIC, declares
from telerehab.auth.reader import ReaderRole
from telerehab.db.repositories.people import read_own_name
from telerehab.db.tables import Organisation, Tablet

router = APIRouter(prefix="/api", tags=["logins"])

Code = Annotated[str, StringConstraints(min_length=6, max_length=6)]
Credential = Annotated[dict[str, JsonValue], Field(max_length=20)]
"""What `navigator.credentials` gave, as JSON; `telerehab.auth.passkeys` reads it."""


class LoginBody(Body):
    """A member of staff's e-mail and password."""

    email: Email
    password: Password


class CodeBody(Body):
    """The six digits of an authenticator app, or those that were read out to pair a tablet."""

    code: Code


class PasskeyBody(Body):
    """A browser's answer to a challenge."""

    challenge_id: LooseUuid
    credential: Credential


class EnterBody(Body):
    """The token of a one-time link."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class EnteredRead(Answer):
    """What is still to be done, and which pages this browser shows from then on."""

    next: Next
    methods: list[Method]
    """What there is to give; while setting up: what can be set up."""
    needs_password: bool
    face: Face


class ChallengeRead(Answer):
    """A challenge, and what the browser does with it."""

    challenge_id: UUID
    options: dict[str, Any]


class OrganisationRead(Answer):
    """Where somebody belongs."""

    id: UUID
    name: str
    service: Literal["full", "measure_only", "communication_only"]
    help_telephone: str | None
    time_zone: str


class MeRead(Answer):
    """Who is logged in."""

    role: ReaderRole
    display_name: str
    language: str
    account_id: UUID | None
    patient_id: UUID | None
    helper_id: UUID | None
    is_full: bool
    has_pin: bool
    """A tablet's page asks for a PIN when it is opened."""
    organisation: OrganisationRead


@router.post("/login", response_model=EnteredRead)
@declares(PUBLIC)
def log_in(body: LoginBody, response: Response, logins: Logins, visit: CurrentVisit) -> object:
    """Log in by e-mail and password; a second factor follows."""
    return _shown(response, logins.log_in(email=body.email, password=body.password, visit=visit))


@router.get("/login", response_model=EnteredRead)
@declares(FIRST_FACTOR)
def get_login(reader: CurrentReader, logins: Logins) -> object:
    """Tell where this browser stands: in the middle of logging in, or in."""
    step = logins.step_of(reader)
    return EnteredRead(
        next=step.next, methods=list(step.methods), needs_password=step.needs_password, face=face_of(reader.role)
    )


@router.post("/login/totp", response_model=EnteredRead)
@declares(FIRST_FACTOR)
def give_totp(body: CodeBody, reader: CurrentReader, response: Response, logins: Logins, visit: CurrentVisit) -> object:
    """Give the code of an authenticator app."""
    return _shown(response, logins.give_totp(reader=reader, code=body.code, visit=visit))


@router.post("/login/passkey/options", response_model=ChallengeRead)
@declares(PUBLIC)
def ask_for_passkey(logins: Logins, site: CurrentSite, visit: CurrentVisit) -> object:
    """Get a challenge for the passkeys of this device."""
    return logins.ask_for_passkey(site=site, visit=visit)


@router.post("/login/passkey", response_model=EnteredRead)
@declares(PUBLIC)
def give_passkey(
    body: PasskeyBody, response: Response, logins: Logins, site: CurrentSite, visit: CurrentVisit
) -> object:
    """Log in by a passkey, alone or as the second factor."""
    entered = logins.log_in_by_passkey(
        challenge_id=body.challenge_id, credential=body.credential, site=site, visit=visit
    )
    return _shown(response, entered)


@router.post("/enter", response_model=EnteredRead)
@declares(PUBLIC)
def enter(body: EnterBody, response: Response, logins: Logins, visit: CurrentVisit) -> object:
    """Log in by a one-time link."""
    return _shown(response, logins.enter(link_token=body.token, visit=visit))


@router.post("/tablet-pairing", response_model=EnteredRead)
@declares(PUBLIC)
def pair_tablet(body: CodeBody, response: Response, logins: Logins, visit: CurrentVisit) -> object:
    """Make this browser the tablet of a patient, by six digits."""
    return _shown(response, logins.pair_tablet(code=body.code, visit=visit))


@router.post("/logout", status_code=204)
@declares(PUBLIC)
def log_out(response: Response, logins: Logins, token: Token) -> None:
    """End the login of this browser; its sockets close."""
    if token is not None:
        logins.log_out(token)
    clear_login_cookie(response)


@router.get("/me", response_model=MeRead)
@declares(LOGGED_IN)
def get_me(
    reader: CurrentReader, response: Response, token: Token, logins: Logins, db: ReadingDb, key_ring: Keys
) -> object:
    """Show who is logged in; every week a tablet gets a new token with it."""
    if reader.role == "tablet" and token is not None:
        renewed = logins.renew(token)
        if renewed is not None:
            set_cookie(response, renewed)
    return MeRead(
        role=reader.role,
        display_name=read_own_name(db, reader, key_ring),
        language=reader.language,
        account_id=reader.account_id,
        patient_id=reader.patient_id,
        helper_id=reader.helper_id,
        is_full=reader.is_full,
        has_pin=reader.tablet_id is not None and db.get_one(Tablet, reader.tablet_id).pin_hash is not None,
        organisation=OrganisationRead.model_validate(db.get_one(Organisation, reader.organisation_id)),
    )


def set_cookie(response: Response, login: NewLogin) -> None:
    """Give the browser the token of its login."""
    set_login_cookie(response, login.token, max_age_s=login.lifetime_s)


def _shown(response: Response, entered: Entered) -> EnteredRead:
    """Give the browser the login that was opened, and say what follows."""
    set_cookie(response, entered.login)
    step = entered.step
    return EnteredRead(
        next=step.next, methods=list(step.methods), needs_password=step.needs_password, face=entered.face
    )
