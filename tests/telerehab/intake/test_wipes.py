"""Devices are asked to forget until they say that nothing is left, and never once they are lent."""

from typing import Any

from devices.effects import DeviceState
from telerehab.intake.wipes import TOLD_AGAIN_US, Wipes

FULL = {"online": True, "boot": 1, "kept": [[1, "imu", 4]], "bytes_kept": 900}
EMPTY = {"online": True, "boot": 1, "kept": [[1, "imu", 40]], "bytes_kept": 0}


def said(document: dict[str, Any], device: str = "s-1") -> DeviceState:
    return DeviceState(device=device, received_us=0, is_online=document["online"], boot=1, document=document)


def topics(wipes: Wipes, *states: DeviceState, now_us: int) -> list[str]:
    return [message.topic for message in wipes.look(states, now_us=now_us)]


def test_a_wish_is_told_at_once_and_again_when_the_device_speaks_until_it_is_done() -> None:
    wipes = Wipes()
    assert topics(wipes, said(FULL), now_us=0) == []
    wipes.follow({"s-1": 5})
    assert topics(wipes, now_us=1) == ["cmd/1/s-1/wipe"]
    assert topics(wipes, said(FULL), now_us=TOLD_AGAIN_US) == []
    assert topics(wipes, said(FULL), said(FULL, "s-2"), now_us=TOLD_AGAIN_US + 1) == ["cmd/1/s-1/wipe"]
    assert topics(wipes, said({"online": False}), now_us=9 * TOLD_AGAIN_US) == []
    assert topics(wipes, said(EMPTY), now_us=10 * TOLD_AGAIN_US) == []
    wipes.follow({"s-1": 5})
    assert topics(wipes, said(FULL), now_us=20 * TOLD_AGAIN_US) == [], "what it keeps now is new"
    wipes.follow({"s-1": 6})
    assert topics(wipes, said(EMPTY), now_us=21 * TOLD_AGAIN_US) == ["cmd/1/s-1/wipe"], "another wish"


def test_a_device_that_is_lent_hears_of_no_wish() -> None:
    wipes = Wipes()
    wipes.follow({"s-1": 5})
    wipes.follow({})
    assert topics(wipes, said(FULL), now_us=1) == []
