"""What the live sessions need from outside: the time, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Instant:
    """One moment, read once from both clocks by the shell and handed in."""

    utc_us: int
    """Time since the Unix epoch [µs]; for records only."""
    monotonic_ns: int
    """A time that never steps [ns]; for every duration."""
