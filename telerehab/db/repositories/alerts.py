"""Alerts of the patients whom one reader may see, and what somebody says follows from them."""

from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.db.alert_rows import is_standing_stop
from telerehab.db.tables import Alert
from telerehab.errors import ConflictError

STOP_UNCONFIRMED = "stop_unconfirmed"


def require_no_open_stop(db: Session, patient_id: UUID) -> None:
    """Let a training session be opened, or go on, only when no stop of the patient waits for a confirmation.

    Raises
    ------
    ConflictError
        With code `stop_unconfirmed`.
    """
    statement = select(Alert.id).where(col(Alert.patient_id) == patient_id, is_standing_stop())
    if db.exec(statement).first() is not None:
        raise ConflictError("a stop waits for a confirmation", code=STOP_UNCONFIRMED)
