"""What keeps things running: child processes (one per role) and the tasks inside a process.

A child that ends is started again, after a delay that doubles with every quick end; one that ends with an exit code
that no restart can mend stays down. Children die with their parent, even when it is killed. A task that raises is
started again; who is failing is known to `/readyz`.
"""

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

from telerehab.errors import ChildFailedError
from telerehab.settings import Settings

log = logging.getLogger(__name__)

Result = TypeVar("Result")

EXIT_SETTINGS: Final = 2
"""Exit code of a process whose settings are wrong: a restart does not help."""

_PR_SET_PDEATHSIG: Final = 1
_STOP_SHARE_MIN_S: Final = 0.5
_READY_POLL_S: Final = 0.05


@dataclass(kw_only=True, frozen=True, slots=True)
class Child:
    """One process to keep running."""

    name: str
    arguments: tuple[str, ...]
    """The program and what it is told; never through a shell."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """Added to our own environment."""
    is_ready: Callable[[], bool] | None = None
    """Asked in a thread by `wait_ready`; None: ready as soon as it runs."""
    gives_up_on: frozenset[int] = frozenset({EXIT_SETTINGS})
    """Exit codes after which a restart is pointless."""
    output: Path | None = None
    """Where its stdout and stderr are appended to; None: where ours go."""


def role_child(
    settings: Settings,
    role: str,
    *,
    is_ready: Callable[[], bool] | None = None,
    output: Path | None = None,
) -> Child:
    """Return the child that runs one role with these settings."""
    return Child(
        name=role,
        arguments=(sys.executable, "-m", "telerehab.roles", role),
        environment=settings.as_environment(),
        is_ready=is_ready,
        output=output,
    )


class Supervisor:
    """Keeps named child processes running, in one asyncio event loop, until `stop`.

    Parameters
    ----------
    children : sequence of Child
        Started in this order, stopped in the opposite one.
    stop_timeout_s : float
        How long all children together may take to end after SIGTERM; then SIGKILL.
    restart_delay_s, restart_delay_max_s : float
        The first wait before a restart, and the longest.
    steady_after_s : float
        A child that ran this long starts again with the first delay.
    """

    def __init__(
        self,
        children: Sequence[Child],
        *,
        stop_timeout_s: float = 10.0,
        restart_delay_s: float = 0.5,
        restart_delay_max_s: float = 10.0,
        steady_after_s: float = 30.0,
    ) -> None:
        names = [child.name for child in children]
        if len(set(names)) != len(names):
            raise ValueError("every child needs a name of its own")
        self._running = {child.name: _RunningChild(child=child) for child in children}
        self._stop_timeout_s = stop_timeout_s
        self._restart_delay_s = restart_delay_s
        self._restart_delay_max_s = restart_delay_max_s
        self._steady_after_s = steady_after_s

    async def __aenter__(self) -> Self:
        """Start all children; stop those that started when one cannot."""
        try:
            await self.start()
        except BaseException:
            await self.stop()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop all children."""
        await self.stop()

    async def start(self) -> None:
        """Start all children, in order.

        Raises
        ------
        OSError
            A program does not exist or may not be run.
        """
        for running in self._running.values():
            running.process = await _spawn(running.child)
            running.keeper = asyncio.create_task(self._keep(running), name=f"keep {running.child.name}")

    def pids(self) -> dict[str, int]:
        """Return the process ids of the children that run now, by name."""
        return {
            name: running.process.pid
            for name, running in self._running.items()
            if running.process is not None and running.process.returncode is None
        }

    def restart_counts(self) -> dict[str, int]:
        """Return how often each child was started again, by name."""
        return {name: running.restart_count for name, running in self._running.items()}

    def given_up(self) -> dict[str, int]:
        """Return the exit codes of the children that stay down, by name."""
        return {name: running.given_up for name, running in self._running.items() if running.given_up is not None}

    async def wait_ready(self, timeout_s: float = 30.0) -> None:
        """Wait until every child says that it is ready.

        Raises
        ------
        ChildFailedError
            Names a child that stays down, or those that were not ready in time.
        """
        deadline_s = time.monotonic() + timeout_s
        waiting = dict(self._running)
        while waiting:
            for name, exit_code in self.given_up().items():
                raise ChildFailedError(f"{name} ended with exit code {exit_code}", name=name, exit_code=exit_code)
            for name, running in list(waiting.items()):
                is_ready = running.child.is_ready
                if name in self.pids() and (is_ready is None or await asyncio.to_thread(is_ready)):
                    del waiting[name]
            if not waiting:
                return
            if time.monotonic() > deadline_s:
                names = ", ".join(waiting)
                raise ChildFailedError(f"not ready after {timeout_s:g} s: {names}", name=next(iter(waiting)))
            await asyncio.sleep(_READY_POLL_S)

    async def wait_given_up(self) -> tuple[str, int]:
        """Wait until a child stays down; return its name and exit code."""
        while True:
            for name, exit_code in self.given_up().items():
                return name, exit_code
            await asyncio.sleep(_READY_POLL_S)

    async def stop(self) -> None:
        """End all children, the last started first: SIGTERM, a bounded wait, SIGKILL."""
        for running in self._running.values():
            if running.keeper is not None:
                running.keeper.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running.keeper
                running.keeper = None
        deadline_s = time.monotonic() + self._stop_timeout_s
        for running in reversed(self._running.values()):
            if running.process is not None:
                left_s = max(deadline_s - time.monotonic(), _STOP_SHARE_MIN_S)
                await _end(running.process, running.child.name, timeout_s=left_s)

    async def _keep(self, running: "_RunningChild") -> None:
        """Start a child again whenever it ends."""
        delay_s = self._restart_delay_s
        started_s = time.monotonic()
        while True:
            if running.process is not None:
                exit_code = await running.process.wait()
                if exit_code in running.child.gives_up_on:
                    log.error("%s ended with exit code %d and stays down", running.child.name, exit_code)
                    running.given_up = exit_code
                    return
                if time.monotonic() - started_s >= self._steady_after_s:
                    delay_s = self._restart_delay_s
                log.warning("%s ended with exit code %d, again in %.1f s", running.child.name, exit_code, delay_s)
            await asyncio.sleep(delay_s)
            delay_s = min(2 * delay_s, self._restart_delay_max_s)
            started_s = time.monotonic()
            try:
                running.process = await _spawn(running.child)
            except OSError:
                log.exception("%s cannot be started", running.child.name)
                running.process = None
            else:
                running.restart_count += 1


class TaskSupervisor:
    """Keeps the tasks of one process running; what fails is in `failing` until it runs again.

    Parameters
    ----------
    restart_delay_s : float
        The wait before a task that ended or raised runs again.
    sleep : callable
        `asyncio.sleep`; in tests a virtual one.
    """

    def __init__(
        self, *, restart_delay_s: float = 1.0, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.failing: set[str] = set()
        self._restart_delay_s = restart_delay_s
        self._sleep = sleep
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Keep `run` running until `close`."""
        self._tasks.append(asyncio.create_task(self.keep_running(name, run), name=name))

    async def keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run for ever. Only cancellation ends it."""
        while True:
            self.failing.discard(name)
            try:
                await run()
            except Exception:
                log.exception("task %s failed", name)
            self.failing.add(name)
            await self._sleep(self._restart_delay_s)

    async def close(self) -> None:
        """Cancel all tasks and wait until they have ended."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()


async def in_thread(run: Callable[[], Result]) -> Result:
    """Run something that blocks in a thread, and wait for its end also when cancelled.

    `asyncio.to_thread` goes on at once when it is cancelled, while its thread still holds a connection of a database
    that is being closed.
    """
    task = asyncio.create_task(asyncio.to_thread(run))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


@dataclass(kw_only=True, slots=True)
class _RunningChild:
    """A child, and what became of it."""

    child: Child
    process: asyncio.subprocess.Process | None = None
    keeper: asyncio.Task[None] | None = None
    restart_count: int = 0
    given_up: int | None = None


async def _spawn(child: Child) -> asyncio.subprocess.Process:
    """Start a child in a session of its own: Ctrl-C reaches only us, and we tell it."""
    with contextlib.ExitStack() as stack:
        output = stack.enter_context(child.output.open("ab")) if child.output is not None else None
        return await asyncio.create_subprocess_exec(
            *child.arguments,
            env={**os.environ, **child.environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=_die_with(os.getpid()),
        )


def _die_with(parent_pid: int) -> Callable[[], None] | None:
    """Return what a new child does first: ask the kernel to kill it when its parent dies."""
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None)  # loaded before the fork: behind it only the call itself is safe

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died in between
            os._exit(1)

    return ask_the_kernel


async def _end(process: asyncio.subprocess.Process, name: str, *, timeout_s: float) -> None:
    """End one child: SIGTERM, a bounded wait, SIGKILL."""
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        log.warning("%s did not end within %.1f s and is killed", name, timeout_s)
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
