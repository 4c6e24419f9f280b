"""Groups of patients who train together."""

from datetime import date
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseUuid, Title
from telerehab.auth.policies import THERAPIST, declares
from telerehab.db.repositories.groups import MEMBERS_MAX, GroupRepository, GroupRows

router = APIRouter(prefix="/api/groups", tags=["groups"])


def get_groups(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> GroupRepository:
    """Return the groups that the reader leads."""
    return GroupRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_groups(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> GroupRepository:
    """Return the groups that the reader leads, to change them."""
    return GroupRepository(db, reader=reader, now=now, key_ring=key_ring)


Groups = Annotated[GroupRepository, Depends(get_groups)]
WritableGroups = Annotated[GroupRepository, Depends(get_writable_groups)]


class MembersBody(Body):
    """Who shall belong to a group."""

    patient_ids: Annotated[list[LooseUuid], Field(max_length=MEMBERS_MAX)]


class GroupNameBody(Body):
    """What a group is called."""

    name: Title


class NewGroupBody(GroupNameBody):
    """A new group."""

    id: LooseUuid | None = None
    patient_ids: Annotated[list[LooseUuid], Field(max_length=MEMBERS_MAX)] = Field(default_factory=list)


class MemberRead(Answer):
    """A patient of a group."""

    id: UUID
    display_name: str | None
    birth_date: date | None


class GroupRead(Answer):
    """A group; `hidden_count` patients are in it whom the reader may not see."""

    id: UUID
    name: str
    account_id: UUID
    members: list[MemberRead]
    hidden_count: int


@router.get("", response_model=list[GroupRead])
@declares(THERAPIST)
def list_groups(groups: Groups) -> object:
    """List the groups that the therapist leads or stands in for."""
    return [_shown(rows) for rows in groups.list()]


@router.post("", status_code=201, response_model=GroupRead)
@declares(THERAPIST)
def create_group(body: NewGroupBody, groups: WritableGroups) -> object:
    """Make a group."""
    return _shown(groups.create(body.name, group_id=body.id, patient_ids=body.patient_ids))


@router.get("/{group_id}", response_model=GroupRead)
@declares(THERAPIST)
def get_group(group_id: UUID, groups: Groups) -> object:
    """Show a group."""
    return _shown(groups.get(group_id))


@router.put("/{group_id}", response_model=GroupRead)
@declares(THERAPIST)
def put_group(group_id: UUID, body: GroupNameBody, groups: WritableGroups) -> object:
    """Rename a group."""
    return _shown(groups.rename(group_id, body.name))


@router.put("/{group_id}/members", response_model=GroupRead)
@declares(THERAPIST)
def put_group_members(group_id: UUID, body: MembersBody, groups: WritableGroups) -> object:
    """Say who belongs to a group from now on."""
    return _shown(groups.set_members(group_id, body.patient_ids))


@router.delete("/{group_id}", status_code=204)
@declares(THERAPIST)
def end_group(group_id: UUID, groups: WritableGroups) -> None:
    """Dissolve a group."""
    groups.end(group_id)


def _shown(rows: GroupRows) -> GroupRead:
    return GroupRead(
        id=rows.id,
        name=rows.name,
        account_id=rows.account_id,
        members=[
            MemberRead(id=each.patient_id, display_name=each.name, birth_date=each.birth_date) for each in rows.members
        ],
        hidden_count=rows.hidden_count,
    )
