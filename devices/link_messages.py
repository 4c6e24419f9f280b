"""What travels on a device link, a WebSocket in place of MQTT (`docs/protocol.md` section 9). Pure.

A message is an envelope of two bytes and a name, and behind it exactly what the device's own topic would carry. The
envelope never names a device: a link is one device's, and can speak of no other.
"""

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from devices.errors import LinkMessageError
from devices.reports import parse_document
from devices.topics import (
    TopicKind,
    backfill_topic,
    clock_topic,
    is_stream_name,
    live_topic,
    meta_topic,
    parse_topic,
    state_topic,
)
from devices.wire import CLOCK_ANSWER, CLOCK_ANSWER_DTYPE, CLOCK_PROBE, CLOCK_PROBE_DTYPE, HEADER_SIZE, MAX_FRAME_BYTES

MAX_LINK_BYTES: Final = MAX_FRAME_BYTES
"""Of a message, envelope included."""
_ENVELOPE_SIZE: Final = 2


class LinkKind(IntEnum):
    """The first byte: what the rest is."""

    LIVE = 1
    BACKFILL = 2
    META = 3
    STATE = 4
    CLOCK = 5
    ACK = 6
    COMMAND = 7


class LinkFault(StrEnum):
    """Why a message of a device is refused."""

    ENVELOPE = "bad_envelope"
    STREAM_NAME = "bad_stream_name"
    FRAME = "bad_frame"
    DOCUMENT = "bad_document"
    CLOCK = "bad_clock_answer"
    TEXT = "unexpected_text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """What the server publishes in the name of a device."""

    kind: LinkKind
    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False


def to_publication(message: bytes, *, device: str, shard: str) -> Publication:
    """Return what a message of a device is on MQTT.

    A frame is not looked into: what is wrong with it is found, counted and kept where all frames are
    (`devices.ingest`).

    Parameters
    ----------
    device, shard
        Of the link, never of the message.

    Raises
    ------
    LinkMessageError
        The message cannot be one of a device; its `fault` tells why.
    """
    name, payload = _take_apart(message)
    match message[0]:
        case LinkKind.LIVE | LinkKind.BACKFILL as kind:
            if not is_stream_name(name):
                raise LinkMessageError(LinkFault.STREAM_NAME)
            if len(payload) < HEADER_SIZE:
                raise LinkMessageError(LinkFault.FRAME)
            to_topic = live_topic if kind == LinkKind.LIVE else backfill_topic
            return Publication(kind=LinkKind(kind), topic=to_topic(shard, device, name), payload=payload)
        case LinkKind.META | LinkKind.STATE as kind if not name:
            if parse_document(payload) is None:
                raise LinkMessageError(LinkFault.DOCUMENT)
            topic = meta_topic(device) if kind == LinkKind.META else state_topic(device)
            return Publication(kind=LinkKind(kind), topic=topic, payload=payload, qos=1, retain=True)
        case LinkKind.CLOCK if not name:
            if len(payload) != CLOCK_ANSWER_DTYPE.itemsize or payload[0] != CLOCK_ANSWER:
                raise LinkMessageError(LinkFault.CLOCK)
            return Publication(kind=LinkKind.CLOCK, topic=clock_topic(device), payload=payload)
        case _:
            raise LinkMessageError(LinkFault.ENVELOPE)


def to_link_message(topic: str, payload: bytes) -> tuple[str, bytes] | None:
    """Return the device and the message that a publication of the server is on its link; None where it is for none.

    The broker gives us our own clock answers back; they stay here.

    >>> to_link_message("ack/1/band-7", b"[]")
    ('band-7', b'\\x06\\x00[]')
    >>> to_link_message("rt/1/00/band-7/imu", b"") is None
    True
    """
    parsed = parse_topic(topic)
    if parsed is None:
        return None
    match parsed.kind:
        case TopicKind.ACK:
            return parsed.device, make_link_message(LinkKind.ACK, payload)
        case TopicKind.COMMAND:
            return parsed.device, make_link_message(LinkKind.COMMAND, payload, name=parsed.command)
        case TopicKind.CLOCK if len(payload) == CLOCK_PROBE_DTYPE.itemsize and payload[0] == CLOCK_PROBE:
            return parsed.device, make_link_message(LinkKind.CLOCK, payload)
        case _:
            return None


def make_link_message(kind: LinkKind, payload: bytes, *, name: str = "") -> bytes:
    """Put a payload into its envelope; `name` is that of a stream or command."""
    encoded = name.encode("ascii")
    return bytes((kind, len(encoded))) + encoded + payload


def _take_apart(message: bytes) -> tuple[str, bytes]:
    """Return name and payload."""
    if len(message) < _ENVELOPE_SIZE or len(message) < _ENVELOPE_SIZE + message[1]:
        raise LinkMessageError(LinkFault.ENVELOPE)
    stop = _ENVELOPE_SIZE + message[1]
    name = message[_ENVELOPE_SIZE:stop]
    if not name.isascii():
        raise LinkMessageError(LinkFault.STREAM_NAME)
    return name.decode("ascii"), message[stop:]
