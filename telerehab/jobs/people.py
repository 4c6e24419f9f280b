"""The patients whom the jobs look after: who is in a course now, where their clock stands, and what was planned.

All patients are read together, in a number of queries that does not grow with them. Nothing that tells who somebody is
is read here: jobs hold no key.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select

from telerehab.care import plans
from telerehab.care.adherence import DayAdherence, Pause, TrainingDone, find_adherence
from telerehab.db.repositories.plans import read_version
from telerehab.db.tables import Organisation, Patient, PlanVersion, TrainingPause

LOOK_BACK: Final = timedelta(days=35)
JUDGING_SERVICE: Final = "full"
"""An organisation that only measures, or only communicates, has nothing judged."""

Row = TypeVar("Row")


@dataclass(kw_only=True, frozen=True, slots=True)
class PersonInCourse:
    """A patient whose course is not over."""

    patient_id: UUID
    organisation_id: UUID
    zone: ZoneInfo
    is_judged: bool

    def day_of(self, moment: datetime) -> date:
        """Return the patient's local day of a moment."""
        return moment.astimezone(self.zone).date()


@dataclass(kw_only=True, frozen=True, slots=True)
class Prescribed:
    """What was planned for one patient, and on which days nobody expects training."""

    versions: tuple[plans.PlanVersion, ...]
    pauses: tuple[Pause, ...]

    def days(
        self, done: Iterable[TrainingDone], *, first_day: date, stop_day: date, today: date
    ) -> tuple[DayAdherence, ...]:
        """Return what each of the days `[first_day, stop_day)` was."""
        found = find_adherence(self.versions, done, self.pauses, first_day=first_day, stop_day=stop_day, today=today)
        return found.days


def read_people(db: Session, patient_ids: Collection[UUID] | None = None) -> list[PersonInCourse]:
    """Return the patients whose course is not over; with `patient_ids` those of them only."""
    statement = (
        select(Patient.id, Organisation.id, Organisation.time_zone, Organisation.service)
        .join(Organisation, col(Organisation.id) == col(Patient.organisation_id))
        .where(col(Patient.ended_at).is_(None))
    )
    if patient_ids is not None:
        statement = statement.where(col(Patient.id).in_(patient_ids))
    return [
        PersonInCourse(
            patient_id=patient_id,
            organisation_id=organisation_id,
            zone=ZoneInfo(time_zone),
            is_judged=service == JUDGING_SERVICE,
        )
        for patient_id, organisation_id, time_zone, service in db.exec(statement)
    ]


def read_prescribed(db: Session, patient_ids: Collection[UUID] | None = None) -> Mapping[UUID, Prescribed]:
    """Return plans and pauses by patient; who never had either is not in it."""
    versions = group_by_patient(db, PlanVersion, patient_ids)
    pauses = group_by_patient(db, TrainingPause, patient_ids, col(TrainingPause.withdrawn_at).is_(None))
    return {
        patient_id: Prescribed(
            versions=tuple(
                read_version(row) for row in sorted(versions.get(patient_id, ()), key=lambda row: row.number)
            ),
            pauses=tuple(_read_pause(row) for row in pauses.get(patient_id, ())),
        )
        for patient_id in {*versions, *pauses}
    }


def group_by_patient(
    db: Session, table: type[Row], patient_ids: Collection[UUID] | None, *conditions: Any
) -> dict[UUID, list[Row]]:
    """Return the rows of a table that has a `patient_id`, by patient."""
    statement = select(table).where(*conditions)
    patient_id: Any = table.patient_id  # type: ignore[attr-defined]  # asked of tables that have one only
    if patient_ids is not None:
        statement = statement.where(patient_id.in_(patient_ids))
    grouped: dict[UUID, list[Row]] = {}
    for row in db.exec(statement):
        grouped.setdefault(row.patient_id, []).append(row)  # type: ignore[attr-defined]
    return grouped


def _read_pause(row: TrainingPause) -> Pause:
    """Return a row's pause; its last day is the last one of the pause."""
    stop_day = None if row.ends_on is None else row.ends_on + timedelta(days=1)
    return Pause(kind=row.kind, first_day=row.starts_on, stop_day=stop_day)  # type: ignore[arg-type]  # a constraint
