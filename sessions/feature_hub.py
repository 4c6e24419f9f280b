"""Newest value per key, fanned out to screens: a slow screen misses values and never slows another.

Nothing is queued. A screen holds at most one value per key, the newest; putting a value replaces the one that nobody
has taken yet. So the memory of a screen is bounded by the number of keys it may see, and a screen that comes back after
a stall shows the present, not the past. Pure: the shell wakes the screens' senders and does the sending.
"""

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True, slots=True)
class Value:
    """One value and when it came [ns, monotonic], so that its time of waiting here can be told."""

    data: bytes
    received_ns: int
    tick: int
    """The sender's tick that brought it: a screen that misses values sees the hole by it."""


class Screen(Generic[Key]):
    """What one screen has still to be sent; made by `FeatureHub.add_screen`."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.skipped_count = 0
        """Values that a newer one replaced before they were taken."""
        self._wake = wake
        self._visible: frozenset[Key] = frozenset()
        self._waiting: dict[Key, Value] = {}

    @property
    def visible(self) -> frozenset[Key]:
        """Return the keys that this screen may see."""
        return self._visible

    def show(self, keys: Collection[Key]) -> None:
        """Let the screen see these keys and no others; what waits of the others is dropped at once."""
        self._visible = frozenset(keys)
        self._waiting = {key: value for key, value in self._waiting.items() if key in self._visible}

    def take(self) -> dict[Key, Value]:
        """Return what is new since the last call, the newest per key."""
        waiting, self._waiting = self._waiting, {}
        return waiting

    def _put(self, values: Mapping[Key, Value]) -> None:
        mine = {key: value for key, value in values.items() if key in self._visible}
        if mine:
            self.skipped_count += len(self._waiting.keys() & mine.keys())
            self._waiting.update(mine)
            self._wake()


class FeatureHub(Generic[Key]):
    """All screens of one web process."""

    def __init__(self) -> None:
        self._screens: set[Screen[Key]] = set()

    @property
    def skipped_count(self) -> int:
        """Return how many values the present screens have missed because they were slow."""
        return sum(screen.skipped_count for screen in self._screens)

    def add_screen(self, wake: Callable[[], None]) -> Screen[Key]:
        """Add a screen that sees nothing yet; `wake` is called, without blocking, whenever it has something new."""
        screen: Screen[Key] = Screen(wake)
        self._screens.add(screen)
        return screen

    def remove_screen(self, screen: Screen[Key]) -> None:
        """Forget a screen."""
        self._screens.discard(screen)

    def put(self, values: Mapping[Key, Value]) -> None:
        """Hand new values to every screen that may see them."""
        for screen in self._screens:
            screen._put(values)
