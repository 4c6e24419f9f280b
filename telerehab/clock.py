"""The clocks of the product and of its tests; both are `devices.ports.Clock`."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

STANDS_MAX_US: Final = 1_000_000
_NS_PER_US: Final = 1_000
_US_PER_S: Final = 1_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Time, without waiting; the same shape as `devices.ports.Clock`."""

    def utc_ns(self) -> int:
        """Return the time since the Unix epoch [ns]; for records, never for durations."""
        ...

    def monotonic_ns(self) -> int:
        """Return a time that never steps [ns]; for durations and ages."""
        ...


class SystemClock:
    """The clock of the machine."""

    def utc_ns(self) -> int:
        """Return the time since the Unix epoch [ns]; for records, never for durations."""
        return time.time_ns()

    def monotonic_ns(self) -> int:
        """Return a time that never steps [ns]; for durations and ages."""
        return time.monotonic_ns()


@dataclass(kw_only=True, slots=True)
class ManualClock:
    """A clock that moves when told to."""

    utc_now_ns: int = 1_790_000_000_000_000_000
    monotonic_now_ns: int = 0

    def utc_ns(self) -> int:
        """Return the time since the Unix epoch [ns]."""
        return self.utc_now_ns

    def monotonic_ns(self) -> int:
        """Return a time that never steps [ns]."""
        return self.monotonic_now_ns

    def advance(self, duration_s: float) -> None:
        """Let both times pass by `duration_s`."""
        duration_ns = round(duration_s * 1e9)
        self.utc_now_ns += duration_ns
        self.monotonic_now_ns += duration_ns


class ForwardTime:
    """UTC as steps take it that must not see time run backwards. [µs]

    A small step back is waited out: time stands. It must not stand for long, because nothing becomes due meanwhile: no
    acknowledgement, no alarm. After a larger one (`is_set_back`) whoever asks has to begin anew with the new time.
    """

    def __init__(self) -> None:
        self.now_us = 0
        self.is_set_back = False

    def tell(self, utc_us: int) -> int:
        """Take what the clock says; return the time that steps see.

        Examples
        --------
        >>> time = ForwardTime()
        >>> time.tell(5_000_000), time.tell(4_500_000), time.is_set_back
        (5000000, 5000000, False)
        >>> time.tell(3_900_000), time.is_set_back
        (5000000, True)
        """
        self.is_set_back = utc_us < self.now_us - STANDS_MAX_US
        self.now_us = max(self.now_us, utc_us)
        return self.now_us


def utc_now(clock: Clock) -> datetime:
    """Return the clock's time as an aware datetime in UTC, rounded down to microseconds.

    Examples
    --------
    >>> utc_now(ManualClock(utc_now_ns=1_500_000_999)).isoformat()
    '1970-01-01T00:00:01.500000+00:00'
    """
    return from_us(clock.utc_ns() // _NS_PER_US)


def from_us(utc_us: int) -> datetime:
    """Return the aware datetime of a time since the Unix epoch [µs]."""
    return _EPOCH + timedelta(microseconds=utc_us)


def to_us(moment: datetime) -> int:
    """Return the time since the Unix epoch [µs] of an aware datetime.

    Examples
    --------
    >>> to_us(from_us(1_790_000_000_123_456))
    1790000000123456
    """
    since_epoch = moment - _EPOCH
    return (since_epoch.days * 86_400 + since_epoch.seconds) * _US_PER_S + since_epoch.microseconds
