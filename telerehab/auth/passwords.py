"""Passwords of staff, as argon2id hashes."""

import secrets
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

PASSWORD_MAX_CHARACTERS: Final = 256
MEMORY_COST_KIB: Final = 65_536


class Passwords:
    """Makes and checks hashes. Takes about 64 MiB and some 50 ms each time, on purpose: call it in a thread.

    Parameters
    ----------
    memory_cost_kib : int
        How much memory a hash takes; tests take little.
    """

    def __init__(self, *, memory_cost_kib: int = MEMORY_COST_KIB) -> None:
        self._hasher = PasswordHash((Argon2Hasher(memory_cost=memory_cost_kib),))
        self._nobody = self._hasher.hash(secrets.token_urlsafe())

    def hash(self, password: str) -> str:
        """Return the hash to keep."""
        return self._hasher.hash(password)

    def is_right(self, password: str, password_hash: str | None) -> bool:
        """Return whether the password belongs to the hash; takes as long where there is no hash."""
        try:
            is_right = self._hasher.verify(password, password_hash or self._nobody)
        except PwdlibError:
            return False
        return is_right and password_hash is not None
