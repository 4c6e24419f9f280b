"""Live sessions: media owns them, so a new one is asked of media; here they are shown."""

import asyncio
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import Field

from telerehab.api.dependencies import CurrentReader, LiveSessions, Parts
from telerehab.api.models import Body, LiveSessionRead, LooseUuid, Title
from telerehab.api.parts import WebParts
from telerehab.auth.access import Scope
from telerehab.auth.policies import CARE, THERAPIST, declares
from telerehab.auth.reader import Reader
from telerehab.clock import utc_now
from telerehab.db.engine import reading
from telerehab.db.repositories.live_sessions import LiveSessionRepository, LiveSessionRows
from telerehab.db.repositories.patients import PatientRepository

router = APIRouter(prefix="/api/live-sessions", tags=["live sessions"])


class LiveSessionBody(Body):
    """A new live session."""

    title: Title
    patient_ids: Annotated[list[LooseUuid], Field(min_length=1, max_length=20)]


@router.post("", status_code=201, response_model=LiveSessionRead)
@declares(THERAPIST)
async def create_live_session(body: LiveSessionBody, reader: CurrentReader, parts: Parts) -> object:
    """Open a live session with a seat for each of the therapist's patients who are named."""
    patient_ids = list(dict.fromkeys(body.patient_ids))
    await asyncio.to_thread(_require_patients, parts, reader, patient_ids)
    assert reader.account_id is not None
    live_session_id = await parts.live_session_maker.create_live_session(  # media writes: no transaction is open here
        organisation_id=reader.organisation_id,
        therapist_account_id=reader.account_id,
        title=body.title,
        patient_ids=patient_ids,
    )
    rows = await asyncio.to_thread(_read, parts, reader, live_session_id)
    return _shown(rows, rows.patient_ids)


@router.get("", response_model=list[LiveSessionRead])
@declares(CARE)
def list_live_sessions(live_sessions: LiveSessions) -> object:
    """List the live sessions in which the reader has a seat, the newest first."""
    return [_shown(rows, live_sessions.known_patient_ids(rows)) for rows in live_sessions.list()]


@router.get("/{live_session_id}", response_model=LiveSessionRead)
@declares(CARE)
def get_live_session(live_session_id: UUID, live_sessions: LiveSessions) -> object:
    """Show one live session."""
    rows = live_sessions.get(live_session_id)
    return _shown(rows, live_sessions.known_patient_ids(rows))


def _require_patients(parts: WebParts, reader: Reader, patient_ids: list[UUID]) -> None:
    """Raise when the reader may not see one of the patients."""
    with reading(parts.database.main) as db:
        patients = PatientRepository(db, reader=reader, now=utc_now(parts.clock), key_ring=parts.key_ring)
        for patient_id in patient_ids:
            patients.require(patient_id, Scope.JOIN)


def _read(parts: WebParts, reader: Reader, live_session_id: UUID) -> LiveSessionRows:
    """Return a live session."""
    with reading(parts.database.main) as db:
        return LiveSessionRepository(db, reader=reader, now=utc_now(parts.clock)).get(live_session_id)


def _shown(rows: LiveSessionRows, patient_ids: Sequence[UUID]) -> LiveSessionRead:
    """Return what a page gets of a live session."""
    live_session = rows.live_session
    return LiveSessionRead(
        id=live_session.id,
        title=live_session.title,
        state=live_session.state,
        therapist_account_id=live_session.therapist_account_id,
        patient_ids=list(patient_ids),
        opened_at=live_session.opened_at,
        ended_at=live_session.ended_at,
        version=live_session.version,
    )
