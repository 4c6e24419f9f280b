"""What the inertial sensor adds to the movement."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from devices.wire import IMU6_DTYPE
from firmware_sim.body import GRAVITY_M_S2, Anthropometry
from firmware_sim.imu import ImuSensor, is_clipped, place, quantise
from firmware_sim.parts import BMI270, FIELD_BIAS_DEG_S, PARTS, ImuPart
from firmware_sim.seeds import random_stream

N_SAMPLES = 60_000
Floats = npt.NDArray[np.float64]


def resting_rows(*, gyro_bias_deg_s: float = 0.5, device: str = "band-1") -> np.ndarray:
    sensor = ImuSensor(BMI270, seed=1, device=device, sampling_rate_hz=100.0, gyro_bias_deg_s=gyro_bias_deg_s)
    force = np.zeros((3, N_SAMPLES))
    force[2] = GRAVITY_M_S2
    return sensor.measure(force, np.zeros((3, N_SAMPLES)))


def test_noise_has_the_density_of_the_data_sheet() -> None:
    rows = resting_rows()
    accel_m_s2 = rows["accel"] * BMI270.accel_scale_m_s2
    gyro_deg_s = rows["gyro"] * BMI270.gyro_scale_deg_s
    # Sample noise = density * sqrt(50 Hz), with a twelfth of the step squared from rounding.
    assert accel_m_s2.std(axis=0) == pytest.approx(160e-6 * GRAVITY_M_S2 * np.sqrt(50), rel=0.03)
    rounding_deg_s = BMI270.gyro_scale_deg_s / np.sqrt(12)
    assert gyro_deg_s.std(axis=0) == pytest.approx(np.hypot(0.007 * np.sqrt(50), rounding_deg_s), rel=0.05)


def test_the_turn_on_bias_is_there_and_scales_with_the_option() -> None:
    small = resting_rows()["gyro"].mean(axis=0) * BMI270.gyro_scale_deg_s
    large = resting_rows(gyro_bias_deg_s=3.0)["gyro"].mean(axis=0) * BMI270.gyro_scale_deg_s
    assert 0.05 < np.abs(small).max() <= 0.8
    assert large == pytest.approx(6 * small, abs=0.05)


def test_full_scale_is_eight_g_and_two_thousand_degrees_and_saturates() -> None:
    force = np.array([[8.0, -8.5, 7.9]]).T * np.ones((3, 1)) * GRAVITY_M_S2
    rows = quantise(np.tile(force, (1, 1)), np.full((3, 1), 2500.0), part=BMI270)
    assert rows.dtype == IMU6_DTYPE
    assert rows["accel"][0].tolist() == [32767, -32768, round(7.9 / 8 * 32768)]
    assert rows["gyro"][0].tolist() == [32767] * 3
    assert is_clipped(rows)
    assert not is_clipped(quantise(np.zeros((3, 4)), np.zeros((3, 4)), part=BMI270))


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_sensor_lies_along_the_limb_within_the_misplacement(side: str) -> None:
    angles_deg = []
    for seed in range(200):
        mounting = place(
            "shank", side=side, body=Anthropometry(), misplacement_max_deg=8.0, random=random_stream(seed, "x")
        )
        assert mounting.rotation @ mounting.rotation.T == pytest.approx(np.eye(3), abs=1e-12)
        assert np.linalg.det(mounting.rotation) == pytest.approx(1.0)
        angles_deg.append(np.degrees(np.arccos(-mounting.rotation[2, 0])))
    assert max(angles_deg) <= 8.0
    assert max(angles_deg) > 4.0


def test_faults_and_noise_depend_on_seed_and_device_alone() -> None:
    assert resting_rows().tobytes() == resting_rows().tobytes()
    assert resting_rows().tobytes() != resting_rows(device="band-2").tobytes()


def fine(part: ImuPart) -> ImuPart:
    """Return a part with ranges so small that rounding drowns no noise."""
    return replace(part, accel_range_g=2.0, gyro_range_deg_s=125.0)


def at_rest(part: ImuPart, *, device: str, hours: float, rate_hz: float, **options: Any) -> tuple[Floats, Floats]:
    """Return acceleration [m/s²] and rate [°/s] of a sensor that lies still, each (n_samples, 3)."""
    part = fine(part)
    sensor = ImuSensor(part, seed=4, device=device, sampling_rate_hz=rate_hz, gyro_bias_deg_s=0.0, **options)
    stretch = np.zeros((3, 600)), np.zeros((3, 600))
    rows = np.concatenate([sensor.measure(*stretch) for _ in range(round(hours * 3600 * rate_hz / 600))])
    return rows["accel"] * part.accel_scale_m_s2, rows["gyro"] * part.gyro_scale_deg_s


def allan_deviation(signal: Floats, n: int) -> float:
    """Return the Allan deviation of all columns over clusters of n samples (IEEE 952)."""
    means = signal[: len(signal) // n * n].reshape(-1, n, signal.shape[1]).mean(axis=1)
    return float(np.sqrt((np.diff(means, axis=0) ** 2).mean() / 2))


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_the_allan_deviation_is_that_of_the_data_sheet(part: ImuPart) -> None:
    """White noise of density N has N / sqrt(2 tau); a Gauss-Markov bias peaks at 0.617 sigma near 1.89 of its tau."""
    accel, gyro = at_rest(part, device="band-1", hours=0.5, rate_hz=100.0)
    for n in (10, 100):
        root = np.sqrt(2 * n / 100)
        assert allan_deviation(accel, n) == pytest.approx(
            part.accel_noise_ug_rthz * 1e-6 * GRAVITY_M_S2 / root, rel=0.1
        )
        assert allan_deviation(gyro, n) == pytest.approx(part.gyro_noise_mdps_rthz * 1e-3 / root, rel=0.1)
    slow = [at_rest(part, device=f"band-{each}", hours=8, rate_hz=4.0)[1] for each in range(12)]
    n = round(1.89 * part.bias_instability_tau_s * 4)
    peak = np.sqrt(np.mean([allan_deviation(each, n) ** 2 for each in slow]))
    white = part.gyro_noise_mdps_rthz * 1e-3 / np.sqrt(2 * n / 4)
    assert np.sqrt(peak**2 - white**2) == pytest.approx(0.617 * part.bias_instability_deg_s, rel=0.1)


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
def test_a_sensor_on_the_skin_warms_and_its_offsets_follow(part: ImuPart) -> None:
    drifts = []
    for number in range(20):
        accel, gyro = at_rest(part, device=f"band-{number}", hours=0.5, rate_hz=20.0, warming_k=8.0)
        begin, end = slice(0, 200), slice(-2_000, None)
        drifts.append(np.r_[accel[end].mean(axis=0), gyro[end].mean(axis=0)])
        drifts[-1] -= np.r_[accel[begin].mean(axis=0), gyro[begin].mean(axis=0)]
    of_accel, of_gyro = np.abs(np.array(drifts)).reshape(-1, 2, 3).max(axis=(0, 2))
    largest_m_s2 = 2 * 8 * part.accel_offset_mg_k * 1e-3 * GRAVITY_M_S2
    assert 0.5 * largest_m_s2 < of_accel < 1.1 * largest_m_s2
    largest_deg_s = 2 * 8 * part.gyro_offset_deg_s_k
    assert 0.5 * largest_deg_s < of_gyro < 1.1 * largest_deg_s + 6 * part.bias_instability_deg_s


def test_what_an_axis_feels_leaks_into_the_others_by_the_cross_axis_error() -> None:
    part = replace(fine(PARTS["ICM-20948"]), accel_noise_ug_rthz=0.0, accel_offset_mg=0.0)
    leaks = []
    for number in range(50):
        sensor = ImuSensor(part, seed=1, device=f"band-{number}", sampling_rate_hz=100.0)
        rows = sensor.measure(np.tile([[0.0], [0.0], [GRAVITY_M_S2]], 10), np.zeros((3, 10)))
        leaks += (rows["accel"][0, :2] * part.accel_scale_m_s2 / GRAVITY_M_S2).tolist()
    assert np.std(leaks) == pytest.approx(part.cross_axis, rel=0.3)
    assert np.abs(leaks).max() <= 2 * part.cross_axis + 1e-4


def test_the_bias_of_the_field_comes_on_top() -> None:
    sensor = ImuSensor(
        BMI270, seed=1, device="a", sampling_rate_hz=100.0, gyro_bias_deg_s=None, field_bias_deg_s=FIELD_BIAS_DEG_S
    )
    assert np.abs(sensor.gyro_bias_deg_s - FIELD_BIAS_DEG_S).max() <= 0.5


def test_bytes_are_the_same_however_many_samples_are_asked_for_at_once() -> None:
    whole, pieces = (ImuSensor(BMI270, seed=1, device="a", sampling_rate_hz=100.0, warming_k=8.0) for _ in range(2))
    force, rate = np.full((3, 1_000), 9.0), np.full((3, 1_000), 0.1)
    cuts = [0, 1, 3, 99, 100, 101, 500, 777, 1_000]
    apart = [pieces.measure(force[:, i:j], rate[:, i:j]) for i, j in itertools.pairwise(cuts)]
    assert np.concatenate(apart).tobytes() == whole.measure(force, rate).tobytes()
