"""Who looked at a patient and who decided what; the patient reads the own, auditors read all of their organisation."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb
from telerehab.api.models import Answer
from telerehab.auth.access import Scope
from telerehab.auth.policies import AUDITOR, THERAPIST_OR_TABLET, declares
from telerehab.db.repositories.access_log import PAGE_MAX, AccessEntry, AccessLogRepository

router = APIRouter(prefix="/api", tags=["access log"])

Before = Annotated[int | None, Query(ge=0, le=2**62)]
Limit = Annotated[int, Query(ge=1, le=PAGE_MAX)]


def get_access_log(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> AccessLogRepository:
    """Return the part of the audit chain that the reader may read."""
    return AccessLogRepository(db, reader=reader, now=now, key_ring=key_ring)


AccessLog = Annotated[AccessLogRepository, Depends(get_access_log)]


class AccessEntryRead(Answer):
    """One thing that was done or refused; `action` and `reason_code` are words that pages translate."""

    sequence: int
    at: datetime
    action: str
    actor_role: str
    who: str | None
    allowed: bool
    reason_code: str | None


class AuditEntryRead(AccessEntryRead):
    """The same for an auditor, with the ids."""

    actor_id: UUID | None
    patient_id: UUID | None
    object: str | None
    on_behalf_of: str | None


@router.get("/patients/{patient_id}/access-log", response_model=list[AccessEntryRead])
@declares(THERAPIST_OR_TABLET, scope=Scope.INVITE)
def list_access(patient_id: UUID, access_log: AccessLog, before: Before = None, limit: Limit = PAGE_MAX) -> object:
    """List who looked at a patient and who decided what, the newest first; `before` goes on behind a sequence."""
    return [
        AccessEntryRead(
            sequence=entry.sequence,
            at=entry.at,
            action=entry.action,
            actor_role=entry.actor_role,
            who=entry.actor_name,
            allowed=entry.allowed,
            reason_code=entry.reason_code,
        )
        for entry in access_log.of_patient(patient_id, before=before, limit=limit)
    ]


@router.get("/audit", response_model=list[AuditEntryRead])
@declares(AUDITOR)
def list_audit(access_log: AccessLog, before: Before = None, limit: Limit = PAGE_MAX) -> object:
    """List the organisation's records, the newest first; `before` goes on behind a sequence."""
    return [_shown(entry) for entry in access_log.of_organisation(before=before, limit=limit)]


def _shown(entry: AccessEntry) -> AuditEntryRead:
    return AuditEntryRead(
        sequence=entry.sequence,
        at=entry.at,
        action=entry.action,
        actor_role=entry.actor_role,
        who=entry.actor_name,
        allowed=entry.allowed,
        reason_code=entry.reason_code,
        actor_id=entry.actor_id,
        patient_id=entry.patient_id,
        object=entry.object,
        on_behalf_of=entry.on_behalf_of,
    )
