"""A patient's tablets: pairing links, revoking, PIN."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["tablets"])
