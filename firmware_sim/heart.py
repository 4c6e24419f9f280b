"""What a heart-rate strap sends: one row per beat."""

from typing import Final

import numpy as np
import numpy.typing as npt

from devices.wire import HEART_DTYPE
from firmware_sim.seeds import random_stream

_REST_PER_MIN: Final = 66.0
_RISE_PER_MIN: Final = 24.0
_RISE_TAU_S: Final = 75.0
_BREATHING_HZ: Final = 0.24


class Heart:
    """The beats of one person, one after the other; depends on the seed and the device alone.

    Parameters
    ----------
    seed, device :
    still_s : float
        The heart rate rises from here on [s].
    """

    def __init__(self, *, seed: int, device: str, still_s: float) -> None:
        self._random = random_stream(seed, device, "beats")
        self._rest_per_min = _REST_PER_MIN + self._random.uniform(-6, 10)
        self._still_s = still_s
        self._next_s = self._random.uniform(0.0, 0.8)
        self._interval_s = 60.0 / self._rest_per_min

    def beats_until(self, stop_s: float) -> npt.NDArray[np.void]:
        """Return the beats before `stop_s` as rows of (time_s, heart_rate, rr)."""
        beats = []
        while self._next_s < stop_s:
            beats.append((self._next_s, round(60.0 / self._interval_s), round(self._interval_s * 1024)))
            exercising_s = max(0.0, self._next_s - self._still_s)
            rate_per_min = self._rest_per_min + _RISE_PER_MIN * (1 - np.exp(-exercising_s / _RISE_TAU_S))
            breathing = 0.03 * np.sin(2 * np.pi * _BREATHING_HZ * self._next_s)
            self._interval_s = float(60.0 / rate_per_min * (1 + breathing + 0.015 * self._random.standard_normal()))
            self._next_s += self._interval_s
        return np.array(beats, [("time_s", "<f8"), ("heart_rate", "<u2"), ("rr", "<u2")])


def heart_rows(beats: npt.NDArray[np.void], device_us: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """Return the rows (HEART_DTYPE) of beats at the given instants of the device clock [µs]."""
    rows = np.empty(beats.size, HEART_DTYPE)
    rows["delta_us"] = device_us - device_us[0]
    rows["heart_rate"] = beats["heart_rate"]
    rows["rr"] = beats["rr"]
    return rows
