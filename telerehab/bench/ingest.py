"""The drain of the intake, all blocks of a step as arrays, against a loop that takes one message after the other.

Both sides do the same work with the same checks on the same messages: topic, length, magic, crc, version, schema,
period, time; order, holes, duplicates; the row for the store; device time against arrival; the mirror ring with
its mask. They take turns, and in the end rows, holes and rings must be equal. What counts is the processor time of all
steps together, those with holes and resent blocks too. Holes are handled one by one, so the ratio falls with loss: it
is given for a good link, which the floor is for, and for a bad one.
"""

import gc
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from zlib import crc32

import numpy as np

from devices.effects import StoreBlock, StreamKey
from devices.ingest import OFF_BEAT_US, Ingest
from devices.ports import Raw
from devices.ring import Ring
from devices.sequencer import StreamSequence
from devices.topics import backfill_topic, live_topic, parse_topic
from devices.wire import (
    FLAG_BACKFILL,
    HEADER_SIZE,
    IMU6_DTYPE,
    MAGIC,
    MAX_FRAME_BYTES,
    MAX_TIME_US,
    SAMPLE_PERIOD_US,
    VERSION,
    Schema,
)
from telerehab.bench.intake import measure_intake
from telerehab.bench.readers import measure_readers
from telerehab.bench.runner import Figure, Floor, Result

N_SAMPLES: Final = 10
WINDOW: Final = 3_000
HEALED_AFTER: Final = 3
FLOOR: Final = 2.5
GOOD_LINK_LOST: Final = 0.002
BAD_LINK_LOST: Final = 0.01
_HEAD: Final = struct.Struct("<HBBHHIIQI")
_CRC: Final = struct.Struct("<I")
_START_US: Final = 1_700_000_000_000_000
_STEP_US: Final = N_SAMPLES * SAMPLE_PERIOD_US


def run(
    *, blocks: int = 1_000, steps: int = 60, seconds: float = 60.0, n_devices: int = 1_000, way_seconds: float = 30.0
) -> Result:
    """Measure both sides with `blocks` messages a step, each of a sensor of its own, over `steps` steps.

    Then the whole intake with `n_devices` for `seconds`, and for `way_seconds` the way to the ring (`bench.intake`);
    with `seconds` 0 neither.

    Raises
    ------
    RuntimeError
        If the two sides do not come to the same.
    """
    names = [f"bench-{number:04d}" for number in range(blocks)]
    good = _measure(names, make_traffic(names, steps))
    bad = _measure(names, make_traffic(names, steps, lost=BAD_LINK_LOST))
    ratio = good.ratio
    readers = measure_readers()
    figures: dict[str, Figure] = {
        "arrays": {"value": round(good.arrays_us, 2), "unit": "CPU µs/block"},
        "loop": {"value": round(good.loop_us, 2), "unit": "CPU µs/block"},
        "ratio": {"value": round(ratio, 2), "unit": f"loop/arrays, {GOOD_LINK_LOST:.1%} lost"},
        "arrays_bad_link": {"value": round(bad.arrays_us, 2), "unit": "CPU µs/block"},
        "loop_bad_link": {"value": round(bad.loop_us, 2), "unit": "CPU µs/block"},
        "ratio_bad_link": {"value": round(bad.ratio, 2), "unit": f"loop/arrays, {BAD_LINK_LOST:.1%} lost"},
        "reader_stock": {"value": round(readers.stock_us, 2), "unit": "CPU µs/message, empty callback"},
        "reader_fast": {"value": round(readers.fast_us, 2), "unit": "CPU µs/message"},
        "blocks": {"value": good.n_blocks, "unit": f"of {N_SAMPLES} samples, {blocks} a step"},
        "ring": {"value": WINDOW * SAMPLE_PERIOD_US / 1e6, "unit": "s"},
        "stored": {"value": good.stored, "unit": "blocks, equal on both sides"},
    }
    floors: dict[str, Floor] = {
        "ratio": {"value": round(ratio, 2), "floor": FLOOR, "direction": ">=", "met": ratio >= FLOOR}
    }
    if seconds:
        measure_intake(figures, floors, seconds=seconds, n_devices=n_devices, way_seconds=way_seconds)
    return {"name": "ingest", "figures": figures, "floors": floors}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spent:
    """What both sides needed for the same traffic."""

    arrays_us: float
    loop_us: float
    n_blocks: int
    stored: int

    @property
    def ratio(self) -> float:
        return self.loop_us / self.arrays_us


def _measure(names: Sequence[str], traffic: Sequence[list[Raw]]) -> _Spent:
    """Let both sides take the traffic in turn; raise RuntimeError when they do not come to the same."""
    arrays, loop = ArrayDrain(names), LoopDrain(names)
    spent_s: dict[str, list[float]] = {"arrays": [], "loop": []}
    is_equal = True
    gc.collect()
    gc.freeze()  # the traffic made beforehand is no work of either side
    for number, raws in enumerate(traffic):
        sides = (("arrays", arrays), ("loop", loop)) if number % 2 else (("loop", loop), ("arrays", arrays))
        for side, drain in sides:
            started_s = time.process_time()
            drain.step(raws, _START_US + number * _STEP_US)
            spent_s[side].append(time.process_time() - started_s)
        is_equal &= sorted(arrays.rows) == sorted(loop.rows)
    gc.unfreeze()
    if not (
        is_equal
        and arrays.holes() == loop.holes()
        and np.array_equal(arrays.ring.heads, loop.ring.heads)
        and np.array_equal(arrays.ring.valid, loop.ring.valid)
        and np.array_equal(arrays.ring.samples, loop.ring.samples)
    ):
        raise RuntimeError("the two sides do not come to the same")
    warm = slice(min(5, len(traffic) // 2), None)
    n_warm = sum(map(len, traffic[warm]))
    arrays_us, loop_us = (sum(spent_s[side][warm]) / n_warm * 1e6 for side in ("arrays", "loop"))
    return _Spent(arrays_us=arrays_us, loop_us=loop_us, n_blocks=sum(map(len, traffic)), stored=loop.stored)


def make_traffic(names: Sequence[str], steps: int, *, lost: float = GOOD_LINK_LOST, seed: int = 1) -> list[list[Raw]]:
    """Return the messages of each step: one block per sensor, order shuffled; as many doubled as lost, half damaged.

    What was lost or damaged comes three steps later, as backfill.
    """
    damaged, kept, single = lost / 2, 1 - lost, 1 - 2 * lost
    random = np.random.default_rng(seed)
    traffic: list[list[Raw]] = [[] for _ in range(steps)]
    for step in range(steps):
        samples = random.integers(-(2**15), 2**15, (len(names), N_SAMPLES, 6)).astype("<i2")
        fate = random.random(len(names))
        for index in random.permutation(len(names)).tolist():
            body, name = samples[index].tobytes(), names[index]
            payload = _frame(step, body)
            if fate[index] < damaged:
                payload = payload[:-1] + bytes([payload[-1] ^ 1])
            raw = Raw(live_topic("00", name, "imu"), payload, _START_US + step * _STEP_US)
            traffic[step] += [] if fate[index] > kept else [raw, raw] if fate[index] > single else [raw]
            if (fate[index] > kept or fate[index] < damaged) and step + HEALED_AFTER < steps:
                again = _frame(step, body, flags=FLAG_BACKFILL)
                at_us = _START_US + (step + HEALED_AFTER) * _STEP_US
                traffic[step + HEALED_AFTER].append(Raw(backfill_topic("00", name, "imu"), again, at_us))
    return traffic


class ArrayDrain:
    """The product's way: `Ingest.step`, then one `Ring.write` for all."""

    def __init__(self, names: Sequence[str]) -> None:
        self.ring = Ring(len(names), WINDOW)
        self.rows: Sequence[StoreBlock] = []
        self._ingest = Ingest(known_devices=names)
        self._slot_of_device = {name: slot for slot, name in enumerate(names)}
        self._slot_of_stream = np.zeros(0, np.int64)

    def step(self, raws: list[Raw], now_us: int) -> None:
        """Take the messages of one step."""
        effects = self._ingest.step(raws, now_us)
        self.rows = effects.blocks
        for batch in effects.live:
            self._slot_of_stream = self._extended(self._slot_of_stream)
            self.ring.write(self._slot_of_stream[batch.stream_ids], batch.headers, batch.rows)

    def holes(self) -> dict[str, list[tuple[int, int]]]:
        """Return what is missing, by device."""
        return {
            key.device: [(hole.start, hole.stop) for hole in sequence.holes]
            for key, sequence in self._ingest.sequences().items()
        }

    def _extended(self, slots: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.int64]]:
        new = self._ingest.stream_keys[slots.size :]
        return np.concatenate([slots, [self._slot_of_device[key.device] for key in new]]).astype(np.int64)


class LoopDrain:
    """What one would write without arrays: every message on its own, in order of its sequence."""

    def __init__(self, names: Sequence[str]) -> None:
        self.ring = Ring(len(names), WINDOW)
        self.rows: Sequence[StoreBlock] = []
        self.stored = 0
        self._slots = {name: slot for slot, name in enumerate(names)}
        self._keys: dict[tuple[str, int], StreamKey] = {}
        self._sequences: dict[StreamKey, StreamSequence] = {}
        self._offsets: dict[StreamKey, int] = {}
        self._heard_us: dict[str, int] = {}

    def step(self, raws: list[Raw], now_us: int) -> None:
        """Take the messages of one step."""
        rows: list[StoreBlock] = []
        for raw in raws:
            payload = raw.payload
            length = len(payload)
            if not HEADER_SIZE <= length <= MAX_FRAME_BYTES:
                continue
            magic, version, schema, flags, n, boot, number, t0_us, period_us = _HEAD.unpack_from(payload)
            if magic != MAGIC or crc32(payload[32:], crc32(payload[:28])) != _CRC.unpack_from(payload, 28)[0]:
                continue
            if version != VERSION or schema != Schema.IMU6 or length != HEADER_SIZE + n * IMU6_DTYPE.itemsize:
                continue
            if period_us == 0 or t0_us >= MAX_TIME_US:
                continue
            key = self._keys.get((raw.topic, boot)) or self._open(raw.topic, boot)
            if key is None:
                continue
            self._heard_us[key.device] = now_us
            sequence = self._sequences[key]
            if not sequence.extend(number, number + 1):
                change = sequence.receive(number, number + 1, now_us=now_us)
                if change is None or not change.accepted:
                    continue
            row = StoreBlock(*key, number, schema, t0_us, n, raw.received_us, payload)
            rows.append(row)
            if flags & FLAG_BACKFILL:
                continue
            offset_us = raw.received_us - t0_us
            if abs(offset_us - self._offsets.setdefault(key, offset_us)) > OFF_BEAT_US:
                continue
            self._offsets[key] = offset_us
            self._write(self._slots[key.device], t0_us, np.frombuffer(payload, "<i2", offset=HEADER_SIZE), n)
        self.stored += len(rows)
        self.rows = rows

    def holes(self) -> dict[str, list[tuple[int, int]]]:
        """Return what is missing, by device."""
        return {
            key.device: [(hole.start, hole.stop) for hole in sequence.holes]
            for key, sequence in self._sequences.items()
        }

    def _open(self, topic: str, boot: int) -> StreamKey | None:
        parsed = parse_topic(topic)
        if parsed is None or parsed.device not in self._slots:
            return None
        key = self._keys[topic, boot] = StreamKey(parsed.device, boot, parsed.stream)
        self._sequences.setdefault(key, StreamSequence())
        return key

    def _write(self, slot: int, t0_us: int, values: np.ndarray[Any, np.dtype[np.int16]], n: int) -> None:
        """Write one block into the ring, both laps, holes first."""
        ring, window = self.ring, self.ring.window
        start = (t0_us - int(ring.start_us[slot]) + SAMPLE_PERIOD_US // 2) // SAMPLE_PERIOD_US
        head = int(ring.heads[slot])
        if start + n <= head:
            return
        for missing in range(max(head, start - window), start):
            ring.valid[slot, missing % window] = ring.valid[slot, missing % window + window] = False
        columns = values.reshape(n, 6).T
        at = start % window
        if at + n <= window:
            ring.samples[slot, :, at : at + n] = columns
            ring.samples[slot, :, at + window : at + window + n] = columns
            ring.valid[slot, at : at + n] = True
            ring.valid[slot, at + window : at + window + n] = True
        else:
            places = np.arange(start, start + n) % window
            for lap in (0, window):
                ring.samples[slot, :, places + lap] = columns.T
                ring.valid[slot, places + lap] = True
        ring.heads[slot] = start + n


def _frame(sequence: int, body: bytes, *, flags: int = 0) -> bytes:
    t0_us = sequence * _STEP_US
    head = _HEAD.pack(MAGIC, VERSION, Schema.IMU6, flags, N_SAMPLES, 1, sequence, t0_us, SAMPLE_PERIOD_US)
    return head + _CRC.pack(crc32(body, crc32(head))) + body
