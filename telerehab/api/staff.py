"""Staff, teams, substitutes: who works here."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Request

from telerehab.api import teams
from telerehab.api.dependencies import CurrentReader, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, Email, LooseUuid, Title
from telerehab.auth.policies import ADMIN, STAFF, declares
from telerehab.auth.reader import StaffRole
from telerehab.db.provisioning import link_address
from telerehab.db.repositories.staff import StaffRepository, StaffWish

router = APIRouter(tags=["staff"])
router.include_router(teams.router)

Language = Literal["da", "en"]


def get_staff_repository(db: ReadingDb, reader: CurrentReader, now: Now) -> StaffRepository:
    """Return the staff of the reader's organisation."""
    return StaffRepository(db, reader=reader, now=now)


def get_writable_staff(db: WritingDb, reader: CurrentReader, now: Now) -> StaffRepository:
    """Return the staff of the reader's organisation, to change them."""
    return StaffRepository(db, reader=reader, now=now)


Staff = Annotated[StaffRepository, Depends(get_staff_repository)]
WritableStaff = Annotated[StaffRepository, Depends(get_writable_staff)]


class StaffBody(Body):
    """What an account shall be."""

    email: Email
    display_name: Title
    role: StaffRole
    language: Language = "da"

    def wish(self) -> StaffWish:
        """Return the wish; e-mail addresses are kept in lower case."""
        return StaffWish(
            email=self.email.strip().lower(),
            display_name=self.display_name,
            role=self.role,
            language=self.language,
        )


class NewStaffBody(StaffBody):
    """A new account."""

    id: LooseUuid | None = None


class StaffRead(Answer):
    """A member of staff; `email` is shown to managers and administrators, `has_way_in` to administrators."""

    id: UUID
    display_name: str
    role: str
    language: str
    is_disabled: bool
    email: str | None
    has_way_in: bool | None


class EntryLinkRead(Answer):
    """A link that lets somebody in once; shown this once."""

    link: str
    expires_at: datetime


@router.get("/api/staff", response_model=list[StaffRead])
@declares(STAFF)
def list_staff(staff: Staff) -> object:
    """List who works here."""
    return staff.list()


@router.post("/api/staff", status_code=201, response_model=StaffRead)
@declares(ADMIN)
def create_staff(body: NewStaffBody, staff: WritableStaff) -> object:
    """Make an account; a link lets its holder in."""
    return staff.create(body.wish(), account_id=body.id)


@router.put("/api/staff/{account_id}", response_model=StaffRead)
@declares(ADMIN)
def put_staff(account_id: UUID, body: StaffBody, staff: WritableStaff) -> object:
    """Change an account."""
    return staff.change(account_id, body.wish())


@router.post("/api/staff/{account_id}/link", status_code=201, response_model=EntryLinkRead)
@declares(ADMIN)
def create_entry_link(account_id: UUID, request: Request, staff: WritableStaff) -> object:
    """Make the one-time link by which somebody enters first, or again."""
    made = staff.create_link(account_id)
    return EntryLinkRead(link=link_address(str(request.base_url), made.token), expires_at=made.link.expires_at)


@router.post("/api/staff/{account_id}/disable", response_model=StaffRead)
@declares(ADMIN)
def disable_staff(account_id: UUID, staff: WritableStaff) -> object:
    """Let somebody in no more; logins end."""
    return staff.disable(account_id)


@router.post("/api/staff/{account_id}/enable", response_model=StaffRead)
@declares(ADMIN)
def enable_staff(account_id: UUID, staff: WritableStaff) -> object:
    """Let somebody in again."""
    return staff.enable(account_id)
