"""Benchmark `forward`: what one delivered video frame costs the server, forwarded by us against aiortc's MediaRelay.

The server runs in a process of its own per variant and window, its clients in another. Counted is the server's user and
system time over the frames that viewers received, variants alternated. A comparison with several streams stands only
where both sides delivered all frames: a server that drops frames saves time.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import IO, Final, Literal

import psutil

from telerehab.bench.runner import Figure, Floor, Result

VariantName = Literal["ours", "relay"]

WINDOW_S: Final = 6.0
WARM_UP_S: Final = 1.5
ANSWER_WITHIN_S: Final = 30.0
ROUNDS: Final[Mapping[int, int]] = {1: 2, 4: 1}  # streams -> times A B
ALL_FRAMES: Final = 0.97  # of those sent within the window
RATIO_FLOOR: Final = 6.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """What one server did in one window."""

    cpu_s: float
    frames: int
    frames_sent: int
    duration_s: float
    memory_mb: float

    @property
    def cpu_us_per_frame(self) -> float:
        """Server time per delivered frame [µs]."""
        return 1e6 * self.cpu_s / max(1, self.frames)

    @property
    def delivered_share(self) -> float:
        """Share of the sent frames that viewers received."""
        return self.frames / max(1, self.frames_sent)


def run(*, window_s: float = WINDOW_S, rounds: Mapping[int, int] = ROUNDS) -> Result:
    """Measure both variants and return figures and floors."""
    figures: dict[str, Figure] = {}
    floors: dict[str, Floor] = {}
    for n_streams, n_rounds in rounds.items():
        windows: dict[VariantName, list[Window]] = {"ours": [], "relay": []}
        for _ in range(n_rounds):
            for variant in ("ours", "relay"):
                windows[variant].append(measure(variant, n_streams=n_streams, window_s=window_s))
        _tell(figures, windows, n_streams=n_streams)
        share = min(window.delivered_share for window in windows["ours"])
        floors[f"delivered_share_{n_streams}"] = {
            "value": round(share, 4),
            "floor": ALL_FRAMES,
            "direction": ">=",
            "met": share >= ALL_FRAMES,
        }
        ratio = compare(windows["ours"], windows["relay"])
        known = "no comparison: not all frames arrived" if ratio is None else round(ratio, 2)
        figures[f"ratio_{n_streams}"] = {"value": known, "unit": "relay/ours"}
        if n_streams == 1:
            value = 0.0 if ratio is None else round(ratio, 2)  # no comparison meets no floor
            met = value >= RATIO_FLOOR
            floors["ratio_1"] = {"value": value, "floor": RATIO_FLOOR, "direction": ">=", "met": met}
    return {"name": "forward", "figures": figures, "floors": floors}


def compare(ours: Sequence[Window], relay: Sequence[Window]) -> float | None:
    """Return how many times dearer a frame is with the relay; None unless both delivered every frame.

    Examples
    --------
    >>> ours = Window(cpu_s=0.1, frames=180, frames_sent=180, duration_s=6.0, memory_mb=60.0)
    >>> relay = Window(cpu_s=1.0, frames=180, frames_sent=180, duration_s=6.0, memory_mb=90.0)
    >>> round(compare([ours, ours], [relay, relay]), 6)
    10.0
    >>> starved = Window(cpu_s=1.0, frames=60, frames_sent=180, duration_s=6.0, memory_mb=90.0)
    >>> compare([ours, ours], [relay, starved]) is None
    True
    """
    if min(window.delivered_share for window in (*ours, *relay)) < ALL_FRAMES:
        return None
    return median(window.cpu_us_per_frame for window in relay) / median(window.cpu_us_per_frame for window in ours)


def measure(variant: VariantName, *, n_streams: int, window_s: float) -> Window:
    """Start a server and its clients, and measure one window."""
    with _child("telerehab.bench.forward_server", variant) as server:
        port = _read_line(server)
        with _child("telerehab.bench.forward_client", port, str(n_streams)) as clients:
            if _read_line(clients) != "ready":
                raise RuntimeError("the benchmark's clients did not connect")
            time.sleep(WARM_UP_S)
            cpu_before_ns, received_before, sent_before = int(_ask(server)), *_count(clients)
            begin_s = time.monotonic()
            time.sleep(window_s)
            cpu_ns, received, sent = int(_ask(server)), *_count(clients)
            return Window(
                cpu_s=(cpu_ns - cpu_before_ns) / 1e9,
                frames=received - received_before,
                frames_sent=sent - sent_before,
                duration_s=time.monotonic() - begin_s,
                memory_mb=psutil.Process(server.pid).memory_info().rss / 1e6,
            )


def _tell(figures: dict[str, Figure], windows: dict[VariantName, list[Window]], *, n_streams: int) -> None:
    for variant, measured in windows.items():
        cpu_us = median(window.cpu_us_per_frame for window in measured)
        fps = median(window.frames / window.duration_s / n_streams for window in measured)
        figures[f"{variant}_cpu_{n_streams}"] = {"value": round(cpu_us, 1), "unit": "µs/frame"}
        figures[f"{variant}_fps_{n_streams}"] = {"value": round(fps, 1), "unit": "frames/s per stream"}
        figures[f"{variant}_memory_{n_streams}"] = {
            "value": round(max(window.memory_mb for window in measured), 1),
            "unit": "MB",
        }
    seconds_per_stream = median(window.cpu_s / window.duration_s / n_streams for window in windows["ours"])
    figures[f"streams_per_core_{n_streams}"] = {"value": round(1 / seconds_per_stream, 1), "unit": "streams"}


@contextmanager
def _child(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Run a module as a child that ends when its input does, or is killed."""
    child = subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield child
    finally:
        _stdin(child).close()
        try:
            child.wait(timeout=5)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        assert child.stdout is not None
        child.stdout.close()


def _read_line(child: subprocess.Popen[str]) -> str:
    """Return the child's next line; a child that says nothing in time is killed, and the line is empty."""
    guard = threading.Timer(ANSWER_WITHIN_S, child.kill)
    guard.start()
    try:
        assert child.stdout is not None
        line = child.stdout.readline().strip()
    finally:
        guard.cancel()
    if not line:
        raise RuntimeError("a child of the benchmark said nothing")
    return line


def _count(clients: subprocess.Popen[str]) -> tuple[int, int]:
    """Return the frames that all viewers received and that were sent to them, so far."""
    counts = json.loads(_ask(clients))
    return sum(counts["received"]), sum(counts["sent"])


def _ask(child: subprocess.Popen[str]) -> str:
    """Return a child's reply to a line on its input."""
    request = _stdin(child)
    request.write("\n")
    request.flush()
    return _read_line(child)


def _stdin(child: subprocess.Popen[str]) -> IO[str]:
    assert child.stdin is not None
    return child.stdin
