"""What the inertial sensor adds to the movement."""

import numpy as np
import pytest

from devices.wire import IMU6_DTYPE
from firmware_sim.body import GRAVITY_M_S2, Anthropometry
from firmware_sim.imu import BMI270, ImuSensor, is_clipped, place, quantise
from firmware_sim.seeds import random_stream

N_SAMPLES = 60_000


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
