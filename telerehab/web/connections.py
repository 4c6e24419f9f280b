"""uvicorn's connections, less patient: who does not say what it wants in time makes room for others.

uvicorn itself waits without end for the head and the body of a request, so a stranger who opens connections and says
nothing would soon hold every descriptor of the process.
"""

import asyncio
import resource
from typing import Any, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

REQUEST_WITHIN_S: Final = 20.0
"""From the opening of a connection, or the first byte of a later request, to the last byte of the request's body."""
OPEN_FILES_MAX: Final = 65_536


class BoundedHttpConnection(H11Protocol):
    """An HTTP connection that is closed when a request does not arrive as a whole in time."""

    request_within_s: float = REQUEST_WITHIN_S
    _deadline: asyncio.TimerHandle | None = None
    _is_upgraded = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        """Take what arrived; wait on as long as a part is missing."""
        super().data_received(data)
        is_unfinished = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if is_unfinished and not self._is_upgraded and not self.transport.is_closing():
            self._wait_for_request()
        else:
            self._wait_no_more()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection on: a WebSocket has times of its own."""
        self._is_upgraded = True
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._wait_no_more()
        super().connection_lost(exc)

    def _wait_for_request(self) -> None:
        """Close the connection in a while; a wait that has begun goes on, however many bytes trickle in."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.request_within_s, self.transport.abort)

    def _wait_no_more(self) -> None:
        """Let the connection be."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


class BoundedWebSocketConnection(WebSocketsSansIOProtocol):
    """A WebSocket whose handshake is answered at once or never; a refusal is no fault worth a line in the log."""

    def data_received(self, data: bytes) -> None:
        """Take what arrived; a head that cannot be read, and that uvicorn would leave unanswered, ends it."""
        super().data_received(data)
        if not self.handshake_initiated:
            self.transport.abort()

    async def send(self, message: Any) -> None:
        """Send; an answer that refuses the handshake has completed it, which uvicorn does not note."""
        await super().send(message)
        if self.initial_response is not None and self.close_sent:
            self.handshake_complete = True


def allow_many_connections() -> None:
    """Let the process open as many descriptors as it is allowed to, up to `OPEN_FILES_MAX`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES_MAX if hard == resource.RLIM_INFINITY else min(hard, OPEN_FILES_MAX)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
