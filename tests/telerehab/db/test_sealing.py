"""A patient's values open for that patient alone, and for nobody once the key is destroyed."""

import uuid
from datetime import date
from pathlib import Path

import pytest

from telerehab.auth.key_ring import FileKeyRing
from telerehab.db.sealing import PatientSeal, identity_columns, new_patient_key, open_identity
from telerehab.db.tables import Patient
from telerehab.errors import KeyRingError


@pytest.fixture
def key_ring(tmp_path: Path) -> FileKeyRing:
    return FileKeyRing(tmp_path / "ring.json")


def _patient(key_ring: FileKeyRing, name: str) -> Patient:
    patient = Patient(id=uuid.uuid4(), organisation_id=uuid.uuid4())
    patient.wrapped_key = new_patient_key(patient.id, key_ring)
    PatientSeal(patient, key_ring).set_identity(name=name, birth_date=date(1944, 3, 5))
    return patient


def test_a_row_opens_again_and_again_until_its_key_is_destroyed(key_ring: FileKeyRing) -> None:
    patient = _patient(key_ring, "Inger Prøve")
    for _ in range(2):  # the second time with a key that is kept
        columns = [getattr(patient, column.key) for column in identity_columns()]
        identity = open_identity(columns, key_ring)
        assert (identity.name, identity.birth_date) == ("Inger Prøve", date(1944, 3, 5))
    patient.wrapped_key = None
    assert PatientSeal(patient, key_ring).identity().name is None


def test_a_key_that_is_kept_opens_nothing_for_another_ring_or_another_patient(
    key_ring: FileKeyRing, tmp_path: Path
) -> None:
    patient, other = _patient(key_ring, "Inger Prøve"), _patient(key_ring, "Jens Prøve")
    assert PatientSeal(patient, key_ring).identity().name == "Inger Prøve"
    with pytest.raises(KeyRingError):
        PatientSeal(patient, FileKeyRing(tmp_path / "other.json"))
    other.wrapped_key = patient.wrapped_key
    with pytest.raises(KeyRingError):
        PatientSeal(other, key_ring)
    other.wrapped_key = new_patient_key(other.id, key_ring)
    other.name_sealed = patient.name_sealed
    with pytest.raises(KeyRingError):
        PatientSeal(other, key_ring).identity()
