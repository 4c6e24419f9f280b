"""Training sessions, their sets and what came of them: written by web, repetitions by ingest."""

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Index
from sqlmodel import Field

from telerehab.db.tables.base import (
    Table,
    json_object,
    may_refer_to,
    maybe_moment,
    maybe_sealed,
    moment,
    own_id,
    owned_by,
    refers_to,
    sealed,
)


class TrainingSession(Table, table=True):
    """One bout of prescribed exercises, alone, with a helper, or within a live session.

    Exercise, side and targets are those of the set that is trained now.
    """

    __tablename__ = "training_session"
    __table_args__ = (Index(None, "patient_id", "opened_at"), owned_by("web"))

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id", index=False)
    live_session_id: uuid.UUID | None = may_refer_to("live_session.id")
    plan_version_id: uuid.UUID | None = may_refer_to("plan_version.id", index=False)
    helper_id: uuid.UUID | None = may_refer_to("helper.id", index=False)
    """Who trains with the patient."""
    exercise: str
    side: str
    target_low_deg: float | None = None
    target_high_deg: float | None = None
    target_repetitions: int | None = None
    exercise_since: datetime | None = maybe_moment()
    """Since when exercise and side are these; None: since it was opened."""
    training_set_id: uuid.UUID | None = None
    """The set that was started last."""
    opened_at: datetime = moment(index=True)
    opened_by: uuid.UUID
    """The account, the tablet or the helper; the device's kit where a device opened it."""
    opened_via: str = "page"
    """`page` or `device`."""
    closed_at: datetime | None = maybe_moment(index=True)
    close_reason: str | None = None
    retracted_at: datetime | None = maybe_moment()
    """Entered in error: it counts nowhere."""
    version: int = 1


class TrainingSet(Table, table=True):
    """One set of one exercise during `[started_at, ended_at)`."""

    __tablename__ = "training_set"
    __table_args__ = (Index(None, "training_session_id", "number", unique=True), owned_by("web"))

    id: uuid.UUID = own_id()
    """Chosen by the page."""
    training_session_id: uuid.UUID = refers_to("training_session.id", index=False)
    number: int
    """Counts from 1 within the training session."""
    plan_item: int | None = None
    """Index of the item in the plan version."""
    set_number: int | None = None
    """Counts from 1 within the plan's item."""
    exercise: str
    side: str
    target_low_deg: float | None = None
    target_high_deg: float | None = None
    target_repetitions: int | None = None
    started_at: datetime = moment()
    ended_at: datetime | None = maybe_moment()
    end_reason: str | None = None
    counted_repetitions: int | None = None
    """As the tablet counted without sensors; None = not counted."""


class Repetition(Table, table=True):
    """One repetition that intake found, `[start_us, stop_us)`."""

    __tablename__ = "repetition"
    __table_args__ = owned_by("ingest")

    training_session_id: uuid.UUID = Field(primary_key=True, foreign_key="training_session.id")
    index: int = Field(primary_key=True)
    """Counts from 0 within the training session."""
    training_set_id: uuid.UUID | None = Field(default=None, index=True)
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
    data: dict[str, Any] = json_object()


class Correction(Table, table=True):
    """What a therapist says a result really was; the original stays as it is."""

    __tablename__ = "correction"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    training_session_id: uuid.UUID = refers_to("training_session.id")
    training_set_id: uuid.UUID | None = may_refer_to("training_set.id", index=False)
    kind: str
    """`repetition_count`, `not_valid`, `note`."""
    original: dict[str, Any] = json_object()
    corrected: dict[str, Any] = json_object()
    note_sealed: bytes | None = maybe_sealed()
    account_id: uuid.UUID = refers_to("account.id", index=False)
    at: datetime = moment()
    withdrawn_at: datetime | None = maybe_moment()


class Retraction(Table, table=True):
    """Something was entered for the wrong patient; where the right one is known, it is theirs now."""

    __tablename__ = "retraction"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    what: str
    """The table."""
    row_id: uuid.UUID = Field(index=True)
    wrong_patient_id: uuid.UUID = refers_to("patient.id")
    right_patient_id: uuid.UUID | None = may_refer_to("patient.id", index=False)
    reason_sealed: bytes = sealed()
    """Under the wrong patient's key."""
    account_id: uuid.UUID = refers_to("account.id", index=False)
    at: datetime = moment()
