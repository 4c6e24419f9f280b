"""Flags: what rules noticed, the raw data behind it, and what somebody did about it."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from pydantic import Field, StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body
from telerehab.auth.policies import THERAPIST, declares
from telerehab.care.flags import FlagState, MarkKind
from telerehab.db.flag_rows import read_evidence, read_since
from telerehab.db.repositories.flags import FlagDetail, FlagRepository, FlagRows

router = APIRouter(prefix="/api", tags=["flags"])


def get_flags(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> FlagRepository:
    """Return the flags that the reader may see."""
    return FlagRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_flags(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> FlagRepository:
    """Return the flags that the reader may see, to take them up."""
    return FlagRepository(db, reader=reader, now=now, key_ring=key_ring)


Flags = Annotated[FlagRepository, Depends(get_flags)]
WritableFlags = Annotated[FlagRepository, Depends(get_writable_flags)]
StateWord = Literal["open", "acknowledged", "resolved", "ended", "standing"]
Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]


class FlagRead(Answer):
    """A flag; `rule` and `suggested_action` are words that pages have sentences for."""

    id: UUID
    patient_id: UUID
    display_name: str | None
    birth_date: date | None
    rule: str
    cause: str
    state: str
    severity: int
    value: float | None
    threshold: float | None
    unit: str | None
    since: date
    opened_at: datetime
    updated_at: datetime
    ended_at: datetime | None
    suggested_action: str
    exercise: str | None
    side: str | None
    version: int


class EvidenceRead(Answer):
    """One raw value behind a flag."""

    source: str
    id: str
    day: date
    value: float


class FlagActionRead(Answer):
    """What somebody did with a flag."""

    id: UUID
    action: str
    at: datetime
    display_name: str
    note: str | None
    flag_version: int


class FlagDetailRead(FlagRead):
    """A flag with the raw data behind it and its history."""

    evidence: list[EvidenceRead]
    actions: list[FlagActionRead]


class NewFlagAction(Body):
    """What the reader does with a flag; `version` is the one that was looked at."""

    action: Literal["acknowledged", "resolved"]
    note: Note | None = None
    version: Annotated[int, Field(ge=1, le=1_000_000)] | None = None


@router.get("/flags", response_model=list[FlagRead])
@declares(THERAPIST)
def list_flags(flags: Flags, state: Annotated[StateWord, Query()] = "standing") -> object:
    """List the flags of the reader's patients, the gravest first; `standing` are the open and acknowledged ones."""
    states = [FlagState.OPEN, FlagState.ACKNOWLEDGED] if state == "standing" else [FlagState(state)]
    return [_read(rows) for rows in flags.list(states)]


@router.get("/flags/{flag_id}", response_model=FlagDetailRead)
@declares(THERAPIST)
def get_flag(flag_id: UUID, flags: Flags) -> object:
    """Show a flag with the raw data behind it and its history."""
    return _read_detail(flags.get(flag_id))


@router.post("/flags/{flag_id}/actions", response_model=FlagDetailRead)
@declares(THERAPIST)
def act_on_flag(flag_id: UUID, body: NewFlagAction, flags: WritableFlags) -> object:
    """Acknowledge or resolve a flag."""
    return _read_detail(flags.act(flag_id, MarkKind(body.action), note=body.note, version=body.version))


def _read(rows: FlagRows) -> FlagRead:
    flag = rows.flag
    return FlagRead(
        id=flag.id,
        patient_id=flag.patient_id,
        display_name=rows.identity.name,
        birth_date=rows.identity.birth_date,
        rule=flag.rule,
        cause=flag.cause,
        state=rows.state.value,
        severity=flag.severity,
        value=flag.value,
        threshold=flag.threshold,
        unit=flag.unit,
        since=read_since(flag.since, flag.data.get("since")),
        opened_at=flag.opened_at,
        updated_at=flag.updated_at,
        ended_at=flag.ended_at,
        suggested_action=flag.suggested_action,
        exercise=flag.data.get("exercise"),
        side=flag.data.get("side"),
        version=flag.version,
    )


def _read_detail(detail: FlagDetail) -> FlagDetailRead:
    return FlagDetailRead(
        **_read(detail.rows).model_dump(),
        evidence=[
            EvidenceRead(source=each.source, id=each.id, day=each.day, value=each.value)
            for each in read_evidence(detail.rows.flag.data)
        ],
        actions=[
            FlagActionRead(
                id=opened.action.id,
                action=opened.action.action,
                at=opened.action.at,
                display_name=opened.name,
                note=opened.note,
                flag_version=opened.action.flag_version,
            )
            for opened in detail.actions
        ],
    )
