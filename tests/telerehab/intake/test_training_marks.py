"""Devices hear when a training session with them begins and ends, also those that were away."""

from devices.effects import DeviceState
from telerehab.intake.training_marks import TOLD_AGAIN_US, TrainingMarks

AGAIN_US = TOLD_AGAIN_US
OPEN, CLOSED = b'{"open": true}', b'{"open": false}'


def said(device: str, *, is_online: bool = True, boot: int = 1) -> DeviceState:
    return DeviceState(device=device, received_us=0, is_online=is_online, boot=boot, document={"online": is_online})


def told(marks: TrainingMarks, *states: DeviceState, now_us: int) -> list[tuple[str, bytes, int]]:
    return [(message.topic, message.payload, message.qos) for message in marks.look(states, now_us=now_us)]


def test_beginning_and_end_are_told_at_once_to_those_concerned() -> None:
    marks = TrainingMarks()
    assert told(marks, said("a"), now_us=0) == []
    marks.follow(["a", "b"])
    assert told(marks, now_us=1) == [("cmd/1/a/session", OPEN, 1), ("cmd/1/b/session", OPEN, 1)]
    assert told(marks, now_us=2) == []
    marks.follow(["b"])
    assert told(marks, now_us=3) == [("cmd/1/a/session", CLOSED, 1)]


def test_a_device_that_speaks_is_told_again_but_not_all_the_time() -> None:
    marks = TrainingMarks()
    marks.follow(["a"])
    assert len(told(marks, now_us=0)) == 1
    assert told(marks, said("a"), now_us=AGAIN_US - 1) == []
    assert told(marks, said("a", is_online=False), now_us=AGAIN_US) == []
    assert told(marks, said("a"), said("b"), now_us=AGAIN_US) == [("cmd/1/a/session", OPEN, 1)]
    assert told(marks, said("a"), now_us=AGAIN_US + 1) == []


def test_a_device_that_began_anew_is_told_at_once() -> None:
    marks = TrainingMarks()
    marks.follow(["a"])
    marks.look([], now_us=0)
    assert told(marks, said("a"), now_us=1) == []
    assert told(marks, said("a", boot=2), now_us=2) == [("cmd/1/a/session", OPEN, 1)]
    assert told(marks, said("a", boot=2), now_us=3) == []


def test_the_end_is_told_once_more_and_then_forgotten() -> None:
    marks = TrainingMarks()
    marks.follow(["a"])
    marks.look([], now_us=0)
    marks.follow([])
    assert told(marks, now_us=1) == [("cmd/1/a/session", CLOSED, 1)]
    assert told(marks, said("a"), now_us=1 + AGAIN_US) == [("cmd/1/a/session", CLOSED, 1)]
    assert told(marks, said("a"), now_us=1 + 3 * AGAIN_US) == []
