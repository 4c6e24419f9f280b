"""Patients, as far as one reader may see them: the gate that everything about a patient passes.

`PatientRepository.require` asks the database one question, and `telerehab.auth.access.scopes_of` decides. Whatever
belongs to a patient is reached through it or through `is_visible_patient`; what the reader may not see does not exist.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, false, literal, or_
from sqlalchemy.sql import expression
from sqlmodel import Session, col, select

from telerehab.auth.access import Scope, Standing, scopes_of
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import BreakGlass, CareRelation, HelperGrant, Patient, Substitution, TeamMembership
from telerehab.errors import NotFoundError


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedPatient:
    """A patient whom the reader may see, what the reader may do, and the seal that opens what is the patient's."""

    patient: Patient
    scopes: frozenset[Scope]
    seal: PatientSeal

    @property
    def identity(self) -> Identity:
        """Return name and birth date."""
        return self.seal.identity()


class PatientRepository:
    """The patients of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring

    def list(self, scope: Scope = Scope.IDENTIFY) -> Sequence[OpenedPatient]:
        """Return all patients with whom the reader may do this, by name; without those whose course is over."""
        statement = select(Patient).where(
            is_visible_patient(self._reader, self._now, scope), col(Patient.ended_at).is_(None)
        )
        opened = [
            OpenedPatient(patient=patient, scopes=frozenset({scope}), seal=PatientSeal(patient, self._key_ring))
            for patient in self._db.exec(statement)
        ]
        return sorted(opened, key=lambda each: ((each.identity.name or "").casefold(), each.patient.id))

    def require(self, patient_id: UUID, scope: Scope) -> OpenedPatient:
        """Return one patient with whom the reader may do this.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not.
        """
        rows = self._db.exec(_standing_statement(self._reader, patient_id, self._now)).all()
        if not rows:
            raise NotFoundError("no such patient")
        patient, standing = _read_standing(self._reader, rows)
        scopes = scopes_of(self._reader, standing)
        if scope not in scopes:
            raise NotFoundError("no such patient")
        return OpenedPatient(patient=patient, scopes=scopes, seal=PatientSeal(patient, self._key_ring))


def is_visible_patient(reader: Reader, now: datetime, scope: Scope) -> ColumnElement[bool]:
    """Return `access.scopes_of` as a condition on rows of `Patient`, for lists.

    A helper's list is decided by any grant in force that names the scope; break-glass shows up in no list.
    """
    same_organisation = col(Patient.organisation_id) == reader.organisation_id
    probe = Standing(patient_id=reader.patient_id or reader.login_id, organisation_id=reader.organisation_id)
    match reader.role:
        case "tablet":
            if scope not in scopes_of(reader, probe):
                return false()
            return same_organisation & (col(Patient.id) == reader.patient_id)
        case "therapist":
            return same_organisation & _is_in_care(reader, now)
        case "helper":
            return same_organisation & _has_grant(reader, now, scope)
        case _:
            return same_organisation if scope in scopes_of(reader, probe) else false()


def _standing_statement(reader: Reader, patient_id: UUID, now: datetime) -> Any:
    """Return the one query that tells how the reader stands to a patient."""
    this = (col(Patient.id) == patient_id) & (col(Patient.organisation_id) == reader.organisation_id)
    if reader.role == "therapist":
        return expression.select(Patient, _is_in_care(reader, now), _has_broken_glass(reader, now)).where(this)
    if reader.role == "helper":
        grant = (
            (col(HelperGrant.patient_id) == col(Patient.id))
            & (col(HelperGrant.helper_id) == reader.helper_id)
            & grant_in_force(now)
        )
        return (
            expression.select(Patient, col(HelperGrant.scopes), col(HelperGrant.id))
            .join(HelperGrant, grant)
            .where(this)
        )
    return expression.select(Patient, literal(value=False), literal(value=False)).where(this)


def _read_standing(reader: Reader, rows: Sequence[Any]) -> tuple[Patient, Standing]:
    """Return the patient and the standing that the query's rows say: of a helper one per grant, else one."""
    patient, first, second = rows[0]
    if reader.role == "helper":
        return patient, Standing(
            patient_id=patient.id,
            organisation_id=patient.organisation_id,
            granted=frozenset().union(*(scopes for _, scopes, _ in rows)),
            has_grant=True,
        )
    return patient, Standing(
        patient_id=patient.id,
        organisation_id=patient.organisation_id,
        is_in_care=bool(first),
        has_broken_glass=bool(second),
    )


def _is_in_care(reader: Reader, now: datetime) -> ColumnElement[bool]:
    """Return whether a care relation in force names the therapist, a team of theirs, or whom they stand in for."""
    absent = select(Substitution.absent_account_id).where(
        col(Substitution.substitute_account_id) == reader.account_id,
        col(Substitution.starts_at) <= now,
        col(Substitution.ends_at) > now,
    )
    teams = select(TeamMembership.team_id).where(
        or_(col(TeamMembership.account_id) == reader.account_id, col(TeamMembership.account_id).in_(absent)),
        col(TeamMembership.starts_at) <= now,
        or_(col(TeamMembership.ends_at).is_(None), col(TeamMembership.ends_at) > now),
    )
    return exists().where(
        col(CareRelation.patient_id) == col(Patient.id),
        or_(
            col(CareRelation.account_id) == reader.account_id,
            col(CareRelation.account_id).in_(absent),
            col(CareRelation.team_id).in_(teams),
        ),
        col(CareRelation.starts_at) <= now,
        or_(col(CareRelation.ends_at).is_(None), col(CareRelation.ends_at) > now),
    )


def _has_broken_glass(reader: Reader, now: datetime) -> ColumnElement[bool]:
    return exists().where(
        col(BreakGlass.account_id) == reader.account_id,
        col(BreakGlass.patient_id) == col(Patient.id),
        col(BreakGlass.starts_at) <= now,
        col(BreakGlass.ends_at) > now,
    )


def _has_grant(reader: Reader, now: datetime, scope: Scope) -> ColumnElement[bool]:
    """Return whether a grant in force lets the helper see the patient at all; its scopes are checked on opening."""
    if scope is not Scope.IDENTIFY:
        return false()
    return exists().where(
        col(HelperGrant.patient_id) == col(Patient.id),
        col(HelperGrant.helper_id) == reader.helper_id,
        grant_in_force(now),
    )


def grant_in_force(now: datetime) -> ColumnElement[bool]:
    """Return whether a row of `HelperGrant` holds now."""
    return (
        (col(HelperGrant.starts_at) <= now)
        & (col(HelperGrant.ends_at) > now)
        & col(HelperGrant.revoked_at).is_(None)
        & col(HelperGrant.accepted_at).is_not(None)
    )
