"""From each sensor's own clock and rate to one common grid: 100 Hz of server time, index 0 chosen per training session.

Two sensors of one patient are two columns of the ring with the same index 0, so equal indices are equal moments. A
column's clock is its device's clock fit. A column takes only what its device measured while it was lent as it is now
(`telerehab.attribution`): what comes late of an earlier wearer is stored, and not shown as another's. The first block
of a boot is put on the nearest grid time and the rest follows without jitter; when the clocks have drifted further than
`DRIFT_MAX_US` the column slips by a sample: one is written over, or one is held for two grid times.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.clock_sync import ClockFit
from devices.ring import CHANNELS, Ring
from devices.wire import SAMPLE_PERIOD_US
from telerehab.attribution import Lending
from telerehab.intake.resampling import Resampler

DRIFT_MAX_US: Final = 7_500
ROUGH_DRIFT_MAX_US: Final = 25_000  # while the clock fit has few probes: most of what looks like drift is its noise
CLOCK_JUMP_US: Final = 100_000  # further off than this: not drift but another fit, the column starts from it anew
FEW_PROBES: Final = 5  # a fit of fewer is rough, and does not replace one of more
LEAD_IN_US: Final = 1_000_000  # index 0 lies this long before the first sample of the training session

_NO_BOOT: Final = -1
_NEVER_US: Final = np.iinfo(np.int64).max

Devices = Sequence[str]


class LiveGrid:
    """The ring's columns, two per place, and the clock of the sensor that writes each.

    Parameters
    ----------
    n_places : int
        Place p has columns 2p (proximal) and 2p + 1 (distal).
    window : int
        Length of the ring. [samples]
    """

    def __init__(self, *, n_places: int, window: int) -> None:
        self.ring = Ring(2 * n_places, window)
        self._columns = np.arange(2 * n_places)
        self._epoch_us = np.zeros(n_places, np.int64)  # server time of index 0, 0 = not chosen yet
        self._boot = np.full(2 * n_places, _NO_BOOT, np.int64)
        self._offset_us = np.zeros(2 * n_places, np.int64)  # grid time minus device time
        self._clock_a_us = np.zeros(2 * n_places)
        self._clock_b = np.ones(2 * n_places)
        self._drift_max_us = np.full(2 * n_places, DRIFT_MAX_US, np.int64)
        self._column_of: dict[str, int] = {}
        self._lendings: Mapping[str, Lending] = {}
        self._lent_from_us = np.full(2 * n_places, _NEVER_US, np.int64)
        self._lent_until_us = np.zeros(2 * n_places, np.int64)
        self._resamplers: dict[int, Resampler] = {}
        self._fits: dict[tuple[str, int], ClockFit] = {}
        self.unplaced_block_count = 0
        self.unattributed_block_count = 0
        self.slip_count = 0

    def open(self, place: int, *, sensors: Sequence[str | None]) -> None:
        """Give the two columns of a place to these devices (proximal, distal; None = not worn), empty."""
        self.close(place)
        for column, device in zip((2 * place, 2 * place + 1), sensors, strict=True):
            if device is not None:
                self._column_of[device] = column
                self._lend(column, self._lendings.get(device))

    def close(self, place: int) -> None:
        """Take the columns of a place back."""
        for column in (2 * place, 2 * place + 1):
            self._boot[column] = _NO_BOOT
            self._resamplers.pop(column, None)
            self.ring.assign(column, 0)
            self._lend(column, None)
        self._epoch_us[place] = 0
        self._column_of = {device: column for device, column in self._column_of.items() if column // 2 != place}

    def follow(self, lendings: Mapping[str, Lending]) -> None:
        """Learn to whom devices are lent now: of the others, and of other times, nothing is taken."""
        self._lendings = lendings
        for device, column in self._column_of.items():
            self._lend(column, lendings.get(device))

    def note_clock(self, device: str, boot: int, fit: ClockFit, *, device_us: int) -> None:
        """Use this fit for a boot of a device from now on, unless a better one is known that it agrees with.

        Parameters
        ----------
        device_us : int
            A recent time of the device's clock, where the two are compared. [µs]
        """
        known = self._fits.get((device, boot))
        if known is not None and fit.n < min(known.n, FEW_PROBES):
            apart_us = abs(fit.to_server_us(device_us) - known.to_server_us(device_us))
            if apart_us < CLOCK_JUMP_US:
                return
        self._fits[device, boot] = fit
        column = self._column_of.get(device)
        if column is not None and self._boot[column] == boot:
            self._use_fit(column, fit)

    def server_us_of(self, device: str, boot: int, device_us: int) -> int | None:
        """Return the server's UTC of a moment of a device's clock, None where no fit is known. [µs]"""
        fit = self._fits.get((device, boot))
        return None if fit is None else fit.to_server_us(device_us)

    def restart(self, device: str) -> None:
        """Expect another time of a device's clock: its next block is placed anew."""
        column = self._column_of.get(device)
        if column is not None:
            self._boot[column] = _NO_BOOT

    def forget_clocks(self, devices: frozenset[str]) -> None:
        """Keep the fits of these devices only."""
        self._fits = {key: fit for key, fit in self._fits.items() if key[0] in devices}

    def newest(self) -> NDArray[np.int64]:
        """Return how far each column is known: the index after its newest sample, 0 for none; shape (n_places, 2)."""
        return self.ring.heads.reshape(-1, 2)

    def window(self, stop: NDArray[np.int64], n: int) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        """Gather the n samples before index `stop`, shape (n_places,), of every column.

        Returns
        -------
        raw : ndarray of int16, shape (2 * n_places, 6, n)
        valid : ndarray of bool, shape (2 * n_places, n)
        """
        return self.ring.window_views(self._columns, np.repeat(stop, 2), n)

    def server_us(self, index: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the server's UTC of an index of each place, shape (n_places,). [µs]"""
        return self._epoch_us + index * SAMPLE_PERIOD_US

    def server_us_at(self, place: int, index: int) -> int:
        """Return the server's UTC of an index of one place. [µs]"""
        return int(self._epoch_us[place]) + index * SAMPLE_PERIOD_US

    def write(self, devices: Devices, headers: NDArray[np.void], samples: NDArray[np.int16]) -> None:
        """Write blocks of equal length in the order in which they came; those of devices without a column are ignored.

        Parameters
        ----------
        headers : ndarray of HEADER_DTYPE, shape (n_blocks,)
        samples : ndarray of int16, shape (n_blocks, n, 6)
        """
        column_of = self._column_of
        columns = np.fromiter((column_of.get(device, -1) for device in devices), np.intp, len(devices))
        worn = np.flatnonzero(columns >= 0)
        if not worn.size:
            return
        columns, headers, samples = columns[worn], headers[worn], samples[worn]
        boot, t0_us = headers["boot"].astype(np.int64), headers["t0_us"].astype(np.int64)
        self._follow_clocks(columns, boot, t0_us, [devices[index] for index in worn.tolist()])
        placed = self._boot[columns] == boot
        self.unplaced_block_count += int((~placed).sum())
        is_theirs = self._is_lent(columns, headers, t0_us)
        self.unattributed_block_count += int((placed & ~is_theirs).sum())
        placed &= is_theirs
        on_grid = placed & (headers["period_us"] == SAMPLE_PERIOD_US)
        if on_grid.any():
            at = columns[on_grid]
            self.ring.write_at(at, self._index_of(at, t0_us[on_grid]), samples[on_grid])
        for block in np.flatnonzero(placed & ~on_grid):
            self._write_resampled(
                int(columns[block]), int(headers["period_us"][block]), int(t0_us[block]), samples[block]
            )

    def _lend(self, column: int, lending: Lending | None) -> None:
        """Let a column take what was measured during a lending, or nothing."""
        stop_us = 0 if lending is None else lending.stop_us
        self._lent_from_us[column] = _NEVER_US if lending is None else lending.start_us
        self._lent_until_us[column] = _NEVER_US if stop_us is None else stop_us

    def _is_lent(
        self, columns: NDArray[np.intp], headers: NDArray[np.void], t0_us: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return which blocks lie within the lending of their column; as `attribution.find_owner`, for many at once."""
        lasting_us = headers["n_samples"].astype(np.int64) * headers["period_us"]
        start_us = np.rint(self._clock_a_us[columns] + self._clock_b[columns] * t0_us)
        stop_us = np.rint(self._clock_a_us[columns] + self._clock_b[columns] * (t0_us + lasting_us))
        is_lent: NDArray[np.bool_] = (start_us >= self._lent_from_us[columns]) & (
            stop_us <= self._lent_until_us[columns]
        )
        return is_lent

    def _index_of(self, columns: NDArray[np.intp], device_us: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the nearest index of device times [µs]."""
        since_us = device_us + self._offset_us[columns] - self._epoch_us[columns // 2]
        index: NDArray[np.int64] = (since_us + SAMPLE_PERIOD_US // 2) // SAMPLE_PERIOD_US
        return index

    def _write_resampled(self, column: int, period_us: int, t0_us: int, samples: NDArray[np.int16]) -> None:
        """Bring one block of another rate to the grid and write it."""
        resampler = self._resamplers.get(column)
        if resampler is None or resampler.period_us != period_us:
            resampler = self._resamplers[column] = Resampler(period_us=period_us, n_channels=CHANNELS)
        epoch_us = int(self._epoch_us[column // 2])
        start_us, on_grid = resampler.to_grid(t0_us + int(self._offset_us[column]) - epoch_us, samples)
        for first in range(0, len(on_grid), self.ring.window):
            piece = on_grid[first : first + self.ring.window]
            start = start_us // SAMPLE_PERIOD_US + first
            self.ring.write_at(np.array([column]), np.array([start]), piece[None])

    def _follow_clocks(
        self, columns: NDArray[np.intp], boot: NDArray[np.int64], t0_us: NDArray[np.int64], devices: Devices
    ) -> None:
        """Start columns whose device has a new boot, let columns slip that have drifted."""
        for block in np.flatnonzero(self._boot[columns] != boot).tolist():  # rare: after a start
            self._align(int(columns[block]), devices[block], int(boot[block]), int(t0_us[block]))
        right_us = self._clock_a_us[columns] + (self._clock_b[columns] - 1) * t0_us
        ahead_us = np.where(self._boot[columns] == boot, self._offset_us[columns] - right_us, 0)
        for block in np.flatnonzero(np.abs(ahead_us) > CLOCK_JUMP_US).tolist():
            self._align(int(columns[block]), devices[block], int(boot[block]), int(t0_us[block]))
            ahead_us[block] = 0
        for block in np.flatnonzero(np.abs(ahead_us) > self._drift_max_us[columns]).tolist():
            self._slip(int(columns[block]), samples=round(-ahead_us[block] / SAMPLE_PERIOD_US))
            ahead_us[columns == columns[block]] = 0

    def _slip(self, column: int, *, samples: int) -> None:
        """Move a column by some samples against the grid; where that leaves places open, its last sample is held."""
        self._offset_us[column] += samples * SAMPLE_PERIOD_US
        head = self.ring.heads[column]
        if samples > 0 and head > 0 and column not in self._resamplers:
            last = self.ring.samples[column, :, (head - 1) % self.ring.window]
            self.ring.write_at(np.array([column]), np.array([head]), np.broadcast_to(last, (1, samples, CHANNELS)))
        self.slip_count += 1

    def _align(self, column: int, device: str, boot: int, t0_us: int) -> None:
        """Put a boot's first block on the nearest grid time; without a clock fit it has no place in time."""
        fit = self._fits.get((device, boot))
        if fit is None:
            return
        server_us = fit.to_server_us(t0_us)
        if not self._lent_from_us[column] <= server_us < self._lent_until_us[column]:
            self._boot[column] = _NO_BOOT
            return
        place = column // 2
        if not self._epoch_us[place]:
            self._epoch_us[place] = server_us - LEAD_IN_US
            self.ring.assign(2 * place, int(self._epoch_us[place]))
            self.ring.assign(2 * place + 1, int(self._epoch_us[place]))
        since_us = server_us - int(self._epoch_us[place])
        nearest_us = (since_us + SAMPLE_PERIOD_US // 2) // SAMPLE_PERIOD_US * SAMPLE_PERIOD_US
        self._boot[column] = boot
        self._offset_us[column] = int(self._epoch_us[place]) + nearest_us - t0_us
        self._use_fit(column, fit)
        self._resamplers.pop(column, None)

    def _use_fit(self, column: int, fit: ClockFit) -> None:
        self._clock_a_us[column], self._clock_b[column] = fit.a_us, fit.b
        self._drift_max_us[column] = ROUGH_DRIFT_MAX_US if fit.n < FEW_PROBES else DRIFT_MAX_US


def as_samples(rows: NDArray[Any]) -> NDArray[np.int16]:
    """Return IMU6 or IMU9 rows, shape (n_blocks, n), as accel xyz, gyro xyz, shape (n_blocks, n, 6)."""
    return np.concatenate([rows["accel"], rows["gyro"]], axis=2)
