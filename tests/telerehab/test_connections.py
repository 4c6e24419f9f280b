"""Connections of the web role: who says nothing makes room, who is refused leaves no trace of a fault."""

import asyncio
import base64
import contextlib
import logging
import resource
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn

from telerehab.web.connections import BoundedHttpConnection, BoundedWebSocketConnection

pytestmark = pytest.mark.anyio
WAIT_S = 0.3
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(bytes(16)) + b"\r\n"
)


class ImpatientConnection(BoundedHttpConnection):
    request_within_s = WAIT_S


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Take the whole body, then say yes; to a WebSocket on another path than `/ws` say no."""
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})
    elif scope["path"] == "/ws":
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            await send({"type": "websocket.send", "text": "here"})
    else:
        await send({"type": "websocket.http.response.start", "status": 403, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"no"})


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(
        app,  # type: ignore[arg-type, unused-ignore]
        http=ImpatientConnection,
        ws=BoundedWebSocketConnection,
        port=0,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_keep_alive=30,
    )
    server = uvicorn.Server(config)
    server.capture_signals = _no_signals  # type: ignore[method-assign, assignment]
    running = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:
            await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
        server.should_exit = True
        await running


class _no_signals:
    def __enter__(self) -> None: ...
    def __exit__(self, *error: object) -> None: ...


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"GET / HTTP/1.1\r\nHost: ",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nhalf",
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\nGET / HT",
    ],
    ids=["nothing", "half a head", "half a body", "half of a second request"],
)
async def test_who_does_not_finish_a_request_is_not_waited_for(said: bytes) -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)

        async def trickle() -> None:
            while said:
                await asyncio.sleep(WAIT_S / 5)
                writer.write(b"x")

        trickling = asyncio.create_task(trickle())
        async with asyncio.timeout(10 * WAIT_S):
            await _until_hung_up(reader)
        trickling.cancel()
        writer.close()


async def _until_hung_up(reader: asyncio.StreamReader) -> None:
    with contextlib.suppress(ConnectionResetError):
        while await reader.read(1000):
            pass


async def test_a_connection_that_is_served_lives_on() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for _ in range(2):
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204")
            await asyncio.sleep(1.5 * WAIT_S)
        writer.close()


async def test_a_websocket_is_not_hurried() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HANDSHAKE + b"\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        await asyncio.sleep(1.5 * WAIT_S)
        writer.write(b"\x81\x80\0\0\0\0")  # an empty text
        assert await reader.readexactly(6) == b"\x81\x04here"
        writer.close()


async def test_a_handshake_that_cannot_be_read_is_hung_up_on() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HANDSHAKE + b"Cookie: a\x7f\r\n\r\n")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            async with asyncio.timeout(2):
                await reader.readexactly(1)
        writer.close()


async def test_a_refused_websocket_is_no_fault_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        async with serving() as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HANDSHAKE.replace(b"/ws", b"/no") + b"\r\n")
            assert (await reader.read()).startswith(b"HTTP/1.1 403")
            writer.close()
    assert caplog.messages == []


def test_as_many_descriptors_as_allowed_are_used() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    program = (
        "import resource; from telerehab.web.connections import allow_many_connections as allow;"
        f"resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard})); allow();"
        "print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=30)
    assert int(said.stdout) == (65_536 if hard == resource.RLIM_INFINITY else min(hard, 65_536))
