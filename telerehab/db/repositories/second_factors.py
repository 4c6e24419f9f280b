"""The second factors of whoever is logged in: an authenticator app, and passkeys.

Somebody who has a factor has to have given it before adding or removing one; who has none may set one up with the
first factor alone, and is then in. The last factor of a member of staff cannot be removed.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth import audit, passkeys, totp
from telerehab.auth.challenges import keep_challenge, use_challenge
from telerehab.auth.factors import methods_of, read_passkeys
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.login_rows import NewLogin, make_full
from telerehab.auth.passkeys import NewPasskey, Site
from telerehab.auth.reader import Reader
from telerehab.db.repositories.people import helper_context
from telerehab.db.tables import Account, Helper, Passkey
from telerehab.errors import ConflictError, InvalidContentError, LoginFailedError, NotFoundError, SecondFactorError

PASSKEYS_MAX: Final = 10
REGISTER: Final = "register"
LAST_FACTOR: Final = "last_factor"
NEEDS_PASSWORD: Final = "needs_password"


@dataclass(kw_only=True, frozen=True, slots=True)
class NewTotp:
    """A secret, shown until a first code of it is given."""

    secret: str
    address: str


class SecondFactorRepository:
    """The second factors of one reader, a member of staff or a helper."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring

    def has_totp(self) -> bool:
        """Return whether codes of an authenticator app are accepted."""
        account = self._account()
        return account is not None and account.totp_secret_sealed is not None

    def passkeys(self) -> list[Passkey]:
        """Return the reader's passkeys, the oldest first."""
        return list(read_passkeys(self._db, account_id=self._reader.account_id, helper_id=self._reader.helper_id))

    def begin_totp(self) -> NewTotp:
        """Make a secret for an authenticator app; it counts once a code of it was given.

        Raises
        ------
        SecondFactorError
            The reader has a second factor and has not given it.
        NotFoundError
            The reader is no member of staff.
        """
        self._require_may_change()
        account = self._require_account()
        secret = totp.new_secret()
        account.totp_pending_sealed = totp.seal_secret(secret, key_ring=self._key_ring, account_id=account.id)
        return NewTotp(secret=secret, address=totp.address_of(secret, account_name=account.email))

    def confirm_totp(self, code: str) -> NewLogin | None:
        """Let the secret count from now on, because a code of it was given; return the login, if that is full now.

        Raises
        ------
        LoginFailedError
            The code is wrong, or no secret waits for one.
        ConflictError
            With code `needs_password`: without a password a code alone would be all there is.
        """
        self._require_may_change()
        account = self._require_account()
        if account.password_hash is None:
            raise ConflictError("set a password first", code=NEEDS_PASSWORD)
        if account.totp_pending_sealed is None:
            raise LoginFailedError("the code is not valid")
        secret = totp.open_secret(account.totp_pending_sealed, key_ring=self._key_ring, account_id=account.id)
        step = totp.accepted_step(secret, code, now=self._now, last_step=None)
        if step is None:
            raise LoginFailedError("the code is not valid")
        account.totp_secret_sealed, account.totp_pending_sealed = account.totp_pending_sealed, None
        account.totp_last_step = step
        return self._changed("add_totp")

    def remove_totp(self) -> None:
        """Accept no codes any more.

        Raises
        ------
        ConflictError
            With code `last_factor`.
        """
        self._require_may_change()
        account = self._require_account()
        if account.totp_secret_sealed is None:
            raise NotFoundError("no such second factor")
        self._require_another(account)
        account.totp_secret_sealed = account.totp_last_step = None
        self._changed("remove_totp")

    def begin_passkey(self, site: Site) -> tuple[UUID, dict[str, Any]]:
        """Return a challenge, by id, and what makes this browser make a passkey.

        Raises
        ------
        SecondFactorError
            The reader has a second factor and has not given it.
        InvalidContentError
            The reader has as many passkeys as anybody may have.
        """
        self._require_may_change()
        known = self.passkeys()
        if len(known) >= PASSKEYS_MAX:
            raise InvalidContentError("too many passkeys", faults=[{"at": "passkeys", "kind": "too_many"}])
        name = self._name()
        question = passkeys.ask_for_new(
            site,
            holder_id=self._reader.holder_id,
            name=name,
            display_name=name,
            known=[passkey.credential_id for passkey in known],
        )
        challenge_id = keep_challenge(
            self._db,
            question.challenge,
            purpose=REGISTER,
            account_id=self._reader.account_id,
            helper_id=self._reader.helper_id,
            now=self._now,
        )
        return challenge_id, question.options

    def add_passkey(self, challenge_id: UUID, credential: dict[str, Any], *, site: Site) -> NewLogin | None:
        """Keep the passkey that this browser made; return the login, if that is full now.

        Raises
        ------
        LoginFailedError
            The answer does not fit the challenge.
        """
        self._require_may_change()
        challenge = use_challenge(
            self._db,
            challenge_id,
            purpose=REGISTER,
            account_id=self._reader.account_id,
            helper_id=self._reader.helper_id,
            now=self._now,
        )
        made = passkeys.check_new(credential, site=site, challenge=challenge)
        keep_passkey(
            self._db, made, account_id=self._reader.account_id, helper_id=self._reader.helper_id, now=self._now
        )
        return self._changed("add_passkey")

    def remove_passkey(self, passkey_id: UUID) -> None:
        """Accept one of the reader's passkeys no more.

        Raises
        ------
        NotFoundError
            The reader has no such passkey.
        ConflictError
            With code `last_factor`.
        """
        self._require_may_change()
        mine = self.passkeys()
        passkey = next((each for each in mine if each.id == passkey_id), None)
        if passkey is None:
            raise NotFoundError("no such passkey")
        account = self._account()
        if len(mine) == 1 and (account is None or account.totp_secret_sealed is None):
            raise ConflictError("the last second factor stays", code=LAST_FACTOR)
        passkey.revoked_at = self._now
        self._changed("remove_passkey")

    def _changed(self, action: str) -> NewLogin | None:
        """Write down that the ways in changed; who was half in is in now."""
        login = None if self._reader.is_full else make_full(self._db, self._reader.login_id, self._now)
        audit.record(self._db, actor=self._reader, action=action, now=self._now)
        return login

    def _require_may_change(self) -> None:
        account = self._account()
        if not self._reader.is_full and account is not None and methods_of(self._db, account):
            raise SecondFactorError("give the second factor first")

    def _require_another(self, account: Account) -> None:
        if len(methods_of(self._db, account)) < 2:
            raise ConflictError("the last second factor stays", code=LAST_FACTOR)

    def _account(self) -> Account | None:
        return None if self._reader.account_id is None else self._db.get_one(Account, self._reader.account_id)

    def _require_account(self) -> Account:
        account = self._account()
        if account is None:
            raise NotFoundError("helpers use passkeys")
        return account

    def _name(self) -> str:
        """Return what a device shows beside the passkey."""
        account = self._account()
        if account is not None:
            return account.email
        helper = self._db.get_one(Helper, self._reader.helper_id)
        return self._key_ring.open(helper.name_sealed, context=helper_context(helper.id)).decode()


def keep_passkey(
    db: Session, made: NewPasskey, *, account_id: UUID | None = None, helper_id: UUID | None = None, now: datetime
) -> None:
    """Write a new passkey of an account or a helper.

    Raises
    ------
    LoginFailedError
        Somebody has a passkey of this id already.
    """
    known = db.exec(select(Passkey.id).where(col(Passkey.credential_id) == made.credential_id)).first()
    if known is not None:
        raise LoginFailedError("the passkey cannot be used")
    db.add(
        Passkey(
            account_id=account_id,
            helper_id=helper_id,
            credential_id=made.credential_id,
            public_key=made.public_key,
            sign_count=made.sign_count,
            created_at=now,
        )
    )
    db.flush()
