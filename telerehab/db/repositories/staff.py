"""The staff of one organisation: accounts, their first way in, their end. Nothing of a patient is here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, exists
from sqlmodel import Session, col, select, update

from telerehab.auth.audit import record
from telerehab.auth.reader import Reader, StaffRole
from telerehab.db import provisioning
from telerehab.db.changes import note_change
from telerehab.db.tables import Account, Login, OneTimeLink, Passkey
from telerehab.db.unique import flush_unique
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

LIST_MAX: Final = 2_000
_SEES_ADDRESSES: Final = frozenset({"admin", "team_manager"})


@dataclass(kw_only=True, frozen=True, slots=True)
class StaffWish:
    """What an account shall be."""

    email: str
    """In lower case."""
    display_name: str
    role: StaffRole
    language: str


@dataclass(kw_only=True, frozen=True, slots=True)
class StaffMember:
    """An account as the reader may see it."""

    id: UUID
    display_name: str
    role: str
    language: str
    is_disabled: bool
    email: str | None
    """Only for those who manage accounts or teams."""
    has_way_in: bool | None
    """Whether a password or passkey is there, for administrators; else a link is needed."""


class StaffRepository:
    """The accounts of the reader's organisation."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def list(self) -> Sequence[StaffMember]:
        """Return all staff by name, at most `LIST_MAX`; also those who have left."""
        statement = select(Account, _has_passkey()).where(col(Account.organisation_id) == self._reader.organisation_id)
        rows = self._db.exec(statement.order_by(col(Account.display_name), col(Account.id)).limit(LIST_MAX))
        return [self._shown(account, has_passkey) for account, has_passkey in rows]

    def get(self, account_id: UUID) -> StaffMember:
        """Return one member of staff; NotFoundError for one of elsewhere."""
        account = require_account(self._db, self._reader, account_id)
        has_passkey = self._db.exec(select(Passkey.id).where(_is_valid_passkey(account_id))).first() is not None
        return self._shown(account, has_passkey)

    def create(self, wish: StaffWish, *, account_id: UUID | None) -> StaffMember:
        """Make an account; the same wish under the same id adds nothing.

        Raises
        ------
        ConflictError
            The e-mail address has an account (`email_taken`), or the id is that of another wish.
        NotFoundError
            The id is one of elsewhere.
        """
        known = None if account_id is None else self._db.get(Account, account_id)
        if known is not None:
            account = require_account(self._db, self._reader, known.id)
            if _wish_of(account) != wish:
                raise ConflictError("this account was made for somebody else")
            return self.get(account.id)
        account = Account(
            id=account_id or uuid4(),
            organisation_id=self._reader.organisation_id,
            email=wish.email,
            display_name=wish.display_name,
            role=wish.role,
            language=wish.language,
        )
        self._db.add(account)
        flush_unique(self._db, "this e-mail address has an account", code="email_taken")
        self._record("create_account", account)
        return self.get(account.id)

    def change(self, account_id: UUID, wish: StaffWish) -> StaffMember:
        """Change an account; who gets another role has to log in again.

        Raises
        ------
        NotFoundError
            There is none in the reader's organisation.
        ConflictError
            The e-mail address is taken, or the reader would change the own role (`own_account`).
        """
        account = require_account(self._db, self._reader, account_id)
        is_other_role = wish.role != account.role
        if is_other_role:
            self._refuse_own(account)
            end_logins_of(self._db, account.id, now=self._now)
        account.email, account.display_name = wish.email, wish.display_name
        account.role, account.language = wish.role, wish.language
        self._db.add(account)
        flush_unique(self._db, "this e-mail address has an account", code="email_taken")
        if is_other_role:
            self._record("change_role", account, reason_code=wish.role)
        return self.get(account.id)

    def create_link(self, account_id: UUID) -> provisioning.NewLink:
        """Make the link by which somebody enters first, or again without password; older ones are void.

        Raises
        ------
        NotFoundError
            There is no such account in the reader's organisation.
        ConflictError
            The account is disabled.
        """
        account = require_account(self._db, self._reader, account_id)
        if account.disabled_at is not None:
            raise ConflictError("this account is disabled", code="account_disabled")
        self._void_links(account.id)
        made = provisioning.create_one_time_link(self._db, now=self._now, account_id=account.id)
        self._record("create_entry_link", account)
        return made

    def disable(self, account_id: UUID) -> StaffMember:
        """Let somebody in no more: logins end, links are void. A second time changes nothing."""
        account = require_account(self._db, self._reader, account_id)
        self._refuse_own(account)
        if account.disabled_at is None:
            account.disabled_at = self._now
            self._db.add(account)
            end_logins_of(self._db, account.id, now=self._now)
            self._void_links(account.id)
            self._record("disable_account", account)
        return self.get(account.id)

    def enable(self, account_id: UUID) -> StaffMember:
        """Let somebody in again."""
        account = require_account(self._db, self._reader, account_id)
        if account.disabled_at is not None:
            account.disabled_at = None
            self._db.add(account)
            self._record("enable_account", account)
        return self.get(account.id)

    def _shown(self, account: Account, has_passkey: bool) -> StaffMember:
        has_way_in = account.password_hash is not None or has_passkey
        return StaffMember(
            id=account.id,
            display_name=account.display_name,
            role=account.role,
            language=account.language,
            is_disabled=account.disabled_at is not None,
            email=account.email if self._reader.role in _SEES_ADDRESSES else None,
            has_way_in=has_way_in if self._reader.role == "admin" else None,
        )

    def _refuse_own(self, account: Account) -> None:
        """Raise when the account is the reader's: somebody has to be left who can let others in."""
        if account.id == self._reader.account_id:
            raise ConflictError("nobody changes the own role or disables the own account", code="own_account")

    def _void_links(self, account_id: UUID) -> None:
        self._db.exec(
            update(OneTimeLink)
            .where(col(OneTimeLink.account_id) == account_id, col(OneTimeLink.used_at).is_(None))
            .values(expires_at=self._now)
        )

    def _record(self, action: str, account: Account, *, reason_code: str | None = None) -> None:
        record(
            self._db,
            actor=self._reader,
            action=action,
            object=f"account:{account.id}",
            reason_code=reason_code,
            now=self._now,
        )


def require_account(db: Session, reader: Reader, account_id: UUID) -> Account:
    """Return an account of the reader's organisation; raise NotFoundError."""
    account = db.get(Account, account_id)
    if account is None or account.organisation_id != reader.organisation_id:
        raise NotFoundError("no such account")
    return account


def require_therapist(db: Session, reader: Reader, account_id: UUID, *, at: str) -> Account:
    """Return a therapist of the reader's organisation who may log in.

    Raises
    ------
    NotFoundError
        There is no such account in the organisation.
    InvalidContentError
        It is of another role, or disabled; `at` names the place in the body.
    """
    account = require_account(db, reader, account_id)
    if account.role != "therapist" or account.disabled_at is not None:
        raise InvalidContentError("not a therapist who works here", faults=[{"at": at, "kind": "not_a_therapist"}])
    return account


def end_logins_of(db: Session, account_id: UUID, *, now: datetime) -> None:
    """End all logins of an account; their sockets close when the change is told."""
    is_open = (col(Login.account_id) == account_id) & col(Login.revoked_at).is_(None)
    for login_id in db.exec(select(Login.id).where(is_open)).all():
        note_change(db, "login", login_id, version=1)
    db.exec(update(Login).where(is_open).values(revoked_at=now))


def _wish_of(account: Account) -> StaffWish:
    role: StaffRole = account.role  # type: ignore[assignment]  # a constraint of the table holds it to the roles
    return StaffWish(email=account.email, display_name=account.display_name, role=role, language=account.language)


def _has_passkey() -> ColumnElement[bool]:
    return exists().where(col(Passkey.account_id) == col(Account.id), col(Passkey.revoked_at).is_(None))


def _is_valid_passkey(account_id: UUID) -> ColumnElement[bool]:
    return (col(Passkey.account_id) == account_id) & col(Passkey.revoked_at).is_(None)
