"""What one socket has still to be sent, and the one task that sends it.

Texts are kept in order and within a bound: the socket of a page that does not read them is closed, and the page gets
everything again when it comes back. Of states and live values only the newest is kept, so a slow page misses values and
slows nobody.
"""

import asyncio
from collections import deque
from typing import Final, Protocol
from uuid import UUID

import numpy as np

from sessions.feature_hub import FeatureHub, Value
from telerehab.clock import Clock
from telerehab.live_frame import AGE_MAX_MS, ENTRY_DTYPE, UNKNOWN_AGE_MS, encode_live_frame

TEXTS_MAX: Final = 512
FRAME_INTERVAL_S: Final = 0.04
"""At most 25 frames a second reach a screen."""
VALUES_HELD_AFTER_S: Final = 1.5
"""A page whose heartbeat is late gets no live values: they would wait in the network and arrive old."""

CLOSE_GOING_AWAY: Final = 1001
CLOSE_UNSUPPORTED: Final = 1003
CLOSE_POLICY: Final = 1008
CLOSE_TOO_LARGE: Final = 1009
CLOSE_TRY_AGAIN: Final = 1013
CLOSE_REPLACED: Final = 4000
CLOSE_REVOKED: Final = 4001
CLOSE_SILENT: Final = 4002

_NS_PER_S: Final = 1e9
_NS_PER_MS: Final = 1e6


class Sending(Protocol):
    """The sending half of a WebSocket."""

    async def send_text(self, data: str) -> None:
        """Send a text message; waits while the peer does not read."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """Send a binary message; waits while the peer does not read."""
        ...

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close the socket."""
        ...


class Outbox:
    """One socket's outgoing messages. All methods belong to the event loop and none but `run` waits."""

    def __init__(self, hub: FeatureHub[UUID], *, clock: Clock) -> None:
        self.screen = hub.add_screen(self._wake_up)
        self.heard_ns = clock.monotonic_ns()
        """When the page was last heard; the receiving half keeps it."""
        self._hub = hub
        self._clock = clock
        self._wake = asyncio.Event()
        self._texts: deque[str] = deque()
        self._states: dict[UUID, str] = {}
        self._shown: dict[UUID, str] = {}
        self._frame_sent_ns = 0
        self._close_code: int | None = None
        self._wake_later: asyncio.TimerHandle | None = None

    @property
    def close_code(self) -> int | None:
        """Return the code with which the socket is being closed, None while it is not."""
        return self._close_code

    def hear(self) -> None:
        """Note that the page is there; values that were held back go on."""
        self.heard_ns = self._clock.monotonic_ns()
        self._wake_up()

    def silence_s(self) -> float:
        """Return how long nothing was heard of the page."""
        return (self._clock.monotonic_ns() - self.heard_ns) / _NS_PER_S

    def say(self, text: str) -> None:
        """Send a message; the socket of a page that lets too many pile up is closed."""
        if len(self._texts) >= TEXTS_MAX:
            self._texts.clear()
            self.close(CLOSE_TRY_AGAIN)
            return
        self._texts.append(text)
        self._wake_up()

    def show_state(self, live_session: UUID, state: str) -> None:
        """Send the state of a live session, unless the page has exactly this one."""
        if self._shown.get(live_session) != state:
            self._shown[live_session] = self._states[live_session] = state
            self._wake_up()

    def forget_state(self, live_session: UUID) -> None:
        """Send the next state in any case, and none that still waits."""
        self._shown.pop(live_session, None)
        self._states.pop(live_session, None)

    def close(self, code: int) -> None:
        """Send what waits, then close; the first code stands."""
        if self._close_code is None:
            self._close_code = code
        self._wake_up()

    async def run(self, socket: Sending) -> None:
        """Send until closed."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._texts or self._states:
                while self._texts:
                    await socket.send_text(self._texts.popleft())
                while self._states:  # behind the texts: a reply comes before the state that it brought about
                    await socket.send_text(self._states.pop(next(iter(self._states))))
            if self._close_code is not None:
                await socket.close(self._close_code)
                return
            for frame in self._take_frames():
                await socket.send_bytes(frame)

    def end(self) -> None:
        """Take the socket off the hub."""
        self._hub.remove_screen(self.screen)
        if self._wake_later is not None:
            self._wake_later.cancel()

    def _wake_up(self) -> None:
        self._wake.set()

    def _wake_again(self) -> None:
        self._wake_later = None
        self._wake_up()

    def _take_frames(self) -> list[bytes]:
        """Return the newest values, those of one tick as one frame; none when the page shall not have any now."""
        now_ns = self._clock.monotonic_ns()
        wait_s = FRAME_INTERVAL_S - (now_ns - self._frame_sent_ns) / _NS_PER_S
        if wait_s > 0:
            if self._wake_later is None:
                self._wake_later = asyncio.get_running_loop().call_later(wait_s, self._wake_again)
            return []
        if self.silence_s() > VALUES_HELD_AFTER_S:
            return []
        now_us = self._clock.utc_ns() // 1000
        by_tick: dict[int, list[Value]] = {}
        for value in self.screen.take().values():
            by_tick.setdefault(value.tick, []).append(value)
        if by_tick:
            self._frame_sent_ns = now_ns
        return [join_values(values, now_ns=now_ns, now_us=now_us, tick=tick) for tick, values in by_tick.items()]


def join_values(values: list[Value], *, now_ns: int, now_us: int, tick: int) -> bytes:
    """Return entries as one live frame; each known age grows by the time that its entry has waited here."""
    entries = np.frombuffer(b"".join(value.data for value in values), ENTRY_DTYPE).copy()
    waited_ms = np.array([(now_ns - value.received_ns) / _NS_PER_MS for value in values])
    older_ms = np.clip(np.round(entries["age_ms"] + np.maximum(waited_ms, 0)), 0, AGE_MAX_MS)
    entries["age_ms"] = np.where(entries["age_ms"] == UNKNOWN_AGE_MS, UNKNOWN_AGE_MS, older_ms)
    return encode_live_frame(entries, tick=tick, sent_us=now_us)


class MessageAllowance:
    """How many messages a page may send: so many a second on average, with a burst (a token bucket)."""

    def __init__(self, *, per_s: float = 20.0, burst: float = 40.0) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at_ns: int | None = None

    def take(self, now_ns: int) -> bool:
        """Tell whether one more is allowed at this monotonic time [ns]."""
        if self._at_ns is not None:
            self._left = min(self._burst, self._left + (now_ns - self._at_ns) / _NS_PER_S * self._per_s)
        self._at_ns = now_ns
        if self._left < 1:
            return False
        self._left -= 1
        return True
