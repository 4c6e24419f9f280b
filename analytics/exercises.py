"""What is measured for which exercise, as data.

Angles are the joint angle that a physiotherapist reads, in degrees: knee flexion 0 with the leg straight and 90 when
sitting, elbow flexion 0 with the arm hanging straight, hip and shoulder angles 0 in the neutral stance. A target is a
range of that angle at the end of the movement, so `knee_extension_seated` starts at 90 and its target is (0, 15).

Sensors are worn outside on the limb with x along the segment away from the trunk, y forwards on a right limb and
backwards on a left one, z outwards, within some 10°. A sensor that has turned around the limb does no harm where the
segment lies or turns widely. Rotations count positive about the axis that points to the patient's left when the
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
    code: str, start_deg: float, target_deg: tuple[float, float], *, thigh: int, shank: int, proximal: str = "thigh"
) -> Exercise:
    return Exercise(
        code=code,
        joint="knee",
        proximal_site=proximal,
        distal_site="shank",
        measure=Measure.HINGE_DIFFERENCE,
        neutral_angle_deg=start_deg,
        target_deg=target_deg,
        proximal_direction=thigh,
        distal_direction=shank,
    )


def _inclination(
    code: str,
    joint: str,
    sites: tuple[str, str],
    target_deg: tuple[float, float],
    *,
    start_deg: float = 0.0,
    measure: Measure = Measure.HINGE_INCLINATION,
    direction: int = -1,
    plane: Literal["sagittal", "frontal"] = "sagittal",
) -> Exercise:
    return Exercise(
        code=code,
        joint=joint,
        proximal_site=sites[0],
        distal_site=sites[1],
        measure=measure,
        neutral_angle_deg=start_deg,
        target_deg=target_deg,
        distal_direction=direction,
        plane=plane,
    )


_ALL: Final = (
    _knee("knee_extension_seated", 90, (0, 15), thigh=0, shank=-1),
    _knee("heel_slide", 0, (80, 110), thigh=-1, shank=1),
    _inclination("straight_leg_raise", "hip", ("pelvis", "thigh"), (40, 60)),
    _knee("mini_squat", 0, (40, 60), thigh=-1, shank=1),
    _knee("sit_to_stand", 90, (0, 10), thigh=1, shank=0),
    _knee("step_up", 0, (50, 80), thigh=-1, shank=1),
    _inclination("hip_abduction_standing", "hip", ("pelvis", "thigh"), (25, 45), direction=1, plane="frontal"),
    _inclination("hip_extension_standing", "hip", ("pelvis", "thigh"), (10, 25), direction=1),
    _inclination("bridge", "hip", ("trunk", "pelvis"), (25, 45), direction=-1),
    _inclination("heel_raise", "ankle", ("shank", "foot"), (20, 40), direction=1),
    _inclination("marching", "hip", ("pelvis", "thigh"), (60, 90)),
    _inclination("single_leg_stance", "hip", ("pelvis", "thigh"), (30, 90)),
    _inclination("trunk_flexion", "trunk", ("pelvis", "trunk"), (30, 60), direction=1),
    # The next two turn about the vertical, which inclination does not see: their range is not measurable yet.
    _inclination("trunk_rotation_seated", "trunk", ("pelvis", "trunk"), (30, 50)),
    _inclination("shoulder_external_rotation_band", "shoulder", ("upper_arm", "forearm"), (30, 60)),
    _inclination("shoulder_flexion", "shoulder", ("trunk", "upper_arm"), (90, 150), measure=Measure.TILT),
    _inclination("shoulder_abduction", "shoulder", ("trunk", "upper_arm"), (80, 120), measure=Measure.TILT),
    _inclination("row_band", "elbow", ("trunk", "upper_arm"), (30, 60)),
    _inclination("elbow_flexion", "elbow", ("upper_arm", "forearm"), (110, 140)),
    _inclination("hand_to_head", "shoulder", ("trunk", "upper_arm"), (70, 120), measure=Measure.TILT),
)

EXERCISES: Final[Mapping[str, Exercise]] = MappingProxyType({exercise.code: exercise for exercise in _ALL})
