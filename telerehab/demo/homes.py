"""The simulated homes' tablets: each joins the live session and publishes its picture, as a patient's browser would.

Run as `python -m telerehab.demo.homes FILE`, where FILE (mode 0600, it holds the homes' one-time links) is the JSON of
`HomesPlan`. Ends on SIGTERM. A home whose seat is taken by a real browser leaves it to the person there for good; its
sensors go on.
"""

import asyncio
import json
import logging
import signal
import sys
import time
from pathlib import Path
from typing import Any, Final
from uuid import UUID

from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidStatus

from sessions.media.compat import gather_on
from telerehab.demo.home_video import HomeVideo
from telerehab.demo.homes_plan import Home, HomesPlan
from telerehab.demo.portal import Portal, enter

PING_S: Final = 1.0
REPLY_TIMEOUT_S: Final = 10.0
RECONNECT_S: Final = 1.0

log = logging.getLogger(__name__)


class ReplacedError(Exception):
    """A browser took this home's seat."""


class MediaGoneError(Exception):
    """The media worker was started anew: all connections to it are gone."""


class SimulatedTablet:
    """One home's tablet: a socket with its replies, and a connection that publishes."""

    def __init__(self, home: Home, portal: Portal, *, live_session: UUID) -> None:
        self._home, self._portal, self._live_session = home, portal, live_session
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._request_count = 0
        self._media_epoch: str | None = None

    async def run(self) -> None:
        """Stay in the live session until cancelled, or until somebody takes the seat."""
        while True:
            try:
                await self._visit()
            except ReplacedError:
                log.info("%s: a browser has the seat", self._home.name)
                return
            except (ConnectionClosed, OSError, TimeoutError, InvalidStatus, MediaGoneError) as error:
                log.info("%s: %s; trying again", self._home.name, type(error).__name__)
            except RefusedError as error:
                log.warning("%s: refused: %s; trying again", self._home.name, error)
            await asyncio.sleep(RECONNECT_S)

    async def _visit(self) -> None:
        self._media_epoch = None
        socket = await self._portal.socket()
        async with socket:
            tasks = [asyncio.create_task(self._listen(socket)), asyncio.create_task(self._ping(socket))]
            connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
            video = HomeVideo(Path(self._home.pose_file))
            try:
                self._media_epoch = (await self._ask(socket, "join"))["media_epoch"]
                connection.addTrack(video)
                await connection.setLocalDescription(await connection.createOffer())
                reply = await self._ask(socket, "publish", sdp=connection.localDescription.sdp)
                await connection.setRemoteDescription(RTCSessionDescription(reply["sdp"], "answer"))
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                video.stop()
                await connection.close()

    async def _listen(self, socket: ClientConnection) -> None:
        async for message in socket:
            if isinstance(message, bytes):
                continue
            body = json.loads(message)
            if body["type"] == "bye":
                raise ReplacedError(body.get("reason", ""))
            if body["type"] == "state" and self._media_epoch not in (None, body["live_session"]["media_epoch"]):
                raise MediaGoneError
            waiting = self._replies.pop(body.get("re") or "", None)
            if waiting is not None and not waiting.done():
                waiting.set_result(body)

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await socket.send(json.dumps({"v": 1, "type": "ping", "t": time.monotonic()}))
            await asyncio.sleep(PING_S)

    async def _ask(self, socket: ClientConnection, kind: str, **fields: object) -> dict[str, Any]:
        self._request_count += 1
        request_id = f"{self._home.name}-{self._request_count}-{time.monotonic_ns()}"
        reply = asyncio.get_running_loop().create_future()
        self._replies[request_id] = reply
        request = {"v": 1, "type": kind, "id": request_id, "live_session": str(self._live_session), **fields}
        await socket.send(json.dumps(request))
        body: dict[str, Any] = await asyncio.wait_for(reply, REPLY_TIMEOUT_S)
        if body["type"] == "error":
            raise RefusedError(str(body.get("code")))
        return body


class RefusedError(Exception):
    """The application refused a request of a home; the message is its code."""


async def run_homes(plan: HomesPlan) -> None:
    """Enter with each home's link and stay until cancelled."""
    gather_on([plan.media_address])
    authority = Path(plan.authority) if plan.authority else None
    async with asyncio.TaskGroup() as tasks:
        for home in plan.homes:
            portal = await enter(
                address=plan.address, port=plan.port, host=home.host, authority=authority, token=home.token
            )
            tasks.create_task(SimulatedTablet(home, portal, live_session=plan.live_session).run())


async def _run_until_told(plan: HomesPlan) -> None:
    homes = asyncio.create_task(run_homes(plan))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, homes.cancel)
    try:
        await homes
    except asyncio.CancelledError:
        log.info("homes ended")


def main() -> None:
    """Run the homes named in the file of the first argument."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s homes %(message)s", stream=sys.stderr)
    log.setLevel(logging.INFO)
    asyncio.run(_run_until_told(HomesPlan.from_json(Path(sys.argv[1]).read_text(encoding="utf-8"))))


if __name__ == "__main__":
    main()
