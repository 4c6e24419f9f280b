"""Break-glass: looking at a patient who is not in one's care, and judging such looks."""

from datetime import date, datetime
from typing import Annotated, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import StringConstraints, model_validator

from telerehab.api.dependencies import CurrentReader, CurrentVisit, Keys, Logins, Now, ReadingDb, WritingDb
from telerehab.api.logins import Code
from telerehab.api.models import Answer, Body, LooseUuid
from telerehab.auth.policies import AUDITOR, THERAPIST, THERAPIST_OR_AUDITOR, declares
from telerehab.db.repositories.break_glass import BreakGlassRepository, BreakGlassRows, Outcome

router = APIRouter(prefix="/api/break-glass", tags=["break-glass"])

Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=10, max_length=1_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$"),
]
Cpr = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}-?[0-9]{4}$")]


def get_break_glass(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> BreakGlassRepository:
    """Return the looks that the reader takes, or reviews."""
    return BreakGlassRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_break_glass(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> BreakGlassRepository:
    """Return the looks that the reader takes, or reviews, to add to them."""
    return BreakGlassRepository(db, reader=reader, now=now, key_ring=key_ring)


Looks = Annotated[BreakGlassRepository, Depends(get_break_glass)]
WritableLooks = Annotated[BreakGlassRepository, Depends(get_writable_break_glass)]


class BreakGlassBody(Body):
    """Whom to look at, by id or CPR number, and why; a code where the login is older than five minutes."""

    patient_id: LooseUuid | None = None
    cpr: Cpr | None = None
    reason: Reason
    code: Code | None = None

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        """Refuse both or none."""
        if (self.patient_id is None) == (self.cpr is None):
            raise ValueError("say patient_id or cpr")
        return self


class ReviewBody(Body):
    """What an auditor thinks of it."""

    outcome: Outcome


class BreakGlassRead(Answer):
    """A look."""

    id: UUID
    patient_id: UUID
    account_id: UUID
    actor_name: str
    display_name: str | None
    """The patient's, only while this look runs and for the one who looks."""
    birth_date: date | None
    reason: str | None
    starts_at: datetime
    ends_at: datetime
    review_due_at: datetime
    reviewed_at: datetime | None
    outcome: Outcome | None


@router.post("", status_code=201, response_model=BreakGlassRead)
@declares(THERAPIST)
def break_glass(
    body: BreakGlassBody, looks: WritableLooks, reader: CurrentReader, logins: Logins, visit: CurrentVisit
) -> object:
    """See a patient for an hour, with a reason; the patient and the auditors are told."""
    if body.code is not None:
        logins.spend_code_attempt(reader=reader, visit=visit)
    cpr = None if body.cpr is None else body.cpr.replace("-", "")
    return _shown(looks.begin(patient_id=body.patient_id, cpr=cpr, reason=body.reason, code=body.code))


@router.get("", response_model=list[BreakGlassRead])
@declares(THERAPIST_OR_AUDITOR)
def list_looks(looks: Looks) -> object:
    """List what there is to review; for a therapist the own looks."""
    return [_shown(rows) for rows in looks.list()]


@router.post("/{break_glass_id}/review", response_model=BreakGlassRead)
@declares(AUDITOR)
def review_look(break_glass_id: UUID, body: ReviewBody, looks: WritableLooks) -> object:
    """Judge a look."""
    return _shown(looks.review(break_glass_id, body.outcome))


def _shown(rows: BreakGlassRows) -> BreakGlassRead:
    row, identity = rows.row, rows.identity
    return BreakGlassRead.model_validate(
        {
            "id": row.id,
            "patient_id": row.patient_id,
            "account_id": row.account_id,
            "actor_name": rows.actor_name,
            "display_name": None if identity is None else identity.name,
            "birth_date": None if identity is None else identity.birth_date,
            "reason": rows.reason,
            "starts_at": row.starts_at,
            "ends_at": row.ends_at,
            "review_due_at": rows.review_due_at,
            "reviewed_at": row.reviewed_at,
            "outcome": row.outcome,
        }
    )
