"""A device that was put into another kit: it is told its shard until it sends there, and nothing is lost on the way."""

import json

import numpy as np

from devices import device_record
from devices.device_record import MOVE_PERIOD_US
from devices.effects import StepEffects
from devices.ingest import MAX_TOPICS_PER_DEVICE, Ingest
from devices.ports import Raw
from devices.topics import shard_name
from devices.wire import IMU6_DTYPE, Schema
from firmware_sim.firmware import DeviceConfig, Firmware, Outgoing
from firmware_sim.streams import DeviceClock, RegularStream
from tests.devices.encoder import frame

NOW = 1_700_000_000_000_000
BAND = "band-1"


def on(shard: str, *numbers: int, root: str = "rt", device: str = BAND) -> list[Raw]:
    return [Raw(f"{root}/1/{shard}/{device}/imu", frame(number), NOW) for number in numbers]


def moves(effects: StepEffects) -> list[tuple[str, object]]:
    return [(each.topic, json.loads(each.payload)) for each in effects.outgoing if each.topic.endswith("/shard")]


def make(**shards: str) -> Ingest:
    ingest = Ingest(known_devices=[BAND, "band-2"])
    ingest.set_shards(shards or {BAND: "0a"})
    return ingest


def test_a_device_on_its_shard_or_in_no_kit_is_told_nothing() -> None:
    effects = make().step([*on("0a", 0), *on("3f", 0, device="band-2")], NOW)
    assert moves(effects) == []
    assert len(effects.blocks) == 2


def test_a_device_elsewhere_is_told_now_and_then_and_what_it_sends_is_taken() -> None:
    ingest = make()
    told = []
    for number in range(40):
        now_us = NOW + number * MOVE_PERIOD_US // 10
        effects = ingest.step(on("00", number, root="bf" if number % 2 else "rt"), now_us)
        assert [block.sequence for block in effects.blocks] == [number]
        told += [(number, *each) for each in moves(effects)]
    assert told == [(number, f"cmd/1/{BAND}/shard", {"shard": "0a"}) for number in (0, 10, 20, 30)]
    assert ingest.counts["astray"] == 40


def test_a_device_that_is_put_into_another_kit_while_it_sends_is_told_at_once_and_then_no_more() -> None:
    ingest = make()
    assert moves(ingest.step(on("0a", 0), NOW)) == []
    ingest.set_shards({BAND: "0b"})
    assert moves(ingest.step(on("0a", 1), NOW)) == [(f"cmd/1/{BAND}/shard", {"shard": "0b"})]
    effects = ingest.step(on("0b", 2), NOW + 2 * MOVE_PERIOD_US)
    assert moves(effects) == []
    assert [block.sequence for block in effects.blocks] == [2], "the order goes on over the move"
    ingest.set_shards({})
    assert moves(ingest.step(on("00", 3), NOW + 4 * MOVE_PERIOD_US)) == [], "in no kit any longer"


def test_moving_through_all_shards_leaves_room_for_topics() -> None:
    ingest = make()
    for number in range(2 * MAX_TOPICS_PER_DEVICE):
        shard = shard_name(number % 64)
        ingest.set_shards({BAND: shard})
        ingest.step(on(shard, number), NOW)
    assert ingest._topics_of[BAND] == 1


def test_a_simulated_device_moves_after_a_lost_command_and_loses_no_block() -> None:
    second_ns = 1_000_000_000
    clock = DeviceClock(start_ns=NOW * 1_000, offset_us=0, drift_ppm=0.0)
    stream = RegularStream(
        name="imu", schema=Schema.IMU6, period_us=10_000, first_us=0, next_rows=lambda: np.zeros(100, IMU6_DTYPE)
    )
    device = Firmware(DeviceConfig(name=BAND, shard="00", boot=1, meta={"v": 1}), clock=clock, streams=[stream])
    ingest = make()
    device.connected(NOW * 1_000)
    stored, topics, commands = set(), [], 0
    for tick in range(120):
        now_ns = NOW * 1_000 + tick * second_ns // 10
        _, produced = device.produce(now_ns)
        sent: list[Outgoing] = [*produced, *device.tend(now_ns)]
        raws = [Raw(each.topic, each.payload, now_ns // 1_000) for each in sent if each.is_block]
        effects = ingest.step(raws, now_ns // 1_000)
        stored |= {block.sequence for block in effects.blocks}
        topics += [raw.topic for raw in raws]
        answers = [*effects.outgoing, *ingest.committed([b.key for b in effects.blocks], now_us=now_ns // 1_000)]
        for answer in answers:
            if answer.topic.endswith("/shard"):
                commands += 1
                if commands == 1:
                    continue  # lost on the way
            device.received(answer.topic, answer.payload, now_ns)
    assert commands == 2
    assert topics[0].startswith("rt/1/00/")
    moved_at = next(place for place, topic in enumerate(topics) if "/0a/" in topic)
    assert all("/0a/" in topic for topic in topics[moved_at:])
    assert stored == set(range(len(stored)))
    assert len(stored) > 100


def test_a_shard_that_is_none_is_ignored_by_the_device() -> None:
    stream = RegularStream(
        name="imu", schema=Schema.IMU6, period_us=10_000, first_us=0, next_rows=lambda: np.zeros(100, IMU6_DTYPE)
    )
    device = Firmware(
        DeviceConfig(name=BAND, shard="00", boot=1, meta={}),
        clock=DeviceClock(start_ns=0, offset_us=0, drift_ppm=0.0),
        streams=[stream],
    )
    contents: list[object] = [{"shard": "40"}, {"shard": "+"}, {"shard": 3}, {}, []]
    for content in contents:
        device.received(f"cmd/1/{BAND}/shard", json.dumps(content).encode(), 0)
    assert device.tally.ignored == 5
    device.connected(0)
    topics = {each.topic for each in device.produce(10**9)[1]}
    assert topics == {f"rt/1/00/{BAND}/imu"}
    assert device_record.MOVE_PERIOD_US >= 1_000_000
