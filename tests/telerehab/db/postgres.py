"""A PostgreSQL of our own: started from the machine's binaries in a temporary folder, ended by its process id.

It listens on a socket in that folder only and runs as an unprivileged user also when the tests run as root. Use it by
importing the fixture `postgres_server` in a `conftest.py`; tests that use it carry the marker `postgres`.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psycopg
import pytest

START_TIMEOUT_S: Final = 30.0
STOP_TIMEOUT_S: Final = 20.0
_UNPRIVILEGED_USERS: Final = ("postgres", "nobody")


@dataclass(kw_only=True, frozen=True, slots=True)
class PostgresServer:
    """A running server."""

    socket_folder: Path

    def create_database(self, *, template: str = "template0") -> str:
        """Make a new database and return its address for SQLAlchemy."""
        name = f"test_{uuid.uuid4().hex}"
        with psycopg.connect(**self.arguments("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')  # type: ignore[call-overload, unused-ignore]
        return f"postgresql+psycopg://postgres@/{name}?host={self.socket_folder}"

    def arguments(self, database: str) -> dict[str, Any]:
        """Return how psycopg reaches a database."""
        return {"host": str(self.socket_folder), "user": "postgres", "dbname": database}


def find_binaries() -> Path | None:
    """Return the folder of the newest `initdb` and `postgres`, None where there are none."""
    folders = sorted(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda folder: int(folder.parent.name) if folder.parent.name.isdecimal() else 0,
    )
    if folders:
        return folders[-1]
    found = shutil.which("initdb")
    return Path(found).resolve().parent if found is not None else None


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """Give a running PostgreSQL; skip, with the reason, where its binaries are missing."""
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("no initdb on this machine: install Debian's package postgresql")
    with running_postgres(binaries) as server:
        yield server


@contextlib.contextmanager
def running_postgres(binaries: Path) -> Iterator[PostgresServer]:
    """Start a server in a temporary folder; end it and remove the folder afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="telerehab-postgres-"))
    identity = _unprivileged(folder)
    data = folder / "data"
    log_path = folder / "log"
    process: subprocess.Popen[bytes] | None = None
    try:
        subprocess.run(
            [binaries / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            cwd=folder,
            **identity,
        )
        options = {"listen_addresses": "", "fsync": "off", "unix_socket_directories": str(folder)}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        with log_path.open("wb") as log:
            process = subprocess.Popen(
                [binaries / "postgres", "-D", data, *arguments], stdout=log, stderr=log, cwd=folder, **identity
            )
        server = PostgresServer(socket_folder=folder)
        _wait_until_up(server, process, log_path)
        yield server
    finally:
        if process is not None:
            process.send_signal(signal.SIGQUIT)  # ends at once; nothing of it is kept
            try:
                process.wait(timeout=STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(folder)


def _unprivileged(folder: Path) -> Mapping[str, Any]:
    """Return how to start a process that is not root, and give it the folder; PostgreSQL refuses to run as root."""
    if os.getuid() != 0:
        return {}
    for name in _UNPRIVILEGED_USERS:
        with contextlib.suppress(KeyError):
            user = pwd.getpwnam(name)
            os.chown(folder, user.pw_uid, user.pw_gid)
            return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": ()}
    pytest.skip("the tests run as root and there is no other user for PostgreSQL")


def _wait_until_up(server: PostgresServer, process: subprocess.Popen[bytes], log_path: Path) -> None:
    """Wait until the server takes connections."""
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while True:
        try:
            psycopg.connect(**server.arguments("postgres")).close()
        except psycopg.OperationalError:
            if process.poll() is not None or time.monotonic() > deadline_s:
                raise AssertionError(log_path.read_text()) from None
            time.sleep(0.02)
        else:
            return
