"""Alerts and flags: what a limit or a rule found, and what somebody did about it."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlmodel import Field

from telerehab.db.tables.base import (
    EVERY_ROLE,
    Table,
    json_object,
    may_refer_to,
    maybe_moment,
    maybe_sealed,
    moment,
    one_of,
    own_id,
    owned_by,
    refers_to,
)


class Alert(Table, table=True):
    """A limit was passed or a stop pressed. Written once by the role that found it; open until acknowledged."""

    __tablename__ = "alert"
    __table_args__ = owned_by(EVERY_ROLE)

    id: uuid.UUID = Field(primary_key=True)
    """Follows from training session, cause and onset, so that finding it again adds nothing."""
    organisation_id: uuid.UUID = refers_to("organisation.id")
    patient_id: uuid.UUID = refers_to("patient.id")
    training_session_id: uuid.UUID | None = may_refer_to("training_session.id")
    cause: str
    value: float | None = None
    limit_value: float | None = None
    is_stop: bool = False
    """Training must not go on before a confirmation."""
    needs_confirmation_by: str | None = None
    """`therapist`, `patient` or nobody."""
    began_at: datetime = moment()
    found_at: datetime = moment(index=True)
    found_by: str
    """The role: `ingest`, `web`."""
    retracted_at: datetime | None = maybe_moment()
    """What it was found in was entered for the wrong patient: it is shown nowhere and stops nobody."""
    data: dict[str, Any] = json_object()


class AlertAcknowledgement(Table, table=True):
    """Somebody has seen an alert and says what follows from it; who has seen it may let training go on later."""

    __tablename__ = "alert_acknowledgement"
    __table_args__ = (one_of("action", "may_continue", "ended", "called", "seen"), owned_by("web"))

    id: uuid.UUID = own_id()
    alert_id: uuid.UUID = refers_to("alert.id")
    account_id: uuid.UUID | None = may_refer_to("account.id", index=False)
    """None: the patient's own confirmation, on the tablet."""
    action: str
    """`may_continue` alone is the confirmation that a stop waits for."""
    note_sealed: bytes | None = maybe_sealed()
    at: datetime = moment()


class SelfReport(Table, table=True):
    """What a patient says of pain or effort, 0 to 10, and the wish to stop."""

    __tablename__ = "self_report"
    __table_args__ = (one_of("kind", "pain", "effort", "stop"), owned_by("web"))

    id: uuid.UUID = own_id()
    """Chosen by the tablet."""
    patient_id: uuid.UUID = refers_to("patient.id")
    training_session_id: uuid.UUID | None = may_refer_to("training_session.id")
    training_set_id: uuid.UUID | None = may_refer_to("training_set.id", index=False)
    kind: str
    value: int | None = None
    phase: str
    """`start`, `during`, `after_set`, `end`."""
    reported_by: uuid.UUID
    """The tablet, the helper or the account."""
    at: datetime = moment(index=True)
    """By the tablet's clock, never after it came."""
    received_at: datetime | None = maybe_moment()
    """When it came: that decides in which order reports are judged. None: as soon as it was said."""
    retracted_at: datetime | None = maybe_moment()


class Flag(Table, table=True):
    """What a rule noticed over days; ended by the rule when the condition is gone. Written by jobs."""

    __tablename__ = "flag"
    __table_args__ = owned_by("jobs")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    patient_id: uuid.UUID = refers_to("patient.id")
    rule: str
    cause: str
    """The same while it is the same flag, as `falling_rom:knee_extension_seated:right`."""
    severity: int
    value: float | None = None
    threshold: float | None = None
    unit: str | None = None
    since: datetime = moment()
    opened_at: datetime = moment()
    updated_at: datetime = moment()
    ended_at: datetime | None = maybe_moment(index=True)
    suggested_action: str
    data: dict[str, Any] = json_object()
    """The raw data behind it: ids, dates, values."""
    version: int = 1


class FlagAction(Table, table=True):
    """A therapist took a flag up or settled it."""

    __tablename__ = "flag_action"
    __table_args__ = (one_of("action", "acknowledged", "resolved"), owned_by("web"))

    id: uuid.UUID = own_id()
    flag_id: uuid.UUID = refers_to("flag.id")
    account_id: uuid.UUID = refers_to("account.id", index=False)
    action: str
    flag_version: int
    """What was seen: when it gets worse, it opens again."""
    note_sealed: bytes | None = maybe_sealed()
    at: datetime = moment()


class PatientSummary(Table, table=True):
    """What the caseload shows of a patient, counted by jobs: every ten minutes and soon after something happened."""

    __tablename__ = "patient_summary"
    __table_args__ = owned_by("jobs")

    patient_id: uuid.UUID = Field(primary_key=True, foreign_key="patient.id")
    organisation_id: uuid.UUID = refers_to("organisation.id")
    day: date
    """The patient's local day when it was counted."""
    counted_at: datetime = moment()
    last_training_at: datetime | None = maybe_moment()
    pain_last: int | None = None
    completeness: float | None = None
    """Done sets over prescribed sets of the last two weeks; None = unknown."""
    data: dict[str, Any] = json_object()
    """`statuses`: what each of the last days was, as `telerehab.care.adherence` says; `day` is the last."""
