"""What the devices of a home sample, simulated or recorded, and how they describe it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np

from devices.wire import Schema
from firmware_sim.body import Anthropometry
from firmware_sim.homes import WornDevice
from firmware_sim.imu import ImuSensor, WornSensor, place
from firmware_sim.movement import Movement
from firmware_sim.parts import BMI270, FIELD_BIAS_DEG_S, ImuPart
from firmware_sim.replay import Recording
from firmware_sim.seeds import random_stream
from firmware_sim.streams import DeviceClock, RegularStream, Rows

DEFAULT_RATE_HZ: Final = 100.0
STRETCH_SAMPLES: Final = 200
FIRMWARE_VERSION: Final = "sim-1.0"


@dataclass(frozen=True, kw_only=True, slots=True)
class SensorErrors:
    """How wrong the sensors and how hurried the patients are; drawn anew for every device."""

    part: ImuPart = BMI270
    gyro_bias_deg_s: float | None = 0.5
    """Spread of the turn-on bias; None: the part's own."""
    has_field_bias: bool = False
    """Whether `parts.FIELD_BIAS_DEG_S` comes on top."""
    warming_k: float = 8.0
    misplacement_max_deg: float = 8.0


class SimulatedRows:
    """The rows of a simulated sensor, a stretch at a time.

    Parameters
    ----------
    worn : WornSensor
    sensor : ImuSensor
    clock_rate : float
        Device seconds per true second.
    lead_s : float
        When in the movement the device takes sample 0.
    period_us : int
        Between two samples, by the device's clock.
    """

    def __init__(
        self, worn: WornSensor, sensor: ImuSensor, *, clock_rate: float, lead_s: float, period_us: int
    ) -> None:
        self._worn = worn
        self._sensor = sensor
        self._period_s = period_us * 1e-6
        self._clock_rate = clock_rate
        self._lead_s = lead_s
        self._n_made = 0

    def __call__(self) -> Rows:
        """Return the next STRETCH_SAMPLES rows."""
        index = self._n_made + np.arange(STRETCH_SAMPLES)
        self._n_made += STRETCH_SAMPLES
        times_s = self._lead_s + index.astype(np.float64) * (self._period_s / self._clock_rate)
        return self._sensor.measure(*self._worn.ideal(times_s))


def simulated_stream(
    device: WornDevice,
    *,
    trained_side: str,
    movement: Movement,
    clock: DeviceClock,
    lead_s: float,
    seed: int,
    errors: SensorErrors,
    rate_hz: float = DEFAULT_RATE_HZ,
) -> RegularStream:
    """Return the stream of a simulated inertial sensor; its rows depend on seed, home and device alone."""
    body = Anthropometry()
    period_us = round(1e6 / rate_hz)
    worn = WornSensor(
        movement=movement,
        mounting=place(
            device.segment,
            side=device.side,
            body=body,
            misplacement_max_deg=errors.misplacement_max_deg,
            random=random_stream(seed, device.name, "place"),
        ),
        segment=device.segment,
        side=device.side,
        share=1.0 if device.side == trained_side else movement.other_sides_share,
        body=body,
    )
    sensor = ImuSensor(
        errors.part,
        seed=seed,
        device=device.name,
        sampling_rate_hz=rate_hz,
        gyro_bias_deg_s=errors.gyro_bias_deg_s,
        field_bias_deg_s=FIELD_BIAS_DEG_S if errors.has_field_bias else (0.0, 0.0, 0.0),
        warming_k=errors.warming_k,
    )
    return RegularStream(
        name=device.stream,
        schema=Schema.IMU6,
        period_us=period_us,
        first_us=clock.offset_us,
        next_rows=SimulatedRows(worn, sensor, clock_rate=clock.rate, lead_s=lead_s, period_us=period_us),
    )


def recorded_stream(
    device: WornDevice, *, clock: DeviceClock, recording: Recording, part: ImuPart = BMI270
) -> RegularStream:
    """Return the stream of a replayed recording, at its own rate."""
    return RegularStream(
        name=device.stream,
        schema=Schema.IMU6,
        period_us=recording.period_us,
        first_us=clock.offset_us,
        next_rows=partial(next, iter([recording.rows(part)]), None),
    )


def describe(device: WornDevice, *, rate_hz: float, part: ImuPart = BMI270) -> Mapping[str, Any]:
    """Return the meta of a device: what its streams are and what their numbers mean."""
    if device.kind == "heart":
        stream: dict[str, Any] = {
            "schema": int(Schema.HEART),
            "rate_hz": 0,
            "channels": [
                {"name": "heart_rate", "unit": "/min", "scale": 1, "range": [0, 250]},
                {"name": "rr", "unit": "s", "scale": 1 / 1024, "range": [0, 4]},
            ],
        }
    else:
        accel_range_m_s2 = round(part.accel_scale_m_s2 * 32768, 6)
        kinds = (
            ("accel", "m/s2", part.accel_scale_m_s2, accel_range_m_s2),
            ("gyro", "deg/s", part.gyro_scale_deg_s, part.gyro_range_deg_s),
        )
        stream = {
            "schema": int(Schema.IMU6),
            "rate_hz": rate_hz,
            "body_site": device.site,
            "channels": [
                {"name": f"{kind}_{axis}", "unit": unit, "scale": scale, "range": [-limit, limit]}
                for kind, unit, scale, limit in kinds
                for axis in "xyz"
            ],
        }
    return {
        "v": 1,
        "firmware": FIRMWARE_VERSION,
        "serial": f"sim-{device.name}",
        "part": part.name if device.kind == "imu6" else "strap",
        "streams": {device.stream: stream},
    }
