"""Angles from orientation: rotation about a horizontal axis, by inclination.

A sensor that turns about a horizontal axis j fixed in it sees the vertical turn the other way; its rotation since the
static pose follows from where the vertical stands now and stood then, without any memory between. Two such rotations
make a joint angle that no heading drift can reach.
"""

import numpy as np

from analytics.core.quaternions import FloatArray, cross, unit


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
