"""What all tables are made of: one metadata with names for every constraint, and who owns a table."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, ClassVar, Final

from sqlalchemy import JSON, CheckConstraint, DateTime, Dialect, LargeBinary, MetaData
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel

NAMING_CONVENTION: Final = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

EVERY_ROLE: Final = "*"


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: aware on the way in, in UTC on the way out, on every database."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse a time without zone; say the rest in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without zone is no moment")
        return value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None] | None:
        """Give SQLite's text the zone that it does not keep; PostgreSQL's connections are in UTC already."""
        return _read_sqlite_moment if dialect.name == "sqlite" else None


def _read_sqlite_moment(text: str | None) -> datetime | None:
    """Return the moment, in one step: it is done for every row."""
    return None if text is None else datetime.fromisoformat(f"{text}+00:00")


class Table(SQLModel):
    """The base of all tables: one metadata with names for every constraint."""

    metadata: ClassVar[MetaData] = MetaData(naming_convention=NAMING_CONVENTION)


def owned_by(owner: str, *, store: str = "main") -> dict[str, Any]:
    """Return the table options that say whose a table is and where it lies."""
    return {"info": {"owner": owner, "store": store}}


def one_of(column: str, *words: str) -> CheckConstraint:
    """Return the constraint that a column holds one of these words."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=column)


def own_id() -> Any:
    """Return the field of a table's own random id."""
    return Field(default_factory=uuid.uuid4, primary_key=True)


def refers_to(column: str, *, index: bool = True) -> Any:
    """Return the field of a row that must be there."""
    return Field(foreign_key=column, index=index)


def may_refer_to(column: str, *, index: bool = True) -> Any:
    """Return the field of a row that may be there."""
    return Field(default=None, foreign_key=column, index=index)


def moment(*, index: bool = False) -> Any:
    """Return the field of a moment that is known."""
    return Field(sa_type=UtcDateTime, index=index)


def maybe_moment(*, index: bool = False) -> Any:
    """Return the field of a moment that may not have come."""
    return Field(default=None, sa_type=UtcDateTime, index=index)


def sealed() -> Any:
    """Return the field of a sealed value (`telerehab.db.sealing`) that is always there."""
    return Field(sa_type=LargeBinary)


def maybe_sealed() -> Any:
    """Return the field of a sealed value that may not be there."""
    return Field(default=None, sa_type=LargeBinary)


def json_object() -> Any:
    """Return the field of a JSON object."""
    return Field(default_factory=dict, sa_type=JSON)


def json_list() -> Any:
    """Return the field of a JSON array."""
    return Field(default_factory=list, sa_type=JSON)
