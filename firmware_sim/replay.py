"""Recordings streamed as if they were worn now.

Two layouts are read: key `test` of shape (n_samples, 5 sensors, 9), where the forearm is sensor 1, with the marks of a
third party in `test_times` when there are any; and `acc` (n_samples, 3) [m/s²] with `gyr` (n_samples, 3) [rad/s]. Both
name their rate in `fs` [Hz]. Nothing is resampled; nothing is changed but the two things that `report` names.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from firmware_sim.body import FloatArray
from firmware_sim.errors import RecordingError
from firmware_sim.imu import quantise
from firmware_sim.movement import MovementPhase, PoseTruth, RepetitionTruth
from firmware_sim.parts import BMI270, ImuPart

ADDED_REST_S: Final = 4.0
FOREARM_SENSOR: Final = 1
_GRAVITY_BETWEEN_M_S2: Final = (5.0, 15.0)
_RATE_MAX_HZ: Final = 1000.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """One sensor of a recording, with the rest that was put before it.

    `accel_m_s2` and `gyro_rad_s` are (3, n_samples), the first `n_rest` samples are added; `marks` are half-open
    sample ranges of repetitions, counted with the rest.
    """

    name: str
    sensor: str
    rate_hz: float
    accel_m_s2: FloatArray
    gyro_rad_s: FloatArray
    n_rest: int
    marks: tuple[tuple[int, int], ...]
    marks_source: str | None

    @property
    def period_us(self) -> int:
        """Time between samples on the wire."""
        return round(1e6 / self.rate_hz)

    @property
    def duration_s(self) -> float:
        """From the first added sample to the last recorded one."""
        return float(self.accel_m_s2.shape[1] * self.period_us * 1e-6)

    def rows(self, part: ImuPart = BMI270) -> npt.NDArray[np.void]:
        """Return all samples as rows (IMU6_DTYPE) with the scale of a part."""
        return quantise(self.accel_m_s2, np.rad2deg(self.gyro_rad_s), part=part)

    def report(self) -> Mapping[str, Any]:
        """Return what is replayed and what was added, for the truth."""
        return {
            "recording": self.name,
            "sensor": self.sensor,
            "rate_hz": self.rate_hz,
            "n_samples_recorded": self.accel_m_s2.shape[1] - self.n_rest,
            "added": [
                {
                    "what": "declared rest before the recording",
                    "seconds": self.n_rest / self.rate_hz,
                    "n_samples": self.n_rest,
                    "accel_m_s2": self.accel_m_s2[:, 0].round(6).tolist(),
                    "gyro_rad_s": self.gyro_rad_s[:, 0].tolist(),
                }
            ],
            "changed": [f"rounded to 16 bits at {BMI270.accel_range_g:g} g and {BMI270.gyro_range_deg_s:g} deg/s"],
            "repetitions": len(self.marks),
            "repetitions_from": self.marks_source,
        }


class RecordingTruth:
    """What is known of a replayed movement: where the marked repetitions lie; the angles are unknown (NaN)."""

    def __init__(self, recording: Recording) -> None:
        period_s = recording.period_us * 1e-6
        self._repetitions = tuple(
            RepetitionTruth(
                index=index,
                start_s=start * period_s,
                peak_s=np.nan,
                stop_s=stop * period_s,
                rom_deg=np.nan,
                peak_deg=np.nan,
            )
            for index, (start, stop) in enumerate(recording.marks)
        )

    def truth(self, times_s: FloatArray) -> PoseTruth:
        """Return the marks as phases: UP within a repetition (its parts are not marked), PAUSE between two."""
        unknown = np.full(times_s.size, np.nan)
        starts_s = np.array([each.start_s for each in self._repetitions])
        stops_s = np.array([each.stop_s for each in self._repetitions])
        n_begun = np.searchsorted(starts_s, times_s, "right")
        n_ended = np.searchsorted(stops_s, times_s, "right")
        outside = np.where(n_begun > 0, MovementPhase.PAUSE, MovementPhase.STILL)
        return PoseTruth(
            angle_deg=unknown,
            proximal_deg=unknown,
            distal_deg=unknown,
            phase=np.where(n_begun > n_ended, MovementPhase.UP, outside).astype(np.uint8),
            repetition=n_begun.astype(np.uint16),
        )

    def repetitions_between(self, start_s: float, stop_s: float) -> Iterator[RepetitionTruth]:
        """Return the marked repetitions that ended within `[start_s, stop_s)`."""
        return (each for each in self._repetitions if start_s <= each.stop_s < stop_s)


def read_recording(path: Path) -> Recording:
    """Read a recording and put the declared rest before it.

    Raises
    ------
    RecordingError
        When the file is no recording of a known layout, or its units are others.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            content = {key: file[key] for key in file.files}
    except (OSError, ValueError) as error:
        raise RecordingError(f"{path.name} is no npz file that can be read") from error
    try:
        rate_hz = float(content["fs"])
        accel, gyro, sensor = _signals(content)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise RecordingError(
            f"{path.name}: expected `fs` and either `test` of shape (n, 5, 9) or `acc` and `gyr` of shape (n, 3)"
        ) from error
    if not 0 < rate_hz <= _RATE_MAX_HZ or accel.shape[1] < 2:
        raise RecordingError(f"{path.name}: expected at least two samples at a rate of at most {_RATE_MAX_HZ:g} Hz")
    if not (np.isfinite(accel).all() and np.isfinite(gyro).all()):
        raise RecordingError(f"{path.name}: holds values that are no numbers")
    median_m_s2 = float(np.median(np.linalg.norm(accel, axis=0)))
    if not _GRAVITY_BETWEEN_M_S2[0] < median_m_s2 < _GRAVITY_BETWEEN_M_S2[1]:
        raise RecordingError(f"{path.name}: the median acceleration is {median_m_s2:.3g}, so its unit is not m/s²")
    n_rest = round(ADDED_REST_S * rate_hz)
    marks = content.get("test_times")
    return Recording(
        name=path.name,
        sensor=sensor,
        rate_hz=rate_hz,
        accel_m_s2=np.concatenate([np.repeat(accel[:, :1], n_rest, axis=1), accel], axis=1),
        gyro_rad_s=np.concatenate([np.zeros((3, n_rest)), gyro], axis=1),
        n_rest=n_rest,
        marks=() if marks is None else _marks(marks, n_rest),
        marks_source=None if marks is None else "test_times",
    )


def _signals(content: Mapping[str, npt.NDArray[Any]]) -> tuple[FloatArray, FloatArray, str]:
    if "test" in content:
        samples = content["test"][:, FOREARM_SENSOR].astype(np.float64)
        return samples[:, :3].T, samples[:, 3:6].T, f"test[:, {FOREARM_SENSOR}]"
    accel, gyro = content["acc"].astype(np.float64), content["gyr"].astype(np.float64)
    if accel.shape != gyro.shape or accel.shape[1:] != (3,):
        raise ValueError
    return accel.T, gyro.T, "acc, gyr"


def _marks(times: npt.NDArray[Any], n_rest: int) -> tuple[tuple[int, int], ...]:
    """Return half-open ranges; the file counts from 1 and names the last sample."""
    return tuple((round(float(first)) - 1 + n_rest, round(float(last)) + n_rest) for *_, first, last in times)
