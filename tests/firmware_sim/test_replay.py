"""Recordings streamed as if worn now."""

from pathlib import Path

import numpy as np
import pytest

from firmware_sim.errors import RecordingError
from firmware_sim.movement import MovementPhase
from firmware_sim.parts import BMI270
from firmware_sim.replay import RecordingTruth, read_recording
from tests.conftest import data_folder


def write(path: Path, **arrays: object) -> Path:
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def five_sensors(n_samples: int = 200) -> np.ndarray:
    samples = np.random.default_rng(1).normal(0.0, 0.1, (n_samples, 5, 9))
    samples[:, :, 2] += 9.81
    samples[:, 1, 0] += 3.0
    return samples.astype(np.float32)


def test_the_forearm_sensor_is_streamed_at_its_own_rate_after_four_seconds_of_declared_rest(tmp_path: Path) -> None:
    samples = five_sensors()
    recording = read_recording(write(tmp_path / "r.npz", test=samples, fs=25.0))
    assert recording.period_us == 40_000
    assert recording.n_rest == 100
    rows = recording.rows()
    assert rows.size == 300
    accel_m_s2 = rows["accel"] * BMI270.accel_scale_m_s2
    assert accel_m_s2[100:] == pytest.approx(samples[:, 1, :3], abs=BMI270.accel_scale_m_s2)
    assert np.array_equal(rows["accel"][:100], np.tile(rows["accel"][100], (100, 1)))
    assert not rows["gyro"][:100].any()
    gyro_rad_s = np.deg2rad(rows["gyro"][100:] * BMI270.gyro_scale_deg_s)
    assert gyro_rad_s == pytest.approx(samples[:, 1, 3:6], abs=np.deg2rad(BMI270.gyro_scale_deg_s))


def test_the_report_names_what_was_added(tmp_path: Path) -> None:
    samples = five_sensors()
    report = read_recording(write(tmp_path / "r.npz", test=samples, fs=25.0)).report()
    (added,) = report["added"]
    assert (added["seconds"], added["n_samples"]) == (4.0, 100)
    assert added["accel_m_s2"] == pytest.approx(samples[0, 1, :3].tolist(), abs=1e-5)
    assert added["gyro_rad_s"] == [0.0, 0.0, 0.0]
    assert report["n_samples_recorded"] == 200
    assert report["recording"] == "r.npz"


def test_marked_repetitions_count_from_one_and_include_the_last_sample(tmp_path: Path) -> None:
    times = np.array([[1, 1, 11, 60], [2, 1, 101, 150]], np.float32)
    recording = read_recording(write(tmp_path / "r.npz", test=five_sensors(), test_times=times, fs=25.0))
    truth = RecordingTruth(recording)
    first, second = truth.repetitions_between(0.0, 100.0)
    assert (first.start_s, first.stop_s) == pytest.approx((4.0 + 0.4, 4.0 + 2.4))
    assert second.index == 1
    pose = truth.truth(np.array([0.0, 5.0, 7.0, 8.5]))
    assert pose.phase.tolist() == [
        MovementPhase.STILL,
        MovementPhase.UP,
        MovementPhase.PAUSE,
        MovementPhase.UP,
    ]
    assert pose.repetition.tolist() == [0, 1, 1, 2]
    assert np.isnan(pose.angle_deg).all()


def test_a_single_sensor_recording_keeps_its_odd_rate(tmp_path: Path) -> None:
    accel = np.tile([0.0, 0.0, 9.81], (1000, 1))
    recording = read_recording(write(tmp_path / "r.npz", acc=accel, gyr=np.zeros((1000, 3)), fs=2000 / 7))
    assert recording.period_us == 3500
    assert recording.marks == ()


@pytest.mark.parametrize(
    ("arrays", "named"),
    [
        ({"fs": 25.0}, "expected `fs` and either"),
        ({"test": five_sensors()}, "expected `fs` and either"),
        ({"test": np.zeros((5, 5)), "fs": 25.0}, "expected `fs` and either"),
        ({"acc": np.ones((9, 3)), "gyr": np.ones((8, 3)), "fs": 25.0}, "expected `fs` and either"),
        ({"acc": np.tile([0, 0, 1.0], (9, 1)), "gyr": np.zeros((9, 3)), "fs": 100.0}, "unit is not m/s²"),
        ({"acc": np.full((9, 3), np.nan), "gyr": np.zeros((9, 3)), "fs": 100.0}, "no numbers"),
        ({"test": five_sensors(), "fs": 0.0}, "at least two samples"),
    ],
)
def test_what_is_no_recording_is_refused_by_name(tmp_path: Path, arrays: dict[str, object], named: str) -> None:
    with pytest.raises(RecordingError, match=r"r\.npz") as refusal:
        read_recording(write(tmp_path / "r.npz", **arrays))
    assert named in str(refusal.value)


def test_a_file_that_is_no_npz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.npz"
    path.write_text("no archive")
    with pytest.raises(RecordingError, match="no npz"):
        read_recording(path)
    with pytest.raises(RecordingError, match="no npz"):
        read_recording(tmp_path / "absent.npz")


@pytest.mark.data
def test_the_public_elbow_recording_has_thirty_marked_repetitions() -> None:
    folder = data_folder()
    assert folder is not None
    recording = read_recording(folder / "pt" / "s1e6.npz")
    assert recording.rate_hz == 25.0
    assert recording.rows().size == 5893 + 100
    assert len(recording.marks) == 30
    assert recording.marks[0] == (39 + 100, 250 + 100)
