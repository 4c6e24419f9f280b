"""Mosquitto's files as they must be, typed by hand, and what may not stand in them."""

from dataclasses import replace
from pathlib import PurePosixPath

import pytest

from devices.errors import BrokerFileError
from devices.mosquitto_files import MosquittoPlan, TlsFiles, render_files

CREDENTIAL = "$7$101$c2FsdHNhbHRzYWx0$aGFzaA=="
PLAN = MosquittoPlan(
    folder=PurePosixPath("/srv/broker files"),
    device_port=8883,
    role_port=1883,
    tls=TlsFiles(certificate=PurePosixPath("/srv/chain.pem"), key=PurePosixPath("/srv/key.pem")),
    run_as="telerehab",
)
SETTINGS = """\
per_listener_settings true
user telerehab
pid_file /srv/broker files/mosquitto.pid
persistence false
persistent_client_expiration 1d
max_inflight_messages 0
max_queued_messages 100000
max_queued_bytes 268435456
max_packet_size 65792
set_tcp_nodelay true
connection_messages false
log_dest stderr

listener 8883
use_username_as_clientid true
allow_anonymous false
password_file /srv/broker files/devices.passwords
acl_file /srv/broker files/devices.acl
certfile /srv/chain.pem
keyfile /srv/key.pem
tls_version tlsv1.2

listener 1883 127.0.0.1
allow_anonymous false
password_file /srv/broker files/roles.passwords
acl_file /srv/broker files/roles.acl
"""
DEVICE_ACCESS = """\
pattern readwrite clk/1/%u
pattern read ack/1/%u
pattern read cmd/1/%u/#
pattern write rt/1/+/%u/+
pattern write bf/1/+/%u/+
pattern write dev/1/%u/meta
pattern write dev/1/%u/state
"""
ROLE_ACCESS = """\
user ingest
topic read rt/1/#
topic read bf/1/#
topic read dev/1/#
topic readwrite clk/1/#
topic read app/1/changed/#
topic write ack/1/#
topic write cmd/1/#
topic write live/1/#
topic write app/1/changed/alert
topic write app/1/changed/device_started
user web
topic read live/1/#
topic read evt/1/#
topic readwrite app/1/changed/#
topic readwrite dev/1/#
topic readwrite cmd/1/#
topic readwrite clk/1/#
topic read ack/1/#
topic write rt/1/#
topic write bf/1/#
user media
topic readwrite app/1/changed/#
topic write evt/1/#
user jobs
topic readwrite app/1/changed/#
pattern readwrite app/1/echo/%c
"""


def render(plan: MosquittoPlan = PLAN, **credentials: str) -> dict[str, str]:
    return render_files(plan, device_credentials=credentials, role_credentials={"ingest": CREDENTIAL})


def test_the_files_are_these() -> None:
    assert render(b2=CREDENTIAL, b1=CREDENTIAL) == {
        "mosquitto.conf": SETTINGS,
        "devices.passwords": f"b1:{CREDENTIAL}\nb2:{CREDENTIAL}\n",
        "devices.acl": DEVICE_ACCESS,
        "roles.passwords": f"ingest:{CREDENTIAL}\n",
        "roles.acl": ROLE_ACCESS,
    }


def test_without_tls_and_account_their_lines_are_not_there() -> None:
    lines = render(replace(PLAN, tls=None, run_as=None, device_address="::1"))["mosquitto.conf"].splitlines()
    assert "listener 8883 ::1" in lines
    assert not any(line.startswith(("certfile", "keyfile", "tls", "user ")) for line in lines)


@pytest.mark.parametrize("name", ["", "Band", "band/1", "+", "#", "a:b", "a\nb", "ingest", "x" * 65])
def test_a_name_that_is_none_of_a_device_is_refused(name: str) -> None:
    with pytest.raises(BrokerFileError, match="no name for a device"):
        render_files(PLAN, device_credentials={name: CREDENTIAL}, role_credentials={})


def test_a_role_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(BrokerFileError, match="no role of ours"):
        render_files(PLAN, device_credentials={}, role_credentials={"root": CREDENTIAL})


@pytest.mark.parametrize("credential", ["", "plain", "$6$a$b", f"{CREDENTIAL}\nroot:x", f"{CREDENTIAL} "])
def test_a_credential_in_another_form_is_refused_and_not_repeated(credential: str) -> None:
    with pytest.raises(BrokerFileError) as refusal:
        render(band=credential)
    assert str(refusal.value) == "the credential of band is none that Mosquitto reads"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"folder": PurePosixPath("here")}, "no absolute path"),
        ({"folder": PurePosixPath("/a\nlistener 1")}, "no absolute path"),
        ({"tls": TlsFiles(certificate=PurePosixPath("/c "), key=PurePosixPath("/k"))}, "no absolute path"),
        ({"device_address": "everywhere"}, "no address"),
        ({"device_address": "127.0.0.1 listener"}, "no address"),
        ({"role_address": "10.0.0.1"}, "our own roles are served on the loopback only"),
        ({"tls": None}, "without TLS on the loopback only"),
        ({"tls": None, "device_address": "0.0.0.0"}, "without TLS on the loopback only"),
        ({"device_port": 0}, "no port"),
        ({"role_port": 70_000}, "no port"),
        ({"role_port": 8883}, "different ports"),
        ({"run_as": "root\nallow_anonymous true"}, "no account"),
    ],
)
def test_what_would_open_another_door_is_refused(change: dict[str, object], why: str) -> None:
    with pytest.raises(BrokerFileError, match=why):
        render(replace(PLAN, **change))  # type: ignore[arg-type]
