"""Devices that were asked to forget what they keep: told until they say that nothing is left. Pure.

A wish stands in the database until the device is lent again, so that a device that is switched on days later hears of
it. It is told to a device that has just said how it is, so it is never told to one that is not there.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from devices.effects import DeviceState, Outgoing
from devices.topics import CommandName, command_topic

TOLD_AGAIN_US: Final = 500_000
_WIPE: Final = json.dumps({}).encode()


def is_empty(state: Mapping[str, Any]) -> bool:
    """Return whether a device says that it keeps nothing (`docs/protocol.md` S5).

    Examples
    --------
    >>> is_empty({"online": True, "kept": [[1, "imu", 40]], "bytes_kept": 0})
    True
    >>> is_empty({"online": True, "kept": [[1, "imu", 40]], "bytes_kept": 1520})
    False
    >>> is_empty({"online": True, "kept": []})
    True
    >>> is_empty({"online": False})
    False
    """
    if state.get("bytes_kept") is not None:
        return bool(state["bytes_kept"] == 0)
    return state.get("kept") == []


class Wipes:
    """What was asked, of which devices, and who has not answered yet."""

    def __init__(self) -> None:
        self._asked_us: dict[str, int] = {}
        self._done_us: dict[str, int] = {}
        self._told_us: dict[str, int] = {}
        self._due: set[str] = set()

    def follow(self, asked: Mapping[str, int]) -> None:
        """Take over which devices shall forget, and when that was asked [µs]; a new wish is told with the next step."""
        new = {device for device, at_us in asked.items() if self._asked_us.get(device) != at_us}
        self._asked_us = dict(asked)
        self._done_us = {device: at_us for device, at_us in self._done_us.items() if asked.get(device) == at_us}
        self._told_us = {device: self._told_us[device] for device in self._told_us.keys() & asked.keys() - new}
        self._due = (self._due & asked.keys()) | new

    def look(self, states: Iterable[DeviceState], *, now_us: int) -> list[Outgoing]:
        """Return the commands that are due, after what devices have just said."""
        for state in states:
            asked_us, told_us = self._asked_us.get(state.device), self._told_us.get(state.device)
            if asked_us is None or self._done_us.get(state.device) == asked_us or not state.is_online:
                continue
            if told_us is not None and is_empty(state.document):
                self._done_us[state.device] = asked_us
            elif told_us is None or now_us - told_us >= TOLD_AGAIN_US:
                self._due.add(state.device)
        told, self._due = sorted(self._due), set()
        self._told_us.update(dict.fromkeys(told, now_us))
        return [Outgoing(command_topic(device, CommandName.WIPE), _WIPE, 1) for device in told]
