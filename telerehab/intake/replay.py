"""After a restart: let the blocks of open training sessions run through the live analysis again, fast.

So counts, calibration and state are what they would be had intake never stopped. Of a long training session only the
beginning (calibration) and the end run through; its count comes from the stored repetitions in any case.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices.codec import decode_frames
from telerehab.intake.grid import as_samples
from telerehab.intake.places import StoredRepetitions
from telerehab.intake.slots import MOVEMENT_SCHEMAS, EndedRepetition, LiveSlots

BEGINNING_US: Final = 120_000_000
END_US: Final = 120_000_000
SLICE_US: Final = 100_000
TICKS_PER_SLICE_MAX: Final = 50
_NEVER_US: Final = np.iinfo(np.int64).max


class Replay:
    """The movement of open training sessions, in the order of its time, that nobody has analysed.

    Parameters
    ----------
    slots : LiveSlots
        Follows the training sessions already, and knows scales and clock fits.
    """

    def __init__(self, slots: LiveSlots) -> None:
        self._slots = slots
        self._at_us: list[NDArray[np.int64]] = []
        self._devices: list[str] = []
        self._headers: list[NDArray[Any]] = []
        self._samples: list[NDArray[np.int16]] = []
        self._slices: deque[list[int]] = deque()  # what waits, in the order of its time
        self._n_sorted = 0
        self.cut: set[str] = set()
        """Devices of which only the beginning and the end were added."""

    def add(self, device: str, frames: Iterable[bytes], *, from_us: int) -> int:
        """Add the frames of one device whose first sample lies at or after `from_us` of the server's clock.

        Returns
        -------
        newest_us : int
            When the newest of them began; 0 without any, or where one has no place in time yet.
        """
        newest_us, is_placed = 0, True
        for group in decode_frames(list(frames)).groups:
            if group.schema not in MOVEMENT_SCHEMAS:
                continue
            samples = as_samples(group.rows)
            at_us = self._server_us(device, group.headers)
            newest_us, is_placed = max(newest_us, int(at_us.max())), is_placed and bool((at_us >= 0).all())
            is_told = (at_us < from_us + BEGINNING_US) | (at_us >= at_us.max() - END_US)
            if not is_told.all():
                self.cut.add(device)
            for block in np.flatnonzero((at_us >= from_us) & is_told).tolist():
                self._devices.append(device)
                self._at_us.append(at_us[block])
                self._headers.append(group.headers[block : block + 1])
                self._samples.append(samples[block : block + 1])
        return newest_us if is_placed else 0

    def run(self, from_us: Mapping[str, int], *, until_us: int | None = None) -> Iterator[list[EndedRepetition]]:
        """Run through what has been added and not run, a tenth of a second at a time; yield what ended in each.

        Parameters
        ----------
        from_us : mapping of str to int
            Since when each sensor shows what its training session trains now: what was before is of another.
        until_us : int, optional
            Leave what began at or after this moment; None: nothing.
        """
        self._sort()
        while self._slices and (until_us is None or self._at_us[self._slices[0][0]] < until_us):
            blocks = self._slices.popleft()
            self._write([each for each in blocks if self._at_us[each] >= from_us.get(self._devices[each], _NEVER_US)])
            yield self._slots.tick(ticks_max=TICKS_PER_SLICE_MAX)

    def _sort(self) -> None:
        """Put what has been added in its place among what waits."""
        if self._n_sorted == len(self._at_us):
            return
        waiting = np.array([*chain(*self._slices), *range(self._n_sorted, len(self._at_us))])
        self._n_sorted = len(self._at_us)
        at_us = np.array(self._at_us, np.int64)[waiting]
        order = np.argsort(at_us, kind="stable")
        ends = np.flatnonzero(np.diff(at_us[order] // SLICE_US)) + 1
        self._slices = deque(blocks.tolist() for blocks in np.split(waiting[order], ends))

    def _write(self, blocks: list[int]) -> None:
        """Write blocks, those of equal length together."""
        by_length: dict[int, list[int]] = {}
        for block in blocks:
            by_length.setdefault(self._samples[block].shape[1], []).append(block)
        for of_length in by_length.values():
            self._slots.grid.write(
                [self._devices[block] for block in of_length],
                np.concatenate([self._headers[block] for block in of_length]),
                np.concatenate([self._samples[block] for block in of_length]),
            )

    def _server_us(self, device: str, headers: NDArray[Any]) -> NDArray[np.int64]:
        """Return when blocks began by the server's clock; far in the past where the boot has no fit."""
        grid = self._slots.grid
        starts = zip(headers["boot"].tolist(), headers["t0_us"].tolist(), strict=True)
        known = [grid.server_us_of(device, boot, t0_us) for boot, t0_us in starts]
        return np.array([-1 if at_us is None else at_us for at_us in known], np.int64)


def only_new(ended: Iterable[EndedRepetition], stored: Mapping[UUID, StoredRepetitions]) -> list[EndedRepetition]:
    """Return the repetitions that are not stored yet, numbered on from those that are."""
    next_index = {training_session: known.repetition_count for training_session, known in stored.items()}
    new: list[EndedRepetition] = []
    for repetition in ended:
        known = stored.get(repetition.training_session)
        if known is None or repetition.start_us >= known.last_stop_us:
            index = next_index.get(repetition.training_session, 0)
            next_index[repetition.training_session] = index + 1
            new.append(replace(repetition, index=index))
    return new
