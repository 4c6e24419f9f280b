"""The six digits that pair a tablet, made by somebody who may see the patient."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select, update

from telerehab.auth import audit
from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.logins import PAIRING_CODE_LIFETIME
from telerehab.auth.reader import Reader
from telerehab.auth.tokens import hash_code, new_code
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.repositories.tablets import note_assisted_start
from telerehab.db.tables import TabletPairingCode
from telerehab.errors import ConflictError

_DRAWS_MAX: Final = 20


@dataclass(kw_only=True, frozen=True, slots=True)
class NewPairingCode:
    """A code, shown once."""

    code: str
    expires_at: datetime


class TabletPairingCodeRepository:
    """Pairing codes for the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, code_key: bytes, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._code_key = code_key
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def create(self, patient_id: UUID) -> NewPairingCode:
        """Make a code for a patient; an older one of the same patient is void from now on.

        Raises
        ------
        NotFoundError
            The reader may not see the patient.
        ConflictError
            No free code was found.
        """
        self._patients.require(patient_id, Scope.LEND)
        self._db.exec(
            update(TabletPairingCode)
            .where(col(TabletPairingCode.patient_id) == patient_id, col(TabletPairingCode.used_at).is_(None))
            .values(expires_at=self._now)
        )
        code = self._free_code()
        expires_at = self._now + PAIRING_CODE_LIFETIME
        self._db.add(
            TabletPairingCode(
                patient_id=patient_id, code_hash=hash_code(code, key=self._code_key), expires_at=expires_at
            )
        )
        note_assisted_start(self._db, reader=self._reader, patient_id=patient_id, now=self._now)
        audit.record(self._db, actor=self._reader, action="invite_tablet", patient_id=patient_id, now=self._now)
        return NewPairingCode(code=code, expires_at=expires_at)

    def _free_code(self) -> str:
        """Return six digits that no open code has."""
        for _ in range(_DRAWS_MAX):
            code = new_code()
            taken = select(TabletPairingCode.id).where(
                col(TabletPairingCode.code_hash) == hash_code(code, key=self._code_key),
                col(TabletPairingCode.expires_at) > self._now,
            )
            if self._db.exec(taken).first() is None:
                return code
        raise ConflictError("no free pairing code")
