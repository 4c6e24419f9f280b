"""Errors as `application/problem+json` (RFC 9457): the only module that knows status codes.

A problem carries a `code` that pages translate; `detail` is for programmers. Neither repeats what was sent.
"""

import logging
import math
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final, cast

from fastapi import FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse, Response

from telerehab.api.headers import security_headers
from telerehab.api.private_log import without_values
from telerehab.care.reading import name_place
from telerehab.errors import (
    BrokerAwayError,
    ConflictError,
    CrossSiteError,
    InvalidContentError,
    LoginFailedError,
    MediaUnavailableError,
    MisdirectedError,
    NotAllowedError,
    NotFoundError,
    NotLoggedInError,
    RequestRefusedError,
    SecondFactorError,
    TooLargeError,
    TooManyAttemptsError,
    TooManyLinksError,
)

log = logging.getLogger(__name__)

STATUS_OF: Final[Mapping[type[RequestRefusedError], HTTPStatus]] = MappingProxyType(
    {
        NotLoggedInError: HTTPStatus.UNAUTHORIZED,
        LoginFailedError: HTTPStatus.UNAUTHORIZED,
        NotAllowedError: HTTPStatus.FORBIDDEN,
        CrossSiteError: HTTPStatus.FORBIDDEN,
        NotFoundError: HTTPStatus.NOT_FOUND,
        ConflictError: HTTPStatus.CONFLICT,
        TooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        MisdirectedError: HTTPStatus.MISDIRECTED_REQUEST,
        TooManyAttemptsError: HTTPStatus.TOO_MANY_REQUESTS,
        MediaUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
        BrokerAwayError: HTTPStatus.SERVICE_UNAVAILABLE,
        TooManyLinksError: HTTPStatus.SERVICE_UNAVAILABLE,
        SecondFactorError: HTTPStatus.FORBIDDEN,
        InvalidContentError: HTTPStatus.UNPROCESSABLE_ENTITY,
    }
)
CODE_OF: Final[Mapping[type[RequestRefusedError], str]] = MappingProxyType(
    {
        NotLoggedInError: "not_logged_in",
        LoginFailedError: "login_failed",
        NotAllowedError: "not_allowed",
        CrossSiteError: "cross_site",
        NotFoundError: "not_found",
        ConflictError: "conflict",
        TooLargeError: "too_large",
        MisdirectedError: "misdirected",
        TooManyAttemptsError: "too_many_attempts",
        MediaUnavailableError: "media_unavailable",
        BrokerAwayError: "broker_away",
        TooManyLinksError: "too_many_links",
        SecondFactorError: "second_factor",
        InvalidContentError: "invalid",
    }
)
_CODE_OF_STATUS: Final[Mapping[int, str]] = MappingProxyType(
    {404: "not_found", 405: "method_not_allowed", 413: "too_large"}
)
MEDIA_TYPE: Final = "application/problem+json"
FAULTS_MAX: Final = 20
"""Faults that an answer names: one request may hold thousands."""
_POLICY_VIOLATION: Final = 1008


def problem_response(
    status: int,
    *,
    code: str,
    detail: str = "",
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> JSONResponse:
    """Return a problem; it carries the security headers itself, for it may be made outside the middleware."""
    body: dict[str, Any] = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "code": code}
    if detail:
        body["detail"] = detail
    body.update(extra or {})
    return JSONResponse(
        body, status_code=status, media_type=MEDIA_TYPE, headers={**security_headers("/api"), **(headers or {})}
    )


def response_of(error: RequestRefusedError) -> JSONResponse:
    """Return the problem that a refusal is."""
    kind = type(error)
    headers = {}
    if isinstance(error, TooManyAttemptsError):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    extra = {"faults": list(error.faults[:FAULTS_MAX])} if isinstance(error, InvalidContentError) else None
    code = error.code or CODE_OF[kind]
    # What does not exist and what the reader may not see answer the same, to the letter.
    detail = "not found" if isinstance(error, NotFoundError) else str(error)
    return problem_response(STATUS_OF[kind], code=code, detail=detail, headers=headers, extra=extra)


def add_problem_handlers(app: FastAPI) -> None:
    """Make every error of an app a problem."""
    app.add_exception_handler(RequestRefusedError, cast(Any, _when_refused))
    app.add_exception_handler(RequestValidationError, _when_invalid)
    app.add_exception_handler(HTTPException, _when_http)
    app.add_exception_handler(Exception, _when_unexpected)


async def _when_refused(connection: HTTPConnection, error: Exception) -> Response | None:
    """Answer a refusal; a WebSocket is refused here, before it is accepted, and wants no further answer."""
    assert isinstance(error, RequestRefusedError)
    response = response_of(error)
    if isinstance(connection, WebSocket):
        await refuse_websocket(connection, response)
        return None
    return response


async def refuse_websocket(websocket: WebSocket, response: Response) -> None:
    """Refuse a WebSocket that is not accepted yet, with a reason where the server can send one."""
    if "websocket.http.response" in websocket.scope.get("extensions", {}):
        await websocket.send_denial_response(response)
    else:
        await websocket.close(code=_POLICY_VIOLATION)


async def _when_invalid(_request: Request, error: Exception) -> Response:
    """Answer a body, path or query that does not fit: where and what kind, never the value."""
    assert isinstance(error, RequestValidationError)
    faults = [_describe_fault(fault) for fault in error.errors()[:FAULTS_MAX]]
    return problem_response(HTTPStatus.UNPROCESSABLE_ENTITY, code="invalid", extra={"faults": faults})


def _describe_fault(fault: Mapping[str, Any]) -> dict[str, str]:
    """Return where a fault is and of what kind."""
    return {"at": name_place(fault), "kind": fault["type"]}


async def _when_http(_request: Request, error: Exception) -> Response:
    """Answer what the framework itself refuses."""
    assert isinstance(error, HTTPException)
    code = _CODE_OF_STATUS.get(error.status_code, "refused")
    return problem_response(error.status_code, code=code, headers=error.headers)


async def _when_unexpected(request: Request, error: Exception) -> Response:
    """Answer a fault of ours: the log holds the kind and the place, the answer says nothing."""
    log.error("%s failed", getattr(request.scope.get("route"), "path", "a request"), exc_info=without_values(error))
    return problem_response(HTTPStatus.INTERNAL_SERVER_ERROR, code="internal")
