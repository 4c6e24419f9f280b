"""Credentials of devices and of our own roles at the broker.

A device's credential is kept in the form of Mosquitto's password file (`$7$iterations$salt$hash`, PBKDF2-SHA512), so
the same rows serve the embedded broker and a Mosquitto. Our own roles' passwords are derived from the secret key.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import secrets
from collections.abc import Callable, Mapping
from typing import Final

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, select

from devices.ports import Role
from telerehab.db.engine import reading
from telerehab.db.tables import Device
from telerehab.settings import Settings
from telerehab.supervision import in_thread

log = logging.getLogger(__name__)

ITERATIONS: Final = 101
"""Mosquitto's own number. It needs no more: our passwords are 192 random bits, not words."""
REFRESH_INTERVAL_S: Final = 2.0
_ITERATIONS_MAX: Final = 1_000_000
SALT_BYTES: Final = 12
_PASSWORD_BYTES: Final = 24
BROKER_ROLES: Final[tuple[Role, ...]] = ("ingest", "web", "media", "jobs")


def new_device_password() -> str:
    """Return a random password for a device, shown once."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def hash_device_password(password: str, *, salt: bytes | None = None) -> str:
    """Return the line part that Mosquitto's password file holds for a password."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ITERATIONS)
    return f"$7${ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def is_device_password(password: str, credential_hash: str) -> bool:
    """Return whether a password belongs to a `$7$` hash; False where the hash is none."""
    parts = credential_hash.split("$")
    if len(parts) != 5 or parts[:2] != ["", "7"]:
        return False
    try:
        iterations = int(parts[2])
        salt = base64.b64decode(parts[3], validate=True)
        digest = base64.b64decode(parts[4], validate=True)
    except (ValueError, binascii.Error):
        return False
    if not 1 <= iterations <= _ITERATIONS_MAX:
        return False
    return hmac.compare_digest(hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations), digest)


def read_device_credentials(db: Session) -> dict[str, str]:
    """Return the credential hash of every device that may connect, by name."""
    return dict(db.exec(select(Device.name, Device.credential_hash).where(Device.revoked_at == None)).all())  # noqa: E711


class SqlCredentials:
    """`devices.ports.Credentials` from the table of devices and the secret key.

    Answers come from memory, so that the broker's loop never waits for the database; `refresh` reads it again.
    """

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._role_passwords: Mapping[str, str] = {role: settings.mqtt_password(role) for role in BROKER_ROLES}
        self._roles: Mapping[str, Role] = {role: role for role in BROKER_ROLES}
        self._devices: Mapping[str, str] = {}

    def refresh(self) -> frozenset[str]:
        """Read the devices again; call it in a thread. Return those whose login no longer holds."""
        with reading(self._engine) as db:
            devices = read_device_credentials(db)
        before, self._devices = self._devices, devices
        return frozenset(name for name, credential in before.items() if devices.get(name) != credential)

    async def keep_fresh(
        self,
        interval_s: float = REFRESH_INTERVAL_S,
        *,
        when_void: Callable[[frozenset[str]], None] = lambda names: None,
    ) -> None:
        """Refresh for ever, and tell whose login no longer holds; without the database what is known stays."""
        while True:
            try:
                void = await in_thread(self.refresh)
            except SQLAlchemyError as error:
                log.warning("devices could not be read again: %s", type(error).__name__)
            else:
                if void:
                    when_void(void)
            await asyncio.sleep(interval_s)

    def may_log_in(self, username: str, password: str) -> bool:
        """Tell whether this account exists and the password is right."""
        role_password = self._role_passwords.get(username)
        if role_password is not None:
            return hmac.compare_digest(role_password.encode(), password.encode())
        credential_hash = self._devices.get(username)
        return credential_hash is not None and is_device_password(password, credential_hash)

    def role_of(self, username: str) -> Role | None:
        """Return what an account is, None for one that is unknown or revoked."""
        role = self._roles.get(username)
        if role is not None:
            return role
        return "device" if username in self._devices else None
