"""The installation's keys: they wrap the patients' keys, seal what belongs to no patient, and hash what is searched.

The port is small, so that a key service can stand behind it. Here the keys lie in a file, outside the database and
outside every backup of it: who has the database alone has nothing to read. A ring holds several versions of the master
key; what is written is written with the newest, so that a rotation only has to wrap anew.
"""

import base64
import contextlib
import hashlib
import hmac
import json
import os
import secrets
import stat
import struct
from pathlib import Path
from typing import Any, Final, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telerehab.errors import KeyRingError
from telerehab.settings import Settings

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
_HEAD: Final = struct.Struct("<BI")
_FORMAT: Final = 1


class KeyRing(Protocol):
    """What seals under the installation's own key."""

    def __hash__(self) -> int:
        """Return what tells rings apart: what was opened with one is kept for that one."""
        ...

    def seal(self, value: bytes, *, context: str) -> bytes:
        """Return a value that only this ring opens again, and only for the same context."""
        ...

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Return what was sealed for this context.

        Raises
        ------
        KeyRingError
            It was sealed by another ring or for another context, or it was changed.
        """
        ...

    def keyed_hash(self, value: str, *, purpose: str) -> str:
        """Return a hash, in hex, that only the holder of the ring can compute; for finding equal values."""
        ...


class FileKeyRing:
    """A ring in a JSON file that only its owner can read; made where there is none.

    Raises
    ------
    KeyRingError
        The file cannot be made or read, others may read it, or it is no ring.
    """

    def __init__(self, path: Path) -> None:
        content = _read_or_make(path)
        try:
            self._current = int(content["current"])
            keys = {int(version): base64.b64decode(key) for version, key in content["keys"].items()}
            self._hash_key = base64.b64decode(content["hash_key"])
            self._ciphers = {version: AESGCM(key) for version, key in keys.items()}
            self._ciphers[self._current]
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise KeyRingError(f"The key ring {path} is damaged") from error

    def seal(self, value: bytes, *, context: str) -> bytes:
        """Return a value that only this ring opens again, and only for the same context."""
        head = _HEAD.pack(_FORMAT, self._current)
        return head + seal_with(self._ciphers[self._current], value, context=context)

    def open(self, sealed: bytes, *, context: str) -> bytes:
        """Return what was sealed for this context."""
        if len(sealed) < _HEAD.size:
            raise KeyRingError("what was to be opened is too short")
        form, version = _HEAD.unpack_from(sealed)
        cipher = self._ciphers.get(version)
        if form != _FORMAT or cipher is None:
            raise KeyRingError(f"the key ring has no key of version {version}")
        return open_with(cipher, sealed[_HEAD.size :], context=context)

    def keyed_hash(self, value: str, *, purpose: str) -> str:
        """Return a hash, in hex, that only the holder of the ring can compute."""
        return hmac.new(self._hash_key, f"{purpose}\0{value}".encode(), hashlib.sha256).hexdigest()


def open_key_ring(settings: Settings) -> FileKeyRing:
    """Return the ring of an installation.

    Raises
    ------
    KeyRingError
        The file cannot be made or read, others may read it, or it is no ring.
    """
    return FileKeyRing(settings.key_ring_file)


def seal_with(cipher: AESGCM, value: bytes, *, context: str) -> bytes:
    """Return nonce and ciphertext of a value, bound to its context."""
    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + cipher.encrypt(nonce, value, context.encode())


def open_with(cipher: AESGCM, sealed: bytes, *, context: str) -> bytes:
    """Return what was sealed with this cipher for this context.

    Raises
    ------
    KeyRingError
        The key or the context is another, or the value was changed.
    """
    try:
        return cipher.decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
    except (InvalidTag, ValueError) as error:
        raise KeyRingError("a sealed value cannot be opened: other key, other place, or changed") from error


def _read_or_make(path: Path) -> dict[str, Any]:
    """Return the content of the file; make the file where there is none."""
    try:
        if not path.exists():
            _make(path)
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise KeyRingError(f"The key ring {path} cannot be used: {type(error).__name__}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise KeyRingError(f"Others may read the key ring {path}: run `chmod 600` on it")
    try:
        content = json.loads(text)
    except ValueError as error:
        raise KeyRingError(f"The key ring {path} is damaged") from error
    if not isinstance(content, dict):
        raise KeyRingError(f"The key ring {path} is damaged")
    return content


def _make(path: Path) -> None:
    """Write a new ring; of several processes that do so at once, one wins and all read its ring."""

    def key() -> str:
        return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"current": 1, "keys": {"1": key()}, "hash_key": key()}, file)
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
