"""Looking at screens: axe, sizes of targets and type, scrolling, in both languages."""

import os
import time
from collections.abc import Callable
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

LYING, STANDING, MAGNIFIED = (1280, 800), (800, 1280), (640, 400)
WAIT_S = 10.0

AXE_OPTIONS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},
}
STRICT_CONTRAST = {
    **AXE_OPTIONS,
    "rules": {"target-size": {"enabled": True}, "color-contrast-enhanced": {"enabled": True}},
}

SHOWN_TARGETS = """[...document.querySelectorAll('button, a[href], textarea, input')]
  .filter(element => element.checkVisibility()).map(element => {
    const box = element.getBoundingClientRect();
    return {name: element.dataset.action ?? element.tagName, left: box.left, top: box.top, right: box.right,
            bottom: box.bottom, width: box.width, height: box.height};
  })"""
ODD_TYPE_SIZES = """[...document.querySelectorAll('body *')]
  .filter(element => element.checkVisibility() && !element.closest('.hidden-text, .count-number'))
  .filter(element => [...element.childNodes].some(node => node.nodeType === 3 && node.data.trim() !== ''))
  .map(element => [parseFloat(getComputedStyle(element).fontSize), element.textContent.slice(0, 40)])
  .filter(([size]) => size < 22 || size > 40)"""
SCROLLS_SIDEWAYS = "document.documentElement.scrollWidth > innerWidth"
SCROLLS_DOWN = "document.documentElement.scrollHeight > innerHeight"


def wait_for(condition: Callable[[], Any], page: Page, *, timeout_s: float = WAIT_S) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, page.inner_text("body")[:1500]
        page.wait_for_timeout(30)


def press(page: Page, action: str) -> None:
    """Press a button as a keyboard or a switch does, for which no second tap is swallowed."""
    page.locator(f'[data-action="{action}"]').first.evaluate("element => element.click()")


class Inspector:
    """Looks at one screen after the other and keeps what is wrong."""

    def __init__(self, page: Page, *, for_patients: bool) -> None:
        self.page, self.for_patients = page, for_patients
        self.wrong: list[str] = []
        self.screen_count = 0

    def look(self, screen: str) -> None:
        """Look at the screen as it is, and once more in the other language: for room, in `make test-long` with axe too.

        That no text is missing in a language is tested with the texts.
        """
        self.screen_count += 1
        for has_axe in (True, "TELEREHAB_LONG" in os.environ):
            language = self.page.evaluate("document.documentElement.lang")
            if has_axe:
                self._run_axe(f"{screen} [{language}]")
            self._inspect_sizes(f"{screen} [{language}]")
            self._switch_language(language)

    def _switch_language(self, language: str) -> None:
        if self.page.locator('[data-action="language"]').count() == 0:
            return
        press(self.page, "language")
        wait_for(lambda: self.page.evaluate("document.documentElement.lang") != language, self.page)

    def _run_axe(self, where: str) -> None:
        options = STRICT_CONTRAST if self.for_patients else AXE_OPTIONS
        for violation in Axe().run(self.page, options=options).response["violations"]:
            nodes = [node["html"][:160] for node in violation["nodes"][:3]]
            self.wrong.append(f"{where}: {violation['id']} {nodes}")

    def _inspect_sizes(self, where: str) -> None:
        for width, height in (STANDING, MAGNIFIED, LYING):
            self.page.set_viewport_size({"width": width, "height": height})
            if self.page.evaluate(SCROLLS_SIDEWAYS):
                self.wrong.append(f"{where}: scrolls sideways at {width}x{height}")
            if self.for_patients:
                self._inspect_targets(f"{where} at {width}x{height}")
                if (width, height) != MAGNIFIED and self.page.evaluate(SCROLLS_DOWN):
                    self.wrong.append(f"{where}: scrolls down at {width}x{height}")

    def _inspect_targets(self, where: str) -> None:
        targets = self.page.evaluate(SHOWN_TARGETS)
        self.wrong += [f"{where}: {t['name']} is small: {t}" for t in targets if min(t["width"], t["height"]) < 95.5]
        for i, one in enumerate(targets):
            for other in targets[i + 1 :]:
                across = max(one["left"], other["left"]) - min(one["right"], other["right"])
                down = max(one["top"], other["top"]) - min(one["bottom"], other["bottom"])
                if max(across, down) < 15.5:
                    self.wrong.append(f"{where}: {one['name']} and {other['name']} are {max(across, down)} px apart")
        self.wrong += [f"{where}: type of {size} px: {text}" for size, text in self.page.evaluate(ODD_TYPE_SIZES)]
