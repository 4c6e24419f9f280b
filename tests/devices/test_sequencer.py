"""Order, holes, duplicates and the watermark, against a model that keeps every number."""

import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from devices.sequencer import MAX_HOLES, Change, GapCause, Hole, RangeSet, StreamSequence
from tests.reference.devices_sequencer import SlowSequence

NUMBERS = st.integers(0, 40)
RANGES = st.tuples(NUMBERS, st.integers(1, 8)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def expand(ranges: object) -> set[int]:
    return {number for start, stop in ranges for number in range(start, stop)}  # type: ignore[attr-defined]


class SequenceMachine(RuleBasedStateMachine):
    """Blocks come in any order, any number of times; the store commits or fails; devices give up."""

    def __init__(self) -> None:
        super().__init__()
        self.fast, self.slow = StreamSequence(), SlowSequence()
        self.rows: dict[int, Hole] = {}
        self.now_us = 0

    def take_rows(self, change: Change) -> None:
        for hole in (*change.opened, *change.closed):
            self.rows[hole.start] = hole

    @rule(block=RANGES)
    def receive(self, block: tuple[int, int]) -> None:
        self.now_us += 1
        change = self.fast.receive(*block, now_us=self.now_us)
        assert change is not None
        accepted = expand(change.accepted)
        assert sum(stop - start for start, stop in change.accepted) == len(accepted)
        assert accepted == self.slow.receive(*block)
        self.take_rows(change)

    @rule(block=RANGES)
    def extend(self, block: tuple[int, int]) -> None:
        if self.fast.extend(*block):
            assert self.slow.receive(*block) == set(range(*block))

    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        if self.slow.in_flight:
            number = data.draw(st.sampled_from(sorted(self.slow.in_flight)))
            self.fast.commit(number, number + 1)
            self.slow.commit(number)

    @rule(data=st.data())
    def fail(self, data: st.DataObject) -> None:
        if self.slow.in_flight:
            number = data.draw(st.sampled_from(sorted(self.slow.in_flight)))
            has_row = number in self.rows
            self.take_rows(self.fast.fail(number, number + 1, now_us=self.now_us, has_row=has_row))
            self.slow.fail(number)

    @rule(lost=RANGES, cause=st.sampled_from([GapCause.DEVICE_OVERFLOW, GapCause.CORRUPT]))
    def lose(self, lost: tuple[int, int], cause: GapCause) -> None:
        if cause is GapCause.CORRUPT:
            lost = (lost[0], min(lost[1], self.slow.top))
        if lost[0] < lost[1] and not (cause is GapCause.DEVICE_OVERFLOW and lost[0] > self.slow.top):
            self.take_rows(self.fast.lose(*lost, cause, now_us=self.now_us))
            self.slow.lose(*lost)

    @rule(row=st.one_of(RANGES, st.just((0, 100))))
    def commit_lost(self, row: tuple[int, int]) -> None:
        self.fast.commit_lost(*row)
        self.slow.commit_lost(*row)

    @invariant()
    def they_agree(self) -> None:
        assert self.fast.top == self.slow.top
        assert self.fast.watermark == self.slow.watermark()
        assert expand((hole.start, hole.stop) for hole in self.fast.holes) == self.slow.missing()
        for number in range(self.slow.top + 2):
            assert self.fast.is_missing(number) == (number in self.slow.missing())
            assert self.fast.has(number) == (number in self.slow.committed | self.slow.in_flight)

    @invariant()
    def the_rows_of_the_store_tell_the_same(self) -> None:
        is_open = [row for row in self.rows.values() if row.closed_at_us is None]
        is_lost = [
            row for row in self.rows.values() if row.closed_at_us is not None and row.cause is not GapCause.FILLED
        ]
        assert expand((row.start, row.stop) for row in is_open) == self.slow.missing()
        assert expand((row.start, row.stop) for row in is_lost) == self.slow.lost

    @invariant()
    def a_restart_from_the_store_finds_the_same(self) -> None:
        stored = [(number, number + 1) for number in sorted(self.slow.committed)]
        lost = [(number, number + 1) for number in sorted(self.slow.lost & self.slow.ever_lost)]
        missing = [(row.start, row.stop) for row in self.rows.values() if row.closed_at_us is None]
        again = StreamSequence(stored, lost, missing=missing)
        assert {start for start, _ in missing} <= {hole.start for hole in again.holes}
        assert again.watermark <= self.slow.watermark()
        assert again.watermark == self.slow.watermark() or self.slow.in_flight & self.slow.ever_lost
        assert expand((hole.start, hole.stop) for hole in again.holes) == {
            number
            for number in self.slow.missing() | self.slow.in_flight | (self.slow.lost - self.slow.ever_lost)
            if number < again.top
        }


TestSequenceMachine = SequenceMachine.TestCase
TestSequenceMachine.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


@given(st.lists(st.tuples(st.booleans(), RANGES)))
def test_a_range_set_is_a_set(operations: list[tuple[bool, tuple[int, int]]]) -> None:
    fast, slow = RangeSet(), set[int]()
    for is_added, (start, stop) in operations:
        (fast.add if is_added else fast.discard)(start, stop)
        slow = slow | set(range(start, stop)) if is_added else slow - set(range(start, stop))
    ranges = list(fast)
    assert expand(ranges) == slow
    assert all(start < stop for start, stop in ranges)
    assert all(left[1] < right[0] for left, right in pairwise(ranges))
    assert [number in fast for number in range(50)] == [number in slow for number in range(50)]
    assert expand(fast.overlap(10, 30)) == slow & set(range(10, 30))


def test_the_watermark_is_contiguous_and_never_the_largest_seen() -> None:
    sequence = StreamSequence()
    sequence.receive(0, 2, now_us=1)
    sequence.receive(5, 9, now_us=2)
    for number in (8, 7, 6, 5, 1):
        sequence.commit(number, number + 1)
    assert sequence.watermark == 0
    sequence.commit(0, 1)
    assert sequence.watermark == 2


def test_a_block_in_flight_does_not_move_the_watermark() -> None:
    sequence = StreamSequence()
    sequence.receive(0, 5, now_us=1)
    assert (sequence.watermark, sequence.top, sequence.is_settled) == (0, 5, False)
    sequence.commit(0, 5)
    assert (sequence.watermark, sequence.is_settled) == (5, True)


def test_a_wild_jump_opens_one_hole_at_once() -> None:
    started = time.perf_counter()
    sequence = StreamSequence()
    for number in range(0, 2**32 - 1, 2**32 // 100):
        assert sequence.receive(number, number + 1, now_us=1) is not None
    assert len(sequence.holes) <= 100
    sequence.lose(0, 2**32 - 1, GapCause.DEVICE_OVERFLOW, now_us=2)
    sequence.commit_lost(0, 2**32 - 1)
    assert sequence.holes == ()
    assert time.perf_counter() - started < 0.5


def test_more_holes_than_are_followed_are_refused_and_change_nothing() -> None:
    sequence = StreamSequence()
    for number in range(MAX_HOLES):
        assert sequence.receive(2 * number + 1, 2 * number + 2, now_us=1) is not None
    top = sequence.top
    assert sequence.receive(top + 1, top + 2, now_us=2) is None
    assert (sequence.top, len(sequence.holes)) == (top, MAX_HOLES)
    assert sequence.receive(top, top + 1, now_us=2) == Change(accepted=((top, top + 1),))
    assert sequence.receive(0, 1, now_us=2) is not None
    assert len(sequence.holes) == MAX_HOLES - 1


def test_splitting_a_hole_counts_against_the_bound() -> None:
    sequence = StreamSequence()
    sequence.receive(10, 11, now_us=1)
    for number in range(MAX_HOLES - 1):
        sequence.receive(2 * number + 12, 2 * number + 13, now_us=1)
    assert sequence.receive(5, 6, now_us=2) is None
    assert sequence.is_missing(5)
    assert sequence.receive(0, 1, now_us=2) is not None


@pytest.mark.parametrize("cause", [GapCause.DEVICE_OVERFLOW, GapCause.CORRUPT])
def test_data_that_was_given_up_is_still_taken_when_it_comes(cause: GapCause) -> None:
    sequence = StreamSequence()
    sequence.receive(10, 11, now_us=1)
    sequence.commit(10, 11)
    sequence.lose(0, 10, cause, now_us=2)
    assert sequence.watermark == 0
    sequence.commit_lost(0, 10)
    assert sequence.watermark == 11
    change = sequence.receive(4, 6, now_us=3)
    assert change is not None
    assert change.accepted == ((4, 6),)
    assert {(hole.start, hole.stop, hole.cause) for hole in change.closed} == {
        (0, 4, cause),
        (4, 6, GapCause.FILLED),
        (6, 10, cause),
    }
    assert sequence.watermark == 11


def test_what_a_full_store_refuses_is_one_hole_however_long_it_lasts() -> None:
    sequence = StreamSequence([(0, 10)])
    for number in range(10, 5_000):
        assert sequence.receive(number, number + 1, now_us=number) is not None
        change = sequence.fail(number, number + 1, now_us=number)
        assert change.opened == (Hole(start=10, stop=number + 1, seen_at_us=10),)
    assert sequence.holes == change.opened
    assert sequence.watermark == 10


def test_a_block_that_came_before_the_row_that_gives_it_up_was_committed_is_waited_for() -> None:
    sequence = StreamSequence([(5, 6)])
    sequence.lose(0, 5, GapCause.DEVICE_OVERFLOW, now_us=1)
    assert sequence.receive(2, 3, now_us=2) is not None
    sequence.commit_lost(0, 5)
    assert sequence.watermark == 2
    sequence.commit(2, 3)
    assert sequence.watermark == 6


def test_a_hole_of_which_a_row_speaks_begins_where_the_row_does() -> None:
    sequence = StreamSequence([(9, 10)], missing=[(4, 9), (10, 12)])
    assert [(hole.start, hole.stop) for hole in sequence.holes] == [(0, 4), (4, 9), (10, 12)]
    assert sequence.top == 12
    assert sequence.receive(4, 9, now_us=1) is not None
    assert [(hole.start, hole.stop) for hole in sequence.fail(4, 5, now_us=2, has_row=True).opened] == [(4, 5)]
    assert [(hole.start, hole.stop) for hole in sequence.fail(5, 6, now_us=2).opened] == [(4, 6)]


def test_what_the_watermark_has_passed_is_lost_again_when_the_store_refuses_it_and_had_when_it_takes_it() -> None:
    sequence = StreamSequence([(5, 6)])
    sequence.lose(0, 5, GapCause.DEVICE_OVERFLOW, now_us=1)
    sequence.commit_lost(0, 5)
    assert sequence.receive(2, 3, now_us=2) is not None
    refused = sequence.fail(2, 3, now_us=3)
    assert [(hole.start, hole.stop, hole.cause) for hole in refused.closed] == [(2, 3, GapCause.DEVICE_OVERFLOW)]
    assert (sequence.has(2), sequence.watermark) == (False, 6)
    assert sequence.receive(2, 3, now_us=4) is not None
    sequence.commit(2, 3)
    assert sequence.fail(2, 3, now_us=5) == Change()
    assert (sequence.has(2), sequence.watermark) == (True, 6)


def test_only_what_was_in_flight_fails() -> None:
    sequence = StreamSequence([(0, 2)])
    assert sequence.receive(8, 9, now_us=1) is not None
    sequence.lose(2, 4, GapCause.DEVICE_OVERFLOW, now_us=2)
    assert sequence.receive(5, 6, now_us=3) is not None
    assert [(hole.start, hole.stop) for hole in sequence.fail(0, 9, now_us=4).opened] == [(4, 6), (6, 9)]
    assert sequence.has(0)
    assert not sequence.has(2)


def test_an_empty_range_adds_nothing() -> None:
    numbers = RangeSet([(0, 3)])
    numbers.add(5, 5)
    assert list(numbers) == [(0, 3)]
