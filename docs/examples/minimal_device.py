"""A whole device of protocol version 1 in plain Python: one stream of six integers at 100 Hz, over MQTT 3.1.1.

For reading beside `docs/protocol.md`, whose clauses the letters name; it shares no code with the server. To replace in
a real device: `sample` (the sensor), `Device.ring` (flash, not memory), the socket (TLS). Run it as

    DEVICE_PASSWORD=... python3 minimal_device.py HOST PORT NAME SHARD SECONDS
"""

import contextlib
import json
import math
import os
import re
import socket
import struct
import sys
import time
import zlib

STREAM, PERIOD_US, RESEND_AFTER_S, RING_FRAMES, ORIGIN_US = "imu", 10_000, 1.5, 20_000, 7_000_000
CHANNELS = [
    {"name": f"{kind}_{axis}", "unit": unit, "scale": limit / 32768, "range": [-limit, limit]}
    for kind, unit, limit in (("accel", "m/s2", 78.4532), ("gyro", "deg/s", 2000.0))
    for axis in "xyz"
]


def sample(index):
    """Return accel x y z and gyro x y z of one instant: here a slow wave."""
    wave = round(2000 * math.sin(index / 50))
    return wave, 0, 4096, 0, wave // 2, 0


def encode_frame(*, boot, sequence, t0_us, rows, flags):
    """Return a frame (F1, F2) of schema 1 (F8); the checksum leaves itself out (F7)."""
    head = struct.pack("<HBBHHIIQI", 0x5254, 1, 1, flags, len(rows), boot, sequence, t0_us, PERIOD_US)
    body = b"".join(struct.pack("<6h", *row) for row in rows)
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def text(value):
    return struct.pack(">H", len(value.encode())) + value.encode()


class Link:
    """As much of MQTT 3.1.1 as a device needs; every method raises OSError when the connection is gone."""

    def __init__(self, host, port, name, password):
        self.socket, self.rest, self.packet_id = socket.create_connection((host, port), timeout=5), b"", 0
        texts = (name, f"dev/1/{name}/state", '{"online": false}', name, password)
        flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04 | 0x02  # user, password, will: retained, of quality 1; clean session
        self.send(0x10, text("MQTT") + bytes([4, flags, 0, 30]) + b"".join(map(text, texts)))
        self.socket.settimeout(0.01)

    def send(self, head, body):
        length, size = b"", len(body)
        while size > 127 or not length:
            length, size = length + bytes([size % 128 | (128 if size > 127 else 0)]), size // 128
        self.sent_s = time.monotonic()
        self.socket.sendall(bytes([head]) + length + (bytes([size]) if size else b"") + body)

    def publish(self, topic, payload, *, quality=0, retain=False):
        self.packet_id = self.packet_id % 65_535 + 1
        identity = struct.pack(">H", self.packet_id)[: 2 * quality]
        self.send(0x30 | quality << 1 | retain, text(topic) + identity + payload)

    def messages(self):
        """Yield the (topic, payload) that have arrived; acknowledges those of quality 1, keeps the line alive."""
        if time.monotonic() - self.sent_s > 10:
            self.send(0xC0, b"")
        try:
            data = self.socket.recv(65_536)
        except TimeoutError:
            return
        if not data:
            raise ConnectionError("the broker has closed the connection")
        self.rest += data
        while len(self.rest) > 1:
            length = re.match(rb".([\x80-\xff]{0,3}[\x00-\x7f])", self.rest, re.DOTALL)
            size = sum((byte & 127) << 7 * place for place, byte in enumerate(length[1])) if length else 0
            if not length or len(self.rest) < length.end() + size:
                return
            at = length.end()
            head, body, self.rest = self.rest[0], self.rest[at : at + size], self.rest[at + size :]
            if head >> 4 == 2 and body[1]:
                sys.exit(f"the broker refused the login: {body[1]}")
            if head >> 4 == 3:
                stop = 2 + int.from_bytes(body[:2], "big")
                if head & 6:
                    self.send(0x40, body[stop : stop + 2])
                yield body[2:stop].decode(), body[stop + (2 if head & 6 else 0) :]


class Device:
    """Numbers, keeps, sends, sends again and frees (A1 to A5)."""

    def __init__(self, name, shard):
        self.name, self.shard, self.n, self.began_s = name, shard, 10, time.monotonic()
        self.boot, self.sequence, self.index = int.from_bytes(os.urandom(4), "big"), 0, 0  # F4: nothing can be stored
        self.ring, self.asked = {}, []  # ring: [what it holds, when it was sent], by sequence, oldest first
        self.dropped = self.acknowledged = self.probes = 0
        self.is_wiped, self.state_is_due, self.is_unheard, self.round_s, self.stated_s = False, True, False, 0.0, 0.0

    def clock_us(self):  # F3
        return ORIGIN_US + int((time.monotonic() - self.began_s) * 1e6)

    def make(self, link):
        """Make the frames that are due and send them live, once."""
        while ORIGIN_US + (self.index + self.n - 1) * PERIOD_US <= self.clock_us():
            rows = [sample(self.index + each) for each in range(self.n)]
            flags = 2 if self.probes >= 5 else 0  # F6.2; under one key it stays as it was (F5)
            t0_us = ORIGIN_US + self.index * PERIOD_US
            self.ring[self.sequence] = [{"t0_us": t0_us, "rows": rows, "flags": flags}, -math.inf]
            self.index, self.sequence = self.index + self.n, self.sequence + 1
            if len(self.ring) > RING_FRAMES:
                self.dropped, self.state_is_due, _ = self.dropped + 1, True, self.ring.pop(next(iter(self.ring)))
            if link:
                self.send(link, self.sequence - 1, "rt")

    def send(self, link, sequence, kind):
        """Send one frame; what was kept before has the flag F6.1."""
        held = self.ring[sequence][0]
        payload = encode_frame(boot=self.boot, sequence=sequence, **held | {"flags": held["flags"] | (kind == "bf")})
        link.publish(f"{kind}/1/{self.shard}/{self.name}/{STREAM}", payload)
        self.ring[sequence][1] = time.monotonic()

    def tend(self, link, now_s):
        """Send again (A4): what was asked for, then the oldest, few while nobody answers. Tell the state (S1)."""
        if now_s >= self.round_s:
            old = [sequence for sequence, (_, sent_s) in self.ring.items() if now_s - sent_s >= RESEND_AFTER_S]
            asked = [each for each in self.asked if each in self.ring]
            due, self.asked = list(dict.fromkeys(asked + old))[: 2 if self.is_unheard else 20], []
            for sequence in due:
                self.send(link, sequence, "bf")
            self.is_unheard, self.round_s = bool(due), now_s + (RESEND_AFTER_S if due else 0.25)
        if now_s - self.stated_s > (1 if self.state_is_due else 15):
            self.tell_state(link)

    def tell_state(self, link):
        """S1 to S5; before anything else after a connect (K5)."""
        kept = [[self.boot, STREAM, next(iter(self.ring), self.sequence)]] if self.ring or self.is_wiped else []
        n_bytes = sum(32 + 12 * len(held["rows"]) for held, _ in self.ring.values())
        state = {"online": True, "boot": self.boot, "kept": kept, "bytes_kept": n_bytes, "dropped": self.dropped}
        link.publish(f"dev/1/{self.name}/state", json.dumps(state).encode(), quality=1, retain=True)
        self.state_is_due, self.stated_s = False, time.monotonic()

    def greet(self, link):
        """Say what every connection begins with: state, meta (M1 to M4), subscriptions; then what was kept goes out."""
        self.tell_state(link)
        streams = {STREAM: {"schema": 1, "rate_hz": 1e6 / PERIOD_US, "channels": CHANNELS}}
        meta = {"v": 1, "firmware": "minimal-1", "serial": self.name, "streams": streams}
        link.publish(f"dev/1/{self.name}/meta", json.dumps(meta).encode(), quality=1, retain=True)
        topics = (f"ack/1/{self.name}", f"clk/1/{self.name}", f"cmd/1/{self.name}/#")
        link.send(0x82, b"\x00\x01" + b"".join(text(topic) + b"\x01" for topic in topics))
        self.round_s, self.is_unheard = 0.0, False

    def heed(self, link, topic, payload):
        """Act on a message of the server; what is not understood is ignored (C1)."""
        kind = topic.rpartition("/")[2]
        if topic == f"clk/1/{self.name}" and len(payload) == 9 and payload[0] == 0:  # K1 to K4
            self.probes += 1
            link.publish(topic, b"\x01" + payload[1:] + struct.pack("<QQ", self.clock_us(), self.clock_us()))
            return
        content = json.loads(payload)
        if topic == f"ack/1/{self.name}":
            below = max((each[2] for each in content if each[:2] == [self.boot, STREAM]), default=0)
            for sequence in [each for each in self.ring if each < below]:  # A2
                del self.ring[sequence]
                self.acknowledged, self.is_unheard, self.round_s = self.acknowledged + 1, False, 0.0
        elif kind == "resend" and (content["boot"], content["stream"]) == (self.boot, STREAM):  # C3
            self.asked = list(range(content["from"], min(content["to"], content["from"] + content["credit"])))
            self.round_s, self.is_unheard = 0.0, False
        elif kind == "rate" and content["stream"] == STREAM and 1 <= content["n"] <= 500:  # C2
            self.n = int(content["n"])
        elif kind == "shard":  # C4
            self.shard = content["shard"]
        elif kind == "wipe":  # C4, S5
            self.ring, self.is_wiped, self.stated_s, self.state_is_due = {}, True, 0.0, True


if __name__ == "__main__":
    host, port, name, shard, seconds = sys.argv[1:]
    device, link, stops_s = Device(name, shard), None, time.monotonic() + float(seconds)
    while time.monotonic() < stops_s or device.ring:
        try:
            if time.monotonic() < stops_s:
                device.make(link)
            if link is None:
                link = Link(host, int(port), name, os.environ["DEVICE_PASSWORD"])
                device.greet(link)
            for topic, payload in link.messages():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    device.heed(link, topic, payload)
            device.tend(link, time.monotonic())
        except OSError:
            link = None
            time.sleep(0.5)
    sys.stdout.write(json.dumps({"boot": device.boot, "made": device.sequence, "acknowledged": device.acknowledged}))
