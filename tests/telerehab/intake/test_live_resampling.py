"""Sensors of other rates reach the 100 Hz grid without inventing or losing movement."""

import numpy as np
import pytest
from numpy.typing import NDArray

from telerehab.intake.resampling import Resampler


def in_blocks(
    resampler: Resampler, signal: NDArray[np.int16], *, t0_us: int, block: int
) -> tuple[NDArray[np.int64], NDArray[np.int16]]:
    times, values = [], []
    for start in range(0, len(signal), block):
        at_us, samples = resampler.to_grid(t0_us + start * resampler.period_us, signal[start : start + block])
        times.append(at_us + np.arange(len(samples)) * 10_000)
        values.append(samples)
    return np.concatenate(times), np.concatenate(values)


@pytest.mark.parametrize("rate_hz", [25, 50, 52, 104, 200])
@pytest.mark.parametrize("block", [1, 10, 13])
def test_every_grid_time_comes_once_and_carries_the_movement(rate_hz: int, block: int) -> None:
    period_us = round(1e6 / rate_hz)
    t_s = np.arange(10 * rate_hz) * period_us * 1e-6
    signal = np.stack([20_000 * np.sin(2 * np.pi * 0.5 * t_s), 5_000 * np.cos(2 * np.pi * t_s)], axis=1)
    times, values = in_blocks(
        Resampler(period_us=period_us, n_channels=2), np.round(signal).astype(np.int16), t0_us=1_000_003, block=block
    )
    assert (np.diff(times) == 10_000).all()
    assert times[0] % 10_000 == 0
    shift_s = 5e-3 if rate_hz > 100 else 0.0  # an average over the interval that ends at the grid time
    at_s = (times - 1_000_003) * 1e-6 - shift_s + (period_us * 0.5e-6 if rate_hz > 100 else 0)
    expected = np.stack([20_000 * np.sin(2 * np.pi * 0.5 * at_s), 5_000 * np.cos(2 * np.pi * at_s)], axis=1)
    assert len(times) >= 9.9 * 100
    assert np.abs(values - expected).max() < 110  # 0.5 % of the signal


def test_the_turned_angle_survives_a_fast_sensor() -> None:
    rng = np.random.default_rng(7)
    signal = np.round(rng.normal(0, 3_000, (2_000, 1)) + 500).astype(np.int16)
    times, values = in_blocks(Resampler(period_us=5_000, n_channels=1), signal, t0_us=0, block=10)
    turned = signal[1 : 1 + 2 * len(values)].sum() * 5_000
    assert abs(values.sum(dtype=np.int64) * 10_000 - turned) <= 0.5 * 10_000 * len(times)


def test_nothing_is_invented_across_a_hole() -> None:
    resampler = Resampler(period_us=40_000, n_channels=1)
    resampler.to_grid(0, np.zeros((5, 1), np.int16))
    start_us, samples = resampler.to_grid(240_000, np.full((2, 1), 1_000, np.int16))
    assert start_us == 240_000
    assert samples[:, 0].tolist() == [1_000] * 5


def test_a_block_without_samples_changes_nothing() -> None:
    resampler = Resampler(period_us=40_000, n_channels=1)
    resampler.to_grid(0, np.zeros((5, 1), np.int16))
    assert resampler.to_grid(200_000, np.zeros((0, 1), np.int16))[1].shape == (0, 1)
    start_us, samples = resampler.to_grid(200_000, np.full((1, 1), 40, np.int16))
    assert (start_us, samples[:, 0].tolist()) == (170_000, [10, 20, 30, 40])
