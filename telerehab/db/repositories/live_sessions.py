"""Live sessions, as far as one reader may see them. Only media writes them; here they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.policies import may_see_live_session
from telerehab.auth.reader import Reader
from telerehab.db.repositories.patients import grant_in_force
from telerehab.db.tables import HelperGrant, LiveSession, Participant
from telerehab.errors import NotFoundError

LIST_MAX = 100


@dataclass(kw_only=True, frozen=True, slots=True)
class LiveSessionRows:
    """A live session and its seats."""

    live_session: LiveSession
    participants: Sequence[Participant]

    @property
    def patient_ids(self) -> list[UUID]:
        """Return the patients with a seat, each once."""
        ids = (participant.patient_id for participant in self.participants if participant.role == "patient")
        return list(dict.fromkeys(patient_id for patient_id in ids if patient_id is not None))


class LiveSessionRepository:
    """The live sessions of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._joined: frozenset[UUID] | None = None

    def list(self) -> list[LiveSessionRows]:
        """Return the reader's live sessions, the newest first, at most `LIST_MAX`."""
        statement = select(LiveSession).where(col(LiveSession.organisation_id) == self._reader.organisation_id)
        if self._reader.role in ("tablet", "helper"):
            patients = {self._reader.patient_id} if self._reader.role == "tablet" else self._joins()
            seats = select(Participant.live_session_id).where(
                col(Participant.patient_id).in_(patients), col(Participant.role) == "patient"
            )
            statement = statement.where(col(LiveSession.id).in_(seats))
        else:
            statement = statement.where(col(LiveSession.therapist_account_id) == self._reader.account_id)
        newest = self._db.exec(statement.order_by(col(LiveSession.opened_at).desc()).limit(LIST_MAX)).all()
        seats_by_id = self._participants([live_session.id for live_session in newest])
        found = (
            LiveSessionRows(live_session=live_session, participants=seats_by_id.get(live_session.id, ()))
            for live_session in newest
        )
        return [rows for rows in found if self._may_see(rows)]

    def get(self, live_session_id: UUID) -> LiveSessionRows:
        """Return one live session.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see this one.
        """
        live_session = self._db.get(LiveSession, live_session_id)
        if live_session is None:
            raise NotFoundError("no such live session")
        rows = LiveSessionRows(
            live_session=live_session, participants=self._participants([live_session_id]).get(live_session_id, ())
        )
        if not self._may_see(rows):
            raise NotFoundError("no such live session")
        return rows

    def _participants(self, live_session_ids: Sequence[UUID]) -> dict[UUID, Sequence[Participant]]:
        """Return the seats of live sessions, by live session."""
        statement = select(Participant).where(col(Participant.live_session_id).in_(live_session_ids))
        by_id: dict[UUID, list[Participant]] = {}
        for participant in self._db.exec(statement.order_by(col(Participant.role).desc(), col(Participant.id))):
            by_id.setdefault(participant.live_session_id, []).append(participant)
        return dict(by_id)

    def _may_see(self, rows: LiveSessionRows) -> bool:
        """Return whether the policy lets the reader see these rows."""
        return may_see_live_session(self._reader, rows.live_session, rows.patient_ids, joins=self._joins())

    def known_patient_ids(self, rows: LiveSessionRows) -> Sequence[UUID]:
        """Return the patients of a live session whom the reader may know of; only its therapist knows them all."""
        if self._reader.role == "therapist":
            return rows.patient_ids
        known = {self._reader.patient_id} if self._reader.role == "tablet" else self._joins()
        return [patient_id for patient_id in rows.patient_ids if patient_id in known]

    def _joins(self) -> frozenset[UUID]:
        """Return the patients beside whom a helper may sit now, read once."""
        if self._joined is None:
            self._joined = frozenset()
            if self._reader.helper_id is not None:
                grants = self._db.exec(
                    select(HelperGrant).where(
                        col(HelperGrant.helper_id) == self._reader.helper_id, grant_in_force(self._now)
                    )
                )
                self._joined = frozenset(grant.patient_id for grant in grants if "join" in grant.scopes)
        return self._joined
