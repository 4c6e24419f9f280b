"""Who trains what, and who may look: the rows that the live fan-out needs, read together, in a thread.

Nothing here is cached for longer than the next read (every two seconds, or sooner when a row changed): access that has
ended ends on the screens too.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlmodel import Session, col, or_, select

from sessions.live_session import RUNNING
from telerehab.auth.access import Scope, Standing, scopes_of
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.engine import Database, reading
from telerehab.db.repositories.people import helper_context
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import (
    Account,
    BreakGlass,
    CareRelation,
    Helper,
    HelperGrant,
    LiveSession,
    Patient,
    Substitution,
    TeamMembership,
    TrainingSession,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenTraining:
    """A training session that has not been closed."""

    id: UUID
    organisation_id: UUID
    """The patient's."""
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
    """By account: the patients in its care now, own, of a team, or of somebody stood in for."""
    looked_at_by: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    """By account: the patients at whom it looks by break-glass."""
    granted_to: dict[UUID, dict[UUID, frozenset[str]]] = field(default_factory=dict)
    """By helper: the scopes for each patient."""
    live_sessions_of: dict[UUID, frozenset[UUID]] = field(default_factory=dict)
    """By account: the running live sessions that it leads."""
    names: dict[UUID, str] = field(default_factory=dict)
    """By account, patient or helper."""

    def visible_trainings(self, reader: Reader) -> frozenset[UUID]:
        """Return the open training sessions whose values a reader may see.

        Those of the patients whose results the reader may see, as everywhere else, and for a therapist those of a live
        session that the therapist leads.
        """
        led = self.live_sessions_of.get(reader.account_id, frozenset()) if reader.account_id is not None else ()
        return frozenset(
            training.id
            for training in self.trainings
            if Scope.SEE_RESULTS in self._scopes(reader, training.patient_id, training.organisation_id)
            or (reader.role == "therapist" and training.live_session_id in led)
        )

    def may_join(self, helper: Reader, patient_id: UUID) -> bool:
        """Return whether a helper may sit beside a patient now."""
        return Scope.JOIN in self._scopes(helper, patient_id, helper.organisation_id)

    def trains(self, reader: Reader) -> bool:
        """Return whether somebody trains before this reader's eyes, so that the login must not end."""
        return bool(self.visible_trainings(reader))

    def _scopes(self, reader: Reader, patient_id: UUID, organisation_id: UUID) -> frozenset[Scope]:
        """Return what the reader may do with a patient; the decision is `access.scopes_of`."""
        granted = self.granted_to.get(reader.helper_id, {}).get(patient_id) if reader.helper_id is not None else None
        account_id = reader.account_id
        standing = Standing(
            patient_id=patient_id,
            organisation_id=organisation_id,
            is_in_care=account_id is not None and patient_id in self.patients_of.get(account_id, ()),
            has_broken_glass=account_id is not None and patient_id in self.looked_at_by.get(account_id, ()),
            granted=granted or frozenset(),
            has_grant=granted is not None,
        )
        return scopes_of(reader, standing)

    def training_of(self, patient_id: UUID, live_session_id: UUID) -> OpenTraining | None:
        """Return what a patient trains now: in this live session, else what was opened last."""
        own = [t for t in self.trainings if t.patient_id == patient_id]
        return max(own, key=lambda t: (t.live_session_id == live_session_id, t.opened_at), default=None)


def read_directory(
    database: Database, *, key_ring: KeyRing, readers: Collection[Reader], named: Collection[UUID], now: datetime
) -> Directory:
    """Read the directory; the number of queries does not depend on how many look, train or are treated.

    Parameters
    ----------
    readers : collection of Reader
        Who looks now; what others may see is not read.
    named : collection of UUID
        The accounts, patients and helpers whose names are wanted.
    """
    accounts = {reader.account_id for reader in readers if reader.account_id is not None}
    helpers = {reader.helper_id for reader in readers if reader.helper_id is not None}
    states = [state.value for state in RUNNING]
    with reading(database.main) as db:
        trainings = db.exec(
            select(TrainingSession, Patient.organisation_id)
            .join(Patient, col(Patient.id) == col(TrainingSession.patient_id))
            .where(col(TrainingSession.closed_at).is_(None))
        ).all()
        live_sessions = db.exec(
            select(LiveSession.therapist_account_id, LiveSession.id).where(
                col(LiveSession.therapist_account_id).in_(accounts), col(LiveSession.state).in_(states)
            )
        ).all()
        looks = db.exec(
            select(BreakGlass.account_id, BreakGlass.patient_id).where(
                col(BreakGlass.account_id).in_(accounts),
                col(BreakGlass.starts_at) <= now,
                col(BreakGlass.ends_at) > now,
            )
        ).all()
        patients_of = _read_care(db, accounts, now)
        granted_to = _read_grants(db, helpers, now)
        account_names = db.exec(select(Account.id, Account.display_name).where(col(Account.id).in_(named))).all()
        patients = db.exec(select(Patient).where(col(Patient.id).in_(named))).all()
        named_helpers = db.exec(select(Helper).where(col(Helper.id).in_(named))).all()
    return Directory(
        trainings=tuple(_describe(row, organisation_id) for row, organisation_id in trainings),
        patients_of=patients_of,
        looked_at_by=_group(looks),
        granted_to=granted_to,
        live_sessions_of=_group(live_sessions),
        names={
            **dict(account_names),
            **_read_names(patients, key_ring),
            **{
                helper.id: key_ring.open(helper.name_sealed, context=helper_context(helper.id)).decode()
                for helper in named_helpers
            },
        },
    )


def _read_care(db: Session, accounts: Collection[UUID], now: datetime) -> dict[UUID, frozenset[UUID]]:
    """Return the patients in the care of accounts: own, of a team, or of somebody whom the account stands in for."""
    stands_in = db.exec(
        select(Substitution.substitute_account_id, Substitution.absent_account_id).where(
            col(Substitution.substitute_account_id).in_(accounts),
            col(Substitution.starts_at) <= now,
            col(Substitution.ends_at) > now,
        )
    ).all()
    acts_as = _group([*((account, account) for account in accounts), *stands_in])
    everybody = {one for others in acts_as.values() for one in others}
    memberships = db.exec(
        select(TeamMembership.account_id, TeamMembership.team_id).where(
            col(TeamMembership.account_id).in_(everybody),
            col(TeamMembership.starts_at) <= now,
            or_(col(TeamMembership.ends_at).is_(None), col(TeamMembership.ends_at) > now),
        )
    ).all()
    teams = _group(memberships)
    relations = db.exec(
        select(CareRelation).where(
            or_(
                col(CareRelation.account_id).in_(everybody),
                col(CareRelation.team_id).in_({team for _, team in memberships}),
            ),
            col(CareRelation.starts_at) <= now,
            or_(col(CareRelation.ends_at).is_(None), col(CareRelation.ends_at) > now),
        )
    ).all()
    by_holder = _group((relation.account_id or relation.team_id, relation.patient_id) for relation in relations)
    return {
        account: frozenset(
            patient for one in others for holder in (one, *teams.get(one, ())) for patient in by_holder.get(holder, ())
        )
        for account, others in acts_as.items()
    }


def _read_grants(db: Session, helpers: Collection[UUID], now: datetime) -> dict[UUID, dict[UUID, frozenset[str]]]:
    """Return what helpers may do for whom."""
    grants = db.exec(
        select(HelperGrant).where(
            col(HelperGrant.helper_id).in_(helpers),
            col(HelperGrant.starts_at) <= now,
            col(HelperGrant.ends_at) > now,
            col(HelperGrant.revoked_at).is_(None),
            col(HelperGrant.accepted_at).is_not(None),
        )
    ).all()
    granted: dict[UUID, dict[UUID, frozenset[str]]] = {}
    for grant in grants:
        if grant.helper_id is not None:
            scopes = granted.setdefault(grant.helper_id, {})
            scopes[grant.patient_id] = scopes.get(grant.patient_id, frozenset()) | frozenset(grant.scopes)
    return granted


def _read_names(patients: Iterable[Patient], key_ring: KeyRing) -> dict[UUID, str]:
    """Return the names of patients; of one whose key was destroyed an empty one."""
    return {patient.id: PatientSeal(patient, key_ring).identity().name or "" for patient in patients}


def _describe(row: TrainingSession, organisation_id: UUID) -> OpenTraining:
    return OpenTraining(
        id=row.id,
        organisation_id=organisation_id,
        patient_id=row.patient_id,
        live_session_id=row.live_session_id,
        opened_at=row.opened_at,
        exercise=row.exercise,
        side=row.side,
        target_low_deg=row.target_low_deg,
        target_high_deg=row.target_high_deg,
        target_repetitions=row.target_repetitions,
    )


def _group(pairs: Iterable[tuple[UUID | None, UUID]]) -> dict[UUID, frozenset[UUID]]:
    groups: dict[UUID, set[UUID]] = {}
    for key, value in pairs:
        if key is not None:
            groups.setdefault(key, set()).add(value)
    return {key: frozenset(values) for key, values in groups.items()}
