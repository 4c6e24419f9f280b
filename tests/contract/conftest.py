from tests.telerehab.api.conftest import sqlite_world, static_folder
from tests.telerehab.db.stores import migrated_sqlite, sqlite_database

__all__ = ["migrated_sqlite", "sqlite_database", "sqlite_world", "static_folder"]
