"""`python -m firmware_sim.load`: many devices that only send, evenly spread over time, as fast as one core allows.

Each device has its own connection, numbers its blocks from 0 at every window of sending, answers time probes and notes
how far it is acknowledged; it keeps nothing and sends nothing twice. Its clock is this machine's UTC. Standard input
takes one line of JSON a window, `{"seconds": 10, "block_s": 0.1, "wait_s": 5}`: for how long every device sends a block
each `block_s`, and how long the last acknowledgement is waited for. Standard output answers each with one line, the
first of all when every device is connected.
"""

import argparse
import json
import logging
import selectors
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from devices.wire import FLAG_CLOCK_PROBED, Schema
from firmware_sim.frames import decode_probe, encode_answer, encode_frame
from firmware_sim.homes import Home, WornDevice, read_homes
from firmware_sim.sampling import DEFAULT_RATE_HZ, describe
from firmware_sim.topics import ack_topic, clock_topic, live_topic, meta_topic

BLOCK_SAMPLES: Final = 10
PERIOD_US: Final = 10_000
TURN_NS: Final = 2_000_000
READ_BYTES: Final = 65_536
ANSWER_TIMEOUT_S: Final = 20.0
QUIET_S: Final = 0.5
GRAVITY: Final = 4096
NOISE: Final = 20
_CONNACK, _PUBLISH, _SUBACK = 0x20, 0x30, 0x90

log = logging.getLogger(__name__)


class Sender:
    """One device and its connection."""

    def __init__(self, device: WornDevice, *, shard: str, host: str, port: int, body: bytes) -> None:
        self.watermark = 0
        self.boot = 0
        self._device = device
        self._body = body
        self._clock_topic = clock_topic(device.name)
        self._head = _text(live_topic(shard, device.name, device.stream))
        self._rest = b""
        self.socket = socket.create_connection((host, port), timeout=ANSWER_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def log_in(self) -> None:
        """Connect and subscribe; the answers are waited for."""
        login = _text("MQTT") + b"\x04\xc2\x00\x00"  # 3.1.1, user and password, clean session, no keep-alive
        login += _text(self._device.name) + _text(self._device.name) + _text(self._device.password)
        topics = b"".join(_text(topic) + b"\x00" for topic in (ack_topic(self._device.name), self._clock_topic))
        self.socket.sendall(_packet(0x10, login) + _packet(0x82, b"\x00\x01" + topics))
        answered: set[int] = set()
        while not {_CONNACK, _SUBACK} <= answered:
            for kind, body in self._packets():
                answered.add(kind & 0xF0)
                if kind & 0xF0 == _CONNACK and body[1]:
                    raise ConnectionRefusedError(f"the broker refuses {self._device.name}: {body[1]}")

    def describe(self) -> None:
        """Say what the device is, retained."""
        meta = json.dumps(describe(self._device, rate_hz=DEFAULT_RATE_HZ)).encode()
        self.socket.sendall(_packet(_PUBLISH | 1, _text(meta_topic(self._device.name)) + meta))

    def send(self, sequence: int, t0_us: int) -> None:
        """Send the next block."""
        frame = encode_frame(
            self._body,
            schema=Schema.IMU6,
            flags=FLAG_CLOCK_PROBED,
            n_samples=BLOCK_SAMPLES,
            boot=self.boot,
            sequence=sequence,
            t0_us=t0_us,
            period_us=PERIOD_US,
        )
        self.socket.sendall(_packet(_PUBLISH, self._head + frame))

    def read(self) -> None:
        """Take what the broker has sent: watermarks and time probes."""
        for kind, body in self._packets():
            if kind & 0xF0 != _PUBLISH:
                continue
            length = int.from_bytes(body[:2], "big")
            payload = body[2 + length :]
            if body[2 : 2 + length].decode() == self._clock_topic:
                s1_us, now_us = decode_probe(payload), time.time_ns() // 1000
                if s1_us is not None:
                    answer = encode_answer(s1_us=s1_us, d2_us=now_us, d3_us=time.time_ns() // 1000)
                    self.socket.sendall(_packet(_PUBLISH, _text(self._clock_topic) + answer))
                continue
            for boot, _stream, watermark in json.loads(payload):
                if boot == self.boot:
                    self.watermark = watermark

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        data = self._rest + self.socket.recv(READ_BYTES)
        if len(data) == len(self._rest):
            raise ConnectionResetError(f"the broker has ended the connection of {self._device.name}")
        at = 0
        while at + 2 <= len(data):
            length, start = data[at + 1], at + 2
            if length > 127:
                if start >= len(data):
                    break
                length, start = (length & 127) | data[start] << 7, start + 1
            if start + length > len(data):
                break
            yield data[at], data[start : start + length]
            at = start + length
        self._rest = data[at:]


class Load:
    """All devices."""

    def __init__(self, homes: Sequence[Home], *, host: str, port: int) -> None:
        random = np.random.default_rng(1)
        self._selector = selectors.DefaultSelector()
        self._senders: list[Sender] = []
        self._boot = 0
        for home in homes:
            for device in home.devices:
                rows = random.integers(-NOISE, NOISE, (BLOCK_SAMPLES, 6)) + np.array([0, 0, GRAVITY, 0, 0, 0])
                sender = Sender(device, shard=home.shard, host=host, port=port, body=rows.astype("<i2").tobytes())
                sender.log_in()
                self._selector.register(sender.socket, selectors.EVENT_READ, sender)
                self._senders.append(sender)

    def describe(self) -> None:
        """Let every device say what it is."""
        for sender in self._senders:
            sender.describe()

    def send(self, seconds: float, *, block_s: float, wait_s: float) -> dict[str, Any]:
        """Send for a while, with a boot of its own, then wait for the acknowledgement of all; return what was done.

        Every device sends a block each `block_s`. [s]
        """
        self._boot += 1
        for sender in self._senders:
            sender.boot, sender.watermark = self._boot, 0
        count, n_senders = round(seconds / block_s), len(self._senders)
        due_ns = np.arange(count * n_senders) * round(block_s * 1e9) // n_senders
        began_ns, began_us = time.monotonic_ns(), time.time_ns() // 1000
        sent = late_ns = 0
        while sent < due_ns.size:
            now_ns = time.monotonic_ns() - began_ns
            stop = int(np.searchsorted(due_ns, now_ns, side="right"))
            for index in range(sent, stop):
                t0_us = began_us + int(due_ns[index]) // 1000 - BLOCK_SAMPLES * PERIOD_US  # its last sample is now
                self._senders[index % n_senders].send(index // n_senders, t0_us)
            if stop > sent:
                late_ns = max(late_ns, time.monotonic_ns() - began_ns - int(due_ns[stop - 1]))
            sent = stop
            self._read(max(0.0, TURN_NS - (time.monotonic_ns() - began_ns - now_ns)) * 1e-9)
        took_s = (time.monotonic_ns() - began_ns) * 1e-9
        deadline_s = time.monotonic() + wait_s
        while time.monotonic() < deadline_s and any(sender.watermark < count for sender in self._senders):
            self._read(QUIET_S)
        acknowledged = sum(sender.watermark for sender in self._senders)
        late_ms = round(late_ns / 1e6, 1)
        return {
            "boot": self._boot,
            "sent": sent,
            "acknowledged": acknowledged,
            "late_ms": late_ms,
            "took_s": took_s,
            "cpu_s": time.process_time(),
        }

    def _read(self, timeout_s: float) -> None:
        until_s = time.monotonic() + timeout_s
        while True:
            for key, _ in self._selector.select(max(0.0, until_s - time.monotonic())):
                key.data.read()
            if time.monotonic() >= until_s:
                return


def main(arguments: Sequence[str] | None = None) -> int:
    """Send a window for every line of standard input; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m firmware_sim.load", description="Many devices that only send.")
    parser.add_argument("--port", type=int, required=True, help="of a broker on this machine")
    parser.add_argument("--homes", type=Path, required=True, help="homes and devices with their credentials (JSON)")
    options = parser.parse_args(arguments)
    load = Load(read_homes(options.homes), host="127.0.0.1", port=options.port)
    _say({"connected": True})
    for line in sys.stdin:
        asked = json.loads(line)
        if asked.get("describe"):
            load.describe()
        _say(load.send(float(asked["seconds"]), block_s=float(asked["block_s"]), wait_s=float(asked["wait_s"])))
    return 0


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _packet(head: int, body: bytes) -> bytes:
    length = len(body)
    size = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([head]) + size + body


if __name__ == "__main__":
    sys.exit(main())
