"""What the rules of the flags know of each patient, read from the rows of the last five weeks.

A training session that was entered in error counts nowhere, nor do repetitions of a set that a therapist called not
valid. A device counts as heard when blocks of it arrived: what it says of itself comes again whenever somebody
subscribes, so that proves nothing.
"""

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, Final, Literal
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col

from telerehab.care.adherence import DayAdherence, DayStatus, TrainingDone
from telerehab.care.flag_rules import (
    PAIN_LIMIT_DEFAULT,
    SILENT_TRAININGS,
    Goal,
    GoalReading,
    PainReport,
    PatientFacts,
    PlannedDay,
    Sensor,
    Training,
)
from telerehab.care.plans import find_in_force
from telerehab.care.range_change import TRUST_MIN, RangeReading
from telerehab.clock import from_us
from telerehab.db.done_sets import NOT_VALID
from telerehab.db.engine import Database, reading
from telerehab.db.tables import (
    Assignment,
    Block,
    Correction,
    Repetition,
    Segment,
    SelfReport,
    TrainingSession,
    TrainingSet,
)
from telerehab.db.tables import Goal as GoalRow
from telerehab.intake.hot_reads import table_of
from telerehab.jobs.people import LOOK_BACK, PersonInCourse, Prescribed, group_by_patient, read_people, read_prescribed

DONE: Final = "done"
_FIRST_DAY: Final = timedelta(hours=25)
"""From the morning on the first of the days counts, whatever time it is now; a day is at most so long."""
PLANNED_STATUS: Final = frozenset(
    {DayStatus.DONE, DayStatus.PARTLY, DayStatus.UNMEASURED, DayStatus.MISSED, DayStatus.EXCUSED}
)


@dataclass(kw_only=True, frozen=True, slots=True)
class KnownPatient:
    """A patient, and what the rules know of them."""

    person: PersonInCourse
    facts: PatientFacts
    days: tuple[DayAdherence, ...]
    """The last five weeks and today; none where nothing was ever prescribed."""
    last_training_at: datetime | None


@dataclass(kw_only=True, slots=True)
class _Measured:
    """The repetitions of one exercise and side in one training session."""

    trusted_rom_deg: list[float] = field(default_factory=list)
    trust: list[float] = field(default_factory=list)
    """Of all of them."""


@dataclass(kw_only=True, slots=True)
class _Bout:
    """One training session, as read."""

    id: UUID
    at: datetime
    exercise: str
    side: str
    close_reason: str | None
    has_sets: bool = False
    set_counts: dict[tuple[str, str], int] = field(default_factory=dict)
    """Valid sets that have ended."""
    measured: dict[tuple[str, str], _Measured] = field(default_factory=dict)

    @property
    def has_trained(self) -> bool:
        """Return whether anything was done in it: a set, repetitions, or the patient's word where there are no sets."""
        return bool(self.measured or self.set_counts) or (self.close_reason == DONE and not self.has_sets)

    @property
    def is_score_withheld(self) -> bool | None:
        """Return whether the data were too bad for a score; None: there were none."""
        trust = [value for each in self.measured.values() for value in each.trust]
        return median(trust) < TRUST_MIN if trust else None


def read_known_patients(
    database: Database, *, now: datetime, patient_ids: Collection[UUID] | None = None
) -> list[KnownPatient]:
    """Return everybody whose course is not over, with what the rules know; with `patient_ids` those of them only.

    The number of queries does not depend on the number of patients.
    """
    with reading(database.main) as db:
        people = read_people(db, patient_ids)
        prescribed = read_prescribed(db, patient_ids)
        bouts = _read_bouts(db, patient_ids, since=now - LOOK_BACK - _FIRST_DAY)
        pains = group_by_patient(
            db,
            SelfReport,
            patient_ids,
            col(SelfReport.kind) == "pain",
            col(SelfReport.retracted_at).is_(None),
            col(SelfReport.at) >= now - LOOK_BACK,
        )
        goals = group_by_patient(
            db, GoalRow, patient_ids, col(GoalRow.state) == "open", col(GoalRow.retracted_at).is_(None)
        )
        lent = group_by_patient(
            db,
            Assignment,
            patient_ids,
            col(Assignment.starts_at) <= now,
            sa.or_(col(Assignment.ends_at).is_(None), col(Assignment.ends_at) > now),
        )
    doubtful = {
        assignment.device_name
        for patient_id, assignments in lent.items()
        if _has_trained_without_data(bouts.get(patient_id, ()))
        for assignment in assignments
    }
    heard_at = _read_heard(database, doubtful)
    return [
        _known(
            person,
            now=now,
            prescribed=prescribed.get(person.patient_id),
            bouts=bouts.get(person.patient_id, []),
            pains=pains.get(person.patient_id, []),
            goals=goals.get(person.patient_id, []),
            sensors=[
                Sensor(
                    name=assignment.device_name,
                    assigned_at=assignment.starts_at,
                    last_heard_at=heard_at.get(assignment.device_name),
                )
                for assignment in lent.get(person.patient_id, [])
                if assignment.device_name in doubtful
            ],
        )
        for person in people
    ]


def _known(
    person: PersonInCourse,
    *,
    now: datetime,
    prescribed: Prescribed | None,
    bouts: list[_Bout],
    pains: list[SelfReport],
    goals: list[GoalRow],
    sensors: list[Sensor],
) -> KnownPatient:
    """Return what is known of one patient."""
    today = person.day_of(now)
    trained = [bout for bout in sorted(bouts, key=lambda bout: bout.at) if bout.has_trained]
    ranges = tuple(reading for bout in trained for reading in _ranges(bout, person))
    reports = tuple(
        PainReport(id=str(row.id), day=person.day_of(row.at), value=row.value)
        for row in sorted(pains, key=lambda row: row.at)
        if row.value is not None
    )
    version = find_in_force(prescribed.versions, today) if prescribed else None
    days = _days(person, prescribed, trained, today=today)
    facts = PatientFacts(
        now=now,
        today=today,
        planned_days=tuple(_planned_day(each) for each in days if each.day < today and each.status in PLANNED_STATUS),
        trainings=tuple(
            Training(id=str(bout.id), at=bout.at, day=person.day_of(bout.at), is_score_withheld=bout.is_score_withheld)
            for bout in trained
        ),
        ranges=ranges,
        pains=reports,
        pain_limit=version.content.limits.pain_max if version else PAIN_LIMIT_DEFAULT,
        sensors=tuple(sensors),
        goals=tuple(goal for row in goals if (goal := _goal(row, ranges, reports)) is not None),
    )
    return KnownPatient(person=person, facts=facts, days=days, last_training_at=trained[-1].at if trained else None)


def _days(
    person: PersonInCourse, prescribed: Prescribed | None, trained: Iterable[_Bout], *, today: date
) -> tuple[DayAdherence, ...]:
    """Return what each of the last five weeks' days was, and today."""
    if prescribed is None:
        return ()
    done = [
        TrainingDone(day=person.day_of(bout.at), exercise=exercise, side=side, set_count=set_count)
        for bout in trained
        for (exercise, side), set_count in _counted(bout)
    ]
    return prescribed.days(done, first_day=today - LOOK_BACK, stop_day=today + timedelta(days=1), today=today)


def _counted(bout: _Bout) -> Iterable[tuple[tuple[str, str], int | None]]:
    """Return how many sets of each exercise and side were done; None where nobody counted."""
    if bout.set_counts or bout.has_sets:
        return bout.set_counts.items()
    return [((bout.exercise, bout.side), None)]


def _planned_day(day: DayAdherence) -> PlannedDay:
    return PlannedDay(
        day=day.day,
        is_done=day.status not in (DayStatus.MISSED, DayStatus.EXCUSED),
        is_excused=day.status is DayStatus.EXCUSED,
    )


def _ranges(bout: _Bout, person: PersonInCourse) -> Iterable[RangeReading]:
    """Return the range of motion of each exercise of a training session: the median of trusted repetitions."""
    for (exercise, side), measured in bout.measured.items():
        trusted = measured.trusted_rom_deg
        if trusted:
            yield RangeReading(
                training_session_id=str(bout.id),
                day=person.day_of(bout.at),
                exercise=exercise,
                side=side,
                rom_deg=median(trusted),
                repetition_count=len(trusted),
                trust=median(measured.trust),
            )


def _goal(row: GoalRow, ranges: Iterable[RangeReading], pains: Iterable[PainReport]) -> Goal | None:
    """Return a goal that has a measure, with its readings; of pain the worst of each day counts."""
    kind: Literal["rom", "pain"] | None = row.measure.get("kind")
    if kind == "rom":
        readings = tuple(
            GoalReading(id=each.training_session_id, day=each.day, value=each.rom_deg)
            for each in ranges
            if (each.exercise, each.side) == (row.measure["exercise"], row.measure["side"]) and each.trust >= TRUST_MIN
        )
        return Goal(id=str(row.id), target=row.measure["at_least"], unit="deg", readings=readings)
    if kind == "pain":
        worst: dict[Any, GoalReading] = {}
        for report in pains:
            if report.day not in worst or report.value > worst[report.day].value:
                worst[report.day] = GoalReading(id=report.id, day=report.day, value=float(report.value))
        return Goal(
            id=str(row.id),
            target=row.measure["at_most"],
            unit="{score}",
            is_reached_downwards=True,
            readings=tuple(worst[day] for day in sorted(worst)),
        )
    return None


def _has_trained_without_data(bouts: Iterable[_Bout]) -> bool:
    """Return whether the last trainings came without data of any sensor: then it is asked who was heard."""
    last = sorted((bout for bout in bouts if bout.has_trained), key=lambda bout: bout.at)[-SILENT_TRAININGS:]
    return len(last) == SILENT_TRAININGS and not any(bout.measured for bout in last)


def _read_heard(database: Database, devices: Collection[str]) -> Mapping[str, datetime]:
    """Return when the last block of each device arrived, sealed or not; a device without blocks is not in it."""
    heard_us: dict[str, int] = {}
    if not devices:
        return {}
    stores = ((database.hot, Block), (database.main, Segment))
    for engine, model in stores:
        table = table_of(model)
        statement = (
            sa.select(table.c.device, sa.func.max(table.c.received_us))
            .where(table.c.device.in_(devices))
            .group_by(table.c.device)
        )
        with reading(engine) as db:
            for device, received_us in db.connection().execute(statement):
                heard_us[device] = max(received_us, heard_us.get(device, received_us))
    return {device: from_us(received_us) for device, received_us in heard_us.items()}


def _read_bouts(db: Session, patient_ids: Collection[UUID] | None, *, since: datetime) -> dict[UUID, list[_Bout]]:
    """Return the valid training sessions since then with their sets and repetitions, by patient."""
    in_question = [col(TrainingSession.opened_at) >= since, col(TrainingSession.retracted_at).is_(None)]
    if patient_ids is not None:
        in_question.append(col(TrainingSession.patient_id).in_(patient_ids))
    not_valid = _read_not_valid(db, in_question)
    bouts: dict[UUID, _Bout] = {}
    by_patient: dict[UUID, list[_Bout]] = {}
    statement = sa.select(
        col(TrainingSession.patient_id),
        col(TrainingSession.id),
        col(TrainingSession.opened_at),
        col(TrainingSession.exercise),
        col(TrainingSession.side),
        col(TrainingSession.close_reason),
    )
    for patient_id, bout_id, at, exercise, side, close_reason in db.execute(statement.where(*in_question)):
        if bout_id not in not_valid:
            bouts[bout_id] = _Bout(id=bout_id, at=at, exercise=exercise, side=side, close_reason=close_reason)
            by_patient.setdefault(patient_id, []).append(bouts[bout_id])
    sets = _read_sets(db, bouts, in_question, not_valid)
    _read_repetitions(db, bouts, sets, in_question)
    return by_patient


def _read_not_valid(db: Session, in_question: list[Any]) -> set[UUID]:
    """Return the sets, and the training sessions as a whole, that a therapist called not valid."""
    statement = (
        sa.select(col(Correction.training_set_id), col(Correction.training_session_id))
        .join(TrainingSession, col(TrainingSession.id) == col(Correction.training_session_id))
        .where(*in_question, col(Correction.kind) == NOT_VALID, col(Correction.withdrawn_at).is_(None))
    )
    return {set_id or session_id for set_id, session_id in db.execute(statement)}


def _read_sets(
    db: Session, bouts: Mapping[UUID, _Bout], in_question: list[Any], not_valid: AbstractSet[UUID]
) -> Mapping[UUID, tuple[str, str]]:
    """Count the ended sets of the training sessions; return exercise and side of every valid set."""
    valid: dict[UUID, tuple[str, str]] = {}
    statement = sa.select(
        col(TrainingSet.id),
        col(TrainingSet.training_session_id),
        col(TrainingSet.exercise),
        col(TrainingSet.side),
        col(TrainingSet.ended_at),
    ).join(TrainingSession, col(TrainingSession.id) == col(TrainingSet.training_session_id))
    for set_id, bout_id, exercise, side, ended_at in db.execute(statement.where(*in_question)):
        bout = bouts.get(bout_id)
        if bout is None:
            continue
        bout.has_sets = True
        if set_id in not_valid:
            continue
        valid[set_id] = (exercise, side)
        if ended_at is not None:
            bout.set_counts[exercise, side] = bout.set_counts.get((exercise, side), 0) + 1
    return valid


def _read_repetitions(
    db: Session, bouts: Mapping[UUID, _Bout], sets: Mapping[UUID, tuple[str, str]], in_question: list[Any]
) -> None:
    """Add the repetitions to their training sessions, those of sets that are not valid left out.

    The database joins the values of each set into one text: some hundred thousand rows would take seconds to read.
    """
    trusted_deg = sa.case((col(Repetition.trust) >= TRUST_MIN, col(Repetition.rom_deg)))
    of_set = (col(Repetition.training_session_id), col(Repetition.training_set_id))
    statement = (
        sa.select(*of_set, _joined(trusted_deg), _joined(col(Repetition.trust)))
        .join(TrainingSession, col(TrainingSession.id) == col(Repetition.training_session_id))
        .group_by(*of_set)
    )
    for bout_id, set_id, rom_deg, trust in db.execute(statement.where(*in_question)):
        bout = bouts.get(bout_id)
        key = sets.get(set_id) if set_id is not None else (bout.exercise, bout.side) if bout else None
        if bout is not None and key is not None:
            measured = bout.measured.setdefault(key, _Measured())
            measured.trusted_rom_deg += map(float, rom_deg.split(",") if rom_deg else ())
            measured.trust += map(float, trust.split(","))


def _joined(values: sa.SQLColumnExpression[Any]) -> sa.ColumnElement[str]:
    """Return the values of a group as one text with commas, those that are NULL left out."""
    return sa.func.aggregate_strings(sa.cast(values, sa.String), ",")
