"""Which lent sensors somebody has put on and begun to move with, while no training session of the patient is open.

A sensor that lies on the table streams as well, and is knocked and carried now and then. So what counts is turning: a
second is a moving one when the angular rate has a root mean square of `MOVING_RAD_S` or more in one of its blocks, and
a device is *started* once `MOVING_SECONDS` of the last `WINDOW_S` seconds were moving ones. Putting it from the box on
the table takes less; strapping it on and doing the first repetitions takes more. What follows from it (whether the
patient has a plan for today, whether training has just been) is the web role's to decide.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

WINDOW_S: Final = 30
MOVING_SECONDS: Final = 12
MOVING_RAD_S: Final = 0.5
TOLD_AGAIN_US: Final = 30_000_000
"""So long a started device waits before it is told once more: the first word may have been lost."""


@dataclass(kw_only=True, slots=True)
class _Idle:
    """A lent device whose patient trains nothing now."""

    assignment: UUID
    moving_s: set[int] = field(default_factory=set)
    told_us: int | None = None


class DeviceStarts:
    """What is remembered of devices that nobody trains with yet; one entry each, at most `WINDOW_S` seconds."""

    def __init__(self) -> None:
        self._idle: dict[str, _Idle] = {}

    def follow(self, idle: Mapping[str, UUID]) -> None:
        """Watch these devices, by name their assignment, and no others."""
        kept = {
            device: known
            for device, assignment in idle.items()
            if (known := self._idle.get(device)) is not None and known.assignment == assignment
        }
        self._idle = {device: kept.get(device) or _Idle(assignment=each) for device, each in idle.items()}

    def watches(self, device: str) -> bool:
        """Return whether a device is watched."""
        return device in self._idle

    def note(self, device: str, gyro_rad_s: NDArray[np.floating[Any]], *, at_us: int) -> None:
        """Look at one block.

        Parameters
        ----------
        gyro_rad_s : ndarray, shape (n, 3)
            Angular rate. [rad/s]
        """
        idle = self._idle.get(device)
        if idle is None:
            return
        second = at_us // 1_000_000
        if np.sqrt(np.mean(np.sum(gyro_rad_s * gyro_rad_s, axis=1))) >= MOVING_RAD_S:
            idle.moving_s.add(second)
        idle.moving_s = {each for each in idle.moving_s if second - WINDOW_S < each <= second}

    def take_started(self, now_us: int) -> Sequence[UUID]:
        """Return the assignments of devices that are started and have not been told lately."""
        started = []
        for idle in self._idle.values():
            is_told = idle.told_us is not None and now_us - idle.told_us < TOLD_AGAIN_US
            if len(idle.moving_s) >= MOVING_SECONDS and not is_told:
                idle.told_us = now_us
                started.append(idle.assignment)
        return started
