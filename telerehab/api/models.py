"""What bodies and answers are made of: strict, and no field that nobody knows."""

import re
from datetime import UTC, date, datetime
from typing import Annotated, Final
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from telerehab.auth.passwords import PASSWORD_MAX_CHARACTERS
from telerehab.care.reading import Day

LooseUuid = Annotated[UUID, Field(strict=False)]
"""JSON has no UUID: a string becomes one here, and nothing else does."""


def _only_iso_text(said: object) -> object:
    """Refuse the numbers that pydantic would take for a day or a moment."""
    if not isinstance(said, str) or not _ISO_DAY.match(said):
        raise PydanticCustomError("iso_format", "not as 2026-11-22")
    return said


_ISO_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}($|T)")
LooseDay = Annotated[Day, Field(strict=False)]
"""A calendar day, as "2026-11-22"."""
LooseBirthDate = Annotated[date, Field(strict=False, ge=date(1880, 1, 1)), BeforeValidator(_only_iso_text)]
"""The day on which somebody alive was born."""
LooseMoment = Annotated[
    AwareDatetime,
    Field(strict=False, ge=datetime(2000, 1, 1, tzinfo=UTC), le=datetime(2200, 1, 1, tzinfo=UTC)),
    BeforeValidator(_only_iso_text),
]
"""A moment with its zone, as RFC 3339 writes it."""

Email = Annotated[str, StringConstraints(min_length=3, max_length=254, pattern=r"^[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+$")]
Password = Annotated[str, StringConstraints(min_length=1, max_length=PASSWORD_MAX_CHARACTERS)]
Title = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]
"""One line of text. PostgreSQL keeps no text with a zero character."""
AngleDeg = Annotated[float, Field(ge=-360, le=360, allow_inf_nan=False)]


class Body(BaseModel):
    """The base of what a page sends."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Answer(BaseModel):
    """The base of what a page gets, made from rows."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


class TrainingSessionRead(Answer):
    """A training session."""

    id: UUID
    patient_id: UUID
    live_session_id: UUID | None
    exercise: str
    side: str
    target_low_deg: float | None
    target_high_deg: float | None
    target_repetitions: int | None
    plan_version_id: UUID | None
    helper_id: UUID | None
    training_set_id: UUID | None
    """The set that was started last."""
    opened_at: datetime
    opened_via: str
    closed_at: datetime | None
    close_reason: str | None
    version: int


class RepetitionRead(Answer):
    """One repetition; times are microseconds since the epoch."""

    index: int
    start_us: int
    stop_us: int
    rom_deg: float
    up_s: float
    hold_s: float
    down_s: float
    peak_speed_deg_s: float
    trust: float
    reason: int
    algorithm_version: str


class PatientRead(Answer):
    """A patient."""

    id: UUID
    display_name: str | None
    birth_date: date | None
    language: str


class LiveSessionRead(Answer):
    """A live session and whose seats are in it."""

    id: UUID
    title: str
    state: str
    therapist_account_id: UUID
    patient_ids: list[UUID]
    opened_at: datetime
    ended_at: datetime | None
    version: int
