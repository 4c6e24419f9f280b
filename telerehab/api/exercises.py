"""The exercise library: shared and local."""

from fastapi import APIRouter

router = APIRouter(prefix="/api/exercises", tags=["exercises"])
