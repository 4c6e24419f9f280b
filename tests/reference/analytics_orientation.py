"""The orientation filter without bias estimation as one would write it: one sensor, one sample at a time."""

import math

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, lfilter, lfilter_zi
from scipy.spatial.transform import Rotation

Floats = npt.NDArray[np.float64]


def basic_up(gyro_rad_s: Floats, accel_m_s2: Floats, start_accel_m_s2: Floats, *, rate_hz: float) -> Floats:
    """Return the vertical in sensor coordinates, shape (n_samples, 3), of a sensor that had rested before.

    Parameters
    ----------
    gyro_rad_s, accel_m_s2 : ndarray, shape (n_samples, 3)
    start_accel_m_s2 : ndarray, shape (3,)
    """
    strapdown = Rotation.identity()
    turned = []
    poses = []
    for rate, force in zip(gyro_rad_s, accel_m_s2, strict=True):
        strapdown = strapdown * Rotation.from_rotvec(rate / rate_hz)
        turned.append(strapdown.apply(force))
        poses.append(strapdown)
    b, a = butter(2, math.sqrt(2) / (2 * math.pi * 3.0), fs=rate_hz)
    low, _ = lfilter(b, a, np.array(turned), axis=0, zi=lfilter_zi(b, a)[:, None] * start_accel_m_s2)
    return np.array([pose.inv().apply(up / np.linalg.norm(up)) for pose, up in zip(poses, low, strict=True)])
