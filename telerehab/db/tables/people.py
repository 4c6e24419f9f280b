"""Organisations, staff, patients and helpers, and who is in whose care: written by the web role.

What tells who a person is lies sealed: under the patient's own key, which is wrapped by the installation's master key.
A column that ends in `_sealed` is opened by `telerehab.db.sealing` only.
"""

import uuid
from datetime import date, datetime

from sqlalchemy import CheckConstraint, Index, UniqueConstraint
from sqlmodel import Field

from telerehab.db.tables.base import (
    Table,
    json_list,
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


class Organisation(Table, table=True):
    """A municipality, hospital or clinic; nothing crosses from one to another."""

    __tablename__ = "organisation"
    __table_args__ = (one_of("service", "full", "measure_only", "communication_only"), owned_by("web"))

    id: uuid.UUID = own_id()
    name: str
    time_zone: str = "Europe/Copenhagen"
    help_telephone: str | None = None
    """Shown on a tablet when nobody answers a help call."""
    service: str = "full"
    """`measure_only`: values are kept and shown, nothing is judged; `communication_only`: no sensor is analysed."""
    version: int = 1


class Account(Table, table=True):
    """A member of staff."""

    __tablename__ = "account"
    __table_args__ = (one_of("role", "therapist", "team_manager", "admin", "auditor"), owned_by("web"))

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    email: str = Field(unique=True)
    """In lower case."""
    display_name: str
    password_hash: str | None = None
    role: str = "therapist"
    language: str = "da"
    totp_secret_sealed: bytes | None = maybe_sealed()
    totp_pending_sealed: bytes | None = maybe_sealed()
    """Shown, but no code of it was confirmed yet."""
    totp_last_step: int | None = None
    """The time step of the last code that was accepted: a code counts once."""
    disabled_at: datetime | None = maybe_moment()


class Team(Table, table=True):
    """Staff who share patients."""

    __tablename__ = "team"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    name: str
    ended_at: datetime | None = maybe_moment()


class TeamMembership(Table, table=True):
    """A member of staff belongs to a team during `[starts_at, ends_at)`."""

    __tablename__ = "team_membership"
    __table_args__ = (Index(None, "account_id", "team_id"), owned_by("web"))

    id: uuid.UUID = own_id()
    team_id: uuid.UUID = refers_to("team.id")
    account_id: uuid.UUID = refers_to("account.id", index=False)
    starts_at: datetime = moment()
    ends_at: datetime | None = maybe_moment()


class Substitution(Table, table=True):
    """A member of staff stands in for an absent one during `[starts_at, ends_at)`, for all patients in their care."""

    __tablename__ = "substitution"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    absent_account_id: uuid.UUID = refers_to("account.id")
    substitute_account_id: uuid.UUID = refers_to("account.id")
    starts_at: datetime = moment()
    ends_at: datetime = moment()
    created_by: uuid.UUID = refers_to("account.id", index=False)


class PatientImport(Table, table=True):
    """Patients who came together from one file, so that they can go together."""

    __tablename__ = "patient_import"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    account_id: uuid.UUID = refers_to("account.id", index=False)
    created_at: datetime = moment()
    row_count: int
    undone_at: datetime | None = maybe_moment()


class Patient(Table, table=True):
    """A person in rehabilitation; without its key the sealed columns say nothing any more."""

    __tablename__ = "patient"
    __table_args__ = (UniqueConstraint("organisation_id", "cpr_hash"), owned_by("web"))

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    language: str = "da"
    wrapped_key: bytes | None = maybe_sealed()
    """The patient's key, wrapped by the master key; none after erasure."""
    name_sealed: bytes | None = maybe_sealed()
    birth_date_sealed: bytes | None = maybe_sealed()
    """ISO 8601; none = unknown."""
    telephone_sealed: bytes | None = maybe_sealed()
    cpr_sealed: bytes | None = maybe_sealed()
    cpr_hash: str | None = None
    """Keyed hash, by which a CPR number is found."""
    protected_address_sealed: bytes | None = maybe_sealed()
    """`1` or `0`; none = unknown."""
    import_id: uuid.UUID | None = may_refer_to("patient_import.id")
    created_at: datetime | None = maybe_moment()
    ended_at: datetime | None = maybe_moment()
    """The course is over, or the import was undone: on no list any more."""


class CareRelation(Table, table=True):
    """A therapist, or a team, treats a patient during `[starts_at, ends_at)`."""

    __tablename__ = "care_relation"
    __table_args__ = (
        Index(None, "account_id", "patient_id"),
        CheckConstraint("(account_id IS NULL) <> (team_id IS NULL)", name="one_holder"),
        owned_by("web"),
    )

    id: uuid.UUID = own_id()
    account_id: uuid.UUID | None = may_refer_to("account.id", index=False)
    team_id: uuid.UUID | None = may_refer_to("team.id")
    patient_id: uuid.UUID = refers_to("patient.id")
    starts_at: datetime = moment()
    ends_at: datetime | None = maybe_moment()
    source: str = "assigned"
    created_by: uuid.UUID | None = may_refer_to("account.id", index=False)


class PatientGroup(Table, table=True):
    """Patients who train together."""

    __tablename__ = "patient_group"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    name: str
    account_id: uuid.UUID = refers_to("account.id")
    """The therapist who leads it."""
    ended_at: datetime | None = maybe_moment()


class GroupMembership(Table, table=True):
    """A patient belongs to a group during `[starts_at, ends_at)`."""

    __tablename__ = "group_membership"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    group_id: uuid.UUID = refers_to("patient_group.id")
    patient_id: uuid.UUID = refers_to("patient.id")
    starts_at: datetime = moment()
    ends_at: datetime | None = maybe_moment()


class Helper(Table, table=True):
    """A relative or volunteer who assists patients; enters with a passkey."""

    __tablename__ = "helper"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    organisation_id: uuid.UUID = refers_to("organisation.id")
    name_sealed: bytes = sealed()
    """Under the installation's key: a helper has no patient's key."""
    language: str = "da"
    created_at: datetime = moment()
    disabled_at: datetime | None = maybe_moment()


class HelperGrant(Table, table=True):
    """A patient's consent that a helper may do what the scopes say during `[starts_at, ends_at)`; invitation first."""

    __tablename__ = "helper_grant"
    __table_args__ = (Index(None, "helper_id", "patient_id"), owned_by("web"))

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    helper_id: uuid.UUID | None = may_refer_to("helper.id", index=False)
    """None until the invitation is accepted."""
    invited_name_sealed: bytes = sealed()
    """Under the patient's key."""
    scopes: list[str] = json_list()
    """Of `join`, `see_plan`, `see_results`, `train_for`."""
    starts_at: datetime = moment()
    ends_at: datetime = moment()
    consent_id: uuid.UUID | None = may_refer_to("consent.id", index=False)
    token_hash: str | None = Field(default=None, unique=True)
    token_expires_at: datetime | None = maybe_moment()
    accepted_at: datetime | None = maybe_moment()
    revoked_at: datetime | None = maybe_moment()
    created_by: uuid.UUID
    """The account or the tablet."""


class Consent(Table, table=True):
    """What a patient agreed to, how it was given and until when."""

    __tablename__ = "consent"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    kind: str
    """`helper`, `auto_answer`, `seen_by_group`, `assisted_start`, ..."""
    given_how: str
    """`on_tablet`, `spoken`, `on_paper`, `assisted_without_eid`."""
    given_at: datetime = moment()
    ends_at: datetime | None = maybe_moment()
    revoked_at: datetime | None = maybe_moment()
    recorded_by: uuid.UUID
    """The account or the tablet."""


class Referral(Table, table=True):
    """What the patient was referred to, with the dates that the law counts from."""

    __tablename__ = "referral"
    __table_args__ = owned_by("web")

    id: uuid.UUID = own_id()
    patient_id: uuid.UUID = refers_to("patient.id")
    kind: str = "general"
    """`general`, `general_advanced`, `specialised`, `rehabilitation`."""
    discharged_on: date | None = None
    received_on: date | None = None
    informed_on: date | None = None
    first_offered_on: date | None = None
    started_on: date | None = None
    stopped_on: date | None = None
    stop_reason: str | None = None
    note_sealed: bytes | None = maybe_sealed()
    created_by: uuid.UUID = refers_to("account.id", index=False)
    created_at: datetime = moment()
    retracted_at: datetime | None = maybe_moment()
    version: int = 1
