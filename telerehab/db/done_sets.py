"""Which sets count as done: one condition for the tablet's day, for adherence and for flags."""

from typing import Final

from sqlalchemy import ColumnElement, exists
from sqlmodel import col, or_

from telerehab.db.tables import Correction, TrainingSession, TrainingSet

NOT_VALID: Final = "not_valid"


def is_done_set() -> ColumnElement[bool]:
    """Return the condition on rows of `TrainingSet`, joined with their `TrainingSession`.

    A set is done when it has ended, its training session was not retracted, and no therapist says that it, or the
    whole training session, is not valid.
    """
    not_valid = exists().where(
        col(Correction.training_session_id) == col(TrainingSet.training_session_id),
        or_(col(Correction.training_set_id).is_(None), col(Correction.training_set_id) == col(TrainingSet.id)),
        col(Correction.kind) == NOT_VALID,
        col(Correction.withdrawn_at).is_(None),
    )
    return col(TrainingSet.ended_at).is_not(None) & col(TrainingSession.retracted_at).is_(None) & ~not_valid
