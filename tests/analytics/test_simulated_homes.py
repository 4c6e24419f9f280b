"""The engine against the simulator of the product: another body, another hand. All homes go through one engine."""

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest

from analytics import EXERCISES, Engine
from firmware_sim.body import Anthropometry
from firmware_sim.exercises import SIMULATED_EXERCISES
from firmware_sim.imu import ImuSensor, WornSensor, place
from firmware_sim.movement import Movement
from firmware_sim.parts import BMI270
from firmware_sim.seeds import random_stream

SECONDS: Final = 60
STILL_S: Final = 4
N_REPETITIONS: Final = 9  # as many as end in the recording, whoever makes them
PIECE_S: Final = 10
SEEDS: Final = (3, 4, 5)
ACCEL_SCALES: Final = (BMI270.accel_scale_m_s2,) * 2
GYRO_SCALES: Final = (float(np.radians(BMI270.gyro_scale_deg_s)),) * 2
ROM_ERROR_MAX_DEG: Final = {  # where the trunk leans or the upper arm swings meanwhile, which no sensor sees
    "elbow_flexion": 8.0,
    "shoulder_flexion": 4.0,
    "straight_leg_raise": 2.5,
    "marching": 2.5,
    "single_leg_stance": 2.5,
}
MADE_MIN: Final = {"single_leg_stance": 3}  # held for many seconds
HOMES: Final = [
    (exercise, side, seed)
    for exercise in SIMULATED_EXERCISES
    if EXERCISES[exercise].is_measurable
    for side in ("left", "right")
    for seed in SEEDS
]


def worn(movement: Movement, segment: str, side: str, *, seed: int) -> npt.NDArray[np.int16]:
    """Return the raw samples of one sensor, shape (6, n_samples)."""
    body, device = Anthropometry(), f"{segment}-{side}"
    sensor = ImuSensor(BMI270, seed=seed, device=device, sampling_rate_hz=100, gyro_bias_deg_s=2.0)
    mounting = place(segment, side=side, body=body, misplacement_max_deg=8, random=random_stream(seed, device, "place"))
    signals = WornSensor(movement=movement, mounting=mounting, segment=segment, side=side, share=1.0, body=body)
    starts_s = range(0, SECONDS, PIECE_S)
    rows = [sensor.measure(*signals.ideal(start_s + np.arange(100 * PIECE_S) / 100)) for start_s in starts_s]
    together = np.concatenate(rows)
    return np.concatenate([together["accel"], together["gyro"]], axis=1).T.astype(np.int16)


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What one home showed, against the truth."""

    made: int
    counted: int
    rmse_deg: float
    rom_error_deg: float
    trust: float


@cache
def shown() -> list[Shown]:
    engine = Engine(len(HOMES))
    raw = np.zeros((len(HOMES), 2, 6, 100 * SECONDS), np.int16)
    movements = []
    for slot, (exercise, side, seed) in enumerate(HOMES):
        definition = EXERCISES[exercise]
        movement = Movement(seed=seed, home=side, exercise=exercise, still_s=STILL_S, n_repetitions=N_REPETITIONS)
        movements.append(movement)
        if definition.needs_both_sensors:
            raw[slot, 0] = worn(movement, definition.proximal_site, side, seed=seed)
        raw[slot, 1] = worn(movement, definition.distal_site, side, seed=seed)
        engine.join(slot, exercise=exercise, side=side, accel_scale_m_s2=ACCEL_SCALES, gyro_scale_rad_s=GYRO_SCALES)
    valid, ready = np.ones((2 * len(HOMES), 10), bool), np.ones(len(HOMES), bool)
    angles, rows = [], []
    for start in range(0, SECONDS * 100, 10):
        rows.append(engine.advance(raw[..., start : start + 10].reshape(-1, 6, 10), valid, ready))
        angles.append(engine.angle_deg.copy())
    angle_deg, repetitions = np.concatenate(angles), np.concatenate(rows)
    return [
        _compare(movement, angle_deg[:, slot], repetitions["rom_deg"][repetitions["slot"] == slot], engine.trust[slot])
        for slot, movement in enumerate(movements)
    ]


def _compare(
    movement: Movement, angle_deg: npt.NDArray[np.float32], rom_deg: npt.NDArray[np.float32], trust: np.float32
) -> Shown:
    error_deg = angle_deg - movement.truth(np.arange(SECONDS * 100) / 100).angle_deg
    made = list(movement.repetitions_between(0, SECONDS))
    assert np.isfinite(error_deg[100 * STILL_S :]).all()
    n_both = min(len(made), len(rom_deg))
    rom_error_deg = rom_deg[:n_both] - [each.rom_deg for each in made[:n_both]]
    return Shown(
        made=len(made),
        counted=len(rom_deg),
        rmse_deg=float(np.sqrt(np.nanmean(error_deg**2))),
        rom_error_deg=float(np.abs(rom_error_deg).max()),
        trust=float(trust),
    )


@pytest.mark.parametrize("home", HOMES, ids=[f"{exercise}-{side}-{seed}" for exercise, side, seed in HOMES])
def test_the_simulated_home_is_measured_and_counted(home: tuple[str, str, int]) -> None:
    of_home = shown()[HOMES.index(home)]
    assert of_home.made >= MADE_MIN.get(home[0], N_REPETITIONS)
    assert of_home.counted == of_home.made
    assert of_home.rmse_deg <= 5
    assert of_home.rom_error_deg <= ROM_ERROR_MAX_DEG.get(home[0], 2)
    assert of_home.trust == 1
