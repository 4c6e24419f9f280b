"""From a sensor's own rate to the 100 Hz grid of the ring, before the ring and block by block.

Slower sensors are interpolated linearly. Faster ones are averaged over each grid interval, by differences of their
running integral: that keeps the angle turned and damps what 100 Hz cannot show. Nothing is invented across a hole.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

GRID_PERIOD_US: Final = 10_000
HOLE_PERIODS: Final = 1.5  # two samples further apart than this have a hole between them


class Resampler:
    """One sensor's samples on the grid; remembers where the last block ended.

    Parameters
    ----------
    period_us : int
        Time between the sensor's own samples. [µs]
    n_channels : int
    """

    def __init__(self, *, period_us: int, n_channels: int) -> None:
        self.period_us = period_us
        self._known_us = np.zeros(0, np.int64)  # the end of the block before, empty where there is none
        self._known = np.zeros((0, n_channels))
        self._next_us = 0  # the next grid sample

    def to_grid(self, t0_us: int, rows: NDArray[np.int16]) -> tuple[int, NDArray[np.int16]]:
        """Return the grid samples that this block makes known.

        Parameters
        ----------
        t0_us : int
            Time of the first row on the clock whose multiples of 10 ms are the grid. [µs]
        rows : ndarray of int16, shape (n_samples, n_channels)

        Returns
        -------
        start_us : int
            Time of the first grid sample. [µs]
        samples : ndarray of int16, shape (n_grid_samples, n_channels)
            May be empty.

        Examples
        --------
        >>> at_25_hz = Resampler(period_us=40_000, n_channels=1)
        >>> start_us, samples = at_25_hz.to_grid(100_000, np.array([[0], [40], [80]], np.int16))
        >>> start_us, samples[:, 0].tolist()
        (100000, [0, 10, 20, 30, 40, 50, 60, 70, 80])
        >>> start_us, samples = at_25_hz.to_grid(220_000, np.array([[120]], np.int16))
        >>> start_us, samples[:, 0].tolist()
        (190000, [90, 100, 110, 120])
        """
        at_us = t0_us + np.arange(len(rows), dtype=np.int64) * self.period_us
        if not len(rows):
            return t0_us, np.zeros((0, self._known.shape[1]), np.int16)
        if not self._known_us.size or self._is_apart(t0_us):
            self._known_us, self._known = at_us[:0], self._known[:0]
            first_us = -(-t0_us // GRID_PERIOD_US) * GRID_PERIOD_US
            self._next_us = first_us + GRID_PERIOD_US * self._is_faster
        self._known_us = np.concatenate([self._known_us, at_us])
        self._known = np.concatenate([self._known, rows.astype(np.float64)])
        start_us = self._next_us
        grid_us = np.arange(start_us, int(self._known_us[-1]) + 1, GRID_PERIOD_US, dtype=np.int64)
        if not grid_us.size:
            return start_us, np.zeros((0, self._known.shape[1]), np.int16)
        samples = self._average(grid_us) if self._is_faster else _interpolate(grid_us, self._known_us, self._known)
        self._next_us = int(grid_us[-1]) + GRID_PERIOD_US
        needed = max(int(np.searchsorted(self._known_us, grid_us[-1], side="right")) - 1, 0)
        self._known_us, self._known = self._known_us[needed:], self._known[needed:]
        return start_us, np.round(samples).astype(np.int16)

    @property
    def _is_faster(self) -> bool:
        return self.period_us < GRID_PERIOD_US

    def _is_apart(self, t0_us: int) -> bool:
        """Return whether a block that starts here does not follow the last one."""
        step_us = t0_us - int(self._known_us[-1])
        return not (2 - HOLE_PERIODS) * self.period_us < step_us < HOLE_PERIODS * self.period_us

    def _average(self, grid_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return the mean over the grid interval that ends at each grid time."""
        steps_us = np.diff(self._known_us, prepend=self._known_us[0])
        integral = np.cumsum(self._known * steps_us[:, None], axis=0)
        edges_us = np.concatenate([[grid_us[0] - GRID_PERIOD_US], grid_us])
        return np.diff(_interpolate(edges_us, self._known_us, integral), axis=0) / GRID_PERIOD_US


def _interpolate(
    at_us: NDArray[np.int64], known_us: NDArray[np.int64], known: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return every channel at other times, shape (n_times, n_channels)."""
    return np.stack([np.interp(at_us, known_us, channel) for channel in known.T], axis=1)
