"""What the shells of this package need from outside, and what passes between them and the pure steps."""

from typing import Literal, NamedTuple, Protocol

Role = Literal["device", "ingest", "web", "media", "jobs"]
"""What an account of the broker is: a device, or one of our own processes."""


class Raw(NamedTuple):
    """One message as it arrived. A tuple, because the network thread makes thousands a second."""

    topic: str
    payload: bytes
    received_us: int  # UTC of the server, stamped in the callback [µs]
    token: object | None = None  # what a QoS 1 acknowledgement needs; opaque


class Source(Protocol):
    """Where messages come from: a broker, or memory in tests."""

    def take(self) -> list[Raw]:
        """Return what has arrived since the last call, oldest first; never blocks."""
        ...


class Clock(Protocol):
    """Time, without waiting."""

    def utc_ns(self) -> int:
        """Return the time since the Unix epoch [ns]; for records, never for durations."""
        ...

    def monotonic_ns(self) -> int:
        """Return a time that never steps [ns]; for durations and ages."""
        ...


class Credentials(Protocol):
    """Who may log in at the broker, and as what. Asked on the broker's event loop: answer from memory."""

    def may_log_in(self, username: str, password: str) -> bool:
        """Tell whether this account exists and the password is right; compares in constant time."""
        ...

    def role_of(self, username: str) -> Role | None:
        """Return what an account is, None for one that is unknown or revoked. Asked at every message."""
        ...
