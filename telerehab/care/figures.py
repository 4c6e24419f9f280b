"""The moving figure of an exercise, as data: a stick figure in a box of 1 by 1, x to the right, y up from the floor.

`side` shows the person from the right, looking to the right of the picture; `front` shows the person facing the
viewer. `hip`, `knee`, ..., `hand` are the limbs of the right side, which trains; those of the left are `other_...`.
For the left side the picture is mirrored (`mirrored`), so the training limb is always the near or named one.

A picture between two frames: the pelvis moves straight; every other joint keeps to its parent in `BONES`, its
direction turned the shorter way and its length changed evenly. So a leg that swings does not shrink on its way.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from telerehab.care.reading import KNOWN_FIELDS_ONLY, Fault, Number, Switch

BONES: Final[Mapping[str, str]] = {
    "neck": "pelvis",
    "head": "neck",
    "shoulder": "neck",
    "elbow": "shoulder",
    "hand": "elbow",
    "hip": "pelvis",
    "knee": "hip",
    "ankle": "knee",
    "toe": "ankle",
    "other_shoulder": "neck",
    "other_elbow": "other_shoulder",
    "other_hand": "other_elbow",
    "other_hip": "pelvis",
    "other_knee": "other_hip",
    "other_ankle": "other_knee",
    "other_toe": "other_ankle",
}
"""Parent of each joint; the pelvis has none. Parents stand before their children."""
JOINTS: Final = ("pelvis", *BONES)
BONE_TOLERANCE: Final = 0.02
"""So much may a bone differ between two poses of a figure that stays in the picture's plane [sides of the box]."""

Coordinate = Annotated[Number, Field(ge=0, le=1)]
Point = tuple[Coordinate, Coordinate]
PoseName = Annotated[str, Field(pattern=r"^[a-z][a-z_]{0,31}$")]
JointName = Annotated[str, Field(max_length=32)]
Pose = dict[JointName, Point]


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """When the figure stands in which pose."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    at_s: Annotated[Number, Field(ge=0, le=60)]
    pose: PoseName


@dataclass(frozen=True, kw_only=True, slots=True)
class Prop:
    """Something that stands still, drawn as one line through the points."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    kind: Literal["floor", "chair", "table", "step", "rail", "mat", "wall", "anchor"]
    points: Annotated[tuple[Point, ...], Field(min_length=2, max_length=8)]


@dataclass(frozen=True, kw_only=True, slots=True)
class Band:
    """An elastic band from a joint to another joint or to a point that stands still."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    start: JointName
    stop: JointName | Point


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """A figure that moves through its frames and then begins again."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    view: Literal["side", "front"]
    is_turning: Switch
    """Whether something moves out of the picture's plane, so that bones look shorter."""
    poses: Annotated[dict[PoseName, Pose], Field(min_length=2, max_length=4)]
    frames: Annotated[tuple[Frame, ...], Field(min_length=2, max_length=12)]
    props: Annotated[tuple[Prop, ...], Field(max_length=8)] = ()
    bands: Annotated[tuple[Band, ...], Field(max_length=2)] = ()


def find_figure_faults(figure: Figure, *, at: str) -> Iterator[Fault]:
    """Yield what would make a figure jump, stretch or miss a limb."""
    for name, pose in figure.poses.items():
        for joint in JOINTS:
            if joint not in pose:
                yield Fault(at=f"{at}.poses.{name}.{joint}", code="joint_missing")
        if set(pose) - set(JOINTS):
            yield Fault(at=f"{at}.poses.{name}", code="joint_unknown")
    yield from _frame_faults(figure, at=at)
    for index, band in enumerate(figure.bands):
        for end in (band.start, band.stop):
            if isinstance(end, str) and end not in JOINTS:
                yield Fault(at=f"{at}.bands.{index}", code="joint_unknown")
    if not figure.is_turning:
        yield from _bone_faults(figure, at=at)


def mirrored(figure: Figure) -> Figure:
    """Return the figure for the other side of the body."""
    return replace(
        figure,
        poses={name: {joint: _mirrored(point) for joint, point in pose.items()} for name, pose in figure.poses.items()},
        props=tuple(replace(prop, points=tuple(_mirrored(point) for point in prop.points)) for prop in figure.props),
        bands=tuple(
            replace(band, stop=band.stop if isinstance(band.stop, str) else _mirrored(band.stop))
            for band in figure.bands
        ),
    )


def _mirrored(point: tuple[float, float]) -> tuple[float, float]:
    return (round(1 - point[0], 6), point[1])


def _frame_faults(figure: Figure, *, at: str) -> Iterator[Fault]:
    used = [frame.pose for frame in figure.frames]
    if set(used) - set(figure.poses):
        yield Fault(at=f"{at}.frames", code="pose_unknown")
    if set(figure.poses) - set(used):
        yield Fault(at=f"{at}.poses", code="pose_unused")
    if figure.frames[0].at_s != 0 or any(later.at_s <= earlier.at_s for earlier, later in pairwise(figure.frames)):
        yield Fault(at=f"{at}.frames", code="times_not_rising_from_zero")
    if used[0] != used[-1]:
        yield Fault(at=f"{at}.frames", code="does_not_close")


def _bone_faults(figure: Figure, *, at: str) -> Iterator[Fault]:
    for joint, parent in BONES.items():
        lengths = [
            math.dist(pose[joint], pose[parent]) for pose in figure.poses.values() if {joint, parent} <= set(pose)
        ]
        if lengths and max(lengths) - min(lengths) > BONE_TOLERANCE:
            yield Fault(at=f"{at}.poses", code=f"bone_changes_length.{joint}")
