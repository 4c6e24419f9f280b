"""Thirty days of 38 simulated patients with planted deteriorations, for the flags.

What is drawn, and from where:

- *plan*: 3, 5 or 7 days a week (40, 40, 20 %); 1 to 3 measured exercises; attendance from Beta(16, 4), mean 80 %
  (79.7 % in 28 trials of video exercise); one patient in seven is ill for 2 to 5 excused days.
- *range of motion*: level of the exercise +-10 %, an exponential recovery of 0 to 20 degrees with a time constant of 14
  to 40 days. Each training session adds a strap shift per joint (Student t with 5 degrees of freedom, SD 3 degrees) and
  a good or bad day (SD 1.5); 2 % of the straps slip (SD 8 more, trust unchanged). 8 to 30 repetitions, each +-5 %; the
  median is kept. 5 % of the sessions have a low trust and angles that are wrong by SD 12.
- *missing*: the sensor is forgotten in 3 % of the trainings, its data are lost in 4 %, pain is not told in 10 %.
- *pain*: a level of 0 to 5, SD 0.8 from day to day, rounded; on 2 % of the days 2 to 3 points more, without meaning.
- *planted* in half of the patients, onset on day 10 to 22: loss of range of 10 to 25 degrees, sudden or over 5 to 12
  days; pain 2.5 to 5 points up, sudden or over 3 to 6 days; attendance to nothing; a device that falls silent; a sensor
  whose data are bad from now on. 10 degrees is where a loss exceeds what two therapists may differ by; 2 points of pain
  are the clinically important change.

The moment from which a deterioration **could be known** does not come from our rules. It is when an observer who knows
its onset, its shape and the true level before would be right with 95 % at one false alarm in a thousand looks
(Neyman-Pearson): for a measured value when the sum of (effect / SD)² over the usable training sessions reaches
(3.09 + 1.64)² = 22.4; for what is counted when chance alone would do it less than once in a thousand.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from math import exp, sqrt
from typing import Final

import numpy as np

from telerehab.care.flag_rules import PainReport, PatientFacts, PlannedDay, Sensor, Training
from telerehab.care.flags import Rule
from telerehab.care.range_change import RangeReading, joint_of

N_PATIENTS: Final = 38
N_DAYS: Final = 30
FIRST_DAY: Final = date(2026, 9, 7)  # a Monday
TRAINS_AT_HOUR: Final = 10
LOOKS_AT_HOUR: Final = 5
"""The rules look early next morning, when the day is over."""
STRAP_SD_DEG: Final = 3.0
DAY_SD_DEG: Final = 1.5
PAIN_SD: Final = 0.8
ROUNDING_SD: Final = 0.29
REPETITION_SHARE: Final = 0.05
LEVELS_DEG: Final = (
    ("knee_extension_seated", 75.0),
    ("heel_slide", 95.0),
    ("sit_to_stand", 85.0),
    ("shoulder_flexion", 125.0),
    ("elbow_flexion", 120.0),
)
WEEKDAYS: Final = {3: (0, 2, 4), 5: (0, 1, 2, 3, 4), 7: (0, 1, 2, 3, 4, 5, 6)}
INFORMATION_NEEDED: Final = (3.09 + 1.64) ** 2
CHANCE_MAX: Final = 0.001
FORGOTTEN, LOST, BAD = 0.03, 0.04, 0.05


class Planted(StrEnum):
    """What happens to a patient."""

    RANGE_GRADUAL = "range_gradual"
    RANGE_SUDDEN = "range_sudden"
    PAIN_GRADUAL = "pain_gradual"
    PAIN_SUDDEN = "pain_sudden"
    DROP_OUT = "drop_out"
    SILENT_DEVICE = "silent_device"
    BAD_SENSOR = "bad_sensor"


PLANTED: Final = (
    *(Planted.RANGE_GRADUAL,) * 4,
    *(Planted.RANGE_SUDDEN,) * 4,
    *(Planted.PAIN_GRADUAL,) * 2,
    *(Planted.PAIN_SUDDEN,) * 2,
    *(Planted.DROP_OUT,) * 3,
    *(Planted.SILENT_DEVICE,) * 2,
    *(Planted.BAD_SENSOR,) * 2,
)
RULES_OF: Final[Mapping[Planted | None, set[Rule]]] = {
    Planted.RANGE_GRADUAL: {Rule.RANGE_FALLING},
    Planted.RANGE_SUDDEN: {Rule.RANGE_FALLING},
    Planted.PAIN_GRADUAL: {Rule.PAIN_RISING, Rule.PAIN_HIGH},
    Planted.PAIN_SUDDEN: {Rule.PAIN_RISING, Rule.PAIN_HIGH},
    Planted.DROP_OUT: {Rule.DAYS_MISSED},
    Planted.SILENT_DEVICE: {Rule.DEVICE_SILENT},
    Planted.BAD_SENSOR: {Rule.SCORE_WITHHELD},
}


@dataclass(kw_only=True, frozen=True, slots=True)
class Deterioration:
    """What was planted in one patient, and by when it must be found."""

    kind: Planted
    onset: int
    """Day, from 0."""
    size: float
    cause_key: str | None
    """Which joint, where it is one; else any cause of the rule."""
    known_day: int | None
    """The day on which it could be known; None: not within the thirty days."""
    deadline_day: int | None
    """One planned session later."""


@dataclass(kw_only=True, slots=True)
class SimulatedPatient:
    """Everything that is recorded of one patient in thirty days."""

    planned_days: list[PlannedDay] = field(default_factory=list)
    trainings: list[Training] = field(default_factory=list)
    ranges: list[RangeReading] = field(default_factory=list)
    pains: list[PainReport] = field(default_factory=list)
    heard_at: list[datetime] = field(default_factory=list)
    deterioration: Deterioration | None = None

    def facts(self, day: int) -> PatientFacts:
        """Return what is known on the morning after a day."""
        today = FIRST_DAY + timedelta(days=day + 1)
        return PatientFacts(
            now=datetime(today.year, today.month, today.day, LOOKS_AT_HOUR, tzinfo=UTC),
            today=today,
            planned_days=tuple(each for each in self.planned_days if each.day < today),
            trainings=tuple(each for each in self.trainings if each.day < today),
            ranges=tuple(each for each in self.ranges if each.day < today),
            pains=tuple(each for each in self.pains if each.day < today),
            sensors=(
                Sensor(
                    name="sensor",
                    assigned_at=datetime.combine(FIRST_DAY, datetime.min.time(), UTC),
                    last_heard_at=max((at for at in self.heard_at if at.date() < today), default=None),
                ),
            ),
        )


def simulate(seed: int, *, n_patients: int = N_PATIENTS) -> list[SimulatedPatient]:
    """Return the patients of one seed; the first half of them has something planted."""
    random = np.random.default_rng([seed, n_patients])
    return [_simulate_patient(random, PLANTED[index] if index < len(PLANTED) else None) for index in range(n_patients)]


def _simulate_patient(random: np.random.Generator, kind: Planted | None) -> SimulatedPatient:
    """Return one patient, day by day."""
    patient = SimulatedPatient()
    weekdays = WEEKDAYS[int(random.choice([3, 5, 7], p=[0.4, 0.4, 0.2]))]
    attendance = float(random.beta(16, 4))
    ill_from = int(random.integers(0, N_DAYS)) if random.random() < 1 / 7 else N_DAYS
    ill_until = ill_from + int(random.integers(2, 6))
    chosen = [LEVELS_DEG[i] for i in random.choice(len(LEVELS_DEG), size=random.integers(1, 4), replace=False)]
    levels = {name: level * random.uniform(0.9, 1.1) for name, level in chosen}
    recovery_deg, recovery_days = random.uniform(0, 20), random.uniform(14, 40)
    pain_level = random.uniform(0, 5)
    onset, size, ramp_days = _plant(random, kind)
    affected = chosen[0][0]
    joint, joints = joint_of(affected), {joint_of(name) for name in levels}
    known = _Knowledge()
    for day in range(N_DAYS):
        today = FIRST_DAY + timedelta(days=day)
        grown = min(1.0, (day - onset + 1) / ramp_days) if kind and day >= onset else 0.0
        effect = size * grown
        if today.weekday() not in weekdays:
            continue
        is_ill = ill_from <= day < ill_until
        is_done = not is_ill and random.random() < (attendance if kind is not Planted.DROP_OUT or not grown else 0.0)
        patient.planned_days.append(PlannedDay(day=today, is_done=is_done, is_excused=is_ill))
        if kind is Planted.DROP_OUT and grown and not is_ill:
            known.count(day, chance=1 - attendance)
        if not is_done:
            continue
        draw = random.random()
        is_silent = draw < FORGOTTEN or (kind is Planted.SILENT_DEVICE and grown > 0)
        is_lost = draw < FORGOTTEN + LOST
        is_bad = random.random() < (0.9 if kind is Planted.BAD_SENSOR and grown else BAD)
        if not is_silent:
            patient.heard_at.append(_at(today))
        has_data = not is_silent and not is_lost
        patient.trainings.append(
            Training(id=f"{day}", at=_at(today), day=today, is_score_withheld=is_bad if has_data else None)
        )
        if kind is Planted.SILENT_DEVICE and grown:
            known.count(day, chance=FORGOTTEN)
        if kind is Planted.BAD_SENSOR and grown and has_data and is_bad:
            known.count(day, chance=BAD)
        if has_data:
            errors_deg = {joint: _strap_error_deg(random, is_bad=is_bad) for joint in sorted(joints)}
            day_deg = random.normal(0, DAY_SD_DEG)
            n_repetitions = int(random.integers(8, 31))
            for name, level in levels.items():
                true_deg = level + recovery_deg * (1 - exp(-min(day, onset) / recovery_days))
                loss_deg = effect if RULES_OF.get(kind) == {Rule.RANGE_FALLING} and joint_of(name) == joint else 0.0
                repetitions = random.normal(1.0, REPETITION_SHARE, n_repetitions) * (true_deg - loss_deg)
                rom_deg = float(np.median(repetitions)) + errors_deg[joint_of(name)] + day_deg
                patient.ranges.append(
                    RangeReading(
                        training_session_id=f"{day}",
                        day=today,
                        exercise=name,
                        side="right",
                        rom_deg=rom_deg,
                        repetition_count=n_repetitions,
                        trust=float(random.uniform(0.1, 0.5) if is_bad else random.uniform(0.6, 1.0)),
                    )
                )
                if loss_deg and not is_bad and name == affected:
                    median_sd = 1.25 * REPETITION_SHARE * true_deg / sqrt(n_repetitions)
                    known.measure(day, (loss_deg / sqrt(STRAP_SD_DEG**2 + DAY_SD_DEG**2 + median_sd**2)) ** 2)
        if random.random() < 0.9:
            rise = effect if kind in (Planted.PAIN_GRADUAL, Planted.PAIN_SUDDEN) else 0.0
            flare = random.uniform(2, 3) if random.random() < 0.02 else 0.0
            value = round(float(np.clip(pain_level + rise + flare + random.normal(0, PAIN_SD), 0, 10)))
            patient.pains.append(PainReport(id=f"{day}", day=today, value=value))
            if rise:
                known.measure(day, (rise / sqrt(PAIN_SD**2 + ROUNDING_SD**2)) ** 2)
    if kind is not None:
        patient.deterioration = Deterioration(
            kind=kind,
            onset=onset,
            size=size,
            cause_key=f"range:{joint}:right" if RULES_OF[kind] == {Rule.RANGE_FALLING} else None,
            known_day=known.day,
            deadline_day=_deadline(patient, kind, known.day),
        )
    return patient


class _Knowledge:
    """When it could be known."""

    def __init__(self) -> None:
        self.day: int | None = None
        self._information = 0.0
        self._chance = 1.0

    def measure(self, day: int, information: float) -> None:
        """Take in one measured value."""
        self._information += information
        if self.day is None and self._information >= INFORMATION_NEEDED:
            self.day = day

    def count(self, day: int, *, chance: float) -> None:
        """Take in one event that happens by chance with this probability."""
        self._chance *= chance
        if self.day is None and self._chance <= CHANCE_MAX:
            self.day = day


def _plant(random: np.random.Generator, kind: Planted | None) -> tuple[int, float, float]:
    """Return the day of onset, the full size and in how many days it is reached."""
    if kind is None:
        return N_DAYS, 0.0, 1.0
    onset = int(random.integers(10, 23))
    size_deg, pain = float(random.uniform(10, 25)), float(random.uniform(2.5, 5))
    if kind is Planted.RANGE_GRADUAL:
        return min(onset, 18), size_deg, float(random.uniform(5, 12))
    if kind is Planted.PAIN_GRADUAL:
        return min(onset, 18), pain, float(random.uniform(3, 6))
    return onset, size_deg if kind is Planted.RANGE_SUDDEN else pain, 1.0


def _strap_error_deg(random: np.random.Generator, *, is_bad: bool) -> float:
    """Return by how much all angles of one joint are off in one training session: strap, slip, bad data."""
    error_deg = random.standard_t(5) * STRAP_SD_DEG / sqrt(5 / 3)
    if random.random() < 0.02:
        error_deg += random.normal(0, 8)
    return float(error_deg + (random.normal(0, 12) if is_bad else 0))


def _deadline(patient: SimulatedPatient, kind: Planted, known_day: int | None) -> int | None:
    """Return the next planned session after a deterioration could be known; for measured ones, the next with data."""
    if known_day is None:
        return None
    known = FIRST_DAY + timedelta(days=known_day)
    if kind in (Planted.RANGE_GRADUAL, Planted.RANGE_SUDDEN):
        days = [each.day for each in patient.ranges if each.trust >= 0.5]
    elif kind in (Planted.PAIN_GRADUAL, Planted.PAIN_SUDDEN):
        days = [each.day for each in patient.pains]
    elif kind is Planted.DROP_OUT:
        days = [each.day for each in patient.planned_days if not each.is_excused]
    else:
        days = [each.day for each in patient.trainings]
    later = [day for day in days if day > known]
    return (min(later) - FIRST_DAY).days if later else None


def _at(day: date) -> datetime:
    """Return when a patient trains on a day."""
    return datetime(day.year, day.month, day.day, TRAINS_AT_HOUR, tzinfo=UTC)
