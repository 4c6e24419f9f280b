"""Codes of an authenticator app (RFC 6238): six digits, 30 s, one step early or late; each code counts once."""

import hmac
import io
from datetime import datetime
from typing import Final
from uuid import UUID

import pyotp
import segno

from telerehab.auth.key_ring import KeyRing

STEP_S: Final = 30
STEPS_AROUND: Final = 1
ISSUER: Final = "telerehab"


def new_secret() -> str:
    """Return a random secret of 160 bits, in base32."""
    return pyotp.random_base32()


def address_of(secret: str, *, account_name: str) -> str:
    """Return the `otpauth://` address that an app takes over."""
    return pyotp.TOTP(secret).provisioning_uri(name=account_name, issuer_name=ISSUER)


def accepted_step(secret: str, code: str, *, now: datetime, last_step: int | None) -> int | None:
    """Return the time step of a right code that has not counted yet; None for any other.

    Parameters
    ----------
    last_step : int or None
        The step of the code that was accepted last; it and all before it are used up.
    """
    totp, current = pyotp.TOTP(secret, interval=STEP_S), int(now.timestamp()) // STEP_S
    found = None
    for step in range(current - STEPS_AROUND, current + STEPS_AROUND + 1):
        is_right = hmac.compare_digest(totp.generate_otp(step).encode(), code.encode())
        if is_right and (last_step is None or step > last_step):
            found = step
    return found


def seal_secret(secret: str, *, key_ring: KeyRing, account_id: UUID) -> bytes:
    """Return the secret as an account's row keeps it."""
    return key_ring.seal(secret.encode(), context=_context(account_id))


def open_secret(sealed: bytes, *, key_ring: KeyRing, account_id: UUID) -> str:
    """Return the secret of an account.

    Raises
    ------
    KeyRingError
        It was sealed by another ring or for another account.
    """
    return key_ring.open(sealed, context=_context(account_id)).decode()


def qr_svg(address: str) -> str:
    """Return an address as a QR code, an SVG that stands alone."""
    drawn = io.BytesIO()
    segno.make(address, error="m").save(drawn, kind="svg", scale=4, border=3, xmldecl=False, light="white")
    return drawn.getvalue().decode()


def _context(account_id: UUID) -> str:
    return f"account/{account_id}/totp"
