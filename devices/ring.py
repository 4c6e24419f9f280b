"""The last seconds of every live sensor, on a grid of 100 Hz of device time, always ready to be read as one view.

Each sample is written twice, at `i` and at `i + W`, so the last W samples of a slot lie side by side whatever the
head is. Values stay raw; a sample that never came is `valid == False`, so that place is time.
"""

from typing import Any, Final

import numpy as np

from devices.wire import IMU6_DTYPE, SAMPLE_PERIOD_US

CHANNELS: Final = 6
_MAX_INDEX: Final = 2**41
"""Above every index of the grid: device times are below 2**53 µs."""

Int16 = np.ndarray[Any, np.dtype[np.int16]]
Bool = np.ndarray[Any, np.dtype[np.bool_]]
Int64 = np.ndarray[Any, np.dtype[np.int64]]


class Ring:
    """A mirror ring of six int16 channels per slot. One writer.

    Parameters
    ----------
    n_slots
        How many sensors it can hold.
    window
        Length W in samples, a multiple of 10.

    Attributes
    ----------
    samples : ndarray of int16, shape (n_slots, 6, 2 * window)
        Raw accel xyz, gyro xyz. Read it through `valid`.
    valid : ndarray of bool, shape (n_slots, 2 * window)
        Whether a sample came.
    heads : ndarray of int64, shape (n_slots,)
        Samples of the grid since the slot's start; the newest sample has index `heads - 1`.
    start_us : ndarray of int64, shape (n_slots,)
        Device time of index 0. [µs]
    generation : ndarray of int64, shape (n_slots,)
        Changes whenever a slot is given away or starts anew.
    """

    def __init__(self, n_slots: int, window: int) -> None:
        if window <= 0 or window % 10:
            raise ValueError("the window must be a multiple of 10 samples")
        self.window = window
        self.samples: Int16 = np.zeros((n_slots, CHANNELS, 2 * window), np.int16)
        self.valid: Bool = np.zeros((n_slots, 2 * window), np.bool_)
        self.heads: Int64 = np.zeros(n_slots, np.int64)
        self.start_us: Int64 = np.zeros(n_slots, np.int64)
        self.generation: Int64 = np.zeros(n_slots, np.int64)

    def assign(self, slot: int, start_us: int) -> None:
        """Begin a slot anew: empty, index 0 is device time `start_us`."""
        self.valid[slot] = False
        self.heads[slot] = 0
        self.start_us[slot] = start_us
        self.generation[slot] += 1

    def index_of(self, slots: np.ndarray[Any, Any], device_us: np.ndarray[Any, Any]) -> Int64:
        """Return the nearest index of the grid for device times [µs]."""
        start: Int64 = (device_us.astype(np.int64) - self.start_us[slots] + SAMPLE_PERIOD_US // 2) // SAMPLE_PERIOD_US
        return start

    def write(self, slots: np.ndarray[Any, Any], headers: np.ndarray[Any, Any], rows: np.ndarray[Any, Any]) -> Bool:
        """Write blocks of equal length at 100 Hz, in any order.

        Only blocks that reach beyond a slot's head are written, as in a live view: late ones are for the store. What
        lies between the head and a block becomes not valid.

        Parameters
        ----------
        slots : ndarray of int, shape (n_blocks,)
            Where each block goes.
        headers : ndarray of HEADER_DTYPE, shape (n_blocks,)
            `t0_us` places the block on the grid.
        rows : ndarray of IMU6_DTYPE, shape (n_blocks, n), or of int16, shape (n_blocks, n, 6)
            The samples. n is at most the window.

        Returns
        -------
        is_written : ndarray of bool, shape (n_blocks,)
        """
        values = rows.view(np.int16).reshape(*rows.shape, CHANNELS) if rows.dtype == IMU6_DTYPE else rows
        return self.write_at(slots, self.index_of(slots, headers["t0_us"]), values)

    def write_at(
        self,
        slots: np.ndarray[Any, Any],
        start: np.ndarray[Any, Any],
        values: np.ndarray[Any, Any],
        valid: np.ndarray[Any, Any] | None = None,
    ) -> Bool:
        """Write blocks whose place on the grid is known; see `write`.

        Parameters
        ----------
        start : ndarray of int64, shape (n_blocks,)
            Index of each block's first sample.
        values : ndarray of int16, shape (n_blocks, n, 6)
            The samples.
        valid : ndarray of bool, shape (n_blocks, n), optional
            Which of them are real; default all.
        """
        window, n = self.window, values.shape[1]
        newest = self.heads.copy()
        np.maximum.at(newest, slots, start + n)
        is_live: Bool = (start + n > self.heads[slots]) & (start >= newest[slots] - window) & (start + n > 0)
        if n == 0 or n > window:
            return np.zeros(slots.size, np.bool_)
        live = np.flatnonzero(is_live)
        live = live[np.argsort(slots[live].astype(np.int64) * _MAX_INDEX + start[live], kind="stable")]
        slot, first = slots[live], start[live]
        if live.size:
            is_first_of_slot = np.r_[True, slot[1:] != slot[:-1]]
            expected = np.where(is_first_of_slot, self.heads[slot], np.r_[0, first[:-1] + n])
            self._invalidate(slot, first, np.clip(first - expected, 0, window))
            place = first % window
            is_real = np.ones((live.size, n), np.bool_) if valid is None else valid[live]
            is_whole = place + n <= window
            if is_whole.all():
                self._write_whole(slot, place, values[live], is_real)
            else:
                odd = np.isin(slot, slot[~is_whole])  # whole slots, so that of overlapping blocks the later wins
                self._write_whole(slot[~odd], place[~odd], values[live[~odd]], is_real[~odd])
                self._write_wrapped(slot[odd], place[odd], values[live[odd]], is_real[odd])
            self.heads[:] = newest
        return is_live

    def window_views(self, slots: np.ndarray[Any, Any], stop: np.ndarray[Any, Any], n: int) -> tuple[Int16, Bool]:
        """Gather the n samples before `stop` of many slots.

        Parameters
        ----------
        slots : ndarray of int, shape (n_slots,)
            Which slots.
        stop : ndarray of int64, shape (n_slots,)
            Index after the last sample, per slot. What lies outside the ring, before index 0 or beyond the head comes
            out as not valid.
        n
            Number of samples.

        Returns
        -------
        samples : ndarray of int16, shape (n_slots, 6, n)
        valid : ndarray of bool, shape (n_slots, n)
        """
        at = stop[:, None] + np.arange(-n, 0)
        heads = self.heads[slots][:, None]
        places = at % self.window
        is_held = (at >= 0) & (at >= heads - self.window) & (at < heads)
        return self.samples[slots[:, None], :, places].swapaxes(1, 2), self.valid[slots[:, None], places] & is_held

    def last(self, slot: int, n: int) -> tuple[Int16, Bool]:
        """Return views of the last n samples of a slot, without copying; n is at most the window."""
        stop = (int(self.heads[slot]) - 1) % self.window + 1 + self.window
        return self.samples[slot, :, stop - n : stop], self.valid[slot, stop - n : stop]

    def _write_whole(
        self, slot: np.ndarray[Any, Any], place: np.ndarray[Any, Any], values: Int16, is_real: Bool
    ) -> None:
        """Write blocks that do not wrap around: n samples of a channel lie side by side, and are copied as one item."""
        n = values.shape[1]
        item, mask = np.dtype((np.void, 2 * n)), np.dtype((np.void, n))
        targets: Any = np.ndarray(self.samples.size - n + 1, item, self.samples, 0, (2,))  # one begins at every sample
        masks: Any = np.ndarray(self.valid.size - n + 1, mask, self.valid, 0, (1,))
        items = np.ascontiguousarray(values.transpose(0, 2, 1)).view(item).ravel()
        real = np.ascontiguousarray(is_real).view(mask).ravel()
        length = 2 * self.window
        rows = slot[:, None] * CHANNELS + np.arange(CHANNELS)
        for lap in (place, place + self.window):
            targets[(rows * length + lap[:, None]).ravel()] = items
            masks[slot * length + lap] = real

    def _write_wrapped(
        self, slot: np.ndarray[Any, Any], place: np.ndarray[Any, Any], values: Int16, is_real: Bool
    ) -> None:
        """Write blocks that may end at the beginning of the window."""
        places = (place[:, None] + np.arange(values.shape[1])) % self.window
        for lap in (0, self.window):
            self.valid[slot[:, None], places + lap] = is_real
            self.samples[slot[:, None], :, places + lap] = values

    def _invalidate(self, slot: np.ndarray[Any, Any], stop: np.ndarray[Any, Any], count: np.ndarray[Any, Any]) -> None:
        """Mark the `count` samples before `stop` as not come."""
        if not count.any():
            return
        missing = np.arange(count.sum()) + np.repeat(stop - np.cumsum(count), count)
        for lap in (0, self.window):
            self.valid[np.repeat(slot, count), missing % self.window + lap] = False
