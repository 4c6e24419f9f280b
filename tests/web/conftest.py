"""The built faces, made once from the sources that lie here."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

import hatch_build
from tests.browser.chromium import chromium
from tests.web.fake_clinic import FakeClinic
from tests.web.inspection import LYING, WAIT_S

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def npm() -> hatch_build.Npm:
    """Return how to call npm, or skip where neither the machine nor PyPI has brought one."""
    try:
        return hatch_build.find_npm()
    except hatch_build.PagesMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def built_pages() -> Path:
    """Return the folder of the built pages; builds them when the sources are newer."""
    if not hatch_build.is_fresh(ROOT):
        try:
            found = hatch_build.find_npm()
        except hatch_build.PagesMissingError as error:
            pytest.skip(str(error))
        hatch_build.build_pages(ROOT, found)
    return ROOT / hatch_build.STATIC


@pytest.fixture(scope="module")
def browser(built_pages: Path) -> Iterator[Browser]:
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Return a function that opens a page of a clinic; a violated content policy or a script error fails the test."""
    contexts = []
    complaints: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if "Content Security" in message.text:
            complaints.append(message.text)

    def open_one(clinic: FakeClinic, path: str, *, script: str = "") -> Page:
        context = browser.new_context(viewport={"width": LYING[0], "height": LYING[1]}, reduced_motion="reduce")
        contexts.append(context)
        if script:
            context.add_init_script(script)
        page = context.new_page()
        page.set_default_timeout(WAIT_S * 1000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", note)
        page.goto(clinic.url + path)
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []
