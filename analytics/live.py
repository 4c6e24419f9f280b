"""The live engine: all patients move by one tick together, with a fixed number of array calls whatever their number.

A slot is a patient; its sensors are the columns `2 slot` (proximal) and `2 slot + 1` (distal) of what `advance` takes.
Each slot starts by itself: once both its sensors have been still for three seconds, in the pose in which the exercise
begins, their mean gives gyroscope bias and static pose, and exactly the state the filters would have after a rest, so
no column needs a start-up of its own and no other column notices. After a gap a column finds gravity again while bias,
pose, axis and count are kept.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from analytics.core.calibration import StillGate, axis_from_pose, improve_axis
from analytics.core.columns import Columns
from analytics.core.filters import (
    advance_filter,
    block_form,
    butterworth_sections,
    delay_at_rest_samples,
    rest_state,
)
from analytics.core.joint_angles import plane_of_axis, rotation_rad
from analytics.core.orientation import BoolArray, TickOrientation
from analytics.core.quaternions import FloatArray, unit
from analytics.core.segmentation import EndedRepetitions, RepetitionTracker
from analytics.exercises import EXERCISES, Measure, expected_range_deg
from analytics.results import ALGORITHM_VERSION, NOT_MEASURED_LIVE, REPETITION_DTYPE, Kind, Phase, Reason

_COLUMN_SHAPES: Final = {
    "last_sample": (6,),
    "static_bias_rad_s": (3,),
    "up_static": (3,),
    "axis": (3,),
    "axis_prior": (3,),
    "axis_prior_weight": (),
    "axis_moments": (6,),  # of the angular velocity [rad²/s²]
    "turned": (),  # rotation times its size, summed: its sign tells which way the segment goes [rad² s]
    "missing_run": (),  # samples missing in a row up to now
    "is_lost": (),
}
_SLOT_SHAPES: Final = {
    "angle_filter": (2, 2),
    "is_started": (),
    "was_judged": (),
    "valid_share_sum": (),
    "clipped_share": (),
    "last_rom_deg": (),
}
_TRUST_REASONS: Final = np.array([Reason.DATA_MISSING, Reason.CLIPPED, Reason.AXIS_UNKNOWN], np.uint8)
_HARDLY: Final = 1e-3  # a share that has died away
_SLOT_COUNT_SHAPES: Final = {"started_at": (), "clock": ()}
_ANY_POSE: Final = 2.0  # no cosine is further from the expected one


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineParameters:
    """Limits of the live analysis."""

    still_s: float = 3.0
    calibrating_after_s: float = 0.5  # of stillness: from then on the rest is being measured
    static_bias_max_rad_s: float = math.radians(7.5)
    resettle_s: float = 1.0  # after a gap the angle stays unknown for so long
    angle_cutoff_hz: float = 6.0
    axis_memory_s: float = 30.0  # of movement
    axis_moves_rad_s: float = 0.2  # forgets from here on
    axis_learns_rad_s: float = math.radians(2.0)  # below is rest and noise
    axis_known_moment: float = 1.0  # rad²/s², per tick
    axis_pose_moment: float = 3.0  # weight of an axis known from the pose, in the same unit
    axis_guess_moment: float = 1e-3
    axis_worn_moment: float = 0.3  # of a guess that alone tells the sign
    axis_from_worn_max_rad: float = math.radians(45)  # there: further away nothing tells the sign
    axis_from_level_max_rad: float = math.radians(60)  # a steeper axis hardly moves the vertical
    pose_max_rad: float = math.radians(55)  # from the start pose: between a slouch and a straightened knee
    turned_memory_s: float = 30.0
    turned_min_rad2_s: float = 0.0015  # some 5° for 0.2 s
    completeness_s: float = 10.0
    trusted_completeness: tuple[float, float] = (0.8, 0.98)  # trust rises from 0 to 1
    trusted_clipped_share: float = 0.1  # of the ticks; trust falls from 1 to 0
    calibration_old_s: float = 1800.0


@dataclass(frozen=True, kw_only=True, slots=True)
class _Masks:
    """Which slots and columns take part in one tick."""

    slots: BoolArray
    columns: BoolArray
    frozen_slots: npt.NDArray[np.intp]
    frozen_columns: npt.NDArray[np.intp]


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorCalibration:
    """How one sensor is understood; vectors in its own frame."""

    gyro_bias_rad_s: tuple[float, ...]
    up: tuple[float, ...]
    """Upwards in the start pose, of length 1."""
    axis: tuple[float, ...]
    """About which the segment turns, the angle growing the way the exercise asks; of length 1."""


class Engine:
    """Live analysis of up to `capacity` patients.

    Parameters
    ----------
    capacity : int
        Number of slots.
    sampling_rate_hz : float
        Of the grid on which all samples lie.
    n : int
        Samples per tick.
    parameters : EngineParameters

    Attributes
    ----------
    angle_deg : ndarray of float32, shape (n, capacity)
        Joint angle of the tick, NaN where unknown. [°]
    repetition_count : ndarray of int32, shape (capacity,)
    phase, reason : ndarray of uint8, shape (capacity,)
        `Phase` and `Reason`.
    trust, completeness : ndarray of float32, shape (capacity,)
        0 to 1, NaN where unknown; completeness is the share of samples present in the last 10 s.
    target_deg : ndarray of float32, shape (2, capacity)
        Lower and upper bound. [°]
    last_rom_deg : ndarray of float32, shape (capacity,)
        Of the last repetition, NaN before the first. [°]
    sample_clock : ndarray of int64, shape (capacity,)
        Samples since the slot was joined, to the end of the last tick it took part in: the clock of `start` and `stop`.
    """

    def __init__(
        self,
        capacity: int,
        *,
        sampling_rate_hz: float = 100.0,
        n: int = 10,
        parameters: EngineParameters = EngineParameters(),
    ) -> None:
        self.capacity = capacity
        self.n = n
        self.sampling_rate_hz = sampling_rate_hz
        self.parameters = p = parameters
        n_columns = 2 * capacity
        ticks_per_s = sampling_rate_hz / n
        self._tick_s = 1 / ticks_per_s
        self._still_ticks = math.ceil(p.still_s * ticks_per_s)
        self._resettle_ticks = math.ceil(p.resettle_s * ticks_per_s)
        self._window_ticks = round(p.completeness_s * ticks_per_s)

        self._orientation = TickOrientation(n_columns, n=n, sampling_rate_hz=sampling_rate_hz)
        self._gate = StillGate(n_columns)
        self._tracker = RepetitionTracker(capacity, n=n, sampling_rate_hz=sampling_rate_hz)
        self._columns = Columns(_COLUMN_SHAPES, n_columns, np.float32)
        self._slots = Columns(_SLOT_SHAPES, capacity, np.float32)
        self._slot_counts = Columns(_SLOT_COUNT_SHAPES, capacity, np.int64)
        self._history = Columns({"valid_share": (self._window_ticks,)}, capacity, np.float32)
        self._per_column = (self._orientation.state, self._gate.state, self._columns)
        self._per_slot = (self._slots, self._slot_counts, self._history, self._tracker.values, self._tracker.counts)

        sections = butterworth_sections(4, p.angle_cutoff_hz, sampling_rate_hz)
        self._angle_matrices = [block_form(*section, n).astype(np.float32) for section in sections]
        self._angle_rest = np.array([rest_state(*section) for section in sections], np.float32)[:, :, None]
        self._delay_samples = round(delay_at_rest_samples(sections))
        self._angle_block = np.zeros((n + 2, capacity), np.float32)
        self._angle_moved = np.zeros((n + 2, capacity), np.float32)

        self._is_joined = np.zeros(capacity, bool)
        self._is_required = np.zeros((2, capacity), bool)
        self._is_tilt = np.zeros(capacity, bool)
        self._scale = np.zeros((6, 1, 2, capacity), np.float32)
        self._part = np.zeros((2, capacity), np.float32)  # what a segment's rotation adds to the angle: 1, -1 or 0
        self._asked_direction = np.zeros((2, capacity), np.float32)
        self._worn_axis = np.zeros((3, 2, capacity), np.float32)
        self._is_sagittal = np.zeros(capacity, bool)
        self._pose_cosine = np.zeros((2, 2, capacity), np.float32)  # least and largest, of the segment to straight down
        self._is_axis_sound = np.ones(capacity, bool)
        self._neutral_deg = np.zeros(capacity, np.float32)
        self._direction = np.ones(capacity, np.float32)
        self._signals = np.zeros((6, n, 2, capacity), np.float32)
        self._last_completeness = np.zeros(capacity, np.float32)

        self.angle_deg = np.full((n, capacity), np.nan, np.float32)
        self.repetition_count = np.zeros(capacity, np.int32)
        self.phase = np.zeros(capacity, np.uint8)
        self.reason = np.zeros(capacity, np.uint8)
        self.trust = np.full(capacity, np.nan, np.float32)
        self.completeness = np.full(capacity, np.nan, np.float32)
        self.target_deg = np.full((2, capacity), np.nan, np.float32)
        self.last_rom_deg = np.full(capacity, np.nan, np.float32)
        self.sample_clock = np.zeros(capacity, np.int64)

    def join(
        self,
        slot: int,
        *,
        exercise: str,
        side: str,
        accel_scale_m_s2: Sequence[float],
        gyro_scale_rad_s: Sequence[float],
        sensors: Literal["both", "distal"] = "both",
        target_deg: tuple[float, float] | None = None,
        neutral_angle_deg: float | None = None,
    ) -> None:
        """Begin a set in a slot; the other slots notice nothing.

        Where the exercise is not measurable the slot stays OFF, with that reason.

        Parameters
        ----------
        slot : int
        exercise : str
            A code of `analytics.exercises.EXERCISES`.
        side : str
            "left" or "right": the limb that trains. The angles are the same on both.
        accel_scale_m_s2, gyro_scale_rad_s : (float, float)
            One unit of the raw samples, of the proximal and of the distal sensor. [m/s²], [rad/s]
        sensors : "both" or "distal"
            Which are worn.
        target_deg : (float, float), optional
            Instead of the exercise's own; lower and upper bound of the joint angle. [°]
        neutral_angle_deg : float, optional
            Joint angle in the start pose, instead of the exercise's own. [°]
            The pose itself is not measured: whoever starts at another angle is shown as far off throughout, with the
            right range of motion.

        Raises
        ------
        ValueError
            If the exercise needs a proximal sensor that is not worn, or its target lies at the start pose.
        KeyError
            If no exercise has this code.
        """
        definition = EXERCISES[exercise]
        if definition.needs_both_sensors and sensors == "distal":
            raise ValueError(f"{exercise} needs both sensors")
        neutral = definition.neutral_angle_deg if neutral_angle_deg is None else neutral_angle_deg
        target = definition.target_deg if target_deg is None else target_deg
        way = expected_range_deg(neutral, target)
        if way == 0:
            raise ValueError("the target lies at the start pose")
        self.leave(slot)
        if not definition.is_measurable:
            self.reason[slot] = Reason.NOT_MEASURABLE
            return
        self._is_joined[slot] = True
        self._is_required[:, slot] = (definition.needs_both_sensors, True)
        self._is_tilt[slot] = definition.measure is Measure.TILT
        self._scale[:3, 0, :, slot] = accel_scale_m_s2
        self._scale[3:, 0, :, slot] = gyro_scale_rad_s
        if definition.measure is Measure.HINGE_DIFFERENCE:
            self._part[:, slot] = (-1, 1)
        else:
            self._part[:, slot] = (0, definition.distal_direction * math.copysign(1, way))
        self._asked_direction[:, slot] = (definition.proximal_direction, definition.distal_direction)
        self._is_sagittal[slot] = definition.plane == "sagittal"
        self._worn_axis[:, :, slot] = np.array(definition.worn_axis(side))[:, None]
        stands = (definition.proximal_from_down_deg, definition.distal_from_down_deg)
        self._pose_cosine[:, :, slot] = np.transpose([self._pose_bounds(each) for each in stands])
        self._neutral_deg[slot] = neutral
        self._direction[slot] = math.copysign(1, way)
        self.target_deg[:, slot] = target
        self._tracker.prescribe(slot, abs(way))
        self.phase[slot] = Phase.WAITING_STILL
        self.reason[slot] = Reason.NOT_STILL

    def _pose_bounds(self, from_down_deg: float | None) -> tuple[float, float]:
        """Return between which cosines to straight down a segment stands as it should."""
        if from_down_deg is None:
            return -_ANY_POSE, _ANY_POSE
        middle, away = math.radians(from_down_deg), self.parameters.pose_max_rad
        return math.cos(min(middle + away, math.pi)), math.cos(max(middle - away, 0))

    def leave(self, slot: int) -> None:
        """End the set of a slot and forget everything about it."""
        self._is_joined[slot] = False
        self._is_required[:, slot] = False
        self._scale[..., slot] = 0
        for columns in self._per_slot:
            columns.clear(slot)
        for column in (slot, self.capacity + slot):
            self._gate.state.clear(column)
            self._columns.clear(column)
        self._slots["last_rom_deg"][slot] = np.nan
        self.angle_deg[:, slot] = np.nan
        self.target_deg[:, slot] = np.nan
        self.phase[slot] = Phase.OFF
        self.reason[slot] = Reason.NONE
        self.repetition_count[slot] = 0
        self.sample_clock[slot] = 0
        self.trust[slot] = self.completeness[slot] = self.last_rom_deg[slot] = np.nan

    def calibration(self, slot: int) -> tuple[SensorCalibration | None, SensorCalibration | None]:
        """Return how the proximal and the distal sensor are understood now; None: not used, or not known yet."""
        if not self._slots["is_started"][slot]:
            return None, None
        c, moving_bias = self._columns, self._orientation.state["bias_rad_s"]
        of_sensor = [
            SensorCalibration(
                gyro_bias_rad_s=tuple((c["static_bias_rad_s"][:, column] + moving_bias[:, column]).tolist()),
                up=tuple(c["up_static"][:, column].tolist()),
                axis=tuple(c["axis"][:, column].tolist()),
            )
            if is_required
            else None
            for column, is_required in zip((slot, self.capacity + slot), self._is_required[:, slot], strict=True)
        ]
        return of_sensor[0], of_sensor[1]

    def advance(
        self, raw: npt.NDArray[np.int16], valid: npt.NDArray[np.bool_], ready: npt.NDArray[np.bool_]
    ) -> npt.NDArray[Any]:
        """Move all ready slots by one tick.

        Parameters
        ----------
        raw : ndarray of int16, shape (2 * capacity, 6, n)
            Specific force x y z, angular velocity x y z, in units of the scales given to `join`.
        valid : ndarray of bool, shape (2 * capacity, n)
            Which samples are there.
        ready : ndarray of bool, shape (capacity,)
            Which slots have a tick of samples; the others keep their state bit by bit, their angle is unknown
            meanwhile.

        Returns
        -------
        repetitions : ndarray of REPETITION_DTYPE, shape (n_ended,)
            The repetitions that ended, in the order of the slots.
        """
        masks = self._masks(ready)
        saved = [state.take(masks.frozen_columns) for state in self._per_column]
        saved_slots = [state.take(masks.frozen_slots) for state in self._per_slot]
        self._scale_signals(raw)
        self._follow_clipping(raw, masks)
        present = self._handle_missing(valid, masks)
        signals = self._signals.reshape(6, self.n, -1)
        mean = signals.mean(axis=1)
        self._resume(mean, present, masks)
        known_columns = self._known_columns()
        angle, judged = self._measure(signals, mean, known_columns, masks)
        begins_anew = self._flipped | (judged & (self._slots["was_judged"] == 0))
        self._slots["was_judged"][:] = judged
        progress = self._low_pass(angle, begins_anew)
        ended = self._tracker.advance(progress, judged, begins_anew)
        rows = self._rows(ended)
        self._show(angle, judged, masks)
        self._start_still_slots(mean, present, masks)
        for state, columns in zip(self._per_column, saved, strict=True):
            state.put(masks.frozen_columns, columns)
        for state, columns in zip(self._per_slot, saved_slots, strict=True):
            state.put(masks.frozen_slots, columns)
        return rows

    def _masks(self, ready: BoolArray) -> _Masks:
        slots = self._is_joined & ready
        frozen = np.flatnonzero(self._is_joined & ~ready)
        return _Masks(
            slots=slots,
            columns=(self._is_required & slots).reshape(-1),
            frozen_slots=frozen,
            frozen_columns=np.concatenate([frozen, frozen + self.capacity]),
        )

    def _scale_signals(self, raw: npt.NDArray[np.int16]) -> None:
        """Transpose to (6, n, 2, capacity), series contiguous, and apply the scales."""
        by_axis = raw.reshape(self.capacity, 2, 6, self.n).transpose(2, 3, 1, 0)
        np.multiply(by_axis, self._scale, out=self._signals)

    def _follow_clipping(self, raw: npt.NDArray[np.int16], masks: _Masks) -> None:
        """Keep the share of ticks in which a sensor stood at the limit of its range."""
        limits = np.iinfo(np.int16)
        clipped = (raw.max(axis=(1, 2)) == limits.max) | (raw.min(axis=(1, 2)) == limits.min)
        at_limit = (clipped.reshape(-1, 2).T & self._is_required).any(axis=0)
        share = self._slots["clipped_share"]
        share += (at_limit - share) * (masks.slots / self._window_ticks)

    def _handle_missing(self, valid: npt.NDArray[np.bool_], masks: _Masks) -> BoolArray:
        """Fill short gaps, mark long ones, keep the completeness; return which columns have the whole tick."""
        c = self._columns
        n_valid = valid.sum(axis=1, dtype=np.int32).reshape(self.capacity, 2).T
        whole: BoolArray = (n_valid == self.n).reshape(-1)
        gappy = np.flatnonzero(masks.columns & ~whole)
        of_slot = (gappy % self.capacity) * 2 + gappy // self.capacity
        present = valid[of_slot].T
        signals = self._signals.reshape(6, self.n, -1)
        filled, longest, run = _fill(signals[..., gappy], present, c["last_sample"][:, gappy], c["missing_run"][gappy])
        signals[..., gappy] = filled
        np.copyto(c["missing_run"], 0, where=whole)
        c["missing_run"][gappy] = run
        lost = np.zeros(whole.shape, bool)
        lost[gappy] = longest > self.n
        np.copyto(c["is_lost"], 1, where=lost)
        c["last_sample"][:] = signals[:, -1]
        self._follow_completeness(n_valid, masks)
        return whole

    def _follow_completeness(self, n_valid: npt.NDArray[np.int32], masks: _Masks) -> None:
        slots, counts, history = self._slots, self._slot_counts, self._history["valid_share"]
        required = self._is_required
        share = (n_valid * required).sum(axis=0) / np.maximum(self.n * required.sum(axis=0), 1)
        ticks = counts["clock"] // self.n
        at, columns = ticks % self._window_ticks, np.arange(self.capacity)
        slots["valid_share_sum"][:] += (share - history[at, columns]) * masks.slots
        history[at, columns] = np.where(masks.slots, share, history[at, columns])
        counts["clock"][:] += self.n * masks.slots
        seen = np.minimum(ticks + 1, self._window_ticks)
        self._last_completeness[:] = slots["valid_share_sum"] / seen

    def _resume(self, mean: FloatArray, present: BoolArray, masks: _Masks) -> None:
        """Let slots that had lost their orientation begin to find gravity, once all their columns are there again."""
        c = self._columns
        lost = (c["is_lost"] > 0).reshape(2, -1)
        whole = (present.reshape(2, -1) | ~self._is_required).all(axis=0)
        back = lost.any(axis=0) & whole & masks.slots
        both = np.flatnonzero(np.tile(back, 2))
        c["is_lost"][both] = 0
        self._orientation.restart(both, mean[:3, both], is_settled=False, keeps_bias=True)

    def _known_columns(self) -> BoolArray:
        """Return the columns whose samples mean something: started, and not lost."""
        started = np.tile(self._slots["is_started"] > 0, 2) & self._is_required.reshape(-1)
        known: BoolArray = started & (self._columns["is_lost"] == 0)
        return known

    def _measure(
        self, signals: FloatArray, mean: FloatArray, known: BoolArray, masks: _Masks
    ) -> tuple[FloatArray, BoolArray]:
        """Return the joint angle (n, capacity) and where it is to be believed."""
        c = self._columns
        accel, gyro = signals[:3], signals[3:]
        rate = (mean[3:] - c["static_bias_rad_s"] - self._orientation.state["bias_rad_s"]).astype(np.float32)
        self._gyro_range = np.ptp(gyro, axis=1).max(axis=0)
        np.subtract(gyro, c["static_bias_rad_s"][:, None], out=gyro)
        np.copyto(gyro, 0, where=~known)
        np.copyto(accel, np.array([0, 0, 9.81], np.float32)[:, None, None], where=~known)
        up = self._orientation.advance(gyro, accel)
        settled = self._orientation.state["settle_ticks"] >= self._resettle_ticks
        usable = known & settled & masks.columns
        self._follow_axes(rate, up[:, -1], usable)
        judged: BoolArray = (usable.reshape(2, -1) | ~self._is_required).all(axis=0) & masks.slots
        judged &= self._is_axis_sound
        judged &= self._slots["is_started"] > 0
        return self._angle(up, judged), judged

    def _follow_axes(self, rate: FloatArray, up: FloatArray, usable: BoolArray) -> None:
        """Improve the hinge axes by the movement of this tick, and turn them the way the exercise asks."""
        c, p = self._columns, self.parameters
        moments = c["axis_moments"]
        rate = rate * usable
        x, y, z = rate
        square = (rate * rate).sum(axis=0)
        moves, learns = square > p.axis_moves_rad_s**2, square > p.axis_learns_rad_s**2
        np.multiply(moments, 1 - self._tick_s / p.axis_memory_s, out=moments, where=moves)
        np.add(moments, np.stack([x * x, y * y, z * z, x * y, x * z, y * z]), out=moments, where=learns)
        axis = improve_axis(c["axis"], moments, c["axis_prior"], c["axis_prior_weight"])
        first, second = plane_of_axis(axis, c["up_static"])
        turned_now = rotation_rad(up, first, second)
        turned = c["turned"]
        turned *= 1 - self._tick_s / p.turned_memory_s
        turned += turned_now * np.abs(turned_now) * self._tick_s * usable
        asked = self._asked_direction.reshape(-1)
        wrong_way = (turned * asked < 0) & (np.abs(turned) > p.turned_min_rad2_s)
        along_prior = (axis * c["axis_prior"]).sum(axis=0)
        flips = usable & np.where(asked == 0, along_prior < 0, wrong_way)
        sign = np.where(flips, np.float32(-1), np.float32(1))
        c["axis"][:] = axis * sign
        turned *= sign
        self._flipped = flips.reshape(2, -1).any(axis=0) & ~self._is_tilt
        is_steep = np.abs((axis * c["up_static"]).sum(axis=0)) > math.sin(p.axis_from_level_max_rad)
        has_no_sign = (asked == 0) & (np.abs(along_prior) < math.cos(p.axis_from_worn_max_rad))
        unsound = ((is_steep | has_no_sign).reshape(2, -1) & self._is_required).any(axis=0)
        self._is_axis_sound = ~unsound | self._is_tilt

    def _angle(self, up: FloatArray, judged: BoolArray) -> FloatArray:
        """Return the joint angle, finite everywhere, shape (n, capacity). [°]"""
        c = self._columns
        first, second = plane_of_axis(c["axis"], c["up_static"])
        part = self._part.reshape(-1)
        counts = part != 0
        first, second = first * counts, second * part
        along = np.einsum("ins,is->ns", up, first).reshape(self.n, 2, -1)
        across = np.einsum("ins,is->ns", up, second).reshape(self.n, 2, -1)
        along += (~counts).reshape(2, -1)
        real = along[:, 0] * along[:, 1] - across[:, 0] * across[:, 1]
        imaginary = along[:, 0] * across[:, 1] + across[:, 0] * along[:, 1]
        cosine = np.einsum("ins,is->ns", up[..., self.capacity :], c["up_static"][:, self.capacity :])
        sine = np.sqrt(np.maximum(1 - cosine * cosine, 0))
        np.copyto(real, cosine, where=self._is_tilt)
        np.copyto(imaginary, -sine * self._direction, where=self._is_tilt)
        turned = -np.arctan2(imaginary, real)
        angle: FloatArray = self._neutral_deg + np.float32(180 / math.pi) * turned * judged
        return angle

    def _low_pass(self, angle_deg: FloatArray, begins_anew: BoolArray) -> FloatArray:
        """Return the low-passed progress, shape (n, capacity). [°]"""
        block, moved, n = self._angle_block, self._angle_moved, self.n
        states = self._slots["angle_filter"]
        np.multiply(angle_deg - self._neutral_deg, self._direction, out=block[:n])
        np.copyto(states, block[0] * self._angle_rest, where=begins_anew)
        for matrix, state in zip(self._angle_matrices, states, strict=True):
            block[n:] = state
            advance_filter(matrix, block, moved)
            state[:] = block[n:]
            block[:n] = moved[:n]
        return block[:n]

    def _start_still_slots(self, mean: FloatArray, present: BoolArray, masks: _Masks) -> None:
        """Start the slots whose sensors have been still for long enough; they take part from the next tick on."""
        p, slots = self.parameters, self._slots
        usable = present & masks.columns & (self._columns["is_lost"] == 0)
        still_ticks = self._gate.advance(mean, self._gyro_range, usable)
        still_mean = self._gate.mean()
        bias = still_mean[3:]
        small_bias = ((bias * bias).sum(axis=0) < p.static_bias_max_rad_s**2).reshape(2, -1)
        not_required = ~self._is_required
        shortest = np.where(not_required, self._still_ticks, still_ticks.reshape(2, -1)).min(axis=0)
        waits = masks.slots & (slots["is_started"] == 0)
        is_still = shortest >= self._still_ticks
        may_start = is_still & (small_bias | not_required).all(axis=0)
        from_down = -still_mean[0] / np.maximum(np.sqrt((still_mean[:3] ** 2).sum(axis=0)), 1e-6)
        least, largest = self._pose_cosine
        in_pose = (from_down.reshape(2, -1) >= least) & (from_down.reshape(2, -1) <= largest)
        in_other_pose = may_start & ~(in_pose | not_required).all(axis=0)
        starts = waits & may_start & ~in_other_pose
        self._start(starts, still_mean)
        waits &= ~starts
        calibrating = shortest * self._tick_s >= p.calibrating_after_s
        phase = np.where(calibrating, Phase.CALIBRATING, Phase.WAITING_STILL)
        phase = np.where(in_other_pose, Phase.PAUSED_NOT_READY_POSE, phase)
        np.copyto(self.phase, phase.astype(np.uint8), where=waits)
        reason = np.where(is_still, Reason.BIAS_TOO_LARGE, np.where(calibrating, Reason.NONE, Reason.NOT_STILL))
        reason = np.where(in_other_pose, Reason.NOT_START_POSE, reason)
        whole = (usable.reshape(2, -1) | not_required).all(axis=0)
        reason = np.where(whole, reason, Reason.DATA_MISSING)
        np.copyto(self.reason, reason.astype(np.uint8), where=waits)

    def _start(self, starts: BoolArray, still_mean: FloatArray) -> None:
        """Take bias, static pose and a first axis from the rest that has just been seen."""
        c, p, slots, counts = self._columns, self.parameters, self._slots, self._slot_counts
        columns = np.flatnonzero(np.tile(starts, 2) & self._is_required.reshape(-1))
        mean = still_mean[:, columns]
        self._orientation.restart(columns, mean[:3], is_settled=True, keeps_bias=False)
        up = unit(mean[:3])
        worn = self._worn_axis.reshape(3, -1)[:, columns]
        axis, is_sure = axis_from_pose(up, worn, np.tile(self._is_sagittal, 2)[columns])
        c["static_bias_rad_s"][:, columns] = mean[3:]
        c["up_static"][:, columns] = up
        c["axis"][:, columns] = c["axis_prior"][:, columns] = axis
        worn_tells_sign = self._asked_direction.reshape(-1)[columns] == 0
        guess_weight = np.where(worn_tells_sign, p.axis_worn_moment, p.axis_guess_moment)
        c["axis_prior_weight"][columns] = np.where(is_sure, p.axis_pose_moment, guess_weight)
        c["axis_moments"][:, columns] = 0
        c["turned"][columns] = 0
        slot = np.flatnonzero(starts)
        slots["is_started"][slot] = 1
        counts["started_at"][slot] = counts["clock"][slot]
        self._tracker.open(starts)

    def _show(self, angle: FloatArray, judged: BoolArray, masks: _Masks) -> None:
        """Write what others read; slots that were not ready keep all but the angle."""
        slots, counts, p = self._slots, self._slot_counts, self.parameters
        taken = masks.slots
        started = slots["is_started"] > 0
        self.angle_deg[:] = np.where(judged, angle, np.nan)
        np.copyto(self.repetition_count, self._tracker.counts["count"].astype(np.int32), where=taken)
        np.copyto(self.sample_clock, counts["clock"], where=taken)
        np.copyto(self.last_rom_deg, slots["last_rom_deg"], where=taken)
        np.copyto(self.completeness, self._last_completeness, where=taken)
        phase = np.where(judged, self._tracker.phase, Phase.CALIBRATING)
        np.copyto(self.phase, phase.astype(np.uint8), where=taken & started)
        completeness, clipping, calibration = parts = self._trust_parts()
        trust = parts.min(axis=0)
        age_s = (counts["clock"] - counts["started_at"]) / self.sampling_rate_hz
        reason = np.where(calibration < 1, Reason.AXIS_UNKNOWN, Reason.NONE)
        reason = np.where(age_s > p.calibration_old_s, Reason.CALIBRATION_OLD, reason)
        reason = np.where(clipping < 1, Reason.CLIPPED, reason)
        reason = np.where((completeness < 1) | ~judged, Reason.DATA_MISSING, reason)
        reason = np.where(self._is_axis_sound, reason, Reason.AXIS_UNKNOWN)
        np.copyto(self.reason, reason.astype(np.uint8), where=taken & started)
        np.copyto(self.trust, np.where(judged, trust, 0), where=taken & started)

    def _trust_parts(self) -> FloatArray:
        """Return completeness, clipping and calibration, each 0 to 1, shape (3, capacity); trust is the least."""
        p, c, counts = self.parameters, self._columns, self._slot_counts
        none, full = p.trusted_completeness
        completeness = np.clip((self._last_completeness - none) / (full - none), 0, 1)
        clipping = np.clip(1 - (self._slots["clipped_share"] - _HARDLY) / p.trusted_clipped_share, 0, 1)
        moment = c["axis_moments"][:3].sum(axis=0).reshape(2, -1)[1]
        only_worn = self._asked_direction[1] == 0  # moves little; whether it is worn well shows against the guess
        known = (moment >= np.where(only_worn, 2 * p.axis_worn_moment, p.axis_known_moment)) | self._is_tilt
        old = counts["clock"] - counts["started_at"] > p.calibration_old_s * self.sampling_rate_hz
        calibration = np.where(known, 1.0, 0.6) * np.where(old, 0.8, 1.0)
        return np.stack([completeness, clipping, calibration])

    def _rows(self, ended: EndedRepetitions) -> npt.NDArray[Any]:
        slot = ended.slot
        rows = np.zeros(slot.shape, REPETITION_DTYPE)
        parts = self._trust_parts()[:, slot]
        direction, neutral = self._direction[slot], self._neutral_deg[slot]
        for name in NOT_MEASURED_LIVE:
            rows[name] = np.nan
        rows["slot"], rows["index"] = slot, ended.index
        begin = np.maximum(ended.start - self._delay_samples, 0)
        rows["start"], rows["stop"] = begin, ended.stop - self._delay_samples
        rows["peak"] = ended.peak_at - self._delay_samples
        rows["rom_deg"] = ended.rom_deg
        rows["peak_angle_deg"] = neutral + direction * ended.peak_deg
        rows["up_s"] = (ended.first_slow - ended.start) / self.sampling_rate_hz
        rows["hold_s"] = (ended.last_slow - ended.first_slow) / self.sampling_rate_hz
        rows["down_s"] = (ended.stop - ended.last_slow) / self.sampling_rate_hz
        rows["peak_speed_deg_s"] = ended.peak_speed_deg_s
        rows["kind"] = Kind.UNKNOWN
        rows["trust"] = parts.min(axis=0)
        rows["trust_completeness"], rows["trust_clipping"], rows["trust_calibration"] = parts
        rows["reason"] = np.where(rows["trust"] < 1, _TRUST_REASONS[parts.argmin(axis=0)], Reason.NONE)
        rows["algorithm_version"] = ALGORITHM_VERSION
        self._slots["last_rom_deg"][slot] = ended.rom_deg
        return rows


def _fill(
    signals: FloatArray, present: BoolArray, last_sample: FloatArray, missing_run: FloatArray
) -> tuple[FloatArray, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Interpolate missing samples between their neighbours; at the end of the tick the last one is held.

    Parameters
    ----------
    signals : ndarray, shape (6, n, n_columns)
    present : ndarray of bool, shape (n, n_columns)
    last_sample : ndarray, shape (6, n_columns)
        Of the previous tick.
    missing_run : ndarray, shape (n_columns,)
        How many samples up to now are missing in a row.

    Returns
    -------
    filled : ndarray, shape (6, n, n_columns)
    longest : ndarray, shape (n_columns,)
        The longest run of missing samples that this tick has seen, with those before it.
    run : ndarray, shape (n_columns,)
        Missing in a row at the end of the tick.
    """
    n = present.shape[0]
    at = np.arange(n)[:, None]
    before = np.maximum.accumulate(np.where(present, at, -1), axis=0)
    after = np.minimum.accumulate(np.where(present, at, n)[::-1], axis=0)[::-1]
    has_after = after < n
    with_last = np.concatenate([last_sample[:, None], signals], axis=1)
    left = np.take_along_axis(with_last, before[None] + 1, axis=1)
    right = np.take_along_axis(signals, np.where(has_after, after, 0)[None], axis=1)
    distance = np.maximum(after - before, 1)
    share = np.where(has_after, (at - before) / distance, 0).astype(np.float32)
    filled = np.where(present, signals, left + (right - left) * share)
    run_at = at - before + np.where(before < 0, missing_run.astype(np.intp), 0)
    return filled, run_at.max(axis=0, initial=0), run_at[-1]
