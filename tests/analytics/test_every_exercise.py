"""Every exercise that is called measurable, ten repetitions on either side, made independently of the product.

Each is a turn of one or two segments about the patient's left axis or about the one that lifts a limb sideways, from
the start pose in which the segments stand, with the lever arms of a thigh. Real people do more than that.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pytest
from scipy.spatial.transform import Rotation

from analytics import EXERCISES, Engine, Phase, Reason
from tests.analytics.signals import (
    FINE_HZ,
    RATE_HZ,
    SCALES,
    Floats,
    Repetition,
    about,
    progress_of,
    seated_knee_extension,
    sensor_samples,
    ticks_of,
)

SIDES: Final = ("right", "left")
N_REPETITIONS: Final = 10
LYING_DEG, STANDING_DEG, SITTING_THIGH_DEG = -90.0, 0.0, -90.0
LEFT: Final = (0.0, 1.0, 0.0)


class Turn(NamedTuple):
    """How one segment goes: how far the start pose is turned from straight down, and by how much it turns [°]."""

    start_deg: float
    size_deg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """An exercise to be made."""

    distal: Turn
    proximal: Turn | None = None
    is_sideways: bool = False

    @property
    def range_deg(self) -> float:
        """By how much the joint angle changes."""
        return abs(self.distal.size_deg - (self.proximal.size_deg if self.proximal else 0.0))


MADE: Final[Mapping[str, Made]] = MappingProxyType(
    {
        "knee_extension_seated": Made(proximal=Turn(SITTING_THIGH_DEG, -4), distal=Turn(STANDING_DEG, -84)),
        "heel_slide": Made(proximal=Turn(LYING_DEG, -55), distal=Turn(LYING_DEG, 40)),
        "straight_leg_raise": Made(distal=Turn(LYING_DEG, -50)),
        "mini_squat": Made(proximal=Turn(STANDING_DEG, -28), distal=Turn(STANDING_DEG, 22)),
        "sit_to_stand": Made(proximal=Turn(SITTING_THIGH_DEG, 82), distal=Turn(6, -5)),
        "step_up": Made(proximal=Turn(STANDING_DEG, -50), distal=Turn(STANDING_DEG, 15)),
        "hip_abduction_standing": Made(distal=Turn(STANDING_DEG, 35), is_sideways=True),
        "hip_extension_standing": Made(distal=Turn(STANDING_DEG, 17)),
        "bridge": Made(distal=Turn(LYING_DEG, -35)),
        "heel_raise": Made(distal=Turn(-90, 30)),
        "marching": Made(distal=Turn(STANDING_DEG, -75)),
        "single_leg_stance": Made(distal=Turn(STANDING_DEG, -60)),
        "trunk_flexion": Made(distal=Turn(STANDING_DEG, 45)),
        "shoulder_flexion": Made(distal=Turn(STANDING_DEG, -115)),
        "shoulder_abduction": Made(distal=Turn(STANDING_DEG, 100), is_sideways=True),
        "elbow_flexion": Made(distal=Turn(STANDING_DEG, -125)),
        "hand_to_head": Made(distal=Turn(STANDING_DEG, -95)),
    }
)
CASES: Final = [(exercise, side) for exercise in MADE for side in SIDES]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What the engine said of all cases, slot by slot: repetitions, and the error of the angle from 4 s on [°]."""

    repetitions: npt.NDArray[Any]
    error_deg: Floats


def repetitions_of(seed: int) -> list[Repetition]:
    random = np.random.default_rng(seed)
    varied = [
        Repetition(
            up_s=random.uniform(0.8, 1.5),
            hold_s=random.uniform(0.1, 0.7),
            down_s=random.uniform(0.8, 1.5),
            pause_s=random.uniform(0.2, 0.8),
            range_deg=1.0,
        )
        for _ in range(N_REPETITIONS)
    ]
    return [*varied, Repetition(range_deg=0)]


def samples(
    turn: Turn, share: Floats, *, side: str, is_sideways: bool, random: np.random.Generator, around_deg: float
) -> npt.NDArray[np.int16]:
    """Return the raw samples of the sensor on a segment that turns by a share of its way, shape (6, n_samples)."""
    forwards = 1.0 if side == "right" else -1.0
    hangs = Rotation.from_matrix(np.array([[0, forwards, 0], [0, 0, -forwards], [-1, 0, 0]]))
    lifts = (-forwards, 0.0, 0.0) if is_sideways else LEFT
    starts = Rotation.from_rotvec(np.radians(turn.start_deg) * np.array(LEFT)) * hangs
    segment = about(lifts, turn.size_deg * share) * starts
    return sensor_samples(segment, segment.apply([0.2, 0.03, 0.05]), random, 2.0, 8.0, around_deg, noise=1.0)


def around_deg(exercise: str, side: str) -> float:
    """Return how far the sensors have turned around the limb: on the left, where that does no harm."""
    return 60.0 if side == "left" and exercise != "sit_to_stand" else 0.0


@cache
def seen() -> Seen:
    """Let one engine see all cases side by side."""
    shares = [progress_of(repetitions_of(slot), still_s=4.0, rate_hz=FINE_HZ) for slot in range(len(CASES))]
    step = FINE_HZ // RATE_HZ
    longest = max(map(len, shares)) // step
    raw, truth_deg = np.zeros((len(CASES), 2, 6, longest), np.int16), np.zeros((longest, len(CASES)))
    engine = Engine(len(CASES))
    for slot, (exercise, side) in enumerate(CASES):
        made, definition, random = MADE[exercise], EXERCISES[exercise], np.random.default_rng(100 + slot)
        share = np.pad(shares[slot], (0, longest * step - len(shares[slot])), mode="edge")
        for column, turn in enumerate((made.proximal, made.distal)):
            if turn is not None:
                raw[slot, column] = samples(
                    turn,
                    share,
                    side=side,
                    is_sideways=made.is_sideways,
                    random=random,
                    around_deg=around_deg(exercise, side),
                )
        way = np.sign(np.mean(definition.target_deg) - definition.neutral_angle_deg)
        truth_deg[:, slot] = definition.neutral_angle_deg + way * made.range_deg * share[::step]
        engine.join(slot, exercise=exercise, side=side, **SCALES)
    valid, ready = np.ones((2 * len(CASES), 10), bool), np.ones(len(CASES), bool)
    rows, angles = [], []
    for k in range(0, longest - 9, 10):
        rows.append(engine.advance(raw[..., k : k + 10].reshape(-1, 6, 10), valid, ready))
        angles.append(engine.angle_deg.copy())
    angle = np.concatenate(angles)
    return Seen(repetitions=np.concatenate(rows), error_deg=(angle - truth_deg[: len(angle)])[400:])


def test_what_is_made_here_is_what_is_called_measurable() -> None:
    assert set(MADE) == {exercise.code for exercise in EXERCISES.values() if exercise.is_measurable}


@pytest.mark.parametrize(("exercise", "side"), CASES)
def test_ten_repetitions_are_ten_and_their_angle_is_right(exercise: str, side: str) -> None:
    slot = CASES.index((exercise, side))
    rows = seen().repetitions[seen().repetitions["slot"] == slot]
    error_deg = seen().error_deg[:, slot]
    assert len(rows) == N_REPETITIONS
    assert np.isfinite(error_deg).all()
    assert np.sqrt(np.mean(error_deg**2)) <= 3
    np.testing.assert_allclose(rows["rom_deg"], MADE[exercise].range_deg, atol=3)


@pytest.mark.parametrize("exercise", sorted(set(EXERCISES) - set(MADE)))
def test_what_cannot_be_measured_shows_no_number_and_says_so(exercise: str) -> None:
    recording = seated_knee_extension([Repetition()] * 2, seed=1)
    engine = Engine(2)
    for slot, code in enumerate((exercise, "knee_extension_seated")):
        engine.join(slot, exercise=code, side="right", **SCALES)
    for raw in ticks_of(recording, recording):
        rows = engine.advance(raw, np.ones((4, 10), bool), np.ones(2, bool))
        assert not (rows["slot"] == 0).any()
        assert np.isnan(engine.angle_deg[:, 0]).all()
        assert (engine.phase[0], engine.reason[0]) == (Phase.OFF, Reason.NOT_MEASURABLE)
    assert engine.repetition_count.tolist() == [0, 2]
    assert np.isnan([engine.trust[0], engine.completeness[0], engine.last_rom_deg[0]]).all()
    engine.join(0, exercise="knee_extension_seated", side="right", **SCALES)
    assert engine.reason[0] == Reason.NOT_STILL
