"""The body: segments on joints, and what a point on a segment feels.

The frame of a segment is x forward, y left, z towards the head while the person stands with the arms hanging. A
chain leads from a base, which may sway, over joints and segment lengths to one segment; along it the angular rate,
the angular acceleration and the specific force are carried in closed form (the forward half of Newton-Euler), so
nothing is differentiated numerically.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

GRAVITY_M_S2: Final = 9.80665

#: Coordinates of the body [rad]; the row numbers of every array of joint angles.
COORDINATES: Final = (
    "shank_lean",
    "pelvis_tilt",
    "trunk_lean",
    "hip_flexion",
    "hip_abduction",
    "hip_rotation",
    "knee_flexion",
    "knee_abduction",
    "shoulder_flexion",
    "shoulder_abduction",
    "elbow_flexion",
    "forearm_rotation",
    "trunk_rotation",
    "shoulder_rotation",
    "foot_pitch",
    "wrist_flexion",
    "pelvis_list",
)
COORDINATE_INDEX: Final[Mapping[str, int]] = {name: index for index, name in enumerate(COORDINATES)}

SEGMENTS: Final = ("pelvis", "trunk", "thigh", "shank", "foot", "upper_arm", "forearm", "hand")
Carrier = Literal["pelvis", "feet", "shoulders"]
"""What rests and carries the rest: sitting or standing on the other leg, standing, lying with the pelvis lifted."""

_X, _Y, _Z = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Turn:
    """A joint that turns by `sign` times a coordinate about an axis (0 x, 1 y, 2 z) of the segment before it."""

    axis: int
    sign: float
    coordinate: int


@dataclass(frozen=True, slots=True)
class Shift:
    """The way from one joint to the next in the frame of the segment between [m]."""

    offset_m: tuple[float, float, float]


Chain = Sequence[Turn | Shift]


@dataclass(frozen=True, kw_only=True, slots=True)
class JointMotion:
    """Joint angles and how they change, each of shape (n_coordinates, n_samples)."""

    angle_rad: FloatArray
    rate_rad_s: FloatArray
    acceleration_rad_s2: FloatArray


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentMotion:
    """What a segment does, in its own frame, each of shape (3, n_samples).

    `specific_force_m_s2` is that of the segment's upper joint: acceleration minus gravity, +9.81 upwards at rest.
    `rotation`, of shape (3, 3, n_samples), takes vectors from the segment to the earth.
    """

    specific_force_m_s2: FloatArray
    rate_rad_s: FloatArray
    acceleration_rad_s2: FloatArray
    rotation: FloatArray


@dataclass(frozen=True, kw_only=True, slots=True)
class Anthropometry:
    """Lengths of a person [m], as shares of the height (Winter)."""

    height_m: float = 1.70

    @property
    def thigh_m(self) -> float:
        """Hip to knee."""
        return 0.245 * self.height_m

    @property
    def shank_m(self) -> float:
        """Knee to ankle."""
        return 0.246 * self.height_m

    @property
    def ball_to_ankle_m(self) -> float:
        """Ball of the foot, about which the heel rises, to the ankle."""
        return 0.09 * self.height_m

    @property
    def hip_half_width_m(self) -> float:
        """Middle of the pelvis to the hip."""
        return 0.0955 * self.height_m

    @property
    def trunk_m(self) -> float:
        """Hip to shoulder, upwards."""
        return 0.288 * self.height_m

    @property
    def shoulder_half_width_m(self) -> float:
        """Middle of the trunk to the shoulder."""
        return 0.129 * self.height_m

    @property
    def upper_arm_m(self) -> float:
        """Shoulder to elbow."""
        return 0.186 * self.height_m

    @property
    def forearm_m(self) -> float:
        """Elbow to wrist."""
        return 0.146 * self.height_m


def chain_to(segment: str, *, side: str, body: Anthropometry, carried_by: Carrier = "pelvis") -> Chain:
    """Return the chain to a segment.

    Parameters
    ----------
    segment : one of SEGMENTS
    side : {"left", "right"}
        Of the limb; without meaning for pelvis and trunk.
    body : Anthropometry
    carried_by : Carrier

    Raises
    ------
    KeyError
        For a segment that this body does not have.
    """
    left = 1.0 if side == "left" else -1.0
    tilted: Chain = [_turn(_Y, 1.0, "pelvis_tilt"), _turn(_X, left, "pelvis_list")]
    pelvis = tilted
    if carried_by == "shoulders":
        pelvis = [*tilted, Shift((0.0, 0.0, -body.trunk_m))]
    if carried_by == "feet":
        foot: Chain = [_turn(_Y, 1.0, "foot_pitch"), Shift((-body.ball_to_ankle_m, 0.0, 0.0))]
        shank: Chain = [
            *foot,
            _turn(_Y, -1.0, "foot_pitch"),
            _turn(_Y, 1.0, "shank_lean"),
            Shift((0.0, 0.0, body.shank_m)),
        ]
        thigh: Chain = [*shank, _turn(_Y, -1.0, "knee_flexion"), Shift((0.0, 0.0, body.thigh_m))]
        hip = [_turn(_Y, 1.0, "hip_flexion"), _turn(_X, left, "pelvis_list")]
        pelvis = [*thigh, *hip, Shift((0.0, -left * body.hip_half_width_m, 0.0))]
    else:
        thigh = [
            *pelvis,
            Shift((0.0, left * body.hip_half_width_m, 0.0)),
            _turn(_Y, -1.0, "hip_flexion"),
            _turn(_X, left, "hip_abduction"),
            _turn(_Z, left, "hip_rotation"),
        ]
        knee = Shift((0.0, 0.0, -body.thigh_m))
        shank = [*thigh, knee, _turn(_Y, 1.0, "knee_flexion"), _turn(_X, left, "knee_abduction")]
        foot = [*shank, Shift((0.0, 0.0, -body.shank_m)), _turn(_Y, 1.0, "foot_pitch")]
    trunk: Chain = [*pelvis, _turn(_Z, left, "trunk_rotation"), _turn(_Y, 1.0, "trunk_lean")]
    shoulder: Chain = [*trunk, Shift((0.0, left * body.shoulder_half_width_m, body.trunk_m))]
    upper_arm: Chain = [
        *shoulder,
        _turn(_Y, -1.0, "shoulder_flexion"),
        _turn(_X, left, "shoulder_abduction"),
        _turn(_Z, left, "shoulder_rotation"),
    ]
    forearm: Chain = [
        *upper_arm,
        Shift((0.0, 0.0, -body.upper_arm_m)),
        _turn(_Y, -1.0, "elbow_flexion"),
        _turn(_Z, left, "forearm_rotation"),
    ]
    hand: Chain = [*forearm, Shift((0.0, 0.0, -body.forearm_m)), _turn(_Y, -1.0, "wrist_flexion")]
    chains = (pelvis, trunk, thigh, shank, foot, upper_arm, forearm, hand)
    return dict(zip(SEGMENTS, chains, strict=True))[segment]


def move_segment(chain: Chain, joints: JointMotion, *, base_acceleration_m_s2: FloatArray) -> SegmentMotion:
    """Carry rates, accelerations and specific force along a chain.

    Parameters
    ----------
    chain : sequence of Turn and Shift
    joints : JointMotion
    base_acceleration_m_s2 : ndarray, shape (3, n_samples)
        Acceleration of the base in the earth frame, without gravity. [m/s²]
    """
    n_samples = joints.angle_rad.shape[1]
    force = np.array(base_acceleration_m_s2, dtype=np.float64)
    force[_Z] += GRAVITY_M_S2
    rate = np.zeros((3, n_samples))
    acceleration = np.zeros((3, n_samples))
    rotation = np.zeros((3, 3, n_samples))
    rotation[[0, 1, 2], [0, 1, 2]] = 1.0
    for step in chain:
        if isinstance(step, Shift):
            force = force + lever_arm_m_s2(np.array(step.offset_m), rate_rad_s=rate, acceleration_rad_s2=acceleration)
            continue
        angle = step.sign * joints.angle_rad[step.coordinate]
        angle_rate = step.sign * joints.rate_rad_s[step.coordinate]
        cosine, sine = np.cos(angle), np.sin(angle)
        force, rate, acceleration = (
            _turn_back(vector, step.axis, cosine, sine) for vector in (force, rate, acceleration)
        )
        rotation = _turn_columns(rotation, step.axis, cosine, sine)
        first, second = (step.axis + 1) % 3, (step.axis + 2) % 3
        # The parent's rate, seen from the turning child, changes direction: rate x axis * angle_rate.
        acceleration[first] += rate[second] * angle_rate
        acceleration[second] -= rate[first] * angle_rate
        acceleration[step.axis] += step.sign * joints.acceleration_rad_s2[step.coordinate]
        rate[step.axis] += angle_rate
    return SegmentMotion(
        specific_force_m_s2=force, rate_rad_s=rate, acceleration_rad_s2=acceleration, rotation=rotation
    )


def lever_arm_m_s2(offset_m: FloatArray, *, rate_rad_s: FloatArray, acceleration_rad_s2: FloatArray) -> FloatArray:
    """Return what a point off the joint feels more: `α x r + ω x (ω x r)`.

    Examples
    --------
    A point 0.4 m below a joint that turns with 2 rad/s is pulled upwards by 4 * 0.4 m/s².

    >>> turning, steady = np.array([[0.0], [2.0], [0.0]]), np.zeros((3, 1))
    >>> lever_arm_m_s2(np.array([0.0, 0.0, -0.4]), rate_rad_s=turning, acceleration_rad_s2=steady)[2].tolist()
    [1.6]
    """
    offset = offset_m[:, None]
    result: FloatArray = _cross(acceleration_rad_s2, offset) + _cross(rate_rad_s, _cross(rate_rad_s, offset))
    return result


def _turn(axis: int, sign: float, coordinate: str) -> Turn:
    return Turn(axis, sign, COORDINATE_INDEX[coordinate])


def _turn_back(vector: FloatArray, axis: int, cosine: FloatArray, sine: FloatArray) -> FloatArray:
    """Express a vector of the parent in the child that is turned about `axis`."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turned = np.empty_like(vector)
    turned[axis] = vector[axis]
    turned[first] = cosine * vector[first] + sine * vector[second]
    turned[second] = cosine * vector[second] - sine * vector[first]
    return turned


def _turn_columns(rotation: FloatArray, axis: int, cosine: FloatArray, sine: FloatArray) -> FloatArray:
    """Multiply rotations from the right by a turn about `axis`."""
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turned = rotation.copy()
    turned[:, first] = cosine * rotation[:, first] + sine * rotation[:, second]
    turned[:, second] = cosine * rotation[:, second] - sine * rotation[:, first]
    return turned


def _cross(left: FloatArray, right: FloatArray) -> FloatArray:
    return np.stack(
        [
            left[1] * right[2] - left[2] * right[1],
            left[2] * right[0] - left[0] * right[2],
            left[0] * right[1] - left[1] * right[0],
        ]
    )
