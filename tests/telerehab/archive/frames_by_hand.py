"""Frames packed by hand, never by the product, and sensors that feel like a BMI270."""

import struct
import zlib
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

BOOT: Final = 3_000_000_000
T0_US: Final = 77_000_000
PERIOD_US: Final = 10_000


def frame(
    sequence: int,
    rows: NDArray[Any],
    *,
    boot: int = BOOT,
    schema: int = 1,
    t0_us: int,
    period_us: int = PERIOD_US,
    flags: int = 2,
    n_samples: int | None = None,
) -> bytes:
    """Return one frame of the protocol."""
    count = len(rows) if n_samples is None else n_samples
    head = struct.pack("<HBBHHIIQI", 0x5254, 1, schema, flags, count, boot, sequence, t0_us, period_us)
    body = rows.tobytes()
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def frames_of(
    rows: NDArray[np.int16],
    *,
    n_samples: int = 10,
    boot: int = BOOT,
    first_sequence: int = 0,
    t0_us: int = T0_US,
    period_us: int = PERIOD_US,
) -> list[bytes]:
    """Return rows, shape (n, 6), as the consecutive blocks of a device."""
    starts = range(0, len(rows), n_samples)
    return [
        frame(
            first_sequence + number,
            rows[start : start + n_samples],
            boot=boot,
            t0_us=t0_us + start * period_us,
            period_us=period_us,
        )
        for number, start in enumerate(starts)
    ]


def arrivals(frames: Sequence[bytes], *, after_us: int) -> list[int]:
    """Return when each frame arrived: its device time, a constant, and some jitter of the network."""
    random = np.random.default_rng(1)
    starts_us = [int.from_bytes(each[16:24], "little") for each in frames]
    return [start_us + after_us + int(random.exponential(20_000)) for start_us in starts_us]


def noise(n_samples: int, *, seed: int = 1) -> NDArray[np.int16]:
    """Return what a sensor at rest says, shape (n_samples, 6)."""
    random = np.random.default_rng(seed)
    return np.rint(random.normal([0, 0, 4096, 0, 0, 0], [5, 5, 5, 1, 1, 1], (n_samples, 6))).astype("<i2")
