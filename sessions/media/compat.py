"""The one place that touches private names of aiortc and aioice: a peer connection that forwards instead of decoding.

Kept of aiortc: SDP, ICE, DTLS, the SRTP sessions. Replaced: its media receiver and sender (by adapters around
`ForwardReceiver` and `ForwardSender`), its way from a datagram to a packet (no queue, no task in between) and aioice's
gathering (addresses and ports as told, loopback too). `tests/sessions/media/test_compat.py` holds each name down.
"""

import asyncio
import random
import socket
import struct
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import aioice
import aioice.ice
import aiortc
import pylibsrtp
from aioice.candidate import Candidate, candidate_foundation, candidate_priority
from aioice.ice import Connection, StunProtocol
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import (
    RTCRtpCodecCapability,
    RTCRtpCodecParameters,
    RTCRtpHeaderExtensionParameters,
    RTCRtpParameters,
    RTCRtpReceiveParameters,
    RTCRtpSendParameters,
)
from aiortc.rtcrtptransceiver import RTCRtpTransceiver
from aiortc.rtp import RtcpPacket
from aiortc.sdp import SessionDescription
from aiortc.stats import RTCStatsReport

from sessions.media.engine import Kind, MediaError, SdpRefusedError
from sessions.media.forward import Codec, ForwardReceiver, ForwardSender, Router, next_report_ns
from sessions.media.packet import MAX_DATAGRAM_BYTES, ExtensionIds, parse_packet

SUPPORTED_VERSIONS: Final[Mapping[str, str]] = {"aiortc": "1.16.", "aioice": "0.13.", "pylibsrtp": "1."}
CODEC_NAMES: Final[Mapping[str, str]] = {"audio": "opus", "video": "VP8"}
MAX_SDP_CHARACTERS: Final = 512 * 1024
MAX_ANNOUNCED_SSRCS: Final = 32  # in one offer: a browser names two a track
MAX_UNSENT_BYTES: Final = 256 * 1024  # of one socket: beyond, packets are dropped, never queued
SOCKET_BUFFER_BYTES: Final = 1024 * 1024  # a stall of the loop, then a burst, must fit
REPORT_CHUNK_BYTES: Final = 1200
FIRST_CHECK_POLL_S: Final = 0.02  # aioice's own pace

_MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
_ABS_SEND_TIME_URI: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
_ABS_CAPTURE_TIME_URI: Final = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
_OPUS_PARAMETERS: Final[Mapping[str, int]] = {"minptime": 10, "useinbandfec": 1}
_CODEC_PREFERENCES: Final[Mapping[str, Sequence[RTCRtpCodecCapability]]] = {
    "audio": (RTCRtpCodecCapability(mimeType="audio/opus", clockRate=48000, channels=2),),
    "video": (
        RTCRtpCodecCapability(mimeType="video/VP8", clockRate=90000),
        RTCRtpCodecCapability(mimeType="video/rtx", clockRate=90000),
    ),
}
_SDP_ERRORS: Final = (
    ValueError,
    KeyError,
    IndexError,
    AttributeError,
    TypeError,
    AssertionError,
    StopIteration,
    InvalidStateError,
    OperationError,
)

Stage = Literal["ice", "dtls", "closed"]
Direction = Literal["recvonly", "sendonly"]


class UnsupportedLibraryError(MediaError):
    """An installed library is not the version whose inner workings this module knows; install the pinned one."""


class NoAddressError(MediaError):
    """None of the media addresses could be bound; correct the address or the port range."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Addresses:
    """Where media is received: local addresses, optionally what to call each one outside, optionally a port range."""

    bind: Sequence[str] = ("127.0.0.1",)
    announce: Mapping[str, str] = field(default_factory=dict)  # local address -> address behind 1:1 NAT
    ports: range | None = None


def check_versions() -> None:
    """Raise UnsupportedLibraryError unless the libraries are those that this module was written against."""
    installed = {"aiortc": aiortc.__version__, "aioice": aioice.__version__, "pylibsrtp": pylibsrtp.__version__}
    for name, version in installed.items():
        if not version.startswith(SUPPORTED_VERSIONS[name]):
            raise UnsupportedLibraryError(f"{name} {version} is installed, {SUPPORTED_VERSIONS[name]}x is needed")


def gather_on(addresses: Sequence[str]) -> None:
    """Let all clients that this process makes with aiortc itself use these addresses only, loopback included.

    For processes that play a client, such as a simulated home; the engine is told its own `Addresses`.
    """
    chosen = list(addresses)
    cast(Any, aioice.ice).get_host_addresses = lambda use_ipv4, use_ipv6: chosen


class ForwardingConnection:
    """A server-side peer connection of one leg: answers one offer, then forwards until it is closed.

    Parameters
    ----------
    addresses : Addresses
        Where to listen.
    on_stage : callable
        Told on the event loop how far the connection is; `closed` once, also when the peer ended it.
    """

    def __init__(self, *, addresses: Addresses, on_stage: Callable[[Stage], None]) -> None:
        self.receivers: list[ForwardReceiver] = []
        self.senders: list[ForwardSender] = []
        self.router = Router()
        self.refused_datagrams = 0
        self.dropped_packets = 0
        self.extension_ids = ExtensionIds()
        self._addresses = addresses
        self._on_stage = on_stage
        self._stage: Stage | None = None
        self._stream_ids: dict[str, list[str]] = {"audio": [], "video": []}
        self._direction: Direction = "recvonly"
        self._chance = random.Random()
        self._next_report_ns = 0
        self._peer = _ForwardingPeerConnection(self)
        self._peer.on("connectionstatechange", self._note_connection_state)
        self._peer.on("iceconnectionstatechange", self._note_ice_state)

    async def answer(self, sdp: str, *, direction: Direction, slots: Sequence[tuple[Kind, str]] = ()) -> str:
        """Answer an offer; `slots` are kind and stream id of what is sent, in order. Raises SdpRefusedError.

        The client's candidates are not used, so it may offer before it gathered them: it reaches the server's address,
        and the server sends to where the client's authenticated checks come from, never to where an offer points.
        """
        self._direction = direction
        for kind, name in slots:
            self._stream_ids[kind].append(name)
        try:
            offer, extensions = _read_offer(sdp, direction=direction, kinds=[kind for kind, _ in slots])
            await self._peer.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
            for transceiver, offered in zip(self._peer.getTransceivers(), extensions, strict=True):
                _settle(transceiver, direction, offered)
            await self._peer.setLocalDescription(await self._peer.createAnswer())
        except _SDP_ERRORS as error:
            raise SdpRefusedError(f"the offer cannot be answered: {type(error).__name__}") from error
        return self._peer.localDescription.sdp

    async def offer(self, kinds: Sequence[Kind]) -> str:
        """Play the client instead: offer to receive these, as a benchmark's or a test's viewer does."""
        for kind in kinds:
            self._peer.addTransceiver(kind, direction="recvonly")
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return self._peer.localDescription.sdp

    async def accept(self, sdp: str) -> None:
        """Take the answer to what was offered."""
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp=sdp, type="answer"))

    def tick(self, now_ns: int) -> None:
        """Repeat open requests and send the reports that are due; call every 100 ms."""
        for receiver in self.receivers:
            receiver.tick(now_ns)
        for sender in self.senders:
            sender.tick()
        if now_ns >= self._next_report_ns and self._stage == "dtls":
            self._next_report_ns = next_report_ns(now_ns, self._chance)
            reports = [receiver.report(now_ns) for receiver in self.receivers]
            reports += [sender.report(now_ns) for sender in self.senders]
            for chunk in _chunks([report for report in reports if report]):
                self._peer.wire.send_rtcp(chunk)

    def detach(self) -> None:
        """Forward nothing any more; slots that showed its tracks stay and wait."""
        for sender in self.senders:
            sender.close()
        for receiver in self.receivers:
            receiver.close()

    async def close(self) -> None:
        """Close the connection and its sockets."""
        self.detach()
        await self._peer.close()

    def _note_ice_state(self) -> None:
        if self._peer.iceConnectionState == "checking":
            self._reach("ice")

    def _note_connection_state(self) -> None:
        match self._peer.connectionState:
            case "connected":
                self._reach("dtls")
            case "failed" | "closed":
                self._reach("closed")

    def _reach(self, stage: Stage) -> None:
        if stage != self._stage and self._stage != "closed":
            self._stage = stage
            self._on_stage(stage)

    # What the adapters below need.

    def make_ends(self, kind: Kind) -> tuple["_ReceiverEnd", "_SenderEnd"]:
        """Make the receiver and sender of the next m-line; the leg uses one of them."""
        stream_ids = self._stream_ids[kind]
        stream_id = stream_ids.pop(0) if stream_ids else str(uuid.uuid4())
        wire = self._peer.wire
        sender = ForwardSender(
            kind,
            wire,
            ssrc=random.getrandbits(32),
            rtx_ssrc=random.getrandbits(32),
            first_sequence=random.randrange(2**15),  # in the lower half: SRTP must not see a turn at once
            first_timestamp=random.getrandbits(32),
        )
        receiver = ForwardReceiver(kind, wire, report_ssrc=sender.ssrc)
        if self._direction == "recvonly":
            self.receivers.append(receiver)
        else:
            self.senders.append(sender)
        return _ReceiverEnd(self, receiver), _SenderEnd(self, sender, stream_id)

    def take_datagram(self, data: bytes, dtls: RTCDtlsTransport) -> None:
        """Decrypt, read and forward, all before this returns."""
        srtp = dtls._rx_srtp
        if srtp is None:
            return  # not connected yet
        now_ns = time.monotonic_ns()
        try:
            if 192 <= data[1] <= 208:
                reports = RtcpPacket.parse(srtp.unprotect_rtcp(data))
            else:
                packet = parse_packet(srtp.unprotect(data), self.extension_ids)
                reports = None
        except (pylibsrtp.Error, ValueError, IndexError, struct.error):
            self.refused_datagrams += 1
            return
        if reports is None:
            self.router.take(packet, now_ns)
        else:
            for report in reports:
                self.router.take_rtcp(report, now_ns)

    def learn_extensions(self, parameters: RTCRtpParameters) -> ExtensionIds:
        """Note and return the header extensions that an m-line agreed on."""
        ids = {extension.uri: extension.id for extension in parameters.headerExtensions if 0 < extension.id < 15}
        own = ExtensionIds(
            mid=ids.get(_MID_URI),
            abs_send_time=ids.get(_ABS_SEND_TIME_URI),
            abs_capture_time=ids.get(_ABS_CAPTURE_TIME_URI),
        )
        self.extension_ids = ExtensionIds(  # numbers are the connection's, not the m-line's (RFC 8843)
            mid=own.mid or self.extension_ids.mid,
            abs_send_time=own.abs_send_time or self.extension_ids.abs_send_time,
            abs_capture_time=own.abs_capture_time or self.extension_ids.abs_capture_time,
        )
        return own

    async def gather(self, component: int) -> list[Candidate]:
        """Take aioice's place in gathering: the addresses we were told, a socket of ours on each."""
        connection = self._peer.ice_connection
        protocols = []
        for address in self._addresses.bind:
            protocol = await self._open_socket(connection, address)
            if protocol is None:
                continue
            host = self._addresses.announce.get(address, address)
            protocol.local_candidate = Candidate(
                foundation=candidate_foundation("host", "udp", host),
                component=component,
                transport="udp",
                priority=candidate_priority(component, "host"),
                host=host,
                port=protocol.transport.get_extra_info("sockname")[1],
                type="host",
            )
            protocols.append(protocol)
        if not protocols:
            raise NoAddressError(f"no media address can be bound: {', '.join(self._addresses.bind)}")
        connection._protocols += protocols
        return [protocol.local_candidate for protocol in protocols]

    async def _open_socket(self, connection: Connection, address: str) -> StunProtocol | None:
        loop = asyncio.get_running_loop()
        ports = list(self._addresses.ports or (0,))
        self._chance.shuffle(ports)
        for port in ports:
            try:
                transport, protocol = await loop.create_datagram_endpoint(
                    lambda: _MediaSocket(connection, self), local_addr=(address, port)
                )
            except OSError:
                continue
            opened = transport.get_extra_info("socket")
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                opened.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
            return protocol
        return None

    @property
    def dtls(self) -> RTCDtlsTransport:
        """The one transport of the connection; everything is bundled on it."""
        return self._peer.transport


class _ForwardingPeerConnection(RTCPeerConnection):
    """aiortc's peer connection, whose transceivers forward. No STUN server: the default would be a public one."""

    def __init__(self, owner: ForwardingConnection) -> None:
        super().__init__(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
        self._owner = owner
        private = cast(Any, self)
        self.transport: RTCDtlsTransport = private._RTCPeerConnection__createDtlsTransport()
        self.ice_connection: Connection = self.transport.transport._connection
        self.wire = _DtlsWire(owner, self.transport, self.ice_connection)
        _take_over(self.ice_connection, owner)

    def _RTCPeerConnection__createTransceiver(
        self, direction: str, kind: str, sender_track: object = None
    ) -> RTCRtpTransceiver:
        transceivers = cast(Any, self)._RTCPeerConnection__transceivers
        receiver, sender = self._owner.make_ends(cast(Kind, kind))
        transceiver = RTCRtpTransceiver(
            direction=direction, kind=kind, sender=cast(Any, sender), receiver=cast(Any, receiver)
        )
        transceiver._bundled = True  # else aiortc would stop "the other" transport, which is the same
        transceiver._preferred_codecs = list(_CODEC_PREFERENCES[kind])
        transceivers.append(transceiver)
        return transceiver


class _ReceiverEnd:
    """What aiortc expects of a receiver."""

    def __init__(self, owner: ForwardingConnection, receiver: ForwardReceiver) -> None:
        self.track: Any = None
        self._owner = owner
        self._receiver = receiver
        self._enabled = True
        self._started = False

    @property
    def transport(self) -> RTCDtlsTransport:
        return self._owner.dtls

    def setTransport(self, transport: RTCDtlsTransport) -> None:
        """Keep the one transport."""

    @property
    def _track(self) -> Any:
        return self.track

    @_track.setter
    def _track(self, track: Any) -> None:
        self.track = track

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        if self._started:
            return
        self._started = True
        self._owner.learn_extensions(parameters)
        ssrcs = [encoding.ssrc for encoding in parameters.encodings]
        rtx_ssrcs = {encoding.rtx.ssrc: encoding.ssrc for encoding in parameters.encodings if encoding.rtx}
        self._receiver.configure(_agreed_codec(self._receiver.kind, parameters.codecs), rtx_ssrcs=rtx_ssrcs)
        self._owner.router.add_receiver(self._receiver, ssrcs=[*ssrcs, *rtx_ssrcs])

    async def stop(self) -> None:
        if self.track is not None:
            self.track.stop()

    async def getStats(self) -> RTCStatsReport:
        return RTCStatsReport()


class _SenderEnd:
    """What aiortc expects of a sender."""

    def __init__(self, owner: ForwardingConnection, sender: ForwardSender, stream_id: str) -> None:
        self.track: Any = None
        self._owner = owner
        self._sender = sender
        self._ssrc = sender.ssrc
        self._rtx_ssrc = sender.rtx_ssrc
        self._stream_id = stream_id  # msid: browsers hand it to the page with the track
        self._track_id = str(uuid.uuid4())  # Chromium refuses two m-lines with equal msid
        self._enabled = True
        self._started = False

    @property
    def transport(self) -> RTCDtlsTransport:
        return self._owner.dtls

    def setTransport(self, transport: RTCDtlsTransport) -> None:
        """Keep the one transport."""

    def replaceTrack(self, track: Any) -> None:
        self.track = track

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        if self._started:
            return
        self._started = True
        extension_ids = self._owner.learn_extensions(parameters)
        siblings = [sender.ssrc for sender in self._owner.senders if sender.kind == "video"]
        self._sender.configure(
            _agreed_codec(self._sender.kind, parameters.codecs),
            time.monotonic_ns(),
            cname=parameters.rtcp.cname or "",
            mid=parameters.muxId,
            extension_ids=extension_ids,
            sibling_ssrcs=siblings,
        )
        self._owner.router.add_sender(self._sender)

    async def stop(self) -> None:
        self._sender.close()

    async def getStats(self) -> RTCStatsReport:
        return RTCStatsReport()


class _MediaSocket(StunProtocol):
    """aioice's socket; media bypasses its queue, and what is neither STUN, DTLS nor media goes no further.

    An empty or oversized datagram, which anyone can send, would end aiortc's receiving task.
    """

    def __init__(self, connection: Connection, owner: ForwardingConnection) -> None:
        super().__init__(connection)
        self._owner = owner

    def datagram_received(self, data: bytes | str, addr: tuple[Any, ...]) -> None:
        datagram = cast(bytes, data)
        if not 2 <= len(datagram) <= MAX_DATAGRAM_BYTES:
            self._owner.refused_datagrams += 1
            return
        first = datagram[0]
        if 128 <= first < 192:
            self._owner.take_datagram(datagram, self._owner.dtls)
        elif first < 4 or 20 <= first < 64:
            try:
                super().datagram_received(datagram, addr)
            except (ValueError, KeyError, IndexError, AssertionError, struct.error):
                self._owner.refused_datagrams += 1
        else:
            self._owner.refused_datagrams += 1


class _DtlsWire:
    """Encrypts and writes to the socket at once: aioice's UDP never suspends, and nothing may wait here."""

    def __init__(self, owner: ForwardingConnection, dtls: RTCDtlsTransport, connection: Connection) -> None:
        self._owner = owner
        self._dtls = dtls
        self._nominated = connection._nominated

    def send_rtp(self, data: bytes) -> None:
        srtp = self._dtls._tx_srtp
        if srtp is None:
            return
        try:
            self._send(srtp.protect(data))
        except (pylibsrtp.Error, ValueError):
            self._owner.dropped_packets += 1

    def send_rtcp(self, data: bytes) -> None:
        srtp = self._dtls._tx_srtp
        if srtp is None:
            return
        try:
            self._send(srtp.protect_rtcp(data))
        except (pylibsrtp.Error, ValueError):
            self._owner.dropped_packets += 1

    def _send(self, encrypted: bytes) -> None:
        pair = self._nominated.get(1)
        if pair is None:
            return
        transport = cast(asyncio.WriteTransport, pair.protocol.transport)
        if transport.is_closing() or transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
            self._owner.dropped_packets += 1
            return
        pair.protocol.transport.sendto(encrypted, pair.remote_addr)


def _take_over(connection: Connection, owner: ForwardingConnection) -> None:
    """Let this one connection gather as the owner says, and wait for a first sign of a peer without candidates."""
    connect = connection.connect

    async def get_component_candidates(component: int, addresses: list[str], timeout: int = 5) -> list[Candidate]:
        return await owner.gather(component)

    async def connect_after_first_check() -> None:
        while not (connection._early_checks or connection._remote_candidates or connection._closing):
            await asyncio.sleep(FIRST_CHECK_POLL_S)
        await connect()

    private = cast(Any, connection)
    private.get_component_candidates = get_component_candidates
    private.connect = connect_after_first_check


def _read_offer(
    sdp: str, *, direction: Direction, kinds: Sequence[Kind]
) -> tuple[str, list[list[RTCRtpHeaderExtensionParameters]]]:
    """Check an offer before aiortc acts on it; return it cleaned, and the header extensions of each m-line."""
    if len(sdp) > MAX_SDP_CHARACTERS:
        raise SdpRefusedError("the offer is too long")
    media = SessionDescription.parse(sdp)
    offered = [section.kind for section in media.media]
    if not offered or any(kind not in CODEC_NAMES for kind in offered):
        raise SdpRefusedError("only audio and video can be offered")
    if direction == "recvonly" and len(set(offered)) != len(offered):
        raise SdpRefusedError("at most one audio and one video can be published")
    if direction == "sendonly" and sorted(offered) != sorted(kinds):
        raise SdpRefusedError("the offer must have one m-line per slot")
    wanted = ("sendonly", "sendrecv") if direction == "recvonly" else ("recvonly", "sendrecv")
    if any(section.direction not in wanted for section in media.media):
        raise SdpRefusedError(f"every m-line must be {' or '.join(wanted)}")
    mids = [section.rtp.muxId for section in media.media]
    bundled = [mid for group in media.group if group.semantic == "BUNDLE" for mid in group.items]
    if len(mids) > 1 and sorted(mids) != sorted(str(mid) for mid in bundled):
        raise SdpRefusedError("all m-lines must be bundled")
    if sum(len(section.ssrc) for section in media.media) > MAX_ANNOUNCED_SSRCS:
        raise SdpRefusedError("the offer names too many SSRCs")
    return _without_candidates(sdp), [section.rtp.headerExtensions for section in media.media]


def _without_candidates(sdp: str) -> str:
    """Leave out where the offer says that the peer is: it could name anybody, and we would send checks there.

    The end of candidates is left out, too: the peer's own checks tell where it is, and who never connects is closed by
    time.
    """
    lines = sdp.replace("\r\n", "\n").split("\n")
    return "\r\n".join(line for line in lines if not line.startswith(("a=candidate:", "a=end-of-candidates")))


def _settle(
    transceiver: RTCRtpTransceiver, direction: Direction, offered: Sequence[RTCRtpHeaderExtensionParameters]
) -> None:
    """Add to the answer what aiortc could not agree to by itself: our direction, loss protection, capture time."""
    transceiver.direction = direction
    for codec in transceiver._codecs:
        if codec.mimeType.lower() == "audio/opus":
            codec.parameters = dict(_OPUS_PARAMETERS)
    agreed = {extension.uri for extension in transceiver._headerExtensions}
    transceiver._headerExtensions += [
        extension for extension in offered if extension.uri == _ABS_CAPTURE_TIME_URI and extension.uri not in agreed
    ]


def _agreed_codec(kind: Kind, codecs: Sequence[RTCRtpCodecParameters]) -> Codec:
    media = next(codec for codec in codecs if codec.name.lower() == CODEC_NAMES[kind].lower())
    assert media.payloadType is not None
    rtx = [codec.payloadType for codec in codecs if codec.parameters.get("apt") == media.payloadType]
    return Codec(
        name=CODEC_NAMES[kind],
        clock_rate_hz=media.clockRate,
        payload_type=media.payloadType,
        rtx_payload_type=rtx[0] if rtx else None,
    )


def _chunks(reports: Sequence[bytes]) -> list[bytes]:
    """Join reports into datagrams of bounded size."""
    chunks = [b""]
    for report in reports:
        if chunks[-1] and len(chunks[-1]) + len(report) > REPORT_CHUNK_BYTES:
            chunks.append(b"")
        chunks[-1] += report
    return [chunk for chunk in chunks if chunk]
