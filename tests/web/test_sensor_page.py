"""The page of a telephone that is a sensor: every state it can be in says what is and what to do, in both languages."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.web.fake_clinic import FakeClinic, serve_clinic
from tests.web.inspection import Inspector, press, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(120)]
CREDENTIAL = {"device": "phone-1", "password": "secret"}
DENIES = "if (isSecureContext) DeviceMotionEvent.requestPermission = async () => 'denied';"
HAS_NO_SENSOR = "delete window.DeviceMotionEvent;"
CANNOT_STORE = "indexedDB.open = () => { throw new Error('private window'); };"
MOVES = """
  const fire = () => dispatchEvent(new DeviceMotionEvent('devicemotion', {
    accelerationIncludingGravity: {x: 0, y: 9.8, z: 0}, rotationRate: {alpha: 0, beta: 0, gamma: 0}, interval: 16}));
  if (isSecureContext) window.moving = setInterval(fire, 16); // not on the empty page before ours
"""


def headline(page: Page) -> str:
    return page.locator(".now .headline").inner_text().strip()


def _says(page: Page, text: str) -> bool:
    return headline(page) == text


def inspected(page: Page, name: str) -> list[str]:
    """Return what is wrong with a screen; a telephone may be scrolled."""
    inspector = Inspector(page, for_patients=True)
    inspector.look(name)
    return [wrong for wrong in inspector.wrong if "scrolls down" not in wrong]


def test_opened_the_page_says_where_it_stands(open_page: Callable[..., Page]) -> None:
    answer: tuple[int, Any] = (200, CREDENTIAL)
    clinic = FakeClinic(me=None, service=lambda method, path, _: answer if path.endswith("/claim") else None)

    def stands(path: str, says: str, *, script: str = "") -> Page:
        page = open_page(clinic, path, script=script)
        wait_for(lambda: headline(page) == says, page)
        return page

    with serve_clinic(clinic):
        assert inspected(stands("/sensor", "Ikke en sensor endnu"), "no link") == []
        assert inspected(stands("/sensor#good", "Klar"), "ready") == []
        stands("/sensor#good", "Telefonen kan ikke gemme", script=CANNOT_STORE)
        answer = 401, {"code": "login_failed"}
        assert stands("/sensor#used", "Linket virker ikke længere").url.endswith("/sensor")
        answer = 503, {"code": "internal"}
        assert stands("/sensor#good", "Ingen forbindelse").url.endswith("#good")  # to be tried again


def test_started_the_page_says_whether_it_measures_and_whether_it_has_a_link(open_page: Callable[..., Page]) -> None:
    clinic = FakeClinic(me=None, service=lambda method, path, _: (200, CREDENTIAL) if "claim" in path else None)
    with serve_clinic(clinic):
        for script, says in ((DENIES, "Sensoren er ikke tilladt"), (HAS_NO_SENSOR, "Ingen bevægelsessensor")):
            page = open_page(clinic, "/sensor#good", script=script)
            page.wait_for_selector('[data-action="start"]')
            press(page, "start")
            wait_for(functools.partial(_says, page, says), page)
        page = open_page(clinic, "/sensor#good", script=MOVES)
        page.wait_for_selector('[data-action="start"]')
        second = page.context.new_page()
        second.goto(clinic.url + "/sensor")
        wait_for(lambda: headline(second) == "Åben i et andet vindue", second)
        second.close()
        press(page, "start")
        wait_for(lambda: headline(page) == "Måler", page)
        wait_for(lambda: int(page.locator("[data-kept]").get_attribute("data-kept") or 0) > 0, page)
        assert page.locator("[data-link]").get_attribute("data-link") == "connecting"
        assert "gemmes her" in page.locator("[data-link]").inner_text()
        assert inspected(page, "measuring without a link") == []
        page.evaluate("clearInterval(window.moving)")
        wait_for(lambda: headline(page) == "Ingen målinger fra telefonen", page)
        press(page, "stop")
        wait_for(lambda: headline(page) == "Klar", page)
