"""How somebody who was invited becomes a helper: a look at the invitation, then a passkey, and in.

Nobody is logged in here; the token of the invitation is what counts, once, until it expires or is taken back.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid4

from sqlmodel import Session, col, select

from telerehab.auth import audit, passkeys
from telerehab.auth.challenges import keep_challenge, use_challenge
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.limits import AttemptLimit
from telerehab.auth.login_rows import NewLogin, end_login, open_login
from telerehab.auth.logins import AskedPasskey, Visit
from telerehab.auth.passkeys import Site
from telerehab.auth.reader import Reader
from telerehab.auth.tokens import hash_token, is_token
from telerehab.clock import Clock, utc_now
from telerehab.db.changes import Change, Changes
from telerehab.db.engine import Database, reading, writing
from telerehab.db.repositories.people import helper_context
from telerehab.db.repositories.second_factors import keep_passkey
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import Helper, HelperGrant, Organisation, Patient
from telerehab.errors import LoginFailedError

ACCEPT: Final = "accept_invitation"
"""The purpose of a challenge that an invited person answers."""


@dataclass(kw_only=True, frozen=True, slots=True)
class InvitationLook:
    """What an invited person is shown: enough to know whom it is about, and no more."""

    organisation: str
    patient_first_name: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class _Open:
    """An invitation that can be accepted."""

    grant: HelperGrant
    patient: Patient
    seal: PatientSeal

    @property
    def helper_name(self) -> str:
        sealed, grant = self.grant.invited_name_sealed, self.grant
        return self.seal.open(sealed, table="helper_grant", column="invited_name", row_id=grant.id) or ""


class InvitationDesk:
    """Takes invitations. Every method blocks (database): call it in a thread."""

    def __init__(self, database: Database, *, clock: Clock, key_ring: KeyRing, changes: Changes) -> None:
        self._database = database
        self._clock = clock
        self._key_ring = key_ring
        self._changes = changes
        self._limit = AttemptLimit(burst=20, refill_s=5, clock=clock)

    def look(self, token: str, *, visit: Visit) -> InvitationLook:
        """Return who invites whom to help whom.

        Raises
        ------
        LoginFailedError
            The invitation is unknown, was accepted or taken back, or has expired.
        TooManyAttemptsError
            This address has asked too often.
        """
        self._limit.spend(visit.address)
        with reading(self._database.main) as db:
            invitation = self._open(db, token, locked=False)
            organisation = db.get_one(Organisation, invitation.patient.organisation_id)
            name = invitation.seal.identity().name
        first_name = name.split()[0] if name and name.split() else None
        return InvitationLook(organisation=organisation.name, patient_first_name=first_name)

    def ask(self, token: str, *, site: Site, visit: Visit) -> AskedPasskey:
        """Return what makes this browser make the helper's passkey.

        Raises
        ------
        LoginFailedError, TooManyAttemptsError
            As `look`.
        """
        self._limit.spend(visit.address)
        with writing(self._database.main, owner="web") as db:
            invitation = self._open(db, token, locked=True)
            grant_id = invitation.grant.id
            question = passkeys.ask_for_new(
                site,
                holder_id=grant_id,
                name=invitation.helper_name or "telerehab",
                display_name=invitation.helper_name or "telerehab",
                known=[],
            )
            challenge_id = keep_challenge(db, question.challenge, purpose=ACCEPT, grant_id=grant_id, now=self._now())
        return AskedPasskey(challenge_id=challenge_id, options=question.options)

    def accept(
        self, token: str, *, challenge_id: UUID, credential: dict[str, Any], site: Site, visit: Visit
    ) -> NewLogin:
        """Make the invited person a helper with a passkey, and let the browser in.

        Raises
        ------
        LoginFailedError
            As `look`, or the passkey does not fit the challenge.
        TooManyAttemptsError
            As `look`.
        """
        self._limit.spend(visit.address)
        now = self._now()
        with writing(self._database.main, owner="web") as db:
            invitation = self._open(db, token, locked=True)
            challenge = use_challenge(db, challenge_id, purpose=ACCEPT, grant_id=invitation.grant.id, now=now)
            made = passkeys.check_new(credential, site=site, challenge=challenge)
            helper_id = uuid4()
            sealed = self._key_ring.seal(invitation.helper_name.encode(), context=helper_context(helper_id))
            patient = invitation.patient
            db.add(
                Helper(
                    id=helper_id,
                    organisation_id=patient.organisation_id,
                    name_sealed=sealed,
                    language=patient.language,
                    created_at=now,
                )
            )
            db.flush()
            keep_passkey(db, made, helper_id=helper_id, now=now)
            ended = end_login(db, visit.token, now=now)
            login = open_login(db, helper_id=helper_id, browser=visit.browser, now=now)
            self._grant(db, invitation.grant, _helper(login.id, patient.organisation_id, helper_id), now)
            grant_id = invitation.grant.id
        self._tell(grant_id, ended)
        return login

    def take(self, token: str, *, reader: Reader, visit: Visit) -> None:
        """Give one more patient to a helper who is logged in.

        Raises
        ------
        LoginFailedError
            As `look`, or it is no helper, or one of another organisation.
        TooManyAttemptsError
            As `look`.
        """
        self._limit.spend(visit.address)
        with writing(self._database.main, owner="web") as db:
            invitation = self._open(db, token, locked=True)
            if reader.helper_id is None or reader.organisation_id != invitation.patient.organisation_id:
                raise LoginFailedError("the invitation is not valid any more")
            self._grant(db, invitation.grant, reader, self._now())
            grant_id = invitation.grant.id
        self._tell(grant_id, None)

    def _grant(self, db: Session, grant: HelperGrant, helper: Reader, now: datetime) -> None:
        """Put the grant in force for a helper."""
        grant.helper_id, grant.accepted_at = helper.helper_id, now
        grant.token_hash = grant.token_expires_at = None
        audit.record(
            db,
            actor=helper,
            action=ACCEPT,
            patient_id=grant.patient_id,
            object=f"helper_grant:{grant.id}",
            now=now,
        )

    def _open(self, db: Session, token: str, *, locked: bool) -> _Open:
        """Return an invitation that can be accepted now; locked, nobody else can meanwhile."""
        if not is_token(token):
            raise LoginFailedError("the invitation is not valid any more")
        statement = select(HelperGrant).where(col(HelperGrant.token_hash) == hash_token(token))
        if locked:
            statement = statement.with_for_update()
        grant, now = db.exec(statement).first(), self._now()
        is_open = (
            grant is not None
            and grant.accepted_at is None
            and grant.revoked_at is None
            and grant.ends_at > now
            and grant.token_expires_at is not None
            and grant.token_expires_at > now
        )
        if grant is None or not is_open:
            raise LoginFailedError("the invitation is not valid any more")
        patient = db.get_one(Patient, grant.patient_id)
        return _Open(grant=grant, patient=patient, seal=PatientSeal(patient, self._key_ring))

    def _tell(self, grant_id: UUID, ended_login_id: UUID | None) -> None:
        """Announce the new grant, and the login that the browser had before."""
        self._changes.announce(Change(table="helper_grant", id=grant_id, version=2))
        if ended_login_id is not None:
            self._changes.announce(Change(table="login", id=ended_login_id, version=1))

    def _now(self) -> datetime:
        return utc_now(self._clock)


def _helper(login_id: UUID, organisation_id: UUID, helper_id: UUID) -> Reader:
    return Reader(login_id=login_id, role="helper", organisation_id=organisation_id, helper_id=helper_id)
