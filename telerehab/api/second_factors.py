"""The second factor: TOTP codes and passkeys."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["second factors"])
