"""Ways in: logins and what proves a person, links and codes that work once, break-glass, and the audit chain."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Index, LargeBinary
from sqlmodel import Field

from telerehab.db.tables.base import (
    EVERY_ROLE,
    Table,
    json_object,
    may_refer_to,
    maybe_moment,
    moment,
    one_of,
    own_id,
    owned_by,
    refers_to,
    sealed,
)


class Tablet(Table, table=True):
    """A browser in a patient's home, made known once."""

    __tablename__ = "tablet"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    paired_at: datetime | None = maybe_moment()
    revoked_at: datetime | None = maybe_moment()
    pin_hash: str | None = None
    """Argon2id of an optional PIN that the page asks for when it is opened."""


class Login(Table, table=True):
    """An authenticated browser: of a member of staff, of a tablet, or of a helper."""

    __tablename__ = "login"
    __table_args__ = (
        CheckConstraint(
            "(account_id IS NULL AND (tablet_id IS NULL) <> (helper_id IS NULL))"
            " OR (account_id IS NOT NULL AND tablet_id IS NULL AND helper_id IS NULL)",
            name="one_holder",
        ),
        one_of("assurance", "first_factor", "full"),
        owned_by("web"),
    )

    id: uuid.UUID = own_id()
    token_hash: str = Field(unique=True)
    previous_token_hash: str | None = Field(default=None, index=True)
    """Accepted for some seconds after a rotation: requests may have been on their way."""
    rotated_at: datetime | None = maybe_moment()
    account_id: uuid.UUID | None = may_refer_to("account.id")
    tablet_id: uuid.UUID | None = may_refer_to("tablet.id")
    helper_id: uuid.UUID | None = may_refer_to("helper.id")
    assurance: str = "full"
    """`first_factor`: the password was right, nothing more; good for giving or setting up a second one."""
    browser: str = ""
    """Coarse words for the list of one's logins, as "Chromium, Linux"."""
    created_at: datetime = moment()
    last_seen_at: datetime = moment()
    expires_at: datetime = moment()
    revoked_at: datetime | None = maybe_moment()


class OneTimeLink(Table, table=True):
    """A link that logs one browser in, once."""

    __tablename__ = "one_time_link"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (tablet_id IS NULL)", name="one_holder"),
        owned_by("web"),
    )

    id: uuid.UUID = own_id()
    token_hash: str = Field(unique=True)
    account_id: uuid.UUID | None = may_refer_to("account.id")
    tablet_id: uuid.UUID | None = may_refer_to("tablet.id")
    is_full: bool = False
    """For staff: needs no second factor; only the demonstration makes such links."""
    expires_at: datetime = moment()
    used_at: datetime | None = maybe_moment()


class TabletPairingCode(Table, table=True):
    """Six digits, read out on the telephone, that pair one tablet, once."""

    __tablename__ = "tablet_pairing_code"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    code_hash: str = Field(index=True)
    expires_at: datetime = moment()
    used_at: datetime | None = maybe_moment()
    attempts: int = 0


class Passkey(Table, table=True):
    """A WebAuthn credential of a member of staff or of a helper."""

    __tablename__ = "passkey"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (helper_id IS NULL)", name="one_holder"),
        owned_by("web"),
    )

    id: uuid.UUID = own_id()
    account_id: uuid.UUID | None = may_refer_to("account.id")
    helper_id: uuid.UUID | None = may_refer_to("helper.id")
    credential_id: bytes = Field(sa_type=LargeBinary, unique=True)
    public_key: bytes = Field(sa_type=LargeBinary)
    sign_count: int = Field(default=0, sa_type=BigInteger)
    created_at: datetime = moment()
    last_used_at: datetime | None = maybe_moment()
    revoked_at: datetime | None = maybe_moment()


class PasskeyChallenge(Table, table=True):
    """A challenge that one browser has to answer, once, within minutes."""

    __tablename__ = "passkey_challenge"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    challenge: bytes = Field(sa_type=LargeBinary)
    purpose: str
    """`register`, `log_in`, `accept_invitation`."""
    account_id: uuid.UUID | None = may_refer_to("account.id", index=False)
    helper_id: uuid.UUID | None = may_refer_to("helper.id", index=False)
    grant_id: uuid.UUID | None = may_refer_to("helper_grant.id", index=False)
    expires_at: datetime = moment()
    used_at: datetime | None = maybe_moment()


class BreakGlass(Table, table=True):
    """A look at a patient who is in nobody's or somebody else's care: with a reason, short, told and reviewed."""

    __tablename__ = "break_glass"
    __table_args__ = (Index(None, "account_id", "patient_id"), owned_by("web"))

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    account_id: uuid.UUID = refers_to("account.id", index=False)
    patient_id: uuid.UUID = refers_to("patient.id")
    reason_sealed: bytes = sealed()
    starts_at: datetime = moment()
    ends_at: datetime = moment()
    reviewed_by: uuid.UUID | None = may_refer_to("account.id", index=False)
    reviewed_at: datetime | None = maybe_moment()
    outcome: str | None = None
    """`justified` or `not_justified`."""


class SecretLook(Table, table=True):
    """Why somebody looked at what is hidden of a patient; that it happened stands in the audit chain."""

    __tablename__ = "secret_look"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    account_id: uuid.UUID = refers_to("account.id", index=False)
    what: str
    """`cpr` or `protected_address`."""
    reason_sealed: bytes = sealed()
    """Under the patient's key."""
    at: datetime = moment()


class AuditEvent(Table, table=True):
    """One link of the hash chain of what was looked at and decided; ids only, never names."""

    __tablename__ = "audit_event"
    __table_args__ = owned_by(EVERY_ROLE)

    sequence: int = Field(primary_key=True, sa_type=BigInteger, sa_column_kwargs={"autoincrement": False})
    at: datetime = moment(index=True)
    organisation_id: uuid.UUID | None = Field(default=None, index=True)
    patient_id: uuid.UUID | None = Field(default=None, index=True)
    action: str
    record: str
    """The JSON text that the MAC covers."""
    mac: str = Field(unique=True)


class CalendarFeed(Table, table=True):
    """A secret address under which a calendar reads appointments."""

    __tablename__ = "calendar_feed"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (patient_id IS NULL)", name="one_holder"),
        owned_by("web"),
    )

    id: uuid.UUID = own_id()
    account_id: uuid.UUID | None = may_refer_to("account.id")
    patient_id: uuid.UUID | None = may_refer_to("patient.id")
    token_hash: str = Field(unique=True)
    created_at: datetime = moment()
    revoked_at: datetime | None = maybe_moment()


class Notice(Table, table=True):
    """Something that a person or a role is told; at most one per recipient, cause and day."""

    __tablename__ = "notice"
    __table_args__ = (Index(None, "recipient", "cause", "day", unique=True), owned_by(EVERY_ROLE))

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    recipient: str = Field(index=True)
    """`account:ID`, `patient:ID` or `role:ROLE:ORGANISATION`."""
    patient_id: uuid.UUID | None = may_refer_to("patient.id")
    kind: str
    """A text key of the pages; sentences and names are put in there."""
    cause: str
    day: str
    """ISO date in the organisation's time zone."""
    data: dict[str, Any] = json_object()
    """Ids and numbers."""
    created_at: datetime = moment()
    read_at: datetime | None = maybe_moment()
