"""Helpers: invitations, consents, scopes."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["helpers"])
