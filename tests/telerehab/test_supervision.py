import asyncio
import itertools
import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from telerehab.errors import ChildFailedError
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS, Child, Supervisor, TaskSupervisor, in_thread, role_child

DEADLINE_S = 20.0


def python(name: str, code: str, **chosen: object) -> Child:
    return Child(name=name, arguments=(sys.executable, "-c", textwrap.dedent(code)), **chosen)  # type: ignore[arg-type]


SLEEPER = "import time; time.sleep(600)"
STUBBORN = """
    import signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("up", flush=True)
    time.sleep(600)
"""


async def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def supervised(*children: Child, stop_timeout_s: float = 5.0) -> AsyncIterator[Supervisor]:
    async with Supervisor(
        children, restart_delay_s=0.05, restart_delay_max_s=0.2, stop_timeout_s=stop_timeout_s
    ) as supervisor:
        yield supervisor


@pytest.mark.anyio
async def test_children_run_until_the_supervisor_stops() -> None:
    async with supervised(python("a", SLEEPER), python("b", SLEEPER)) as supervisor:
        pids = supervisor.pids()
        assert set(pids) == {"a", "b"}
        assert all(psutil.pid_exists(pid) for pid in pids.values())
    assert supervisor.pids() == {}
    assert not any(psutil.pid_exists(pid) for pid in pids.values())


@pytest.mark.anyio
async def test_a_killed_child_is_started_again() -> None:
    async with supervised(python("a", SLEEPER)) as supervisor:
        first = supervisor.pids()["a"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: supervisor.pids().get("a", first) != first)
        assert supervisor.restart_counts() == {"a": 1}


@pytest.mark.anyio
async def test_the_wait_before_a_restart_doubles_up_to_its_bound(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    code = f"import time; open({str(starts)!r}, 'a').write(f'{{time.monotonic()}}\\n')"
    async with supervised(python("a", code)):
        await until(lambda: starts.exists() and len(starts.read_text().splitlines()) >= 5)
    times = [float(line) for line in starts.read_text().splitlines()]
    waits = [after - before for before, after in itertools.pairwise(times)]
    for wait, least in zip(waits, (0.05, 0.1, 0.2, 0.2), strict=False):
        assert wait >= least


@pytest.mark.anyio
async def test_a_child_with_wrong_settings_stays_down_and_is_named() -> None:
    async with supervised(python("a", f"raise SystemExit({EXIT_SETTINGS})"), python("b", SLEEPER)) as supervisor:
        assert await asyncio.wait_for(supervisor.wait_given_up(), DEADLINE_S) == ("a", EXIT_SETTINGS)
        with pytest.raises(ChildFailedError, match="a ended with exit code 2") as caught:
            await supervisor.wait_ready()
        assert (caught.value.name, caught.value.exit_code) == ("a", EXIT_SETTINGS)
        assert set(supervisor.pids()) == {"b"}
        assert supervisor.restart_counts()["a"] == 0


@pytest.mark.anyio
async def test_waiting_until_ready_asks_each_child(tmp_path: Path) -> None:
    flag = tmp_path / "ready"
    code = f"import pathlib, time; pathlib.Path({str(flag)!r}).touch(); time.sleep(600)"
    async with supervised(python("a", code, is_ready=flag.exists), python("b", SLEEPER)) as supervisor:
        await supervisor.wait_ready(DEADLINE_S)
        assert flag.exists()


@pytest.mark.anyio
async def test_a_child_that_never_gets_ready_is_named() -> None:
    async with supervised(python("slow", SLEEPER, is_ready=lambda: False), python("b", SLEEPER)) as supervisor:
        with pytest.raises(ChildFailedError, match=r"not ready after 0\.2 s: slow"):
            await supervisor.wait_ready(0.2)


@pytest.mark.anyio
async def test_a_child_that_ignores_sigterm_is_killed_after_a_bounded_wait(tmp_path: Path) -> None:
    output = tmp_path / "out"
    async with supervised(python("a", STUBBORN, output=output), stop_timeout_s=0.6) as supervisor:
        await until(lambda: output.exists() and output.read_text() == "up\n")
        pid = supervisor.pids()["a"]
        started_s = time.monotonic()
    assert 0.5 <= time.monotonic() - started_s < 5
    assert not psutil.pid_exists(pid)


@pytest.mark.anyio
async def test_children_stop_in_the_opposite_order(tmp_path: Path) -> None:
    order = tmp_path / "order"

    def says(name: str) -> Child:
        code = f"""
            import signal, sys, time
            def end(*_):
                open({str(order)!r}, "a").write("{name}")
                sys.exit(0)
            signal.signal(signal.SIGTERM, end)
            open({str(tmp_path / name)!r}, "w")
            time.sleep(600)
        """
        return python(name, code, is_ready=(tmp_path / name).exists)

    async with supervised(says("a"), says("b"), says("c")) as supervisor:
        await supervisor.wait_ready(DEADLINE_S)
    assert order.read_text() == "cba"


@pytest.mark.anyio
async def test_a_program_that_does_not_exist_stops_those_that_started() -> None:
    children = [python("a", SLEEPER), Child(name="b", arguments=("/nonexistent/program",))]
    supervisor = Supervisor(children)
    with pytest.raises(FileNotFoundError):
        await supervisor.__aenter__()
    assert supervisor.pids() == {}


@pytest.mark.anyio
async def test_children_die_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    code = f"""
        import asyncio, sys, pathlib
        from telerehab.supervision import Child, Supervisor
        async def main():
            child = Child(name="a", arguments=(sys.executable, "-c", "import time; time.sleep(600)"))
            async with Supervisor([child]) as supervisor:
                draft = pathlib.Path({str(pids)!r} + ".draft")
                draft.write_text(str(supervisor.pids()["a"]))
                draft.rename({str(pids)!r})
                await asyncio.sleep(600)
        asyncio.run(main())
    """
    parent = await asyncio.create_subprocess_exec(sys.executable, "-c", textwrap.dedent(code))
    await until(pids.exists)
    child = psutil.Process(int(pids.read_text()))
    parent.kill()
    await parent.wait()
    await until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)


def test_a_role_gets_its_settings_as_environment(tmp_path: Path) -> None:
    child = role_child(Settings(data_dir=tmp_path, mqtt_port=1884), "ingest")
    assert child.arguments == (sys.executable, "-m", "telerehab.roles", "ingest")
    assert child.environment["TELEREHAB_MQTT_PORT"] == "1884"


@pytest.mark.anyio
async def test_a_task_that_fails_is_known_and_runs_again() -> None:
    waits: list[float] = []
    runs = 0
    is_steady = asyncio.Event()

    async def sleep(duration_s: float) -> None:
        waits.append(duration_s)
        assert tasks.failing == {"task"}
        await asyncio.sleep(0)

    async def run() -> None:
        nonlocal runs
        runs += 1
        assert tasks.failing == set()
        if runs == 1:
            raise RuntimeError
        if runs == 2:
            return
        is_steady.set()
        await asyncio.Event().wait()

    tasks = TaskSupervisor(restart_delay_s=7.0, sleep=sleep)
    tasks.start("task", run)
    await asyncio.wait_for(is_steady.wait(), DEADLINE_S)
    assert (runs, waits, tasks.failing) == (3, [7.0, 7.0], set())
    await tasks.close()


@pytest.mark.anyio
async def test_what_runs_in_a_thread_has_ended_when_its_task_has() -> None:
    is_running, may_end, has_ended = (threading.Event() for _ in range(3))

    def block() -> None:
        is_running.set()
        assert may_end.wait(DEADLINE_S)
        has_ended.set()

    task = asyncio.create_task(in_thread(block))
    await until(is_running.is_set)
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert has_ended.is_set()
    assert await in_thread(lambda: 7) == 7
