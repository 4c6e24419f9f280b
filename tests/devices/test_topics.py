"""Topics are made and taken apart the same way, and nothing opens another subtree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import topics
from devices.topics import ParsedTopic, TopicKind, parse_topic

NAME = "abcdefghijklmnopqrstuvwxyz0123456789-"
DEVICES, STREAMS = st.text(NAME, min_size=1, max_size=64), st.text(NAME, min_size=1, max_size=16)


@given(number=st.integers(0, 63), device=DEVICES, stream=STREAMS)
def test_what_is_made_is_taken_apart(number: int, device: str, stream: str) -> None:
    shard = topics.shard_name(number)
    assert parse_topic(topics.live_topic(shard, device, stream)) == ParsedTopic(
        kind=TopicKind.LIVE, shard=shard, device=device, stream=stream
    )
    assert parse_topic(topics.backfill_topic(shard, device, stream)) == ParsedTopic(
        kind=TopicKind.BACKFILL, shard=shard, device=device, stream=stream
    )
    for topic, kind in (
        (topics.meta_topic(device), TopicKind.META),
        (topics.state_topic(device), TopicKind.STATE),
        (topics.clock_topic(device), TopicKind.CLOCK),
        (topics.ack_topic(device), TopicKind.ACK),
    ):
        assert parse_topic(topic) == ParsedTopic(kind=kind, device=device)
    assert parse_topic(topics.command_topic(device, "resend")) == ParsedTopic(
        kind=TopicKind.COMMAND, device=device, command="resend"
    )


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "rt/1/00/band",
        "rt/2/00/band/imu",
        "rt/1/40/band/imu",
        "rt/1/0/band/imu",
        "rt/1/00/Band/imu",
        "rt/1/00/+/imu",
        "rt/1/00/#",
        "rt/1/00/band/imu\n",
        "rt/1/00/band\n/imu",
        "rt/1/00/band/a-name-that-is-too-long",
        f"rt/1/00/{'x' * 65}/imu",
        "rt/1/00/band/imu/",
        "/rt/1/00/band/imu",
        "dev/1/band/other",
        "dev/1/band",
        "clk/1/band/x",
        "cmd/1/band",
        "cmd/1/band/Wipe",
        "live/1/worker",
    ],
)
def test_anything_else_is_none_of_ours(topic: str) -> None:
    assert parse_topic(topic) is None


@given(st.text(max_size=40))
def test_no_text_breaks_it(topic: str) -> None:
    parsed = parse_topic(topic)
    assert parsed is None or "/" not in parsed.device + parsed.stream


@pytest.mark.parametrize("number", [-1, 64])
def test_there_are_64_shards(number: int) -> None:
    with pytest.raises(ValueError, match="0 to 63"):
        topics.shard_name(number)
