"""The roles broker and jobs as their operator meets them; ingest is in `tests/chaos`."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlmodel import select

from devices.ports import Raw, Token
from telerehab.clock import ManualClock, SystemClock
from telerehab.db.engine import Database, open_database, reading
from telerehab.db.migrate import upgrade
from telerehab.db.tables import Worker
from telerehab.roles import broker, ingest, jobs
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(data_dir=tmp_path, mqtt_port=1)
    upgrade(settings)
    return settings


@pytest.fixture(autouse=True)
def _signals_and_logging_stay_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telerehab.roles.process.signal.signal", lambda *_: None)
    monkeypatch.setattr("telerehab.roles.process.logging.basicConfig", lambda **_: None)


def test_what_the_store_had_no_room_for_is_asked_of_the_broker_again_when_there_is_room(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = open_database(settings)
    intake = ingest.Intake(settings.model_copy(update={"ingest_client_id": "a"}), database, clock=SystemClock())
    asked: list[bool] = []
    monkeypatch.setattr(intake._client, "redeliver", lambda: asked.append(True))
    monkeypatch.setattr(intake._hot_store, "_queue_max_rows", 1)
    monkeypatch.setattr(intake._hot_store, "_n_queued_rows", 1)
    intake._client._inbox.append(Raw("rt/1/00/band/imu", b"", 1, Token(0, 1)))
    for _ in range(2):
        intake._step()
    assert intake._client.owes_redelivery
    assert asked == [], "it would only come to be refused again"
    monkeypatch.setattr(intake._hot_store, "_n_queued_rows", 0)
    for _ in range(2):
        intake._step()
    assert asked == [True], "and not with every step"
    database.close()


def test_ingest_asks_the_broker_to_keep_only_where_it_has_a_name_of_its_own(settings: Settings) -> None:
    database = open_database(settings)
    named = ingest.Intake(settings.model_copy(update={"ingest_client_id": "a"}), database, clock=SystemClock())
    nameless = ingest.Intake(settings, database, clock=SystemClock())
    assert named._client.client_id == "a"
    assert (named._client._kept_subscriptions, nameless._client._kept_subscriptions) == (("rt/1/#", "bf/1/#"), ())
    assert set(named._client._subscriptions) | {"rt/1/#", "bf/1/#"} == set(nameless._client._subscriptions)
    assert {named._client.reader, nameless._client.reader} == {"fast"}
    database.close()


Start = Callable[[str, Settings], subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Give a way to start roles; they end with the test, whatever became of it."""
    started: list[subprocess.Popen[str]] = []

    def start(role: str, settings: Settings) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "telerehab", "serve", "--role", role],
            cwd=ROOT,
            env={**os.environ, **settings.as_environment()},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


@pytest.mark.parametrize("run", [broker.run, ingest.run, jobs.run])
def test_no_role_starts_on_a_database_of_another_version(
    tmp_path: Path, run: Callable[[Settings], int], caplog: pytest.LogCaptureFixture
) -> None:
    assert run(Settings(data_dir=tmp_path / "empty", mqtt_port=1)) == EXIT_SETTINGS
    assert "run `telerehab migrate`" in caplog.text


def test_the_intake_begins_anew_when_the_clock_of_the_machine_is_set_back(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    database = open_database(settings)
    intake = ingest.Intake(settings, database, clock=clock)
    try:
        intake.start()
        clock.utc_now_ns -= 3600 * 10**9
        assert intake.run(threading.Event()) != 0
    finally:
        intake.close()
        database.close()
    assert "was set back" in caplog.text


def test_the_broker_says_plainly_that_its_port_is_taken(settings: Settings, start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("broker", settings.model_copy(update={"mqtt_port": port}))
        _, log = process.communicate(timeout=20)
    assert process.returncode == EXIT_SETTINGS
    messages = [json.loads(line)["message"] for line in log.splitlines()]
    assert f"Port {port} of 127.0.0.1 is in use: is another broker running?" in messages


@pytest.mark.parametrize("role", ["jobs", "ingest"])
def test_a_role_ends_well_on_sigterm_and_takes_its_row_away(settings: Settings, start: Start, role: str) -> None:
    database = open_database(settings)
    process = start(role, settings)
    deadline_s = time.monotonic() + 20
    while not beating_roles(database):
        assert process.poll() is None
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    assert beating_roles(database) == [role]
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=15)
    assert process.returncode == 0, log
    assert beating_roles(database) == []
    database.close()


def beating_roles(database: Database) -> list[str]:
    with reading(database.main) as db:
        return [worker.role for worker in db.exec(select(Worker))]
