"""Somebody of the care scene at work: requests of one login over the real HTTP API, and what they must answer."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeVar

import httpx2

TRIES_MAX: Final = 60
TRY_AGAIN_S: Final = 1.0
"""A killed web role is back within seconds, within a minute on a busy machine; every request may be sent twice."""

Seen = TypeVar("Seen")


class CareFaultError(Exception):
    """Something is not as it should be; the message says what, without anything of a person."""


class Door(Protocol):
    """A way in for somebody who is logged in: a `Portal`, in tests one without a network."""

    def client(self) -> httpx2.AsyncClient:
        """Return an HTTP client that is logged in; whoever asks closes it."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer: its status, and its JSON."""

    status: int
    body: Any

    @property
    def code(self) -> str | None:
        """Return the code of a problem."""
        return self.body.get("code") if isinstance(self.body, dict) else None


class Visitor:
    """One login that asks. Use as an asynchronous context manager."""

    def __init__(self, name: str, door: Door) -> None:
        self._name = name
        self._client = door.client()

    async def __aenter__(self) -> "Visitor":
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._client.aclose()

    async def ask(self, method: str, path: str, body: object = None) -> Reply:
        """Return whatever is answered; without any answer the request is sent again.

        Raises
        ------
        CareFaultError
            There was no answer at all.
        """
        for attempt in range(TRIES_MAX):
            if attempt:
                await asyncio.sleep(TRY_AGAIN_S)
            try:
                response = await self._client.request(method, path, json=body)
            except httpx2.TransportError:
                continue
            return Reply(status=response.status_code, body=response.json() if response.content else None)
        raise CareFaultError(f"no answer to the {self._name}")

    async def get(self, path: str) -> Any:
        """Return what is answered; anything but success is a fault."""
        return await self._done("GET", path)

    async def put(self, path: str, body: object) -> Any:
        """Write under an id of one's own."""
        return await self._done("PUT", path, body)

    async def post(self, path: str, body: object = None) -> Any:
        """Do something."""
        return await self._done("POST", path, body)

    async def refused(self, method: str, path: str, body: object = None, *, status: int, code: str) -> None:
        """Ask for what must be refused in this way."""
        reply = await self.ask(method, path, body)
        if (reply.status, reply.code) != (status, code):
            raise CareFaultError(f"the {self._name} got {reply.status} {reply.code or ''}, not {status} {code}")

    async def _done(self, method: str, path: str, body: object = None) -> Any:
        reply = await self.ask(method, path, body)
        if not 200 <= reply.status < 300:
            raise CareFaultError(f"the {self._name} was refused: {reply.status} {reply.code or ''}")
        return reply.body


def require(condition: bool, what: str) -> None:
    """Raise CareFaultError with what is wrong, where the condition does not hold."""
    if not condition:
        raise CareFaultError(what)


async def look_until(look: Callable[[], Awaitable[Seen | None]], *, every_s: float, within_s: float) -> Seen | None:
    """Look again and again until something is seen; None when the time is over."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + within_s
    while True:
        seen = await look()
        if seen is not None or loop.time() >= until_s:
            return seen
        await asyncio.sleep(every_s)
