"""The simulator's own encoder of frames, version 1; shares nothing with the server's decoder but the dtypes."""

import struct
from typing import Final
from zlib import crc32

from devices.wire import MAGIC, VERSION, Schema

_BEFORE_CRC: Final = struct.Struct("<HBBHHIIQI")  # magic, version, schema, flags, n, boot, seq, t0_us, period_us
_CRC: Final = struct.Struct("<I")
_PROBE: Final = struct.Struct("<BQ")
_ANSWER: Final = struct.Struct("<BQQQ")
_PROBE_KIND: Final = 0
_ANSWER_KIND: Final = 1


def encode_frame(
    body: bytes, *, schema: Schema, flags: int, n_samples: int, boot: int, sequence: int, t0_us: int, period_us: int
) -> bytes:
    """Return header, crc32 and rows as they go over the wire."""
    head = _BEFORE_CRC.pack(MAGIC, VERSION, schema, flags, n_samples, boot, sequence, t0_us, period_us)
    return head + _CRC.pack(crc32(body, crc32(head))) + body


def decode_probe(payload: bytes) -> int | None:
    """Return when the server sent a time probe [its µs]; None for what is no probe, such as the device's own answer."""
    if len(payload) != _PROBE.size or payload[0] != _PROBE_KIND:
        return None
    _, s1_us = _PROBE.unpack(payload)
    return int(s1_us)


def encode_answer(*, s1_us: int, d2_us: int, d3_us: int) -> bytes:
    """Return the answer to a time probe: when the server sent, the device received and the device sent [µs].

    Examples
    --------
    >>> encode_answer(s1_us=1, d2_us=2, d3_us=3).hex()
    '01010000000000000002000000000000000300000000000000'
    """
    return _ANSWER.pack(_ANSWER_KIND, s1_us, d2_us, d3_us)
