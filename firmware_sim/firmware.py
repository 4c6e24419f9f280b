"""What the device does with its blocks: number, keep, send, send again, free. Pure: time and messages come in.

A block is kept until the server's watermark (the next sequence it expects) has passed it. Nothing else frees it but a
full ring, which gives up the oldest block made outside training sessions, and where there is none the oldest of all.
What stays unanswered is sent again, oldest first, a bounded number per round; rounds follow each other quickly while
the server answers and slowly while it does not.
"""

import json
import re
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from operator import attrgetter
from typing import Any, Final

from devices.wire import FLAG_BACKFILL, FLAG_CLIPPED, FLAG_CLOCK_PROBED, FLAG_LAST_OF_STREAM, HEADER_SIZE, Schema
from firmware_sim.frames import decode_probe, encode_answer, encode_frame
from firmware_sim.streams import DeviceClock, SampledBlock, Stream
from firmware_sim.topics import (
    ack_topic,
    backfill_topic,
    clock_topic,
    command_topic,
    live_topic,
    meta_topic,
    state_topic,
)

_SHARD: Final = re.compile(r"[0-3][0-9a-f]\Z")
_S_NS: Final = 1_000_000_000
_PERIOD_100_HZ_US: Final = 10_000
RESEND_AFTER_NS: Final = 1_500_000_000
RESEND_CREDIT: Final = 20
RESEND_CREDIT_SILENT: Final = 2
"""While a whole round has stayed unanswered: enough for an answer, should somebody be there again."""
RESEND_ROUND_ANSWERED_NS: Final = 250_000_000
RESEND_ROUND_SILENT_NS: Final = RESEND_AFTER_NS
BACKFILL_AGE_NS: Final = 2 * _S_NS
RING_BYTES: Final = 3_000_000
"""Half an hour of an IMU at 100 Hz."""
STATE_EVERY_NS: Final = 15 * _S_NS
STATE_AFTER_DROP_NS: Final = _S_NS
PROBES_FOR_CLOCK_FLAG: Final = 5
BLOCK_SAMPLES_MAX: Final = 500
_OUTSIDE_MIN: Final = 50
BATTERY_AT_START: Final = 0.96
BATTERY_PER_HOUR: Final = 0.07


@dataclass(frozen=True, kw_only=True, slots=True)
class Outgoing:
    """One message to publish; `is_block` tells the link that it may be lost."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    is_block: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ProducedBlock:
    """A block as the truth remembers it."""

    boot: int
    sequence: int
    n_samples: int
    t0_us: int
    digest: bytes


@dataclass(kw_only=True, slots=True)
class Tally:
    """What one device has done since it was switched on."""

    produced: int = 0
    acknowledged: int = 0
    dropped: int = 0
    wiped: int = 0
    sent: int = 0
    resent: int = 0
    probes: int = 0
    ignored: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class DeviceConfig:
    """What a device is, from the day it was made or lent."""

    name: str
    shard: str
    boot: int
    meta: Mapping[str, Any]
    block_samples: int = 10
    ring_bytes: int = RING_BYTES
    """For the frames of all streams that no watermark covers yet."""


@dataclass(kw_only=True, slots=True)
class _Kept:
    stream: Stream
    sequence: int
    block: SampledBlock
    flags: int  # without that for backfill: whatever is sent under one key must stay the same
    sampled_ns: int
    is_training: bool
    sent_ns: int | None = None

    @property
    def n_bytes(self) -> int:
        return HEADER_SIZE + len(self.block.body)


@dataclass(kw_only=True, slots=True)
class _StreamState:
    stream: Stream
    block_samples: int
    next_sequence: int = 0
    kept: dict[int, _Kept] = field(default_factory=dict)  # by sequence, oldest first
    is_wiped: bool = False  # it tells what it keeps even while that is nothing, so that the server waits for nothing


class Firmware:
    """One device.

    Parameters
    ----------
    config : DeviceConfig
    clock : DeviceClock
    streams : sequence of Stream
        With different names.
    """

    def __init__(self, config: DeviceConfig, *, clock: DeviceClock, streams: Sequence[Stream]) -> None:
        self.tally = Tally()
        self._config = config
        self._clock = clock
        self._streams = {
            stream.name: _StreamState(stream=stream, block_samples=_block_samples(stream, config.block_samples))
            for stream in streams
        }
        self._shard = config.shard
        self._is_training = False
        self._bytes_kept = 0
        self._outside: deque[_Kept] = deque()  # made outside training sessions, oldest first; may be free by now
        self._is_connected = False
        self._is_sampling = True
        self._answered_ns: int | None = None
        self._is_unheard = False
        self._asked: dict[tuple[str, int], None] = {}
        self._round_count = 0
        self._next_round_ns = 0
        self._next_state_ns = 0

    @property
    def name(self) -> str:
        """Name of the device, also its account at the broker."""
        return self._config.name

    @property
    def n_kept(self) -> int:
        """Blocks that no watermark covers yet."""
        return sum(len(state.kept) for state in self._streams.values())

    @property
    def is_sampling(self) -> bool:
        """Whether more blocks will come."""
        return self._is_sampling

    @property
    def subscriptions(self) -> tuple[str, ...]:
        """What the device listens to."""
        return (ack_topic(self.name), clock_topic(self.name), command_topic(self.name, "#"))

    def last_will(self) -> Outgoing:
        """Return what the broker says when the device has gone without a word."""
        return self._state_message({"online": False})

    def farewell(self, now_ns: int) -> Outgoing:
        """Return what the device says when it is switched off."""
        return self._state_message({**self._state(now_ns), "online": False})

    def connected(self, now_ns: int) -> list[Outgoing]:
        """Take note of a new connection; state and meta come first, then at once what was kept."""
        self._is_connected = True
        self._is_unheard = False
        self._next_round_ns = now_ns
        self._next_state_ns = now_ns + STATE_EVERY_NS
        meta = json.dumps(self._config.meta, separators=(",", ":")).encode()
        return [
            self._state_message(self._state(now_ns)),
            Outgoing(topic=meta_topic(self.name), payload=meta, qos=1, retain=True),
        ]

    def disconnected(self) -> None:
        """Take note that the connection is gone; blocks are kept from here on."""
        self._is_connected = False

    def received(self, topic: str, payload: bytes, now_ns: int) -> list[Outgoing]:
        """Act on one message of the server; what is not understood is counted and ignored."""
        if topic == clock_topic(self.name):
            return self._answer_probe(payload, now_ns)
        try:
            content = json.loads(payload)
            if topic == ack_topic(self.name):
                self._acknowledge(content, now_ns)
            elif topic == command_topic(self.name, "resend"):
                self._mark_for_resending(content, now_ns)
            elif topic == command_topic(self.name, "rate"):
                self._change_rate(content)
            elif topic == command_topic(self.name, "session"):
                self._is_training = bool(content["open"])
            elif topic == command_topic(self.name, "shard"):
                self._move(content)
            elif topic == command_topic(self.name, "wipe"):
                return self._wipe(now_ns)
        except (ValueError, TypeError, KeyError):
            self.tally.ignored += 1
        return []

    def produce(self, now_ns: int) -> tuple[list[ProducedBlock], list[Outgoing]]:
        """Number and keep the blocks that are due; what is fresh goes out at once when connected."""
        produced: list[ProducedBlock] = []
        outgoing: list[Outgoing] = []
        now_us = self._clock.to_device_us(now_ns)
        for state in self._streams.values():
            while self._is_sampling and (due_us := state.stream.due_us(state.block_samples)) is not None:
                if due_us > now_us:
                    break
                block = state.stream.take(state.block_samples)
                if block is not None:
                    self._keep(state, block, now_ns, produced, outgoing)
        if self._is_sampling and self.next_due_ns() is None:
            self._is_sampling = False
        return produced, outgoing

    def stop(self, now_ns: int) -> tuple[list[ProducedBlock], list[Outgoing]]:
        """Stop sampling; what was sampled since the last block becomes the last one."""
        produced, outgoing = self.produce(now_ns)
        if self._is_sampling:
            self._is_sampling = False
            now_us = self._clock.to_device_us(now_ns)
            for state in self._streams.values():
                block = state.stream.take_rest(now_us)
                if block is not None:
                    self._keep(state, replace(block, is_last=True), now_ns, produced, outgoing)
        return produced, outgoing

    def tend(self, now_ns: int) -> list[Outgoing]:
        """Send again what stayed unanswered, and the state now and then."""
        if not self._is_connected:
            return []
        outgoing = []
        if now_ns >= self._next_state_ns:
            self._next_state_ns = now_ns + STATE_EVERY_NS
            outgoing.append(self._state_message(self._state(now_ns)))
        if now_ns >= self._next_round_ns:
            outgoing.extend(self._resend_round(now_ns))
        return outgoing

    def not_sent(self) -> None:
        """Take note that a block could not go out: it was not sent, and stays kept anyway."""
        self.tally.sent -= 1

    def next_due_ns(self) -> int | None:
        """Return the host's time of the next block; None when none will come."""
        if not self._is_sampling:
            return None
        due_us = [state.stream.due_us(state.block_samples) for state in self._streams.values()]
        known_us = [each for each in due_us if each is not None]
        return self._clock.to_host_ns(min(known_us)) if known_us else None

    def _keep(
        self,
        state: _StreamState,
        block: SampledBlock,
        now_ns: int,
        produced: list[ProducedBlock],
        outgoing: list[Outgoing],
    ) -> None:
        kept = _Kept(
            stream=state.stream,
            sequence=state.next_sequence,
            block=block,
            flags=self._flags_of(block),
            sampled_ns=self._clock.to_host_ns(block.due_us),
            is_training=self._is_training,
        )
        state.kept[kept.sequence] = kept
        self._bytes_kept += kept.n_bytes
        if not kept.is_training:
            self._outside.append(kept)
        self._make_room(now_ns)
        state.next_sequence += 1
        self.tally.produced += 1
        produced.append(
            ProducedBlock(
                boot=self._config.boot,
                sequence=kept.sequence,
                n_samples=block.n_samples,
                t0_us=block.t0_us,
                digest=sha256(block.body).digest()[:16],
            )
        )
        if self._is_connected and now_ns - kept.sampled_ns < BACKFILL_AGE_NS:
            outgoing.append(self._send(kept, now_ns))

    def _flags_of(self, block: SampledBlock) -> int:
        return (
            (FLAG_CLOCK_PROBED if self.tally.probes >= PROBES_FOR_CLOCK_FLAG else 0)
            | (FLAG_CLIPPED if block.is_clipped else 0)
            | (FLAG_LAST_OF_STREAM if block.is_last else 0)
        )

    def _send(self, kept: _Kept, now_ns: int, *, again: bool = False) -> Outgoing:
        block = kept.block
        kept.sent_ns = now_ns
        self.tally.sent += 1
        topic = backfill_topic if again else live_topic
        return Outgoing(
            topic=topic(self._shard, self.name, kept.stream.name),
            payload=encode_frame(
                block.body,
                schema=Schema(kept.stream.schema),
                flags=kept.flags | (FLAG_BACKFILL if again else 0),
                n_samples=block.n_samples,
                boot=self._config.boot,
                sequence=kept.sequence,
                t0_us=block.t0_us,
                period_us=kept.stream.period_us,
            ),
            is_block=True,
        )

    def _resend_round(self, now_ns: int) -> list[Outgoing]:
        """Send again what was asked for, then the oldest unanswered blocks, at most RESEND_CREDIT together.

        Few while nobody seems to be there. Each stream is the first in its turn: one that never gets an answer holds up
        no other.
        """
        credit = RESEND_CREDIT_SILENT if self._is_unheard else RESEND_CREDIT
        outgoing: list[Outgoing] = []
        while self._asked and len(outgoing) < credit:
            stream, sequence = asked = next(iter(self._asked))
            del self._asked[asked]
            if sequence in self._streams[stream].kept:
                outgoing.append(self._send(self._streams[stream].kept[sequence], now_ns, again=True))
        states = list(self._streams.values())
        first = self._round_count % max(len(states), 1)
        self._round_count += 1
        for state in (*states[first:], *states[:first]):
            for kept in state.kept.values():
                if len(outgoing) == credit:
                    break
                if kept.sent_ns is None or now_ns - kept.sent_ns >= RESEND_AFTER_NS:
                    outgoing.append(self._send(kept, now_ns, again=True))
        self.tally.resent += len(outgoing)
        is_answered = self._answered_ns is not None and now_ns - self._answered_ns < RESEND_AFTER_NS
        self._is_unheard = bool(outgoing) and not is_answered
        self._next_round_ns = now_ns + (RESEND_ROUND_SILENT_NS if self._is_unheard else RESEND_ROUND_ANSWERED_NS)
        return outgoing

    def _acknowledge(self, content: object, now_ns: int) -> None:
        """Free what the watermarks cover: `[[boot, stream, next expected sequence], ...]`."""
        if not isinstance(content, list):
            raise TypeError
        for boot, stream, watermark in content:
            state = self._streams.get(stream)
            if boot != self._config.boot or state is None:
                continue
            covered = []
            for sequence in state.kept:
                if sequence >= int(watermark):
                    break
                covered.append(sequence)
            for sequence in covered:
                self._free(state.kept[sequence])
            self.tally.acknowledged += len(covered)
            if covered:  # who tells what is known already may be unable to store anything
                self._answered_ns = now_ns
                self._is_unheard = False
                self._next_round_ns = min(self._next_round_ns, now_ns + RESEND_ROUND_ANSWERED_NS)

    def _mark_for_resending(self, content: dict[str, Any], now_ns: int) -> None:
        """Let the next round send `[from, to)` of a stream, whenever it was sent last."""
        state = self._streams.get(content["stream"])
        if state is None or content["boot"] != self._config.boot:
            return
        asked = range(max(0, int(content["from"])), min(int(content["to"]), state.next_sequence))
        for sequence in [each for each in asked if each in state.kept][: int(content.get("credit", RESEND_CREDIT))]:
            self._asked[state.stream.name, sequence] = None
            self._next_round_ns = now_ns
            self._is_unheard = False

    def _move(self, content: dict[str, Any]) -> None:
        """Send on another shard from now on, what is kept too."""
        if not _SHARD.match(content["shard"]):
            raise ValueError
        self._shard = content["shard"]

    def _change_rate(self, content: dict[str, Any]) -> None:
        n_samples = int(content["n"])
        if not 1 <= n_samples <= BLOCK_SAMPLES_MAX:
            raise ValueError
        self._streams[content["stream"]].block_samples = n_samples

    def _wipe(self, now_ns: int) -> list[Outgoing]:
        """Forget all that is kept, and say so at once."""
        for state in self._streams.values():
            self.tally.wiped += len(state.kept)
            state.kept.clear()
            state.is_wiped = True
        self._bytes_kept = 0
        self._outside.clear()
        self._next_state_ns = now_ns + STATE_EVERY_NS
        return [self._state_message(self._state(now_ns))]

    def _answer_probe(self, payload: bytes, now_ns: int) -> list[Outgoing]:
        s1_us = decode_probe(payload)
        if s1_us is None:
            return []
        self.tally.probes += 1
        now_us = self._clock.to_device_us(now_ns)
        return [Outgoing(topic=clock_topic(self.name), payload=encode_answer(s1_us=s1_us, d2_us=now_us, d3_us=now_us))]

    def _make_room(self, now_ns: int) -> None:
        """Give up what the ring has no room for, and say so soon."""
        while self._bytes_kept > self._config.ring_bytes:
            while self._outside and not self._is_kept(self._outside[0]):
                self._outside.popleft()
            oldest = (next(iter(state.kept.values())) for state in self._streams.values() if state.kept)
            self._free(self._outside[0] if self._outside else min(oldest, key=attrgetter("sampled_ns")))
            self.tally.dropped += 1
            self._next_state_ns = min(self._next_state_ns, now_ns + STATE_AFTER_DROP_NS)
        if len(self._outside) > 2 * self.n_kept + _OUTSIDE_MIN:
            self._outside = deque(kept for kept in self._outside if self._is_kept(kept))

    def _is_kept(self, kept: _Kept) -> bool:
        return self._streams[kept.stream.name].kept.get(kept.sequence) is kept

    def _free(self, kept: _Kept) -> None:
        del self._streams[kept.stream.name].kept[kept.sequence]
        self._bytes_kept -= kept.n_bytes

    def _state(self, now_ns: int) -> dict[str, Any]:
        hours = (self._clock.to_device_us(now_ns) - self._clock.offset_us) / 3.6e9
        return {
            "online": True,
            "boot": self._config.boot,
            "kept": [
                [self._config.boot, name, next(iter(state.kept), state.next_sequence)]
                for name, state in self._streams.items()
                if state.kept or state.is_wiped
            ],
            "bytes_kept": self._bytes_kept,
            "battery": round(max(0.0, BATTERY_AT_START - BATTERY_PER_HOUR * hours), 3),
            "dropped": self.tally.dropped,
        }

    def _state_message(self, state: dict[str, Any]) -> Outgoing:
        payload = json.dumps(state, separators=(",", ":")).encode()
        return Outgoing(topic=state_topic(self.name), payload=payload, qos=1, retain=True)


def _block_samples(stream: Stream, at_100_hz: int) -> int:
    """Return the samples of a block that lasts as long as `at_100_hz` samples at 100 Hz, at least one."""
    if stream.period_us == 0:
        return 1
    return max(1, at_100_hz * _PERIOD_100_HZ_US // stream.period_us)
