"""The job that reminds patients: appointments, training days, questionnaires, as notices on their tablets."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Final
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from telerehab.care.adherence import DayStatus
from telerehab.care.questionnaires import Schedule, find_open_due_date
from telerehab.care.reminders import Appointment, DueQuestionnaire, Reminder, ReminderFacts, due_reminders
from telerehab.db.engine import Database, reading, writing
from telerehab.db.repositories.notices import put_notice, to_patient
from telerehab.db.tables import Appointment as AppointmentRow
from telerehab.db.tables import GroupMembership, QuestionnaireResponse, QuestionnaireSchedule, TrainingSession
from telerehab.jobs.people import PersonInCourse, Prescribed, group_by_patient, read_people, read_prescribed

OWNER: Final = "jobs"
AHEAD: Final = timedelta(days=2)
"""Appointments further away are not looked at."""
AT_ONCE: Final = 200
"""Reminders of one transaction: of thousands in the evening, the web role's writers do not wait for all."""
NOBODY: Final = Prescribed(versions=(), pauses=())


def remind_all(database: Database, now: datetime) -> None:
    """Tell every patient what is due; twice a day of one cause it is told once."""
    with reading(database.main) as db:
        due = _read_due(db, now)
    for start in range(0, len(due), AT_ONCE):
        with writing(database.main, owner=OWNER) as db:
            for person, reminder in due[start : start + AT_ONCE]:
                _tell(db, person, reminder, now=now)


def _tell(db: Session, person: PersonInCourse, reminder: Reminder, *, now: datetime) -> None:
    put_notice(
        db,
        organisation_id=person.organisation_id,
        recipient=to_patient(person.patient_id),
        kind=f"reminder.{reminder.kind.value}",
        cause=reminder.cause_key,
        day=reminder.day,
        now=now,
        patient_id=person.patient_id,
        data={} if reminder.at is None else {"at": reminder.at.isoformat()},
    )


def _read_due(db: Session, now: datetime) -> list[tuple[PersonInCourse, Reminder]]:
    """Return what is due now, of everybody, in a constant number of queries."""
    people = read_people(db)
    prescribed = read_prescribed(db)
    appointments = _read_appointments(db, now)
    schedules = group_by_patient(db, QuestionnaireSchedule, None, col(QuestionnaireSchedule.ended_at).is_(None))
    answered = _read_answered(db)
    trained_at = _read_trained_at(db, now)
    due = []
    for person in people:
        today = person.day_of(now)
        facts = ReminderFacts(
            appointments=tuple(appointments.get(person.patient_id, ())),
            questionnaires=tuple(_open_questionnaires(schedules.get(person.patient_id, ()), answered, today, person)),
            trains_today=_trains_on(today, prescribed.get(person.patient_id, NOBODY)),
            has_trained_today=any(person.day_of(at) == today for at in trained_at.get(person.patient_id, ())),
        )
        due += [(person, reminder) for reminder in due_reminders(facts, now=now, zone=person.zone)]
    return due


def _trains_on(today: date, prescribed: Prescribed) -> bool:
    """Return whether the plan asks for training today, and no pause covers the day."""
    (day,) = prescribed.days((), first_day=today, stop_day=today + timedelta(days=1), today=today)
    return day.status is DayStatus.OPEN


def _read_appointments(db: Session, now: datetime) -> Mapping[UUID, list[Appointment]]:
    """Return the appointments of the next days, of patients and of the groups that they belong to then."""
    soon = (
        (col(AppointmentRow.state) == "planned")
        & (col(AppointmentRow.starts_at) >= now)
        & (col(AppointmentRow.starts_at) < now + AHEAD)
    )
    own = sa.select(col(AppointmentRow.patient_id), col(AppointmentRow.id), col(AppointmentRow.starts_at)).where(
        soon, col(AppointmentRow.patient_id).is_not(None)
    )
    of_groups = (
        sa.select(col(GroupMembership.patient_id), col(AppointmentRow.id), col(AppointmentRow.starts_at))
        .join(GroupMembership, col(GroupMembership.group_id) == col(AppointmentRow.group_id))
        .where(
            soon,
            col(GroupMembership.starts_at) <= col(AppointmentRow.starts_at),
            sa.or_(
                col(GroupMembership.ends_at).is_(None),
                col(GroupMembership.ends_at) > col(AppointmentRow.starts_at),
            ),
        )
    )
    found: dict[UUID, list[Appointment]] = {}
    for statement in (own, of_groups):
        for patient_id, appointment_id, starts_at in db.execute(statement):
            found.setdefault(patient_id, []).append(Appointment(id=str(appointment_id), starts_at=starts_at))
    return found


def _read_answered(db: Session) -> Mapping[UUID, list[datetime]]:
    """Return when each schedule was answered."""
    statement = sa.select(col(QuestionnaireResponse.schedule_id), col(QuestionnaireResponse.answered_at)).where(
        col(QuestionnaireResponse.schedule_id).is_not(None), col(QuestionnaireResponse.retracted_at).is_(None)
    )
    answered: dict[UUID, list[datetime]] = {}
    for schedule_id, answered_at in db.execute(statement):
        answered.setdefault(schedule_id, []).append(answered_at)
    return answered


def _open_questionnaires(
    schedules: Iterable[QuestionnaireSchedule],
    answered: Mapping[UUID, list[datetime]],
    today: date,
    person: PersonInCourse,
) -> Iterable[DueQuestionnaire]:
    """Return the questionnaires that are due and not answered."""
    for row in schedules:
        due_on = find_open_due_date(
            Schedule(first_day=row.first_on, every_days=row.every_days, until=row.until),
            answered_on=[person.day_of(at) for at in answered.get(row.id, ())],
            today=today,
        )
        if due_on is not None:
            yield DueQuestionnaire(id=str(row.id), due_on=due_on)


def _read_trained_at(db: Session, now: datetime) -> Mapping[UUID, list[datetime]]:
    """Return when training sessions were opened since yesterday, by patient."""
    since = datetime.combine(now.date() - timedelta(days=1), time(), now.tzinfo)
    statement = select(TrainingSession.patient_id, TrainingSession.opened_at).where(
        col(TrainingSession.opened_at) >= since, col(TrainingSession.retracted_at).is_(None)
    )
    trained: dict[UUID, list[datetime]] = {}
    for patient_id, opened_at in db.exec(statement):
        trained.setdefault(patient_id, []).append(opened_at)
    return trained
