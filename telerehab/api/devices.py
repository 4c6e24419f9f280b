"""Kits, devices, and to whom they are lent."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["devices"])
