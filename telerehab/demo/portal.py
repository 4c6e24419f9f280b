"""How the demonstration's own programs enter the application: by the same links, cookies and sockets as a browser.

The host names (`home1.localhost`) are the browser's; programs connect to the server's address and name the host in the
request, so that no name has to be resolved.
"""

import ssl
from dataclasses import dataclass
from http.cookies import SimpleCookie
from pathlib import Path
from typing import Final
from uuid import UUID

import httpx2
from websockets.asyncio.client import ClientConnection, connect

COOKIE_NAME: Final = "__Host-telerehab"
_TIMEOUT_S: Final = 10.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Portal:
    """One host name of the running application, as somebody who is logged in there."""

    address: str
    port: int
    host: str
    authority: Path | None
    cookie: str

    @property
    def origin(self) -> str:
        """Return the origin that a browser would send."""
        return f"{_scheme(self.authority)}://{self.host}:{self.port}"

    def client(self) -> httpx2.AsyncClient:
        """Return an HTTP client that is logged in; close it after use."""
        return _client(self.address, self.port, self.host, self.authority, {"Cookie": f"{COOKIE_NAME}={self.cookie}"})

    async def socket(self) -> ClientConnection:
        """Open the login's one WebSocket."""
        scheme = "wss" if self.authority else "ws"
        return await connect(
            f"{scheme}://{self.host}:{self.port}/ws",
            host=self.address,
            port=self.port,
            origin=self.origin,  # type: ignore[arg-type]  # a NewType of str
            ssl=_tls(self.authority),
            additional_headers={"Cookie": f"{COOKIE_NAME}={self.cookie}"},
            max_size=1 << 20,
            max_queue=64,
            ping_interval=None,  # the application has its own heartbeat
            compression=None,
            open_timeout=_TIMEOUT_S,
        )


async def enter(*, address: str, port: int, host: str, authority: Path | None, token: str) -> Portal:
    """Spend a one-time link.

    Raises
    ------
    httpx2.HTTPError
        The link was refused or the application did not answer.
    """
    async with _client(address, port, host, authority, {}) as client:
        response = await client.post("/api/enter", json={"token": token})
        response.raise_for_status()
        cookie: SimpleCookie = SimpleCookie()
        for header in response.headers.get_list("set-cookie"):
            cookie.load(header)
    return Portal(address=address, port=port, host=host, authority=authority, cookie=cookie[COOKIE_NAME].value)


async def create_live_session(portal: Portal, *, title: str, patient_ids: list[UUID]) -> UUID:
    """Create a live session as the therapist; its patients are let in as they come."""
    async with portal.client() as client:
        body = {"title": title, "patient_ids": list(map(str, patient_ids))}
        response = await client.post("/api/live-sessions", json=body)
        response.raise_for_status()
        return UUID(response.json()["id"])


async def open_training_session(
    portal: Portal, training_session_id: UUID, *, patient_id: UUID, exercise: str, side: str, live_session_id: UUID
) -> None:
    """Open a training session as the patient's tablet."""
    async with portal.client() as client:
        body = {
            "patient_id": str(patient_id),
            "exercise": exercise,
            "side": side,
            "live_session_id": str(live_session_id),
        }
        response = await client.put(f"/api/training-sessions/{training_session_id}", json=body)
        response.raise_for_status()


def _scheme(authority: Path | None) -> str:
    return "https" if authority else "http"


def _tls(authority: Path | None) -> ssl.SSLContext | None:
    return ssl.create_default_context(cafile=str(authority)) if authority else None


def _client(address: str, port: int, host: str, authority: Path | None, headers: dict[str, str]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        base_url=f"{_scheme(authority)}://{address}:{port}",
        headers={"Host": f"{host}:{port}", "X-Telerehab": "1", **headers},
        verify=_tls(authority) or True,
        timeout=_TIMEOUT_S,
        trust_env=False,
    )
