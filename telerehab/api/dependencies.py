"""What endpoints ask for, as types. An endpoint gets repositories that are bound to its reader, never a database."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from sqlmodel import Session
from starlette.requests import HTTPConnection

from telerehab.api.parts import WebParts, parts_of
from telerehab.auth.activity import is_use
from telerehab.auth.browsers import describe_browser
from telerehab.auth.cookies import login_token
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.login_rows import SEEN_INTERVAL, resolve_login
from telerehab.auth.logins import LoginDesk, Visit
from telerehab.auth.passkeys import Site
from telerehab.auth.policies import policy_of
from telerehab.auth.reader import Reader
from telerehab.clock import utc_now
from telerehab.db.changes import take_changes
from telerehab.db.engine import reading, writing
from telerehab.db.repositories.live_sessions import LiveSessionRepository
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.repositories.tablet_pairing_codes import TabletPairingCodeRepository
from telerehab.db.repositories.training_sessions import TrainingSessionRepository
from telerehab.errors import MissingPolicyError, NotAllowedError, NotLoggedInError

OWNER = "web"


async def get_parts(connection: HTTPConnection) -> WebParts:
    """Return the parts of the running app."""
    return parts_of(connection)


Parts = Annotated[WebParts, Depends(get_parts)]


async def get_now(parts: Parts) -> datetime:
    """Return the one moment at which a request happens."""
    return utc_now(parts.clock)


Now = Annotated[datetime, Depends(get_now)]


async def get_token(connection: HTTPConnection) -> str | None:
    """Return the login token of the browser."""
    return login_token(connection.cookies)


Token = Annotated[str | None, Depends(get_token)]


def get_reader(parts: Parts, token: Token, now: Now) -> Reader | None:
    """Return who is logged in, None for nobody."""
    if token is None:
        return None
    with reading(parts.database.main) as db:
        return resolve_login(db, token, now)


MaybeReader = Annotated[Reader | None, Depends(get_reader)]


def enforce_policy(connection: HTTPConnection, reader: MaybeReader, token: Token, now: Now, parts: Parts) -> None:
    """Apply the policy that the endpoint declares; runs before everything else of every route and channel.

    A request that somebody made, not a page by itself, keeps the login from being idle.

    Raises
    ------
    NotLoggedInError, NotAllowedError, SecondFactorError
        The policy does not let this reader in.
    """
    policy = policy_of(connection.scope.get("endpoint"))
    if policy is None:
        raise MissingPolicyError(f"no policy for {connection.scope['path']}")
    try:
        policy.check(reader)
    except NotAllowedError:
        if reader is not None:
            parts.login_desk.note_refusal(reader, policy.name)
        raise
    if reader is None or token is None or reader.seen_at is None or now - reader.seen_at < SEEN_INTERVAL:
        return
    if is_use(connection.scope.get("method"), connection.scope["path"]):
        parts.login_desk.note_use(token)


async def get_current_reader(reader: MaybeReader) -> Reader:
    """Return who is logged in; the policy has seen to it that somebody is."""
    if reader is None:
        raise NotLoggedInError("log in first")
    return reader


CurrentReader = Annotated[Reader, Depends(get_current_reader)]


def get_reading_db(parts: Parts) -> Iterator[Session]:
    """Give a transaction that sees one moment and writes nothing."""
    with reading(parts.database.main) as db:
        yield db


def get_writing_db(parts: Parts, _reader: CurrentReader) -> Iterator[Session]:
    """Give a transaction that commits before the answer, then tell what changed. Nobody unknown gets one."""
    with writing(parts.database.main, owner=OWNER) as db:
        yield db
    for change in take_changes(db):
        parts.changes.announce(change)


def get_hot_db(parts: Parts) -> Iterator[Session]:
    """Give a transaction that sees one moment of the hot store and writes nothing."""
    with reading(parts.database.hot) as db:
        yield db


# `scope="function"`: by default what follows `yield` runs after the answer, and a failed commit would answer 200.
ReadingDb = Annotated[Session, Depends(get_reading_db, scope="function")]
HotDb = Annotated[Session, Depends(get_hot_db, scope="function")]
WritingDb = Annotated[Session, Depends(get_writing_db, scope="function")]


async def get_site(connection: HTTPConnection) -> Site:
    """Return under which name the browser sees us; the guards have checked that it is ours."""
    host = connection.headers.get("host", "")
    return Site(host_name=connection.url.hostname or "", origin=f"{connection.url.scheme}://{host}")


CurrentSite = Annotated[Site, Depends(get_site)]


async def get_visit(connection: HTTPConnection, token: Token) -> Visit:
    """Return the browser that wants to come in."""
    return Visit(
        address=connection.client.host if connection.client is not None else "",
        browser=describe_browser(connection.headers.get("user-agent")),
        token=token,
    )


CurrentVisit = Annotated[Visit, Depends(get_visit)]


async def get_login_desk(parts: Parts) -> LoginDesk:
    """Return where logins are opened and ended."""
    return parts.login_desk


async def get_key_ring(parts: Parts) -> KeyRing:
    """Return the installation's keys."""
    return parts.key_ring


Keys = Annotated[KeyRing, Depends(get_key_ring)]


def get_patients(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> PatientRepository:
    """Return the patients whom the reader may see."""
    return PatientRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_live_sessions(db: ReadingDb, reader: CurrentReader, now: Now) -> LiveSessionRepository:
    """Return the live sessions that the reader may see."""
    return LiveSessionRepository(db, reader=reader, now=now)


def get_training_sessions(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> TrainingSessionRepository:
    """Return the training sessions that the reader may see."""
    return TrainingSessionRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_training_sessions(
    db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> TrainingSessionRepository:
    """Return the training sessions that the reader may see, to change them."""
    return TrainingSessionRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_tablet_pairing_codes(
    db: WritingDb, reader: CurrentReader, now: Now, parts: Parts
) -> TabletPairingCodeRepository:
    """Return where codes are made for the patients whom the reader may see."""
    return TabletPairingCodeRepository(
        db, reader=reader, now=now, code_key=parts.pairing_code_key, key_ring=parts.key_ring
    )


Logins = Annotated[LoginDesk, Depends(get_login_desk)]
Patients = Annotated[PatientRepository, Depends(get_patients)]
LiveSessions = Annotated[LiveSessionRepository, Depends(get_live_sessions)]
TrainingSessions = Annotated[TrainingSessionRepository, Depends(get_training_sessions)]
WritableTrainingSessions = Annotated[TrainingSessionRepository, Depends(get_writable_training_sessions)]
TabletPairingCodes = Annotated[TabletPairingCodeRepository, Depends(get_tablet_pairing_codes)]
