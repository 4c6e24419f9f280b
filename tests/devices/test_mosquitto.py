"""The same rules on Debian's mosquitto with the files that we render: devices over TLS, roles on the loopback."""

import ssl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from devices.broker_access import is_allowed
from devices.broker_client import BrokerClient
from devices.mosquitto_files import MAX_PACKET_BYTES
from devices.wire import MAX_FRAME_BYTES
from tests.devices.access_tables import WRITERS
from tests.devices.broker_fixtures import ACCOUNTS, ask_and_wait, connected, password_of, receive, until
from tests.devices.mosquitto_fixtures import Mosquitto, rendered_mosquitto

pytestmark = pytest.mark.mosquitto

OF_SOMEBODY = [topic for topic, writers in WRITERS.items() if writers]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with rendered_mosquitto(tmp_path_factory.mktemp("mosquitto"), is_encrypted=True) as running:
        yield running


@contextmanager
def logged_in(broker: Mosquitto, username: str, *subscriptions: str, **options: Any) -> Iterator[BrokerClient]:
    port, tls = broker.port_for(username), broker.tls_for(username)
    with connected(port, username, *subscriptions, tls=tls, **options) as client:
        yield client


@pytest.mark.parametrize("protocol_version", [4, 5])
def test_a_device_reaches_the_intake_and_the_intake_the_device(broker: Mosquitto, protocol_version: int) -> None:
    with (
        logged_in(broker, "ingest", "rt/1/#", "dev/1/#", protocol_version=protocol_version) as ingest,
        logged_in(broker, "band-1", "ack/1/band-1", "cmd/1/band-1/#", protocol_version=protocol_version) as band,
    ):
        band.publish("dev/1/band-1/state", b"{}", qos=1)
        band.publish("rt/1/00/band-2/imu", b"forged")
        band.publish("rt/1/00/band-1/imu", b"own", qos=1)
        assert {raw.payload for raw in receive(ingest, 2)} == {b"{}", b"own"}
        ingest.publish("ack/1/band-2", b"foreign")
        ingest.publish("ack/1/band-1", b"[]")
        assert [raw.payload for raw in receive(band)] == [b"[]"]


@pytest.mark.parametrize("protocol_version", [4, 5])
def test_a_quiet_house_is_told_from_a_deaf_connection(broker: Mosquitto, protocol_version: int) -> None:
    with logged_in(broker, "jobs", "app/1/changed/#", protocol_version=protocol_version) as jobs:
        until(lambda: jobs._has_heard_itself, tend=jobs)
        heard_ns = jobs.last_progress_ns
        until(lambda: jobs.last_progress_ns > heard_ns, tend=jobs)
        assert (jobs.resubscribed_count, jobs.replaced_count) == (0, 0)


@pytest.mark.parametrize("username", ACCOUNTS)
def test_each_account_may_write_its_topics_and_no_other(broker: Mosquitto, username: str) -> None:
    answers = publish_to_each(broker, username, [topic for topic in WRITERS if not topic.startswith("$")])
    written = {topic for topic, answer in answers.items() if answer != "Not authorized"}
    assert written == {topic for topic, writers in WRITERS.items() if username in writers}


def test_each_account_hears_its_topics_and_no_other_whatever_it_subscribes_to(broker: Mosquitto) -> None:
    with ExitStack() as stack:
        clients = {
            name: stack.enter_context(logged_in(broker, name, "#", "$SYS/#", client_id=f"id-{name}"))
            for name in ACCOUNTS
        }
        for topic in OF_SOMEBODY:
            writer = min(WRITERS[topic])
            clients[writer].publish(topic.replace("mine", f"id-{writer}"), topic.encode())
        for client in clients.values():
            ask_and_wait(client)  # whatever it has published is delivered
        for client in clients.values():
            ask_and_wait(client)  # whatever was delivered to it has come
        heard = {name: {raw.topic for raw in client.take()} for name, client in clients.items()}
    assert sum(map(len, heard.values())) > len(OF_SOMEBODY)
    for name, topics in heard.items():
        expected = {
            topic
            for topic in OF_SOMEBODY
            if not topic.startswith("app/1/echo/")
            and is_allowed(ACCOUNTS[name], topic, name=name, client_id=f"id-{name}", is_writing=False)
        }
        assert topics == expected


@pytest.mark.parametrize("protocol_version", [4, 5])
@pytest.mark.parametrize("stolen_id", ["ingest-1", "band-2"])
def test_nobody_is_pushed_out_by_a_device_with_their_client_id(
    broker: Mosquitto, stolen_id: str, protocol_version: int
) -> None:
    with (
        logged_in(broker, "ingest", "rt/1/#", client_id="ingest-1") as ingest,
        logged_in(broker, "band-2", client_id="band-2") as other,
    ):
        connections = ingest._generation, other._generation
        with logged_in(broker, "band-1", client_id=stolen_id, protocol_version=protocol_version) as thief:
            thief.publish("rt/1/00/band-2/imu", b"forged", qos=1)
            thief.publish("rt/1/00/band-1/imu", b"first", qos=1)
            other.publish("rt/1/00/band-2/imu", b"second", qos=1)
            assert {raw.payload for raw in receive(ingest, 2)} == {b"first", b"second"}
        other.publish("rt/1/00/band-2/imu", b"third")
        assert [raw.payload for raw in receive(ingest)] == [b"third"]
        assert (ingest._generation, other._generation) == connections, "nobody had to connect again"


@pytest.mark.parametrize("username", ACCOUNTS)
def test_an_account_cannot_log_in_at_the_listener_of_the_others(broker: Mosquitto, username: str) -> None:
    is_device = ACCOUNTS[username] == "device"
    port = broker.plan.role_port if is_device else broker.plan.device_port
    assert login_answer(port, username, password_of(username), tls=None if is_device else broker.tls) == (
        "Not authorized"
    )


@pytest.mark.parametrize(("username", "password"), [("band-1", "wrong"), ("band-9", "9-dnab"), ("band-1", "")])
def test_a_wrong_password_and_an_unknown_device_are_refused(broker: Mosquitto, username: str, password: str) -> None:
    assert login_answer(broker.plan.device_port, username, password, tls=broker.tls) == "Not authorized"


def test_nobody_comes_in_without_an_account(broker: Mosquitto) -> None:
    assert login_answer(broker.plan.device_port, None, None, tls=broker.tls) == "Not authorized"
    assert login_answer(broker.plan.role_port, None, None, tls=None) == "Not authorized"


def test_a_device_that_does_not_encrypt_gets_no_answer(broker: Mosquitto) -> None:
    assert login_answer(broker.plan.device_port, "band-1", password_of("band-1"), tls=None) == "Unspecified error"


@pytest.mark.parametrize("protocol_version", [4, 5])
def test_the_longest_frame_passes_and_an_oversize_message_ends_its_senders_connection_only(
    broker: Mosquitto, protocol_version: int
) -> None:
    longest_name = "rt/1/00/band-2/sixteen-letters-"
    with logged_in(broker, "ingest", "rt/1/#") as ingest, logged_in(broker, "band-1") as band:
        with logged_in(broker, "band-2", protocol_version=protocol_version) as rude:
            rude.publish(longest_name, bytes(MAX_FRAME_BYTES))
            assert len(receive(ingest)[0].payload) == MAX_FRAME_BYTES
            rude.publish(longest_name, bytes(MAX_PACKET_BYTES))
            until(lambda: not rude.is_connected)
        band.publish("rt/1/00/band-1/imu", b"good")
        assert [raw.payload for raw in receive(ingest)] == [b"good"]


@pytest.mark.parametrize("protocol_version", [4, 5])
def test_the_fast_reader_reads_the_same_through_tls(broker: Mosquitto, protocol_version: int) -> None:
    """Records of TLS end anywhere in a packet; 4 MiB in all, while the device answers in between."""
    made = [bytes([number % 256]) * (number * 997 % 60_000) for number in range(140)]
    with (
        logged_in(broker, "ingest", "rt/1/#") as ingest,
        logged_in(broker, "band-1", "cmd/1/band-1/#", protocol_version=protocol_version, reader="fast") as band,
    ):
        assert band.reader == "fast"
        for payload in made:
            ingest.publish("cmd/1/band-1/firmware", payload, qos=1)
            band.publish("rt/1/00/band-1/imu", b"", qos=1)
        assert [raw.payload for raw in receive(band, len(made), within_s=30)] == made
        assert len(receive(ingest, len(made), within_s=30)) == len(made)
        assert (band.replaced_count, band.thread_restart_count) == (0, 0)


def publish_to_each(broker: Mosquitto, username: str, topics: list[str]) -> dict[str, str]:
    """Publish once on each topic with MQTT 5, whose answers say whether it was allowed."""
    answers: dict[int, str] = {}
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="mine", protocol=paho.MQTTv5)
    client.username_pw_set(username, password_of(username))
    if (tls := broker.tls_for(username)) is not None:
        client.tls_set_context(tls)
    client.on_publish = lambda _client, _data, mid, reason, _properties: answers.update({mid: str(reason)})
    client.connect("127.0.0.1", broker.port_for(username))
    client.loop_start()
    try:
        until(client.is_connected)
        topic_of = {client.publish(topic, b"?", qos=1).mid: topic for topic in topics}
        until(lambda: len(answers) == len(topics))
    finally:
        client.disconnect()
        client.loop_stop()
    return {topic_of[mid]: answer for mid, answer in answers.items()}


def login_answer(port: int, username: str | None, password: str | None, *, tls: ssl.SSLContext | None) -> str:
    """Return what the broker says to a login."""
    answers: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id="somebody")
    if username is not None:
        client.username_pw_set(username, password)
    if tls is not None:
        client.tls_set_context(tls)
    client.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(str(reason))
    client.on_disconnect = lambda _client, _data, _flags, reason, _properties: answers.append(str(reason))
    client.connect("127.0.0.1", port)
    client.loop_start()
    try:
        until(lambda: answers)
    finally:
        client.disconnect()
        client.loop_stop()
    return answers[0]
