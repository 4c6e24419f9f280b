"""Settings with a migrated database of their own; every test that asks for them runs on SQLite and on PostgreSQL."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import make_url

from telerehab.auth.key_ring import KeyRing, open_key_ring
from telerehab.db import migrate
from telerehab.db.engine import Database, open_database
from telerehab.settings import Settings
from tests.telerehab.db.postgres import PostgresServer

BOTH_STORES = ("sqlite", pytest.param("postgres", marks=pytest.mark.postgres))


def make_settings(data_dir: Path, *, database_url: str = "") -> Settings:
    """Return settings as the demonstration has them, with nothing of this machine in them."""
    return Settings(data_dir=data_dir, database_url=database_url, public_hosts=["*.localhost"], mqtt_port=1, web_port=0)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with migrated SQLite files, to be copied."""
    folder = tmp_path_factory.mktemp("migrated")
    migrate.upgrade(make_settings(folder))
    return folder


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the name of a migrated PostgreSQL database, to be copied."""
    url = postgres_server.create_database()
    migrate.upgrade(make_settings(tmp_path_factory.mktemp("migrated"), database_url=url))
    return str(make_url(url).database)


@pytest.fixture(params=BOTH_STORES)
def empty_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Give settings whose database holds nothing, not even tables."""
    if request.param == "sqlite":
        return make_settings(tmp_path)
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return make_settings(tmp_path, database_url=server.create_database())


@pytest.fixture(params=BOTH_STORES)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Give settings whose database has its tables and no rows."""
    if request.param == "sqlite":
        shutil.copytree(request.getfixturevalue("migrated_sqlite"), tmp_path, dirs_exist_ok=True)
        return make_settings(tmp_path)
    template = request.getfixturevalue("migrated_postgres")
    server: PostgresServer = request.getfixturevalue("postgres_server")
    return make_settings(tmp_path, database_url=server.create_database(template=template))


@pytest.fixture
def sqlite_database(migrated_sqlite: Path, tmp_path: Path) -> Iterator[Database]:
    """Give an open SQLite database with its tables and no rows."""
    shutil.copytree(migrated_sqlite, tmp_path, dirs_exist_ok=True)
    opened = open_database(make_settings(tmp_path))
    yield opened
    opened.close()


@pytest.fixture
def key_ring(settings: Settings) -> KeyRing:
    """Give the keys of `settings`."""
    return open_key_ring(settings)


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    """Give the open database of `settings`."""
    opened = open_database(settings)
    yield opened
    opened.close()
