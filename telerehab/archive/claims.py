"""Whose blocks are: what the main store says of a device, as the pure rule in `attribution` wants it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlmodel import Session, col, select

from telerehab.archive.attribution import (
    FOREVER_US,
    HOUR_US,
    UNATTRIBUTED,
    TrainingSpan,
    attribute,
    to_server_us,
)
from telerehab.archive.hot_blocks import HotHeaders
from telerehab.attribution import Lending, StoredFit
from telerehab.clock import to_us
from telerehab.db.assignment_rows import to_lending
from telerehab.db.tables import Assignment, Retraction, TrainingSession

_WHAT = "training_session"


@dataclass(kw_only=True, frozen=True, slots=True)
class Claims:
    """To whom a device is lent, and which training sessions its blocks may belong to, in order of their beginning."""

    lent: tuple[Lending, ...]
    trainings: tuple[TrainingSpan, ...]


@dataclass(kw_only=True, frozen=True, slots=True)
class Placed:
    """Blocks and whose they are.

    `training`, shape (n_blocks,), index into `Claims.trainings` or `UNATTRIBUTED`; `hour_us`, the hour of each block,
    by the server's clock or, without a clock fit, by its arrival; `start_us` and `stop_us` are -1 without a fit.
    """

    training: NDArray[np.int64]
    hour_us: NDArray[np.int64]
    start_us: NDArray[np.int64]
    stop_us: NDArray[np.int64]


def read_claims(db: Session, device: str, *, since: datetime) -> Claims:
    """Return what may claim blocks of a device; training sessions that were closed before `since` cannot."""
    lent = tuple(to_lending(row) for row in db.exec(select(Assignment).where(col(Assignment.device_name) == device)))
    patients = {span.patient_id for span in lent}
    lasts = sa.or_(col(TrainingSession.closed_at).is_(None), col(TrainingSession.closed_at) >= since)
    handed_over: Any = sa.select(col(Retraction.row_id)).where(
        col(Retraction.what) == _WHAT, col(Retraction.wrong_patient_id).in_(patients)
    )
    of_them: Any = sa.or_(col(TrainingSession.patient_id).in_(patients), col(TrainingSession.id).in_(handed_over))
    rows = db.exec(select(TrainingSession).where(of_them, lasts).order_by(col(TrainingSession.opened_at))).all()
    return Claims(lent=lent, trainings=tuple(_training_span(db, row) for row in rows))


def place(hot: HotHeaders, *, fits: Sequence[StoredFit], claims: Claims) -> Placed:
    """Return whose the blocks of one boot are."""
    received_hour_us = hot.received_us - hot.received_us % HOUR_US
    if not fits:
        nowhere = np.full(hot.received_us.shape, -1, np.int64)
        return Placed(
            training=np.full(hot.received_us.shape, UNATTRIBUTED, np.int64),
            hour_us=received_hour_us,
            start_us=nowhere,
            stop_us=nowhere,
        )
    start_us = to_server_us(hot.headers["t0_us"].astype(np.int64), fits)
    stop_us = np.maximum(to_server_us(hot.stop_device_us, fits), start_us)
    return Placed(
        training=attribute(start_us, stop_us, lent=claims.lent, trainings=claims.trainings),
        hour_us=start_us - start_us % HOUR_US,
        start_us=start_us,
        stop_us=stop_us,
    )


def _training_span(db: Session, row: TrainingSession) -> TrainingSpan:
    earlier = select(Retraction.wrong_patient_id).where(col(Retraction.what) == _WHAT, col(Retraction.row_id) == row.id)
    return TrainingSpan(
        id=row.id,
        patient_ids=frozenset({row.patient_id, *db.exec(earlier)}),
        start_us=to_us(row.opened_at),
        stop_us=_stop_us(row.closed_at),
    )


def _stop_us(moment: datetime | None) -> int:
    return FOREVER_US if moment is None else to_us(moment)
