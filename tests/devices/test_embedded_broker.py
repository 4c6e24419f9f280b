"""Who may do what at the broker: the whole table as a rule, and the sharp corners on real sockets."""

import asyncio
import socket

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from devices.broker_access import is_allowed
from devices.embedded_broker import EmbeddedBroker
from devices.errors import BrokerUnavailableError
from devices.wire import MAX_FRAME_BYTES
from tests.devices.access_tables import READERS, WRITERS
from tests.devices.broker_fixtures import (
    ACCOUNTS,
    MemoryCredentials,
    connected,
    password_of,
    receive,
    serving_broker,
    until,
)


@pytest.mark.parametrize(("topic", "writers"), WRITERS.items())
def test_only_these_may_write(topic: str, writers: set[str]) -> None:
    allowed = {
        name for name in ACCOUNTS if is_allowed(ACCOUNTS[name], topic, name=name, client_id="mine", is_writing=True)
    }
    assert allowed == writers


@pytest.mark.parametrize(("topic", "readers"), READERS.items())
def test_only_these_may_read(topic: str, readers: set[str]) -> None:
    allowed = {
        name for name in ACCOUNTS if is_allowed(ACCOUNTS[name], topic, name=name, client_id="mine", is_writing=False)
    }
    assert allowed == readers


@pytest.mark.parametrize("name", ["+", "#", "band-1/x", "", "Band"])
def test_a_device_whose_name_would_open_another_subtree_may_do_nothing(name: str) -> None:
    for topic in ("rt/1/00/band-1/imu", "clk/1/band-1", f"clk/1/{name}"):
        assert not is_allowed("device", topic, name=name, client_id="", is_writing=True)


def test_a_device_reaches_only_its_own_subtree(port: int) -> None:
    with (
        connected(port, "ingest", "rt/1/#", "bf/1/#", "dev/1/#", "clk/1/#") as ingest,
        connected(port, "web", "live/1/#", "ack/1/#", "cmd/1/#") as web,
        connected(port, "band-1") as band,
    ):
        for topic in ("rt/1/00/band-2/imu", "dev/1/band-2/state", "clk/1/band-2", "ack/1/band-1", "ack/1/band-2"):
            band.publish(topic, b"forged")
        for topic in ("cmd/1/band-1/wipe", "cmd/1/band-2/wipe", "live/1/w", "app/1/changed/x", "evt/1/x"):
            band.publish(topic, b"forged")
        band.publish("rt/1/00/band-1/imu", b"own")
        assert [raw.payload for raw in receive(ingest)] == [b"own"]
        ingest.publish("ack/1/band-1", b"real")
        assert [raw.payload for raw in receive(web)] == [b"real"]


def test_a_device_hears_nothing_foreign_whatever_it_subscribes_to(port: int) -> None:
    with (
        connected(port, "ingest", "clk/1/#") as ingest,
        connected(port, "band-2", "#", "+/#", "rt/1/#", "ack/1/#", "cmd/1/+/#", "dev/1/#", "ack/1/band-2") as band,
        connected(port, "band-1") as other,
    ):
        other.publish("rt/1/00/band-1/imu", b"foreign")
        other.publish("dev/1/band-1/state", b"foreign", retain=True)
        ingest.publish("ack/1/band-1", b"foreign")
        ingest.publish("cmd/1/band-1/resend", b"foreign")
        ingest.publish("ack/1/band-2", b"own")
        assert [raw.payload for raw in receive(band)] == [b"own"]


def test_what_is_retained_reaches_those_who_may_read_it_and_no_one_else(port: int) -> None:
    with connected(port, "ingest", "dev/1/#") as ingest:
        with connected(port, "band-1") as band:
            band.publish("dev/1/band-1/meta", b"retained", qos=1, retain=True)
            receive(ingest)
        with connected(port, "band-2", "dev/1/#", "clk/1/band-2") as other, connected(port, "media", "#") as media:
            ingest.publish("clk/1/band-2", b"own")
            assert [raw.payload for raw in receive(other)] == [b"own"]
            assert media.take() == []
        with connected(port, "web", "dev/1/+/meta") as web:
            assert [raw.payload for raw in receive(web)] == [b"retained"]


@pytest.mark.parametrize(
    ("topic", "is_accepted"), [("dev/1/band-1/state", True), ("dev/1/band-2/state", False), ("live/1/w", False)]
)
def test_a_last_will_obeys_the_same_rules(port: int, topic: str, is_accepted: bool) -> None:
    answers: list[bool] = []
    device = paho.Client(CallbackAPIVersion.VERSION2, client_id="with-will")
    device.username_pw_set("band-1", password_of("band-1"))
    device.will_set(topic, b"gone", qos=1)
    device.on_connect = lambda _client, _data, _flags, reason, _properties: answers.append(not reason.is_failure)
    device.connect("127.0.0.1", port)
    device.loop_start()
    try:
        until(lambda: answers)
        assert answers[0] == is_accepted
    finally:
        device.disconnect()
        device.loop_stop()


def test_a_revoked_account_is_deaf_and_dumb_at_once_and_cannot_log_in_again(
    port: int, credentials: MemoryCredentials
) -> None:
    with (
        connected(port, "ingest", "rt/1/#") as ingest,
        connected(port, "band-1", "ack/1/band-1") as band,
        connected(port, "band-2", "ack/1/band-2") as other,
    ):
        credentials.revoked.add("band-2")
        try:
            other.publish("rt/1/00/band-2/imu", b"revoked")
            ingest.publish("ack/1/band-2", b"revoked")
            band.publish("rt/1/00/band-1/imu", b"good")
            ingest.publish("ack/1/band-1", b"good")
            assert [raw.payload for raw in receive(ingest)] == [b"good"]
            assert [raw.payload for raw in receive(band)] == [b"good"]
            assert other.take() == []
        finally:
            credentials.revoked.clear()


def test_an_account_that_is_void_loses_its_connection_and_the_others_keep_theirs() -> None:
    credentials = MemoryCredentials()
    with (
        serving_broker(credentials) as (broker, loop),
        connected(broker.port, "ingest", "rt/1/#", "dev/1/#") as ingest,
        connected(broker.port, "band-1") as band,
        connected(broker.port, "band-2") as other,
    ):
        credentials.revoked.add("band-2")
        loop.call_soon_threadsafe(broker.disconnect, {"band-2"})
        until(lambda: not other.is_connected)
        until(lambda: other.last_refusal is not None)
        assert band.is_connected
        band.publish("rt/1/00/band-1/imu", b"good")
        assert [raw.payload for raw in receive(ingest)] == [b"good"]


def test_clients_that_come_and_go_cost_the_others_no_message(port: int) -> None:
    made = [str(number).encode() for number in range(120)]
    with (
        connected(port, "ingest", "rt/1/#") as first,
        connected(port, "ingest", "rt/1/00/#") as second,
        connected(port, "band-1") as band,
        connected(port, "web") as web,
    ):
        for payload in made:
            band.publish("rt/1/00/band-1/imu", payload)
            web._client.subscribe(f"cmd/1/band-1/{payload.decode()}")
        assert [raw.payload for raw in receive(first, len(made))] == made
        assert [raw.payload for raw in receive(second, len(made))] == made


def test_an_oversize_message_ends_its_senders_connection_only(port: int) -> None:
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        with connected(port, "band-2") as rude:
            rude.publish("rt/1/00/band-2/imu", bytes(MAX_FRAME_BYTES))
            assert len(receive(ingest)[0].payload) == MAX_FRAME_BYTES
            rude.publish("rt/1/00/band-2/imu", bytes(MAX_FRAME_BYTES + 1))
            until(lambda: not rude.is_connected)
        band.publish("rt/1/00/band-1/imu", b"good")
        assert [raw.payload for raw in receive(ingest)] == [b"good"]


def test_a_port_that_is_taken_is_a_named_error() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        broker = EmbeddedBroker("127.0.0.1", taken.getsockname()[1], credentials=MemoryCredentials())
        with pytest.raises(BrokerUnavailableError):
            asyncio.run(broker.start())


def test_a_client_that_never_stops_sending_cannot_keep_the_broker_from_stopping() -> None:
    async def stop_in_a_flood() -> None:
        broker = EmbeddedBroker("127.0.0.1", 0, credentials=MemoryCredentials())
        await broker.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
        name, password = b"band-1", password_of("band-1").encode()
        body = b"\x00\x04MQTT\x04\xc2\x00\x3c\x00\x05flood" + b"".join(
            len(text).to_bytes(2, "big") + text for text in (name, password)
        )
        writer.write(bytes([0x10, len(body)]) + body)
        assert (await reader.readexactly(4))[3] == 0  # accepted
        flood = asyncio.create_task(_ping_without_pause(writer))
        await reader.readexactly(200)  # a hundred answers
        await asyncio.wait_for(broker.stop(), timeout=10)
        flood.cancel()
        writer.close()

    asyncio.run(stop_in_a_flood())


async def _ping_without_pause(writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(b"\xc0\x00")
        await asyncio.sleep(0)


def test_stopping_twice_or_before_the_start_does_nothing() -> None:
    async def start_and_stop() -> None:
        broker = EmbeddedBroker("127.0.0.1", 0, credentials=MemoryCredentials())
        await broker.stop()
        await broker.start()
        assert broker.port > 0
        await broker.stop()
        await broker.stop()

    asyncio.run(start_and_stop())
