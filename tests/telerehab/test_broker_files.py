"""From the table of devices to a running Mosquitto: made, revoked, renewed; and what stands in the way, by name."""

import getpass
import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import Session, select
from typer.testing import CliRunner, Result

from devices import broker_client
from devices.broker_client import BrokerClient
from devices.mosquitto_files import LOOPBACK, MosquittoPlan
from telerehab.auth.device_credentials import hash_device_password, new_device_password
from telerehab.broker_files import MosquittoFiles, tell_mosquitto, write_files
from telerehab.cli.__main__ import app
from telerehab.cli.broker import WATCH_INTERVAL_S
from telerehab.db import provisioning
from telerehab.db.engine import Database, open_database, writing
from telerehab.db.migrate import upgrade
from telerehab.db.tables import Device, Organisation
from telerehab.demo.certificates import make_certificates
from telerehab.errors import BrokerFolderError
from telerehab.settings import Settings
from tests.devices.broker_fixtures import receive, until
from tests.devices.mosquitto_fixtures import free_port, running_mosquitto

PLAIN = ("--no-tls",)
Keeper = Callable[[Settings, MosquittoPlan], AbstractContextManager[Callable[[Database], object]]]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(data_dir=tmp_path / "data", mqtt_port=free_port())
    upgrade(made)
    return made


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    opened = open_database(settings)
    yield opened
    opened.close()


def add_device(database: Database, name: str) -> str:
    with writing(database.main, owner="web") as db:
        known = db.exec(select(Organisation)).first() or provisioning.create_organisation(db, name="clinic")
        made = provisioning.create_device(db, organisation_id=known.id, name=name, kind="imu6")
    return made.password


def revoke(db: Session, name: str) -> None:
    device = db.get_one(Device, name)
    device.revoked_at = datetime.now(UTC)
    db.add(device)


def renew(db: Session, name: str) -> str:
    device, password = db.get_one(Device, name), new_device_password()
    device.credential_hash = hash_device_password(password)
    db.add(device)
    return password


def rendered(settings: Settings, folder: Path, *arguments: str) -> Result:
    command = ["broker", "render", "--out", str(folder), *arguments]
    return CliRunner().invoke(app, command, env=settings.as_environment())


@contextmanager
def logged_in(port: int, username: str, password: str, *subscriptions: str) -> Iterator[BrokerClient]:
    client = BrokerClient(
        LOOPBACK, port, username=username, password=password, subscriptions=subscriptions, has_echo=False
    )
    client.start()
    try:
        until(lambda: client.is_subscribed if subscriptions else client.is_connected)
        yield client
    finally:
        client.close()


@contextmanager
def kept_by_hand(settings: Settings, plan: MosquittoPlan) -> Iterator[Callable[[Database], object]]:
    """Give what the command does every two seconds."""
    files = MosquittoFiles(settings, plan)
    yield files.keep


@contextmanager
def kept_by_the_command(settings: Settings, plan: MosquittoPlan) -> Iterator[Callable[[Database], object]]:
    """Run `telerehab broker watch`; there is nothing left to do."""
    arguments = ["broker", "watch", "--out", str(plan.folder), "--device-port", str(plan.device_port), *PLAIN]
    process = subprocess.Popen(
        [sys.executable, "-m", "telerehab", *arguments],
        env={**os.environ, **settings.as_environment()},
        stderr=subprocess.DEVNULL,
    )
    try:
        until(lambda: (Path(plan.folder) / "mosquitto.conf").exists(), within_s=30)
        yield lambda _: None
    finally:
        process.terminate()
        assert process.wait(15) == 0


@pytest.mark.mosquitto
@pytest.mark.parametrize(
    "kept", [kept_by_hand, pytest.param(kept_by_the_command, marks=pytest.mark.long)], ids=lambda kept: kept.__name__
)
def test_a_device_comes_in_is_renewed_and_is_revoked_while_mosquitto_and_its_neighbour_go_on(
    settings: Settings, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Keeper
) -> None:
    monkeypatch.setattr(broker_client, "RECONNECT_MIN_S", 0.1)
    monkeypatch.setattr(broker_client, "RECONNECT_MAX_S", 0.1)
    plan = MosquittoPlan(
        folder=tmp_path / "mosquitto",
        device_port=free_port(),
        role_port=settings.mqtt_port,
        tls=None,
        device_address=LOOPBACK,
        run_as=getpass.getuser(),
    )
    neighbour_password = add_device(database, "neighbour")
    ingest_password = settings.mqtt_password("ingest")
    with kept(settings, plan) as keep, ExitStack() as stack:
        keep(database)
        stack.enter_context(running_mosquitto(plan))
        neighbour = stack.enter_context(logged_in(plan.device_port, "neighbour", neighbour_password))
        ingest = stack.enter_context(logged_in(plan.role_port, "ingest", ingest_password, "rt/1/#"))
        password = add_device(database, "band")
        keep(database)
        client = BrokerClient(LOOPBACK, plan.device_port, username="band", password=password, has_echo=False)
        client.start()  # goes on trying until it is let in
        until(lambda: client.is_connected, within_s=20)
        client.publish("rt/1/00/band/imu", b"own")
        assert [raw.payload for raw in receive(ingest)] == [b"own"]

        with writing(database.main, owner="web") as db:
            password = renew(db, "band")
        keep(database)
        until(lambda: not client.is_connected, within_s=20)
        until(lambda: client.last_refusal == "Not authorized", within_s=20)
        client.close()

        with logged_in(plan.device_port, "band", password) as renewed:
            with writing(database.main, owner="web") as db:
                revoke(db, "band")
            keep(database)
            until(lambda: not renewed.is_connected, within_s=20)
            until(lambda: renewed.last_refusal == "Not authorized", within_s=20)
        neighbour.publish("rt/1/00/neighbour/imu", b"on")
        assert [raw.payload for raw in receive(ingest)] == [b"on"]
        assert neighbour.is_connected
        assert neighbour.last_refusal is None
    assert WATCH_INTERVAL_S <= 2.5, "5 seconds are allowed in all"


@pytest.mark.mosquitto
def test_the_command_renders_what_mosquitto_takes_with_a_certificate(
    settings: Settings, database: Database, tmp_path: Path
) -> None:
    certificates = make_certificates(tmp_path, hosts=[LOOPBACK], now=datetime.now(UTC))
    folder, port = tmp_path / "out", free_port()
    add_device(database, "band")
    arguments = ["--tls-cert", str(certificates.certificate), "--tls-key", str(certificates.key)]
    arguments += ["--device-port", str(port), "--json"]
    first = rendered(settings, folder, *arguments)
    assert first.exit_code == 0, first.stderr
    said = json.loads(first.stdout)
    assert (said["devices"], said["device_port"], said["has_tls"], len(said["changed"])) == (1, port, True, 5)
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    plan = MosquittoPlan(folder=folder, device_port=port, role_port=settings.mqtt_port, tls=None)
    with (
        running_mosquitto(plan),
        logged_in(plan.role_port, "ingest", settings.mqtt_password("ingest")),
        logged_in(plan.role_port, "web", settings.mqtt_password("web")),
    ):
        pass
    again = rendered(settings, folder, *arguments)
    assert json.loads(again.stdout)["changed"] == [], "the same accounts give the same files"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "Devices need TLS"),
        (["--no-tls", "--tls-cert", "x.pem"], 2, "exclude each other"),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], 2, "missing.pem cannot be read"),
        (["--no-tls", "--device-address", "0.0.0.0"], 2, "without TLS on the loopback only"),
        (["--no-tls", "--device-address", "nowhere"], 2, "no address to listen on"),
        (["--no-tls", "--run-as", "a b"], 2, "no account of this machine"),
    ],
)
def test_what_cannot_be_rendered_is_one_plain_sentence(
    settings: Settings, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    result = rendered(settings, tmp_path / "out", *arguments)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(BrokerFolderError, match="cannot be used"):
        write_files(tmp_path / "file" / "below", {"a": "b"})
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(BrokerFolderError, match="Everybody may write"):
        write_files(tmp_path / "open", {"a": "b"})


def test_a_file_that_others_may_read_is_written_anew(tmp_path: Path) -> None:
    assert write_files(tmp_path / "out", {"a": "text"}) == ("a",)
    assert write_files(tmp_path / "out", {"a": "text"}) == ()
    (tmp_path / "out" / "a").chmod(0o644)
    assert write_files(tmp_path / "out", {"a": "text"}) == ("a",)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a"]


def test_only_a_mosquitto_is_told(tmp_path: Path) -> None:
    pid_file = tmp_path / "mosquitto.pid"
    assert not tell_mosquitto(pid_file)
    for content in ("", "no number", "999999999", str(os.getpid())):
        pid_file.write_text(content)
        assert not tell_mosquitto(pid_file), "SIGHUP would have ended this process"
