"""Questionnaires: definitions, schedules, answers."""

from fastapi import APIRouter

router = APIRouter(prefix="/api", tags=["questionnaires"])
