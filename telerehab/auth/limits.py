"""A bound on attempts, kept in memory: each key has its own, so nobody's attempts count against another."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from telerehab.clock import Clock
from telerehab.errors import TooManyAttemptsError

KEYS_MAX: Final = 10_000
_NS_PER_S: Final = 1_000_000_000


@dataclass(kw_only=True, slots=True)
class _Bucket:
    """What one key has left."""

    left: float
    at_ns: int


class AttemptLimit:
    """Token buckets: `burst` attempts at once, then one every `refill_s`.

    The least recently used of more than `KEYS_MAX` keys is forgotten: memory stays bounded under any flood.
    """

    def __init__(self, *, burst: int, refill_s: float, clock: Clock) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def spend(self, key: str) -> None:
        """Take one attempt.

        Raises
        ------
        TooManyAttemptsError
            None is left; says when there will be one.
        """
        with self._lock:
            bucket = self._filled(key)
            if bucket.left < 1:
                wait_s = (1 - bucket.left) * self._refill_s
                raise TooManyAttemptsError("too many attempts", retry_after_s=wait_s)
            bucket.left -= 1

    def forgive(self, key: str) -> None:
        """Give all attempts back: the right answer was given."""
        with self._lock:
            self._buckets.pop(key, None)

    def _filled(self, key: str) -> _Bucket:
        """Return the bucket of a key with what has come back since."""
        now_ns = self._clock.monotonic_ns()
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = _Bucket(left=self._burst, at_ns=now_ns)
            if len(self._buckets) > KEYS_MAX:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
            passed_s = (now_ns - bucket.at_ns) / _NS_PER_S
            bucket.left = min(self._burst, bucket.left + passed_s / self._refill_s)
            bucket.at_ns = now_ns
        return bucket
