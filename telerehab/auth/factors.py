"""What proves a member of staff or a helper, as it lies in the database: codes and passkeys."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlmodel import Session, col, select, update

from telerehab.auth import passkeys, totp
from telerehab.auth.challenges import use_challenge
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.passkeys import Site
from telerehab.db.tables import Account, Passkey
from telerehab.errors import LoginFailedError

Method = Literal["totp", "passkey"]
Next = Literal["done", "second_factor", "set_up_second_factor"]
METHODS: Final[tuple[Method, ...]] = ("passkey", "totp")


@dataclass(kw_only=True, frozen=True, slots=True)
class Step:
    """What a member of staff has to do next to be in."""

    next: Next
    methods: tuple[Method, ...] = ()
    """What there is to give; while setting up: what can be set up."""
    needs_password: bool = False
    """The account has no password: a code alone would be no second factor."""


DONE: Final = Step(next="done")


def methods_of(db: Session, account: Account) -> tuple[Method, ...]:
    """Return the second factors that an account has."""
    has_passkey = bool(read_passkeys(db, account_id=account.id))
    present = {"passkey": has_passkey, "totp": account.totp_secret_sealed is not None}
    return tuple(method for method in METHODS if present[method])


def step_after_first_factor(db: Session, account: Account) -> Step:
    """Return what follows a right password, or a link: giving the second factor, or setting one up."""
    methods = methods_of(db, account)
    needs_password = account.password_hash is None
    if methods:
        return Step(next="second_factor", methods=methods, needs_password=needs_password)
    return Step(next="set_up_second_factor", methods=METHODS, needs_password=needs_password)


def read_passkeys(db: Session, *, account_id: UUID | None = None, helper_id: UUID | None = None) -> Sequence[Passkey]:
    """Return the passkeys of an account or a helper, the oldest first."""
    holder = col(Passkey.account_id) == account_id if account_id else col(Passkey.helper_id) == helper_id
    statement = select(Passkey).where(holder, col(Passkey.revoked_at).is_(None))
    return db.exec(statement.order_by(col(Passkey.created_at), col(Passkey.id))).all()


def accept_code(db: Session, account: Account, code: str, *, key_ring: KeyRing, now: datetime) -> bool:
    """Return whether a code is right and has not counted yet; it counts now."""
    if account.totp_secret_sealed is None:
        return False
    secret = totp.open_secret(account.totp_secret_sealed, key_ring=key_ring, account_id=account.id)
    step = totp.accepted_step(secret, code, now=now, last_step=account.totp_last_step)
    if step is None:
        return False
    statement = (
        update(Account)
        .where(
            col(Account.id) == account.id,
            (col(Account.totp_last_step).is_(None)) | (col(Account.totp_last_step) < step),
        )
        .values(totp_last_step=step)
    )
    return db.exec(statement).rowcount == 1  # of two browsers with one code at once, one is in time


def accept_passkey(
    db: Session, challenge_id: UUID, credential: dict[str, Any], *, purpose: str, site: Site, now: datetime
) -> Passkey:
    """Return the passkey that answered a challenge, with its use written down.

    Raises
    ------
    LoginFailedError
        The challenge or the passkey is not known, or the answer does not fit.
    """
    challenge = use_challenge(db, challenge_id, purpose=purpose, now=now)
    credential_id = passkeys.credential_id_of(credential)
    statement = select(Passkey).where(col(Passkey.credential_id) == credential_id, col(Passkey.revoked_at).is_(None))
    row = db.exec(statement.with_for_update()).first()
    if row is None:
        raise LoginFailedError("the passkey is not known")
    row.sign_count = passkeys.check_answer(
        credential, site=site, challenge=challenge, public_key=row.public_key, sign_count=row.sign_count
    )
    row.last_used_at = now
    return row


def forget_factors(db: Session, account: Account, *, now: datetime) -> None:
    """Take password and second factors from an account; a one-time link then leads to setting up new ones."""
    account.password_hash = None
    account.totp_secret_sealed = account.totp_pending_sealed = account.totp_last_step = None
    for passkey in read_passkeys(db, account_id=account.id):
        passkey.revoked_at = now
