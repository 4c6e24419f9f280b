"""The decoder: golden bytes typed by hand, every refusal by name, and no input that breaks it."""

import struct
import zlib
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.codec import Refusal, decode_blocks, decode_clock_answer, decode_frames
from devices.wire import MAX_FRAME_BYTES, ROW_DTYPES, Schema
from tests.devices.encoder import GOLDEN_EVENT, GOLDEN_HEART, GOLDEN_IMU6, ROW_FORMATS, frame, rows

I16, U16, U32, I32, U8 = (
    st.integers(-(2**15), 2**15 - 1),
    st.integers(0, 2**16 - 1),
    st.integers(0, 2**32 - 1),
    st.integers(-(2**31), 2**31 - 1),
    st.integers(0, 255),
)
ROW_VALUES: dict[int, st.SearchStrategy[tuple[int, ...]]] = {
    1: st.tuples(*[I16] * 6),
    2: st.tuples(*[I16] * 9),
    3: st.tuples(I32),
    4: st.tuples(U32, U16, U16),
    5: st.tuples(U32, U8, U8),
    6: st.tuples(I16),
    7: st.tuples(U32, U16, I16),
}


def flat(values: np.ndarray[Any, Any]) -> list[tuple[int, ...]]:
    return [tuple(np.concatenate([np.ravel(row[name]) for name in row.dtype.names]).tolist()) for row in values]


def test_the_golden_imu_frame_is_read_as_written_in_the_protocol() -> None:
    batch = decode_blocks([GOLDEN_IMU6], schema=Schema.IMU6)
    header = batch.headers[0]
    assert (header["boot"], header["sequence"], header["t0_us"]) == (0x01020304, 5, 1_000_000)
    assert (header["flags"], header["n_samples"], header["period_us"]) == (2, 2, 10_000)
    assert flat(batch.rows) == [(1, -1, 32767, -32768, 256, 2), (0, 0, 4096, 0, 0, 0)]
    assert batch.malformed == ()


def test_the_golden_heart_frame_is_read_as_written_in_the_protocol() -> None:
    batch = decode_blocks([GOLDEN_HEART], schema=Schema.HEART)
    assert (batch.headers[0]["boot"], batch.headers[0]["t0_us"]) == (7, 2_000_000)
    assert flat(batch.rows) == [(0, 72, 853), (833_000, 72, 860)]


def test_the_golden_event_frame_is_read_as_written_in_the_protocol() -> None:
    batch = decode_blocks([GOLDEN_EVENT], schema=Schema.EVENTS)
    assert (batch.headers[0]["flags"], batch.headers[0]["sequence"]) == (8, 1)
    assert flat(batch.rows) == [(0, 3, -1)]


def test_the_crc_is_zlibs() -> None:
    def bitwise(data: bytes) -> int:
        register = 0xFFFFFFFF
        for byte in data:
            register ^= byte
            for _ in range(8):
                register = register >> 1 ^ (0xEDB88320 if register & 1 else 0)
        return register ^ 0xFFFFFFFF

    assert bitwise(b"123456789") == 0xCBF43926
    for golden in (GOLDEN_IMU6, GOLDEN_HEART, GOLDEN_EVENT):
        assert bitwise(golden[:28] + golden[32:]) == int.from_bytes(golden[28:32], "little")


@given(data=st.data(), schema=st.sampled_from(sorted(ROW_FORMATS)), boot=U32, t0_us=st.integers(0, 2**53 - 1))
def test_what_a_device_sends_is_what_is_read(data: st.DataObject, schema: int, boot: int, t0_us: int) -> None:
    values = data.draw(st.lists(ROW_VALUES[schema], max_size=30))
    sequence, flags = data.draw(U32), data.draw(U16)
    payload = frame(
        sequence, boot=boot, schema=schema, n=len(values), t0_us=t0_us, flags=flags, body=rows(schema, values)
    )
    batch = decode_blocks([payload], schema=Schema(schema))
    assert batch.malformed == ()
    header = batch.headers[0]
    assert (header["boot"], header["sequence"], header["t0_us"], header["flags"]) == (boot, sequence, t0_us, flags)
    assert flat(batch.rows) == values


@given(lengths=st.lists(st.tuples(st.sampled_from([1, 4, 6]), st.integers(0, 4)), max_size=12), data=st.data())
def test_blocks_come_back_in_the_order_of_their_messages(lengths: list[tuple[int, int]], data: st.DataObject) -> None:
    payloads = [frame(index, schema=schema, n=n) for index, (schema, n) in enumerate(lengths)]
    bad = sorted(data.draw(st.sets(st.integers(0, len(payloads) - 1)))) if payloads else []
    for index in bad:
        payloads[index] = payloads[index][:-1] + bytes([payloads[index][-1] ^ 1])
    batch = decode_blocks(payloads, schema=Schema.IMU6)
    expected = [index for index, (schema, _) in enumerate(lengths) if schema == 1 and index not in bad]
    assert batch.headers["sequence"].tolist() == expected
    assert np.diff(batch.row_start).tolist() == [lengths[index][1] for index in expected]
    assert [each.index for each in batch.malformed] == [i for i in range(len(lengths)) if i not in expected]


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", Refusal.TOO_SHORT),
        (frame(n=0)[:31], Refusal.TOO_SHORT),
        (frame(n=10) + bytes(MAX_FRAME_BYTES), Refusal.TOO_LONG),
        (frame(magic=0x5452), Refusal.MAGIC),
        (frame()[:-1] + b"\x01", Refusal.CRC),
        (frame(version=2), Refusal.VERSION),
        (frame(schema=0), Refusal.SCHEMA),
        (frame(schema=8), Refusal.SCHEMA),
        (frame(schema=255), Refusal.SCHEMA),
        (frame(n=2, body=bytes(12)), Refusal.LENGTH),
        (frame(n=1, body=bytes(13)), Refusal.LENGTH),
        (frame(n=0, body=bytes(12)), Refusal.LENGTH),
        (frame(schema=6, n=2, body=bytes(6)), Refusal.LENGTH),
        (frame(schema=6, n=2, body=b""), Refusal.LENGTH),
        (frame(schema=6, n=1, body=bytes(66)), Refusal.LENGTH),
        (frame(schema=6, n=0, body=bytes(2)), Refusal.LENGTH),
        (frame(period_us=0), Refusal.PERIOD),
        (frame(schema=4, period_us=10_000), Refusal.PERIOD),
        (frame(t0_us=2**53), Refusal.TIME),
        (frame(t0_us=2**64 - 1), Refusal.TIME),
    ],
)
def test_every_malformed_frame_has_a_named_refusal(payload: bytes, why: Refusal) -> None:
    decoded = decode_frames([frame(1), payload, frame(2)])
    assert [(each.index, each.why) for each in decoded.malformed] == [(1, why)]
    assert sum(group.index.size for group in decoded.groups) == 2


@pytest.mark.parametrize("schema", list(Schema))
def test_the_longest_frame_passes_and_a_longer_one_does_not(schema: Schema) -> None:
    row_bytes = ROW_DTYPES[schema].itemsize
    n = (MAX_FRAME_BYTES - 32) // row_bytes
    assert decode_frames([frame(schema=schema, n=n)]).malformed == ()
    assert [each.why for each in decode_frames([frame(schema=schema, n=n + 1)]).malformed] == [Refusal.TOO_LONG]


def test_a_key_is_trusted_only_under_a_right_crc() -> None:
    damaged = bytearray(frame(7, boot=3))
    damaged[40] ^= 1
    (crc,), (version,) = (
        decode_frames([bytes(damaged)]).malformed,
        decode_frames([frame(7, boot=3, version=9)]).malformed,
    )
    assert (crc.boot, crc.sequence, crc.has_trusted_key) == (3, 7, False)
    assert (version.boot, version.sequence, version.has_trusted_key) == (3, 7, True)


def test_joint_angles_have_as_many_values_a_sample_as_fit() -> None:
    batch = decode_blocks([frame(schema=6, n=2, body=rows(6, [(1,), (2,), (3,), (4,)]))], schema=Schema.JOINT_ANGLES)
    assert batch.rows["centidegrees"].tolist() == [1, 2, 3, 4]
    assert batch.row_start.tolist() == [0, 4]


@given(st.lists(st.one_of(st.binary(max_size=80), st.builds(frame, U32, n=st.integers(0, 3)))))
def test_garbage_is_refused_and_good_frames_between_it_are_read(payloads: list[bytes]) -> None:
    decoded = decode_frames(payloads)
    read = {int(index) for group in decoded.groups for index in group.index}
    assert read.isdisjoint(each.index for each in decoded.malformed)
    assert read | {each.index for each in decoded.malformed} == set(range(len(payloads)))
    right = {
        index
        for index, payload in enumerate(payloads)
        if len(payload) >= 32
        and zlib.crc32(payload[32:], zlib.crc32(payload[:28])) == int.from_bytes(payload[28:32], "little")
    }
    assert read <= right


@given(payload=st.sampled_from([GOLDEN_IMU6, GOLDEN_HEART, GOLDEN_EVENT]), data=st.data())
def test_no_flipped_bit_goes_unnoticed(payload: bytes, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, 8 * len(payload) - 1))
    flipped = bytearray(payload)
    flipped[position // 8] ^= 1 << position % 8
    assert decode_frames([bytes(flipped)]).groups == ()


@given(st.binary(max_size=120), st.integers(0, 3))
def test_behind_a_right_crc_anything_is_read_or_refused(body: bytes, seed: int) -> None:
    head = (body + bytes(28))[:28]
    head = struct.pack("<HBB", 0x5254, 1 + seed // 3, head[3] % 10) + head[4:]
    rest = body[28:]
    payload = head + struct.pack("<I", zlib.crc32(rest, zlib.crc32(head))) + rest
    decoded = decode_frames([payload])
    assert len(decoded.groups) + len(decoded.malformed) == 1
    assert all(each.has_trusted_key for each in decoded.malformed)


def test_a_clock_answer_is_told_from_our_own_probe() -> None:
    assert decode_clock_answer(struct.pack("<BQQQ", 1, 10, 20, 30)) == (10, 20, 30)
    assert decode_clock_answer(struct.pack("<BQ", 0, 10)) is None
    assert decode_clock_answer(struct.pack("<BQQQ", 0, 10, 20, 30)) is None
    assert decode_clock_answer(b"") is None
