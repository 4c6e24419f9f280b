"""Alerts, and what somebody says follows from them."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["alerts"])
