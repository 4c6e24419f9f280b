"""Where a device's clock lies against the server's, from time probes with four stamps. Pure.

A device counts microseconds from an origin of its own, a little too fast or too slow. The probes with the shortest
round trip tell the offset best, and a line through the best 30 % of ten minutes gives offset and skew.
"""

from collections import deque
from dataclasses import dataclass
from math import fsum, sqrt
from operator import mul
from typing import Any, Final, NamedTuple, overload

import numpy as np

HISTORY_US: Final = 600_000_000
MAX_PROBES: Final = 240
BEST_SHARE: Final = 0.3
MIN_FOR_LINE: Final = 6
"""With fewer good probes, or less time between them than `MIN_SPAN_US`, the skew is taken as none."""
MIN_SPAN_US: Final = 20_000_000
MAX_SKEW: Final = 500e-6
"""No quartz is worse; a steeper line is an artefact of few probes."""
JUMP_US: Final = 5_000_000
"""An offset this far from the fit means another clock: everything before is forgotten."""
MAX_ROUND_TRIP_US: Final = 5_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockFit:
    """`server_us = a_us + b * device_us`, from `n` probes; `rmse_us` says how far these lie from the line.

    Examples
    --------
    >>> ClockFit(a_us=5_000_000.0, b=1.0, rmse_us=0.0, n=1).to_server_us(1_000)
    5001000
    """

    a_us: float
    b: float
    rmse_us: float
    n: int

    @overload
    def to_server_us(self, device_us: int) -> int: ...
    @overload
    def to_server_us(self, device_us: np.ndarray[Any, Any]) -> np.ndarray[Any, np.dtype[np.int64]]: ...
    def to_server_us(self, device_us: int | np.ndarray[Any, Any]) -> int | np.ndarray[Any, np.dtype[np.int64]]:
        """Return the server's UTC of moments of the device clock [µs]."""
        if isinstance(device_us, np.ndarray):
            return np.rint(self.a_us + self.b * device_us).astype(np.int64)
        return round(self.a_us + self.b * device_us)


class _Probe(NamedTuple):
    offset_us: float
    round_trip_us: int
    device_us: int


class ClockSync:
    """The probes of one (device, boot) and the line through the best of them."""

    __slots__ = ("_fit", "_probes")

    def __init__(self) -> None:
        self._probes: deque[_Probe] = deque(maxlen=MAX_PROBES)
        self._fit: ClockFit | None = None

    def add_probe(self, s1_us: int, d2_us: int, d3_us: int, s4_us: int) -> bool:
        """Add an answered probe; False, and nothing changes, if its stamps cannot be true.

        Parameters
        ----------
        s1_us, s4_us
            Server's UTC at sending and at receiving. [µs]
        d2_us, d3_us
            Device clock at receiving and at sending. [µs]
        """
        round_trip_us = (s4_us - s1_us) - (d3_us - d2_us)
        if d3_us < d2_us or not 0 <= s4_us - s1_us <= MAX_ROUND_TRIP_US or round_trip_us < 0:
            return False
        probe = _Probe(((s1_us + s4_us) - (d2_us + d3_us)) / 2, round_trip_us, d3_us)
        if self._fit is not None and abs(probe.offset_us + d3_us - self._fit.to_server_us(d3_us)) > JUMP_US:
            self._probes.clear()
        while self._probes and self._probes[0].device_us < d3_us - HISTORY_US:
            self._probes.popleft()
        self._probes.append(probe)
        self._fit = _fit_line(self._probes)
        return True

    def fit(self) -> ClockFit | None:
        """Return the present line, None before the first answer."""
        return self._fit


def _fit_line(probes: deque[_Probe]) -> ClockFit:
    """Fit offset and skew to the probes with the shortest round trip.

    Without arrays: every answer of every device comes here, and so few numbers are quicker on their own.
    """
    longest_us = _quantile(sorted(probe.round_trip_us for probe in probes), BEST_SHARE)
    origin_us, base_us = probes[-1].device_us, probes[-1].offset_us
    best = [probe for probe in probes if probe.round_trip_us <= longest_us]
    x_us = [float(probe.device_us - origin_us) for probe in best]
    y_us = [probe.offset_us - base_us for probe in best]
    skew, at_origin_us = 0.0, fsum(y_us) / len(best)
    if len(best) >= MIN_FOR_LINE and max(x_us) - min(x_us) >= MIN_SPAN_US:
        centre_us = fsum(x_us) / len(best)
        from_centre_us = [x - centre_us for x in x_us]
        slope = fsum(map(mul, from_centre_us, y_us)) / fsum(map(mul, from_centre_us, from_centre_us))
        skew = min(max(slope, -MAX_SKEW), MAX_SKEW)
        at_origin_us -= skew * centre_us
    rmse_us = sqrt(fsum([(y - at_origin_us - skew * x) ** 2 for x, y in zip(x_us, y_us, strict=True)]) / len(best))
    return ClockFit(a_us=base_us + at_origin_us - skew * origin_us, b=1.0 + skew, rmse_us=rmse_us, n=len(probes))


def _quantile(ascending: list[int], share: float) -> float:
    """Return the value below which this share lies, between neighbours in proportion.

    >>> _quantile([10, 20, 30, 40], 0.5)
    25.0
    """
    whole, part = divmod(share * (len(ascending) - 1), 1)
    low, high = ascending[int(whole)], ascending[min(int(whole) + 1, len(ascending) - 1)]
    return low + (high - low) * part
