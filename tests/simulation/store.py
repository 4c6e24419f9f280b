"""The hot store as values: a group is committed whole or not at all, a row that is there already changes nothing."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from devices.effects import BlockKey, GapRow, Quarantined, SequenceRun, StepEffects, StoreBlock, StreamKey


class Store:
    """Tables that survive everything; `is_full` and `is_down` refuse, `answers_get_lost` commits without saying so."""

    def __init__(self) -> None:
        self.blocks: dict[Any, StoreBlock] = {}
        self.kept_raw: dict[BlockKey, Quarantined] = {}
        self.gaps: dict[tuple[str, int, str, int], GapRow] = {}
        self.is_full = False
        self.is_down = False
        self.answers_get_lost = False
        self.commit_count = 0

    def commit(self, groups: Sequence[StepEffects]) -> bool:
        """Write the groups in one transaction, in the order of the real one; tell whether it says that it did."""
        if self.is_full or self.is_down:
            return False
        self.commit_count += 1
        for effects in groups:
            for block in effects.blocks:
                self.blocks.setdefault(self.key_of(block.key), block)
        for effects in groups:
            for refused in effects.quarantined:
                if refused.key is not None:
                    self.kept_raw.setdefault(refused.key, refused)
        for effects in groups:
            for gap in (*effects.gaps_closed, *effects.gaps_opened):
                self.gaps[gap[:4]] = gap
        return not self.answers_get_lost

    def key_of(self, key: BlockKey) -> Any:
        """Return the primary key of a block."""
        return key

    def has(self, key: BlockKey) -> bool:
        """Tell whether a block is there, read or raw."""
        return self.payload_of(key) is not None

    def payload_of(self, key: BlockKey) -> bytes | None:
        """Return the frame of a block, None where there is none."""
        block = self.blocks.get(self.key_of(key))
        if block is not None and block.key == key:
            return block.payload
        return self.kept_raw[key].payload if key in self.kept_raw else None

    def stored(self) -> Iterator[BlockKey]:
        """Yield the key of everything that is stored."""
        yield from (block.key for block in self.blocks.values())
        yield from self.kept_raw

    def says_lost(self, key: BlockKey) -> bool:
        """Tell whether a closed row says that a block will never come."""
        return any(
            gap.closed_at_us is not None
            and gap.cause != "filled"
            and gap[:3] == key[:3]
            and gap.start_sequence <= key.sequence < gap.stop_sequence
            for gap in self.gaps.values()
        )

    def tops(self) -> dict[StreamKey, int]:
        """Return up to where the store knows of each stream: by blocks or by gaps."""
        tops: dict[StreamKey, int] = {}
        for key in self.stored():
            tops[StreamKey(*key[:3])] = max(tops.get(StreamKey(*key[:3]), 0), key.sequence + 1)
        for gap in self.gaps.values():
            tops[StreamKey(*gap[:3])] = max(tops.get(StreamKey(*gap[:3]), 0), gap.stop_sequence)
        return tops

    def read_runs(self) -> list[SequenceRun]:
        """Return the stored blocks as runs, as the intake reads them when it starts."""
        return list(_runs(block.key for block in self.blocks.values()))

    def read_lost(self) -> list[SequenceRun]:
        """Return the holes that were closed without data."""
        return [
            SequenceRun(*gap[:5])
            for gap in self.gaps.values()
            if gap.closed_at_us is not None and gap.cause != "filled"
        ]

    def read_open(self) -> list[SequenceRun]:
        """Return the holes that may still be filled."""
        return [SequenceRun(*gap[:5]) for gap in self.gaps.values() if gap.closed_at_us is None]


def _runs(keys: Iterable[BlockKey]) -> Iterator[SequenceRun]:
    run: SequenceRun | None = None
    for device, boot, stream, sequence in sorted(keys):
        if run is not None and run[:3] == (device, boot, stream) and run.stop_sequence == sequence:
            run = run._replace(stop_sequence=sequence + 1)
            continue
        if run is not None:
            yield run
        run = SequenceRun(device, boot, stream, sequence, sequence + 1)
    if run is not None:
        yield run
