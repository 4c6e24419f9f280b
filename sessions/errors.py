"""What can go wrong in a live session.

::

    SessionsError
    ├── MessageError              refuse the message, keep the socket (the code goes to the page)
    │   ├── MalformedMessageError     not JSON, or a field is missing, unknown or of another kind
    │   └── UnknownMessageError       no such type, or a version that is not spoken here
    └── RoomError                 refuse the command, the live session goes on
        ├── UnknownLiveSessionError   this worker does not run it (ask another one)
        ├── UnknownParticipantError   no such participant in this live session
        ├── NotJoinedError            join first: this seat has no connection
        ├── NotAllowedError           the participant's role or state does not permit it
        └── WrongStateError           the state table has no such transition

`code` is what pages and the web role see; the text is for the log and never names a person.
"""

from typing import ClassVar


class SessionsError(Exception):
    """The root: catch this at the edge of a command."""

    code: ClassVar[str] = "failed"


class MessageError(SessionsError):
    """A message is refused; `request_id` is what it answers to, where that could be read."""

    code: ClassVar[str] = "malformed"

    def __init__(self, detail: str, *, request_id: str | None = None) -> None:
        super().__init__(detail)
        self.request_id = request_id


class MalformedMessageError(MessageError):
    """A message is not JSON, or a field is missing, unknown or of another kind."""


class UnknownMessageError(MessageError):
    """A message has a type or a version that is not spoken here."""

    code: ClassVar[str] = "unknown_type"


class RoomError(SessionsError):
    """A command is refused; the live session goes on."""


class UnknownLiveSessionError(RoomError):
    """This worker does not run the live session."""

    code: ClassVar[str] = "unknown_live_session"


class UnknownParticipantError(RoomError):
    """No such participant in this live session."""

    code: ClassVar[str] = "unknown_participant"


class NotJoinedError(RoomError):
    """The seat has no connection, or a newer one than the command's."""

    code: ClassVar[str] = "not_joined"


class NotAllowedError(RoomError):
    """The participant's role or state does not permit the command."""

    code: ClassVar[str] = "not_allowed"


class WrongStateError(RoomError):
    """The state table has no such transition."""

    code: ClassVar[str] = "wrong_state"
