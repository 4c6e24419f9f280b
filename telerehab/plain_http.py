"""HTTP between our own roles: plain, on the loopback or a private network."""

import ssl

import httpx2


def make_plain_client(*, timeout: httpx2.Timeout | float, limits: httpx2.Limits | None = None) -> httpx2.AsyncClient:
    """Return a client that trusts no certificate: reading the list of authorities would cost a tenth of a second.

    Whoever gives it an `https` address gets an error, never an unchecked connection.
    """
    return httpx2.AsyncClient(
        trust_env=False,
        verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
        timeout=timeout,
        limits=limits or httpx2.Limits(),
    )
