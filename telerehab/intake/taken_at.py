"""When values were taken, by the server's clock, although blocks come late: a stalled link sends many at once.

The quickest block of a boot tells how far the device's clock and ours are apart; a later one was that much longer on
its way. This needs no time probes and is right to some tenths of a second, enough for limits that act in seconds.
"""

from typing import Final, NamedTuple

LATE_MAX_US: Final = 30_000_000
"""A block that seems to be later than this does not come late: the device's clock has jumped."""


class _Apart(NamedTuple):
    boot: int
    apart_us: int


class TakenAt:
    """What is known of the clocks of some devices, one boot each."""

    def __init__(self) -> None:
        self._apart: dict[str, _Apart] = {}

    def of_live(self, device: str, *, boot: int, device_us: int, received_us: int) -> int:
        """Return when something was taken that came as live data; never later than it came. [µs]"""
        apart_us, known = received_us - device_us, self._apart.get(device)
        if known is not None and known.boot == boot and 0 <= apart_us - known.apart_us <= LATE_MAX_US:
            apart_us = known.apart_us
        self._apart[device] = _Apart(boot, apart_us)
        return device_us + apart_us

    def knows(self, device: str, boot: int) -> bool:
        """Return whether anything of this boot came as live data, so that the rest can be placed by it."""
        known = self._apart.get(device)
        return known is not None and known.boot == boot

    def of_backfill(self, device: str, *, boot: int, device_us: int, received_us: int) -> int:
        """Return when something was taken that a device had kept; when it came, where nothing tells more. [µs]"""
        known = self._apart.get(device)
        if known is None or known.boot != boot:
            return received_us
        return min(device_us + known.apart_us, received_us)

    def forget_others(self, devices: frozenset[str]) -> None:
        """Keep only what is known of these devices."""
        for device in self._apart.keys() - devices:
            del self._apart[device]
