"""Logging in and out, and who I am."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Logins, ReadingDb, Token
from telerehab.api.models import Answer, Body, Email, Password
from telerehab.auth.cookies import clear_login_cookie, set_login_cookie
from telerehab.auth.logins import OpenedLogin
from telerehab.auth.policies import LOGGED_IN, PUBLIC, declares
from telerehab.auth.reader import ReaderRole
from telerehab.db.repositories.people import read_own_name

router = APIRouter(prefix="/api", tags=["logins"])


class LoginBody(Body):
    """A member of staff's e-mail and password."""

    email: Email
    password: Password


class EnterBody(Body):
    """The token of a one-time link."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=100)]


class PairingBody(Body):
    """The six digits that were read out."""

    code: Annotated[str, StringConstraints(min_length=6, max_length=6)]


class EnteredRead(Answer):
    """Which of the two faces this browser shows from now on."""

    face: Literal["therapist", "patient"]


class MeRead(Answer):
    """Who is logged in."""

    role: ReaderRole
    display_name: str
    language: str
    account_id: UUID | None
    patient_id: UUID | None


@router.post("/login", status_code=204)
@declares(PUBLIC)
def log_in(body: LoginBody, request: Request, response: Response, logins: Logins, token: Token) -> None:
    """Log in by e-mail and password."""
    opened = logins.log_in(email=body.email, password=body.password, address=_address_of(request), replaced_token=token)
    _set_cookie(response, opened)


@router.post("/enter", response_model=EnteredRead)
@declares(PUBLIC)
def enter(body: EnterBody, response: Response, logins: Logins, token: Token) -> object:
    """Log in by a one-time link."""
    opened = logins.enter(link_token=body.token, replaced_token=token)
    _set_cookie(response, opened)
    return opened


@router.post("/tablet-pairing", response_model=EnteredRead)
@declares(PUBLIC)
def pair_tablet(body: PairingBody, request: Request, response: Response, logins: Logins, token: Token) -> object:
    """Make this browser the tablet of a patient, by six digits."""
    opened = logins.pair_tablet(code=body.code, address=_address_of(request), replaced_token=token)
    _set_cookie(response, opened)
    return opened


@router.post("/logout", status_code=204)
@declares(PUBLIC)
def log_out(response: Response, logins: Logins, token: Token) -> None:
    """End the login of this browser; its sockets close."""
    if token is not None:
        logins.log_out(token)
    clear_login_cookie(response)


@router.get("/me", response_model=MeRead)
@declares(LOGGED_IN)
def get_me(reader: CurrentReader, logins: Logins, db: ReadingDb, key_ring: Keys) -> object:
    """Show who is logged in."""
    logins.note_seen(reader.login_id)
    return MeRead(
        role=reader.role,
        display_name=read_own_name(db, reader, key_ring),
        language=reader.language,
        account_id=reader.account_id,
        patient_id=reader.patient_id,
    )


def _address_of(request: Request) -> str:
    """Return the address that a request came from."""
    return request.client.host if request.client is not None else ""


def _set_cookie(response: Response, opened: OpenedLogin) -> None:
    """Give the browser the login that was opened."""
    set_login_cookie(response, opened.token, max_age_s=opened.lifetime_s)
