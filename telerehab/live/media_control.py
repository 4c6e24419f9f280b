"""The media worker's HTTP: commands of the web role, on a loopback or private address, behind the worker's secret."""

import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from sessions.errors import SessionsError
from sessions.media.engine import (
    DrainingError,
    MediaError,
    NoSuchSlotError,
    NotOpenError,
    SdpRefusedError,
)
from telerehab.live.host import LiveHost
from telerehab.live.media_protocol import BODY_MAX_BYTES, COMMANDS_PATH, HEALTH_PATH, SECRET_HEADER, CommandRequest

MEDIA_ERROR_CODES: Final[Mapping[type[MediaError], str]] = {
    NotOpenError: "unknown_live_session",
    DrainingError: "draining",
    SdpRefusedError: "sdp_refused",
    NoSuchSlotError: "no_such_slot",
}


def create_control_app(host: LiveHost, *, secret: str) -> FastAPI:
    """Return the ASGI application of one media worker.

    Whoever does not know the secret gets 401 before the body is read, and learns nothing else.
    """
    app = FastAPI(title="telerehab media worker", docs_url=None, redoc_url=None, openapi_url=None)

    def knows_secret(request: Request) -> bool:
        given = request.headers.get(SECRET_HEADER, "")
        return hmac.compare_digest(given.encode("latin-1", "replace"), secret.encode())

    @app.get(HEALTH_PATH)
    async def get_health(request: Request) -> JSONResponse:
        """Say that the worker lives, and which it is."""
        if not knows_secret(request):
            return _refuse(401, "unauthorised")
        return JSONResponse({"media_epoch": host.epoch, **host.status})

    @app.post(COMMANDS_PATH)
    async def post_command(request: Request) -> JSONResponse:
        """Execute one command."""
        if not knows_secret(request):
            return _refuse(401, "unauthorised")
        body = await _read_at_most(request.stream(), BODY_MAX_BYTES)
        if body is None:
            return _refuse(413, "too_large")
        try:
            command = CommandRequest.model_validate_json(body)
        except ValidationError as error:
            return _refuse(400, "malformed", _name_fields(error))
        try:
            return JSONResponse({"result": await host.execute(command)})
        except SessionsError as error:
            return _refuse(200, error.code, str(error))
        except MediaError as error:
            return _refuse(200, MEDIA_ERROR_CODES.get(type(error), "media_refused"), str(error))
        except TimeoutError:
            return _refuse(200, "deadline", "the media worker took too long")

    return app


def _refuse(status: int, code: str, detail: str = "") -> JSONResponse:
    return JSONResponse({"error": {"code": code, "detail": detail}}, status_code=status)


def _name_fields(error: ValidationError) -> str:
    """Return which fields are wrong and why, without their values."""
    faults: list[Any] = error.errors(include_input=False, include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}" for fault in faults)[:500]


async def _read_at_most(stream: AsyncIterator[bytes], most_bytes: int) -> bytes | None:
    """Return the whole body, or None as soon as it is larger."""
    body = bytearray()
    async for chunk in stream:
        body += chunk
        if len(body) > most_bytes:
            return None
    return bytes(body)
