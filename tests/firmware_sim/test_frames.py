"""The simulator's own encoder, topics and time-probe answers, against bytes typed by hand and the server's words."""

import numpy as np
import pytest

from devices import topics as server_topics
from devices.wire import FLAG_CLOCK_PROBED, FLAG_LAST_OF_STREAM, HEART_DTYPE, IMU6_DTYPE, Schema
from firmware_sim import topics
from firmware_sim.frames import decode_probe, encode_answer, encode_frame


def test_the_golden_imu6_frame() -> None:
    rows = np.array([((1, -1, 32767), (-32768, 256, 2)), ((0, 0, 4096), (0, 0, 0))], IMU6_DTYPE)
    frame = encode_frame(
        rows.tobytes(),
        schema=Schema.IMU6,
        flags=FLAG_CLOCK_PROBED,
        n_samples=2,
        boot=0x01020304,
        sequence=5,
        t0_us=1_000_000,
        period_us=10_000,
    )
    assert frame.hex() == (
        "5452010102000200040302010500000040420f000000000010270000"
        "e32a95f1"
        "0100ffffff7f008000010200"
        "000000000010000000000000"
    )


def test_the_golden_heart_frame() -> None:
    rows = np.array([(0, 72, 853), (833_000, 72, 860)], HEART_DTYPE)
    frame = encode_frame(
        rows.tobytes(), schema=Schema.HEART, flags=0, n_samples=2, boot=7, sequence=0, t0_us=2_000_000, period_us=0
    )
    assert frame.hex() == (
        "5452010400000200070000000000000080841e000000000000000000225647950000000048005503e8b50c0048005c03"
    )


def test_the_golden_event_frame() -> None:
    frame = encode_frame(
        bytes.fromhex("000000000300ffff"),
        schema=Schema.EVENTS,
        flags=FLAG_LAST_OF_STREAM,
        n_samples=1,
        boot=7,
        sequence=1,
        t0_us=3_000_000,
        period_us=0,
    )
    assert frame.hex() == "54520107080001000700000001000000c0c62d0000000000000000004780da87000000000300ffff"


def test_a_probe_is_read_and_the_devices_own_answer_is_not_taken_for_one() -> None:
    assert decode_probe(bytes.fromhex("000100000000000000")) == 1
    assert decode_probe(encode_answer(s1_us=1, d2_us=2, d3_us=3)) is None
    assert decode_probe(b"\x00\x01") is None
    assert decode_probe(b"") is None


@pytest.mark.parametrize("name", ["live_topic", "backfill_topic"])
def test_the_topics_of_blocks_are_the_servers(name: str) -> None:
    assert getattr(topics, name)("1a", "band-7", "imu") == getattr(server_topics, name)("1a", "band-7", "imu")


@pytest.mark.parametrize("name", ["meta_topic", "state_topic", "clock_topic", "ack_topic"])
def test_the_topics_of_a_device_are_the_servers(name: str) -> None:
    assert getattr(topics, name)("band-7") == getattr(server_topics, name)("band-7")


def test_the_topic_of_a_command_is_the_servers() -> None:
    for command in server_topics.CommandName:
        assert topics.command_topic("band-7", command) == server_topics.command_topic("band-7", command)
