"""Passwords of staff, as argon2id hashes."""

import contextlib
import secrets
import threading
from collections.abc import Iterable, Iterator
from typing import Final

from pwdlib import PasswordHash
from pwdlib.exceptions import PwdlibError
from pwdlib.hashers.argon2 import Argon2Hasher

from telerehab.auth.common_passwords import is_common
from telerehab.errors import InvalidContentError, TooManyAttemptsError

PASSWORD_MIN_CHARACTERS: Final = 12
PASSWORD_MAX_CHARACTERS: Final = 256
MEMORY_COST_KIB: Final = 65_536
AT_ONCE_MAX: Final = 4
"""Hashes made at the same time: more would take memory and threads that the live sessions need."""
WAITING_MAX: Final = 8
RETRY_AFTER_S: Final = 1.0


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
        self._inside = threading.BoundedSemaphore(AT_ONCE_MAX + WAITING_MAX)
        self._at_work = threading.BoundedSemaphore(AT_ONCE_MAX)

    def hash(self, password: str) -> str:
        """Return the hash to keep.

        Raises
        ------
        TooManyAttemptsError
            So many passwords are being worked on that this one would have to wait for long.
        """
        with self._turn():
            return self._hasher.hash(password)

    def is_right(self, password: str, password_hash: str | None) -> bool:
        """Return whether the password belongs to the hash; takes as long where there is no hash.

        Raises
        ------
        TooManyAttemptsError
            So many passwords are being checked that this one would have to wait for long.
        """
        with self._turn():
            try:
                is_right = self._hasher.verify(password, password_hash or self._nobody)
            except PwdlibError:
                return False
        return is_right and password_hash is not None

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        """Wait until it is our turn, unless too many wait already."""
        if not self._inside.acquire(blocking=False):
            raise TooManyAttemptsError("too many log in at once", retry_after_s=RETRY_AFTER_S)
        try:
            with self._at_work:
                yield
        finally:
            self._inside.release()


def require_good_password(password: str, *, context: Iterable[str]) -> None:
    """Refuse a password that is too short or too long, or one that is guessed first.

    Parameters
    ----------
    context : iterable of str
        Addresses and names around the account.

    Raises
    ------
    InvalidContentError
        With a fault `too_short`, `too_long` or `too_common`.
    """
    if len(password) < PASSWORD_MIN_CHARACTERS:
        kind = "too_short"
    elif len(password) > PASSWORD_MAX_CHARACTERS:
        kind = "too_long"
    elif is_common(password, context=context):
        kind = "too_common"
    else:
        return
    raise InvalidContentError("this password cannot be taken", faults=[{"at": "new", "kind": kind}])
