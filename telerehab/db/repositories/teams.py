"""Teams and substitutes of one organisation: who else treats a patient, and when."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import or_
from sqlmodel import Session, col, select

from telerehab.auth.audit import record
from telerehab.auth.reader import Reader
from telerehab.db.repositories.organisations import days_of, moments_of, organisation_zone
from telerehab.db.repositories.staff import require_therapist
from telerehab.db.tables import Account, CareRelation, Substitution, Team, TeamMembership
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

LIST_MAX: Final = 500
SUBSTITUTION_DAYS_MAX: Final = 366


@dataclass(kw_only=True, frozen=True, slots=True)
class MemberWish:
    """Who shall belong to a team, from when (None: from now) to when (None: until it is changed)."""

    account_id: UUID
    starts_at: datetime | None = None
    ends_at: datetime | None = None


@dataclass(kw_only=True, frozen=True, slots=True)
class Member:
    """Who belongs to a team, or will."""

    account_id: UUID
    display_name: str
    starts_at: datetime
    ends_at: datetime | None


@dataclass(kw_only=True, frozen=True, slots=True)
class TeamRows:
    """A team and its members."""

    id: UUID
    name: str
    members: Sequence[Member]


@dataclass(kw_only=True, frozen=True, slots=True)
class SubstitutionRow:
    """Who stands in for whom, on which days, both included, of the organisation's time zone."""

    id: UUID
    absent_account_id: UUID
    absent_name: str
    substitute_account_id: UUID
    substitute_name: str
    first_on: date
    last_on: date


class TeamRepository:
    """The teams and substitutes of the reader's organisation."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def list(self) -> Sequence[TeamRows]:
        """Return the teams by name, with those who belong to them now or later."""
        statement = select(Team).where(
            col(Team.organisation_id) == self._reader.organisation_id, col(Team.ended_at).is_(None)
        )
        teams = self._db.exec(statement.order_by(col(Team.name), col(Team.id)).limit(LIST_MAX)).all()
        return self._with_members(teams)

    def create(self, name: str, *, team_id: UUID | None) -> TeamRows:
        """Make a team; the same id and name again adds nothing."""
        known = None if team_id is None else self._db.get(Team, team_id)
        if known is not None:
            team = self._require(known.id)
            if team.name != name:
                raise ConflictError("this team has another name")
            return self._with_members([team])[0]
        team = Team(id=team_id or uuid4(), organisation_id=self._reader.organisation_id, name=name)
        self._db.add(team)
        self._db.flush()
        self._record("create_team", f"team:{team.id}")
        return self._with_members([team])[0]

    def rename(self, team_id: UUID, name: str) -> TeamRows:
        """Give a team another name."""
        team = self._require(team_id)
        team.name = name
        self._db.add(team)
        return self._with_members([team])[0]

    def set_members(self, team_id: UUID, wishes: Sequence[MemberWish]) -> TeamRows:
        """Say who belongs to a team from now on; who is not named leaves now.

        Raises
        ------
        NotFoundError
            The team, or an account, is of elsewhere.
        InvalidContentError
            Somebody is no therapist, is named twice, or a time range is empty.
        """
        team = self._require(team_id, lock=True)
        wanted = {wish.account_id: wish for wish in wishes}
        if len(wanted) != len(wishes):
            raise InvalidContentError("named twice", faults=[{"at": "members", "kind": "named_twice"}])
        for i, wish in enumerate(wishes):
            require_therapist(self._db, self._reader, wish.account_id, at=f"members.{i}.account_id")
            if wish.ends_at is not None and wish.ends_at <= max(wish.starts_at or self._now, self._now):
                raise InvalidContentError("it is over", faults=[{"at": f"members.{i}.ends_at", "kind": "too_early"}])
        for row in self._memberships([team.id]):
            kept = wanted.pop(row.account_id, None)
            if kept is None:
                row.ends_at = max(row.starts_at, self._now)
            else:
                row.ends_at = kept.ends_at
                if row.starts_at > self._now:
                    row.starts_at = kept.starts_at or self._now
            self._db.add(row)
        for wish in wanted.values():
            starts_at = max(wish.starts_at or self._now, self._now)
            self._db.add(
                TeamMembership(team_id=team.id, account_id=wish.account_id, starts_at=starts_at, ends_at=wish.ends_at)
            )
        self._db.flush()
        self._record("set_team_members", f"team:{team.id}")
        return self._with_members([team])[0]

    def end(self, team_id: UUID) -> None:
        """Dissolve a team.

        Raises
        ------
        ConflictError
            Patients are in its care: give them to others first (`team_has_patients`).
        """
        team = self._require(team_id, lock=True)
        in_care = select(CareRelation.id).where(
            col(CareRelation.team_id) == team.id,
            or_(col(CareRelation.ends_at).is_(None), col(CareRelation.ends_at) > self._now),
        )
        if self._db.exec(in_care).first() is not None:
            raise ConflictError("patients are in this team's care", code="team_has_patients")
        for row in self._memberships([team.id]):
            row.ends_at = max(row.starts_at, self._now)
            self._db.add(row)
        team.ended_at = self._now
        self._db.add(team)
        self._record("end_team", f"team:{team.id}")

    def list_substitutions(self) -> Sequence[SubstitutionRow]:
        """Return who stands in for whom now or later, the next first."""
        statement = (
            select(Substitution)
            .join(Account, col(Account.id) == col(Substitution.absent_account_id))
            .where(
                col(Account.organisation_id) == self._reader.organisation_id,
                col(Substitution.ends_at) > self._now,
                col(Substitution.ends_at) > col(Substitution.starts_at),
            )
        )
        rows = self._db.exec(statement.order_by(col(Substitution.starts_at)).limit(LIST_MAX)).all()
        return self._shown_substitutions(rows)

    def create_substitution(
        self, *, substitution_id: UUID | None, absent_id: UUID, substitute_id: UUID, first_on: date, last_on: date
    ) -> SubstitutionRow:
        """Let somebody stand in for an absent colleague on these days, both included.

        Raises
        ------
        NotFoundError
            One of both is of elsewhere.
        InvalidContentError
            They are the same, the substitute is no therapist, or the days are none or too many.
        ConflictError
            The id is that of another wish.
        """
        starts_at, ends_at = moments_of(first_on, last_on, organisation_zone(self._db, self._reader))
        wanted = (absent_id, substitute_id, starts_at, ends_at)
        known = None if substitution_id is None else self._db.get(Substitution, substitution_id)
        if known is not None:
            self._require_substitution(known.id)
            if wanted != (known.absent_account_id, known.substitute_account_id, known.starts_at, known.ends_at):
                raise ConflictError("this substitution is another one")
            return self._shown_substitutions([known])[0]
        require_therapist(self._db, self._reader, absent_id, at="absent_account_id")
        require_therapist(self._db, self._reader, substitute_id, at="substitute_account_id")
        if absent_id == substitute_id:
            raise InvalidContentError("nobody stands in", faults=[{"at": "substitute_account_id", "kind": "same"}])
        if not 0 <= (last_on - first_on).days < SUBSTITUTION_DAYS_MAX or ends_at <= self._now:
            raise InvalidContentError("no such days", faults=[{"at": "last_on", "kind": "out_of_range"}])
        assert self._reader.account_id is not None
        row = Substitution(
            id=substitution_id or uuid4(),
            absent_account_id=absent_id,
            substitute_account_id=substitute_id,
            starts_at=starts_at,
            ends_at=ends_at,
            created_by=self._reader.account_id,
        )
        self._db.add(row)
        self._db.flush()
        self._record("create_substitution", f"substitution:{row.id}")
        return self._shown_substitutions([row])[0]

    def end_substitution(self, substitution_id: UUID) -> None:
        """End a substitution now, or before it began; one that is over stays so."""
        row = self._require_substitution(substitution_id)
        if row.ends_at > self._now:
            row.ends_at = max(row.starts_at, self._now)
            self._db.add(row)
            self._record("end_substitution", f"substitution:{row.id}")

    def _require(self, team_id: UUID, *, lock: bool = False) -> Team:
        statement = select(Team).where(
            col(Team.id) == team_id,
            col(Team.organisation_id) == self._reader.organisation_id,
            col(Team.ended_at).is_(None),
        )
        team = self._db.exec(statement.with_for_update() if lock else statement).first()
        if team is None:
            raise NotFoundError("no such team")
        return team

    def _require_substitution(self, substitution_id: UUID) -> Substitution:
        row = self._db.exec(
            select(Substitution)
            .join(Account, col(Account.id) == col(Substitution.absent_account_id))
            .where(
                col(Substitution.id) == substitution_id,
                col(Account.organisation_id) == self._reader.organisation_id,
            )
        ).first()
        if row is None:
            raise NotFoundError("no such substitution")
        return row

    def _memberships(self, team_ids: Sequence[UUID]) -> Sequence[TeamMembership]:
        """Return the memberships in force or to come."""
        return self._db.exec(
            select(TeamMembership)
            .where(
                col(TeamMembership.team_id).in_(team_ids),
                or_(
                    col(TeamMembership.ends_at).is_(None),
                    (col(TeamMembership.ends_at) > self._now)
                    & (col(TeamMembership.ends_at) > col(TeamMembership.starts_at)),
                ),
            )
            .order_by(col(TeamMembership.starts_at), col(TeamMembership.id))
        ).all()

    def _with_members(self, teams: Sequence[Team]) -> Sequence[TeamRows]:
        rows = self._memberships([team.id for team in teams])
        names = account_names(self._db, [row.account_id for row in rows])
        return [
            TeamRows(
                id=team.id,
                name=team.name,
                members=[
                    Member(
                        account_id=row.account_id,
                        display_name=names[row.account_id],
                        starts_at=row.starts_at,
                        ends_at=row.ends_at,
                    )
                    for row in rows
                    if row.team_id == team.id
                ],
            )
            for team in teams
        ]

    def _shown_substitutions(self, rows: Sequence[Substitution]) -> Sequence[SubstitutionRow]:
        zone = organisation_zone(self._db, self._reader)
        names = account_names(self._db, [i for row in rows for i in (row.absent_account_id, row.substitute_account_id)])
        shown = []
        for row in rows:
            first_on, last_on = days_of(row.starts_at, row.ends_at, zone)
            shown.append(
                SubstitutionRow(
                    id=row.id,
                    absent_account_id=row.absent_account_id,
                    absent_name=names[row.absent_account_id],
                    substitute_account_id=row.substitute_account_id,
                    substitute_name=names[row.substitute_account_id],
                    first_on=first_on,
                    last_on=last_on,
                )
            )
        return shown

    def _record(self, action: str, what: str) -> None:
        record(self._db, actor=self._reader, action=action, object=what, now=self._now)


def account_names(db: Session, account_ids: Sequence[UUID]) -> dict[UUID, str]:
    """Return the names of accounts by id; the ids come from rows that the reader may see."""
    if not account_ids:
        return {}
    statement = select(Account.id, Account.display_name).where(col(Account.id).in_(set(account_ids)))
    return dict(db.exec(statement).all())
