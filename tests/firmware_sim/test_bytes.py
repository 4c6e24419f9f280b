"""The bytes of a device depend on the seed and the device alone."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from firmware_sim.homes import WornDevice
from firmware_sim.link import FaultyLink, LinkFaults
from firmware_sim.movement import Movement
from firmware_sim.sampling import SensorErrors, simulated_stream
from firmware_sim.streams import DeviceClock


def digest(*, seed: int = 1, block_samples: int = 10, n_homes: int = 1, device: str = "shank-1") -> str:
    """The digest of 30 s of one device's rows, in a fleet of so many homes that are read in turn."""
    streams = []
    for number in range(n_homes):
        home = f"home{number}"
        for name, segment in (("thigh", "thigh"), ("shank", "shank")):
            worn = WornDevice(
                name=f"{name}-{number}" if number else (device if name == "shank" else "thigh-0"),
                password="-",
                kind="imu6",
                stream="imu",
                site=f"{segment}_right",
                segment=segment,
                side="right",
            )
            movement = Movement(seed=seed, home=home, exercise="knee_extension_seated")
            clock = DeviceClock(start_ns=0, offset_us=5, drift_ppm=17.0)
            streams.append(
                simulated_stream(
                    worn,
                    trained_side="right",
                    movement=movement,
                    clock=clock,
                    lead_s=0.03,
                    seed=seed,
                    errors=SensorErrors(),
                )
            )
    whole = hashlib.sha256()
    for _ in range(3000 // block_samples):
        for index, stream in enumerate(streams):
            block = stream.take(block_samples)
            if index == 1 and block is not None:
                whole.update(block.body)
    return whole.hexdigest()


def test_batching_and_the_size_of_the_fleet_change_no_byte() -> None:
    assert len({digest(), digest(block_samples=50), digest(block_samples=3), digest(n_homes=3)}) == 1


def test_another_seed_or_device_changes_the_bytes() -> None:
    assert len({digest(), digest(seed=2), digest(device="shank-9")}) == 3


def test_another_process_makes_the_same_bytes() -> None:
    program = "from tests.firmware_sim.test_bytes import digest; import sys; sys.stdout.write(digest())"
    root = Path(__file__).resolve().parents[2]
    process = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": "7"},
    )
    assert process.stdout == digest()


@pytest.mark.parametrize("share", [0.0, 0.1, 1.0])
def test_the_link_loses_doubles_and_damages_the_asked_share(share: float) -> None:
    def outcomes(**faults: float) -> list[list[bytes]]:
        link = FaultyLink(LinkFaults(**faults), seed=1, device="band-1")
        return [link.carry(b"frame" * 30) for _ in range(2000)]

    assert np.mean([carried == [] for carried in outcomes(loss=share)]) == pytest.approx(share, abs=0.02)
    assert np.mean([len(carried) == 2 for carried in outcomes(duplicates=share)]) == pytest.approx(share, abs=0.02)
    damaged = [carried[0] != b"frame" * 30 for carried in outcomes(corrupt=share)]
    assert np.mean(damaged) == pytest.approx(share, abs=0.02)
    assert outcomes(loss=share) == outcomes(loss=share)
