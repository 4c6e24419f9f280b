"""Real recordings: physiotherapy exercises of healthy adults (A. Yurtman, B. Barshan 2014, UCI 730, CC BY 4.0)."""

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from analytics import Engine
from tests.conftest import data_folder

RATE_HZ = 100
REST_S = 4.0
ACCEL_SCALE = 16 * 9.81 / 32768
GYRO_SCALE = float(np.radians(2000 / 32768))
FOREARM = 1
RECORDINGS = {"s1e6": "elbow_flexion", "s2e6": "elbow_flexion", "s2e7": "shoulder_abduction"}

pytestmark = pytest.mark.data


def forearm(name: str) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.float64] | None]:
    """Return the raw samples (6, n) at 100 Hz behind a rest, and the annotated times [samples] where there are any."""
    folder = data_folder()
    assert folder is not None
    with np.load(folder / "pt" / f"{name}.npz") as recording:
        native, signals = float(recording["fs"]), recording["test"][:, FOREARM, :6].astype(np.float64)
        times = recording.get("test_times")
    t_s = np.arange(len(signals)) / native
    grid_s = np.arange(int(t_s[-1] * RATE_HZ) + 1) / RATE_HZ
    fine = np.stack([np.interp(grid_s, t_s, column) for column in signals.T])
    rest = np.zeros((6, round(REST_S * RATE_HZ)))
    rest[:3] = fine[:3, :1]
    scaled = np.concatenate([rest, fine], axis=1) / np.repeat([ACCEL_SCALE, GYRO_SCALE], 3)[:, None]
    marks = None if times is None else times[:, 2:4] * (RATE_HZ / native) + REST_S * RATE_HZ
    return np.clip(np.rint(scaled), -32768, 32767).astype(np.int16), marks


@cache
def replayed() -> dict[str, npt.NDArray[np.void]]:
    """Return the repetitions of all recordings, which go through one engine side by side."""
    engine = Engine(len(RECORDINGS))
    for slot, exercise in enumerate(RECORDINGS.values()):
        engine.join(
            slot,
            exercise=exercise,
            side="right",
            sensors="distal",
            accel_scale_m_s2=(1.0, ACCEL_SCALE),
            gyro_scale_rad_s=(1.0, GYRO_SCALE),
        )
    signals = [forearm(name)[0] for name in RECORDINGS]
    longest = max(each.shape[1] for each in signals)
    raw = np.zeros((len(RECORDINGS), 2, 6, longest), np.int16)
    valid = np.zeros((len(RECORDINGS), 2, longest), bool)
    for slot, each in enumerate(signals):
        raw[slot, 1, :, : each.shape[1]] = each
        valid[slot, 1, : each.shape[1]] = True
    ready = np.ones(len(RECORDINGS), bool)
    rows = [
        engine.advance(raw[..., k : k + 10].reshape(-1, 6, 10), valid[..., k : k + 10].reshape(-1, 10), ready)
        for k in range(0, longest - 9, 10)
    ]
    together = np.concatenate(rows)
    return {name: together[together["slot"] == slot] for slot, name in enumerate(RECORDINGS)}


def test_the_annotated_elbow_flexions_are_found() -> None:
    rows = replayed()["s1e6"]
    _, marks = forearm("s1e6")
    assert marks is not None
    start, stop = np.maximum(rows["start"][:, None], marks[:, 0]), np.minimum(rows["stop"][:, None], marks[:, 1])
    first, last = np.minimum(rows["start"][:, None], marks[:, 0]), np.maximum(rows["stop"][:, None], marks[:, 1])
    overlaps = ((stop - start) / (last - first) > 0.5).any(axis=0)
    assert abs(len(rows) - 30) <= 1
    assert overlaps.sum() >= 28


@pytest.mark.parametrize("name", ["s2e6", "s2e7"])
def test_other_arm_recordings_are_counted(name: str) -> None:
    assert abs(len(replayed()[name]) - 30) <= 1
