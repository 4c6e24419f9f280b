"""What lies outside of a segment's encrypted content: enough to open it, and nothing that tells whose it is.

`magic | format version | nonce | AES-256-GCM ciphertext`. The additional data name the training session (or the device
and hour) and the segment, never the patient: after a retraction only the key is wrapped anew.
"""

import secrets
from typing import Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from telerehab.archive.errors import SegmentDamagedError, SegmentLockedError
from telerehab.auth.key_ring import KEY_BYTES, NONCE_BYTES, open_with, seal_with
from telerehab.errors import KeyRingError

_HEAD: Final = b"TRSG\x01"


def new_key() -> bytes:
    """Return the key of a new training session, or device and hour."""
    return secrets.token_bytes(KEY_BYTES)


def seal_body(body: bytes, *, key: bytes, context: str) -> bytes:
    """Return the bytes of a segment's file."""
    return _HEAD + seal_with(AESGCM(key), body, context=context)


def open_body(data: bytes, *, key: bytes, context: str) -> bytes:
    """Return the plain content of a segment's file.

    Raises
    ------
    SegmentDamagedError
        The file is none of ours or is cut off.
    SegmentLockedError
        It does not open: it was changed, is another segment's file, or the key is another one.
    """
    if not data.startswith(_HEAD) or len(data) < len(_HEAD) + NONCE_BYTES + 16:
        raise SegmentDamagedError("a segment's file is none, or is cut off")
    try:
        return open_with(AESGCM(key), data[len(_HEAD) :], context=context)
    except KeyRingError as error:
        raise SegmentLockedError("a segment does not open: changed, another segment's file, or another key") from error


def context_of(*, segment_id: UUID, training_session_id: UUID | None, device: str, hour_us: int | None) -> str:
    """Return the additional data of a segment."""
    whose = (
        device_hour(device, hour_us or 0) if training_session_id is None else f"training session/{training_session_id}"
    )
    return f"segment/{whose}/{segment_id}"


def device_hour(device: str, hour_us: int) -> str:
    """Return what names the samples of a device in one hour that belong to no training session."""
    return f"device/{device}/hour/{hour_us}"
