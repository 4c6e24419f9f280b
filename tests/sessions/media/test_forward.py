"""The forwarding rules, with a wire that only keeps what is sent and a clock that we turn."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
    pack_remb_fci,
    unpack_remb_fci,
)

from sessions.media.engine import Kind
from sessions.media.forward import (
    BITRATE_FLOOR_BPS,
    BURST_S,
    HISTORY_PACKETS,
    MAX_MISSING_PACKETS,
    MOST_BYTES_PER_S,
    NACK_TRIES,
    RETRANSMISSIONS_PER_TICK,
    SECOND_NS,
    Codec,
    ForwardReceiver,
    ForwardSender,
    Router,
)
from sessions.media.packet import ExtensionIds, Packet, parse_packet

VP8 = Codec(name="VP8", clock_rate_hz=90_000, payload_type=96, rtx_payload_type=97)
OPUS = Codec(name="opus", clock_rate_hz=48_000, payload_type=111)
KEY, INTER = b"\x10\x00key", b"\x10\x01inter"
FRAME_NS = SECOND_NS // 30
TICK_NS = SECOND_NS // 10
EXTENSIONS = ExtensionIds(mid=1, abs_send_time=3, abs_capture_time=5)


class KeptWire:
    """Keeps what would be encrypted and sent."""

    def __init__(self) -> None:
        self.rtp: list[Packet] = []
        self.rtcp: list[AnyRtcpPacket] = []

    def send_rtp(self, data: bytes) -> None:
        self.rtp.append(parse_packet(data, EXTENSIONS))

    def send_rtcp(self, data: bytes) -> None:
        self.rtcp += RtcpPacket.parse(data)

    def keyframe_requests(self) -> int:
        return sum(isinstance(each, RtcpPsfbPacket) and each.fmt == RTCP_PSFB_PLI for each in self.rtcp)

    def nacked(self) -> list[list[int]]:
        return [each.lost for each in self.rtcp if isinstance(each, RtcpRtpfbPacket)]

    def bitrates(self) -> list[int]:
        fcis = [each.fci for each in self.rtcp if isinstance(each, RtcpPsfbPacket) and each.fmt == RTCP_PSFB_APP]
        return [unpack_remb_fci(fci)[0] for fci in fcis]


class Source:
    """A publisher at packet level: thirty frames a second of one packet each."""

    def __init__(self, *, ssrc: int, sequence: int = 100, timestamp: int = 1000, kind: Kind = "video") -> None:
        self.wire = KeptWire()
        self.receiver = ForwardReceiver(kind, self.wire, report_ssrc=ssrc + 1)
        self.codec = VP8 if kind == "video" else OPUS
        self.receiver.configure(self.codec, rtx_ssrcs={ssrc + 2: ssrc})
        self.ssrc, self.sequence, self.timestamp = ssrc, sequence, timestamp

    def next(self, payload: bytes = INTER) -> Packet:
        packet = Packet(self.codec.payload_type, 1, self.sequence, self.timestamp, self.ssrc, payload)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + self.codec.clock_rate_hz // 30) & 0xFFFFFFFF
        return packet

    def send(self, payloads: Sequence[bytes], now_ns: int = 0) -> int:
        for payload in payloads:
            now_ns += FRAME_NS
            self.receiver.take(self.next(payload), now_ns)
        return now_ns

    def lose(self, n_packets: int = 1) -> list[Packet]:
        return [self.next() for _ in range(n_packets)]

    def as_rtx(self, packet: Packet) -> Packet:
        payload = packet.sequence.to_bytes(2, "big") + packet.payload
        return Packet(97, packet.marker, 7, packet.timestamp, self.ssrc + 2, payload)

    def say_time(self, *, ntp: int, timestamp: int) -> None:
        info = RtcpSenderInfo(ntp_timestamp=ntp, rtp_timestamp=timestamp, packet_count=0, octet_count=0)
        self.receiver.take_rtcp(RtcpSrPacket(ssrc=self.ssrc, sender_info=info), 0)


class Slot:
    """A viewer's slot and what reached it."""

    def __init__(self, *, codec: Codec = VP8, first_sequence: int = 30_000, first_timestamp: int = 5_000) -> None:
        self.wire = KeptWire()
        kind: Kind = "video" if codec.name == "VP8" else "audio"
        self.sender = ForwardSender(
            kind, self.wire, ssrc=900, rtx_ssrc=901, first_sequence=first_sequence, first_timestamp=first_timestamp
        )
        self.configure(codec)

    def configure(self, codec: Codec = VP8, siblings: Sequence[int] = (900,)) -> None:
        self.sender.configure(
            codec, 0, cname="name", mid="0", extension_ids=EXTENSIONS, sibling_ssrcs=frozenset(siblings)
        )

    @property
    def sequences(self) -> list[int]:
        return [packet.sequence for packet in self.wire.rtp]


def steps(values: Sequence[int], modulus: int) -> list[int]:
    return [(later - earlier) % modulus for earlier, later in pairwise(values)]


def nack(*sequences: int) -> RtcpRtpfbPacket:
    return RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=900, lost=list(sequences))


@pytest.mark.parametrize("first_sequence", [30_000, 65_530])
def test_a_slot_switched_from_a_to_b_and_back_stays_one_unbroken_stream(first_sequence: int) -> None:
    a, b = Source(ssrc=10, sequence=65_533), Source(ssrc=20, sequence=9, timestamp=2**32 - 4_000)
    slot = Slot(first_sequence=first_sequence, first_timestamp=2**32 - 1)
    now_ns = 0
    begins = []
    for source in (a, b, a):
        slot.sender.bind(source.receiver, now_ns)
        begins.append(len(slot.wire.rtp))
        now_ns = source.send([INTER, INTER, KEY, INTER, INTER, INTER], now_ns)
    assert [slot.wire.rtp[begin].payload for begin in begins] == [KEY, KEY, KEY], "each switch starts at a key frame"
    assert len(slot.wire.rtp) == 12
    assert set(steps(slot.sequences, 2**16)) == {1}
    assert all(0 < step < 2**31 for step in steps([packet.timestamp for packet in slot.wire.rtp], 2**32))
    assert {packet.ssrc for packet in slot.wire.rtp} == {900}


def test_the_time_stamp_of_a_switch_counts_the_time_that_passed() -> None:
    a, b, slot = Source(ssrc=10), Source(ssrc=20, timestamp=77), Slot()
    slot.sender.bind(a.receiver, 0)
    now_ns = a.send([KEY])
    slot.sender.bind(b.receiver, now_ns)
    b.send([KEY], now_ns + 2 * SECOND_NS - FRAME_NS)
    assert slot.wire.rtp[1].timestamp - slot.wire.rtp[0].timestamp == 2 * 90_000


def test_two_packets_at_one_instant_across_a_switch_still_differ_in_time() -> None:
    a, b, slot = Source(ssrc=10), Source(ssrc=20), Slot()
    for source in (a, b):
        slot.sender.bind(source.receiver, 0)
        source.receiver.take(source.next(KEY), 1)
    assert slot.wire.rtp[1].timestamp - slot.wire.rtp[0].timestamp == 3_000


def test_a_late_packet_from_before_the_switch_is_not_sent_under_anothers_number() -> None:
    a, b, slot = Source(ssrc=10), Source(ssrc=20), Slot()
    slot.sender.bind(a.receiver, 0)
    a.send([KEY, INTER])
    late = b.lose(3)
    slot.sender.bind(b.receiver, 0)
    b.send([KEY, INTER])
    for packet in late:
        b.receiver.take(packet, 0)
    assert len(slot.wire.rtp) == 4
    assert len(set(slot.sequences)) == 4


def test_a_late_key_frame_does_not_open_the_gate() -> None:
    source, slot = Source(ssrc=10), Slot()
    late = source.next(KEY)
    source.send([INTER])
    slot.sender.bind(source.receiver, 0)
    source.receiver.take(late, 0)
    assert slot.wire.rtp == []


def test_a_packet_that_comes_late_keeps_its_place() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    source.send([KEY])
    (late,) = source.lose()
    source.send([INTER])
    source.receiver.take(late, 0)
    first = slot.sequences[0]
    assert slot.sequences == [first, first + 2, first + 1]


def test_sound_needs_no_key_frame() -> None:
    source, slot = Source(ssrc=10, kind="audio"), Slot(codec=OPUS)
    slot.sender.bind(source.receiver, 0)
    source.send([b"\xfc"])
    assert [packet.payload for packet in slot.wire.rtp] == [b"\xfc"]


def test_a_slot_never_gets_a_codec_it_did_not_agree_to() -> None:
    source, slot = Source(ssrc=10, kind="audio"), Slot(codec=VP8)
    slot.sender.bind(source.receiver, 0)
    source.send([b"\xfc"])
    assert slot.wire.rtp == []


def test_a_publisher_that_restarts_its_stream_makes_the_slots_wait_for_a_key_frame() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    source.send([KEY, INTER])
    source.ssrc, source.sequence = 60, 5
    source.send([INTER, KEY, INTER])
    assert [packet.payload for packet in slot.wire.rtp] == [KEY, INTER, KEY, INTER]
    assert set(steps(slot.sequences, 2**16)) == {1}


def test_a_hole_is_asked_for_at_once_then_each_tick_then_given_up_for_a_key_frame() -> None:
    source = Source(ssrc=10)
    now_ns = source.send([KEY])
    (lost,) = source.lose()
    now_ns = source.send([INTER], now_ns)
    assert source.wire.nacked() == [[lost.sequence]]
    for _ in range(NACK_TRIES + 3):
        now_ns += TICK_NS
        source.receiver.tick(now_ns)
    assert source.wire.nacked() == [[lost.sequence]] * NACK_TRIES
    assert source.wire.keyframe_requests() == 1


def test_a_hole_that_closes_is_asked_for_no_more() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    now_ns = source.send([KEY])
    (lost,) = source.lose()
    now_ns = source.send([INTER], now_ns)
    source.receiver.take(source.as_rtx(lost), now_ns)
    source.receiver.tick(now_ns + TICK_NS)
    assert len(source.wire.nacked()) == 1
    assert source.receiver.counters.repaired == 1
    assert slot.wire.rtp[-1].payload == lost.payload
    assert slot.sequences[-1] == slot.sequences[0] + 1


@pytest.mark.parametrize("hole", [101, 20_000])
def test_a_long_hole_is_not_repaired_but_asks_for_a_key_frame(hole: int) -> None:
    source = Source(ssrc=10)
    source.send([KEY])
    source.lose(hole)
    source.send([INTER])
    assert source.wire.nacked() == []
    assert source.wire.keyframe_requests() == 1


def test_what_is_asked_for_is_bounded() -> None:
    source = Source(ssrc=10)
    source.send([KEY])
    for _ in range(50):
        source.lose(90)
        source.send([INTER])
    assert all(len(lost) <= MAX_MISSING_PACKETS for lost in source.wire.nacked())
    assert source.wire.keyframe_requests() >= 1


def test_a_padding_probe_and_a_copy_reach_no_viewer() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    source.receiver.take(packet := source.next(KEY), 0)
    source.receiver.take(packet, 0)
    source.receiver.take(source.as_rtx(packet), 0)
    source.receiver.take(Packet(97, 0, 8, 0, 12, b""), 0)
    source.receiver.take(Packet(97, 0, 9, 0, 12, b"\0\1"), 0)
    assert len(slot.wire.rtp) == 1
    assert source.receiver.counters.duplicates == 2


def test_a_foreign_payload_type_is_counted_and_dropped() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    source.receiver.take(Packet(100, 0, 1, 0, 10, KEY), 0)
    assert slot.wire.rtp == []
    assert source.receiver.counters.refused == 1


def test_a_viewers_request_is_answered_by_retransmission_with_the_slots_numbers() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    source.send([KEY, b"\x10\x01one", b"\x10\x01two"])
    sent = slot.wire.rtp[1]
    slot.sender.take_rtcp(nack(sent.sequence), 0)
    again = slot.wire.rtp[-1]
    assert (again.payload_type, again.ssrc) == (97, 901)
    assert again.payload == sent.sequence.to_bytes(2, "big") + b"\x10\x01one"
    assert again.timestamp == sent.timestamp


def test_without_rtx_the_packet_itself_is_sent_again() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.configure(Codec(name="VP8", clock_rate_hz=90_000, payload_type=96))
    slot.sender.bind(source.receiver, 0)
    source.send([KEY, INTER])
    slot.sender.take_rtcp(nack(slot.sequences[0]), 0)
    again, sent = slot.wire.rtp[-1], slot.wire.rtp[0]
    assert (again.sequence, again.ssrc, again.payload) == (sent.sequence, sent.ssrc, sent.payload)
    assert len(slot.wire.rtp) == 3


def test_a_request_for_what_another_source_sent_is_not_answered_with_a_wrong_packet() -> None:
    a, b, slot = Source(ssrc=10), Source(ssrc=20), Slot()
    slot.sender.bind(a.receiver, 0)
    a.send([KEY, INTER])
    b.send([INTER, INTER, INTER])
    slot.sender.bind(b.receiver, 0)
    b.send([KEY])
    before = list(slot.wire.rtp)
    slot.sender.take_rtcp(nack(before[0].sequence, before[1].sequence, before[2].sequence + 1), 0)
    assert slot.wire.rtp == before


def test_retransmissions_are_bounded_per_tick_and_by_the_history() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    source.send([KEY, *[INTER] * (HISTORY_PACKETS + 5)])
    n_sent = len(slot.wire.rtp)
    slot.sender.take_rtcp(nack(slot.sequences[0]), 0)
    assert len(slot.wire.rtp) == n_sent, "out of the history"
    for _ in range(3 * RETRANSMISSIONS_PER_TICK):
        slot.sender.take_rtcp(nack(slot.sequences[n_sent - 1]), 0)
    assert len(slot.wire.rtp) == n_sent + RETRANSMISSIONS_PER_TICK
    slot.sender.tick()
    slot.sender.take_rtcp(nack(slot.sequences[n_sent - 1]), 0)
    assert len(slot.wire.rtp) == n_sent + RETRANSMISSIONS_PER_TICK + 1


@pytest.mark.parametrize("fmt", [RTCP_PSFB_PLI, RTCP_PSFB_FIR])
def test_a_viewers_wish_for_a_key_frame_reaches_the_publisher_at_most_twice_a_second(fmt: int) -> None:
    source, slot, router = Source(ssrc=10), Slot(), Router()
    router.add_sender(slot.sender)
    slot.sender.bind(source.receiver, 0)
    now_ns = source.send([KEY])
    entry = (900).to_bytes(4, "big") + bytes(4)
    wish = RtcpPsfbPacket(fmt=fmt, ssrc=1, media_ssrc=0 if fmt == RTCP_PSFB_FIR else 900, fci=entry)
    for _ in range(20):  # two seconds
        router.take_rtcp(wish, now_ns)
        now_ns += TICK_NS
    assert source.wire.keyframe_requests() == 4


def test_a_slot_that_waits_makes_the_publisher_be_asked_until_a_key_frame_comes() -> None:
    source, slot = Source(ssrc=10), Slot()
    now_ns = source.send([KEY, INTER])
    slot.sender.bind(source.receiver, now_ns)
    asked = []
    for _ in range(15):
        now_ns += TICK_NS
        source.receiver.tick(now_ns)
        asked.append(source.wire.keyframe_requests())
    assert asked[0] == 1
    assert asked[-1] == 4
    now_ns = source.send([KEY], now_ns)
    source.receiver.tick(now_ns + SECOND_NS)
    assert source.wire.keyframe_requests() == 4


def test_a_sender_report_carries_the_sources_own_clock_also_after_a_switch() -> None:
    a, b, slot = Source(ssrc=10, timestamp=1_000), Source(ssrc=20, timestamp=70_000), Slot()
    for source, ntp in ((a, 5 << 32), (b, 900 << 32)):
        slot.sender.bind(source.receiver, 0)
        n_before = len(slot.wire.rtp)
        first = source.timestamp
        source.send([KEY])
        assert slot.sender.report(0) == b"", "no statement of the source, no report"
        source.say_time(ntp=ntp, timestamp=first + 450)
        report, _ = RtcpPacket.parse(slot.sender.report(0))
        assert isinstance(report, RtcpSrPacket)
        assert report.ssrc == 900
        assert report.sender_info.ntp_timestamp == ntp
        assert report.sender_info.rtp_timestamp == slot.wire.rtp[n_before].timestamp + 450


def test_capture_time_passes_unchanged_and_the_sending_time_is_ours() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    packet = source.next(KEY)
    packet.abs_capture_time, packet.abs_send_time = b"12345678", 1
    source.receiver.take(packet, 3 * SECOND_NS // 2)
    (sent,) = slot.wire.rtp
    assert sent.abs_capture_time == b"12345678"
    assert sent.abs_send_time == 3 << 17
    assert sent.payload == KEY


def test_the_publisher_is_told_the_slowest_viewers_bitrate_but_no_less_than_the_floor() -> None:
    source, slow, fast = Source(ssrc=10), Slot(), Slot()
    for slot in (slow, fast):
        slot.sender.bind(source.receiver, 0)

    def publish_for_five_seconds(now_ns: int) -> int:
        for _ in range(500):
            now_ns += SECOND_NS // 100
            packet = source.next(KEY + bytes(1_000))
            packet.abs_send_time = (now_ns << 18) // SECOND_NS & 0xFFFFFF
            source.receiver.take(packet, now_ns)
        return now_ns

    def say(slot: Slot, bitrate_bps: int) -> None:
        fci = pack_remb_fci(bitrate_bps, [900])
        slot.sender.take_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci), 0)

    now_ns = publish_for_five_seconds(0)
    assert source.wire.bitrates()[-1] > 500_000, "nobody said anything"
    say(slow, 400_000)
    say(fast, 2_000_000)
    now_ns = publish_for_five_seconds(now_ns)
    assert source.wire.bitrates()[-1] == pytest.approx(400_000, rel=0.01)
    say(slow, 10_000)
    publish_for_five_seconds(now_ns)
    assert source.wire.bitrates()[-1] == pytest.approx(BITRATE_FLOOR_BPS, rel=0.01)


def test_a_viewers_bitrate_is_shared_by_its_slots() -> None:
    slot = Slot()
    slot.configure(siblings=(900, 910))
    fci = pack_remb_fci(1_000_000, [900, 910, 4_000])
    slot.sender.take_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci), 0)
    assert slot.sender.viewer_bitrate_bps == 500_000


def test_a_malformed_bitrate_report_is_ignored() -> None:
    slot, router = Slot(), Router()
    router.add_sender(slot.sender)
    for fci in (b"", b"REMB", b"REMB\xff\x00\x00\x01\x00\x00"):
        router.take_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci), 0)
    assert slot.sender.viewer_bitrate_bps is None


def test_the_round_trip_is_taken_from_the_viewers_report() -> None:
    source, slot = Source(ssrc=10), Slot()
    slot.sender.bind(source.receiver, 0)
    source.send([KEY])
    source.say_time(ntp=7 << 32 | 5 << 16, timestamp=0)
    slot.sender.report(SECOND_NS)
    info = RtcpReceiverInfo(
        ssrc=900, fraction_lost=64, packets_lost=3, highest_sequence=0, jitter=0, lsr=7 << 16 | 5, dlsr=32_768
    )
    slot.sender.take_rtcp(RtcpRrPacket(ssrc=1, reports=[info]), SECOND_NS + SECOND_NS * 6 // 10)
    assert slot.sender.round_trip_s == pytest.approx(0.1)
    assert slot.sender.viewer_fraction_lost == 0.25


def test_a_receiver_report_says_what_was_lost() -> None:
    source = Source(ssrc=10)
    source.send([KEY, INTER, INTER])
    source.lose(1)
    source.send([INTER] * 4)
    (report,) = RtcpPacket.parse(source.receiver.report(0))
    assert isinstance(report, RtcpRrPacket)
    (info,) = report.reports
    assert (info.ssrc, info.packets_lost, info.fraction_lost, info.highest_sequence) == (10, 1, 32, 107)
    assert source.receiver.packets_lost == 1
    assert source.receiver.fraction_lost == 0.125


def test_an_unknown_ssrc_goes_to_the_only_track_of_its_payload_type_else_nowhere() -> None:
    video, router = Source(ssrc=10), Router()
    router.add_receiver(video.receiver, ssrcs=())
    router.take(video.next(KEY), 0)
    assert video.receiver.counters.packets == 1
    router.add_receiver(Source(ssrc=20).receiver, ssrcs=(20,))
    router.take(Packet(96, 0, 1, 0, 55, KEY), 0)
    assert router.unroutable == 1


def test_invented_ssrcs_do_not_fill_the_memory() -> None:
    video, router = Source(ssrc=10), Router()
    router.add_receiver(video.receiver, ssrcs=(10,))
    for ssrc in range(1_000, 2_000):
        router.take(Packet(96, 0, 1, 0, ssrc, KEY), 0)
    assert router.unroutable > 900


def test_a_closed_publisher_leaves_the_slot_waiting_for_another() -> None:
    a, b, slot = Source(ssrc=10), Source(ssrc=20), Slot()
    slot.sender.bind(a.receiver, 0)
    a.send([KEY])
    a.receiver.close()
    a.send([INTER])
    assert len(slot.wire.rtp) == 1
    slot.sender.bind(b.receiver, 0)
    b.send([KEY])
    assert set(steps(slot.sequences, 2**16)) == {1}


def test_a_flood_reaches_its_viewers_at_a_bounded_rate() -> None:
    source, slot = Source(ssrc=7), Slot()
    slot.sender.bind(source.receiver, 0)
    most = MOST_BYTES_PER_S["video"]
    for number in range(6 * most // 1_000):  # six seconds' worth, in two
        source.receiver.take(source.next(KEY + bytes(1_000 - 12 - len(KEY))), number * 2 * SECOND_NS // 6_000)
    assert source.receiver.counters.flooding > 0
    n_bytes = sum(len(packet.payload) + 12 for packet in slot.wire.rtp)
    assert n_bytes == pytest.approx((BURST_S + 2) * most, rel=0.01)
    source.receiver.take(source.next(KEY), 3 * SECOND_NS)
    assert slot.wire.rtp[-1].payload == KEY, "it goes on as soon as it keeps to the rate"
