"""When a device is asked for what is missing: by credit, oldest first, soon after an answer, more rarely in vain."""

import json
from collections.abc import Sequence

from devices.device_record import (
    FIRST_RESEND_US,
    RESEND_CREDIT,
    RESEND_MAX_US,
    RESEND_SOON_US,
    RESEND_US,
    DeviceRecord,
)
from devices.effects import Outgoing, StreamKey
from devices.sequencer import StreamSequence

NOW = 1_700_000_000_000_000
IMU, HEART = StreamKey("band", 1, "imu"), StreamKey("band", 1, "heart")


def record_with(**holes: Sequence[tuple[int, int, int]]) -> DeviceRecord:
    """Return a device with holes `(seen at, start, stop)` per stream."""
    record = DeviceRecord("band", 0)
    for stream, missing in holes.items():
        key = StreamKey("band", 1, stream)
        sequence = record.streams[key] = StreamSequence()
        for seen_at_us, start, stop in missing:
            if start > sequence.top:
                sequence.receive(sequence.top, start, now_us=seen_at_us)
            sequence.receive(stop, stop + 1, now_us=seen_at_us)
        record.see_holes(key, NOW, has_progress=False)
    return record


def ranges(requests: Sequence[Outgoing]) -> list[tuple[str, int, int]]:
    contents = [json.loads(each.payload) for each in requests]
    assert all(each["credit"] == each["to"] - each["from"] for each in contents)
    return [(each["stream"], each["from"], each["to"]) for each in contents]


def test_the_oldest_hole_of_all_streams_is_asked_for_first_and_the_credit_is_for_all_together() -> None:
    early, late = NOW - 3_000_000, NOW - 1_000_000
    record = record_with(imu=[(late, 5, 20)], heart=[(early, 2, 10), (late, 15, 40)])
    at_us = NOW + FIRST_RESEND_US
    assert ranges(record.take_requests(at_us)) == [("heart", 2, 10), ("heart", 15, 27)]
    assert sum(stop - start for _, start, stop in [("heart", 2, 10), ("heart", 15, 27)]) == RESEND_CREDIT


def test_a_hole_is_left_alone_while_it_is_young() -> None:
    record = record_with(imu=[(NOW, 5, 8)])
    assert record.take_requests(NOW + FIRST_RESEND_US - 1) == []
    assert record.next_resend_us == NOW + FIRST_RESEND_US - 1 + RESEND_SOON_US
    assert ranges(record.take_requests(record.next_resend_us)) == [("imu", 5, 8)]


def test_requests_become_rarer_in_vain_up_to_a_bound() -> None:
    record = record_with(imu=[(NOW, 5, 8)])
    waits, at_us = [], NOW + FIRST_RESEND_US
    for _ in range(8):
        assert record.take_requests(at_us)
        assert record.take_requests(record.next_resend_us - 1) == []
        waits.append(record.next_resend_us - at_us)
        at_us = record.next_resend_us
    assert waits == [RESEND_US * 2**n if RESEND_US * 2**n < RESEND_MAX_US else RESEND_MAX_US for n in range(8)]


def test_an_answer_makes_the_next_request_come_soon() -> None:
    record = record_with(imu=[(NOW, 5, 60)])
    at_us = NOW + FIRST_RESEND_US
    for _ in range(4):
        record.take_requests(at_us)
        at_us = record.next_resend_us
    record.take_requests(at_us)
    record.streams[IMU].receive(5, 25, now_us=at_us)
    record.see_holes(IMU, at_us, has_progress=True)
    assert record.next_resend_us == at_us + RESEND_SOON_US
    assert ranges(record.take_requests(at_us + RESEND_SOON_US)) == [("imu", 25, 45)]
    assert record.next_resend_us == at_us + RESEND_SOON_US + RESEND_US


def test_a_device_that_comes_online_again_is_asked_soon() -> None:
    record = record_with(imu=[(NOW, 5, 8)])
    at_us = NOW + FIRST_RESEND_US
    for _ in range(6):
        record.take_requests(at_us)
        at_us = record.next_resend_us
    record.come_online(at_us - RESEND_US)
    assert record.next_resend_us == at_us - RESEND_US + FIRST_RESEND_US


def test_a_stream_without_holes_is_asked_for_nothing() -> None:
    record = record_with(imu=[(NOW, 5, 8)])
    record.streams[IMU].receive(5, 8, now_us=NOW)
    record.see_holes(IMU, NOW, has_progress=True)
    assert not record.has_holes
    assert record.take_requests(NOW + RESEND_MAX_US) == []
