"""The organisation's own settings."""

from typing import Annotated, Final, Literal
from uuid import UUID
from zoneinfo import available_timezones

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, Field, StringConstraints

from telerehab.api.dependencies import CurrentReader, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, Title
from telerehab.auth.policies import ADMIN, STAFF, declares
from telerehab.db.repositories.organisations import OrganisationRepository, OrganisationWish

router = APIRouter(prefix="/api/organisation", tags=["organisations"])

Service = Literal["full", "measure_only", "communication_only"]
Telephone = Annotated[str, StringConstraints(max_length=24, pattern=r"^\+?[0-9][0-9 ()-]{1,22}[0-9]$")]
"""A number that can be rung, also a short one (112)."""
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
_ZONES: Final = frozenset(available_timezones())


def _known_zone(name: str) -> str:
    if name not in _ZONES:
        raise ValueError("unknown time zone")
    return name


def get_organisations(db: ReadingDb, reader: CurrentReader, now: Now) -> OrganisationRepository:
    """Return the reader's own organisation."""
    return OrganisationRepository(db, reader=reader, now=now)


def get_writable_organisations(db: WritingDb, reader: CurrentReader, now: Now) -> OrganisationRepository:
    """Return the reader's own organisation, to change it."""
    return OrganisationRepository(db, reader=reader, now=now)


Organisations = Annotated[OrganisationRepository, Depends(get_organisations)]
WritableOrganisations = Annotated[OrganisationRepository, Depends(get_writable_organisations)]


class OrganisationBody(Body):
    """What the settings shall be; `version` is the one that the page showed."""

    version: Version
    name: Title
    service: Service
    help_telephone: Telephone | None
    time_zone: Annotated[str, StringConstraints(max_length=64), AfterValidator(_known_zone)]


class OrganisationRead(Answer):
    """The settings."""

    id: UUID
    name: str
    service: str
    help_telephone: str | None
    time_zone: str
    version: int


@router.get("", response_model=OrganisationRead)
@declares(STAFF)
def get_organisation(organisations: Organisations) -> object:
    """Show the settings of the reader's organisation."""
    return organisations.get()


@router.put("", response_model=OrganisationRead)
@declares(ADMIN)
def put_organisation(body: OrganisationBody, organisations: WritableOrganisations) -> object:
    """Change the settings of the reader's organisation."""
    return organisations.change(OrganisationWish(**dict(body)))
