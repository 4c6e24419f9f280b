"""Debian's Chromium with a camera that is not there, driven by Playwright."""

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.conftest import find_program

ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


@contextmanager
def chromium(
    *arguments: str, prefix: Sequence[str] = (), home: Path | None = None, folder: Path | None = None
) -> Iterator[Browser]:
    """Run Chromium, headless, and close it.

    `prefix` is put before the command (for a network namespace; then `folder` takes the script that does so), `home` is
    its home folder.
    """
    program = find_program("chromium")
    assert program is not None
    if prefix:
        assert folder is not None
        script = folder / "chromium-in-namespace"
        script.write_text(f'#!/bin/sh\nexec {shlex.join(prefix)} {program} "$@"\n')
        script.chmod(0o755)
        program = str(script)
    if home is not None:
        home.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            headless=True,
            args=[*ARGUMENTS, *arguments],
            env={**os.environ, "HOME": str(home)} if home else None,
        )
        try:
            yield browser
        finally:
            browser.close()
