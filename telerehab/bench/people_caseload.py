"""The caseload page of a therapist with 300 patients who trained for 90 days: time of the whole request, and queries.

Asked of the real app, in process, by a browser that has logged in, from the request's arrival to the last byte of the
answer; the rows are those that the role jobs counted. On SQLite always; on PostgreSQL too where
`TELEREHAB_BENCH_DATABASE_URL` names an empty database.
"""

import math
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from sqlalchemy import Engine, event
from starlette.testclient import TestClient
from starlette.types import ASGIApp, Receive, Scope, Send

from telerehab.app import create_app
from telerehab.auth.key_ring import open_key_ring
from telerehab.bench.people_rows import MadePeople, make_people
from telerehab.bench.runner import Figure, Floor
from telerehab.clock import SystemClock, utc_now
from telerehab.db.changes import Change
from telerehab.db.engine import Database, open_database, writing
from telerehab.db.migrate import upgrade
from telerehab.db.provisioning import create_one_time_link
from telerehab.jobs.flags import evaluate_all
from telerehab.settings import Settings

PAGE_MAX_MS: Final = 50.0
FEW_PATIENTS: Final = 30
ASKED: Final = 15
DATABASE_VARIABLE: Final = "TELEREHAB_BENCH_DATABASE_URL"
_HOST: Final = "bench.localhost"


class _NobodyListens:
    """Changes told to nobody: there is no broker here."""

    is_connected = True

    def announce(self, change: Change) -> None:
        """Tell nobody."""


class _Timed:
    """An app, and how long its latest answer took; what the browser needs to ask and to read is not counted."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.took_ms = math.nan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        began_s = time.perf_counter()
        await self._app(scope, receive, send)
        self.took_ms = (time.perf_counter() - began_s) * 1_000


def measure_caseload(*, n_patients: int = 300, n_days: int = 90) -> tuple[dict[str, Figure], dict[str, Floor]]:
    """Measure the page on each database that there is.

    Raises
    ------
    RuntimeError
        The page could not be read.
    """
    figures: dict[str, Figure] = {}
    floors: dict[str, Floor] = {}
    urls = {"sqlite": "", "postgresql": os.environ.get(DATABASE_VARIABLE, "")}
    for name, url in urls.items():
        if name == "postgresql" and not url:
            figures["caseload postgresql"] = {"value": f"not measured: {DATABASE_VARIABLE} is not set", "unit": ""}
            continue
        page_ms, queries, queries_few = _measure_on(url, n_patients=n_patients, n_days=n_days)
        figures[f"caseload {name}"] = {"value": page_ms, "unit": "ms"}
        floors[f"caseload {name}"] = {
            "value": page_ms,
            "floor": PAGE_MAX_MS,
            "direction": "<=",
            "met": page_ms <= PAGE_MAX_MS,
        }
        key = f"caseload queries {name}, {n_patients} patients"
        figures[key] = {"value": queries, "unit": ""}
        floors[key] = {"value": queries, "floor": queries_few, "direction": "<=", "met": queries <= queries_few}
        floors[key]["note"] = f"as many as for {FEW_PATIENTS} patients"
    return figures, floors


def _measure_on(url: str, *, n_patients: int, n_days: int) -> tuple[float, int, int]:
    """Return the page's time [ms] and its number of queries, for many patients and for few."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), database_url=url, public_hosts=[_HOST], mqtt_port=1)
        upgrade(settings)
        database = open_database(settings)
        key_ring, now = open_key_ring(settings), utc_now(SystemClock())
        many = make_people(database, key_ring=key_ring, now=now, n_patients=n_patients, n_days=n_days)
        few = make_people(database, key_ring=key_ring, now=now, seed=2, n_patients=FEW_PATIENTS, n_days=n_days)
        evaluate_all(database, now)
        _note_statistics(database.main)
        app = create_app(settings, changes=_NobodyListens())
        timed = _Timed(app)
        with TestClient(timed, base_url=f"https://{_HOST}", headers={"X-Telerehab": "1"}) as client:
            engine = app.state.parts.database.main
            _enter(client, database, few)
            with counting(engine) as statements:
                _read_page(client, FEW_PATIENTS)
            queries_few = len(statements)
            _enter(client, database, many)
            with counting(engine) as statements:
                _read_page(client, n_patients)
            page_ms = median(_time_page(client, timed, n_patients) for _ in range(ASKED))
        database.close()
    return page_ms, len(statements), queries_few


def _note_statistics(engine: Engine) -> None:
    """Let PostgreSQL count its rows as its autovacuum does within a minute of so many new ones."""
    if engine.dialect.name == "postgresql":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("ANALYZE")


def _enter(client: TestClient, database: Database, made: MadePeople) -> None:
    """Log the browser in as the therapist."""
    with writing(database.main, owner="web") as db:
        now = utc_now(SystemClock())
        token = create_one_time_link(db, now=now, account_id=made.account_id, is_full=True).token
    answer = client.post("/api/enter", json={"token": token})
    if answer.status_code != 200:
        raise RuntimeError(f"nobody could log in: {answer.status_code}")


def _time_page(client: TestClient, timed: _Timed, n_patients: int) -> float:
    """Return how long the page took. [ms]"""
    _read_page(client, n_patients)
    return timed.took_ms


def _read_page(client: TestClient, n_patients: int) -> None:
    """Read the page."""
    answer = client.get("/api/caseload")
    if answer.status_code != 200 or len(answer.json()["patients"]) != n_patients:
        raise RuntimeError(f"the caseload page answered {answer.status_code}")


@contextmanager
def counting(engine: Engine) -> Iterator[list[str]]:
    """Give the questions that an engine asks meanwhile."""
    statements: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        is_question = statement.startswith(("SELECT", "WITH"))
        if is_question and "worker" not in statement:  # the role's heartbeat goes on meanwhile
            statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine, "before_cursor_execute", note)
