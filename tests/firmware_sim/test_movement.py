"""How a simulated person moves."""

import numpy as np
import pytest

from analytics.exercises import EXERCISES
from firmware_sim.body import COORDINATE_INDEX
from firmware_sim.exercises import EXERCISE_CODES, SIMULATED_EXERCISES
from firmware_sim.movement import Movement, MovementPhase, minimum_jerk


def knee(seed: int = 1, home: str = "home1", n_repetitions: int | None = None) -> Movement:
    return Movement(seed=seed, home=home, exercise="knee_extension_seated", still_s=6.0, n_repetitions=n_repetitions)


def test_the_exercise_codes_are_those_of_the_analysis() -> None:
    assert set(EXERCISE_CODES) == set(EXERCISES)
    assert set(SIMULATED_EXERCISES) <= set(EXERCISE_CODES)


@pytest.mark.parametrize("code", SIMULATED_EXERCISES)
def test_the_movement_starts_and_ends_where_the_analysis_expects(code: str) -> None:
    simulated, analysed = SIMULATED_EXERCISES[code], EXERCISES[code]
    assert simulated.start_deg == pytest.approx(analysed.neutral_angle_deg, abs=5)
    low, high = analysed.target_deg
    assert low <= simulated.target_low_deg <= simulated.target_high_deg <= high


def test_minimum_jerk_has_the_published_peaks() -> None:
    share = np.linspace(0, 1, 10_001)
    way, rate, acceleration = minimum_jerk(share)
    assert rate.max() == pytest.approx(1.875)
    assert acceleration.max() == pytest.approx(5.774, abs=1e-3)
    assert np.gradient(way, share)[1:-1] == pytest.approx(rate[1:-1], abs=1e-6)
    assert np.gradient(rate, share)[1:-1] == pytest.approx(acceleration[1:-1], abs=1e-4)


def test_the_first_seconds_are_still() -> None:
    motion = knee().joints(np.arange(0, 5.9, 0.01))
    assert np.degrees(np.abs(motion.rate_rad_s)).max() < 0.5


def test_the_knee_goes_from_ninety_degrees_to_almost_straight_and_back() -> None:
    movement = knee()
    repetitions = list(movement.repetitions_between(0.0, 120.0))
    assert [each.index for each in repetitions] == list(range(len(repetitions)))
    assert len(repetitions) >= 20
    assert all(5 <= each.peak_deg <= 15 and 74 <= each.rom_deg <= 87 for each in repetitions)
    durations_s = [each.stop_s - each.start_s for each in repetitions]
    assert np.std(durations_s) > 0.1
    assert np.std([each.rom_deg for each in repetitions]) > 1.0


def test_the_repetitions_of_the_truth_are_those_of_the_angle() -> None:
    movement = knee()
    for repetition in movement.repetitions_between(0.0, 60.0):
        angle_deg = movement.truth(np.arange(repetition.start_s, repetition.stop_s, 0.001)).angle_deg
        assert angle_deg.max() - angle_deg.min() == pytest.approx(repetition.rom_deg, abs=0.01)
        assert angle_deg.min() == pytest.approx(repetition.peak_deg, abs=0.01)


def test_before_each_repetition_the_person_is_still_for_at_least_half_a_second() -> None:
    movement = knee()
    for repetition in movement.repetitions_between(0.0, 120.0):
        before = movement.joints(np.arange(repetition.start_s - 0.8, repetition.start_s, 0.01))
        assert np.degrees(np.abs(before.rate_rad_s)).max() < 0.5


def test_some_pauses_hold_a_small_fidget() -> None:
    movement = knee()
    times_s = np.arange(0, 120, 0.01)
    truth = movement.truth(times_s)
    rate = np.degrees(np.abs(movement.joints(times_s).rate_rad_s[COORDINATE_INDEX["knee_flexion"]]))
    fidgets = rate[truth.phase == MovementPhase.PAUSE]
    assert 3.0 < fidgets.max() < 40.0
    assert np.mean(fidgets > 1.0) < 0.4


def test_the_phases_follow_each_other() -> None:
    phase = knee().truth(np.arange(0, 30, 0.01)).phase
    changes = phase[np.flatnonzero(np.diff(phase.astype(int))) + 1]
    assert set(phase[:590].tolist()) == {MovementPhase.STILL}
    assert changes[:5].tolist() == [
        MovementPhase.UP,
        MovementPhase.HOLD,
        MovementPhase.DOWN,
        MovementPhase.PAUSE,
        MovementPhase.UP,
    ]


def test_after_the_asked_number_the_person_sits_still() -> None:
    movement = knee(n_repetitions=2)
    assert len(list(movement.repetitions_between(0.0, 1000.0))) == 2
    late = movement.joints(np.arange(900.0, 901.0, 0.01))
    assert np.degrees(np.abs(late.rate_rad_s)).max() < 0.5
    assert movement.truth(np.array([900.0])).repetition.tolist() == [2]


def test_the_movement_is_the_same_in_whatever_steps_it_is_asked() -> None:
    times_s = np.arange(0, 40, 0.01)
    at_once = knee().truth(times_s)
    movement = knee()
    in_steps = [movement.truth(part) for part in np.array_split(times_s, 97)]
    for name in ("angle_deg", "proximal_deg", "distal_deg", "phase", "repetition"):
        assert np.allclose(np.concatenate([getattr(each, name) for each in in_steps]), getattr(at_once, name))


def test_two_homes_and_two_seeds_move_differently() -> None:
    times_s = np.arange(0, 20, 0.01)
    one = knee().truth(times_s).angle_deg
    assert not np.allclose(one, knee(home="home2").truth(times_s).angle_deg)
    assert not np.allclose(one, knee(seed=2).truth(times_s).angle_deg)


def test_the_other_leg_only_sways() -> None:
    movement = knee()
    times_s = np.arange(0, 20, 0.01)
    resting = movement.joints(times_s, share=0.0)
    knee_rate = resting.rate_rad_s[COORDINATE_INDEX["knee_flexion"]]
    assert not knee_rate.any()


def test_the_segments_of_a_seated_person_make_up_the_joint_angle() -> None:
    truth = knee().truth(np.arange(0, 20, 0.01))
    assert truth.proximal_deg - truth.distal_deg == pytest.approx(truth.angle_deg)
    assert 80 < truth.proximal_deg.min() < truth.proximal_deg.max() < 95
