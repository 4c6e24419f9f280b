"""The login cookie: for our own pages only, out of the reach of scripts."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from telerehab.auth.tokens import is_token

COOKIE_NAME: Final = "__Host-telerehab"
"""The prefix makes browsers insist on Secure, Path=/ and no Domain: another host name cannot plant it."""


def set_login_cookie(response: Response, token: str, *, max_age_s: int) -> None:
    """Give the browser its login."""
    response.set_cookie(COOKIE_NAME, token, max_age=max_age_s, path="/", secure=True, httponly=True, samesite="lax")


def clear_login_cookie(response: Response) -> None:
    """Take the login from the browser."""
    response.delete_cookie(COOKIE_NAME, path="/", secure=True, httponly=True, samesite="lax")


def login_token(cookies: Mapping[str, str]) -> str | None:
    """Return the login token that a browser sent, if it has the shape of one."""
    token = cookies.get(COOKIE_NAME)
    return token if token is not None and is_token(token) else None
