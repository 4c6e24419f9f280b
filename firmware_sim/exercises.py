"""The exercises that the simulator can perform, as data, and the words for all exercises there are."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from firmware_sim.body import Carrier, FloatArray

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

    Start and target are the joint angle that a physiotherapist reads; the body's coordinate is `zero_deg` plus `sign`
    times that angle. `proximal` and `distal` are the directions of the two segments for the truth: weights of
    coordinates whose sum is the angle of the segment from straight down, forwards (abduction: sideways) positive.
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
    carried_by: Carrier = "pelvis"
    moves_both_sides: bool = False
    sign: float = 1.0
    zero_deg: float = 0.0

    def to_coordinate_deg(self, angle_deg: float) -> float:
        """Return the body's coordinate at a joint angle."""
        return self.zero_deg + self.sign * angle_deg

    def to_angle_deg(self, coordinate_deg: FloatArray) -> FloatArray:
        """Return the joint angle at a coordinate of the body."""
        result: FloatArray = (coordinate_deg - self.zero_deg) * self.sign
        return result


_LYING: Final = -90.0  # of the pelvis: on the back
_THIGH: Final = MappingProxyType({"hip_flexion": 1.0, "pelvis_tilt": -1.0})
_SHANK: Final = MappingProxyType({**_THIGH, "knee_flexion": -1.0})
_TRUNK: Final = MappingProxyType({"trunk_lean": -1.0, "pelvis_tilt": -1.0})
_UPPER_ARM: Final = MappingProxyType({"shoulder_flexion": 1.0, **_TRUNK})


def _lifted_leg(
    low_deg: float, high_deg: float, *, knee_deg: tuple[float, float], hold_s: tuple[float, float] = (0.5, 1.0)
) -> Exercise:
    """Return a leg that is lifted forwards while standing on the other one."""
    return Exercise(
        coordinate="hip_flexion",
        start_deg=0.5,
        start_spread_deg=0.5,
        target_low_deg=low_deg,
        target_high_deg=high_deg,
        posture_deg={},
        secondary=(
            Secondary(coordinate="knee_flexion", low_deg=knee_deg[0], high_deg=knee_deg[1]),
            Secondary(coordinate="pelvis_tilt", low_deg=-1.5, high_deg=0.0),
            Secondary(coordinate="trunk_lean", low_deg=-3.0, high_deg=0.0),
        ),
        proximal=_TRUNK,
        distal=_THIGH,
        hold_low_s=hold_s[0],
        hold_high_s=hold_s[1],
    )


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
            carried_by="feet",
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
        "heel_slide": Exercise(
            coordinate="knee_flexion",
            start_deg=1.0,
            start_spread_deg=0.5,
            target_low_deg=84.0,
            target_high_deg=104.0,
            posture_deg={"pelvis_tilt": _LYING, "hip_flexion": 0.5},
            secondary=(  # the heel stays on the couch
                Secondary(coordinate="hip_flexion", low_deg=42.0, high_deg=51.0),
                Secondary(coordinate="knee_abduction", low_deg=1.0, high_deg=4.0),
            ),
            proximal=_THIGH,
            distal=_SHANK,
            up_s=1.8,
            down_s=1.9,
        ),
        "straight_leg_raise": Exercise(
            coordinate="hip_flexion",
            start_deg=0.5,
            start_spread_deg=0.5,
            target_low_deg=42.0,
            target_high_deg=58.0,
            posture_deg={"pelvis_tilt": _LYING},
            secondary=(
                Secondary(coordinate="knee_flexion", low_deg=1.0, high_deg=4.0),
                Secondary(coordinate="pelvis_tilt", low_deg=-1.5, high_deg=0.0),
            ),
            proximal=_TRUNK,
            distal=_THIGH,
        ),
        "mini_squat": Exercise(
            coordinate="knee_flexion",
            start_deg=1.0,
            start_spread_deg=0.5,
            target_low_deg=42.0,
            target_high_deg=58.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="shank_lean", low_deg=12.0, high_deg=18.0),
                Secondary(coordinate="hip_flexion", low_deg=38.0, high_deg=50.0),
            ),
            proximal={"knee_flexion": 1.0, "shank_lean": -1.0},
            distal={"shank_lean": -1.0},
            up_s=1.5,
            down_s=1.5,
            carried_by="feet",
            moves_both_sides=True,
        ),
        "step_up": Exercise(  # the leg that steps, until its foot stands on the step
            coordinate="knee_flexion",
            start_deg=1.0,
            start_spread_deg=0.5,
            target_low_deg=54.0,
            target_high_deg=74.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="hip_flexion", low_deg=40.0, high_deg=55.0),
                Secondary(coordinate="trunk_lean", low_deg=3.0, high_deg=10.0),
            ),
            proximal=_THIGH,
            distal=_SHANK,
        ),
        "hip_extension_standing": Exercise(
            coordinate="hip_flexion",
            sign=-1.0,
            start_deg=0.5,
            start_spread_deg=0.4,
            target_low_deg=12.0,
            target_high_deg=22.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="knee_flexion", low_deg=0.0, high_deg=4.0),
                Secondary(coordinate="pelvis_tilt", low_deg=-0.5, high_deg=1.0),
                Secondary(coordinate="trunk_lean", low_deg=0.0, high_deg=4.0),
            ),
            proximal=_TRUNK,
            distal=_THIGH,
        ),
        "bridge": Exercise(
            coordinate="pelvis_tilt",
            sign=-1.0,
            zero_deg=_LYING,
            start_deg=0.0,
            start_spread_deg=0.5,
            target_low_deg=27.0,
            target_high_deg=42.0,
            posture_deg={"hip_flexion": 45.0, "knee_flexion": 90.0},
            secondary=(
                Secondary(coordinate="hip_flexion", low_deg=-45.0, high_deg=-32.0),
                Secondary(coordinate="knee_flexion", low_deg=-8.0, high_deg=4.0),
            ),
            proximal=_TRUNK,
            distal=_TRUNK,
            hold_low_s=0.8,
            hold_high_s=1.5,
            carried_by="shoulders",
            moves_both_sides=True,
        ),
        "heel_raise": Exercise(
            coordinate="foot_pitch",
            start_deg=0.0,
            start_spread_deg=0.5,
            target_low_deg=23.0,
            target_high_deg=37.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="knee_flexion", low_deg=0.0, high_deg=2.0),
                Secondary(coordinate="shank_lean", low_deg=-1.0, high_deg=2.0),
            ),
            proximal={"shank_lean": -1.0},
            distal={"foot_pitch": -1.0},
            carried_by="feet",
            moves_both_sides=True,
        ),
        "marching": _lifted_leg(64.0, 86.0, knee_deg=(60.0, 85.0)),
        "single_leg_stance": _lifted_leg(36.0, 60.0, knee_deg=(40.0, 70.0), hold_s=(5.0, 9.0)),
        "trunk_flexion": Exercise(
            coordinate="trunk_lean",
            start_deg=0.5,
            start_spread_deg=0.5,
            target_low_deg=32.0,
            target_high_deg=56.0,
            posture_deg={},
            secondary=(Secondary(coordinate="pelvis_tilt", low_deg=0.2, high_deg=1.5),),
            proximal={"pelvis_tilt": -1.0},
            distal=_TRUNK,
        ),
        "trunk_rotation_seated": Exercise(
            coordinate="trunk_rotation",
            start_deg=0.0,
            start_spread_deg=1.0,
            target_low_deg=32.0,
            target_high_deg=48.0,
            posture_deg={"hip_flexion": 86.0, "knee_flexion": 90.0},
            secondary=(Secondary(coordinate="trunk_lean", low_deg=-2.0, high_deg=4.0),),
            proximal={"pelvis_tilt": -1.0},
            distal=_TRUNK,
        ),
        "shoulder_flexion": Exercise(
            coordinate="shoulder_flexion",
            start_deg=2.0,
            start_spread_deg=0.5,
            target_low_deg=95.0,
            target_high_deg=145.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="elbow_flexion", low_deg=0.0, high_deg=8.0),
                Secondary(coordinate="trunk_lean", low_deg=-3.0, high_deg=0.0),
            ),
            proximal=_TRUNK,
            distal=_UPPER_ARM,
            up_s=1.6,
            down_s=1.7,
        ),
        "shoulder_abduction": Exercise(
            coordinate="shoulder_abduction",
            start_deg=2.0,
            start_spread_deg=0.5,
            target_low_deg=83.0,
            target_high_deg=116.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="elbow_flexion", low_deg=0.0, high_deg=8.0),
                Secondary(coordinate="shoulder_flexion", low_deg=0.0, high_deg=6.0),
            ),
            proximal=_TRUNK,
            distal={"shoulder_abduction": 1.0},
            up_s=1.6,
            down_s=1.7,
        ),
        "shoulder_external_rotation_band": Exercise(
            coordinate="shoulder_rotation",
            start_deg=0.0,
            start_spread_deg=1.0,
            target_low_deg=32.0,
            target_high_deg=56.0,
            posture_deg={"elbow_flexion": 90.0},
            secondary=(Secondary(coordinate="shoulder_abduction", low_deg=0.0, high_deg=6.0),),
            proximal=_UPPER_ARM,
            distal={**_UPPER_ARM, "elbow_flexion": 1.0},
        ),
        "row_band": Exercise(
            coordinate="elbow_flexion",
            start_deg=3.0,
            start_spread_deg=1.0,
            target_low_deg=34.0,
            target_high_deg=58.0,
            posture_deg={"shoulder_flexion": 55.0},
            secondary=(
                Secondary(coordinate="shoulder_flexion", low_deg=-60.0, high_deg=-48.0),
                Secondary(coordinate="trunk_lean", low_deg=-3.0, high_deg=1.0),
            ),
            proximal=_UPPER_ARM,
            distal={**_UPPER_ARM, "elbow_flexion": 1.0},
        ),
        "hand_to_head": Exercise(
            coordinate="shoulder_abduction",
            start_deg=2.0,
            start_spread_deg=0.5,
            target_low_deg=75.0,
            target_high_deg=115.0,
            posture_deg={},
            secondary=(
                Secondary(coordinate="elbow_flexion", low_deg=95.0, high_deg=120.0),
                Secondary(coordinate="shoulder_flexion", low_deg=2.0, high_deg=12.0),
                Secondary(coordinate="shoulder_rotation", low_deg=20.0, high_deg=50.0),
            ),
            proximal=_TRUNK,
            distal={"shoulder_abduction": 1.0},
            up_s=1.6,
            down_s=1.7,
        ),
    }
)
