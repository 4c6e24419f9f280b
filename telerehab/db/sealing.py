"""Sealing what tells who a person is, and free text: under the patient's own key, bound to its place.

Each patient has a key, wrapped by the key ring. The context of every sealed value names organisation, patient, table,
column and row, so that a value copied elsewhere does not open. A patient whose key was destroyed is still a row, and
nobody's: `PatientSeal` opens nothing any more and says None.
"""

import functools
import secrets
from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple, cast
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telerehab.auth.key_ring import KEY_BYTES, KeyRing, open_with, seal_with
from telerehab.db.tables import Patient
from telerehab.errors import KeyRingError

CPR_PURPOSE: Final = "cpr"
CIPHERS_KEPT: Final = 4_096
"""Patients whose key stays unwrapped in memory: a caseload opens hundreds of names each time."""


class Identity(NamedTuple):
    """Who a patient is, as it stands wherever a patient is chosen; None = unknown, also after erasure."""

    patient_id: UUID
    name: str | None
    birth_date: date | None


class _IdentityColumns(NamedTuple):
    """As much of a patient's row as tells who it is."""

    id: UUID
    organisation_id: UUID
    wrapped_key: bytes | None
    name_sealed: bytes | None
    birth_date_sealed: bytes | None


class PatientSeal:
    """Seals and opens values of one patient."""

    def __init__(self, patient: Patient, key_ring: KeyRing) -> None:
        self._patient = patient
        self._id = str(patient.id)
        self._place = f"{patient.organisation_id}/{self._id}"
        self._cipher = None
        if patient.wrapped_key is not None:
            self._cipher = _patient_cipher(key_ring, patient.wrapped_key, self._id)

    @property
    def has_key(self) -> bool:
        """Return whether the patient's key is there; after erasure it is not."""
        return self._cipher is not None

    def seal(self, text: str, *, table: str, column: str, row_id: UUID | str) -> bytes:
        """Return a text, sealed for one place.

        Raises
        ------
        KeyRingError
            The patient's key has been destroyed.
        """
        if self._cipher is None:
            raise KeyRingError("the patient's key has been destroyed")
        return seal_with(self._cipher, text.encode(), context=self._context(table, column, row_id))

    def open(self, sealed: bytes | None, *, table: str, column: str, row_id: UUID | str) -> str | None:
        """Return the text; None where there is none, or the patient's key has been destroyed.

        Raises
        ------
        KeyRingError
            The value was sealed for another place or was changed.
        """
        if sealed is None or self._cipher is None:
            return None
        return open_with(self._cipher, sealed, context=self._context(table, column, row_id)).decode()

    def identity(self) -> Identity:
        """Return name and birth date."""
        birth_date = self._own(self._patient.birth_date_sealed, "birth_date")
        return Identity(
            patient_id=self._patient.id,
            name=self._own(self._patient.name_sealed, "name"),
            birth_date=None if birth_date is None else date.fromisoformat(birth_date),
        )

    def telephone(self) -> str | None:
        """Return the patient's telephone number."""
        return self._own(self._patient.telephone_sealed, "telephone")

    def cpr(self) -> str | None:
        """Return the CPR number; a look that needs a reason."""
        return self._own(self._patient.cpr_sealed, "cpr")

    def has_protected_address(self) -> bool | None:
        """Return whether the address is protected, None where nobody knows; a look that needs a reason."""
        mark = self._own(self._patient.protected_address_sealed, "protected_address")
        return None if mark is None else mark == "1"

    def set_identity(
        self,
        *,
        name: str | None = None,
        birth_date: date | None = None,
        telephone: str | None = None,
        cpr: str | None = None,
        has_protected_address: bool | None = None,
    ) -> None:
        """Write what is given into the patient's row; what is None stays as it is. The CPR's hash is the caller's."""
        values = {
            "name": name,
            "birth_date": None if birth_date is None else birth_date.isoformat(),
            "telephone": telephone,
            "cpr": cpr,
            "protected_address": None if has_protected_address is None else str(int(has_protected_address)),
        }
        for column, value in values.items():
            if value is not None:
                sealed = self.seal(value, table="patient", column=column, row_id=self._id)
                setattr(self._patient, f"{column}_sealed", sealed)

    def _own(self, sealed: bytes | None, column: str) -> str | None:
        return self.open(sealed, table="patient", column=column, row_id=self._id)

    def _context(self, table: str, column: str, row_id: UUID | str) -> str:
        return f"{self._place}/{table}/{column}/{row_id}"


def identity_columns() -> tuple[Any, ...]:
    """Return the columns that `open_identity` reads: an ORM object for each of hundreds costs more than to open it."""
    return tuple(getattr(Patient, name) for name in _IdentityColumns._fields)


def open_identity(columns: Sequence[Any], key_ring: KeyRing) -> Identity:
    """Return name and birth date from the `identity_columns` of one row."""
    return PatientSeal(cast(Patient, _IdentityColumns(*columns)), key_ring).identity()


def new_patient_key(patient_id: UUID, key_ring: KeyRing) -> bytes:
    """Return a new patient's key, wrapped."""
    return key_ring.seal(secrets.token_bytes(KEY_BYTES), context=_key_context(patient_id))


def cpr_hash(key_ring: KeyRing, organisation_id: UUID, cpr: str) -> str:
    """Return the hash by which an organisation finds a CPR number; other organisations' hashes differ."""
    return key_ring.keyed_hash(f"{organisation_id}/{cpr}", purpose=CPR_PURPOSE)


@functools.lru_cache(CIPHERS_KEPT)
def _patient_cipher(key_ring: KeyRing, wrapped_key: bytes, patient_id: str) -> AESGCM:
    """Return what seals and opens with a patient's key. It is found by the wrapped key, which erasure destroys."""
    return AESGCM(key_ring.open(wrapped_key, context=_key_context(patient_id)))


def _key_context(patient_id: UUID | str) -> str:
    return f"patient key/{patient_id}"
