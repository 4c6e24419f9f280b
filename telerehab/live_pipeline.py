"""The way of one sample, from the broker to the screens. Read this file first.

```text
device --MQTT--> BrokerClient.take()     messages as they arrived            devices/broker_client.py
                   |
    every 50 ms  LivePipeline.step
                   |-> Ingest.step       decode, order, tell duplicates      devices/ingest.py
                   |-> LiveGrid.write    own clocks -> one 100 Hz grid       telerehab/intake/grid.py, devices/ring.py
                   |-> Effects.to_store  HotStore commits a group, then      telerehab/intake/hot_store.py
                   |                     LivePipeline.committed -> ack/1/<device>
    every 100 ms   '-> LiveSlots.tick    all patients one tick               telerehab/intake/slots.py, analytics/
                         |-> limits passed -> table `alert`                  telerehab/intake/guard.py, care/safety.py
                         |-> ended repetitions -> table `repetition`         telerehab/intake/main_store.py
                         '-> one live frame -> live/1/<worker> -> screens    telerehab/live_frame.py
```

The live view never waits for the disk, the disk never waits for a viewer, and nothing is acknowledged before it is
committed. Everything here is values in, values out: time is an argument, and `telerehab/roles/ingest.py` owns the
sockets, threads and transactions.
"""

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from devices.effects import BlockKey, LiveBatch, Outgoing, SequenceRun, StepEffects
from devices.ingest import Ingest
from devices.ports import Raw, Token
from devices.wire import Schema
from telerehab.attribution import Lending
from telerehab.intake.device_starts import DeviceStarts
from telerehab.intake.grid import as_samples
from telerehab.intake.guard import GUARDED_SCHEMAS, FoundEvent, Guard
from telerehab.intake.places import Places
from telerehab.intake.slots import MOVEMENT_SCHEMAS, EndedRepetition, LiveSlots
from telerehab.intake.training_marks import TrainingMarks
from telerehab.intake.wipes import Wipes
from telerehab.live_frame import N_SAMPLES_PER_TICK, encode_live_frame

CAPACITY: Final = 256
WINDOW_SAMPLES: Final = 1_000
STEPS_PER_TICK: Final = 2
BACKFILL: Final = "bf/"
BACKFILL_PER_STEP: Final = 1_000  # messages; live data goes first
BACKFILL_WAITING_MAX: Final = 20_000
UNKEPT_MAX_GAPS: Final = 4_096
GATHERED_SHARE_MAX: Final = 0.9  # of the ring, that may wait for the first tick after a restart


_NOTHING: Final = StepEffects()
_TOKEN: Final = attrgetter("token")  # a function in C: it is called for every message


@dataclass(frozen=True, kw_only=True, slots=True)
class Effects:
    """What one step asks its shell to do."""

    to_store: StepEffects
    """For the hot store, in one piece; when it has no room, `LivePipeline.refused` must hear of it."""
    outgoing: Sequence[Outgoing]
    """Acknowledgements, probes and requests to devices."""
    tokens: Sequence[Token] = ()
    """Of the messages that this step has taken: the broker may forget them once `to_store` is committed."""
    ended: Sequence[EndedRepetition] = ()
    """For the table `repetition`."""
    found: Sequence[FoundEvent] = ()
    """For the table `alert`."""
    live_frame: bytes | None = None
    """For the screens; None between ticks."""
    started: Sequence[UUID] = ()
    """Assignments of sensors that somebody has put on and moves with, while no training session is open."""


class LivePipeline:
    """The state of the intake and of the live analysis.

    Parameters
    ----------
    capacity : int
        Training sessions that can be analysed at once.
    window_samples : int
        Length of the live ring, per sensor.
    """

    def __init__(self, *, capacity: int = CAPACITY, window_samples: int = WINDOW_SAMPLES) -> None:
        self.ingest = Ingest(known_devices=())
        self.slots = LiveSlots(capacity=capacity, window=window_samples)
        self.guard = Guard()
        self.starts = DeviceStarts()
        self.tick_count = 0
        self._step_count = 0
        self._is_showing = True
        self._is_resuming = False
        self._unkept = _NOTHING
        self._shards: Mapping[str, str] = {}
        self._lendings: Mapping[str, Lending] = {}
        self._wipes = Wipes()
        self._marks = TrainingMarks()
        self._backfill: deque[Raw] = deque()
        self.dropped_backfill_count = 0

    def pause_showing(self) -> None:
        """Only order, store and acknowledge from now on: after a restart, until the missing blocks have come."""
        self._is_showing = False

    def resume_showing(self) -> None:
        """Show again; the first tick takes in all that has gathered meanwhile."""
        self._is_showing = self._is_resuming = True

    @property
    def is_showing(self) -> bool:
        """Return whether the live analysis runs."""
        return self._is_showing

    def follow(self, places: Places) -> None:
        """Take over what the main database says now: which devices may deliver, who trains with which sensors."""
        if places.known_devices != self.ingest.known_devices:
            self.ingest.set_known_devices(places.known_devices)
            self.slots.grid.forget_clocks(places.known_devices)
        if places.shards != self._shards:
            self._shards = places.shards
            self.ingest.set_shards(places.shards)
        self._lendings = places.lendings
        self._wipes.follow(places.wipes)
        self._marks.follow(frozenset().union(*(training.worn | training.devices for training in places.trainings)))
        self.slots.follow(places)
        self.guard.follow(places)
        self.starts.follow(places.idle)

    def step(self, raws: Sequence[Raw], *, now_us: int, is_storing: bool, has_room: bool = True) -> Effects:
        """Take what has arrived; every second step move the analysis by one tick.

        Parameters
        ----------
        raws : sequence of Raw
            Messages in the order of their arrival; may be empty.
        now_us : int
            Server's UTC. [µs]
        is_storing : bool
            Whether the store can keep what arrives; screens are told when it cannot.
        has_room : bool
            Whether it could keep more than what arrives by itself: else no device is asked for what is missing.
        """
        shared = self._share_out(raws)
        tokens = list(filter(None, map(_TOKEN, shared)))
        received = self.ingest.step(shared, now_us, may_ask=is_storing and has_room)
        to_store, self._unkept = _join(self._unkept, received), _NOTHING
        self._learn(received)
        outgoing = [
            *received.outgoing,
            *self._wipes.look(received.device_state, now_us=now_us),
            *self._marks.look(received.device_state, now_us=now_us),
        ]
        found: Sequence[FoundEvent] = ()
        if self._is_showing:
            for batch in received.live:
                self._show(batch)
            found = self.guard.look(now_us)
        self._step_count += 1
        if self._step_count % STEPS_PER_TICK or not self._is_showing:
            return Effects(to_store=to_store, outgoing=outgoing, tokens=tokens, found=found)
        ended = self._tick_all() if self._is_resuming else self.slots.tick()
        entries = self.slots.entries(now_us=now_us, is_storing=is_storing)
        self.tick_count += 1
        frame = encode_live_frame(entries, tick=self.tick_count, sent_us=now_us)
        return Effects(
            to_store=to_store,
            outgoing=outgoing,
            tokens=tokens,
            ended=ended,
            found=found,
            live_frame=frame,
            started=self.starts.take_started(now_us),
        )

    def has_holes(self) -> bool:
        """Return whether blocks of a training session are missing that may still come, or wait for their turn."""
        worn = {device for training in self.slots.trainings for device in training.devices}
        return bool(self._backfill) or self.ingest.has_holes(worn)

    def committed(self, keys: Iterable[BlockKey | SequenceRun], *, now_us: int) -> list[Outgoing]:
        """Note what the store has committed; return the acknowledgements that are due at once."""
        return self.ingest.committed(keys, now_us=now_us)

    def refused(self, effects: Effects, *, now_us: int) -> None:
        """Note that the store had no room: blocks are missing again, and devices send them again; the rest waits."""
        self._unkept = replace(effects.to_store, blocks=(), quarantined=())
        keys = [block.key for block in effects.to_store.blocks]
        keys += [refused.key for refused in effects.to_store.quarantined if refused.key is not None]
        rows = (*effects.to_store.gaps_closed, *effects.to_store.gaps_opened)
        self.ingest.failed(keys, rows=rows, now_us=now_us)

    def restore(
        self,
        stored: Iterable[SequenceRun],
        *,
        lost: Iterable[SequenceRun],
        missing: Iterable[SequenceRun] = (),
        now_us: int,
    ) -> None:
        """Take the order of all streams up from the store; once, before the first step."""
        self.ingest.restore(stored, lost=lost, missing=missing, now_us=now_us)

    def _share_out(self, raws: Sequence[Raw]) -> Sequence[Raw]:
        """Return what this step takes: all that is live, and of what devices had to keep a bounded share."""
        waiting = self._backfill
        live = [raw for raw in raws if not raw.topic.startswith(BACKFILL)]
        if len(live) < len(raws):
            waiting.extend(raw for raw in raws if raw.topic.startswith(BACKFILL))
        while len(waiting) > BACKFILL_WAITING_MAX:
            waiting.pop()  # nothing is acknowledged, so it comes again
            self.dropped_backfill_count += 1
        return live + [waiting.popleft() for _ in range(min(len(waiting), BACKFILL_PER_STEP))]

    def _tick_all(self) -> Sequence[EndedRepetition]:
        """Take in everything that is in the ring, as if it had come in time."""
        self._is_resuming = False
        samples = round(GATHERED_SHARE_MAX * self.slots.grid.ring.window)
        return self.slots.tick(ticks_max=samples // N_SAMPLES_PER_TICK, lag_max_samples=samples)

    def _learn(self, received: StepEffects) -> None:
        """Hand on what devices said of their scales and clocks."""
        for meta in received.device_meta:
            self.slots.note_meta(meta.device, meta.streams)
        for fitted in received.clock_fits:
            self.slots.grid.note_clock(fitted.device, fitted.boot, fitted.fit, device_us=fitted.from_us)
        for stream_id in received.live_restarts:
            self.slots.grid.restart(self.ingest.stream_keys[stream_id].device)

    def _show(self, batch: LiveBatch) -> None:
        """Hand new blocks to the live view, by what they are."""
        devices = [self.ingest.stream_keys[stream_id].device for stream_id in batch.stream_ids.tolist()]
        self.guard.note_heard(devices)
        if batch.schema in MOVEMENT_SCHEMAS:
            samples = as_samples(batch.rows)
            self.slots.grid.write(devices, batch.headers, samples)
            self._note_idle(devices, batch, samples)
        if batch.schema in GUARDED_SCHEMAS:
            blocks = zip(devices, batch.headers, batch.rows, batch.received_us.tolist(), strict=True)
            for device, header, rows, at_us in blocks:
                taken_us = int(header["t0_us"]) + int(rows["delta_us"][-1])
                if not self._is_the_wearers(device, int(header["boot"]), taken_us, received_us=at_us):
                    continue
                if batch.schema is Schema.HEART:
                    self.slots.note_heart_rate(device, int(rows["heart_rate"][-1]), at_us=at_us)
                self.guard.note_block(device, header, batch.schema, rows, received_us=at_us)

    def _is_the_wearers(self, device: str, boot: int, device_us: int, *, received_us: int) -> bool:
        """Return whether what a device measured at a moment of its clock is of whom it is lent to now.

        Until the first time probe of a boot is answered, a live value counts at its arrival: no limit may wait for it.
        Movement waits (`LiveGrid`), and so does whatever is stored (`telerehab.attribution`).
        """
        lending = self._lendings.get(device)
        if lending is None:
            return False
        server_us = self.slots.grid.server_us_of(device, boot, device_us)
        at_us = received_us if server_us is None else server_us
        return lending.contains(at_us, at_us + 1)

    def _note_idle(self, devices: Sequence[str], batch: LiveBatch, samples: NDArray[np.int16]) -> None:
        """Look whether somebody moves with sensors whose patient trains nothing."""
        for place, device in enumerate(devices):
            scale = self.slots.gyro_scale_rad_s(device) if self.starts.watches(device) else None
            if scale is None:
                continue
            header, at_us = batch.headers[place], int(batch.received_us[place])
            if self._is_the_wearers(device, int(header["boot"]), int(header["t0_us"]), received_us=at_us):
                self.starts.note(device, samples[place, :, 3:] * scale, at_us=at_us)


def _join(earlier: StepEffects, now: StepEffects) -> StepEffects:
    """Return what is to be stored now with what the store had no room for, of each row the newest."""
    if earlier is _NOTHING:
        return now
    gaps = {gap[:4]: gap for gap in (*earlier.gaps_closed, *earlier.gaps_opened, *now.gaps_closed)}
    given_up = [gap for gap in gaps.values() if gap.given_up]  # no watermark passes these before they are stored
    others = [gap for gap in gaps.values() if not gap.given_up]
    return replace(
        now,
        gaps_closed=[*given_up, *others[-UNKEPT_MAX_GAPS:]],
        device_meta=list({said.device: said for said in (*earlier.device_meta, *now.device_meta)}.values()),
        device_state=list({said.device: said for said in (*earlier.device_state, *now.device_state)}.values()),
        duplicates=list({seen[:5]: seen for seen in (*earlier.duplicates, *now.duplicates)}.values()),
        clock_fits=list({(fit.device, fit.boot): fit for fit in (*earlier.clock_fits, *now.clock_fits)}.values()),
    )
