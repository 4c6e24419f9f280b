"""Recordings of several sensors on one grid of 100 Hz of the server's time: what the analysis wants. Pure."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from telerehab.archive.grid import NO_TIME, Part, Recording

GRID_US: Final = 10_000
N_CHANNELS: Final = 6
_INT16: Final = np.iinfo(np.int16)


def align(recording: Recording, *, start_us: int, n_samples: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    """Return accel xyz, gyro xyz in counts on the grid `start_us + i * GRID_US`, and which are there.

    A stream of 100 Hz gives each place its nearest sample, so that nothing is smoothed; others are interpolated.

    Returns
    -------
    counts : ndarray of int16, shape (6, n_samples)
    valid : ndarray of bool, shape (n_samples,)
    """
    counts = np.zeros((N_CHANNELS, n_samples), np.int16)
    valid = np.zeros(n_samples, np.bool_)
    for part in recording.parts:
        server_us = recording.server_us[part.start : part.stop]
        if server_us.size == 0 or server_us[0] == NO_TIME:
            continue
        margin_us = GRID_US // 2 if part.period_us == GRID_US else 0
        first = max(0, -(-(int(server_us[0]) - margin_us - start_us) // GRID_US))
        last = min(n_samples, (int(server_us[-1]) + margin_us - start_us) // GRID_US + 1)
        if first < last:
            times_us = start_us + GRID_US * np.arange(first, last)
            _fill(recording, part, times_us, counts[:, first:last], valid[first:last])
    return counts, valid


def _fill(
    recording: Recording,
    part: Part,
    times_us: NDArray[np.int64],
    counts: NDArray[np.int16],
    valid: NDArray[np.bool_],
) -> None:
    """Write what one part has for these times."""
    server_us = recording.server_us[part.start : part.stop]
    is_there = recording.valid[part.start : part.stop]
    values = recording.values[:N_CHANNELS, part.start : part.stop]
    scales = np.array(recording.scales[:N_CHANNELS], np.float64)[:, None]
    right = np.clip(np.searchsorted(server_us, times_us), 0, server_us.size - 1)
    left = np.maximum(right - 1, 0)
    if part.period_us == GRID_US:
        nearest = np.where(times_us - server_us[left] < server_us[right] - times_us, left, right)
        found, ok = values[:, nearest] / scales, is_there[nearest]
    else:
        span_us = np.maximum(server_us[right] - server_us[left], 1)
        share = np.clip((times_us - server_us[left]) / span_us, 0.0, 1.0)
        found = (values[:, left] * (1 - share) + values[:, right] * share) / scales
        ok = is_there[left] & is_there[right]
    counts[:, ok] = np.clip(np.rint(found[:, ok]), _INT16.min, _INT16.max).astype(np.int16)
    valid[ok] = True
