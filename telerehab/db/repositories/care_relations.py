"""Who treats a patient, from when to when: a therapist or a team."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.repositories.staff import require_therapist
from telerehab.db.tables import Account, CareRelation, Patient, Team
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

LIST_MAX: Final = 100
_TABLE: Final = "care_relation"


@dataclass(kw_only=True, frozen=True, slots=True)
class CareRow:
    """Who treats a patient during `[starts_at, ends_at)`."""

    id: UUID
    account_id: UUID | None
    team_id: UUID | None
    display_name: str
    """Of the therapist or the team."""
    starts_at: datetime
    ends_at: datetime | None
    source: str


class CareRelationRepository:
    """The care relations of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def of(self, patient_id: UUID) -> Sequence[CareRow]:
        """Return who treats a patient, has treated and will; the latest first."""
        self._patients.require(patient_id, Scope.IDENTIFY)
        return self.rows_of(patient_id, is_all=True)

    def rows_of(self, patient_id: UUID, *, is_all: bool = False) -> Sequence[CareRow]:
        """Return who treats a patient whom the caller has let the reader see; else also of the past."""
        statement = (
            select(CareRelation, Account.display_name, Team.name)
            .join(Account, col(Account.id) == col(CareRelation.account_id), isouter=True)
            .join(Team, col(Team.id) == col(CareRelation.team_id), isouter=True)
            .where(col(CareRelation.patient_id) == patient_id)
        )
        if not is_all:
            statement = statement.where(_is_not_over(self._now))
        latest = statement.order_by(col(CareRelation.starts_at).desc(), col(CareRelation.id)).limit(LIST_MAX)
        return [
            CareRow(
                id=row.id,
                account_id=row.account_id,
                team_id=row.team_id,
                display_name=therapist_name or team_name or "",
                starts_at=row.starts_at,
                ends_at=row.ends_at,
                source=row.source,
            )
            for row, therapist_name, team_name in self._db.exec(latest)
        ]

    def create(
        self,
        patient_id: UUID,
        *,
        relation_id: UUID | None,
        therapist_id: UUID | None,
        team_id: UUID | None,
        starts_at: datetime | None,
        ends_at: datetime | None,
    ) -> CareRow:
        """Let a therapist or a team treat a patient from now or later on.

        Raises
        ------
        NotFoundError
            The reader may not say who treats the patient; therapist or team is of elsewhere.
        ConflictError
            The course is over (`course_ended`), or the id is that of another wish.
        InvalidContentError
            Both or none are named, the therapist does not work here, or the time range is empty.
        """
        patient = self._patients.require(patient_id, Scope.ASSIGN).patient
        known = None if relation_id is None else self._db.get(CareRelation, relation_id)
        if known is not None:
            if (known.patient_id, known.account_id, known.team_id) != (patient.id, therapist_id, team_id):
                raise ConflictError("this care relation is another one")
            return self._row(known)
        lock_patient(self._db, patient.id)
        self._db.refresh(patient)  # the course may have ended while we waited
        if patient.ended_at is not None:
            raise ConflictError("the patient's course is over", code="course_ended")
        starts_at = max(starts_at or self._now, self._now)  # nobody has treated somebody in hindsight
        if ends_at is not None and ends_at <= starts_at:
            raise InvalidContentError("it is over", faults=[{"at": "body.ends_at", "kind": "too_early"}])
        relation = self._added(
            patient,
            relation_id=relation_id,
            therapist_id=therapist_id,
            team_id=team_id,
            starts_at=starts_at,
            ends_at=ends_at,
        )
        return self._row(relation)

    def end(self, relation_id: UUID) -> None:
        """End a care relation now, or before it began; one that is over stays so.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not.
        """
        relation = self._db.get(CareRelation, relation_id)
        if relation is None:
            raise NotFoundError("no such care relation")
        try:
            self._patients.require(relation.patient_id, Scope.ASSIGN)
        except NotFoundError:
            raise NotFoundError("no such care relation") from None
        if relation.ends_at is None or relation.ends_at > self._now:
            self._end(relation)
            self._record("end_care", relation)

    def add_for_new(self, patient: Patient, *, therapist_id: UUID | None, team_id: UUID | None) -> None:
        """Let a therapist or a team treat a patient whom the caller has just made or opened again."""
        self._added(
            patient,
            relation_id=None,
            therapist_id=therapist_id,
            team_id=team_id,
            starts_at=self._now,
            ends_at=None,
        )

    def end_all(self, patient_id: UUID) -> None:
        """End all that is in force or to come; the caller records why."""
        in_force = select(CareRelation).where(col(CareRelation.patient_id) == patient_id, _is_not_over(self._now))
        for relation in self._db.exec(in_force):
            self._end(relation)

    def _added(
        self,
        patient: Patient,
        *,
        relation_id: UUID | None,
        therapist_id: UUID | None,
        team_id: UUID | None,
        starts_at: datetime,
        ends_at: datetime | None,
    ) -> CareRelation:
        if (therapist_id is None) == (team_id is None):
            raise InvalidContentError(
                "a therapist or a team", faults=[{"at": "body.therapist_id", "kind": "one_of_therapist_and_team"}]
            )
        if therapist_id is not None:
            require_therapist(self._db, self._reader, therapist_id, at="body.therapist_id")
        if team_id is not None:
            self._require_team(team_id)
        relation = CareRelation(
            id=relation_id or uuid4(),
            account_id=therapist_id,
            team_id=team_id,
            patient_id=patient.id,
            starts_at=starts_at,
            ends_at=ends_at,
            created_by=self._reader.account_id,
        )
        self._db.add(relation)
        self._db.flush()
        note_change(self._db, _TABLE, relation.id, version=1)
        self._record("begin_care", relation)
        return relation

    def _require_team(self, team_id: UUID) -> None:
        team = self._db.exec(select(Team).where(col(Team.id) == team_id).with_for_update()).first()
        if team is None or team.organisation_id != self._reader.organisation_id or team.ended_at is not None:
            raise NotFoundError("no such team")

    def _end(self, relation: CareRelation) -> None:
        relation.ends_at = max(relation.starts_at, self._now)
        self._db.add(relation)
        note_change(self._db, _TABLE, relation.id, version=2)

    def _row(self, relation: CareRelation) -> CareRow:
        return next(row for row in self.rows_of(relation.patient_id, is_all=True) if row.id == relation.id)

    def _record(self, action: str, relation: CareRelation) -> None:
        record(
            self._db,
            actor=self._reader,
            action=action,
            patient_id=relation.patient_id,
            object=f"account:{relation.account_id}" if relation.account_id else f"team:{relation.team_id}",
            now=self._now,
        )


def _is_not_over(now: datetime) -> ColumnElement[bool]:
    return or_(
        col(CareRelation.ends_at).is_(None),
        (col(CareRelation.ends_at) > now) & (col(CareRelation.ends_at) > col(CareRelation.starts_at)),
    )
