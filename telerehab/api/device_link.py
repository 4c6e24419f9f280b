"""The WebSocket `/device`: phones, tablets and gateways that have no MQTT (`docs/protocol.md` section 9).

A foreign page is refused before the socket is accepted. A device shows its credential in a Basic header, or, where it
is a page, which cannot set one, in its first message.
"""

import asyncio
import base64
import binascii
import json
from typing import Final, NamedTuple

from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from sqlalchemy.exc import SQLAlchemyError
from starlette.websockets import WebSocketState

from devices.errors import LinkMessageError
from devices.link_messages import MAX_LINK_BYTES, LinkFault
from telerehab.api.parts import parts_of
from telerehab.auth.policies import DEVICE, declares
from telerehab.clock import Clock
from telerehab.errors import BrokerAwayError, LoginFailedError, TooManyAttemptsError, TooManyLinksError
from telerehab.live.device_links import DeviceLink, DeviceLinks, make_text
from telerehab.live.link_allowance import LinkAllowance
from telerehab.live.outbox import CLOSE_POLICY, CLOSE_TOO_LARGE, CLOSE_TRY_AGAIN

HELLO_WITHIN_S: Final = 10.0
CLOSING_S: Final = 2.0
CLOSE_LOGIN_FAILED: Final = 4003

router = APIRouter()


class Credential(NamedTuple):
    """Who a device says it is."""

    device: str
    password: str


def device_links_of(websocket: WebSocket) -> DeviceLinks:
    """Return the links of the app that a WebSocket reached: `app.state.device_links`, opened by the lifespan."""
    links = websocket.app.state.device_links
    assert isinstance(links, DeviceLinks)
    return links


@router.websocket("/device")
@declares(DEVICE)
async def serve_device(websocket: WebSocket) -> None:
    """Serve one device until it goes, is replaced or revoked."""
    links, clock = device_links_of(websocket), parts_of(websocket).clock
    await websocket.accept()
    link = await _let_in(websocket, links)
    if link is None:
        return
    sending = asyncio.create_task(link.run(websocket))
    receiving = asyncio.create_task(_receive(websocket, links, link, clock))
    tasks = {sending, receiving}
    try:
        await websocket.send_text(make_text("welcome"))
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if link.close_code is not None:
            await asyncio.wait({sending}, timeout=CLOSING_S)
    finally:
        links.disconnect(link)
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect):
            raise result


async def _let_in(websocket: WebSocket, links: DeviceLinks) -> DeviceLink | None:
    """Return the link of a device that has shown its credential; None where the socket is closed, with the reason."""
    try:
        async with asyncio.timeout(HELLO_WITHIN_S):
            credential = read_basic_header(websocket.headers.get("authorization")) or await _await_hello(websocket)
    except TimeoutError:
        credential = None
    except WebSocketDisconnect:
        return None
    if credential is None:
        await _refuse(websocket, CLOSE_POLICY, "hello_expected")
        return None
    address = websocket.client.host if websocket.client is not None else ""
    try:
        admission = await links.admit(credential.device, credential.password, address=address)
        return links.connect(credential.device, admission)
    except LoginFailedError:
        await _refuse(websocket, CLOSE_LOGIN_FAILED, "login_failed")
    except TooManyAttemptsError:
        await _refuse(websocket, CLOSE_TRY_AGAIN, "too_many_attempts")
    except TooManyLinksError:
        await _refuse(websocket, CLOSE_TRY_AGAIN, "too_many_links")
    except SQLAlchemyError:
        await _refuse(websocket, CLOSE_TRY_AGAIN, "unavailable")
    return None


async def _await_hello(websocket: WebSocket) -> Credential | None:
    """Return what the first message says; None where it is no hello."""
    received = await websocket.receive()
    if received["type"] == "websocket.disconnect":
        raise WebSocketDisconnect
    return read_hello(received.get("text"))


async def _refuse(websocket: WebSocket, code: int, error: str) -> None:
    """Say why, and close."""
    if websocket.application_state is WebSocketState.CONNECTED:
        try:
            await websocket.send_text(make_text("error", code=error))
            await websocket.close(code)
        except WebSocketDisconnect:
            pass  # it went by itself


async def _receive(websocket: WebSocket, links: DeviceLinks, link: DeviceLink, clock: Clock) -> None:
    """Take messages one by one; while one waits for the broker, or the device has been too fast, none is read."""
    allowance = LinkAllowance()
    while link.close_code is None:
        received = await websocket.receive()
        if received["type"] == "websocket.disconnect":
            return
        message = received.get("bytes")
        size = len(message) if message is not None else len(received.get("text") or "")
        pause_s = allowance.spend(size, now_ns=clock.monotonic_ns())
        if message is None:
            _refuse_message(links, link, LinkFault.TEXT)
        elif size > MAX_LINK_BYTES:
            link.close(CLOSE_TOO_LARGE, error="too_large")
        else:
            await _publish(links, link, message)
        if pause_s > 0:
            links.counts["slowed"] += 1
            await asyncio.sleep(pause_s)


async def _publish(links: DeviceLinks, link: DeviceLink, message: bytes) -> None:
    """Hand a message to the broker; what cannot be one is refused by name."""
    try:
        await links.publish(link, message)
    except LinkMessageError as error:
        _refuse_message(links, link, error.fault)
    except BrokerAwayError:
        link.close(CLOSE_TRY_AGAIN, error="broker_away")


def _refuse_message(links: DeviceLinks, link: DeviceLink, fault: str) -> None:
    links.counts[f"refused_{fault}"] += 1
    link.say_error(fault)


def read_hello(text: str | None) -> Credential | None:
    """Return the credential of `{"type": "hello", "device": ..., "password": ...}`; None for anything else."""
    if text is None or len(text) > MAX_LINK_BYTES:
        return None
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    match document:
        case {"type": "hello", "device": str(device), "password": str(password)}:
            return Credential(device, password)
        case _:
            return None


def read_basic_header(header: str | None) -> Credential | None:
    """Return the credential of an `Authorization: Basic` header (RFC 7617); None where there is none.

    >>> read_basic_header("Basic YmFuZC03OnNlY3JldA==")
    Credential(device='band-7', password='secret')
    """
    scheme, _, encoded = (header or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        device, colon, password = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    return Credential(device, password) if colon else None
