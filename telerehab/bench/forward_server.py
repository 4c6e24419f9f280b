"""The server side of the benchmark `forward`, in a process of its own: our engine on uvloop, or aiortc's MediaRelay.

`python -m telerehab.bench.forward_server ours|relay` prints its port and answers one JSON object per line:
`{"do": "publish"|"subscribe", "stream": N, "sdp": ...}` -> `{"sdp": ...}`. For each line on its standard input it
prints its user and system time so far [ns]; it ends when its input does.
"""

import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Final, Protocol
from uuid import uuid4

import uvloop
from aiortc import MediaStreamTrack, RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

from sessions.media.aiortc_engine import AiortcEngine
from sessions.media.compat import gather_on
from sessions.media.engine import Seat

LINE_LIMIT_BYTES: Final = 1 << 20
HANG_UP_WITHIN_S: Final = 5.0


class Variant(Protocol):
    """One of the two servers that are compared."""

    async def publish(self, stream: int, sdp: str) -> str:
        """Answer a publisher."""
        ...

    async def subscribe(self, stream: int, sdp: str) -> str:
        """Answer a viewer of one stream."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


class Ours:
    """Forwarding by `AiortcEngine`."""

    def __init__(self) -> None:
        self._engine = AiortcEngine()
        self._live_session = uuid4()
        self._publishers: dict[int, Seat] = {}

    async def publish(self, stream: int, sdp: str) -> str:
        """See `Variant`."""
        await self._engine.open(self._live_session)
        self._publishers[stream] = seat = Seat(live_session=self._live_session, participant=uuid4())
        return await self._engine.publish(seat, sdp)

    async def subscribe(self, stream: int, sdp: str) -> str:
        """See `Variant`."""
        seat = Seat(live_session=self._live_session, participant=uuid4())
        await self._engine.begin_subscribe(seat, ["video-0"])
        self._engine.bind(seat, "video-0", self._publishers[stream])
        answer = await self._engine.finish_subscribe(seat, sdp)
        assert answer is not None
        return answer

    async def aclose(self) -> None:
        """See `Variant`."""
        await self._engine.aclose()


class Relay:
    """aiortc as its documentation shows it: received tracks, decoded, through MediaRelay to senders that encode."""

    def __init__(self) -> None:
        gather_on(["127.0.0.1"])
        self._relay = MediaRelay()
        self._tracks: dict[int, MediaStreamTrack] = {}
        self._connections: list[RTCPeerConnection] = []

    async def publish(self, stream: int, sdp: str) -> str:
        """See `Variant`."""
        connection = self._connect()
        connection.on("track", lambda track: self._tracks.__setitem__(stream, track))
        return await self._answer(connection, sdp)

    async def subscribe(self, stream: int, sdp: str) -> str:
        """See `Variant`."""
        connection = self._connect()
        connection.addTrack(self._relay.subscribe(self._tracks[stream]))
        return await self._answer(connection, sdp)

    async def aclose(self) -> None:
        """See `Variant`."""
        await asyncio.gather(*(connection.close() for connection in self._connections))

    def _connect(self) -> RTCPeerConnection:
        connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._connections.append(connection)
        return connection

    async def _answer(self, connection: RTCPeerConnection, sdp: str) -> str:
        await connection.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        await connection.setLocalDescription(await connection.createAnswer())
        return connection.localDescription.sdp


async def serve(variant: Variant) -> None:
    """Serve one client until the input ends."""
    hung_up = asyncio.Event()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            request = json.loads(line)
            answer: Callable[[int, str], Awaitable[str]] = getattr(variant, request["do"])
            reply = {"sdp": await answer(request["stream"], request["sdp"])}
            writer.write(json.dumps(reply).encode() + b"\n")
            await writer.drain()
        writer.close()
        hung_up.set()

    server = await asyncio.start_server(converse, "127.0.0.1", 0, limit=LINE_LIMIT_BYTES)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    requests = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(requests), sys.stdin)
    while await requests.readline():
        print(time.process_time_ns(), flush=True)  # noqa: T201
    await asyncio.wait_for(hung_up.wait(), HANG_UP_WITHIN_S)
    server.close()
    await variant.aclose()


async def _main(name: str) -> None:
    await serve(Ours() if name == "ours" else Relay())


if __name__ == "__main__":
    if sys.argv[1] == "ours":
        uvloop.run(_main("ours"))
    else:
        asyncio.run(_main("relay"))
