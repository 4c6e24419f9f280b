"""A device whose ring lies in flash: it survives a restart, and a full one overwrites the oldest. Pure.

Blocks made in training sessions are overwritten last, so that holes open in the middle as well. It has the methods of
`firmware_sim.firmware.Firmware`, whose ring lies in memory; the two share nothing but the topics.
"""

import json
import random
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from devices.effects import BlockKey
from devices.wire import FLAG_BACKFILL
from firmware_sim.firmware import Outgoing
from firmware_sim.frames import decode_probe, encode_answer
from firmware_sim.streams import DeviceClock
from firmware_sim.topics import (
    ack_topic,
    backfill_topic,
    clock_topic,
    command_topic,
    live_topic,
    meta_topic,
    state_topic,
)
from tests.devices.encoder import frame

RESEND_AFTER_NS: Final = 1_500_000_000
ROUND_NS: Final = 250_000_000
STATE_EVERY_NS: Final = 10_000_000_000
CREDIT: Final = 20
SESSION_BLOCKS: Final = 16
POISON: Final[tuple[dict[str, int], ...]] = (
    {"version": 9},
    {"schema": 99},
    {"schema": 2},
    {"period_us": 0},
    {"t0_us": 2**53},
)
"""What a frame is that arrives whole and yet cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A block as the device made it."""

    key: BlockKey
    body: bytes
    is_readable: bool


@dataclass(slots=True, kw_only=True)
class _Kept:
    options: dict[str, Any]
    sent_ns: int | None = None


def is_of_a_session(key: BlockKey) -> bool:
    """Return whether a block counts as made in a training session: a full ring spares it."""
    return key.sequence // SESSION_BLOCKS % 2 == 1


class FlashDevice:
    """One device.

    Parameters
    ----------
    name, shard : str
    streams : iterable of str
    capacity : int
        Blocks that the ring holds, all streams together.
    period_ns : int
        Time between the blocks of a stream, on the device's clock.
    qos : int
        Of frames.
    """

    def __init__(
        self,
        name: str,
        *,
        shard: str,
        streams: Iterable[str],
        clock: DeviceClock,
        chance: random.Random,
        capacity: int,
        period_ns: int,
        qos: int,
    ) -> None:
        self.name = name
        self.boot = 0
        self.poison_wanted = 0
        self.overwritten: list[BlockKey] = []
        self._shard = shard
        self._streams = tuple(streams)
        self._clock = clock
        self._chance = chance
        self._capacity = capacity
        self._period_us = period_ns // 1000
        self._qos = qos
        self._ring: dict[BlockKey, _Kept] = {}
        self._next: dict[tuple[int, str], int] = {}
        self._covered: dict[tuple[int, str], int] = {}
        self._is_sampling = True
        self.start()

    @property
    def n_kept(self) -> int:
        """Blocks that no watermark covers yet."""
        return len(self._ring)

    def start(self) -> None:
        """Begin a new boot; the ring and its counters lie in flash."""
        self.boot += 1
        self._is_connected = False
        self._answered_ns = self._next_round_ns = self._next_state_ns = 0
        self._due_us: int | None = None
        for kept in self._ring.values():
            kept.sent_ns = None

    def last_will(self) -> Outgoing:
        """Return what the broker says when the device has gone without a word."""
        return self._state_message({"online": False})

    def connected(self, now_ns: int) -> list[Outgoing]:
        """Take note of a new connection."""
        self._is_connected = True
        self._next_round_ns = now_ns
        self._next_state_ns = now_ns + STATE_EVERY_NS
        meta = json.dumps({"v": 1, "streams": {}}).encode()
        return [
            self._state_message(self._state()),
            Outgoing(topic=meta_topic(self.name), payload=meta, qos=1, retain=True),
        ]

    def disconnected(self) -> None:
        """Take note that the connection is gone."""
        self._is_connected = False

    def received(self, topic: str, payload: bytes, now_ns: int) -> list[Outgoing]:
        """Act on one message of the server."""
        if topic == ack_topic(self.name):
            for boot, stream, watermark in json.loads(payload):
                self._cover(boot, stream, watermark, now_ns)
        elif topic == command_topic(self.name, "resend"):
            self._mark(json.loads(payload), now_ns)
        elif topic == clock_topic(self.name) and (s1_us := decode_probe(payload)) is not None:
            now_us = self._clock.to_device_us(now_ns)
            return [Outgoing(topic=topic, payload=encode_answer(s1_us=s1_us, d2_us=now_us, d3_us=now_us))]
        return []

    def got_puback(self, key: BlockKey) -> None:
        """Take note that the broker has a frame: it decides nothing."""

    def produce(self, now_ns: int) -> tuple[list[Made], list[Outgoing]]:
        """Make the blocks that are due; what is fresh goes out at once when connected."""
        made: list[Made] = []
        outgoing: list[Outgoing] = []
        now_us = self._clock.to_device_us(now_ns)
        if self._due_us is None:
            self._due_us = now_us + self._period_us
        while self._is_sampling and self._due_us <= now_us:
            for stream in self._streams:
                block = self._make(stream, self._due_us)
                made.append(block)
                if self._is_connected and block.key in self._ring:
                    outgoing.append(self._send(block.key, now_ns, again=False))
            self._due_us += self._period_us
        return made, outgoing

    def stop(self, now_ns: int) -> tuple[list[Made], list[Outgoing]]:
        """Stop sampling."""
        made = self.produce(now_ns)
        self._is_sampling = False
        return made

    def tend(self, now_ns: int) -> list[Outgoing]:
        """Send again what stayed unanswered, and the state now and then."""
        if not self._is_connected:
            return []
        outgoing = []
        if now_ns >= self._next_state_ns:
            self._next_state_ns = now_ns + STATE_EVERY_NS
            outgoing.append(self._state_message(self._state()))
        if now_ns >= self._next_round_ns:
            is_old = [
                key
                for key, kept in self._ring.items()
                if kept.sent_ns is None or now_ns - kept.sent_ns >= RESEND_AFTER_NS
            ]
            outgoing += [self._send(key, now_ns, again=True) for key in is_old[:CREDIT]]
            is_answered = now_ns - self._answered_ns < RESEND_AFTER_NS
            self._next_round_ns = now_ns + (ROUND_NS if is_answered or not is_old else RESEND_AFTER_NS)
        return outgoing

    def key_of(self, payload: bytes, stream: str) -> BlockKey:
        """Return what a frame of this device is known by."""
        return BlockKey(
            self.name, int.from_bytes(payload[8:12], "little"), stream, int.from_bytes(payload[12:16], "little")
        )

    def forget(self, key: BlockKey) -> None:
        """Free a block."""
        self._ring.pop(key, None)

    def _make(self, stream: str, t0_us: int) -> Made:
        sequence = self._next.get((self.boot, stream), 0)
        self._next[self.boot, stream] = sequence + 1
        key = BlockKey(self.name, self.boot, stream, sequence)
        n_samples = self._chance.randint(1, 2)
        body = self._chance.randbytes(12 * n_samples)
        options = {"boot": self.boot, "n": n_samples, "t0_us": t0_us, "body": body}
        is_readable = self.poison_wanted <= 0
        if not is_readable:
            self.poison_wanted -= 1
            options |= self._chance.choice(POISON)
        if len(self._ring) >= self._capacity:
            oldest = next((each for each in self._ring if not is_of_a_session(each)), next(iter(self._ring)))
            del self._ring[oldest]
            self.overwritten.append(oldest)
            self._next_state_ns = min(self._next_state_ns, self._clock.to_host_ns(t0_us) + RESEND_AFTER_NS)
        self._ring[key] = _Kept(options=options)
        return Made(key=key, body=body, is_readable=is_readable)

    def _send(self, key: BlockKey, now_ns: int, *, again: bool) -> Outgoing:
        kept = self._ring[key]
        kept.sent_ns = now_ns
        topic = backfill_topic if again else live_topic
        payload = frame(key.sequence, flags=FLAG_BACKFILL if again else 0, **kept.options)
        return Outgoing(topic=topic(self._shard, self.name, key.stream), payload=payload, qos=self._qos, is_block=True)

    def _cover(self, boot: int, stream: str, watermark: int, now_ns: int) -> None:
        self._covered[boot, stream] = max(watermark, self._covered.get((boot, stream), 0))
        self._answered_ns = now_ns
        self._next_round_ns = min(self._next_round_ns, now_ns + ROUND_NS)
        for key in [key for key in self._ring if key[1:3] == (boot, stream) and key.sequence < watermark]:
            self.forget(key)

    def _mark(self, request: dict[str, Any], now_ns: int) -> None:
        for sequence in range(request["from"], min(request["to"], request["from"] + request["credit"])):
            key = BlockKey(self.name, request["boot"], request["stream"], sequence)
            if key in self._ring:
                self._ring[key].sent_ns = None
                self._next_round_ns = now_ns

    def _state(self) -> dict[str, Any]:
        """Tell what is kept; of what was overwritten to the last block, where it ended."""
        oldest = {which: stop for which, stop in self._next.items() if stop > self._covered.get(which, 0)}
        for key in reversed(self._ring):
            oldest[key.boot, key.stream] = key.sequence
        kept = [[boot, stream, sequence] for (boot, stream), sequence in oldest.items()]
        return {"online": True, "boot": self.boot, "kept": kept[-64:], "dropped": len(self.overwritten)}

    def _state_message(self, state: dict[str, Any]) -> Outgoing:
        return Outgoing(topic=state_topic(self.name), payload=json.dumps(state).encode(), qos=1, retain=True)
