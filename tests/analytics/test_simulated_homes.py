"""The engine against the simulator of the product: another body, another hand."""

import numpy as np
import numpy.typing as npt
import pytest

from analytics import EXERCISES, Engine
from firmware_sim.body import Anthropometry
from firmware_sim.imu import BMI270, ImuSensor, WornSensor, place
from firmware_sim.movement import Movement
from firmware_sim.seeds import random_stream

SECONDS = 40
SIDES = ("left", "right")
SCALES = {
    "accel_scale_m_s2": (BMI270.accel_scale_m_s2,) * 2,
    "gyro_scale_rad_s": (float(np.radians(BMI270.gyro_scale_deg_s)),) * 2,
}


def worn(movement: Movement, segment: str, side: str, *, bias_deg_s: float) -> npt.NDArray[np.int16]:
    """Return the raw samples of one sensor, shape (6, n_samples)."""
    body, device = Anthropometry(), f"{segment}-{side}"
    sensor = ImuSensor(BMI270, seed=5, device=device, sampling_rate_hz=100, gyro_bias_deg_s=bias_deg_s)
    mounting = place(segment, side=side, body=body, misplacement_max_deg=8, random=random_stream(5, device, "place"))
    signals = WornSensor(movement=movement, mounting=mounting, segment=segment, side=side, trains=True, body=body)
    rows = [sensor.measure(*signals.ideal(second + np.arange(100) / 100)) for second in range(SECONDS)]
    together = np.concatenate(rows)
    return np.concatenate([together["accel"], together["gyro"]], axis=1).T.astype(np.int16)


@pytest.mark.parametrize(
    "exercise", ["knee_extension_seated", "sit_to_stand", "hip_abduction_standing", "elbow_flexion"]
)
def test_the_simulated_exercise_is_measured_and_counted(exercise: str) -> None:
    definition = EXERCISES[exercise]
    engine = Engine(len(SIDES))
    raw, truths, made = [], [], []
    for slot, side in enumerate(SIDES):
        movement = Movement(seed=3, home=side, exercise=exercise, still_s=4)
        for site in (definition.proximal_site, definition.distal_site):
            raw.append(worn(movement, site, side, bias_deg_s=2.0))
        truths.append(movement.truth(np.arange(SECONDS * 100) / 100).angle_deg)
        made.append([len(list(movement.repetitions_between(0, SECONDS - late_s))) for late_s in (0.5, 0.0)])
        engine.join(
            slot,
            exercise=exercise,
            side=side,
            accel_scale_m_s2=SCALES["accel_scale_m_s2"],
            gyro_scale_rad_s=SCALES["gyro_scale_rad_s"],
        )
    samples, angles = np.stack(raw), []
    valid, ready = np.ones((2 * len(SIDES), 10), bool), np.ones(len(SIDES), bool)
    for start in range(0, SECONDS * 100, 10):
        engine.advance(samples[..., start : start + 10], valid, ready)
        angles.append(engine.angle_deg.copy())
    error = np.concatenate(angles) - np.stack(truths, axis=1)
    assert (np.sqrt(np.nanmean(error**2, axis=0)) <= 5).all()
    at_least, at_most = np.transpose(made)  # the last one may end with the recording
    assert (engine.repetition_count >= at_least).all()
    assert (engine.repetition_count <= at_most).all()
