"""Who reads: a browser that has logged in, as a value."""

from dataclasses import dataclass
from typing import Literal
from uuid import UUID

ReaderRole = Literal["therapist", "admin", "tablet"]


@dataclass(kw_only=True, frozen=True, slots=True)
class Reader:
    """A login and whom it stands for. Of `account_id` and `tablet_id` exactly one is there."""

    login_id: UUID
    role: ReaderRole
    organisation_id: UUID
    account_id: UUID | None
    tablet_id: UUID | None
    patient_id: UUID | None
    """The patient whose tablet this is."""
    display_name: str
    language: str

    @property
    def holder_id(self) -> UUID:
        """Return the account or the tablet."""
        holder_id = self.account_id or self.tablet_id
        assert holder_id is not None
        return holder_id
