"""A recording of a real person, worn as if now: simulated firmware, intake, analysis; counted against the marks.

In made-up time here; over a real broker in real time among the long tests.
"""

import json
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlmodel import col, select

from devices.ports import Raw
from firmware_sim.firmware import DeviceConfig, Firmware, Outgoing
from firmware_sim.homes import WornDevice
from firmware_sim.replay import Recording, read_recording
from firmware_sim.sampling import describe, recorded_stream
from firmware_sim.streams import DeviceClock
from telerehab.attribution import Lending
from telerehab.db.engine import reading
from telerehab.db.tables import Repetition
from telerehab.intake.places import Places, Training
from telerehab.live_pipeline import LivePipeline
from tests.chaos.world import World
from tests.conftest import data_folder

S_NS = 1_000_000_000
STEP_NS = 50_000_000
START_UTC_US = 1_790_000_000_000_000
ADDED_REST_S = 4.0


def recording() -> Recording:
    folder = data_folder()
    assert folder is not None
    return read_recording(folder / "pt" / "s1e6.npz")


def worn_forearm() -> WornDevice:
    return WornDevice(
        name="forearm", password="", kind="imu6", stream="imu", site="forearm_right", segment="forearm", side="right"
    )


def count_matches(marks_s: NDArray[np.float64], counted_s: NDArray[np.float64]) -> int:
    """Return how many marked repetitions a counted one overlaps by more than half of the shorter."""
    matches = 0
    for start_s, stop_s in marks_s:
        overlap_s = np.minimum(counted_s[:, 1], stop_s) - np.maximum(counted_s[:, 0], start_s)
        shorter_s = np.minimum(counted_s[:, 1] - counted_s[:, 0], stop_s - start_s)
        matches += bool((overlap_s > 0.5 * shorter_s).any())
    return matches


def train_in_made_up_time(worn: Recording) -> NDArray[np.float64]:
    """Let firmware and intake talk to each other; return begin and end of each counted repetition [s]."""
    clock = DeviceClock(start_ns=0, offset_us=123_456_789, drift_ppm=15.0)
    device = worn_forearm()
    stream = recorded_stream(device, clock=clock, recording=worn)
    meta = describe(device, rate_hz=worn.rate_hz)
    firmware = Firmware(DeviceConfig(name=device.name, shard="00", boot=1, meta=meta), clock=clock, streams=[stream])
    training = Training(
        id=UUID(int=1),
        exercise="elbow_flexion",
        side="right",
        proximal=None,
        distal=device.name,
        heart=None,
        target_deg=(100.0, 140.0),
        opened_us=START_UTC_US,
    )
    pipeline = LivePipeline(capacity=2)
    lent = {device.name: Lending(UUID(int=2), START_UTC_US - 1_000_000)}
    pipeline.follow(Places(known_devices=frozenset({device.name}), trainings=(training,), lendings=lent))
    counted_us: list[tuple[int, int]] = []
    waiting: list[Outgoing] = []
    for now_ns in range(0, round((worn.duration_s + 1) * S_NS), STEP_NS):
        now_us = START_UTC_US + now_ns // 1000
        if now_ns == 0:
            waiting += firmware.connected(now_ns)
        waiting += firmware.produce(now_ns)[1] + firmware.tend(now_ns)
        raws = [Raw(message.topic, message.payload, now_us) for message in waiting]
        waiting = []
        effects = pipeline.step(raws, now_us=now_us, is_storing=True)
        answers = [*effects.outgoing, *pipeline.committed([b.key for b in effects.to_store.blocks], now_us=now_us)]
        for message in answers:
            waiting += firmware.received(message.topic, message.payload, now_ns)
        counted_us += [(each.start_us, each.stop_us) for each in effects.ended]
    assert firmware.tally.produced == firmware.tally.acknowledged > 0
    return (np.array(counted_us, np.float64).reshape(-1, 2) - START_UTC_US) * 1e-6


@pytest.mark.data
def test_thirty_elbow_flexions_of_a_real_person_are_counted() -> None:
    worn = recording()
    marks_s = np.array(worn.marks) / worn.rate_hz
    assert len(marks_s) == 30
    counted_s = train_in_made_up_time(worn)
    assert abs(len(counted_s) - 30) <= 1
    assert count_matches(marks_s, counted_s) >= 28


@pytest.mark.data
def test_the_report_names_the_rest_that_was_added() -> None:
    (added,) = recording().report()["added"]
    assert (added["what"], added["seconds"]) == ("declared rest before the recording", ADDED_REST_S)
    assert added["gyro_rad_s"] == [0, 0, 0]


@pytest.mark.data
@pytest.mark.long
@pytest.mark.timeout(600)
def test_thirty_elbow_flexions_are_counted_over_a_real_broker(tmp_path: Path) -> None:
    folder = data_folder()
    assert folder is not None
    with World(tmp_path, exercise="elbow_flexion", sites=("forearm_right",)) as world:
        world.start_role("broker")
        world.start_role("ingest")
        world.start_simulator(options=["--replay", str(folder / "pt" / "s1e6.npz")])
        assert world.wait_for_end("simulator", timeout_s=300) == 0
        world.stop("ingest")
        marks = [json.loads(line) for line in (world.truth / "home1.repetitions.jsonl").read_text().splitlines()]
        with reading(world.database.main) as db:
            rows = db.exec(select(Repetition).order_by(col(Repetition.index))).all()
            counted_s = np.array([(row.start_us, row.stop_us) for row in rows]) * 1e-6
    marks_s = np.array([(mark["start_us"], mark["stop_us"]) for mark in marks]) * 1e-6
    assert abs(len(counted_s) - 30) <= 1
    assert count_matches(marks_s, counted_s) >= 28
