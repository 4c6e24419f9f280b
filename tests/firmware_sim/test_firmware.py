"""What a device does with its blocks, without a broker and without waiting."""

import json
import struct
from collections.abc import Callable
from zlib import crc32

import numpy as np
import pytest

from devices.wire import HEADER_DTYPE, IMU6_DTYPE, Schema
from firmware_sim.firmware import RESEND_CREDIT, RESEND_CREDIT_SILENT, RING_BYTES, DeviceConfig, Firmware, Outgoing
from firmware_sim.heart import Heart
from firmware_sim.streams import DeviceClock, HeartStream, RegularStream, Rows

S_NS = 1_000_000_000
BLOCK_NS = S_NS // 10
START_NS = 1000 * S_NS
OFFSET_US = 77_000_000


def endless_rows() -> Rows:
    return np.zeros(100, IMU6_DTYPE)


def device(
    *,
    rows: Callable[[], Rows | None] = endless_rows,
    period_us: int = 10_000,
    drift_ppm: float = 0.0,
    block: int = 10,
    ring_bytes: int = RING_BYTES,
) -> Firmware:
    clock = DeviceClock(start_ns=START_NS, offset_us=OFFSET_US, drift_ppm=drift_ppm)
    stream = RegularStream(
        name="imu", schema=Schema.IMU6, period_us=period_us, first_us=clock.offset_us, next_rows=rows
    )
    config = DeviceConfig(name="band-1", shard="1a", boot=3, meta={"v": 1}, block_samples=block, ring_bytes=ring_bytes)
    return Firmware(config, clock=clock, streams=[stream])


def blocks(messages: list[Outgoing]) -> list[np.void]:
    return [np.frombuffer(each.payload[:32], HEADER_DTYPE)[0] for each in messages if each.is_block]


def sequences(messages: list[Outgoing]) -> list[int]:
    return [int(each["sequence"]) for each in blocks(messages)]


def acknowledge(firmware: Firmware, watermark: int, now_ns: int, *, boot: int = 3) -> None:
    firmware.received("ack/1/band-1", json.dumps([[boot, "imu", watermark]]).encode(), now_ns)


def offline_device(n_blocks: int) -> tuple[Firmware, int]:
    firmware = device()
    now_ns = START_NS + n_blocks * BLOCK_NS - 5_000_000
    firmware.produce(now_ns)
    assert firmware.n_kept == n_blocks
    return firmware, now_ns


def test_a_block_goes_out_live_as_soon_as_its_last_sample_is_taken() -> None:
    firmware = device()
    firmware.connected(START_NS)
    due_ns = firmware.next_due_ns()
    assert due_ns == START_NS + 90_000_000
    assert firmware.produce(due_ns - 1_000)[1] == []
    (message,) = firmware.produce(due_ns)[1]
    assert message.topic == "rt/1/1a/band-1/imu"
    assert (message.qos, message.retain) == (0, False)
    (head,) = blocks([message])
    assert (head["boot"], head["sequence"], head["flags"]) == (3, 0, 0)
    assert (head["t0_us"], head["period_us"], head["n_samples"]) == (OFFSET_US, 10_000, 10)
    assert head["crc32"] == crc32(message.payload[32:], crc32(message.payload[:28]))


def test_the_devices_clock_runs_wrong_by_its_drift() -> None:
    clock = DeviceClock(start_ns=START_NS, offset_us=OFFSET_US, drift_ppm=100.0)
    assert clock.to_device_us(START_NS + 1000 * S_NS) == OFFSET_US + 1_000_100_000
    assert clock.to_host_ns(OFFSET_US + 1_000_100_000) == START_NS + 1000 * S_NS


def test_state_and_meta_are_published_retained_at_every_connect_state_first() -> None:
    firmware = device()
    for _ in range(2):
        state, meta = firmware.connected(START_NS)
        assert (state.topic, state.qos, state.retain) == ("dev/1/band-1/state", 1, True)
        assert (meta.topic, meta.qos, meta.retain) == ("dev/1/band-1/meta", 1, True)
        assert json.loads(state.payload)["online"] is True
        assert json.loads(state.payload)["boot"] == 3
        firmware.disconnected()
    assert json.loads(firmware.last_will().payload) == {"online": False}


def test_the_state_names_the_oldest_kept_block_and_what_is_kept() -> None:
    firmware, now_ns = offline_device(30)
    acknowledge(firmware, 12, now_ns)
    state = json.loads(firmware.connected(now_ns)[0].payload)
    assert state["kept"] == [[3, "imu", 12]]
    assert state["bytes_kept"] == 18 * (32 + 120)
    assert 0 < state["battery"] <= 1


def test_only_a_watermark_frees_blocks_and_only_below_it() -> None:
    firmware = device()
    firmware.connected(START_NS)
    now_ns = START_NS + 10 * BLOCK_NS
    firmware.produce(now_ns)
    firmware.tend(now_ns)
    firmware.disconnected()
    firmware.connected(now_ns)
    assert firmware.n_kept == 10
    acknowledge(firmware, 4, now_ns)
    assert firmware.n_kept == 6
    acknowledge(firmware, 4, now_ns)
    acknowledge(firmware, 2, now_ns)
    acknowledge(firmware, 99, now_ns, boot=2)
    firmware.received("ack/1/band-1", b'[[3, "other", 99]]', now_ns)
    assert firmware.n_kept == 6
    acknowledge(firmware, 10, now_ns)
    assert firmware.n_kept == 0
    assert firmware.tally.acknowledged == 10


def test_an_unanswered_block_is_sent_again_as_backfill_after_one_and_a_half_seconds() -> None:
    firmware = device()
    firmware.connected(START_NS)
    (first,) = firmware.produce(START_NS + 95_000_000)[1]
    firmware.tend(START_NS + 95_000_000)
    assert firmware.tend(START_NS + 1_594_000_000) == []
    (again,) = firmware.tend(START_NS + 1_850_000_000)
    assert (first.topic, again.topic) == ("rt/1/1a/band-1/imu", "bf/1/1a/band-1/imu")
    assert (blocks([first])[0]["flags"], blocks([again])[0]["flags"]) == (0, 1)
    assert first.payload[32:] == again.payload[32:]
    assert struct.unpack("<I", again.payload[28:32])[0] == crc32(again.payload[32:], crc32(again.payload[:28]))


def test_resending_keeps_to_its_credit_oldest_first() -> None:
    firmware, now_ns = offline_device(100)
    firmware.connected(now_ns)
    assert sequences(firmware.tend(now_ns)) == list(range(RESEND_CREDIT))
    assert sequences(firmware.tend(now_ns + S_NS)) == []  # no answer yet: no more credit
    assert sequences(firmware.tend(now_ns + 1_600_000_000)) == list(range(RESEND_CREDIT_SILENT))  # is anybody there?
    acknowledge(firmware, RESEND_CREDIT, now_ns + 1_700_000_000)
    assert sequences(firmware.tend(now_ns + 1_800_000_000)) == []
    assert sequences(firmware.tend(now_ns + 1_950_000_000)) == list(range(20, 40))  # answered: rounds follow quickly
    assert sequences(firmware.tend(now_ns + 2_200_000_000)) == list(range(40, 60))
    assert sequences(firmware.tend(now_ns + 3_300_000_000)) == list(range(60, 80))  # silent again since 1.6 s
    assert sequences(firmware.tend(now_ns + 3_600_000_000)) == []
    assert sequences(firmware.tend(now_ns + 4_900_000_000)) == [20, 21]
    firmware.disconnected()
    firmware.connected(now_ns + 5_000_000_000)  # perhaps it was the link
    assert len(firmware.tend(now_ns + 6_500_000_000)) == RESEND_CREDIT


def test_a_server_that_only_repeats_itself_gets_no_more_than_a_silent_one() -> None:
    firmware, now_ns = offline_device(100)
    firmware.connected(now_ns)
    assert len(sequences(firmware.tend(now_ns))) == RESEND_CREDIT
    n_sent = 0
    for tick in range(1, 200):  # its disk is full
        if tick % 20 == 0:
            acknowledge(firmware, 0, now_ns + tick * 50_000_000)
        n_sent += len(sequences(firmware.tend(now_ns + tick * 50_000_000)))
    assert n_sent == 6 * RESEND_CREDIT_SILENT
    acknowledge(firmware, 2, now_ns + 10 * S_NS)
    assert len(sequences(firmware.tend(now_ns + 10 * S_NS + 300_000_000))) == RESEND_CREDIT


def test_a_stream_that_is_never_taken_holds_up_no_other_and_what_is_asked_for_goes_first() -> None:
    clock = DeviceClock(start_ns=START_NS, offset_us=OFFSET_US, drift_ppm=0.0)
    streams = [
        RegularStream(name=name, schema=Schema.IMU6, period_us=10_000, first_us=clock.offset_us, next_rows=endless_rows)
        for name in ("stuck", "imu")
    ]
    config = DeviceConfig(name="band-1", shard="1a", boot=3, meta={"v": 1}, block_samples=10)
    firmware = Firmware(config, clock=clock, streams=streams)
    firmware.connected(START_NS)
    now_ns = START_NS + 20 * S_NS
    firmware.produce(now_ns)
    topics: set[str] = set()
    for tick in range(1, 100):
        topics |= {each.topic for each in firmware.tend(now_ns + tick * 50_000_000) if each.is_block}
    assert topics == {"bf/1/1a/band-1/stuck", "bf/1/1a/band-1/imu"}
    command = {"boot": 3, "stream": "imu", "from": 150, "to": 152, "credit": 20}
    firmware.received("cmd/1/band-1/resend", json.dumps(command).encode(), now_ns + 5 * S_NS)
    again = firmware.tend(now_ns + 5 * S_NS)
    assert [each.topic for each in again[:2]] == ["bf/1/1a/band-1/imu"] * 2
    assert sequences(again)[:2] == [150, 151]


def test_a_silence_of_twenty_seconds_costs_few_blocks_more_than_sending_all_again() -> None:
    firmware = device()
    firmware.connected(START_NS)
    now_ns = START_NS
    for _ in range(400):
        now_ns += 50_000_000
        firmware.produce(now_ns)
        firmware.tend(now_ns)
    assert firmware.tally.produced == 200
    assert firmware.tally.resent <= RESEND_CREDIT + 13 * RESEND_CREDIT_SILENT


def test_while_the_server_answers_a_backlog_of_a_minute_is_gone_within_ten_seconds() -> None:
    firmware, now_ns = offline_device(600)
    firmware.connected(now_ns)
    received: set[int] = set()
    n_sent = 0
    for tick in range(200):
        now_ns += 50_000_000
        outgoing = [*firmware.produce(now_ns)[1], *firmware.tend(now_ns)]
        n_sent += len(sequences(outgoing))
        received.update(sequences(outgoing))
        if tick % 20 == 19:  # the server answers once a second
            acknowledge(firmware, next(i for i in range(10_000) if i not in received), now_ns)
    assert firmware.n_kept <= 10
    assert n_sent <= 1.2 * firmware.tally.produced


def test_what_was_made_while_offline_is_not_sent_live() -> None:
    firmware, now_ns = offline_device(100)
    firmware.connected(now_ns)
    outgoing = [*firmware.produce(now_ns + BLOCK_NS)[1], *firmware.tend(now_ns + BLOCK_NS)]
    topics = [message.topic.split("/")[0] for message in outgoing]
    assert topics == ["rt", *["bf"] * RESEND_CREDIT]


def test_the_command_resend_sends_the_asked_range_at_once_and_half_open() -> None:
    firmware = device()
    firmware.connected(START_NS)
    now_ns = START_NS + S_NS
    firmware.produce(now_ns)
    assert sequences(firmware.tend(now_ns)) == []
    command = {"boot": 3, "stream": "imu", "from": 2, "to": 5, "credit": 20}
    firmware.received("cmd/1/band-1/resend", json.dumps(command).encode(), now_ns)
    assert sequences(firmware.tend(now_ns)) == [2, 3, 4]
    firmware.received("cmd/1/band-1/resend", json.dumps({**command, "credit": 1}).encode(), now_ns)
    assert sequences(firmware.tend(now_ns + 1)) == [2]
    firmware.received("cmd/1/band-1/resend", json.dumps({**command, "boot": 2}).encode(), now_ns)
    assert sequences(firmware.tend(now_ns + 2)) == []


def test_the_command_rate_changes_the_size_of_the_next_block() -> None:
    firmware = device()
    firmware.connected(START_NS)
    firmware.produce(START_NS + 95_000_000)
    firmware.received("cmd/1/band-1/rate", b'{"stream": "imu", "n": 50}', START_NS + 100_000_000)
    assert firmware.produce(START_NS + 500_000_000)[1] == []
    (head,) = blocks(firmware.produce(START_NS + 600_000_000)[1])
    assert (head["sequence"], head["n_samples"], head["t0_us"]) == (1, 50, OFFSET_US + 100_000)


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("ack/1/band-1", b"no json"),
        ("ack/1/band-1", b"{}"),
        ("ack/1/band-1", b"[[1]]"),
        ("cmd/1/band-1/rate", b'{"stream": "imu", "n": 0}'),
        ("cmd/1/band-1/rate", b'{"stream": "other", "n": 10}'),
        ("cmd/1/band-1/resend", b'{"stream": "imu"}'),
        ("cmd/1/band-1/resend", b"[]"),
    ],
)
def test_what_is_not_understood_is_counted_and_changes_nothing(topic: str, payload: bytes) -> None:
    firmware, now_ns = offline_device(5)
    assert firmware.received(topic, payload, now_ns) == []
    assert firmware.tally.ignored == 1
    assert firmware.n_kept == 5
    assert firmware.next_due_ns() == START_NS + 590_000_000


def test_time_probes_are_answered_and_flag_later_blocks_but_never_a_block_already_made() -> None:
    firmware = device()
    firmware.connected(START_NS)
    (made_before,) = firmware.produce(START_NS + 95_000_000)[1]
    probe = bytes.fromhex("000807060504030201")
    for _ in range(5):
        (answer,) = firmware.received("clk/1/band-1", probe, START_NS + 123_000_000)
    assert answer.topic == "clk/1/band-1"
    kind, s1_us, d2_us, d3_us = struct.unpack("<BQQQ", answer.payload)
    assert (kind, s1_us) == (1, 0x0102030405060708)
    assert d2_us == d3_us == OFFSET_US + 123_000
    assert firmware.received("clk/1/band-1", answer.payload, START_NS + 124_000_000) == []
    (head,) = blocks(firmware.produce(START_NS + 195_000_000)[1])
    assert head["flags"] == 2
    again = blocks(firmware.tend(START_NS + 3 * S_NS))
    assert [int(each["flags"]) for each in again] == [1, 1 | 2]
    assert blocks([made_before])[0]["flags"] == 0


def test_after_more_than_twenty_minutes_offline_the_oldest_is_dropped_counted_and_told() -> None:
    firmware = device(block=100)
    n_blocks = RING_BYTES // (32 + 100 * 12)
    assert n_blocks >= 20 * 60
    now_ns = START_NS + (n_blocks + 60) * S_NS
    firmware.produce(now_ns)
    assert 59 <= firmware.tally.dropped <= 61
    state = json.loads(firmware.connected(now_ns)[0].payload)
    assert state["dropped"] == firmware.tally.dropped
    assert state["kept"] == [[3, "imu", firmware.tally.dropped]]
    assert RING_BYTES - 1_232 < state["bytes_kept"] <= RING_BYTES


def test_a_full_device_spares_what_it_made_in_training_sessions() -> None:
    """Ten blocks fit: of five made before, eight within and seven after a session, eight and two are kept at last."""
    firmware = device(ring_bytes=10 * 152)

    def kept_after(n_blocks: int) -> list[int]:
        firmware.produce(START_NS + (firmware.tally.produced + n_blocks) * 100_000_000 - 10_000_000)
        return list(firmware._streams["imu"].kept)

    assert kept_after(5) == [0, 1, 2, 3, 4]
    assert firmware.received("cmd/1/band-1/session", b'{"open": true}', START_NS) == []
    assert kept_after(8) == [3, 4, *range(5, 13)]
    firmware.received("cmd/1/band-1/session", b'{"open": false}', START_NS)
    assert kept_after(1) == [4, *range(5, 14)]
    assert kept_after(6) == [*range(5, 13), 18, 19]
    state = json.loads(firmware.connected(START_NS + 3 * S_NS)[0].payload)
    assert (state["kept"], state["dropped"], state["bytes_kept"]) == ([[3, "imu", 5]], 10, 10 * 152)
    acknowledge(firmware, 13, START_NS + 3 * S_NS)
    state = json.loads(firmware.connected(START_NS + 3 * S_NS)[0].payload)
    assert (state["kept"], state["bytes_kept"]) == ([[3, "imu", 18]], 2 * 152)
    firmware.received("cmd/1/band-1/session", b'{"open": true}', START_NS)
    assert kept_after(12) == list(range(22, 32)), "where all is of a session, the oldest goes"


def test_stopping_sends_the_samples_since_the_last_block_as_the_last_of_the_stream() -> None:
    firmware = device()
    firmware.connected(START_NS)
    produced, outgoing = firmware.stop(START_NS + 145_000_000)
    assert [block.n_samples for block in produced] == [10, 5]
    assert [int(head["flags"]) for head in blocks(outgoing)] == [0, 8]
    assert firmware.next_due_ns() is None
    assert firmware.produce(START_NS + 10 * S_NS) == ([], [])


def test_a_stream_that_ends_says_so_and_the_device_stops() -> None:
    pieces = iter([np.zeros(25, IMU6_DTYPE)])
    firmware = device(rows=lambda: next(pieces, None))
    firmware.connected(START_NS)
    produced, outgoing = firmware.produce(START_NS + S_NS)
    assert [block.n_samples for block in produced] == [10, 10, 5]
    assert [int(head["flags"]) for head in blocks(outgoing)] == [0, 0, 8]
    assert not firmware.is_sampling


def test_a_slower_stream_makes_blocks_of_the_same_time() -> None:
    firmware = device(period_us=40_000)
    firmware.connected(START_NS)
    heads = blocks(firmware.produce(START_NS + S_NS)[1])
    assert {int(head["n_samples"]) for head in heads} == {2}
    assert [int(head["t0_us"]) - OFFSET_US for head in heads[:3]] == [0, 80_000, 160_000]


def test_the_digest_of_the_truth_covers_the_rows_only() -> None:
    firmware = device()
    produced, _ = firmware.produce(START_NS + S_NS)
    # printf '%0240d' 0 | xxd -r -p | sha256sum
    assert {block.digest.hex() for block in produced} == {"6edd9f6f9cc92cded36e6c4a580933f9"}


def test_a_heart_strap_sends_its_beats_once_a_second_with_their_own_times() -> None:
    clock = DeviceClock(start_ns=START_NS, offset_us=OFFSET_US, drift_ppm=0.0)
    strap = HeartStream(name="heart", heart=Heart(seed=1, device="strap-1", still_s=6.0), clock=clock)
    config = DeviceConfig(name="strap-1", shard="1a", boot=1, meta={})
    firmware = Firmware(config, clock=clock, streams=[strap])
    firmware.connected(START_NS)
    messages = firmware.produce(START_NS + 300 * S_NS)[1]
    firmware.tend(START_NS + 300 * S_NS)
    assert not messages or len(messages) <= 3  # the old ones wait for backfill
    produced = firmware.tally.produced
    assert 200 < produced <= 300
    beats = Heart(seed=1, device="strap-1", still_s=6.0).beats_until(300.0)
    rates = beats["heart_rate"]
    assert 55 <= rates[:5].mean() < rates[-5:].mean() <= 110
    intervals_s = np.diff(beats["time_s"])
    assert intervals_s == pytest.approx(beats["rr"][1:] / 1024, abs=2e-3)


def test_a_block_is_due_with_its_last_sample_and_begins_with_its_first() -> None:
    stream = RegularStream(name="imu", schema=Schema.IMU6, period_us=10_000, first_us=OFFSET_US, next_rows=endless_rows)
    assert stream.due_us(10) == OFFSET_US + 90_000
    block = stream.take(10)
    assert block is not None
    assert (block.t0_us, block.due_us, block.n_samples) == (OFFSET_US, OFFSET_US + 90_000, 10)
    assert stream.due_us(50) == OFFSET_US + 590_000


def test_a_wiped_device_forgets_everything_and_says_so_at_once() -> None:
    firmware, now_ns = offline_device(30)
    firmware.connected(now_ns)
    (state,) = firmware.received("cmd/1/band-1/wipe", b"{}", now_ns)
    said = json.loads(state.payload)
    assert (said["kept"], said["bytes_kept"]) == ([[3, "imu", 30]], 0)
    assert (firmware.n_kept, firmware.tally.wiped) == (0, 30)
    assert firmware.tend(now_ns + 10 * S_NS) == []
    (block,) = [each for each in firmware.produce(now_ns + BLOCK_NS)[1] if each.is_block]
    assert sequences([block]) == [30], "numbers go on"
    assert json.loads(firmware.connected(now_ns + BLOCK_NS)[0].payload)["kept"] == [[3, "imu", 30]]
