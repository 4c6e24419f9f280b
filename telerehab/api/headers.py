"""Headers of every response: what a page may load, who may frame it, what may be kept."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "connect-src 'self'",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
HSTS: Final = "max-age=31536000"

_ALWAYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Content-Security-Policy": CONTENT_SECURITY_POLICY,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Permissions-Policy": "camera=(self), microphone=(self), screen-wake-lock=(self), geolocation=(), payment=()",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)


def security_headers(path: str, *, scheme: str = "http") -> dict[str, str]:
    """Return the headers of a response. Only built assets, whose names change with their content, may be kept."""
    is_kept = path.startswith("/assets/")
    headers = dict(_ALWAYS)
    headers["Cache-Control"] = "public, max-age=31536000, immutable" if is_kept else "no-store"
    if scheme == "https":
        headers["Strict-Transport-Security"] = HSTS
    return headers
