"""My logins, and my password."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends

from telerehab.api.dependencies import CurrentReader, CurrentVisit, Logins, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, Password
from telerehab.auth.policies import LOGGED_IN, SETTING_UP, declares
from telerehab.db.repositories.own_logins import OwnLoginRepository

router = APIRouter(prefix="/api/my", tags=["logins"])


def get_own_logins(db: ReadingDb, reader: CurrentReader, now: Now) -> OwnLoginRepository:
    """Return the reader's logins."""
    return OwnLoginRepository(db, reader=reader, now=now)


def get_writable_own_logins(db: WritingDb, reader: CurrentReader, now: Now) -> OwnLoginRepository:
    """Return the reader's logins, to end them."""
    return OwnLoginRepository(db, reader=reader, now=now)


OwnLogins = Annotated[OwnLoginRepository, Depends(get_own_logins)]
WritableOwnLogins = Annotated[OwnLoginRepository, Depends(get_writable_own_logins)]


class OwnLoginRead(Answer):
    """One of my logins."""

    id: UUID
    browser: str
    created_at: datetime
    last_seen_at: datetime
    is_this: bool


class PasswordBody(Body):
    """A change of password; there may have been none."""

    old: Password | None
    new: Password


@router.get("/logins", response_model=list[OwnLoginRead])
@declares(LOGGED_IN)
def list_own_logins(own_logins: OwnLogins, reader: CurrentReader, now: Now) -> object:
    """List my logins, the last used first."""
    return [
        OwnLoginRead(
            id=login.id,
            browser=login.browser,
            created_at=login.created_at,
            last_seen_at=min(login.last_seen_at, now),
            is_this=login.id == reader.login_id,
        )
        for login in own_logins.list()
    ]


@router.delete("/logins/{login_id}", status_code=204)
@declares(LOGGED_IN)
def end_own_login(login_id: UUID, own_logins: WritableOwnLogins) -> None:
    """End one of my logins."""
    own_logins.end(login_id)


@router.delete("/logins", status_code=204)
@declares(LOGGED_IN)
def end_other_logins(own_logins: WritableOwnLogins) -> None:
    """End all my logins but this one."""
    own_logins.end_others()


@router.put("/password", status_code=204)
@declares(SETTING_UP)
def set_password(body: PasswordBody, reader: CurrentReader, logins: Logins, visit: CurrentVisit) -> None:
    """Change my password; my other logins end."""
    logins.change_password(reader=reader, old=body.old, new=body.new, visit=visit)
