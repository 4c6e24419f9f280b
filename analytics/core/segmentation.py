"""Repetitions in a joint angle, by hysteresis: live for many patients in step, and for a whole recording.

Progress is the way from the start pose in the exercise's direction, in degrees. A repetition opens above half of the
expected range, counted from where the movement began, and closes when the way back has come to rest below three
tenths. So an excursion of less than half of the range is none. The expected range is the prescribed one, drawn within
bounds towards what the patient does. A ready pose held for half a second opens counting; fidgets do not.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.core.columns import Columns
from analytics.core.orientation import BoolArray
from analytics.core.quaternions import FloatArray
from analytics.results import Phase

_NEVER: Final = -1
_VALUE_SHAPES: Final = {
    "prescribed_range": (),
    "range": (),  # prescribed, drawn towards the patient's own
    "base": (),  # progress where the present movement began
    "last": (),
    "peak": (),
    "lowest": (),
    "peak_speed": (),
}
_COUNT_SHAPES: Final = {
    "clock": (),
    "start": (),
    "peak_at": (),
    "first_slow": (),
    "last_slow": (),
    "count": (),
    "still_ticks": (),
    "is_inside": (),
    "is_armed": (),
    "is_open": (),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class RepetitionParameters:
    """Shares are of the expected range."""

    open_share: float = 0.5
    close_share: float = 0.3
    start_zone_share: float = 0.3
    base_share: float = 0.15
    leaves_plane_share: float = -0.5
    own_range_share: tuple[float, float] = (0.8, 1.25)
    own_range_rate: float = 0.3
    still_share_per_s: float = 0.06  # speed below which the start pose counts as held, within the next bounds
    still_speed_deg_s: tuple[float, float] = (1.0, 5.0)
    slow_share_of_peak: float = 0.05
    ready_s: float = 0.5
    shortest_s: float = 0.4
    longest_s: float = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedRepetitions:
    """Repetitions that ended in one tick; all arrays have shape (n_ended,)."""

    slot: npt.NDArray[np.intp]
    index: npt.NDArray[np.int64]
    start: npt.NDArray[np.int64]
    peak_at: npt.NDArray[np.int64]
    stop: npt.NDArray[np.int64]
    first_slow: npt.NDArray[np.int64]
    last_slow: npt.NDArray[np.int64]
    rom_deg: FloatArray
    peak_deg: FloatArray
    peak_speed_deg_s: FloatArray


class RepetitionTracker:
    """Counts the repetitions of many patients in step.

    Parameters
    ----------
    n_slots : int
    n : int
        Samples per tick.
    sampling_rate_hz : float
    parameters : RepetitionParameters
    """

    def __init__(
        self,
        n_slots: int,
        *,
        n: int,
        sampling_rate_hz: float,
        parameters: RepetitionParameters = RepetitionParameters(),
    ) -> None:
        self.parameters = parameters
        self._n = n
        self._rate_hz = sampling_rate_hz
        self._ready_ticks = round(parameters.ready_s * sampling_rate_hz / n)
        self._within_tick = np.arange(n, dtype=np.int64)[:, None]
        self.values = Columns(_VALUE_SHAPES, n_slots, np.float32)
        self.counts = Columns(_COUNT_SHAPES, n_slots, np.int64)
        self.phase = np.zeros(n_slots, np.uint8)

    def prescribe(self, slot: int, range_deg: float) -> None:
        """Let a slot begin from nothing with the range that is expected of it. [°]"""
        self.values.clear(slot)
        self.counts.clear(slot)
        self.values["prescribed_range"][slot] = self.values["range"][slot] = range_deg

    def open(self, slots: BoolArray) -> None:
        """Open counting where the start pose has just been held for longer than is asked here."""
        np.copyto(self.counts["is_open"], 1, where=slots)

    def advance(self, progress_deg: FloatArray, judged: BoolArray, begins_anew: BoolArray) -> EndedRepetitions:
        """Take in one tick.

        Parameters
        ----------
        progress_deg : ndarray, shape (n, n_slots)
            Low-passed way from the start pose; finite everywhere. [°]
        judged : ndarray of bool, shape (n_slots,)
            Where the angle is known; elsewhere an open repetition is dropped and the next must begin in the start zone.
        begins_anew : ndarray of bool, shape (n_slots,)
            Where the progress does not continue that of the tick before.
        """
        v, c, p = self.values, self.counts, self.parameters
        expected, inside_before = v["range"], c["is_inside"] > 0
        at = c["clock"] + self._within_tick
        np.copyto(v["last"], progress_deg[0], where=begins_anew)
        speed_signed = np.diff(progress_deg, axis=0, prepend=v["last"][None]) * np.float32(self._rate_hz)
        speed = np.abs(speed_signed)
        still_speed = np.clip(p.still_share_per_s * expected, *p.still_speed_deg_s)

        starting = self._follow_start(progress_deg, speed_signed, still_speed, at, inside_before)
        high, low = v["base"] + p.open_share * expected, v["base"] + p.close_share * expected
        above = progress_deg > high
        fresh = (c["is_armed"] > 0) & (c["is_open"] > 0) & judged & ~inside_before
        begins = above.any(axis=0) & fresh
        inside = (inside_before & judged) | begins
        fastest = speed.max(axis=0)
        v["peak_speed"][:] = np.where(starting, fastest, np.maximum(v["peak_speed"], fastest))
        slow_limit = np.maximum(p.slow_share_of_peak * v["peak_speed"], still_speed)
        self._follow_peak(progress_deg, at, above & (speed < slow_limit), begins, inside)

        returned = (progress_deg < low) & (speed_signed > -slow_limit)
        closes = returned.any(axis=0) & inside_before & judged
        stop = at[returned.argmax(axis=0), np.arange(at.shape[1])]
        duration = stop - c["start"]
        counts = closes & (duration >= p.shortest_s * self._rate_hz)
        c["count"][:] += counts
        ended = self._collect(np.flatnonzero(counts), stop)
        self._follow_range(counts)

        too_long = inside & (at[-1] - c["start"] > p.longest_s * self._rate_hz)
        np.copyto(c["start"], stop, where=closes)
        c["is_inside"][:] = inside & ~closes & ~too_long
        c["is_armed"][:] = ((c["is_armed"] > 0) | starting) & judged & ~too_long
        quiet = (speed.max(axis=0) < still_speed) & (np.abs(progress_deg).max(axis=0) < p.start_zone_share * expected)
        c["still_ticks"][:] = np.where(quiet & judged, c["still_ticks"] + 1, 0)
        left_plane = progress_deg.min(axis=0) < p.leaves_plane_share * expected
        opened = (c["is_open"] > 0) | (c["still_ticks"] >= self._ready_ticks)
        c["is_open"][:] = opened & ~too_long & ~left_plane
        v["last"][:] = progress_deg[-1]
        c["clock"][:] += self._n
        self._set_phase(progress_deg[-1], speed_signed[-1], high, slow_limit)
        return ended

    def _follow_start(
        self,
        progress_deg: FloatArray,
        speed: FloatArray,
        still_speed: FloatArray,
        at: npt.NDArray[np.int64],
        inside: BoolArray,
    ) -> BoolArray:
        """Keep the last moment at which the patient had not set out yet, and the progress there."""
        v, c, p = self.values, self.counts, self.parameters
        expected = v["range"]
        in_zone = np.abs(progress_deg) < p.start_zone_share * expected
        waits = in_zone & (speed < still_speed)
        starting: BoolArray = waits.any(axis=0) & ~inside
        last = self._n - 1 - waits[::-1].argmax(axis=0)
        columns = np.arange(at.shape[1])
        np.copyto(c["start"], at[last, columns], where=starting)
        bound = p.base_share * expected
        base = np.clip(progress_deg[last, columns], -bound, bound)
        np.copyto(v["base"], base, where=starting)
        return starting

    def _follow_peak(
        self,
        progress_deg: FloatArray,
        at: npt.NDArray[np.int64],
        slow_above: BoolArray,
        begins: BoolArray,
        inside: BoolArray,
    ) -> None:
        v, c = self.values, self.counts
        columns = np.arange(at.shape[1])
        np.copyto(v["peak"], -np.inf, where=begins)
        np.copyto(v["lowest"], v["base"], where=begins)
        np.copyto(c["first_slow"], _NEVER, where=begins)
        where_highest = progress_deg.argmax(axis=0)
        highest = progress_deg[where_highest, columns]
        higher = inside & (highest > v["peak"])
        np.copyto(v["peak"], highest, where=higher)
        np.copyto(c["peak_at"], at[where_highest, columns], where=higher)
        np.minimum(v["lowest"], progress_deg.min(axis=0), out=v["lowest"], where=inside)
        any_slow = slow_above.any(axis=0) & inside
        first = at[slow_above.argmax(axis=0), columns]
        np.copyto(c["first_slow"], first, where=any_slow & (c["first_slow"] == _NEVER))
        last = at[self._n - 1 - slow_above[::-1].argmax(axis=0), columns]
        np.copyto(c["last_slow"], last, where=any_slow)

    def _follow_range(self, counted: BoolArray) -> None:
        v, p = self.values, self.parameters
        smallest, largest = p.own_range_share
        drawn = v["range"] + p.own_range_rate * (v["peak"] - v["lowest"] - v["range"])
        bounded = np.clip(drawn, smallest * v["prescribed_range"], largest * v["prescribed_range"])
        np.copyto(v["range"], bounded, where=counted)

    def _collect(self, slot: npt.NDArray[np.intp], stop: npt.NDArray[np.int64]) -> EndedRepetitions:
        v, c = self.values, self.counts
        peak_at, first_slow = c["peak_at"][slot], c["first_slow"][slot]
        had_slow = first_slow != _NEVER
        return EndedRepetitions(
            slot=slot,
            index=c["count"][slot],
            start=c["start"][slot],
            peak_at=peak_at,
            stop=stop[slot],
            first_slow=np.where(had_slow, first_slow, peak_at),
            last_slow=np.where(had_slow, c["last_slow"][slot], peak_at),
            rom_deg=v["peak"][slot] - v["lowest"][slot],
            peak_deg=v["peak"][slot],
            peak_speed_deg_s=v["peak_speed"][slot],
        )

    def _set_phase(self, progress: FloatArray, speed: FloatArray, high: FloatArray, slow_limit: FloatArray) -> None:
        c = self.counts
        phase = np.where(c["is_open"] > 0, Phase.READY, Phase.PAUSED_NOT_READY_POSE)
        inside = c["is_inside"] > 0
        sets_out = (c["is_armed"] > 0) & (c["is_open"] > 0) & (speed > slow_limit)
        phase = np.where(inside | sets_out, Phase.UP, phase)
        phase = np.where(inside & (np.abs(speed) <= slow_limit) & (progress > high), Phase.HOLD, phase)
        self.phase[:] = np.where(inside & (speed < -slow_limit), Phase.DOWN, phase)
