"""A whole recording at once: the live engine, driven over it in ticks, so that live and batch cannot disagree."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from analytics.live import Engine
from analytics.results import REPETITION_DTYPE


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionRecording:
    """One patient's recording of one exercise, as `analyse_session` wants it; see there."""

    raw: npt.NDArray[np.int16]
    valid: npt.NDArray[np.bool_]
    exercise: str
    side: str
    accel_scale_m_s2: tuple[float, float]
    gyro_scale_rad_s: tuple[float, float]
    sensors: Literal["both", "distal"] = "both"
    target_deg: tuple[float, float] | None = None


def analyse_many(
    items: Iterable[SessionRecording], *, map: Callable[[Callable[[SessionRecording], Any], Any], Any] = map
) -> Any:
    """Analyse recordings that have nothing to do with each other.

    Parameters
    ----------
    items : iterable of SessionRecording
    map : callable
        Applies a function to each: Python's own, one after the other and only when the result is asked for; or that of
        a pool of processes or a cluster, which decides what order and place the work is done in.

    Returns
    -------
    results
        Whatever `map` returns; with Python's own an iterator over the results of `analyse_session`, in the order of
        the items.
    """
    return map(_analyse, items)


def analyse_session(
    raw: npt.NDArray[np.int16],
    valid: npt.NDArray[np.bool_],
    *,
    exercise: str,
    side: str,
    accel_scale_m_s2: Sequence[float],
    gyro_scale_rad_s: Sequence[float],
    sensors: Literal["both", "distal"] = "both",
    target_deg: tuple[float, float] | None = None,
    neutral_angle_deg: float | None = None,
    sampling_rate_hz: float = 100.0,
    n: int = 10,
) -> npt.NDArray[Any]:
    """Find the repetitions of one patient's recording.

    Parameters
    ----------
    raw : ndarray of int16, shape (2, 6, n_samples)
        Proximal and distal sensor; specific force x y z, angular velocity x y z, in units of the scales. It begins
        with a rest of three seconds in the start pose.
    valid : ndarray of bool, shape (2, n_samples)
        Which samples are there.
    exercise, side, accel_scale_m_s2, gyro_scale_rad_s, sensors, target_deg, neutral_angle_deg
        As in `Engine.join`, which also says what is raised.
    sampling_rate_hz : float
        Of the grid on which all samples lie. [Hz]
    n : int
        Samples per tick. At the end up to `n - 1` samples that fill no tick are left out.

    Returns
    -------
    repetitions : ndarray of REPETITION_DTYPE, shape (n_repetitions,)
        In order; `slot` is 0, and `start`, `peak`, `stop` are samples of the recording. None where the exercise is not
        measurable. A repetition that the end cuts off is none.

    Examples
    --------
    A seated knee straightens three times by 80°: the thigh's sensor lies still, the shank's turns.

    >>> t_s = np.arange(0, 15, 0.01)
    >>> since_rest_s = np.clip(t_s - 4, 0, 9)
    >>> straightened_rad = np.radians(40) * (1 - np.cos(2 * np.pi * since_rest_s / 3))
    >>> rate_rad_s = np.gradient(straightened_rad, t_s)
    >>> accel_scale_m_s2, gyro_scale_rad_s = 8 * 9.81 / 32768, np.radians(2000 / 32768)
    >>> raw = np.zeros((2, 6, t_s.size), np.int16)
    >>> raw[0, 1] = 9.81 / accel_scale_m_s2
    >>> raw[1, 0] = -9.81 * np.cos(straightened_rad) / accel_scale_m_s2
    >>> raw[1, 1] = 9.81 * np.sin(straightened_rad) / accel_scale_m_s2
    >>> raw[1, 5] = rate_rad_s / gyro_scale_rad_s
    >>> rows = analyse_session(
    ...     raw,
    ...     np.ones((2, t_s.size), bool),
    ...     exercise="knee_extension_seated",
    ...     side="right",
    ...     accel_scale_m_s2=(accel_scale_m_s2, accel_scale_m_s2),
    ...     gyro_scale_rad_s=(gyro_scale_rad_s, gyro_scale_rad_s),
    ... )
    >>> rows["rom_deg"].round().tolist()
    [80.0, 80.0, 80.0]
    """
    engine = Engine(1, sampling_rate_hz=sampling_rate_hz, n=n)
    engine.join(
        0,
        exercise=exercise,
        side=side,
        accel_scale_m_s2=accel_scale_m_s2,
        gyro_scale_rad_s=gyro_scale_rad_s,
        sensors=sensors,
        target_deg=target_deg,
        neutral_angle_deg=neutral_angle_deg,
    )
    ready = np.ones(1, bool)
    whole_ticks = range(0, raw.shape[-1] - n + 1, n)
    ended = [engine.advance(raw[..., start : start + n], valid[:, start : start + n], ready) for start in whole_ticks]
    return np.concatenate([np.empty(0, REPETITION_DTYPE), *ended])


def _analyse(item: SessionRecording) -> npt.NDArray[Any]:
    """Analyse one recording; a function of its own, so that other processes can be told of it."""
    return analyse_session(
        item.raw,
        item.valid,
        exercise=item.exercise,
        side=item.side,
        accel_scale_m_s2=item.accel_scale_m_s2,
        gyro_scale_rad_s=item.gyro_scale_rad_s,
        sensors=item.sensors,
        target_deg=item.target_deg,
    )
