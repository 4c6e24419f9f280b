"""A device in its world: link, power, restarts, and the truth of what it made."""

import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from devices.effects import BlockKey
from devices.wire import IMU6_DTYPE, Schema
from firmware_sim.firmware import DeviceConfig, Firmware, Outgoing, ProducedBlock
from firmware_sim.streams import DeviceClock, RegularStream
from tests.simulation.faults import S
from tests.simulation.flash_device import FlashDevice, Made
from tests.simulation.truth import digest_of

if TYPE_CHECKING:
    from tests.simulation.world import World

TICK_US: Final = 200_000
RECONNECT_US: Final = 1 * S
NOTICED_US: Final = 2 * S
SHARD: Final = "07"


class DeviceNode:
    """One device."""

    def __init__(self, world: "World", number: int) -> None:
        chance = world.chance
        self.world = world
        self.name = f"band-{number}"
        self.is_on = True
        self.is_cut_off = False
        self.is_connected = False
        self.next_connect_us = world.now_us
        self.has_flash = number % 2 == 1 or chance.random() < 0.3
        self.clock = DeviceClock(
            start_ns=world.now_us * 1000, offset_us=chance.randrange(10**9), drift_ppm=chance.uniform(-200, 200)
        )
        self.period_us = chance.choice((400_000, 1_000_000))
        self._has_counter = chance.random() < 0.5
        self.boot = chance.getrandbits(32) if not self._has_counter else 1
        self._chance = random.Random(chance.getrandbits(64))
        self.device: Firmware | FlashDevice
        if self.has_flash:
            self.device = world.parts.flash_device(
                self.name,
                shard=SHARD,
                streams=("imu", "more")[: chance.randint(1, 2)],
                clock=self.clock,
                chance=self._chance,
                capacity=chance.choice((8, 20, 60, 400)),
                period_ns=self.period_us * 1000,
                qos=chance.randint(0, 1),
            )
        else:
            self.device = self._make_firmware()

    def _make_firmware(self) -> Firmware:
        """Make a device whose ring lies in memory."""
        period_us = self.period_us // 2

        def next_rows() -> np.ndarray[Any, Any]:
            return np.frombuffer(self._chance.randbytes(20 * IMU6_DTYPE.itemsize), IMU6_DTYPE)

        now_us = self.clock.to_device_us(self.world.now_us * 1000)
        stream = RegularStream(
            name="imu", schema=Schema.IMU6, period_us=period_us, first_us=now_us, next_rows=next_rows
        )
        config = DeviceConfig(
            name=self.name,
            shard=SHARD,
            boot=self.boot,
            meta={"v": 1, "streams": {}},
            block_samples=2 * period_us // 10_000,
        )
        return Firmware(config, clock=self.clock, streams=[stream])

    @property
    def now_ns(self) -> int:
        """Return the host's time as the firmware takes it."""
        return self.world.now_us * 1000

    def tick(self) -> None:
        """Let the device do what is due."""
        world = self.world
        if self.is_on:
            if not self.is_connected and not self.is_cut_off and world.now_us >= self.next_connect_us:
                self.next_connect_us = world.now_us + RECONNECT_US
                self._connect()
            if world.is_producing:
                self._take(*self.device.produce(self.now_ns))
            self._send(self.device.tend(self.now_ns))
        world.after(TICK_US, self.tick)

    def stop(self) -> None:
        """Make the last blocks."""
        self._take(*self.device.stop(self.now_ns))

    def crash(self, down_us: int) -> None:
        """Lose power: a ring in memory is gone."""
        if not self.is_on:
            return
        self.is_on = False
        self._lose_connection()
        if not self.has_flash:
            self.world.truth.forgotten_boots.add((self.name, self.boot))
        self.world.after(down_us, self._start_again)

    def cut_off(self, for_us: int) -> None:
        """Have no link for a while; device and broker notice after a time."""
        if self.is_cut_off:
            return
        self.is_cut_off = True
        self.world.after(min(NOTICED_US, for_us), self._lose_connection)
        self.world.after(for_us, self._mend)

    def hear(self, topic: str, payload: bytes) -> None:
        """Take a message of the server."""
        if self.is_on and not self.is_cut_off:
            self._send(self.device.received(topic, payload, self.now_ns))

    def lose_connection(self) -> None:
        """Note that the broker is gone."""
        self.is_connected = False
        self.device.disconnected()

    def _lose_connection(self) -> None:
        if self.is_connected:
            self.lose_connection()
            self.world.broker.drop(self.name)
            self.world.broker.publish(self.device.last_will(), to="intake")

    def _mend(self) -> None:
        self.is_cut_off = False

    def _connect(self) -> None:
        if self.world.broker.connect(self.name, self.hear) is not None:
            self.is_connected = True
            self._send(self.device.connected(self.now_ns))

    def _start_again(self) -> None:
        self.is_on = True
        if isinstance(self.device, FlashDevice):
            self.device.start()
        else:
            self.boot = self.boot + 1 if self._has_counter else self.world.chance.getrandbits(32)
            self.device = self._make_firmware()
            if not self.world.is_producing:
                self.device.stop(self.now_ns)

    def _take(self, made: Sequence[Made] | Sequence[ProducedBlock], outgoing: Sequence[Outgoing]) -> None:
        truth = self.world.truth
        for block in made:
            if isinstance(block, Made):
                truth.produced[block.key] = digest_of(block.body)
                if not block.is_readable:
                    truth.unreadable.add(block.key)
            else:
                truth.produced[BlockKey(self.name, block.boot, "imu", block.sequence)] = block.digest
        if isinstance(self.device, FlashDevice):
            truth.overwritten.update(self.device.overwritten)
        self._send(outgoing)

    def _send(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            if self.is_connected and not self.is_cut_off:
                self.world.broker.publish(message, to="intake")
                if message.is_block and message.qos and isinstance(self.device, FlashDevice):
                    stream = message.topic.rpartition("/")[2]
                    self.device.got_puback(self.device.key_of(message.payload, stream))
