"""Alerts, what somebody says follows from them, and whether a patient's training stands still."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body
from telerehab.api.plans import ManyLines
from telerehab.auth.access import Scope
from telerehab.auth.policies import CARE, TABLET, THERAPIST, declares
from telerehab.db.repositories.alerts import AlertRepository, OpenedAlert, StandingStop

router = APIRouter(prefix="/api", tags=["alerts"])

Action = Literal["may_continue", "ended", "called", "seen"]


def get_alerts(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> AlertRepository:
    """Return the alerts that the reader may see."""
    return AlertRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_alerts(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> AlertRepository:
    """Return the alerts that the reader may see, to say what follows from them."""
    return AlertRepository(db, reader=reader, now=now, key_ring=key_ring)


Alerts = Annotated[AlertRepository, Depends(get_alerts)]
WritableAlerts = Annotated[AlertRepository, Depends(get_writable_alerts)]


class AcknowledgementRead(Answer):
    """The last thing that was said about an alert; without a name where the patient confirmed it."""

    action: str
    account_name: str | None
    note: str | None
    at: datetime


class AlertRead(Answer):
    """An alert. `limit` is what `value` passed; both are null where there is no number."""

    id: UUID
    patient_id: UUID
    display_name: str | None
    birth_date: date | None
    training_session_id: UUID | None
    cause: str
    stream: str | None
    value: float | None
    limit: float | None
    began_at: datetime
    found_at: datetime
    is_stop: bool
    is_standing: bool
    needs_confirmation_by: str | None
    acknowledged: AcknowledgementRead | None


class StopRead(Answer):
    """Whether training stands still, why, whose word is missing; the patient may confirm what `alert_ids` names."""

    is_stopped: bool
    cause: str | None
    since: datetime | None
    needs_confirmation_by: Literal["therapist", "patient"] | None
    alert_ids: list[UUID]
    telephone: str | None


class AcknowledgeBody(Body):
    """What follows from an alert; `may_continue` alone lets a patient go on after a stop."""

    action: Action
    note: ManyLines | None = None


@router.get("/alerts", response_model=list[AlertRead])
@declares(THERAPIST)
def list_alerts(alerts: Alerts, is_open_only: Annotated[bool, Query(alias="open")] = True) -> object:
    """List the alerts of the therapist's patients, the newest first: what waits for somebody, or the last 30 days."""
    return [_read(alert) for alert in alerts.list(is_open_only=is_open_only)]


@router.post("/alerts/{alert_id}/acknowledge", response_model=AlertRead)
@declares(THERAPIST)
def acknowledge_alert(alert_id: UUID, body: AcknowledgeBody, alerts: WritableAlerts) -> object:
    """Say what follows from an alert."""
    return _read(alerts.acknowledge(alert_id, action=body.action, note=body.note))


@router.post("/alerts/{alert_id}/confirm", response_model=StopRead)
@declares(TABLET)
def confirm_stop(alert_id: UUID, alerts: WritableAlerts) -> object:
    """Confirm a stop as the patient, where that suffices; otherwise a conflict (`needs_therapist`)."""
    return read_stop(alerts.standing_stop(alerts.confirm(alert_id).row.patient_id))


@router.get("/patients/{patient_id}/stop", response_model=StopRead)
@declares(CARE, scope=Scope.TRAIN)
def get_stop(patient_id: UUID, alerts: Alerts) -> object:
    """Say whether a patient's training stands still."""
    return read_stop(alerts.standing_stop(patient_id))


def read_stop(standing: StandingStop) -> StopRead:
    """Return what a tablet hears of a stop."""
    needed = standing.stops.needs_confirmation_by
    return StopRead(
        is_stopped=bool(standing.stops.open_causes),
        cause=standing.cause,
        since=standing.since,
        needs_confirmation_by=None if needed is None else needed.value,
        alert_ids=list(standing.confirmable_ids),
        telephone=standing.telephone,
    )


def _read(alert: OpenedAlert) -> AlertRead:
    row, said = alert.row, alert.acknowledged
    return AlertRead(
        id=row.id,
        patient_id=row.patient_id,
        display_name=alert.identity.name,
        birth_date=alert.identity.birth_date,
        training_session_id=row.training_session_id,
        cause=row.cause,
        stream=row.data.get("stream"),
        value=row.value,
        limit=row.limit_value,
        began_at=row.began_at,
        found_at=row.found_at,
        is_stop=row.is_stop,
        is_standing=alert.is_standing,
        needs_confirmation_by=row.needs_confirmation_by,
        acknowledged=None
        if said is None
        else AcknowledgementRead(
            action=said.row.action, account_name=said.account_name, note=said.note, at=said.row.at
        ),
    )
