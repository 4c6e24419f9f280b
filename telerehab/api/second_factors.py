"""My second factors."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Response

from telerehab.api.dependencies import CurrentReader, CurrentSite, Keys, Now, ReadingDb, WritingDb
from telerehab.api.logins import ChallengeRead, CodeBody, PasskeyBody, set_cookie
from telerehab.api.models import Answer
from telerehab.auth.login_rows import NewLogin
from telerehab.auth.policies import ACCOUNT_OR_HELPER, SETTING_UP, STAFF, declares
from telerehab.auth.totp import qr_svg
from telerehab.db.repositories.second_factors import SecondFactorRepository

router = APIRouter(prefix="/api/my", tags=["logins"])


def get_second_factors(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> SecondFactorRepository:
    """Return the reader's second factors."""
    return SecondFactorRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_second_factors(
    db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> SecondFactorRepository:
    """Return the reader's second factors, to change them."""
    return SecondFactorRepository(db, reader=reader, now=now, key_ring=key_ring)


SecondFactors = Annotated[SecondFactorRepository, Depends(get_second_factors)]
WritableSecondFactors = Annotated[SecondFactorRepository, Depends(get_writable_second_factors)]


class PasskeyRead(Answer):
    """One of my passkeys."""

    id: UUID
    created_at: datetime
    last_used_at: datetime | None


class SecondFactorsRead(Answer):
    """What I can give as a second factor."""

    totp: bool
    passkeys: list[PasskeyRead]


class TotpRead(Answer):
    """A secret for an authenticator app, shown this once."""

    secret: str
    address: str
    qr_svg: str


@router.get("/second-factors", response_model=SecondFactorsRead)
@declares(ACCOUNT_OR_HELPER)
def list_second_factors(second_factors: SecondFactors) -> object:
    """List my second factors."""
    return SecondFactorsRead(
        totp=second_factors.has_totp(),
        passkeys=[PasskeyRead.model_validate(passkey) for passkey in second_factors.passkeys()],
    )


@router.post("/totp", status_code=201, response_model=TotpRead)
@declares(SETTING_UP)
def begin_totp(second_factors: WritableSecondFactors) -> object:
    """Get a secret for an authenticator app."""
    made = second_factors.begin_totp()
    return TotpRead(secret=made.secret, address=made.address, qr_svg=qr_svg(made.address))


@router.post("/totp/confirm", status_code=204)
@declares(SETTING_UP)
def confirm_totp(body: CodeBody, response: Response, second_factors: WritableSecondFactors) -> None:
    """Give the first code of the app; from now on it counts."""
    _let_in(response, second_factors.confirm_totp(body.code))


@router.delete("/totp", status_code=204)
@declares(STAFF)
def remove_totp(second_factors: WritableSecondFactors) -> None:
    """Accept no codes of the app any more."""
    second_factors.remove_totp()


@router.post("/passkeys/options", response_model=ChallengeRead)
@declares(SETTING_UP)
def begin_passkey(second_factors: WritableSecondFactors, site: CurrentSite) -> object:
    """Get what makes this browser make a passkey."""
    challenge_id, options = second_factors.begin_passkey(site)
    return ChallengeRead(challenge_id=challenge_id, options=options)


@router.post("/passkeys", status_code=204)
@declares(SETTING_UP)
def add_passkey(
    body: PasskeyBody, response: Response, second_factors: WritableSecondFactors, site: CurrentSite
) -> None:
    """Keep the passkey that this browser made."""
    _let_in(response, second_factors.add_passkey(body.challenge_id, body.credential, site=site))


@router.delete("/passkeys/{passkey_id}", status_code=204)
@declares(ACCOUNT_OR_HELPER)
def remove_passkey(passkey_id: UUID, second_factors: WritableSecondFactors) -> None:
    """Accept one of my passkeys no more."""
    second_factors.remove_passkey(passkey_id)


def _let_in(response: Response, login: NewLogin | None) -> None:
    """Give the browser the new token of a login that is full now."""
    if login is not None:
        set_cookie(response, login)
