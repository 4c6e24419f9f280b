"""A patient in a course, written straight into the database as the roles write it."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlmodel import SQLModel, select

from telerehab.auth.key_ring import open_key_ring
from telerehab.care.plans import PlanContent, PlanItem, content_hash
from telerehab.care.reading import write_value
from telerehab.care.safety import Limits
from telerehab.clock import ManualClock, to_us, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Flag, Notice, PlanVersion, Repetition, SelfReport, TrainingSession, TrainingSet
from telerehab.settings import Settings

EXERCISE: Final = "heel_slide"
SIDE: Final = "left"


@dataclass(kw_only=True, slots=True)
class Course:
    """An organisation with one therapist and one patient, who trains at 10 o'clock in Copenhagen."""

    database: Database
    clock: ManualClock
    organisation_id: UUID
    therapist_id: UUID
    patient_id: UUID
    session_ids: list[UUID] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return utc_now(self.clock)

    def write(self, *rows: SQLModel, owner: str = "web") -> None:
        with writing(self.database.main, owner=owner) as db:
            db.add_all(rows)

    def add_plan(
        self, *, weekdays: Sequence[int] = (1, 2, 3, 4, 5, 6, 7), days_ago: int = 40, pain_max: int = 7
    ) -> None:
        """Prescribe one exercise, three sets of ten."""
        item = PlanItem(
            exercise=EXERCISE, exercise_version=1, side=SIDE, sets=1, repetitions=10, weekdays=tuple(weekdays)
        )
        first_day = self.now.date() - timedelta(days=days_ago)
        content = PlanContent(items=(item,), limits=Limits(pain_max=pain_max), valid_from=first_day)
        self.write(
            PlanVersion(
                patient_id=self.patient_id,
                number=1,
                content=write_value(content),
                content_hash=content_hash(content, number=1),
                valid_from=first_day,
                author_id=self.therapist_id,
                reason_sealed=b"",
                created_at=self.now - timedelta(days=days_ago),
            )
        )

    def train(
        self,
        days_ago: float,
        rom_deg: float | None,
        *,
        trust: float = 0.9,
        n_repetitions: int = 5,
        is_closed: bool = True,
    ) -> UUID:
        """Add a training session with one set; None: without any sensor data. Return the set's id."""
        opened_at = self.now - timedelta(days=days_ago)
        session_id, set_id = uuid.uuid4(), uuid.uuid4()
        self.session_ids.append(session_id)
        self.write(
            TrainingSession(
                id=session_id,
                patient_id=self.patient_id,
                exercise=EXERCISE,
                side=SIDE,
                opened_at=opened_at,
                opened_by=self.patient_id,
                closed_at=opened_at + timedelta(minutes=20) if is_closed else None,
                close_reason="done" if is_closed else None,
            )
        )
        self.write(
            TrainingSet(
                id=set_id,
                training_session_id=session_id,
                number=1,
                exercise=EXERCISE,
                side=SIDE,
                started_at=opened_at,
                ended_at=opened_at + timedelta(minutes=5),
            )
        )
        for index in range(0 if rom_deg is None else n_repetitions):
            at_us = to_us(opened_at) + index * 4_000_000
            self.write(_repetition(session_id, set_id, index, at_us, rom_deg or 0.0, trust), owner="ingest")
        return set_id

    def report_pain(self, days_ago: float, value: int) -> None:
        """Say how much it hurts."""
        self.write(
            SelfReport(
                id=uuid.uuid4(),
                patient_id=self.patient_id,
                kind="pain",
                value=value,
                phase="end",
                reported_by=self.patient_id,
                at=self.now - timedelta(days=days_ago),
            )
        )

    def flags(self) -> list[Flag]:
        """Return all flags, the oldest first."""
        with reading(self.database.main) as db:
            return list(db.exec(select(Flag).order_by("opened_at")))

    def notices(self) -> list[Notice]:
        """Return all notices."""
        with reading(self.database.main) as db:
            return list(db.exec(select(Notice).order_by("created_at")))


def begin_course(settings: Settings, database: Database, *, clock: ManualClock | None = None) -> Course:
    """Write an organisation, a therapist and a patient in their care."""
    clock = clock or ManualClock()
    with writing(database.main, owner="web") as db:
        organisation = provisioning.create_organisation(db, name="Byen")
        therapist = provisioning.create_account(
            db,
            organisation_id=organisation.id,
            email=f"{uuid.uuid4()}@byen.example",
            display_name="Ida",
            password_hash=None,
        )
        patient = provisioning.create_patient(
            db,
            key_ring=open_key_ring(settings),
            organisation_id=organisation.id,
            name="Karen",
            birth_date=date(1941, 2, 3),
        )
        provisioning.create_care_relation(
            db, account_id=therapist.id, patient_id=patient.id, starts_at=utc_now(clock) - timedelta(days=50)
        )
    return Course(
        database=database,
        clock=clock,
        organisation_id=organisation.id,
        therapist_id=therapist.id,
        patient_id=patient.id,
    )


def _repetition(session_id: UUID, set_id: UUID, index: int, at_us: int, rom_deg: float, trust: float) -> Any:
    return Repetition(
        training_session_id=session_id,
        index=index,
        training_set_id=set_id,
        start_us=at_us,
        stop_us=at_us + 3_000_000,
        rom_deg=rom_deg + (-1) ** index * 0.5,
        up_s=1.0,
        hold_s=0.2,
        down_s=1.1,
        peak_speed_deg_s=140.0,
        trust=trust,
        reason=0,
        algorithm_version="1",
    )
