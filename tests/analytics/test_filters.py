import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import butter, lfilter, sosfilt, sosfreqz

from analytics.core.filters import (
    advance_filter,
    block_form,
    butterworth_sections,
    delay_at_rest_samples,
    rest_state,
    time_constant_lowpass,
)


@given(time_constant_s=st.floats(0.05, 10), n=st.integers(1, 25), seed=st.integers(0, 99))
def test_ticks_of_the_block_form_equal_one_long_filter(time_constant_s: float, n: int, seed: int) -> None:
    b, a = time_constant_lowpass(time_constant_s, 0.01)
    signal = np.random.default_rng(seed).standard_normal((n * 12, 3))
    matrix, block, moved = block_form(b, a, n), np.zeros((n + 2, 3)), np.zeros((n + 2, 3))
    outputs = []
    for tick in range(12):
        block[:n] = signal[tick * n : (tick + 1) * n]
        advance_filter(matrix, block, moved)
        outputs.append(moved[:n].copy())
    np.testing.assert_allclose(np.concatenate(outputs), lfilter(b, a, signal, axis=0), atol=1e-10)


@pytest.mark.parametrize("time_constant_s", [0.1, 0.5, 3.0])
def test_a_filter_at_rest_stays_at_rest(time_constant_s: float) -> None:
    b, a = time_constant_lowpass(time_constant_s, 0.01)
    block = np.full((12, 1), 7.0)
    block[10:, 0] = 7.0 * rest_state(b, a)
    moved = np.zeros_like(block)
    advance_filter(block_form(b, a, 10), block, moved)
    np.testing.assert_allclose(moved[:10], 7.0, rtol=1e-12)


@pytest.mark.parametrize("order", [2, 4, 8])
@pytest.mark.parametrize("cutoff_hz", [0.3, 6.0, 40.0])
def test_the_sections_are_those_of_scipy(order: int, cutoff_hz: float) -> None:
    sections = np.array([np.concatenate(section) for section in butterworth_sections(order, cutoff_hz, 100.0)])
    expected = butter(order, cutoff_hz, fs=100.0, output="sos")
    np.testing.assert_allclose(sections[:, 3:], expected[:, 3:], atol=1e-12)
    answers = sosfreqz(sections, worN=64)[1], sosfreqz(expected, worN=64)[1]
    np.testing.assert_allclose(*answers, atol=1e-9)


def test_a_slow_ramp_is_late_by_the_stated_delay() -> None:
    sections = butterworth_sections(4, 6.0, 100.0)
    ramp = np.arange(500.0)
    late = ramp - sosfilt([np.concatenate(section) for section in sections], ramp)
    assert late[-1] == pytest.approx(delay_at_rest_samples(sections), abs=1e-6)
    assert late[-1] == pytest.approx(6.85, abs=0.01)


def test_each_section_begins_at_rest_wherever_it_begins() -> None:
    for b, a in butterworth_sections(4, 6.0, 100.0):
        block = np.full((12, 1), 70.0)
        block[10:, 0] = 70.0 * rest_state(b, a)
        moved = np.zeros_like(block)
        advance_filter(block_form(b, a, 10), block, moved)
        np.testing.assert_allclose(moved[:10], 70.0, rtol=1e-9)
