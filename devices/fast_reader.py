"""A faster reader for paho: many packets with each `recv`, and messages without what paho does for each of them.

paho reads a packet in three or four system calls, waits for the socket after each, and makes an object with a lock for
every message. This subclass takes what the socket has, cuts it into packets itself, and hands plain messages over in
lists. All other packets go to paho's own code. It overrides private methods, so `why_unusable` compares it with paho's
own reader, on the installed version, before it is used; where they differ, use the stock client.
"""

import socket
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from paho.mqtt import MQTTException
from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion

from devices.gathering_reader import Arrived, GatheringClient

READ_BYTES: Final = 256 * 1024
MAX_PACKET_BYTES: Final = 1024 * 1024
"""A longer packet ends the connection: no broker of ours lets one pass."""
MAX_TOPICS_REMEMBERED: Final = 10_000
_PUBLISH: Final = 0x30
_PUBACK: Final = 0x40
_INCOMPLETE: Final = -1
_MALFORMED: Final = -2
_MAX_LENGTH_BYTES: Final = 4


class FastClient(GatheringClient):
    """paho's client; messages of quality of service 0 and 1 are read without paho's own reader.

    Quality of service 2 goes paho's way, to `on_message`.
    """

    def __init__(
        self,
        *,
        client_id: str,
        protocol: MQTTProtocolVersion,
        clean_session: bool | None,
        on_arrived: Callable[[GatheringClient, list[Arrived]], None],
        gather_s: float = 0.0,
    ) -> None:
        super().__init__(
            client_id=client_id,
            protocol=protocol,
            clean_session=clean_session,
            on_arrived=on_arrived,
            gather_s=gather_s,
        )
        self._rest = b""
        self._topic_of: dict[bytes, str] = {}

    def acknowledge(self, packet_ids: Sequence[int]) -> None:
        """Send the PUBACKs of these messages, in this order, as one write."""
        if packet_ids:
            joined = b"".join([b"\x40\x02" + packet_id.to_bytes(2, "big") for packet_id in packet_ids])
            self._packet_queue(_PUBACK, joined, packet_ids[-1], 1)

    def publish_all(self, messages: Iterable[tuple[str, bytes]]) -> None:
        """Send messages of quality of service 0, not retained, in this order, as one write."""
        properties = b"\x00" if self._protocol == MQTTProtocolVersion.MQTTv5 else b""
        pieces: list[bytes] = []
        for topic, payload in messages:
            name = topic.encode()
            body_bytes = 2 + len(name) + len(properties) + len(payload)
            pieces += (b"\x30", _length_bytes(body_bytes), len(name).to_bytes(2, "big"), name, properties, payload)
        if pieces:
            self._packet_queue(_PUBACK, b"".join(pieces), 0, 1)  # so named, paho asks nobody what became of it

    def reconnect(self) -> MQTTErrorCode:
        """Connect again; what was left of the old connection is forgotten."""
        self._rest = b""
        return super().reconnect()

    def loop_read(self, max_packets: int = 1) -> MQTTErrorCode:
        """Read once, and take all whole packets."""
        if self._sock is None:
            return MQTTErrorCode.MQTT_ERR_NO_CONN
        self._wait_to_gather()
        try:
            data = self._sock_recv(READ_BYTES)
        except BlockingIOError:
            return MQTTErrorCode.MQTT_ERR_SUCCESS
        except OSError:
            data = b""
        if not data:
            return self._loop_rc_handle(MQTTErrorCode.MQTT_ERR_CONN_LOST)
        self._read_at_s = time.monotonic()
        with self._msgtime_mutex:
            self._last_bytes_received = self._read_at_s
        return self._take(self._rest + data if self._rest else data)

    def _take(self, data: bytes) -> MQTTErrorCode:
        """Cut the bytes into packets; what is left waits for the next read."""
        connection = self._sock
        topic_of = self._topic_of
        has_properties = self._protocol == MQTTProtocolVersion.MQTTv5
        arrived: list[Arrived] = []
        make = Arrived._make
        at, size = 0, len(data)
        while size - at >= 2:
            head, length, start = data[at], data[at + 1], at + 2
            if length > 127:
                length, start = _read_length(data, at + 1, size)
                if length == _INCOMPLETE:
                    break
                if length == _MALFORMED or length > MAX_PACKET_BYTES:
                    return self._give_up(arrived)
            stop = start + length
            if stop > size:
                break
            place = 0
            if head & 0xF4 == _PUBLISH and length >= 4:
                topic_stop = start + 2 + (data[start] << 8 | data[start + 1])
                place, packet_id = topic_stop, 0
                if head & 2:
                    place += 2
                    if place <= stop:
                        packet_id = data[topic_stop] << 8 | data[topic_stop + 1]
                        place = place if packet_id else 0
                if has_properties and place:
                    # properties of some length are rare: paho reads those
                    place = place + 1 if place < stop and not data[place] else 0
            if 0 < place <= stop and topic_stop > start + 2:
                name = data[start + 2 : topic_stop]
                topic = topic_of.get(name) or self._read_topic(name)
                if topic is not None:
                    arrived.append(make((topic, data[place:stop], packet_id)))
            else:
                self._hand_over(arrived)
                rc = self._take_packet(head, data[start:stop])
                arrived, self._gathered = self._gathered, []
                if rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
                    return self._give_up(arrived, rc)
                if self._sock is not connection:
                    return MQTTErrorCode.MQTT_ERR_SUCCESS  # a callback has connected anew
            at = stop
        self._rest = data[at:]
        self._hand_over(arrived)
        return MQTTErrorCode.MQTT_ERR_SUCCESS

    def _give_up(self, arrived: list[Arrived], rc: MQTTErrorCode = MQTTErrorCode.MQTT_ERR_PROTOCOL) -> MQTTErrorCode:
        """End a connection that cannot be followed; what came before counts."""
        self._hand_over(arrived)
        self._rest = b""
        return self._loop_rc_handle(rc)

    def _read_topic(self, name: bytes) -> str | None:
        """Return a topic, None where it is no text: no rule of access allows it."""
        try:
            topic = name.decode()
        except UnicodeDecodeError:
            return None
        if len(self._topic_of) >= MAX_TOPICS_REMEMBERED:
            self._topic_of.clear()
        self._topic_of[name] = topic
        return topic

    def _take_packet(self, head: int, body: bytes) -> MQTTErrorCode:
        """Let paho take a packet that is no plain message."""
        self._in_packet = {
            "command": head,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(body),
            "packet": bytearray(body),
            "to_process": 0,
            "pos": 0,
        }
        try:
            return self._packet_handle()
        except (MQTTException, ValueError, LookupError, struct.error):
            return MQTTErrorCode.MQTT_ERR_PROTOCOL


def _read_length(data: bytes, at: int, size: int) -> tuple[int, int]:
    """Return a packet's length and where its body begins; `_INCOMPLETE` or `_MALFORMED` as the length."""
    length = 0
    for place in range(_MAX_LENGTH_BYTES):
        if at + place >= size:
            return _INCOMPLETE, at
        byte = data[at + place]
        length |= (byte & 127) << (7 * place)
        if byte < 128:
            return length, at + place + 1
    return _MALFORMED, at


# --- is it the same as paho? ----------------------------------------------------------------------------------------

_TEST_TOPICS: Final = ("rt/1/00/band/imu", "bf/1/3f/band/heart", "dev/1/band/state")


def why_unusable() -> str | None:
    """Return why the reader must not be used with the installed paho, None where it does the same as paho's own."""
    try:
        for protocol in (MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5):
            stream, expected = _test_stream(protocol, sizes=(0, 1, 90, 127))
            if _arrivals_of_fast(protocol, stream, 1) != expected:
                return f"messages differ ({protocol.name}, byte by byte)"
            stream, expected = _test_stream(protocol, sizes=(0, 128, 300, 16_400))
            for piece_bytes in (1_000, len(stream)):
                if _arrivals_of_fast(protocol, stream, piece_bytes) != expected:
                    return f"messages differ ({protocol.name}, {piece_bytes} bytes a read)"
            if _arrivals_of_stock(protocol, stream) != expected:
                return f"paho itself reads other messages ({protocol.name})"
    except (AttributeError, TypeError, ValueError, LookupError, OSError, struct.error) as error:
        return f"the installed paho is another one ({type(error).__name__})"
    return None


def _test_stream(protocol: MQTTProtocolVersion, *, sizes: Sequence[int]) -> tuple[bytes, list[Arrived]]:
    """Return what a broker sends, and what must come of it: an accepted login, answers and messages of all lengths."""
    is_5 = protocol == MQTTProtocolVersion.MQTTv5
    properties = b"\x00" if is_5 else b""
    login = b"\x20\x03\x00\x00\x00" if is_5 else b"\x20\x02\x00\x00"
    pieces, expected = [login], []
    for number, size in enumerate(sizes):
        topic = _TEST_TOPICS[number % len(_TEST_TOPICS)]
        packet_id = number if number % 2 else 0
        payload = bytes((number + place) % 256 for place in range(size))
        identity = packet_id.to_bytes(2, "big") if packet_id else b""
        body = len(topic).to_bytes(2, "big") + topic.encode() + identity + properties + payload
        pieces += [bytes([_PUBLISH | (2 if packet_id else 0)]), _length_bytes(len(body)), body, b"\xd0\x00"]
        expected.append(Arrived(topic, payload, packet_id))
    return b"".join(pieces), expected


def _length_bytes(length: int) -> bytes:
    parts = bytearray()
    while True:
        length, part = divmod(length, 128)
        parts.append(part | (128 if length else 0))
        if not length:
            return bytes(parts)


def _arrivals_of_fast(protocol: MQTTProtocolVersion, stream: bytes, piece_bytes: int) -> list[Arrived] | None:
    """Return what the fast reader makes of a stream in pieces; None when it lost the connection or its answers."""
    arrived: list[Arrived] = []
    client = FastClient(
        client_id="self-test",
        protocol=protocol,
        clean_session=_clean_session(protocol),
        on_arrived=lambda _client, messages: arrived.extend(messages),
    )
    near, far = socket.socketpair()
    with near, far:
        is_well = _read_through(client, near, far, stream, piece_bytes, reads_per_piece=1)
        client.acknowledge((1, 0x0203))
        client.publish_all([("t", b"first"), ("t", b"")])
        client.loop_write()
        far.setblocking(False)
        answered = far.recv(100)
        client._sock = None
    properties = b"\x00" if protocol == MQTTProtocolVersion.MQTTv5 else b""
    bodies = (b"\x00\x01t" + properties + b"first", b"\x00\x01t" + properties)
    expected = b"\x40\x02\x00\x01\x40\x02\x02\x03" + b"".join(bytes([_PUBLISH, len(each)]) + each for each in bodies)
    return arrived if is_well and answered == expected else None


def _arrivals_of_stock(protocol: MQTTProtocolVersion, stream: bytes) -> list[Arrived] | None:
    """Return what paho's own reader makes of a stream."""
    arrived: list[Arrived] = []

    def note(_client: Client, _userdata: Any, message: MQTTMessage) -> None:
        arrived.append(Arrived(message.topic, bytes(message.payload), message.mid))

    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id="self-test",
        protocol=protocol,
        clean_session=_clean_session(protocol),
        manual_ack=True,
    )
    client.on_message = note
    near, far = socket.socketpair()
    with near, far:
        is_well = _read_through(client, near, far, stream, len(stream), reads_per_piece=64)
        client._sock = None
    return arrived if is_well else None


def _read_through(
    client: Client, near: socket.socket, far: socket.socket, stream: bytes, piece_bytes: int, *, reads_per_piece: int
) -> bool:
    """Let a client read a stream in pieces; return whether it is connected afterwards and complained of nothing."""
    near.setblocking(False)
    client._sock = near
    for start in range(0, len(stream), piece_bytes):
        far.sendall(stream[start : start + piece_bytes])
        for _ in range(reads_per_piece):
            if client.loop_read() != MQTTErrorCode.MQTT_ERR_SUCCESS:
                return False
    return bool(client.is_connected())


def _clean_session(protocol: MQTTProtocolVersion) -> bool | None:
    return None if protocol == MQTTProtocolVersion.MQTTv5 else True
