from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from analytics.core.orientation import OrientationParameters, TickOrientation
from analytics.core.quaternions import rotate_inverse
from tests.analytics.signals import (
    ACCEL_SCALE_M_S2,
    GYRO_SCALE_RAD_S,
    Repetition,
    seated_knee_extension,
)
from tests.reference.analytics_orientation import basic_up

N = 10
Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]


@cache
def moving_sensors(n_sensors: int, *, bias_deg_s: float = 0.5, seconds: float = 20) -> tuple[Doubles, Doubles]:
    """Return gyro [rad/s] and accel [m/s²], shape (3, n_samples, n_sensors): shanks that swing after four seconds."""
    repetitions = [Repetition(range_deg=70)] * round((seconds - 4) / Repetition().duration_s)
    raw = np.stack(
        [seated_knee_extension(repetitions, seed=seed, bias_deg_s=bias_deg_s).raw[1] for seed in range(n_sensors)],
        axis=2,
    ).astype(np.float64)
    raw = raw[:, : raw.shape[1] // N * N]
    return raw[3:] * GYRO_SCALE_RAD_S, raw[:3] * ACCEL_SCALE_M_S2


def run(orientation: TickOrientation, gyro: Floats, accel: Floats) -> Floats:
    """Return the vertical in sensor coordinates, shape (3, n_samples, n_sensors)."""
    dtype = orientation.state["strapdown"].dtype
    ticks = [
        orientation.advance(gyro[:, k : k + N].astype(dtype), accel[:, k : k + N].astype(dtype)).copy()
        for k in range(0, gyro.shape[1], N)
    ]
    return np.concatenate(ticks, axis=1)


def started(
    gyro: Doubles, accel: Doubles, dtype: npt.DTypeLike = np.float32
) -> tuple[TickOrientation, Doubles, Doubles]:
    """Return an orientation that starts from the first three seconds, and the rest of the signals less their bias."""
    n_sensors = gyro.shape[2]
    orientation = TickOrientation(n_sensors, dtype=dtype)
    rest = accel[:, :300].mean(axis=1).astype(dtype)
    orientation.restart(np.arange(n_sensors), rest, is_settled=True, keeps_bias=False)
    return orientation, gyro[:, 300:] - gyro[:, :300].mean(axis=1, keepdims=True), accel[:, 300:]


def angle_deg(a: Floats, b: Floats) -> Floats:
    degrees: Floats = np.degrees(2 * np.arcsin(np.clip(np.linalg.norm(a - b, axis=0) / 2, 0, 1)))
    return degrees


def rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


@pytest.mark.parametrize(("dtype", "limit_deg"), [(np.float64, 2e-3), (np.float32, 0.02)])
def test_without_bias_the_tick_form_equals_the_obvious_loop(dtype: npt.DTypeLike, limit_deg: float) -> None:
    gyro, accel = moving_sensors(2)
    no_bias = OrientationParameters(bias_clip_rad_s=0.0)
    orientation = TickOrientation(2, dtype=dtype, parameters=no_bias)
    start = accel[:, :300].mean(axis=1)
    orientation.restart(np.arange(2), start.astype(dtype), is_settled=True, keeps_bias=False)
    up = run(orientation, gyro[:, 300:], accel[:, 300:])
    for sensor in range(2):
        loop = basic_up(gyro[:, 300:, sensor].T, accel[:, 300:, sensor].T, start[:, sensor], rate_hz=100)
        assert angle_deg(up[..., sensor], loop.T).max() < limit_deg


def test_the_tick_form_agrees_with_the_reference_implementation() -> None:
    vqf = pytest.importorskip("vqf", reason="optional peer vqf is not installed")
    gyro, accel = moving_sensors(4, seconds=40)
    orientation, gyro, accel = started(gyro, accel)
    up = run(orientation, gyro, accel)
    for sensor in range(4):
        peer = vqf.VQF(0.01).updateBatch(
            np.ascontiguousarray(gyro[..., sensor].T), np.ascontiguousarray(accel[..., sensor].T)
        )["quat6D"]
        peer_up = rotate_inverse(peer.T, np.array([0.0, 0, 1])[:, None])
        assert rms(angle_deg(up[:, 400:, sensor], peer_up[:, 400:])) < 0.15


def test_orientation_and_vertical_agree() -> None:
    gyro, accel = moving_sensors(3)
    orientation, gyro, accel = started(gyro, accel)
    up = run(orientation, gyro, accel)[:, -1]
    upright = np.array([[0], [0], [1]], np.float32)
    np.testing.assert_allclose(rotate_inverse(orientation.quaternions(), upright), up, atol=2e-4)


def test_rest_finds_the_bias_that_the_start_did_not() -> None:
    orientation = TickOrientation(3)
    bias = np.radians(np.array([[0.3, -0.2, 0.1], [0.0, 0.4, -0.3], [0.2, 0.1, -0.4]]))
    accel = np.zeros((3, 3000, 3))
    accel[2] = 9.81
    run(orientation, np.broadcast_to(bias[:, None], (3, 3000, 3)), accel)
    np.testing.assert_allclose(np.degrees(orientation.state["bias_rad_s"]), np.degrees(bias), atol=0.02)


def test_movement_finds_the_bias_too() -> None:
    gyro, accel = moving_sensors(3, bias_deg_s=0, seconds=60)
    orientation, gyro, accel = started(gyro, accel)
    orientation.restart(np.arange(3), accel[:, :N].mean(axis=1), is_settled=False, keeps_bias=False)
    late = np.radians(0.3)
    run(orientation, gyro + late, accel)
    error = np.degrees(np.abs(orientation.state["bias_rad_s"] - late))
    assert error.max() < 0.15
    assert np.median(error) < 0.1


def test_a_restarted_column_finds_the_vertical_again() -> None:
    gyro, accel = moving_sensors(2, seconds=30)
    orientation, gyro, accel = started(gyro, accel)
    middle = 1000
    run(orientation, gyro[:, :middle], accel[:, :middle])
    continued, _, _ = started(*moving_sensors(2, seconds=30))
    run(continued, gyro[:, :middle], accel[:, :middle])
    column = np.array([1])
    now = accel[:, middle : middle + N, column].mean(axis=1).astype(np.float32)
    orientation.restart(column, now, is_settled=False, keeps_bias=True)
    with_restart = run(orientation, gyro[:, middle:], accel[:, middle:])
    without = run(continued, gyro[:, middle:], accel[:, middle:])
    np.testing.assert_array_equal(with_restart[..., 0], without[..., 0])
    assert angle_deg(with_restart[..., 1], without[..., 1])[100:].max() < 3
    assert angle_deg(with_restart[..., 1], without[..., 1])[600:].max() < 1


def test_many_columns_are_as_good_as_single_ones() -> None:
    gyro, accel = moving_sensors(5, seconds=10)
    orientation, moved_gyro, moved_accel = started(gyro, accel)
    together = run(orientation, moved_gyro, moved_accel)
    for sensor in range(5):
        one = slice(sensor, sensor + 1)
        single, one_gyro, one_accel = started(gyro[..., one], accel[..., one])
        np.testing.assert_allclose(run(single, one_gyro, one_accel)[..., 0], together[..., sensor], atol=2e-4)


def test_a_moved_column_continues_bit_by_bit() -> None:
    gyro, accel = moving_sensors(4, seconds=12)
    here, moved_gyro, moved_accel = started(gyro, accel)
    there, _, _ = started(gyro, accel)
    half = 500
    run(here, moved_gyro[:, :half], moved_accel[:, :half])
    order = np.array([2, 0, 3, 1])
    there.state.put(np.arange(4), here.state.take(order))
    stayed = run(here, moved_gyro[:, half:], moved_accel[:, half:])
    moved = run(there, moved_gyro[:, half:][..., order], moved_accel[:, half:][..., order])
    np.testing.assert_array_equal(moved, stayed[..., order])
