"""Frames become columns, columns become a file, and the same bytes come back; a file that is none says so."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from devices.wire import Schema
from firmware_sim.body import Anthropometry
from firmware_sim.imu import ImuSensor, WornSensor, place
from firmware_sim.movement import Movement
from firmware_sim.parts import BMI270
from firmware_sim.replay import read_recording
from firmware_sim.seeds import random_stream
from telerehab.archive.envelope import seal_body
from telerehab.archive.errors import FramesRefusedError, SegmentDamagedError
from telerehab.archive.frames import (
    Run,
    StreamBlocks,
    channel_names,
    digest_of,
    from_frames,
    merge_blocks,
    to_frames,
)
from telerehab.archive.layout import ARRIVAL_US, decode_body, encode_body, pack_blocks, unpack_blocks
from telerehab.bench.archive import SIZE_FLOOR_B, SIZE_GOAL_B
from tests.conftest import data_folder
from tests.telerehab.archive.frames_by_hand import arrivals, frame, frames_of, noise

ABOUT: dict[str, Any] = {
    "device": "shank-1",
    "training_session": "7b0f3c42-6d0e-4a40-9d43-d2f1c1c57f5e",
    "channels": [
        {"name": f"{kind}_{axis}", "unit": unit, "scale": 0.002394195556640625, "range": [-78.4532, 78.4532]}
        for kind, unit in (("accel", "m/s2"), ("gyro", "deg/s"))
        for axis in "xyz"
    ],
    "clock_fits": [[3_000_000_000, 77_000_000 + 9_000_123 * n, 1.79e15 + n / 7, 1 + n * 1.3e-6] for n in range(4)],
}


def round_trip(stream: StreamBlocks) -> StreamBlocks:
    return decode_body(encode_body(stream, ABOUT))[0]


def test_frames_of_a_sensor_come_back_byte_by_byte() -> None:
    frames = frames_of(noise(1_003))
    (stream,) = from_frames(frames, arrivals(frames, after_us=5_000_000))
    assert to_frames(round_trip(stream)) == frames
    assert stream.runs() == [Run(boot=3_000_000_000, start=0, stop=101)]


@pytest.mark.parametrize("schema", list(Schema))
def test_every_schema_comes_back_byte_by_byte(schema: Schema) -> None:
    sizes = {1: 12, 2: 18, 3: 4, 4: 8, 5: 6, 6: 2 * 3, 7: 8}
    random = np.random.default_rng(int(schema))
    irregular = schema in (4, 5, 7)
    frames = [
        frame(
            2 * number,
            np.frombuffer(random.bytes(sizes[schema] * n_samples), np.uint8),
            schema=int(schema),
            t0_us=1_000 * number,
            period_us=0 if irregular else 20_000,
            flags=number % 16,
            n_samples=n_samples,
        )
        for number, n_samples in enumerate([3, 1, 7, 2])
    ]
    (stream,) = from_frames(frames, [9_000_000] * 4)
    assert to_frames(round_trip(stream)) == frames
    assert tuple(stream.channels) == channel_names(schema, n_joints=3)
    assert [run.start for run in stream.runs()] == [0, 2, 4, 6]


def test_frames_without_samples_and_with_other_numbers_of_joints_are_kept_too() -> None:
    joints = [
        frame(0, np.arange(6, dtype="<i2"), schema=6, t0_us=0, n_samples=3),
        frame(1, np.arange(6, dtype="<i2"), schema=6, t0_us=30_000, n_samples=2),
        frame(2, np.zeros(0, "<i2"), schema=6, t0_us=50_000),
    ]
    parts = from_frames(joints, [0, 0, 0])
    assert sorted(frame for part in parts for frame in to_frames(round_trip(part))) == sorted(joints)
    empty = [frame(0, np.zeros(0, "<i2"), t0_us=0), frame(1, noise(2), t0_us=0)]
    (stream,) = from_frames(empty, [0, 0])
    assert to_frames(round_trip(stream)) == empty


def test_late_and_doubled_blocks_of_two_boots_are_put_in_order_once() -> None:
    rows = noise(100)
    first, second = frames_of(rows, boot=9), frames_of(rows, boot=7)
    frames = [*first[5:], *second, *first[:6], *first[:2]]
    (stream,) = from_frames(frames, list(range(len(frames))))
    assert to_frames(stream) == [*second, *first]
    (late,), (early,) = from_frames(first[5:], [1] * 5), from_frames(first[:7], [2] * 7)
    assert to_frames(merge_blocks([late, early])) == first


def test_arrival_is_kept_to_a_second_and_all_else_exactly() -> None:
    frames = frames_of(noise(2_000))
    received_us = arrivals(frames, after_us=1_790_000_000_000_000)
    received_us[50] += 7_300_000
    (stream,) = from_frames(frames, received_us)
    blocks = unpack_blocks(pack_blocks(stream.blocks))
    error_us = stream.blocks["received_us"] - blocks["received_us"]
    assert 0 <= error_us.min() <= error_us.max() < ARRIVAL_US
    exact = [name for name in blocks.dtype.names or () if name != "received_us"]
    assert all((blocks[name] == stream.blocks[name]).all() for name in exact)


def test_blocks_cost_some_bytes_for_an_hour_however_short_they_are() -> None:
    frames = frames_of(np.zeros((36_000, 6), "<i2"), n_samples=10)
    (stream,) = from_frames(frames, arrivals(frames, after_us=5))
    assert len(pack_blocks(stream.blocks)) < 120


def test_what_is_no_frame_is_refused_by_name() -> None:
    with pytest.raises(FramesRefusedError, match="crc"):
        from_frames([frames_of(noise(10))[0][:-1] + b"\xff"], [0])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: b"",
        lambda body: body[:-10],
        lambda body: body[:-400] + bytes(400),
        lambda body: b"PAR1" + bytes(100),
        lambda body: encode_body(from_frames(frames_of(noise(50)), [0] * 5)[0], {**ABOUT, "format": 99}),
    ],
)
def test_content_that_is_none_is_called_damaged(spoil: Any) -> None:
    (stream,) = from_frames(frames_of(noise(500)), [0] * 50)
    with pytest.raises(SegmentDamagedError):
        decode_body(spoil(encode_body(stream, ABOUT)))


def test_a_segment_is_plain_parquet_once_it_is_open(tmp_path: Path) -> None:
    frames = frames_of(noise(500))
    (stream,) = from_frames(frames, [0] * 50)
    path = tmp_path / "segment.parquet"
    path.write_bytes(encode_body(stream, ABOUT))
    table = pq.read_table(path)
    assert table.column_names == list(channel_names(Schema.IMU6))
    assert {str(field.type) for field in table.schema} == {"int16"}
    assert b"shank-1" in zlib.decompress(pq.read_metadata(path).metadata[b"telerehab"])
    column = pq.read_metadata(path).row_group(0).column(0)
    assert ("DELTA_BINARY_PACKED" in column.encodings, column.compression) == (True, "ZSTD")


def sealed_bytes_per_sample(rows: Any, *, period_us: int, n_samples: int) -> float:
    """Return the size of an encrypted segment with all that is said in it."""
    counts = np.concatenate([rows["accel"], rows["gyro"]], axis=1)
    frames = frames_of(counts, n_samples=n_samples, period_us=period_us)
    (stream,) = from_frames(frames, arrivals(frames, after_us=1_790_000_000_000_000))
    read_back = round_trip(stream)
    assert digest_of(to_frames(read_back)) == digest_of(frames)
    return len(seal_body(encode_body(stream, ABOUT), key=bytes(32), context="size")) / stream.n_samples


def test_a_simulated_sensor_with_the_noise_of_its_part_stays_below_the_floor() -> None:
    body, period_us = Anthropometry(), 10_000
    worn = WornSensor(
        movement=Movement(seed=3, home="home", exercise="knee_extension_seated"),
        mounting=place("shank", side="right", body=body, misplacement_max_deg=8, random=random_stream(3, "x", "place")),
        segment="shank",
        side="right",
        share=1.0,
        body=body,
    )
    sensor = ImuSensor(BMI270, seed=3, device="x", sampling_rate_hz=100, gyro_bias_deg_s=0.5)
    rows = sensor.measure(*worn.ideal(np.linspace(0.0, 300.0, 30_000, endpoint=False)))
    assert sealed_bytes_per_sample(rows, period_us=period_us, n_samples=10) <= SIZE_GOAL_B


@pytest.mark.data
def test_a_replayed_recording_stays_below_the_floor() -> None:
    folder = data_folder()
    assert folder is not None
    recording = read_recording(folder / "pt" / "s1e6.npz")
    size = sealed_bytes_per_sample(recording.rows(), period_us=recording.period_us, n_samples=10)
    assert size <= SIZE_FLOOR_B
