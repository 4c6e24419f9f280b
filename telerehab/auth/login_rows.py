"""The rows of logins: who holds a token, for how long, and how a login begins, changes its token and ends.

A login ends when it is ended, when its holder is disabled or revoked, when it is old (absolute limit) or when nobody
used it (idle limit). Both limits wait while somebody trains: `keep_alive` is called for every socket that takes part.
Every function works in the caller's transaction.
"""

import functools
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, cast
from uuid import UUID

from sqlalchemy import BindParameter, ColumnElement, bindparam, func
from sqlalchemy.sql import expression
from sqlmodel import Session, col, select, update

from telerehab.auth.reader import Reader, ReaderRole
from telerehab.auth.tokens import hash_token, is_token, new_token
from telerehab.db.tables import Account, Helper, Login, Patient, Tablet

Holder = Literal["staff", "tablet", "helper"]
Face = Literal["therapist", "office", "patient", "helper"]


@dataclass(kw_only=True, frozen=True, slots=True)
class Limits:
    """How long a login lasts."""

    absolute: timedelta
    idle: timedelta


LIMITS: Final[Mapping[Holder, Limits]] = MappingProxyType(
    {
        "staff": Limits(absolute=timedelta(hours=12), idle=timedelta(minutes=30)),
        "helper": Limits(absolute=timedelta(hours=12), idle=timedelta(minutes=30)),
        "tablet": Limits(absolute=timedelta(days=365), idle=timedelta(days=90)),
    }
)
FIRST_FACTOR_LIFETIME: Final = timedelta(minutes=15)
"""To give, or set up, the second factor."""
TRAINING_EXTENSION_MAX: Final = timedelta(hours=4)
"""How far training may carry a login over its absolute limit."""
TRAINING_STEP: Final = timedelta(minutes=15)
ROTATION_INTERVAL: Final = timedelta(days=7)
"""Of a tablet's token; the tokens of others live for hours."""
PREVIOUS_TOKEN_LIFETIME: Final = timedelta(seconds=60)
SEEN_INTERVAL: Final = timedelta(minutes=1)
"""A login's use is written down at most so often."""
BROWSER_MAX_CHARACTERS: Final = 60

_FACES: Final[Mapping[ReaderRole, Face]] = MappingProxyType(
    {"therapist": "therapist", "tablet": "patient", "helper": "helper"}
)


@dataclass(kw_only=True, frozen=True, slots=True)
class NewLogin:
    """A login just made, or one with a new token; the token is shown this once."""

    id: UUID
    token: str
    lifetime_s: int
    """For the cookie, which may live longer than the login."""


def face_of(role: ReaderRole) -> Face:
    """Return which pages a reader uses."""
    return _FACES.get(role, "office")


def holder_of(*, tablet_id: UUID | None, helper_id: UUID | None) -> Holder:
    """Return which kind of holder a login has; it has neither of both: a member of staff."""
    if tablet_id is not None:
        return "tablet"
    return "helper" if helper_id is not None else "staff"


def resolve_login(db: Session, token: str, now: datetime) -> Reader | None:
    """Return who holds a login token; None when it is unknown, has ended, or its holder is gone."""
    if not is_token(token):
        return None
    values = {"token_hash": hash_token(token), "rotated_after": now - PREVIOUS_TOKEN_LIFETIME}
    row = db.execute(_by_token(), values).first()
    return None if row is None else _reader_of(_Held(*row), now=now)


def find_ended(db: Session, login_ids: Collection[UUID], now: datetime) -> list[UUID]:
    """Return those logins that nobody holds any more, whatever token they have by now."""
    rows = db.execute(_held_logins().where(col(Login.id).in_(login_ids)))
    readers = [_reader_of(_Held(*row), now=now) for row in rows]
    alive = {reader.login_id for reader in readers if reader is not None}
    return [login_id for login_id in login_ids if login_id not in alive]


def open_login(
    db: Session,
    *,
    account_id: UUID | None = None,
    tablet_id: UUID | None = None,
    helper_id: UUID | None = None,
    is_full: bool = True,
    browser: str,
    now: datetime,
) -> NewLogin:
    """Write a new login of an account, a tablet or a helper."""
    token = new_token()
    lifetime = (
        LIMITS[holder_of(tablet_id=tablet_id, helper_id=helper_id)].absolute if is_full else FIRST_FACTOR_LIFETIME
    )
    login = Login(
        token_hash=hash_token(token),
        account_id=account_id,
        tablet_id=tablet_id,
        helper_id=helper_id,
        assurance="full" if is_full else "first_factor",
        browser=browser[:BROWSER_MAX_CHARACTERS],
        created_at=now,
        last_seen_at=now,
        expires_at=now + lifetime,
    )
    db.add(login)
    db.flush()
    return _new_login(login, token, lifetime)


def make_full(db: Session, login_id: UUID, now: datetime) -> NewLogin:
    """Give a login its second factor: a new token and a full life; the old token is worth nothing at once.

    Raises
    ------
    sqlalchemy.exc.NoResultFound
        There is no such login.
    """
    login = db.get_one(Login, login_id)
    token, lifetime = new_token(), LIMITS["staff"].absolute
    login.token_hash, login.previous_token_hash = hash_token(token), None
    login.assurance, login.rotated_at, login.last_seen_at = "full", now, now
    login.expires_at = now + lifetime
    return _new_login(login, token, lifetime)


def rotate_if_due(db: Session, token: str, now: datetime) -> NewLogin | None:
    """Give a tablet's login a new token every week; None where it is not due.

    The old token goes on until the new one was used, and for a minute at least: the answer that carries the new one
    may be lost on its way, and a tablet that lost its token would have to be paired again.
    """
    token_hash = hash_token(token)
    login = db.exec(select(Login).where(col(Login.token_hash) == token_hash, _is_tablets_and_runs(now))).first()
    if login is None:
        login = db.exec(
            select(Login).where(
                col(Login.previous_token_hash) == token_hash,
                _is_tablets_and_runs(now),
                _accepts_previous(now - PREVIOUS_TOKEN_LIFETIME),
            )
        ).first()
        if login is None or login.rotated_at is None or now - login.rotated_at < PREVIOUS_TOKEN_LIFETIME:
            return None  # the answer to an earlier request brings the new one
    elif now - (login.rotated_at or login.created_at) < ROTATION_INTERVAL:
        return None
    else:
        login.previous_token_hash = token_hash
    token = new_token()
    login.token_hash, login.rotated_at = hash_token(token), now
    return _new_login(login, token, login.expires_at - now)


def end_login(db: Session, token: str | None, *, now: datetime) -> UUID | None:
    """End the login of a token; return its id, None where there was none to end."""
    if token is None:
        return None
    token_hash = hash_token(token)
    holds = (col(Login.token_hash) == token_hash) | (
        (col(Login.previous_token_hash) == token_hash) & _accepts_previous(now - PREVIOUS_TOKEN_LIFETIME)
    )
    login = db.exec(select(Login).where(holds, col(Login.revoked_at).is_(None))).first()
    if login is None:
        return None
    login.revoked_at = now
    return login.id


def end_logins(db: Session, which: ColumnElement[bool], *, now: datetime) -> list[UUID]:
    """End all running logins for which a condition on `Login` holds; return their ids, to be announced."""
    running = (col(Login.revoked_at).is_(None)) & (col(Login.expires_at) > now)
    logins = db.exec(select(Login).where(which, running)).all()
    for login in logins:
        login.revoked_at = now
    return [login.id for login in logins]


def note_use(db: Session, token: str, now: datetime) -> None:
    """Write down that somebody used a login; a token that has been replaced writes nothing."""
    is_older = col(Login.last_seen_at) < now
    db.exec(update(Login).where(col(Login.token_hash) == hash_token(token), is_older).values(last_seen_at=now))


def keep_alive(db: Session, login_ids: Collection[UUID], now: datetime) -> None:
    """Keep logins from ending, because their holders train: as used now, and for `TRAINING_STEP` from now on."""
    for login in db.exec(select(Login).where(col(Login.id).in_(login_ids), col(Login.revoked_at).is_(None))):
        lifetime = LIMITS[holder_of(tablet_id=login.tablet_id, helper_id=login.helper_id)].absolute
        most = login.created_at + lifetime + TRAINING_EXTENSION_MAX
        login.last_seen_at = max(login.last_seen_at, now)
        login.expires_at = max(login.expires_at, min(now + TRAINING_STEP, most))


class _Held(NamedTuple):
    """A login and as much of its holder as tells who reads."""

    login_id: UUID
    created_at: datetime
    last_seen_at: datetime
    rotated_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None
    assurance: str
    tablet_id: UUID | None
    helper_id: UUID | None
    account_id: UUID | None
    patient_id: UUID | None
    role: str | None
    is_gone: bool
    """The holder is disabled or revoked."""
    organisation_id: UUID | None
    """None: there is no holder any more."""
    language: str
    """As long as there is a holder."""


@functools.cache
def _held_logins() -> Any:
    """Return the question for logins with whom they belong to: only columns, for every request asks it."""
    gone_at = func.coalesce(col(Account.disabled_at), col(Tablet.revoked_at), col(Helper.disabled_at))
    return (
        expression.select(
            col(Login.id),
            col(Login.created_at),
            col(Login.last_seen_at),
            col(Login.rotated_at),
            col(Login.expires_at),
            col(Login.revoked_at),
            col(Login.assurance),
            col(Tablet.id),
            col(Helper.id),
            col(Account.id),
            col(Patient.id),
            col(Account.role),
            gone_at.is_not(None),
            func.coalesce(col(Account.organisation_id), col(Patient.organisation_id), col(Helper.organisation_id)),
            func.coalesce(col(Account.language), col(Patient.language), col(Helper.language)),
        )
        .select_from(Login)
        .join(Account, col(Account.id) == col(Login.account_id), isouter=True)
        .join(Tablet, col(Tablet.id) == col(Login.tablet_id), isouter=True)
        .join(Patient, col(Patient.id) == col(Tablet.patient_id), isouter=True)
        .join(Helper, col(Helper.id) == col(Login.helper_id), isouter=True)
    )


@functools.cache
def _by_token() -> Any:
    """Return the question for the login of `token_hash`; made once, which takes longer than to ask it."""
    token_hash: BindParameter[str] = bindparam("token_hash")
    is_previous = (col(Login.previous_token_hash) == token_hash) & _accepts_previous(bindparam("rotated_after"))
    return _held_logins().where((col(Login.token_hash) == token_hash) | is_previous)


def _accepts_previous(rotated_after: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Return whether the token before the last rotation is still good: for a minute, and until the new one was used."""
    return (col(Login.rotated_at) > rotated_after) | (col(Login.last_seen_at) <= col(Login.rotated_at))


def _is_tablets_and_runs(now: datetime) -> ColumnElement[bool]:
    return col(Login.tablet_id).is_not(None) & col(Login.revoked_at).is_(None) & (col(Login.expires_at) > now)


def _reader_of(held: _Held, *, now: datetime) -> Reader | None:
    """Return whom a login stands for, None where it has ended."""
    holder = holder_of(tablet_id=held.tablet_id, helper_id=held.helper_id)
    if held.revoked_at is not None or held.expires_at <= now or now - held.last_seen_at >= LIMITS[holder].idle:
        return None
    if held.organisation_id is None or held.is_gone:
        return None
    seen_at = held.last_seen_at
    if held.rotated_at is not None and seen_at <= held.rotated_at:
        seen_at = held.created_at  # the new token has not been used: its first use is written down at once
    return Reader(
        login_id=held.login_id,
        # A constraint of the table holds an account's role to the roles of staff.
        role=cast(ReaderRole, held.role if holder == "staff" else holder),
        organisation_id=held.organisation_id,
        account_id=held.account_id,
        tablet_id=held.tablet_id,
        helper_id=held.helper_id,
        patient_id=held.patient_id,
        language=held.language,
        is_full=holder != "staff" or held.assurance == "full",
        seen_at=seen_at,
    )


def _new_login(login: Login, token: str, lifetime: timedelta) -> NewLogin:
    """Return a login with its token; the cookie lasts as long as training may carry the login."""
    cookie_lifetime = lifetime + TRAINING_EXTENSION_MAX
    return NewLogin(id=login.id, token=token, lifetime_s=int(cookie_lifetime.total_seconds()))
