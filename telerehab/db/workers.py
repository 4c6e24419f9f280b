"""The row with which a running role says that it is well, and who reads it."""

import threading
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Engine
from sqlmodel import Session, col, delete, select

from telerehab.clock import Clock, utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Worker

BEAT_INTERVAL_S: Final = 2.0
"""How often a role beats."""
STALE_AFTER_S: Final = 8.0
"""A role whose last beat is older is down."""
FORGET_AFTER_S: Final = 3_600.0
"""Rows of killed processes are removed when their role starts again after this time, or at once on a clean end."""


class Heartbeat:
    """The own row of one running role. Every method is one short transaction: call it in a thread, not on a loop.

    Parameters
    ----------
    engine : Engine
        The main database.
    role : str
        "web", "ingest", "media", "jobs" or "broker".
    address, secret : str, optional
        Where other roles reach this one, and what they must show there.
    """

    def __init__(
        self, engine: Engine, *, role: str, clock: Clock, address: str | None = None, secret: str | None = None
    ) -> None:
        self.id = uuid.uuid4()
        self._engine = engine
        self._role = role
        self._clock = clock
        self._address = address
        self._secret = secret
        self._lock = threading.Lock()
        self._is_removed = False

    def register(self, status: Mapping[str, Any] | None = None) -> None:
        """Write the row; forget those of this role that ended long ago."""
        now = utc_now(self._clock)
        with writing(self._engine, owner=self._role) as db:
            long_ago = now - timedelta(seconds=FORGET_AFTER_S)
            db.exec(delete(Worker).where(col(Worker.role) == self._role, col(Worker.heartbeat_at) < long_ago))
            self._beat(db, now, status)

    def beat(self, status: Mapping[str, Any] | None = None) -> None:
        """Say that the role is well, and what there is to know about it (no personal data)."""
        with self._lock:
            if self._is_removed:  # a beat that was still on its way when the role ended
                return
            with writing(self._engine, owner=self._role) as db:
                self._beat(db, utc_now(self._clock), status)

    def remove(self) -> None:
        """Take the row away: the role ended as it should. Later beats do nothing."""
        with self._lock:
            self._is_removed = True
            with writing(self._engine, owner=self._role) as db:
                db.exec(delete(Worker).where(col(Worker.id) == self.id))

    def _beat(self, db: Session, now: datetime, status: Mapping[str, Any] | None) -> None:
        """Bring the row up to date; make it where it is not there, or was forgotten while the machine slept."""
        worker = db.get(Worker, self.id)
        if worker is None:
            worker = Worker(id=self.id, role=self._role, started_at=now, heartbeat_at=now)
        worker.address, worker.secret = self._address, self._secret
        worker.heartbeat_at, worker.status = now, dict(status or {})
        db.add(worker)


def workers_alive(db: Session, *, now: datetime, role: str | None = None) -> list[Worker]:
    """Return the rows of running roles, the one that started last first."""
    statement = select(Worker).where(col(Worker.heartbeat_at) >= now - timedelta(seconds=STALE_AFTER_S))
    if role is not None:
        statement = statement.where(col(Worker.role) == role)
    return list(db.exec(statement.order_by(col(Worker.started_at).desc())))


def is_role_alive(engine: Engine, role: str, *, clock: Clock, started_after: datetime | None = None) -> bool:
    """Return whether a role beats; `started_after` leaves out a process that was there before."""
    with reading(engine) as db:
        alive = workers_alive(db, now=utc_now(clock), role=role)
    return any(started_after is None or worker.started_at >= started_after for worker in alive)
