"""What time does with help calls, in the web role: the next in line is told, and the tablet after 30 seconds.

Every web process looks twice a second. What is due is done in one short transaction that locks the calls, so each step
happens once, and whatever a killed process left undone the next look does.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from telerehab.clock import Clock, utc_now
from telerehab.db.changes import Changes, take_changes
from telerehab.db.engine import Database, reading, writing
from telerehab.db.help_call_rows import advance_calls, find_due
from telerehab.supervision import in_thread

log = logging.getLogger(__name__)

LOOK_INTERVAL_S: Final = 0.5
OWNER: Final = "web"


class HelpCallWatch:
    """Lets open help calls go on, until cancelled.

    Parameters
    ----------
    changes : Changes
        Where changed calls are told, so that pages read them again.
    sleep : callable
        Waits some seconds; in tests a virtual one.
    """

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        changes: Changes,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._sleep = sleep

    async def run(self) -> None:
        """Look twice a second; a database that refuses is asked again."""
        while True:
            try:
                await in_thread(self.step)
            except SQLAlchemyError as error:
                log.warning("the database refused: %s", type(error).__name__)
            await self._sleep(LOOK_INTERVAL_S)

    def step(self) -> None:
        """Do what is due now; where nothing is, only read."""
        now = utc_now(self._clock)
        with reading(self._database.main) as db:
            due = find_due(db, now=now)
        if not due:
            return
        with writing(self._database.main, owner=OWNER) as db:
            advance_calls(db, due, now=now)
        for change in take_changes(db):
            self._changes.announce(change)
