"""Referrals and the clock that runs from discharge."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["referrals"])
