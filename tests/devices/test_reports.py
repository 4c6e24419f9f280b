"""What devices say of themselves: read as the protocol has it, or not at all."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.reports import Channel, Kept, State, StreamMeta, parse_document, read_meta, read_state
from devices.wire import Schema

CHANNEL = {"name": "accel_x", "unit": "m/s2", "scale": 0.0048, "range": [-157, 157]}
STREAM = {"schema": 1, "rate_hz": 100, "channels": [CHANNEL], "body_site": "thigh_right"}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_a_stream_is_read_with_its_channels() -> None:
    assert read_meta({"v": 1, "firmware": "x", "streams": {"imu": STREAM}}) == {
        "imu": StreamMeta(
            schema=Schema.IMU6,
            rate_hz=100.0,
            channels=(Channel(name="accel_x", unit="m/s2", scale=0.0048, low=-157.0, high=157.0),),
            body_site="thigh_right",
        )
    }


def test_range_and_body_site_may_be_absent_and_unknown_members_are_ignored() -> None:
    channel = {"name": "rr", "unit": "s", "scale": 1, "colour": "red"}
    streams = read_meta({"streams": {"heart": {"schema": 4, "rate_hz": 0, "channels": [channel], "new": 1}}})
    assert streams is not None
    assert (streams["heart"].body_site, streams["heart"].channels[0].low) == (None, None)


@pytest.mark.parametrize(
    "stream",
    [
        None,
        [],
        {},
        STREAM | {"schema": 0},
        STREAM | {"schema": "1"},
        STREAM | {"schema": True},
        STREAM | {"rate_hz": -1},
        STREAM | {"rate_hz": float("nan")},
        STREAM | {"rate_hz": True},
        STREAM | {"channels": None},
        STREAM | {"channels": [{}]},
        STREAM | {"channels": [CHANNEL | {"scale": float("inf")}]},
        STREAM | {"channels": [CHANNEL | {"scale": "1"}]},
        STREAM | {"channels": [CHANNEL | {"range": [1]}]},
        STREAM | {"channels": [CHANNEL | {"name": "x" * 65}]},
        STREAM | {"channels": [CHANNEL] * 33},
        STREAM | {"body_site": 7},
    ],
)
def test_a_stream_that_is_not_of_the_protocol_refuses_the_whole(stream: object) -> None:
    assert read_meta({"streams": {"good": STREAM, "imu": stream}}) is None


def test_names_and_numbers_of_streams_are_bounded() -> None:
    assert read_meta({"streams": {"A/#": STREAM}}) is None
    assert read_meta({"streams": {f"s{n}": STREAM for n in range(17)}}) is None
    assert read_meta({}) is None


def test_a_state_is_read() -> None:
    document = {"online": True, "boot": 7, "kept": [[7, "imu", 12]], "battery": 0.5, "dropped": 0}
    assert read_state(document) == State(is_online=True, boot=7, kept=(Kept(boot=7, stream="imu", oldest_sequence=12),))
    assert read_state({"online": False}) == State(is_online=False, boot=None, kept=None)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"online": 1},
        {"online": True, "boot": -1},
        {"online": True, "boot": 2**32},
        {"online": True, "boot": True},
        {"online": True, "kept": {}},
        {"online": True, "kept": [[1, "imu"]]},
        {"online": True, "kept": [[1, "imu", -1]]},
        {"online": True, "kept": [[1, "+", 0]]},
        {"online": True, "kept": [[1, "imu", 0]] * 65},
    ],
)
def test_a_state_that_is_not_of_the_protocol_is_refused(document: dict[str, Any]) -> None:
    assert read_state(document) is None


@pytest.mark.parametrize(
    "payload", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 10_000, b"1" * 10_000, b"{}" + b" " * 20_000]
)
def test_what_is_no_small_json_object_is_refused(payload: bytes) -> None:
    assert parse_document(payload) is None


@given(JSON)
def test_any_json_is_read_or_refused(value: object) -> None:
    for document in (value, {"streams": value}, {"online": True, "boot": value, "kept": value}):
        parsed = parse_document(json.dumps(document).encode())
        if parsed is not None:
            read_meta(parsed)
            read_state(parsed)
