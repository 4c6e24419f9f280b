"""A patient's record: its head, identity, looks that need a reason, and who treats the patient."""

from datetime import date, datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseMoment, LooseUuid
from telerehab.api.patients import Cpr, IdentityBody, PatientRecords, WritablePatientRecords
from telerehab.api.referrals import Referrals, ReferralSummaryRead
from telerehab.auth.access import Scope
from telerehab.auth.policies import TEAM_MANAGER, THERAPIST_OR_MANAGER, declares
from telerehab.db.repositories.care_relations import CareRelationRepository
from telerehab.db.repositories.patient_records import Secret

router = APIRouter(prefix="/api", tags=["patients"])

LookReason = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500, pattern=r"^[^\x00]*$")
]


def get_care_relations(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> CareRelationRepository:
    """Return who treats the patients whom the reader may see."""
    return CareRelationRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_care_relations(
    db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> CareRelationRepository:
    """Return who treats the patients whom the reader may see, to change it."""
    return CareRelationRepository(db, reader=reader, now=now, key_ring=key_ring)


CareRelations = Annotated[CareRelationRepository, Depends(get_care_relations)]
WritableCareRelations = Annotated[CareRelationRepository, Depends(get_writable_care_relations)]


class CareRead(Answer):
    """Who treats a patient: a therapist or a team."""

    id: UUID
    account_id: UUID | None
    team_id: UUID | None
    display_name: str
    starts_at: datetime
    ends_at: datetime | None
    source: str


class RecordHeadRead(Answer):
    """The head of a record; `scopes` says what the reader may do with the patient."""

    id: UUID
    display_name: str | None
    birth_date: date | None
    language: str
    telephone: str | None
    has_cpr: bool
    has_address_mark: bool
    created_at: datetime | None
    ended_at: datetime | None
    care: list[CareRead]
    tablets_count: int
    devices_count: int
    scopes: list[str]


class ShownHeadRead(RecordHeadRead):
    """A head with the latest referral, for those who may see it."""

    referral: ReferralSummaryRead | None = None


class RevealBody(Body):
    """What shall be shown, and why."""

    what: Secret
    reason: LookReason


class RevealRead(Answer):
    """The CPR number, or whether the address is protected; null = nobody knows."""

    value: str | bool | None


class FindBody(Body):
    """The CPR number of whoever is looked for."""

    cpr: Cpr


class FoundRead(Answer):
    """A patient of the organisation: no more than that there is one."""

    id: UUID
    is_ended: bool


class HolderBody(Body):
    """A therapist or a team."""

    therapist_id: LooseUuid | None = None
    team_id: LooseUuid | None = None


class CareBody(HolderBody):
    """Who shall treat a patient, from when to when."""

    id: LooseUuid | None = None
    starts_at: LooseMoment | None = None
    ends_at: LooseMoment | None = None


@router.post("/patients/find", response_model=list[FoundRead])
@declares(THERAPIST_OR_MANAGER)
def find_patient(body: FindBody, records: WritablePatientRecords) -> object:
    """Find a patient of the organisation by CPR number; every question is recorded."""
    return [FoundRead(id=found.id, is_ended=found.ended_at is not None) for found in records.find(body.cpr)]


@router.get("/patients/{patient_id}", response_model=ShownHeadRead)
@declares(THERAPIST_OR_MANAGER)
def get_patient_record(patient_id: UUID, records: PatientRecords, referrals: Referrals) -> object:
    """Show the head of a patient's record."""
    head = RecordHeadRead.model_validate(records.head(patient_id))
    may_see = Scope.SEE_RESULTS.value in head.scopes
    latest = referrals.latest(patient_id) if may_see else None
    return ShownHeadRead(**dict(head), referral=None if latest is None else ReferralSummaryRead.model_validate(latest))


@router.put("/patients/{patient_id}/identity", response_model=RecordHeadRead)
@declares(THERAPIST_OR_MANAGER)
def put_identity(patient_id: UUID, body: IdentityBody, records: WritablePatientRecords) -> object:
    """Change who a patient is."""
    kept: list[Secret] = []
    if "cpr" not in body.model_fields_set:
        kept.append("cpr")
    if "has_protected_address" not in body.model_fields_set:
        kept.append("protected_address")
    return records.change_identity(patient_id, body.wish(), kept=kept)


@router.post("/patients/{patient_id}/reveal", response_model=RevealRead)
@declares(THERAPIST_OR_MANAGER)
def reveal(patient_id: UUID, body: RevealBody, records: WritablePatientRecords) -> object:
    """Show what is hidden, with a reason; every look is recorded."""
    return RevealRead(value=records.reveal(patient_id, body.what, reason=body.reason))


@router.post("/patients/{patient_id}/end", status_code=204)
@declares(THERAPIST_OR_MANAGER)
def end_course(patient_id: UUID, records: WritablePatientRecords) -> None:
    """End a patient's course: care, lent devices, groups and coming appointments end now."""
    records.end_course(patient_id)


@router.post("/patients/{patient_id}/reopen", response_model=RecordHeadRead)
@declares(TEAM_MANAGER)
def reopen_course(patient_id: UUID, body: HolderBody, records: WritablePatientRecords) -> object:
    """Begin a new course of a patient whose last one is over."""
    return records.reopen(patient_id, therapist_id=body.therapist_id, team_id=body.team_id)


@router.get("/patients/{patient_id}/care-relations", response_model=list[CareRead])
@declares(THERAPIST_OR_MANAGER)
def list_care_relations(patient_id: UUID, relations: CareRelations) -> object:
    """List who treats a patient, has treated and will."""
    return relations.of(patient_id)


@router.post("/patients/{patient_id}/care-relations", status_code=201, response_model=CareRead)
@declares(THERAPIST_OR_MANAGER)
def create_care_relation(patient_id: UUID, body: CareBody, relations: WritableCareRelations) -> object:
    """Let a therapist or a team treat a patient."""
    return relations.create(
        patient_id,
        relation_id=body.id,
        therapist_id=body.therapist_id,
        team_id=body.team_id,
        starts_at=body.starts_at,
        ends_at=body.ends_at,
    )


@router.delete("/care-relations/{relation_id}", status_code=204)
@declares(THERAPIST_OR_MANAGER)
def end_care_relation(relation_id: UUID, relations: WritableCareRelations) -> None:
    """End a care relation now."""
    relations.end(relation_id)
