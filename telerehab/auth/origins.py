"""Which pages may talk to us: those that we served, under a host name that is ours."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from telerehab.settings import Settings

_LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})
_WEBSOCKET_SCHEMES: Final = {"ws": "http", "wss": "https"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def is_own_host(settings: Settings, host: str | None) -> bool:
    """Return whether a `Host` header names us; a name that only points at us (DNS rebinding) is not ours.

    Ours are the loopback names, the address we listen on, the announced media address and `public_hosts`.
    """
    name = _host_name(host)
    if name is None:
        return False
    if name in _LOOPBACK_NAMES or name == settings.web_host or name == settings.media_address:
        return True
    for own in settings.public_hosts:
        if own.startswith("*."):
            if name.endswith(own[1:]) and name != own[1:]:
                return True
        elif name == own:
            return True
    return False


def is_own_origin(settings: Settings, origin: str | None, host: str | None, scheme: str) -> bool:
    """Return whether a request came from one of our own pages.

    Parameters
    ----------
    origin : str or None
        The `Origin` header. None: no browser sent it (browsers always send it with WebSockets and writes).
    host : str or None
        The `Host` header of the same request.
    scheme : str
        Of the request: "http", "https", "ws" or "wss".

    Examples
    --------
    >>> settings = Settings(public_hosts=["*.localhost"])
    >>> is_own_origin(settings, "http://clinic.localhost:8000", "clinic.localhost:8000", "ws")
    True
    >>> is_own_origin(settings, "http://evil.example", "clinic.localhost:8000", "ws")
    False
    """
    if not is_own_host(settings, host):
        return False
    if origin is None:
        return True
    scheme = _WEBSOCKET_SCHEMES.get(scheme, scheme)
    try:
        parts = urlsplit(origin)
        own = urlsplit(f"{scheme}://{host}")
        default_port = _DEFAULT_PORTS.get(scheme)
        same_port = (parts.port or default_port) == (own.port or default_port)
    except ValueError:
        return False
    return parts.scheme == scheme and parts.hostname is not None and parts.hostname == own.hostname and same_port


def _host_name(host: str | None) -> str | None:
    """Return the name in a `Host` header, in lower case, without port and brackets."""
    if not host or any(character in host for character in "/@?#\\ "):
        return None
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    if name is None:
        return None
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
