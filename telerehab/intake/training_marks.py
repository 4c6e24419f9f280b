"""Devices are told when a training session with them begins and ends. Pure.

A device that has no room left gives up first what it made outside training sessions (`docs/protocol.md` A12). It hears
of a session when that opens, and again after what it says of itself: it may have been away, or may have begun anew.
"""

import json
from collections.abc import Collection, Iterable
from typing import Final

from devices.effects import DeviceState, Outgoing
from devices.topics import CommandName, command_topic

TOLD_AGAIN_US: Final = 60_000_000
_SAID: Final = {is_open: json.dumps({"open": is_open}).encode() for is_open in (False, True)}


class TrainingMarks:
    """Which devices show a training session, and what each has been told."""

    def __init__(self) -> None:
        self._in_training: frozenset[str] = frozenset()
        self._told: dict[str, tuple[bool, int]] = {}
        self._boots: dict[str, int | None] = {}
        self._due: set[str] = set()

    def follow(self, in_training: Collection[str]) -> None:
        """Take over which devices show a training session now; what changed is told with the next step."""
        before, self._in_training = self._in_training, frozenset(in_training)
        self._due |= before ^ self._in_training

    def look(self, states: Iterable[DeviceState], *, now_us: int) -> list[Outgoing]:
        """Return the commands that are due, after what devices have just said."""
        for state in states:
            if not state.is_online or not (state.device in self._in_training or state.device in self._told):
                continue
            _, told_us = self._told.get(state.device, (None, now_us - TOLD_AGAIN_US))
            began_anew = self._boots.get(state.device, state.boot) != state.boot
            self._boots[state.device] = state.boot
            if began_anew or now_us - told_us >= TOLD_AGAIN_US:
                self._due.add(state.device)
        due, self._due = sorted(self._due), set()
        return [self._tell(device, now_us) for device in due]

    def _tell(self, device: str, now_us: int) -> Outgoing:
        """Return the command; that a session has ended is told once more at most."""
        is_open = device in self._in_training
        if not is_open and self._told.get(device, (True, 0))[0] is False:
            del self._told[device]
            self._boots.pop(device, None)
        else:
            self._told[device] = (is_open, now_us)
        return Outgoing(command_topic(device, CommandName.SESSION), _SAID[is_open], 1)
