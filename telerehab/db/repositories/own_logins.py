"""The logins of whoever is logged in."""

from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from telerehab.auth import audit
from telerehab.auth.login_rows import LIMITS, end_logins, holder_of
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.tables import Login
from telerehab.errors import NotFoundError

LIST_MAX: Final = 50


class OwnLoginRepository:
    """The logins of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def list(self) -> list[Login]:
        """Return the reader's logins that run, the last used first."""
        idle = LIMITS[holder_of(tablet_id=self._reader.tablet_id, helper_id=self._reader.helper_id)].idle
        statement = select(Login).where(
            self._is_mine(),
            col(Login.revoked_at).is_(None),
            col(Login.expires_at) > self._now,
            col(Login.last_seen_at) > self._now - idle,
        )
        return list(self._db.exec(statement.order_by(col(Login.last_seen_at).desc(), col(Login.id)).limit(LIST_MAX)))

    def end(self, login_id: UUID) -> None:
        """End one of the reader's logins; its sockets close.

        Raises
        ------
        NotFoundError
            The reader has no such login.
        """
        if not self._end(col(Login.id) == login_id):
            raise NotFoundError("no such login")
        audit.record(self._db, actor=self._reader, action="end_login", object=f"login:{login_id}", now=self._now)

    def end_others(self) -> None:
        """End all of the reader's logins but this one."""
        self._end(col(Login.id) != self._reader.login_id)
        audit.record(self._db, actor=self._reader, action="end_other_logins", now=self._now)

    def _end(self, which: ColumnElement[bool]) -> bool:
        """End logins of the reader, and have it announced after the commit; return whether there was any."""
        ended = end_logins(self._db, self._is_mine() & which, now=self._now)
        for login_id in ended:
            note_change(self._db, "login", login_id, version=1)
        return bool(ended)

    def _is_mine(self) -> ColumnElement[bool]:
        reader = self._reader
        if reader.account_id is not None:
            return col(Login.account_id) == reader.account_id
        if reader.helper_id is not None:
            return col(Login.helper_id) == reader.helper_id
        return col(Login.tablet_id) == reader.tablet_id
