"""What the browser tests do on the pages and read from them."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from playwright.sync_api import Page

WAIT_S = 45


def wait_for(what: str, condition: Callable[[], bool], page: Page, *, timeout_s: float = WAIT_S) -> None:
    """Wait until a condition on the page holds; fail with what the page knows."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not in {timeout_s} s: {what}\n{page.url}\n{page.inner_text('body')[:2000]}")
        page.wait_for_timeout(100)


def hook(page: Page, name: str) -> Any:
    """Read one value of what the page shows."""
    return page.evaluate(f"window.__telerehab ? window.__telerehab.{name}() : null")


def open_therapists_room(page: Page, link: str) -> None:
    """Enter by the therapist's link and open the first live session."""
    page.goto(link)
    page.wait_for_url("**/therapist*")
    page.locator('[data-action="open"]').first.click()
    wait_for("the room's state", lambda: hook(page, "state") is not None, page)


def take_patients_place(page: Page, link: str) -> None:
    """Enter by a home's link and join with camera and microphone."""
    page.goto(link)
    page.wait_for_url("**/patient*")
    page.locator('[data-action="start"]').click()
    wait_for("the training screen", lambda: page.locator('[data-action="pause"]').count() == 1, page)


def wait_until_frames_grow(page: Page, *, slots: Sequence[str]) -> None:
    """Wait until every slot has decoded more pictures than it had a moment ago."""
    seen: dict[str, int] = {}

    def grew() -> bool:
        frames: dict[str, int] = hook(page, "framesDecoded") or {}
        for slot in slots:
            seen.setdefault(slot, frames.get(slot, 0))
        return all(frames.get(slot, 0) > seen[slot] + 5 for slot in slots)

    wait_for(f"growing pictures in {slots}", grew, page)


def wait_until_sound_grows(page: Page, *, slots: Sequence[str]) -> None:
    """Wait until more sound has arrived in every slot than a moment ago."""
    seen: dict[str, int] = {}

    def grew() -> bool:
        packets: dict[str, int] = hook(page, "audioPackets") or {}
        for slot in slots:
            seen.setdefault(slot, packets.get(slot, 0))
        return all(packets.get(slot, 0) > seen[slot] + 20 for slot in slots)

    wait_for(f"growing sound in {slots}", grew, page)


def type_and_time(writer: Page, field: str, text: str, reader: Page) -> float:
    """Type more into the field; return the time from the last key to the sight of the text on the other page [ms]."""
    reader.evaluate(
        """text => { window.seenAt = new Promise(done => {
            const isSeen = () => document.querySelector('.lines, .words')?.textContent.includes(text);
            const look = () => isSeen() ? done(Date.now()) : setTimeout(look, 5);
            look(); }); }""",
        text,
    )
    writer.evaluate("addEventListener('keydown', () => { window.pressedAt = Date.now(); }, true)")
    writer.locator(field).press_sequentially(text)
    return float(reader.evaluate("window.seenAt")) - float(writer.evaluate("window.pressedAt"))
