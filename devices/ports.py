"""What the shells of this package need from outside, and what passes between them and the pure steps."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, Protocol

Role = Literal["device", "ingest", "web", "media", "jobs"]
"""What an account of the broker is: a device, or one of our own processes."""


class Token(NamedTuple):
    """What `Source.commit` needs to know of a message; opaque to all others."""

    generation: int  # which connection it came over
    packet_id: int


class Raw(NamedTuple):
    """One message as it arrived. A tuple, because the network thread makes thousands a second."""

    topic: str
    payload: bytes
    received_us: int  # UTC of the server, stamped in the callback [µs]
    token: "Token | None" = None  # of a message that the source keeps until it is told that we have it


class Source(Protocol):
    """Where messages come from: a broker, or memory in tests."""

    def take(self) -> list[Raw]:
        """Return what has arrived since the last call, oldest first; never blocks."""
        ...

    def commit(self, tokens: Sequence[Token]) -> None:
        """Let the source forget messages, in the order of their arrival: what they said is committed."""
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
