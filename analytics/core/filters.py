"""Second-order low-pass filters in block form: a whole tick of samples as one matrix product.

The block form feeds unit vectors through the biquad and collects what comes out, so `[y; z'] = M [x; z]` for the
samples x of one tick and the two states z of the direct form II transposed. It is made in float64 and cast once,
which keeps the digits that a float32 recursion with a long time constant would lose.
"""

import math

import numpy as np
import numpy.typing as npt

from analytics.core.quaternions import FloatArray

Coefficients = npt.NDArray[np.float64]


def time_constant_lowpass(time_constant_s: float, sampling_interval_s: float) -> tuple[Coefficients, Coefficients]:
    """Return `b, a` of the second-order Butterworth low-pass that VQF uses, `fc = sqrt 2 / (2 pi tau)`.

    After D. Laidig, T. Seel, "VQF", Information Fusion 91 (2023), section 3.
    """
    cutoff_hz = math.sqrt(2) / (2 * math.pi * time_constant_s)
    return _lowpass_biquad(cutoff_hz * sampling_interval_s, damping=math.sqrt(2))


def butterworth_sections(
    order: int, cutoff_hz: float, sampling_rate_hz: float
) -> list[tuple[Coefficients, Coefficients]]:
    """Return `b, a` of each biquad of a Butterworth low-pass of even order; each passes a constant unchanged.

    The same as `scipy.signal.butter`, without its import: that takes longer than everything else that intake needs to
    start, and after a crash nobody sees a value until it has started.

    References
    ----------
    S. Butterworth, "On the theory of filter amplifiers", Experimental Wireless 7 (1930).
    """
    angles = [math.pi * (2 * k + 1) / (2 * order) for k in range(order // 2)]
    return [_lowpass_biquad(cutoff_hz / sampling_rate_hz, damping=2 * math.sin(angle)) for angle in reversed(angles)]


def _lowpass_biquad(cutoff: float, *, damping: float) -> tuple[Coefficients, Coefficients]:
    """Return `b, a` of `1 / (s^2 + damping s + 1)` by the bilinear transform; the cutoff in parts of the rate."""
    t = math.tan(math.pi * cutoff)
    d = t * t + damping * t + 1
    b0 = t * t / d
    return np.array([b0, 2 * b0, b0]), np.array([1.0, 2 * (t * t - 1) / d, (1 - damping * t + t * t) / d])


def block_form(b: Coefficients, a: Coefficients, n_samples: int) -> Coefficients:
    """Return the matrix that moves a biquad by `n_samples` at once.

    Parameters
    ----------
    b, a : ndarray, shape (3,)
        Numerator and denominator, `a[0] == 1`.
    n_samples : int

    Returns
    -------
    matrix : ndarray, shape (n_samples + 2, n_samples + 2)
        Applied to `n_samples` inputs followed by the two states; gives the outputs followed by the new states.

    Examples
    --------
    >>> mean_of_two = block_form(np.array([0.5, 0.5, 0]), np.array([1.0, 0, 0]), 3)
    >>> (mean_of_two @ [2.0, 4.0, 6.0, 0.0, 0.0])[:3].tolist()
    [1.0, 3.0, 5.0]
    """
    inputs = np.eye(n_samples + 2)
    outputs = np.empty_like(inputs)
    z1, z2 = inputs[n_samples], inputs[n_samples + 1]
    for k in range(n_samples):
        outputs[k] = b[0] * inputs[k] + z1
        z1 = b[1] * inputs[k] - a[1] * outputs[k] + z2
        z2 = b[2] * inputs[k] - a[2] * outputs[k]
    outputs[n_samples], outputs[n_samples + 1] = z1, z2
    return outputs


def rest_state(b: Coefficients, a: Coefficients) -> Coefficients:
    """Return the two states of a biquad that has rested at input 1 and passes a constant unchanged, shape (2,)."""
    return np.array([1 - b[0], b[2] - a[2]])


def delay_at_rest_samples(sections: list[tuple[Coefficients, Coefficients]]) -> float:
    """Return the group delay of the sections for slow signals, together. [samples]"""
    powers = np.arange(3)
    return float(sum((powers @ b) / b.sum() - (powers @ a) / a.sum() for b, a in sections))


def advance_filter(matrix: FloatArray, block: FloatArray, moved: FloatArray) -> None:
    """Move filters by one tick: `moved = matrix block`, and put the new states behind the inputs of `block`.

    Parameters
    ----------
    matrix : ndarray, shape (n + 2, n + 2)
        From `block_form`, cast to the signals' type.
    block : ndarray, shape (..., n + 2, n_series)
        Inputs and states; the states are replaced.
    moved : ndarray, shape (..., n + 2, n_series)
        Outputs in the first n rows.
    """
    np.matmul(matrix, block, out=moved)
    block[..., -2:, :] = moved[..., -2:, :]
