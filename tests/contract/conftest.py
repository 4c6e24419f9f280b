from tests.telerehab.api.conftest import app, sqlite_world, static_folder
from tests.telerehab.db.stores import migrated_sqlite, sqlite_database

__all__ = ["app", "migrated_sqlite", "sqlite_database", "sqlite_world", "static_folder"]
