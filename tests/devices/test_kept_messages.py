"""Quality of service 1 from the broker to us: it keeps a message until we say that it is committed, and no longer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest

from devices import broker_client
from devices.broker_client import BrokerClient
from devices.ports import Raw, Token
from tests.devices.broker_fixtures import (
    ACCOUNTS,
    MemoryCredentials,
    ask_and_wait,
    password_of,
    receive,
    serving_broker,
    until,
)
from tests.devices.mosquitto_fixtures import Mosquitto, rendered_mosquitto

TOPIC = "rt/1/00/band-1/imu"
Reader = Literal["fast", "stock"]
WAYS = pytest.mark.parametrize(("reader", "version"), [("fast", 5), ("stock", 5), ("fast", 4), ("stock", 4)])


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with rendered_mosquitto(tmp_path_factory.mktemp("mosquitto"), is_encrypted=False) as running:
        yield running


@contextmanager
def following(
    port: int,
    client_id: str,
    *,
    reader: Reader = "fast",
    version: int = 5,
    expiry_s: int | None = 60,
) -> Iterator[BrokerClient]:
    """Connect as ingest does, and give up at the end what the broker has kept."""
    client = BrokerClient(
        "127.0.0.1",
        port,
        username="ingest",
        password=password_of("ingest"),
        client_id=client_id,
        kept_subscriptions=("rt/1/#",),
        session_expiry_s=expiry_s,
        protocol_version=5 if version == 5 else 4,
        reader=reader,
    )
    client.start()
    try:
        until(lambda: client.is_subscribed)
        assert client.reader == reader
        yield client
    finally:
        client.close()


@contextmanager
def band(port: int) -> Iterator[BrokerClient]:
    assert ACCOUNTS["band-1"] == "device"
    client = BrokerClient("127.0.0.1", port, username="band-1", password=password_of("band-1"), has_echo=False)
    client.start()
    try:
        until(lambda: client.is_connected)
        yield client
    finally:
        client.close()


def tokens_of(raws: list[Raw]) -> list[Token]:
    return [raw.token for raw in raws if raw.token is not None]


def payloads_of(raws: list[Raw]) -> list[bytes]:
    return [raw.payload for raw in raws]


def come_back(client: BrokerClient) -> None:
    """Lose the connection and get another one, after the broker has taken what was sent on the old one."""
    ask_and_wait(client)
    client.redeliver()
    until(lambda: client.is_subscribed)


@pytest.mark.mosquitto
@WAYS
def test_what_was_not_committed_comes_again_and_what_was_does_not(
    broker: Mosquitto, reader: Reader, version: int
) -> None:
    with (
        following(broker.plan.role_port, f"a-{reader}-{version}", reader=reader, version=version) as ingest,
        band(broker.plan.device_port) as device,
    ):
        for number in range(6):
            device.publish(TOPIC, b"%d" % number, qos=1)
        first = receive(ingest, 6)
        assert payloads_of(first) == [b"%d" % number for number in range(6)]
        ingest.commit(tokens_of(first)[:4])
        come_back(ingest)
        again = receive(ingest, 2)
        assert payloads_of(again) == [b"4", b"5"]
        ingest.commit(tokens_of(first))  # of an earlier connection: void
        come_back(ingest)
        once_more = receive(ingest, 2)
        assert payloads_of(once_more) == [b"4", b"5"]
        ingest.commit(tokens_of(once_more))
        come_back(ingest)
        device.publish(TOPIC, b"new", qos=1)
        last = receive(ingest)
        assert payloads_of(last) == [b"new"]
        ingest.commit(tokens_of(last))


@pytest.mark.mosquitto
@pytest.mark.parametrize("reader", ["fast", "stock"])
def test_what_is_published_with_quality_of_service_0_costs_no_acknowledgement(
    broker: Mosquitto, reader: Reader
) -> None:
    with (
        following(broker.plan.role_port, f"b-{reader}", reader=reader) as ingest,
        band(broker.plan.device_port) as device,
    ):
        device.publish(TOPIC, b"live")
        assert [(raw.payload, raw.token) for raw in receive(ingest)] == [(b"live", None)]


@pytest.mark.mosquitto
def test_many_may_wait_for_their_commit_at_once(broker: Mosquitto) -> None:
    """Mosquitto's own bound of 20 would be 200 messages a second; ours is the 65,535 packet ids."""
    count = 3_000
    with following(broker.plan.role_port, "c") as ingest, band(broker.plan.device_port) as device:
        sent = 0
        taken: list[Raw] = []
        while len(taken) < count:
            while sent < min(count, len(taken) + 500) and device.publish(TOPIC, b"%d" % sent, qos=1):
                sent += 1
            taken += receive(ingest, 1)
        assert payloads_of(taken) == [b"%d" % number for number in range(count)]
        assert len(set(tokens_of(taken))) == count
        ingest.commit(tokens_of(taken))
        come_back(ingest)
        device.publish(TOPIC, b"last", qos=1)
        last = receive(ingest)
        assert payloads_of(last) == [b"last"]
        ingest.commit(tokens_of(last))


@pytest.mark.mosquitto
def test_what_had_no_room_is_asked_for_again(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "MAX_INBOX_MESSAGES", 3)
    monkeypatch.setattr(broker_client, "PAUSE_MAX_S", 0.0)
    with following(broker.plan.role_port, "d") as ingest, band(broker.plan.device_port) as device:
        for number in range(5):
            device.publish(TOPIC, b"%d" % number, qos=1)
        until(lambda: ingest.dropped_count == 2)
        assert ingest.owes_redelivery
        taken = receive(ingest, 3)
        ingest.commit(tokens_of(taken))
        come_back(ingest)
        assert not ingest.owes_redelivery
        again = receive(ingest, 2)
        assert payloads_of(again) == [b"3", b"4"]
        ingest.commit(tokens_of(again))


@pytest.mark.mosquitto
def test_without_a_session_the_broker_forgets_with_the_connection(broker: Mosquitto) -> None:
    with band(broker.plan.device_port) as device:
        with following(broker.plan.role_port, "e", expiry_s=None) as ingest:
            device.publish(TOPIC, b"lost", qos=1)
            lost = receive(ingest)
            ingest.redeliver()
            assert ingest.redelivered_count == 0, "there would be nothing"
        with following(broker.plan.role_port, "e", expiry_s=None) as ingest:
            device.publish(TOPIC, b"kept", qos=1)
            ingest.commit(tokens_of(lost))
            kept = receive(ingest)
            assert payloads_of(kept) == [b"kept"]
            ingest.commit(tokens_of(kept))


@pytest.mark.mosquitto
def test_what_comes_while_nobody_is_there_is_kept_too(broker: Mosquitto, tmp_path: Path) -> None:
    with band(broker.plan.device_port) as device:
        with following(broker.plan.role_port, "f"):
            pass
        for number in range(3):
            device.publish(TOPIC, b"live")
            device.publish(TOPIC, b"%d" % number, qos=1)
        until(lambda: not device._client._out_messages)  # the broker has acknowledged them before we come
        with following(broker.plan.role_port, "f") as ingest:
            taken = receive(ingest, 3)
            assert payloads_of(taken) == [b"0", b"1", b"2"]
            ingest.commit(tokens_of(taken))


@pytest.mark.parametrize("reader", ["fast", "stock"])
def test_the_embedded_broker_takes_acknowledgements_as_well(reader: Reader) -> None:
    with (
        serving_broker(MemoryCredentials()) as (broker, _),
        following(broker.port, "ingest-1", reader=reader, version=4, expiry_s=None) as ingest,
        band(broker.port) as device,
    ):
        for number in range(10):
            device.publish(TOPIC, b"%d" % number, qos=1)
        taken = receive(ingest, 10)
        assert payloads_of(taken) == [b"%d" % number for number in range(10)]
        assert broker._broker is not None
        (in_flight,) = [
            session.inflight_out for session, _ in broker._broker._sessions.values() if session.username == "ingest"
        ]
        assert len(in_flight) == 10
        ingest.commit(tokens_of(taken))
        until(lambda: not in_flight)
