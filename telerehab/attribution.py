"""Whose a measurement is. Pure: the stored clock fits and the table of assignments decide, whenever somebody reads.

A device knows no patient. What it measured during `[start, stop)` of its own clock is placed in the server's time by
the clock fits of its boot, and belongs to the patient to whom the device was lent for all of that time. Everything
else belongs to nobody and says why; it is stored for the device desk and never guessed. When something *arrived* says
nothing: a device that comes back late brings what it measured on another body.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import attrgetter
from types import MappingProxyType
from typing import Final, NamedTuple
from uuid import UUID

FIT_LOOKS_BACK_US: Final = 300_000_000
"""A fit is a line through the probes of the ten minutes before it, so it is truest five minutes before it was made."""
_FROM_US: Final = attrgetter("from_us")


class Unattributed(StrEnum):
    """Why a measurement is nobody's."""

    NO_CLOCK_FIT = "no_clock_fit"
    """No time probe of its boot was ever answered: it has no place in time."""
    OUTSIDE_ASSIGNMENTS = "outside_assignments"
    """The device was lent to nobody then."""
    ACROSS_BORDER = "across_border"
    """It began before a device was lent, or ended after it was taken back."""


class Lending(NamedTuple):
    """A device is a patient's during `[start_us, stop_us)`, server's UTC; `stop_us` None: until further notice."""

    patient_id: UUID
    start_us: int
    stop_us: int | None = None

    def contains(self, start_us: int, stop_us: int) -> bool:
        """Return whether `[start_us, stop_us)` lies within."""
        return self.start_us <= start_us and (self.stop_us is None or stop_us <= self.stop_us)

    def touches(self, start_us: int, stop_us: int) -> bool:
        """Return whether a moment of `[start_us, stop_us)` lies within."""
        return self.start_us < stop_us and (self.stop_us is None or start_us < self.stop_us)


class StoredFit(NamedTuple):
    """Server's UTC = `a_us + b * device time` of one boot, known since device time `from_us`."""

    from_us: int
    a_us: float
    b: float


@dataclass(frozen=True, kw_only=True, slots=True)
class BootClock:
    """The stored clock fits of one boot of a device, ordered by `from_us`; at least one."""

    fits: Sequence[StoredFit]

    def to_server_us(self, device_us: int) -> int:
        """Return the server's UTC of a moment of the device's clock. [µs]"""
        fit = self.fit_at(device_us)
        return round(fit.a_us + fit.b * device_us)

    def to_device_us(self, server_us: int) -> int:
        """Return what the device's clock read at a moment, to the difference between two neighbouring fits. [µs]"""
        newest = self.fits[-1]
        fit = self.fit_at(round((server_us - newest.a_us) / newest.b))
        return round((server_us - fit.a_us) / fit.b)

    def fit_at(self, device_us: int) -> StoredFit:
        """Return the fit that is truest at a moment of the device's clock."""
        place = bisect_right(self.fits, device_us + FIT_LOOKS_BACK_US, key=_FROM_US)
        return self.fits[max(place - 1, 0)]


Clocks = Mapping[tuple[str, int], BootClock]
"""By device and boot; a boot that is not there has no fit."""
Lendings = Mapping[str, Sequence[Lending]]
"""By device."""
NO_CLOCKS: Final[Clocks] = MappingProxyType({})


def make_clocks(fits: Iterable[tuple[str, int, StoredFit]]) -> Clocks:
    """Return the clocks of all boots from (device, boot, fit)."""
    by_boot: dict[tuple[str, int], list[StoredFit]] = {}
    for device, boot, fit in fits:
        by_boot.setdefault((device, boot), []).append(fit)
    return {key: BootClock(fits=tuple(sorted(found, key=_FROM_US))) for key, found in by_boot.items()}


def find_owner(
    start_us: int, stop_us: int, *, clock: BootClock | None, lendings: Iterable[Lending]
) -> UUID | Unattributed:
    """Return whose a measurement is, a patient's id, or why it is nobody's.

    Parameters
    ----------
    start_us, stop_us : int
        Its first moment and the one after its last, by the device's clock; a moment alone counts as one µs. [µs]
    clock : BootClock, optional
        Of the boot in which it was made; None where no fit is stored.
    lendings : iterable of Lending
        Of this device, all of them.

    Examples
    --------
    >>> karen, clock = UUID(int=7), BootClock(fits=(StoredFit(from_us=0, a_us=1_000.0, b=1.0),))
    >>> find_owner(0, 100, clock=clock, lendings=[Lending(karen, 1_000, 1_100)]) == karen
    True
    >>> find_owner(50, 150, clock=clock, lendings=[Lending(karen, 1_000, 1_100)]).value
    'across_border'
    >>> find_owner(100, 200, clock=clock, lendings=[Lending(karen, 1_000, 1_100)]).value
    'outside_assignments'
    >>> find_owner(0, 100, clock=None, lendings=[Lending(karen, 1_000)]).value
    'no_clock_fit'
    """
    if clock is None:
        return Unattributed.NO_CLOCK_FIT
    return find_owner_at(clock.to_server_us(start_us), clock.to_server_us(max(stop_us, start_us + 1)), lendings)


def find_owner_at(start_us: int, stop_us: int, lendings: Iterable[Lending]) -> UUID | Unattributed:
    """Return whose `[start_us, stop_us)` of the server's UTC is, for a device with these lendings."""
    touching = [lending for lending in lendings if lending.touches(start_us, max(stop_us, start_us + 1))]
    if not touching:
        return Unattributed.OUTSIDE_ASSIGNMENTS
    if len(touching) == 1 and touching[0].contains(start_us, stop_us):
        return touching[0].patient_id
    return Unattributed.ACROSS_BORDER
