"""The picture of a simulated home."""

import asyncio
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.truth import POSE_DTYPE as SIMULATOR_POSE_DTYPE
from telerehab.demo import truth
from telerehab.demo.home_video import (
    FRAME_RATE_HZ,
    HEIGHT,
    WIDTH,
    HomeAudio,
    HomeVideo,
    Pose,
    PoseTail,
    StickFigure,
    clock_text,
)

NOW_S = 1_700_000_000.0


def row(*, age_s: float, distal_deg: float = 0.0) -> bytes:
    return np.array([(int((NOW_S - age_s) * 1e6), 90.0, 86.0, distal_deg, 1, 3)], truth.POSE_DTYPE).tobytes()


def figure_part(picture: np.ndarray) -> np.ndarray:
    """Return the picture without the corner of clock and count."""
    without = picture.copy()
    without[:90, 130:] = 0
    return without[:HEIGHT]


def test_the_pose_layout_is_the_simulators() -> None:
    assert truth.POSE_DTYPE == SIMULATOR_POSE_DTYPE


@pytest.mark.parametrize(
    "exercise", ["knee_extension_seated", "sit_to_stand", "hip_abduction_standing", "elbow_flexion", "heel_slide"]
)
def test_two_poses_look_different_and_the_same_pose_looks_the_same(exercise: str) -> None:
    figure = StickFigure(exercise)

    def draw(distal_deg: float) -> np.ndarray:
        return figure.draw(
            Pose(utc_us=0, proximal_deg=86.0, distal_deg=distal_deg, repetition=1), clock_text="12:00:00.0"
        )

    assert draw(0.0).shape == (HEIGHT * 3 // 2, WIDTH)
    assert np.array_equal(draw(0.0), draw(0.0))
    assert np.count_nonzero(figure_part(draw(0.0)) != figure_part(draw(40.0))) > 500


def test_the_clock_is_burnt_in_and_moves_each_tenth_of_a_second(tmp_path: Path) -> None:
    path = tmp_path / "home1.pose.bin"
    path.write_bytes(row(age_s=0.0))
    now_s = [NOW_S]
    video = HomeVideo(path, utc_s=lambda: now_s[0])
    before = video.picture()
    now_s[0] += 0.1
    after = video.picture()
    assert not np.array_equal(before[:60, 130:], after[:60, 130:])
    assert np.array_equal(figure_part(before), figure_part(after))
    assert clock_text(NOW_S + 0.1)[-3:] == "0.1"


def test_a_stale_pose_file_shows_no_data_instead_of_a_figure(tmp_path: Path) -> None:
    path = tmp_path / "home1.pose.bin"
    path.write_bytes(row(age_s=0.2))
    now_s = [NOW_S]
    video = HomeVideo(path, utc_s=lambda: now_s[0])
    nothing = StickFigure().draw(None, clock_text="")
    assert not np.array_equal(figure_part(video.picture()), figure_part(nothing))
    now_s[0] += 2.0
    assert np.array_equal(figure_part(video.picture()), figure_part(nothing))
    with path.open("ab") as file:
        file.write(row(age_s=-2.0))
    assert not np.array_equal(figure_part(video.picture()), figure_part(nothing))


def test_an_absent_file_half_a_row_and_an_unknown_angle_are_no_pose(tmp_path: Path) -> None:
    path = tmp_path / "home1.pose.bin"
    assert PoseTail(path).newest() is None
    path.write_bytes(row(age_s=0.0)[:10])
    assert PoseTail(path).newest() is None
    path.write_bytes(row(age_s=0.0, distal_deg=float("nan")))
    assert PoseTail(path).newest() is None
    path.write_bytes(row(age_s=0.0, distal_deg=12.0) + row(age_s=0.0)[:10])
    pose = PoseTail(path).newest()
    assert pose is not None
    assert pose.distal_deg == 12.0


@pytest.mark.anyio
async def test_frames_come_at_the_frame_rate_with_growing_timestamps(tmp_path: Path) -> None:
    video = HomeVideo(tmp_path / "absent.pose.bin")
    begin_s = asyncio.get_running_loop().time()
    frames = [await video.recv() for _ in range(4)]
    video.stop()
    assert [frame.pts for frame in frames] == [0, 9000, 18000, 27000]
    assert (frames[0].width, frames[0].height, frames[0].format.name) == (WIDTH, HEIGHT, "yuv420p")
    assert asyncio.get_running_loop().time() - begin_s >= 3 / FRAME_RATE_HZ - 0.02


@pytest.mark.anyio
async def test_the_sound_is_silence_unless_a_tone_is_asked_for() -> None:
    silent, tone = HomeAudio(), HomeAudio(tone_level=0.01)
    assert not (await silent.recv()).to_ndarray().any()
    frames = [(await tone.recv()) for _ in range(2)]
    assert np.abs(frames[0].to_ndarray()).max() == pytest.approx(328, abs=1)
    assert [frame.pts for frame in frames] == [0, 960]
