"""What one message costs the network thread: paho's own reader with an empty callback against the fast reader.

Both take the same messages from a pair of sockets, by the turns that paho's thread makes: wait for the socket, read,
look after the connection. They come 20 at a time, as 10,000 a second do when the reader looks every 2 ms.

`python -m telerehab.bench.readers --port 1883` is paho's reader with an empty callback at a real broker, as a process.
"""

import argparse
import os
import signal
import socket
import sys
import time
from typing import Any, Final, NamedTuple

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from devices.fast_reader import FastClient
from devices.gathering_reader import Arrived, GatheringClient

N_MESSAGES: Final = 10_000
MESSAGES_A_READ: Final = 20
PAYLOAD_BYTES: Final = 152  # a block of ten samples
_LOGIN: Final = b"\x20\x02\x00\x00"


class ReaderCosts(NamedTuple):
    """Processor time per message. [µs]"""

    stock_us: float
    fast_us: float


def measure_readers(n_messages: int = N_MESSAGES) -> ReaderCosts:
    """Let both readers take the same messages, a multiple of `MESSAGES_A_READ`.

    Raises
    ------
    RuntimeError
        One of them did not take all.
    """
    taken = {"stock": 0, "fast": 0}

    def count_one(_client: Client, _userdata: Any, _message: MQTTMessage) -> None:
        taken["stock"] += 1

    def count_all(_client: GatheringClient, messages: list[Arrived]) -> None:
        taken["fast"] += len(messages)

    stock = Client(CallbackAPIVersion.VERSION2, client_id="stock", protocol=MQTTProtocolVersion.MQTTv311)
    stock.on_message = count_one
    fast = FastClient(client_id="fast", protocol=MQTTProtocolVersion.MQTTv311, clean_session=True, on_arrived=count_all)
    costs_us = {name: _cost_us(client, n_messages) for name, client in (("stock", stock), ("fast", fast))}
    if set(taken.values()) != {n_messages}:
        raise RuntimeError("a reader did not take all messages")
    return ReaderCosts(stock_us=costs_us["stock"], fast_us=costs_us["fast"])


def _cost_us(client: Client, n_messages: int) -> float:
    topics = [f"rt/1/{number % 64:02x}/bench-{number:04d}/imu".encode() for number in range(MESSAGES_A_READ)]
    portion = b"".join(
        b"\x30" + _length(2 + len(topic) + PAYLOAD_BYTES) + len(topic).to_bytes(2, "big") + topic + bytes(PAYLOAD_BYTES)
        for topic in topics
    )
    near, far = socket.socketpair()
    near.setblocking(False)
    client._sock = near
    spent_s = 0.0
    try:
        far.sendall(_LOGIN)
        client.loop(0.0)
        for _ in range(n_messages // MESSAGES_A_READ):
            far.sendall(portion)
            turns = 1 if isinstance(client, FastClient) else MESSAGES_A_READ
            started_s = time.process_time()
            for _ in range(turns):
                client.loop(0.0)
            spent_s += time.process_time() - started_s
    finally:
        client._reset_sockets()
        far.close()
    return spent_s / n_messages * 1e6


def _length(length: int) -> bytes:
    """Return a packet's length in two bytes, which all of ours need."""
    return bytes([length & 127 | 128, length >> 7])


def main() -> int:
    """Read what devices send until SIGTERM; say when it is subscribed, and in the end how many frames there were."""
    parser = argparse.ArgumentParser(prog="python -m telerehab.bench.readers")
    parser.add_argument("--port", type=int, required=True)
    options = parser.parse_args()
    count = 0

    def count_one(_client: Client, _userdata: Any, _message: MQTTMessage) -> None:
        nonlocal count
        count += 1

    client = Client(CallbackAPIVersion.VERSION2, client_id="bench-stock", protocol=MQTTProtocolVersion.MQTTv311)
    client.username_pw_set("ingest", os.environ["MQTT_PASSWORD"])
    client.on_message = count_one
    client.on_subscribe = lambda *_: _say("subscribed")
    signal.signal(signal.SIGTERM, lambda *_: client.disconnect())
    client.connect("127.0.0.1", options.port)
    client.subscribe([("rt/1/#", 0), ("bf/1/#", 0)])
    client.loop_forever()
    _say(str(count))
    return 0


def _say(what: str) -> None:
    sys.stdout.write(what + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
