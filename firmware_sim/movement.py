"""How a person trains: repetitions made of minimum-jerk transitions, with pauses, fidgets and sway.

A movement is a list of bouts, drawn one after the other from a stream of its own, so that it is the same whoever asks
and in whatever steps. Angles, rates and accelerations are closed forms of time.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware_sim.body import COORDINATE_INDEX, COORDINATES, FloatArray, JointMotion
from firmware_sim.exercises import SIMULATED_EXERCISES, Secondary
from firmware_sim.faults import FATIGUE_REPETITIONS, SECONDARY_OF, Fault
from firmware_sim.seeds import random_stream


class MovementPhase(IntEnum):
    """What the person is doing at one instant; column `phase` of the truth."""

    STILL = 0
    UP = 1
    HOLD = 2
    DOWN = 3
    PAUSE = 4


#: Coordinates that move the middle of the body; the others belong to the limb that trains.
_AXIAL: Final = frozenset({"shank_lean", "pelvis_tilt", "pelvis_list", "trunk_lean", "trunk_rotation"})
_DURATION_SPREAD: Final = 0.09
_STILL_BEFORE_REPETITION_S: Final = 0.9
_FIDGET_SHARE: Final = 0.3
_BUMP_S: Final = 0.2
_TREMOR_DEG_S: Final = 20.0
_TREMOR_SWELLS_HZ: Final = 0.3
#: Sway of a sitting or standing person: coordinate, size [deg].
_SWAY_DEG: Final = (("pelvis_tilt", 0.1), ("trunk_lean", 0.12), ("hip_rotation", 0.05), ("shank_lean", 0.1))
_SWAY_BASE_M: Final = 0.0015


@dataclass(frozen=True, kw_only=True, slots=True)
class RepetitionTruth:
    """One repetition as it was made; times since the start of the movement [s]."""

    index: int
    start_s: float
    peak_s: float
    stop_s: float
    rom_deg: float
    peak_deg: float


@dataclass(frozen=True, kw_only=True, slots=True)
class PoseTruth:
    """Joint angle and segment directions at the asked instants, each of shape (n_samples,)."""

    angle_deg: FloatArray
    proximal_deg: FloatArray
    distal_deg: FloatArray
    phase: npt.NDArray[np.uint8]
    repetition: npt.NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Transition:
    """A coordinate goes by `size_rad` within `[start_s, start_s + duration_s)` of the movement."""

    coordinate: int
    start_s: float
    duration_s: float
    size_rad: float


@dataclass(frozen=True, kw_only=True, slots=True)
class _Bout:
    """A stretch of the movement: the angles it begins with, what changes in it, and its repetition if it is one."""

    start_s: float
    start_rad: FloatArray
    transitions: tuple[_Transition, ...]
    n_before: int = 0
    hold_s: tuple[float, float] = (0.0, 0.0)
    repetition: RepetitionTruth | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Way:
    """How a coordinate gets from one angle to another: (start [s], duration [s], size [deg]) of each piece."""

    pieces: tuple[tuple[float, float, float], ...]
    duration_s: float


class Movement:
    """The movement of one home; depends on the seed and the home's name alone.

    Parameters
    ----------
    seed : int
    home : str
    exercise : str
        One of SIMULATED_EXERCISES.
    still_s : float
        Length of the still start [s].
    n_repetitions : int, optional
        After so many the person sits still; without it there is no end.
    faults : mapping of Fault to float
        How large each is, 0 to 1.

    Raises
    ------
    ValueError
        For a size that is not within 0 and 1.

    Examples
    --------
    >>> movement = Movement(seed=1, home="home1", exercise="knee_extension_seated", still_s=6.0)
    >>> movement.truth(np.array([0.0])).angle_deg.round().tolist()
    [90.0]
    """

    def __init__(
        self,
        *,
        seed: int,
        home: str,
        exercise: str,
        still_s: float = 6.0,
        n_repetitions: int | None = None,
        faults: Mapping[Fault, float] = MappingProxyType({}),
    ) -> None:
        if not all(0 <= size <= 1 for size in faults.values()):
            raise ValueError("the size of a fault lies between 0 and 1")
        self.exercise = SIMULATED_EXERCISES[exercise]
        self._random = random_stream(seed, home, "movement")
        self._chance = random_stream(seed, home, "movement faults")
        self._size = {fault: faults.get(fault, 0.0) for fault in Fault}
        self._tremor_hz = float(self._chance.uniform(4.0, 12.0))
        self._n_repetitions = n_repetitions
        begins_deg = self.exercise.to_coordinate_deg(self.exercise.start_deg)
        start_deg = {**self.exercise.posture_deg, self.exercise.coordinate: begins_deg}
        start_rad = np.deg2rad([start_deg.get(name, 0.0) for name in COORDINATES])
        self._bouts = [_Bout(start_s=0.0, start_rad=start_rad, transitions=())]
        self._starts_s = [0.0]
        self._next_start_s = still_s
        self._next_start_rad = start_rad
        self._n_made = 0
        self._has_tried = False
        n_sways = len(_SWAY_DEG)
        self._sway_rad = np.deg2rad([size for _, size in _SWAY_DEG])
        self._sway_rad_s = 2 * np.pi * self._random.uniform(0.18, 0.35, n_sways)
        self._sway_phase = self._random.uniform(0, 2 * np.pi, n_sways)
        self._base_rad_s = 2 * np.pi * self._random.uniform(0.2, 0.5, 3)
        self._base_phase = self._random.uniform(0, 2 * np.pi, 3)

    @property
    def other_sides_share(self) -> float:
        """How far the other limb moves, of the way of the one that trains."""
        return 1 - 0.6 * self._size[Fault.ASYMMETRY] if self.exercise.moves_both_sides else 0.0

    def joints(self, times_s: FloatArray, *, share: float = 1.0) -> JointMotion:
        """Return the angles of all coordinates at the asked instants, which must not descend.

        `share` is how much of the way the limb goes that is meant: of one that rests 0, it only sways.
        """
        bouts = self._bouts_within(float(times_s[0]), float(times_s[-1]))
        angle = np.repeat(bouts[0].start_rad[:, None], times_s.size, axis=1)
        rate = np.zeros_like(angle)
        acceleration = np.zeros_like(angle)
        for transition in (each for bout in bouts for each in bout.transitions):
            size_rad = transition.size_rad * (1.0 if COORDINATES[transition.coordinate] in _AXIAL else share)
            if size_rad == 0:
                continue
            way, way_rate, way_acceleration = minimum_jerk((times_s - transition.start_s) / transition.duration_s)
            angle[transition.coordinate] += size_rad * way
            rate[transition.coordinate] += size_rad / transition.duration_s * way_rate
            acceleration[transition.coordinate] += size_rad / transition.duration_s**2 * way_acceleration
        if self._size[Fault.TREMOR] and share:
            main = COORDINATE_INDEX[self.exercise.coordinate]
            for of_all, of_tremor in zip((angle, rate, acceleration), self._tremor(times_s), strict=True):
                of_all[main] += of_tremor
        sway = self._sway_rad_s[:, None] * times_s + self._sway_phase[:, None]
        rows = [COORDINATE_INDEX[name] for name, _ in _SWAY_DEG]
        angle[rows] += self._sway_rad[:, None] * np.sin(sway)
        rate[rows] += (self._sway_rad * self._sway_rad_s)[:, None] * np.cos(sway)
        acceleration[rows] -= (self._sway_rad * self._sway_rad_s**2)[:, None] * np.sin(sway)
        return JointMotion(angle_rad=angle, rate_rad_s=rate, acceleration_rad_s2=acceleration)

    def base_acceleration_m_s2(self, times_s: FloatArray) -> FloatArray:
        """Return the sway of the chain's base, earth frame, shape (3, n_samples) [m/s²]."""
        phase = self._base_rad_s[:, None] * times_s + self._base_phase[:, None]
        result: FloatArray = -_SWAY_BASE_M * self._base_rad_s[:, None] ** 2 * np.sin(phase)
        return result

    def truth(self, times_s: FloatArray) -> PoseTruth:
        """Return what really happened at the asked instants, which must not descend."""
        degrees = np.rad2deg(self.joints(times_s).angle_rad)
        phase = np.zeros(times_s.size, np.uint8)
        repetition = np.zeros(times_s.size, np.uint16)
        for bout in self._bouts_within(float(times_s[0]), float(times_s[-1])):
            made = bout.repetition
            if made is None:
                from_here = times_s >= bout.start_s
                phase[from_here] = MovementPhase.STILL
                repetition[from_here] = bout.n_before
                continue
            edges = (made.start_s, *bout.hold_s, made.stop_s)
            phases = (MovementPhase.UP, MovementPhase.HOLD, MovementPhase.DOWN, MovementPhase.PAUSE)
            for edge_s, value in zip(edges, phases, strict=True):
                phase[times_s >= edge_s] = value
            repetition[times_s >= made.start_s] = made.index + 1
        return PoseTruth(
            angle_deg=self.exercise.to_angle_deg(degrees[COORDINATE_INDEX[self.exercise.coordinate]]),
            proximal_deg=_weighted(self.exercise.proximal, degrees),
            distal_deg=_weighted(self.exercise.distal, degrees),
            phase=phase,
            repetition=repetition,
        )

    def repetitions_between(self, start_s: float, stop_s: float) -> Iterator[RepetitionTruth]:
        """Return the repetitions that ended within `[start_s, stop_s)`, in order."""
        for bout in self._bouts_within(start_s, stop_s):
            if bout.repetition is not None and start_s <= bout.repetition.stop_s < stop_s:
                yield bout.repetition

    def _bouts_within(self, start_s: float, stop_s: float) -> list[_Bout]:
        """Return the bouts that touch `[start_s, stop_s]`; makes those that do not exist yet."""
        while self._next_start_s <= stop_s:
            self._make_bout()
        first = bisect_right(self._starts_s, start_s) - 1
        return self._bouts[max(first, 0) : bisect_right(self._starts_s, stop_s)]

    def _make_bout(self) -> None:
        if self._n_repetitions is not None and self._n_made >= self._n_repetitions:
            bout, stop_s = self._stillness(), np.inf
        elif not self._has_tried and self._chance.random() < self._size[Fault.FALSE_STARTS]:
            bout, stop_s = self._attempt(0.2, 0.5)
        elif not self._has_tried and self._chance.random() < self._size[Fault.ABANDONED] / 2:
            bout, stop_s = self._attempt(0.45, self.exercise.up_s)
        else:
            bout, stop_s = self._repetition()
            self._n_made += 1
        self._has_tried = bout.repetition is None
        self._bouts.append(bout)
        self._starts_s.append(bout.start_s)
        moved = np.zeros(len(COORDINATES))
        for transition in bout.transitions:
            moved[transition.coordinate] += transition.size_rad
        self._next_start_rad = bout.start_rad + moved
        self._next_start_s = float(stop_s)

    def _stillness(self) -> _Bout:
        return _Bout(start_s=self._next_start_s, start_rad=self._next_start_rad, transitions=(), n_before=self._n_made)

    def _attempt(self, share: float, half_s: float) -> tuple[_Bout, float]:
        """Return a start that is given up: a share of the way and back, which is no repetition."""
        start_s, exercise = self._next_start_s, self.exercise
        whole_deg = (exercise.target_low_deg + exercise.target_high_deg) / 2 - exercise.start_deg
        size_deg = exercise.sign * share * self._range_share() * whole_deg
        there = _transition(exercise.coordinate, start_s, half_s, size_deg)
        back = _transition(exercise.coordinate, start_s + half_s, half_s, -size_deg)
        bout = _Bout(start_s=start_s, start_rad=self._next_start_rad, transitions=(there, back), n_before=self._n_made)
        return bout, start_s + 2 * half_s + _STILL_BEFORE_REPETITION_S

    def _repetition(self) -> tuple[_Bout, float]:
        exercise, random = self.exercise, self._random
        start_s = self._next_start_s
        time_share = self._time_share()
        up_s = exercise.up_s * _spread(random, _DURATION_SPREAD) * time_share / (1 + self._size[Fault.ARMS_USED] / 2)
        hold_s = random.uniform(exercise.hold_low_s, exercise.hold_high_s)
        down_s = exercise.down_s * _spread(random, _DURATION_SPREAD) * time_share
        main = COORDINATE_INDEX[exercise.coordinate]
        begin_deg = float(exercise.to_angle_deg(np.rad2deg(self._next_start_rad[main])))
        peak_deg = random.uniform(exercise.target_low_deg, exercise.target_high_deg)
        peak_deg = exercise.start_deg + self._range_share() * (peak_deg - exercise.start_deg)
        end_deg = exercise.start_deg + random.uniform(-1, 1) * exercise.start_spread_deg
        up, down = self._way(peak_deg - begin_deg, up_s), self._way(end_deg - peak_deg, down_s)
        top_s = start_s + up.duration_s
        turn_s = top_s + hold_s
        stop_s = turn_s + down.duration_s
        transitions = [
            _transition(exercise.coordinate, begins_s + after_s, lasts_s, exercise.sign * size_deg)
            for begins_s, way in ((start_s, up), (turn_s, down))
            for after_s, lasts_s, size_deg in way.pieces
        ]
        for secondary, share in self._secondaries():
            size_deg = share * random.uniform(secondary.low_deg, secondary.high_deg)
            lag_s = random.uniform(0.0, 0.08)
            transitions.append(_transition(secondary.coordinate, start_s + lag_s, up.duration_s - lag_s, size_deg))
            transitions.append(_transition(secondary.coordinate, turn_s + lag_s, down.duration_s - lag_s, -size_deg))
        fidgets, still_from_s = self._fidget(stop_s)
        bout = _Bout(
            start_s=start_s,
            start_rad=self._next_start_rad,
            transitions=(*transitions, *fidgets),
            n_before=self._n_made,
            hold_s=(top_s, turn_s),
            repetition=RepetitionTruth(
                index=self._n_made,
                start_s=start_s,
                peak_s=top_s,
                stop_s=stop_s,
                rom_deg=max(abs(peak_deg - begin_deg), abs(peak_deg - end_deg)),
                peak_deg=peak_deg,
            ),
        )
        return bout, still_from_s + _STILL_BEFORE_REPETITION_S + random.uniform(0.0, 0.6)

    # --- faults ----------------------------------------------------------------------------------------------------

    def _fatigue(self) -> float:
        return self._size[Fault.FATIGUE] * min(self._n_made / FATIGUE_REPETITIONS, 1.0)

    def _range_share(self) -> float:
        return (1 - 0.6 * self._size[Fault.REDUCED_RANGE]) * (1 - 0.3 * self._fatigue())

    def _time_share(self) -> float:
        slow = (1 + 0.5 * self._fatigue()) * (1 + self._size[Fault.SUBMOVEMENTS])
        return slow / (1 + 1.5 * self._size[Fault.FAST])

    def _secondaries(self) -> Iterator[tuple[Secondary, float]]:
        """Yield what goes along, the exercise's own first, and how much of it."""
        own_share = self._range_share()
        for secondary in self.exercise.secondary:
            yield secondary, own_share
        for fault, secondary in SECONDARY_OF.items():
            if self._size[fault]:
                yield secondary, self._size[fault]

    def _way(self, size_deg: float, duration_s: float) -> _Way:
        """Return a way in as many pieces as the faults make of it: one, without any."""
        size = self._size
        n_pieces = 1 + round(4 * size[Fault.SUBMOVEMENTS])
        stops_s = 1.5 * size[Fault.PAINFUL_ARC]
        if size[Fault.FREEZING] and self._chance.random() < 1 / 2:
            stops_s += size[Fault.FREEZING] * self._chance.uniform(1.0, 3.0)
        if stops_s:
            n_pieces = max(n_pieces, 2)
        each_s, each_deg = duration_s / n_pieces, size_deg / n_pieces
        pieces = [
            (number * each_s + (stops_s if 2 * number >= n_pieces else 0.0), each_s, each_deg)
            for number in range(n_pieces)
        ]
        whole_s = duration_s + stops_s
        if size[Fault.JERKY]:
            bump_deg = 6.0 * size[Fault.JERKY]
            for number in range(int(whole_s / (2 * _BUMP_S))):
                begin_s = 2 * number * _BUMP_S
                pieces += [(begin_s, _BUMP_S, bump_deg), (begin_s + _BUMP_S, _BUMP_S, -bump_deg)]
        return _Way(pieces=tuple(pieces), duration_s=whole_s)

    def _tremor(self, times_s: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the tremor, a sine whose size comes and goes: angle [rad], rate [rad/s], acceleration [rad/s²]."""
        fast, slow = 2 * np.pi * self._tremor_hz, 2 * np.pi * _TREMOR_SWELLS_HZ
        size_rad = np.deg2rad(_TREMOR_DEG_S) * self._size[Fault.TREMOR] / fast
        swell = 1 + 0.5 * np.sin(slow * times_s)
        swell_rate, swell_acceleration = 0.5 * slow * np.cos(slow * times_s), -0.5 * slow**2 * np.sin(slow * times_s)
        sine, cosine = np.sin(fast * times_s), np.cos(fast * times_s)
        return (
            size_rad * swell * sine,
            size_rad * (swell_rate * sine + swell * fast * cosine),
            size_rad * (swell_acceleration * sine + 2 * swell_rate * fast * cosine - swell * fast**2 * sine),
        )

    def _fidget(self, stop_s: float) -> tuple[list[_Transition], float]:
        """Return a small movement that goes nowhere, now and then, and from when on the person is still."""
        random = self._random
        if random.random() >= _FIDGET_SHARE:
            return [], stop_s
        half_s, begin_s = random.uniform(0.25, 0.4), stop_s + random.uniform(0.1, 0.3)
        transitions = []
        for coordinate in (self.exercise.coordinate, "hip_rotation"):
            size_deg = random.uniform(1.0, 3.0) * random.choice([-1.0, 1.0])
            transitions.append(_transition(coordinate, begin_s, half_s, size_deg))
            transitions.append(_transition(coordinate, begin_s + half_s, half_s, -size_deg))
        return transitions, begin_s + 2 * half_s


def minimum_jerk(share_of_time: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return way, rate and acceleration of a minimum-jerk transition from 0 to 1 in unit time; at rest outside.

    Examples
    --------
    >>> way, rate, acceleration = minimum_jerk(np.array([-1.0, 0.25, 0.5, 2.0]))
    >>> way.tolist(), rate.max().tolist(), acceleration.max().tolist()
    ([0.0, 0.103515625, 0.5, 1.0], 1.875, 5.625)
    """
    u = np.clip(share_of_time, 0.0, 1.0)
    rest = 1.0 - u
    way = u**3 * (10.0 + u * (6.0 * u - 15.0))
    return way, 30.0 * (u * rest) ** 2, 60.0 * u * rest * (1.0 - 2.0 * u)


def _transition(coordinate: str, start_s: float, duration_s: float, size_deg: float) -> _Transition:
    return _Transition(
        coordinate=COORDINATE_INDEX[coordinate],
        start_s=start_s,
        duration_s=duration_s,
        size_rad=float(np.deg2rad(size_deg)),
    )


def _spread(random: np.random.Generator, share: float) -> float:
    return float(1.0 + share * np.clip(random.standard_normal(), -2.5, 2.5))


def _weighted(weights: Mapping[str, float], degrees: FloatArray) -> FloatArray:
    result = np.zeros(degrees.shape[1])
    for name, weight in weights.items():
        result += weight * degrees[COORDINATE_INDEX[name]]
    return result
