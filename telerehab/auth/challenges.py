"""Challenges of passkeys, as rows: one browser answers one challenge, once, within minutes."""

from datetime import datetime
from uuid import UUID, uuid4

from sqlmodel import Session, col, delete, select, update

from telerehab.auth.passkeys import CHALLENGE_LIFETIME
from telerehab.db.tables import PasskeyChallenge
from telerehab.errors import LoginFailedError


def keep_challenge(
    db: Session,
    challenge: bytes,
    *,
    purpose: str,
    account_id: UUID | None = None,
    helper_id: UUID | None = None,
    grant_id: UUID | None = None,
    now: datetime,
) -> UUID:
    """Write a challenge down and return its id; those that nobody answered in time go."""
    db.exec(delete(PasskeyChallenge).where(col(PasskeyChallenge.expires_at) <= now))
    row = PasskeyChallenge(
        id=uuid4(),
        challenge=challenge,
        purpose=purpose,
        account_id=account_id,
        helper_id=helper_id,
        grant_id=grant_id,
        expires_at=now + CHALLENGE_LIFETIME,
    )
    db.add(row)
    db.flush()
    return row.id


def use_challenge(
    db: Session,
    challenge_id: UUID,
    *,
    purpose: str,
    account_id: UUID | None = None,
    helper_id: UUID | None = None,
    grant_id: UUID | None = None,
    now: datetime,
) -> bytes:
    """Return a challenge that was put to this holder for this purpose; it is used up when the caller commits.

    Raises
    ------
    LoginFailedError
        There is none, it was used, or it is too late.
    """
    row = db.exec(select(PasskeyChallenge).where(col(PasskeyChallenge.id) == challenge_id)).first()
    asked = (purpose, account_id, helper_id, grant_id)
    if row is None or (row.purpose, row.account_id, row.helper_id, row.grant_id) != asked:
        raise LoginFailedError("ask for a new challenge")
    statement = (
        update(PasskeyChallenge)
        .where(
            col(PasskeyChallenge.id) == challenge_id,
            col(PasskeyChallenge.used_at).is_(None),
            col(PasskeyChallenge.expires_at) > now,
        )
        .values(used_at=now)
    )
    if db.exec(statement).rowcount != 1:
        raise LoginFailedError("ask for a new challenge")
    return row.challenge
