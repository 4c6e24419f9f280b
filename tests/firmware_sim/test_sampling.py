"""A sensor of another rate feels the same movement."""

import numpy as np

from firmware_sim.homes import WornDevice
from firmware_sim.movement import Movement
from firmware_sim.parts import BMI270
from firmware_sim.sampling import SensorErrors, describe, simulated_stream
from firmware_sim.streams import DeviceClock, RegularStream

DEVICE = WornDevice(
    name="shank-1", password="-", kind="imu6", stream="imu", site="shank_right", segment="shank", side="right"
)


def stream(rate_hz: float) -> RegularStream:
    return simulated_stream(
        DEVICE,
        trained_side="right",
        movement=Movement(seed=1, home="home1", exercise="knee_extension_seated", still_s=1.0),
        clock=DeviceClock(start_ns=0, offset_us=0, drift_ppm=0.0),
        lead_s=0.0,
        seed=1,
        errors=SensorErrors(gyro_bias_deg_s=0.0),
        rate_hz=rate_hz,
    )


def first_10_s(rate_hz: float) -> tuple[list[int], np.ndarray]:
    sampled = stream(rate_hz)
    blocks = [block for _ in range(round(rate_hz)) if (block := sampled.take(10)) is not None]
    rows = np.concatenate([np.frombuffer(block.body, "<i2").reshape(-1, 6) for block in blocks])
    return [block.t0_us for block in blocks], rows


def test_a_slower_and_a_faster_sensor_turn_by_the_same_angle() -> None:
    turned_deg = {}
    for rate_hz in (25.0, 100.0, 200.0):
        t0_us, rows = first_10_s(rate_hz)
        assert np.diff(t0_us).tolist() == [round(10 * 1e6 / rate_hz)] * (len(t0_us) - 1)
        turned_deg[rate_hz] = np.cumsum(rows[:, 3:] * BMI270.gyro_scale_deg_s / rate_hz, axis=0)
    pairs = ((turned_deg[100.0][::4], turned_deg[25.0]), (turned_deg[200.0][::2], turned_deg[100.0]))
    for fine, coarse in pairs:
        assert np.abs(fine - coarse).max() < 6.0
    assert np.abs(turned_deg[100.0]).max() > 60.0


def test_the_meta_names_the_rate() -> None:
    assert describe(DEVICE, rate_hz=25.0)["streams"]["imu"]["rate_hz"] == 25.0
