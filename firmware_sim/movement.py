"""How a person trains: repetitions made of minimum-jerk transitions, with pauses, fidgets and sway.

A movement is a list of bouts, drawn one after the other from a stream of its own, so that it is the same whoever asks
and in whatever steps. Angles, rates and accelerations are closed forms of time.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from firmware_sim.body import COORDINATE_INDEX, COORDINATES, FloatArray, JointMotion
from firmware_sim.exercises import SIMULATED_EXERCISES
from firmware_sim.seeds import random_stream


class MovementPhase(IntEnum):
    """What the person is doing at one instant; column `phase` of the truth."""

    STILL = 0
    UP = 1
    HOLD = 2
    DOWN = 3
    PAUSE = 4


#: Coordinates that move the middle of the body; the others belong to the limb that trains.
_AXIAL: Final = frozenset({"shank_lean", "pelvis_tilt", "trunk_lean", "trunk_rotation"})
_DURATION_SPREAD: Final = 0.09
_STILL_BEFORE_REPETITION_S: Final = 0.9
_FIDGET_SHARE: Final = 0.3
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
    hold_s: tuple[float, float] = (0.0, 0.0)
    repetition: RepetitionTruth | None = None


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

    Examples
    --------
    >>> movement = Movement(seed=1, home="home1", exercise="knee_extension_seated", still_s=6.0)
    >>> movement.truth(np.array([0.0])).angle_deg.round().tolist()
    [90.0]
    """

    def __init__(
        self, *, seed: int, home: str, exercise: str, still_s: float = 6.0, n_repetitions: int | None = None
    ) -> None:
        self.exercise = SIMULATED_EXERCISES[exercise]
        self._random = random_stream(seed, home, "movement")
        self._n_repetitions = n_repetitions
        begins_deg = self.exercise.to_coordinate_deg(self.exercise.start_deg)
        start_deg = {**self.exercise.posture_deg, self.exercise.coordinate: begins_deg}
        start_rad = np.deg2rad([start_deg.get(name, 0.0) for name in COORDINATES])
        self._bouts = [_Bout(start_s=0.0, start_rad=start_rad, transitions=())]
        self._starts_s = [0.0]
        self._next_start_s = still_s
        self._next_start_rad = start_rad
        self._n_made = 0
        n_sways = len(_SWAY_DEG)
        self._sway_rad = np.deg2rad([size for _, size in _SWAY_DEG])
        self._sway_rad_s = 2 * np.pi * self._random.uniform(0.18, 0.35, n_sways)
        self._sway_phase = self._random.uniform(0, 2 * np.pi, n_sways)
        self._base_rad_s = 2 * np.pi * self._random.uniform(0.2, 0.5, 3)
        self._base_phase = self._random.uniform(0, 2 * np.pi, 3)

    def joints(self, times_s: FloatArray, *, trains: bool = True) -> JointMotion:
        """Return the angles of all coordinates at the asked instants, which must not descend.

        With `trains` false the limb is the other one, which only sways.
        """
        bouts = self._bouts_within(float(times_s[0]), float(times_s[-1]))
        angle = np.repeat(bouts[0].start_rad[:, None], times_s.size, axis=1)
        rate = np.zeros_like(angle)
        acceleration = np.zeros_like(angle)
        for transition in (each for bout in bouts for each in bout.transitions):
            if not trains and COORDINATES[transition.coordinate] not in _AXIAL:
                continue
            share, share_rate, share_acceleration = minimum_jerk((times_s - transition.start_s) / transition.duration_s)
            angle[transition.coordinate] += transition.size_rad * share
            rate[transition.coordinate] += transition.size_rad / transition.duration_s * share_rate
            acceleration[transition.coordinate] += transition.size_rad / transition.duration_s**2 * share_acceleration
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
                repetition[from_here] = self._n_made if bout.start_s > 0 else 0
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
        else:
            bout, stop_s = self._repetition()
            self._n_made += 1
        self._bouts.append(bout)
        self._starts_s.append(bout.start_s)
        moved = np.zeros(len(COORDINATES))
        for transition in bout.transitions:
            moved[transition.coordinate] += transition.size_rad
        self._next_start_rad = bout.start_rad + moved
        self._next_start_s = float(stop_s)

    def _stillness(self) -> _Bout:
        return _Bout(start_s=self._next_start_s, start_rad=self._next_start_rad, transitions=())

    def _repetition(self) -> tuple[_Bout, float]:
        exercise, random = self.exercise, self._random
        start_s = self._next_start_s
        up_s = exercise.up_s * _spread(random, _DURATION_SPREAD)
        hold_s = random.uniform(exercise.hold_low_s, exercise.hold_high_s)
        down_s = exercise.down_s * _spread(random, _DURATION_SPREAD)
        top_s, turn_s = start_s + up_s, start_s + up_s + hold_s
        stop_s = turn_s + down_s
        main = COORDINATE_INDEX[exercise.coordinate]
        begin_deg = float(exercise.to_angle_deg(np.rad2deg(self._next_start_rad[main])))
        peak_deg = random.uniform(exercise.target_low_deg, exercise.target_high_deg)
        end_deg = exercise.start_deg + random.uniform(-1, 1) * exercise.start_spread_deg
        transitions = [
            _transition(exercise.coordinate, start_s, up_s, exercise.sign * (peak_deg - begin_deg)),
            _transition(exercise.coordinate, turn_s, down_s, exercise.sign * (end_deg - peak_deg)),
        ]
        for secondary in exercise.secondary:
            size_deg = random.uniform(secondary.low_deg, secondary.high_deg)
            lag_s = random.uniform(0.0, 0.08)
            transitions.append(_transition(secondary.coordinate, start_s + lag_s, up_s - lag_s, size_deg))
            transitions.append(_transition(secondary.coordinate, turn_s + lag_s, down_s - lag_s, -size_deg))
        fidgets, still_from_s = self._fidget(stop_s)
        bout = _Bout(
            start_s=start_s,
            start_rad=self._next_start_rad,
            transitions=(*transitions, *fidgets),
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
