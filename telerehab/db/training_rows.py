"""Rows of training that more than one way in needs: opening and closing, whoever or whatever asks for it.

A patient has at most one open training session: whoever opens one locks the patient's row first. A training session
that is closed ends its set.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import exists, func
from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from analytics.exercises import EXERCISES
from sessions.live_session import RUNNING
from sessions.participant import SEATED, ParticipantState
from telerehab.care.plans import PlanItem
from telerehab.clock import from_us
from telerehab.db.alert_rows import is_standing_stop
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.plans import read_content
from telerehab.db.tables import (
    Alert,
    Assignment,
    Device,
    LiveSession,
    Organisation,
    Participant,
    Patient,
    PlanVersion,
    Repetition,
    SelfReport,
    TrainingPause,
    TrainingSession,
    TrainingSet,
)

TABLE: Final = "training_session"
SUPERSEDED: Final = "superseded"
"""The next training session of the same patient was opened."""
NO_MOVEMENT: Final = "no_movement"
RETRACTED: Final = "retracted"
CLOSED_BY_US: Final = frozenset({SUPERSEDED, NO_MOVEMENT})
"""Nobody said so: what a tablet says later, when its line is back, still counts."""
NEXT: Final = "next"
"""Why a set ended when the next one was started."""
CLOSED: Final = "closed"
"""Why a set ended when its training session was closed."""
VIA_DEVICE: Final = "device"
IDLE_AFTER: Final = timedelta(minutes=20)
REST_AFTER_TRAINING: Final = timedelta(minutes=15)
"""So long after a training session a sensor opens no other one: it is being taken off and put away."""
_NO_SERVICE: Final = "communication_only"
_HERE: Final = SEATED | {ParticipantState.WAITING}
_EXPECTED: Final = _HERE | {ParticipantState.INVITED}


def open_sessions_of(db: Session, patient_id: UUID) -> Sequence[TrainingSession]:
    """Return the open training sessions of a patient."""
    return db.exec(
        select(TrainingSession).where(
            col(TrainingSession.patient_id) == patient_id, col(TrainingSession.closed_at).is_(None)
        )
    ).all()


def note_new_version(db: Session, row: TrainingSession) -> None:
    """Count a change of a training session and have it announced."""
    row.version += 1
    db.add(row)
    note_change(db, TABLE, row.id, version=row.version)


def end_training_session(db: Session, row: TrainingSession, *, reason: str, now: datetime) -> None:
    """Close an open training session, and the set that is trained."""
    running = None if row.training_set_id is None else db.get(TrainingSet, row.training_set_id)
    if running is not None and running.ended_at is None:
        running.ended_at, running.end_reason = max(now, running.started_at), CLOSED
        db.add(running)
    row.closed_at, row.close_reason = now, reason
    note_new_version(db, row)


def local_day(db: Session, patient_id: UUID, moment: datetime) -> date:
    """Return the day of a moment where the patient lives."""
    return moment.astimezone(zone_of(db, patient_id)).date()


def zone_of(db: Session, patient_id: UUID) -> ZoneInfo:
    """Return the time zone of the patient's organisation."""
    statement = select(Organisation.time_zone).join(Patient, col(Patient.organisation_id) == col(Organisation.id))
    return ZoneInfo(db.exec(statement.where(col(Patient.id) == patient_id)).one())


def find_plan_version(db: Session, patient_id: UUID, day: date) -> PlanVersion | None:
    """Return the version of a patient's plan that holds on a day."""
    statement = select(PlanVersion).where(col(PlanVersion.patient_id) == patient_id, col(PlanVersion.valid_from) <= day)
    return db.exec(statement.order_by(col(PlanVersion.number).desc()).limit(1)).first()


# --- opened by a sensor ---


def open_by_device(
    db: Session, assignment_id: UUID, *, training_session_id: UUID, now: datetime
) -> TrainingSession | None:
    """Open a training session for the patient who has put this sensor on.

    None where there is no reason to: the sensor is lent no more, the patient trains already, has just trained, sits in
    or is expected in a live session (the therapist opens there), must not train before somebody confirms a stop, or has
    no exercise to train today.
    """
    assignment = db.get(Assignment, assignment_id)
    if assignment is None or not assignment.starts_at <= now < (assignment.ends_at or now + IDLE_AFTER):
        return None
    patient_id = assignment.patient_id
    lock_patient(db, patient_id)
    if not _may_open_by_device(db, patient_id, now=now):
        return None
    day = local_day(db, patient_id, now)
    version = find_plan_version(db, patient_id, day)
    items = () if version is None else read_content(version).items_on(day)
    if version is None or not items:
        return None
    item = _first_shown(items, _worn_sites(db, patient_id, now=now))
    kit_id = db.exec(select(Device.kit_id).where(col(Device.name) == assignment.device_name)).first()
    row = TrainingSession(
        id=training_session_id,
        patient_id=patient_id,
        plan_version_id=version.id,
        exercise=item.exercise,
        side=item.side,
        target_low_deg=item.target_low_deg,
        target_high_deg=item.target_high_deg,
        target_repetitions=item.repetitions,
        opened_at=now,
        opened_by=kit_id or assignment.id,
        opened_via=VIA_DEVICE,
    )
    db.add(row)
    note_change(db, TABLE, row.id, version=row.version)
    return row


def _may_open_by_device(db: Session, patient_id: UUID, *, now: datetime) -> bool:
    today = local_day(db, patient_id, now)
    hindrances = (
        exists().where(
            col(TrainingSession.patient_id) == patient_id,
            or_(col(TrainingSession.closed_at).is_(None), col(TrainingSession.closed_at) > now - REST_AFTER_TRAINING),
        ),
        exists().where(
            col(Patient.id) == patient_id,
            or_(
                col(Patient.ended_at).is_not(None),
                col(Patient.organisation_id).in_(
                    select(Organisation.id).where(col(Organisation.service) == _NO_SERVICE)
                ),
            ),
        ),
        exists().where(
            col(TrainingPause.patient_id) == patient_id,
            col(TrainingPause.withdrawn_at).is_(None),
            col(TrainingPause.starts_on) <= today,
            or_(col(TrainingPause.ends_on).is_(None), col(TrainingPause.ends_on) >= today),
        ),
        exists().where(col(Alert.patient_id) == patient_id, is_standing_stop()),
        col(Patient.id).in_(_in_live_sessions(_EXPECTED)),
    )
    return db.exec(select(Patient.id).where(col(Patient.id) == patient_id, or_(*hindrances))).first() is None


def _worn_sites(db: Session, patient_id: UUID, *, now: datetime) -> Collection[str]:
    """Return where the patient wears sensors now."""
    statement = select(Assignment.body_site).where(
        col(Assignment.patient_id) == patient_id,
        col(Assignment.starts_at) <= now,
        or_(col(Assignment.ends_at).is_(None), col(Assignment.ends_at) > now),
    )
    return {site for site in db.exec(statement) if site is not None}


def _first_shown(items: Sequence[PlanItem], sites: Collection[str]) -> PlanItem:
    """Return the first exercise that the worn sensors show, else the first one."""
    return next((item for item in items if _is_shown(item, sites)), items[0])


def _is_shown(item: PlanItem, sites: Collection[str]) -> bool:
    exercise = EXERCISES[item.exercise]
    needed = [exercise.distal_site, *([exercise.proximal_site] if exercise.needs_both_sensors else [])]
    return exercise.is_measurable and all({site, f"{site}_{item.side}"} & set(sites) for site in needed)


# --- closed because nobody moves ---


def close_idle(db: Session, *, moved_at: Mapping[UUID, datetime], now: datetime) -> Sequence[TrainingSession]:
    """Close the training sessions in which nothing has moved for `IDLE_AFTER`, none of a patient in a live session.

    Parameters
    ----------
    moved_at : mapping of UUID to datetime
        When the live analysis last saw movement, where it did.

    Repetitions, sets and what the patient said count as movement. Of several processes that do this at once, each
    training session is closed by one.
    """
    # A patient whose training is being written right now is not idle; whoever wrote before our lock is seen after it.
    seemed_idle = find_idle(db, moved_at=moved_at, now=now)
    theirs = select(TrainingSession.patient_id).where(col(TrainingSession.id).in_(seemed_idle))
    locked = db.exec(
        select(Patient.id)
        .where(col(Patient.id).in_(theirs))
        .order_by(col(Patient.id))
        .with_for_update(skip_locked=True)
    ).all()
    rows = db.exec(
        select(TrainingSession)
        .where(
            col(TrainingSession.id).in_(find_idle(db, moved_at=moved_at, now=now)),
            col(TrainingSession.patient_id).in_(locked),
            col(TrainingSession.closed_at).is_(None),
        )
        .order_by(col(TrainingSession.id))
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        end_training_session(db, row, reason=NO_MOVEMENT, now=now)
    return rows


def find_idle(db: Session, *, moved_at: Mapping[UUID, datetime], now: datetime) -> Collection[UUID]:
    """Return the open training sessions in which nothing has moved; as `close_idle`, without closing them."""
    opened = db.exec(
        select(TrainingSession.id, TrainingSession.opened_at).where(
            col(TrainingSession.closed_at).is_(None),
            col(TrainingSession.opened_at) <= now - IDLE_AFTER,
            col(TrainingSession.patient_id).not_in(_in_live_sessions(_HERE)),
        )
    ).all()
    last = dict(opened)
    for training_session, at in (*_last_signs(db, tuple(last)), *moved_at.items()):
        if at is not None and training_session in last:
            last[training_session] = max(last[training_session], at)
    return {training_session for training_session, at in last.items() if now - at >= IDLE_AFTER}


def _last_signs(db: Session, training_sessions: Sequence[UUID]) -> list[tuple[UUID, datetime | None]]:
    """Return when sets, repetitions and reports of training sessions were last written."""
    if not training_sessions:
        return []
    found: list[tuple[UUID, datetime | None]] = []
    for of_session, at in (
        (TrainingSet.training_session_id, TrainingSet.started_at),
        (TrainingSet.training_session_id, TrainingSet.ended_at),
        (SelfReport.training_session_id, SelfReport.at),
    ):
        statement = (
            select(of_session, func.max(at)).where(col(of_session).in_(training_sessions)).group_by(col(of_session))
        )
        found += [(identifier, last) for identifier, last in db.exec(statement) if identifier is not None]
    moved = select(Repetition.training_session_id, func.max(Repetition.stop_us)).where(
        col(Repetition.training_session_id).in_(training_sessions)
    )
    found += [
        (identifier, from_us(stop_us))
        for identifier, stop_us in db.exec(moved.group_by(col(Repetition.training_session_id)))
    ]
    return found


def _in_live_sessions(states: Collection[ParticipantState]) -> SelectOfScalar[Any]:
    """Return the patients whose seat in a live session that runs is in one of these states, as a subquery."""
    return (
        select(Participant.patient_id)
        .join(LiveSession, col(LiveSession.id) == col(Participant.live_session_id))
        .where(
            col(Participant.patient_id).is_not(None),
            col(Participant.state).in_([state.value for state in states]),
            col(LiveSession.state).in_([state.value for state in RUNNING]),
        )
    )
