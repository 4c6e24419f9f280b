"""Quaternions and vectors as component-major arrays, many series at once.

A quaternion array has shape `(4, ...)`, w x y z, and turns sensor coordinates into earth coordinates; a vector array
has shape `(3, ...)`. Series are the last axis and contiguous, so that every ufunc sees long rows. The hot functions
take `out` and `scratch`; without them they allocate.
"""

from typing import Final, TypeAlias

import numpy as np
import numpy.typing as npt

FloatArray: TypeAlias = npt.NDArray[np.floating]

_TINY: Final = 1e-12


def multiply(
    left: FloatArray, right: FloatArray, out: FloatArray | None = None, scratch: FloatArray | None = None
) -> FloatArray:
    """Return the Hamilton product of two quaternion arrays.

    Parameters
    ----------
    left, right : ndarray, shape (4, ...)
    out : ndarray, shape (4, ...), optional
        Written and returned; shares no memory with `left` or `right`.
    scratch : ndarray, shape (...), optional

    Examples
    --------
    >>> i, j = np.array([0.0, 1, 0, 0]), np.array([0.0, 0, 1, 0])
    >>> multiply(i, j).tolist()
    [0.0, 0.0, 0.0, 1.0]
    """
    shape = np.broadcast_shapes(left.shape, right.shape) if out is None else out.shape
    product = np.empty(shape, np.result_type(left, right)) if out is None else out
    t = np.empty(shape[1:], product.dtype) if scratch is None else scratch
    a, b, c, d = left
    w, x, y, z = right
    _sum_of_products(product[0, ...], t, (a, w, 1), (b, x, -1), (c, y, -1), (d, z, -1))
    _sum_of_products(product[1, ...], t, (a, x, 1), (b, w, 1), (c, z, 1), (d, y, -1))
    _sum_of_products(product[2, ...], t, (a, y, 1), (c, w, 1), (d, x, 1), (b, z, -1))
    _sum_of_products(product[3, ...], t, (a, z, 1), (d, w, 1), (b, y, 1), (c, x, -1))
    return product


def rotate(
    quaternion: FloatArray, vector: FloatArray, out: FloatArray | None = None, scratch: FloatArray | None = None
) -> FloatArray:
    """Return the vectors in earth coordinates: `q v q⁻¹`.

    Parameters
    ----------
    quaternion : ndarray, shape (4, ...)
        Unit quaternions, sensor -> earth.
    vector : ndarray, shape (3, ...)
        In sensor coordinates.
    out : ndarray, shape (3, ...), optional
        Shares no memory with `vector`.
    scratch : ndarray, shape (4, ...), optional
    """
    return _rotate(quaternion, vector, out, scratch, inverse=False)


def rotate_inverse(
    quaternion: FloatArray, vector: FloatArray, out: FloatArray | None = None, scratch: FloatArray | None = None
) -> FloatArray:
    """Return the vectors in sensor coordinates: `q⁻¹ v q`; arguments as in `rotate`, `vector` in earth coordinates."""
    return _rotate(quaternion, vector, out, scratch, inverse=True)


def shortest_rotation(start: FloatArray, stop: FloatArray) -> FloatArray:
    """Return the shortest rotation that takes unit vectors `start` to unit vectors `stop`, shape (4, ...).

    `m = (c, (u × v) / 2c)`, `c = sqrt((1 + u·v) / 2)`; opposite vectors give a finite, arbitrary result.
    """
    c = np.sqrt(np.maximum((1 + (start * stop).sum(axis=0)) / 2, _TINY))
    rotation = np.empty((4, *c.shape), c.dtype)
    rotation[0] = c
    rotation[1:] = cross(start, stop) / (2 * c)
    return rotation


def cross(left: FloatArray, right: FloatArray) -> FloatArray:
    """Return the cross product of vector arrays, shape (3, ...)."""
    a, b, c = left
    x, y, z = right
    return np.stack([b * z - c * y, c * x - a * z, a * y - b * x])


def unit(vector: FloatArray) -> FloatArray:
    """Return the vectors or quaternions at length one; a zero vector stays zero."""
    length = np.sqrt((vector * vector).sum(axis=0))
    scaled: FloatArray = vector / np.maximum(length, _TINY)
    return scaled


def step_quaternion(
    gyro_rad_s: FloatArray,
    sampling_interval_s: float,
    out: FloatArray | None = None,
    scratch: FloatArray | None = None,
) -> FloatArray:
    """Return the rotation of one sampling interval at constant angular velocity, without root, sine or division.

    Even polynomials in half the angle; the error is below 1e-9 at 2000 °/s and 100 Hz.

    Parameters
    ----------
    gyro_rad_s : ndarray, shape (3, ...)
        Angular velocity in sensor coordinates. [rad/s]
    sampling_interval_s : float
    out : ndarray, shape (4, ...), optional
    scratch : ndarray, shape (...), optional

    Examples
    --------
    >>> quarter_turn = step_quaternion(np.array([np.pi / 2, 0, 0]), 0.5)  # 45° about x
    >>> np.round(quarter_turn, 4).tolist()
    [0.9239, 0.3827, 0.0, 0.0]
    """
    step = np.empty((4, *gyro_rad_s.shape[1:]), gyro_rad_s.dtype) if out is None else out
    h = np.empty(gyro_rad_s.shape[1:], gyro_rad_s.dtype) if scratch is None else scratch
    x, y, z = gyro_rad_s
    t = step[1, ...]
    np.multiply(x, x, out=h)
    np.multiply(y, y, out=t)
    np.add(h, t, out=h)
    np.multiply(z, z, out=t)
    np.add(h, t, out=h)
    np.multiply(h, sampling_interval_s * sampling_interval_s / 4, out=h)
    cosine, factor = step[0, ...], step[3, ...]
    _polynomial(h, (1, -1 / 2, 1 / 24, -1 / 720), cosine)
    half = sampling_interval_s / 2
    _polynomial(h, (half, -half / 6, half / 120, -half / 5040), factor)
    np.multiply(x, factor, out=step[1, ...])
    np.multiply(y, factor, out=step[2, ...])
    np.multiply(z, factor, out=factor)
    return step


def _polynomial(x: FloatArray, coefficients: tuple[float, float, float, float], out: FloatArray) -> None:
    """Write the cubic with rising coefficients, by Horner's rule."""
    constant, linear, square, cube = coefficients
    np.multiply(x, cube, out=out)
    np.add(out, square, out=out)
    np.multiply(out, x, out=out)
    np.add(out, linear, out=out)
    np.multiply(out, x, out=out)
    np.add(out, constant, out=out)


def _sum_of_products(
    out: FloatArray,
    scratch: FloatArray,
    first: tuple[FloatArray, FloatArray, int],
    *others: tuple[FloatArray, FloatArray, int],
) -> None:
    """Write `a b` of the first pair, plus or minus (third member) the products of the others."""
    np.multiply(first[0], first[1], out=out)
    for a, b, sign in others:
        np.multiply(a, b, out=scratch)
        (np.add if sign > 0 else np.subtract)(out, scratch, out=out)


def _rotate(
    quaternion: FloatArray, vector: FloatArray, out: FloatArray | None, scratch: FloatArray | None, *, inverse: bool
) -> FloatArray:
    """`v + w t + r × t` with `t = 2 r × v`; the inverse has the other sign of w."""
    shape = np.broadcast_shapes(quaternion.shape[1:], vector.shape[1:])
    if not shape:  # components would be values, not views
        return _rotate(quaternion[:, None], vector[:, None], None, None, inverse=inverse)[:, 0]
    dtype = np.result_type(quaternion, vector)
    rotated = np.empty((3, *shape), dtype) if out is None else out
    tx, ty, tz, p = np.empty((4, *shape), dtype) if scratch is None else scratch
    w, x, y, z = quaternion
    vx, vy, vz = vector
    accumulate = np.subtract if inverse else np.add
    for t, a, b, c, d in ((tx, y, vz, z, vy), (ty, z, vx, x, vz), (tz, x, vy, y, vx)):
        np.multiply(a, b, out=t)
        np.multiply(c, d, out=p)
        np.subtract(t, p, out=t)
        np.add(t, t, out=t)
    for o, v, t, a, b, c, d in (
        (rotated[0], vx, tx, y, tz, z, ty),
        (rotated[1], vy, ty, z, tx, x, tz),
        (rotated[2], vz, tz, x, ty, y, tx),
    ):
        np.multiply(w, t, out=o)
        accumulate(v, o, out=o)
        np.multiply(a, b, out=p)
        np.add(o, p, out=o)
        np.multiply(c, d, out=p)
        np.subtract(o, p, out=o)
    return rotated
