"""The WebSocket `/ws`, one per login: signalling, presence, events, text and live values (`docs/signalling.md`).

A foreign page and a browser without login are refused before the socket is accepted. Three tasks serve a socket: one
receives, one executes commands in their order, one sends; the first that ends, ends the others.
"""

import asyncio
import logging
from typing import Final

from fastapi import APIRouter, WebSocket, WebSocketDisconnect

from sessions import messages
from sessions.errors import MessageError
from sessions.participant import SOCKET_KEPT_S
from telerehab.api.dependencies import CurrentReader
from telerehab.api.parts import parts_of
from telerehab.auth.policies import CARE, declares
from telerehab.clock import Clock
from telerehab.errors import MediaUnavailableError, NotFoundError
from telerehab.live.fanout import Connection, LiveFanout
from telerehab.live.media_client import MediaRefusedError
from telerehab.live.outbox import (
    CLOSE_POLICY,
    CLOSE_SILENT,
    CLOSE_TOO_LARGE,
    CLOSE_UNSUPPORTED,
    MessageAllowance,
)

log = logging.getLogger(__name__)

COMMANDS_WAITING_MAX: Final = 64
REFUSED_MESSAGES_MAX: Final = 1_000
"""Messages above the rate, after which the socket is closed."""
CLOSING_S: Final = 2.0

router = APIRouter()


def fanout_of(websocket: WebSocket) -> LiveFanout:
    """Return the live part of the app that a WebSocket reached: `app.state.live_fanout`, opened by the lifespan."""
    fanout = websocket.app.state.live_fanout
    assert isinstance(fanout, LiveFanout)
    return fanout


@router.websocket("/ws")
@declares(CARE)
async def serve_socket(websocket: WebSocket, reader: CurrentReader) -> None:
    """Serve one page until it goes, falls silent, is replaced or revoked."""
    parts, fanout = parts_of(websocket), fanout_of(websocket)
    await websocket.accept()
    connection = fanout.connect(reader)
    commands: asyncio.Queue[messages.ChannelMessage] = asyncio.Queue(COMMANDS_WAITING_MAX)
    sending = asyncio.create_task(connection.outbox.run(websocket))
    receiving = asyncio.create_task(_receive(websocket, connection, commands, parts.clock))
    executing = asyncio.create_task(_execute(fanout, connection, commands))
    tasks = {sending, receiving, executing}
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if connection.outbox.close_code is not None:
            await asyncio.wait({sending}, timeout=CLOSING_S)
    finally:
        for task in tasks:
            task.cancel()
        await fanout.disconnect(connection)
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
            raise result


async def _receive(
    websocket: WebSocket, connection: Connection, commands: asyncio.Queue[messages.ChannelMessage], clock: Clock
) -> None:
    """Take messages in until the page goes or has to go."""
    outbox, allowance, refused_count = connection.outbox, MessageAllowance(), 0
    while outbox.close_code is None:
        try:
            async with asyncio.timeout(SOCKET_KEPT_S):
                received = await websocket.receive()
        except TimeoutError:
            outbox.close(CLOSE_SILENT)
            return
        if received["type"] == "websocket.disconnect":
            return
        text = received.get("text")
        if text is None:
            outbox.close(CLOSE_UNSUPPORTED)
        elif len(text.encode()) > messages.MESSAGE_MAX_BYTES:
            outbox.close(CLOSE_TOO_LARGE)
        elif allowance.take(clock.monotonic_ns()):
            outbox.hear()
            _take_message(text, connection, commands)
        else:
            refused_count += 1
            if refused_count == 1:
                outbox.say(messages.make_error(None, code="rate_limited", detail="at most 20 messages a second"))
            if refused_count >= REFUSED_MESSAGES_MAX:
                outbox.close(CLOSE_POLICY)


def _take_message(text: str, connection: Connection, commands: asyncio.Queue[messages.ChannelMessage]) -> None:
    """Answer a heartbeat at once; put a command in its place."""
    outbox = connection.outbox
    try:
        message = messages.parse_client_message(text)
    except MessageError as error:
        outbox.say(messages.make_error(error.request_id, code=error.code, detail=str(error)))
        return
    if isinstance(message, messages.Ping):
        outbox.say(messages.make_pong(message.t))
    elif isinstance(message, messages.ChannelMessage):
        try:
            commands.put_nowait(message)
        except asyncio.QueueFull:
            outbox.say(messages.make_error(message.request_id, code="rate_limited", detail="too many are waiting"))


async def _execute(
    fanout: LiveFanout, connection: Connection, commands: asyncio.Queue[messages.ChannelMessage]
) -> None:
    """Execute commands in their order, and answer each."""
    while True:
        message = await commands.get()
        try:
            fields = await fanout.execute(connection, message)
        except MediaRefusedError as error:
            answer = messages.make_error(message.request_id, code=error.code, detail=error.detail)
        except NotFoundError as error:
            answer = messages.make_error(message.request_id, code="not_found", detail=str(error))
        except MediaUnavailableError as error:
            answer = messages.make_error(message.request_id, code="media_unavailable", detail=str(error))
        else:
            if message.request_id is None:
                continue
            answer = messages.make_reply(message.request_id, **fields)
        connection.outbox.say(answer)
