"""The same connection against Mosquitto, with the access rules of `docs/protocol.md` section 2."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.devices.broker_fixtures import ACCOUNTS, connected, password_of, receive, until

pytestmark = pytest.mark.mosquitto

ACL = """
user ingest
topic read rt/1/#
topic read bf/1/#
topic read dev/1/#
topic readwrite clk/1/#
topic write ack/1/#
topic write cmd/1/#
topic write live/1/#
topic read app/1/changed/#
topic write app/1/changed/alert
topic write app/1/changed/device_started
user web
topic read live/1/#
topic read evt/1/#
topic readwrite app/1/changed/#
topic readwrite dev/1/#
topic readwrite cmd/1/#
topic write rt/1/#
topic write bf/1/#
topic readwrite clk/1/#
topic read ack/1/#
user media
topic write evt/1/#
topic readwrite app/1/changed/#
user jobs
topic readwrite app/1/changed/#
pattern write rt/1/+/%u/+
pattern write bf/1/+/%u/+
pattern write dev/1/%u/+
pattern readwrite clk/1/%u
pattern read ack/1/%u
pattern read cmd/1/%u/#
pattern readwrite app/1/echo/%c
"""


def find(name: str) -> str:
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/bin") or name


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder = tmp_path_factory.mktemp("mosquitto")
    passwords = folder / "passwords"
    passwords.write_text("".join(f"{name}:{password_of(name)}\n" for name in ACCOUNTS))
    passwords.chmod(0o600)
    subprocess.run([find("mosquitto_passwd"), "-U", str(passwords)], check=True, capture_output=True)
    (folder / "acl").write_text(ACL)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    settings = folder / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {passwords}\nacl_file {folder / 'acl'}\n"
        "persistence false\nmax_packet_size 65536\nset_tcp_nodelay true\n" + _user()
    )
    process = subprocess.Popen([find("mosquitto"), "-c", str(settings)], stderr=subprocess.DEVNULL)
    try:
        until(lambda: _answers(port), within_s=10)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _user() -> str:
    """Keep root's rights: the files lie in a folder of ours."""
    return "user root\n" if Path("/root").owner() == "root" else ""


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("protocol_version", [4, 5])
def test_a_device_reaches_the_intake_and_the_intake_the_device(port: int, protocol_version: int) -> None:
    with (
        connected(port, "ingest", "rt/1/#", "dev/1/#", protocol_version=protocol_version) as ingest,
        connected(port, "band-1", "ack/1/band-1", "cmd/1/band-1/#", protocol_version=protocol_version) as band,
    ):
        band.publish("dev/1/band-1/state", b"{}", qos=1)
        band.publish("rt/1/00/band-2/imu", b"forged")
        band.publish("rt/1/00/band-1/imu", b"own", qos=1)
        assert {raw.payload for raw in receive(ingest, 2)} == {b"{}", b"own"}
        ingest.publish("ack/1/band-2", b"foreign")
        ingest.publish("ack/1/band-1", b"[]")
        assert [raw.payload for raw in receive(band)] == [b"[]"]


@pytest.mark.parametrize("protocol_version", [4, 5])
def test_a_quiet_house_is_told_from_a_deaf_connection(port: int, protocol_version: int) -> None:
    with connected(port, "jobs", "app/1/changed/#", protocol_version=protocol_version) as jobs:
        until(lambda: jobs._has_heard_itself, tend=jobs)
        heard_ns = jobs.last_progress_ns
        until(lambda: jobs.last_progress_ns > heard_ns, tend=jobs)
        assert (jobs.resubscribed_count, jobs.replaced_count) == (0, 0)


def test_an_oversize_message_ends_its_senders_connection_only(port: int) -> None:
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        with connected(port, "band-2") as rude:
            rude.publish("rt/1/00/band-2/imu", bytes(70_000))
            until(lambda: not rude.is_connected)
        band.publish("rt/1/00/band-1/imu", b"good")
        assert [raw.payload for raw in receive(ingest)] == [b"good"]
