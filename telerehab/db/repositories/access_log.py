"""Who looked at a patient and who decided what: the patient's own view of the audit chain, and the auditors'."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.tables import Account, AuditEvent, HelperGrant

PAGE_MAX: Final = 100


@dataclass(kw_only=True, frozen=True, slots=True)
class AccessEntry:
    """One link of the chain; names are put in now, from the rows that still have them."""

    sequence: int
    at: datetime
    action: str
    actor_role: str
    actor_id: UUID | None
    actor_name: str | None
    """Of staff and of the patient's helpers; None for the patient's own tablet, the system, and who is unknown."""
    patient_id: UUID | None
    object: str | None
    on_behalf_of: str | None
    allowed: bool
    reason_code: str | None


class AccessLogRepository:
    """The part of the audit chain that one reader may read."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def of_patient(self, patient_id: UUID, *, before: int | None, limit: int) -> Sequence[AccessEntry]:
        """Return what concerns a patient, the newest first.

        Raises
        ------
        NotFoundError
            The reader may not see the patient.
        """
        opened = self._patients.require(patient_id, Scope.INVITE)
        rows = self._page(col(AuditEvent.patient_id) == patient_id, before, limit)
        return self._named(rows, self._helpers_of(opened))

    def of_organisation(self, *, before: int | None, limit: int) -> Sequence[AccessEntry]:
        """Return all of the reader's organisation, the newest first."""
        return self._named(
            self._page(col(AuditEvent.organisation_id) == self._reader.organisation_id, before, limit), {}
        )

    def _page(self, which: Any, before: int | None, limit: int) -> Sequence[AuditEvent]:
        statement = select(AuditEvent).where(which)
        if before is not None:
            statement = statement.where(col(AuditEvent.sequence) < before)
        return self._db.exec(statement.order_by(col(AuditEvent.sequence).desc()).limit(min(limit, PAGE_MAX))).all()

    def _named(self, rows: Iterable[AuditEvent], helpers: dict[UUID, str]) -> list[AccessEntry]:
        """Put names to ids, in one query."""
        said = [(row, json.loads(row.record)) for row in rows]
        actors = {_actor_id(record) for _, record in said}
        names = dict(
            self._db.exec(
                select(Account.id, Account.display_name).where(
                    col(Account.id).in_(actors - {None}),
                    col(Account.organisation_id) == self._reader.organisation_id,
                )
            ).all()
        )
        return [_entry(row, record, {**helpers, **names}) for row, record in said]

    def _helpers_of(self, opened: OpenedPatient) -> dict[UUID, str]:
        """Return the names of a patient's helpers, as the invitations said them."""
        grants = self._db.exec(select(HelperGrant).where(col(HelperGrant.patient_id) == opened.patient.id))
        return {
            grant.helper_id: opened.seal.open(
                grant.invited_name_sealed, table="helper_grant", column="invited_name", row_id=grant.id
            )
            or ""
            for grant in grants
            if grant.helper_id is not None
        }


def _actor_id(record: dict[str, Any]) -> UUID | None:
    """Return the id behind `role:id`; None for the system."""
    _, _, identifier = str(record.get("actor", "")).partition(":")
    return UUID(identifier) if identifier else None


def _entry(row: AuditEvent, record: dict[str, Any], names: dict[UUID, str]) -> AccessEntry:
    actor_id = _actor_id(record)
    return AccessEntry(
        sequence=row.sequence,
        at=row.at,
        action=row.action,
        actor_role=record.get("role", ""),
        actor_id=actor_id,
        actor_name=None if actor_id is None else names.get(actor_id),
        patient_id=row.patient_id,
        object=record.get("object"),
        on_behalf_of=record.get("on_behalf_of"),
        allowed=bool(record.get("allowed", True)),
        reason_code=record.get("reason"),
    )
