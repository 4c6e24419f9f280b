"""Making the people and things of an installation: organisations, staff, patients, kits, devices, ways in.

Every function works in the caller's writing transaction (owner "web") and flushes, so that the next may refer to the
row. Secrets are returned once, beside the row that keeps only their hash.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, TypeVar
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, SQLModel, col, select

from devices.topics import is_device_name, shard_name
from telerehab.auth.device_credentials import BROKER_ROLES, hash_device_password, new_device_password
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.tokens import hash_token, new_token
from telerehab.db.sealing import PatientSeal, cpr_hash, new_patient_key
from telerehab.db.tables import (
    Account,
    Assignment,
    CareRelation,
    Device,
    Kit,
    OneTimeLink,
    Organisation,
    Patient,
    Tablet,
)
from telerehab.errors import ConflictError

LINK_LIFETIME: Final = timedelta(days=1)

Row = TypeVar("Row", bound=SQLModel)


@dataclass(kw_only=True, frozen=True, slots=True)
class NewDevice:
    """A device and the password that it logs in to the broker with."""

    device: Device
    password: str


@dataclass(kw_only=True, frozen=True, slots=True)
class NewLink:
    """A one-time link's row and its token; the address is `SCHEME://HOST:PORT/enter#TOKEN`."""

    link: OneTimeLink
    token: str


def create_organisation(db: Session, *, name: str) -> Organisation:
    """Make an organisation."""
    return _added(db, Organisation(name=name))


def create_account(
    db: Session,
    *,
    organisation_id: UUID,
    email: str,
    display_name: str,
    password_hash: str | None = None,
    role: str = "therapist",
    language: str = "da",
) -> Account:
    """Make an account of a member of staff; without password it is entered by a one-time link."""
    account = Account(
        organisation_id=organisation_id,
        email=email.strip().lower(),
        display_name=display_name,
        password_hash=password_hash,
        role=role,
        language=language,
    )
    return _added(db, account)


def new_patient(
    *,
    key_ring: KeyRing,
    organisation_id: UUID,
    name: str,
    birth_date: date | None = None,
    cpr: str | None = None,
    telephone: str | None = None,
    has_protected_address: bool | None = None,
    language: str = "da",
    import_id: UUID | None = None,
    created_at: datetime | None = None,
    patient_id: UUID | None = None,
) -> Patient:
    """Return the row of a new patient, in no transaction yet; what tells who it is lies sealed under its own key."""
    patient_id = patient_id or uuid4()
    patient = Patient(
        id=patient_id,
        organisation_id=organisation_id,
        language=language,
        wrapped_key=new_patient_key(patient_id, key_ring),
        cpr_hash=None if cpr is None else cpr_hash(key_ring, organisation_id, cpr),
        import_id=import_id,
        created_at=created_at,
    )
    PatientSeal(patient, key_ring).set_identity(
        name=name,
        birth_date=birth_date,
        cpr=cpr,
        telephone=telephone,
        has_protected_address=has_protected_address,
    )
    return patient


def create_patient(
    db: Session,
    *,
    key_ring: KeyRing,
    organisation_id: UUID,
    name: str,
    birth_date: date | None = None,
    language: str = "da",
    created_at: datetime | None = None,
) -> Patient:
    """Make a patient; what tells who it is lies sealed under a key of its own."""
    patient = new_patient(
        key_ring=key_ring,
        organisation_id=organisation_id,
        name=name,
        birth_date=birth_date,
        language=language,
        created_at=created_at,
    )
    return _added(db, patient)


def create_care_relation(
    db: Session, *, account_id: UUID, patient_id: UUID, starts_at: datetime, ends_at: datetime | None = None
) -> CareRelation:
    """Let a therapist treat a patient during `[starts_at, ends_at)`."""
    relation = CareRelation(account_id=account_id, patient_id=patient_id, starts_at=starts_at, ends_at=ends_at)
    return _added(db, relation)


def create_kit(db: Session, *, organisation_id: UUID, name: str, shard: int = 0) -> Kit:
    """Make a kit; its devices publish on the kit's shard, 0 to 63.

    Raises
    ------
    ValueError
        There is no such shard.
    """
    return _added(db, Kit(organisation_id=organisation_id, name=name, shard=shard_name(shard)))


def create_device(db: Session, *, organisation_id: UUID, name: str, kind: str, kit_id: UUID | None = None) -> NewDevice:
    """Make a device with a new random password.

    Raises
    ------
    ValueError
        The name would not be one level of a topic, or is an account of ours.
    """
    if not is_device_name(name) or name in BROKER_ROLES:
        raise ValueError("a device's name is 1 to 64 of a-z, 0-9 and -, and not that of a role")
    password = new_device_password()
    device = Device(
        name=name,
        organisation_id=organisation_id,
        kit_id=kit_id,
        kind=kind,
        credential_hash=hash_device_password(password),
    )
    return NewDevice(device=_added(db, device), password=password)


def assign_device(
    db: Session,
    *,
    device_name: str,
    patient_id: UUID,
    body_site: str | None,
    starts_at: datetime,
    ends_at: datetime | None = None,
    assignment_id: UUID | None = None,
    created_by: UUID | None = None,
) -> Assignment:
    """Lend a device to a patient during `[starts_at, ends_at)`, to be worn at a site.

    A device is never with two patients at once: of several who lend the same one, one at a time goes on (SQLite's
    writers wait for each other anyhow; on PostgreSQL they wait for the device's row).

    Raises
    ------
    ConflictError
        With code `device_lent` or `interval_empty`.
    """
    if ends_at is not None and ends_at <= starts_at:
        raise ConflictError("it would end before it begins", code="interval_empty")
    db.exec(select(Device.name).where(col(Device.name) == device_name).with_for_update()).first()
    if is_assigned(db, col(Assignment.device_name) == device_name, starts_at, ends_at):
        raise ConflictError("the device is lent in this time", code="device_lent")
    assignment = Assignment(
        id=assignment_id or uuid4(),
        device_name=device_name,
        patient_id=patient_id,
        body_site=body_site,
        starts_at=starts_at,
        ends_at=ends_at,
        created_by=created_by,
    )
    return _added(db, assignment)


def is_assigned(db: Session, which: ColumnElement[bool], starts_at: datetime, ends_at: datetime | None) -> bool:
    """Return whether one of these assignments shares a moment with `[starts_at, ends_at)`."""
    is_later = or_(
        col(Assignment.ends_at).is_(None),
        (col(Assignment.ends_at) > starts_at) & (col(Assignment.ends_at) > col(Assignment.starts_at)),
    )
    statement = select(Assignment.id).where(which, is_later)
    if ends_at is not None:
        statement = statement.where(col(Assignment.starts_at) < ends_at)
    return db.exec(statement).first() is not None


def create_tablet(db: Session, *, patient_id: UUID) -> Tablet:
    """Make a tablet that is not paired yet; a one-time link or the six digits pair it."""
    return _added(db, Tablet(patient_id=patient_id))


def create_one_time_link(
    db: Session,
    *,
    now: datetime,
    account_id: UUID | None = None,
    tablet_id: UUID | None = None,
    lifetime: timedelta = LINK_LIFETIME,
    is_full: bool = False,
) -> NewLink:
    """Make a link that logs one browser in, once, as an account or as a tablet.

    Staff still have to give, or set up, a second factor, unless the link `is_full`: the demonstration's links are.

    Raises
    ------
    ValueError
        Both or none of account and tablet are named.
    """
    if (account_id is None) == (tablet_id is None):
        raise ValueError("a link is for an account or for a tablet")
    token = new_token()
    link = OneTimeLink(
        token_hash=hash_token(token),
        account_id=account_id,
        tablet_id=tablet_id,
        expires_at=now + lifetime,
        is_full=is_full,
    )
    return NewLink(link=_added(db, link), token=token)


def link_address(base_address: str, token: str) -> str:
    """Return the address to open; the token stands in the fragment, which browsers never send nor log.

    >>> link_address("http://clinic.localhost:8000", "abc")
    'http://clinic.localhost:8000/enter#abc'
    """
    return f"{base_address.rstrip('/')}/enter#{token}"


def _added(db: Session, row: Row) -> Row:
    """Add a row and flush."""
    db.add(row)
    db.flush()
    return row
