"""The web role's task that opens training sessions when a sensor is put on, and closes those that nobody moves in.

Every web process runs one. They share nothing but the database: a patient's row is locked before a training session is
opened, and a training session is closed by whoever gets its row first. What the live analysis sees reaches each process
as live frames; a process that has just started does not know of movement before, so it waits as long as a training
session may stand still before it closes any.
"""

import asyncio
import functools
import json
import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

import numpy as np
from sqlalchemy.exc import SQLAlchemyError

from analytics.results import Phase
from devices.broker_client import BrokerClient
from devices.ports import Raw
from telerehab.clock import Clock, from_us, utc_now
from telerehab.db.changes import CHANGED, DEVICE_STARTED, Changes, take_changes
from telerehab.db.engine import Database, reading, writing
from telerehab.db.training_rows import IDLE_AFTER, close_idle, find_idle, open_by_device
from telerehab.live_frame import FLAG_SENSOR_LOST, MalformedLiveFrameError, decode_live_frame
from telerehab.settings import Settings
from telerehab.supervision import in_thread

log = logging.getLogger(__name__)

TAKE_INTERVAL_S: Final = 0.25
LOOK_INTERVAL_NS: Final = 30_000_000_000
STARTED_MAX: Final = 100
"""Started sensors that are looked after in one round; the rest is told again."""
ROLE: Final = "web"
MOVING_PHASES: Final = (int(Phase.UP), int(Phase.HOLD), int(Phase.DOWN))
_STARTED_TOPIC: Final = f"{CHANGED}{DEVICE_STARTED}"
_LIVE_PREFIX: Final = "live/1/"


class TrainingKeeper:
    """Opens and closes training sessions; `run` belongs to the task supervisor, `close` to the lifespan's end.

    Parameters
    ----------
    changes : Changes
        Where it is told what was opened and closed.
    """

    def __init__(self, settings: Settings, *, database: Database, clock: Clock, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._changes = changes
        self._moved_at: dict[UUID, datetime] = {}
        self._started_at = utc_now(clock)
        self._looked_ns = clock.monotonic_ns()
        self._is_connecting = False
        self._client = BrokerClient(
            settings.mqtt_host,
            settings.mqtt_port,
            username=ROLE,
            password=settings.mqtt_password(ROLE),
            subscriptions=(f"{_LIVE_PREFIX}#", _STARTED_TOPIC),
        )

    async def run(self) -> None:
        """Open and close, until cancelled; what a database that is away refuses is tried again."""
        if not self._is_connecting:
            self._is_connecting = True
            self._client.start()
        while True:
            self._client.tend(self._clock.monotonic_ns())
            try:
                await self._look_after(self.take(self._client.take()))
            except SQLAlchemyError as error:
                log.warning("the database refused: %s", type(error).__name__)
            await asyncio.sleep(TAKE_INTERVAL_S)

    def close(self) -> None:
        """Disconnect."""
        self._client.close()

    def take(self, raws: Iterable[Raw]) -> Sequence[UUID]:
        """Note in which training sessions something moves; return the assignments of sensors that were started."""
        started: dict[UUID, None] = {}
        for raw in raws:
            if raw.topic == _STARTED_TOPIC:
                assignment = _read_id(raw.payload)
                if assignment is not None and len(started) < STARTED_MAX:
                    started[assignment] = None
            elif raw.topic.startswith(_LIVE_PREFIX):
                self._note_frame(raw)
        return tuple(started)

    def open_started(self, assignments: Sequence[UUID]) -> None:
        """Open a training session for each sensor that was started, where there is a reason to."""
        for assignment in assignments:
            with writing(self._database.main, owner=ROLE) as db:
                open_by_device(db, assignment, training_session_id=uuid4(), now=utc_now(self._clock))
            for change in take_changes(db):
                log.info("training session %s was opened by a sensor", change.id)
                self._changes.announce(change)

    def close_idle(self) -> None:
        """Close the training sessions in which nothing has moved for twenty minutes."""
        now = utc_now(self._clock)
        self._moved_at = {each: at for each, at in self._moved_at.items() if now - at < IDLE_AFTER}
        if now - self._started_at < IDLE_AFTER:
            return
        with reading(self._database.main) as db:
            is_idle = bool(find_idle(db, moved_at=self._moved_at, now=now))
        if not is_idle:
            return
        with writing(self._database.main, owner=ROLE) as db:
            close_idle(db, moved_at=self._moved_at, now=now)
        for change in take_changes(db):
            log.info("training session %s was closed: nobody moved", change.id)
            self._changes.announce(change)

    async def _look_after(self, started: Sequence[UUID]) -> None:
        """Open what was started, and twice a minute close what stands still."""
        if started:
            await in_thread(functools.partial(self.open_started, started))
        if self._clock.monotonic_ns() - self._looked_ns >= LOOK_INTERVAL_NS:
            self._looked_ns = self._clock.monotonic_ns()
            await in_thread(self.close_idle)

    def _note_frame(self, raw: Raw) -> None:
        """Note the training sessions whose analysis sees movement."""
        try:
            _, entries = decode_live_frame(raw.payload)
        except MalformedLiveFrameError:
            return  # the fan-out tells of it
        is_heard = entries["flags"] & FLAG_SENSOR_LOST == 0  # a sensor that fell silent leaves its last phase standing
        is_moving = is_heard & np.isin(entries["phase"], MOVING_PHASES)
        for entry in entries["training_session"][is_moving]:
            self._moved_at[UUID(bytes=entry.tobytes())] = from_us(raw.received_us)


def _read_id(payload: bytes) -> UUID | None:
    """Return the id that a message names; None where it names none."""
    try:
        return UUID(json.loads(payload)["id"])
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
