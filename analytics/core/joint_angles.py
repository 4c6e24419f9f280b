"""Angles from orientation: rotation about a horizontal axis by inclination, tilt, and the twist of a hinge.

A sensor that turns about a horizontal axis j fixed in it sees the vertical turn the other way; its rotation since the
static pose follows from where the vertical stands now and stood then, without any memory between. Two such rotations
make a joint angle that no heading drift can reach.
"""

from typing import Final

import numpy as np

from analytics.core.quaternions import FloatArray, conjugate, cross, multiply, unit

_TINY: Final = 1e-12


def plane_of_axis(axis: FloatArray, up_static: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the two directions that span the plane across an axis, the first towards the static vertical.

    Parameters
    ----------
    axis, up_static : ndarray, shape (3, n_series)
        Unit vectors in sensor coordinates.
    """
    first = unit(up_static - axis * (axis * up_static).sum(axis=0))
    return first, cross(axis, first)


def rotation_rad(up_sensor: FloatArray, first: FloatArray, second: FloatArray) -> FloatArray:
    """Return the rotation about the axis since the static pose, within (-pi, pi].

    Parameters
    ----------
    up_sensor : ndarray, shape (3, ..., n_series)
        The vertical in sensor coordinates.
    first, second : ndarray, shape (3, ..., n_series)
        From `plane_of_axis`.

    Examples
    --------
    >>> axis, up = np.array([0.0, 1, 0]), np.array([0.0, 0, 1])
    >>> turned_by_30 = np.array([-np.sin(np.pi / 6), 0, np.cos(np.pi / 6)])
    >>> round(float(np.rad2deg(rotation_rad(turned_by_30, *plane_of_axis(axis, up)))), 6)
    30.0
    """
    rotation: FloatArray = -np.arctan2((up_sensor * second).sum(axis=0), (up_sensor * first).sum(axis=0))
    return rotation


def hinge_rad(proximal: FloatArray, distal: FloatArray, axis_proximal: FloatArray) -> FloatArray:
    """Return the twist of the distal against the proximal segment about a hinge axis, within (-pi, pi].

    Both orientations must share one heading: two six-axis filters do not, unless their offset has been removed.

    Parameters
    ----------
    proximal, distal : ndarray, shape (4, ...)
        Segment -> earth.
    axis_proximal : ndarray, shape (3, ...) or (3,)
        Unit hinge axis in proximal coordinates.
    """
    relative = multiply(conjugate(proximal), distal)
    along = (relative[1:] * axis_proximal).sum(axis=0)
    along = np.where(relative[0] < 0, -along, along)
    twist: FloatArray = 2 * np.arctan2(along, np.abs(relative[0]))
    return twist


def tilt_rad(up_sensor: FloatArray, up_static: FloatArray) -> FloatArray:
    """Return the angle between the vertical now and in the static pose, in sensor coordinates, within [0, pi]."""
    difference, total = up_sensor - up_static, up_sensor + up_static
    tilt: FloatArray = 2 * np.arctan2(
        np.sqrt((difference * difference).sum(axis=0)), np.sqrt(np.maximum((total * total).sum(axis=0), _TINY))
    )
    return tilt
