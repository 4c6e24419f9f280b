"""Order, holes, duplicates and the watermark of one stream since one boot. Pure.

The watermark is the next sequence that is not yet safe: everything below it is committed, or known to be lost for
ever. It is contiguous, never the largest sequence seen. Memory grows with the number of holes, which is bounded, and
not with the number of blocks or the width of a hole.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from typing import Final

MAX_HOLES: Final = 1024


class GapCause(StrEnum):
    """Why a hole is there, or why it no longer is (`docs/protocol.md` A7)."""

    MISSING = "missing"
    FILLED = "filled"
    DEVICE_OVERFLOW = "device_overflow"
    CORRUPT = "corrupt"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """Sequences `[start, stop)` without data. `closed_at_us` is None while they may still come."""

    start: int
    stop: int
    seen_at_us: int
    cause: GapCause = GapCause.MISSING
    closed_at_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What new knowledge about a stream does.

    `accepted` are the ranges that are new and must be stored; all else was had before. `opened` and `closed` are holes
    as they now are: one replaces whatever was known of a hole with the same `start`, closed ones first.
    """

    accepted: tuple[tuple[int, int], ...] = ()
    opened: tuple[Hole, ...] = ()
    closed: tuple[Hole, ...] = ()


class RangeSet:
    """A set of integers kept as sorted, disjoint, half-open ranges.

    >>> numbers = RangeSet([(0, 3), (5, 6)])
    >>> numbers.add(3, 5)
    >>> list(numbers)
    [(0, 6)]
    """

    __slots__ = ("_starts", "_stops")

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._stops: list[int] = []
        for start, stop in ranges:
            self.add(start, stop)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._stops, strict=True)

    def __len__(self) -> int:
        """Return the number of ranges."""
        return len(self._starts)

    def __contains__(self, number: int) -> bool:
        position = bisect_right(self._starts, number) - 1
        return position >= 0 and number < self._stops[position]

    def add(self, start: int, stop: int) -> None:
        """Put `[start, stop)` in."""
        if self._stops and start == self._stops[-1]:
            self._stops[-1] = max(stop, start)
            return
        if stop <= start:
            return
        first, last = bisect_left(self._stops, start), bisect_right(self._starts, stop)
        if first < last:
            start, stop = min(start, self._starts[first]), max(stop, self._stops[last - 1])
        self._starts[first:last] = [start]
        self._stops[first:last] = [stop]

    def discard(self, start: int, stop: int) -> None:
        """Take `[start, stop)` out."""
        first, last = bisect_right(self._stops, start), bisect_left(self._starts, stop)
        if stop <= start or first >= last:
            return
        left, right = self._starts[first], self._stops[last - 1]
        rest = [(left, start)] if left < start else []
        rest += [(stop, right)] if stop < right else []
        self._starts[first:last] = [each[0] for each in rest]
        self._stops[first:last] = [each[1] for each in rest]

    def overlap(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the parts of `[start, stop)` that are in the set."""
        first, last = bisect_right(self._stops, start), bisect_left(self._starts, stop)
        return [
            (max(start, left), min(stop, right))
            for left, right in zip(self._starts[first:last], self._stops[first:last], strict=True)
        ]

    def stop_of(self, number: int) -> int:
        """Return where the range that holds `number` ends, `number` itself if none does."""
        position = bisect_right(self._starts, number) - 1
        return self._stops[position] if position >= 0 and self._stops[position] > number else number


class StreamSequence:
    """What is known of one (device, boot, stream).

    Received means in flight to the store, committed or lost; below `top` everything is received or in a hole. What was
    given up counts for the watermark once its row is committed (`commit_lost`), not before: else a crash between the
    two would leave a device without the block and the store without the reason.

    Parameters
    ----------
    stored
        Ranges that the store has.
    lost
        Holes that were closed without data.
    missing
        Holes whose rows are open: they are taken up as far as they are not stored, and begin where the rows do.
    now_us
        When holes between these were seen. [µs]
    """

    __slots__ = ("_committed", "_found_again", "_holes", "_lost", "top")

    def __init__(
        self,
        stored: Iterable[tuple[int, int]] = (),
        lost: Iterable[tuple[int, int]] = (),
        *,
        missing: Iterable[tuple[int, int]] = (),
        now_us: int = 0,
    ) -> None:
        self._committed = RangeSet(stored)
        self._found_again = RangeSet()
        self._holes: list[Hole] = []
        self._lost = [
            Hole(start=left, stop=right, seen_at_us=now_us, cause=GapCause.DEVICE_OVERFLOW, closed_at_us=now_us)
            for start, stop in sorted(lost)
            for left, right in self._absent(start, stop)
        ]
        for hole in self._lost:
            self._committed.add(hole.start, hole.stop)
        self.top = 0
        rows = sorted(missing)
        end = max((stop for _, stop in rows), default=0)
        for start, stop in (*self._committed, (end, end)):
            if start > self.top:
                inside = [row_start for row_start, _ in rows if self.top < row_start < start]
                bounds = [self.top, *inside, start]
                self._holes += [Hole(start=left, stop=right, seen_at_us=now_us) for left, right in pairwise(bounds)]
            self.top = max(self.top, stop)

    @property
    def watermark(self) -> int:
        """Return the next sequence that is neither committed nor lost; all below it is."""
        return self._committed.stop_of(0)

    @property
    def holes(self) -> tuple[Hole, ...]:
        """Return what is missing and may still come, oldest first."""
        return tuple(self._holes)

    @property
    def is_settled(self) -> bool:
        """Tell whether nothing is missing and nothing in flight."""
        return not self._holes and self.watermark == self.top

    def is_missing(self, sequence: int) -> bool:
        """Tell whether a sequence lies in an open hole."""
        position = self._hole_at_or_after(sequence)
        return position < len(self._holes) and self._holes[position].start <= sequence

    def has(self, sequence: int) -> bool:
        """Tell whether a block is in flight or committed."""
        if sequence >= self.top or self.is_missing(sequence):
            return False
        position = bisect_right(self._lost, sequence, key=_stop_of)
        return position == len(self._lost) or self._lost[position].start > sequence

    def extend(self, start: int, stop: int) -> bool:
        """Note `[start, stop)` if it is just what comes next; else change nothing and return False."""
        if start != self.top:
            return False
        self.top = stop
        return True

    def receive(self, start: int, stop: int, *, now_us: int) -> Change | None:
        """Note that the blocks `[start, stop)` are here; None if that would make too many holes: refuse them."""
        top = self.top
        if start >= top:
            if start > top and len(self._holes) >= MAX_HOLES:
                return None
            opened = (Hole(start=top, stop=start, seen_at_us=now_us),) if start > top else ()
            self._holes.extend(opened)
            self.top = stop
            return Change(accepted=((start, stop),), opened=opened)
        below = self._receive_below(start, min(stop, top), now_us=now_us)
        if below is None or stop <= top:
            return below
        self.top = stop
        return replace(below, accepted=(*below.accepted, (top, stop)))

    def commit(self, start: int, stop: int) -> None:
        """Note that the store has committed `[start, stop)`."""
        self._committed.add(start, stop)
        if len(self._found_again):
            self._found_again.discard(start, stop)

    def commit_lost(self, start: int, stop: int) -> None:
        """Note that the store has committed the row that gives `[start, stop)` up; what came since is none of it."""
        first, last = bisect_right(self._lost, start, key=_stop_of), bisect_left(self._lost, stop, key=_start_of)
        for hole in self._lost[first:last]:
            self._committed.add(max(start, hole.start), min(stop, hole.stop))

    def fail(self, start: int, stop: int, *, now_us: int, has_row: bool = False) -> Change:
        """Note that `[start, stop)` will not be stored after all: it is missing again, or lost if it had been.

        With `has_row` a row speaks of a hole that begins at `start`: there shall be one again, to replace the row.
        """
        stop = min(stop, self.top)
        gone = RangeSet(self._absent(start, stop))
        first, last = bisect_right(self._lost, start, key=_stop_of), bisect_left(self._lost, stop, key=_start_of)
        for given_up in self._lost[first:last]:
            gone.discard(given_up.start, given_up.stop)
        position = self._hole_at_or_after(start)
        while position < len(self._holes) and self._holes[position].start < stop:
            gone.discard(self._holes[position].start, self._holes[position].stop)
            position += 1
        opened = tuple(self._reopen(left, right, now_us=now_us, may_grow=not has_row) for left, right in gone)
        lost = tuple(
            Hole(start=left, stop=right, seen_at_us=now_us, cause=GapCause.DEVICE_OVERFLOW, closed_at_us=now_us)
            for left, right in self._found_again.overlap(start, stop)
        )
        self._found_again.discard(start, stop)
        self._lost = sorted((*self._lost, *lost), key=_start_of) if lost else self._lost
        return Change(opened=opened, closed=lost)

    def lose(self, start: int, stop: int, cause: GapCause, *, now_us: int) -> Change:
        """Give up what is missing in `[start, stop)`; what is beyond `top` too, if it is known to be lost."""
        closed: list[Hole] = []
        opened: list[Hole] = []
        if stop > self.top and cause is GapCause.DEVICE_OVERFLOW:
            self._holes.append(Hole(start=self.top, stop=stop, seen_at_us=now_us))
            self.top = stop
        kept: list[Hole] = []
        for hole in self._holes:
            left, right = max(start, hole.start), min(stop, hole.stop)
            if left >= right:
                kept.append(hole)
                continue
            closed.append(replace(hole, start=left, stop=right, cause=cause, closed_at_us=now_us))
            insort(self._lost, closed[-1], key=_start_of)
            rest = _without(hole, left, right)
            kept += rest
            opened += rest
        self._holes = kept
        return Change(opened=tuple(opened), closed=tuple(closed))

    def _receive_below(self, start: int, stop: int, *, now_us: int) -> Change | None:
        """Fill what is missing in `[start, stop)`, all of it below `top`."""
        accepted: list[tuple[int, int]] = []
        opened: list[Hole] = []
        closed: list[Hole] = []
        position = self._hole_at_or_after(start)
        while position < len(self._holes) and self._holes[position].start < stop:
            hole = self._holes[position]
            left, right = max(start, hole.start), min(stop, hole.stop)
            rest = _without(hole, left, right)
            if len(self._holes) - 1 + len(rest) > MAX_HOLES:
                return None
            self._holes[position : position + 1] = rest
            accepted.append((left, right))
            opened += rest
            if left == hole.start:
                closed.append(replace(hole, stop=right, cause=GapCause.FILLED, closed_at_us=now_us))
            position += len(rest)
        found = self._find_again(start, stop, now_us=now_us)
        accepted += [(hole.start, hole.stop) for hole in found if hole.cause is GapCause.FILLED]
        return Change(accepted=tuple(sorted(accepted)), opened=tuple(opened), closed=(*closed, *found))

    def _find_again(self, start: int, stop: int, *, now_us: int) -> list[Hole]:
        """Data came that may have been given up: return the closed holes as they then are, what came as filled."""
        first, last = bisect_right(self._lost, start, key=_stop_of), bisect_left(self._lost, stop, key=_start_of)
        rest: list[Hole] = []
        filled: list[Hole] = []
        for hole in self._lost[first:last]:
            left, right = max(start, hole.start), min(stop, hole.stop)
            rest += _without(hole, left, right)
            filled.append(replace(hole, start=left, stop=right, cause=GapCause.FILLED, closed_at_us=now_us))
            for passed in self._committed.overlap(left, right):
                self._found_again.add(*passed)
        self._lost[first:last] = rest
        return [*filled, *rest]

    def _reopen(self, start: int, stop: int, *, now_us: int, may_grow: bool) -> Hole:
        """Make `[start, stop)` missing: a hole that ends there grows, so that a store that takes nothing makes one."""
        position = self._hole_at_or_after(start)
        if may_grow and position and self._holes[position - 1].stop == start:
            hole = self._holes[position - 1] = replace(self._holes[position - 1], stop=stop)
        else:
            hole = Hole(start=start, stop=stop, seen_at_us=now_us)
            self._holes.insert(position, hole)
        return hole

    def _absent(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Return the parts of `[start, stop)` that are not committed."""
        absent = RangeSet([(start, stop)])
        for left, right in self._committed.overlap(start, stop):
            absent.discard(left, right)
        return list(absent)

    def _hole_at_or_after(self, sequence: int) -> int:
        return bisect_right(self._holes, sequence, key=_stop_of)


def _without(hole: Hole, start: int, stop: int) -> list[Hole]:
    """Return what is left of a hole, none, one or two holes."""
    rest = [replace(hole, stop=start)] if hole.start < start else []
    return [*rest, replace(hole, start=stop)] if stop < hole.stop else rest


def _start_of(hole: Hole) -> int:
    return hole.start


def _stop_of(hole: Hole) -> int:
    return hole.stop
