"""Time-limited TURN credentials (the TURN REST scheme), made for a browser; never part of a URL."""

import base64
import hashlib
import hmac
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class TurnCredential:
    """What a browser puts into its `iceServers`."""

    username: str
    password: str


def make_turn_credential(secret: bytes, *, participant: str, expires_at_s: int) -> TurnCredential:
    """Make a credential that the TURN server accepts until `expires_at_s` (Unix time [s]).

    Examples
    --------
    >>> make_turn_credential(b"secret", participant="participant-1", expires_at_s=1_700_000_000).password
    'zoBPqDqhMjlzU4+y7Autjux8/NM='
    """
    username = f"{expires_at_s}:{participant}"
    digest = hmac.digest(secret, username.encode(), hashlib.sha1)
    return TurnCredential(username=username, password=base64.b64encode(digest).decode())
