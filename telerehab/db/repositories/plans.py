"""Plans of the patients whom one reader may see: immutable versions, and what they ask for today."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, or_, select
from sqlmodel.sql.expression import SelectOfScalar

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care import plans
from telerehab.care.plans import Change, PlanContent, PlanItem, find_changes, make_next_version
from telerehab.care.reading import read_value, write_value
from telerehab.db.changes import note_change
from telerehab.db.done_sets import is_done_set
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.exercises import ExerciseRepository, LibraryExercise
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.tables import (
    Account,
    Organisation,
    Patient,
    PlanVersion,
    TrainingPause,
    TrainingSession,
    TrainingSet,
)
from telerehab.errors import ConflictError, NotFoundError

PLAN_MOVED: Final = "plan_moved"
VERSIONS_MAX: Final = 100
"""Versions that are listed, the newest first."""
_TABLE: Final = "plan_version"


@dataclass(kw_only=True, frozen=True, slots=True)
class WrittenPlan:
    """One version as people read it."""

    id: UUID
    version: plans.PlanVersion
    author: str
    """The name of whoever wrote it."""
    template: str | None
    is_in_force: bool
    """Whether this version holds today."""


@dataclass(kw_only=True, frozen=True, slots=True)
class NewVersion:
    """What the next version shall be; `based_on` is the number of the version that was read, 0 for none."""

    based_on: int
    content: PlanContent
    reason: str
    template: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class TodaysItem:
    """An item of the plan in force, and how much of it is done today."""

    index: int
    """Within the plan version."""
    item: PlanItem
    exercise: LibraryExercise
    is_today: bool
    done_set_count: int


@dataclass(kw_only=True, frozen=True, slots=True)
class Today:
    """What a patient's plan asks for on the local day; without plan there are no items."""

    day: date
    plan: WrittenPlan | None
    items: tuple[TodaysItem, ...]
    pause: TrainingPause | None


class PlanRepository:
    """The plans of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)
        self._exercises = ExerciseRepository(db, reader=reader, now=now)

    def head(self, patient_id: UUID) -> WrittenPlan | None:
        """Return the newest version of a patient's plan; None where nothing was ever prescribed.

        Raises
        ------
        NotFoundError
            There is no such patient, or the reader may not see the plan; so it is in all that follows.
        """
        versions = self.list(patient_id, limit=1)
        return versions[0] if versions else None

    def list(self, patient_id: UUID, *, limit: int = VERSIONS_MAX) -> Sequence[WrittenPlan]:
        """Return the versions of a patient's plan, the newest first."""
        opened = self._patients.require(patient_id, Scope.SEE_PLAN)
        in_force = self._in_force_number(opened.patient)
        rows = self._db.exec(_versions_of(patient_id).order_by(col(PlanVersion.number).desc()).limit(limit)).all()
        return self._written(rows, opened, in_force=in_force)

    def find_changes(self, patient_id: UUID, old_number: int, new_number: int | None) -> tuple[int, tuple[Change, ...]]:
        """Return the number of the later version (None: the head), and all differences between the two."""
        self._patients.require(patient_id, Scope.SEE_PLAN)
        if new_number is None:
            new_number = self._head_number(patient_id)
        old, new = (self._row(patient_id, number) for number in (old_number, new_number))
        return new.number, find_changes(read_content(old), read_content(new))

    def add(self, patient_id: UUID, wish: NewVersion) -> WrittenPlan:
        """Write the next version; the same one sent twice is written once.

        Raises
        ------
        ConflictError
            Somebody has written a version since `based_on` (code `plan_moved`): read it and decide again.
        InvalidContentError
            The content makes no sense; each place is named.
        """
        opened = self._patients.require(patient_id, Scope.WRITE_CARE)
        lock_patient(self._db, patient_id)
        head = self._db.exec(_versions_of(patient_id).order_by(col(PlanVersion.number).desc()).limit(1)).first()
        if head is not None and head.number == wish.based_on + 1 and self._is_same(head, opened, wish):
            return self._written([head], opened, in_force=self._in_force_number(opened.patient))[0]
        if (head.number if head else 0) != wish.based_on:
            raise ConflictError("somebody has written another version", code=PLAN_MOVED)
        self._exercises.read_items(wish.content.items)
        assert self._reader.account_id is not None
        version = make_next_version(
            None if head is None else read_version(head),
            wish.content,
            author_account_id=self._reader.account_id,
            reason=wish.reason,
            written_at=self._now,
            today=self._today(opened.patient),
        )
        row = _new_row(patient_id, version, template=wish.template)
        row.reason_sealed = opened.seal.seal(wish.reason, table=_TABLE, column="reason", row_id=row.id)
        self._db.add(row)
        self._db.flush()
        note_change(self._db, _TABLE, row.id, version=row.number)
        return self._written([row], opened, in_force=self._in_force_number(opened.patient))[0]

    def today(self, patient_id: UUID) -> Today:
        """Return what the plan in force asks for today. Who may see the plan may see it, and who may train."""
        opened = self._patients.require(patient_id, Scope.IDENTIFY)
        if not opened.scopes & {Scope.SEE_PLAN, Scope.TRAIN}:
            raise NotFoundError("no such patient")
        day = self._today(opened.patient)
        number = self._in_force_number(opened.patient)
        pause = self._db.exec(_pauses_on(patient_id, day)).first()
        if number is None:
            return Today(day=day, plan=None, items=(), pause=pause)
        plan = self._written([self._row(patient_id, number)], opened, in_force=number)[0]
        return Today(day=day, plan=plan, items=self._todays_items(plan, day, opened.patient), pause=pause)

    def _todays_items(self, plan: WrittenPlan, day: date, patient: Patient) -> tuple[TodaysItem, ...]:
        content = plan.version.content
        exercises = self._exercises.read_items(content.items)
        done = self._count_done_sets(patient, day)
        return tuple(
            TodaysItem(
                index=index,
                item=item,
                exercise=exercise,
                is_today=day.isoweekday() in item.weekdays,
                done_set_count=done.get((item.exercise, item.side), 0),
            )
            for index, (item, exercise) in enumerate(zip(content.items, exercises, strict=True))
        )

    def _count_done_sets(self, patient: Patient, day: date) -> dict[tuple[str, str], int]:
        """Return how many sets of each exercise and side were done on a local day."""
        zone = self._zone(patient)
        start = datetime.combine(day, datetime.min.time(), zone)
        stop = datetime.combine(day + timedelta(days=1), datetime.min.time(), zone)
        statement = (
            select(TrainingSet.exercise, TrainingSet.side)
            .join(TrainingSession, col(TrainingSession.id) == col(TrainingSet.training_session_id))
            .where(
                col(TrainingSession.patient_id) == patient.id,
                is_done_set(),
                col(TrainingSet.started_at) >= start,
                col(TrainingSet.started_at) < stop,
            )
        )
        counts: dict[tuple[str, str], int] = {}
        for exercise, side in self._db.exec(statement):
            counts[exercise, side] = counts.get((exercise, side), 0) + 1
        return counts

    def _written(
        self, rows: Sequence[PlanVersion], opened: OpenedPatient, *, in_force: int | None
    ) -> Sequence[WrittenPlan]:
        ids = {row.author_id for row in rows}
        accounts = self._db.exec(select(Account.id, Account.display_name).where(col(Account.id).in_(ids)))
        names = dict(accounts.all())
        return [
            WrittenPlan(
                id=row.id,
                version=read_version(row, reason=_reason(row, opened) or ""),
                author=names[row.author_id],
                template=row.template,
                is_in_force=row.number == in_force,
            )
            for row in rows
        ]

    def _is_same(self, head: PlanVersion, opened: OpenedPatient, wish: NewVersion) -> bool:
        """Return whether the head is what the reader sent before."""
        return (
            head.author_id == self._reader.account_id
            and head.template == wish.template
            and head.content_hash == plans.content_hash(wish.content, number=head.number)
            and _reason(head, opened) == wish.reason
        )

    def _row(self, patient_id: UUID, number: int) -> PlanVersion:
        row = self._db.exec(_versions_of(patient_id).where(col(PlanVersion.number) == number)).first()
        if row is None:
            raise NotFoundError("no such version")
        return row

    def _head_number(self, patient_id: UUID) -> int:
        statement = select(PlanVersion.number).where(col(PlanVersion.patient_id) == patient_id)
        return self._db.exec(statement.order_by(col(PlanVersion.number).desc()).limit(1)).first() or 0

    def _in_force_number(self, patient: Patient) -> int | None:
        statement = select(PlanVersion.number).where(
            col(PlanVersion.patient_id) == patient.id, col(PlanVersion.valid_from) <= self._today(patient)
        )
        return self._db.exec(statement.order_by(col(PlanVersion.number).desc()).limit(1)).first()

    def _today(self, patient: Patient) -> date:
        return self._now.astimezone(self._zone(patient)).date()

    def _zone(self, patient: Patient) -> ZoneInfo:
        return ZoneInfo(self._db.get_one(Organisation, patient.organisation_id).time_zone)


def read_content(row: PlanVersion) -> PlanContent:
    """Return what a row says."""
    return read_value(PlanContent, row.content)


def read_version(row: PlanVersion, *, reason: str = "") -> plans.PlanVersion:
    """Return a row as the value that `telerehab.care` reckons with; its reason lies sealed."""
    return plans.PlanVersion(
        number=row.number,
        content=read_content(row),
        author_account_id=row.author_id,
        reason=reason,
        written_at=row.created_at,
    )


def _new_row(patient_id: UUID, version: plans.PlanVersion, *, template: str | None) -> PlanVersion:
    """Return the row of a version, its reason still to be sealed."""
    return PlanVersion(
        patient_id=patient_id,
        number=version.number,
        content=write_value(version.content),
        content_hash=version.content_hash,
        valid_from=version.content.valid_from,
        author_id=version.author_account_id,
        reason_sealed=b"",
        template=template,
        created_at=version.written_at,
    )


def _reason(row: PlanVersion, opened: OpenedPatient) -> str | None:
    return opened.seal.open(row.reason_sealed, table=_TABLE, column="reason", row_id=row.id)


def _versions_of(patient_id: UUID) -> SelectOfScalar[PlanVersion]:
    return select(PlanVersion).where(col(PlanVersion.patient_id) == patient_id)


def _pauses_on(patient_id: UUID, day: date) -> SelectOfScalar[TrainingPause]:
    return (
        select(TrainingPause)
        .where(
            col(TrainingPause.patient_id) == patient_id,
            col(TrainingPause.withdrawn_at).is_(None),
            col(TrainingPause.starts_on) <= day,
            or_(col(TrainingPause.ends_on).is_(None), col(TrainingPause.ends_on) >= day),
        )
        .order_by(col(TrainingPause.starts_on))
    )
