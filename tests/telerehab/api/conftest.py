from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from telerehab.app import create_app
from telerehab.db.engine import Database, open_database
from telerehab.settings import Settings
from telerehab.web.pages import PAGES
from tests.telerehab.api.world import World, running_world
from tests.telerehab.db.postgres import PostgresServer
from tests.telerehab.db.stores import make_settings

RACE_ON_POSTGRESQL = frozenset(
    {
        "test_access_matrix_foreign",
        "test_alerts",
        "test_devices",
        "test_goals",
        "test_logins",
        "test_notices",
        "test_patient_imports",
        "test_patient_records",
        "test_plans",
        "test_retractions",
        "test_self_reports",
        "test_training_keeper",
        "test_training_sessions",
        "test_training_sets",
        "test_two_writers",
    }
)
"""Modules whose claims depend on the database: they run on both with every change, the others in `make test-long`."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        is_free = item.path.parent == here and item.path.stem not in RACE_ON_POSTGRESQL
        if is_free and "postgres" in parameters.values():
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def static_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with pages as a build would leave them."""
    folder = tmp_path_factory.mktemp("static")
    (folder / "assets").mkdir()
    for page in PAGES:
        (folder / page).write_text(f"<!doctype html><title>{page}</title>")
    (folder / "assets" / "main-1a2b.js").write_text("export {};")
    return folder


@pytest.fixture(scope="session")
def app(static_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """Give the app, not running: making its routes anew for every test would be most of the tests' cost."""
    return create_app(make_settings(tmp_path_factory.mktemp("app")), static_folder=static_folder)


@pytest.fixture
def world(settings: Settings, database: Database, app: FastAPI) -> Iterator[World]:
    """Give the running app with two organisations, on SQLite and on PostgreSQL."""
    with running_world(settings, database, app) as running:
        yield running


@pytest.fixture
def sqlite_world(sqlite_database: Database, tmp_path: Path, app: FastAPI) -> Iterator[World]:
    """Give the running app with two organisations, on SQLite only: for what does not ask the database much."""
    with running_world(make_settings(tmp_path), sqlite_database, app) as running:
        yield running


@pytest.fixture
def postgres_world(
    postgres_server: PostgresServer, migrated_postgres: str, tmp_path: Path, app: FastAPI
) -> Iterator[World]:
    """Give the running app with two organisations, on PostgreSQL only."""
    settings = make_settings(tmp_path, database_url=postgres_server.create_database(template=migrated_postgres))
    database = open_database(settings)
    with running_world(settings, database, app) as running:
        yield running
    database.close()
