"""The live ring as one dictionary per slot: sample by sample, obvious."""

from typing import Any

import numpy as np


class SlowRing:
    """Keeps every sample by its index on the grid; what is late or beyond the window is not taken."""

    def __init__(self, n_slots: int, window: int) -> None:
        self.window = window
        self.samples: list[dict[int, tuple[int, ...]]] = [{} for _ in range(n_slots)]
        self.heads = [0] * n_slots
        self.start_us = [0] * n_slots

    def assign(self, slot: int, start_us: int) -> None:
        self.samples[slot], self.heads[slot], self.start_us[slot] = {}, 0, start_us

    def write(self, slots: list[int], t0_us: list[int], values: np.ndarray[Any, Any]) -> list[bool]:
        """Take blocks as a live view does: those that reach beyond the head, in order of time."""
        n = values.shape[1]
        starts = [(t0 - self.start_us[slot] + 5_000) // 10_000 for slot, t0 in zip(slots, t0_us, strict=True)]
        heads = list(self.heads)
        newest = list(heads)
        for slot, start in zip(slots, starts, strict=True):
            newest[slot] = max(newest[slot], start + n)
        written = [
            start + n > heads[slot] and start >= newest[slot] - self.window and start + n > 0
            for slot, start in zip(slots, starts, strict=True)
        ]
        for index in sorted(range(len(slots)), key=lambda index: starts[index]):
            if written[index]:
                for offset in range(n):
                    self.samples[slots[index]][starts[index] + offset] = tuple(values[index, offset].tolist())
        self.heads = newest
        return written

    def last(self, slot: int, stop: int, n: int) -> list[tuple[int, ...] | None]:
        """Return the samples before `stop`, None where there is none."""
        held = range(max(0, self.heads[slot] - self.window), self.heads[slot])
        return [self.samples[slot].get(index) if index in held else None for index in range(stop - n, stop)]
