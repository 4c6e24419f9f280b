"""Groups of patients who train together, and the therapist who leads each."""

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
from telerehab.db.repositories.patients import PatientRepository, is_visible_patient
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import Appointment, GroupMembership, Patient, PatientGroup, Substitution
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

LIST_MAX: Final = 200
MEMBERS_MAX: Final = 100
_TABLE: Final = "patient_group"


@dataclass(kw_only=True, frozen=True, slots=True)
class GroupRows:
    """A group with those of its patients whom the reader may see."""

    id: UUID
    name: str
    account_id: UUID
    members: Sequence[Identity]
    hidden_count: int
    """Patients in it whom the reader may not see."""


class GroupRepository:
    """The groups that a therapist leads, or stands in for."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self) -> Sequence[GroupRows]:
        """Return the groups by name."""
        statement = select(PatientGroup).where(is_own_group(self._reader, self._now))
        groups = self._db.exec(statement.order_by(col(PatientGroup.name), col(PatientGroup.id)).limit(LIST_MAX)).all()
        return self._with_members(groups)

    def get(self, group_id: UUID) -> GroupRows:
        """Return one group; NotFoundError where the reader does not lead it."""
        return self._with_members([self.require(group_id)])[0]

    def require(self, group_id: UUID, *, lock: bool = False) -> PatientGroup:
        """Return the row of a group that the reader leads; raise NotFoundError."""
        statement = select(PatientGroup).where(col(PatientGroup.id) == group_id, is_own_group(self._reader, self._now))
        group = self._db.exec(statement.with_for_update() if lock else statement).first()
        if group is None:
            raise NotFoundError("no such group")
        return group

    def create(self, name: str, *, group_id: UUID | None, patient_ids: Sequence[UUID]) -> GroupRows:
        """Make a group that the reader leads; the same id and name again adds nothing.

        Raises
        ------
        NotFoundError
            One of the patients is not in the reader's care, or the id is that of another's group.
        ConflictError
            The id is that of another group.
        """
        known = None if group_id is None else self._db.get(PatientGroup, group_id)
        if known is not None:
            group = self.require(known.id)
            if group.name != name:
                raise ConflictError("this group has another name")
            return self._with_members([group])[0]
        assert self._reader.account_id is not None
        group = PatientGroup(
            id=group_id or uuid4(),
            organisation_id=self._reader.organisation_id,
            name=name,
            account_id=self._reader.account_id,
        )
        self._db.add(group)
        self._db.flush()
        return self.set_members(group.id, patient_ids)

    def rename(self, group_id: UUID, name: str) -> GroupRows:
        """Give a group another name."""
        group = self.require(group_id)
        group.name = name
        self._db.add(group)
        note_change(self._db, _TABLE, group.id, version=1)
        return self._with_members([group])[0]

    def set_members(self, group_id: UUID, patient_ids: Sequence[UUID]) -> GroupRows:
        """Say who belongs to a group from now on; of those whom the reader may see, who is not named leaves.

        Raises
        ------
        NotFoundError
            The reader does not lead the group, or one of the patients is not in the reader's care.
        InvalidContentError
            The course of one is over.
        """
        group = self.require(group_id, lock=True)
        wanted = dict.fromkeys(patient_ids)
        for i, patient_id in enumerate(wanted):
            opened = self._patients.require(patient_id, Scope.WRITE_CARE)
            if opened.patient.ended_at is not None:
                raise InvalidContentError(
                    "a course is over", faults=[{"at": f"body.patient_ids.{i}", "kind": "course_ended"}]
                )
        visible = self._visible_ids([group.id])
        for row in self._memberships([group.id]):
            if row.patient_id in wanted:
                del wanted[row.patient_id]
            elif row.patient_id in visible:
                row.ends_at = self._now
                self._db.add(row)
        for patient_id in wanted:
            self._db.add(GroupMembership(group_id=group.id, patient_id=patient_id, starts_at=self._now))
        self._db.flush()
        note_change(self._db, _TABLE, group.id, version=1)
        record(self._db, actor=self._reader, action="set_group_members", object=f"{_TABLE}:{group.id}", now=self._now)
        return self._with_members([group])[0]

    def end(self, group_id: UUID) -> None:
        """Dissolve a group; its coming appointments are cancelled."""
        group = self.require(group_id, lock=True)
        for row in self._memberships([group.id]):
            row.ends_at = self._now
            self._db.add(row)
        coming = select(Appointment).where(
            col(Appointment.group_id) == group.id,
            col(Appointment.state) == "planned",
            col(Appointment.starts_at) > self._now,
        )
        for appointment in self._db.exec(coming):
            appointment.state = "cancelled"
            appointment.version += 1
            self._db.add(appointment)
            note_change(self._db, "appointment", appointment.id, version=appointment.version)
        group.ended_at = self._now
        self._db.add(group)
        note_change(self._db, _TABLE, group.id, version=1)

    def _memberships(self, group_ids: Sequence[UUID]) -> Sequence[GroupMembership]:
        statement = select(GroupMembership).where(
            col(GroupMembership.group_id).in_(group_ids), is_member_now(self._now)
        )
        return self._db.exec(statement.order_by(col(GroupMembership.id))).all()

    def _visible_ids(self, group_ids: Sequence[UUID]) -> frozenset[UUID]:
        statement = (
            select(Patient.id)
            .join(GroupMembership, col(GroupMembership.patient_id) == col(Patient.id))
            .where(
                col(GroupMembership.group_id).in_(group_ids),
                is_visible_patient(self._reader, self._now, Scope.IDENTIFY),
            )
        )
        return frozenset(self._db.exec(statement))

    def _with_members(self, groups: Sequence[PatientGroup]) -> Sequence[GroupRows]:
        rows = self._memberships([group.id for group in groups])
        statement = select(Patient).where(
            col(Patient.id).in_({row.patient_id for row in rows}),
            is_visible_patient(self._reader, self._now, Scope.IDENTIFY),
        )
        seen = {patient.id: PatientSeal(patient, self._key_ring).identity() for patient in self._db.exec(statement)}
        shown = []
        for group in groups:
            ids = [row.patient_id for row in rows if row.group_id == group.id]
            members = [seen[patient_id] for patient_id in ids if patient_id in seen]
            shown.append(
                GroupRows(
                    id=group.id,
                    name=group.name,
                    account_id=group.account_id,
                    members=sorted(members, key=lambda each: ((each.name or "").casefold(), each.patient_id)),
                    hidden_count=len(ids) - len(members),
                )
            )
        return shown


def is_own_group(reader: Reader, now: datetime) -> ColumnElement[bool]:
    """Return the condition that the reader leads a group, or stands in for who does."""
    absent = select(Substitution.absent_account_id).where(
        col(Substitution.substitute_account_id) == reader.account_id,
        col(Substitution.starts_at) <= now,
        col(Substitution.ends_at) > now,
    )
    return (
        (col(PatientGroup.organisation_id) == reader.organisation_id)
        & or_(col(PatientGroup.account_id) == reader.account_id, col(PatientGroup.account_id).in_(absent))
        & col(PatientGroup.ended_at).is_(None)
    )


def is_member_now(now: datetime) -> ColumnElement[bool]:
    """Return the condition that a membership is in force."""
    return (col(GroupMembership.starts_at) <= now) & or_(
        col(GroupMembership.ends_at).is_(None), col(GroupMembership.ends_at) > now
    )
