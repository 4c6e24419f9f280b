"""A whole course in virtual time: devices, broker, intake and store, under faults that a seed has drawn.

One clock, one heap of events, one source of chance: the same seed with the same faults gives the same course.
"""

import json
import random
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from heapq import heappop, heappush
from itertools import count
from typing import Any, Final
from zlib import crc32

from devices.effects import BlockKey, StepEffects, StreamKey
from devices.effects import Outgoing as ServerMessage
from firmware_sim.firmware import Outgoing
from tests.simulation.broker import Broker
from tests.simulation.device_node import SHARD, TICK_US, DeviceNode
from tests.simulation.faults import CHAOS_US, Fault, FaultKind, S, draw_faults
from tests.simulation.flash_device import FlashDevice
from tests.simulation.intake import RESTART_US, STEP_US, Intake
from tests.simulation.store import Store
from tests.simulation.truth import BrokenPromiseError, Truth

START_UTC_US: Final = 1_790_000_000 * S
QUIET_MAX_US: Final = 180 * S
HOUR_US: Final = 3600 * S


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a world is made of; tests put a faulty part in."""

    intake: type[Intake] = Intake
    store: type[Store] = Store
    flash_device: type[FlashDevice] = FlashDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a course."""

    seed: int
    faults: tuple[Fault, ...]
    broken: str
    digest: str
    simulated_us: int
    event_count: int
    produced_count: int
    lost_count: int


class World:
    """One course under one seed."""

    def __init__(self, seed: int, faults: Sequence[Fault], *, parts: Parts) -> None:
        self.seed, self.faults, self.parts = seed, tuple(faults), parts
        self.chance = random.Random(seed)
        self.now_us = 0
        self.jump_us = 0
        self.is_producing = True
        self.wants_torn_group = False
        self.refused_group_count = 0
        self.event_count = 0
        self.is_intake_cut_off = False
        self.truth = Truth()
        self.store = parts.store()
        self._events: list[tuple[int, int, Callable[[], None]]] = []
        self._count = count()
        self._trace = 0
        self.broker = Broker(schedule=self.at, now_us=lambda: self.now_us, chance=self.chance)
        self.broker.note_damage = self._note_damage
        self._intake_client: Any = None
        self.nodes = [DeviceNode(self, number) for number in range(self.chance.randint(2, 3))]
        self.device_names = [node.name for node in self.nodes]
        self.intake: Intake = parts.intake(self)

    # --- time --------------------------------------------------------------------------------------------------------

    @property
    def utc_us(self) -> int:
        """Return the server's wall clock."""
        return START_UTC_US + self.now_us + self.jump_us

    def at(self, at_us: int, call: Callable[[], None]) -> None:
        """Let something happen at a time."""
        heappush(self._events, (at_us, next(self._count), call))

    def after(self, wait_us: int, call: Callable[[], None]) -> None:
        """Let something happen after a while."""
        self.at(self.now_us + wait_us, call)

    def run(self) -> Outcome:
        """Run chaos, then quiet; tell what came of it."""
        for node in self.nodes:
            self.after(self.chance.randrange(TICK_US), node.tick)
        self.after(0, self._step_intake)
        for fault in self.faults:
            self.at(fault.at_us, lambda fault=fault: self._begin(fault))  # type: ignore[misc]
        broken = ""
        try:
            self._run_until(CHAOS_US)
            self._calm()
            while not self._is_settled():
                if self.now_us > CHAOS_US + QUIET_MAX_US:
                    raise BrokenPromiseError(f"never comes to rest: {self._unsettled()}")
                self._run_until(self.now_us + S)
            self.truth.check(self.store)
            self._check_restart()
        except BrokenPromiseError as error:
            broken = str(error)
        except Exception as error:  # whatever comes in, a step must not raise
            broken = f"raised: {error!r}, in {traceback.extract_tb(error.__traceback__)[-1]}"
        return Outcome(
            seed=self.seed,
            faults=self.faults,
            broken=broken,
            digest=self._digest(),
            simulated_us=self.now_us,
            event_count=self.event_count,
            produced_count=len(self.truth.produced),
            lost_count=sum(map(self.truth.is_lost, self.truth.produced)),
        )

    def _run_until(self, until_us: int) -> None:
        while self._events and self._events[0][0] <= until_us:
            self.now_us, _, call = heappop(self._events)
            self.event_count += 1
            call()
        self.now_us = until_us

    # --- the intake and its connections ------------------------------------------------------------------------------

    @property
    def is_intake_connected(self) -> bool:
        """Tell whether the intake has a connection."""
        return self._intake_client is not None and self._intake_client.is_open

    def connect_intake(self, hear: Callable[[str, bytes], None]) -> None:
        """Connect the intake to the broker, if there is a way."""
        if not self.is_intake_cut_off:

            def deliver(topic: str, payload: bytes) -> None:
                self._trace = crc32(payload, crc32(topic.encode(), self._trace))
                hear(topic, payload)

            self._intake_client = self.broker.connect("intake", deliver)

    def publish_to_device(self, message: ServerMessage) -> None:
        """Send a message of the intake; every watermark that goes out is checked."""
        root, _, device, *_ = message.topic.split("/")
        if root == "ack":
            for boot, stream, watermark in json.loads(message.payload):
                self.truth.check_watermark(StreamKey(device, boot, stream), watermark, self.store)
        if self.is_intake_connected:
            self.broker.publish(Outgoing(topic=message.topic, payload=message.payload, qos=message.qos), to=device)

    def tear_group(self, groups: Sequence[StepEffects]) -> None:
        """Crash in the middle of a commit: nothing of the group is there, or all of it and nobody was told."""
        self.wants_torn_group = False
        if self.chance.random() < 0.5:
            self.store.commit(groups)
        self.restart_intake()

    def _step_intake(self) -> None:
        if self.intake.is_alive:
            self.intake.step()
        self.after(STEP_US, self._step_intake)

    def restart_intake(self) -> None:
        """End the intake without a goodbye; another one begins after a while."""
        if self.intake.is_alive:
            self.intake.crash()
            self.after(self.chance.randint(*RESTART_US), self._start_intake)

    def _start_intake(self) -> None:
        self.intake = self.parts.intake(self)

    # --- faults ------------------------------------------------------------------------------------------------------

    def _begin(self, fault: Fault) -> None:
        node = self.nodes[fault.which % len(self.nodes)]
        broker, store = self.broker, self.store
        match fault.kind:
            case FaultKind.DEVICE_CRASH:
                node.crash(min(fault.for_us, 4 * S))
            case FaultKind.BROKER_CRASH:
                broker.crash()
                for each in self.nodes:
                    each.lose_connection()
                self.at(fault.stop_us, broker.restart)
            case FaultKind.INTAKE_CRASH:
                self.restart_intake()
            case FaultKind.TORN_GROUP:
                self.wants_torn_group = True
            case FaultKind.STORE_CRASH:
                self._during(fault, store, "is_down", True, False)
            case FaultKind.COMMIT_UNKNOWN:
                self._during(fault, store, "answers_get_lost", True, False)
            case FaultKind.DISK_FULL:
                self._during(fault, store, "is_full", True, False)
            case FaultKind.DEVICE_PARTITION:
                node.cut_off(fault.for_us)
            case FaultKind.INTAKE_PARTITION:
                self._during(fault, self, "is_intake_cut_off", True, False)
                broker.drop("intake")
            case FaultKind.BROKER_LOSES:
                self._during(fault, broker.faults, "loss", fault.size, 0.0)
            case FaultKind.BROKER_DOUBLES:
                self._during(fault, broker.faults, "doubles", fault.size, 0.0)
            case FaultKind.BROKER_REORDERS:
                self._during(fault, broker.faults, "reorder", fault.size, 0.0)
            case FaultKind.BROKER_CAP:
                self._during(fault, broker.faults, "cap", 1 + fault.which, 100_000)
            case FaultKind.DAMAGE:
                self._during(fault, broker.faults, "damage", 0.3 * fault.size, 0.0)
            case FaultKind.CLOCK_JUMP:
                self.jump_us += round((2 * fault.size - 1) * HOUR_US)
            case FaultKind.POISON:
                if isinstance(node.device, FlashDevice):
                    node.device.poison_wanted = 1 + fault.which
            case FaultKind.GARBAGE:
                self._send_garbage(node, count=20)

    def _during(self, fault: Fault, where: object, name: str, value: object, after: object) -> None:
        setattr(where, name, value)
        self.at(fault.stop_us, lambda: setattr(where, name, after))

    def _send_garbage(self, node: DeviceNode, *, count: int) -> None:
        """A device goes mad, within what the broker lets it write."""
        topics = [f"rt/1/{SHARD}/{node.name}/imu", f"bf/1/{SHARD}/{node.name}/more", f"clk/1/{node.name}"]
        topics += [f"dev/1/{node.name}/meta", f"dev/1/{node.name}/state", f"rt/1/{SHARD}/nobody/imu", "rt/1/x"]
        shapes = (b"", b"{}", b"[1]", b'{"online": 1}', b'{"online": true, "kept": [[1]]}', b"\x01" + bytes(24))
        for _ in range(count):
            payload = self.chance.choice((*shapes, self.chance.randbytes(self.chance.randrange(80))))
            self.broker.publish(Outgoing(topic=self.chance.choice(topics), payload=payload), to="intake")

    def _note_damage(self, topic: str, payload: bytes) -> None:
        """Remember which block a damaged copy claims to be."""
        *_, device, stream = topic.split("/")
        boot, sequence = int.from_bytes(payload[8:12], "little"), int.from_bytes(payload[12:16], "little")
        self.truth.damaged_copies[BlockKey(device, boot, stream, sequence)] += 1

    # --- the quiet end -----------------------------------------------------------------------------------------------

    def _calm(self) -> None:
        """Stop what devices make; all that was broken is whole again by now."""
        self.is_producing = False
        self.wants_torn_group = False
        for node in self.nodes:
            if node.is_on:
                node.stop()

    def _is_settled(self) -> bool:
        return (
            all(node.is_on and not node.device.n_kept for node in self.nodes)
            and self.intake.is_alive
            and self.intake.is_idle
            and not any(sequence.holes for sequence in self.intake.pipeline.ingest.sequences().values())
            and not any(gap.closed_at_us is None for gap in self.store.gaps.values())
        )

    def _unsettled(self) -> str:
        holes = {
            key: sequence.holes for key, sequence in self.intake.pipeline.ingest.sequences().items() if sequence.holes
        }
        gaps = [gap for gap in self.store.gaps.values() if gap.closed_at_us is None]
        kept = {node.name: node.device.n_kept for node in self.nodes if node.device.n_kept}
        return f"devices keep {kept}, holes {holes}, open rows {gaps}"

    def _check_restart(self) -> None:
        """A new intake over this store says at least what the old one said."""
        again = self.parts.intake(self).pipeline.ingest.sequences()
        for key, watermark in self.truth.told.items():
            found = again[key].watermark if key in again else 0
            if found < watermark:
                raise BrokenPromiseError(f"a watermark fell over a restart: {key} from {watermark} to {found}")

    def _digest(self) -> str:
        state = sha256()
        for part in (
            sorted(block[:4] for block in self.store.blocks.values()),
            sorted(self.store.gaps.values(), key=lambda gap: gap[:4]),
            sorted(self.truth.told.items()),
            sorted(self.intake.pipeline.ingest.counts.items()),
            (self.now_us, self.event_count, self._trace),
        ):
            state.update(repr(part).encode())
        return state.hexdigest()[:16]


def run_seed(seed: int, faults: Sequence[Fault] | None = None, *, parts: Parts | None = None) -> Outcome:
    """Run the course of a seed, with the faults that it draws or with those that are given."""
    return World(seed, draw_faults(seed) if faults is None else faults, parts=parts or Parts()).run()
