"""The exercises that the simulator can perform, as data, and the words for all exercises there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

#: The words for exercises. Written out here: a test compares them with those of the analysis.
EXERCISE_CODES: Final = (
    "knee_extension_seated",
    "heel_slide",
    "straight_leg_raise",
    "mini_squat",
    "sit_to_stand",
    "step_up",
    "hip_abduction_standing",
    "hip_extension_standing",
    "bridge",
    "heel_raise",
    "marching",
    "single_leg_stance",
    "trunk_flexion",
    "trunk_rotation_seated",
    "shoulder_flexion",
    "shoulder_abduction",
    "shoulder_external_rotation_band",
    "row_band",
    "elbow_flexion",
    "hand_to_head",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Secondary:
    """A coordinate that goes along with the exercise: there on the way up, back on the way down."""

    coordinate: str
    low_deg: float
    high_deg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Exercise:
    """What is moved, how far and how fast.

    `proximal` and `distal` are the directions of the two segments for the truth: weights of coordinates whose sum is
    the angle of the segment from straight down, forwards (hip abduction: sideways) positive.
    """

    coordinate: str
    start_deg: float
    start_spread_deg: float
    target_low_deg: float
    target_high_deg: float
    posture_deg: Mapping[str, float]
    secondary: tuple[Secondary, ...]
    proximal: Mapping[str, float]
    distal: Mapping[str, float]
    up_s: float = 1.2
    hold_low_s: float = 0.5
    hold_high_s: float = 1.0
    down_s: float = 1.4
    is_carried_by_the_feet: bool = False
    moves_both_sides: bool = False


SIMULATED_EXERCISES: Final[Mapping[str, Exercise]] = MappingProxyType(
    {
        "knee_extension_seated": Exercise(
            coordinate="knee_flexion",
            start_deg=90.0,
            start_spread_deg=1.0,
            target_low_deg=5.0,
            target_high_deg=15.0,
            posture_deg={"hip_flexion": 86.0},
            secondary=(
                Secondary(coordinate="hip_flexion", low_deg=1.0, high_deg=4.0),
                Secondary(coordinate="hip_rotation", low_deg=-2.0, high_deg=2.0),
                Secondary(coordinate="knee_abduction", low_deg=2.0, high_deg=4.0),
                Secondary(coordinate="pelvis_tilt", low_deg=-1.5, high_deg=-0.3),
                Secondary(coordinate="trunk_lean", low_deg=-6.0, high_deg=-1.0),
            ),
            proximal={"hip_flexion": 1.0, "pelvis_tilt": -1.0},
            distal={"hip_flexion": 1.0, "pelvis_tilt": -1.0, "knee_flexion": -1.0},
        ),
        "sit_to_stand": Exercise(
            coordinate="knee_flexion",
            start_deg=90.0,
            start_spread_deg=1.0,
            target_low_deg=2.0,
            target_high_deg=6.0,
            posture_deg={"shank_lean": 6.0, "hip_flexion": 84.0},
            secondary=(
                Secondary(coordinate="shank_lean", low_deg=-5.0, high_deg=-3.0),
                Secondary(coordinate="hip_flexion", low_deg=-82.0, high_deg=-80.0),
            ),
            proximal={"knee_flexion": 1.0, "shank_lean": -1.0},
            distal={"shank_lean": -1.0},
            up_s=1.6,
            down_s=1.8,
            is_carried_by_the_feet=True,
            moves_both_sides=True,
        ),
        "hip_abduction_standing": Exercise(
            coordinate="hip_abduction",
            start_deg=1.0,
            start_spread_deg=0.4,
            target_low_deg=26.0,
            target_high_deg=36.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="hip_flexion", low_deg=1.0, high_deg=4.0),
                Secondary(coordinate="knee_flexion", low_deg=1.0, high_deg=4.0),
                Secondary(coordinate="pelvis_tilt", low_deg=-1.0, high_deg=1.0),
            ),
            proximal={},
            distal={"hip_abduction": 1.0},
        ),
        "elbow_flexion": Exercise(
            coordinate="elbow_flexion",
            start_deg=3.0,
            start_spread_deg=1.0,
            target_low_deg=118.0,
            target_high_deg=132.0,
            posture_deg={"shoulder_flexion": 4.0},
            secondary=(
                Secondary(coordinate="shoulder_flexion", low_deg=1.0, high_deg=5.0),
                Secondary(coordinate="forearm_rotation", low_deg=-6.0, high_deg=6.0),
                Secondary(coordinate="trunk_lean", low_deg=-2.0, high_deg=0.0),
            ),
            proximal={"shoulder_flexion": 1.0, "trunk_lean": -1.0, "pelvis_tilt": -1.0},
            distal={"shoulder_flexion": 1.0, "trunk_lean": -1.0, "pelvis_tilt": -1.0, "elbow_flexion": 1.0},
        ),
    }
)
