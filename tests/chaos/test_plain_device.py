"""A device that is not ours: quality of service 1, it trusts the broker's PUBACK and sends nothing twice.

The guarantee is then the broker's: while Mosquitto lives, nothing is lost, however often ingest dies.
"""

import struct
import time
from pathlib import Path

import pytest

from devices.broker_client import BrokerClient
from devices.topics import live_topic
from tests.chaos.world import SPARE_DEVICE, World, digest_of, wait_until
from tests.devices.encoder import frame

pytestmark = [pytest.mark.chaos, pytest.mark.mosquitto]

BOOT = 9
PERIOD_S = 0.01


@pytest.mark.parametrize(
    "kill_count", [pytest.param(1, id="once"), pytest.param(4, id="four times", marks=pytest.mark.long)]
)
def test_nothing_that_the_broker_took_is_lost_when_ingest_is_killed(tmp_path: Path, kill_count: int) -> None:
    with World(tmp_path, n_homes=0, ingest_client_id="ingest-1") as world:
        world.start_mosquitto()
        world.start_role("ingest")
        wait_until(lambda: world.worker_status().get("connected"), timeout_s=20)  # from here on Mosquitto keeps
        device = PlainDevice(world)
        for _ in range(kill_count):
            device.send(150)
            wait_until(lambda: world.stored_block_count() > device.sent_count - 120, timeout_s=20)
            device.send(30)
            world.kill("ingest")  # with messages on the way, in its memory, and committed but not acknowledged
            device.send(150)
            world.start_role("ingest")
        device.send(100)
        wait_until(lambda: world.stored_block_count() >= device.sent_count, timeout_s=30)
        device.close()
        assert {block.sequence: block.digest for block in world.stored_blocks()} == device.digests
        assert world.stop("ingest") == 0


class PlainDevice:
    """Numbers its blocks and hands each to the broker once."""

    def __init__(self, world: World) -> None:
        self.sent_count = 0
        self.digests: dict[int, bytes] = {}
        self._client = BrokerClient(
            "127.0.0.1",
            world.device_port,
            username=SPARE_DEVICE,
            password=world.passwords[SPARE_DEVICE],
            has_echo=False,
        )
        self._client.start()
        wait_until(lambda: self._client.is_connected, timeout_s=10)

    def send(self, count: int) -> None:
        """Publish blocks at 100 a second."""
        for _ in range(count):
            body = struct.pack("<6h", *((self.sent_count * 7 + axis) % 30_000 for axis in range(6))) * 10
            payload = frame(self.sent_count, boot=BOOT, body=body)
            assert self._client.publish(live_topic("00", SPARE_DEVICE, "imu"), payload, qos=1)
            self.digests[self.sent_count] = digest_of(payload)
            self.sent_count += 1
            time.sleep(PERIOD_S)

    def close(self) -> None:
        """Disconnect; all that the broker keeps stays there."""
        self._client.close()
