from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.core.segmentation import RepetitionTracker
from analytics.results import Phase
from tests.analytics.signals import Floats, Repetition, progress_of
from tests.reference.analytics_repetitions import SlowCounter

N = 10
EXPECTED_DEG = 80.0

repetitions = st.builds(
    Repetition,
    up_s=st.floats(0.8, 3),
    hold_s=st.floats(0, 5),
    down_s=st.floats(0.8, 3),
    pause_s=st.floats(0.0, 2),
    range_deg=st.floats(0.9 * EXPECTED_DEG, 1.1 * EXPECTED_DEG),
)


def track(*progress: Floats, expected_deg: float = EXPECTED_DEG, is_open: bool = True) -> RepetitionTracker:
    """Let a tracker see some progress of equally long series, one slot each."""
    together = np.stack(progress, axis=1).astype(np.float32)
    tracker = RepetitionTracker(len(progress), n=N, sampling_rate_hz=100)
    for slot in range(len(progress)):
        tracker.prescribe(slot, expected_deg)
    everyone = np.ones(len(progress), bool)
    if is_open:
        tracker.open(everyone)
    for k in range(0, len(together) - N + 1, N):
        tracker.advance(together[k : k + N], everyone, ~everyone)
    return tracker


def count(progress: Floats, **options: bool) -> int:
    return int(track(progress, **options).counts["count"][0])


def padded(progress: Sequence[Floats]) -> list[npt.NDArray[np.float64]]:
    longest = max(map(len, progress)) + 100
    return [np.pad(each, (0, longest - len(each)), mode="edge") for each in progress]


@settings(max_examples=10, deadline=None)
@given(people=st.lists(st.lists(repetitions, min_size=1, max_size=5), min_size=1, max_size=9), seed=st.integers(0, 999))
def test_every_repetition_is_counted_once(people: list[list[Repetition]], seed: int) -> None:
    progress = padded([progress_of(made, still_s=1) for made in people])
    trembling = 0.3 * np.sin(2 * np.pi * 1.3 * np.arange(len(progress[0])) / 100 + seed)
    tracker = track(*(each + trembling for each in progress))
    assert tracker.counts["count"].tolist() == [len(made) for made in people]


shares_and_repetitions = st.tuples(st.floats(0.05, 0.38), st.lists(repetitions, min_size=1, max_size=2))


@settings(max_examples=8, deadline=None)
@given(people=st.lists(shares_and_repetitions, min_size=1, max_size=9))
def test_less_than_half_of_the_range_is_no_repetition(people: list[tuple[float, list[Repetition]]]) -> None:
    progress = []
    for share, made in people:
        halves = [replace(each, range_deg=share * EXPECTED_DEG, pause_s=1.0) for each in made]
        progress.append(progress_of([*halves, *made, *halves], still_s=1))
    assert track(*padded(progress)).counts["count"].tolist() == [len(made) for _, made in people]


@pytest.mark.parametrize(("share", "counted"), [(0.48, 0), (0.52, 1)])
def test_half_of_the_prescribed_range_decides(share: float, counted: int) -> None:
    progress = padded([progress_of([Repetition(range_deg=share * EXPECTED_DEG)], still_s=1)])[0]
    assert count(progress) == counted


@settings(max_examples=15, deadline=None)
@given(
    people=st.lists(
        st.lists(st.builds(Repetition, range_deg=st.floats(10, 130), pause_s=st.floats(0, 1)), min_size=1, max_size=5),
        min_size=1,
        max_size=5,
    )
)
def test_all_in_step_count_like_the_obvious_loop(people: list[list[Repetition]]) -> None:
    progress = padded([progress_of(made, still_s=1) for made in people])
    progress = [each.astype(np.float32).astype(np.float64) for each in progress]
    tracker = track(*progress)
    slow = [SlowCounter(prescribed_deg=EXPECTED_DEG).count(each.tolist()) for each in progress]
    assert tracker.counts["count"].tolist() == slow


def test_ranges_and_times_are_those_that_were_made() -> None:
    made = Repetition(up_s=1.5, hold_s=2.0, down_s=1.0, range_deg=75)
    progress = padded([progress_of([made], still_s=1)])[0].astype(np.float32)[:, None]
    tracker = RepetitionTracker(1, n=N, sampling_rate_hz=100)
    tracker.prescribe(0, EXPECTED_DEG)
    tracker.open(np.array([True]))
    ticks = [progress[k : k + N] for k in range(0, len(progress) - N + 1, N)]
    ended = [tracker.advance(tick, np.ones(1, bool), np.zeros(1, bool)) for tick in ticks]
    (one,) = [each for each in ended if each.slot.size]
    assert one.rom_deg[0] == pytest.approx(75, abs=0.5)
    assert one.start[0] == pytest.approx(100, abs=12)
    assert one.first_slow[0] == pytest.approx(250, abs=12)
    assert one.last_slow[0] == pytest.approx(450, abs=12)
    assert one.stop[0] == pytest.approx(550, abs=12)
    assert one.peak_speed_deg_s[0] == pytest.approx(1.875 * 75 / 1.0, rel=0.01)


def test_who_turns_round_at_once_begins_where_the_last_one_ended() -> None:
    at, corners_deg = [0, 100, 200, 280, 360, 460, 600], [0, 0, 80, 16, 80, 0, 0]
    progress = np.interp(np.arange(600), at, corners_deg).astype(np.float32)
    tracker = RepetitionTracker(1, n=N, sampling_rate_hz=100)
    tracker.prescribe(0, EXPECTED_DEG)
    tracker.open(np.array([True]))
    ticks = [progress[k : k + N, None] for k in range(0, 600, N)]
    ended = [tracker.advance(tick, np.ones(1, bool), np.zeros(1, bool)) for tick in ticks]
    first, second = [each for each in ended if each.slot.size]
    assert first.stop[0] == pytest.approx(281, abs=2)
    assert second.start[0] == first.stop[0]


def test_the_expected_range_follows_the_patient_within_bounds() -> None:
    small = progress_of([Repetition(range_deg=50)] * 8, still_s=1)
    large = progress_of([Repetition(range_deg=120)] * 8, still_s=1)
    tracker = track(*padded([small, large]))
    np.testing.assert_allclose(tracker.values["range"], [0.8 * EXPECTED_DEG, 1.25 * EXPECTED_DEG])


def test_nothing_counts_before_the_start_pose_was_held() -> None:
    without_rest = progress_of([Repetition(pause_s=0)], still_s=0)
    assert count(padded([without_rest])[0], is_open=False) == 0
    assert count(padded([progress_of([Repetition()], still_s=0.7)])[0], is_open=False) == 1


def test_leaving_the_exercise_closes_counting_until_the_pose_is_held_again() -> None:
    away = progress_of([Repetition(range_deg=-60)], still_s=1)
    no_rest = np.concatenate([away[:-80], progress_of([Repetition()], still_s=0.1), np.zeros(100)])
    with_rest = np.concatenate([away, progress_of([Repetition()], still_s=0.7), np.zeros(100)])
    assert count(no_rest) == 0
    assert count(with_rest) == 1


def test_the_phases_follow_the_movement() -> None:
    progress = progress_of([Repetition(up_s=2, hold_s=2, down_s=2, pause_s=1)], still_s=1).astype(np.float32)
    tracker = RepetitionTracker(1, n=N, sampling_rate_hz=100)
    tracker.prescribe(0, EXPECTED_DEG)
    phases = []
    for k in range(0, len(progress) - N + 1, N):
        tracker.advance(progress[k : k + N, None], np.ones(1, bool), np.zeros(1, bool))
        phases.append(Phase(int(tracker.phase[0])))
    order = [phase for k, phase in enumerate(phases) if k == 0 or phase is not phases[k - 1]]
    assert order == [Phase.PAUSED_NOT_READY_POSE, Phase.READY, Phase.UP, Phase.HOLD, Phase.DOWN, Phase.READY]
