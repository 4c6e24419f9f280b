"""Appointments, and the calendar that reads them."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["appointments"])
