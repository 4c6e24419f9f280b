"""A device on a link and one on MQTT, before the same intake: the same watermarks, holes and probes."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Protocol

import pytest
from sqlmodel import select
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from devices.broker_client import BrokerClient
from telerehab.db import provisioning
from telerehab.db.engine import writing
from telerehab.db.tables import Organisation
from tests.chaos.world import SPARE_DEVICE, World
from tests.devices.encoder import frame

LINKED: Final = "linked"
STATE: Final = b'{"online":true,"boot":1}'
N_FRAMES: Final = 12
LOST: Final = 5
WITHIN_S: Final = 40.0


class Transport(Protocol):
    """How a device speaks: topics stand for what they carry on either."""

    def send(self, what: str, payload: bytes) -> None: ...
    def take(self) -> list[tuple[str, bytes]]: ...


class OverMqtt:
    def __init__(self, client: BrokerClient) -> None:
        self._client = client

    def send(self, what: str, payload: bytes) -> None:
        topics = {"state": f"dev/1/{SPARE_DEVICE}/state", "live": f"rt/1/00/{SPARE_DEVICE}/imu"}
        assert self._client.publish(topics[what], payload, qos=0, retain=what == "state")

    def take(self) -> list[tuple[str, bytes]]:
        self._client.tend(time.monotonic_ns())
        return [(raw.topic.replace(SPARE_DEVICE, "*"), raw.payload) for raw in self._client.take()]


class OverLink:
    """Envelopes typed by hand (`docs/protocol.md` DL3)."""

    def __init__(self, socket: Connection) -> None:
        self._socket = socket

    def send(self, what: str, payload: bytes) -> None:
        self._socket.send({"state": b"\x04\x00", "live": b"\x01\x03imu"}[what] + payload)

    def take(self) -> list[tuple[str, bytes]]:
        taken: list[tuple[str, bytes]] = []
        while True:
            try:
                message = self._socket.recv(timeout=0.01)
            except TimeoutError:
                return taken
            assert isinstance(message, bytes), message
            kind, length = message[0], message[1]
            name, payload = message[2 : 2 + length].decode(), message[2 + length :]
            taken.append(({5: "clk/1/*", 6: "ack/1/*", 7: f"cmd/1/*/{name}"}[kind], payload))


class Device:
    """What both devices do, and all that they hear."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.heard: list[tuple[str, bytes]] = []

    def send(self, what: str, payload: bytes) -> None:
        self._transport.send(what, payload)

    def listen(self) -> None:
        self.heard += self._transport.take()

    @property
    def watermarks(self) -> list[int]:
        """Every watermark of the stream that was told, each once, in its order."""
        told = [
            watermark
            for topic, payload in self.heard
            if topic == "ack/1/*"
            for boot, stream, watermark in json.loads(payload)
            if (boot, stream) == (1, "imu")
        ]
        assert told == sorted(told)
        return list(dict.fromkeys(told))

    @property
    def asked(self) -> list[Any]:
        """What was asked for again."""
        return [json.loads(payload) for topic, payload in self.heard if topic == "cmd/1/*/resend"]

    @property
    def probe_count(self) -> int:
        return sum(topic == "clk/1/*" and payload[0] == 0 for topic, payload in self.heard)


def until(devices: list[Device], condition: Callable[[Device], object], *, what: str) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        for device in devices:
            device.listen()
        if all(condition(device) for device in devices):
            return
        assert time.monotonic() < deadline_s, f"{what}: {[device.heard[-3:] for device in devices]}"
        time.sleep(0.02)


@pytest.mark.timeout(240)
def test_a_device_on_a_link_hears_what_one_on_mqtt_hears(tmp_path: Path) -> None:
    with World(tmp_path) as world:
        with writing(world.database.main, owner="web") as db:
            organisation_id = db.exec(select(Organisation)).one().id
            password = provisioning.create_device(
                db, organisation_id=organisation_id, name=LINKED, kind="phone"
            ).password
        for role in ("broker", "ingest", "web"):
            world.start_role(role)
        client = BrokerClient(
            "127.0.0.1",
            world.settings.mqtt_port,
            username=SPARE_DEVICE,
            password=world.passwords[SPARE_DEVICE],
            subscriptions=(f"ack/1/{SPARE_DEVICE}", f"clk/1/{SPARE_DEVICE}", f"cmd/1/{SPARE_DEVICE}/#"),
            has_echo=False,
        )
        client.start()
        with connect(f"ws://127.0.0.1:{world.settings.web_port}/device", proxy=None) as socket:
            socket.send(json.dumps({"type": "hello", "device": LINKED, "password": password}))
            assert json.loads(socket.recv(timeout=WITHIN_S)) == {"type": "welcome"}
            devices = [Device(OverMqtt(client)), Device(OverLink(socket))]
            until(devices, lambda _: client.is_subscribed, what="login")
            for device in devices:
                device.send("state", STATE)
                for sequence in range(N_FRAMES):
                    if sequence != LOST:
                        device.send("live", frame(sequence))
            until(devices, lambda device: LOST in device.watermarks and device.asked, what="the hole")
            for device in devices:
                assert device.watermarks[-1] == LOST  # never beyond what is missing
                assert {(each["from"], each["to"]) for each in device.asked} == {(LOST, LOST + 1)}
                device.send("live", frame(LOST))
                device.send("live", frame(0))  # a duplicate changes nothing
            until(devices, lambda device: N_FRAMES in device.watermarks, what="the end")
            until(devices, lambda device: device.probe_count > 0, what="a probe")
            over_mqtt, over_link = devices
            assert over_link.watermarks[-2:] == over_mqtt.watermarks[-2:] == [LOST, N_FRAMES]
        client.close()
        stored = [block for block in world.stored_blocks() if block.device in (LINKED, SPARE_DEVICE)]
        assert len(stored) == 2 * N_FRAMES
