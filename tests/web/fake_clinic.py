"""A clinic that plays a script: built pages, answers of `/api`, one `/ws` with a given state and live frames.

It stands in for the web role where only layout, words and accessibility are looked at; the real one is met in the
browser tests of the whole.
"""

import asyncio
import json
import math
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.websockets import WebSocket, WebSocketDisconnect

from telerehab.api.headers import security_headers

STATIC = Path(__file__).parents[2] / "telerehab" / "web" / "static"
START_TIMEOUT_S = 10.0
TICK_S = 0.1
LIVE_SESSION = "0b0f8f1e-0000-4000-8000-000000000001"
THERAPIST = "0b0f8f1e-0000-4000-8000-0000000000aa"
PHASE_READY, PHASE_UP, PHASE_HOLD = 3, 4, 5


def training_of(index: int) -> str:
    """Return the id of one patient's training session."""
    return f"0b0f8f1e-0000-4000-8000-0000000001{index:02d}"


def patient_of(index: int) -> str:
    """Return the participant id of one patient."""
    return f"0b0f8f1e-0000-4000-8000-0000000002{index:02d}"


@dataclass(slots=True)
class Movement:
    """What one patient's live entry says; tests change it while frames flow."""

    repetitions: int = 7
    phase: int = PHASE_UP
    reason: int = 0
    trust: int = 93
    completeness: int = 99
    age_ms: int = 120
    flags: int = 0
    heart_rate: int = 84
    angle_deg: float | None = None
    """None: it swings between 90° and 8°."""


def live_frame(movements: dict[str, Movement], *, tick: int) -> bytes:
    """Write one live frame by hand, byte for byte as the contract says."""
    frame = struct.pack("<HBBHHII", 0x4C52, 1, 52, len(movements), 0, tick, 0)
    for number, (training, movement) in enumerate(movements.items()):
        angles = [
            49 + 41 * math.cos((tick * TICK_S + i / 100) * 2 * math.pi / (4 + 0.5 * number))
            if movement.angle_deg is None
            else movement.angle_deg
            for i in range(10)
        ]
        frame += UUID(training).bytes
        frame += struct.pack("<HBBH", movement.age_ms, movement.phase, movement.reason, movement.repetitions)
        frame += struct.pack("<BBHBB", movement.trust, movement.completeness, 812, movement.heart_rate, movement.flags)
        frame += struct.pack("<10h", *(round(100 * angle) for angle in angles))
        frame += struct.pack("<2h", 0, 1500)
    return frame


@dataclass(slots=True)
class FakeClinic:
    """The script. Tests set fields; `say` sends a message to every open page."""

    me: dict[str, Any] | None
    live_sessions: list[dict[str, Any]] = field(default_factory=list)
    patients: list[dict[str, Any]] = field(default_factory=list)
    state: dict[str, Any] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    movements: dict[str, Movement] = field(default_factory=dict)
    sends_frames: bool = True
    answers: bool = True
    """False: the socket stands, but nothing comes any more."""
    has_ended: bool = False
    """True: nobody may join any more."""
    received: list[dict[str, Any]] = field(default_factory=list)
    posted: list[tuple[str, Any]] = field(default_factory=list)
    service: Callable[[str, str, Any], tuple[int, Any] | None] | None = None
    """Answers what the script below does not know: method, path and body to status and answer, or None."""
    url: str = ""
    loop: asyncio.AbstractEventLoop | None = None
    sockets: list[WebSocket] = field(default_factory=list)

    def say(self, message: dict[str, Any]) -> None:
        """Send a message to every open page."""
        assert self.loop is not None
        for socket in list(self.sockets):
            text = json.dumps({"v": 1, **message})
            asyncio.run_coroutine_threadsafe(socket.send_text(text), self.loop).result(5)

    def show(self) -> None:
        """Send the present state to every open page."""
        self.say({"type": "state", "live_session": self.state})

    def close_sockets(self) -> None:
        """Cut every socket, as a network that goes away does."""
        assert self.loop is not None
        for socket in list(self.sockets):
            asyncio.run_coroutine_threadsafe(socket.close(1011), self.loop).result(5)

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """Return what pages have sent of one type."""
        return [message for message in self.received if message["type"] == kind]


async def _headers(request: Request, call_next: RequestResponseEndpoint) -> Response:
    response = await call_next(request)
    response.headers.update(security_headers(request.url.path))  # the same policy as in production
    return response


def _make_app(clinic: FakeClinic) -> Starlette:
    async def answer(request: Request) -> Response:
        path, method = request.url.path, request.method
        if clinic.service is not None:
            sent = await request.body()
            known = clinic.service(method, path, json.loads(sent) if sent else None)
            if known is not None:
                return JSONResponse(known[1], known[0])
        if method in {"POST", "PUT"}:
            body = await request.body()
            clinic.posted.append((path, json.loads(body) if body else None))
            if path in {"/api/login", "/api/enter", "/api/tablet-pairing"}:
                return JSONResponse({"code": "login_failed"}, 401)
            return JSONResponse({"id": LIVE_SESSION, "title": "", "state": "open", "code": "042517"}, 201)
        answers: dict[str, Any] = {
            "/api/me": clinic.me,
            "/api/live-sessions": clinic.live_sessions,
            "/api/patients": clinic.patients,
            "/api/alerts": [],
            "/api/help-calls": [],
        }
        found = answers.get(path)
        if path == "/api/me" and found is None:
            return JSONResponse({"code": "not_logged_in"}, 401)
        return JSONResponse(found) if found is not None else JSONResponse({"code": "not_found"}, 404)

    async def page(request: Request) -> Response:
        return FileResponse(STATIC / f"{request.url.path[1:]}.html")

    async def serve(socket: WebSocket) -> None:
        await socket.accept()
        clinic.sockets.append(socket)
        frames = asyncio.create_task(_send_frames(socket, clinic))
        try:
            while True:
                message = json.loads(await socket.receive_text())
                clinic.received.append(message)
                if clinic.answers:
                    for reply in _replies(clinic, message):
                        await socket.send_text(json.dumps({"v": 1, **reply}))
        except (WebSocketDisconnect, RuntimeError):
            pass
        finally:
            frames.cancel()
            clinic.sockets.remove(socket)

    return Starlette(
        routes=[
            Route("/api/{rest:path}", answer, methods=["GET", "POST", "PUT", "DELETE"]),
            *(Route(f"/{name}", page) for name in ("enter", "patient", "sensor", "therapist")),
            WebSocketRoute("/ws", serve),
            Mount("/assets", StaticFiles(directory=STATIC / "assets")),
        ],
        middleware=[Middleware(BaseHTTPMiddleware, dispatch=_headers)],
    )


def _replies(clinic: FakeClinic, message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    kind = message["type"]
    if kind == "ping":
        yield {"type": "pong", "t": message["t"]}
        return
    if kind == "replay":
        yield from ({"type": "event", "live_session": LIVE_SESSION, **event} for event in clinic.events)
    if kind in {"publish", "subscribe"}:  # no media here
        yield {"type": "error", "re": message["id"], "code": "failed"}
        return
    if kind == "join" and clinic.has_ended:
        yield {"type": "error", "re": message["id"], "code": "not_allowed"}
        return
    if "id" not in message:
        return
    yield {"type": "reply", "re": message["id"]}
    if kind == "join":
        yield {"type": "state", "live_session": clinic.state}


async def _send_frames(socket: WebSocket, clinic: FakeClinic) -> None:
    tick = 0
    while True:
        await asyncio.sleep(TICK_S)
        tick += 1
        if clinic.sends_frames and clinic.answers and clinic.movements:
            await socket.send_bytes(live_frame(clinic.movements, tick=tick))


@contextmanager
def serve_clinic(clinic: FakeClinic) -> Iterator[FakeClinic]:
    """Serve the clinic on a free port of the loopback until the block ends."""
    config = uvicorn.Config(
        _make_app(clinic),
        host="127.0.0.1",
        port=0,
        log_level="error",
        lifespan="off",
        ws="websockets-sansio",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)

    async def run() -> None:
        clinic.loop = asyncio.get_running_loop()
        await server.serve()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    deadline = time.monotonic() + START_TIMEOUT_S
    while not server.started:
        assert time.monotonic() < deadline, "the fake clinic did not start"
        time.sleep(0.01)
    clinic.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield clinic
    finally:
        server.should_exit = server.force_exit = True  # pages still hold their sockets
        thread.join(START_TIMEOUT_S)


# --- scenes ---

NAMES = ("Else Jensen", "Poul Kristensen", "Anna Møller", "Bent Sørensen", "Karen Holst", "Ida Thomsen")


def participant(identifier: str, name: str, **fields: Any) -> dict[str, Any]:
    """Return one participant as `state` describes it."""
    return {
        "id": identifier,
        "role": "patient",
        "display_name": name,
        "state": "connected",
        "link": "good",
        "publishes": {"audio": True, "video": True},
        "patient_id": None,
        "training_session": None,
        "help_since": None,
        "paused_since": None,
        **fields,
    }


def training(index: int) -> dict[str, Any]:
    """Return one training session as `state` describes it."""
    return {
        "id": training_of(index),
        "exercise": "knee_extension_seated",
        "side": "right",
        "target_low_deg": 0.0,
        "target_high_deg": 15.0,
        "target_repetitions": 10,
    }


def room_state(you: str, people: list[dict[str, Any]], slots: dict[str, str | None]) -> dict[str, Any]:
    """Return a whole `live_session`."""
    return {
        "id": LIVE_SESSION,
        "title": "Knæhold onsdag",
        "state": "live",
        "event_sequence": 0,
        "you": you,
        "focus": None,
        "talk_to": None,
        "participants": people,
        "slots": slots,
    }


def therapist_person(**fields: Any) -> dict[str, Any]:
    """Return the therapist as a participant."""
    return participant(THERAPIST, "Mette Holm", role="therapist", **fields)


def patient_clinic(language: str, *, state: str = "connected") -> FakeClinic:
    """Return a clinic for one patient's tablet: a live session waits."""
    own = participant(
        patient_of(0), NAMES[0], state=state, training_session=training(0) if state == "connected" else None
    )
    return FakeClinic(
        me={
            "role": "tablet",
            "display_name": "Else",
            "language": language,
            "patient_id": patient_of(0),
            "account_id": None,
        },
        live_sessions=[{"id": LIVE_SESSION, "title": "Knæhold onsdag", "state": "live"}],
        state=room_state(patient_of(0), [therapist_person(), own], {"video-0": THERAPIST, "audio-0": THERAPIST}),
        movements={training_of(0): Movement()},
    )


def therapist_clinic(language: str, *, patients: int = 4) -> FakeClinic:
    """Return a clinic for the therapist: a live session with patients in all conditions."""
    people = [
        participant(patient_of(i), NAMES[i], patient_id=patient_of(i), training_session=training(i))
        for i in range(patients)
    ]
    slots: dict[str, str | None] = {
        f"{kind}-{i}": patient_of(i) for kind in ("video", "audio") for i in range(patients)
    }
    return FakeClinic(
        me={
            "role": "therapist",
            "display_name": "Mette Holm",
            "language": language,
            "patient_id": None,
            "account_id": THERAPIST,
        },
        live_sessions=[{"id": LIVE_SESSION, "title": "Knæhold onsdag", "state": "live"}],
        patients=[
            {"id": patient_of(i), "display_name": NAMES[i], "birth_date": f"194{i}-03-04", "language": "da"}
            for i in range(patients)
        ],
        state=room_state(THERAPIST, [therapist_person(), *people], slots),
        movements={training_of(i): Movement(repetitions=9 - i) for i in range(patients)},
    )
