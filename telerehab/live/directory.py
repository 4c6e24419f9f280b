"""Who trains what, and who may look: the rows that the live fan-out needs, read together, in a thread.

Nothing here is cached for longer than the next read (every two seconds, or sooner when a row changed): access that has
ended ends on the screens too.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import col, or_, select

from sessions.live_session import RUNNING
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.engine import Database, reading
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import Account, CareRelation, LiveSession, Patient, TrainingSession


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenTraining:
    """A training session that has not been closed."""

    id: UUID
    patient_id: UUID
    live_session_id: UUID | None
    opened_at: datetime
    exercise: str
    side: str
    target_low_deg: float | None
    target_high_deg: float | None
    target_repetitions: int | None

    def describe(self) -> dict[str, Any]:
        """Return what pages are told, as JSON values."""
        return {
            "id": str(self.id),
            "exercise": self.exercise,
            "side": self.side,
            "target_low_deg": self.target_low_deg,
            "target_high_deg": self.target_high_deg,
            "target_repetitions": self.target_repetitions,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Directory:
    """Open training sessions and who may look at them, as of one moment."""

    trainings: tuple[OpenTraining, ...] = ()
    patients_of: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    """By account: the patients in its care now."""
    live_sessions_of: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    """By account: the running live sessions that it leads."""
    names: dict[UUID, str] = field(default_factory=dict)
    """By account or patient."""

    def visible_trainings(self, reader: Reader) -> frozenset[UUID]:
        """Return the open training sessions whose values a reader may see.

        A tablet sees its own patient's. A therapist sees those of patients in care, and those of a live session that
        the therapist leads.
        """
        if reader.role == "tablet":
            return frozenset(t.id for t in self.trainings if t.patient_id == reader.patient_id)
        if reader.role != "therapist" or reader.account_id is None:
            return frozenset()
        patients = self.patients_of.get(reader.account_id, frozenset())
        led = self.live_sessions_of.get(reader.account_id, frozenset())
        return frozenset(t.id for t in self.trainings if t.patient_id in patients or t.live_session_id in led)

    def training_of(self, patient_id: UUID, live_session_id: UUID) -> OpenTraining | None:
        """Return what a patient trains now: in this live session, else what was opened last."""
        own = [t for t in self.trainings if t.patient_id == patient_id]
        return max(own, key=lambda t: (t.live_session_id == live_session_id, t.opened_at), default=None)


def read_directory(
    database: Database, *, key_ring: KeyRing, accounts: Collection[UUID], named: Collection[UUID], now: datetime
) -> Directory:
    """Read the directory.

    Parameters
    ----------
    accounts : collection of UUID
        The therapists who look now; care relations of others are not read.
    named : collection of UUID
        The accounts and patients whose names are wanted.
    """
    states = [state.value for state in RUNNING]
    with reading(database.main) as db:
        trainings = db.exec(select(TrainingSession).where(col(TrainingSession.closed_at).is_(None))).all()
        relations = db.exec(
            select(CareRelation).where(
                col(CareRelation.account_id).in_(accounts),
                col(CareRelation.starts_at) <= now,
                or_(col(CareRelation.ends_at).is_(None), col(CareRelation.ends_at) > now),
            )
        ).all()
        live_sessions = db.exec(
            select(LiveSession).where(
                col(LiveSession.therapist_account_id).in_(accounts), col(LiveSession.state).in_(states)
            )
        ).all()
        account_names = db.exec(select(Account.id, Account.display_name).where(col(Account.id).in_(named))).all()
        patients = db.exec(select(Patient).where(col(Patient.id).in_(named))).all()
    return Directory(
        trainings=tuple(_describe(row) for row in trainings),
        patients_of=_group(
            (relation.account_id, relation.patient_id) for relation in relations if relation.account_id is not None
        ),
        live_sessions_of=_group((row.therapist_account_id, row.id) for row in live_sessions),
        names={**dict(account_names), **_read_names(patients, key_ring)},
    )


def _read_names(patients: Iterable[Patient], key_ring: KeyRing) -> dict[UUID, str]:
    """Return the names of patients; of one whose key was destroyed an empty one."""
    return {patient.id: PatientSeal(patient, key_ring).identity().name or "" for patient in patients}


def _describe(row: TrainingSession) -> OpenTraining:
    return OpenTraining(
        id=row.id,
        patient_id=row.patient_id,
        live_session_id=row.live_session_id,
        opened_at=row.opened_at,
        exercise=row.exercise,
        side=row.side,
        target_low_deg=row.target_low_deg,
        target_high_deg=row.target_high_deg,
        target_repetitions=row.target_repetitions,
    )


def _group(pairs: Iterable[tuple[UUID, UUID]]) -> dict[UUID, frozenset[UUID]]:
    groups: dict[UUID, set[UUID]] = {}
    for key, value in pairs:
        groups.setdefault(key, set()).add(value)
    return {key: frozenset(values) for key, values in groups.items()}
