"""Logging in and out: by password, by one-time link, by the six digits that pair a tablet.

Every way in makes a new login with a new token and ends the one that the browser had before. The answers to a wrong
password, link or code never say what was wrong with it.
"""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, cast
from uuid import UUID

from sqlmodel import Session, col, select, update

from telerehab.auth.limits import AttemptLimit
from telerehab.auth.passwords import Passwords
from telerehab.auth.reader import Reader, ReaderRole
from telerehab.auth.tokens import hash_code, hash_token, is_code, is_token, new_token
from telerehab.clock import Clock, utc_now
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Account, Login, OneTimeLink, Patient, Tablet, TabletPairingCode
from telerehab.errors import LoginFailedError

STAFF_LOGIN_LIFETIME: Final = timedelta(hours=12)
TABLET_LOGIN_LIFETIME: Final = timedelta(days=365)
PAIRING_CODE_LIFETIME: Final = timedelta(minutes=10)
PAIRING_CODE_ATTEMPTS_MAX: Final = 1_000
"""Wrong codes, from anywhere, after which an open code is void: at most one in a thousand is guessed."""
SEEN_INTERVAL: Final = timedelta(minutes=1)

Face = Literal["therapist", "patient"]


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedLogin:
    """A login just made; the token is shown this once."""

    token: str
    face: Face
    lifetime_s: int


def resolve_login(db: Session, token: str, now: datetime) -> Reader | None:
    """Return who holds a login token; None when it is unknown, has ended, or its tablet is revoked."""
    if not is_token(token):
        return None
    row = db.exec(
        select(Login, Account, Tablet, Patient)
        .join(Account, col(Account.id) == col(Login.account_id), isouter=True)
        .join(Tablet, col(Tablet.id) == col(Login.tablet_id), isouter=True)
        .join(Patient, col(Patient.id) == col(Tablet.patient_id), isouter=True)
        .where(col(Login.token_hash) == hash_token(token))
    ).first()
    return None if row is None else _reader_of(*row, now=now)


async def find_reader(database: Database, token: str | None, clock: Clock) -> Reader | None:
    """Return who holds a login token, without blocking the event loop; for the WebSocket's start and its re-checks."""
    if token is None:
        return None

    def look_up() -> Reader | None:
        with reading(database.main) as db:
            return resolve_login(db, token, utc_now(clock))

    return await asyncio.to_thread(look_up)


class LoginDesk:
    """Opens and ends logins. Every method blocks (database, argon2): call it in a thread.

    Parameters
    ----------
    code_key : bytes
        Keys the hashes of pairing codes.
    announce_ended : callable
        Told the id of every login that ended, after the commit, so that its socket closes.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        passwords: Passwords,
        code_key: bytes,
        announce_ended: Callable[[UUID], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._code_key = code_key
        self._announce_ended = announce_ended
        # Keyed by address *and* what was tried: whoever guesses at an account locks it for nobody but himself.
        self._password_limit = AttemptLimit(burst=5, refill_s=12, clock=clock)
        # Whoever tries account after account: each attempt costs us a hash. A whole clinic may share an address.
        self._address_limit = AttemptLimit(burst=50, refill_s=2, clock=clock)
        self._code_limit = AttemptLimit(burst=10, refill_s=30, clock=clock)

    def log_in(self, *, email: str, password: str, address: str, replaced_token: str | None) -> OpenedLogin:
        """Log a member of staff in by password.

        Raises
        ------
        LoginFailedError
            There is no such account, it has no password, or the password is another.
        TooManyAttemptsError
            This address has tried this account, or accounts, too often.
        """
        email = email.strip().lower()
        attempt_key = hashlib.sha256(f"{address}\0{email}".encode()).hexdigest()
        self._password_limit.spend(attempt_key)
        self._address_limit.spend(address)
        with reading(self._database.main) as db:
            account = db.exec(select(Account).where(col(Account.email) == email)).first()
        password_hash = account.password_hash if account is not None else None
        if not self._passwords.is_right(password, password_hash) or account is None:  # outside any transaction: slow
            raise LoginFailedError("wrong e-mail or password")
        self._password_limit.forgive(attempt_key)
        now = utc_now(self._clock)
        with writing(self._database.main, owner="web") as db:
            ended = _end_login(db, replaced_token, now=now)
            opened = _open_login(db, account_id=account.id, tablet_id=None, now=now)
        self._tell(ended)
        return opened

    def enter(self, *, link_token: str, replaced_token: str | None) -> OpenedLogin:
        """Log a browser in by a one-time link.

        Raises
        ------
        LoginFailedError
            The link is unknown, has been used or has expired.
        """
        if not is_token(link_token):
            raise LoginFailedError("the link is not valid any more")
        now = utc_now(self._clock)
        with writing(self._database.main, owner="web") as db:
            link = db.exec(select(OneTimeLink).where(col(OneTimeLink.token_hash) == hash_token(link_token))).first()
            if link is None or not _use_once(db, link, now=now):
                raise LoginFailedError("the link is not valid any more")
            if link.tablet_id is not None:
                _mark_paired(db, link.tablet_id, now=now)
            ended = _end_login(db, replaced_token, now=now)
            opened = _open_login(db, account_id=link.account_id, tablet_id=link.tablet_id, now=now)
        self._tell(ended)
        return opened

    def pair_tablet(self, *, code: str, address: str, replaced_token: str | None) -> OpenedLogin:
        """Make this browser the tablet of the patient for whom the six digits were made.

        Raises
        ------
        LoginFailedError
            The code is unknown, has been used, has expired, or was guessed at too often.
        TooManyAttemptsError
            This address has tried too many codes.
        """
        self._code_limit.spend(address)
        now = utc_now(self._clock)
        is_right = False
        ended: UUID | None = None
        with writing(self._database.main, owner="web") as db:
            row = self._open_code(db, code, now=now)
            if row is None:
                _count_wrong_guess(db, now=now)  # committed: the refusal is raised behind the transaction
            else:
                is_right = _use_once(db, row, now=now)
            if is_right and row is not None:
                tablet = Tablet(patient_id=row.patient_id, paired_at=now)
                db.add(tablet)
                db.flush()
                ended = _end_login(db, replaced_token, now=now)
                opened = _open_login(db, account_id=None, tablet_id=tablet.id, now=now)
        if not is_right:
            raise LoginFailedError("the code is not valid")
        self._code_limit.forgive(address)
        self._tell(ended)
        return opened

    def log_out(self, token: str) -> None:
        """End a login; one that has ended already stays so."""
        with writing(self._database.main, owner="web") as db:
            ended = _end_login(db, token, now=utc_now(self._clock))
        self._tell(ended)

    def note_seen(self, login_id: UUID) -> None:
        """Write down that a login is in use, at most once in `SEEN_INTERVAL`."""
        now = utc_now(self._clock)
        with reading(self._database.main) as db:
            last_seen_at = db.exec(select(Login.last_seen_at).where(col(Login.id) == login_id)).first()
        if last_seen_at is None or now - last_seen_at < SEEN_INTERVAL:
            return
        with writing(self._database.main, owner="web") as db:
            db.exec(update(Login).where(col(Login.id) == login_id).values(last_seen_at=now))

    def _open_code(self, db: Session, code: str, *, now: datetime) -> TabletPairingCode | None:
        """Return the open code with these digits."""
        if not is_code(code):
            return None
        return db.exec(
            select(TabletPairingCode).where(
                col(TabletPairingCode.code_hash) == hash_code(code, key=self._code_key),
                col(TabletPairingCode.used_at).is_(None),
                col(TabletPairingCode.expires_at) > now,
                col(TabletPairingCode.attempts) < PAIRING_CODE_ATTEMPTS_MAX,
            )
        ).first()

    def _tell(self, ended_login_id: UUID | None) -> None:
        """Announce that a login ended, if one did."""
        if ended_login_id is not None:
            self._announce_ended(ended_login_id)


def _reader_of(
    login: Login, account: Account | None, tablet: Tablet | None, patient: Patient | None, *, now: datetime
) -> Reader | None:
    """Return whom a login's rows stand for, None where it has ended."""
    if login.revoked_at is not None or login.expires_at <= now:
        return None
    if account is not None:
        if account.disabled_at is not None:
            return None
        return Reader(
            login_id=login.id,
            role=cast(ReaderRole, account.role),  # a constraint of the table holds it to the roles of staff
            organisation_id=account.organisation_id,
            account_id=account.id,
            language=account.language,
            is_full=login.assurance == "full",
        )
    if tablet is None or patient is None or tablet.revoked_at is not None:
        return None
    return Reader(
        login_id=login.id,
        role="tablet",
        organisation_id=patient.organisation_id,
        tablet_id=tablet.id,
        patient_id=patient.id,
        language=patient.language,
    )


def _open_login(db: Session, *, account_id: UUID | None, tablet_id: UUID | None, now: datetime) -> OpenedLogin:
    """Write a new login."""
    token = new_token()
    lifetime = STAFF_LOGIN_LIFETIME if account_id is not None else TABLET_LOGIN_LIFETIME
    db.add(
        Login(
            token_hash=hash_token(token),
            account_id=account_id,
            tablet_id=tablet_id,
            created_at=now,
            last_seen_at=now,
            expires_at=now + lifetime,
        )
    )
    face: Face = "therapist" if account_id is not None else "patient"
    return OpenedLogin(token=token, face=face, lifetime_s=int(lifetime.total_seconds()))


def _end_login(db: Session, token: str | None, *, now: datetime) -> UUID | None:
    """Revoke a login; return its id, None where there was none to revoke."""
    if token is None:
        return None
    login = db.exec(
        select(Login).where(col(Login.token_hash) == hash_token(token), col(Login.revoked_at).is_(None))
    ).first()
    if login is None:
        return None
    login.revoked_at = now
    return login.id


def _use_once(db: Session, row: OneTimeLink | TabletPairingCode, *, now: datetime) -> bool:
    """Mark a link or code as used; False where somebody else has been first or it has expired.

    One conditional statement decides, so that of two browsers at once only one gets in, on PostgreSQL too.
    """
    table = type(row)
    statement = (
        update(table)
        .where(col(table.id) == row.id, col(table.used_at).is_(None), col(table.expires_at) > now)
        .values(used_at=now)
    )
    return db.exec(statement).rowcount == 1


def _mark_paired(db: Session, tablet_id: UUID, *, now: datetime) -> None:
    """Write down when a tablet was first made known; a revoked tablet stays outside.

    Raises
    ------
    LoginFailedError
        The tablet is revoked.
    """
    tablet = db.get(Tablet, tablet_id)
    if tablet is None or tablet.revoked_at is not None:
        raise LoginFailedError("the link is not valid any more")
    if tablet.paired_at is None:
        tablet.paired_at = now


def _count_wrong_guess(db: Session, *, now: datetime) -> None:
    """Count a wrong code against every open one: it could have been any of them."""
    db.exec(
        update(TabletPairingCode)
        .where(col(TabletPairingCode.used_at).is_(None), col(TabletPairingCode.expires_at) > now)
        .values(attempts=TabletPairingCode.attempts + 1)
    )
