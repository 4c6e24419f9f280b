"""The name of whoever is logged in."""

from sqlmodel import Session

from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import Account, Helper, Patient


def read_own_name(db: Session, reader: Reader, key_ring: KeyRing) -> str:
    """Return the name of a reader; empty where the patient's key was destroyed."""
    if reader.account_id is not None:
        return db.get_one(Account, reader.account_id).display_name
    if reader.helper_id is not None:
        helper = db.get_one(Helper, reader.helper_id)
        return key_ring.open(helper.name_sealed, context=helper_context(reader.helper_id)).decode()
    patient = db.get_one(Patient, reader.patient_id)
    return PatientSeal(patient, key_ring).identity().name or ""


def helper_context(helper_id: object) -> str:
    """Return the context under which a helper's name is sealed."""
    return f"helper/{helper_id}/name"
