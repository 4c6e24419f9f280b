"""What an inertial sensor makes of the movement of its segment: place, noise, bias, warming, range and 16 bits."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from devices.wire import IMU6_DTYPE
from firmware_sim.body import (
    GRAVITY_M_S2,
    Anthropometry,
    FloatArray,
    SegmentMotion,
    chain_to,
    lever_arm_m_s2,
    move_segment,
)
from firmware_sim.movement import Movement
from firmware_sim.parts import ImuPart
from firmware_sim.seeds import random_stream

WARMING_TAU_S: Final = 200.0
"""From 25 to 33 °C on the skin in ten minutes."""
KNOT_S: Final = 1.0
_OFF_DIAGONAL: Final = 1.0 - np.eye(3)
_INT16_MAX: Final = 32767
_INT16_MIN: Final = -32768


@dataclass(frozen=True, kw_only=True, slots=True)
class Mounting:
    """Where a sensor sits on its segment.

    `offset_m` is the place from the segment's upper joint, `rotation` (3, 3) takes vectors from the sensor to the
    segment; both in the segment's frame.
    """

    offset_m: FloatArray
    rotation: FloatArray


class Signals(Protocol):
    """Specific force [m/s²] and rate [rad/s] in the sensor's frame, each (3, n_samples), asked in order of time."""

    def ideal(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what a perfect sensor would feel at these instants since the start of the movement."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class WornSensor:
    """A perfect sensor on a segment of a moving person; fulfils `Signals`."""

    movement: Movement
    mounting: Mounting
    segment: str
    side: str
    share: float
    """How much of the movement's way its limb goes; 0: it rests."""
    body: Anthropometry

    def motion(self, times_s: FloatArray) -> SegmentMotion:
        """Return what the segment does."""
        chain = chain_to(self.segment, side=self.side, body=self.body, carried_by=self.movement.exercise.carried_by)
        return move_segment(
            chain,
            self.movement.joints(times_s, share=self.share),
            base_acceleration_m_s2=self.movement.base_acceleration_m_s2(times_s),
        )

    def ideal(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what a perfect sensor would feel."""
        return feel(self.motion(times_s), self.mounting)


def feel(motion: SegmentMotion, mounting: Mounting) -> tuple[FloatArray, FloatArray]:
    """Return specific force [m/s²] and rate [rad/s] at a mounting, in the sensor's frame, each (3, n_samples)."""
    force = motion.specific_force_m_s2 + lever_arm_m_s2(
        mounting.offset_m, rate_rad_s=motion.rate_rad_s, acceleration_rad_s2=motion.acceleration_rad_s2
    )
    return mounting.rotation.T @ force, mounting.rotation.T @ motion.rate_rad_s


def place(
    segment: str, *, side: str, body: Anthropometry, misplacement_max_deg: float, random: np.random.Generator
) -> Mounting:
    """Return where a hurried patient straps the sensor: near the right place, turned by up to the given angle.

    The right place is outside on the limb: sensor x along the segment away from the trunk, y forwards (left limb:
    backwards; foot: upwards and downwards), z outwards; on pelvis and trunk the sensor sits in the middle, behind and
    in front, with x downwards.
    """
    left = side == "left"
    outwards = 1.0 if left else -1.0
    offsets = {
        "pelvis": (-0.10, 0.0, 0.05),
        "trunk": (0.10, 0.0, 0.75 * body.trunk_m),
        "thigh": (0.04, outwards * 0.07, -0.6 * body.thigh_m),
        "shank": (0.02, outwards * 0.05, -0.4 * body.shank_m),
        "upper_arm": (0.0, outwards * 0.05, -0.5 * body.upper_arm_m),
        "forearm": (0.0, outwards * 0.03, -0.85 * body.forearm_m),
        "foot": (0.5 * body.ball_to_ankle_m, outwards * 0.02, 0.0),
        "hand": (0.0, outwards * 0.02, -0.06),
    }
    forwards = -1.0 if left else 1.0
    nominal = np.array([[0.0, forwards, 0.0], [0.0, 0.0, -forwards], [-1.0, 0.0, 0.0]])
    if segment == "foot":  # it points forwards
        nominal = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -forwards], [0.0, forwards, 0.0]])
    axis = random.standard_normal(3)
    turn = rotation_about(axis / np.linalg.norm(axis), np.deg2rad(random.uniform(0.0, misplacement_max_deg)))
    slipped_m = random.uniform(-0.015, 0.015, 3)
    return Mounting(offset_m=np.array(offsets[segment]) + slipped_m, rotation=nominal @ turn)


def rotation_about(axis: FloatArray, angle_rad: float) -> FloatArray:
    """Return the rotation (3, 3) by an angle about a unit axis."""
    x, y, z = axis
    skew = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    result: FloatArray = np.eye(3) + np.sin(angle_rad) * skew + (1 - np.cos(angle_rad)) * (skew @ skew)
    return result


class ImuSensor:
    """One part with its own faults; asked for consecutive samples, however many at once.

    Parameters
    ----------
    part : ImuPart
    seed, device :
        All the faults depend on these alone.
    gyro_bias_deg_s : float, optional
        Spread of the bias a part is switched on with, per axis; None: the part's own. [°/s]
    field_bias_deg_s : (float, float, float)
        A bias that comes on top, `parts.FIELD_BIAS_DEG_S` as some have it. [°/s]
    warming_k : float
        How much warmer than at the start the sensor becomes on the skin, most of it within ten minutes. [K]
    """

    def __init__(
        self,
        part: ImuPart,
        *,
        seed: int,
        device: str,
        sampling_rate_hz: float,
        gyro_bias_deg_s: float | None = 0.5,
        field_bias_deg_s: Sequence[float] = (0.0, 0.0, 0.0),
        warming_k: float = 0.0,
    ) -> None:
        self._part = part
        self._rate_hz = sampling_rate_hz
        self._warming_k = warming_k
        self._n_made = 0
        faults = random_stream(seed, device, "faults")
        spread = part.gyro_offset_deg_s if gyro_bias_deg_s is None else gyro_bias_deg_s
        self.gyro_bias_deg_s = spread * np.clip(faults.standard_normal(3), -1.5, 1.5) + np.array(field_bias_deg_s)
        self.accel_bias_m_s2 = part.accel_offset_mg * 1e-3 * GRAVITY_M_S2 * _limited(faults, 3)
        scale = part.scale_error * _limited(faults, 6)
        self._accel_mix, self._gyro_mix = (
            np.diag(1.0 + of_axes) + part.cross_axis * _OFF_DIAGONAL * _limited(faults, 9).reshape(3, 3)
            for of_axes in (scale[:3], scale[3:])
        )
        self._accel_m_s2_k = part.accel_offset_mg_k * 1e-3 * GRAVITY_M_S2 * _limited(faults, 3)
        self._gyro_deg_s_k = part.gyro_offset_deg_s_k * _limited(faults, 3)
        self._noise = random_stream(seed, device, "noise")
        self._wander = random_stream(seed, device, "wander")
        self._knots_deg_s = part.bias_instability_deg_s * self._wander.standard_normal((1, 3))
        self._first_knot = 0

    def measure(self, force_m_s2: FloatArray, rate_rad_s: FloatArray) -> npt.NDArray[np.void]:
        """Return the rows (IMU6_DTYPE) of the next samples; the inputs are (3, n_samples) and perfect."""
        part, n_samples = self._part, force_m_s2.shape[1]
        times_s = (self._n_made + np.arange(n_samples)) / self._rate_hz
        self._n_made += n_samples
        noise = self._noise.standard_normal((n_samples, 6)).T
        root_bandwidth = np.sqrt(self._rate_hz / 2)
        warmer_k = self._warming_k * (1 - np.exp(-times_s / WARMING_TAU_S))
        accel = self._accel_mix @ force_m_s2 + self.accel_bias_m_s2[:, None] + self._accel_m_s2_k[:, None] * warmer_k
        accel += part.accel_noise_ug_rthz * 1e-6 * GRAVITY_M_S2 * root_bandwidth * noise[:3]
        gyro = self._gyro_mix @ np.rad2deg(rate_rad_s) + self.gyro_bias_deg_s[:, None]
        gyro += self._gyro_deg_s_k[:, None] * warmer_k + self._wandering(times_s)
        gyro += part.gyro_noise_mdps_rthz * 1e-3 * root_bandwidth * noise[3:]
        return quantise(accel, gyro, part=part)

    def _wandering(self, times_s: FloatArray) -> FloatArray:
        """Return the bias instability: a Gauss-Markov walk with a knot each second, straight lines between."""
        part = self._part
        keep = float(np.exp(-KNOT_S / part.bias_instability_tau_s))
        kick = part.bias_instability_deg_s * np.sqrt(1 - keep**2)
        first, last = int(times_s[0] / KNOT_S), int(times_s[-1] / KNOT_S) + 1
        knots = list(self._knots_deg_s[first - self._first_knot :])
        while len(knots) <= last - first:
            knots.append(keep * knots[-1] + kick * self._wander.standard_normal(3))
        self._knots_deg_s, self._first_knot = np.array(knots), first
        at, share = np.divmod(times_s / KNOT_S - first, 1.0)
        before = at.astype(np.intp)
        result: FloatArray = ((1 - share)[:, None] * self._knots_deg_s[before]).T
        result += (share[:, None] * self._knots_deg_s[before + 1]).T
        return result


def _limited(random: np.random.Generator, size: int) -> FloatArray:
    """Return standard normal numbers within two standard deviations: a part beyond its sheet is not sold."""
    return np.clip(random.standard_normal(size), -2, 2)


def quantise(accel_m_s2: FloatArray, gyro_deg_s: FloatArray, *, part: ImuPart) -> npt.NDArray[np.void]:
    """Return the rows (IMU6_DTYPE) of signals (3, n_samples); what is out of range stays at the limit."""
    rows = np.empty(accel_m_s2.shape[1], IMU6_DTYPE)
    for name, signal, scale in (
        ("accel", accel_m_s2, part.accel_scale_m_s2),
        ("gyro", gyro_deg_s, part.gyro_scale_deg_s),
    ):
        rows[name] = np.clip(np.rint(signal.T / scale), _INT16_MIN, _INT16_MAX)
    return rows


def is_clipped(rows: npt.NDArray[np.void]) -> bool:
    """Tell whether any value of these rows stands at the limit of its range."""
    values = np.concatenate([rows["accel"], rows["gyro"]])
    return bool(((values == _INT16_MIN) | (values == _INT16_MAX)).any())
