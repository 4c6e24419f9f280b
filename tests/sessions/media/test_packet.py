"""Golden bytes, typed from RFC 3550, 8285, 7741 and 6184; not made by our encoder."""

import pytest

from sessions.media.packet import ExtensionIds, parse_packet, sequence_distance, starts_key_frame

IDS = ExtensionIds(mid=1, abs_send_time=3, abs_capture_time=5)


@pytest.mark.parametrize(
    ("payload", "is_key"),
    [
        ("10 00", True),  # S=1, partition 0, key
        ("10 01", False),  # S=1, partition 0, P=1: an inter frame
        ("00 00", False),  # not the start of a partition
        ("11 00", False),  # start of partition 1
        ("90 80 05 00", True),  # X, I, 7 bit picture id
        ("90 80 05 01", False),
        ("90 80 85 01 00", True),  # X, I, 15 bit picture id
        ("90 80 85 01 01", False),
        ("90 c0 85 01 07 00", True),  # and TL0PICIDX
        ("90 e0 85 01 07 20 00", True),  # and TID
        ("90 f0 85 01 07 21 01", False),  # and TID with KEYIDX
        ("90 20 40 00", True),  # TID alone
        ("90 80", False),  # cut off
        ("", False),
    ],
)
def test_a_vp8_key_frame_is_told_by_its_first_payload(payload: str, is_key: bool) -> None:
    assert starts_key_frame("VP8", bytes.fromhex(payload)) is is_key


@pytest.mark.parametrize(
    ("payload", "is_key"),
    [
        ("65 88", True),  # IDR slice
        ("67 42", True),  # sequence parameters
        ("61 9a", False),  # other slice
        ("7c 85", True),  # FU-A, start, IDR
        ("7c 45", False),  # FU-A, end, IDR
        ("7c 81", False),  # FU-A, start, other slice
        ("78 00 04 67 42", True),  # STAP-A that begins with sequence parameters
        ("78 00", False),
    ],
)
def test_an_h264_key_frame_is_told_by_its_first_payload(payload: str, is_key: bool) -> None:
    assert starts_key_frame("H264", bytes.fromhex(payload)) is is_key


def test_every_audio_packet_may_open_a_slot() -> None:
    assert starts_key_frame("opus", b"")


def test_the_header_is_read_with_extensions_sources_and_padding() -> None:
    packet = parse_packet(
        bytes.fromhex(
            "b2 e1 1234 00010203 a0b0c0d0"  # padding, extension, two sources; marker, type 97
            "00000001 00000002"
            "bede 0005"  # twenty bytes of one-byte elements
            "10 37"  # mid "7"
            "32 102030"  # abs-send-time
            "57 0102030405060708"  # abs-capture-time
            "00 90 aa 00 00"  # padding, an element unknown to us, padding
            "cafe"  # payload
            "000003"  # padding of three
        ),
        IDS,
    )
    assert (packet.payload_type, packet.marker, packet.sequence) == (97, 1, 0x1234)
    assert (packet.timestamp, packet.ssrc) == (0x00010203, 0xA0B0C0D0)
    assert packet.payload == bytes.fromhex("cafe")
    assert packet.padding_bytes == 3
    assert packet.abs_send_time == 0x102030
    assert packet.abs_capture_time == bytes.fromhex("0102030405060708")


def test_two_byte_elements_are_read() -> None:
    packet = parse_packet(bytes.fromhex("90 60 0001 00000002 00000003 1000 0002 03 03 102030 00 00 00 ff"), IDS)
    assert packet.abs_send_time == 0x102030
    assert packet.payload == b"\xff"


@pytest.mark.parametrize(
    "datagram",
    [
        "",
        "80 60 0001 00000002 000000",  # no whole header
        "40 60 0001 00000002 00000003",  # version 1
        "81 60 0001 00000002 00000003",  # a source is missing
        "90 60 0001 00000002 00000003 bede",  # cut in the extension's header
        "90 60 0001 00000002 00000003 bede 0002 00000000",  # cut in the extension
        "a0 60 0001 00000002 00000003 0000",  # padding of no length
        "a0 60 0001 00000002 00000003 00ff",  # more padding than packet
    ],
)
def test_what_is_not_rtp_is_refused(datagram: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_packet(bytes.fromhex(datagram), IDS)


def test_an_extension_that_overruns_is_left_unread() -> None:
    packet = parse_packet(bytes.fromhex("90 60 0001 00000002 00000003 bede 0001 32 1020 3f ff"), IDS)
    assert packet.payload == b"\xff"
    packet = parse_packet(bytes.fromhex("90 60 0001 00000002 00000003 bede 0001 00 00 00 32 ff"), IDS)
    assert packet.abs_send_time is None


def test_distance_goes_the_short_way_round() -> None:
    assert sequence_distance(5, 5) == 0
    assert sequence_distance(0, 65535) == 1
    assert sequence_distance(65535, 0) == -1
    assert sequence_distance(0x7FFF, 0) == 0x7FFF
