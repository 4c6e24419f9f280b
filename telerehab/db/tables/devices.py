"""Devices, kits and who wears them: written by the web role."""

import uuid
from datetime import datetime

from sqlalchemy import Index
from sqlmodel import Field

from telerehab.db.tables.base import Table, may_refer_to, maybe_moment, moment, own_id, owned_by, refers_to


class Kit(Table, table=True):
    """A box of devices that travel together; its shard is theirs."""

    __tablename__ = "kit"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    name: str
    shard: str
    """Two hex digits, 00 to 3f."""
    retired_at: datetime | None = maybe_moment()


class Device(Table, table=True):
    """A sensor; its name is its user name at the broker."""

    __tablename__ = "device"
    __table_args__ = owned_by("web")

    name: str = Field(primary_key=True)
    organisation_id: uuid.UUID = refers_to("organisation.id")
    kit_id: uuid.UUID | None = may_refer_to("kit.id")
    kind: str
    """`imu6`, `heart`, ...: the schema's name of its main stream; `phone`: an imu6 that comes by a device link."""
    credential_hash: str
    """In Mosquitto's password-file form `$7$iterations$salt$hash`."""
    usual_site: str | None = None
    """Where it is worn when its kit is lent: `thigh_right`, `chest`, ..."""
    revoked_at: datetime | None = maybe_moment()
    wipe_asked_at: datetime | None = maybe_moment()
    """Since when the device shall forget what it keeps; None once it is lent."""


class Assignment(Table, table=True):
    """A device is lent to a patient and worn at a site during `[starts_at, ends_at)`."""

    __tablename__ = "assignment"
    __table_args__ = (Index(None, "device_name", "starts_at"), owned_by("web"))

    id: uuid.UUID = own_id()
    device_name: str = refers_to("device.name", index=False)
    patient_id: uuid.UUID = refers_to("patient.id")
    body_site: str | None = None
    """`thigh_right`, ...; none for a chest strap."""
    starts_at: datetime = moment()
    ends_at: datetime | None = maybe_moment()
    created_by: uuid.UUID | None = may_refer_to("account.id", index=False)
