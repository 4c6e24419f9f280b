"""Orientation from six axes: VQF in tick form, all sensors in step.

Equations and constants: D. Laidig, T. Seel, "VQF: Highly accurate IMU orientation estimation with bias estimation and
magnetic disturbance rejection", Information Fusion 91 (2023) 187-204. Written anew in tick form: within a tick of n
samples only the strap-down integration recurs; low-pass filters are one matrix product, and the bias is estimated
once per tick with process noise n V and measurement noise W / n. The authors' reference implementation
(github.com/dlaidig/vqf) is MIT licensed; its notice stands in `VQF_LICENSE.txt` beside this module.

Two differences from the paper. The bias clip is wider (5 °/s) because cheap gyroscopes start beyond 2 °/s. A column
starts from a measured rest or, after a gap, with a running mean by ticks, so that every column may start at its own
time. Quaternions are w x y z, sensor -> earth, z up; acceleration is specific force, +9.81 m/s² upwards at rest.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from analytics.core.columns import Columns
from analytics.core.filters import advance_filter, block_form, rest_state, time_constant_lowpass
from analytics.core.quaternions import (
    FloatArray,
    multiply,
    rotate,
    rotate_inverse,
    shortest_rotation,
    step_quaternion,
    unit,
)

BoolArray = npt.NDArray[np.bool_]

_BIAS_UNIT_RAD_S: Final = math.radians(0.01)  # the covariance is kept in squares of this
_TINY: Final = 1e-12
_STATE_SHAPES: Final = {
    "strapdown": (4,),  # integration of the gyroscope alone: sensor -> an inertial frame that drifts
    "inclination": (4,),  # turns that frame upright: their product is the orientation
    "up_inertial": (3,),  # low-passed acceleration, unit length, inertial frame, last of the previous tick
    "bias_rad_s": (3,),
    "covariance": (6,),  # of the bias: xx yy zz xy xz yz
    "rest_time_s": (),
    "accel_filter": (3, 2),
    "rest_filter": (6, 2),
    "motion_filter": (11, 2),
    "settle_sum": (3,),
    "settle_ticks": (),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class OrientationParameters:
    """Constants of the filter; the defaults are the published ones but for the bias clip."""

    accel_time_constant_s: float = 3.0
    rest_time_constant_s: float = 0.5
    rest_after_s: float = 1.5
    rest_gyro_rad_s: float = math.radians(2.0)
    rest_accel_m_s2: float = 0.5
    bias_clip_rad_s: float = math.radians(5.0)
    bias_start_deg_s: float = 0.5
    bias_rested_deg_s: float = 0.05  # what remains after the mean of a rest has been subtracted
    bias_forgetting_s: float = 100.0
    bias_motion_deg_s: float = 0.1
    bias_vertical_forgetting: float = 1e-4
    bias_rest_deg_s: float = 0.03


class TickOrientation:
    """Streaming orientation of `n_series` sensors, `n` samples a tick.

    Parameters
    ----------
    n_series : int
    n : int
        Samples per tick.
    sampling_rate_hz : float
    dtype : float32 or float64
    parameters : OrientationParameters
    """

    def __init__(
        self,
        n_series: int,
        *,
        n: int = 10,
        sampling_rate_hz: float = 100.0,
        dtype: npt.DTypeLike = np.float32,
        parameters: OrientationParameters = OrientationParameters(),
    ) -> None:
        self.n = n
        self.parameters = parameters
        self._interval_s = interval_s = 1 / sampling_rate_hz
        self._tick_s = n * interval_s
        accel = time_constant_lowpass(parameters.accel_time_constant_s, interval_s)
        rest = time_constant_lowpass(parameters.rest_time_constant_s, interval_s)
        motion = time_constant_lowpass(parameters.accel_time_constant_s, self._tick_s)
        self._accel_matrix = block_form(*accel, n).astype(dtype)
        self._rest_matrix = block_form(*rest, n).astype(dtype)
        self._motion_matrix = block_form(*motion, 1).astype(dtype)
        self._accel_rest, self._rest_rest, self._motion_rest = (
            rest_state(*f).astype(dtype)[:, None] for f in (accel, rest, motion)
        )
        self._settle_ticks = math.ceil(parameters.accel_time_constant_s / self._tick_s - 1e-9)
        self._set_bias_noise()
        self.state = Columns(_STATE_SHAPES, n_series, dtype)
        self._start_columns_at_rest()

        def new(*shape: int) -> FloatArray:
            return np.zeros((*shape, n_series), dtype)

        self._step, self._strapdown, self._four = new(4, n), new(4, n), new(4, n)
        self._one = new(n)
        self._accel_block, self._accel_moved = new(3, n + 2), new(3, n + 2)
        self._rest_block, self._rest_moved = new(6, n + 2), new(6, n + 2)
        self._motion_block, self._motion_moved = new(11, 3), new(11, 3)
        self._up_inertial, self._up_sensor = new(3, n), new(3, n)
        self._matrices = new(9, 2)

    def restart(
        self, columns: npt.NDArray[np.intp], accel_m_s2: FloatArray, *, is_settled: bool, keeps_bias: bool
    ) -> None:
        """Let columns begin anew, each as if it had rested so far; the others notice nothing.

        Parameters
        ----------
        columns : ndarray of int, shape (n_columns,)
        accel_m_s2 : ndarray, shape (3, n_columns)
            Mean specific force to begin from. [m/s²]
        is_settled : bool
            True if that mean was taken over a rest; otherwise a running mean replaces it for the time constant of the
            filter.
        keeps_bias : bool
            Whether bias and covariance stay as they are; otherwise the gyroscope's bias has just been subtracted.
        """
        s, c = self.state, columns
        up = unit(accel_m_s2)
        upright = shortest_rotation(up, np.broadcast_to(_upwards(up.dtype), up.shape))
        s["strapdown"][:, c] = _identity(up.dtype)
        s["inclination"][:, c] = upright
        s["up_inertial"][:, c] = up
        if not keeps_bias:
            s["bias_rad_s"][:, c] = 0
            s["covariance"][:, c] = self._rested_covariance if is_settled else self._start_covariance
        s["rest_time_s"][c] = 0
        s["settle_sum"][:, c] = 0
        s["settle_ticks"][c] = 2 * self._settle_ticks if is_settled else 0
        bias = s["bias_rad_s"][:, c]
        s["accel_filter"][..., c] = accel_m_s2[:, None] * self._accel_rest
        s["rest_filter"][:3, :, c] = bias[:, None] * self._rest_rest
        s["rest_filter"][3:, :, c] = accel_m_s2[:, None] * self._rest_rest
        rotation = np.stack(_rotation_matrix(upright))
        turned = _matrix_times_vector(rotation, bias)
        s["motion_filter"][:9, :, c] = rotation[:, None] * self._motion_rest
        s["motion_filter"][9:, :, c] = turned[:2, None] * self._motion_rest

    def advance(self, gyro_rad_s: FloatArray, accel_m_s2: FloatArray) -> FloatArray:
        """Move all columns by one tick.

        Parameters
        ----------
        gyro_rad_s, accel_m_s2 : ndarray, shape (3, n, n_series)
            Sensor coordinates. [rad/s], [m/s²]

        Returns
        -------
        up_sensor : ndarray, shape (3, n, n_series)
            The vertical, unit length, in sensor coordinates; overwritten by the next tick.
        """
        s = self.state
        strapdown = self._integrate(gyro_rad_s)
        rotate(strapdown, accel_m_s2, self._accel_block[:, : self.n], self._four)
        up = self._low_passed_up()
        rotate_inverse(strapdown, up, self._up_sensor, self._four)
        before = s["inclination"].copy()
        last_up = up[:, -1]
        after = multiply(before, shortest_rotation(last_up, s["up_inertial"]))
        after /= np.sqrt((after * after).sum(axis=0))
        self._update_bias(gyro_rad_s, accel_m_s2, before, after, last_up)
        last = strapdown[:, -1]
        np.divide(last, np.sqrt((last * last).sum(axis=0)), out=s["strapdown"])
        s["inclination"][:] = after
        s["up_inertial"][:] = last_up
        return self._up_sensor

    def quaternions(self) -> FloatArray:
        """Return the orientation at the end of the last tick, sensor -> earth, shape (4, n_series)."""
        return multiply(self.state["inclination"], self.state["strapdown"])

    def _set_bias_noise(self) -> None:
        """Noise of the bias filter per tick, in squares of 0.01 °/s."""
        p = self.parameters
        process = (0.1 * 100) ** 2 * self._interval_s / p.bias_forgetting_s
        motion, rest = (p.bias_motion_deg_s * 100) ** 2, (p.bias_rest_deg_s * 100) ** 2
        self._process_noise = process * self.n
        self._motion_noise = (motion * motion / process + motion) / self.n
        self._vertical_noise = self._motion_noise / p.bias_vertical_forgetting
        self._rest_noise = (rest * rest / process + rest) / self.n
        self._largest_variance = (p.bias_start_deg_s * 100) ** 2
        self._start_covariance = np.array([[self._largest_variance]] * 3 + [[0.0]] * 3)
        self._rested_covariance = np.array([[(p.bias_rested_deg_s * 100) ** 2]] * 3 + [[0.0]] * 3)

    def _start_columns_at_rest(self) -> None:
        n_series = self.state["rest_time_s"].shape[0]
        accel = np.zeros((3, n_series), self.state["strapdown"].dtype)
        accel[2] = 9.81
        self.restart(np.arange(n_series), accel, is_settled=True, keeps_bias=False)

    def _integrate(self, gyro_rad_s: FloatArray) -> FloatArray:
        s, one = self.state, self._one
        unbiased = self._up_inertial  # free until the low-pass
        np.subtract(gyro_rad_s, s["bias_rad_s"][:, None], out=unbiased)
        step = step_quaternion(unbiased, self._interval_s, self._step, one)
        strapdown = self._strapdown
        multiply(s["strapdown"], step[:, 0], strapdown[:, 0], one[0])
        for k in range(1, self.n):
            multiply(strapdown[:, k - 1], step[:, k], strapdown[:, k], one[0])
        return strapdown

    def _low_passed_up(self) -> FloatArray:
        """Low-pass the acceleration in the inertial frame; columns that settle take the mean since they began."""
        s, n = self.state, self.n
        block, moved = self._accel_block, self._accel_moved
        ticks = s["settle_ticks"]
        settling = ticks < self._settle_ticks
        total = s["settle_sum"]
        total += block[:, :n].sum(axis=1)
        ticks += 1
        mean = total / (ticks * n)
        block[:, n:] = s["accel_filter"]
        advance_filter(self._accel_matrix, block, moved)
        np.copyto(moved[:, :n], mean[:, None], where=settling)
        np.copyto(block[:, n:], mean[:, None] * self._accel_rest, where=settling)
        s["accel_filter"][:] = block[:, n:]
        np.minimum(ticks, 2 * self._settle_ticks, out=ticks)
        np.copyto(total, 0, where=~settling)
        low, up, one = moved[:, :n], self._up_inertial, self._one
        square = self._four[:3]
        np.multiply(low, low, out=square)
        np.add(square[0], square[1], out=one)
        np.add(one, square[2], out=one)
        np.maximum(one, _TINY, out=one)
        np.sqrt(one, out=one)
        np.divide(low, one, out=up)
        return up

    def _update_bias(
        self,
        gyro_rad_s: FloatArray,
        accel_m_s2: FloatArray,
        before: FloatArray,
        after: FloatArray,
        last_up: FloatArray,
    ) -> None:
        """One step of the bias filter; a column that began lately and does not rest learns nothing."""
        s, p = self.state, self.parameters
        bias, covariance = s["bias_rad_s"], s["covariance"]
        rest, rest_gyro = self._detect_rest(gyro_rad_s, accel_m_s2)
        rotation, error = self._motion_error(before, after, last_up)
        error[:] = np.where(rest, rest_gyro - bias, error)
        np.clip(error, -p.bias_clip_rad_s, p.bias_clip_rad_s, out=error)
        rotation[:] = np.where(rest, _identity_matrix(error.dtype), rotation)
        vertical = np.array([[self._motion_noise], [self._motion_noise], [self._vertical_noise]])
        noise = np.where(rest, self._rest_noise, vertical).astype(error.dtype)
        variances = covariance[:3]
        np.add(variances, self._process_noise, out=variances, where=variances < self._largest_variance)
        learns = rest | (s["settle_ticks"] >= 2 * self._settle_ticks)
        correction, reduction = _kalman_update(covariance, rotation, noise, error)
        np.add(bias, correction, out=bias, where=learns)
        np.subtract(covariance, reduction, out=covariance, where=learns)
        np.clip(bias, -p.bias_clip_rad_s, p.bias_clip_rad_s, out=bias)

    def _detect_rest(self, gyro_rad_s: FloatArray, accel_m_s2: FloatArray) -> tuple[BoolArray, FloatArray]:
        s, p, n = self.state, self.parameters, self.n
        block, moved = self._rest_block, self._rest_moved
        block[:3, :n] = gyro_rad_s
        block[3:, :n] = accel_m_s2
        block[:, n:] = s["rest_filter"]
        np.matmul(self._rest_matrix, block, out=moved)
        s["rest_filter"][:] = moved[:, n:]
        deviation = block[:, :n]
        np.subtract(deviation, moved[:, :n], out=deviation)
        np.multiply(deviation, deviation, out=deviation)
        gyro_deviation = deviation[:3].sum(axis=0).max(axis=0)
        accel_deviation = deviation[3:].sum(axis=0).max(axis=0)
        low_gyro = moved[:3, n - 1]
        moving = (
            (gyro_deviation >= p.rest_gyro_rad_s**2)
            | (accel_deviation >= p.rest_accel_m_s2**2)
            | (np.abs(low_gyro).max(axis=0) > p.bias_clip_rad_s)
        )
        rest_time = s["rest_time_s"]
        rest_time += self._tick_s
        np.copyto(rest_time, 0, where=moving)
        np.minimum(rest_time, 1e3, out=rest_time)
        rest: BoolArray = rest_time >= p.rest_after_s - 1e-3
        return rest, low_gyro

    def _motion_error(
        self, before: FloatArray, after: FloatArray, last_up: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the low-passed rotation (9 rows) and the disagreement of gyroscope and vertical, earth coordinates."""
        s, n = self.state, self.n
        matrices = self._matrices
        for index, (k, inclination) in enumerate(((n // 4, before), (3 * n // 4, after))):
            for row, entry in enumerate(_rotation_matrix(multiply(inclination, self._strapdown[:, k]))):
                matrices[row, index] = entry
        block, moved = self._motion_block, self._motion_moved
        np.add(matrices[:, 0], matrices[:, 1], out=block[:9, 0])
        block[:9, 0] *= 0.5
        bias = s["bias_rad_s"]
        block[9:, 0] = _matrix_times_vector(block[:6, 0], bias)
        block[:, 1:] = s["motion_filter"]
        np.matmul(self._motion_matrix, block, out=moved)
        s["motion_filter"][:] = moved[:, 1:]
        rotation = moved[:9, 0]
        error = -_matrix_times_vector(rotation, bias)
        swept = rotate(before, last_up) / self._tick_s
        error[0] += moved[9, 0] - swept[1]
        error[1] += moved[10, 0] + swept[0]
        return rotation, error


def _identity(dtype: np.dtype[np.floating]) -> FloatArray:
    return np.array([[1], [0], [0], [0]], dtype)


def _upwards(dtype: np.dtype[np.floating]) -> FloatArray:
    return np.array([[0], [0], [1]], dtype)


def _identity_matrix(dtype: np.dtype[np.floating]) -> FloatArray:
    return np.eye(3, dtype=dtype).reshape(9, 1)


def _rotation_matrix(quaternion: FloatArray) -> list[FloatArray]:
    """Return the nine entries, row by row."""
    w, x, y, z = quaternion
    x2, y2, z2 = 2 * x, 2 * y, 2 * z
    xx, yy, zz, xy, xz, yz = x * x2, y * y2, z * z2, x * y2, x * z2, y * z2
    wx, wy, wz = w * x2, w * y2, w * z2
    return [1 - (yy + zz), xy - wz, xz + wy, xy + wz, 1 - (xx + zz), yz - wx, xz - wy, yz + wx, 1 - (xx + yy)]


def _matrix_times_vector(matrix: FloatArray, vector: FloatArray) -> FloatArray:
    """Multiply matrices of three columns, shape (3 m, n_series), with vectors, shape (3, n_series)."""
    rows = matrix.reshape(len(matrix) // 3, 3, matrix.shape[-1])
    product: FloatArray = rows[:, 0] * vector[0] + rows[:, 1] * vector[1] + rows[:, 2] * vector[2]
    return product


def _kalman_update(
    covariance: FloatArray, rotation: FloatArray, noise: FloatArray, error: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what the bias gains and what its covariance (xx yy zz xy xz yz) loses; the inverse by cofactors."""
    xx, yy, zz, xy, xz, yz = covariance
    symmetric = np.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz]).reshape(3, 3, -1)
    rows = rotation.reshape(3, 3, -1)
    # (P Rᵀ)[i, k] = sum over j of P[i, j] R[k, j]
    spread = sum(symmetric[:, None, j] * rows[None, :, j] for j in range(3))
    assert isinstance(spread, np.ndarray)
    # (R P Rᵀ)[i, k] = sum over j of R[i, j] (P Rᵀ)[j, k], the upper half
    total = rows[:, 0, None] * spread[0] + rows[:, 1, None] * spread[1] + rows[:, 2, None] * spread[2]
    a, b, c = total[0, 0] + noise[0], total[0, 1], total[0, 2]
    d, e, f = total[1, 1] + noise[1], total[1, 2], total[2, 2] + noise[2]
    inverse = np.stack([d * f - e * e, c * e - b * f, b * e - c * d, a * f - c * c, b * c - a * e, a * d - b * b])
    inverse /= a * inverse[0] + b * inverse[1] + c * inverse[2]
    ia, ib, ic, id_, ie, if_ = inverse
    inverse_rows = np.stack([ia, ib, ic, ib, id_, ie, ic, ie, if_]).reshape(3, 3, -1)
    gain = sum(spread[:, j, None] * inverse_rows[j] for j in range(3))
    assert isinstance(gain, np.ndarray)
    correction = gain[:, 0] * error[0] + gain[:, 1] * error[1] + gain[:, 2] * error[2]
    first, second = gain[_UPPER_ROWS], spread[_UPPER_COLUMNS]
    reduction = first[:, 0] * second[:, 0] + first[:, 1] * second[:, 1] + first[:, 2] * second[:, 2]
    return correction, reduction


_UPPER_ROWS: Final = np.array([0, 1, 2, 0, 0, 1])
_UPPER_COLUMNS: Final = np.array([0, 1, 2, 1, 2, 2])
