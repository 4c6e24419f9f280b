"""A real browser publishes its camera and microphone and another page of it watches, through the engine."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Future
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest
from playwright.async_api import Page, async_playwright

from sessions.media.aiortc_engine import AiortcEngine
from sessions.media.engine import LegState, Seat
from tests.sessions.media.peers import Clip, Publisher, new_seat, running_engine, until

PAGE = b"""<!doctype html><meta charset=utf-8><title>media</title>
<video id=seen autoplay muted playsinline></video><script>
async function exchange(path, connection) {
  await connection.setLocalDescription();
  const reply = await fetch(path, {method: 'POST', body: connection.localDescription.sdp});
  if (!reply.ok) throw new Error(path + ' ' + reply.status);
  await connection.setRemoteDescription({type: 'answer', sdp: await reply.text()});
}
async function publish() {
  const camera = await navigator.mediaDevices.getUserMedia({video: {width: 320, height: 240}, audio: true});
  window.connection = new RTCPeerConnection({iceServers: []});
  for (const track of camera.getTracks()) window.connection.addTransceiver(track, {direction: 'sendonly'});
  await exchange('/publish', window.connection);
}
async function subscribe() {
  window.connection = new RTCPeerConnection({iceServers: []});
  window.streams = [];
  const seen = new MediaStream();
  window.connection.ontrack = event => {
    window.streams.push(event.streams[0].id);
    if (event.streams[0].id !== 'video-1') seen.addTrack(event.track);
  };
  for (const kind of ['audio', 'video', 'video']) window.connection.addTransceiver(kind, {direction: 'recvonly'});
  await exchange('/subscribe', window.connection);
  document.getElementById('seen').srcObject = seen;
}
async function received() {
  const counted = {audio: 0, video: 0, width: 0, streams: window.streams, state: window.connection.connectionState};
  (await window.connection.getStats()).forEach(entry => {
    if (entry.type !== 'inbound-rtp') return;
    if (entry.kind === 'audio') counted.audio += entry.packetsReceived;
    else if (entry.framesDecoded) { counted.video += entry.framesDecoded; counted.width = entry.frameWidth; }
  });
  return counted;
}
</script>"""

CHROMIUM_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--allow-loopback-in-peer-connection",  # a machine with no other address
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def make_handler(answer: Callable[[str, str], "Future[str]"]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._reply(PAGE, "text/html")

        def do_POST(self) -> None:
            sdp = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._reply(answer(self.path, sdp).result(timeout=10).encode(), "text/plain")

        def _reply(self, body: bytes, content_type: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    return Handler


@asynccontextmanager
async def serving(answer: Callable[[str, str], Awaitable[str]]) -> AsyncIterator[str]:
    """Serve the page, and signalling by POST, from a thread; yield the address."""
    loop = asyncio.get_running_loop()

    async def answer_in_loop(path: str, sdp: str) -> str:
        return await answer(path, sdp)

    handler = make_handler(lambda path, sdp: asyncio.run_coroutine_threadsafe(answer_in_loop(path, sdp), loop))
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        await asyncio.to_thread(server.shutdown)
        thread.join()
        server.server_close()


@asynccontextmanager
async def two_pages(address: str) -> AsyncIterator[tuple[Page, Page]]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), headless=True, args=list(CHROMIUM_FLAGS)
        )
        try:
            pages = []
            for _ in range(2):
                page = await (await browser.new_context()).new_page()
                await page.goto(address)
                pages.append(page)
            yield pages[0], pages[1]
        finally:
            await browser.close()


async def frames_decoded(page: Page, at_least: int, *, within_s: float = 10.0) -> dict[str, Any]:
    deadline = asyncio.get_running_loop().time() + within_s
    while True:
        counted: dict[str, Any] = await page.evaluate("received()")
        if counted["video"] >= at_least:
            return counted
        assert asyncio.get_running_loop().time() < deadline, counted
        await asyncio.sleep(0.1)


def signalling(engine: AiortcEngine, publisher: Seat, viewer: Seat) -> Callable[[str, str], Awaitable[str]]:
    async def answer(path: str, sdp: str) -> str:
        if path == "/publish":
            return await engine.publish(publisher, sdp)
        assert await engine.begin_subscribe(viewer, ["audio-0", "video-0", "video-1"]) is None
        answered = await engine.finish_subscribe(viewer, sdp)
        assert answered is not None
        return answered

    return answer


@pytest.mark.browser
@pytest.mark.anyio
async def test_a_page_decodes_the_frames_that_another_page_publishes(clip: Clip) -> None:
    async with running_engine() as (engine, live_session):
        publisher, viewer, other_seat = (new_seat(live_session) for _ in range(3))
        engine.bind(viewer, "audio-0", publisher)
        engine.bind(viewer, "video-0", publisher)
        async with serving(signalling(engine, publisher, viewer)) as address, two_pages(address) as (camera, screen):
            await camera.evaluate("publish()")
            await screen.evaluate("subscribe()")
            first = await frames_decoded(screen, 1)
            later = await frames_decoded(screen, first["video"] + 15)
            assert sorted(later["streams"]) == ["audio-0", "video-0", "video-1"], "the slot is the stream's id"
            assert later["audio"] > 0
            seen = engine.stats(live_session)[publisher]
            assert seen.video_flowing
            assert seen.audio_flowing

            engine.bind(viewer, "video-0", None)
            engine.bind(viewer, "video-1", publisher)  # to another slot: no new SDP
            moved = await frames_decoded(screen, later["video"] + 15)

            other = Publisher(clip)  # to another source in the same slot and back: the picture goes on
            await other.publish(engine, other_seat)
            engine.bind(viewer, "video-1", other_seat)
            switched = await frames_decoded(screen, moved["video"] + 30)
            engine.bind(viewer, "video-1", publisher)
            await frames_decoded(screen, switched["video"] + 30)
            await other.close()

            await camera.evaluate("window.connection.close()")
            await until(lambda: engine.stats(live_session)[publisher].publish in (None, LegState.CLOSED))
