"""What every request passes before any route: the right host, our own page, a bounded body; and headers on the way out.

Plain ASGI, because FastAPI's and Starlette's own middleware for this does not see WebSockets.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocket

from telerehab.api.headers import security_headers
from telerehab.api.problems import refuse_websocket, response_of
from telerehab.auth.origins import is_own_host, is_own_origin
from telerehab.errors import CrossSiteError, MisdirectedError, RequestRefusedError, TooLargeError
from telerehab.settings import Settings

BODY_MAX_BYTES: Final = 64 * 1024
BODY_MAX_BYTES_OF: Final[Mapping[str, int]] = MappingProxyType({"/api/patient-imports": 2 * 1024 * 1024})
"""Paths that take more than `BODY_MAX_BYTES`: a file of patients."""
_READING_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_HOST_FREE_PATHS: Final = frozenset({"/healthz", "/readyz"})
"""Asked by machines, by address."""


class BodyLimit:
    """Stops a body that turns out larger than its path allows, also one whose length nobody said."""

    def __init__(self, app: ASGIApp) -> None:
        self._usual = RequestBodyLimitMiddleware(app, BODY_MAX_BYTES)
        self._of_path = {path: RequestBodyLimitMiddleware(app, limit) for path, limit in BODY_MAX_BYTES_OF.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._of_path.get(scope.get("path", ""), self._usual)(scope, receive, send)


class Guards:
    """Refuses foreign pages and hosts and oversize bodies; puts the security headers on every response."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "http":
            await self._serve_http(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._serve_websocket(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _serve_http(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers_out = security_headers(scope["path"], scheme=scope["scheme"])

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                _put_headers(MutableHeaders(scope=message), headers_out, status=message["status"])
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await response_of(refusal)(scope, receive, send_with_headers)
            return
        await self._app(scope, receive, send_with_headers)

    async def _serve_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket; a foreign page is refused before it is accepted."""
        headers = Headers(scope=scope)
        if is_own_origin(_settings(scope), headers.get("origin"), headers.get("host"), scope["scheme"]):
            await self._app(scope, receive, send)
        else:
            error = CrossSiteError("this page is not ours")
            await refuse_websocket(WebSocket(scope, receive, send), response_of(error))

    def _refusal(self, scope: Scope) -> RequestRefusedError | None:
        """Return why a request goes no further."""
        headers = Headers(scope=scope)
        host = headers.get("host")
        if scope["path"] not in _HOST_FREE_PATHS and not is_own_host(_settings(scope), host):
            return MisdirectedError("this host name is not served here")
        if scope["method"] not in _READING_METHODS:
            is_marked = "x-telerehab" in headers or headers.get("sec-fetch-site") == "same-origin"
            if not is_marked or not is_own_origin(_settings(scope), headers.get("origin"), host, scope["scheme"]):
                return CrossSiteError("writes come from our own pages, with the header X-Telerehab")
        length = headers.get("content-length", "0")
        limit = BODY_MAX_BYTES_OF.get(scope["path"], BODY_MAX_BYTES)
        if not length.isdecimal() or int(length) > limit:
            return TooLargeError(f"at most {limit} bytes")
        return None


def _settings(scope: Scope) -> Settings:
    settings = scope["app"].state.settings
    assert isinstance(settings, Settings)
    return settings


def _put_headers(headers: MutableHeaders, wanted: Mapping[str, str], *, status: int) -> None:
    """Set the security headers; what failed is never kept."""
    for name, value in wanted.items():
        headers[name] = value
    if status >= 400:
        headers["Cache-Control"] = "no-store"
