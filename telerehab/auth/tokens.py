"""Secrets that a browser holds: made here, shown once, kept only as hashes."""

import hashlib
import hmac
import re
import secrets
from typing import Final

TOKEN_BYTES: Final = 32
CODE_DIGITS: Final = 6

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")
_CODE: Final = re.compile(r"[0-9]{6}\Z")


def new_token() -> str:
    """Return 256 random bits as 43 characters that may stand in a URL and in a cookie."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_token(text: str) -> bool:
    """Return whether a text has the shape of our tokens."""
    return _TOKEN.match(text) is not None


def hash_token(token: str) -> str:
    """Return the form in which a token is kept. Plain SHA-256: 256 random bits cannot be guessed from it."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_code() -> str:
    """Return six random digits, to be read out on the telephone."""
    return f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"


def is_code(text: str) -> bool:
    """Return whether a text is six ASCII digits.

    >>> is_code("012345"), is_code("12345"), is_code("1234567"), is_code("１２３４５６")
    (True, False, False, False)
    """
    return _CODE.match(text) is not None


def hash_code(code: str, *, key: bytes) -> str:
    """Return the form in which a code is kept; keyed, because a million codes are soon tried."""
    return hmac.new(key, code.encode(), hashlib.sha256).hexdigest()
