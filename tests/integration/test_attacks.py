"""A running demonstration, attacked: by a stranger, by one patient against another, by foreign pages, broken clients.

One demonstration serves all of them; the last test reads what it has left behind in its logs.
"""

import contextlib
import http.client
import json
import re
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import psutil
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from telerehab.demo.clinic import PATIENT_NAMES, THERAPIST_NAME
from tests.demo_process import DemoProcess, running_demo

COOKIE: Final = "__Host-telerehab"
WAIT_S: Final = 10.0
Answer = tuple[int, Mapping[str, str], bytes]


@dataclass(kw_only=True)
class Browser:
    """A login and the host name under which it was made."""

    port: int
    host: str
    token: str = ""

    def ask(
        self, method: str, path: str, body: object = None, *, host: str | None = None, **headers: str | None
    ) -> Answer:
        """Send a request as our pages do; a header given as None is left out."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT_S)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        sent: dict[str, str | None] = {
            "Host": host or f"{self.host}:{self.port}",
            "X-Telerehab": "1",
            "Content-Type": "application/json",
            "Content-Length": str(len(content)),
            "Cookie": f"{COOKIE}={self.token}" if self.token else None,
        }
        for name, value in (sent | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(content)
        try:
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def read(self, path: str) -> Any:
        status, _, content = self.ask("GET", path)
        assert status == 200, content
        return json.loads(content)

    def enter(self, token: str) -> Answer:
        answer = self.ask("POST", "/api/enter", {"token": token})
        found = re.search(rf"{COOKIE}=([^;]+)", answer[1].get("set-cookie", ""))
        self.token = found[1] if found else self.token
        return answer

    def open_socket(self, *, origin: str | None = "own", token: str | None = None) -> ClientConnection:
        raw = socket.create_connection(("127.0.0.1", self.port))
        return connect(
            f"ws://{self.host}:{self.port}/ws",
            sock=raw,
            origin=f"http://{self.host}:{self.port}" if origin == "own" else origin,  # type: ignore[arg-type]
            additional_headers={"Cookie": f"{COOKIE}={self.token if token is None else token}"},
            open_timeout=WAIT_S,
            proxy=None,
        )

    @contextmanager
    def socket(self) -> Iterator["Channel"]:
        opened = self.open_socket()
        with opened:
            yield Channel(opened)


class Channel:
    """A WebSocket and the answers on it."""

    def __init__(self, opened: ClientConnection) -> None:
        self.opened = opened
        self._count = 0

    def ask(self, kind: str, **fields: object) -> dict[str, Any]:
        self._count += 1
        return self.say(json.dumps({"v": 1, "type": kind, "id": str(self._count), **fields}))

    def say(self, message: str) -> dict[str, Any]:
        self.opened.send(message)
        return self.hear("reply", "error")

    def hear(self, *kinds: str) -> dict[str, Any]:
        deadline_s = time.monotonic() + WAIT_S
        while time.monotonic() < deadline_s:
            received = self.opened.recv(timeout=WAIT_S)
            message: dict[str, Any] = json.loads(received) if isinstance(received, str) else {"type": "values"}
            if message["type"] in kinds:
                return message
        raise AssertionError(f"none of {kinds} came")

    def close_code(self) -> int:
        with contextlib.suppress(ConnectionClosed):
            while True:
                self.opened.recv(timeout=WAIT_S)
        assert self.opened.close_code is not None
        return self.opened.close_code


@dataclass(kw_only=True)
class Attacked:
    """The demonstration and who holds a login in it."""

    demo: DemoProcess
    therapist: Browser
    first: Browser
    second: Browser
    stranger: Browser
    live_session: str
    first_training: dict[str, Any]
    one_time_tokens: list[str]

    @property
    def secrets(self) -> list[str]:
        return [*self.one_time_tokens, self.therapist.token, self.first.token, self.second.token]


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attacked]:
    with running_demo(tmp_path_factory.mktemp("demo") / "demo", "--homes", "2") as demo:
        people = {}
        tokens = {name: demo.link(name).partition("#")[2] for name in ("therapist", "home1", "home2")}
        for name, host in (("therapist", "clinic"), ("home1", "home1"), ("home2", "home2")):
            people[name] = Browser(port=demo.port, host=f"{host}.localhost")
            assert people[name].enter(tokens[name])[0] == 200
        live_session = people["therapist"].read("/api/live-sessions")[0]["id"]
        patient_id = people["home1"].read("/api/me")["patient_id"]
        yield Attacked(
            demo=demo,
            therapist=people["therapist"],
            first=people["home1"],
            second=people["home2"],
            stranger=Browser(port=demo.port, host="clinic.localhost"),
            live_session=live_session,
            first_training=_training_of(people["therapist"], live_session, patient_id),
            one_time_tokens=list(tokens.values()),
        )
        _kill(psutil.Process(demo.process.pid))  # its report is nobody's business here


def _kill(process: psutil.Process) -> None:
    """End a process and those that it started, at once."""
    everybody = [process, *process.children(recursive=True)]
    for each in everybody:
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    psutil.wait_procs(everybody, timeout=WAIT_S)


def _training_of(therapist: Browser, live_session: str, patient_id: str) -> dict[str, Any]:
    with therapist.socket() as channel:
        channel.opened.send(json.dumps({"v": 1, "type": "join", "id": "join", "live_session": live_session}))
        while True:
            people = channel.hear("state")["live_session"]["participants"]
            training = next(each["training_session"] for each in people if each["patient_id"] == patient_id)
            # a simulated tablet that came only now would take a seat back from the test
            are_seated = all(each["publishes"]["video"] for each in people if each["role"] == "patient")
            if training is not None and are_seated:
                return {**therapist.read(f"/api/training-sessions/{training['id']}")}


def web_process(attacked: Attacked) -> psutil.Process:
    return psutil.Process(attacked.demo.pid_of("web"))


# --- foreign pages ---


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "http://home2.localhost:{port}", "https://home1.localhost:{port}", "null", "http://[", "x"],
)
def test_a_page_that_is_not_of_this_host_opens_no_socket(attacked: Attacked, origin: str) -> None:
    """Each home's page opens its own socket only: not even home 2's page may use home 1's cookie."""
    with pytest.raises(InvalidStatus) as caught:
        attacked.first.open_socket(origin=origin.format(port=attacked.demo.port))
    assert caught.value.response.status_code == 403
    assert attacked.first.token.encode() not in caught.value.response.body


@pytest.mark.parametrize("token", ["", "x" * 43, "\u00e6", "a; b=c"])
def test_without_a_login_no_socket_opens(attacked: Attacked, token: str) -> None:
    with pytest.raises(InvalidStatus) as caught:
        attacked.first.open_socket(token=token)
    assert caught.value.response.status_code == 401


def test_a_write_comes_from_our_own_pages(attacked: Attacked) -> None:
    own = f"http://home1.localhost:{attacked.demo.port}"
    close = f"/api/training-sessions/{attacked.first_training['id']}/close"
    for headers in (
        {"Origin": "http://evil.example"},
        {"Origin": own.replace("home1", "home2")},
        {"Origin": "null"},
        {"X_Telerehab": None},
        {"X_Telerehab": None, "Origin": own, "Sec_Fetch_Site": "same-site"},
    ):
        assert attacked.first.ask("POST", close, {"reason": "stop"}, **headers)[0] == 403, headers
    assert attacked.first.read(f"/api/training-sessions/{attacked.first_training['id']}")["closed_at"] is None


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "a@clinic.localhost", ".localhost", "a b"])
def test_another_host_name_is_not_served(attacked: Attacked, host: str) -> None:
    status, headers, content = attacked.first.ask("GET", "/api/me", host=host)
    assert status == 421
    assert host.encode() not in content + json.dumps(dict(headers)).encode()


# --- logins ---


def test_a_link_works_once_and_a_wrong_one_is_answered_alike(attacked: Attacked) -> None:
    answers = [attacked.stranger.enter(token) for token in (attacked.one_time_tokens[0], "x" * 43, "x", "\u00e6")]
    assert {(status, content) for status, _, content in answers} == {(401, answers[0][2])}
    assert all("set-cookie" not in headers for _, headers, _ in answers)


def test_a_login_that_ended_opens_nothing_and_its_socket_closes(attacked: Attacked) -> None:
    """The demonstration's own link for the page is used up, so a code pairs one more tablet."""
    patient_id = attacked.first.read("/api/me")["patient_id"]
    status, _, content = attacked.therapist.ask("POST", "/api/tablet-pairing-codes", {"patient_id": patient_id})
    assert status == 201
    code = json.loads(content)["code"]
    assert attacked.stranger.ask("POST", "/api/tablet-pairing", {"code": f"{(int(code) + 1) % 10**6:06}"})[0] == 401
    tablet = Browser(port=attacked.demo.port, host="home1.localhost")
    _, headers, _ = tablet.ask("POST", "/api/tablet-pairing", {"code": code})
    flags = {flag.strip().lower() for flag in headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "secure", "path=/", "samesite=lax"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)
    tablet.token = headers["set-cookie"].split(";")[0].partition("=")[2]
    attacked.one_time_tokens += [code, tablet.token]
    assert attacked.stranger.ask("POST", "/api/tablet-pairing", {"code": code})[0] == 401
    with tablet.socket() as channel:
        ended_s = time.monotonic()
        assert tablet.ask("POST", "/api/logout")[0] == 204
        assert channel.close_code() == 4001
        assert time.monotonic() - ended_s < 5
    assert tablet.ask("GET", "/api/me")[0] == 401
    with pytest.raises(InvalidStatus):
        tablet.open_socket()


# --- one patient against another ---


def test_a_patient_reaches_nothing_of_another_by_http(attacked: Attacked) -> None:
    training = attacked.first_training
    place = f"/api/training-sessions/{training['id']}"
    wish = {name: training[name] for name in ("patient_id", "exercise", "side", "live_session_id")}
    own_id = attacked.second.read("/api/me")["patient_id"]
    before = attacked.first.read(place)
    for method, path, body, expected in (
        ("GET", place, None, 404),
        ("GET", f"{place}/repetitions", None, 404),
        ("POST", f"{place}/close", {"reason": "stop"}, 404),
        ("PUT", place, {**wish, "target_repetitions": 1}, 404),
        ("PUT", place, {**wish, "patient_id": own_id}, 404),
        ("PUT", f"/api/training-sessions/{uuid4()}", wish, 404),
        ("PUT", f"/api/training-sessions/{uuid4()}", {**wish, "live_session_id": None}, 404),
        ("PUT", f"/api/training-sessions/{uuid4()}", {**wish, "patient_id": own_id, "live_session_id": new_id()}, 404),
        ("GET", f"/api/live-sessions/{uuid4()}", None, 404),
        ("POST", "/api/live-sessions", {"title": "x", "patient_ids": [wish["patient_id"]]}, 403),
        ("GET", "/api/patients", None, 403),
        ("POST", "/api/tablet-pairing-codes", {"patient_id": wish["patient_id"]}, 403),
    ):
        status, _, content = attacked.second.ask(method, path, body)
        assert status == expected, (method, path, content)
        assert str(wish["patient_id"]).encode() not in content
    assert attacked.first.read(place) == before


def new_id() -> str:
    return str(uuid4())


def test_a_patient_may_not_do_by_socket_what_the_therapist_may(attacked: Attacked) -> None:
    with attacked.second.socket() as channel:
        here = {"live_session": attacked.live_session}
        assert channel.ask("focus", participant=None, **here)["code"] == "not_joined"
        assert channel.ask("join", live_session=new_id())["code"] == "not_found"
        assert channel.ask("join", **here)["type"] == "reply"
        with attacked.therapist.socket() as therapists:
            therapists.ask("join", **here)
            people = therapists.hear("state")["live_session"]["participants"]
        for person in people:
            for kind in ("admit", "focus", "talk_to"):
                assert channel.ask(kind, participant=person["id"], **here)["code"] == "not_allowed"
        patients = [person["id"] for person in people if person["role"] == "patient"]
        for slot, source in (("video-0", patients[0]), ("audio-0", patients[1]), ("video-1", new_id())):
            assert channel.ask("bind", slot=slot, source=source, **here)["type"] == "error"
        assert channel.ask("end", **here)["code"] == "not_allowed"
    assert attacked.therapist.read(f"/api/live-sessions/{attacked.live_session}")["ended_at"] is None


# --- broken clients ---


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"x" * 1_000_000, 413),
        (b"[" * 60_000, 400),
        (b'{"a":' * 9_000, 400),
        (b'{"token":' + b"9" * 6_000 + b"}", 400),
        (b'{"token":NaN}', 422),
        (b'{"\\ud800":1}', 422),
        (b'{"token":"\\ud800"}', 422),
        (b'{"token":"\xff"}', 400),
        (b'{"token":"\\u0000"}', 401),
        (b"{" + b",".join(b'"a%d":1' % number for number in range(6_000)) + b"}", 422),
        (b"", 422),
    ],
    ids=["large", "deep", "deep objects", "digits", "nan", "half a name", "half", "latin", "zero", "fields", "none"],
)
def test_a_body_that_is_none_is_refused_in_few_words(attacked: Attacked, body: bytes, status: int) -> None:
    answer = attacked.stranger.ask("POST", "/api/enter", body)
    assert (answer[0], len(answer[2]) < 2_000) == (status, True)


def test_every_answer_carries_the_headers_and_no_path_leads_outside(attacked: Attacked) -> None:
    outside = [
        "/assets/../enter.html",
        "/assets/%2e%2e/enter.html",
        "/assets/..%2f..%2fpages.py",
        "/assets//etc/passwd",
    ]
    outside += ["/assets/%00", "/assets/", "//evil.example/", "/docs", "/openapi.json", "/api/live-sessions/%00"]
    pages = ["/", "/enter", "/patient", "/therapist", "/healthz", "/readyz", "/api/me", "/api/live-sessions"]
    for method in ("GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "DELETE", "FOO"):
        for path in (*outside, *pages):
            status, headers, _ = attacked.first.ask(method, path)
            assert status in (200, 303, 403, 404, 405, 422) or path == "/readyz", (method, path)
            assert path in pages or status in (404, 405, 422), (method, path)
            assert "default-src 'self'" in headers["content-security-policy"]
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers
            assert not headers.get("location", "/").startswith("//")


@pytest.mark.parametrize(("message", "code"), [(b"\0" * 1_000, 1003), ("x" * 70_000, 1009)], ids=["binary", "too long"])
def test_a_socket_with_garbage_closes_with_its_reason(attacked: Attacked, message: bytes | str, code: int) -> None:
    with attacked.second.socket() as channel:
        channel.opened.send(message)
        assert channel.close_code() == code


def test_malformed_messages_are_answered_and_the_socket_goes_on(attacked: Attacked) -> None:
    with attacked.second.socket() as channel:
        for message in ("[" * 30_000, '{"v":1e400}', "null", '{"v":1,"type":"ping","t":NaN}', "9" * 5_000, ""):
            assert channel.say(message)["type"] == "error"


@pytest.mark.parametrize(
    "sdp",
    [
        "\0",
        "m=",
        "x" * 60_000,
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:1\r\n" * 200,
    ],
    ids=["zero", "cut", "long", "200 lines"],
)
def test_an_sdp_that_is_none_is_refused_by_name(attacked: Attacked, sdp: str) -> None:
    with attacked.second.socket() as channel:
        channel.ask("join", live_session=attacked.live_session)
        asked_s = time.monotonic()
        assert channel.ask("publish", live_session=attacked.live_session, sdp=sdp)["code"] == "sdp_refused"
        assert time.monotonic() - asked_s < 2


def test_a_flood_on_one_socket_is_cut_off(attacked: Attacked) -> None:
    with attacked.second.socket() as channel:
        for _ in range(2_000):
            try:
                channel.opened.send('{"v":1,"type":"ping","t":1}')
            except ConnectionClosed:
                break
        assert channel.close_code() == 1008


def test_many_sockets_of_one_login_leave_one(attacked: Attacked) -> None:
    web = web_process(attacked)
    before = web.num_fds()
    opened: list[ClientConnection] = []

    def open_many() -> None:
        opened.extend(attacked.second.open_socket() for _ in range(50))

    threads = [threading.Thread(target=open_many) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    _until(lambda: sum(each.close_code is None for each in opened) == 1)
    for each in opened:
        each.close()
    _until(lambda: web.num_fds() <= before + 5)


def test_strangers_who_say_nothing_keep_nobody_out(attacked: Attacked) -> None:
    idle = [socket.create_connection(("127.0.0.1", attacked.demo.port)) for _ in range(300)]
    for each in idle:
        each.sendall(b"GET /api/me HTTP/1.1\r\nHost: ")
    asked_s = time.monotonic()
    assert attacked.first.ask("GET", "/api/me")[0] == 200
    assert time.monotonic() - asked_s < 2
    for each in idle:
        each.close()


def test_many_wrong_passwords_at_once_leave_the_others_served(attacked: Attacked) -> None:
    seen: list[int] = []

    def guess(number: int) -> None:
        body = {"email": f"{number}@clinic.example", "password": "guess"}
        seen.append(attacked.stranger.ask("POST", "/api/login", body)[0])

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(30)]
    for thread in threads:
        thread.start()
    assert attacked.first.ask("GET", "/api/me")[0] == 200
    for thread in threads:
        thread.join()
    assert set(seen) == {401, 429}
    assert web_process(attacked).memory_info().rss < 800 * 1024**2


# --- what is left behind ---


def test_files_are_their_owners_and_logs_hold_nobody(attacked: Attacked) -> None:
    files = [path for path in attacked.demo.folder.rglob("*") if path.is_file()]
    for name in ("secret.key", "homes.json", "homes-plan.json", "telerehab.db", "blocks.db"):
        path = attacked.demo.folder / name
        assert path.stat().st_mode & 0o077 == 0, name
    names = [THERAPIST_NAME, *PATIENT_NAMES[:2], *PATIENT_NAMES[0].split(), "guess", "clinic.example"]
    for path in files:
        if path.suffix != ".log":
            continue
        log = path.read_text(errors="replace")
        for forbidden in (*attacked.secrets, *names):
            assert forbidden not in log, f"{path.name} holds {'a name' if forbidden in names else 'a secret'}"
        faults = [line for line in log.splitlines() if '"level": "ERROR"' in line and path.name == "web.log"]
        assert faults == []


def _until(holds: Any) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.05)
