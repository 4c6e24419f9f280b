"""A broker that forgets everything when it dies, and loses, doubles, delays and caps what it carries.

What MQTT promises holds: messages of one device on its own `dev/` topics keep their order. A PUBACK says that the
broker has a message, and nothing of what becomes of it.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from firmware_sim.firmware import Outgoing

LATENCY_US: Final = (3_000, 30_000)
REORDER_MAX_US: Final = 2_500_000

Deliver = Callable[[str, bytes], None]
Schedule = Callable[[int, Callable[[], None]], None]


@dataclass(slots=True, kw_only=True)
class Faults:
    """What the broker does to messages at the moment: probabilities, and how many may wait for one client."""

    loss: float = 0.0
    doubles: float = 0.0
    reorder: float = 0.0
    damage: float = 0.0
    cap: int = 100_000


@dataclass(slots=True, kw_only=True, eq=False)
class Client:
    """A connection; `deliver` takes a message when it arrives there."""

    name: str
    deliver: Deliver
    is_open: bool = True
    waiting_count: int = 0
    last_us: dict[str, int] = field(default_factory=dict)


class Broker:
    """The broker and all its connections."""

    def __init__(self, *, schedule: Schedule, now_us: Callable[[], int], chance: random.Random) -> None:
        self.is_up = True
        self.faults = Faults()
        self.note_damage: Callable[[str, bytes], None] = lambda topic, payload: None
        self._schedule, self._now_us, self._chance = schedule, now_us, chance
        self._clients: dict[str, Client] = {}
        self._retained: dict[str, bytes] = {}

    def connect(self, name: str, deliver: Deliver) -> Client | None:
        """Open a connection in place of any other of that name; None while the broker is down."""
        if not self.is_up:
            return None
        self.drop(name)
        client = self._clients[name] = Client(name=name, deliver=deliver)
        if name == "intake":
            for topic, payload in self._retained.items():
                self._forward(client, topic, payload)
        return client

    def drop(self, name: str) -> None:
        """Close a connection."""
        client = self._clients.pop(name, None)
        if client is not None:
            client.is_open = False

    def crash(self) -> None:
        """Die: every connection, every waiting and every retained message is gone."""
        for name in list(self._clients):
            self.drop(name)
        self._retained.clear()
        self.is_up = False

    def restart(self) -> None:
        """Come back with nothing."""
        self.is_up = True

    def publish(self, message: Outgoing, *, to: str) -> None:
        """Take a message and pass it on to a client, if that is connected."""
        if message.retain:
            self._retained[message.topic] = message.payload
        client = self._clients.get(to)
        if client is not None:
            self._forward(client, message.topic, message.payload)

    def _forward(self, client: Client, topic: str, payload: bytes) -> None:
        chance, faults = self._chance, self.faults
        copies = 1 + (chance.random() < faults.doubles) - (chance.random() < faults.loss)
        for _ in range(copies):
            if client.waiting_count >= faults.cap:
                return
            client.waiting_count += 1
            at_us = self._now_us() + chance.randint(*LATENCY_US)
            if chance.random() < faults.reorder:
                at_us += chance.randrange(REORDER_MAX_US)
            if topic.startswith("dev/"):
                at_us = client.last_us[topic] = max(at_us, client.last_us.get(topic, 0))
            sent = payload
            if payload and topic[:2] in ("rt", "bf") and chance.random() < faults.damage:
                place = chance.randrange(len(payload))
                sent = payload[:place] + bytes([payload[place] ^ chance.randint(1, 255)]) + payload[place + 1 :]
                self.note_damage(topic, sent)
            self._schedule(at_us, lambda sent=sent: self._arrive(client, topic, sent))  # type: ignore[misc]

    def _arrive(self, client: Client, topic: str, payload: bytes) -> None:
        client.waiting_count -= 1
        if client.is_open:
            client.deliver(topic, payload)
