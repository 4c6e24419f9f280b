"""Segments and sensors against closed forms and against integration."""

import numpy as np
import pytest
from numpy.typing import NDArray

from firmware_sim.body import (
    COORDINATES,
    GRAVITY_M_S2,
    SEGMENTS,
    Anthropometry,
    JointMotion,
    chain_to,
    lever_arm_m_s2,
    move_segment,
)
from firmware_sim.exercises import SIMULATED_EXERCISES
from firmware_sim.imu import Mounting, WornSensor, feel, place, rotation_about
from firmware_sim.movement import Movement
from firmware_sim.seeds import random_stream

BODY = Anthropometry()
Floats = NDArray[np.float64]


def joints(**angle_rate_acceleration: tuple[float, float, float]) -> JointMotion:
    """One instant: coordinates by name as (angle, rate, acceleration), all others at rest in 0."""
    values = np.zeros((3, len(COORDINATES), 1))
    for name, triple in angle_rate_acceleration.items():
        values[:, COORDINATES.index(name), 0] = triple
    return JointMotion(angle_rad=values[0], rate_rad_s=values[1], acceleration_rad_s2=values[2])


def worn(exercise: str, segment: str, *, side: str = "right", movement: Movement | None = None) -> WornSensor:
    return WornSensor(
        movement=movement or Movement(seed=3, home="home1", exercise=exercise, still_s=1.0),
        mounting=place(segment, side=side, body=BODY, misplacement_max_deg=8.0, random=random_stream(3, segment)),
        segment=segment,
        side=side,
        share=1.0,
        body=BODY,
    )


def sensor_rotation(sensor: WornSensor, times_s: Floats) -> Floats:
    """Sensor to earth, (3, 3, n_samples)."""
    return np.asarray(np.einsum("ijt,jk->ikt", sensor.motion(times_s).rotation, sensor.mounting.rotation))


def angle_between_deg(one: Floats, other: Floats) -> float:
    cosine = (np.trace(one.T @ other) - 1) / 2
    sine = np.linalg.norm(one.T @ other - other.T @ one) / np.sqrt(8)
    return float(np.degrees(np.arctan2(sine, cosine)))


def test_a_sensor_at_rest_feels_gravity_upwards_and_nothing_else() -> None:
    chain = chain_to("shank", side="right", body=BODY)
    motion = move_segment(
        chain,
        joints(hip_flexion=(np.pi / 2, 0, 0), knee_flexion=(np.pi / 3, 0, 0)),
        base_acceleration_m_s2=np.zeros((3, 1)),
    )
    # The thigh is level, the knee bent by 60 degrees: the foot is 30 degrees before the knee, "forwards" leans up.
    upwards = [GRAVITY_M_S2 * np.sin(np.pi / 6), 0.0, GRAVITY_M_S2 * np.cos(np.pi / 6)]
    assert motion.specific_force_m_s2[:, 0] == pytest.approx(upwards, rel=1e-12, abs=1e-12)
    assert not motion.rate_rad_s.any()


def test_a_swinging_shank_feels_the_lever_arm_of_the_closed_form() -> None:
    angle, rate, acceleration, arm_m = 0.4, 3.0, -11.0, 0.23
    motion = move_segment(
        chain_to("shank", side="right", body=BODY),
        joints(knee_flexion=(angle, rate, acceleration)),
        base_acceleration_m_s2=np.zeros((3, 1)),
    )
    mounting = Mounting(offset_m=np.array([0.0, 0.0, -arm_m]), rotation=np.eye(3))
    accel, gyro = feel(motion, mounting)
    # Hanging thigh, pendulum about the knee: along the shank w² r, across it r times the angular acceleration.
    expected = [
        -arm_m * acceleration - GRAVITY_M_S2 * np.sin(angle),
        0.0,
        GRAVITY_M_S2 * np.cos(angle) + arm_m * rate**2,
    ]
    assert accel[:, 0] == pytest.approx(expected, rel=1e-6)
    assert gyro[:, 0] == pytest.approx([0.0, rate, 0.0])


def test_a_turning_child_on_a_turning_parent_feels_the_gyroscopic_term() -> None:
    motion = move_segment(
        chain_to("thigh", side="right", body=BODY),
        joints(hip_flexion=(0, 2.0, 0), hip_rotation=(0, 3.0, 0)),
        base_acceleration_m_s2=np.zeros((3, 1)),
    )
    # Flexion turns about -y with 2 rad/s, rotation of the right thigh about -z with 3 rad/s: their cross product.
    assert motion.rate_rad_s[:, 0] == pytest.approx([0.0, -2.0, -3.0])
    assert motion.acceleration_rad_s2[:, 0] == pytest.approx(np.cross([0, -2.0, 0], [0, 0, -3.0]))


@pytest.mark.parametrize(
    ("exercise", "segment"),
    [
        ("knee_extension_seated", "shank"),
        ("sit_to_stand", "thigh"),
        ("elbow_flexion", "forearm"),
        ("bridge", "pelvis"),
        ("heel_raise", "foot"),
        ("shoulder_external_rotation_band", "hand"),
    ],
)
def test_integrating_the_perfect_gyroscope_returns_the_orientation(exercise: str, segment: str) -> None:
    sensor = worn(exercise, segment)
    rate_hz, duration_s = 500, 60
    midpoints_s = (np.arange(duration_s * rate_hz) + 0.5) / rate_hz
    _, gyro = sensor.ideal(midpoints_s)
    turned = sensor_rotation(sensor, np.array([0.0]))[..., 0]
    for rate in gyro.T:
        speed = float(np.linalg.norm(rate))
        if speed > 0:  # a foot that stands still turns not at all
            turned = turned @ rotation_about(rate / speed, speed / rate_hz)
    truth = sensor_rotation(sensor, np.array([duration_s], np.float64))[..., 0]
    assert angle_between_deg(turned, truth) <= 0.01


@pytest.mark.parametrize(
    ("exercise", "segment"),
    [
        ("knee_extension_seated", "thigh"),
        ("knee_extension_seated", "shank"),
        ("sit_to_stand", "shank"),
        ("sit_to_stand", "thigh"),
        ("hip_abduction_standing", "shank"),
        ("elbow_flexion", "forearm"),
        ("bridge", "thigh"),
        ("heel_raise", "thigh"),
        ("marching", "foot"),
        ("hand_to_head", "hand"),
        ("trunk_rotation_seated", "upper_arm"),
    ],
)
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_perfect_accelerometer_is_the_second_derivative_of_the_place(
    exercise: str, segment: str, side: str
) -> None:
    sensor = worn(exercise, segment, side=side)
    step_s = 1e-3
    times_s: Floats = np.asarray(1.0 + step_s * np.arange(3000), np.float64)
    accel, _ = sensor.ideal(times_s)
    place_m = place_of(sensor, times_s)
    moved = (place_m[:, 2:] - 2 * place_m[:, 1:-1] + place_m[:, :-2]) / step_s**2
    in_earth = np.einsum("ijt,jt->it", sensor_rotation(sensor, times_s), accel)[:, 1:-1]
    in_earth -= sensor.movement.base_acceleration_m_s2(times_s)[:, 1:-1]
    in_earth[2] -= GRAVITY_M_S2
    assert np.abs(moved).max() > 0.01
    # Minimum jerk has corners in its jerk, which a difference over two steps rounds off.
    assert np.abs(in_earth - moved).max() < 0.02 * np.abs(moved).max()
    assert np.sqrt(np.mean((in_earth - moved) ** 2)) < 1e-3 * np.sqrt(np.mean(moved**2))


def place_of(sensor: WornSensor, times_s: Floats) -> Floats:
    """Where the sensor is, summed up link by link from the rotations of the chain's beginnings, (3, n_samples)."""
    movement = sensor.movement
    chain = chain_to(sensor.segment, side=sensor.side, body=BODY, carried_by=movement.exercise.carried_by)
    still = np.zeros((3, times_s.size))
    total = np.zeros((3, times_s.size))
    for index in range(len(chain) + 1):
        is_end = index == len(chain)
        offset = sensor.mounting.offset_m if is_end else np.array(getattr(chain[index], "offset_m", (0.0, 0.0, 0.0)))
        before = move_segment(chain[:index], movement.joints(times_s), base_acceleration_m_s2=still)
        total += np.einsum("ijt,j->it", before.rotation, offset)
    return total


def test_the_chain_ends_where_a_seated_persons_ankle_is() -> None:
    posture = joints(hip_flexion=(np.pi / 2, 0, 0), knee_flexion=(np.pi / 2, 0, 0))
    shank = move_segment(chain_to("shank", side="left", body=BODY), posture, base_acceleration_m_s2=np.zeros((3, 1)))
    assert shank.rotation[..., 0] == pytest.approx(np.eye(3), abs=1e-12)


def test_no_movement_means_no_lever_arm() -> None:
    nothing = np.zeros((3, 4))
    assert not lever_arm_m_s2(np.ones(3), rate_rad_s=nothing, acceleration_rad_s2=nothing).any()


def test_every_simulated_exercise_has_its_segments() -> None:
    for exercise in SIMULATED_EXERCISES.values():
        for segment in SEGMENTS:
            chain = chain_to(segment, side="left", body=BODY, carried_by=exercise.carried_by)
            assert chain, segment
