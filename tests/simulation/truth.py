"""What really happened, and whether the store tells it: every block once with its bytes, or a row that says why not."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from devices.effects import BlockKey, GapRow, StreamKey
from devices.sequencer import GapCause
from devices.wire import HEADER_SIZE
from tests.simulation.store import Store

CORRUPT_COPIES: Final = 3


def digest_of(body: bytes) -> bytes:
    """Return what stands for the rows of a block."""
    return sha256(body).digest()[:16]


class BrokenPromiseError(AssertionError):
    """The intake did not keep what it promises; the message says what, in words without numbers before the colon."""


@dataclass(kw_only=True, slots=True)
class Truth:
    """Every block that a device made, and which of them it no longer has without having been told so by the server."""

    produced: dict[BlockKey, bytes] = field(default_factory=dict)
    overwritten: set[BlockKey] = field(default_factory=set)
    forgotten_boots: set[tuple[str, int]] = field(default_factory=set)
    unreadable: set[BlockKey] = field(default_factory=set)
    damaged_copies: Counter[BlockKey] = field(default_factory=Counter)
    told: dict[StreamKey, int] = field(default_factory=dict)
    _checked: dict[StreamKey, int] = field(default_factory=dict)

    def is_lost(self, key: BlockKey) -> bool:
        """Tell whether the device lost a block, by itself."""
        return key in self.overwritten or (key.device, key.boot) in self.forgotten_boots

    def check_watermark(self, key: StreamKey, watermark: int, store: Store) -> None:
        """Check a watermark that goes out: never below an earlier one, and nothing below it is unsafe.

        Raises
        ------
        BrokenPromiseError
        """
        if watermark < self.told.get(key, 0):
            raise BrokenPromiseError(f"a watermark fell: {key} from {self.told[key]} to {watermark}")
        self.told[key] = watermark
        for sequence in range(self._checked.get(key, 0), watermark):
            block = BlockKey(*key, sequence)
            if not (store.has(block) or store.says_lost(block)):
                raise BrokenPromiseError(f"acknowledged before the commit: {block}")
        self._checked[key] = max(watermark, self._checked.get(key, 0))

    def check(self, store: Store) -> None:
        """Check the store after a quiet end.

        Raises
        ------
        BrokenPromiseError
        """
        tops = store.tops()
        for key, digest in self.produced.items():
            payload = store.payload_of(key)
            if payload is None:
                is_tail = self.is_lost(key) and key.sequence >= tops.get(StreamKey(*key[:3]), 0)
                if not is_tail and not store.says_lost(key):
                    raise BrokenPromiseError(f"missing without a row: {key}")
            elif digest_of(payload[HEADER_SIZE:]) != digest:
                raise BrokenPromiseError(f"stored with other bytes: {key}")
        for key in store.stored():
            if key not in self.produced:
                raise BrokenPromiseError(f"stored though no device made it: {key}")
        for row in store.gaps.values():
            self._check_row(row, store)

    def _check_row(self, row: GapRow, store: Store) -> None:
        if row.closed_at_us is None:
            raise BrokenPromiseError(f"a gap stays open: {row}")
        for key in _keys_of(row):
            if row.cause == GapCause.FILLED:
                if not store.has(key):
                    raise BrokenPromiseError(f"a gap closed without data: {key} in {row}")
            elif row.cause == GapCause.UNREADABLE:
                if key not in self.unreadable or not store.has(key):
                    raise BrokenPromiseError(f"a gap says unreadable what is not: {key} in {row}")
            elif store.has(key):
                raise BrokenPromiseError(f"a gap says lost what is stored: {key} in {row}")
            elif not (
                self.is_lost(key) or (row.cause == GapCause.CORRUPT and self.damaged_copies[key] >= CORRUPT_COPIES)
            ):
                raise BrokenPromiseError(f"a gap says lost what the device had: {key} in {row}")


def _keys_of(row: GapRow) -> Iterable[BlockKey]:
    return (BlockKey(*row[:3], sequence) for sequence in range(row.start_sequence, row.stop_sequence))
