"""Telling others that a row changed, after the commit.

Repositories note a change in the transaction; who opened the transaction announces what was noted once it is committed.
A lost announcement costs two seconds: readers also read again by themselves.
"""

import json
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from sqlmodel import Session

CHANGED: Final = "app/1/changed/"
DEVICE_STARTED: Final = "device_started"
"""No table: intake says so of an assignment whose sensor is worn and moved while its patient trains nothing."""
_KEY: Final = "telerehab_changes"


@dataclass(kw_only=True, frozen=True, slots=True)
class Change:
    """A row that is new or different."""

    table: str
    id: UUID
    version: int


class Changes(Protocol):
    """Where committed changes are told: the broker, or a list in tests. Never blocks and never raises."""

    def announce(self, change: Change) -> None:
        """Tell everybody who listens."""
        ...

    @property
    def is_connected(self) -> bool:
        """Return whether anybody can hear."""
        ...


def changed_message(change: Change) -> tuple[str, bytes]:
    """Return topic and payload with which a change is told over the broker."""
    return f"{CHANGED}{change.table}", json.dumps({"id": str(change.id), "version": change.version}).encode()


def note_change(db: Session, table: str, row_id: UUID, *, version: int) -> None:
    """Remember a change of this transaction."""
    db.info.setdefault(_KEY, []).append(Change(table=table, id=row_id, version=version))


def take_changes(db: Session) -> list[Change]:
    """Return what was noted, once."""
    changes: list[Change] = db.info.pop(_KEY, [])
    return changes
