"""From sensor to segment: still start, static pose, functional hinge axis. All columns at once, once per tick.

The still gate asks more than "little rotation": slow sway passes for rest in the published rest test and is then
learned as bias, so the direction of the acceleration must not spread either. Both are compared between means of half a
second, in which the tremor of an old hand (4 to 12 Hz) cancels and sway does not. The hinge axis is the direction about
which a sensor turns most (principal axis of its angular velocity, as in T. Seel et al., Sensors 14 (2014) 6891, and
F. Olsson et al., Sensors 20 (2020) 3534, who compare two sensors; one sensor suffices for a plane movement). Where a
segment hardly turns, the pose tells, and where it stands upright the side of the limb on which sensors are worn.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from analytics.core.columns import Columns
from analytics.core.orientation import BoolArray
from analytics.core.quaternions import FloatArray, cross, unit

_TRACE: Final = np.float32(1e-3)
_STATE_SHAPES: Final = {
    "block": (6,),  # sum of the readings since the last verdict
    "block_ticks": (),
    "total": (6,),  # of all blocks that agree
    "ticks": (),
    "lowest": (6,),  # of the means of these blocks, acceleration as a direction
    "highest": (6,),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class StillParameters:
    """What counts as still: spreads are between the means of blocks."""

    block_ticks: int = 5
    gyro_spread_rad_s: float = math.radians(1.0)
    direction_spread_rad: float = math.radians(1.0)
    tick_deviation_rad_s: float = math.radians(4.0)  # of a tick's mean from the rest so far
    within_tick_rad_s: float = math.radians(10.0)  # between two samples of a tick


class StillGate:
    """Tells since how many ticks each sensor has been still, and its mean readings since then.

    Parameters
    ----------
    n_series : int
    parameters : StillParameters
    """

    def __init__(self, n_series: int, parameters: StillParameters = StillParameters()) -> None:
        self.parameters = parameters
        self.state = Columns(_STATE_SHAPES, n_series, np.float32)

    def advance(self, mean: FloatArray, gyro_range_rad_s: FloatArray, usable: BoolArray) -> FloatArray:
        """Take in one tick.

        Parameters
        ----------
        mean : ndarray, shape (6, n_series)
            Mean specific force and angular velocity of the tick. [m/s²], [rad/s]
        gyro_range_rad_s : ndarray, shape (n_series,)
            Largest minus smallest angular velocity within the tick, of the axis where it is largest. [rad/s]
        usable : ndarray of bool, shape (n_series,)
            Whether all samples of the tick are there.

        Returns
        -------
        still_ticks : ndarray, shape (n_series,)
            Length of the rest as far as it has been judged: a multiple of the block. [ticks]
        """
        s, p = self.state, self.parameters
        block, block_ticks, total, ticks = s["block"], s["block_ticks"], s["total"], s["ticks"]
        lowest, highest = s["lowest"], s["highest"]
        is_first = ticks == 0
        deviation = np.abs(mean[3:] - (lowest[3:] + highest[3:]) / 2).max(axis=0)
        goes_on = usable & (gyro_range_rad_s < p.within_tick_rad_s) & (is_first | (deviation < p.tick_deviation_rad_s))
        block += mean
        block_ticks += 1
        reading = block / p.block_ticks
        reading[:3] = unit(reading[:3])
        spread = np.maximum(highest, reading) - np.minimum(lowest, reading)
        agrees = (spread[:3].max(axis=0) < p.direction_spread_rad) & (spread[3:].max(axis=0) < p.gyro_spread_rad_s)
        is_full = block_ticks == p.block_ticks
        begins = is_full & (is_first | ~agrees)
        for array, first in ((lowest, reading), (highest, reading), (total, 0), (ticks, 0)):
            np.copyto(array, first, where=begins)
        np.minimum(lowest, reading, out=lowest, where=is_full)
        np.maximum(highest, reading, out=highest, where=is_full)
        np.add(total, block, out=total, where=is_full)
        np.add(ticks, p.block_ticks, out=ticks, where=is_full)
        for array in (block, block_ticks):
            np.copyto(array, 0, where=is_full | ~goes_on)
        for array in (total, ticks):
            np.copyto(array, 0, where=~goes_on)
        return ticks

    def mean(self) -> FloatArray:
        """Return the mean readings since each sensor became still, shape (6, n_series). [m/s²], [rad/s]"""
        mean: FloatArray = self.state["total"] / np.maximum(self.state["ticks"], 1)
        return mean


def axis_from_pose(
    up_sensor: FloatArray, worn_axis: FloatArray, is_sagittal: BoolArray
) -> tuple[FloatArray, BoolArray]:
    """Return the horizontal axis of the exercise from the static pose and the way the sensor should be worn.

    The sensor's x axis lies along the segment, away from the trunk. Where the segment lies and the exercise is
    sagittal, vertical and segment give the axis, however the sensor has turned around the limb; elsewhere the right
    way of wearing it gives the axis.

    Parameters
    ----------
    up_sensor : ndarray, shape (3, n_series)
        The vertical in sensor coordinates, unit length.
    worn_axis : ndarray, shape (3, n_series)
        The axis in coordinates of a sensor that sits as it should.
    is_sagittal : ndarray of bool, shape (n_series,)
        Whether the axis points to the patient's left.

    Returns
    -------
    axis : ndarray, shape (3, n_series)
    is_sure : ndarray of bool, shape (n_series,)
        Where the pose alone told the axis.
    """
    away_from_trunk = np.zeros_like(up_sensor)
    away_from_trunk[0] = 1
    across = cross(up_sensor, away_from_trunk)
    is_sure: BoolArray = is_sagittal & ((across * across).sum(axis=0) > 0.5)
    worn_level = worn_axis - up_sensor * (worn_axis * up_sensor).sum(axis=0)
    return unit(np.where(is_sure, across, worn_level)), is_sure


def improve_axis(axis: FloatArray, moments: FloatArray, prior_axis: FloatArray, prior_weight: FloatArray) -> FloatArray:
    """Return the axes turned towards the principal axes of the angular velocity: two steps of the power iteration.

    The iteration cannot leave an axis that is exactly across all movement, which sensors without noise do show; so a
    trace of the largest column of the moments, which has a part along the principal axis, goes into each start.

    Parameters
    ----------
    axis : ndarray, shape (3, n_series)
        Present axes; the result has the same sign.
    moments : ndarray, shape (6, n_series)
        Sums of xx yy zz xy xz yz of the angular velocity.
    prior_axis : ndarray, shape (3, n_series)
    prior_weight : ndarray, shape (n_series,)
        In the unit of `moments`.
    """
    xx, yy, zz, xy, xz, yz = moments
    columns = np.stack([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    largest = moments[:3].argmax(axis=0)
    moved = unit(columns[largest, :, np.arange(axis.shape[1])].T)
    axis = axis + np.copysign(_TRACE, (axis * moved).sum(axis=0)) * moved
    for _ in range(2):
        x, y, z = axis
        towards_prior = prior_weight * (prior_axis * axis).sum(axis=0)
        turned = np.stack([xx * x + xy * y + xz * z, xy * x + yy * y + yz * z, xz * x + yz * y + zz * z])
        turned += prior_axis * towards_prior
        axis = unit(turned + 1e-9 * axis)
    return axis
