"""What a device samples: streams that give their next block when it is due on the device's clock."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt

from devices.wire import HEART_DTYPE, Schema
from firmware_sim.heart import Heart, heart_rows
from firmware_sim.imu import is_clipped

Rows = npt.NDArray[Any]

HEART_BLOCK_US: Final = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceClock:
    """The device's own monotonic clock: starts somewhere and runs a little wrong.

    `start_ns` is the host's monotonic time of the start of the movement.
    """

    start_ns: int
    offset_us: int
    drift_ppm: float

    @property
    def rate(self) -> float:
        """Device seconds per true second."""
        return 1.0 + self.drift_ppm * 1e-6

    def to_device_us(self, host_ns: int) -> int:
        """Return what the device reads at a host's instant."""
        return self.offset_us + round((host_ns - self.start_ns) * 1e-3 * self.rate)

    def to_host_ns(self, device_us: int) -> int:
        """Return when the device reads this."""
        return self.start_ns + round((device_us - self.offset_us) * 1e3 / self.rate)

    def to_true_s(self, device_us: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Return true seconds since the start of the movement."""
        return np.asarray((device_us - self.offset_us) * 1e-6 / self.rate, np.float64)


@dataclass(frozen=True, kw_only=True, slots=True)
class SampledBlock:
    """Consecutive samples as rows of bytes; `t0_us` is the device's time of the first, `due_us` of the last."""

    t0_us: int
    due_us: int
    n_samples: int
    body: bytes
    is_clipped: bool
    is_last: bool = False


class Stream(Protocol):
    """One stream of a device."""

    name: str
    schema: Schema
    period_us: int

    def due_us(self, n_samples: int) -> int | None:
        """Return when the next block is complete on the device's clock; None after the end."""
        ...

    def take(self, n_samples: int) -> SampledBlock | None:
        """Return the block that is due; None when nothing happened in it."""
        ...

    def take_rest(self, until_us: int) -> SampledBlock | None:
        """Return what was sampled since the last block: the last of the stream."""
        ...


class RegularStream:
    """Samples at a fixed period.

    Parameters
    ----------
    name, schema, period_us :
    first_us : int
        Device time of sample 0.
    next_rows : callable
        Returns the rows of the next samples, None after the end; how many at once is its affair.
    """

    def __init__(
        self, *, name: str, schema: Schema, period_us: int, first_us: int, next_rows: Callable[[], Rows | None]
    ) -> None:
        self.name = name
        self.schema = schema
        self.period_us = period_us
        self._first_us = first_us
        self._next_rows = next_rows
        self._n_taken = 0
        self._buffer: Rows | None = None
        self._has_ended = False

    def due_us(self, n_samples: int) -> int | None:
        """Return when the next block is complete on the device's clock; None after the end."""
        n_ready = min(n_samples, self._fill(n_samples))
        if n_ready == 0:
            return None
        return self._first_us + (self._n_taken + n_ready - 1) * self.period_us

    def take(self, n_samples: int) -> SampledBlock | None:
        """Return the block that is due."""
        n_taken = min(n_samples, self._fill(n_samples))
        if self._buffer is None or n_taken == 0:
            return None
        rows, self._buffer = self._buffer[:n_taken], self._buffer[n_taken:]
        t0_us = self._first_us + self._n_taken * self.period_us
        self._n_taken += n_taken
        return SampledBlock(
            t0_us=t0_us,
            due_us=t0_us + (n_taken - 1) * self.period_us,
            n_samples=n_taken,
            body=rows.tobytes(),
            is_clipped=is_clipped(rows),
            is_last=self._has_ended and self._buffer.size == 0,
        )

    def take_rest(self, until_us: int) -> SampledBlock | None:
        """Return what was sampled since the last block."""
        n_samples = (until_us - self._first_us) // self.period_us + 1 - self._n_taken
        return self.take(n_samples) if n_samples > 0 else None

    def _fill(self, n_samples: int) -> int:
        """Have `n_samples` rows ready if there are so many; returns how many there are."""
        while not self._has_ended and (self._buffer is None or self._buffer.size < n_samples):
            rows = self._next_rows()
            if rows is None:
                self._has_ended = True
            else:
                self._buffer = rows if self._buffer is None else np.concatenate([self._buffer, rows])
        return 0 if self._buffer is None else self._buffer.size


class HeartStream:
    """Beats, sent once a second; rows carry their own time."""

    schema = Schema.HEART
    period_us = 0

    def __init__(self, *, name: str, heart: Heart, clock: DeviceClock) -> None:
        self.name = name
        self._heart = heart
        self._clock = clock
        self._next_us = clock.offset_us + HEART_BLOCK_US

    def due_us(self, n_samples: int) -> int | None:
        """Return the end of the running second on the device's clock."""
        return self._next_us

    def take(self, n_samples: int) -> SampledBlock | None:
        """Return the beats of the second that has ended, None without any."""
        due_us, self._next_us = self._next_us, self._next_us + HEART_BLOCK_US
        return self._block(due_us)

    def take_rest(self, until_us: int) -> SampledBlock | None:
        """Return the beats since the last whole second."""
        return self._block(until_us)

    def _block(self, due_us: int) -> SampledBlock | None:
        beats = self._heart.beats_until(float(self._clock.to_true_s(np.array([due_us], np.int64))[0]))
        if beats.size == 0:
            return None
        device_us = self._clock.offset_us + np.rint(beats["time_s"] * 1e6 * self._clock.rate).astype(np.int64)
        rows = heart_rows(beats, device_us)
        assert rows.dtype == HEART_DTYPE
        return SampledBlock(
            t0_us=int(device_us[0]), due_us=due_us, n_samples=rows.size, body=rows.tobytes(), is_clipped=False
        )
