"""Every table, with the role that owns it.

`info["owner"]` is the only role that writes the table (`"*"`: every role, its own rows). `info["store"]` is "main" or
"hot": hot tables lie in an SQLite file of their own, so that the stream of blocks and the people's writes never wait
for each other; on PostgreSQL both stores are one database. Times are UTC; `..._us` are microseconds since the epoch,
except `t0_us`, `a_us` and what a device says of itself: those are the device's own clock.
"""

import uuid
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import JSON, BigInteger, CheckConstraint, Column, DateTime, Dialect, Index, LargeBinary, MetaData
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

NAMING_CONVENTION: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

EVERY_ROLE: Final = "*"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware on the way in, in UTC on the way out, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without zone; say the rest in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone is no moment")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the zone back that SQLite does not keep."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Table(SQLModel):
    """The base of all tables: one metadata with names for every constraint."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)


def _owned_by(owner: str, *, store: str = "main") -> dict[str, Any]:
    """Return the table options that say whose a table is and where it lies."""
    return {"info": {"owner": owner, "store": store}}


def _one_of(column: str, *words: str) -> CheckConstraint:
    """Return the constraint that a column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


# --- people and who may see whom [web] -------------------------------------------------------------------------------


class Organisation(Table, table=True):
    """A municipality, hospital or clinic; nothing crosses from one to another."""

    __tablename__ = "organisation"
    __table_args__ = _owned_by("web")

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    name: str


class Account(Table, table=True):
    """A member of staff."""

    __tablename__ = "account"
    __table_args__ = (_one_of("role", "therapist", "admin"), _owned_by("web"))

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    organisation_id: uuid.UUID = Field(foreign_key="organisation.id", index=True)
    email: str = Field(unique=True)
    """In lower case."""
    display_name: str
    password_hash: str | None = None
    role: str = "therapist"
    language: str = "da"


class Patient(Table, table=True):
    """A person in rehabilitation."""

    __tablename__ = "patient"
    __table_args__ = _owned_by("web")

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    organisation_id: uuid.UUID = Field(foreign_key="organisation.id", index=True)
    display_name: str
    language: str = "da"


class Tablet(Table, table=True):
    """A browser in a patient's home, made known once."""

    __tablename__ = "tablet"
    __table_args__ = _owned_by("web")

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    patient_id: uuid.UUID = Field(foreign_key="patient.id", index=True)
    paired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Login(Table, table=True):
    """An authenticated browser: of a member of staff, or of a tablet."""

    __tablename__ = "login"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (tablet_id IS NULL)", name="one_holder"),
        _owned_by("web"),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    token_hash: str = Field(unique=True)
    account_id: uuid.UUID | None = Field(default=None, foreign_key="account.id", index=True)
    tablet_id: uuid.UUID | None = Field(default=None, foreign_key="tablet.id", index=True)
    created_at: datetime = Field(sa_type=UtcDateTime)
    last_seen_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class OneTimeLink(Table, table=True):
    """A link that logs one browser in, once."""

    __tablename__ = "one_time_link"
    __table_args__ = (
        CheckConstraint("(account_id IS NULL) <> (tablet_id IS NULL)", name="one_holder"),
        _owned_by("web"),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    token_hash: str = Field(unique=True)
    account_id: uuid.UUID | None = Field(default=None, foreign_key="account.id", index=True)
    tablet_id: uuid.UUID | None = Field(default=None, foreign_key="tablet.id", index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TabletPairingCode(Table, table=True):
    """Six digits, read out on the telephone, that pair one tablet, once."""

    __tablename__ = "tablet_pairing_code"
    __table_args__ = _owned_by("web")

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    patient_id: uuid.UUID = Field(foreign_key="patient.id", index=True)
    code_hash: str = Field(index=True)
    expires_at: datetime = Field(sa_type=UtcDateTime)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0


class CareRelation(Table, table=True):
    """A therapist treats a patient during `[starts_at, ends_at)`."""

    __tablename__ = "care_relation"
    __table_args__ = (
        Index(None, "account_id", "patient_id"),
        _owned_by("web"),
    )

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    account_id: uuid.UUID = Field(foreign_key="account.id")
    patient_id: uuid.UUID = Field(foreign_key="patient.id", index=True)
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


# --- devices and who wears them [web] --------------------------------------------------------------------------------


class Kit(Table, table=True):
    """A box of devices that travel together; its shard is theirs."""

    __tablename__ = "kit"
    __table_args__ = _owned_by("web")

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    organisation_id: uuid.UUID = Field(foreign_key="organisation.id", index=True)
    name: str
    shard: str
    """Two hex digits, 00 to 3f."""


class Device(Table, table=True):
    """A sensor; its name is its user name at the broker."""

    __tablename__ = "device"
    __table_args__ = _owned_by("web")

    name: str = Field(primary_key=True)
    organisation_id: uuid.UUID = Field(foreign_key="organisation.id", index=True)
    kit_id: uuid.UUID | None = Field(default=None, foreign_key="kit.id", index=True)
    kind: str
    """`imu6`, `heart`, ...: the schema's name of its main stream."""
    credential_hash: str
    """In Mosquitto's password-file form `$7$iterations$salt$hash`."""
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class Assignment(Table, table=True):
    """A device is lent to a patient and worn at a site during `[starts_at, ends_at)`."""

    __tablename__ = "assignment"
    __table_args__ = (Index(None, "device_name", "starts_at"), _owned_by("web"))

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    device_name: str = Field(foreign_key="device.name")
    patient_id: uuid.UUID = Field(foreign_key="patient.id", index=True)
    body_site: str | None = None
    """`thigh_right`, ...; none for a chest strap."""
    starts_at: datetime = Field(sa_type=UtcDateTime)
    ends_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


# --- training [web, ingest] ------------------------------------------------------------------------------------------


class TrainingSession(Table, table=True):
    """One bout of prescribed exercises, alone or within a live session."""

    __tablename__ = "training_session"
    __table_args__ = (Index(None, "patient_id", "opened_at"), _owned_by("web"))

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    patient_id: uuid.UUID = Field(foreign_key="patient.id")
    live_session_id: uuid.UUID | None = Field(default=None, foreign_key="live_session.id", index=True)
    exercise: str
    side: str
    target_low_deg: float | None = None
    target_high_deg: float | None = None
    target_repetitions: int | None = None
    opened_at: datetime = Field(sa_type=UtcDateTime, index=True)
    opened_by: uuid.UUID
    """The account or the tablet."""
    closed_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    close_reason: str | None = None
    version: int = 1


class Repetition(Table, table=True):
    """One repetition that intake found, `[start_us, stop_us)`."""

    __tablename__ = "repetition"
    __table_args__ = _owned_by("ingest")

    training_session_id: uuid.UUID = Field(primary_key=True, foreign_key="training_session.id")
    index: int = Field(primary_key=True)
    """Counts from 0 within the training session."""
    start_us: int = Field(sa_type=BigInteger)
    stop_us: int = Field(sa_type=BigInteger)
    rom_deg: float
    up_s: float
    hold_s: float
    down_s: float
    peak_speed_deg_s: float
    trust: float
    reason: int
    algorithm_version: str
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


# --- live sessions [media] -------------------------------------------------------------------------------------------


class LiveSession(Table, table=True):
    """Therapist and patients connected by WebRTC."""

    __tablename__ = "live_session"
    __table_args__ = _owned_by("media")

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    organisation_id: uuid.UUID = Field(foreign_key="organisation.id", index=True)
    title: str
    therapist_account_id: uuid.UUID = Field(foreign_key="account.id", index=True)
    state: str
    worker_id: uuid.UUID | None = None
    opened_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    event_sequence: int = Field(default=0, sa_type=BigInteger)
    version: int = 1


class Participant(Table, table=True):
    """A seat in a live session."""

    __tablename__ = "participant"
    __table_args__ = (_one_of("role", "therapist", "patient", "helper"), _owned_by("media"))

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    live_session_id: uuid.UUID = Field(foreign_key="live_session.id", index=True)
    role: str
    account_id: uuid.UUID | None = Field(default=None, foreign_key="account.id", index=True)
    patient_id: uuid.UUID | None = Field(default=None, foreign_key="patient.id", index=True)
    state: str
    admitted_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    left_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LiveEvent(Table, table=True):
    """What happened in a live session, numbered; written before it is sent."""

    __tablename__ = "live_event"
    __table_args__ = _owned_by("media")

    live_session_id: uuid.UUID = Field(primary_key=True, foreign_key="live_session.id")
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str
    at: datetime = Field(sa_type=UtcDateTime)
    data: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


# --- the machinery ---------------------------------------------------------------------------------------------------


class Worker(Table, table=True):
    """A running role: where to reach it and when it last said that it is well."""

    __tablename__ = "worker"
    __table_args__ = _owned_by(EVERY_ROLE)

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    role: str = Field(index=True)
    address: str | None = None
    secret: str | None = None
    started_at: datetime = Field(sa_type=UtcDateTime)
    heartbeat_at: datetime = Field(sa_type=UtcDateTime)
    status: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)


class Job(Table, table=True):
    """Work for later, done at least once."""

    __tablename__ = "job"
    __table_args__ = (Index(None, "kind", "key", unique=True), _owned_by("jobs"))

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    kind: str
    key: str
    due_at: datetime = Field(sa_type=UtcDateTime, index=True)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    state: str = "waiting"


# --- the hot store [ingest] ------------------------------------------------------------------------------------------


class Block(Table, table=True):
    """Consecutive samples as the device sent them; the key makes a replay harmless."""

    __tablename__ = "block"
    __table_args__ = {**_owned_by("ingest", store="hot"), "sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    stream: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    schema_code: int = Field(sa_column=Column("schema", BigInteger, nullable=False))
    t0_us: int = Field(sa_type=BigInteger)
    """Device clock at the first sample."""
    n_samples: int
    received_us: int = Field(sa_type=BigInteger)
    payload: bytes = Field(sa_type=LargeBinary)
    """The whole frame."""


class Gap(Table, table=True):
    """Blocks `[start_sequence, stop_sequence)` that have not come; closed when they do."""

    __tablename__ = "gap"
    __table_args__ = {**_owned_by("ingest", store="hot"), "sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    stream: str = Field(primary_key=True)
    start_sequence: int = Field(primary_key=True, sa_type=BigInteger)
    stop_sequence: int = Field(sa_type=BigInteger)
    seen_at_us: int = Field(sa_type=BigInteger)
    cause: str
    closed_at_us: int | None = Field(default=None, sa_type=BigInteger)


class ClockFit(Table, table=True):
    """Server time = `a_us + b * device time`, from device time `from_us` on."""

    __tablename__ = "clock_fit"
    __table_args__ = {**_owned_by("ingest", store="hot"), "sqlite_with_rowid": False}

    device: str = Field(primary_key=True)
    boot: int = Field(primary_key=True, sa_type=BigInteger)
    from_us: int = Field(primary_key=True, sa_type=BigInteger)
    a_us: float
    b: float
    rmse_us: float


class Quarantine(Table, table=True):
    """A message that was refused, kept raw, with the reason."""

    __tablename__ = "quarantine"
    __table_args__ = _owned_by("ingest", store="hot")

    id: uuid.UUID = Field(default_factory=uuid.uuid4, primary_key=True)
    device: str = Field(index=True)
    received_us: int = Field(sa_type=BigInteger)
    why: str
    payload: bytes = Field(sa_type=LargeBinary)


class DeviceReport(Table, table=True):
    """The last that a device said of itself."""

    __tablename__ = "device_report"
    __table_args__ = _owned_by("ingest", store="hot")

    device: str = Field(primary_key=True)
    meta: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    state: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    received_us: int = Field(sa_type=BigInteger)
