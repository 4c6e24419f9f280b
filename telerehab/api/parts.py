"""What the web role consists of while it runs: opened and closed by the app's lifespan, reached by dependencies."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from starlette.requests import HTTPConnection

from telerehab.api.shared_look import SharedLook
from telerehab.auth.invitations import InvitationDesk
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.logins import LoginDesk
from telerehab.auth.phone_links import PhoneLinkDesk
from telerehab.auth.pins import TabletPins
from telerehab.clock import Clock
from telerehab.db.changes import Changes
from telerehab.db.engine import Database
from telerehab.db.workers import Heartbeat
from telerehab.settings import Settings
from telerehab.supervision import TaskSupervisor


class LiveSessionMaker(Protocol):
    """Who opens live sessions: the media worker's client, or a stand-in in tests."""

    async def create_live_session(
        self, *, organisation_id: UUID, therapist_account_id: UUID, title: str, patient_ids: Sequence[UUID]
    ) -> UUID:
        """Open a live session and return its id.

        Raises
        ------
        MediaUnavailableError
            No media worker answers.
        """
        ...


@dataclass(kw_only=True, frozen=True, slots=True)
class WebParts:
    """The parts of the running web role."""

    settings: Settings
    clock: Clock
    database: Database
    login_desk: LoginDesk
    invitation_desk: InvitationDesk
    tablet_pins: TabletPins
    pairing_code_key: bytes
    phone_link_desk: PhoneLinkDesk
    key_ring: KeyRing
    changes: Changes
    live_session_maker: LiveSessionMaker
    heartbeat: Heartbeat
    tasks: TaskSupervisor
    readiness: SharedLook[dict[str, str]] = field(default_factory=SharedLook)


def parts_of(connection: HTTPConnection) -> WebParts:
    """Return the parts of the app that a request or WebSocket reached."""
    parts = connection.app.state.parts
    assert isinstance(parts, WebParts)
    return parts
