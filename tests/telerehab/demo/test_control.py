"""The demonstration's own page: its button kills the process, its address is a secret, it says how things are."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator

import httpx2
import pytest

from telerehab.demo.control import serve_control
from telerehab.demo.intake_scene import IntakeScene

pytestmark = pytest.mark.anyio
WAIT_S = 30


class Intake:
    """A process in the place of intake, started again as the supervisor does, and values that come from it."""

    def __init__(self) -> None:
        self.process: asyncio.subprocess.Process | None = None
        self.value_count = 0

    def pid(self) -> int | None:
        return None if self.process is None or self.process.returncode is not None else self.process.pid

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(sys.executable, "-c", "import time; time.sleep(600)")


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    intake = Intake()
    await intake.start()
    yield intake
    if intake.process is not None and intake.process.returncode is None:
        intake.process.kill()
        await intake.process.wait()


async def test_the_button_kills_intake_once_and_the_page_says_when_values_are_back(intake: Intake) -> None:
    scene = IntakeScene(pid_of_intake=intake.pid, count_values=lambda: intake.value_count)
    async with serve_control(scene) as address, httpx2.AsyncClient(base_url=address, trust_env=False) as page:
        before = await page.get("")
        assert '<button data-action="kill-intake">' in before.text
        assert "Killed after" not in before.text
        assert before.headers["cache-control"] == "no-store"
        assert (await page.post("kill-intake")).status_code == 303
        assert intake.process is not None
        assert await asyncio.wait_for(intake.process.wait(), WAIT_S) == -signal.SIGKILL
        assert (await page.post("kill-intake")).status_code == 303
        waiting = await page.get("")
        assert waiting.text.count("waiting for values") == 1
        assert '<button data-action="kill-intake" disabled>' in waiting.text
        intake.value_count += 5  # of the old process, still on the way
        await intake.start()
        async with asyncio.timeout(WAIT_S):
            while scene.is_killed:
                await asyncio.sleep(0.01)
                intake.value_count += 1
        (kill,) = scene.kills
        assert kill.back_after_s is not None
        assert f"values were back after {kill.back_after_s} s" in (await page.get("")).text


@pytest.mark.parametrize("path", ["/", "/kill-intake", "/wrong/", "/wrong/kill-intake"])
async def test_without_the_token_there_is_nothing(intake: Intake, path: str) -> None:
    scene = IntakeScene(pid_of_intake=intake.pid, count_values=lambda: 0)
    async with serve_control(scene) as address, httpx2.AsyncClient(trust_env=False) as page:
        host = address.rsplit("/", 2)[0]
        for method in ("GET", "POST"):
            assert (await page.request(method, host + path)).status_code in (404, 405)
    assert scene.kills == []
    assert intake.pid() is not None


async def test_intake_that_is_down_already_is_not_killed() -> None:
    scene = IntakeScene(pid_of_intake=lambda: None, count_values=lambda: 0)
    assert not await scene.kill()
    assert scene.kills == []
