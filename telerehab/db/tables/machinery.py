"""Running roles and work for later."""

import uuid
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Index
from sqlmodel import Field

from telerehab.db.tables.base import EVERY_ROLE, Table, json_object, maybe_moment, moment, own_id, owned_by


class Worker(Table, table=True):
    """A running role: where to reach it and when it last said that it is well."""

    __tablename__ = "worker"
    __table_args__ = owned_by(EVERY_ROLE)

    id: uuid.UUID = own_id()
    role: str = Field(index=True)
    address: str | None = None
    secret: str | None = None
    started_at: datetime = moment()
    heartbeat_at: datetime = moment()
    status: dict[str, Any] = json_object()


class JobState(StrEnum):
    """How the last time went."""

    WAITING = "waiting"
    HINDERED = "hindered"
    """Something outside stood in the way; it is tried again."""


class Job(Table, table=True):
    """Work for later, done at least once."""

    __tablename__ = "job"
    __table_args__ = (Index(None, "kind", "key", unique=True), owned_by("jobs"))

    id: uuid.UUID = own_id()
    kind: str
    key: str
    due_at: datetime = moment(index=True)
    lease_until: datetime | None = maybe_moment()
    state: str = JobState.WAITING.value
