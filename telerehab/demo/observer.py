"""Watch the live values as a therapist's screen would, and record how old they are.

Age (see `ARCHITECTURE.md`): time of drawing minus capture of the newest sample in the value. A frame carries its age at
sending; the observer adds its own monotonic time since receipt. Two figures come out: the age when a value arrives, and
the age of what a screen that repaints 25 times a second has on it.
"""

import asyncio
import json
import time
from collections import defaultdict
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from telerehab.demo.portal import Portal
from telerehab.live_frame import N_SAMPLES_PER_TICK, UNKNOWN_AGE_MS, UNKNOWN_ANGLE, decode_live_frame, transit_us

PING_S: Final = 1.0
_SAMPLE_US: Final = 10_000
REPAINT_S: Final = 1 / 25
GONE_MS: Final = 5_000.0
"""A screen shows no number that is older."""
_RECONNECT_S: Final = 1.0
_VALUES_MAX: Final = 1_000_000
"""Twenty patients for more than an hour."""


class SeenAngles:
    """Joint angles of one training session as a screen received them, with the time of their capture."""

    def __init__(self) -> None:
        self._ticks: list[tuple[float, NDArray[np.int16]]] = []

    def add(self, newest_us: float, angle_cdeg: NDArray[np.int16]) -> None:
        """Keep one tick: 10 angles [0.01°], the newest captured at `newest_us` [UTC]."""
        if len(self._ticks) < _VALUES_MAX // N_SAMPLES_PER_TICK:
            self._ticks.append((newest_us, angle_cdeg.copy()))

    def as_arrays(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return capture times [µs, UTC] and angles [°], both shape (n,), unknown ones left out."""
        if not self._ticks:
            return np.empty(0), np.empty(0)
        newest_us = np.array([tick[0] for tick in self._ticks])
        angle_cdeg = np.stack([tick[1] for tick in self._ticks])
        before_us = np.arange(N_SAMPLES_PER_TICK - 1, -1, -1) * _SAMPLE_US
        known = angle_cdeg != UNKNOWN_ANGLE
        return (newest_us[:, None] - before_us)[known], angle_cdeg[known] / 100


class Observer:
    """Receives live frames on a login's WebSocket until it is cancelled; reconnects by itself."""

    def __init__(self, portal: Portal) -> None:
        self._portal = portal
        self.arrival_age_ms: list[float] = []
        self.drawn_age_ms: list[float] = []
        self.frame_count = 0
        self.reconnect_count = -1
        self.repetitions: dict[UUID, int] = {}
        self.angles: dict[UUID, SeenAngles] = defaultdict(SeenAngles)
        self._shown: dict[bytes, tuple[float, float]] = {}

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._receive())
            tasks.create_task(self._repaint())

    def age_quantiles_ms(self) -> dict[str, float | None]:
        """Return p50 and p95 of both ages [ms]; None where nothing was seen."""
        quantiles: dict[str, float | None] = {}
        for name, ages in (("age", self.arrival_age_ms), ("drawn_age", self.drawn_age_ms)):
            for percent in (50, 95):
                quantiles[f"{name}_p{percent}_ms"] = round(float(np.percentile(ages, percent)), 1) if ages else None
        return quantiles

    async def _receive(self) -> None:
        while True:
            self.reconnect_count += 1
            try:
                socket = await self._portal.socket()
                async with socket:
                    pings = asyncio.create_task(self._ping(socket))
                    try:
                        async for message in socket:
                            if isinstance(message, bytes):
                                self.take(message, now_s=time.monotonic(), now_us=time.time_ns() / 1000)
                    finally:
                        pings.cancel()
            except (ConnectionClosed, OSError, TimeoutError):
                pass
            await asyncio.sleep(_RECONNECT_S)

    async def _ping(self, socket: ClientConnection) -> None:
        while True:
            await socket.send(json.dumps({"v": 1, "type": "ping", "t": time.monotonic()}))
            await asyncio.sleep(PING_S)

    async def _repaint(self) -> None:
        while True:
            now_s = time.monotonic()
            if len(self.drawn_age_ms) < _VALUES_MAX:
                ages_ms = (age_ms + (now_s - at_s) * 1000 for age_ms, at_s in self._shown.values())
                self.drawn_age_ms += [age_ms for age_ms in ages_ms if age_ms <= GONE_MS]
            await asyncio.sleep(REPAINT_S)

    def take(self, frame: bytes, *, now_s: float, now_us: float) -> None:
        """Record one live frame that arrived at monotonic time `now_s`, UTC `now_us`.

        UTC tells how long the frame was on its way, and serves the comparison with the simulator's truth: senders,
        simulator and observer have the clock of this very machine.
        """
        _, entries = decode_live_frame(frame)
        on_its_way_ms = transit_us(frame, now_us=round(now_us)) / 1000
        self.frame_count += 1
        for entry in entries:
            training_session = bytes(entry["training_session"])
            self.repetitions[UUID(bytes=training_session)] = int(entry["repetitions"])
            if entry["age_ms"] == UNKNOWN_AGE_MS or (entry["angle"] == UNKNOWN_ANGLE).all():
                self._shown.pop(training_session, None)
                continue
            age_ms = float(entry["age_ms"]) + on_its_way_ms
            self._shown[training_session] = (age_ms, now_s)
            self.angles[UUID(bytes=training_session)].add(now_us - age_ms * 1000, entry["angle"])
            if len(self.arrival_age_ms) < _VALUES_MAX:
                self.arrival_age_ms.append(age_ms)
