"""Weeks of past training of some patients without a home, so that adherence and flags have something to show.

One loses range of motion, one has stopped coming, one goes on as planned. The rows lie as intake and the pages would
have written them.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID, uuid4

from sqlmodel import Session

from telerehab.care.plans import PlanItem
from telerehab.clock import to_us
from telerehab.db.provisioning import create_care_relation, create_patient, create_tablet
from telerehab.db.tables import Repetition, SelfReport, TrainingSession, TrainingSet
from telerehab.demo.desk import Desk, plan_for

WEEKS: Final = dt.timedelta(days=18)
MEASURED: Final = "knee_extension_seated"
ALGORITHM_VERSION: Final = "demo"
SET_LASTS: Final = dt.timedelta(seconds=60)
REPETITION_US: Final = 4_000_000
USUAL_ROM_DEG: Final = 84.0
WOBBLE_DEG: Final = (0.0, 1.5, -1.0, 0.5, -1.5, 1.0)
"""From day to day, far below what a flag asks for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PastPatient:
    """Somebody who has trained for weeks; `rule` is the flag that must find it, None where there is none to find."""

    name: str
    birth_date: dt.date
    goal: str
    rule: str | None = None
    lost_deg: float = 0.0
    """Of the range of motion, over the last four trainings."""
    missed_days: int = 0
    """Up to yesterday."""


PAST_PATIENTS: Final = (
    PastPatient(
        name="Ruth Winther",
        birth_date=dt.date(1947, 8, 21),
        goal="Gå i haven uden stok",
        rule="range_falling",
        lost_deg=22.0,
    ),
    PastPatient(
        name="Hans Kvist",
        birth_date=dt.date(1951, 2, 3),
        goal="Bære mine egne varer hjem",
        rule="days_missed",
        missed_days=5,
    ),
    PastPatient(name="Aage Birk", birth_date=dt.date(1949, 11, 30), goal="Danse folkedans igen"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Planted:
    """A flag that must be on the caseload."""

    patient_id: UUID
    name: str
    rule: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PastSet:
    """A set that sensors measured."""

    training_session_id: UUID
    training_set_id: UUID
    first_index: int
    """Of its repetitions within the training session."""
    count: int
    started_at: dt.datetime
    rom_deg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """What was written of one patient, and what is still to be written by intake's owner."""

    planted: Planted | None
    measured: tuple[PastSet, ...]


def write_past(desk: Desk, patient: PastPatient) -> Past:
    """Write a patient, the plan and every training up to yesterday."""
    first_day = desk.today - WEEKS
    begins_at = desk.at(first_day, hour=8)
    row = create_patient(
        desk.db,
        key_ring=desk.key_ring,
        organisation_id=desk.organisation.id,
        name=patient.name,
        birth_date=patient.birth_date,
        created_at=begins_at,
    )
    create_care_relation(desk.db, account_id=desk.account_id, patient_id=row.id, starts_at=begins_at)
    tablet_id = create_tablet(desk.db, patient_id=row.id).id
    content = plan_for("right", first_exercise=MEASURED, valid_from=first_day)
    version_id = desk.write_plan(row.id, content, at=begins_at)
    desk.write_goal(row.id, patient.goal)
    n_days = WEEKS.days - patient.missed_days
    measured: list[PastSet] = []
    for day_index in range(n_days):
        day = first_day + dt.timedelta(days=day_index)
        lost_deg = patient.lost_deg * max(0.0, 1 - (n_days - 1 - day_index) / 4)
        measured += _write_training(
            desk.db,
            patient_id=row.id,
            tablet_id=tablet_id,
            version_id=version_id,
            opened_at=desk.at(day, hour=10),
            items=[(index, item) for index, item in enumerate(content.items) if day.isoweekday() in item.weekdays],
            rom_deg=USUAL_ROM_DEG + WOBBLE_DEG[day_index % len(WOBBLE_DEG)] - lost_deg,
        )
    planted = Planted(patient_id=row.id, name=patient.name, rule=patient.rule) if patient.rule else None
    return Past(planted=planted, measured=tuple(measured))


def write_past_repetitions(db: Session, past: Iterable[Past]) -> None:
    """Write the repetitions of all measured sets (owner "ingest")."""
    for each in past:
        for measured in each.measured:
            db.add_all(_repetition(measured, index) for index in range(measured.count))


def _write_training(
    db: Session,
    *,
    patient_id: UUID,
    tablet_id: UUID,
    version_id: UUID,
    opened_at: dt.datetime,
    items: Sequence[tuple[int, PlanItem]],
    rom_deg: float,
) -> list[PastSet]:
    """Write one training with all of the day's sets; return the measured ones."""
    first = items[0][1]
    n_sets = sum(item.sets for _, item in items)
    training_session = TrainingSession(
        id=uuid4(),
        patient_id=patient_id,
        plan_version_id=version_id,
        exercise=first.exercise,
        side=first.side,
        target_repetitions=first.repetitions,
        opened_at=opened_at,
        opened_by=tablet_id,
        closed_at=opened_at + n_sets * SET_LASTS,
        close_reason="done",
    )
    db.add(training_session)
    db.flush()
    measured: list[PastSet] = []
    numbered = [(index, item, number) for index, item in items for number in range(1, item.sets + 1)]
    for number, (plan_item, item, set_number) in enumerate(numbered, start=1):
        is_measured = item.exercise == MEASURED
        started_at = opened_at + (number - 1) * SET_LASTS
        training_set = TrainingSet(
            id=uuid4(),
            training_session_id=training_session.id,
            number=number,
            plan_item=plan_item,
            set_number=set_number,
            exercise=item.exercise,
            side=item.side,
            target_repetitions=item.repetitions,
            started_at=started_at,
            ended_at=started_at + SET_LASTS * 0.9,
            end_reason="done",
            counted_repetitions=None if is_measured else item.repetitions,
        )
        db.add(training_set)
        if is_measured:
            measured.append(
                PastSet(
                    training_session_id=training_session.id,
                    training_set_id=training_set.id,
                    first_index=sum(each.count for each in measured),
                    count=item.repetitions,
                    started_at=started_at,
                    rom_deg=rom_deg,
                )
            )
    for phase, at in (("start", training_session.opened_at), ("end", training_session.closed_at)):
        assert at is not None
        db.add(
            SelfReport(
                patient_id=patient_id,
                training_session_id=training_session.id,
                kind="pain",
                value=2,
                phase=phase,
                reported_by=tablet_id,
                at=at,
            )
        )
    return measured


def _repetition(measured: PastSet, index: int) -> Repetition:
    start_us = to_us(measured.started_at) + index * REPETITION_US
    return Repetition(
        training_session_id=measured.training_session_id,
        index=measured.first_index + index,
        training_set_id=measured.training_set_id,
        start_us=start_us,
        stop_us=start_us + REPETITION_US - 500_000,
        rom_deg=measured.rom_deg + (index % 3 - 1) * 1.0,
        up_s=1.4,
        hold_s=0.6,
        down_s=1.5,
        peak_speed_deg_s=90.0,
        trust=0.95,
        reason=0,
        algorithm_version=ALGORITHM_VERSION,
        data={"trust_completeness": 1.0},
    )
