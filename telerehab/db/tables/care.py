"""What is prescribed, agreed, said and asked: plans, exercises, goals, appointments, messages, questionnaires [web]."""

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, UniqueConstraint
from sqlmodel import Field

from telerehab.db.tables.base import (
    Table,
    json_list,
    json_object,
    may_refer_to,
    maybe_moment,
    maybe_sealed,
    moment,
    one_of,
    own_id,
    owned_by,
    refers_to,
    sealed,
)


class LocalExercise(Table, table=True):
    """An organisation's own variant of an exercise, one row per version; the shared ones are data of the program."""

    __tablename__ = "local_exercise"
    __table_args__ = (UniqueConstraint("exercise_id", "version"), owned_by("web"))

    id: uuid.UUID = own_id()
    exercise_id: uuid.UUID = Field(index=True)
    """The same in all versions."""
    version: int
    organisation_id: uuid.UUID = refers_to("organisation.id")
    code: str
    """Of the twenty: what analysis measures."""
    content: dict[str, Any] = json_object()
    created_by: uuid.UUID = refers_to("account.id", index=False)
    created_at: datetime = moment()
    retired_at: datetime | None = maybe_moment()


class PlanVersion(Table, table=True):
    """One immutable version of a patient's plan."""

    __tablename__ = "plan_version"
    __table_args__ = (UniqueConstraint("patient_id", "number"), owned_by("web"))

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    number: int
    """Counts from 1; the highest is the head."""
    content: dict[str, Any] = json_object()
    """Items and limits, as `telerehab.care.plans` writes them."""
    content_hash: str
    """SHA-256, in hex."""
    valid_from: date
    author_id: uuid.UUID = refers_to("account.id", index=False)
    reason_sealed: bytes = sealed()
    template: str | None = None
    created_at: datetime = moment()


class TrainingPause(Table, table=True):
    """Days `[starts_on, ends_on]` on which nobody expects training."""

    __tablename__ = "training_pause"
    __table_args__ = (one_of("kind", "planned_rest", "illness", "holiday"), owned_by("web"))

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    kind: str
    starts_on: date
    ends_on: date | None = None
    """None: until it is ended."""
    created_by: uuid.UUID
    """The account or the tablet."""
    created_at: datetime = moment()
    withdrawn_at: datetime | None = maybe_moment()


class Goal(Table, table=True):
    """What the patient wants to be able to do, in the patient's own words."""

    __tablename__ = "goal"
    __table_args__ = (one_of("state", "open", "met", "dropped"), owned_by("web"))

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    text_sealed: bytes = sealed()
    target_on: date | None = None
    measure: dict[str, Any] = json_object()
    """Empty, or what tells that it is met: `{"kind": "rom", "exercise": ..., "side": ..., "at_least": ...}`."""
    state: str = "open"
    state_changed_at: datetime | None = maybe_moment()
    created_by: uuid.UUID
    created_at: datetime = moment()
    retracted_at: datetime | None = maybe_moment()
    version: int = 1


class Appointment(Table, table=True):
    """A time that a patient, or a group, has with a therapist."""

    __tablename__ = "appointment"
    __table_args__ = (
        one_of("kind", "live_session", "visit", "telephone"),
        one_of("state", "planned", "cancelled", "done", "no_show"),
        CheckConstraint("(patient_id IS NULL) <> (group_id IS NULL)", name="one_side"),
        owned_by("web"),
    )

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    kind: str
    title: str
    """Of the kind of meeting, never of a person."""
    account_id: uuid.UUID = refers_to("account.id")
    patient_id: uuid.UUID | None = may_refer_to("patient.id")
    group_id: uuid.UUID | None = may_refer_to("patient_group.id")
    starts_at: datetime = moment(index=True)
    ends_at: datetime = moment()
    state: str = "planned"
    live_session_id: uuid.UUID | None = Field(default=None, index=True)
    created_at: datetime = moment()
    version: int = 1


class Message(Table, table=True):
    """A message between a patient and those who treat the patient."""

    __tablename__ = "message"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    """Chosen by the page, so that a second sending adds nothing."""
    patient_id: uuid.UUID = refers_to("patient.id")
    account_id: uuid.UUID | None = may_refer_to("account.id", index=False)
    helper_id: uuid.UUID | None = may_refer_to("helper.id", index=False)
    """Of both none: the patient wrote it."""
    text_sealed: bytes = sealed()
    sent_at: datetime = moment(index=True)
    read_at: datetime | None = maybe_moment()
    retracted_at: datetime | None = maybe_moment()


class Questionnaire(Table, table=True):
    """An imported questionnaire, one row per version; the built-in ones are data of the program."""

    __tablename__ = "questionnaire"
    __table_args__ = (UniqueConstraint("organisation_id", "code", "version"), owned_by("web"))

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    code: str
    version: int
    definition: dict[str, Any] = json_object()
    licence: str
    """Who licenses it, and who confirmed that the licence is there."""
    created_by: uuid.UUID = refers_to("account.id", index=False)
    created_at: datetime = moment()
    retired_at: datetime | None = maybe_moment()


class QuestionnaireSchedule(Table, table=True):
    """When a patient is asked."""

    __tablename__ = "questionnaire_schedule"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    code: str
    questionnaire_id: uuid.UUID | None = may_refer_to("questionnaire.id", index=False)
    """None: built in."""
    first_on: date
    every_days: int | None = None
    """None: once."""
    until: date | None = None
    created_by: uuid.UUID = refers_to("account.id", index=False)
    created_at: datetime = moment()
    ended_at: datetime | None = maybe_moment()


class QuestionnaireResponse(Table, table=True):
    """What a patient answered."""

    __tablename__ = "questionnaire_response"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    """Chosen by the page."""
    patient_id: uuid.UUID = refers_to("patient.id")
    code: str
    questionnaire_id: uuid.UUID | None = may_refer_to("questionnaire.id", index=False)
    schedule_id: uuid.UUID | None = may_refer_to("questionnaire_schedule.id", index=False)
    due_on: date | None = None
    answers_sealed: bytes = sealed()
    score: float | None = None
    """None = unknown: too much is missing."""
    answered_by: uuid.UUID
    """The tablet, the helper or the account."""
    answered_at: datetime = moment(index=True)
    retracted_at: datetime | None = maybe_moment()


class HelpCall(Table, table=True):
    """A patient called for help; open until somebody closes it."""

    __tablename__ = "help_call"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    """Chosen by the tablet."""
    organisation_id: uuid.UUID = refers_to("organisation.id")
    patient_id: uuid.UUID = refers_to("patient.id")
    live_session_id: uuid.UUID | None = Field(default=None, index=True)
    called_at: datetime = moment(index=True)
    rang_at: datetime = moment()
    """When it began to ring, or rang anew."""
    state: str = "called"
    """As `telerehab.care.help_calls` says."""
    told: list[dict[str, str]] = json_list()
    """Who has been told since it rang: `{"account_id": ..., "at": ...}`, the last one is rung now."""
    unanswered: str | None = None
    """`no_answer` or `outside_hours`: what the tablet was told, with the telephone number."""
    unanswered_at: datetime | None = maybe_moment()
    press_count: int = 1
    answered_by: uuid.UUID | None = may_refer_to("account.id", index=False)
    answered_at: datetime | None = maybe_moment()
    withdrawn_at: datetime | None = maybe_moment()
    """The patient took it back; it still has to be closed."""
    closed_by: uuid.UUID | None = may_refer_to("account.id", index=False)
    closed_at: datetime | None = maybe_moment(index=True)
    outcome: str | None = None
    note_sealed: bytes | None = maybe_sealed()
    version: int = 1


class Duty(Table, table=True):
    """Who answers help calls in which weekly hours, and who is next in line."""

    __tablename__ = "duty"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    account_id: uuid.UUID = refers_to("account.id")
    weekday: int
    """ISO, 1 = Monday."""
    from_minute: int
    to_minute: int
    """Minutes of the local day, half-open; 1440 = midnight."""
    line: int = 0
    """0 is rung first."""
    telephone: str | None = None
    ended_at: datetime | None = maybe_moment()
