"""Who must wait for whom: the one row on which writers of a patient's care wait for each other."""

from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.db.tables import Patient


def lock_patient(db: Session, patient_id: UUID) -> None:
    """Let one transaction at a time go on that changes a patient's training, plan, alerts, reports or goals.

    SQLite's writers wait for each other anyhow; on PostgreSQL they wait for the patient's row.
    """
    db.exec(select(Patient.id).where(col(Patient.id) == patient_id).with_for_update()).first()
