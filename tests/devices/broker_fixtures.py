"""An embedded broker on its own event loop and thread, as in the broker role, with accounts in memory."""

import asyncio
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

from devices.broker_client import BrokerClient
from devices.embedded_broker import EmbeddedBroker
from devices.ports import Raw, Role

ACCOUNTS: dict[str, Role] = {
    "band-1": "device",
    "band-2": "device",
    "ingest": "ingest",
    "web": "web",
    "media": "media",
    "jobs": "jobs",
}


class MemoryCredentials:
    """Every account's password is its name backwards."""

    def __init__(self) -> None:
        self.revoked: set[str] = set()

    def may_log_in(self, username: str, password: str) -> bool:
        return password == password_of(username)

    def role_of(self, username: str) -> Role | None:
        return None if username in self.revoked else ACCOUNTS.get(username)


def password_of(username: str) -> str:
    return username[::-1]


@contextmanager
def embedded_broker(credentials: MemoryCredentials, *, port: int = 0) -> Iterator[int]:
    """Run a broker; yields its port."""
    with serving_broker(credentials, port=port) as (broker, _):
        yield broker.port


@contextmanager
def serving_broker(
    credentials: MemoryCredentials, *, port: int = 0
) -> Iterator[tuple[EmbeddedBroker, asyncio.AbstractEventLoop]]:
    """Run a broker on a loop of its own; yields both."""
    loop = asyncio.new_event_loop()
    broker = EmbeddedBroker("127.0.0.1", port, credentials=credentials)
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(broker.start(), loop).result(10)
        yield broker, loop
    finally:
        asyncio.run_coroutine_threadsafe(broker.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


@contextmanager
def connected(
    port: int,
    username: str,
    *subscriptions: str,
    client_id: str | None = None,
    protocol_version: int = 4,
    on_wake: Callable[[], None] | None = None,
    tls: ssl.SSLContext | None = None,
    reader: Literal["fast", "stock"] = "stock",
) -> Iterator[BrokerClient]:
    """Connect, and wait until subscribed."""
    is_role = ACCOUNTS[username] != "device"
    client = BrokerClient(
        "127.0.0.1",
        port,
        username=username,
        password=password_of(username),
        client_id=client_id,
        subscriptions=subscriptions,
        has_echo=is_role,
        protocol_version=5 if protocol_version == 5 else 4,
        on_wake=on_wake,
        tls=tls,
        reader=reader,
    )
    client.start()
    try:
        until(lambda: client.is_subscribed if subscriptions or is_role else client.is_connected)
        yield client
    finally:
        client.close()


def until(condition: Callable[[], object], *, within_s: float = 30.0, tend: BrokerClient | None = None) -> None:
    """Wait for a real condition, or fail."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        if tend is not None:
            tend.tend(time.monotonic_ns())
        time.sleep(0.01)


def receive(client: BrokerClient, count: int = 1, *, within_s: float = 30.0) -> list[Raw]:
    """Wait for messages."""
    taken: list[Raw] = []

    def is_enough() -> bool:
        taken.extend(client.take())
        return len(taken) >= count

    until(is_enough, within_s=within_s, tend=client)
    return taken


def ask_and_wait(client: BrokerClient) -> None:
    """Put a question to the broker, which answers in order."""
    client._is_subscribed = False
    client.resubscribe()
    until(lambda: client.is_subscribed)
