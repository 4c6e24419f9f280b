"""The private names of aiortc and aioice that `compat` stands on, held down against the pinned versions."""

import asyncio
import inspect
import re
import socket
from typing import Any

import aioice
import aiortc
import pylibsrtp
import pytest
from aioice.ice import Connection, StunProtocol
from aiortc import RTCBundlePolicy, RTCConfiguration, RTCPeerConnection
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtptransceiver import RTCRtpTransceiver

from sessions.media import compat
from sessions.media.compat import (
    MAX_SDP_CHARACTERS,
    Addresses,
    ForwardingConnection,
    NoAddressError,
    Stage,
    UnsupportedLibraryError,
    check_versions,
)
from sessions.media.engine import SdpRefusedError
from tests.sessions.media.peers import until

pytestmark = pytest.mark.anyio


@pytest.fixture
async def peer() -> Any:
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE))
    yield connection
    await connection.close()


async def video_offer(*, n_videos: int = 1, direction: str = "sendonly", kind: str = "video") -> str:
    client = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    for _ in range(n_videos):
        client.addTransceiver(kind, direction=direction)
    await client.setLocalDescription(await client.createOffer())
    sdp = client.localDescription.sdp
    await client.close()
    return sdp


async def test_the_factory_that_is_replaced_makes_every_transceiver(peer: Any) -> None:
    made = []

    class Counting(RTCPeerConnection):
        def _RTCPeerConnection__createTransceiver(
            self, direction: str, kind: str, sender_track: object = None
        ) -> RTCRtpTransceiver:
            made.append(kind)
            original: Any = RTCPeerConnection._RTCPeerConnection__createTransceiver  # type: ignore[attr-defined]
            made_now: RTCRtpTransceiver = original(self, direction=direction, kind=kind, sender_track=sender_track)
            return made_now

    offerer, answerer = Counting(RTCConfiguration(iceServers=[])), Counting(RTCConfiguration(iceServers=[]))
    offerer.addTransceiver("video", direction="sendonly")
    await offerer.setLocalDescription(await offerer.createOffer())
    await answerer.setRemoteDescription(offerer.localDescription)
    assert made == ["video", "video"]
    await offerer.close()
    await answerer.close()
    parameters = inspect.signature(RTCPeerConnection._RTCPeerConnection__createTransceiver).parameters  # type: ignore[attr-defined]
    assert list(parameters) == ["self", "direction", "kind", "sender_track"]
    assert peer._RTCPeerConnection__transceivers == []


async def test_a_transport_can_be_made_before_any_transceiver(peer: Any) -> None:
    dtls = peer._RTCPeerConnection__createDtlsTransport()
    assert isinstance(dtls, RTCDtlsTransport)
    assert dtls._rx_srtp is None
    assert dtls._tx_srtp is None
    connection = dtls.transport._connection
    assert isinstance(connection, Connection)
    assert connection._nominated == {}
    assert connection._protocols == []
    assert connection._remote_candidates == []
    assert not connection._early_checks
    assert not connection._closing
    assert connection.stun_server is None, "an empty list of servers must not become the public default"


def test_a_transceiver_keeps_what_is_set_on_it() -> None:
    source = inspect.getsource(aiortc.rtcpeerconnection)
    for name in ("sender._stream_id", "sender._track_id", "sender._ssrc", "sender._rtx_ssrc"):
        assert name in source, name
    for name in ("_preferred_codecs", "_codecs", "_headerExtensions", "_bundled"):
        assert f"transceiver.{name}" in source, name
    assert "transceiver.receiver._track = RemoteStreamTrack(" in source


def test_gathering_asks_the_instance_and_connecting_asks_the_connection() -> None:
    assert "self.get_component_candidates(component=component, addresses=addresses)" in inspect.getsource(
        Connection.gather_candidates
    )
    assert "get_host_addresses(" in inspect.getsource(Connection.gather_candidates)
    assert "await self._connection.connect()" in inspect.getsource(aiortc.RTCIceTransport.start)


def test_a_socket_hands_on_what_is_not_stun() -> None:
    source = inspect.getsource(StunProtocol.datagram_received)
    assert "self.receiver.data_received(data, self.local_candidate.component)" in source
    assert "self.transport.sendto(data, addr)" in inspect.getsource(StunProtocol.send_data)


@pytest.mark.parametrize("library", [aiortc, aioice, pylibsrtp])
def test_another_version_is_refused_with_its_name(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    check_versions()
    monkeypatch.setattr(library, "__version__", "99.0")
    with pytest.raises(UnsupportedLibraryError, match=rf"{library.__name__} 99\.0 is installed"):
        check_versions()


def new_connection(addresses: Addresses | None = None) -> ForwardingConnection:
    return ForwardingConnection(addresses=addresses or Addresses(), on_stage=lambda stage: None)


async def test_the_answer_announces_only_the_addresses_it_was_told() -> None:
    connection = new_connection(Addresses(bind=("127.0.0.1",), announce={"127.0.0.1": "192.0.2.7"}))
    answer = await connection.answer(await video_offer(), direction="recvonly")
    hosts = {line.split()[4] for line in answer.splitlines() if line.startswith("a=candidate")}
    assert hosts == {"192.0.2.7"}
    await connection.close()


async def test_the_port_is_taken_from_the_range_and_a_full_range_is_an_error_that_says_so() -> None:
    probe = new_connection()
    first = await probe.answer(await video_offer(), direction="recvonly")
    port = int(next(line.split()[5] for line in first.splitlines() if line.startswith("a=candidate")))
    crowded = new_connection(Addresses(ports=range(port, port + 1)))
    with pytest.raises(NoAddressError, match=r"127\.0\.0\.1"):
        await crowded.answer(await video_offer(), direction="recvonly")
    await crowded.close()
    await probe.close()
    free = new_connection(Addresses(ports=range(port, port + 1)))
    again = await free.answer(await video_offer(), direction="recvonly")
    assert f" {port} typ host" in again
    await free.close()


async def test_only_vp8_and_opus_are_agreed_on() -> None:
    for kind, codecs in (("video", {"VP8", "rtx"}), ("audio", {"opus"})):
        connection = new_connection()
        answer = await connection.answer(await video_offer(kind=kind), direction="recvonly")
        named = {line.split()[1].split("/")[0] for line in answer.splitlines() if line.startswith("a=rtpmap")}
        assert named == codecs
        await connection.close()


async def test_capture_time_is_agreed_on_when_it_is_offered() -> None:
    uri = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"
    offer = (await video_offer()).replace("a=mid:0", f"a=extmap:9 {uri}\r\na=mid:0")
    connection = new_connection()
    assert f"a=extmap:9 {uri}" in await connection.answer(offer, direction="recvonly")
    await connection.close()


async def test_stream_ids_are_the_slots_names_and_track_ids_are_unique() -> None:
    connection = new_connection()
    offer = await video_offer(n_videos=2, direction="recvonly")
    answer = await connection.answer(offer, direction="sendonly", slots=[("video", "video-0"), ("video", "video-4")])
    msids = [line.removeprefix("a=msid:").split() for line in answer.splitlines() if line.startswith("a=msid:")]
    assert [stream for stream, _ in msids] == ["video-0", "video-4"]
    assert len({track for _, track in msids}) == 2
    await connection.close()


@pytest.mark.parametrize(
    "damage",
    [
        lambda sdp: "",
        lambda sdp: "hello",
        lambda sdp: sdp.replace("m=video", "m=application"),
        lambda sdp: sdp.replace("VP8", "VP9"),
        lambda sdp: sdp.replace("a=sendonly", "a=recvonly"),
        lambda sdp: sdp.replace("a=ice-ufrag", "a=x"),
        lambda sdp: sdp.replace("a=setup:actpass", ""),
        lambda sdp: sdp.replace("a=setup:actpass", "a=setup:nonsense"),
        lambda sdp: sdp.replace("a=rtcp-mux", ""),
        lambda sdp: sdp.replace("UDP/TLS/RTP/SAVPF 97", "UDP/TLS/RTP/SAVPF x"),
        lambda sdp: sdp + "m=video 9 UDP/TLS/RTP/SAVPF 97\r\n",
        lambda sdp: sdp + "x" * MAX_SDP_CHARACTERS,
    ],
)
async def test_an_offer_that_cannot_be_served_is_refused(damage: Any) -> None:
    connection = new_connection()
    with pytest.raises(SdpRefusedError):
        await connection.answer(damage(await video_offer()), direction="recvonly")
    await connection.close()


async def test_as_many_lines_must_be_offered_as_slots_were_named() -> None:
    connection = new_connection()
    with pytest.raises(SdpRefusedError, match="one m-line per slot"):
        await connection.answer(
            await video_offer(n_videos=2, direction="recvonly"), direction="sendonly", slots=[("video", "video-0")]
        )
    await connection.close()


async def test_two_videos_cannot_be_published() -> None:
    connection = new_connection()
    with pytest.raises(SdpRefusedError, match="at most one audio and one video"):
        await connection.answer(await video_offer(n_videos=2), direction="recvonly")
    await connection.close()


def test_where_an_offer_points_is_left_out() -> None:
    cleaned = compat._without_candidates(
        "v=0\r\nm=audio 9 X 1\r\na=mid:a\r\na=candidate:1 1 udp 5 abc.local 7 typ host\r\n"
        "a=candidate:2 1 udp 5 10.0.0.1 8 typ host\r\na=candidate:3 1 tcp 5 10.0.0.1 9 typ host\r\n"
        "m=video 9 X 2\r\na=mid:b\r\na=candidate:4 1 udp 5 10.0.0.1 10 typ host\r\na=end-of-candidates\r\n",
    )
    assert cleaned == "v=0\r\nm=audio 9 X 1\r\na=mid:a\r\nm=video 9 X 2\r\na=mid:b\r\n"


async def test_nothing_is_sent_to_where_an_offer_points() -> None:
    stages: list[Stage] = []
    connection = ForwardingConnection(addresses=Addresses(), on_stage=stages.append)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as victim:
        victim.bind(("127.0.0.1", 0))
        victim.setblocking(False)
        candidate = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {victim.getsockname()[1]} typ host\r\n"
        offer = re.sub(r"a=candidate:.*\r\n", "", await video_offer())
        await connection.answer(offer + candidate, direction="recvonly")
        await until(lambda: "ice" in stages)
        await asyncio.sleep(3 * compat.FIRST_CHECK_POLL_S)  # in which a check would leave
        with pytest.raises(BlockingIOError):
            victim.recv(2048)
    await connection.close()


async def test_an_offer_of_hundreds_of_streams_is_refused() -> None:
    connection = new_connection()
    offer = await video_offer() + "".join(f"a=ssrc:{ssrc} cname:x\r\n" for ssrc in range(1, 100))
    with pytest.raises(SdpRefusedError, match="too many SSRCs"):
        await connection.answer(offer, direction="recvonly")
    await connection.close()
