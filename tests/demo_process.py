"""A demonstration as a child process of a test: its links, its processes, its closing report."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import psutil

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 90
END_TIMEOUT_S = 120


@dataclass
class DemoProcess:
    """A running demonstration."""

    process: subprocess.Popen[str]
    port: int
    folder: Path
    said: list[str] = field(default_factory=list)

    def link(self, name: str) -> str:
        """Return the one-time link of `therapist` or a home."""
        for line in self.said:
            match = re.match(rf"\s*{name}\s+(https?://\S+)", line)
            if match:
                return match[1]
        raise AssertionError(f"no link for {name}")

    def control_page(self) -> httpx2.Client:
        """Return a client of the demonstration's own page."""
        for line in self.said:
            match = re.match(r"Kill intake: (http://\S+)", line)
            if match:
                return httpx2.Client(base_url=match[1], trust_env=False)
        raise AssertionError("no link to the demonstration's own page")

    def pid_of(self, name: str) -> int:
        """Return the process id of a role or helper program as it is now."""
        wanted = {"simulator": ["firmware_sim"], "homes": ["telerehab.demo.homes"]}.get(name, ["telerehab.roles", name])
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                if all(word in child.cmdline() for word in wanted):
                    return child.pid
            except psutil.Error:
                continue
        raise AssertionError(f"{name} does not run")

    def finish(self) -> dict[str, Any]:
        """End it as Ctrl-C does and return its report."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait()

    def wait(self, timeout_s: float = END_TIMEOUT_S) -> dict[str, Any]:
        """Wait until it has ended by itself and return its report."""
        assert self.process.stdout is not None
        out = self.process.stdout.read()
        self.process.wait(timeout_s)
        lines = [line for line in out.splitlines() if line.startswith("{")]
        assert lines, "no report:\n" + "\n".join(self.said[-30:]) + self.logs()
        report: dict[str, Any] = json.loads(lines[-1])
        return report

    def logs(self) -> str:
        """Return the last lines of every log."""
        return "\n".join(
            f"--- {log.name}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-15:])
            for log in sorted(self.folder.glob("*.log"))
        )


def free_port() -> int:
    """Return a port that was free just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def running_demo(
    folder: Path, *arguments: str, port: int | None = None, prefix: Sequence[str] = ()
) -> Iterator[DemoProcess]:
    """Start a demonstration, wait until it has printed its links, and end it in any case."""
    port = port or free_port()
    command = [*prefix, sys.executable, "-m", "telerehab", "demo", "--json", "--port", str(port)]
    process = subprocess.Popen(
        [*command, "--folder", str(folder), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    demo = DemoProcess(process=process, port=port, folder=folder)
    ready = threading.Event()

    def listen() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            demo.said.append(line.rstrip("\n"))
            if line.startswith("Scene:"):
                ready.set()
        ready.set()

    threading.Thread(target=listen, daemon=True).start()
    try:
        started = ready.wait(START_TIMEOUT_S)
        assert started, "\n".join(demo.said) + demo.logs()
        assert process.poll() is None, "\n".join(demo.said) + demo.logs()
        yield demo
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
        deadline_s = time.monotonic() + END_TIMEOUT_S
        while process.poll() is None and time.monotonic() < deadline_s:
            try:
                process.wait(0.2)
            except subprocess.TimeoutExpired:
                continue
    if process.poll() is None:
        process.kill()
        process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            stream.close()
