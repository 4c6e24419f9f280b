"""Frames written with `struct` and `zlib`, knowing nothing of `devices`: two that are wrong together would agree."""

import struct
import zlib

ROW_FORMATS = {1: "<6h", 2: "<9h", 3: "<i", 4: "<IHH", 5: "<IBB", 6: "<h", 7: "<IHh"}
IRREGULAR = {4, 5, 7}

GOLDEN_IMU6 = bytes.fromhex(
    "5452010102000200040302010500000040420f000000000010270000e32a95f10100ffffff7f008000010200000000000010000000000000"
)
GOLDEN_HEART = bytes.fromhex(
    "5452010400000200070000000000000080841e000000000000000000225647950000000048005503e8b50c0048005c03"
)
GOLDEN_EVENT = bytes.fromhex("54520107080001000700000001000000c0c62d0000000000000000004780da87000000000300ffff")


def frame(
    sequence: int = 0,
    *,
    boot: int = 1,
    schema: int = 1,
    n: int = 10,
    t0_us: int | None = None,
    period_us: int | None = None,
    flags: int = 0,
    magic: int = 0x5254,
    version: int = 1,
    body: bytes | None = None,
) -> bytes:
    """Return a frame with a right crc, whatever else is wrong with it."""
    if period_us is None:
        period_us = 0 if schema in IRREGULAR else 10_000
    if body is None:
        body = bytes(struct.calcsize(ROW_FORMATS.get(schema, "<6h")) * n)
    if t0_us is None:
        t0_us = sequence * n * 10_000
    head = struct.pack("<HBBHHIIQI", magic, version, schema, flags, n, boot, sequence, t0_us, period_us)
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def rows(schema: int, values: list[tuple[int, ...]]) -> bytes:
    """Return the body of a frame."""
    return b"".join(struct.pack(ROW_FORMATS[schema], *row) for row in values)
