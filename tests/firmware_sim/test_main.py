"""The command: exit codes, refusals and what it leaves behind, without a broker."""

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from firmware_sim.__main__ import broker_address
from firmware_sim.errors import BrokerRefusedError
from firmware_sim.fleet import Drain
from firmware_sim.truth import BLOCK_TRUTH_DTYPE, POSE_DTYPE
from tests.firmware_sim.test_homes import GOOD, changed

ROOT = Path(__file__).resolve().parents[2]


def closed_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def command(tmp_path: Path, *more: str, content: Any = GOOD, port: int | None = None) -> list[str]:
    homes = tmp_path / "homes.json"
    homes.write_text(json.dumps(content), encoding="utf-8")
    homes.chmod(0o600)
    broker = f"127.0.0.1:{port or closed_port()}"
    where = ["--broker", broker, "--homes", str(homes), "--truth", str(tmp_path / "truth")]
    return [sys.executable, "-m", "firmware_sim", *where, *more]


def run(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


@pytest.mark.parametrize("address", ["127.0.0.1:1883", "localhost:1883", "[::1]:1883", "127.8.9.1:1"])
def test_a_broker_on_this_machine_is_accepted(address: str) -> None:
    assert broker_address(address, allow_remote=False)[1] > 0


@pytest.mark.parametrize("address", ["192.168.1.4:1883", "mqtt.example.org:1883", "0.0.0.0:1883", "localhost.evil:1"])
def test_a_broker_elsewhere_is_refused_without_the_flag(address: str) -> None:
    with pytest.raises(BrokerRefusedError, match="--allow-remote-broker"):
        broker_address(address, allow_remote=False)
    assert broker_address(address, allow_remote=True)


@pytest.mark.parametrize("address", ["localhost", ":1883", "localhost:mqtt", "localhost:0", "localhost:99999"])
def test_an_address_without_host_or_port_is_refused(address: str) -> None:
    with pytest.raises(BrokerRefusedError, match="HOST:PORT"):
        broker_address(address, allow_remote=True)


@pytest.mark.parametrize(
    ("content", "more", "named"),
    [
        (changed("homes.0.side", "both"), (), "homes[0].side"),
        (GOOD, ("--replay", "absent.npz"), "absent.npz"),
        (GOOD, ("--truth", "/dev/null/truth"), "the folder for the truth cannot be made"),
        (GOOD, ("--broker", "192.0.2.1:1883"), "the broker 192.0.2.1 is not on this machine"),
    ],
)
def test_a_wrong_call_ends_with_two_and_one_sentence(
    tmp_path: Path, content: Any, more: tuple[str, ...], named: str
) -> None:
    finished = run(command(tmp_path, *more, content=content))
    assert finished.returncode == 2, finished.stderr
    assert finished.stdout == ""
    assert named in finished.stderr
    assert len(finished.stderr.splitlines()) == 1
    assert "secret" not in finished.stderr


def test_a_share_above_one_is_no_share(tmp_path: Path) -> None:
    assert run(command(tmp_path, "--loss", "1.5")).returncode == 2


def test_blocks_that_stay_unacknowledged_end_with_three_and_are_in_the_truth(tmp_path: Path) -> None:
    finished = run(command(tmp_path, "--seconds", "1.2", "--drain", "0.2"))
    assert finished.returncode == 3, finished.stderr
    (line,) = finished.stdout.splitlines()
    devices = json.loads(line)["devices"]
    assert set(devices) == {"t-1", "s-1", "h-1"}
    truth = tmp_path / "truth"
    for name in ("t-1", "s-1"):
        blocks = np.fromfile(truth / f"{name}.blocks.bin", BLOCK_TRUTH_DTYPE)
        assert blocks.size == devices[name]["produced"] == devices[name]["kept"] >= 11
        assert blocks["sequence"].tolist() == list(range(blocks.size))
        assert set(blocks["boot"]) == {1}
        assert (truth / f"{name}.stream.txt").read_text() == "imu"
    poses = np.fromfile(truth / "home1.pose.bin", POSE_DTYPE)
    assert 115 <= poses.size <= 160
    assert np.diff(poses["utc_us"].astype(np.int64)).tolist() == [10_000] * (poses.size - 1)
    assert abs(int(poses["utc_us"][-1]) * 1e-6 - time.time()) < 30


def test_the_end_waits_as_long_as_answers_come_and_no_longer() -> None:
    kept = [3]
    drain = Drain(lambda: kept[0], wait_ns=10, now_ns=0)
    assert not drain(9)
    kept[0] = 2  # an answer in time: ten more from here
    assert [drain(9), drain(18), drain(19)] == [False, False, True]
    kept[0] = 5  # more to keep is no answer
    assert drain(20)
    kept[0] = 0
    assert drain(0)


def test_the_boot_counter_goes_on_after_a_restart(tmp_path: Path) -> None:
    arguments = command(tmp_path, "--seconds", "0.3", "--drain", "0")
    run(arguments)
    run(arguments)
    blocks = np.fromfile(tmp_path / "truth" / "t-1.blocks.bin", BLOCK_TRUTH_DTYPE)
    assert set(blocks["boot"]) == {1, 2}
    second = blocks[blocks["boot"] == 2]
    assert second["sequence"][0] == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_with_a_summary(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        command(tmp_path, "--drain", "0"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    poses = tmp_path / "truth" / "home1.pose.bin"
    deadline_s = time.monotonic() + 30
    while not (poses.exists() and poses.stat().st_size) and time.monotonic() < deadline_s:
        time.sleep(0.02)
    process.send_signal(number)
    output, _ = process.communicate(timeout=30)
    assert process.returncode in (0, 3)
    assert json.loads(output)["homes"] == {"home1": {"repetitions": 0}}
