"""Which training session a block belongs to, as arrays: `telerehab.attribution` says whose it is. Pure.

A block belongs to a training session when it began while that was open, and the device was lent to its patient for the
whole of the block. A block whose boot has no clock fit, or that lies outside or across an assignment, belongs to none:
it is kept by device and hour, unattributed, and never guessed.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from telerehab.attribution import FIT_LOOKS_BACK_US, Lending, StoredFit

HOUR_US: Final = 3_600_000_000
UNATTRIBUTED: Final = -1
FOREVER_US: Final = 2**62


@dataclass(kw_only=True, frozen=True, slots=True)
class TrainingSpan:
    """A training session that is open during `[start_us, stop_us)`.

    `patient_ids` are whose it is and whose it was before a retraction: the device was lent to one of them.
    """

    id: UUID
    patient_ids: frozenset[UUID]
    start_us: int
    stop_us: int = FOREVER_US

    @property
    def is_closed(self) -> bool:
        """Return whether no more samples can come to belong to it by being recorded now."""
        return self.stop_us != FOREVER_US


def to_server_us(device_us: NDArray[np.int64], fits: Sequence[StoredFit]) -> NDArray[np.int64]:
    """Return the server's UTC of moments of one boot's clock [µs], as `BootClock.to_server_us` places one.

    Parameters
    ----------
    fits : sequence of StoredFit
        In order of `from_us`, at least one.
    """
    index = np.searchsorted([fit.from_us for fit in fits], device_us + FIT_LOOKS_BACK_US, "right") - 1
    index = np.maximum(index, 0)
    a_us, b = np.array([fit.a_us for fit in fits]), np.array([fit.b for fit in fits])
    return np.rint(a_us[index] + b[index] * device_us).astype(np.int64)


def attribute(
    start_us: NDArray[np.int64],
    stop_us: NDArray[np.int64],
    *,
    lent: Sequence[Lending],
    trainings: Sequence[TrainingSpan],
) -> NDArray[np.int64]:
    """Return for blocks `[start_us, stop_us)` of the server's clock the index of their training session.

    Parameters
    ----------
    lent : sequence of Lending
        To whom the device is lent, and when.
    trainings : sequence of TrainingSpan
        In order of their beginning: where two overlap, the later one is being trained.

    Returns
    -------
    index : ndarray, shape (n_blocks,)
        Into `trainings`, `UNATTRIBUTED` for none.

    Examples
    --------
    >>> patient, training = UUID(int=1), UUID(int=2)
    >>> attribute(
    ...     np.array([90, 100, 195, 199]),
    ...     np.array([100, 110, 200, 209]),
    ...     lent=[Lending(patient, 0, 200)],
    ...     trainings=[TrainingSpan(id=training, patient_ids=frozenset({patient}), start_us=100, stop_us=300)],
    ... ).tolist()
    [-1, 0, 0, -1]
    """
    index = np.full(start_us.shape, UNATTRIBUTED, np.int64)
    for position, training in enumerate(trainings):
        is_worn = np.zeros(start_us.shape, np.bool_)
        for span in lent:
            if span.patient_id in training.patient_ids:
                stop_max_us = FOREVER_US if span.stop_us is None else span.stop_us
                is_worn |= (start_us >= span.start_us) & (stop_us <= stop_max_us)
        index[is_worn & (start_us >= training.start_us) & (start_us < training.stop_us)] = position
    return index
