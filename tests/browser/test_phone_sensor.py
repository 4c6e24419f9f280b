"""A telephone strapped to an arm, in a real Chromium whose motion sensors read what we say, through the whole chain.

The readings go in below the page (`Emulation.setSensorOverrideReadings`), so `devicemotion` is the browser's own. What
the page produced is noted where it writes its ring; what became of it is read from the database.
"""

import base64
import contextlib
import math
import socket
import socketserver
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx2
import pytest
from playwright.sync_api import CDPSession, Page
from sqlalchemy import text
from sqlmodel import col, select

from analytics.results import Phase
from telerehab.auth.cookies import COOKIE_NAME
from telerehab.clock import SystemClock, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Account, Assignment, Device
from tests.browser.chromium import chromium
from tests.chaos.world import StoredBlock, World, digest_of, wait_until

GRAVITY_M_S2: Final = 9.81
LIFT_S: Final = 2.5
LIFT_EVERY_S: Final = 4.0
LIFT_DEG: Final = 100.0
SENSORS: Final = ("accelerometer", "linear-acceleration", "gyroscope")
NOTE_FRAMES: Final = """
  window.begun = JSON.parse(sessionStorage.begun ?? '[]');
  window.done = JSON.parse(sessionStorage.done ?? '[]');
  const put = IDBObjectStore.prototype.put;
  IDBObjectStore.prototype.put = function (value, ...rest) {
    if (value?.frame) {
      const note = [value.boot, value.sequence, btoa(String.fromCharCode(...value.frame))];
      window.begun.push(note);
      this.transaction.addEventListener('complete', () => window.done.push(note));
    }
    return put.call(this, value, ...rest);
  };
  addEventListener('pagehide', () => {
    sessionStorage.begun = JSON.stringify(window.begun);
    sessionStorage.done = JSON.stringify(window.done);
  });
"""
"""Frames that the page began to write into its ring, and those that the browser says are in it; also of before a
reload, in the middle of which one may be the first and not yet the second."""


class Arm:
    """A right upper arm, hanging or lifted, and a telephone on its outside: top to the shoulder, screen outwards."""

    def __init__(self, page: Page) -> None:
        self._cdp: CDPSession = page.context.new_cdp_session(page)
        self._page = page
        self._from_s: float | None = None
        for sensor in SENSORS:
            metadata = {"available": True, "minimumFrequency": 1, "maximumFrequency": 120}
            self._cdp.send(
                "Emulation.setSensorOverrideEnabled", {"enabled": True, "type": sensor, "metadata": metadata}
            )
        self.feel()

    def lift(self) -> None:
        """Be lifted again and again from now on."""
        self._from_s = time.monotonic()

    def move_until(self, condition: Callable[[], object], *, what: str, timeout_s: float = 60.0) -> None:
        """Go on moving until a condition holds; it is looked at four times a second."""
        deadline_s, look_s = time.monotonic() + timeout_s, 0.0
        while True:
            now_s = time.monotonic()
            if now_s >= look_s:
                if condition():
                    return
                look_s = now_s + 0.25
            assert now_s < deadline_s, f"not in {timeout_s} s: {what}\n{self._page.inner_text('body')}"
            self.feel()
            self._page.wait_for_timeout(5)

    def feel(self) -> None:
        """Let the sensors read what they do now."""
        into_s = 0.0 if self._from_s is None else min((time.monotonic() - self._from_s) % LIFT_EVERY_S, LIFT_S)
        turn = 2 * math.pi / LIFT_S
        angle = math.radians(LIFT_DEG) / 2 * (1 - math.cos(turn * into_s))
        speed = math.radians(LIFT_DEG) / 2 * turn * math.sin(turn * into_s)
        self._read("accelerometer", GRAVITY_M_S2 * math.sin(angle), GRAVITY_M_S2 * math.cos(angle), 0)
        self._read("linear-acceleration", 0, 0, 0)
        self._read("gyroscope", 0, 0, speed)

    def _read(self, sensor: str, x: float, y: float, z: float) -> None:
        readings = {"type": sensor, "reading": {"xyz": {"x": x, "y": y, "z": z}}}
        self._cdp.send("Emulation.setSensorOverrideReadings", readings)


class Way(socketserver.ThreadingTCPServer):
    """The way between browser and web role. Cut, it carries pages but no device link."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, web_port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Carrier)
        self.web_port = web_port
        self.is_cut = False
        self.links: list[socket.socket] = []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def cut(self) -> None:
        """End the device links that stand, and let no other through."""
        self.is_cut = True
        while self.links:
            with contextlib.suppress(OSError):
                self.links.pop().shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_cut = False


class _Carrier(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        way = self.server
        assert isinstance(way, Way)
        head = self.request.recv(65_536)
        is_link = head.startswith(b"GET /device ")
        if is_link and way.is_cut:
            return
        if is_link:
            way.links.append(self.request)
        with socket.create_connection(("127.0.0.1", way.web_port)) as web, contextlib.suppress(OSError):
            web.sendall(head)
            back = threading.Thread(target=_carry, args=(web, self.request), daemon=True)
            back.start()
            _carry(self.request, web)
            back.join()


def _carry(source: socket.socket, target: socket.socket) -> None:
    """Hand on all bytes until one side ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def phone_link(world: World, device: str, *, port: int) -> str:
    """Make the link that a therapist shows as a QR code."""
    with writing(world.database.main, owner="web") as db:
        db.get_one(Device, device).kind = "phone"
        therapist = db.exec(select(Account)).one()
        made = provisioning.create_one_time_link(db, now=utc_now(SystemClock()), account_id=therapist.id, is_full=True)
        assignment = db.exec(select(Assignment).where(col(Assignment.device_name) == device)).one()
    base_url = f"http://127.0.0.1:{port}"
    with httpx2.Client(base_url=base_url, headers={"X-Telerehab": "1"}, trust_env=False) as client:
        entered = client.post("/api/enter", json={"token": made.token})
        cookie = {"Cookie": f"{COOKIE_NAME}={entered.cookies[COOKIE_NAME]}"}
        answer = client.post(f"/api/assignments/{assignment.id}/phone-link", headers=cookie)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["link"])


def number(page: Page, name: str) -> int:
    """Return what the page says is stored, or kept."""
    return int(page.locator(f"[data-{name}]").get_attribute(f"data-{name}") or 0)


def link_state(page: Page) -> str | None:
    return page.locator("[data-link]").get_attribute("data-link")


def noted(page: Page, device: str, name: str) -> set[StoredBlock]:
    """Return the blocks that the page has `begun` to write into its ring, or has `done`."""
    frames = page.evaluate(f"window.{name}")
    return {
        StoredBlock(
            device=device, boot=boot, stream="imu", sequence=sequence, digest=digest_of(base64.b64decode(frame))
        )
        for boot, sequence, frame in frames
    }


@pytest.mark.browser
@pytest.mark.timeout(240)
def test_a_telephone_counts_a_repetition_and_loses_nothing_to_a_reload_or_a_cut_link(tmp_path: Path) -> None:
    with World(tmp_path, exercise="shoulder_flexion", sites=("upper_arm_right",)) as world:
        home, device = world.homes[0], "home1-upper"
        training = home.training_session_id
        for role in ("broker", "ingest", "web"):
            world.start_role(role)
        with world.watch_live() as live, Way(world.settings.web_port) as way, chromium() as browser:
            context = browser.new_context(viewport={"width": 400, "height": 800})
            context.add_init_script(NOTE_FRAMES)
            page = context.new_page()
            faults: list[str] = []
            page.on("pageerror", lambda error: faults.append(str(error)))
            arm = Arm(page)
            page.goto(phone_link(world, device, port=way.port))
            page.locator('[data-action="start"]').click()
            assert page.url.endswith("/sensor")  # the token has left the address
            arm.move_until(lambda: number(page, "stored") > 0, what="first samples stored")
            arm.move_until(lambda: live[training].phases[-1:] == [Phase.READY], what="a still start")
            arm.lift()
            arm.move_until(lambda: world.stored_repetition_count(home) >= 1, what="a counted repetition")

            way.cut()
            arm.move_until(lambda: link_state(page) == "connecting", what="the page says that it has no link")
            kept = number(page, "kept")
            arm.move_until(lambda: number(page, "kept") >= kept + 60, what="it goes on measuring")
            before = noted(page, device, "done")
            page.reload()
            arm.move_until(lambda: page.locator('[data-action="stop"]').count() == 1, what="it measures on by itself")
            arm.move_until(lambda: len(noted(page, device, "done")) > len(before) + 5, what="frames of the new boot")
            assert number(page, "kept") > kept  # what was kept before the reload is still there

            way.mend()
            page.locator('[data-action="stop"]').click()
            arm.move_until(lambda: number(page, "kept") == 0, what="all of it is stored")
            done, begun = (noted(page, device, name) for name in ("done", "begun"))
            way.cut()
            assert faults == []
            way.shutdown()
        wait_until(lambda: world.stored_blocks() >= done, timeout_s=20)
        stored = world.stored_blocks()
        assert before < done <= stored <= begun
        assert {block.boot for block in stored} == {1, 2}
        for boot in (1, 2):
            sequences = sorted(block.sequence for block in stored if block.boot == boot)
            assert sequences == list(range(len(sequences)))
        with reading(world.database.hot) as db:
            open_or_lost = text("SELECT count(*) FROM gap WHERE closed_at_us IS NULL OR cause != 'filled'")
            assert db.connection().execute(open_or_lost).scalar_one() == 0
