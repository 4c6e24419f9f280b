"""What really happened, written beside and never sent: files that only grow, flushed row by row.

`<home>.pose.bin` the pose at 100 Hz (POSE_DTYPE), `<home>.repetitions.jsonl` one line per ended repetition,
`<device>.blocks.bin` every block a device has made (BLOCK_TRUTH_DTYPE), `<device>.stream.txt` the name of its stream,
`<home>.replay.json` what a replayed recording is and what was added to it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, TextIO

import numpy as np

from firmware_sim.body import FloatArray
from firmware_sim.errors import TruthError
from firmware_sim.firmware import ProducedBlock
from firmware_sim.movement import PoseTruth, RepetitionTruth

POSE_DTYPE: Final = np.dtype(
    [
        ("utc_us", "<u8"),
        ("angle_deg", "<f4"),  # the joint as it is measured in the body: knee flexion, elbow flexion, ...; NaN unknown
        ("proximal_deg", "<f4"),  # the segment before the joint, from straight down, forwards positive
        ("distal_deg", "<f4"),  # the segment behind it
        ("phase", "u1"),  # MovementPhase
        ("repetition", "<u2"),  # the running or last repetition, counted from 1; 0 before the first
    ]
)
BLOCK_TRUTH_DTYPE: Final = np.dtype(
    [("boot", "<u4"), ("sequence", "<u4"), ("n_samples", "<u2"), ("t0_us", "<u8"), ("digest", "S16")]
)
POSE_RATE_HZ: Final = 100
_POSES_AT_ONCE_MAX: Final = 500


class TruthSource(Protocol):
    """What the truth of a home is taken from: a movement, or the marks of a recording."""

    def truth(self, times_s: FloatArray) -> PoseTruth:
        """Return the pose at these instants since the start."""
        ...

    def repetitions_between(self, start_s: float, stop_s: float) -> Iterable[RepetitionTruth]:
        """Return the repetitions that ended within `[start_s, stop_s)`."""
        ...


class HomeTruth:
    """The truth of one home, written up to the present.

    Parameters
    ----------
    folder : Path
    home : str
    source : TruthSource
    start_utc_us : int
        UTC of the start of the movement.

    Raises
    ------
    TruthError
        When the files cannot be opened for writing.
    """

    def __init__(self, folder: Path, *, home: str, source: TruthSource, start_utc_us: int) -> None:
        self.n_repetitions = 0
        self._source = source
        self._start_utc_us = start_utc_us
        self._n_poses = 0
        self._poses = _append_bytes(folder / f"{home}.pose.bin")
        self._repetitions = _append_text(folder / f"{home}.repetitions.jsonl")

    def write_until(self, now_s: float) -> None:
        """Write what has happened since the last call; `now_s` counts from the start of the movement."""
        n_poses = min(int(now_s * POSE_RATE_HZ) + 1, self._n_poses + _POSES_AT_ONCE_MAX) - self._n_poses
        if n_poses <= 0:
            return
        times_s = (self._n_poses + np.arange(n_poses)) / POSE_RATE_HZ
        truth = self._source.truth(times_s)
        rows = np.empty(n_poses, POSE_DTYPE)
        rows["utc_us"] = self._start_utc_us + np.rint(times_s * 1e6).astype(np.int64)
        for name in ("angle_deg", "proximal_deg", "distal_deg", "phase", "repetition"):
            rows[name] = getattr(truth, name)
        self._poses.write(rows.tobytes())
        stop_s = (self._n_poses + n_poses) / POSE_RATE_HZ
        for repetition in self._source.repetitions_between(float(times_s[0]), stop_s):
            self._repetitions.write(json.dumps(self._repetition_line(repetition)) + "\n")
            self._repetitions.flush()
            self.n_repetitions += 1
        self._n_poses += n_poses

    def close(self) -> None:
        """Close the files."""
        self._poses.close()
        self._repetitions.close()

    def _repetition_line(self, repetition: RepetitionTruth) -> Mapping[str, Any]:
        return {
            "index": repetition.index,
            "start_us": self._utc_us(repetition.start_s),
            "peak_us": None if np.isnan(repetition.peak_s) else self._utc_us(repetition.peak_s),
            "stop_us": self._utc_us(repetition.stop_s),
            "rom_deg": _number(repetition.rom_deg),
            "peak_deg": _number(repetition.peak_deg),
        }

    def _utc_us(self, time_s: float) -> int:
        return self._start_utc_us + round(time_s * 1e6)


class DeviceTruth:
    """The blocks that one device has made."""

    def __init__(self, folder: Path, *, device: str, stream: str) -> None:
        path = folder / f"{device}.blocks.bin"
        self.boot = _last_boot(path) + 1
        self._blocks = _append_bytes(path)
        with _append_text(folder / f"{device}.stream.txt", mode="w") as file:
            file.write(stream)

    def write(self, blocks: Sequence[ProducedBlock]) -> None:
        """Remember these blocks."""
        rows = np.array([(b.boot, b.sequence, b.n_samples, b.t0_us, b.digest) for b in blocks], BLOCK_TRUTH_DTYPE)
        self._blocks.write(rows.tobytes())

    def close(self) -> None:
        """Close the file."""
        self._blocks.close()


def write_replay_report(folder: Path, home: str, report: Mapping[str, Any]) -> None:
    """Write what a replayed recording is and what was added to it."""
    with _append_text(folder / f"{home}.replay.json", mode="w") as file:
        file.write(json.dumps(report, indent=2) + "\n")


def _last_boot(path: Path) -> int:
    """Return the boot of the last block in a file of an earlier run, 0 without one: the stored counter of starts."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    except OSError as error:
        raise TruthError(f"{path.name} cannot be read: {error.strerror}") from error
    n_rows = len(content) // BLOCK_TRUTH_DTYPE.itemsize
    rows = np.frombuffer(content[: n_rows * BLOCK_TRUTH_DTYPE.itemsize], BLOCK_TRUTH_DTYPE)
    return int(rows["boot"].max(initial=0))


def _append_bytes(path: Path) -> BinaryIO:
    try:
        return path.open("ab", buffering=0)
    except OSError as error:
        raise TruthError(f"{path.name} cannot be written: {error.strerror}") from error


def _append_text(path: Path, mode: Literal["a", "w"] = "a") -> TextIO:
    try:
        return path.open(mode, encoding="utf-8")
    except OSError as error:
        raise TruthError(f"{path.name} cannot be written: {error.strerror}") from error


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 3)
