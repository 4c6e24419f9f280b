"""The live ring, sample by sample, against one dictionary per slot."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices.codec import decode_frames
from devices.ring import Ring
from devices.wire import HEADER_DTYPE
from tests.devices.encoder import frame, rows
from tests.reference.devices_ring import SlowRing

N_SLOTS, WINDOW, N = 3, 40, 10


def headers_at(t0_us: list[int]) -> np.ndarray:
    headers = np.zeros(len(t0_us), HEADER_DTYPE)
    headers["t0_us"] = t0_us
    return headers


def assert_same(fast: Ring, slow: SlowRing) -> None:
    assert fast.heads.tolist() == slow.heads
    slots = np.arange(N_SLOTS)
    for behind in (0, 7):
        samples, valid = fast.window_views(slots, fast.heads - behind, WINDOW)
        for slot in range(N_SLOTS):
            expected = slow.last(slot, slow.heads[slot] - behind, WINDOW)
            assert valid[slot].tolist() == [sample is not None for sample in expected]
            read = [tuple(sample) for sample in samples[slot].T.tolist()]
            assert [sample for sample, is_valid in zip(read, valid[slot], strict=True) if is_valid] == [
                sample for sample in expected if sample is not None
            ]


BLOCKS = st.lists(
    st.tuples(
        st.integers(0, N_SLOTS - 1),
        st.one_of(st.integers(-2, 12).map(lambda block: block * N), st.integers(-30, 400)),
        st.integers(-4_000, 4_000),
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None)
@given(steps=st.lists(st.one_of(BLOCKS, st.integers(0, N_SLOTS - 1)), max_size=12), seed=st.integers(0, 2**32 - 1))
def test_the_ring_is_what_a_dictionary_of_samples_would_be(
    steps: list[list[tuple[int, int, int]] | int], seed: int
) -> None:
    random = np.random.default_rng(seed)
    fast, slow = Ring(N_SLOTS, WINDOW), SlowRing(N_SLOTS, WINDOW)
    base_us = 1_000_000
    for slot in range(N_SLOTS):
        fast.assign(slot, base_us)
        slow.assign(slot, base_us)
    for step in steps:
        if isinstance(step, int):
            start_us = base_us + int(fast.heads[step]) * 10_000
            fast.assign(step, start_us)
            slow.assign(step, start_us)
            continue
        slots = [slot for slot, _, _ in step]
        t0_us = [max(0, slow.start_us[slot] + at * 10_000 + jitter) for slot, at, jitter in step]
        values = random.integers(-(2**15), 2**15, (len(step), N, 6)).astype(np.int16)
        written = fast.write(np.array(slots, np.int64), headers_at(t0_us), values)
        assert written.tolist() == slow.write(slots, t0_us, values)
        assert_same(fast, slow)


def test_the_last_samples_are_one_view_whatever_the_head() -> None:
    ring = Ring(1, WINDOW)
    ring.assign(0, 0)
    for block in range(13):
        values = np.arange(N)[:, None] + N * block + np.zeros(6, np.int64)
        ring.write(np.array([0]), headers_at([block * N * 10_000]), values[None].astype(np.int16))
        head = (block + 1) * N
        samples, valid = ring.last(0, min(head, WINDOW))
        assert samples.base is not None
        assert samples[3].tolist() == list(range(max(0, head - WINDOW), head))
        assert valid.all()


def test_rows_of_the_wire_go_straight_in() -> None:
    body = rows(1, [(1, 2, 3, 4, 5, 6), (-1, -2, -3, -4, -5, -6)])
    (group,) = decode_frames([frame(0, n=2, t0_us=50_000, body=body)]).groups
    ring = Ring(1, WINDOW)
    ring.assign(0, 50_000)
    assert ring.write(np.array([0]), group.headers, group.rows).tolist() == [True]
    assert ring.last(0, 2)[0].T.tolist() == [[1, 2, 3, 4, 5, 6], [-1, -2, -3, -4, -5, -6]]


def test_a_hole_is_time_and_not_data() -> None:
    ring = Ring(1, WINDOW)
    ring.assign(0, 0)
    ones = np.ones((1, N, 6), np.int16)
    ring.write(np.array([0]), headers_at([0]), ones)
    ring.write(np.array([0]), headers_at([20 * 10_000]), ones)
    _, valid = ring.last(0, 30)
    assert valid.tolist() == [True] * 10 + [False] * 10 + [True] * 10
    assert ring.heads[0] == 30


def test_a_slot_that_is_given_away_shows_nothing_of_the_one_before() -> None:
    ring = Ring(2, WINDOW)
    ring.write(np.array([0]), headers_at([0]), np.ones((1, N, 6), np.int16))
    generation = int(ring.generation[0])
    ring.assign(0, 5_000_000)
    assert (ring.generation[0], ring.generation[1]) == (generation + 1, 0)
    assert not ring.window_views(np.array([0]), np.array([WINDOW]), WINDOW)[1].any()
    ring.write(np.array([0]), headers_at([5_000_000]), np.ones((1, N, 6), np.int16))
    assert ring.last(0, WINDOW)[1].sum() == N


def test_samples_that_are_not_real_are_not_valid() -> None:
    ring = Ring(1, WINDOW)
    valid = np.array([[True, False] * 5])
    ring.write_at(np.array([0]), np.array([0]), np.ones((1, N, 6), np.int16), valid)
    assert ring.last(0, N)[1].tolist() == [True, False] * 5


@pytest.mark.parametrize("n", [0, WINDOW + 1])
def test_a_block_that_is_empty_or_longer_than_the_window_is_not_taken(n: int) -> None:
    ring = Ring(1, WINDOW)
    assert ring.write(np.array([0]), headers_at([0]), np.ones((1, n, 6), np.int16)).tolist() == [False]
    assert ring.heads[0] == 0


@pytest.mark.parametrize("window", [0, -10, 35])
def test_a_window_is_a_multiple_of_ten(window: int) -> None:
    with pytest.raises(ValueError, match="multiple of 10"):
        Ring(1, window)
