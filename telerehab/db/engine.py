"""Transactions: who may write what, and how they begin.

A writing transaction names its role. On SQLite it begins with BEGIN IMMEDIATE, because a transaction that reads first
and writes later fails at once when somebody else has written in between; nothing may be awaited inside. Every
statement that writes a table of another role raises, wherever it comes from: a flush, an ORM statement or a core one.
"""

import functools
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json
from sqlalchemy import Connection, Engine, Executable, create_engine, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql.dml import UpdateBase
from sqlmodel import Session

from telerehab.auth.audit import KEY_OPTION, audit_key
from telerehab.db.tables import EVERY_ROLE
from telerehab.errors import NotTheOwnerError, SettingsError
from telerehab.settings import Settings

BUSY_TIMEOUT_MS: Final = 5_000
CHECKPOINT_PAGES: Final = 4_000
"""Of SQLite's log, before it is copied into the file: intake writes each stream's newest page again and again."""

_create_engine: Final = functools.partial(create_engine, hide_parameters=True, json_deserializer=from_json)
"""`from_json` takes a third of the time of the standard library's."""
_OWNER: Final = "telerehab_owner"
_BEGIN: Final = "telerehab_begin"
NOBODY: Final = "nobody"
"""The owner of a transaction that only reads."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Database:
    """The two stores; on PostgreSQL both are the same database."""

    main: Engine
    hot: Engine
    settings: Settings
    """What they were opened with: for work that needs the keys or the archive as well."""

    def close(self) -> None:
        """Close all connections that nobody uses."""
        self.main.dispose()
        self.hot.dispose()


def open_database(settings: Settings) -> Database:
    """Return the engines of both stores; connections are made when they are first needed.

    Raises
    ------
    SettingsError
        An address is none, the folder of the SQLite file cannot be made, or the secret key cannot be read.
    """
    main, hot = make_engine(settings.database_url), make_engine(settings.hot_database_url)
    main.update_execution_options(**{KEY_OPTION: audit_key(settings)})
    return Database(main=main, hot=hot, settings=settings)


@contextmanager
def reading(engine: Engine) -> Iterator[Session]:
    """Give a transaction in which everything is seen as of one moment (SQLite) and nothing can be written."""
    options: dict[str, Any] = {_OWNER: NOBODY, _BEGIN: "BEGIN"}
    if engine.dialect.name == "postgresql":
        options["postgresql_readonly"] = True
    with Session(engine.execution_options(**options), expire_on_commit=False, autoflush=False) as db:
        yield db


@contextmanager
def writing(engine: Engine, *, owner: str) -> Iterator[Session]:
    """Give a transaction that commits at the end, or rolls back when an exception leaves it.

    Parameters
    ----------
    owner : str
        The role that writes: "web", "ingest", "media" or "jobs".

    Raises
    ------
    NotTheOwnerError
        From the statement or flush that writes a table of another role.
    """
    bound = engine.execution_options(**{_OWNER: owner, _BEGIN: "BEGIN IMMEDIATE"})
    with Session(bound, expire_on_commit=False) as db:
        if engine.dialect.name == "sqlite":
            db.connection()  # begins now, so that waiting for another writer happens before anything was read
        yield db
        db.commit()


def make_engine(url: str) -> Engine:
    """Return an engine with our rules, for one address; its errors never show the values of a statement.

    Raises
    ------
    SettingsError
        The address is none, or the folder of the SQLite file cannot be made.
    """
    try:
        parsed = make_url(url)
        backend = parsed.get_backend_name()
        if backend == "sqlite":
            _make_folder(parsed.database)
            engine = _create_engine(parsed, connect_args={"timeout": BUSY_TIMEOUT_MS / 1_000})
            event.listen(engine, "connect", _set_up_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        elif backend == "postgresql":
            engine = _create_engine(parsed, pool_pre_ping=True, connect_args={"options": "-c timezone=UTC"})
        else:
            raise SettingsError(f"A database of kind {backend} is not supported: take SQLite or PostgreSQL")
    except SQLAlchemyError as error:
        raise SettingsError("The address of the database is not one that SQLAlchemy understands") from error
    event.listen(engine, "before_execute", _refuse_foreign_writes)
    return engine


def _make_folder(database: str | None) -> None:
    """Make the folder of a SQLite file, and the file itself for its owner only; its WAL takes over the mode."""
    if not database or database == ":memory:":
        raise SettingsError("An SQLite database needs a file: several processes share it")
    try:
        Path(database).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(database, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise SettingsError(f"The database file {database} cannot be made or written: {error.strerror}") from error


def _set_up_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Set what holds for a connection: our own BEGIN, WAL, every commit on the disk, a wait for other writers."""
    assert isinstance(connection, sqlite3.Connection)
    connection.isolation_level = None  # else Python's driver begins transactions where it likes
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "journal_mode = WAL",
        "synchronous = FULL",
        f"wal_autocheckpoint = {CHECKPOINT_PAGES}",
        "foreign_keys = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """Begin as the transaction's options say; without options (migrations) as a writer."""
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))


def _refuse_foreign_writes(
    connection: Connection,
    statement: Executable,
    _multiparams: object,
    _params: object,
    _execution_options: object,
) -> None:
    """Raise when a statement writes a table of another role."""
    if not isinstance(statement, UpdateBase):
        return
    writer = connection.get_execution_options().get(_OWNER)
    table = statement.table
    table_owner = getattr(table, "info", {}).get("owner")
    if writer is None or table_owner is None or writer == table_owner:
        return
    if table_owner == EVERY_ROLE and writer != NOBODY:
        return
    raise NotTheOwnerError(f"table {getattr(table, 'name', table)} belongs to {table_owner}, {writer} may not write it")
