"""What people are told: at most one notice per recipient, cause and day, whoever writes it and however often."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.repositories.patients import is_visible_patient
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import Notice, Patient
from telerehab.errors import NotFoundError

LIST_MAX: Final = 200
_TABLE: Final = "notice"


def to_account(account_id: UUID) -> str:
    """Return the recipient that is one member of staff."""
    return f"account:{account_id}"


def to_patient(patient_id: UUID) -> str:
    """Return the recipient that is one patient, on any tablet."""
    return f"patient:{patient_id}"


def to_role(role: str, organisation_id: UUID) -> str:
    """Return the recipient that is everybody with a role in an organisation; one of them reads it for all."""
    return f"role:{role}:{organisation_id}"


def put_notice(
    db: Session,
    *,
    organisation_id: UUID,
    recipient: str,
    kind: str,
    cause: str,
    day: date,
    now: datetime,
    patient_id: UUID | None = None,
    data: Mapping[str, Any] | None = None,
) -> bool:
    """Write a notice; return False where the recipient was told of this cause on this day already.

    Parameters
    ----------
    recipient : str
        From `to_account`, `to_patient` or `to_role`.
    kind : str
        A text key of the pages, as "notice.flag_new".
    day : date
        In the organisation's time zone.
    data : mapping, optional
        Ids and numbers that the sentence needs. Never a name or what somebody wrote.
    """
    notice_id = uuid4()
    row = {
        "id": notice_id,
        "organisation_id": organisation_id,
        "recipient": recipient,
        "patient_id": patient_id,
        "kind": kind,
        "cause": cause,
        "day": day.isoformat(),
        "data": dict(data or {}),
        "created_at": now,
    }
    insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
    written = db.execute(
        insert(Notice)
        .values(**row)
        .on_conflict_do_nothing(index_elements=["recipient", "cause", "day"])
        .returning(col(Notice.id))
    ).first()
    if written is not None:
        note_change(db, _TABLE, notice_id, version=1)
    return written is not None


@dataclass(kw_only=True, frozen=True, slots=True)
class NoticeRows:
    """A notice, and whom it is about as far as the reader may know."""

    notice: Notice
    identity: Identity | None


class NoticeRepository:
    """The notices of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring

    def list(self) -> Sequence[NoticeRows]:
        """Return what the reader was told, the newest first, at most `LIST_MAX`."""
        statement = select(Notice).where(
            col(Notice.recipient).in_(self._recipients()),
            col(Notice.organisation_id) == self._reader.organisation_id,
        )
        newest = statement.order_by(col(Notice.created_at).desc(), col(Notice.id)).limit(LIST_MAX)
        notices = self._db.exec(newest).all()
        identities = self._identities({notice.patient_id for notice in notices if notice.patient_id})
        return [
            NoticeRows(notice=notice, identity=identities.get(notice.patient_id) if notice.patient_id else None)
            for notice in notices
        ]

    def mark_read(self, notice_id: UUID) -> None:
        """Note that a notice was read; reading it again changes nothing.

        Raises
        ------
        NotFoundError
            There is none, or it was sent to somebody else.
        """
        notice = self._db.get(Notice, notice_id)
        is_own = notice is not None and notice.recipient in self._recipients()
        if notice is None or not is_own or notice.organisation_id != self._reader.organisation_id:
            raise NotFoundError("no such notice")
        if notice.read_at is None:
            notice.read_at = self._now
            self._db.add(notice)
            note_change(self._db, _TABLE, notice.id, version=2)

    def _recipients(self) -> Sequence[str]:
        """Return every recipient that the reader is."""
        if self._reader.account_id is not None:
            role = to_role(self._reader.role, self._reader.organisation_id)
            return [to_account(self._reader.account_id), role]
        return [] if self._reader.patient_id is None else [to_patient(self._reader.patient_id)]

    def _identities(self, patient_ids: set[UUID]) -> Mapping[UUID, Identity]:
        """Return who the patients are whom the reader may identify now."""
        if not patient_ids:
            return {}
        visible = is_visible_patient(self._reader, self._now, Scope.IDENTIFY)
        statement = select(Patient).where(col(Patient.id).in_(patient_ids), visible)
        return {patient.id: PatientSeal(patient, self._key_ring).identity() for patient in self._db.exec(statement)}
