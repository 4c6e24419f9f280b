"""The training sessions that are analysed now: each has a slot of the engine and two columns of the grid.

A tick moves every slot whose sensors both have ten more samples. A slot that has fallen behind moves several times, so
that nothing is skipped that came a little late; one that is seconds behind (a sensor was silent) jumps to its newest
samples, and the engine is told of the gap. A slot without new samples keeps its state and is still shown, with growing
age and unknown angles.

Blocks and ticks are both ten samples long. When a clock slips by a sample, up to nine samples stay behind at every tick
and make all values older; while nobody moves they are skipped.
"""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from analytics.live import Engine, SensorCalibration
from analytics.results import Phase, Reason
from devices.reports import StreamMeta
from devices.wire import Schema
from telerehab import live_frame
from telerehab.intake.grid import LiveGrid
from telerehab.intake.places import Places, Training
from telerehab.intake.sets import NO_SET, SetCount

log = logging.getLogger(__name__)

MOVEMENT_SCHEMAS: Final = frozenset({Schema.IMU6, Schema.IMU9})
N: Final = live_frame.N_SAMPLES_PER_TICK
TICKS_MAX: Final = 6  # per call: the regular one, and some to catch up: no sample is skipped that came late
LAG_MAX_SAMPLES: Final = 500  # older is not shown anyway
GAP_TICKS: Final = 2  # the engine bridges one missing tick, so a jump shows it two
SLACK_TICKS: Final = 20
CALM_PHASES: Final = (Phase.WAITING_STILL, Phase.CALIBRATING, Phase.READY, Phase.PAUSED_NOT_READY_POSE)
SENSOR_LOST_US: Final = 2_000_000
HEART_RATE_AGE_MAX_US: Final = 5_000_000

_NOT_STARTED: Final = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorScales:
    """What one unit of a raw sample is, as the device's meta says."""

    accel_m_s2: float
    gyro_rad_s: float


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedRepetition:
    """A repetition that ended in this tick; `row` is one of REPETITION_DTYPE, times are the server's UTC."""

    training_session: UUID
    index: int
    """From 0 within the training session."""
    start_us: int
    peak_us: int
    stop_us: int
    devices: frozenset[str]
    """The sensors that showed it."""
    row: np.void
    calibrations: Mapping[str, SensorCalibration] = field(default_factory=dict)
    """How each of the sensors was understood."""


class LiveSlots:
    """The engine, the grid, and who has which slot.

    Parameters
    ----------
    capacity : int
        How many training sessions can be analysed at once.
    window : int
        Samples that the grid holds per sensor.
    """

    def __init__(self, *, capacity: int, window: int) -> None:
        self.capacity = capacity
        self.engine = Engine(capacity, n=N)
        self.grid = LiveGrid(n_places=capacity, window=window)
        self._trainings: dict[UUID, Training] = {}
        self._slot_of: dict[UUID, int] = {}
        self._free = list(range(capacity))[::-1]
        self._scales: dict[str, SensorScales] = {}
        self._heart_slot_of: dict[str, int] = {}
        self._heart_rate = np.zeros(capacity, np.uint8)
        self._heart_rate_at_us = np.full(capacity, -HEART_RATE_AGE_MAX_US, np.int64)
        self._is_joined = np.zeros(capacity, np.bool_)
        self._uses = np.zeros((capacity, 2), np.bool_)
        self._cursor = np.full(capacity, _NOT_STARTED, np.int64)  # index after the last sample that the engine has had
        self._blank_until = np.zeros(capacity, np.int64)  # samples before this index are a gap, whatever the grid holds
        self._slack = np.full(capacity, N, np.int64)  # fewest samples that stayed behind, lately
        self._slack_ticks = np.zeros(capacity, np.int64)
        self._already_stored = np.zeros(capacity, np.int64)  # repetitions counted before the slot was joined
        self._set_counts: dict[UUID, SetCount] = {}
        self._set_count = np.full(capacity, NO_SET, np.int64)
        self._angle_deg = np.full((N, capacity), np.nan, np.float32)
        self._target_deg = np.full((capacity, 2), np.nan)
        self._is_partial = np.zeros(capacity, np.bool_)
        self.jump_count = 0
        self.turned_away_count = 0

    # --- who has a slot ------------------------------------------------------------------------------------------

    @property
    def trainings(self) -> list[Training]:
        """Return the training sessions that have a slot."""
        return list(self._trainings.values())

    def repetition_count(self, training_session: UUID) -> int:
        """Return how many repetitions of a training session have been counted."""
        slot = self._slot_of[training_session]
        return int(self.engine.repetition_count[slot] + self._already_stored[slot])

    def follow(self, places: Places) -> None:
        """Give slots to training sessions that opened or changed their sensors, take those of closed ones back.

        The next set of the same exercise goes on as it is; another exercise begins anew, with its own still start.
        """
        self.grid.follow(places.lendings)
        wanted = {training.id: training for training in places.trainings}
        for training_session in [each for each in self._slot_of if each not in wanted]:
            self._leave(training_session)
            self._set_counts.pop(training_session, None)
        for training in wanted.values():
            known = self._trainings.get(training.id)
            if known is None:
                self._enter(training)
            elif training.has_same_measurement(known):
                self._trainings[training.id] = training
                self._target_deg[self._slot_of[training.id]] = training.target_deg
            else:
                already_counted = self.repetition_count(training.id)
                self._leave(training.id)
                self._enter(training)
                self.count_from(training.id, already_counted)
            self._follow_set(training)
        self._heart_slot_of = {
            training.heart: self._slot_of[training.id] for training in self._trainings.values() if training.heart
        }

    def count_from(self, training_session: UUID, already_counted: int) -> None:
        """Let the count of a training session never fall below what was counted before."""
        slot = self._slot_of[training_session]
        self._already_stored[slot] = max(already_counted - int(self.engine.repetition_count[slot]), 0)

    def count_as_whole(self, training_session: UUID) -> None:
        """Say that the count holds what was skipped up to now: the store has it."""
        self._is_partial[self._slot_of[training_session]] = False

    def count_set_from(self, training_session: UUID, already_counted: int) -> None:
        """Say how many repetitions of the set that is trained now are stored."""
        self._set_counts[training_session].count_from(already_counted)
        self._set_count[self._slot_of[training_session]] = self._set_counts[training_session].value

    def note_meta(self, device: str, streams: Mapping[str, StreamMeta]) -> None:
        """Learn a sensor's scales; the slots that waited for them can begin."""
        scales = read_scales(streams)
        if scales is None or self._scales.get(device) == scales:
            return
        self._scales[device] = scales
        for training in self._trainings.values():
            if device in training.sensors:
                self._join(training)

    def gyro_scale_rad_s(self, device: str) -> float | None:
        """Return what one unit of a sensor's angular rate is; None where its meta has not come."""
        scales = self._scales.get(device)
        return None if scales is None else scales.gyro_rad_s

    def note_heart_rate(self, device: str, heart_rate: int, *, at_us: int) -> None:
        """Learn the newest heart rate of a strap; 0 is none."""
        slot = self._heart_slot_of.get(device)
        if slot is not None and heart_rate:
            self._heart_rate[slot], self._heart_rate_at_us[slot] = min(heart_rate, 255), at_us

    def _follow_set(self, training: Training) -> None:
        """Count the repetitions of the set that is trained now."""
        slot = self._slot_of.get(training.id)
        if slot is not None:
            count = self._set_counts.setdefault(training.id, SetCount())
            count.follow(training.set)
            self._set_count[slot] = count.value

    def _enter(self, training: Training) -> None:
        """Give a training session a slot, if there is one."""
        if not self._free:
            self.turned_away_count += 1
            log.warning("all %d slots are taken, a training session is stored without live analysis", self.capacity)
            return
        slot = self._free.pop()
        self._trainings[training.id], self._slot_of[training.id] = training, slot
        self._uses[slot] = (training.needs_both_sensors, True)
        self._target_deg[slot] = training.target_deg
        self._cursor[slot], self._blank_until[slot], self._already_stored[slot] = _NOT_STARTED, 0, 0
        self._is_partial[slot] = False
        self.grid.open(slot, sensors=training.sensors)
        self._join(training)

    def _leave(self, training_session: UUID) -> None:
        """Take a training session's slot back."""
        slot = self._slot_of.pop(training_session)
        del self._trainings[training_session]
        self.engine.leave(slot)
        self.grid.close(slot)
        self._is_joined[slot] = False
        self._heart_rate_at_us[slot] = -HEART_RATE_AGE_MAX_US
        self._free.append(slot)

    def _join(self, training: Training) -> None:
        """Let the engine begin, once all is known that it needs."""
        slot = self._slot_of[training.id]
        scales = [self._scales.get(device) if device else None for device in training.sensors]
        proximal, distal = scales
        if not training.is_measurable or distal is None or (training.needs_both_sensors and proximal is None):
            return
        proximal = proximal or distal  # not used where one sensor is enough
        low_deg, high_deg = training.target_deg
        try:
            self.engine.join(
                slot,
                exercise=training.exercise,
                side=training.side,
                accel_scale_m_s2=(proximal.accel_m_s2, distal.accel_m_s2),
                gyro_scale_rad_s=(proximal.gyro_rad_s, distal.gyro_rad_s),
                sensors="both" if training.needs_both_sensors else "distal",
                target_deg=(low_deg, high_deg),
            )
        except ValueError as error:
            log.warning("a training session cannot be analysed: %s", error)
            return
        self._is_joined[slot] = True

    # --- a tick --------------------------------------------------------------------------------------------------

    def tick(self, *, ticks_max: int = TICKS_MAX, lag_max_samples: int = LAG_MAX_SAMPLES) -> list[EndedRepetition]:
        """Move every slot by up to `ticks_max` times ten samples, if it has them; return the repetitions that ended.

        Parameters
        ----------
        lag_max_samples : int
            A slot that is further behind jumps to its newest samples.
        """
        self._angle_deg[:] = np.nan
        ended: list[EndedRepetition] = []
        for _ in range(ticks_max):
            moved = self._move(lag_max_samples)
            if moved is None:
                break
            ended += moved
        self._skip_slack()
        return ended

    def _skip_slack(self) -> None:
        """Skip the samples that have stayed behind at every tick for two seconds, as soon as nobody moves."""
        is_moving_on = self._is_joined & (self._cursor != _NOT_STARTED)
        self._slack = np.minimum(self._slack, np.where(is_moving_on, self._newest() - self._cursor, 0))
        self._slack_ticks += 1
        is_due = (self._slack_ticks >= SLACK_TICKS) & np.isin(self.engine.phase, CALM_PHASES)
        self._cursor += np.where(is_due & is_moving_on & (self._slack < N), self._slack, 0)
        self._slack[is_due] = N
        self._slack_ticks[is_due] = 0

    def _move(self, lag_max_samples: int) -> list[EndedRepetition] | None:
        """Move the slots that have ten samples by one tick; None when there is none."""
        newest = self._newest()
        ready = self._start_and_jump(newest, lag_max_samples)
        if not ready.any():
            return None
        self._cursor[ready] += N
        raw, valid = self.grid.window(self._cursor, N)
        valid &= np.repeat(self._cursor > self._blank_until, 2)[:, None]
        rows = self.engine.advance(raw, valid, ready)
        self._angle_deg[:, ready] = self.engine.angle_deg[:, ready]
        return [self._ended(row) for row in rows]

    def _newest(self) -> NDArray[np.int64]:
        """Return how far all needed sensors of each slot are known, shape (capacity,)."""
        beyond = np.iinfo(np.int64).max
        newest: NDArray[np.int64] = np.where(self._uses, self.grid.newest(), beyond).min(axis=1)
        return newest

    def _start_and_jump(self, newest: NDArray[np.int64], lag_max_samples: int) -> NDArray[np.bool_]:
        """Let slots start at the newest samples and jump where they are far behind; return which have ten samples."""
        begins = self._is_joined & (self._cursor == _NOT_STARTED) & (newest >= N)
        self._cursor[begins] = newest[begins] - N
        jumps = self._is_joined & (self._cursor != _NOT_STARTED) & (newest - self._cursor > lag_max_samples)
        self._cursor[jumps] = newest[jumps] - (GAP_TICKS + 1) * N
        self._blank_until[jumps] = newest[jumps] - N
        self._is_partial |= jumps
        self.jump_count += int(jumps.sum())
        has_samples: NDArray[np.bool_] = self._is_joined & (self._cursor != _NOT_STARTED) & (newest - self._cursor >= N)
        return has_samples

    def _ended(self, row: np.void) -> EndedRepetition:
        """Say a repetition's times by the server's clock."""
        slot = int(row["slot"])
        to_index = int(self._cursor[slot] - self.engine.sample_clock[slot])
        start_us, peak_us, stop_us = (
            self.grid.server_us_at(slot, int(row[name]) + to_index) for name in ("start", "peak", "stop")
        )
        training_session = next(each for each, its_slot in self._slot_of.items() if its_slot == slot)
        training = self._trainings[training_session]
        set_count = self._set_counts[training_session]
        set_count.note(start_us)
        self._set_count[slot] = set_count.value
        return EndedRepetition(
            training_session=training_session,
            index=int(row["index"]) - 1 + int(self._already_stored[slot]),
            start_us=start_us,
            peak_us=peak_us,
            stop_us=stop_us,
            devices=training.used_sensors,
            row=row.copy(),
            calibrations={
                device: calibration
                for device, calibration in zip(training.sensors, self.engine.calibration(slot), strict=True)
                if device is not None and calibration is not None
            },
        )

    # --- what screens see ----------------------------------------------------------------------------------------

    def entries(self, *, now_us: int, is_storing: bool) -> NDArray[np.void]:
        """Return what the live frame says of every slot that is taken, ENTRY_DTYPE, shape (n_training_sessions,)."""
        slots = np.fromiter(self._slot_of.values(), np.intp, len(self._slot_of))
        engine = self.engine
        newest_us = self.grid.server_us(self._cursor - 1)[slots]
        age_us = np.where(self._cursor[slots] == _NOT_STARTED, np.nan, now_us - newest_us)
        is_lost = ~(age_us <= SENSOR_LOST_US)
        has_heart_rate = now_us - self._heart_rate_at_us[slots] < HEART_RATE_AGE_MAX_US
        entries = np.zeros(len(slots), live_frame.ENTRY_DTYPE)
        entries["training_session"] = np.frombuffer(b"".join(each.bytes for each in self._slot_of), "V16")
        entries["age_ms"] = live_frame.to_age_ms(age_us)
        entries["phase"] = engine.phase[slots]
        entries["reason"] = np.where(is_lost, Reason.DATA_MISSING, engine.reason[slots])
        counted = engine.repetition_count[slots] + self._already_stored[slots]
        in_set = self._set_count[slots]
        entries["repetitions"] = np.minimum(np.where(in_set == NO_SET, counted, in_set), 65_535)
        entries["trust"] = live_frame.to_percent(engine.trust[slots])
        entries["completeness"] = live_frame.to_percent(engine.completeness[slots])
        entries["last_rom"] = live_frame.to_tenths_of_degree(engine.last_rom_deg[slots])
        entries["heart_rate"] = np.where(has_heart_rate, self._heart_rate[slots], live_frame.UNKNOWN_HEART_RATE)
        flags = (not is_storing) * live_frame.FLAG_NOT_STORED + is_lost * live_frame.FLAG_SENSOR_LOST
        entries["flags"] = flags + self._is_partial[slots] * live_frame.FLAG_PARTIAL
        entries["angle"] = live_frame.to_centidegrees(self._angle_deg[:, slots].T)
        entries["target_low"] = live_frame.to_centidegrees(self._target_deg[slots, 0])
        entries["target_high"] = live_frame.to_centidegrees(self._target_deg[slots, 1])
        return entries


def read_scales(streams: Mapping[str, StreamMeta]) -> SensorScales | None:
    """Return the scales of a device's movement stream (`docs/protocol.md` M3), None where meta has none.

    Examples
    --------
    >>> from devices.reports import Channel
    >>> accel = Channel(name="accel_x", unit="m/s2", scale=0.005)
    >>> gyro = Channel(name="gyro_x", unit="deg/s", scale=0.1)
    >>> scales = read_scales({"imu": StreamMeta(schema=Schema.IMU6, rate_hz=100, channels=(accel, gyro))})
    >>> scales.accel_m_s2, round(scales.gyro_rad_s, 6)
    (0.005, 0.001745)
    """
    for stream in streams.values():
        scale = {(channel.name, channel.unit): channel.scale for channel in stream.channels if channel.scale > 0}
        accel, gyro = scale.get(("accel_x", "m/s2")), scale.get(("gyro_x", "deg/s"))
        if stream.schema in MOVEMENT_SCHEMAS and accel and gyro:
            return SensorScales(accel_m_s2=accel, gyro_rad_s=math.radians(gyro))
    return None
