"""Logging in and out: by password and second factor, by passkey, by one-time link, by the digits that pair a tablet.

Every way in makes a new login with a new token and ends the one that the browser had before. A password, or a link of
a member of staff, is the first of two steps: such a login may give, or set up, a second factor, and nothing else. The
answers to what is wrong never say what was wrong with it.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlmodel import Session, col, select, update

from telerehab.auth import audit, passkeys
from telerehab.auth.challenges import keep_challenge
from telerehab.auth.factors import DONE, Step, accept_code, accept_passkey, methods_of, step_after_first_factor
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.limits import AttemptLimit
from telerehab.auth.login_rows import (
    LIMITS,
    Face,
    NewLogin,
    end_login,
    end_logins,
    face_of,
    make_full,
    note_use,
    open_login,
    rotate_if_due,
)
from telerehab.auth.passkeys import Site
from telerehab.auth.passwords import Passwords, require_good_password
from telerehab.auth.reader import Reader
from telerehab.auth.tokens import hash_code, hash_token, is_code, is_token
from telerehab.clock import Clock, utc_now
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Account, Helper, Login, OneTimeLink, Organisation, Tablet, TabletPairingCode
from telerehab.errors import LoginFailedError, NotFoundError, SecondFactorError, TooManyAttemptsError

PAIRING_CODE_LIFETIME: Final = timedelta(minutes=10)
PAIRING_CODE_ATTEMPTS_MAX: Final = 1_000
"""Wrong codes, from anywhere, after which an open code is void: at most one in a thousand is guessed."""
LOG_IN: Final = "log_in"
"""The purpose of a challenge that logs somebody in."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Visit:
    """The browser that wants to come in."""

    address: str
    browser: str
    """In coarse words."""
    token: str | None = None
    """Of the login that it has; a new one replaces it."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Entered:
    """A login with a new token, the pages that it is for, and what is still to be done."""

    login: NewLogin
    face: Face
    step: Step = DONE


@dataclass(kw_only=True, frozen=True, slots=True)
class AskedPasskey:
    """A challenge to a browser."""

    challenge_id: UUID
    options: dict[str, Any]


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
        key_ring: KeyRing,
        code_key: bytes,
        announce_ended: Callable[[UUID], None],
    ) -> None:
        self._database = database
        self._clock = clock
        self._passwords = passwords
        self._key_ring = key_ring
        self._code_key = code_key
        self._announce_ended = announce_ended
        # Keyed by address *and* what was tried: whoever guesses at an account locks it for nobody but himself.
        self._password_limit = AttemptLimit(burst=5, refill_s=12, clock=clock)
        self._totp_limit = AttemptLimit(burst=5, refill_s=60, clock=clock)
        # Whoever tries account after account: each attempt costs us a hash. A whole clinic may share an address.
        self._address_limit = AttemptLimit(burst=50, refill_s=2, clock=clock)
        self._challenge_limit = AttemptLimit(burst=50, refill_s=2, clock=clock)
        self._refusal_limit = AttemptLimit(burst=5, refill_s=600, clock=clock)
        self._code_limit = AttemptLimit(burst=10, refill_s=30, clock=clock)

    def log_in(self, *, email: str, password: str, visit: Visit) -> Entered:
        """Take a password: the first step of a member of staff.

        Raises
        ------
        LoginFailedError
            There is no such account, it has no password or is disabled, or the password is another.
        TooManyAttemptsError
            This address has tried this account, or accounts, too often.
        """
        email = email.strip().lower()
        attempt_key = _attempt_key(visit.address, email)
        self._password_limit.spend(attempt_key)
        self._address_limit.spend(visit.address)
        with reading(self._database.main) as db:
            account = db.exec(select(Account).where(col(Account.email) == email)).first()
        password_hash = account.password_hash if account is not None else None
        is_right = self._passwords.is_right(password, password_hash)  # outside any transaction: slow
        if not is_right or account is None or account.disabled_at is not None:
            raise LoginFailedError("wrong e-mail or password")
        self._password_limit.forgive(attempt_key)
        with writing(self._database.main, owner="web") as db:
            ended = end_login(db, visit.token, now=self._now())
            entered = self._enter_as_staff(db, account, visit, is_full=False)
        self._tell(ended)
        return entered

    def give_totp(self, *, reader: Reader, code: str, visit: Visit) -> Entered:
        """Take the code of an authenticator app: the second step of a member of staff.

        Raises
        ------
        LoginFailedError
            The code is wrong or was used before, or the account has no app.
        TooManyAttemptsError
            This address has tried too many codes for this account.
        """
        self.spend_code_attempt(reader=reader, visit=visit)
        now = self._now()
        with writing(self._database.main, owner="web") as db:
            account = None if reader.account_id is None else db.get(Account, reader.account_id)
            is_right = account is not None and accept_code(db, account, code, key_ring=self._key_ring, now=now)
            if is_right:
                login = make_full(db, reader.login_id, now)
        if not is_right:
            raise LoginFailedError("the code is not valid")
        self._totp_limit.forgive(_attempt_key(visit.address, str(reader.account_id)))
        return Entered(login=login, face=face_of(reader.role))

    def spend_code_attempt(self, *, reader: Reader, visit: Visit) -> None:
        """Count an attempt at a code.

        Raises
        ------
        TooManyAttemptsError
            This address has tried too many codes for this account.
        """
        self._totp_limit.spend(_attempt_key(visit.address, str(reader.account_id)))

    def note_refusal(self, reader: Reader, policy_name: str) -> None:
        """Write down that a policy let a known reader not in; of a flood, the first ones."""
        try:
            self._refusal_limit.spend(str(reader.login_id))
        except TooManyAttemptsError:
            return
        with writing(self._database.main, owner="web") as db:
            audit.record(db, actor=reader, action="refused", allowed=False, reason_code=policy_name, now=self._now())

    def ask_for_passkey(self, *, site: Site, visit: Visit) -> AskedPasskey:
        """Put a challenge to a browser, whoever sits there.

        Raises
        ------
        TooManyAttemptsError
            This address has asked too often.
        """
        self._challenge_limit.spend(visit.address)
        question = passkeys.ask_for_any(site)
        with writing(self._database.main, owner="web") as db:
            challenge_id = keep_challenge(db, question.challenge, purpose=LOG_IN, now=self._now())
        return AskedPasskey(challenge_id=challenge_id, options=question.options)

    def log_in_by_passkey(self, *, challenge_id: UUID, credential: dict[str, Any], site: Site, visit: Visit) -> Entered:
        """Log a member of staff or a helper in by a passkey, which is both factors at once.

        Raises
        ------
        LoginFailedError
            The challenge or the passkey is not known or not good any more, or its holder is disabled.
        TooManyAttemptsError
            This address has tried too often.
        """
        self._address_limit.spend(visit.address)
        now = self._now()
        with writing(self._database.main, owner="web") as db:
            passkey = accept_passkey(db, challenge_id, credential, purpose=LOG_IN, site=site, now=now)
            account = None if passkey.account_id is None else db.get(Account, passkey.account_id)
            helper = None if passkey.helper_id is None else db.get(Helper, passkey.helper_id)
            ended = end_login(db, visit.token, now=now)
            if account is not None and account.disabled_at is None:
                entered = self._enter_as_staff(db, account, visit, is_full=True)
            elif helper is not None and helper.disabled_at is None:
                login = open_login(db, helper_id=helper.id, browser=visit.browser, now=now)
                entered = Entered(login=login, face="helper")
            else:
                raise LoginFailedError("the passkey is not known")
        self._tell(ended)
        return entered

    def enter(self, *, link_token: str, visit: Visit) -> Entered:
        """Let a browser in by a one-time link: a tablet is in, a member of staff has the second step before them.

        Raises
        ------
        LoginFailedError
            The link is unknown, has been used or has expired, or its account is disabled.
        """
        if not is_token(link_token):
            raise LoginFailedError("the link is not valid any more")
        now = self._now()
        with writing(self._database.main, owner="web") as db:
            link = db.exec(select(OneTimeLink).where(col(OneTimeLink.token_hash) == hash_token(link_token))).first()
            if link is None or not self._use_once(db, link):
                raise LoginFailedError("the link is not valid any more")
            ended = end_login(db, visit.token, now=now)
            if link.account_id is not None:
                account = db.get_one(Account, link.account_id)
                if account.disabled_at is not None:
                    raise LoginFailedError("the link is not valid any more")
                entered = self._enter_as_staff(db, account, visit, is_full=link.is_full)
                if link.is_full:  # a demonstration's link is used up, and there is no other way back in
                    note_use(db, entered.login.token, now + LIMITS["staff"].absolute)
            else:
                tablet = None if link.tablet_id is None else db.get(Tablet, link.tablet_id)
                if tablet is None or tablet.revoked_at is not None:
                    raise LoginFailedError("the link is not valid any more")
                tablet.paired_at = tablet.paired_at or now
                login = open_login(db, tablet_id=tablet.id, browser=visit.browser, now=now)
                entered = Entered(login=login, face="patient")
        self._tell(ended)
        return entered

    def pair_tablet(self, *, code: str, visit: Visit) -> Entered:
        """Make this browser the tablet of the patient for whom the six digits were made.

        Raises
        ------
        LoginFailedError
            The code is unknown, has been used, has expired, or was guessed at too often.
        TooManyAttemptsError
            This address has tried too many codes.
        """
        self._code_limit.spend(visit.address)
        now = self._now()
        entered: Entered | None = None
        ended: UUID | None = None
        with writing(self._database.main, owner="web") as db:
            row = self._open_code(db, code)
            if row is None:
                self._count_wrong_guess(db)  # committed: the refusal is raised behind the transaction
            elif self._use_once(db, row):
                tablet = Tablet(patient_id=row.patient_id, paired_at=now)
                db.add(tablet)
                db.flush()
                ended = end_login(db, visit.token, now=now)
                login = open_login(db, tablet_id=tablet.id, browser=visit.browser, now=now)
                entered = Entered(login=login, face="patient")
        if entered is None:
            raise LoginFailedError("the code is not valid")
        self._code_limit.forgive(visit.address)
        self._tell(ended)
        return entered

    def change_password(self, *, reader: Reader, old: str | None, new: str, visit: Visit) -> None:
        """Change the password of a member of staff; all other logins of the account end.

        Raises
        ------
        SecondFactorError
            There is a second factor, and this login has not given it.
        LoginFailedError
            The old password is another.
        InvalidContentError
            The new one is too short or too long, or one that is guessed first.
        TooManyAttemptsError
            This address has tried too often.
        """
        attempt_key = _attempt_key(visit.address, str(reader.account_id))
        self._password_limit.spend(attempt_key)
        with reading(self._database.main) as db:
            account = db.get(Account, reader.account_id) if reader.account_id is not None else None
            if account is None:
                raise NotFoundError("no such account")
            if not reader.is_full and methods_of(db, account):
                raise SecondFactorError("give the second factor first")
            organisation = db.get_one(Organisation, account.organisation_id)
        known_hash = account.password_hash
        if known_hash is not None and not self._passwords.is_right(old or "", known_hash):
            raise LoginFailedError("wrong password")
        require_good_password(new, context=[account.email, account.display_name, organisation.name])
        new_hash = self._passwords.hash(new)  # outside any transaction: slow
        now = self._now()
        with writing(self._database.main, owner="web") as db:
            account = db.exec(select(Account).where(col(Account.id) == reader.account_id).with_for_update()).one()
            if account.password_hash != known_hash:
                raise LoginFailedError("wrong password")
            account.password_hash = new_hash
            others = (col(Login.account_id) == account.id) & (col(Login.id) != reader.login_id)
            ended = end_logins(db, others, now=now)
            audit.record(db, actor=reader, action="change_password", now=now)
        self._password_limit.forgive(attempt_key)
        for login_id in ended:
            self._announce_ended(login_id)

    def log_out(self, token: str) -> None:
        """End a login; one that has ended already stays so."""
        with writing(self._database.main, owner="web") as db:
            ended = end_login(db, token, now=self._now())
        self._tell(ended)

    def step_of(self, reader: Reader) -> Step:
        """Return what is still to be done in a login."""
        if reader.is_full or reader.account_id is None:
            return DONE
        with reading(self._database.main) as db:
            return step_after_first_factor(db, db.get_one(Account, reader.account_id))

    def note_use(self, token: str) -> None:
        """Write down that a login is in use."""
        with writing(self._database.main, owner="web") as db:
            note_use(db, token, self._now())

    def renew(self, token: str) -> NewLogin | None:
        """Give a tablet's login a new token where that is due."""
        with writing(self._database.main, owner="web") as db:
            return rotate_if_due(db, token, self._now())

    def _enter_as_staff(self, db: Session, account: Account, visit: Visit, *, is_full: bool) -> Entered:
        """Open a login of an account; without its second factor it leads to that and nowhere else."""
        login = open_login(db, account_id=account.id, is_full=is_full, browser=visit.browser, now=self._now())
        step = DONE if is_full else step_after_first_factor(db, account)
        return Entered(login=login, face="therapist" if account.role == "therapist" else "office", step=step)

    def _open_code(self, db: Session, code: str) -> TabletPairingCode | None:
        """Return the open code with these digits."""
        if not is_code(code):
            return None
        return db.exec(
            select(TabletPairingCode).where(
                col(TabletPairingCode.code_hash) == hash_code(code, key=self._code_key),
                col(TabletPairingCode.used_at).is_(None),
                col(TabletPairingCode.expires_at) > self._now(),
                col(TabletPairingCode.attempts) < PAIRING_CODE_ATTEMPTS_MAX,
            )
        ).first()

    def _use_once(self, db: Session, row: OneTimeLink | TabletPairingCode) -> bool:
        """Mark a link or code as used; False where somebody else has been first or it has expired.

        One conditional statement decides, so that of two browsers at once only one gets in, on PostgreSQL too.
        """
        table, now = type(row), self._now()
        statement = (
            update(table)
            .where(col(table.id) == row.id, col(table.used_at).is_(None), col(table.expires_at) > now)
            .values(used_at=now)
        )
        return db.exec(statement).rowcount == 1

    def _count_wrong_guess(self, db: Session) -> None:
        """Count a wrong code against every open one: it could have been any of them."""
        db.exec(
            update(TabletPairingCode)
            .where(col(TabletPairingCode.used_at).is_(None), col(TabletPairingCode.expires_at) > self._now())
            .values(attempts=TabletPairingCode.attempts + 1)
        )

    def _tell(self, ended_login_id: UUID | None) -> None:
        """Announce that a login ended, if one did."""
        if ended_login_id is not None:
            self._announce_ended(ended_login_id)

    def _now(self) -> datetime:
        return utc_now(self._clock)


def _attempt_key(address: str, what: str) -> str:
    """Return the key of attempts at one thing from one address; it tells neither."""
    return hashlib.sha256(f"{address}\0{what}".encode()).hexdigest()
