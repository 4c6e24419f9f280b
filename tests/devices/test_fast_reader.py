"""Our readers against paho's own: however the bytes come, all make the same of them."""

import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from devices import broker_client, fast_reader
from devices.broker_client import BrokerClient
from devices.fast_reader import MAX_PACKET_BYTES, FastClient, why_unusable
from devices.gathering_reader import Arrived, GatheringClient
from tests.devices.broker_fixtures import password_of

V4, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
ACCEPTED = {V4: "20020000", V5: "2003000000"}
# typed by hand: two messages of quality of service 0, an answer to a ping, one of 1 (packet 0x0102), one of 200 bytes
STREAM_V4 = bytes.fromhex(
    "3005 0003 612f62 3007 0003 612f62 6869 d000 3208 0003 612f62 0102 21 30cd01 0003 612f62"
) + bytes(200)  # fmt: skip
STREAM_V5 = bytes.fromhex(
    "3006 0003 612f62 00 3008 0003 612f62 00 6869 d000 3209 0003 612f62 0102 00 21 30ce01 0003 612f62 00"
) + bytes(200)  # fmt: skip
MESSAGES = [
    Arrived("a/b", b"", 0),
    Arrived("a/b", b"hi", 0),
    Arrived("a/b", b"!", 0x0102),
    Arrived("a/b", bytes(200), 0),
]
STREAMS = {V4: STREAM_V4, V5: STREAM_V5}


class Line:
    """A client at one end of a pair of sockets; what it takes gathers in `arrived`."""

    def __init__(self, client: paho.Client, far: socket.socket, arrived: list[Arrived]) -> None:
        self.client, self.far, self.arrived = client, far, arrived
        self.ended: list[str] = []
        client.on_disconnect = lambda *arguments: self.ended.append(str(arguments[3]))

    def feed(self, data: bytes, *, reads: int = 1) -> MQTTErrorCode:
        self.far.sendall(data)
        for _ in range(reads - 1):
            self.client.loop_read()
        return self.client.loop_read()


@contextmanager
def line(protocol: MQTTProtocolVersion, kind: type[paho.Client] = FastClient) -> Iterator[Line]:
    arrived: list[Arrived] = []
    clean_session = None if protocol == V5 else True
    client: paho.Client
    if issubclass(kind, GatheringClient):
        client = kind(
            client_id="me",
            protocol=protocol,
            clean_session=clean_session,
            on_arrived=lambda _, messages: arrived.extend(messages),
        )
    else:
        client = kind(
            CallbackAPIVersion.VERSION2,
            client_id="me",
            protocol=protocol,
            clean_session=clean_session,
            manual_ack=True,
        )
        client.on_message = lambda _client, _data, message: arrived.append(
            Arrived(message.topic, bytes(message.payload), message.mid)
        )
    near, far = socket.socketpair()
    near.setblocking(False)
    client._sock = near
    made = Line(client, far, arrived)
    try:
        made.feed(bytes.fromhex(ACCEPTED[protocol]), reads=8)
        assert client.is_connected()
        yield made
    finally:
        client._sock_close()
        near.close()
        made.far.close()


def test_the_installed_paho_is_one_that_it_was_made_for() -> None:
    assert why_unusable() is None


@pytest.mark.parametrize("protocol", [V4, V5])
def test_all_readers_make_the_same_of_a_stream_typed_by_hand(protocol: MQTTProtocolVersion) -> None:
    with (
        line(protocol) as fast,
        line(protocol, kind=GatheringClient) as gathering,
        line(protocol, kind=paho.Client) as stock,
    ):
        fast.feed(STREAMS[protocol])
        gathering.feed(STREAMS[protocol], reads=2)  # a look ends with what is no message: the answer to the ping
        stock.feed(STREAMS[protocol], reads=len(MESSAGES) + 1)
        assert fast.arrived == gathering.arrived == stock.arrived == MESSAGES


@pytest.mark.parametrize("protocol", [V4, V5])
def test_a_stream_cut_at_any_one_place_is_the_same_stream(protocol: MQTTProtocolVersion) -> None:
    stream = STREAMS[protocol]
    with line(protocol) as fast:
        for cut in range(1, len(stream)):
            fast.arrived.clear()
            fast.feed(stream[:cut])
            fast.feed(stream[cut:])
            assert fast.arrived == MESSAGES, f"cut at {cut}"


@pytest.mark.parametrize("kind", [FastClient, GatheringClient])
@pytest.mark.parametrize("protocol", [V4, V5])
def test_a_stream_in_pieces_of_any_length_is_the_same_stream(
    protocol: MQTTProtocolVersion, kind: type[paho.Client]
) -> None:
    rng = random.Random(7)
    stream = STREAMS[protocol] * 20
    with line(protocol, kind) as fast:
        for longest in (1, 2, 3, 5, 50, 1000):
            fast.arrived.clear()
            at = 0
            while at < len(stream):
                size = rng.randint(1, longest)
                fast.feed(stream[at : at + size])
                at += size
            for _ in range(50):  # as long as the socket has something
                fast.client.loop_read()
            assert fast.arrived == MESSAGES * 20


@pytest.mark.parametrize("protocol", [V4, V5])
def test_after_a_connection_that_ended_within_a_message_the_next_begins_anew(protocol: MQTTProtocolVersion) -> None:
    with line(protocol) as fast:
        for cut in range(1, len(STREAM_V4), 7):
            fast.feed(STREAMS[protocol][:cut])
            fast.far.close()
            near, fast.far = socket.socketpair()
            near.setblocking(False)
            fast.client._create_socket = lambda near=near: near  # type: ignore[method-assign,misc]
            fast.client._host, fast.client._port = "here", 1
            fast.client.reconnect()
            fast.far.recv(1000)
            fast.arrived.clear()
            fast.feed(bytes.fromhex(ACCEPTED[protocol]) + STREAMS[protocol])
            assert fast.arrived == MESSAGES, f"ended after {cut} bytes"


def test_acknowledgements_go_out_in_the_order_given_and_at_once() -> None:
    with line(V5) as fast:
        assert isinstance(fast.client, FastClient)
        fast.client.acknowledge([])
        fast.client.acknowledge([1, 0x0203, 65_535])
        fast.client.loop_write()
        assert fast.far.recv(100) == bytes.fromhex("40020001 40020203 4002ffff")


def test_properties_are_left_to_paho() -> None:
    """A message that expires, with a content type: rare, and read by paho's own code."""
    with line(V5) as fast, line(V5, kind=paho.Client) as stock:
        packet = bytes.fromhex("3214 0003 612f62 0007 0a 020000003c 0300026f6b 6869")
        fast.feed(packet + STREAM_V5)
        stock.feed(packet + STREAM_V5, reads=6)
        assert fast.arrived == stock.arrived == [Arrived("a/b", b"hi", 7), *MESSAGES]


def test_quality_of_service_2_goes_pahos_way() -> None:
    with line(V4) as fast:
        fast.feed(bytes.fromhex("3408 0003 612f62 0102 21"))
        assert fast.arrived == []
        fast.client.loop_write()
        assert fast.far.recv(100) == bytes.fromhex("50020102")
        fast.feed(bytes.fromhex("62020102"))
        assert fast.arrived == [Arrived("a/b", b"!", 0x0102)]


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param("3001 00", id="no topic's length"),
        pytest.param("3003 0005 61", id="a topic longer than its packet"),
        pytest.param("3002 0000", id="an empty topic"),
        pytest.param("3205 0003 612f62", id="no packet id"),
        pytest.param("3608 0003 612f62 0102 21", id="quality of service 3"),
        pytest.param("30ffffffff7f", id="a length of five bytes"),
        pytest.param("30ffffff7f", id="a packet beyond all bounds"),
        pytest.param("f000", id="no packet of this version"),
        pytest.param("2000", id="an empty answer to the login"),
    ],
)
def test_what_is_no_mqtt_ends_the_connection_and_nothing_else(broken: str) -> None:
    with line(V4) as fast:
        rc = fast.feed(STREAM_V4 + bytes.fromhex(broken) + STREAM_V4)
        assert fast.arrived == MESSAGES, "what came before counts, what comes after cannot be trusted"
        assert rc == MQTTErrorCode.MQTT_ERR_PROTOCOL
        assert len(fast.ended) == 1
        assert fast.client.loop_read() == MQTTErrorCode.MQTT_ERR_NO_CONN


def test_a_topic_that_is_no_text_costs_its_message_only() -> None:
    with line(V4) as fast:
        fast.feed(bytes.fromhex("3004 0001 ff 21") + STREAM_V4)
        assert fast.arrived == MESSAGES


def test_random_bytes_never_raise() -> None:
    rng = random.Random(3)
    for _ in range(300):
        with line(rng.choice([V4, V5])) as fast:
            fast.feed(rng.choice([b"", STREAM_V4]) + rng.randbytes(rng.randint(1, 60)))


@pytest.mark.parametrize("kind", [FastClient, GatheringClient])
def test_a_closed_connection_is_told_like_pahos(kind: type[paho.Client]) -> None:
    with line(V4, kind) as fast:
        fast.far.close()
        assert fast.client.loop_read() == MQTTErrorCode.MQTT_ERR_CONN_LOST
        assert fast.ended == ["Unspecified error"]


def test_the_remembered_topics_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_reader, "MAX_TOPICS_REMEMBERED", 10)
    with line(V4) as fast:
        for number in range(100):
            fast.feed(bytes.fromhex("3005 0003") + b"%03d" % number)
        assert [each.topic for each in fast.arrived] == [f"{number:03d}" for number in range(100)]
        assert isinstance(fast.client, FastClient)
        assert len(fast.client._topic_of) <= 10
    assert MAX_PACKET_BYTES > 65_536


def test_what_was_read_before_a_bug_of_pahos_is_handed_over(monkeypatch: pytest.MonkeyPatch) -> None:
    with line(V4, GatheringClient) as gathering:
        sound = gathering.client._handle_publish

        def break_second() -> MQTTErrorCode:
            if gathering.client._gathered:  # type: ignore[attr-defined]
                raise AssertionError("a bug of paho's")
            return sound()

        monkeypatch.setattr(gathering.client, "_handle_publish", break_second)
        with pytest.raises(AssertionError):
            gathering.feed(STREAM_V4)
        assert gathering.arrived == MESSAGES[:1]


def drop_first(messages: list[Arrived]) -> list[Arrived]:
    return messages[1:]


def swap_payload(messages: list[Arrived]) -> list[Arrived]:
    return [each._replace(payload=each.payload + b"x") for each in messages]


@pytest.mark.parametrize("fault", [drop_first, swap_payload])
def test_a_reader_that_differs_is_found_by_its_own_test(
    monkeypatch: pytest.MonkeyPatch, fault: Callable[[list[Arrived]], list[Arrived]]
) -> None:
    sound = FastClient._hand_over
    monkeypatch.setattr(FastClient, "_hand_over", lambda self, arrived: sound(self, fault(arrived)))
    assert "messages differ" in (why_unusable() or "")


@pytest.mark.parametrize("gone", ["_packet_handle", "_sock_recv", "_packet_queue", "_loop_rc_handle"])
def test_another_paho_is_told_by_name_and_the_stock_reader_is_used(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, gone: str
) -> None:
    def raise_missing(*_: Any) -> None:
        raise AttributeError(gone)

    monkeypatch.setattr(FastClient, gone, raise_missing, raising=False)
    made = BrokerClient("127.0.0.1", 1, username="ingest", password=password_of("ingest"), reader="fast")
    if gone == "_loop_rc_handle":  # only for what goes wrong
        assert made.reader == "fast"
        return
    assert made.reader == "stock"
    assert not isinstance(made._client, FastClient)
    assert "the installed paho is another one (AttributeError)" in caplog.text


def test_nobody_gets_the_fast_reader_unasked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(broker_client, "why_unusable", lambda: pytest.fail("asked"))
    made = BrokerClient("127.0.0.1", 1, username="ingest", password=password_of("ingest"))
    assert made.reader == "stock"
