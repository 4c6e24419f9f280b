"""The intake as a pure step: messages in, what to store, show and answer out. No clock, no I/O, no randomness.

A block goes through here once: decoded with all others of its schema, put in order, told from its duplicates, handed
to the live view and to the store. It is acknowledged only after the shell says that it is committed. Whatever comes in,
the step goes on: what cannot be read is counted by name, kept within bounds, and asked for again where that can help.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from operator import attrgetter, itemgetter
from typing import Any, Final

import numpy as np

from devices.codec import DecodedFrames, FrameGroup, Malformed, Refusal, decode_clock_answer, decode_frames
from devices.device_record import QUIET_AFTER_US, DeviceRecord
from devices.effects import (
    SPAN_US,
    BlockKey,
    ClockFitted,
    DeviceMeta,
    DeviceState,
    DuplicateSeen,
    GapRow,
    LiveBatch,
    Outgoing,
    Quarantined,
    SequenceRun,
    StepEffects,
    StoreBlock,
    StreamKey,
)
from devices.ports import Raw
from devices.reports import parse_document, read_meta, read_state
from devices.sequencer import Change, GapCause, Hole, StreamSequence
from devices.topics import TopicKind, parse_topic
from devices.wire import CLOCK_ANSWER_DTYPE, CLOCK_PROBE, CLOCK_PROBE_DTYPE, FLAG_BACKFILL, MAX_FRAME_BYTES, MAX_TIME_US

ROUND_US: Final = 100_000
MAX_STREAMS_PER_DEVICE: Final = 1024
MAX_TOPICS_PER_DEVICE: Final = 256
MAX_CORRUPT_REMEMBERED: Final = 1024
MAX_DUPLICATES_REMEMBERED: Final = 4096
"""Stretches of streams whose duplicates are counted at once; one that was forgotten begins a count of its own."""
CORRUPT_COPIES: Final = 3
QUARANTINE_PER_HOUR: Final = 100
QUARANTINE_READABLE_BYTES_PER_HOUR: Final = 16 * 1024 * 1024
"""Whole frames that we cannot read are kept up to this; beyond it they are not acknowledged: the device keeps them."""
OFF_BEAT_US: Final = 60_000_000
OFF_BEAT_BLOCKS: Final = 10
_HOUR_US: Final = 3_600_000_000
_UNKNOWN: Final = -1
_NOT_ANCHORED: Final = np.iinfo(np.int64).min
_POISON: Final = (ArithmeticError, LookupError, TypeError, ValueError)
_FRAMES: Final = frozenset({TopicKind.LIVE, TopicKind.BACKFILL})
_NEVER: Final = -(2**60)
# functions in C, because they are called for every block
_DEVICE_NUMBER: Final = attrgetter("device_number")
_STREAM_ID: Final = attrgetter("stream_id")
_IS_LIVE: Final = attrgetter("is_live")
_TOPIC, _PAYLOAD, _RECEIVED_US = map(itemgetter, range(3))
_DEVICE, _BOOT, _STREAM = map(itemgetter, range(3))
_MAKE_BLOCK: Final = partial(tuple.__new__, StoreBlock)

Int64 = np.ndarray[Any, np.dtype[np.int64]]
Positions = np.ndarray[Any, np.dtype[np.intp]]


@dataclass(slots=True, eq=False)
class _Route:
    """Where messages of one topic belong; `stream_id` is the stream of the newest boot seen there."""

    kind: TopicKind
    device: DeviceRecord
    stream: str
    is_live: bool
    device_number: int
    stream_id: int = _UNKNOWN
    shard: str = ""


@dataclass(slots=True)
class _Gathered:
    """The effects of a step while it runs."""

    blocks: list[StoreBlock] = field(default_factory=list)
    live: list[LiveBatch] = field(default_factory=list)
    live_restarts: list[int] = field(default_factory=list)
    quarantined: list[Quarantined] = field(default_factory=list)
    gaps: list[GapRow] = field(default_factory=list)
    """As they happened: a later row replaces an earlier one with the same start."""
    device_meta: list[DeviceMeta] = field(default_factory=list)
    device_state: list[DeviceState] = field(default_factory=list)
    clock_fits: list[ClockFitted] = field(default_factory=list)
    duplicates: list[DuplicateSeen] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)


class Ingest:
    """The state of the intake.

    Parameters
    ----------
    known_devices
        Names of the devices that may send; messages of others are refused and counted.

    Attributes
    ----------
    counts : Counter of str
        How often what happened: `blocks`, `duplicates`, `unknown_device`, `refused_crc`, ... The names are a fixed set.
    stream_keys : list of StreamKey
        What the `stream_ids` of live batches mean; only ever grows.
    """

    def __init__(self, *, known_devices: Iterable[str]) -> None:
        self.counts: Counter[str] = Counter()
        self.stream_keys: list[StreamKey] = []
        self._known = frozenset(known_devices)
        self._shards: Mapping[str, str] = {}
        self._devices: dict[str, DeviceRecord] = {}
        self._records: list[DeviceRecord] = []
        self._heard_us: Int64 = np.full(64, _NEVER, np.int64)
        self._routes: dict[str, _Route] = {}
        self._frame_routes: dict[str, _Route] = {}
        self._topics_of: Counter[str] = Counter()
        self._ids: dict[StreamKey, int] = {}
        self._boots: Int64 = np.zeros(64, np.int64)
        self._top: Int64 = np.zeros(64, np.int64)
        self._offset_us: Int64 = np.full(64, _NOT_ANCHORED, np.int64)
        self._off_beat: Int64 = np.zeros(64, np.int64)
        self._corrupt: Counter[BlockKey] = Counter()
        self._duplicates: dict[tuple[int, int], DuplicateSeen] = {}
        self._reopened: list[GapRow] = []
        self._round_us = 0
        self._owing: dict[str, DeviceRecord] = {}
        self._holed: dict[str, DeviceRecord] = {}
        self._probes: list[tuple[int, int]] = []

    @property
    def known_devices(self) -> frozenset[str]:
        """Return the names of the devices that may send."""
        return self._known

    def set_known_devices(self, names: Iterable[str]) -> None:
        """Change which devices may send; what is known of the order of their streams stays."""
        self._known = frozenset(names)
        for routes in (self._routes, self._frame_routes):
            for topic in [topic for topic, route in routes.items() if route.device.name not in self._known]:
                del routes[topic]
        self._topics_of = Counter(route.device.name for route in (*self._routes.values(), *self._frame_routes.values()))

    def set_shards(self, shards: Mapping[str, str]) -> None:
        """Change where devices should send, by name; one that is not there may send on any shard.

        What comes on another shard is taken like all else, and its device is told until it sends where it should.
        """
        self._shards = dict(shards)
        for topic, route in list(self._frame_routes.items()):
            if self._is_astray(route):
                del self._frame_routes[topic]
                self._topics_of[route.device.name] -= 1

    def restore(
        self,
        stored: Iterable[SequenceRun],
        *,
        lost: Iterable[SequenceRun] = (),
        missing: Iterable[SequenceRun] = (),
        now_us: int,
    ) -> None:
        """Take up from the store; call once, before the first step.

        Parameters
        ----------
        stored
            Every run of blocks that the store has, also of devices that may no longer send. Any tuples of that shape.
        lost
            Holes that were closed without data.
        missing
            Holes whose rows are open.
        now_us
            Server's UTC. [µs]
        """
        ranges: dict[StreamKey, tuple[list[tuple[int, int]], ...]] = {}
        for which, runs in enumerate((stored, lost, missing)):
            for device, boot, stream, start, stop in runs:
                ranges.setdefault(StreamKey(device, boot, stream), ([], [], []))[which].append((start, stop))
        for key, (has, has_not, misses) in ranges.items():
            sequence = StreamSequence(has, has_not, missing=misses, now_us=now_us)
            is_followed = self._follow(key, sequence, now_us) != _UNKNOWN
            self._reopened += [_gap_row(key, hole) for hole in sequence.holes]
            if sequence.holes and is_followed:
                self._see_holes(self._device(key.device), key, now_us, has_progress=False)

    def has_holes(self, devices: Iterable[str | None]) -> bool:
        """Tell whether blocks of any of these devices are missing that may still come."""
        return any(name in self._devices and self._devices[name].has_holes for name in devices if name)

    def sequences(self) -> dict[StreamKey, StreamSequence]:
        """Return what is known of every stream: its watermark, its holes."""
        return {key: self._current(key) for device in self._records for key in device.streams}

    def step(self, raws: Sequence[Raw], now_us: int, *, may_ask: bool = True) -> StepEffects:
        """Take what has arrived, and do what has become due.

        Parameters
        ----------
        raws
            Messages in the order of their arrival; may be empty.
        now_us
            Server's UTC, never before that of the last step. [µs]
        may_ask
            Whether devices are asked for what is missing: it comes on top of all else, and has to be kept.
        """
        gathered = _Gathered(gaps=self._reopened)
        self._reopened = []
        routes: list[Any] = list(map(self._frame_routes.get, map(_TOPIC, raws)))
        if None in routes:
            raws, routes = self._sort_out(raws, routes, gathered, now_us)
        if routes:
            self._take_frames(raws, routes, gathered, now_us)
        if now_us - self._round_us >= ROUND_US or now_us < self._round_us:
            self._round_us = now_us
            self._make_round(gathered, now_us, may_ask=may_ask)
        gaps = {gap[:4]: gap for gap in gathered.gaps}.values()
        return StepEffects(
            blocks=gathered.blocks,
            live=gathered.live,
            live_restarts=gathered.live_restarts,
            quarantined=gathered.quarantined,
            gaps_opened=[gap for gap in gaps if gap.closed_at_us is None],
            gaps_closed=[gap for gap in gaps if gap.closed_at_us is not None],
            device_meta=gathered.device_meta,
            device_state=gathered.device_state,
            clock_fits=gathered.clock_fits,
            duplicates=gathered.duplicates,
            outgoing=gathered.outgoing,
        )

    def committed(self, keys: Iterable[BlockKey | SequenceRun], *, now_us: int) -> list[Outgoing]:
        """Note what the store has committed; return the acknowledgements that are due now. The others come with a step.

        Keys are those of `StepEffects.blocks`, and those of `StepEffects.quarantined` that have one. Runs are the rows
        of `StepEffects.gaps_closed` that give blocks up (`GapRow.given_up`).
        """
        for committed in keys:
            device, boot, stream, start = committed[:4]
            key = StreamKey(device, boot, stream)
            record = self._devices.get(device)
            if record is not None and key in record.streams:
                if isinstance(committed, SequenceRun):
                    record.streams[key].commit_lost(start, committed.stop_sequence)
                else:
                    record.streams[key].commit(start, start + 1)
                self._owe(record, key)
        return self._acks(now_us)

    def failed(self, keys: Iterable[BlockKey], *, rows: Iterable[GapRow] = (), now_us: int) -> None:
        """Note blocks that the shell could not keep: they are missing again, and are taken when they come again.

        `rows` are the gaps of the same step; the next step replaces those that are no longer true.
        """
        starts = {row[:4] for row in rows}
        for device, boot, stream, sequence in keys:
            key = StreamKey(device, boot, stream)
            record = self._devices.get(device)
            if record is not None and key in record.streams:
                change = self._current(key).fail(
                    sequence, sequence + 1, now_us=now_us, has_row=(device, boot, stream, sequence) in starts
                )
                self._reopened += [_gap_row(key, hole) for hole in (*change.opened, *change.closed)]
                self._see_holes(record, key, now_us, has_progress=False)
                self.counts["failed"] += 1

    # --- topics, devices, streams -----------------------------------------------------------------------------------

    def _sort_out(
        self, raws: Sequence[Raw], routes: list[Any], gathered: _Gathered, now_us: int
    ) -> tuple[Sequence[Raw], list[_Route]]:
        """Take what are no frames, and return the frames with their routes."""
        for index in [index for index, route in enumerate(routes) if route is None]:
            raw = raws[index]
            route = self._frame_routes.get(raw.topic) or self._routes.get(raw.topic) or self._open_route(raw.topic)
            if route is None:
                continue
            if route.kind in _FRAMES:
                routes[index] = route
            else:
                self._hear(route.device, now_us)
                self._take_report(raw, route, gathered, now_us)
                continue
            if self._is_astray(route):
                self.counts["astray"] += 1
                gathered.outgoing += route.device.take_move(self._shards[route.device.name], now_us)
        if None not in routes:
            return raws, routes
        frames = [raw for raw, route in zip(raws, routes, strict=True) if route is not None]
        return frames, [route for route in routes if route is not None]

    def _hear(self, device: DeviceRecord, now_us: int) -> None:
        """Note that a device said something; one that was quiet is told at once how far it is."""
        if now_us - self._heard_us[device.number] >= QUIET_AFTER_US:
            self._come_online(device, now_us)
        self._heard_us[device.number] = now_us

    def _come_online(self, device: DeviceRecord, now_us: int) -> None:
        device.come_online(now_us)
        self._owing[device.name] = device
        heappush(self._probes, (device.next_probe_us, device.number))

    def _owe(self, device: DeviceRecord, key: StreamKey) -> None:
        device.owe(key)
        self._owing[device.name] = device

    def _see_holes(self, device: DeviceRecord, key: StreamKey, now_us: int, *, has_progress: bool) -> None:
        device.see_holes(key, now_us, has_progress=has_progress)
        self._holed[device.name] = device

    def _current(self, key: StreamKey) -> StreamSequence:
        """Return a sequence that knows of the blocks that came in plain order; `_keep` it when it changed."""
        sequence = self._devices[key.device].streams[key]
        sequence.top = int(self._top[self._ids[key]])
        return sequence

    def _keep(self, key: StreamKey, sequence: StreamSequence) -> None:
        self._top[self._ids[key]] = sequence.top

    def _open_route(self, topic: str) -> _Route | None:
        parsed = parse_topic(topic)
        if parsed is None or parsed.kind in (TopicKind.ACK, TopicKind.COMMAND):
            self.counts["unknown_topic"] += 1
            return None
        if parsed.device not in self._known:
            self.counts["unknown_device"] += 1
            return None
        route = _Route(
            kind=parsed.kind,
            device=self._device(parsed.device),
            stream=parsed.stream,
            is_live=parsed.kind is TopicKind.LIVE,
            device_number=self._device(parsed.device).number,
            shard=parsed.shard,
        )
        if self._is_astray(route):
            return route  # not remembered: its messages are to be looked at one by one
        if self._topics_of[parsed.device] < MAX_TOPICS_PER_DEVICE:
            self._topics_of[parsed.device] += 1
            (self._frame_routes if parsed.kind in _FRAMES else self._routes)[topic] = route
        return route

    def _is_astray(self, route: _Route) -> bool:
        """Tell whether frames of this topic should come on another shard."""
        return route.kind in _FRAMES and self._shards.get(route.device.name, route.shard) != route.shard

    def _device(self, name: str) -> DeviceRecord:
        device = self._devices.get(name)
        if device is None:
            device = self._devices[name] = DeviceRecord(name, len(self._records))
            self._records.append(device)
            self._heard_us = _grown(self._heard_us, device.number, _NEVER)
        return device

    def _follow(self, key: StreamKey, sequence: StreamSequence, now_us: int) -> int:
        """Begin to follow a stream; return its id, `_UNKNOWN` when the device has too many that are not settled."""
        streams = self._device(key.device).streams
        if len(streams) >= MAX_STREAMS_PER_DEVICE:
            settled = next((old for old in streams if old.boot != key.boot and self._current(old).is_settled), None)
            if settled is None:
                self.counts["too_many_streams"] += 1
                return _UNKNOWN
            self._boots[self._ids.pop(settled)] = _UNKNOWN  # a route that still points there looks again
            del streams[settled]
        streams[key] = sequence
        stream_id = self._ids[key] = len(self.stream_keys)
        self.stream_keys.append(key)
        self._boots = _grown(self._boots, stream_id, _UNKNOWN)
        self._top = _grown(self._top, stream_id, 0)
        self._off_beat = _grown(self._off_beat, stream_id, 0)
        self._offset_us = _grown(self._offset_us, stream_id, _NOT_ANCHORED)
        self._boots[stream_id] = key.boot
        self._top[stream_id] = sequence.top
        return stream_id

    def _stream_id(self, route: _Route, boot: int, now_us: int) -> int:
        key = StreamKey(route.device.name, boot, route.stream)
        stream_id = self._ids.get(key, _UNKNOWN)
        if stream_id == _UNKNOWN:
            stream_id = self._follow(key, StreamSequence(), now_us)
        if stream_id != _UNKNOWN:
            route.stream_id = stream_id
            if route.is_live and not route.device.has_told_boot:
                route.device.restart(boot)
        return stream_id

    # --- frames -----------------------------------------------------------------------------------------------------

    def _take_frames(self, raws: Sequence[Raw], routes: list[_Route], gathered: _Gathered, now_us: int) -> None:
        numbers = np.fromiter(map(_DEVICE_NUMBER, routes), np.int64, len(routes))
        for number in np.unique(numbers[now_us - self._heard_us[numbers] >= QUIET_AFTER_US]).tolist():
            self._come_online(self._records[number], now_us)
        self._heard_us[numbers] = now_us
        decoded = self._decode(raws)
        for malformed in decoded.malformed:
            self._refuse(raws[malformed.index], routes[malformed.index], malformed, gathered, now_us)
        if not decoded.groups:
            return
        stream_ids, sequences = np.full(len(raws), _UNKNOWN, np.int64), np.zeros(len(raws), np.int64)
        for group in decoded.groups:
            stream_ids[group.index] = self._stream_ids(group, routes, now_us)
            sequences[group.index] = group.headers["sequence"]
        order, is_new, again = self._put_in_order(stream_ids, sequences, gathered, now_us)
        if again.size:
            t0_us = _gather_headers(decoded.groups, len(raws))["t0_us"][again]
            self._count_duplicates(stream_ids[again], t0_us.astype(np.int64) // SPAN_US, gathered, now_us)
        new = order[is_new]
        if not new.size:
            return
        headers = _gather_headers(decoded.groups, len(raws))
        self._store(raws, stream_ids, headers, new, gathered)
        self._show(decoded.groups, raws, routes, stream_ids, new, gathered)

    def _decode(self, raws: Sequence[Raw]) -> DecodedFrames:
        """Decode all at once; should one frame break the decoder, one by one, and that frame is malformed."""
        payloads = [raw.payload for raw in raws]
        try:
            return decode_frames(payloads)
        except _POISON:
            self.counts["poison"] += 1
        groups: list[FrameGroup] = []
        malformed: list[Malformed] = []
        for index, payload in enumerate(payloads):
            try:
                one = decode_frames([payload])
            except _POISON:
                malformed.append(Malformed(index=index, why=Refusal.MAGIC))
                continue
            here = np.array([index])
            groups += [
                FrameGroup(schema=group.schema, index=here, headers=group.headers, rows=group.rows)
                for group in one.groups
            ]
            malformed += [
                Malformed(index=index, why=each.why, boot=each.boot, sequence=each.sequence) for each in one.malformed
            ]
        return DecodedFrames(groups=tuple(groups), malformed=tuple(malformed))

    def _stream_ids(self, group: FrameGroup, routes: list[_Route], now_us: int) -> Int64:
        known = np.fromiter(map(_STREAM_ID, routes), np.int64, len(routes))
        stream_ids = known if group.index.size == len(routes) else known[group.index]
        boots = group.headers["boot"]
        for position in np.flatnonzero((stream_ids == _UNKNOWN) | (self._boots[stream_ids] != boots)).tolist():
            stream_ids[position] = self._stream_id(routes[group.index[position]], int(boots[position]), now_us)
        return stream_ids

    def _put_in_order(
        self, stream_ids: Int64, sequences: Int64, gathered: _Gathered, now_us: int
    ) -> tuple[Positions, np.ndarray[Any, np.dtype[np.bool_]], Positions]:
        """Return the messages by stream and sequence, which of them are new, and those that had come before."""
        candidates = np.flatnonzero(stream_ids != _UNKNOWN)
        order = candidates[np.argsort((stream_ids[candidates] << 32) | sequences[candidates], kind="stable")]
        ids, numbers = stream_ids[order], sequences[order]
        is_new = np.ones(order.size, np.bool_)
        is_same_stream = ids[1:] == ids[:-1]
        is_new[1:] = ~(is_same_stream & (numbers[1:] == numbers[:-1]))
        self.counts["duplicates"] += order.size - int(is_new.sum())
        again = [order[~is_new]]
        order, ids, numbers = order[is_new], ids[is_new], numbers[is_new]
        is_first = np.ones(order.size, np.bool_)
        is_first[1:] = (ids[1:] != ids[:-1]) | (numbers[1:] != numbers[:-1] + 1)
        firsts = np.flatnonzero(is_first)
        lasts = np.append(firsts[1:], order.size)
        is_new = np.ones(order.size, np.bool_)
        first_ids = ids[firsts]
        is_plain = numbers[firsts] == self._top[first_ids]
        self._top[first_ids[is_plain]] += (lasts - firsts)[is_plain]
        firsts, lasts, first_ids = firsts[~is_plain], lasts[~is_plain], first_ids[~is_plain]
        runs = zip(first_ids.tolist(), numbers[firsts].tolist(), firsts.tolist(), lasts.tolist(), strict=True)
        for stream_id, start, first, last in runs:
            key = self.stream_keys[stream_id]
            device = self._devices[key.device]
            stop = start + last - first
            sequence = self._current(key)
            change = sequence.receive(start, stop, now_us=now_us)
            self._keep(key, sequence)
            if change is None:
                self.counts["too_many_holes"] += last - first
                is_new[first:last] = False
                continue
            self._note(key, device, change, gathered, now_us)
            is_new[first:last] = False
            for left, right in change.accepted:
                is_new[first + left - start : first + right - start] = True
            duplicates = last - first - int(is_new[first:last].sum())
            if duplicates:
                self.counts["duplicates"] += duplicates
                again.append(order[first:last][~is_new[first:last]])
                self._owe(device, key)
        return order, is_new, np.concatenate(again)

    def _count_duplicates(self, stream_ids: Int64, spans: Int64, gathered: _Gathered, now_us: int) -> None:
        """Count what came again, by stream and stretch of the device's clock."""
        counted = Counter(zip(stream_ids.tolist(), spans.tolist(), strict=True))
        for (stream_id, span), count in counted.items():
            seen = self._duplicates.get((stream_id, span))
            if seen is None:
                key = self.stream_keys[stream_id]
                seen = DuplicateSeen(key.device, key.boot, key.stream, span, now_us, 0)
                if len(self._duplicates) >= MAX_DUPLICATES_REMEMBERED:
                    del self._duplicates[next(iter(self._duplicates))]
            seen = seen._replace(duplicate_count=seen.duplicate_count + count)
            self._duplicates[stream_id, span] = seen
            gathered.duplicates.append(seen)

    def _note(self, key: StreamKey, device: DeviceRecord, change: Change, gathered: _Gathered, now_us: int) -> None:
        """Hand on what happened to the holes of a stream."""
        gathered.gaps += [_gap_row(key, hole) for hole in (*change.closed, *change.opened)]
        if change.opened or change.closed:
            self._see_holes(device, key, now_us, has_progress=bool(change.closed))

    def _store(
        self,
        raws: Sequence[Raw],
        stream_ids: Int64,
        headers: np.ndarray[Any, Any],
        new: np.ndarray[Any, np.dtype[np.intp]],
        gathered: _Gathered,
    ) -> None:
        self.counts["blocks"] += new.size
        mine = headers[new]
        keys = list(map(self.stream_keys.__getitem__, stream_ids[new].tolist()))
        messages = list(map(raws.__getitem__, new.tolist()))
        columns = zip(
            map(_DEVICE, keys),
            map(_BOOT, keys),
            map(_STREAM, keys),
            mine["sequence"].tolist(),
            mine["schema"].tolist(),
            mine["t0_us"].tolist(),
            mine["n_samples"].tolist(),
            map(_RECEIVED_US, messages),
            map(_PAYLOAD, messages),
            strict=True,
        )
        gathered.blocks += map(_MAKE_BLOCK, columns)

    def _show(
        self,
        groups: tuple[FrameGroup, ...],
        raws: Sequence[Raw],
        routes: list[_Route],
        stream_ids: Int64,
        new: np.ndarray[Any, np.dtype[np.intp]],
        gathered: _Gathered,
    ) -> None:
        """Make the live batches: new blocks on live topics, in order, whose time agrees with their arrival."""
        count = len(raws)
        is_live = np.fromiter(map(_IS_LIVE, routes), np.bool_, count)
        arrived_us = np.fromiter(map(_RECEIVED_US, raws), np.int64, count)
        position_of = np.full(count, _UNKNOWN, np.int64)
        for group in groups:
            position_of[group.index] = np.arange(group.index.size)
            is_mine = np.zeros(count, np.bool_)
            is_mine[group.index] = is_live[group.index] & ((group.headers["flags"] & FLAG_BACKFILL) == 0)
            chosen = new[is_mine[new]]
            if not chosen.size or not group.n_rows:
                continue
            ids, at, received_us = stream_ids[chosen], position_of[chosen], arrived_us[chosen]
            is_on_beat = self._keep_the_beat(ids, received_us - group.headers["t0_us"][at].astype(np.int64), gathered)
            self.counts["off_beat"] += int((~is_on_beat).sum())
            at = at[is_on_beat]
            if at.size:
                gathered.live.append(
                    LiveBatch(
                        schema=group.schema,
                        stream_ids=ids[is_on_beat],
                        headers=group.headers[at],
                        rows=group.rows[at],
                        received_us=received_us[is_on_beat],
                    )
                )

    def _keep_the_beat(self, ids: Int64, offset_us: Int64, gathered: _Gathered) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Tell which blocks have a time that fits those before; after ten that do not, the stream's time is theirs.

        Without it one block with a wild time would make all that follow look late.
        """
        first = np.ones(ids.size, np.bool_)
        first[1:] = ids[1:] != ids[:-1]
        is_fresh = first & (self._offset_us[ids] == _NOT_ANCHORED)
        self._offset_us[ids[is_fresh]] = offset_us[is_fresh]
        is_on_beat: np.ndarray[Any, np.dtype[np.bool_]] = np.abs(offset_us - self._offset_us[ids]) <= OFF_BEAT_US
        if is_on_beat.all():
            self._offset_us[ids] = offset_us
            self._off_beat[ids] = 0
            return is_on_beat
        for position, (stream_id, offset) in enumerate(zip(ids.tolist(), offset_us.tolist(), strict=True)):
            is_on = abs(offset - int(self._offset_us[stream_id])) <= OFF_BEAT_US
            self._off_beat[stream_id] = 0 if is_on else self._off_beat[stream_id] + 1
            if self._off_beat[stream_id] >= OFF_BEAT_BLOCKS:
                self._off_beat[stream_id] = 0
                is_on = True
                gathered.live_restarts.append(stream_id)
                is_on_beat[:position] &= ids[:position] != stream_id
            if is_on:
                self._offset_us[stream_id] = offset
            is_on_beat[position] = is_on
        return is_on_beat

    # --- what cannot be read ----------------------------------------------------------------------------------------

    def _refuse(self, raw: Raw, route: _Route, malformed: Malformed, gathered: _Gathered, now_us: int) -> None:
        self.counts[f"refused_{malformed.why.value}"] += 1
        device = route.device
        if malformed.boot is None or malformed.sequence is None:
            self._quarantine(device, raw, malformed.why.value, gathered, now_us)
        elif malformed.has_trusted_key:
            self._keep_unreadable(device, raw, route, malformed, gathered, now_us)
        else:
            self._quarantine(device, raw, malformed.why.value, gathered, now_us)
            key = StreamKey(device.name, malformed.boot, route.stream)
            if malformed.why is Refusal.CRC and key in device.streams:
                self._count_corrupt(key, device, malformed.sequence, gathered, now_us)

    def _keep_unreadable(
        self, device: DeviceRecord, raw: Raw, route: _Route, malformed: Malformed, gathered: _Gathered, now_us: int
    ) -> None:
        """A frame that arrived as it was sent but is not of this protocol: keep it raw and let the device forget it."""
        boot, number = malformed.boot or 0, malformed.sequence or 0
        if self._stream_id(route, boot, now_us) == _UNKNOWN:
            return
        key = StreamKey(device.name, boot, route.stream)
        sequence = self._current(key)
        if sequence.has(number):
            self.counts["duplicates"] += 1
            self._owe(device, key)
            return
        self._renew_budget(device, now_us)
        if device.quarantine_bytes + len(raw.payload) > QUARANTINE_READABLE_BYTES_PER_HOUR:
            self.counts["quarantine_full"] += 1
            return
        change = sequence.receive(number, number + 1, now_us=now_us)
        self._keep(key, sequence)
        if change is None:
            self.counts["too_many_holes"] += 1
            return
        device.quarantine_bytes += len(raw.payload)
        self._note(key, device, change, gathered, now_us)
        hole = Hole(start=number, stop=number + 1, seen_at_us=now_us, cause=GapCause.UNREADABLE, closed_at_us=now_us)
        gathered.gaps.append(_gap_row(key, hole))
        gathered.quarantined.append(
            Quarantined(
                device=device.name,
                received_us=raw.received_us,
                why=malformed.why.value,
                payload=raw.payload,
                key=BlockKey(*key, number),
            )
        )

    def _count_corrupt(
        self, key: StreamKey, device: DeviceRecord, number: int, gathered: _Gathered, now_us: int
    ) -> None:
        """A third damaged copy of what is missing: it is damaged in the device, and will never come whole."""
        sequence = self._current(key)
        if not sequence.is_missing(number):
            return
        block = BlockKey(*key, number)
        self._corrupt[block] += 1
        if self._corrupt[block] >= CORRUPT_COPIES:
            del self._corrupt[block]
            change = sequence.lose(number, number + 1, GapCause.CORRUPT, now_us=now_us)
            self._note(key, device, change, gathered, now_us)
        elif len(self._corrupt) > MAX_CORRUPT_REMEMBERED:
            del self._corrupt[next(iter(self._corrupt))]

    def _quarantine(self, device: DeviceRecord, raw: Raw, why: str, gathered: _Gathered, now_us: int) -> None:
        self._renew_budget(device, now_us)
        device.quarantine_count += 1
        if device.quarantine_count > QUARANTINE_PER_HOUR:
            self.counts["quarantine_full"] += 1
            return
        payload = raw.payload[:MAX_FRAME_BYTES]
        gathered.quarantined.append(
            Quarantined(device=device.name, received_us=raw.received_us, why=why, payload=payload)
        )

    def _renew_budget(self, device: DeviceRecord, now_us: int) -> None:
        if device.quarantine_hour != now_us // _HOUR_US:
            device.quarantine_hour = now_us // _HOUR_US
            device.quarantine_count = device.quarantine_bytes = 0

    # --- what devices say of themselves -----------------------------------------------------------------------------

    def _take_report(self, raw: Raw, route: _Route, gathered: _Gathered, now_us: int) -> None:
        if route.kind is TopicKind.CLOCK:
            self._take_clock(raw, route.device, gathered, now_us)
            return
        document = parse_document(raw.payload)
        is_taken = document is not None and (
            self._take_meta(raw, route.device, document, gathered)
            if route.kind is TopicKind.META
            else self._take_state(raw, route.device, document, gathered, now_us)
        )
        if not is_taken:
            self.counts[f"refused_{route.kind.value}"] += 1
            self._quarantine(route.device, raw, route.kind.value, gathered, now_us)

    def _take_meta(self, raw: Raw, device: DeviceRecord, document: dict[str, Any], gathered: _Gathered) -> bool:
        streams = read_meta(document)
        if streams is None:
            return False
        gathered.device_meta.append(
            DeviceMeta(device=device.name, received_us=raw.received_us, streams=streams, document=document)
        )
        return True

    def _take_state(
        self, raw: Raw, device: DeviceRecord, document: dict[str, Any], gathered: _Gathered, now_us: int
    ) -> bool:
        state = read_state(document)
        if state is None:
            return False
        gathered.device_state.append(
            DeviceState(
                device=device.name,
                received_us=raw.received_us,
                is_online=state.is_online,
                boot=state.boot,
                document=document,
            )
        )
        if not state.is_online:
            self._heard_us[device.number] = _NEVER
            return True
        if state.boot != device.boot:
            self._come_online(device, now_us)
        device.owe_all()
        self._owing[device.name] = device
        if state.boot is not None:
            device.has_told_boot = True
            device.restart(state.boot)
        if state.kept is not None:
            kept = {StreamKey(device.name, each.boot, each.stream): each.oldest_sequence for each in state.kept}
            self._give_up(device, kept, gathered, now_us)
        return True

    def _give_up(self, device: DeviceRecord, kept: dict[StreamKey, int], gathered: _Gathered, now_us: int) -> None:
        """Close the holes that the device can no longer fill."""
        for key in kept:
            if key not in device.streams:
                self._follow(key, StreamSequence(), now_us)
        for key in list(device.streams):
            sequence = self._current(key)
            is_over = key not in kept and device.boot is not None and key.boot != device.boot
            stop = kept.get(key, sequence.top if is_over else 0)
            if stop > sequence.top or (sequence.holes and sequence.holes[0].start < stop):
                change = sequence.lose(0, stop, GapCause.DEVICE_OVERFLOW, now_us=now_us)
                self._keep(key, sequence)
                self._note(key, device, change, gathered, now_us)

    def _take_clock(self, raw: Raw, device: DeviceRecord, gathered: _Gathered, now_us: int) -> None:
        if len(raw.payload) == CLOCK_PROBE_DTYPE.itemsize and raw.payload[0] == CLOCK_PROBE:
            return  # our own probe, which we hear as well
        answer = decode_clock_answer(raw.payload) if len(raw.payload) == CLOCK_ANSWER_DTYPE.itemsize else None
        if answer is None or max(answer) >= MAX_TIME_US:
            self.counts["refused_clock"] += 1
            self._quarantine(device, raw, TopicKind.CLOCK.value, gathered, now_us)
            return
        s1_us, d2_us, d3_us = answer
        if not device.take_answer(s1_us, d2_us, d3_us, raw.received_us):
            self.counts["ignored_clock"] += 1
            return
        fitted = device.take_fit(d3_us)
        if fitted is not None:
            gathered.clock_fits.append(fitted)

    # --- what becomes due -------------------------------------------------------------------------------------------

    def _make_round(self, gathered: _Gathered, now_us: int, *, may_ask: bool) -> None:
        gathered.outgoing += self._acks(now_us)
        while self._probes and self._probes[0][0] <= now_us:
            due_us, number = heappop(self._probes)
            device = self._records[number]
            if due_us == device.next_probe_us and self._is_heard(device, now_us):
                gathered.outgoing.append(device.take_probe(now_us))
                heappush(self._probes, (device.next_probe_us, number))
        due = [device for device in self._holed.values() if may_ask and device.next_resend_us <= now_us]
        for device in [device for device in due if self._is_heard(device, now_us)]:
            requests = device.take_requests(now_us)
            self.counts["resend_requests"] += len(requests)
            gathered.outgoing += requests
            if not device.has_holes:
                del self._holed[device.name]

    def _is_heard(self, device: DeviceRecord, now_us: int) -> bool:
        """Tell whether a device is worth talking to."""
        return device.name in self._known and bool(now_us - self._heard_us[device.number] < QUIET_AFTER_US)

    def _acks(self, now_us: int) -> list[Outgoing]:
        acks: list[Outgoing] = []
        for device in list(self._owing.values()):
            ack = device.take_ack(now_us)
            if ack is not None:
                acks.append(ack)
            if not device.is_owed:
                del self._owing[device.name]
        return acks


def _gather_headers(groups: tuple[FrameGroup, ...], count: int) -> np.ndarray[Any, Any]:
    """Return the header of every message, by its place in the list; zeros where there is none."""
    if len(groups) == 1 and groups[0].index.size == count:
        return groups[0].headers
    headers = np.zeros(count, groups[0].headers.dtype)
    for group in groups:
        headers[group.index] = group.headers
    return headers


def _grown(values: Int64, index: int, fill: int) -> Int64:
    """Return an array that has a place for `index`."""
    return values if index < values.size else np.concatenate([values, np.full(values.size, fill, np.int64)])


def _gap_row(key: StreamKey, hole: Hole) -> GapRow:
    return GapRow(*key, hole.start, hole.stop, hole.seen_at_us, hole.cause.value, hole.closed_at_us)
