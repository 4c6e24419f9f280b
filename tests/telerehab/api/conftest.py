from collections.abc import Iterator
from pathlib import Path

import pytest

from telerehab.db.engine import Database, open_database
from telerehab.settings import Settings
from telerehab.web.pages import PAGES
from tests.telerehab.api.world import World, running_world
from tests.telerehab.db.postgres import PostgresServer
from tests.telerehab.db.stores import make_settings


@pytest.fixture
def static_folder(tmp_path: Path) -> Path:
    """Give a folder with pages as a build would leave them."""
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    for page in PAGES:
        (folder / page).write_text(f"<!doctype html><title>{page}</title>")
    (folder / "assets" / "main-1a2b.js").write_text("export {};")
    return folder


@pytest.fixture
def world(settings: Settings, database: Database, static_folder: Path) -> Iterator[World]:
    """Give the running app with two organisations, on SQLite and on PostgreSQL."""
    with running_world(settings, database, static_folder) as running:
        yield running


@pytest.fixture
def sqlite_world(sqlite_database: Database, tmp_path: Path, static_folder: Path) -> Iterator[World]:
    """Give the running app with two organisations, on SQLite only: for what does not ask the database much."""
    with running_world(make_settings(tmp_path), sqlite_database, static_folder) as running:
        yield running


@pytest.fixture
def postgres_world(
    postgres_server: PostgresServer, migrated_postgres: str, tmp_path: Path, static_folder: Path
) -> Iterator[World]:
    """Give the running app with two organisations, on PostgreSQL only."""
    settings = make_settings(tmp_path, database_url=postgres_server.create_database(template=migrated_postgres))
    database = open_database(settings)
    with running_world(settings, database, static_folder) as running:
        yield running
    database.close()
