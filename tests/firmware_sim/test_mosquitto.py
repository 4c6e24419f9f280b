"""Whole homes on Debian's mosquitto, with the server's answers played by the test."""

import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from devices.codec import decode_blocks
from devices.wire import Schema
from firmware_sim.truth import BLOCK_TRUTH_DTYPE
from tests.conftest import find_program
from tests.firmware_sim.test_homes import changed
from tests.firmware_sim.test_main import ROOT, closed_port, command, run
from tests.firmware_sim.test_replay import five_sensors

pytestmark = pytest.mark.mosquitto

Key = tuple[str, int, str]


class Broker:
    """Mosquitto on a loopback port, in memory."""

    def __init__(self, folder: Path, *, admits: bool = True) -> None:
        self.port = closed_port()
        self._settings = folder / "mosquitto.conf"
        anybody = str(admits).lower()
        self._settings.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous {anybody}\npersistence false\n")
        self.start()

    def start(self) -> None:
        program = find_program("mosquitto")
        assert program is not None
        self._process = subprocess.Popen([program, "-c", str(self._settings)], stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()


class PlayedServer:
    """Keeps what arrives by key and answers with contiguous watermarks and time probes."""

    def __init__(self, port: int) -> None:
        self.digests: dict[Key, dict[int, bytes]] = {}
        self.retained: dict[str, list[bytes]] = {}
        self.topics: list[str] = []
        self.flags: list[int] = []
        self.n_malformed = 0
        self.answers = 0
        self._inbox: list[tuple[str, bytes]] = []
        self._is_over = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_message = lambda client, userdata, message: self._inbox.append(
            (message.topic, bytes(message.payload))
        )
        self._client.on_connect = lambda client, *_: client.subscribe(
            [("rt/1/#", 0), ("bf/1/#", 0), ("dev/1/#", 1), ("clk/1/#", 0)]
        )
        self._client.connect_async("127.0.0.1", port)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> Self:
        self._client.loop_start()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_over.set()
        self._thread.join()
        self._client.disconnect()
        self._client.loop_stop()

    def heard_farewell_of(self, *devices: str) -> bool:
        return all(b'"online":false' in self.retained[f"dev/1/{device}/state"][-1] for device in devices)

    def _serve(self) -> None:
        while not self._is_over.wait(0.2):
            messages, self._inbox[:] = list(self._inbox), []
            for topic, payload in messages:
                self._take(topic, payload)
            for (device, boot, stream), digests in self.digests.items():
                watermark = next(number for number in range(len(digests) + 1) if number not in digests)
                self._client.publish(f"ack/1/{device}", json.dumps([[boot, stream, watermark]]))
                probe = bytes([0]) + time.time_ns().to_bytes(8, "little")
                self._client.publish(f"clk/1/{device}", probe)

    def _take(self, topic: str, payload: bytes) -> None:
        kind, _, *rest = topic.split("/")
        if kind == "dev":
            self.retained.setdefault(topic, []).append(payload)
        elif kind == "clk":
            self.answers += payload[0] == 1
        else:
            self.topics.append(topic)
            schema = Schema.HEART if rest[2] == "heart" else Schema.IMU6
            batch = decode_blocks([payload], schema=schema)
            self.n_malformed += len(batch.malformed)
            for head in batch.headers:
                self.flags.append(int(head["flags"]))
                key = (rest[1], int(head["boot"]), rest[2])
                self.digests.setdefault(key, {})[int(head["sequence"])] = sha256(payload[32:]).digest()[:16]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path)
    yield running
    running.kill()


def wait_until(condition: Callable[[], bool], *, what: str, seconds: float = 30.0) -> None:
    deadline_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline_s, f"never: {what}"
        time.sleep(0.05)


def test_every_block_arrives_with_its_value_over_a_lossy_link_and_a_killed_broker(
    tmp_path: Path, broker: Broker
) -> None:
    faults = ["--loss", "0.1", "--duplicates", "0.1", "--corrupt", "0.05", "--seconds", "5"]
    with PlayedServer(broker.port) as server:
        process = subprocess.Popen(
            command(tmp_path, *faults, port=broker.port),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        wait_until(lambda: len(server.topics) > 20, what="blocks before the broker dies")
        broker.kill()
        wait_until(lambda: (tmp_path / "truth" / "t-1.blocks.bin").stat().st_size > 20 * 34, what="blocks meanwhile")
        broker.start()
        output, _ = process.communicate(timeout=60)
        wait_until(lambda: server.heard_farewell_of("t-1", "s-1", "h-1"), what="the farewell")
    assert process.returncode == 0
    devices = json.loads(output)["devices"]
    for name, stream in (("t-1", "imu"), ("s-1", "imu"), ("h-1", "heart")):
        truth = np.fromfile(tmp_path / "truth" / f"{name}.blocks.bin", BLOCK_TRUTH_DTYPE)
        assert truth.size == devices[name]["acknowledged"] > 0
        expected = {int(row["sequence"]): row["digest"].ljust(16, b"\0") for row in truth}
        assert server.digests[(name, 1, stream)] == expected
        assert (devices[name]["kept"], devices[name]["dropped"]) == (0, 0)
    assert sum(each["lost"] for each in devices.values()) > 0
    assert sum(each["corrupted"] for each in devices.values()) > 0
    assert server.n_malformed > 0
    assert {topic.split("/")[0] for topic in server.topics} == {"rt", "bf"}
    assert any(flags & 8 for flags in server.flags)
    assert server.answers >= 5
    assert any(flags & 2 for flags in server.flags)
    meta = json.loads(server.retained["dev/1/t-1/meta"][-1])
    (stream_meta,) = meta["streams"].values()
    assert (stream_meta["schema"], stream_meta["rate_hz"], stream_meta["body_site"]) == (1, 100.0, "thigh_right")
    assert [channel["unit"] for channel in stream_meta["channels"]] == ["m/s2"] * 3 + ["deg/s"] * 3
    assert "secret" not in json.dumps(meta)


def test_a_replayed_recording_goes_out_at_its_own_rate_and_ends_by_itself(tmp_path: Path, broker: Broker) -> None:
    recording = tmp_path / "elbow.npz"
    np.savez(recording, test=five_sensors(25), fs=25.0)
    forearm = {"name": "f-1", "password": "x", "kind": "imu6", "site": "forearm_right", "stream": "imu"}
    content = changed("homes.0.devices", [forearm])
    with PlayedServer(broker.port) as server:
        finished = subprocess.run(
            command(
                tmp_path,
                *("--replay", str(recording), "--replay-exercise", "elbow_flexion"),
                content=content,
                port=broker.port,
            ),
            capture_output=True,
            text=True,
            cwd=ROOT,
            timeout=60,
            check=False,
        )
    assert finished.returncode == 0, finished.stderr
    report = json.loads((tmp_path / "truth" / "home1.replay.json").read_text())
    assert report == json.loads(finished.stdout)["replays"]["home1"]
    assert report["exercise"] == "elbow_flexion"
    assert report["added"][0]["what"] == "declared rest before the recording"
    meta = json.loads(server.retained["dev/1/f-1/meta"][-1])
    assert meta["streams"]["imu"]["rate_hz"] == 25.0
    truth = np.fromfile(tmp_path / "truth" / "f-1.blocks.bin", BLOCK_TRUTH_DTYPE)
    assert int(truth["n_samples"].sum()) == 100 + 25
    assert len(server.digests[("f-1", 1, "imu")]) == truth.size
    assert set(np.diff(truth["t0_us"].astype(np.int64)).tolist()) == {80_000}


def test_a_broker_that_refuses_the_credentials_is_told_once_per_device(tmp_path: Path) -> None:
    broker = Broker(tmp_path, admits=False)
    try:
        finished = run(command(tmp_path, "--seconds", "2", "--drain", "0", port=broker.port))
    finally:
        broker.kill()
    assert finished.returncode == 3
    for name in ("t-1", "s-1", "h-1"):
        refusals = [line for line in finished.stderr.splitlines() if f"device {name}: the broker refuses it" in line]
        assert len(refusals) == 1
        assert "Not authorized" in refusals[0]
    assert "secret" not in finished.stderr
