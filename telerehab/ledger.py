"""What became of every block that a device numbered: received, late, sent twice, still missing, or lost and why. Pure.

A device numbers the blocks of a stream without a hole, so the numbers between the first and the last one of a stretch
tell how many there were. Each is received, or lies in a hole that is open (it may still come) or closed with a cause.
What is left is unexplained and has to be 0. Completeness is the received share. What a device did not make, because it
was off or its battery was empty, is not in it: a stream that stands still is not a stream that loses.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from devices.effects import SPAN_US, StreamKey
from telerehab.attribution import BootClock, Clocks, Lendings, Unattributed, find_owner

MARKED_BELOW: Final = 0.9
"""Figures of a training session of which less than this was received are marked."""
LATE_AFTER_US: Final = 2_000_000
"""A block that comes as backfill, or later than this after it was taken, is late."""
STRETCH_PAUSE_MAX_US: Final = 60_000_000
"""What is nobody's for the same reason, with shorter pauses, is told in one line."""

Window = tuple[int, int]
"""`[from, to)` of a device's clock. [µs]"""
ALL_TIME: Final = (0, 2**62)


class BlockTally(NamedTuple):
    """Blocks of a stream that were received, with numbers in `[start_sequence, stop_sequence)`.

    `first_us` and `last_us` are the device's clock at the first sample of the first and of the last of them.
    """

    device: str
    boot: int
    stream: str
    block_count: int
    sample_count: int
    late_count: int
    start_sequence: int
    stop_sequence: int
    first_us: int
    last_us: int
    first_received_us: int

    @property
    def key(self) -> StreamKey:
        """Return whose blocks these are."""
        return StreamKey(self.device, self.boot, self.stream)

    @property
    def block_us(self) -> float:
        """Return how long a block lasts, 0 where one block does not tell. [µs]"""
        steps = self.stop_sequence - self.start_sequence - 1
        return (self.last_us - self.first_us) / steps if steps > 0 else 0.0


class Hole(NamedTuple):
    """Blocks `[start_sequence, stop_sequence)` that did not come; `cause` None: they still may."""

    device: str
    boot: int
    stream: str
    start_sequence: int
    stop_sequence: int
    cause: str | None


class DuplicateTally(NamedTuple):
    """Blocks of a minute of a stream that came again."""

    device: str
    boot: int
    stream: str
    span: int
    duplicate_count: int


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamLedger:
    """The account of one stream of one boot; all counts are of blocks, but `sample_count`.

    `expected_count` is `received_count` and `missing_count` and all of `lost`; whatever is missing in that sum is
    `unexplained_count`. `late_count` are among the received, `duplicate_count` are beside them.
    """

    device: str
    boot: int
    stream: str
    expected_count: int
    received_count: int
    late_count: int
    duplicate_count: int
    missing_count: int
    lost: Mapping[str, int] = field(default_factory=dict)
    """How many by cause (`docs/protocol.md` A7)."""
    sample_count: int

    @property
    def lost_count(self) -> int:
        """Return how many will never come."""
        return sum(self.lost.values())

    @property
    def unexplained_count(self) -> int:
        """Return how many are neither received nor in any hole."""
        return self.expected_count - self.received_count - self.missing_count - self.lost_count

    @property
    def completeness(self) -> float | None:
        """Return the received share; None where nothing was expected."""
        return find_completeness([self])

    @property
    def is_incomplete(self) -> bool:
        """Return whether so much is missing that figures are marked."""
        return is_marked(self.completeness)


def find_completeness(streams: Iterable[StreamLedger]) -> float | None:
    """Return the received share of some streams together, None where nothing was expected of them."""
    known = list(streams)
    expected = sum(stream.expected_count for stream in known)
    return sum(stream.received_count for stream in known) / expected if expected else None


def is_marked(completeness: float | None) -> bool:
    """Return whether figures with this completeness are marked."""
    return completeness is not None and completeness < MARKED_BELOW


def make_ledger(
    received: Iterable[BlockTally],
    holes: Iterable[Hole],
    duplicates: Iterable[DuplicateTally] = (),
    *,
    windows: Mapping[tuple[str, int], Window] | None = None,
) -> list[StreamLedger]:
    """Return the account of every stream of which something was received, by device, boot and stream.

    Parameters
    ----------
    received : iterable of BlockTally
        Disjoint; what reaches beyond its window counts with the share that lies within.
    windows : mapping of (device, boot) to Window, optional
        What is asked for; None: everything. Of a hole at an end of it, as much counts as fits between the window and
        the nearest block.

    Examples
    --------
    >>> tally = BlockTally("s", 1, "imu", 8, 80, 0, 0, 10, 0, 900_000, 0)
    >>> (stream,) = make_ledger([tally], [Hole("s", 1, "imu", 4, 6, "device_overflow")])
    >>> stream.expected_count, stream.received_count, stream.lost_count, stream.unexplained_count
    (10, 8, 2, 0)
    >>> stream.completeness
    0.8
    """
    joined: dict[StreamKey, BlockTally] = {}
    for tally in received:
        window = None if windows is None else windows.get((tally.device, tally.boot))
        clipped = tally if windows is None else _clip(tally, window)
        if clipped is not None:
            known = joined.get(clipped.key)
            joined[clipped.key] = clipped if known is None else _join(known, clipped)
    holes_of: dict[StreamKey, list[Hole]] = {}
    for hole in holes:
        holes_of.setdefault(StreamKey(*hole[:3]), []).append(hole)
    again: Counter[StreamKey] = Counter()
    for seen in duplicates:
        window = ALL_TIME if windows is None else windows.get((seen.device, seen.boot))
        if window is not None and seen.span * SPAN_US < window[1] and window[0] < (seen.span + 1) * SPAN_US:
            again[StreamKey(*seen[:3])] += seen.duplicate_count
    return [
        _account(tally, holes_of.get(key, []), again[key], None if windows is None else windows[key[:2]])
        for key, tally in sorted(joined.items())
    ]


def _account(tally: BlockTally, holes: Sequence[Hole], duplicate_count: int, window: Window | None) -> StreamLedger:
    start, stop = _with_ends(tally, holes, window)
    missing, lost = 0, Counter[str]()
    for hole in holes:
        count = min(hole.stop_sequence, stop) - max(hole.start_sequence, start)
        if count > 0 and hole.cause is None:
            missing += count
        elif count > 0 and hole.cause is not None:
            lost[hole.cause] += count
    return StreamLedger(
        device=tally.device,
        boot=tally.boot,
        stream=tally.stream,
        expected_count=stop - start,
        received_count=tally.block_count,
        late_count=tally.late_count,
        duplicate_count=duplicate_count,
        missing_count=missing,
        lost=dict(sorted(lost.items())),
        sample_count=tally.sample_count,
    )


def _with_ends(tally: BlockTally, holes: Sequence[Hole], window: Window | None) -> tuple[int, int]:
    """Return the numbers of a stream with those holes that lie before its first and after its last block."""
    start, stop = tally.start_sequence, tally.stop_sequence
    if window is None:
        room_before = room_after = math.inf
    elif tally.block_us:
        room_before = (tally.first_us - window[0]) // tally.block_us
        room_after = (window[1] - tally.last_us) // tally.block_us - 1
    else:
        return start, stop
    for hole in sorted(holes, key=lambda each: -each.start_sequence):
        if hole.stop_sequence == start and room_before > 0:
            taken = int(min(hole.stop_sequence - hole.start_sequence, room_before))
            start, room_before = start - taken, room_before - taken
    for hole in sorted(holes, key=lambda each: each.start_sequence):
        if hole.start_sequence == stop and room_after > 0:
            taken = int(min(hole.stop_sequence - hole.start_sequence, room_after))
            stop, room_after = stop + taken, room_after - taken
    return start, stop


def _clip(tally: BlockTally, window: Window | None) -> BlockTally | None:
    """Return the share of some blocks that lies in a window, None where none does; they are taken as even."""
    if window is None or tally.last_us < window[0] or tally.first_us >= window[1]:
        return None
    if window[0] <= tally.first_us and tally.last_us < window[1]:
        return tally
    step_us = tally.block_us or 1.0
    skipped = max(math.ceil((window[0] - tally.first_us) / step_us), 0)
    beyond = max(math.floor((tally.last_us - window[1]) / step_us) + 1, 0)
    numbers = tally.stop_sequence - tally.start_sequence
    if numbers - skipped - beyond <= 0:
        return None
    share = (numbers - skipped - beyond) / numbers
    return tally._replace(
        block_count=round(tally.block_count * share),
        sample_count=round(tally.sample_count * share),
        late_count=round(tally.late_count * share),
        start_sequence=tally.start_sequence + skipped,
        stop_sequence=tally.stop_sequence - beyond,
        first_us=round(tally.first_us + skipped * step_us),
        last_us=round(tally.last_us - beyond * step_us),
    )


def _join(one: BlockTally, other: BlockTally) -> BlockTally:
    return one._replace(
        block_count=one.block_count + other.block_count,
        sample_count=one.sample_count + other.sample_count,
        late_count=one.late_count + other.late_count,
        start_sequence=min(one.start_sequence, other.start_sequence),
        stop_sequence=max(one.stop_sequence, other.stop_sequence),
        first_us=min(one.first_us, other.first_us),
        last_us=max(one.last_us, other.last_us),
        first_received_us=min(one.first_received_us, other.first_received_us),
    )


# --- for the device desk ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class UnattributedStretch:
    """Samples of a device that are nobody's, during `[since_us, until_us)`; without clock fit, when they arrived."""

    device: str
    reason: Unattributed
    since_us: int
    until_us: int
    sample_count: int


def is_undecided(tally: BlockTally, *, clock: BootClock | None, lendings: Lendings) -> bool:
    """Return whether some blocks have to be looked at one by one, because a border of a lending lies among them."""
    return _reason_of(tally, clock, lendings) is Unattributed.ACROSS_BORDER and tally.block_count > 1


def find_unattributed(
    received: Iterable[BlockTally], *, clocks: Clocks, lendings: Lendings
) -> list[UnattributedStretch]:
    """Return what is nobody's, the newest first; neighbours of one device and reason are one line."""
    parts: list[UnattributedStretch] = []
    for tally in received:
        clock = clocks.get((tally.device, tally.boot))
        reason = _reason_of(tally, clock, lendings)
        if reason is None:
            continue
        lasts_us = tally.last_us - tally.first_us + round(tally.block_us)
        since_us = tally.first_received_us if clock is None else clock.to_server_us(tally.first_us)
        parts.append(
            UnattributedStretch(
                device=tally.device,
                reason=reason,
                since_us=since_us,
                until_us=since_us + lasts_us,
                sample_count=tally.sample_count,
            )
        )
    stretches: list[UnattributedStretch] = []
    for part in sorted(parts, key=lambda each: (each.device, each.reason, each.since_us)):
        last = stretches[-1] if stretches else None
        if last is not None and _goes_on(last, part):
            stretches[-1] = UnattributedStretch(
                device=last.device,
                reason=last.reason,
                since_us=last.since_us,
                until_us=max(last.until_us, part.until_us),
                sample_count=last.sample_count + part.sample_count,
            )
        else:
            stretches.append(part)
    return sorted(stretches, key=lambda each: (-each.since_us, each.device, each.reason))


def _goes_on(last: UnattributedStretch, part: UnattributedStretch) -> bool:
    is_same = (last.device, last.reason) == (part.device, part.reason)
    return is_same and part.since_us - last.until_us <= STRETCH_PAUSE_MAX_US


def _reason_of(tally: BlockTally, clock: BootClock | None, lendings: Lendings) -> Unattributed | None:
    """Return why some blocks, taken together, are nobody's; None where they are one patient's."""
    stop_us = tally.last_us + round(tally.block_us)
    owner: UUID | Unattributed = find_owner(
        tally.first_us, stop_us, clock=clock, lendings=lendings.get(tally.device, ())
    )
    return owner if isinstance(owner, Unattributed) else None
