"""A kit comes back with half an hour unsent and is lent again: through the real intake and the real database.

Device, intake, stores and API are the product's and the simulator's; only time and the network are the test's.
"""

import json
import struct
import zlib
from collections import Counter
from collections.abc import Iterable
from uuid import UUID

import numpy as np
import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from devices.ports import Raw
from devices.wire import IMU6_DTYPE, Schema
from firmware_sim.firmware import DeviceConfig, Firmware, Outgoing
from firmware_sim.streams import DeviceClock, RegularStream, Rows
from telerehab.attribution import Unattributed, find_owner
from telerehab.clock import from_us, to_us, utc_now
from telerehab.db.assignment_rows import read_lendings
from telerehab.db.engine import reading, writing
from telerehab.db.provisioning import assign_device
from telerehab.db.tables import Block, Repetition
from telerehab.intake.hot_reads import read_clocks
from telerehab.intake.hot_store import HotStore
from telerehab.intake.main_store import write_repetitions
from telerehab.intake.places import read_places
from telerehab.live_pipeline import LivePipeline
from telerehab.roles.ingest import restore_order
from tests.telerehab.api.world import World, new_id, training
from tests.telerehab.intake.bodies import ACCEL_SCALE, GYRO_SCALE, Signal, catch_up, shank, thigh

SITES = {"s-1": "thigh_right", "s-2": "shank_right"}
SIGNALS: dict[str, Signal] = {"s-1": thigh, "s-2": shank}
UNSENT_S = 1_818.8  # so that whoever has the kit next begins with a still moment
ROUND_S = 26.0  # still, then five repetitions
STEP_S = 0.05
FIT_ERROR_US = 20_000


def device(name: str, *, start_ns: int) -> Firmware:
    """Return the simulator's device with a knee that never stops moving; its clock runs 80 ppm fast."""
    clock = DeviceClock(start_ns=start_ns, offset_us=77_000_000, drift_ppm=80.0)
    taken = [0]

    def rows() -> Rows:
        t_s = (taken[0] + np.arange(500)) * 0.01
        taken[0] += 500
        felt = SIGNALS[name](np.mod(t_s, ROUND_S)) + np.random.default_rng(taken[0]).normal(0, 1, (500, 6)) * (
            [0.02] * 3 + [0.1] * 3
        )
        values = np.round(felt / ([ACCEL_SCALE] * 3 + [GYRO_SCALE] * 3)).astype("<i2")
        made = np.zeros(500, IMU6_DTYPE)
        made["accel"], made["gyro"] = values[:, :3], values[:, 3:]
        return made

    channels = [
        {"name": f"{kind}_{axis}", "unit": unit, "scale": scale, "range": [-1, 1]}
        for kind, unit, scale in (("accel", "m/s2", ACCEL_SCALE), ("gyro", "deg/s", GYRO_SCALE))
        for axis in "xyz"
    ]
    meta = {"v": 1, "streams": {"imu": {"schema": 1, "rate_hz": 100, "channels": channels}}}
    stream = RegularStream(name="imu", schema=Schema.IMU6, period_us=10_000, first_us=77_000_000, next_rows=rows)
    return Firmware(DeviceConfig(name=name, shard="00", boot=3, meta=meta), clock=clock, streams=[stream])


class Chain:
    """Two devices and an intake with its stores, in made-up time."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.devices = {name: device(name, start_ns=world.clock.utc_ns()) for name in SITES}
        self.pipeline = LivePipeline(capacity=4)
        self.is_sloppy = False
        self.ended_count = 0
        self._online: set[str] = set()
        self._to_devices: list[tuple[str, bytes]] = []
        self._to_server: list[Outgoing] = []

    @property
    def now_us(self) -> int:
        return to_us(utc_now(self.world.clock))

    def connect(self) -> None:
        for name, firmware in self.devices.items():
            self._to_server += firmware.connected(self.world.clock.utc_ns())
            self._online.add(name)

    def disconnect(self) -> None:
        for firmware in self.devices.values():
            firmware.disconnected()
        self._online.clear()
        self._to_server.clear()

    def command(self, name: str, **content: object) -> None:
        self._to_devices += [(f"cmd/1/{each}/{name}", json.dumps(content).encode()) for each in self.devices]

    def be_offline(self, seconds: float) -> None:
        self.disconnect()
        self.world.clock.advance(seconds)
        for firmware in self.devices.values():
            firmware.produce(self.world.clock.utc_ns())
            firmware.tend(self.world.clock.utc_ns())

    def run(self, seconds: float) -> None:
        """Let time pass; every fifth step everything is committed."""
        for number in range(round(seconds / STEP_S)):
            self.world.clock.advance(STEP_S)
            if number % 20 == 0:
                self.follow()
            self._devices_step()
            raws = [self._raw(each) for each in self._to_server]
            self._to_server = []
            effects = self.pipeline.step(raws, now_us=self.now_us, is_storing=True)
            self._commit(effects.to_store)
            write_repetitions(self.world.database.main, effects.ended)
            self.ended_count += len(effects.ended)
            self._to_devices += [(message.topic, message.payload) for message in effects.outgoing]

    def follow(self) -> None:
        with reading(self.world.database.main) as db:
            self.pipeline.follow(read_places(db, now=utc_now(self.world.clock)))

    def restart_intake(self) -> int:
        """Begin with nothing but the stores; return how many repetitions were found in them."""
        self.pipeline = LivePipeline(capacity=4)
        with reading(self.world.database.main) as db:
            places = read_places(db, now=utc_now(self.world.clock))
        restore_order(self.pipeline, self.world.database, places, now_us=self.now_us)
        ended = catch_up(self.pipeline, self.world.database)
        write_repetitions(self.world.database.main, ended)
        return len(ended)

    def _devices_step(self) -> None:
        now_ns = self.world.clock.utc_ns()
        for topic, payload in self._to_devices:
            for name in self._online:
                if f"/{name}" in topic:
                    self._to_server += self.devices[name].received(topic, payload, now_ns)
        self._to_devices = []
        for name, firmware in self.devices.items():
            made = firmware.produce(now_ns)[1]
            if name in self._online:
                self._to_server += made
                self._to_server += firmware.tend(now_ns)

    def _raw(self, message: Outgoing) -> Raw:
        topic, payload = message.topic, message.payload
        if self.is_sloppy and topic.startswith("bf/"):  # what it kept comes as if it were new
            head = struct.pack("<HBBH", 0x5254, 1, 1, 0) + payload[6:28]
            payload = head + struct.pack("<I", zlib.crc32(payload[32:], zlib.crc32(head))) + payload[32:]
            topic = "rt/" + topic.removeprefix("bf/")
        return Raw(topic, payload, self.now_us)

    def _commit(self, effects: object) -> None:
        store = HotStore(self.world.database.hot, group_wait_s=0)
        if not store.offer(effects):  # type: ignore[arg-type]
            raise AssertionError("the queue is full")
        if store.n_queued_rows:
            store.start()
            assert store.close(timeout_s=30)
        acks = self.pipeline.committed(store.take_committed(), now_us=self.now_us)
        self._to_devices += [(ack.topic, ack.payload) for ack in acks]


def lend_all(manager: TestClient, patient_id: UUID) -> set[str]:
    """Lend both sensors; return what was said, "" where it went well."""
    answers = [
        manager.post(f"/api/patients/{patient_id}/assignments", json={"device_name": name, "body_site": site}).json()
        for name, site in SITES.items()
    ]
    return {"" if isinstance(each, list) else each["code"] for each in answers}


def open_training(world: World, patient_id: UUID) -> str:
    training_session = new_id()
    body = training(patient_id, exercise="knee_extension_seated", side="right")
    answer = world.as_staff("therapist").put(f"/api/training-sessions/{training_session}", json=body)
    assert answer.status_code == 200, answer.text
    return training_session


def repetitions(world: World, training_session: str) -> list[Repetition]:
    with reading(world.database.main) as db:
        rows = db.exec(select(Repetition).where(Repetition.training_session_id == UUID(training_session)))
        return sorted(rows, key=lambda row: row.index)


def come_back(chain: Chain, manager: TestClient, karen: UUID) -> tuple[str, int, int]:
    """Let Karen train, lose the network, train half an hour more, and bring the kit back; return her training."""
    world = chain.world
    assert lend_all(manager, karen) == {""}
    lent_us = chain.now_us
    training_session = open_training(world, karen)
    chain.connect()
    chain.run(16)
    assert len(repetitions(world, training_session)) >= 2, "the chain works"
    chain.command("rate", stream="imu", n=500)
    chain.run(0.2)
    chain.be_offline(UNSENT_S)
    assert all(firmware.n_kept > 250 for firmware in chain.devices.values())
    manager = world.as_staff("team_manager")  # half an hour ends a login
    world.as_staff("therapist").post(f"/api/training-sessions/{training_session}/close", json={"reason": "done"})
    for assignment in manager.get(f"/api/patients/{karen}/assignments").json():
        manager.post(f"/api/assignments/{assignment['id']}/end")
    returned_us = chain.now_us
    chain.be_offline(60)
    return training_session, lent_us, returned_us


def owners(world: World, *, counted: str = "blocks") -> Counter[tuple[UUID | Unattributed, str]]:
    """Return how many stored blocks, or samples, of each device belong to whom."""
    with reading(world.database.main) as db:
        lendings = read_lendings(db, SITES)
    with reading(world.database.hot) as db:
        clocks = read_clocks(db, SITES)
        blocks: Iterable[Block] = db.exec(select(Block)).all()
    found: Counter[tuple[UUID | Unattributed, str]] = Counter()
    for block in blocks:
        stop_us = block.t0_us + block.n_samples * 10_000
        owner = find_owner(
            block.t0_us, stop_us, clock=clocks.get((block.device, block.boot)), lendings=lendings[block.device]
        )
        found[owner, block.device] += 1 if counted == "blocks" else block.n_samples
    return found


@pytest.mark.parametrize("is_sloppy", [False, True], ids=["as backfill", "as if it were new"])
def test_hazard_h2_half_an_hour_unsent_reaches_neither_wrong_patient(sqlite_world: World, is_sloppy: bool) -> None:
    """Somebody lends the kit past the rule that it has to be empty: even then nobody gets what is not theirs."""
    world = sqlite_world
    manager, (karen, bo) = world.as_staff("team_manager"), world.here.patient_ids
    for name in SITES:
        manager.post("/api/devices", json={"name": name, "kind": "imu6"})
    chain = Chain(world)
    chain.is_sloppy = is_sloppy
    of_bo = open_training(world, bo)  # so what Karen does lies in it, by its time
    of_karen, lent_us, returned_us = come_back(chain, manager, karen)
    manager = world.as_staff("team_manager")
    before = len(repetitions(world, of_karen))
    with writing(world.database.main, owner="web") as db:
        for name, site in SITES.items():
            assign_device(db, device_name=name, patient_id=bo, body_site=site, starts_at=utc_now(world.clock))
    bos_us = chain.now_us
    chain.connect()
    chain.command("rate", stream="imu", n=10)
    chain.run(20)
    assert chain.restart_intake() == 0
    chain.run(4)

    assert all(firmware.n_kept < 20 for firmware in chain.devices.values()), "all has come"
    assert len(repetitions(world, of_karen)) == before, "what comes after she was done changes nothing of hers"
    made = repetitions(world, of_bo)
    assert made, "the kit serves Bo"
    assert [row for row in made if row.start_us < bos_us] == []
    (slot,) = range(1)
    grid = chain.pipeline.slots.grid
    assert grid.server_us_at(slot, 0) >= bos_us - 1_000_000
    found = owners(world)
    assert set(found) == {
        (owner, name) for owner in (karen, bo, Unattributed.OUTSIDE_ASSIGNMENTS, Unattributed.ACROSS_BORDER)
        for name in SITES
    }  # fmt: skip
    for name, firmware in chain.devices.items():
        clock = firmware._clock  # the truth, which nothing of the product has
        with reading(world.database.hot) as db:
            blocks = db.exec(select(Block).where(Block.device == name)).all()
        true_us = [
            (clock.to_host_ns(each.t0_us) // 1_000, clock.to_host_ns(each.t0_us + each.n_samples * 10_000) // 1_000)
            for each in blocks
        ]
        for owner, start_us, stop_us in ((karen, lent_us, returned_us), (bo, bos_us, 2**62)):
            surely = sum(start_us + FIT_ERROR_US < a and b < stop_us - FIT_ERROR_US for a, b in true_us)
            perhaps = sum(start_us - FIT_ERROR_US < a and b < stop_us + FIT_ERROR_US for a, b in true_us)
            assert surely <= found[owner, name] <= perhaps
    on_the_desk: Counter[tuple[str, str]] = Counter()
    for each in manager.get("/api/unattributed").json():
        on_the_desk[each["reason"], each["device_name"]] += each["sample_count"]
    assert on_the_desk == {
        (str(owner), name): count
        for (owner, name), count in owners(world, counted="samples").items()
        if isinstance(owner, Unattributed)
    }


def test_hazard_h2_a_kit_with_half_an_hour_unsent_is_wiped_before_it_is_lent_again(sqlite_world: World) -> None:
    world = sqlite_world
    manager, (karen, bo) = world.as_staff("team_manager"), world.here.patient_ids
    for name in SITES:
        manager.post("/api/devices", json={"name": name, "kind": "imu6"})
    chain = Chain(world)
    of_karen, _, _ = come_back(chain, manager, karen)
    manager = world.as_staff("team_manager")
    before = len(repetitions(world, of_karen))
    assert lend_all(manager, bo) == {"device_unheard"}
    chain.connect()
    chain.run(0.1)
    chain.disconnect()
    assert lend_all(manager, bo) == {"device_not_empty"}
    for name in SITES:
        assert manager.post(f"/api/devices/{name}/wipe").status_code == 200
    chain.run(1)
    assert lend_all(manager, bo) == {"device_not_empty"}, "they are off and cannot have heard"
    chain.connect()
    chain.run(0.3)
    assert all(firmware.tally.wiped > 250 for firmware in chain.devices.values())
    world.clock.advance(1)
    assert lend_all(manager, bo) == {""}
    of_bo = open_training(world, bo)
    bos_us = chain.now_us
    chain.command("rate", stream="imu", n=10)
    chain.run(14)
    assert len(repetitions(world, of_karen)) == before
    assert repetitions(world, of_bo)
    assert all(from_us(row.start_us) >= from_us(bos_us) for row in repetitions(world, of_bo))
    ledger = world.as_staff("therapist").get(f"/api/training-sessions/{of_karen}/ledger").json()
    for stream in ledger["streams"]:
        assert stream["unexplained"] == stream["missing"] == 0
        assert stream["lost"]["device_overflow"] > 250
    assert ledger["is_incomplete"]
