"""How a telephone becomes a sensor: a link for one device, which works once, hands its page the device's credential.

The link's token is not kept anywhere. Its MAC covers the credential that the device had when the link was made; taking
the link gives the device another credential, so the token is void from then on, with every other one of that device.
"""

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlmodel import col, select

from devices.topics import is_device_name
from telerehab.auth import audit
from telerehab.auth.device_credentials import hash_device_password, new_device_password
from telerehab.auth.limits import AttemptLimit
from telerehab.auth.logins import Visit
from telerehab.clock import Clock, utc_now
from telerehab.db.engine import Database, writing
from telerehab.db.tables import Device
from telerehab.errors import LoginFailedError

PHONE_KIND: Final = "phone"
LINK_LIFETIME: Final = timedelta(days=1)
TOKEN_MAX_CHARS: Final = 160


@dataclass(kw_only=True, frozen=True, slots=True)
class PhoneCredential:
    """What a telephone logs in with from now on; shown this once."""

    device: str
    password: str


def make_phone_token(device: str, *, expires_at: datetime, credential_hash: str, key: bytes) -> str:
    """Return the token of a link; it may stand in a URL."""
    expires_s = int(expires_at.timestamp())
    return f"{device}.{expires_s}.{_mac(device, expires_s, credential_hash, key)}"


def named_device(token: str, *, now: datetime) -> str | None:
    """Return the device that a token is for, None where it has none of our shape or has expired.

    >>> named_device("phone-1.99999999999.x", now=datetime(2026, 1, 1))
    'phone-1'
    >>> named_device("phone-1.1.x", now=datetime(2026, 1, 1)) is None
    True
    """
    device, _, rest = token.partition(".")
    expires, _, mac = rest.partition(".")
    is_ours = len(token) <= TOKEN_MAX_CHARS and is_device_name(device) and expires.isascii() and expires.isdecimal()
    return device if is_ours and mac and now.timestamp() < int(expires) else None


def is_phone_token(token: str, *, credential_hash: str, key: bytes) -> bool:
    """Return whether we made a token, while the device had this credential; compares in constant time."""
    device, expires, mac = token.split(".", 2)
    return hmac.compare_digest(_mac(device, int(expires), credential_hash, key).encode(), mac.encode())


class PhoneLinkDesk:
    """Takes links. Blocks (database): call it in a thread."""

    def __init__(self, database: Database, *, clock: Clock, key: bytes) -> None:
        self.key = key
        self._database = database
        self._clock = clock
        self._limit = AttemptLimit(burst=20, refill_s=5, clock=clock)

    def claim(self, token: str, *, visit: Visit) -> PhoneCredential:
        """Give the device of a link a new credential; whoever had the old one is let in no more.

        Raises
        ------
        LoginFailedError
            The link is unknown, was used, has expired, or its device is revoked.
        TooManyAttemptsError
            This address has tried too often.
        """
        self._limit.spend(visit.address)
        now = utc_now(self._clock)
        name = named_device(token, now=now)
        if name is None:
            raise LoginFailedError("the link is not valid any more")
        with writing(self._database.main, owner="web") as db:
            device = db.exec(select(Device).where(col(Device.name) == name).with_for_update()).first()
            if (
                device is None
                or device.revoked_at is not None
                or device.kind != PHONE_KIND
                or not is_phone_token(token, credential_hash=device.credential_hash, key=self.key)
            ):
                raise LoginFailedError("the link is not valid any more")
            password = new_device_password()
            device.credential_hash = hash_device_password(password)
            db.add(device)
            db.flush()
            audit.record_of_system(
                db,
                action="pair_phone",
                organisation_id=device.organisation_id,
                object=f"device:{name}",
                now=now,
            )
        return PhoneCredential(device=name, password=password)


def _mac(device: str, expires_s: int, credential_hash: str, key: bytes) -> str:
    digest = hmac.new(key, f"{device}.{expires_s}.{credential_hash}".encode(), hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
