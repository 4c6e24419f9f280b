"""The scene "kill intake": its process is killed while everybody trains, and nothing is missing afterwards.

It plays once by itself in a demonstration that is long enough, and whenever somebody presses the button on the page
that `telerehab/demo/control.py` serves.
"""

import asyncio
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

PLAYS_FROM_S: Final = 150.0
"""A shorter demonstration has no time to show that everything comes back."""
LOOKS_EVERY_S: Final = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class IntakeKill:
    """One kill: when, since the scene began, and how long the screens had no new values; None while they have none."""

    at_s: float
    back_after_s: float | None


def kill_at(planned_s: float | None) -> float | None:
    """Return when a demonstration of this length kills its intake by itself; None: not at all.

    >>> kill_at(300), kill_at(60), kill_at(None)
    (120.0, None, None)
    """
    return None if planned_s is None or planned_s < PLAYS_FROM_S else 0.4 * planned_s


class IntakeScene:
    """Kills intake and watches the values come back.

    Parameters
    ----------
    pid_of_intake
        The present process; None while it is being started again.
    count_values
        How many values the screens have received so far.
    """

    def __init__(self, *, pid_of_intake: Callable[[], int | None], count_values: Callable[[], int]) -> None:
        self._pid_of_intake = pid_of_intake
        self._count_values = count_values
        self._began_s = time.monotonic()
        self._killing = asyncio.Lock()
        self.kills: list[IntakeKill] = []

    @property
    def is_killed(self) -> bool:
        """Return whether the screens wait for new values."""
        return self._killing.locked()

    async def run(self, planned_s: float | None) -> None:
        """Kill once when it is time; return at once where it never is."""
        at_s = kill_at(planned_s)
        if at_s is not None:
            await asyncio.sleep(at_s)
            await self.kill()

    async def kill(self) -> bool:
        """Kill intake and wait until values come again; False, and nothing is done, while it is not running."""
        pid = self._pid_of_intake()
        if self.is_killed or pid is None:
            return False
        async with self._killing:
            killed_s = time.monotonic()
            os.kill(pid, signal.SIGKILL)
            kill = IntakeKill(at_s=round(killed_s - self._began_s, 1), back_after_s=None)
            self.kills.append(kill)
            while self._pid_of_intake() in (None, pid):  # what is still on the way from the old one does not count
                await asyncio.sleep(LOOKS_EVERY_S)
            seen = self._count_values()
            while self._count_values() == seen:
                await asyncio.sleep(LOOKS_EVERY_S)
            self.kills[-1] = IntakeKill(at_s=kill.at_s, back_after_s=round(time.monotonic() - killed_s, 1))
        return True
