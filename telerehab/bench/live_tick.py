"""The live tick of all patients together, against an object per patient.

Both sides do the same work on the same samples: still start, orientation of two sensors, functional hinge axis, knee
angle, low-pass, repetitions. One side is `analytics.live.Engine`; the other is what one would write without it: per
patient two C++ `vqf.VQF` fed ten samples at a time, `scipy.signal.sosfilt` and a state machine, or, where `vqf` is
not installed, a loop over samples in its place. They take turns, and both must count the same.
"""

import math
import time
from collections.abc import Callable
from statistics import median
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np
import numpy.typing as npt
from scipy.signal import butter, sosfilt, sosfilt_zi

from analytics.live import Engine
from telerehab.bench.runner import Figure, Floor, Result

try:
    import vqf
except ImportError:  # the optional extra `bench`
    vqf = None

FloatArray = npt.NDArray[np.floating[Any]]

RATE_HZ: Final = 100.0
TICK: Final = 10
ACCEL_SCALE: Final = 8 * 9.81 / 32768
GYRO_SCALE: Final = math.radians(2000 / 32768)
STILL_S: Final = 4.0
N_DISTINCT: Final = 16
ROUND_TICKS: Final = 5
FLOORS: Final = MappingProxyType({1000: 15.0, 100: 5.0})  # of the ratio, by number of patients
EXPECTED_RANGE_DEG: Final = 82.5


class Orientation(Protocol):
    """Orientation of one sensor, some samples at a time."""

    def up(self, gyro_rad_s: FloatArray, accel_m_s2: FloatArray) -> FloatArray:
        """Return the vertical in sensor coordinates, shape (n, 3), from arrays of that shape."""
        ...


def run(*, patients: int = 1000, seconds: float = 12.0) -> Result:
    """Measure both sides for `patients` and for a tenth of them.

    Raises
    ------
    RuntimeError
        If the two sides do not count the same.
    """
    figures: dict[str, Figure] = {"peer": {"value": "vqf C++" if vqf else "loop in Python", "unit": ""}}
    floors: dict[str, Floor] = {}
    for n_patients in (patients, max(patients // 10, 1)):
        engine_s, objects_s, n_repetitions = _compare(n_patients, seconds)
        speedup = sum(objects_s) / sum(engine_s)
        for side, tick_s in (("engine", engine_s), ("objects", objects_s)):
            tick_us = median(tick_s) * 1e6
            figures[f"{side}_{n_patients}"] = {"value": round(tick_us / n_patients, 2), "unit": "CPU µs/patient/tick"}
            figures[f"{side}_tick_{n_patients}"] = {"value": round(tick_us), "unit": "CPU µs/tick"}
        figures[f"repetitions_{n_patients}"] = {"value": n_repetitions, "unit": "on both sides"}
        ratio = round(speedup, 2)
        figures[f"speedup_{n_patients}"] = {"value": ratio, "unit": "objects/engine"}
        if n_patients in FLOORS:
            floor = FLOORS[n_patients]
            floors[f"speedup_{n_patients}"] = {
                "value": ratio,
                "floor": floor,
                "direction": ">=",
                "met": ratio >= floor,
            }
    return {"name": "live-tick", "figures": figures, "floors": floors}


def make_recordings(n_recordings: int, seconds: float, *, seed: int = 1) -> npt.NDArray[np.int16]:
    """Return seated knee extensions of several people, shape (n_recordings, 2, 6, n_samples).

    The thigh is still; the shank swings by some 80° about a horizontal axis with a sensor turned somehow around it.
    """
    random = np.random.default_rng(seed)
    t_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    recordings = np.empty((n_recordings, 2, 6, t_s.size), np.int16)
    for recording in recordings:
        period_s, range_rad = random.uniform(2.0, 3.0), math.radians(random.uniform(75, 88))
        first_s = STILL_S + random.uniform(0, 1)
        phase = 2 * math.pi * np.maximum(t_s - first_s, 0) / period_s
        swing_rad = range_rad * (1 - np.cos(phase)) / 2
        rate_rad_s = np.gradient(swing_rad, t_s)
        still = np.zeros_like(t_s)
        _write_sensor(recording[0], np.full_like(t_s, -math.pi / 2), still, 0.0, random)
        _write_sensor(recording[1], -swing_rad, -rate_rad_s, 0.3, random)
    return recordings


class PatientObject:
    """The analysis of one patient, as one would write it: seated knee extension, right leg."""

    def __init__(self) -> None:
        self._sensors = [_SensorObject(), _SensorObject()]
        self._sos = butter(4, 6.0, fs=RATE_HZ, output="sos")
        self._zi = sosfilt_zi(self._sos) * 0.0
        self._counter = _Counter(EXPECTED_RANGE_DEG)
        self.angle_deg = np.full(TICK, np.nan)

    @property
    def count(self) -> int:
        """Repetitions so far."""
        return self._counter.count

    def advance(self, raw: npt.NDArray[np.int16]) -> None:
        """Take in ten samples of both sensors, shape (2, 6, 10)."""
        turned = [sensor.advance(samples) for sensor, samples in zip(self._sensors, raw, strict=True)]
        if turned[0] is None or turned[1] is None:
            both_still = all(sensor.still_ticks >= 30 for sensor in self._sensors)
            if both_still:
                self._sensors[0].start(across_the_lying_segment=True)
                self._sensors[1].start(across_the_lying_segment=False)
            return
        progress = np.rad2deg(turned[0] - turned[1])
        self.angle_deg = 90 - progress
        low_passed, self._zi = sosfilt(self._sos, progress, zi=self._zi)
        self._counter.advance(low_passed.tolist())


class _SensorObject:
    """Still gate, orientation and hinge axis of one sensor."""

    def __init__(self) -> None:
        self.still_ticks = 0
        self._sum = np.zeros(6)
        self._lowest = self._highest = np.zeros(6)
        self._orientation: Orientation | None = None
        self._bias = self._up_static = self._axis = self._prior = np.zeros(3)
        self._moments = np.zeros((3, 3))

    def advance(self, raw: npt.NDArray[np.int16]) -> FloatArray | None:
        """Return the rotation about the hinge axis since the static pose [rad], None before the start."""
        accel = np.ascontiguousarray(raw[:3].T * ACCEL_SCALE)
        gyro = np.ascontiguousarray(raw[3:].T * GYRO_SCALE)
        if self._orientation is None:
            self._watch_stillness(accel.mean(axis=0), gyro.mean(axis=0))
            return None
        gyro -= self._bias
        up = self._orientation.up(gyro, accel)
        rate = gyro.mean(axis=0)
        if rate @ rate > 0.04:
            self._moments *= 1 - 0.1 / 30
        self._moments += np.outer(rate, rate)
        axis = self._moments @ self._axis
        self._axis = axis / math.sqrt(axis @ axis)
        first = self._up_static - self._axis * (self._axis @ self._up_static)
        first /= math.sqrt(first @ first)
        x, y, z = self._axis
        a, b, c = first
        second = np.array([y * c - z * b, z * a - x * c, x * b - y * a])
        rotation: FloatArray = -np.arctan2(up @ second, up @ first)
        return rotation

    def start(self, *, across_the_lying_segment: bool) -> None:
        """Take bias, pose and a first axis from the rest."""
        mean = self._sum / self.still_ticks
        self._bias = mean[3:]
        self._up_static = mean[:3] / math.sqrt(mean[:3] @ mean[:3])
        if across_the_lying_segment:
            self._axis = np.cross(self._up_static, [1.0, 0.0, 0.0])
            weight = 3.0
        else:
            worn = np.array([0.0, 0.0, -1.0])
            self._axis = worn - self._up_static * (worn @ self._up_static)
            weight = 1e-3
        self._axis /= math.sqrt(self._axis @ self._axis)
        self._moments = weight * np.outer(self._axis, self._axis)
        self._orientation = _CompiledOrientation() if vqf else _LoopOrientation()
        self._orientation.up(np.zeros((300, 3)), np.tile(mean[:3], (300, 1)))

    def _watch_stillness(self, accel: FloatArray, gyro: FloatArray) -> None:
        reading = np.concatenate([accel / math.sqrt(accel @ accel), gyro])
        self._lowest, self._highest = np.minimum(self._lowest, reading), np.maximum(self._highest, reading)
        if self.still_ticks == 0 or (self._highest - self._lowest).max() > math.radians(1):
            self._lowest = self._highest = reading
            self._sum, self.still_ticks = np.zeros(6), 0
        self._sum += np.concatenate([accel, gyro])
        self.still_ticks += 1


class _Counter:
    """Repetitions by hysteresis, sample by sample."""

    def __init__(self, expected_range_deg: float) -> None:
        self.count = 0
        self._prescribed = self._range = expected_range_deg
        self._inside = False
        self._base = self._last = self._peak = self._lowest = self._peak_speed = 0.0

    def advance(self, progress_deg: list[float]) -> None:
        for progress in progress_deg:
            speed = (progress - self._last) * RATE_HZ
            self._last = progress
            still_speed = min(max(0.06 * self._range, 1.0), 5.0)
            if not self._inside:
                if abs(progress) < 0.3 * self._range and speed < still_speed:
                    bound = 0.15 * self._range
                    self._base = min(max(progress, -bound), bound)
                    self._peak_speed = 0.0
                self._peak_speed = max(self._peak_speed, abs(speed))
                if progress > self._base + 0.5 * self._range:
                    self._inside, self._peak, self._lowest = True, progress, self._base
                continue
            self._peak, self._lowest = max(self._peak, progress), min(self._lowest, progress)
            self._peak_speed = max(self._peak_speed, abs(speed))
            slow = max(0.05 * self._peak_speed, still_speed)
            if progress < self._base + 0.3 * self._range and speed > -slow:
                self._inside = False
                self.count += 1
                drawn = self._range + 0.3 * (self._peak - self._lowest - self._range)
                self._range = min(max(drawn, 0.8 * self._prescribed), 1.25 * self._prescribed)


class _CompiledOrientation:
    """The C++ reference implementation."""

    def __init__(self) -> None:
        self._filter = vqf.VQF(1 / RATE_HZ)

    def up(self, gyro_rad_s: FloatArray, accel_m_s2: FloatArray) -> FloatArray:
        """Return the vertical in sensor coordinates."""
        w, x, y, z = self._filter.updateBatch(gyro_rad_s, accel_m_s2)["quat6D"].T
        return np.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], axis=1)


class _LoopOrientation:
    """The vertical by gyroscope, pulled to the acceleration, sample by sample."""

    def __init__(self) -> None:
        self._up: list[float] = []

    def up(self, gyro_rad_s: FloatArray, accel_m_s2: FloatArray) -> FloatArray:
        """Return the vertical in sensor coordinates."""
        pull = 1 / (3.0 * RATE_HZ)
        result = []
        for (wx, wy, wz), (ax, ay, az) in zip(gyro_rad_s.tolist(), accel_m_s2.tolist(), strict=True):
            size = math.sqrt(ax * ax + ay * ay + az * az)
            x, y, z = self._up or (ax / size, ay / size, az / size)
            x, y, z = (
                x + (y * wz - z * wy) / RATE_HZ + pull * (ax / size - x),
                y + (z * wx - x * wz) / RATE_HZ + pull * (ay / size - y),
                z + (x * wy - y * wx) / RATE_HZ + pull * (az / size - z),
            )
            size = math.sqrt(x * x + y * y + z * z)
            self._up = [x / size, y / size, z / size]
            result.append(self._up)
        return np.array(result)


def _compare(n_patients: int, seconds: float) -> tuple[list[float], list[float], int]:
    """Return CPU seconds of each tick of the engine and of the objects, after the start, and the common count."""
    recordings = make_recordings(min(N_DISTINCT, n_patients), seconds)
    of_patient = np.arange(n_patients) % len(recordings)
    ticks = [
        np.ascontiguousarray(recordings[of_patient, ..., start : start + TICK])
        for start in range(0, recordings.shape[-1] - TICK + 1, TICK)
    ]
    engine = Engine(n_patients, sampling_rate_hz=RATE_HZ, n=TICK)
    for slot in range(n_patients):
        engine.join(
            slot,
            exercise="knee_extension_seated",
            side="right",
            accel_scale_m_s2=(ACCEL_SCALE, ACCEL_SCALE),
            gyro_scale_rad_s=(GYRO_SCALE, GYRO_SCALE),
        )
    valid, ready = np.ones((2 * n_patients, TICK), bool), np.ones(n_patients, bool)
    objects = [PatientObject() for _ in range(n_patients)]

    def advance_engine(raw: npt.NDArray[np.int16]) -> None:
        engine.advance(raw.reshape(2 * n_patients, 6, TICK), valid, ready)

    def advance_objects(raw: npt.NDArray[np.int16]) -> None:
        for patient, samples in zip(objects, raw, strict=True):
            patient.advance(samples)

    engine_s: list[float] = []
    objects_s: list[float] = []
    for first in range(0, len(ticks), ROUND_TICKS):  # A B A B
        engine_s += [_cpu_s(advance_engine, raw) for raw in ticks[first : first + ROUND_TICKS]]
        objects_s += [_cpu_s(advance_objects, raw) for raw in ticks[first : first + ROUND_TICKS]]
    counts = [patient.count for patient in objects]
    if counts != engine.repetition_count.tolist() or not sum(counts):
        raise RuntimeError("the engine and the objects do not count the same")
    started = int(STILL_S * RATE_HZ / TICK)
    return engine_s[started:], objects_s[started:], sum(counts)


def _cpu_s(function: Callable[[npt.NDArray[np.int16]], None], raw: npt.NDArray[np.int16]) -> float:
    before = time.process_time()
    function(raw)
    return time.process_time() - before


def _write_sensor(
    recording: npt.NDArray[np.int16],
    direction_rad: FloatArray,
    rate_rad_s: FloatArray,
    arm_m: float,
    random: np.random.Generator,
) -> None:
    """Write one sensor of a right leg that turns about the axis to the left.

    Parameters
    ----------
    recording : ndarray of int16, shape (6, n_samples)
        Written.
    direction_rad, rate_rad_s : ndarray, shape (n_samples,)
        Rotation of the segment from straight down, and its speed.
    arm_m : float
        Distance of the sensor from the joint that does not move.
    """
    # Worn right: x along the segment, y forwards, z to the right. Rotation is about -z.
    acceleration = np.gradient(rate_rad_s, 1 / RATE_HZ)
    accel = np.zeros((3, rate_rad_s.size))
    accel[0] = -9.81 * np.cos(direction_rad) - rate_rad_s**2 * arm_m
    accel[1] = -9.81 * np.sin(direction_rad) - acceleration * arm_m
    gyro = np.zeros_like(accel)
    gyro[2] = -rate_rad_s
    around = random.uniform(-0.5, 0.5)
    turn = np.array([[1, 0, 0], [0, math.cos(around), -math.sin(around)], [0, math.sin(around), math.cos(around)]])
    accel = turn @ accel + random.normal(0, 0.011, accel.shape)
    bias = np.radians(random.uniform(-1, 1, (3, 1)))
    gyro = turn @ gyro + bias + np.radians(random.normal(0, 0.05, gyro.shape))
    recording[:3] = np.round(accel / ACCEL_SCALE)
    recording[3:] = np.round(gyro / GYRO_SCALE)
