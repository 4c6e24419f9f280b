"""Flags: what rules noticed."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["flags"])
