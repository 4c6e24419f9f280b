"""All of a therapist's patients on one page, those in need on top."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic_core import to_json
from starlette.responses import Response

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb
from telerehab.api.models import Answer
from telerehab.auth.policies import THERAPIST, declares
from telerehab.care.triage import Triaged
from telerehab.db.flag_rows import read_since
from telerehab.db.repositories.caseload import CaseloadFlag, CaseloadPatient, CaseloadRepository, Summary

router = APIRouter(prefix="/api/caseload", tags=["caseload"])


def get_caseload(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> CaseloadRepository:
    """Return the reader's caseload."""
    return CaseloadRepository(db, reader=reader, now=now, key_ring=key_ring)


Caseload = Annotated[CaseloadRepository, Depends(get_caseload)]


class CaseloadFlagRead(Answer):
    """A flag that stands."""

    id: UUID
    rule: str
    state: str
    severity: int
    value: float | None
    threshold: float | None
    unit: str | None
    since: date
    suggested_action: str
    exercise: str | None
    side: str | None
    version: int


class AdherenceSummary(Answer):
    """The last two weeks: what each day was, one after the other."""

    last_day: date
    statuses: list[str]
    """Of the days up to `last_day`; empty: nothing was planned yet."""
    completeness: float | None
    """Done sets over prescribed sets; null = unknown."""


class CaseloadPatientRead(Answer):
    """One patient; `rank_reason` is what they need most, since `rank_since`."""

    id: UUID
    display_name: str | None
    birth_date: date | None
    rank_reason: str
    rank_since: datetime | None
    flags: list[CaseloadFlagRead]
    open_alerts: int
    open_help_call: UUID | None
    unread_messages: int
    adherence: AdherenceSummary | None
    last_training_at: datetime | None
    pain_last: int | None
    counted_at: datetime | None
    """When adherence, last training and last pain were counted; null: not yet."""


class CaseloadRead(Answer):
    """The patients, the greatest need first."""

    patients: list[CaseloadPatientRead]
    counted_at: datetime | None
    """The oldest count of all."""


@router.get("", response_model=CaseloadRead)
@declares(THERAPIST)
def get_caseload_page(caseload: Caseload) -> Response:
    """List all patients in the reader's care, the greatest need first."""
    patients = caseload.list()
    counted = [each.summary.counted_at for _, each in patients if each.summary is not None]
    page = {"patients": [_read(triaged, each) for triaged, each in patients], "counted_at": min(counted, default=None)}
    # Written at once: an object for each day of each patient would cost more than all the queries.
    return Response(to_json(page), media_type="application/json")


def _read(triaged: Triaged, each: CaseloadPatient) -> dict[str, Any]:
    """Return a `CaseloadPatientRead`, unchecked."""
    summary, waits = each.summary, each.waits
    return {
        "id": each.identity.patient_id,
        "display_name": each.identity.name,
        "birth_date": each.identity.birth_date,
        "rank_reason": triaged.need.name.lower(),
        "rank_since": triaged.since,
        "flags": [_read_flag(flag) for flag in each.flags],
        "open_alerts": len(waits.alerts),
        "open_help_call": next(iter(waits.help_call_ids), None),
        "unread_messages": len(waits.messages),
        "adherence": None if summary is None else _read_adherence(summary),
        "last_training_at": None if summary is None else summary.last_training_at,
        "pain_last": None if summary is None else summary.pain_last,
        "counted_at": None if summary is None else summary.counted_at,
    }


def _read_flag(each: CaseloadFlag) -> dict[str, Any]:
    flag = each.flag
    return {
        "id": flag.id,
        "rule": flag.rule,
        "state": each.state.value,
        "severity": flag.severity,
        "value": flag.value,
        "threshold": flag.threshold,
        "unit": flag.unit,
        "since": read_since(flag.since, flag.first_day),
        "suggested_action": flag.suggested_action,
        "exercise": flag.exercise,
        "side": flag.side,
        "version": flag.version,
    }


def _read_adherence(summary: Summary) -> dict[str, Any]:
    return {
        "last_day": summary.day,
        "statuses": summary.data.get("statuses", []),
        "completeness": summary.completeness,
    }
