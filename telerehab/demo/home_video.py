"""The picture of a simulated home: a stick figure drawn from the simulator's truth, with the wall clock burnt in.

`StickFigure` draws, `PoseTail` reads the file that the simulator writes, `HomeVideo` and `HomeAudio` are what aiortc
sends. A pose that is too old is never drawn: the picture then says so.
"""

import asyncio
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
from aiortc import MediaStreamTrack
from aiortc.mediastreams import VIDEO_CLOCK_RATE, MediaStreamError
from av import AudioFrame, VideoFrame

from telerehab.demo.truth import POSE_DTYPE

WIDTH: Final = 320
HEIGHT: Final = 240
FRAME_RATE_HZ: Final = 10
STALE_AFTER_S: Final = 1.0
AUDIO_RATE_HZ: Final = 48_000
AUDIO_FRAME_S: Final = 0.02
TONE_HZ: Final = 200.0

Picture = npt.NDArray[np.uint8]
Point = tuple[float, float]

_BACKGROUND: Final = 40
_FURNITURE: Final = 90
_RESTING: Final = 150
_MOVING: Final = 245
_BLUE: Final = 140
_RED: Final = 122

#: Rows of the glyphs from above, each five points wide, most significant bit left.
_GLYPHS: Final[Mapping[str, tuple[int, ...]]] = MappingProxyType(
    {
        "0": (14, 17, 19, 21, 25, 17, 14),
        "1": (4, 12, 4, 4, 4, 4, 14),
        "2": (14, 17, 1, 2, 4, 8, 31),
        "3": (31, 2, 4, 2, 1, 17, 14),
        "4": (2, 6, 10, 18, 31, 2, 2),
        "5": (31, 16, 30, 1, 1, 17, 14),
        "6": (6, 8, 16, 30, 17, 17, 14),
        "7": (31, 1, 2, 4, 8, 8, 8),
        "8": (14, 17, 17, 14, 17, 17, 14),
        "9": (14, 17, 17, 15, 1, 2, 12),
        ":": (0, 4, 4, 0, 4, 4, 0),
        ".": (0, 0, 0, 0, 0, 12, 12),
        " ": (0, 0, 0, 0, 0, 0, 0),
        "a": (0, 0, 14, 1, 15, 17, 15),
        "d": (1, 1, 13, 19, 17, 17, 15),
        "n": (0, 0, 22, 25, 17, 17, 17),
        "o": (0, 0, 14, 17, 17, 17, 14),
        "t": (8, 8, 28, 8, 8, 9, 6),
    }
)
NO_DATA: Final = "no data"


@dataclass(frozen=True, kw_only=True, slots=True)
class Pose:
    """What is drawn: directions of the two segments from straight down, forwards positive [°]."""

    utc_us: int
    proximal_deg: float
    distal_deg: float
    repetition: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Scene:
    """What stands still, and where the moving limb hangs.

    `lines` are (from, to, half width, brightness) in pixels. `joint` is where the proximal segment begins, or, with
    `is_carried_by_the_feet`, where the distal one ends.
    """

    lines: Sequence[tuple[Point, Point, float, int]]
    joint: Point
    proximal_px: float
    distal_px: float
    is_carried_by_the_feet: bool = False
    foot_px: float = 0.0


_FLOOR: Final = ((10.0, 226.0), (310.0, 226.0), 1.0, _FURNITURE)
_CHAIR: Final = (
    ((90.0, 166.0), (150.0, 166.0), 3.0, _FURNITURE),
    ((92.0, 166.0), (92.0, 224.0), 2.0, _FURNITURE),
    ((148.0, 168.0), (148.0, 224.0), 2.0, _FURNITURE),
    ((88.0, 166.0), (82.0, 90.0), 2.5, _FURNITURE),
)
_SITTING: Final = (
    _FLOOR,
    *_CHAIR,
    ((112.0, 150.0), (106.0, 84.0), 9.0, _RESTING),
    ((108.0, 56.0), (108.0, 58.0), 15.0, _RESTING),
)
_RESTING_LEG: Final = (
    ((112.0, 152.0), (182.0, 156.0), 6.0, _FURNITURE),
    ((182.0, 156.0), (180.0, 220.0), 5.0, _FURNITURE),
)
_RESTING_ARM: Final = (((108.0, 90.0), (122.0, 122.0), 4.0, _RESTING), ((122.0, 122.0), (150.0, 140.0), 4.0, _RESTING))
_STANDING: Final = (
    _FLOOR,
    ((160.0, 128.0), (160.0, 72.0), 9.0, _RESTING),
    ((160.0, 44.0), (160.0, 46.0), 14.0, _RESTING),
    ((152.0, 128.0), (150.0, 222.0), 6.0, _FURNITURE),
)
_SCENES: Final[Mapping[str, _Scene]] = MappingProxyType(
    {
        "elbow_flexion": _Scene(
            lines=(*_SITTING, *_RESTING_LEG), joint=(108.0, 92.0), proximal_px=46.0, distal_px=42.0
        ),
        "hip_abduction_standing": _Scene(lines=_STANDING, joint=(168.0, 128.0), proximal_px=0.0, distal_px=94.0),
        "sit_to_stand": _Scene(
            lines=(_FLOOR, *_CHAIR),
            joint=(176.0, 220.0),
            proximal_px=66.0,
            distal_px=62.0,
            is_carried_by_the_feet=True,
            foot_px=16.0,
        ),
    }
)
_SEATED_LEG: Final = _Scene(
    lines=(*_SITTING, *_RESTING_LEG, *_RESTING_ARM),
    joint=(114.0, 152.0),
    proximal_px=72.0,
    distal_px=66.0,
    foot_px=18.0,
)


class PoseTail:
    """The newest row of a file that the simulator appends to; survives that the file is absent or begins anew."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def newest(self) -> Pose | None:
        """Return the newest whole row, None while there is none or its angles are unknown."""
        try:
            with self._path.open("rb") as file:
                n_rows = file.seek(0, 2) // POSE_DTYPE.itemsize
                if n_rows == 0:
                    return None
                file.seek((n_rows - 1) * POSE_DTYPE.itemsize)
                content = file.read(POSE_DTYPE.itemsize)
        except OSError:
            return None
        if len(content) < POSE_DTYPE.itemsize:
            return None
        row = np.frombuffer(content, POSE_DTYPE)[0]
        if not (np.isfinite(row["proximal_deg"]) and np.isfinite(row["distal_deg"])):
            return None
        return Pose(
            utc_us=int(row["utc_us"]),
            proximal_deg=float(row["proximal_deg"]),
            distal_deg=float(row["distal_deg"]),
            repetition=int(row["repetition"]),
        )


class StickFigure:
    """Draws one person; what stands still is drawn once.

    Parameters
    ----------
    exercise : str
        Decides what sits, stands and moves; one that has no drawing of its own is shown as a seated leg.
    """

    def __init__(self, exercise: str = "knee_extension_seated") -> None:
        self._scene = _SCENES.get(exercise, _SEATED_LEG)
        self._still = np.full((HEIGHT * 3 // 2, WIDTH), _BACKGROUND, np.uint8)
        chroma = self._still[HEIGHT:].reshape(2, -1)
        chroma[0], chroma[1] = _BLUE, _RED
        for begin, end, half_width, brightness in self._scene.lines:
            draw_line(self._still[:HEIGHT], begin, end, half_width=half_width, brightness=brightness)
        self._letters = {glyph: _letter(rows) for glyph, rows in _GLYPHS.items()}

    def draw(self, pose: Pose | None, *, clock_text: str) -> Picture:
        """Return a planar yuv420p picture, shape (HEIGHT * 3 // 2, WIDTH); without a pose it says so."""
        picture = self._still.copy()
        luma = picture[:HEIGHT]
        if pose is None:  # also without the parts that stand still: nothing may look like a person who holds still
            luma[:] = _BACKGROUND
            self._write(luma, NO_DATA, 100, 110)
        self._write(luma, clock_text, 134, 32)  # beside the head: tiles crop the upper and lower edge
        if pose is None:
            return picture
        self._write(luma, str(pose.repetition), 278, 62)
        for begin, end, half_width in self._limb(pose):
            draw_line(luma, begin, end, half_width=half_width, brightness=_MOVING)
        return picture

    def _limb(self, pose: Pose) -> Sequence[tuple[Point, Point, float]]:
        scene = self._scene
        proximal = _towards(pose.proximal_deg, scene.proximal_px)
        distal = _towards(pose.distal_deg, scene.distal_px)
        foot = _towards(pose.distal_deg + 90.0, scene.foot_px)
        if scene.is_carried_by_the_feet:
            ankle = scene.joint
            knee = (ankle[0] - distal[0], ankle[1] - distal[1])
            hip = (knee[0] - proximal[0], knee[1] - proximal[1])
            trunk, head = (hip[0] + 6.0, hip[1] - 52.0), (hip[0] + 7.0, hip[1] - 76.0)
            return ((ankle, (ankle[0] + scene.foot_px, ankle[1]), 4.0), (knee, ankle, 5.0), (hip, knee, 6.0),
                    (hip, trunk, 9.0), (head, head, 12.0))  # fmt: skip
        hip = scene.joint
        knee = (hip[0] + proximal[0], hip[1] + proximal[1])
        ankle = (knee[0] + distal[0], knee[1] + distal[1])
        toes = (ankle[0] + foot[0], ankle[1] + foot[1])
        return ((hip, knee, 6.0), (knee, ankle, 5.0), (ankle, toes, 4.0))

    def _write(self, luma: Picture, text: str, x: int, y: int) -> None:
        for index, character in enumerate(text):
            letter = self._letters[character]
            left = x + index * (letter.shape[1] + 3)
            place = luma[y : y + letter.shape[0], left : left + letter.shape[1]]
            np.maximum(place, letter[:, : place.shape[1]], out=place)


def draw_line(luma: Picture, begin: Point, end: Point, *, half_width: float, brightness: int) -> None:
    """Draw a line with round ends and soft edges into a picture of shape (height, width), in place."""
    height, width = luma.shape
    margin = half_width + 1.5
    left, right = max(0, int(min(begin[0], end[0]) - margin)), min(width, int(max(begin[0], end[0]) + margin) + 2)
    top, bottom = max(0, int(min(begin[1], end[1]) - margin)), min(height, int(max(begin[1], end[1]) + margin) + 2)
    if left >= right or top >= bottom:
        return
    x = np.arange(left, right, dtype=np.float32) - np.float32(begin[0])
    y = np.arange(top, bottom, dtype=np.float32)[:, None] - np.float32(begin[1])
    along = (end[0] - begin[0], end[1] - begin[1])
    length_squared = max(along[0] ** 2 + along[1] ** 2, 1e-6)
    share = np.clip((x * np.float32(along[0]) + y * np.float32(along[1])) / np.float32(length_squared), 0.0, 1.0)
    distance = np.hypot(x - share * np.float32(along[0]), y - share * np.float32(along[1]))
    cover = np.clip(np.float32(half_width + 0.5) - distance, 0.0, 1.0)
    place = luma[top:bottom, left:right]
    place[:] = place + cover * (np.float32(brightness) - place)


class HomeVideo(MediaStreamTrack):
    """The video track of one simulated home.

    Parameters
    ----------
    pose_file : Path
        `<home>.pose.bin` of the simulator; may not exist yet.
    exercise : str
        What the home trains, for the drawing.
    utc_s : callable
        UTC now, handed in by tests [s].
    """

    kind = "video"

    def __init__(
        self,
        pose_file: Path,
        *,
        exercise: str = "knee_extension_seated",
        utc_s: Callable[[], float] = time.time,
    ) -> None:
        super().__init__()
        self._tail = PoseTail(pose_file)
        self._figure = StickFigure(exercise)
        self._utc_s = utc_s
        self._n_frames = 0
        self._pace = _Pace(1 / FRAME_RATE_HZ)

    def picture(self) -> Picture:
        """Return the picture of this moment, planar yuv420p."""
        now_s = self._utc_s()
        pose = self._tail.newest()
        if pose is not None and now_s - pose.utc_us * 1e-6 > STALE_AFTER_S:
            pose = None
        return self._figure.draw(pose, clock_text=clock_text(now_s))

    async def recv(self) -> VideoFrame:
        """Return the next frame when it is time for it."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._pace.wait()
        frame = VideoFrame.from_ndarray(self.picture(), format="yuv420p")
        frame.pts = self._n_frames * VIDEO_CLOCK_RATE // FRAME_RATE_HZ
        frame.time_base = Fraction(1, VIDEO_CLOCK_RATE)
        self._n_frames += 1
        return frame


class HomeAudio(MediaStreamTrack):
    """The sound of one simulated home: silence, or a soft tone by which a listener knows that sound arrives."""

    kind = "audio"

    def __init__(self, *, tone_level: float = 0.0) -> None:
        super().__init__()
        n_samples = round(AUDIO_RATE_HZ * AUDIO_FRAME_S)
        times_s = np.arange(n_samples) / AUDIO_RATE_HZ  # a frame holds whole periods of the tone
        self._samples = np.rint(32767 * tone_level * np.sin(2 * np.pi * TONE_HZ * times_s)).astype("<i2")
        self._n_frames = 0
        self._pace = _Pace(AUDIO_FRAME_S)

    async def recv(self) -> AudioFrame:
        """Return the next 20 ms when it is time for them."""
        if self.readyState != "live":
            raise MediaStreamError
        await self._pace.wait()
        frame = AudioFrame.from_ndarray(self._samples[None, :], format="s16", layout="mono")
        frame.sample_rate = AUDIO_RATE_HZ
        frame.pts = self._n_frames * self._samples.size
        frame.time_base = Fraction(1, AUDIO_RATE_HZ)
        self._n_frames += 1
        return frame


def clock_text(utc_s: float) -> str:
    """Return the wall clock of this machine as HH:MM:SS.t.

    Examples
    --------
    >>> clock_text(1700000000.96)[5:]
    ':20.9'
    """
    return time.strftime("%H:%M:%S", time.localtime(utc_s)) + f".{math.floor(utc_s * 10) % 10}"


class _Pace:
    """Waits for the next of equally spaced instants; after a stall it starts anew instead of hurrying."""

    def __init__(self, period_s: float) -> None:
        self._period_s = period_s
        self._next_s = -math.inf

    async def wait(self) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s:
            await asyncio.sleep(self._next_s - now_s)
        is_late = now_s - self._next_s > self._period_s
        self._next_s = (now_s if is_late else self._next_s) + self._period_s


def _towards(direction_deg: float, length_px: float) -> Point:
    radians = math.radians(direction_deg)
    return length_px * math.sin(radians), length_px * math.cos(radians)


def _letter(rows: Sequence[int], scale: int = 3) -> Picture:
    points = np.array([[row >> (4 - column) & 1 for column in range(5)] for row in rows], np.uint8)
    return np.kron(points * np.uint8(235), np.ones((scale, scale), np.uint8))
