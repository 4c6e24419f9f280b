"""The web role as a process of its own, and its announcements at a real broker."""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from devices.broker_client import BrokerClient
from devices.embedded_broker import EmbeddedBroker
from devices.ports import Raw
from telerehab.auth.device_credentials import SqlCredentials
from telerehab.broker_changes import BrokerChanges
from telerehab.clock import SystemClock
from telerehab.db import migrate
from telerehab.db.changes import Change
from telerehab.db.engine import open_database
from telerehab.db.workers import is_role_alive
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS

DEADLINE_S = 30.0
RUN = """
import sys
from telerehab.roles.web import run
from telerehab.settings import load_settings
sys.exit(run(load_settings()))
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.02)


@contextmanager
def web_process(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN], env={**os.environ, **settings.as_environment()}, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def answers(client: httpx2.Client, process: subprocess.Popen[str]) -> bool:
    assert process.poll() is None
    try:
        return client.get("/healthz").status_code == 200
    except httpx2.TransportError:
        return False


def test_the_web_role_beats_serves_and_ends_when_told(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, web_port=free_port(), mqtt_port=free_port())
    migrate.upgrade(settings)
    database = open_database(settings)
    clock = SystemClock()
    base_url = f"http://127.0.0.1:{settings.web_port}"
    with web_process(settings) as process, httpx2.Client(base_url=base_url, trust_env=False) as client:
        until(lambda: answers(client, process))
        until(lambda: is_role_alive(database.main, "web", clock=clock))
        assert client.get("/readyz").json()["parts"]["broker"] == "no connection"
        assert client.post("/api/logout", headers={"X-Telerehab": "1"}).status_code == 204
        assert client.get("/healthz").headers.get("server") is None
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=10)
        assert process.returncode == 0, log
        assert not is_role_alive(database.main, "web", clock=clock)
        assert "127.0.0.1:" not in log.replace(base_url.removeprefix("http://"), "")  # no browser's address
    database.close()


def test_a_taken_port_and_an_old_database_are_one_plain_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        old, new = (Settings(data_dir=tmp_path / name, web_port=port, mqtt_port=1) for name in ("old", "new"))
        migrate.upgrade(new)
        with web_process(old) as with_old, web_process(new) as with_new:
            logs = [process.communicate(timeout=DEADLINE_S)[1] for process in (with_old, with_new)]
    assert [with_old.returncode, with_new.returncode] == [EXIT_SETTINGS, EXIT_SETTINGS]
    assert "telerehab migrate" in logs[0]
    assert f"Cannot listen on 127.0.0.1 port {port}" in logs[1]
    assert not any("Traceback" in log for log in logs)


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "clinic.localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


def test_the_web_role_serves_https_with_a_certificate_and_ends_by_ctrl_c(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    settings = Settings(
        data_dir=tmp_path / "data",
        web_port=free_port(),
        mqtt_port=free_port(),
        tls_certificate=certificate,
        tls_key=key,
    )
    migrate.upgrade(settings)
    trust = ssl.create_default_context(cafile=str(certificate))
    base_url = f"https://localhost:{settings.web_port}"
    with web_process(settings) as process, httpx2.Client(base_url=base_url, verify=trust, trust_env=False) as client:
        until(lambda: answers(client, process))
        assert client.get("/").headers["strict-transport-security"].startswith("max-age=")
        same = {"X-Telerehab": "1", "Origin": base_url}
        assert client.post("/api/logout", headers=same).status_code == 204
        plain = {"X-Telerehab": "1", "Origin": base_url.replace("https", "http")}
        assert client.post("/api/logout", headers=plain).status_code == 403
        process.send_signal(signal.SIGINT)
        _, log = process.communicate(timeout=10)
    assert process.returncode == 0, log


@pytest.mark.anyio
async def test_changes_are_told_at_the_broker_and_a_dead_one_fails_nobody(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path, mqtt_port=free_port())
    migrate.upgrade(settings)
    database = open_database(settings)
    clock = SystemClock()
    change = Change(table="training_session", id=uuid.uuid4(), version=3)
    changes = BrokerChanges(settings, clock=clock)
    running = asyncio.create_task(changes.run())
    changes.announce(change)  # nobody is there: nothing happens
    assert not changes.is_connected
    broker = EmbeddedBroker("127.0.0.1", settings.mqtt_port, credentials=SqlCredentials(database.main, settings))
    await broker.start()
    listener = BrokerClient(
        "127.0.0.1",
        settings.mqtt_port,
        username="jobs",
        password=settings.mqtt_password("jobs"),
        subscriptions=["app/1/changed/#"],
    )
    listener.start()
    try:
        await _until(lambda: changes.is_connected and listener.is_subscribed)
        heard: list[Raw] = []

        def is_heard() -> bool:
            changes.announce(change)
            heard.extend(raw for raw in listener.take() if raw.topic == "app/1/changed/training_session")
            return bool(heard)

        await _until(is_heard)
        assert json.loads(heard[0].payload) == {"id": str(change.id), "version": 3}
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for client in (listener, changes):
            await asyncio.to_thread(client.close)
        await broker.stop()
        database.close()


async def _until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        await asyncio.sleep(0.05)
