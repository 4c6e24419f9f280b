"""Which requests show that somebody sits there: pages also ask by themselves, every few seconds, all day long."""

import re
from typing import Final

_ID: Final = re.compile(r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)
_POLLED: Final = frozenset(
    {
        "/api/alerts",
        "/api/appointments",
        "/api/caseload",
        "/api/duties/now",
        "/api/flags",
        "/api/help-calls",
        "/api/help-calls/{id}",
        "/api/live-sessions",
        "/api/login",
        "/api/my/today",
        "/api/notices",
        "/api/patients/{id}/messages",
        "/api/patients/{id}/stop",
    }
)
"""What pages read again by themselves."""


def is_use(method: str | None, path: str) -> bool:
    """Return whether a request counts against the idle limit of its login; None: a WebSocket that opens.

    >>> is_use("GET", "/api/alerts"), is_use("POST", "/api/alerts"), is_use("GET", "/api/me"), is_use(None, "/ws")
    (False, True, True, True)
    >>> is_use("GET", "/api/patients/6d6b7e6c-3a49-4b9c-9d2b-0d8f5a1f2c3e/messages")
    False
    """
    return method != "GET" or _ID.sub("{id}", path) not in _POLLED
