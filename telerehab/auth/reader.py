"""Who reads: a browser that has logged in, as a value."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args
from uuid import UUID

StaffRole = Literal["therapist", "team_manager", "admin", "auditor"]
ReaderRole = Literal["therapist", "team_manager", "admin", "auditor", "tablet", "helper"]
STAFF_ROLES: Final[tuple[StaffRole, ...]] = get_args(StaffRole)
READER_ROLES: Final[tuple[ReaderRole, ...]] = get_args(ReaderRole)


@dataclass(kw_only=True, frozen=True, slots=True)
class Reader:
    """A login and whom it stands for. Of `account_id`, `tablet_id` and `helper_id` exactly one is there."""

    login_id: UUID
    role: ReaderRole
    organisation_id: UUID
    account_id: UUID | None = None
    tablet_id: UUID | None = None
    helper_id: UUID | None = None
    patient_id: UUID | None = None
    """The patient whose tablet this is."""
    language: str = "da"
    is_full: bool = True
    """False: only the first factor was given."""
    seen_at: datetime | None = None
    """When the login was last used, as written down."""

    @property
    def holder_id(self) -> UUID:
        """Return the account, the tablet or the helper."""
        holder_id = self.account_id or self.tablet_id or self.helper_id
        assert holder_id is not None
        return holder_id
