"""A sensor that is put on and moved with opens a training session; one that lies, falls or is carried does not."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from telerehab.attribution import Lending
from telerehab.intake.device_starts import TOLD_AGAIN_US, DeviceStarts
from tests.telerehab.intake.bodies import PATIENT, START_US, House, knee, shank, training

ASSIGNMENT = UUID(int=77)
BLOCK_S = 0.1
Gyro = Callable[[float], float]


def _seconds_until_told(gyro_rad_s: Gyro, *, for_s: float = 120) -> float | None:
    """Return when a device that turns like this is told."""
    starts = DeviceStarts()
    starts.follow({"shank-1": ASSIGNMENT})
    rng = np.random.default_rng(1)
    for step in range(round(for_s / BLOCK_S)):
        at_s = step * BLOCK_S
        block: NDArray[np.float64] = rng.normal(0, 0.01, (10, 3))
        block[:, 2] += gyro_rad_s(at_s)
        starts.note("shank-1", block, at_us=round(at_s * 1e6))
        if starts.take_started(round(at_s * 1e6)):
            return at_s
    return None


@pytest.mark.parametrize(
    ("why", "gyro"),
    [
        ("it lies on the table", lambda at_s: 0.0),
        ("somebody knocks against the table now and then", lambda at_s: 3.0 if at_s % 10 < 0.3 else 0.0),
        ("it is taken out of the box and put down", lambda at_s: 2.0 if 5 < at_s < 11 else 0.0),
        ("it lies on a washing machine", lambda at_s: 0.3 * np.sin(at_s * 60)),
    ],
)
def test_a_device_that_nobody_wears_is_not_told(why: str, gyro: Gyro) -> None:
    assert _seconds_until_told(gyro) is None, why


def test_a_device_that_somebody_trains_with_is_told_soon() -> None:
    told_s = _seconds_until_told(lambda at_s: 1.5 * np.sin(2 * np.pi * at_s / 4))
    assert told_s is not None
    assert 10 < told_s < 20


def test_a_started_device_is_told_again_only_after_a_while_and_not_when_its_patient_trains() -> None:
    house = House(knee(), [])
    house.sensors[1].signal = shank
    idle = replace(house.places, idle={"shank-1": ASSIGNMENT}, lendings={"shank-1": Lending(PATIENT, START_US)})
    house.pipeline.follow(idle)
    house.run(60)
    told_steps = [place for place, effects in enumerate(house.effects) for _ in effects.started]
    assert len(told_steps) >= 2
    assert all(later - earlier >= TOLD_AGAIN_US / 50_000 for earlier, later in pairwise(told_steps))
    assert {each for effects in house.effects for each in effects.started} == {ASSIGNMENT}
    house.effects.clear()
    house.follow([training()])
    house.run(40)
    assert [each for effects in house.effects for each in effects.started] == []
