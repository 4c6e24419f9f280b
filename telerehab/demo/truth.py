"""What the simulator knows to be true, as it writes it to files; never over the wire.

The layouts are the simulator's (`firmware_sim`), which this package does not import; a test compares the two.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

POSE_DTYPE: Final = np.dtype(
    [
        ("utc_us", "<u8"),  # of the sample
        ("angle_deg", "<f4"),  # of the joint
        ("proximal_deg", "<f4"),  # of the segments, for drawing
        ("distal_deg", "<f4"),
        ("phase", "u1"),
        ("repetition", "<u2"),
    ]
)
"""One row of `<home>.pose.bin`, 100 a second."""

TRUE_BLOCK_DTYPE: Final = np.dtype(
    [("boot", "<u4"), ("sequence", "<u4"), ("n_samples", "<u2"), ("t0_us", "<u8"), ("digest", "S16")]
)
"""One row of `<device>.blocks.bin`; `digest` covers the block's rows."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repetition:
    """When one repetition began and ended [µs, UTC], and its range of motion [°], None where nobody measured it."""

    start_us: int
    stop_us: int
    rom_deg: float | None


def read_true_repetitions(path: Path) -> list[Repetition]:
    """Return the repetitions that the simulator performed to their end; an absent file means none."""
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
    return [Repetition(start_us=row["start_us"], stop_us=row["stop_us"], rom_deg=row["rom_deg"]) for row in rows]


def read_true_blocks(path: Path) -> NDArray[np.void]:
    """Return the blocks that a device produced, TRUE_BLOCK_DTYPE; an absent file means none."""
    return np.fromfile(path, TRUE_BLOCK_DTYPE) if path.exists() else np.empty(0, TRUE_BLOCK_DTYPE)


def read_poses(path: Path) -> NDArray[np.void]:
    """Return the poses of a home, POSE_DTYPE, shape (n,); an absent file means none."""
    return np.fromfile(path, POSE_DTYPE) if path.exists() else np.empty(0, POSE_DTYPE)
