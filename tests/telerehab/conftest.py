from tests.telerehab.db.postgres import postgres_server
from tests.telerehab.db.stores import (
    database,
    empty_settings,
    key_ring,
    migrated_postgres,
    migrated_sqlite,
    settings,
    sqlite_database,
)

__all__ = [
    "database",
    "empty_settings",
    "key_ring",
    "migrated_postgres",
    "migrated_sqlite",
    "postgres_server",
    "settings",
    "sqlite_database",
]
