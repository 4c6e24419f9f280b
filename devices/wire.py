"""The bytes of a block on the wire, version 1: layout and constants, nothing that acts.

`docs/protocol.md` says what they mean. This module is all that the simulated firmware shares with the decoder.
"""

from collections.abc import Mapping
from enum import IntEnum
from types import MappingProxyType
from typing import Any, Final

import numpy as np

MAGIC: Final = 0x5254
VERSION: Final = 1
MAX_FRAME_BYTES: Final = 64 * 1024
MAX_TIME_US: Final = 2**53
"""Device times lie below this, about 285 years [µs]."""
SAMPLE_PERIOD_US: Final = 10_000
"""Grid of the live ring: 100 Hz of device time [µs]."""

HEADER_DTYPE: Final = np.dtype(
    [
        ("magic", "<u2"),
        ("version", "u1"),
        ("schema", "u1"),
        ("flags", "<u2"),
        ("n_samples", "<u2"),
        ("boot", "<u4"),  # a stored counter of starts, else random
        ("sequence", "<u4"),  # `seq` in the protocol: counts the blocks of one stream since boot
        ("t0_us", "<u8"),  # device clock at the first sample [µs]
        ("period_us", "<u4"),  # 0 where rows carry their own time
        ("crc32", "<u4"),  # of the 28 bytes before it and the body
    ]
)
HEADER_SIZE: Final = 32
CRC_OFFSET: Final = 28
assert HEADER_DTYPE.itemsize == HEADER_SIZE  # the firmware depends on it

FLAG_BACKFILL: Final = 1
FLAG_CLOCK_PROBED: Final = 2  # the device has taken part in five or more time probes
FLAG_CLIPPED: Final = 4
FLAG_LAST_OF_STREAM: Final = 8


class Schema(IntEnum):
    """What the rows of a block are."""

    IMU6 = 1
    IMU9 = 2
    FORCE = 3
    HEART = 4
    SPO2 = 5
    JOINT_ANGLES = 6
    EVENTS = 7


class EventCode(IntEnum):
    """What an event of schema 7 says; codes that are not here are kept and mean nothing."""

    BUTTON = 1
    FALL_HINT = 2
    BATTERY = 3
    STORAGE = 4


IMU6_DTYPE: Final = np.dtype([("accel", "<i2", 3), ("gyro", "<i2", 3)])
IMU9_DTYPE: Final = np.dtype([("accel", "<i2", 3), ("gyro", "<i2", 3), ("mag", "<i2", 3)])
FORCE_DTYPE: Final = np.dtype([("force", "<i4")])
HEART_DTYPE: Final = np.dtype([("delta_us", "<u4"), ("heart_rate", "<u2"), ("rr", "<u2")])  # rr [1/1024 s]
SPO2_DTYPE: Final = np.dtype([("delta_us", "<u4"), ("percent", "u1"), ("perfusion", "u1")])
JOINT_ANGLE_DTYPE: Final = np.dtype([("centidegrees", "<i2")])  # one joint; a sample has as many as meta names
EVENT_DTYPE: Final = np.dtype([("delta_us", "<u4"), ("code", "<u2"), ("value", "<i2")])

ROW_DTYPES: Final[Mapping[Schema, np.dtype[Any]]] = MappingProxyType(
    {
        Schema.IMU6: IMU6_DTYPE,
        Schema.IMU9: IMU9_DTYPE,
        Schema.FORCE: FORCE_DTYPE,
        Schema.HEART: HEART_DTYPE,
        Schema.SPO2: SPO2_DTYPE,
        Schema.JOINT_ANGLES: JOINT_ANGLE_DTYPE,
        Schema.EVENTS: EVENT_DTYPE,
    }
)
IRREGULAR_SCHEMAS: Final = frozenset({Schema.HEART, Schema.SPO2, Schema.EVENTS})
"""Rows of these carry `delta_us` since `t0_us`, and `period_us` is 0; all others have a period above 0."""
MAX_JOINTS: Final = 32

CLOCK_PROBE_DTYPE: Final = np.dtype([("kind", "u1"), ("s1_us", "<u8")])
CLOCK_ANSWER_DTYPE: Final = np.dtype([("kind", "u1"), ("s1_us", "<u8"), ("d2_us", "<u8"), ("d3_us", "<u8")])
CLOCK_PROBE: Final = 0
CLOCK_ANSWER: Final = 1

assert [ROW_DTYPES[schema].itemsize for schema in Schema] == [12, 18, 4, 8, 6, 2, 8]
assert (CLOCK_PROBE_DTYPE.itemsize, CLOCK_ANSWER_DTYPE.itemsize) == (9, 25)
