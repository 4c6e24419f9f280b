"""Live sessions: written by the media worker that runs them."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger
from sqlmodel import Field

from telerehab.db.tables.base import (
    Table,
    json_object,
    may_refer_to,
    maybe_moment,
    moment,
    one_of,
    own_id,
    owned_by,
    refers_to,
)


class LiveSession(Table, table=True):
    """Therapist and patients connected by WebRTC."""

    __tablename__ = "live_session"
    __table_args__ = owned_by("media")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    title: str
    therapist_account_id: uuid.UUID = refers_to("account.id")
    state: str
    worker_id: uuid.UUID | None = None
    opened_at: datetime = moment()
    ended_at: datetime | None = maybe_moment()
    event_sequence: int = Field(default=0, sa_type=BigInteger)
    version: int = 1


class Participant(Table, table=True):
    """A seat in a live session."""

    __tablename__ = "participant"
    __table_args__ = (one_of("role", "therapist", "patient", "helper"), owned_by("media"))

    id: uuid.UUID = own_id()
    live_session_id: uuid.UUID = refers_to("live_session.id")
    role: str
    account_id: uuid.UUID | None = may_refer_to("account.id")
    patient_id: uuid.UUID | None = may_refer_to("patient.id")
    helper_id: uuid.UUID | None = may_refer_to("helper.id")
    """Of a helper's seat, which also names the patient whom the helper sits beside."""
    state: str
    admitted_at: datetime | None = maybe_moment()
    left_at: datetime | None = maybe_moment()


class LiveEvent(Table, table=True):
    """What happened in a live session, numbered; written before it is sent."""

    __tablename__ = "live_event"
    __table_args__ = owned_by("media")

    live_session_id: uuid.UUID = Field(primary_key=True, foreign_key="live_session.id")
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    kind: str
    at: datetime = moment()
    data: dict[str, Any] = json_object()
