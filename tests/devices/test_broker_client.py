"""The connection to the broker on real sockets: it survives what brokers, attackers and bugs do to it."""

import logging
import threading
import time
from itertools import pairwise
from typing import Literal

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from devices import broker_client
from devices.broker_client import BrokerClient, echo_topic
from tests.devices.broker_fixtures import MemoryCredentials, connected, embedded_broker, password_of, receive, until

Reader = Literal["fast", "stock"]
READERS: tuple[Reader, ...] = ("fast", "stock")


@pytest.fixture
def quick_reconnect(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make paho's pause between attempts short, where the pause is not the point."""
    monkeypatch.setattr(broker_client, "RECONNECT_MIN_S", 0.1)
    monkeypatch.setattr(broker_client, "RECONNECT_MAX_S", 0.1)


@pytest.fixture
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a full inbox drop at once, where the pause is not the point."""
    monkeypatch.setattr(broker_client, "PAUSE_MAX_S", 0.0)


def attack(port: int, client_id: str, *, clean_session: bool) -> None:
    """Connect with somebody's client id and a wrong password, until refused."""
    refused = threading.Event()
    attacker = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=clean_session)
    attacker.username_pw_set("ingest", "guessed")
    attacker.on_connect = lambda *_: refused.set()
    attacker.connect("127.0.0.1", port)
    attacker.loop_start()
    try:
        assert refused.wait(5)
    finally:
        attacker.disconnect()
        attacker.loop_stop()


def test_messages_arrive_in_order_with_the_time_of_their_arrival(port: int) -> None:
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        before_us = time.time_ns() // 1000
        for number in range(50):
            assert band.publish("rt/1/00/band-1/imu", str(number).encode())
        taken = receive(ingest, 50)
        assert [raw.payload for raw in taken] == [str(number).encode() for number in range(50)]
        assert {raw.topic for raw in taken} == {"rt/1/00/band-1/imu"}
        arrivals = [raw.received_us for raw in taken]
        assert arrivals == sorted(arrivals)
        assert before_us <= arrivals[0] <= arrivals[-1] <= time.time_ns() // 1000
        assert ingest.take() == []


def test_the_owner_is_woken_when_something_comes(port: int) -> None:
    woken = threading.Event()
    with connected(port, "ingest", "rt/1/#", on_wake=woken.set), connected(port, "band-1") as band:
        band.publish("rt/1/00/band-1/imu", b"")
        assert woken.wait(5)


@pytest.mark.parametrize("reader", READERS)
def test_an_exception_in_a_callback_does_not_end_the_connection(port: int, reader: Reader) -> None:
    def fail() -> None:
        raise RuntimeError("a bug of the owner's")

    with connected(port, "ingest", "rt/1/#", on_wake=fail, reader=reader) as ingest, connected(port, "band-1") as band:
        band.publish("rt/1/00/band-1/imu", b"1")
        receive(ingest)
        band.publish("rt/1/00/band-1/imu", b"2")
        assert receive(ingest)[0].payload == b"2"
        assert ingest.thread_restart_count == 0


@pytest.mark.parametrize(("reader", "broken_part"), [("stock", "_handle_publish"), ("fast", "_take")])
def test_a_network_thread_that_died_is_replaced(
    port: int, monkeypatch: pytest.MonkeyPatch, reader: Reader, broken_part: str
) -> None:
    died = threading.Event()
    monkeypatch.setattr(threading, "excepthook", lambda _args: died.set())
    with connected(port, "ingest", "rt/1/#", reader=reader) as ingest, connected(port, "band-1") as band:

        def break_paho(*_args: object) -> None:
            raise AssertionError("a bug of paho's")

        with monkeypatch.context() as broken:
            broken.setattr(ingest._client, broken_part, break_paho)
            band.publish("rt/1/00/band-1/imu", b"lost")
            assert died.wait(5)
        assert ingest.is_connected  # so it says, and nothing would ever arrive
        until(lambda: ingest.thread_restart_count == 1, tend=ingest)
        until(lambda: band.publish("rt/1/00/band-1/imu", b"heard") and ingest.take(), tend=ingest)


@pytest.mark.parametrize("clean_session", [True, False])
def test_a_wrong_password_with_our_client_id_stops_the_intake_for_less_than_three_seconds(
    port: int, clean_session: bool
) -> None:
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        until(lambda: ingest._has_heard_itself, tend=ingest)
        attacked_at = time.monotonic()
        stop = threading.Event()
        arrivals: list[float] = [attacked_at]

        def send_and_tend() -> None:
            while not stop.wait(0.02):
                band.publish("rt/1/00/band-1/imu", b"")
                ingest.tend(time.monotonic_ns())
                if ingest.take():
                    arrivals.append(time.monotonic())

        sender = threading.Thread(target=send_and_tend)
        sender.start()
        try:
            attacked = ingest.client_id
            attack(port, attacked, clean_session=clean_session)
            # either session ends: by the broker's mistake at once, or by ours when we notice that we are deaf
            until(lambda: time.monotonic() - attacked_at > 0.5 and time.monotonic() - arrivals[-1] < 0.2)
        finally:
            stop.set()
            sender.join()
        silence_s = max(later - earlier for earlier, later in pairwise(arrivals))
        assert 0.5 < silence_s < 3
        assert ingest.replaced_count == (1 if clean_session else 0)


def test_a_lost_subscription_is_noticed_and_made_again(port: int) -> None:
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        ingest._client.unsubscribe(["rt/1/#", echo_topic(ingest.client_id)])
        until(lambda: ingest.resubscribed_count == 1, tend=ingest)
        until(lambda: band.publish("rt/1/00/band-1/imu", b"") and ingest.take(), tend=ingest)


def test_a_quiet_house_is_not_taken_for_a_deaf_connection(port: int) -> None:
    with connected(port, "ingest", "rt/1/#") as ingest:
        started = time.monotonic()
        until(lambda: time.monotonic() - started > 2.4, tend=ingest)
        assert (ingest.resubscribed_count, ingest.replaced_count) == (0, 0)
        assert ingest.take() == []  # it does not hear its own echo as a message


def test_an_account_without_echo_subscribes_again_but_keeps_its_connection() -> None:
    now_ns = [0]
    client = BrokerClient(
        "127.0.0.1", 1, username="web", password="", subscriptions=["live/1/#"], monotonic_ns=lambda: now_ns[0]
    )
    subscribed: list[int] = []
    client._client.is_connected = lambda: True  # type: ignore[method-assign]
    client._thread = threading.current_thread()
    client.resubscribe = lambda: subscribed.append(now_ns[0])  # type: ignore[method-assign]
    client._is_started = True
    for now_ns[0] in range(0, 10_000_000_000, 100_000_000):
        client.tend(now_ns[0])
    assert subscribed == [2_000_000_000, 4_000_000_000, 6_000_000_000, 8_000_000_000]
    assert client.replaced_count == 0


def test_a_full_inbox_stops_the_reading_and_nothing_is_dropped(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "MAX_INBOX_MESSAGES", 3)
    monkeypatch.setattr(broker_client, "PAUSE_MAX_S", 60.0)
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        for number in range(20):
            band.publish("rt/1/00/band-1/imu", str(number).encode())
        until(lambda: ingest.pause_count == 1)
        assert len(ingest._inbox) == 3
        taken = receive(ingest, 20)
        assert [raw.payload for raw in taken] == [str(number).encode() for number in range(20)]
        assert (ingest.dropped_count, ingest.pause_count > 1) == (0, True)


@pytest.mark.usefixtures("no_patience")
def test_the_inbox_is_bounded_and_what_is_dropped_is_counted(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "MAX_INBOX_MESSAGES", 3)
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        for number in range(5):
            band.publish("rt/1/00/band-1/imu", str(number).encode())
        until(lambda: ingest.dropped_count == 2)
        assert [raw.payload for raw in ingest.take()] == [b"0", b"1", b"2"]
        band.publish("rt/1/00/band-1/imu", b"again")
        assert receive(ingest)[0].payload == b"again"


@pytest.mark.usefixtures("no_patience")
def test_the_inbox_is_bounded_in_bytes_too(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "MAX_INBOX_BYTES", 2500)
    with connected(port, "ingest", "rt/1/#") as ingest, connected(port, "band-1") as band:
        for dropped_count in (3, 6):
            for _ in range(5):
                band.publish("rt/1/00/band-1/imu", bytes(1000))
            until(lambda: len(ingest._inbox) == 2 and ingest.dropped_count == dropped_count)  # noqa: B023 - called here
            assert len(ingest.take()) == 2


@pytest.mark.usefixtures("quick_reconnect")
@pytest.mark.parametrize(("username", "password"), [("ingest", "guessed"), ("ingest", ""), ("nobody", "ydobon")])
def test_a_wrong_login_is_refused_and_said_so(port: int, username: str, password: str) -> None:
    client = BrokerClient("127.0.0.1", port, username=username, password=password, subscriptions=["rt/1/#"])
    client.start()
    try:
        until(lambda: client.last_refusal)
        assert not client.is_connected
        assert not client.publish("rt/1/00/band-1/imu", b"")
        assert client.refused_publish_count == 1
    finally:
        client.close()


@pytest.mark.usefixtures("quick_reconnect")
def test_it_connects_when_the_broker_comes_later_and_again_after_a_restart(credentials: MemoryCredentials) -> None:
    with embedded_broker(credentials) as port:
        pass
    client = BrokerClient("127.0.0.1", port, username="web", password=password_of("web"), subscriptions=["live/1/#"])
    client.start()
    try:
        assert not client.is_connected
        for _ in range(2):
            with embedded_broker(credentials, port=port):
                until(lambda: client.is_subscribed, within_s=8)
            until(lambda: not client.is_connected)
    finally:
        client.close()


def test_replacing_and_closing_a_connection_is_no_error_in_the_log(port: int, caplog: pytest.LogCaptureFixture) -> None:
    with connected(port, "ingest", "rt/1/#") as ingest:
        replaced = ingest._thread
        assert replaced is not None
        ingest._replace()
        until(lambda: not replaced.is_alive() and ingest.is_subscribed)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []


def test_random_client_ids_do_not_repeat() -> None:
    ids = {BrokerClient("127.0.0.1", 1, username="web", password="").client_id for _ in range(20)}
    assert len(ids) == 20


def test_close_ends_the_thread_at_once(port: int) -> None:
    with connected(port, "media", "app/1/changed/#") as client:
        thread = client._client._thread
        assert thread is not None
    assert not thread.is_alive()
    client.tend(time.monotonic_ns())
    assert not client.is_connected


def test_what_is_listened_to_may_change_and_lasts_over_a_restart_of_the_broker(
    credentials: MemoryCredentials, quick_reconnect: None
) -> None:
    def hears(web: BrokerClient, port: int) -> set[str]:
        with connected(port, "ingest") as ingest:
            for topic in ("ack/1/band-2", "cmd/1/band-1/wipe", "ack/1/band-1"):
                assert ingest.publish(topic, b"")
            return {raw.topic for raw in receive(web, 2)}

    wanted = {"cmd/1/band-1/wipe", "ack/1/band-1"}
    with embedded_broker(credentials) as port:
        pass
    client = BrokerClient("127.0.0.1", port, username="web", password=password_of("web"))
    client.subscribe("cmd/1/band-1/#", "ack/1/band-2")  # before there is a connection
    client.start()
    try:
        with embedded_broker(credentials, port=port):
            until(lambda: client.is_subscribed, within_s=8)
            client.subscribe("ack/1/band-1", "ack/1/band-1")
            client.unsubscribe("ack/1/band-2", "ack/1/never")
            assert hears(client, port) == wanted
        until(lambda: not client.is_connected)
        with embedded_broker(credentials, port=port):
            until(lambda: client.is_subscribed, within_s=8)
            assert hears(client, port) == wanted
    finally:
        client.close()
