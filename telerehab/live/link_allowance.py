"""How fast a device link is read: no error, only a pause. What is not read waits in the device, which keeps it."""

from typing import Final

MESSAGES_PER_S: Final = 200.0
MESSAGES_BURST: Final = 400.0
BYTES_PER_S: Final = 256 * 1024.0
BYTES_BURST: Final = 1024 * 1024.0
_NS_PER_S: Final = 1e9


class LinkAllowance:
    """Two token buckets, of messages and of bytes. A message may overdraw them; the next one then waits."""

    def __init__(self) -> None:
        self._messages = MESSAGES_BURST
        self._bytes = BYTES_BURST
        self._at_ns: int | None = None

    def spend(self, size: int, *, now_ns: int) -> float:
        """Take one message of `size` bytes at a monotonic time [ns]; return how long to read nothing now [s]."""
        passed_s = 0.0 if self._at_ns is None else max(now_ns - self._at_ns, 0) / _NS_PER_S
        self._at_ns = now_ns
        self._messages = min(MESSAGES_BURST, self._messages + passed_s * MESSAGES_PER_S) - 1
        self._bytes = min(BYTES_BURST, self._bytes + passed_s * BYTES_PER_S) - size
        return max(-self._messages / MESSAGES_PER_S, -self._bytes / BYTES_PER_S, 0.0)
