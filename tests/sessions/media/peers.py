"""Clients at packet level: a publisher that sends a clip encoded beforehand, a viewer that keeps what arrives."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any
from uuid import UUID, uuid4

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av.packet import Packet as EncodedPacket
from av.video.codeccontext import VideoCodecContext

from sessions.media.aiortc_engine import AiortcEngine
from sessions.media.compat import Addresses, ForwardingConnection
from sessions.media.engine import Seat, slot_kind
from sessions.media.forward import Codec, ForwardReceiver
from sessions.media.packet import Packet, starts_key_frame

FPS = 30
OPUS_SILENCE = b"\xfc\xff\xfe"


@dataclass(frozen=True)
class Clip:
    frames: Sequence[bytes]
    key_frames: Sequence[int]


def make_clip(*, seconds: float = 2.0, width: int = 320, height: int = 240, bitrate_bps: int = 700_000) -> Clip:
    """Encode moving noise as VP8, a key frame each second."""
    context = av.CodecContext.create("libvpx", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.bit_rate = width, height, "yuv420p", bitrate_bps
    context.time_base, context.framerate, context.gop_size = Fraction(1, FPS), Fraction(FPS), FPS
    context.thread_count = 1  # libvpx threads wait by spinning
    context.options = {"cpu-used": "-6", "deadline": "realtime", "lag-in-frames": "0"}
    generator = np.random.default_rng(1)
    background = generator.integers(60, 180, (height // 8, width // 8), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    encoded: list[tuple[bytes, bool]] = []
    for index in range(round(seconds * FPS)):
        picture = background.copy()
        x, y = (index * 5) % (width - 64), (index * 3) % (height - 64)
        picture[y : y + 64, x : x + 64] = generator.integers(80, 190, (64, 64), dtype=np.uint8)
        planes = np.vstack([picture, np.full((height // 2, width), 128, np.uint8)])
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        encoded += [(bytes(packet), packet.is_keyframe) for packet in context.encode(frame)]
    return Clip(
        frames=[data for data, _ in encoded], key_frames=[place for place, (_, is_key) in enumerate(encoded) if is_key]
    )


class ClipTrack(MediaStreamTrack):
    """Plays the clip for ever; `jump_to_key_frame` is what a camera does when it is asked for a key frame."""

    kind = "video"

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self.keyframe_request_count = 0
        self._clip, self._place, self._sent = clip, 0, 0
        self._begin: float | None = None

    def jump_to_key_frame(self) -> None:
        self.keyframe_request_count += 1
        self._place = self._clip.key_frames[0]

    async def recv(self) -> "EncodedPacket[Any]":
        now = time.monotonic()
        if self._begin is None:
            self._begin = now + random.random() / FPS
        await asyncio.sleep(max(0.0, self._begin + self._sent / FPS - now))
        packet = EncodedPacket(self._clip.frames[self._place % len(self._clip.frames)])
        packet.pts, packet.time_base = self._sent * 90_000 // FPS, Fraction(1, 90_000)
        self._place, self._sent = self._place + 1, self._sent + 1
        return packet


class ToneTrack(MediaStreamTrack):
    """Opus packets each 20 ms."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._sent = 0
        self._begin: float | None = None

    async def recv(self) -> "EncodedPacket[Any]":
        now = time.monotonic()
        self._begin = self._begin or now
        await asyncio.sleep(max(0.0, self._begin + self._sent / 50 - now))
        packet = EncodedPacket(OPUS_SILENCE)
        packet.pts, packet.time_base = self._sent * 960, Fraction(1, 48_000)
        self._sent += 1
        return packet


class Publisher:
    """A client that sends the clip, and audio if asked."""

    def __init__(self, clip: Clip, *, with_audio: bool = False) -> None:
        self.peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.video = ClipTrack(clip)
        sender: Any = self.peer.addTransceiver(self.video, direction="sendonly").sender
        sender._send_keyframe = self.video.jump_to_key_frame
        if with_audio:
            self.peer.addTransceiver(ToneTrack(), direction="sendonly")

    async def publish(self, engine: AiortcEngine, seat: Seat) -> None:
        await self.peer.setLocalDescription(await self.peer.createOffer())
        answer = await engine.publish(seat, self.peer.localDescription.sdp)
        await self.peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def close(self) -> None:
        await self.peer.close()


@dataclass(frozen=True)
class Arrival:
    sequence: int
    timestamp: int
    ssrc: int
    is_key: bool
    ends_frame: bool
    at: float


@dataclass
class ReceivedSlot:
    receiver: ForwardReceiver
    stream_id: str = ""
    arrivals: list[Arrival] = field(default_factory=list)

    def keep(self, packet: Packet, codec: Codec) -> None:
        is_key = starts_key_frame(codec.name, packet.payload)
        at, ends_frame = time.monotonic(), bool(packet.marker)
        self.arrivals.append(Arrival(packet.sequence, packet.timestamp, packet.ssrc, is_key, ends_frame, at))


class Viewer:
    """A client that receives into slots and keeps each packet's header."""

    def __init__(self, slots: Sequence[str]) -> None:
        self.slots: dict[str, ReceivedSlot] = {}
        self._names = tuple(slots)
        self._connection = ForwardingConnection(addresses=Addresses(), on_stage=lambda stage: None)

    @property
    def connection(self) -> ForwardingConnection:
        return self._connection

    async def offer_only(self, engine: AiortcEngine, seat: Seat) -> None:
        """Have an offer answered, and never take the answer."""
        await engine.begin_subscribe(seat, self._names)
        offer = await self._connection.offer([slot_kind(name) for name in self._names])
        await engine.finish_subscribe(seat, offer)

    async def subscribe(self, engine: AiortcEngine, seat: Seat) -> str:
        assert await engine.begin_subscribe(seat, self._names) is None
        offer = await self._connection.offer([slot_kind(name) for name in self._names])
        for name, receiver in zip(self._names, self._connection.receivers, strict=True):
            received = ReceivedSlot(receiver)
            receiver.taps.append(received.keep)
            self.slots[name] = received
        answer = await engine.finish_subscribe(seat, offer)
        assert answer is not None
        await self._connection.accept(answer)
        return answer

    async def close(self) -> None:
        await self._connection.close()


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    """Wait until a condition of the outside world holds; the test fails when it does not in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running_engine() -> AsyncIterator[tuple[AiortcEngine, UUID]]:
    """An engine on loopback with one open live session."""
    engine, live_session = AiortcEngine(), uuid4()
    await engine.open(live_session)
    try:
        yield engine, live_session
    finally:
        await engine.aclose()


def new_seat(live_session: UUID) -> Seat:
    return Seat(live_session=live_session, participant=uuid4())
