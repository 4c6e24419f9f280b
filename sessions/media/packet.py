"""RTP packets as values: reading a header, telling a key frame, sequence arithmetic. No state, no clock, no library.

Only what forwarding needs is read (RFC 3550, 8285); of the payload the codec's descriptor (RFC 7741, 6184).
"""

from dataclasses import dataclass
from struct import Struct
from typing import Final

RTP_HEADER: Final = Struct("!BBHLL")
MAX_DATAGRAM_BYTES: Final = 1500
ONE_BYTE_EXTENSIONS: Final = 0xBEDE
TWO_BYTE_EXTENSIONS: Final = 0x1000

_EXTENSION_HEADER: Final = Struct("!HH")
_VIDEO_CODECS: Final = frozenset({"VP8", "H264"})


@dataclass(slots=True)
class Packet:
    """One RTP packet; `payload` is still encoded, without padding."""

    payload_type: int
    marker: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    padding_bytes: int = 0
    abs_send_time: int | None = None  # 6.18 fixed point [s]
    abs_capture_time: bytes | None = None  # forwarded as it came


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtensionIds:
    """The numbers that one connection agreed on for header extensions; None: not agreed."""

    mid: int | None = None
    abs_send_time: int | None = None
    abs_capture_time: int | None = None


def parse_packet(data: bytes, extension_ids: ExtensionIds) -> Packet:
    """Read an RTP packet. Raises ValueError when it is not one.

    Examples
    --------
    >>> packet = parse_packet(bytes.fromhex("80e0 0001 00000002 00000003 aabb"), ExtensionIds())
    >>> packet.payload_type, packet.marker, packet.sequence, packet.payload.hex()
    (96, 1, 1, 'aabb')
    """
    if len(data) < RTP_HEADER.size:
        raise ValueError("shorter than an RTP header")
    flags, marker_and_type, sequence, timestamp, ssrc = RTP_HEADER.unpack_from(data)
    if flags >> 6 != 2:
        raise ValueError("not RTP version 2")
    start, stop, padding_bytes = RTP_HEADER.size + 4 * (flags & 0x0F), len(data), 0
    abs_send_time: int | None = None
    abs_capture_time: bytes | None = None
    if flags & 0x10:
        if stop < start + 4:
            raise ValueError("header extension is cut off")
        profile, n_words = _EXTENSION_HEADER.unpack_from(data, start)
        extension_start, start = start + 4, start + 4 + 4 * n_words
        if stop < start:
            raise ValueError("header extension is cut off")
        if extension_ids.abs_send_time is not None or extension_ids.abs_capture_time is not None:
            abs_send_time, abs_capture_time = _read_extensions(data, extension_start, start, profile, extension_ids)
    if flags & 0x20:
        padding_bytes = data[-1]
        stop -= padding_bytes
        if padding_bytes == 0:
            raise ValueError("padding of no length")
    if stop < start:
        raise ValueError("RTP packet is cut off")
    return Packet(
        marker_and_type & 0x7F,
        marker_and_type >> 7,
        sequence,
        timestamp,
        ssrc,
        data[start:stop],
        padding_bytes,
        abs_send_time,
        abs_capture_time,
    )


def starts_key_frame(codec_name: str, payload: bytes) -> bool:
    """Tell whether this payload is the first of a key frame; every audio payload is.

    Examples
    --------
    >>> starts_key_frame("VP8", bytes([0x10, 0x00])), starts_key_frame("VP8", bytes([0x10, 0x01]))
    (True, False)
    """
    if codec_name not in _VIDEO_CODECS:
        return True
    try:
        return _starts_vp8_key_frame(payload) if codec_name == "VP8" else _starts_h264_key_frame(payload)
    except IndexError:
        return False


def sequence_distance(newer: int, older: int) -> int:
    """Return how far `newer` lies ahead of `older` on the circle of 65536, negative when behind.

    Examples
    --------
    >>> sequence_distance(2, 65535), sequence_distance(65535, 2)
    (3, -3)
    """
    return ((newer - older + 0x8000) & 0xFFFF) - 0x8000


def _read_extensions(
    data: bytes, start: int, stop: int, profile: int, extension_ids: ExtensionIds
) -> tuple[int | None, bytes | None]:
    abs_send_time: int | None = None
    abs_capture_time: bytes | None = None
    if profile not in (ONE_BYTE_EXTENSIONS, TWO_BYTE_EXTENSIONS):
        return None, None
    while start < stop:
        if data[start] == 0:  # padding between elements
            start += 1
            continue
        if profile == ONE_BYTE_EXTENSIONS:
            extension_id, size, start = data[start] >> 4, (data[start] & 0x0F) + 1, start + 1
        else:
            if start + 2 > stop:
                break
            extension_id, size, start = data[start], data[start + 1], start + 2
        if start + size > stop:
            break
        if extension_id == extension_ids.abs_send_time and size == 3:
            abs_send_time = int.from_bytes(data[start : start + 3], "big")
        elif extension_id == extension_ids.abs_capture_time and size in (8, 16):
            abs_capture_time = data[start : start + size]
        start += size
    return abs_send_time, abs_capture_time


def _starts_vp8_key_frame(payload: bytes) -> bool:
    first, position = payload[0], 1
    if not first & 0x10 or first & 0x07:  # not the start of partition 0
        return False
    if first & 0x80:
        optional, position = payload[1], 2
        if optional & 0x80:  # picture id of 7 or 15 bits
            position += 2 if payload[position] & 0x80 else 1
        if optional & 0x40:
            position += 1
        if optional & 0x30:
            position += 1
    return not payload[position] & 0x01


def _starts_h264_key_frame(payload: bytes) -> bool:
    unit = payload[0] & 0x1F
    if unit == 28:  # FU-A, its first fragment
        return bool(payload[1] & 0x80) and payload[1] & 0x1F in (5, 7)
    if unit == 24:  # STAP-A
        return payload[3] & 0x1F in (5, 7)
    return unit in (5, 7)
