"""Rows about safety that two roles need: which limits hold, and how an alert is written exactly once.

Intake writes what sensors show, the web role what patients say. Both find the same row again after a restart, and a
second alert is never written beside one of the same cause that nobody has acknowledged.
"""

import logging
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists
from sqlmodel import Session, col, func, select

from telerehab.care.safety import Limits, LimitsError, SafetyEvent, alert_id, read_limits
from telerehab.care.stops import CONFIRMED_BY, Confirmer
from telerehab.clock import from_us
from telerehab.db.changes import note_change
from telerehab.db.tables import Alert, AlertAcknowledgement, Organisation, Patient, PlanVersion

log = logging.getLogger(__name__)

MAY_CONTINUE: Final = "may_continue"
SAME_EPISODE: Final = timedelta(seconds=30)
"""An onset this close to a stored one of the same cause is the same episode, seen again after a restart."""
TABLE: Final = "alert"


def store_event(
    db: Session,
    event: SafetyEvent,
    *,
    patient: Patient,
    training_session_id: UUID | None,
    found_by: str,
) -> Alert | None:
    """Write an alert; None where the same episode has one already, or an earlier one still waits for somebody.

    Sensors that fall silent together are one alert, which names the first.
    """
    row_id = alert_id(training_session_id or patient.id, event)
    began_at, found_at = from_us(event.onset_us), from_us(event.at_us)
    confirmed_at = (
        select(func.max(AlertAcknowledgement.at))
        .where(col(AlertAcknowledgement.alert_id) == col(Alert.id), col(AlertAcknowledgement.action) == MAY_CONTINUE)
        .scalar_subquery()
    )
    same = select(Alert, is_open(), confirmed_at).where(
        col(Alert.patient_id) == patient.id,
        col(Alert.training_session_id) == training_session_id,
        col(Alert.cause) == event.cause.value,
    )
    for row, is_waiting, row_confirmed_at in db.exec(same):
        is_near = abs(row.began_at - began_at) < SAME_EPISODE
        is_over = row.retracted_at is not None or (row_confirmed_at is not None and row_confirmed_at < found_at)
        if row.id == row_id or is_waiting or (is_near and not is_over):
            return None
    confirmer = CONFIRMED_BY[event.cause]
    alert = Alert(
        id=row_id,
        organisation_id=patient.organisation_id,
        patient_id=patient.id,
        training_session_id=training_session_id,
        cause=event.cause.value,
        value=event.value,
        limit_value=event.limit,
        is_stop=confirmer is not None,
        needs_confirmation_by=None if confirmer is None else confirmer.value,
        began_at=began_at,
        found_at=found_at,
        found_by=found_by,
        data={} if event.stream is None else {"stream": event.stream},
    )
    db.add(alert)
    db.flush()
    note_change(db, TABLE, alert.id, version=1)
    return alert


def is_open() -> ColumnElement[bool]:
    """Return the condition that nobody has acknowledged an alert, nor taken it back."""
    return is_not_retracted() & ~exists().where(col(AlertAcknowledgement.alert_id) == col(Alert.id))


def is_not_retracted() -> ColumnElement[bool]:
    """Return the condition that an alert is the patient's: whatever shows alerts asks for it."""
    return col(Alert.retracted_at).is_(None)


def is_standing_stop() -> ColumnElement[bool]:
    """Return the condition that an alert is a stop from which nobody has let the patient go on.

    What was entered in error for the wrong patient stops nobody.
    """
    confirmed = exists().where(
        col(AlertAcknowledgement.alert_id) == col(Alert.id), col(AlertAcknowledgement.action) == MAY_CONTINUE
    )
    return col(Alert.is_stop) & ~confirmed & is_not_retracted()


def read_limits_in_force(db: Session, trained_by: Mapping[UUID, UUID | None], *, now: datetime) -> dict[UUID, Limits]:
    """Return the limits that hold for patients now.

    Parameters
    ----------
    trained_by : mapping of UUID to UUID or None
        By patient: the plan version that is trained; None: the one that is in force on the organisation's day.
    """
    zones = dict(
        db.exec(
            select(Patient.id, Organisation.time_zone)
            .join(Organisation, col(Organisation.id) == col(Patient.organisation_id))
            .where(col(Patient.id).in_(list(trained_by)))
        ).all()
    )
    versions = db.exec(
        select(PlanVersion.id, PlanVersion.patient_id, col(PlanVersion.valid_from))
        .where(col(PlanVersion.patient_id).in_(list(trained_by)))
        .order_by(col(PlanVersion.number))
    )
    in_force: dict[UUID, UUID] = {}
    for version_id, patient_id, valid_from in versions:
        chosen = trained_by[patient_id]
        today = now.astimezone(ZoneInfo(zones[patient_id])).date()
        if version_id == chosen or (chosen is None and valid_from <= today):
            in_force[patient_id] = version_id
    statement = select(PlanVersion.id, PlanVersion.content).where(col(PlanVersion.id).in_(list(in_force.values())))
    limits = {version_id: _limits_of(version_id, content) for version_id, content in db.exec(statement)}
    return {
        patient_id: limits[in_force[patient_id]] if patient_id in in_force else Limits() for patient_id in trained_by
    }


def read_confirmations(db: Session, training_sessions: Collection[UUID]) -> dict[UUID, datetime]:
    """Return when a therapist last let a patient go on, of each training session in which that happened.

    Who takes back only their own stop says nothing of what sensors showed until then.
    """
    by_therapist = col(Alert.needs_confirmation_by) == Confirmer.THERAPIST.value
    return dict(_read_confirmations(db, training_sessions, by_therapist))


def read_confirmation_times(db: Session, training_session: UUID) -> list[datetime]:
    """Return every time at which somebody, also the patient, let the patient go on in a training session."""
    return [at for _, at in _read_confirmations(db, [training_session])]


def _read_confirmations(
    db: Session, training_sessions: Collection[UUID], *conditions: ColumnElement[bool]
) -> Iterator[tuple[UUID, datetime]]:
    """Yield training session and time of every word to go on, in order of time."""
    statement = (
        select(Alert.training_session_id, AlertAcknowledgement.at)
        .join(AlertAcknowledgement, col(AlertAcknowledgement.alert_id) == col(Alert.id))
        .where(
            col(Alert.training_session_id).in_(list(training_sessions)),
            col(AlertAcknowledgement.action) == MAY_CONTINUE,
            *conditions,
        )
        .order_by(col(AlertAcknowledgement.at))
    )
    for identifier, at in db.exec(statement):
        if identifier is not None:
            yield identifier, at


def _limits_of(version_id: UUID, content: Mapping[str, Any]) -> Limits:
    """Return the limits of a plan version; what cannot be read must not silence those that always hold."""
    try:
        return read_limits(content.get("limits", {}))
    except LimitsError:
        log.error("the limits of plan version %s make no sense: the usual ones hold", version_id)
        return Limits()
