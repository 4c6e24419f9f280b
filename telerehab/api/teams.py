"""Teams and substitutes."""

from datetime import date, datetime
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field

from telerehab.api.dependencies import CurrentReader, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseDay, LooseMoment, LooseUuid, Title
from telerehab.auth.policies import MANAGER_OR_ADMIN, STAFF, declares
from telerehab.db.repositories.teams import MemberWish, TeamRepository

router = APIRouter(tags=["staff"])

MEMBERS_MAX: Final = 200


def get_teams(db: ReadingDb, reader: CurrentReader, now: Now) -> TeamRepository:
    """Return the teams of the reader's organisation."""
    return TeamRepository(db, reader=reader, now=now)


def get_writable_teams(db: WritingDb, reader: CurrentReader, now: Now) -> TeamRepository:
    """Return the teams of the reader's organisation, to change them."""
    return TeamRepository(db, reader=reader, now=now)


Teams = Annotated[TeamRepository, Depends(get_teams)]
WritableTeams = Annotated[TeamRepository, Depends(get_writable_teams)]


class TeamBody(Body):
    """What a team is called."""

    name: Title


class NewTeamBody(TeamBody):
    """A new team."""

    id: LooseUuid | None = None


class MemberBody(Body):
    """Who belongs to a team, from when to when."""

    account_id: LooseUuid
    starts_at: LooseMoment | None = None
    ends_at: LooseMoment | None = None


class MembersBody(Body):
    """All who shall belong to a team."""

    members: Annotated[list[MemberBody], Field(max_length=MEMBERS_MAX)]


class MemberRead(Answer):
    """Who belongs to a team."""

    account_id: UUID
    display_name: str
    starts_at: datetime
    ends_at: datetime | None


class TeamRead(Answer):
    """A team."""

    id: UUID
    name: str
    members: list[MemberRead]


class SubstitutionBody(Body):
    """Who stands in for whom; both days are included."""

    id: LooseUuid | None = None
    absent_account_id: LooseUuid
    substitute_account_id: LooseUuid
    first_on: LooseDay
    last_on: LooseDay


class SubstitutionRead(Answer):
    """Who stands in for whom."""

    id: UUID
    absent_account_id: UUID
    absent_name: str
    substitute_account_id: UUID
    substitute_name: str
    first_on: date
    last_on: date


@router.get("/api/teams", response_model=list[TeamRead])
@declares(STAFF)
def list_teams(teams: Teams) -> object:
    """List the teams and who belongs to them."""
    return teams.list()


@router.post("/api/teams", status_code=201, response_model=TeamRead)
@declares(MANAGER_OR_ADMIN)
def create_team(body: NewTeamBody, teams: WritableTeams) -> object:
    """Make a team."""
    return teams.create(body.name, team_id=body.id)


@router.put("/api/teams/{team_id}", response_model=TeamRead)
@declares(MANAGER_OR_ADMIN)
def put_team(team_id: UUID, body: TeamBody, teams: WritableTeams) -> object:
    """Rename a team."""
    return teams.rename(team_id, body.name)


@router.put("/api/teams/{team_id}/members", response_model=TeamRead)
@declares(MANAGER_OR_ADMIN)
def put_team_members(team_id: UUID, body: MembersBody, teams: WritableTeams) -> object:
    """Say who belongs to a team from now on."""
    return teams.set_members(team_id, [MemberWish(**dict(member)) for member in body.members])


@router.delete("/api/teams/{team_id}", status_code=204)
@declares(MANAGER_OR_ADMIN)
def end_team(team_id: UUID, teams: WritableTeams) -> None:
    """Dissolve a team that has no patients."""
    teams.end(team_id)


@router.get("/api/substitutions", response_model=list[SubstitutionRead])
@declares(STAFF)
def list_substitutions(teams: Teams) -> object:
    """List who stands in for whom, now or later."""
    return teams.list_substitutions()


@router.post("/api/substitutions", status_code=201, response_model=SubstitutionRead)
@declares(MANAGER_OR_ADMIN)
def create_substitution(body: SubstitutionBody, teams: WritableTeams) -> object:
    """Let somebody stand in for an absent colleague."""
    return teams.create_substitution(
        substitution_id=body.id,
        absent_id=body.absent_account_id,
        substitute_id=body.substitute_account_id,
        first_on=body.first_on,
        last_on=body.last_on,
    )


@router.delete("/api/substitutions/{substitution_id}", status_code=204)
@declares(MANAGER_OR_ADMIN)
def end_substitution(substitution_id: UUID, teams: WritableTeams) -> None:
    """End a substitution."""
    teams.end_substitution(substitution_id)
