"""Who trains now and which sensors show it: rows of the database become `Places`, which intake compares and follows.

Only this module knows that a device belongs to a patient. What leaves it names training sessions and devices.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

from sqlalchemy.sql import expression
from sqlmodel import Session, col, func, or_, select

from analytics.exercises import EXERCISES, Exercise
from telerehab.attribution import Lending
from telerehab.care.safety import Limits
from telerehab.clock import to_us
from telerehab.db.alert_rows import read_confirmations, read_limits_in_force
from telerehab.db.assignment_rows import AssignmentColumns, to_lending
from telerehab.db.tables import (
    Assignment,
    Device,
    Kit,
    Organisation,
    Patient,
    Repetition,
    TrainingSession,
    TrainingSet,
)
from telerehab.intake.sets import SetSpan, to_span

HEART_KIND: Final = "heart"
SPO2_KIND: Final = "spo2"
MOVEMENT_KINDS: Final = frozenset({"imu6", "imu9", "phone"})
"""A `phone` is a telephone or tablet strapped on; its page sends the stream of an imu6."""
FULL: Final = "full"
COMMUNICATION_ONLY: Final = "communication_only"
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class WornDevice:
    """A device that a patient wears now."""

    device: str
    kind: str
    body_site: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Training:
    """An open training session, and the sensors that show it (None = not worn)."""

    id: UUID
    exercise: str
    side: str
    proximal: str | None
    """Set only where the exercise needs both sensors."""
    distal: str | None
    heart: str | None
    target_deg: tuple[float, float]
    opened_us: int
    exercise_since_us: int | None = None
    """Since when exercise and side are these; None: since it was opened."""
    set: SetSpan | None = None
    """The set that was started last."""
    spo2: str | None = None
    worn: frozenset[str] = frozenset()
    """All devices that the patient wears: any of them may hint at a fall."""
    limits: Limits | None = None
    """None: nothing is judged (the organisation only measures)."""
    confirmed_us: int = 0
    """When somebody last let the patient go on after a stop."""

    @property
    def devices(self) -> frozenset[str]:
        """Return the devices that show this training session."""
        return frozenset(filter(None, (*self.sensors, self.heart, self.spo2)))

    @property
    def sensors(self) -> tuple[str | None, str | None]:
        """Return the devices in the order of the ring's columns: proximal, distal."""
        return self.proximal, self.distal

    @property
    def used_sensors(self) -> frozenset[str]:
        """Return the sensors from which the movement is told."""
        return frozenset(filter(None, self.sensors))

    @property
    def measured_from_us(self) -> int:
        """Return since when what the sensors show is this exercise."""
        return self.opened_us if self.exercise_since_us is None else self.exercise_since_us

    @property
    def needs_both_sensors(self) -> bool:
        """Return whether the angle lies between two sensors."""
        return EXERCISES[self.exercise].needs_both_sensors

    @property
    def is_measurable(self) -> bool:
        """Return whether the sensors that the exercise needs are worn."""
        return self.distal is not None and (self.proximal is not None or not self.needs_both_sensors)

    def has_same_measurement(self, other: "Training") -> bool:
        """Return whether analysis may go on as it is: only the target, or the heart-rate strap, differs."""
        return (self.id, self.exercise, self.side, self.sensors) == (
            other.id,
            other.exercise,
            other.side,
            other.sensors,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Places:
    """What intake needs to know of the main database."""

    known_devices: frozenset[str] = frozenset()
    trainings: tuple[Training, ...] = ()
    idle: Mapping[str, UUID] = field(default_factory=dict)
    """Movement sensors that are lent to somebody who trains nothing now, and their assignments."""
    shards: Mapping[str, str] = field(default_factory=dict)
    """Where the devices that are in a kit send: on its shard."""
    lendings: Mapping[str, Lending] = field(default_factory=dict)
    """To whom each device is lent now, and since when: what it measured at another time is not shown as theirs."""
    wipes: Mapping[str, int] = field(default_factory=dict)
    """Devices that are lent to nobody and shall forget what they keep, and when that was asked. [µs, server's UTC]"""


class Judged(NamedTuple):
    """The limits by which a patient's values are judged (None: by none), and when the patient was last let go on."""

    limits: Limits | None
    confirmed_us: int


class StoredRepetitions(NamedTuple):
    """How many repetitions of a training session are stored, and when the last of them stopped (server's UTC)."""

    repetition_count: int
    last_stop_us: int


def read_places(db: Session, *, now: datetime) -> Places:
    """Read the devices that may deliver and the training sessions that are open.

    Of several open training sessions of one patient the newest counts: nobody trains twice at once.
    """
    devices = db.exec(
        select(Device.name, Device.kind, Device.wipe_asked_at, Kit.shard)
        .join(Kit, col(Kit.id) == col(Device.kit_id), isouter=True)
        .where(col(Device.revoked_at).is_(None))
    ).all()
    kinds = {name: kind for name, kind, _, _ in devices}
    newest: dict[UUID, TrainingSession] = {}
    is_open = select(TrainingSession).where(col(TrainingSession.closed_at).is_(None))
    for training_session in db.exec(is_open.order_by(col(TrainingSession.opened_at))):
        newest[training_session.patient_id] = training_session
    is_worn = or_(col(Assignment.ends_at).is_(None), col(Assignment.ends_at) > now)
    worn: dict[UUID, list[WornDevice]] = {patient_id: [] for patient_id in newest}
    idle: dict[str, UUID] = {}
    lendings: dict[str, Lending] = {}
    # Columns, not rows as objects: it is read every two seconds, of every device that is lent.
    columns = (getattr(Assignment, name) for name in AssignmentColumns._fields)
    statement = expression.select(*columns).where(col(Assignment.starts_at) <= now, is_worn)
    for assignment in map(AssignmentColumns._make, db.execute(statement.order_by(col(Assignment.starts_at)))):
        kind = kinds.get(assignment.device_name)
        if kind is not None:
            lendings[assignment.device_name] = to_lending(assignment)
        if assignment.patient_id not in worn:
            if kind in MOVEMENT_KINDS:
                idle[assignment.device_name] = assignment.id
        elif kind is not None:
            worn[assignment.patient_id].append(
                WornDevice(
                    device=assignment.device_name,
                    kind=kind,
                    body_site=assignment.body_site,
                )
            )
    judged = _read_judged(db, newest, now=now)
    sets = _read_current_sets(db, newest.values())
    trainings = [
        make_training(training_session, worn[patient_id], judged[patient_id], sets.get(training_session.id))
        for patient_id, training_session in newest.items()
        if patient_id in judged
    ]
    return Places(
        known_devices=frozenset(kinds),
        trainings=tuple(each for each in trainings if each is not None),
        idle=idle,
        lendings=lendings,
        wipes={name: to_us(at) for name, _, at, _ in devices if at is not None and name not in lendings},
        shards={name: shard for name, _, _, shard in devices if shard is not None},
    )


def make_training(
    training_session: TrainingSession, worn: Sequence[WornDevice], judged: Judged, current_set: SetSpan | None = None
) -> Training | None:
    """Choose the sensors of a training session; None for an exercise that this program does not know."""
    exercise = EXERCISES.get(training_session.exercise)
    if exercise is None:
        return None
    side: str = training_session.side
    at_site = {each.body_site: each.device for each in worn if each.kind not in (HEART_KIND, SPO2_KIND)}
    low_deg, high_deg = training_session.target_low_deg, training_session.target_high_deg
    return Training(
        id=training_session.id,
        exercise=exercise.code,
        side=side,
        proximal=_at(at_site, exercise.proximal_site, side) if exercise.needs_both_sensors else None,
        distal=_at(at_site, exercise.distal_site, side),
        heart=next((each.device for each in worn if each.kind == HEART_KIND), None),
        target_deg=_target_deg(exercise, low_deg, high_deg),
        opened_us=to_us(training_session.opened_at),
        exercise_since_us=None if training_session.exercise_since is None else to_us(training_session.exercise_since),
        set=current_set,
        spo2=next((each.device for each in worn if each.kind == SPO2_KIND), None),
        worn=frozenset(each.device for each in worn),
        limits=judged.limits,
        confirmed_us=judged.confirmed_us,
    )


def read_stored_repetitions(db: Session, training_sessions: Iterable[UUID]) -> dict[UUID, StoredRepetitions]:
    """Return what is stored of each training session that has repetitions."""
    statement = (
        select(Repetition.training_session_id, func.count(), func.max(Repetition.stop_us))
        .where(col(Repetition.training_session_id).in_(list(training_sessions)))
        .group_by(col(Repetition.training_session_id))
    )
    return {identifier: StoredRepetitions(count, stop_us) for identifier, count, stop_us in db.exec(statement)}


def _read_judged(db: Session, open_of: Mapping[UUID, TrainingSession], *, now: datetime) -> dict[UUID, Judged]:
    """Return how the values of each patient are judged; an organisation without sensors has none that is shown here."""
    services = db.exec(
        select(Patient.id, Organisation.service)
        .join(Organisation, col(Organisation.id) == col(Patient.organisation_id))
        .where(col(Patient.id).in_(list(open_of)), col(Organisation.service) != COMMUNICATION_ONLY)
    ).all()
    trained_by = {
        patient_id: open_of[patient_id].plan_version_id for patient_id, service in services if service == FULL
    }
    limits = read_limits_in_force(db, trained_by, now=now)
    confirmed_at = read_confirmations(db, [open_of[patient_id].id for patient_id, _ in services])
    return {
        patient_id: Judged(limits.get(patient_id), to_us(confirmed_at.get(open_of[patient_id].id, EPOCH)))
        for patient_id, _ in services
    }


def _read_current_sets(db: Session, training_sessions: Iterable[TrainingSession]) -> dict[UUID, SetSpan]:
    """Return the set that was started last, of each training session that has sets."""
    ids = [each.training_set_id for each in training_sessions if each.training_set_id is not None]
    rows = db.exec(select(TrainingSet).where(col(TrainingSet.id).in_(ids))) if ids else ()
    return {row.training_session_id: to_span(row) for row in rows}


def _at(at_site: dict[str | None, str], segment: str, side: str) -> str | None:
    """Return the device on a segment of this side; the trunk and the pelvis have no sides."""
    return at_site.get(f"{segment}_{side}") or at_site.get(segment)


def _target_deg(exercise: Exercise, low_deg: float | None, high_deg: float | None) -> tuple[float, float]:
    """Return the therapist's target, or the exercise's own where none was given."""
    low, high = exercise.target_deg
    return (low if low_deg is None else low_deg, high if high_deg is None else high_deg)
