"""Every route and channel names its policy; the headers, guards and problems hold on all of them."""

import contextlib
import json
import logging
import re
from collections.abc import Iterator
from concurrent.futures import CancelledError
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient, WebSocketDenialResponse

from telerehab.api import problems
from telerehab.api.dependencies import Parts
from telerehab.api.guards import BODY_MAX_BYTES
from telerehab.api.headers import CONTENT_SECURITY_POLICY
from telerehab.api.routes import declared_policies, require_policies
from telerehab.app import create_app
from telerehab.auth.cookies import COOKIE_NAME
from telerehab.auth.policies import PUBLIC, THERAPIST, declares
from telerehab.db.engine import writing
from telerehab.errors import MissingPolicyError, NotFoundError, RequestRefusedError, TooManyAttemptsError
from tests.telerehab.api.world import PASSWORD, World, new_id, token_of, training
from tests.telerehab.db.stores import make_settings


def _routes(app: FastAPI) -> Iterator[tuple[str, str, str]]:
    for path, methods, policy in declared_policies(app):
        for method in methods or {"ANY"}:
            yield method, path, policy.name


def _requests(app: FastAPI) -> list[tuple[str, str]]:
    """Return every HTTP route as a request with ids that nobody has."""
    found = [(method, re.sub(r"\{\w+\}", new_id(), path)) for method, path, _ in _routes(app) if method != "ANY"]
    return [*found, ("GET", "/assets/main-1a2b.js"), ("GET", "/assets/missing.js"), ("GET", "/nothing")]


@pytest.fixture
def app(static_folder: Path, tmp_path: Path) -> FastAPI:
    """Give an app of its own to each test: they plant routes in it."""
    return create_app(make_settings(tmp_path), static_folder=static_folder)


@pytest.mark.parametrize("kind", ["route", "nested router", "websocket", "plain route", "mount", "guarded mount"])
def test_the_app_does_not_start_with_a_route_without_enforced_policy(sqlite_world: World, kind: str) -> None:
    app = sqlite_world.app
    router = APIRouter(prefix="/planted")

    def endpoint() -> None: ...

    async def channel(websocket: WebSocket) -> None: ...

    match kind:
        case "route":
            app.add_api_route("/planted", endpoint)
        case "nested router":
            inner = APIRouter()
            inner.add_api_route("/deep", endpoint)
            router.include_router(inner)
            app.include_router(router)
        case "websocket":
            router.add_api_websocket_route("/ws", channel)
            app.include_router(router)
        case "plain route":  # FastAPI's dependencies do not run here: declaring is not enough

            @declares(THERAPIST)
            async def plain(_request: Request) -> PlainTextResponse:
                return PlainTextResponse("x")

            app.router.routes.append(Route("/planted", plain))
        case "mount":
            app.mount("/planted", FastAPI())
        case "guarded mount":
            app.router.routes.append(Mount("/planted", app=declares(THERAPIST)(FastAPI())))
    with pytest.raises(MissingPolicyError):
        require_policies(app)


def test_create_app_asks_for_the_policies(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    router = APIRouter()
    router.add_api_route("/planted", lambda: None)
    monkeypatch.setattr("telerehab.app._ROUTERS", (SimpleNamespace(router=router),))
    with pytest.raises(MissingPolicyError, match="/planted declares no policy"):
        create_app(sqlite_world.settings)


def test_a_route_that_slips_in_later_lets_nobody_in(sqlite_world: World) -> None:
    def endpoint() -> str:
        return "secret"

    sqlite_world.app.add_api_route("/planted", endpoint)
    answer = sqlite_world.client.get("/planted")
    assert answer.status_code == 500
    assert "secret" not in answer.text


def test_the_security_headers_are_on_every_answer(sqlite_world: World) -> None:
    world = sqlite_world
    _plant_fault(world.app, "x")
    requests = [*_requests(world.app), ("GET", "/fault"), ("DELETE", "/api/me"), ("GET", "/api/training-sessions/x")]
    answers = [world.client.request(method, path, follow_redirects=False) for method, path in requests]
    answers.append(world.client.post("/api/login", content=b"x" * (BODY_MAX_BYTES + 1)))
    answers.append(world.client.get("/", headers={"Host": "evil.example"}))
    answers.append(world.client.post("/api/logout", headers={"X-Telerehab": "1", "Origin": "https://evil.example"}))
    for answer in answers:
        headers = answer.headers
        assert headers["content-security-policy"] == CONTENT_SECURITY_POLICY, answer.url
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-frame-options"] == "DENY"
        assert "camera=(self)" in headers["permissions-policy"]
        is_kept = answer.url.path == "/assets/main-1a2b.js"
        assert headers["cache-control"] == ("public, max-age=31536000, immutable" if is_kept else "no-store")
    assert {answer.status_code for answer in answers} >= {200, 303, 401, 403, 404, 405, 413, 421, 422, 500}


def test_nothing_inline_is_allowed() -> None:
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert CONTENT_SECURITY_POLICY.startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in CONTENT_SECURITY_POLICY


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"X-Telerehab": "1"}, 204),
        ({"Sec-Fetch-Site": "same-origin"}, 204),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"X-Telerehab": "1", "Origin": "https://clinic.localhost"}, 204),
        ({"X-Telerehab": "1", "Origin": "https://home1.localhost"}, 403),
        ({"X-Telerehab": "1", "Origin": "null"}, 403),
    ],
)
def test_a_write_comes_from_our_own_pages(sqlite_world: World, headers: dict[str, str], status: int) -> None:
    browser = sqlite_world.browser()
    browser.portal = sqlite_world.client.portal
    del browser.headers["X-Telerehab"]
    answer = browser.post("/api/logout", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert answer.json()["code"] == "cross_site"


@pytest.mark.parametrize("path", ["/", "/api/me", "/assets/main-1a2b.js"])
def test_a_foreign_host_name_is_not_served(sqlite_world: World, path: str) -> None:
    answer = sqlite_world.client.get(path, headers={"Host": "rebound.example"})
    assert (answer.status_code, answer.json()["code"]) == (421, "misdirected")


def test_health_is_answered_under_any_name(sqlite_world: World) -> None:
    assert sqlite_world.client.get("/healthz", headers={"Host": "10.1.2.3:8000"}).status_code == 200


@pytest.mark.parametrize("declared", [True, False])
def test_a_body_that_is_too_large_is_refused(sqlite_world: World, declared: bool) -> None:
    text = json.dumps({"email": "a@b.dk", "password": "x" * BODY_MAX_BYTES}).encode()

    def chunks() -> Iterator[bytes]:
        yield from (text[at : at + 1_000] for at in range(0, len(text), 1_000))

    content: Any = text if declared else chunks()
    answer = sqlite_world.client.post("/api/login", content=content, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://clinic.localhost", "https://home1.localhost", "null"]
)
def test_a_foreign_page_gets_no_websocket(sqlite_world: World, origin: str) -> None:
    browser = sqlite_world.logged_in(sqlite_world.here.therapist_link)
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        browser.websocket_connect("wss://clinic.localhost/ws", headers={"Origin": origin}),
    ):
        pass
    assert (caught.value.status_code, caught.value.json()["code"]) == (403, "cross_site")


def test_a_browser_without_login_gets_no_websocket(sqlite_world: World) -> None:
    browser = sqlite_world.browser()
    browser.portal = sqlite_world.client.portal
    with pytest.raises(WebSocketDenialResponse) as caught, browser.websocket_connect("wss://clinic.localhost/ws"):
        pass
    assert (caught.value.status_code, caught.value.json()["code"]) == (401, "not_logged_in")


def test_our_own_page_gets_a_websocket(sqlite_world: World) -> None:
    browser = sqlite_world.logged_in(sqlite_world.here.therapist_link)
    answers = []
    with (
        contextlib.suppress(CancelledError),  # Starlette's test client cancels the app when it leaves
        browser.websocket_connect("wss://clinic.localhost/ws", headers={"Origin": "https://clinic.localhost"}) as page,
    ):
        page.send_json({"v": 1, "type": "ping", "t": 1.5})
        answers.append(page.receive_json()["type"])
    assert answers == ["pong"]


def _leaves(kind: type[RequestRefusedError]) -> Iterator[type[RequestRefusedError]]:
    for child in kind.__subclasses__():
        yield child
        yield from _leaves(child)


def test_every_refusal_has_a_status_and_a_code() -> None:
    leaves = set(_leaves(RequestRefusedError))
    assert leaves == set(problems.STATUS_OF) == set(problems.CODE_OF)
    for kind in leaves - {TooManyAttemptsError}:
        response = problems.response_of(kind("why"))
        body = json.loads(bytes(response.body))
        assert response.media_type == "application/problem+json"
        assert body["status"] == response.status_code == problems.STATUS_OF[kind]
        why = "not found" if kind is NotFoundError else "why"
        assert (body["code"], body["detail"]) == (problems.CODE_OF[kind], why)


def test_an_invalid_body_is_not_repeated(sqlite_world: World) -> None:
    answer = sqlite_world.client.post("/api/login", json={"email": "Karen Blixen", "password": 7})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {fault["at"] for fault in answer.json()["faults"]} == {"body.email", "body.password"}
    assert "Karen" not in answer.text


def _plant_fault(app: FastAPI, message: str) -> None:
    def fault(parts: Parts) -> None:
        raise RuntimeError(message)

    app.add_api_route("/fault", declares(PUBLIC)(fault))


def test_neither_answers_nor_logs_hold_names_or_secrets(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    browser = world.logged_in(world.here.therapist_link)
    browser.post("/api/login", json={"email": world.here.email, "password": "wrong-secret"})
    browser.post("/api/login", json={"email": world.here.email, "password": PASSWORD})
    browser.get("/api/me")
    browser.get("/api/patients")
    browser.put(f"/api/training-sessions/{new_id()}", json=training(world.there.patient_ids[0]))
    browser.post("/api/live-sessions", json={"title": "Karen's knee", "patient_ids": [new_id()]})
    browser.post("/api/live-sessions", json={"title": 7, "patient_ids": ["Karen"]})
    token = token_of(browser)
    _plant_fault(world.app, "Karen Patient 0 here")
    assert browser.get("/fault").json() == {
        "type": "about:blank",
        "title": "Internal Server Error",
        "status": 500,
        "code": "internal",
    }
    formatter = logging.Formatter()
    ours = [record for record in caplog.records if not record.name.startswith(("httpx2", "asyncio"))]
    lines = "\n".join(formatter.format(record) for record in ours)
    assert "/fault failed" in lines
    secrets = ("Karen", "Ida", "here.example", "wrong-secret", PASSWORD, token, world.here.therapist_link, COOKIE_NAME)
    assert [word for word in secrets if word in lines] == []


def test_a_commit_that_fails_is_not_answered_with_success(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = sqlite_world.logged_in(sqlite_world.here.tablet_link)

    def fail(_session: object) -> None:
        raise OSError("disk full")

    path = f"/api/training-sessions/{new_id()}"
    with monkeypatch.context() as patched:
        patched.setattr("sqlmodel.Session.commit", fail)
        answer = browser.put(path, json=training(sqlite_world.here.patient_ids[0]))
    assert answer.status_code == 500
    assert browser.get(path).status_code == 404
    assert sqlite_world.changes.told == []


def test_a_reader_is_answered_while_somebody_writes(sqlite_world: World) -> None:
    browser: TestClient = sqlite_world.logged_in(sqlite_world.here.therapist_link)
    with writing(sqlite_world.database.main, owner="media") as db:
        db.connection()
        assert browser.get("/api/patients").status_code == 200


def test_an_answer_names_few_faults_and_no_field_that_nobody_knows(sqlite_world: World) -> None:
    body = {f"secret-{number}": 1 for number in range(2_000)}
    answer = sqlite_world.client.post("/api/login", json=body)
    assert answer.status_code == 422
    assert len(answer.json()["faults"]) == problems.FAULTS_MAX
    assert {fault["at"] for fault in answer.json()["faults"]} == {"body.email", "body.password", "body"}
    assert "secret" not in answer.text


@pytest.mark.parametrize("title", ["a\x00b", "a\nb", "\x7f"])
def test_a_title_is_one_line_of_text(sqlite_world: World, title: str) -> None:
    therapist = sqlite_world.logged_in(sqlite_world.here.therapist_link)
    body = {"title": title, "patient_ids": [str(sqlite_world.here.patient_ids[0])]}
    assert therapist.post("/api/live-sessions", json=body).status_code == 422


def test_an_email_with_a_zero_is_none(sqlite_world: World) -> None:
    body = {"email": "a\x00b@here.example", "password": "x"}
    assert sqlite_world.client.post("/api/login", json=body).status_code == 422
