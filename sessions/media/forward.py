"""Forwarding of encoded audio and video: one `ForwardReceiver` per published track, one `ForwardSender` per slot.

Nothing here decodes, encodes, buffers a frame, waits or keeps a task. Datagrams and time come in as arguments, the way
out is a `Wire`; so a test needs neither network nor clock. All times are monotonic [ns].
"""

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from struct import Struct
from struct import error as StructError
from typing import Final, Protocol

from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    AnyRtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    clamp_packets_lost,
    pack_remb_fci,
    unpack_remb_fci,
)

from sessions.media.engine import Kind
from sessions.media.packet import (
    ONE_BYTE_EXTENSIONS,
    RTP_HEADER,
    ExtensionIds,
    Packet,
    sequence_distance,
    starts_key_frame,
)

SECOND_NS: Final = 1_000_000_000
HISTORY_PACKETS: Final = 512  # kept per published track for retransmission to any viewer
KEYFRAME_INTERVAL_NS: Final = SECOND_NS // 2  # at most two requests a second reach a publisher
NACK_INTERVAL_NS: Final = SECOND_NS // 11  # a little less than a tick, lest every other tick is missed
NACK_TRIES: Final = 5
MAX_HOLE_PACKETS: Final = 100  # a longer hole is not repaired: a key frame is asked for
MAX_SSRCS: Final = 64  # of one connection
MAX_REPORTS: Final = 31  # of one receiver report
MAX_MISSING_PACKETS: Final = 200  # in all: their request fits one datagram
RETRANSMISSIONS_PER_TICK: Final = 100  # to one slot
MOST_BYTES_PER_S: Final[Mapping[Kind, int]] = {"video": 1_000_000, "audio": 64_000}
"""Of one published track, some times what pages send; what comes above it would only flood its viewers."""
BURST_S: Final = 2
BITRATE_FLOOR_BPS: Final = 300_000  # a busy server must not talk a publisher into mosaic
SHORTEST_STEP_S: Final = {"video": 1 / 30, "audio": 1 / 50}  # of the time stamp when a slot switches

_ORIGINAL_SEQUENCE: Final = Struct("!H")
_EXTENSION_HEADER: Final = Struct("!HH")


class Wire(Protocol):
    """The encrypted way to one peer; drops silently when there is none (yet, or any more)."""

    def send_rtp(self, data: bytes) -> None:
        """Encrypt and send an RTP packet, now."""
        ...

    def send_rtcp(self, data: bytes) -> None:
        """Encrypt and send compound RTCP, now."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Codec:
    """What both sides of a connection agreed on for one kind."""

    name: str  # "VP8", "opus"
    clock_rate_hz: int
    payload_type: int
    rtx_payload_type: int | None = None


@dataclass(slots=True)
class ReceiverCounters:
    """Tallies of one published track."""

    packets: int = 0
    payload_bytes: int = 0
    frames: int = 0
    repaired: int = 0
    duplicates: int = 0
    refused: int = 0
    flooding: int = 0
    nacks: int = 0
    keyframe_requests: int = 0


@dataclass(slots=True)
class SenderCounters:
    """Tallies of one slot."""

    packets: int = 0
    payload_bytes: int = 0
    retransmitted: int = 0
    keyframe_requests: int = 0
    switches: int = 0


@dataclass(frozen=True, slots=True)
class SourceClock:
    """A publisher's own statement: its wall clock `ntp` (32.32 fixed point) belongs to its RTP time stamp."""

    ntp: int
    timestamp: int


@dataclass(slots=True)
class _Missing:
    tries: int
    last_ns: int


class _StreamReport:
    """What a receiver report says of one SSRC (RFC 3550, appendix A.3 and A.8)."""

    def __init__(self, clock_rate_hz: int) -> None:
        self.received = 0
        self.lost_in_all = 0
        self.fraction_lost = 0
        self._clock_rate_hz = clock_rate_hz
        self._base: int | None = None
        self._highest = 0  # extended by the turns of the sequence
        self._jitter_q4 = 0
        self._last_transit: int | None = None
        self._before = (0, 0)

    def add(self, packet: Packet, now_ns: int) -> None:
        self.received += 1
        if self._base is None:
            self._base = self._highest = packet.sequence
        ahead = sequence_distance(packet.sequence, self._highest & 0xFFFF)
        if ahead < 0:
            return
        self._highest += ahead
        transit = (now_ns * self._clock_rate_hz // SECOND_NS - packet.timestamp) & 0xFFFFFFFF
        if self._last_transit is not None:
            difference = (transit - self._last_transit) & 0xFFFFFFFF
            self._jitter_q4 += min(difference, 2**32 - difference) - ((self._jitter_q4 + 8) >> 4)
        self._last_transit = transit

    def close_interval(self) -> tuple[int, int, int, int]:
        """Return fraction lost [1/256] since the last call, packets lost, highest sequence, jitter [ticks]."""
        expected = self._highest - self._base + 1 if self._base is not None else 0
        expected_now, received_now = expected - self._before[0], self.received - self._before[1]
        self._before = (expected, self.received)
        lost_now = max(0, expected_now - received_now)
        self.fraction_lost = min(255, (lost_now << 8) // expected_now) if expected_now > 0 else 0
        self.lost_in_all = expected - self.received
        return self.fraction_lost, self.lost_in_all, self._highest & 0xFFFFFFFF, self._jitter_q4 >> 4


class ForwardReceiver:
    """Takes the packets of one published track and hands each, still encoded, to the slots that show it."""

    def __init__(self, kind: Kind, wire: Wire, *, report_ssrc: int) -> None:
        self.kind: Final = kind
        self.counters = ReceiverCounters()
        self.codec: Codec | None = None
        self.media_ssrc: int | None = None
        self.first_packet_ns: int | None = None
        self.first_key_frame_ns: int | None = None
        self.last_packet_ns: int | None = None
        self.clock: SourceClock | None = None
        self.history: list[Packet | None] = [None] * HISTORY_PACKETS
        self.taps: list[Callable[[Packet, Codec], None]] = []  # see every packet once, in order of arrival
        self._wire = wire
        self._report_ssrc = report_ssrc
        self._most_bytes_per_s = MOST_BYTES_PER_S[kind]
        self._bytes_left = BURST_S * self._most_bytes_per_s
        self._bytes_left_at_ns: int | None = None
        self._sinks: list[ForwardSender] = []
        self._rtx_ssrcs: dict[int, int] = {}
        self._reports: dict[int, _StreamReport] = {}
        self._last_sender_report: dict[int, tuple[int, int]] = {}
        self._newest: int | None = None
        self._missing: dict[int, _Missing] = {}
        self._last_keyframe_request_ns: int | None = None
        self._estimator = RemoteBitrateEstimator() if kind == "video" else None

    @property
    def packets_lost(self) -> int:
        """Packets that never came, also not as retransmission, as of the last report."""
        return max(0, sum(report.lost_in_all for report in self._reports.values()))

    @property
    def fraction_lost(self) -> float:
        """Share of packets lost on the way here in the last report interval, before repair."""
        report = self._reports.get(self.media_ssrc) if self.media_ssrc is not None else None
        return report.fraction_lost / 256 if report is not None else 0.0

    def configure(self, codec: Codec, *, rtx_ssrcs: dict[int, int]) -> None:
        """Begin to take packets of this codec; `rtx_ssrcs` maps a retransmission's SSRC to that of its media."""
        self.codec, self._rtx_ssrcs = codec, dict(rtx_ssrcs)

    def attach(self, sink: "ForwardSender") -> None:
        """Hand packets to a slot from now on."""
        if sink not in self._sinks:
            self._sinks.append(sink)

    def detach(self, sink: "ForwardSender") -> None:
        """Hand nothing more to a slot."""
        if sink in self._sinks:
            self._sinks.remove(sink)

    def take(self, packet: Packet, now_ns: int) -> None:
        """Count, repair and forward one packet."""
        if not self._is_within_rate(packet, now_ns):
            self.counters.flooding += 1
            return
        codec = self.codec
        if codec is None or packet.payload_type not in (codec.payload_type, codec.rtx_payload_type):
            self.counters.refused += 1
            return
        self._estimate_bitrate(packet, now_ns)
        report = self._reports.get(packet.ssrc)
        if report is None:
            report = self._reports[packet.ssrc] = _StreamReport(codec.clock_rate_hz)
        report.add(packet, now_ns)
        if packet.payload_type == codec.rtx_payload_type:
            original = self._unwrap(packet, codec)
            if original is None:
                return
            packet = original
        index = packet.sequence % HISTORY_PACKETS
        before = self.history[index]
        if before is not None and before.sequence == packet.sequence and before.ssrc == packet.ssrc:
            self.counters.duplicates += 1  # browsers probe the bandwidth with copies
            return
        self.history[index] = packet
        self._deliver(packet, codec, now_ns)

    def take_rtcp(self, packet: AnyRtcpPacket, now_ns: int) -> None:
        """Take a report of the publisher."""
        if isinstance(packet, RtcpSrPacket) and packet.ssrc in self._reports:
            info = packet.sender_info
            self._last_sender_report[packet.ssrc] = ((info.ntp_timestamp >> 16) & 0xFFFFFFFF, now_ns)
            if packet.ssrc == self.media_ssrc:
                self.clock = SourceClock(info.ntp_timestamp, info.rtp_timestamp)

    def request_keyframe(self, now_ns: int) -> None:
        """Ask the publisher for a key frame, unless it was asked within the last half second."""
        if self.kind != "video" or self.media_ssrc is None:
            return
        last_ns = self._last_keyframe_request_ns
        if last_ns is not None and now_ns - last_ns < KEYFRAME_INTERVAL_NS:
            return
        self._last_keyframe_request_ns = now_ns
        self.counters.keyframe_requests += 1
        request = RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=self._report_ssrc, media_ssrc=self.media_ssrc)
        self._wire.send_rtcp(bytes(request))

    def tick(self, now_ns: int) -> None:
        """Repeat requests that got no answer; call every 100 ms."""
        if self._missing:
            self._send_nack(now_ns)
        if any(sink.waiting_key for sink in self._sinks):
            self.request_keyframe(now_ns)

    def report(self, now_ns: int) -> bytes:
        """Return the receiver report of the interval since the last one."""
        infos = []
        for ssrc, report in list(self._reports.items())[:MAX_REPORTS]:
            fraction_lost, lost, highest, jitter = report.close_interval()
            last_sender_report, at_ns = self._last_sender_report.get(ssrc, (0, now_ns))
            delay = (now_ns - at_ns) * 65536 // SECOND_NS if last_sender_report else 0
            infos.append(
                RtcpReceiverInfo(
                    ssrc=ssrc,
                    fraction_lost=fraction_lost,
                    packets_lost=clamp_packets_lost(lost),
                    highest_sequence=highest,
                    jitter=jitter & 0xFFFFFFFF,
                    lsr=last_sender_report,
                    dlsr=min(delay, 0xFFFFFFFF),
                )
            )
        return bytes(RtcpRrPacket(ssrc=self._report_ssrc, reports=infos)) if infos else b""

    def close(self) -> None:
        """Forget the viewers; they stay where they are and wait for another source."""
        for sink in list(self._sinks):
            sink.bind(None, 0)
        self._missing.clear()

    def _deliver(self, packet: Packet, codec: Codec, now_ns: int) -> None:
        counters = self.counters
        counters.packets += 1
        counters.payload_bytes += len(packet.payload)
        counters.frames += packet.marker
        if self.media_ssrc != packet.ssrc:
            self._begin_stream(packet.ssrc)
        self.last_packet_ns = now_ns
        is_newest = self._note_sequence(packet.sequence, now_ns)
        if self.first_key_frame_ns is None:
            self._note_beginning(packet, codec, now_ns)
        opens_gate: bool | None = None  # unknown: rarely asked
        for sink in self._sinks:
            if sink.waiting_key:
                if opens_gate is None:
                    opens_gate = is_newest and starts_key_frame(codec.name, packet.payload)
                if not opens_gate:
                    continue
            sink.forward(packet, codec, now_ns)
        for tap in self.taps:
            tap(packet, codec)

    def _begin_stream(self, ssrc: int) -> None:
        if self.media_ssrc is not None:  # numbers begin anew: the slots must, too
            self.history = [None] * HISTORY_PACKETS
            for sink in self._sinks:
                sink.waiting_key = True
        self.media_ssrc, self.clock, self._newest = ssrc, None, None
        self._missing.clear()

    def _note_beginning(self, packet: Packet, codec: Codec, now_ns: int) -> None:
        if self.first_packet_ns is None:
            self.first_packet_ns = now_ns
        if starts_key_frame(codec.name, packet.payload):
            self.first_key_frame_ns = now_ns
        else:
            self.request_keyframe(now_ns)

    def _unwrap(self, packet: Packet, codec: Codec) -> Packet | None:
        """Return what a retransmission carries (RFC 4588)."""
        media_ssrc = self._rtx_ssrcs.get(packet.ssrc)
        if media_ssrc is None or len(packet.payload) <= 2:  # nothing behind the sequence: a probe
            return None
        self.counters.repaired += 1
        return Packet(
            codec.payload_type,
            packet.marker,
            _ORIGINAL_SEQUENCE.unpack_from(packet.payload)[0],
            packet.timestamp,
            media_ssrc,
            packet.payload[2:],
            abs_capture_time=packet.abs_capture_time,
        )

    def _note_sequence(self, sequence: int, now_ns: int) -> bool:
        """Note holes; return whether this is the newest packet so far."""
        newest = self._newest
        if newest is None:
            self._newest = sequence
            return True
        ahead = sequence_distance(sequence, newest)
        if ahead <= 0:
            self._missing.pop(sequence, None)
            return False
        self._newest = sequence
        if self.kind == "audio" or ahead == 1:
            return True
        if ahead > MAX_HOLE_PACKETS or len(self._missing) + ahead > MAX_MISSING_PACKETS:
            self._missing.clear()
            self.request_keyframe(now_ns)
            return True
        for step in range(1, ahead):
            self._missing[(newest + step) & 0xFFFF] = _Missing(0, 0)
        self._send_nack(now_ns)
        return True

    def _send_nack(self, now_ns: int) -> None:
        due = []
        for sequence, missing in list(self._missing.items()):
            if missing.tries and now_ns - missing.last_ns < NACK_INTERVAL_NS:
                continue
            if missing.tries >= NACK_TRIES:
                del self._missing[sequence]
                self.request_keyframe(now_ns)
                continue
            missing.tries, missing.last_ns = missing.tries + 1, now_ns
            due.append(sequence)
        if due and self.media_ssrc is not None:
            self.counters.nacks += len(due)
            nack = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=self._report_ssrc, media_ssrc=self.media_ssrc, lost=due)
            self._wire.send_rtcp(bytes(nack))

    def _is_within_rate(self, packet: Packet, now_ns: int) -> bool:
        """Tell whether the track may bring this packet now (a token bucket)."""
        left, at_ns = self._bytes_left, self._bytes_left_at_ns
        if at_ns is not None:
            most = self._most_bytes_per_s
            left = min(BURST_S * most, left + (now_ns - at_ns) * most // SECOND_NS)
        self._bytes_left_at_ns = now_ns
        size = RTP_HEADER.size + len(packet.payload)
        self._bytes_left = left - size if left >= size else left
        return left >= size

    def _estimate_bitrate(self, packet: Packet, now_ns: int) -> None:
        if self._estimator is None or packet.abs_send_time is None:
            return
        estimate = self._estimator.add(
            arrival_time_ms=now_ns // 1_000_000,
            abs_send_time=packet.abs_send_time,
            payload_size=len(packet.payload) + packet.padding_bytes,
            ssrc=packet.ssrc,
        )
        if estimate is None:
            return
        bitrate_bps, ssrcs = estimate
        viewers = [sink.viewer_bitrate_bps for sink in self._sinks if sink.viewer_bitrate_bps is not None]
        bitrate_bps = max(BITRATE_FLOOR_BPS, min(bitrate_bps, *viewers) if viewers else bitrate_bps)
        fci = pack_remb_fci(bitrate_bps, ssrcs)
        self._wire.send_rtcp(bytes(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=self._report_ssrc, media_ssrc=0, fci=fci)))


class ForwardSender:
    """One slot of a viewer: own SSRC; sequence and time stamp go on without a step whatever source it shows."""

    def __init__(
        self, kind: Kind, wire: Wire, *, ssrc: int, rtx_ssrc: int, first_sequence: int, first_timestamp: int
    ) -> None:
        self.kind: Final = kind
        self.ssrc: Final = ssrc
        self.rtx_ssrc: Final = rtx_ssrc
        self.counters = SenderCounters()
        self.source: ForwardReceiver | None = None
        self.waiting_key = True
        self.first_packet_ns: int | None = None
        self.last_packet_ns: int | None = None
        self.viewer_bitrate_bps: int | None = None  # what the viewer says it can take of this slot
        self.viewer_fraction_lost = 0.0
        self.round_trip_s: float | None = None
        self._wire = wire
        self._codec: Codec | None = None
        self._sibling_ssrcs: Collection[int] = (ssrc,)
        self._cname = ""
        self._extension_ids = ExtensionIds()
        self._mid_element = b""
        self._last_out = (first_sequence - 1) & 0xFFFF
        self._last_timestamp = first_timestamp
        self._rtx_sequence = first_sequence
        self._sequence_offset = 0
        self._timestamp_offset = 0
        self._span = 0  # sequences sent of the present source: older ones belong to another
        self._sent_report: tuple[int, int] | None = None
        self._retransmissions_left = RETRANSMISSIONS_PER_TICK

    def configure(
        self,
        codec: Codec,
        now_ns: int,
        *,
        cname: str,
        mid: str,
        extension_ids: ExtensionIds,
        sibling_ssrcs: Collection[int],
    ) -> None:
        """Begin to send; `sibling_ssrcs` are the video slots that share the viewer's bandwidth."""
        self._codec, self._cname, self._extension_ids = codec, cname, extension_ids
        self._sibling_ssrcs = sibling_ssrcs
        name = mid.encode()[:16]
        if extension_ids.mid is not None and name:
            self._mid_element = bytes([extension_ids.mid << 4 | len(name) - 1]) + name
        if self.source is not None:
            self.source.attach(self)
            self.source.request_keyframe(now_ns)

    def bind(self, source: ForwardReceiver | None, now_ns: int) -> None:
        """Show another source, from its next key frame on, or nothing."""
        if source is self.source:
            return
        if self.source is not None:
            self.source.detach(self)
        self.source, self.waiting_key, self._sent_report = source, True, None
        if source is not None and self._codec is not None:
            source.attach(self)
            source.request_keyframe(now_ns)

    def forward(self, packet: Packet, codec: Codec, now_ns: int) -> None:
        """Send one packet of the source; `ForwardReceiver` calls this, with a key frame first."""
        own = self._codec
        if own is None or own.name != codec.name:
            return
        if self.waiting_key:
            self._continue_with(packet, codec, now_ns)
        out = (packet.sequence + self._sequence_offset) & 0xFFFF
        timestamp = (packet.timestamp + self._timestamp_offset) & 0xFFFFFFFF
        ahead = sequence_distance(out, self._last_out)
        if ahead > 0:
            self._span += ahead
            self._last_out, self._last_timestamp = out, timestamp
        elif -ahead >= self._span:
            return  # older than the switch: its number was another source's
        if self.first_packet_ns is None:
            self.first_packet_ns = now_ns
        self.last_packet_ns = now_ns
        self.counters.packets += 1
        self.counters.payload_bytes += len(packet.payload)
        self._emit(own.payload_type, packet, out, timestamp, self.ssrc, packet.payload, now_ns)

    def take_rtcp(self, packet: AnyRtcpPacket, now_ns: int) -> None:
        """Serve what the viewer asks for and note what it reports."""
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            for sequence in packet.lost:
                self._retransmit(sequence, now_ns)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt in (RTCP_PSFB_PLI, RTCP_PSFB_FIR):
            self.counters.keyframe_requests += 1
            if self.source is not None:
                self.source.request_keyframe(now_ns)
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            self._note_bitrate(packet.fci)
        elif isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            self._note_reports(packet.reports, now_ns)

    def tick(self) -> None:
        """Renew the bound on retransmissions; call every 100 ms."""
        self._retransmissions_left = RETRANSMISSIONS_PER_TICK

    def report(self, now_ns: int) -> bytes:
        """Return a sender report in the source's own wall clock, so lip sync and capture time survive a switch.

        Empty as long as the source made no statement: the server's clock would be a lie about when it was captured.
        """
        clock = self.source.clock if self.source is not None else None
        if clock is None or self.waiting_key or self._codec is None:
            return b""
        self._sent_report = ((clock.ntp >> 16) & 0xFFFFFFFF, now_ns)
        sender_report = RtcpSrPacket(
            ssrc=self.ssrc,
            sender_info=RtcpSenderInfo(
                ntp_timestamp=clock.ntp,
                rtp_timestamp=(clock.timestamp + self._timestamp_offset) & 0xFFFFFFFF,
                packet_count=self.counters.packets & 0xFFFFFFFF,
                octet_count=self.counters.payload_bytes & 0xFFFFFFFF,
            ),
        )
        description = RtcpSdesPacket(chunks=[RtcpSourceInfo(ssrc=self.ssrc, items=[(1, self._cname.encode())])])
        return bytes(sender_report) + bytes(description)

    def close(self) -> None:
        """Show nothing and send nothing any more."""
        self.bind(None, 0)
        self._codec = None

    def _continue_with(self, packet: Packet, codec: Codec, now_ns: int) -> None:
        """Choose the offsets so that this packet follows the last one sent, as late as it truly is."""
        step_s = SHORTEST_STEP_S[self.kind]
        if self.last_packet_ns is not None:
            step_s = max(step_s, (now_ns - self.last_packet_ns) / SECOND_NS)
        timestamp = self._last_timestamp + round(step_s * codec.clock_rate_hz)
        self._sequence_offset = (self._last_out + 1 - packet.sequence) & 0xFFFF
        self._timestamp_offset = (timestamp - packet.timestamp) & 0xFFFFFFFF
        self._span = 0
        self.waiting_key = False
        self.counters.switches += 1

    def _retransmit(self, out: int, now_ns: int) -> None:
        behind = -sequence_distance(out, self._last_out)
        codec = self._codec
        if self.source is None or codec is None or self.waiting_key or not 0 <= behind < self._span:
            return
        sequence = (out - self._sequence_offset) & 0xFFFF
        packet = self.source.history[sequence % HISTORY_PACKETS]
        if packet is None or packet.sequence != sequence or self._retransmissions_left <= 0:
            return
        self._retransmissions_left -= 1
        self.counters.retransmitted += 1
        timestamp = (packet.timestamp + self._timestamp_offset) & 0xFFFFFFFF
        if codec.rtx_payload_type is None:
            self._emit(codec.payload_type, packet, out, timestamp, self.ssrc, packet.payload, now_ns)
            return
        payload = _ORIGINAL_SEQUENCE.pack(out) + packet.payload
        self._emit(codec.rtx_payload_type, packet, self._rtx_sequence, timestamp, self.rtx_ssrc, payload, now_ns)
        self._rtx_sequence = (self._rtx_sequence + 1) & 0xFFFF

    def _emit(
        self, payload_type: int, packet: Packet, sequence: int, timestamp: int, ssrc: int, payload: bytes, now_ns: int
    ) -> None:
        elements = self._mid_element
        extension_ids = self._extension_ids
        if extension_ids.abs_send_time is not None:
            send_time = (now_ns << 18) // SECOND_NS & 0xFFFFFF  # only differences count
            elements += (extension_ids.abs_send_time << 28 | 2 << 24 | send_time).to_bytes(4, "big")
        if extension_ids.abs_capture_time is not None and packet.abs_capture_time is not None:
            value = packet.abs_capture_time
            elements += bytes([extension_ids.abs_capture_time << 4 | len(value) - 1]) + value
        flags = 0x80
        if elements:
            elements += bytes(-len(elements) % 4)
            elements = _EXTENSION_HEADER.pack(ONE_BYTE_EXTENSIONS, len(elements) // 4) + elements
            flags = 0x90
        header = RTP_HEADER.pack(flags, packet.marker << 7 | payload_type, sequence, timestamp, ssrc)
        self._wire.send_rtp(header + elements + payload)

    def _note_bitrate(self, fci: bytes) -> None:
        bitrate_bps, ssrcs = _bitrate_report(fci)
        if self.ssrc in ssrcs:
            n_slots = len(set(ssrcs).intersection(self._sibling_ssrcs))
            self.viewer_bitrate_bps = bitrate_bps // max(1, n_slots)

    def _note_reports(self, infos: Sequence[RtcpReceiverInfo], now_ns: int) -> None:
        for info in infos:
            if info.ssrc != self.ssrc:
                continue
            self.viewer_fraction_lost = info.fraction_lost / 256
            if self._sent_report is not None and info.lsr == self._sent_report[0] and info.dlsr:
                round_trip_s = (now_ns - self._sent_report[1]) / SECOND_NS - info.dlsr / 65536
                if round_trip_s >= 0:
                    self.round_trip_s = round_trip_s


class Router:
    """Finds whom a decrypted packet of one connection is for.

    aiortc's own router knows no retransmission's SSRC and drops it as soon as two m-lines share a payload type.
    """

    def __init__(self) -> None:
        self.unroutable = 0
        self._receivers: dict[int, ForwardReceiver] = {}
        self._by_payload_type: dict[int, list[ForwardReceiver]] = {}
        self._senders: dict[int, ForwardSender] = {}

    def add_receiver(self, receiver: ForwardReceiver, *, ssrcs: Collection[int]) -> None:
        """Route these SSRCs, and unannounced ones of a payload type that is the receiver's alone."""
        for ssrc in ssrcs:
            self._receivers[ssrc] = receiver
        if receiver.codec is not None:
            for payload_type in (receiver.codec.payload_type, receiver.codec.rtx_payload_type):
                if payload_type is not None:
                    self._by_payload_type.setdefault(payload_type, []).append(receiver)

    def add_sender(self, sender: ForwardSender) -> None:
        """Route what the viewer says about this slot."""
        self._senders[sender.ssrc] = sender

    def take(self, packet: Packet, now_ns: int) -> None:
        """Hand an RTP packet to its receiver; without one it is counted and dropped."""
        receiver = self._receivers.get(packet.ssrc)
        if receiver is None:
            candidates = self._by_payload_type.get(packet.payload_type, ())
            if len(candidates) != 1 or len(self._receivers) >= MAX_SSRCS:
                self.unroutable += 1
                return
            receiver = self._receivers[packet.ssrc] = candidates[0]
        receiver.take(packet, now_ns)

    def take_rtcp(self, packet: AnyRtcpPacket, now_ns: int) -> None:
        """Hand an RTCP packet to everyone it concerns."""
        if isinstance(packet, RtcpSrPacket) and (receiver := self._receivers.get(packet.ssrc)) is not None:
            receiver.take_rtcp(packet, now_ns)
        if isinstance(packet, RtcpSrPacket | RtcpRrPacket):
            ssrcs: Collection[int] = {info.ssrc for info in packet.reports}
        elif isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            ssrcs = _bitrate_report(packet.fci)[1]  # its media SSRC is always 0
        elif isinstance(packet, RtcpPsfbPacket | RtcpRtpfbPacket):
            ssrcs = {packet.media_ssrc, *_full_intra_request_ssrcs(packet)}
        else:
            return
        for ssrc in ssrcs:
            if (sender := self._senders.get(ssrc)) is not None:
                sender.take_rtcp(packet, now_ns)


def next_report_ns(now_ns: int, source_of_chance: random.Random) -> int:
    """Return when the next reports are due: after 0.5 to 1.5 s, so that peers do not fall into step."""
    return now_ns + round((0.5 + source_of_chance.random()) * SECOND_NS)


def _bitrate_report(fci: bytes) -> tuple[int, list[int]]:
    """Return bits per second and the SSRCs they are for; none when the report is malformed."""
    try:
        return unpack_remb_fci(fci)
    except (ValueError, IndexError, StructError):
        return 0, []


def _full_intra_request_ssrcs(packet: RtcpPsfbPacket | RtcpRtpfbPacket) -> list[int]:
    """Return whom a full intra request names: it does so in its entries of eight bytes (RFC 5104)."""
    if not isinstance(packet, RtcpPsfbPacket) or packet.fmt != RTCP_PSFB_FIR:
        return []
    return [int.from_bytes(packet.fci[start : start + 4], "big") for start in range(0, len(packet.fci) - 7, 8)]
