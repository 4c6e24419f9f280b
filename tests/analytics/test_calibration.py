import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analytics.core.calibration import StillGate, axis_from_pose, improve_axis
from analytics.core.quaternions import FloatArray, unit

TICKS_PER_S = 10


def still_ticks(mean_of_tick: FloatArray) -> FloatArray:
    """Return what the gate says after the ticks of (6, n_ticks), one sensor."""
    gate = StillGate(1)
    for tick in mean_of_tick.T:
        ticks = gate.advance(tick[:, None].astype(np.float32), np.zeros(1), np.ones(1, bool))
    return ticks


def lying_sensor(seconds: float, *, tilt_deg: FloatArray | float = 0.0, rate_deg_s: float = 0.0) -> FloatArray:
    n_ticks = round(seconds * TICKS_PER_S)
    tilt = np.broadcast_to(np.radians(tilt_deg), n_ticks)
    reading = np.zeros((6, n_ticks))
    reading[0], reading[2] = 9.81 * np.sin(tilt), 9.81 * np.cos(tilt)
    reading[4] = np.radians(rate_deg_s)
    return reading


def test_a_sensor_at_rest_is_still_whatever_its_bias() -> None:
    assert still_ticks(lying_sensor(3, rate_deg_s=5)) == 30


def test_slow_sway_is_not_stillness() -> None:
    t_s = np.arange(60) / TICKS_PER_S
    assert still_ticks(lying_sensor(6, tilt_deg=1.5 * np.sin(2 * np.pi * 0.2 * t_s))) < 30


def test_a_rate_that_changes_is_not_stillness() -> None:
    reading = lying_sensor(6)
    reading[5] = np.radians(1.5) * np.sin(2 * np.pi * 0.2 * np.arange(60) / TICKS_PER_S)
    assert still_ticks(reading) < 30


def test_setting_out_ends_the_rest_at_once() -> None:
    sets_out = lying_sensor(3.3)
    sets_out[4, -2:] = np.radians([1.0, 6.0])
    assert still_ticks(sets_out[:, :-1]) == 30
    assert still_ticks(sets_out) == 0


@pytest.mark.parametrize(("range_deg_s", "is_still"), [(8.0, True), (12.0, False)])
def test_what_swings_within_a_tick_is_not_still(range_deg_s: float, is_still: bool) -> None:
    gate = StillGate(1)
    for tick in lying_sensor(3).T:
        ticks = gate.advance(tick[:, None].astype(np.float32), np.radians([range_deg_s]), np.ones(1, bool))
    assert (ticks[0] == 30) == is_still


def test_the_mean_is_that_of_the_rest_alone() -> None:
    gate = StillGate(1)
    moved, rest = lying_sensor(1, tilt_deg=np.linspace(0, 40, 10)), lying_sensor(3, tilt_deg=40, rate_deg_s=2)
    for tick in np.concatenate([moved, rest], axis=1).T:
        gate.advance(tick[:, None].astype(np.float32), np.zeros(1), np.ones(1, bool))
    np.testing.assert_allclose(gate.mean()[:, 0], rest[:, 0], atol=0.02)


def test_a_missing_tick_begins_the_rest_anew() -> None:
    gate = StillGate(1)
    tick = lying_sensor(0.1).astype(np.float32)
    for present in [True] * 20 + [False] + [True] * 5:
        ticks = gate.advance(tick, np.zeros(1), np.array([present]))
    assert ticks[0] == 5


@given(around=st.floats(-np.pi, np.pi))
def test_a_lying_segment_tells_its_axis_however_the_sensor_has_turned(around: float) -> None:
    up = np.array([[0.0], [np.cos(around)], [np.sin(around)]])  # x lies level, pointing away from the trunk
    axis, is_sure = axis_from_pose(up, np.array([[0.0], [0], [-1]]), np.array([True]))
    assert is_sure.all()
    # up x forwards = left
    np.testing.assert_allclose(axis[:, 0], [0, np.sin(around), -np.cos(around)], atol=1e-9)


def test_a_standing_segment_takes_the_axis_of_right_wearing_made_level() -> None:
    up = unit(np.array([[-1.0], [0.1], [0.1]]))
    axis, is_sure = axis_from_pose(up, np.array([[0.0], [0], [-1]]), np.array([True]))
    assert not is_sure.any()
    assert (axis * up).sum() == pytest.approx(0, abs=1e-12)
    assert axis[2, 0] < -0.98


@given(seed=st.integers(0, 200))
def test_movement_shows_the_axis_and_keeps_its_sign(seed: int) -> None:
    random = np.random.default_rng(seed)
    true = unit(random.standard_normal((3, 1)))
    rates = true * random.standard_normal(200) + 0.05 * random.standard_normal((3, 200))
    x, y, z = rates
    moments = np.array([x @ x, y @ y, z @ z, x @ y, x @ z, y @ z])[:, None]
    first = unit(true + 0.5 * random.standard_normal((3, 1)))
    axis = improve_axis(first, moments, first, np.array([1e-3]))
    expected = true * np.sign((true * first).sum())
    if abs((true * first).sum()) > 0.2:
        assert np.degrees(np.arccos(np.clip((axis * expected).sum(), -1, 1))) < 2


def test_without_movement_the_axis_stays() -> None:
    prior = np.array([[0.0], [0.6], [0.8]])
    np.testing.assert_allclose(improve_axis(prior, np.zeros((6, 1)), prior, np.array([1e-3])), prior, atol=1e-6)
