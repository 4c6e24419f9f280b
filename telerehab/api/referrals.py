"""Referrals and the clock that the law runs."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseDay, LooseUuid
from telerehab.api.organisations import Version
from telerehab.auth.policies import THERAPIST, THERAPIST_OR_TABLET, declares
from telerehab.db.repositories.referrals import ReferralRepository, ReferralWish

router = APIRouter(prefix="/api", tags=["referrals"])

Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]
StopReason = Annotated[str, StringConstraints(max_length=64, pattern=r"^[a-z_]+$")]


def get_referrals(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> ReferralRepository:
    """Return the referrals that the reader may see."""
    return ReferralRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_referrals(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> ReferralRepository:
    """Return the referrals that the reader may see, to change them."""
    return ReferralRepository(db, reader=reader, now=now, key_ring=key_ring)


Referrals = Annotated[ReferralRepository, Depends(get_referrals)]
WritableReferrals = Annotated[ReferralRepository, Depends(get_writable_referrals)]


class ReferralBody(Body):
    """What a referral says."""

    kind: Literal["general", "general_advanced", "specialised", "rehabilitation"] = "general"
    discharged_on: LooseDay | None = None
    received_on: LooseDay | None = None
    informed_on: LooseDay | None = None
    first_offered_on: LooseDay | None = None
    started_on: LooseDay | None = None
    stopped_on: LooseDay | None = None
    stop_reason: StopReason | None = None
    note: Note | None = None

    def wish(self) -> ReferralWish:
        """Return the wish."""
        return ReferralWish(**{name: getattr(self, name) for name in ReferralBody.model_fields})


class NewReferralBody(ReferralBody):
    """A new referral."""

    id: LooseUuid | None = None


class ChangedReferralBody(ReferralBody):
    """A changed referral; `version` is the one that the page showed."""

    version: Version


class DeadlineRead(Answer):
    """A deadline: `last_day` still counts."""

    state: str
    last_day: date | None
    days_left: int | None
    days_late: int | None


class ClockRead(Answer):
    """The two deadlines of a referral: to begin, and to tell the patient."""

    start: DeadlineRead
    inform: DeadlineRead
    stop_reason: str | None
    has_free_choice: bool | None


class ReferralSummaryRead(Answer):
    """A referral in short."""

    id: UUID
    kind: str
    discharged_on: date | None
    started_on: date | None
    stopped_on: date | None
    clock: ClockRead


class ReferralRead(ReferralSummaryRead):
    """A referral."""

    patient_id: UUID
    received_on: date | None
    informed_on: date | None
    first_offered_on: date | None
    stop_reason: str | None
    note: str | None
    created_at: datetime
    version: int


@router.get("/patients/{patient_id}/referrals", response_model=list[ReferralRead])
@declares(THERAPIST_OR_TABLET)
def list_referrals(patient_id: UUID, referrals: Referrals) -> object:
    """List a patient's referrals, the newest first."""
    return referrals.of(patient_id)


@router.post("/patients/{patient_id}/referrals", status_code=201, response_model=ReferralRead)
@declares(THERAPIST)
def create_referral(patient_id: UUID, body: NewReferralBody, referrals: WritableReferrals) -> object:
    """Write a referral down."""
    return referrals.create(patient_id, body.wish(), referral_id=body.id)


@router.put("/referrals/{referral_id}", response_model=ReferralRead)
@declares(THERAPIST)
def put_referral(referral_id: UUID, body: ChangedReferralBody, referrals: WritableReferrals) -> object:
    """Change a referral."""
    return referrals.change(referral_id, body.wish(), version=body.version)
