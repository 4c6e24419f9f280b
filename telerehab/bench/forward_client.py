"""The clients of the benchmark `forward`, in a process of their own: publishers of an encoded clip, and their viewers.

`python -m telerehab.bench.forward_client PORT STREAMS` prints `ready` when every viewer sees its stream, then, for each
line on its standard input, one JSON list with the frames that each viewer has received and the frames sent to it.
"""

import asyncio
import json
import sys
import time
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from av.packet import Packet
from av.video.codeccontext import VideoCodecContext

from sessions.media.compat import Addresses, ForwardingConnection, gather_on
from telerehab.bench.forward_server import LINE_LIMIT_BYTES

FPS: Final = 30
WIDTH, HEIGHT = 640, 480
BITRATE_BPS: Final = 500_000
CLIP_FRAMES: Final = 90  # one key frame at the beginning
TICK_S: Final = 0.1


def encode_clip() -> list[bytes]:
    """Encode 3 s of a moving, noisy patch: VP8, about 500 kbit/s."""
    context = av.CodecContext.create("libvpx", "w")
    assert isinstance(context, VideoCodecContext)
    context.width, context.height, context.pix_fmt, context.bit_rate = WIDTH, HEIGHT, "yuv420p", BITRATE_BPS
    context.time_base, context.framerate, context.gop_size = Fraction(1, FPS), Fraction(FPS), CLIP_FRAMES
    context.thread_count = 1  # libvpx threads wait by spinning
    context.options = {
        "cpu-used": "-6",
        "deadline": "realtime",
        "lag-in-frames": "0",
        "minrate": str(BITRATE_BPS),
        "maxrate": str(BITRATE_BPS),
        "bufsize": str(BITRATE_BPS),
        "undershoot-pct": "100",
    }
    generator = np.random.default_rng(1)
    background = generator.integers(60, 180, (HEIGHT // 8, WIDTH // 8), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    frames = []
    for index in range(CLIP_FRAMES):
        picture = background.copy()
        x, y = round(260 + 200 * np.sin(index / 12)), round(180 + 140 * np.cos(index / 17))
        picture[y : y + 120, x : x + 120] = generator.integers(90, 175, (120, 120), dtype=np.uint8)
        planes = np.vstack([picture, np.full((HEIGHT // 2, WIDTH), 128, np.uint8)])
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = index, Fraction(1, FPS)
        frames += [bytes(packet) for packet in context.encode(frame)]
    return frames


class ClipTrack(MediaStreamTrack):
    """Plays the encoded clip for ever at its pace, from its key frame again when asked for one."""

    kind = "video"

    def __init__(self, frames: list[bytes], *, phase_s: float) -> None:
        super().__init__()
        self.sent_count = 0
        self._frames, self._place = frames, 0
        self._begin_s = time.monotonic() + phase_s

    def jump_to_key_frame(self) -> None:
        """Go on with the key frame."""
        self._place = 0

    async def recv(self) -> "Packet[Any]":
        """Return the next frame when it is due."""
        await asyncio.sleep(max(0.0, self._begin_s + self.sent_count / FPS - time.monotonic()))
        packet = Packet(self._frames[self._place % len(self._frames)])
        packet.pts, packet.time_base = self.sent_count * 90_000 // FPS, Fraction(1, 90_000)
        self._place, self.sent_count = self._place + 1, self.sent_count + 1
        return packet


class Clients:
    """Publishers and viewers, one connection each."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._frames = encode_clip()
        self._publishers: list[RTCPeerConnection] = []
        self._tracks: list[ClipTrack] = []
        self._viewers: list[ForwardingConnection] = []

    async def connect(self, n_streams: int) -> None:
        """Publish the streams, then watch them."""
        for stream in range(n_streams):
            await self._publish(stream, phase_s=stream / n_streams / FPS)
        for stream in range(n_streams):
            await self._view(stream)
        while not all(self.counts()):
            self._tick()
            await asyncio.sleep(TICK_S)

    async def count_on_request(self, requests: asyncio.StreamReader) -> None:
        """Print the counts for each line read; end with the input."""
        ticking = asyncio.create_task(self._keep_ticking())
        while await requests.readline():
            counts = {"received": self.counts(), "sent": [track.sent_count for track in self._tracks]}
            print(json.dumps(counts), flush=True)  # noqa: T201
        ticking.cancel()

    def counts(self) -> list[int]:
        """Return the frames each viewer has received."""
        return [viewer.receivers[0].counters.frames for viewer in self._viewers]

    async def aclose(self) -> None:
        """Hang up."""
        await asyncio.gather(*(publisher.close() for publisher in self._publishers))
        await asyncio.gather(*(viewer.close() for viewer in self._viewers))

    async def _publish(self, stream: int, *, phase_s: float) -> None:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        track = ClipTrack(self._frames, phase_s=phase_s)
        sender: Any = connection.addTransceiver(track, direction="sendonly").sender
        sender._send_keyframe = track.jump_to_key_frame  # aiortc has none for encoded frames
        await connection.setLocalDescription(await connection.createOffer())
        answer = await self._ask("publish", stream, connection.localDescription.sdp)
        await connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        self._publishers.append(connection)
        self._tracks.append(track)

    async def _view(self, stream: int) -> None:
        viewer = ForwardingConnection(addresses=Addresses(), on_stage=lambda stage: None)
        await viewer.accept(await self._ask("subscribe", stream, await viewer.offer(["video"])))
        self._viewers.append(viewer)

    async def _ask(self, do: str, stream: int, sdp: str) -> str:
        self._writer.write(json.dumps({"do": do, "stream": stream, "sdp": sdp}).encode() + b"\n")
        await self._writer.drain()
        reply = json.loads(await self._reader.readline())
        return str(reply["sdp"])

    def _tick(self) -> None:
        now_ns = time.monotonic_ns()
        for viewer in self._viewers:
            viewer.tick(now_ns)

    async def _keep_ticking(self) -> None:
        while True:
            self._tick()
            await asyncio.sleep(TICK_S)


async def _main(port: int, n_streams: int) -> None:
    gather_on(["127.0.0.1"])
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=LINE_LIMIT_BYTES)
    requests = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    clients = Clients(reader, writer)
    await clients.connect(n_streams)
    print("ready", flush=True)  # noqa: T201
    await clients.count_on_request(requests)
    await clients.aclose()
    writer.close()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1]), int(sys.argv[2])))
