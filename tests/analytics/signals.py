"""Sensor signals of a hinge, made independently of the product and of its simulator.

Poses are rotation matrices at 500 Hz; rate and specific force come from their differences. So nothing here shares a
formula with the orientation filter or with the closed forms of the simulator.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial.transform import Rotation

Floats = npt.NDArray[np.float64]

FINE_HZ = 500
RATE_HZ = 100
ACCEL_SCALE_M_S2 = 8 * 9.81 / 32768
GYRO_SCALE_RAD_S = float(np.radians(2000 / 32768))
SCALES: dict[str, Any] = {
    "accel_scale_m_s2": (ACCEL_SCALE_M_S2, ACCEL_SCALE_M_S2),
    "gyro_scale_rad_s": (GYRO_SCALE_RAD_S, GYRO_SCALE_RAD_S),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Repetition:
    """One repetition to be made: up, hold, down and the pause after it [s], its size [°]."""

    up_s: float = 1.2
    hold_s: float = 0.5
    down_s: float = 1.4
    pause_s: float = 0.8
    range_deg: float = 80.0

    @property
    def duration_s(self) -> float:
        """With the pause."""
        return self.up_s + self.hold_s + self.down_s + self.pause_s


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """Raw samples (2, 6, n_samples) of both sensors, and the true knee flexion (n_samples,) [°]."""

    raw: npt.NDArray[np.int16]
    angle_deg: Floats


def progress_of(repetitions: Sequence[Repetition], *, still_s: float, rate_hz: int = RATE_HZ) -> Floats:
    """Return the way from the start pose [°], minimum-jerk, after a stillness."""
    n_samples = round((still_s + sum(each.duration_s for each in repetitions)) * RATE_HZ)
    t_s = np.arange(n_samples * (rate_hz // RATE_HZ)) / rate_hz
    progress = np.zeros_like(t_s)
    start_s = still_s
    for each in repetitions:
        down_from_s = start_s + each.up_s + each.hold_s
        progress += each.range_deg * minimum_jerk((t_s - start_s) / each.up_s)
        progress -= each.range_deg * minimum_jerk((t_s - down_from_s) / each.down_s)
        start_s += each.duration_s
    return progress


def minimum_jerk(share: Floats) -> Floats:
    """Return the way from 0 to 1."""
    u = np.clip(share, 0, 1)
    way: Floats = u**3 * (10 - 15 * u + 6 * u**2)
    return way


def seated_knee_extension(
    repetitions: Sequence[Repetition],
    *,
    still_s: float = 4.0,
    seed: int = 0,
    bias_deg_s: float = 0.5,
    misplaced_deg: float = 10.0,
    around_deg: float = 0.0,
    noise: float = 1.0,
    sideways_share: float = 0.04,
) -> Recording:
    """Return a right leg that straightens from 90°: the thigh lifts a little, the knee opens sideways a little.

    Parameters
    ----------
    bias_deg_s : float
        Length of the gyroscopes' bias, in a random direction.
    misplaced_deg : float
        Angle of each sensor's misplacement, about a random axis.
    around_deg : float
        How far the sensors have turned around their segments.
    noise : float
        In multiples of a BMI270's.
    sideways_share : float
        How much of the movement goes sideways.
    """
    random = np.random.default_rng(seed)
    progress = progress_of(repetitions, still_s=still_s, rate_hz=FINE_HZ)
    lift = progress * 0.05
    thigh_deg = -90 - lift
    flexion_deg = 90 - progress
    sideways = about([1, 0, 0], progress * sideways_share)
    down_to_earth = Rotation.from_matrix(np.array([[0, 1, 0], [0, 0, -1], [-1, 0, 0]]))  # x down, y forwards, z right
    thigh = about([0, 1, 0], thigh_deg) * down_to_earth
    shank = about([0, 1, 0], thigh_deg + flexion_deg) * sideways * down_to_earth
    knee_m = thigh.apply([0.42, 0, 0])
    places = (thigh.apply([0.25, 0.03, 0.07]), knee_m + shank.apply([0.17, 0.03, 0.05]))
    raw = np.stack(
        [
            sensor_samples(segment, place, random, bias_deg_s, misplaced_deg, around_deg, noise)
            for segment, place in zip((thigh, shank), places, strict=True)
        ]
    )
    return Recording(raw=raw, angle_deg=flexion_deg[:: FINE_HZ // RATE_HZ])


def ticks_of(*recordings: Recording, n: int = 10) -> list[npt.NDArray[np.int16]]:
    """Return what the engine takes, tick by tick, of patients side by side; shape (2 * n_patients, 6, n) each.

    Who has finished sits still until the last has.
    """
    longest = max(recording.raw.shape[-1] for recording in recordings)
    together = np.concatenate(
        [np.pad(each.raw, ((0, 0), (0, 0), (0, longest - each.raw.shape[-1])), mode="edge") for each in recordings]
    )
    return [np.ascontiguousarray(together[..., k : k + n]) for k in range(0, together.shape[-1] - n + 1, n)]


def sensor_samples(
    segment: Rotation,
    place_m: Floats,
    random: np.random.Generator,
    bias_deg_s: float,
    misplaced_deg: float,
    around_deg: float,
    noise: float,
) -> npt.NDArray[np.int16]:
    """Return what a sensor at these places [m] of a segment feels, shape (6, n_samples); poses are segment -> earth."""
    misplaced = Rotation.from_rotvec(np.radians(misplaced_deg) * _direction(random))
    sensor = segment * (Rotation.from_euler("x", around_deg, degrees=True) * misplaced)
    step = FINE_HZ // RATE_HZ
    rate = (sensor[:-1].inv() * sensor[1:]).as_rotvec() * FINE_HZ
    rate = np.concatenate([rate[:1], rate])
    acceleration = np.gradient(np.gradient(place_m, axis=0), axis=0) * FINE_HZ**2
    force = sensor.inv().apply(acceleration + np.array([0, 0, 9.81]))
    gyro = rate.reshape(-1, step, 3).mean(axis=1) + np.radians(bias_deg_s) * _direction(random)
    accel = force.reshape(-1, step, 3)[:, -1]
    gyro += noise * np.radians(0.05) * random.standard_normal(gyro.shape)
    accel += noise * 0.011 * random.standard_normal(accel.shape)
    raw = np.concatenate([accel / ACCEL_SCALE_M_S2, gyro / GYRO_SCALE_RAD_S], axis=1).T
    counts: npt.NDArray[np.int16] = np.clip(np.rint(raw), -32768, 32767).astype(np.int16)
    return counts


def about(axis: Sequence[float], angle_deg: Floats) -> Rotation:
    """Return the rotations by some angles about an axis of the earth."""
    return Rotation.from_rotvec(np.radians(angle_deg)[:, None] * np.array(axis))


def _direction(random: np.random.Generator) -> Floats:
    vector = random.standard_normal(3)
    direction: Floats = vector / np.linalg.norm(vector)
    return direction
