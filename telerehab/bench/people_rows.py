"""Rows of an organisation as it is after a quarter: 300 patients who trained for 90 days, straight into the database.

For figures that depend on how much there is (the caseload page, the flags), and for tests that need a lot. What is
drawn, and from where:

- *plan*: the three templates in turn, each in two versions; 3, 5 or 7 days a week; attendance 60 to 100 %.
- *a training session*: all sets of the day's items, closed as done. The first item is measured by sensors (every
  repetition a row), the others are counted by the tablet; now and then the sensors were left in their box.
- *pain and effort* at the beginning and the end of every training session, 0 to 10.
- *illness* of some days for one patient in seven; some flags, alerts, messages and goals, open and settled.

The same seed gives the same rows, apart from what is sealed: keys and nonces are random.
"""

import json
import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from itertools import islice
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from psycopg.types.json import Json
from sqlmodel import Session, SQLModel

from analytics.exercises import EXERCISES
from telerehab.auth.key_ring import KeyRing
from telerehab.care.plans import PlanContent, PlanItem, content_hash
from telerehab.care.reading import write_value
from telerehab.care.templates import fill_template, read_templates
from telerehab.clock import to_us
from telerehab.db import provisioning
from telerehab.db.engine import Database, writing
from telerehab.db.sealing import PatientSeal, new_patient_key
from telerehab.db.tables import (
    Alert,
    AlertAcknowledgement,
    CareRelation,
    Flag,
    FlagAction,
    Goal,
    Message,
    Patient,
    PlanVersion,
    Repetition,
    SelfReport,
    TrainingPause,
    TrainingSession,
    TrainingSet,
)

N_PATIENTS: Final = 300
N_DAYS: Final = 90
ZONE: Final = ZoneInfo("Europe/Copenhagen")
CHUNK_ROWS: Final = 20_000
WEEKDAYS: Final = ((1, 3, 5), (1, 2, 3, 4, 5), (1, 2, 3, 4, 5, 6, 7))
SET_S: Final = 60
REPETITION_S: Final = 4
SENSORS_WORN: Final = 0.93
FIRST_NAMES: Final = ("Karen", "Jens", "Aase", "Poul", "Inger", "Svend", "Bodil", "Knud", "Else", "Børge")
LAST_NAMES: Final = ("Prøve", "Eksempel", "Tænkt", "Opdigtet", "Påfund", "Afprøvning")
FLAG_RULES: Final = ("range_falling", "pain_rising", "days_missed", "score_withheld", "device_silent", "goal_met")

Row = dict[str, Any]
_TABLES: Final[Mapping[type[SQLModel], str]] = {
    Patient: "web",
    CareRelation: "web",
    PlanVersion: "web",
    TrainingPause: "web",
    Goal: "web",
    Message: "web",
    TrainingSession: "web",
    TrainingSet: "web",
    Repetition: "ingest",
    SelfReport: "web",
    Alert: "web",
    AlertAcknowledgement: "web",
    Flag: "jobs",
    FlagAction: "web",
}
"""Who writes what, in an order in which every row finds what it refers to."""


@dataclass(kw_only=True, frozen=True, slots=True)
class MadePeople:
    """What was made."""

    organisation_id: UUID
    account_id: UUID
    """The therapist who treats all of them."""
    patient_ids: tuple[UUID, ...]
    row_counts: Mapping[str, int]
    """By table."""


def make_people(
    database: Database,
    *,
    key_ring: KeyRing,
    now: datetime,
    seed: int = 1,
    n_patients: int = N_PATIENTS,
    n_days: int = N_DAYS,
    account_id: UUID | None = None,
    organisation_id: UUID | None = None,
) -> MadePeople:
    """Write an organisation with one therapist and all patients of this therapist, who trained for `n_days` until now.

    Parameters
    ----------
    account_id, organisation_id : UUID, optional
        A therapist who is there already; both or none.
    """
    rng = random.Random(seed)
    if account_id is None or organisation_id is None:
        with writing(database.main, owner="web") as db:
            organisation = provisioning.create_organisation(db, name=f"Bench {seed}")
            email = f"therapist-{seed}@bench.example"
            account = provisioning.create_account(
                db, organisation_id=organisation.id, email=email, display_name="Ida Bænk"
            )
        organisation_id, account_id = organisation.id, account.id
    patients = [
        _Patient(
            rng=random.Random(rng.getrandbits(64)),
            number=number,
            organisation_id=organisation_id,
            account_id=account_id,
            key_ring=key_ring,
            now=now,
            n_days=n_days,
        )
        for number in range(n_patients)
    ]
    counts: Counter[str] = Counter()
    for patient in patients:
        patient.draw()
    for model, owner in _TABLES.items():
        with writing(database.main, owner=owner) as db:
            rows = (row for patient in patients for row in patient.rows.pop(model, ()))
            counts[str(model.__tablename__)] += insert_rows(db, model, rows)
    return MadePeople(
        organisation_id=organisation_id,
        account_id=account_id,
        patient_ids=tuple(patient.id for patient in patients),
        row_counts=dict(counts),
    )


def insert_rows(db: Session, model: type[SQLModel], rows: Iterable[Row]) -> int:
    """Insert many rows that all have the same columns, the fastest way that the database has; return how many."""
    table = sa.inspect(model).local_table
    assert isinstance(table, sa.Table)
    connection = db.connection()
    insert = _copy if connection.dialect.name == "postgresql" else _insert
    rows = iter(rows)
    count = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        insert(connection, table, chunk)
        count += len(chunk)
    return count


def new_id(rng: random.Random) -> UUID:
    """Return an id that the seed decides."""
    return UUID(int=rng.getrandbits(128), version=4)


def _insert(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    connection.execute(sa.insert(table), list(rows))


def _copy(connection: sa.Connection, table: sa.Table, rows: Sequence[Row]) -> None:
    """Copy rows in: many times as fast as statements on PostgreSQL."""
    quote = connection.dialect.identifier_preparer.quote
    names = list(rows[0])
    columns = ", ".join(quote(name) for name in names)
    cursor = connection.connection.cursor()
    with cursor.copy(f"COPY {quote(table.name)} ({columns}) FROM STDIN") as copy:
        for row in rows:
            values = (row[name] for name in names)
            copy.write_row([Json(value, json.dumps) if isinstance(value, dict) else value for value in values])


class _Patient:
    """One patient's rows, by table."""

    def __init__(
        self,
        *,
        rng: random.Random,
        number: int,
        organisation_id: UUID,
        account_id: UUID,
        key_ring: KeyRing,
        now: datetime,
        n_days: int,
    ) -> None:
        self.id = new_id(rng)
        self.rows: dict[type[SQLModel], list[Row]] = {model: [] for model in _TABLES}
        self._rng = rng
        self._number = number
        self._organisation_id = organisation_id
        self._account_id = account_id
        self._key_ring = key_ring
        self._now = now
        self._today = now.astimezone(ZONE).date()
        self._days = [self._today - timedelta(days=n_days - 1 - i) for i in range(n_days)]
        self._seal = PatientSeal(Patient(id=self.id, organisation_id=organisation_id), key_ring)

    def draw(self) -> None:
        """Draw all rows."""
        rng = self._rng
        begins_at = self._at(self._days[0], hour=8)
        self._add_identity(begins_at)
        versions = self._add_plan(begins_at)
        ill = self._add_illness()
        attendance, pain, rom_deg = rng.uniform(0.6, 1.0), rng.uniform(0, 5), rng.uniform(50, 110)
        tablet_id = new_id(rng)
        last_session: UUID | None = None
        for day in self._days:
            version_id, content = versions[-1] if day >= versions[-1][1].valid_from else versions[0]
            items = [(i, item) for i, item in enumerate(content.items) if day.isoweekday() in item.weekdays]
            if items and day not in ill and rng.random() < attendance:
                opened_at = self._at(day, hour=9) + timedelta(minutes=rng.randrange(120))
                if opened_at + timedelta(hours=1) < self._now:
                    last_session = self._add_training(
                        opened_at, tablet_id, version_id, items, pain=pain, rom_deg=rom_deg
                    )
        self._add_signs(last_session)

    def _add_identity(self, begins_at: datetime) -> None:
        rng = self._rng
        patient = Patient(
            id=self.id,
            organisation_id=self._organisation_id,
            wrapped_key=new_patient_key(self.id, self._key_ring),
            created_at=begins_at,
        )
        self._seal = PatientSeal(patient, self._key_ring)
        name = f"{rng.choice(FIRST_NAMES)} {rng.choice(LAST_NAMES)} {self._number:03d}"
        born_on = date(1930, 1, 1) + timedelta(days=rng.randrange(40 * 365))
        self._seal.set_identity(name=name, birth_date=born_on, telephone=f"20{rng.randrange(10**6):06d}")
        self._add(Patient, **patient.model_dump())
        self._add(
            CareRelation,
            id=new_id(rng),
            account_id=self._account_id,
            patient_id=self.id,
            starts_at=begins_at,
            source="assigned",
        )

    def _add_plan(self, begins_at: datetime) -> list[tuple[UUID, PlanContent]]:
        """Add two versions: the second asks for one repetition more, from the middle on."""
        rng = self._rng
        templates = read_templates()
        template = templates[self._number % len(templates)]
        weekdays = WEEKDAYS[rng.randrange(len(WEEKDAYS))]
        first = fill_template(template, side=rng.choice(("left", "right")), valid_from=self._days[0])
        first = replace(first, items=tuple(replace(item, weekdays=weekdays) for item in first.items))
        second = replace(
            first,
            items=tuple(replace(item, repetitions=item.repetitions + 1) for item in first.items),
            valid_from=self._days[len(self._days) // 2],
        )
        versions = []
        for number, content in enumerate((first, second), start=1):
            version_id = new_id(rng)
            self._add(
                PlanVersion,
                id=version_id,
                patient_id=self.id,
                number=number,
                content=write_value(content),
                content_hash=content_hash(content, number=number),
                valid_from=content.valid_from,
                author_id=self._account_id,
                reason_sealed=self._sealed("Prøvedata", "plan_version", "reason", version_id),
                template=template.code,
                created_at=begins_at if number == 1 else self._at(content.valid_from, hour=7),
            )
            versions.append((version_id, content))
        return versions

    def _add_illness(self) -> set[date]:
        rng = self._rng
        if rng.random() > 1 / 7:
            return set()
        first = rng.randrange(max(len(self._days) - 7, 1))
        ill = self._days[first : first + rng.randint(2, 6)]
        self._add(
            TrainingPause,
            id=new_id(rng),
            patient_id=self.id,
            kind="illness",
            starts_on=ill[0],
            ends_on=ill[-1],
            created_by=self._account_id,
            created_at=self._at(ill[0], hour=8),
        )
        return set(ill)

    def _add_training(
        self,
        opened_at: datetime,
        tablet_id: UUID,
        version_id: UUID,
        items: Sequence[tuple[int, PlanItem]],
        *,
        pain: float,
        rom_deg: float,
    ) -> UUID:
        rng = self._rng
        training_session_id = new_id(rng)
        has_sensors = rng.random() < SENSORS_WORN
        measured = next((i for i, item in items if EXERCISES[item.exercise].is_measurable), None)
        n_sets = n_repetitions = 0
        set_id: UUID | None = None
        for plan_item, item in items:
            for set_number in range(1, item.sets + 1):
                set_id = new_id(rng)
                started_at = opened_at + timedelta(seconds=n_sets * SET_S)
                n_sets += 1
                is_measured = has_sensors and plan_item == measured
                self._add(
                    TrainingSet,
                    id=set_id,
                    training_session_id=training_session_id,
                    number=n_sets,
                    plan_item=plan_item,
                    set_number=set_number,
                    exercise=item.exercise,
                    side=item.side,
                    target_low_deg=item.target_low_deg,
                    target_high_deg=item.target_high_deg,
                    target_repetitions=item.repetitions,
                    started_at=started_at,
                    ended_at=started_at + timedelta(seconds=SET_S - 5),
                    end_reason="done",
                    counted_repetitions=None if is_measured else item.repetitions,
                )
                if is_measured:
                    shift = rng.gauss(0, 3)
                    for i in range(item.repetitions):
                        self._add_repetition(
                            training_session_id,
                            set_id,
                            index=n_repetitions + i,
                            start_us=to_us(started_at) + i * REPETITION_S * 1_000_000,
                            rom_deg=rom_deg + shift + rng.gauss(0, 2),
                        )
                    n_repetitions += item.repetitions
        first = items[0][1]
        closed_at = opened_at + timedelta(seconds=n_sets * SET_S)
        self._add(
            TrainingSession,
            id=training_session_id,
            patient_id=self.id,
            plan_version_id=version_id,
            exercise=first.exercise,
            side=first.side,
            target_repetitions=first.repetitions,
            opened_at=opened_at,
            opened_by=tablet_id,
            opened_via="page",
            closed_at=closed_at,
            close_reason="done",
            training_set_id=set_id,
            version=2 * n_sets + 1,
        )
        for kind, phase, at, mean in (
            ("pain", "start", opened_at, pain),
            ("pain", "end", closed_at, pain + 0.5),
            ("effort", "end", closed_at, 4.0),
        ):
            self._add(
                SelfReport,
                id=new_id(rng),
                patient_id=self.id,
                training_session_id=training_session_id,
                kind=kind,
                value=min(max(round(rng.gauss(mean, 0.8)), 0), 10),
                phase=phase,
                reported_by=tablet_id,
                at=at,
            )
        return training_session_id

    def _add_repetition(
        self, training_session_id: UUID, set_id: UUID, *, index: int, start_us: int, rom_deg: float
    ) -> None:
        self._add(
            Repetition,
            training_session_id=training_session_id,
            index=index,
            training_set_id=set_id,
            start_us=start_us,
            stop_us=start_us + (REPETITION_S - 1) * 1_000_000,
            rom_deg=rom_deg,
            up_s=1.2,
            hold_s=0.4,
            down_s=1.4,
            peak_speed_deg_s=90.0,
            trust=0.95,
            reason=0,
            algorithm_version="bench",
            data={"trust_completeness": 1.0},
        )

    def _add_signs(self, last_session: UUID | None) -> None:
        """Add what asks for somebody: flags, alerts, messages; half of it settled. And a goal."""
        rng = self._rng
        flag_ids = [self._add_flag(rule) for rule in rng.sample(FLAG_RULES, k=rng.choice((0, 0, 1, 1, 2)))]
        for flag_id in flag_ids:
            if rng.random() < 0.5:
                at = self._now - timedelta(hours=rng.randrange(1, 48))
                self._add(
                    FlagAction,
                    id=new_id(rng),
                    flag_id=flag_id,
                    account_id=self._account_id,
                    action="acknowledged",
                    flag_version=1,
                    at=at,
                )
        if last_session is not None and rng.random() < 0.1:
            self._add_alert(last_session)
        for _ in range(rng.randrange(6)):
            self._add_message()
        goal_id = new_id(rng)
        self._add(
            Goal,
            id=goal_id,
            patient_id=self.id,
            text_sealed=self._sealed("Gå til bageren", "goal", "text", goal_id),
            measure={},
            state="open",
            created_by=self._account_id,
            created_at=self._at(self._days[0], hour=9),
            version=1,
        )

    def _add_flag(self, rule: str) -> UUID:
        rng = self._rng
        flag_id = new_id(rng)
        since = self._now - timedelta(days=rng.randrange(1, 10))
        has_ended = rng.random() < 0.3
        self._add(
            Flag,
            id=flag_id,
            organisation_id=self._organisation_id,
            patient_id=self.id,
            rule=rule,
            cause=rule,
            severity=rng.randrange(6),
            value=rng.uniform(1, 20),
            threshold=1.0,
            unit="{score}",
            since=since,
            opened_at=since,
            updated_at=self._now,
            ended_at=self._now if has_ended else None,
            suggested_action="call",
            data={},
            version=1,
        )
        return flag_id

    def _add_alert(self, training_session_id: UUID) -> None:
        rng = self._rng
        alert_id = new_id(rng)
        at = self._now - timedelta(hours=rng.randrange(1, 48))
        self._add(
            Alert,
            id=alert_id,
            organisation_id=self._organisation_id,
            patient_id=self.id,
            training_session_id=training_session_id,
            cause="pain_high",
            value=8.0,
            limit_value=7.0,
            is_stop=True,
            needs_confirmation_by="therapist",
            began_at=at,
            found_at=at,
            found_by="web",
            data={},
        )
        if rng.random() < 0.5:
            self._add(
                AlertAcknowledgement,
                id=new_id(rng),
                alert_id=alert_id,
                account_id=self._account_id,
                action="may_continue",
                at=at + timedelta(minutes=5),
            )

    def _add_message(self) -> None:
        rng = self._rng
        message_id = new_id(rng)
        sent_at = self._now - timedelta(hours=rng.randrange(1, 24 * 30))
        is_from_patient = rng.random() < 0.5
        self._add(
            Message,
            id=message_id,
            patient_id=self.id,
            account_id=None if is_from_patient else self._account_id,
            text_sealed=self._sealed("Tak for i dag", "message", "text", message_id),
            sent_at=sent_at,
            read_at=min(sent_at + timedelta(hours=1), self._now) if rng.random() < 0.7 else None,
        )

    def _add(self, model: type[SQLModel], **values: Any) -> None:
        self.rows[model].append(values)

    def _sealed(self, text: str, table: str, column: str, row_id: UUID) -> bytes:
        return self._seal.seal(text, table=table, column=column, row_id=row_id)

    @staticmethod
    def _at(day: date, *, hour: int) -> datetime:
        return datetime.combine(day, time(hour), tzinfo=ZONE)
