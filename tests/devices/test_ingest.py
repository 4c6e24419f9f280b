"""The intake step: what comes in any order is stored once, acknowledged after the commit, and nothing stops it."""

import json
import struct
import tracemalloc
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import ingest as module
from devices.codec import DecodedFrames, decode_frames
from devices.effects import SPAN_US, BlockKey, GapRow, Outgoing, SequenceRun, StepEffects
from devices.ingest import Ingest
from devices.ports import Raw
from tests.devices.encoder import frame

S = 1_000_000
NOW = 1_700_000_000 * S


def raw(payload: bytes, *, at: int = NOW, device: str = "band-1", stream: str = "imu", root: str = "rt") -> Raw:
    return Raw(f"{root}/1/00/{device}/{stream}", payload, at)


def state(kept: list[list[object]] | None = None, *, boot: int = 1, online: bool = True, device: str = "band-1") -> Raw:
    document = {"online": online, "boot": boot} | ({} if kept is None else {"kept": kept})
    return Raw(f"dev/1/{device}/state", json.dumps(document).encode(), NOW)


def make(*names: str) -> Ingest:
    return Ingest(known_devices=names or ("band-1", "band-2"))


def sequences(effects: StepEffects) -> list[int]:
    for block in effects.blocks:
        assert struct.unpack_from("<II", block.payload, 8) == (block.boot, block.sequence)
    return [block.sequence for block in effects.blocks]


def of_topic(outgoing: Iterable[Outgoing], start: str) -> list[object]:
    return [json.loads(message.payload) for message in outgoing if message.topic.startswith(start)]


def step(ingest: Ingest, *numbers: int, at: int = NOW, **options: Any) -> StepEffects:
    return ingest.step([raw(frame(number, **options), at=at) for number in numbers], at)


def test_a_new_block_is_stored_as_it_came_and_shown() -> None:
    payload = frame(0, boot=9, n=3, t0_us=77)
    effects = make().step([raw(payload, at=NOW - 5)], NOW)
    assert [tuple(block) for block in effects.blocks] == [("band-1", 9, "imu", 0, 1, 77, 3, NOW - 5, payload)]
    (batch,) = effects.live
    assert (batch.rows.shape, batch.received_us.tolist()) == ((1, 3), [NOW - 5])


def test_what_came_shuffled_is_shown_in_order_by_stream() -> None:
    ingest = make()
    raws = [raw(frame(number), device=device) for number in (3, 1, 0, 2) for device in ("band-2", "band-1")]
    (batch,) = ingest.step(raws, NOW).live
    shown = [
        (ingest.stream_keys[i].device, n) for i, n in zip(batch.stream_ids, batch.headers["sequence"], strict=True)
    ]
    assert sorted(shown) == shown or sorted(shown, key=lambda pair: (pair[0] != shown[0][0], pair[1])) == shown
    assert len(shown) == 8


def test_a_block_is_acknowledged_only_after_its_commit() -> None:
    ingest = make()
    effects = step(ingest, 0, 1, 2)
    assert of_topic(effects.outgoing, "ack") == []
    later = ingest.step([], NOW + 2 * S)
    assert of_topic(later.outgoing, "ack") == []
    acks = ingest.committed([block.key for block in effects.blocks[:2]], now_us=NOW + 2 * S)
    assert of_topic(acks, "ack/1/band-1") == [[[1, "imu", 2]]]


def test_the_watermark_does_not_pass_a_hole() -> None:
    ingest = make()
    effects = step(ingest, 0, 1, 5, 6)
    acks = ingest.committed([block.key for block in effects.blocks], now_us=NOW)
    assert of_topic(acks, "ack") == [[[1, "imu", 2]]]


def test_acknowledgements_go_out_at_most_once_a_second_a_device() -> None:
    ingest = make()
    sent: list[int] = []
    for tick in range(60):
        at = NOW + tick * 50_000
        effects = step(ingest, tick, at=at)
        acks = [*effects.outgoing, *ingest.committed([block.key for block in effects.blocks], now_us=at)]
        sent += [at] * len(of_topic(acks, "ack"))
    assert len(sent) == 3
    assert all(later - earlier >= S for earlier, later in pairwise(sent))


def test_a_device_that_comes_online_hears_at_once_how_far_it_is() -> None:
    ingest = make()
    ingest.restore([SequenceRun("band-1", 1, "imu", 0, 7)], now_us=NOW)
    assert of_topic(ingest.step([state()], NOW).outgoing, "ack/1/band-1") == [[[1, "imu", 7]]]


def test_a_duplicate_is_acknowledged_but_neither_stored_nor_shown_again() -> None:
    ingest = make()
    first = step(ingest, 0, 1)
    again = step(ingest, 0, 1, 1, at=NOW + S)
    assert (sequences(again), list(again.live), ingest.counts["duplicates"]) == ([], [], 3)
    ingest.committed([block.key for block in first.blocks], now_us=NOW + S)
    twice = step(ingest, 1, at=NOW + 5 * S)
    assert of_topic(twice.outgoing, "ack") == [[[1, "imu", 2]]]


def test_a_hole_is_a_row_is_asked_for_and_closes_when_it_is_filled() -> None:
    ingest = make()
    opened = step(ingest, 0, 4)
    assert opened.gaps_opened == [GapRow("band-1", 1, "imu", 1, 4, NOW, "missing", None)]
    assert of_topic(ingest.step([], NOW + 400_000).outgoing, "cmd") == []
    asked = ingest.step([], NOW + 600_000).outgoing
    assert [message.topic for message in asked if message.qos == 1] == ["cmd/1/band-1/resend"]
    assert of_topic(asked, "cmd") == [{"boot": 1, "stream": "imu", "from": 1, "to": 4, "credit": 3}]
    filled = ingest.step([raw(frame(n, flags=1), root="bf") for n in (1, 2, 3)], NOW + S)
    assert filled.gaps_closed == [GapRow("band-1", 1, "imu", 1, 4, NOW, "filled", NOW + S)]
    assert (sequences(filled), list(filled.live)) == ([1, 2, 3], [])
    assert of_topic(ingest.step([], NOW + 9 * S).outgoing, "cmd") == []


def test_nothing_is_asked_for_that_could_not_be_kept() -> None:
    ingest = make()
    step(ingest, 0, 4)
    assert of_topic(ingest.step([], NOW + 600_000, may_ask=False).outgoing, "cmd") == []
    assert len(of_topic(ingest.step([], NOW + 800_000).outgoing, "cmd")) == 1


def test_requests_are_bounded_oldest_first_and_rarer_in_vain() -> None:
    ingest = make()
    ingest.step([raw(frame(1)), raw(frame(1_000_000), stream="other")], NOW)
    asked: list[tuple[int, object]] = []
    for tick in range(1, 400):
        at = NOW + tick * 100_000
        effects = ingest.step([raw(b"")] if tick % 50 == 0 else [], at)
        asked += [(tick, request) for request in of_topic(effects.outgoing, "cmd")]
    ticks = sorted({tick for tick, _ in asked})
    assert [later - earlier for earlier, later in pairwise(ticks)] == [15, 30, 60, 120]
    assert sum(request["credit"] for tick, request in asked if tick == ticks[0]) == 20  # type: ignore[index]


def test_a_wild_sequence_neither_stalls_nor_allocates() -> None:
    ingest = make()
    step(ingest, 0)
    tracemalloc.start()
    try:
        effects = step(ingest, 4_000_000_000)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert effects.gaps_opened[0][3:5] == (1, 4_000_000_000)
    assert sequences(step(ingest, 1)) == [1]


def test_what_the_device_no_longer_has_is_given_up_and_the_watermark_goes_on() -> None:
    ingest = make()
    effects = step(ingest, 0, 5)
    ingest.committed([block.key for block in effects.blocks], now_us=NOW)
    told = ingest.step([state([[1, "imu", 3]])], NOW + 2 * S)
    assert told.gaps_closed == [GapRow("band-1", 1, "imu", 1, 3, NOW, "device_overflow", NOW + 2 * S)]
    assert told.gaps_opened == [GapRow("band-1", 1, "imu", 3, 5, NOW, "missing", None)]
    acks = ingest.committed([row.given_up for row in told.gaps_closed if row.given_up], now_us=NOW + 4 * S)
    assert of_topic(acks, "ack") == [[[1, "imu", 3]]]


def test_no_watermark_passes_what_is_given_up_before_the_row_that_says_so_is_committed() -> None:
    ingest = make()
    effects = step(ingest, 0, 5)
    ingest.committed([block.key for block in effects.blocks], now_us=NOW)
    told = ingest.step([state([[1, "imu", 5]])], NOW + 2 * S)
    later = ingest.step([state([[1, "imu", 5]])], NOW + 4 * S)
    assert of_topic([*told.outgoing, *later.outgoing], "ack") == [[[1, "imu", 1]], [[1, "imu", 1]]]
    acks = ingest.committed([SequenceRun("band-1", 1, "imu", 1, 5)], now_us=NOW + 6 * S)
    assert of_topic(acks, "ack") == [[[1, "imu", 6]]]


def test_a_hole_that_changes_twice_in_a_step_is_one_row_as_it_is_in_the_end() -> None:
    ingest = make()
    step(ingest, 0, 10)
    effects = ingest.step([state([[1, "imu", 5]]), raw(frame(5))], NOW + S)
    assert {(*row[3:5], row.cause) for row in effects.gaps_closed} == {(1, 5, "device_overflow"), (5, 6, "filled")}
    assert [row[3:5] for row in effects.gaps_opened] == [(6, 10)]


def test_a_block_that_comes_in_the_step_after_it_was_refused_leaves_no_open_row() -> None:
    ingest = make()
    effects = step(ingest, 0, 1)
    ingest.failed([block.key for block in effects.blocks], now_us=NOW)
    again = step(ingest, 0, 1, at=NOW + 50_000)
    assert (again.gaps_opened, [(*row[3:5], row.cause) for row in again.gaps_closed]) == ([], [(0, 2, "filled")])


def test_a_row_that_says_filled_is_replaced_when_the_store_refuses_the_block() -> None:
    ingest = make()
    step(ingest, 5)
    step(ingest, 3)  # holes 0 to 3 and 4
    filled = step(ingest, 4)
    ingest.failed([BlockKey("band-1", 1, "imu", 3)], now_us=NOW)
    assert ingest.step([], NOW).gaps_opened[0][3:5] == (0, 4)
    ingest.failed([block.key for block in filled.blocks], rows=filled.gaps_closed, now_us=NOW)
    assert [row[3:5] for row in ingest.step([], NOW).gaps_opened] == [(4, 5)]


def test_after_a_restart_every_open_row_has_its_hole_also_above_what_is_stored() -> None:
    ingest = make()
    missing = [SequenceRun("band-1", 1, "imu", start, stop) for start, stop in ((0, 4), (4, 5), (9, 11))]
    ingest.restore([SequenceRun("band-1", 1, "imu", 5, 9)], missing=missing, now_us=NOW)
    assert [row[3:5] for row in ingest.step([], NOW).gaps_opened] == [(0, 4), (4, 5), (9, 11)]
    assert [(*row[3:5], row.cause) for row in step(ingest, 9, 10, 11).gaps_closed] == [(9, 11, "filled")]


def test_what_was_given_up_is_stored_all_the_same_when_it_comes() -> None:
    ingest = make()
    step(ingest, 5)
    ingest.step([state([[1, "imu", 5]])], NOW)
    effects = step(ingest, 2)
    assert sequences(effects) == [2]
    assert {(*row[3:5], row.cause) for row in effects.gaps_closed} == {
        (0, 2, "device_overflow"),
        (2, 3, "filled"),
        (3, 5, "device_overflow"),
    }


def test_an_old_boot_that_is_not_kept_is_over_but_of_the_present_one_nothing_is_said() -> None:
    ingest = make()
    step(ingest, 0, 3, boot=1)
    step(ingest, 0, 3, boot=2)
    effects = ingest.step([state([], boot=2)], NOW)
    assert [(row.boot, row[3:5], row.cause) for row in effects.gaps_closed] == [(1, (1, 3), "device_overflow")]


def test_a_new_boot_starts_a_new_sequence_beside_the_old_one() -> None:
    ingest = make()
    first = ingest.step(
        [raw(frame(0, boot=1)), raw(frame(0, boot=2)), raw(frame(1, boot=1)), raw(frame(1, boot=2))], NOW
    )
    acks = ingest.committed([block.key for block in first.blocks], now_us=NOW)
    assert sorted(of_topic(acks, "ack")[0]) == [[1, "imu", 2], [2, "imu", 2]]  # type: ignore[call-overload]
    assert len(first.blocks) == 4
    assert len(ingest.stream_keys) == 2


def test_after_a_restart_the_store_tells_what_is_known() -> None:
    ingest = make()
    ingest.restore(
        [SequenceRun("band-1", 1, "imu", 0, 3), SequenceRun("band-1", 1, "imu", 5, 9)],
        lost=[SequenceRun("band-1", 1, "imu", 3, 4)],
        now_us=NOW,
    )
    effects = step(ingest, 2, 4, 8, 9)
    assert sequences(effects) == [4, 9]
    assert effects.gaps_closed == [GapRow("band-1", 1, "imu", 4, 5, NOW, "filled", NOW)]
    acks = ingest.committed([block.key for block in effects.blocks], now_us=NOW)
    assert of_topic([*effects.outgoing, *acks], "ack")[-1] in ([[1, "imu", 4]], [[1, "imu", 10]])
    later = ingest.step([], NOW + 2 * S)
    assert of_topic([*acks, *later.outgoing], "ack")[-1] == [[1, "imu", 10]]


def test_blocks_the_store_could_not_take_are_taken_when_they_come_again() -> None:
    ingest = make()
    effects = step(ingest, 0, 1)
    ingest.failed([block.key for block in effects.blocks], now_us=NOW)
    assert [row[3:5] for row in ingest.step([], NOW + 50_000).gaps_opened] == [(0, 2)]
    assert sequences(step(ingest, 0, 1)) == [0, 1]


def test_a_damaged_block_leaves_a_hole_and_is_kept_for_the_device_desk() -> None:
    ingest = make()
    damaged = bytearray(frame(1))
    damaged[50] ^= 1
    effects = ingest.step([raw(frame(0)), raw(bytes(damaged)), raw(frame(2))], NOW)
    assert sequences(effects) == [0, 2]
    assert effects.gaps_opened[0][3:5] == (1, 2)
    assert [(each.why, each.payload, each.key) for each in effects.quarantined] == [("crc", bytes(damaged), None)]
    assert ingest.counts["refused_crc"] == 1


def test_a_block_that_is_damaged_three_times_is_given_up() -> None:
    ingest = make()
    damaged = frame(1)[:-1] + b"\x01"
    step(ingest, 0, 2)
    closed = [ingest.step([raw(damaged)], NOW + n).gaps_closed for n in range(3)]
    assert closed[:2] == [[], []]
    assert closed[2] == [GapRow("band-1", 1, "imu", 1, 2, NOW, "corrupt", NOW + 2)]


@pytest.mark.parametrize("options", [{"schema": 99}, {"version": 2}, {"period_us": 0}, {"t0_us": 2**60}])
def test_what_came_whole_but_cannot_be_read_is_kept_and_acknowledged_after_the_commit(options: dict[str, int]) -> None:
    ingest = make()
    good = step(ingest, 0)
    effects = step(ingest, 1, **options)
    (kept,) = effects.quarantined
    assert kept.key == BlockKey("band-1", 1, "imu", 1)
    assert effects.gaps_closed == [GapRow("band-1", 1, "imu", 1, 2, NOW, "unreadable", NOW)]
    ingest.committed([good.blocks[0].key], now_us=NOW)
    acks = ingest.committed([kept.key], now_us=NOW + 2 * S)
    assert of_topic(acks, "ack") == [[[1, "imu", 2]]]
    assert step(ingest, 1, **options).quarantined == []


def test_ten_thousand_garbage_messages_lose_nothing_and_leave_nothing() -> None:
    ingest = make()
    garbage = [raw(struct.pack("<I", n) * (n % 40)) if n % 2 else Raw(f"x/{n}", b"", NOW) for n in range(2_000)]
    garbage += [raw(b"{", device=f"stranger-{n}") for n in range(2_000)]
    garbage += [Raw(f"rt/1/00/band-1/s{n}", b"?", NOW) for n in range(2_000)]
    deep, cut = b"[" * 2_000, b"["
    garbage += [
        Raw(f"dev/1/band-1/{kind}", cut if n % 20 else deep, NOW) for kind in ("meta", "state") for n in range(1_000)
    ]
    garbage += [Raw("clk/1/band-1", bytes(25), NOW)] * 2_000
    assert len(garbage) == 10_000
    ingest.step(garbage, NOW)
    tracemalloc.start()
    try:
        base = tracemalloc.get_traced_memory()[0]
        stored: list[int] = []
        for number in range(100):
            mixed = [*garbage[number::200], raw(frame(number)), *garbage[number + 100 :: 200]]
            stored += sequences(ingest.step(mixed, NOW + number))
        assert tracemalloc.get_traced_memory()[0] - base < 1_000_000
    finally:
        tracemalloc.stop()
    assert stored == list(range(100))
    assert ingest.counts["unknown_device"] > 0
    assert ingest.counts["unknown_topic"] > 0


def test_quarantine_is_bounded_an_hour_and_device_and_goes_on_in_the_next() -> None:
    ingest = make()
    kept = [len(ingest.step([raw(b"?")] * 300, at).quarantined) for at in (NOW, NOW + 1, NOW + 3600 * S)]
    assert kept == [100, 0, 100]
    other = ingest.step([raw(b"?", device="band-2")], NOW + 3600 * S)
    assert len(other.quarantined) == 1


def test_a_block_that_breaks_the_decoder_does_not_stop_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    poison = frame(1, t0_us=666)

    def decode(payloads: list[bytes]) -> DecodedFrames:
        if poison in payloads:
            raise ValueError("a bug of ours")
        return decode_frames(payloads)

    monkeypatch.setattr(module, "decode_frames", decode)
    ingest = make()
    effects = ingest.step([raw(frame(0)), raw(poison), raw(frame(2)), raw(b"short")], NOW)
    assert sequences(effects) == [0, 2]
    assert ingest.counts["poison"] == 1
    assert {each.payload for each in effects.quarantined} == {poison, b"short"}


def test_unknown_devices_are_refused_until_they_are_known() -> None:
    ingest = make("band-2")
    assert sequences(step(ingest, 0)) == []
    ingest.set_known_devices(["band-1"])
    assert sequences(step(ingest, 0)) == [0]
    ingest.set_known_devices([])
    assert sequences(step(ingest, 1)) == []
    assert ingest.counts["unknown_device"] == 2


def test_a_wild_device_time_does_not_move_the_live_view_until_it_is_the_rule() -> None:
    ingest = make()
    assert len(step(ingest, 0, t0_us=0).live) == 1
    wild = step(ingest, 1, t0_us=10**12)
    assert (sequences(wild), list(wild.live)) == ([1], [])
    assert len(step(ingest, 2, t0_us=20_000).live) == 1
    for number in range(3, 12):
        assert list(step(ingest, number, t0_us=10**12 + number).live) == []
    follows = step(ingest, 12, t0_us=10**12 + 12)
    assert (len(follows.live), list(follows.live_restarts)) == (1, [0])
    assert len(step(ingest, 13, t0_us=10**12 + 13).live) == 1


def test_too_many_boots_are_refused_unless_old_ones_are_settled() -> None:
    ingest = make()
    bound = module.MAX_STREAMS_PER_DEVICE
    for boot in range(bound):
        effects = step(ingest, 0, boot=boot)
    assert sequences(step(ingest, 0, boot=bound)) == []
    assert ingest.counts["too_many_streams"] == 1
    ingest.committed([BlockKey("band-1", 3, "imu", 0)], now_us=NOW)
    assert sequences(step(ingest, 0, boot=bound)) == [0]
    assert len(effects.blocks) == 1


def test_a_store_with_too_many_boots_is_taken_up_all_the_same() -> None:
    ingest = make()
    ingest.restore(
        [SequenceRun("band-1", boot, "imu", 5, 6) for boot in range(module.MAX_STREAMS_PER_DEVICE + 3)], now_us=NOW
    )
    assert ingest.counts["too_many_streams"] == 3
    assert ingest.has_holes(["band-1"])
    assert not ingest.has_holes(["band-2", None])
    assert sequences(step(ingest, 6, 4, boot=1)) == [4, 6]


def test_the_clock_is_asked_and_the_fit_comes_out() -> None:
    ingest = make()
    probe = next(message for message in ingest.step([state()], NOW).outgoing if message.topic == "clk/1/band-1")
    kind, s1_us = struct.unpack("<BQ", probe.payload)
    assert (kind, s1_us, probe.qos) == (0, NOW, 0)
    ingest.step([Raw("clk/1/band-1", probe.payload, NOW)], NOW)  # we hear ourselves
    answer = Raw("clk/1/band-1", struct.pack("<BQQQ", 1, s1_us, 5_000, 5_000), NOW + 2_000)
    (fitted,) = ingest.step([answer], NOW + 2_000).clock_fits
    assert (fitted.device, fitted.boot, fitted.from_us) == ("band-1", 1, 5_000)
    assert fitted.fit.to_server_us(5_000) == NOW + 1_000
    assert ingest.step([answer], NOW + 3_000).clock_fits == []
    assert ingest.counts["ignored_clock"] == 1


def test_probes_come_every_second_at_first_and_then_every_five_while_the_device_is_heard() -> None:
    ingest = make()
    asked: list[int] = []
    for tick in range(400):
        raws = [raw(frame(tick))] if tick < 200 else []
        effects = ingest.step(raws, NOW + tick * 100_000)
        asked += [tick for message in effects.outgoing if message.topic.startswith("clk")]
    assert asked == [0, 10, 20, 30, 40, 50, 100, 150, 200, 250]


def test_meta_and_state_come_out_checked() -> None:
    meta = {
        "v": 1,
        "streams": {"heart": {"schema": 4, "rate_hz": 0, "channels": [{"name": "rr", "unit": "s", "scale": 1}]}},
    }
    effects = make().step([Raw("dev/1/band-1/meta", json.dumps(meta).encode(), NOW), state(online=False)], NOW)
    assert effects.device_meta[0].streams["heart"].channels[0].unit == "s"
    assert effects.device_meta[0].document == meta
    assert (effects.device_state[0].is_online, effects.device_state[0].boot) == (False, 1)


def test_an_empty_step_does_nothing() -> None:
    assert make().step([], NOW) == StepEffects(
        blocks=[], live=[], live_restarts=[], quarantined=[], gaps_opened=[], gaps_closed=[], device_meta=[],
        device_state=[], clock_fits=[], duplicates=[], outgoing=[],
    )  # fmt: skip


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(["band-1", "band-2"]), st.integers(1, 2), st.integers(0, 12), st.sampled_from(["rt", "bf"])
    ),
    max_size=12,
)


@settings(max_examples=100, deadline=None)
@given(steps=st.lists(st.tuples(MESSAGES, st.floats(0, 1), st.booleans()), max_size=8))
def test_every_block_is_stored_once_and_no_watermark_passes_what_is_not_committed(
    steps: list[tuple[list[tuple[str, int, int, str]], float, bool]],
) -> None:
    ingest, sent, waiting = make(), set[BlockKey](), list[BlockKey]()
    stored: list[BlockKey] = []
    committed: set[BlockKey] = set()
    at = NOW
    for messages, share, is_restarted in steps:
        at += 1_100_000
        raws = [raw(frame(n, boot=boot), device=device, root=root, at=at) for device, boot, n, root in messages]
        sent |= {BlockKey(device, boot, "imu", n) for device, boot, n, _ in messages}
        effects = ingest.step(raws, at)
        new = [block.key for block in effects.blocks]
        assert len(set(new)) == len(new)
        assert not set(new) & (committed | set(waiting))
        waiting += new
        count = round(share * len(waiting))
        acks = [*effects.outgoing, *ingest.committed(waiting[:count], now_us=at)]
        committed |= set(waiting[:count])
        stored += waiting[:count]
        del waiting[:count]
        for message in acks:
            if message.topic.startswith("ack"):
                for boot, stream, watermark in json.loads(message.payload):
                    device = message.topic.rsplit("/", 1)[1]
                    assert all(BlockKey(device, boot, stream, n) in committed for n in range(watermark))
        if is_restarted:
            waiting.clear()
            ingest = make()
            ingest.restore([SequenceRun(*key, key.sequence + 1) for key in committed], now_us=at)
    assert len(stored) == len(set(stored))
    assert committed | set(waiting) <= sent


def test_what_comes_again_is_counted_by_stream_and_minute_of_the_devices_clock() -> None:
    ingest = make()
    first = frame(0, t0_us=0)
    late = frame(1, t0_us=SPAN_US)
    ingest.step([raw(first), raw(late), raw(late)], NOW)
    effects = ingest.step([raw(first), raw(first), raw(late)], NOW + 1_000)
    counted = {seen.span: (seen.counted_since_us, seen.duplicate_count) for seen in effects.duplicates}
    assert counted == {0: (NOW + 1_000, 2), 1: (NOW, 2)}
    assert ingest.counts["duplicates"] == 4
