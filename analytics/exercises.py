"""What is measured for which exercise, as data.

Angles are the joint angle that a physiotherapist reads, in degrees: knee flexion 0 with the leg straight and 90 when
sitting, elbow flexion 0 with the arm hanging straight, hip and shoulder angles 0 in the neutral stance. A target is a
range of that angle at the end of the movement, so `knee_extension_seated` starts at 90 and its target is (0, 15).

Sensors are worn outside on the limb with x along the segment away from the trunk (on trunk and pelvis: towards the
feet), y forwards on a right limb and backwards on a left one, z outwards, within some 10°. A sensor that has turned
around the limb does no harm where the segment lies or turns widely. Only in `sit_to_stand` the shank does neither: its
sensor must sit outside; one turned by about 90° is noticed and the angle withheld, one on the inner side is not
noticed and the shank's lean (some 5° to 15°) then counts with the wrong sign.

The start pose is not measured but taken from here (or from the therapist): the angle shown is this number plus what has
been turned since. A knee that starts at 75° or 100° where 90° is written therefore shows 15° too much or 10° too
little throughout, while its range of motion is right.

Where one sensor measures (hip, shoulder, elbow, trunk, ankle) the angle is that of its segment to the vertical: what
the next segment does meanwhile counts as movement of the joint. So a shoulder that swings 5° forward during an elbow
flexion adds 5°.

Rotations count positive about the axis that points to the patient's left when the
movement is sagittal, and about the one that lifts the limb sideways when it is frontal: the thigh of a sitting person
turns by +90° to stand, the shank by -90° to straighten the knee. So knee flexion is the rotation of the shank minus
that of the thigh.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final, Literal


class Measure(IntEnum):
    """How the angle is formed from the sensors."""

    HINGE_DIFFERENCE = 0  # difference of two sagittal inclinations: free of drift while the hinge axis is horizontal
    HINGE_INCLINATION = 1  # rotation of the distal segment about its own horizontal axis
    TILT = 2  # angle between the distal segment's present and first direction to the vertical, without sign


@dataclass(frozen=True, kw_only=True, slots=True)
class Exercise:
    """One exercise.

    Parameters
    ----------
    code : str
        The word for it everywhere in the product.
    joint : str
    proximal_site, distal_site : str
        Where the two sensors sit; the distal one suffices unless `measure` is a difference.
    measure : Measure
    neutral_angle_deg : float
        Joint angle in the start pose, which is held still before the first repetition. [°]
    target_deg : (float, float)
        Where the movement should end unless the therapist says otherwise; lower and upper bound. [°]
    proximal_direction, distal_direction : int
        Sign of the rotation that the exercise asks of the segment, by which an unknown axis is turned the right way;
        0 where it asks none of one kind: then pose and wearing must tell.
    plane : "sagittal" or "frontal"
    proximal_from_down_deg, distal_from_down_deg : float, optional
        Angle between the segment and straight down in the start pose, by which another pose is told from it. [°]
    is_measurable : bool
        Whether these sensors can tell angle and repetitions; if not, nothing is shown or counted.
    """

    code: str
    joint: str
    proximal_site: str
    distal_site: str
    measure: Measure
    neutral_angle_deg: float
    target_deg: tuple[float, float]
    proximal_direction: int = 0
    distal_direction: int = 1
    plane: Literal["sagittal", "frontal"] = "sagittal"
    proximal_from_down_deg: float | None = None
    distal_from_down_deg: float | None = None
    is_measurable: bool = True

    def worn_axis(self, side: str) -> tuple[float, float, float]:
        """Return the axis of positive rotation in the coordinates of a sensor that is worn as it should be."""
        if self.plane == "frontal":
            return (0.0, -1.0, 0.0)
        return (0.0, 0.0, 1.0) if side == "left" else (0.0, 0.0, -1.0)

    @property
    def needs_both_sensors(self) -> bool:
        """Whether the angle lies between the two sensors."""
        return self.measure is Measure.HINGE_DIFFERENCE


def expected_range_deg(neutral_angle_deg: float, target_deg: tuple[float, float]) -> float:
    """Return the signed way from the start pose to the middle of the target. [°]

    Examples
    --------
    >>> expected_range_deg(90, (0, 10))
    -85.0
    """
    return (target_deg[0] + target_deg[1]) / 2 - neutral_angle_deg


def _knee(
    code: str, start_deg: float, target_deg: tuple[float, float], *, turns: tuple[int, int], stands: tuple[float, float]
) -> Exercise:
    """Return an exercise of the knee; `turns` are the directions, `stands` the start pose of thigh and shank."""
    return Exercise(
        code=code,
        joint="knee",
        proximal_site="thigh",
        distal_site="shank",
        measure=Measure.HINGE_DIFFERENCE,
        neutral_angle_deg=start_deg,
        target_deg=target_deg,
        proximal_direction=turns[0],
        distal_direction=turns[1],
        proximal_from_down_deg=stands[0],
        distal_from_down_deg=stands[1],
    )


def _inclination(
    code: str,
    joint: str,
    sites: tuple[str, str],
    target_deg: tuple[float, float],
    *,
    stands: float = 0.0,
    measure: Measure = Measure.HINGE_INCLINATION,
    direction: int = -1,
    plane: Literal["sagittal", "frontal"] = "sagittal",
    is_measurable: bool = True,
) -> Exercise:
    """Return an exercise of one segment, whose joint angle is 0 in the start pose."""
    return Exercise(
        code=code,
        joint=joint,
        proximal_site=sites[0],
        distal_site=sites[1],
        measure=measure,
        neutral_angle_deg=0.0,
        target_deg=target_deg,
        distal_direction=direction,
        plane=plane,
        distal_from_down_deg=stands,
        is_measurable=is_measurable,
    )


_SITS: Final = (90.0, 0.0)  # thigh and shank from straight down
_LIES: Final = (90.0, 90.0)
_STANDS: Final = (0.0, 0.0)

_ALL: Final = (
    _knee("knee_extension_seated", 90, (0, 15), turns=(0, -1), stands=_SITS),
    _knee("heel_slide", 0, (80, 110), turns=(-1, 1), stands=_LIES),
    _inclination("straight_leg_raise", "hip", ("pelvis", "thigh"), (40, 60), stands=90),
    _knee("mini_squat", 0, (40, 60), turns=(-1, 1), stands=_STANDS),
    _knee("sit_to_stand", 90, (0, 10), turns=(1, 0), stands=_SITS),
    _knee("step_up", 0, (50, 80), turns=(-1, 1), stands=_STANDS),
    _inclination("hip_abduction_standing", "hip", ("pelvis", "thigh"), (25, 45), direction=1, plane="frontal"),
    _inclination("hip_extension_standing", "hip", ("pelvis", "thigh"), (10, 25), direction=1),
    _inclination("bridge", "hip", ("trunk", "pelvis"), (25, 45), stands=90),
    _inclination("heel_raise", "ankle", ("shank", "foot"), (20, 40), direction=1, stands=90),
    _inclination("marching", "hip", ("pelvis", "thigh"), (60, 90)),
    _inclination("single_leg_stance", "hip", ("pelvis", "thigh"), (30, 90)),
    _inclination("trunk_flexion", "trunk", ("pelvis", "trunk"), (30, 60), direction=1),
    # These two turn about the vertical, which inclination does not see.
    _inclination("trunk_rotation_seated", "trunk", ("pelvis", "trunk"), (30, 50), is_measurable=False),
    _inclination(
        "shoulder_external_rotation_band", "shoulder", ("upper_arm", "forearm"), (30, 60), is_measurable=False
    ),
    _inclination("shoulder_flexion", "shoulder", ("trunk", "upper_arm"), (90, 150), measure=Measure.TILT),
    _inclination("shoulder_abduction", "shoulder", ("trunk", "upper_arm"), (80, 120), measure=Measure.TILT),
    # One sensor on the upper arm does not see the elbow, whose angle the target means.
    _inclination("row_band", "elbow", ("trunk", "upper_arm"), (30, 60), is_measurable=False),
    _inclination("elbow_flexion", "elbow", ("upper_arm", "forearm"), (110, 140)),
    _inclination("hand_to_head", "shoulder", ("trunk", "upper_arm"), (70, 120), measure=Measure.TILT),
)

EXERCISES: Final[Mapping[str, Exercise]] = MappingProxyType({exercise.code: exercise for exercise in _ALL})
