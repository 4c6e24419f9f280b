"""Every fault does what its name says, the more the larger it is, and nothing else moves the person otherwise."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pytest

from firmware_sim.body import COORDINATE_INDEX
from firmware_sim.faults import CONDITIONS, Fault
from firmware_sim.movement import Movement, MovementPhase

SECONDS = 90
RATE_HZ = 200
TIMES_S = np.arange(SECONDS * RATE_HZ) / RATE_HZ
SIZES = (0.0, 0.3, 0.6, 1.0)
Floats = npt.NDArray[np.float64]


def moved(fault: Fault | None, size: float = 1.0, exercise: str = "knee_extension_seated", seed: int = 5) -> Movement:
    faults = {} if fault is None else {fault: size}
    return Movement(seed=seed, home="home", exercise=exercise, still_s=4.0, faults=faults)


def of(movement: Movement, coordinate: str, *, share: float = 1.0) -> tuple[Floats, Floats]:
    """Return angle [deg] and rate [deg/s]."""
    motion, at = movement.joints(TIMES_S, share=share), COORDINATE_INDEX[coordinate]
    return np.degrees(motion.angle_rad[at]), np.degrees(motion.rate_rad_s[at])


def mean_rom(movement: Movement) -> float:
    return float(np.mean([each.rom_deg for each in movement.repetitions_between(0, SECONDS)]))


def mean_duration(movement: Movement) -> float:
    return float(np.mean([each.stop_s - each.start_s for each in movement.repetitions_between(0, SECONDS)]))


def speed_peaks(movement: Movement) -> float:
    """Return the mean number of peaks of the speed on the way up."""
    counts = []
    _, rate = of(movement, "knee_flexion")
    for each in movement.repetitions_between(0, SECONDS):
        speed = np.abs(rate[(each.start_s <= TIMES_S) & (each.peak_s > TIMES_S)])
        middle = speed[1:-1]
        counts.append(np.sum((middle > speed[:-2]) & (middle >= speed[2:]) & (middle > 5)))
    return float(np.mean(counts))


def roughness(movement: Movement) -> float:
    """Return the root mean square of the acceleration on the way up. [deg/s²]"""
    _, rate = of(movement, "knee_flexion")
    on_the_way = movement.truth(TIMES_S).phase == MovementPhase.UP
    return float(np.sqrt(np.mean((np.gradient(rate)[on_the_way] * RATE_HZ) ** 2)))


def still_on_the_way(movement: Movement) -> float:
    """Return for how long nothing moves between start and peak, in the mean. [s]"""
    _, rate = of(movement, "knee_flexion")
    on_the_way = movement.truth(TIMES_S).phase == MovementPhase.UP
    n_repetitions = len(list(movement.repetitions_between(0, SECONDS)))
    return float(np.sum(on_the_way & (np.abs(rate) < 0.5)) / RATE_HZ / n_repetitions)


def size_of(coordinate: str) -> Callable[[Movement], float]:
    return lambda movement: float(np.ptp(of(movement, coordinate)[0]))


def tremor(movement: Movement) -> float:
    """Return the rate during the still start. [deg/s]"""
    return float(np.abs(of(movement, "knee_flexion")[1][: 3 * RATE_HZ]).max())


def loss_of_range(movement: Movement) -> float:
    roms = [each.rom_deg for each in movement.repetitions_between(0, SECONDS)]
    return float(np.mean(roms[:4]) - np.mean(roms[-4:]))


def attempts(movement: Movement) -> float:
    """Return how often somebody moved by more than 10 deg without making a repetition of it."""
    truth, (angle, _) = movement.truth(TIMES_S), of(movement, "knee_flexion")
    outside = (truth.phase == MovementPhase.STILL) & (np.abs(angle - 90) > 10)
    return float(np.sum(np.diff(outside.astype(int)) == 1))


GROWS = [
    (Fault.REDUCED_RANGE, lambda movement: -mean_rom(movement), 30.0),
    (Fault.FAST, lambda movement: -mean_duration(movement), 1.0),
    (Fault.JERKY, roughness, 200.0),
    (Fault.SUBMOVEMENTS, speed_peaks, 3.5),
    (Fault.SUBMOVEMENTS, mean_duration, 2.0),
    (Fault.PAINFUL_ARC, still_on_the_way, 1.3),
    (Fault.FREEZING, still_on_the_way, 0.5),
    (Fault.TREMOR, tremor, 15.0),
    (Fault.TRUNK_LEAN, size_of("trunk_lean"), 20.0),
    (Fault.KNEE_VALGUS, lambda movement: -float(of(movement, "knee_abduction")[0].min()), 8.0),
    (Fault.HIP_HIKE, size_of("pelvis_list"), 14.0),
    (Fault.FATIGUE, loss_of_range, 10.0),
    (Fault.FALSE_STARTS, attempts, 10.0),
    (Fault.ABANDONED, attempts, 5.0),
]


@pytest.mark.parametrize(
    ("fault", "measure", "at_least"), GROWS, ids=[f"{each[0]}-{i}" for i, each in enumerate(GROWS)]
)
def test_a_larger_fault_does_more(fault: Fault, measure: Callable[[Movement], float], at_least: float) -> None:
    values = [measure(moved(fault, size)) for size in SIZES]
    assert values[0] == measure(moved(None)), "size 0 is no fault"
    assert all(later >= earlier for earlier, later in pairwise(values)), values
    assert values[-1] - values[0] >= at_least, values


def test_who_uses_the_arms_stands_up_faster_and_more_upright() -> None:
    without, with_arms = (moved(fault, exercise="sit_to_stand") for fault in (None, Fault.ARMS_USED))
    assert mean_duration(with_arms) < mean_duration(without)
    assert of(with_arms, "trunk_lean")[0].min() < of(without, "trunk_lean")[0].min() - 15


def test_an_asymmetric_person_moves_the_other_side_less() -> None:
    movement = moved(Fault.ASYMMETRY, exercise="sit_to_stand")
    trained, other = (np.ptp(of(movement, "knee_flexion", share=share)[0]) for share in (1, movement.other_sides_share))
    assert other == pytest.approx(0.4 * trained, rel=0.02)
    assert moved(None, exercise="sit_to_stand").other_sides_share == 1
    assert moved(Fault.ASYMMETRY).other_sides_share == 0, "one leg trains, the other rests"


@pytest.mark.parametrize("fault", Fault)
def test_rates_are_the_derivatives_of_the_angles(fault: Fault) -> None:
    times_s = 4 + np.arange(20_000) / 2_000
    motion = moved(fault).joints(times_s)
    for of_motion, slope in (
        (motion.angle_rad, motion.rate_rad_s),
        (motion.rate_rad_s, motion.acceleration_rad_s2),
    ):
        by_hand = np.gradient(of_motion, times_s, axis=1)[:, 1:-1]
        assert np.abs(by_hand - slope[:, 1:-1]).max() <= 0.02 * np.abs(slope).max() + 1e-6


@pytest.mark.parametrize("condition", CONDITIONS)
def test_a_condition_makes_repetitions_whose_truth_is_its_movement(condition: str) -> None:
    movement = Movement(
        seed=2, home="home", exercise="knee_extension_seated", still_s=4.0, faults=CONDITIONS[condition]
    )
    repetitions = list(movement.repetitions_between(0, SECONDS))
    assert len(repetitions) >= 5
    truth = movement.truth(TIMES_S)
    for each in repetitions:
        angle_deg = truth.angle_deg[(each.start_s <= TIMES_S) & (each.stop_s > TIMES_S)]
        assert np.ptp(angle_deg) == pytest.approx(each.rom_deg, abs=8)


def test_a_size_out_of_bounds_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        moved(Fault.FAST, 1.2)
