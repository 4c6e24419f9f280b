"""What the web role asks of a media worker: the body of `POST /v1/commands`, strict, parsed once.

A command acts once per `request_id`, however often it arrives. The answer is `{"result": {...}}` or `{"error": {"code",
"detail"}}`; a wrong secret is 401 and a malformed body 400, both without saying more.
"""

from collections.abc import Iterable
from hashlib import sha256
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from sessions.messages import AUDIO_SLOTS_MAX, SLOT_PATTERN, TEXT_MAX_CHARS, VIDEO_SLOTS_MAX

SECRET_HEADER: Final = "X-Telerehab-Worker-Secret"
COMMANDS_PATH: Final = "/v1/commands"
HEALTH_PATH: Final = "/v1/health"
BODY_MAX_BYTES: Final = 256 * 1024
SDP_MAX_CHARS: Final = 64 * 1024

EVENT_TOPIC_PREFIX: Final = "evt/1/"


class _Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


Connection = Annotated[str, Field(min_length=1, max_length=64)]
Sdp = Annotated[str, Field(min_length=1, max_length=SDP_MAX_CHARS)]


class Create(_Strict):
    """Open a live session with a seat for the therapist and one per patient, in this order."""

    type: Literal["create"]
    organisation_id: UUID
    therapist_account_id: UUID
    title: Annotated[str, Field(max_length=200)]
    patient_ids: Annotated[list[UUID], Field(max_length=20)]
    auto_admit: bool = False
    patients_see_each_other: bool = False


class State(_Strict):
    """Return the snapshot."""

    type: Literal["state"]


class Join(_Strict):
    """Give the seat to a socket."""

    type: Literal["join"]
    connection: Connection


class AddHelper(_Strict):
    """Give a helper a seat beside a patient; the same helper again gets the same seat."""

    type: Literal["add_helper"]
    helper_id: UUID
    patient_id: UUID


class Drop(_Strict):
    """The socket is gone without a word."""

    type: Literal["drop"]
    connection: Connection


class Leave(_Strict):
    """Free the seat; with a connection only if that one still holds it."""

    type: Literal["leave"]
    connection: Connection | None = None


class Publish(_Strict):
    """Answer the offer of the connection that sends."""

    type: Literal["publish"]
    sdp: Sdp


class Subscribe(_Strict):
    """Name the slots of the connection that receives."""

    type: Literal["subscribe"]
    audio: Annotated[int, Field(ge=0, le=AUDIO_SLOTS_MAX)]
    video: Annotated[int, Field(ge=0, le=VIDEO_SLOTS_MAX)]


class SubscribeSdp(_Strict):
    """Take the page's SDP of the connection that receives."""

    type: Literal["subscribe_sdp"]
    sdp: Sdp


class Bind(_Strict):
    """Put somebody else into an own slot."""

    type: Literal["bind"]
    slot: Annotated[str, Field(pattern=SLOT_PATTERN.pattern)]
    source: UUID | None


class Admit(_Strict):
    """Let somebody in."""

    type: Literal["admit"]
    participant: UUID


class Remove(_Strict):
    """Keep somebody out from now on."""

    type: Literal["remove"]
    participant: UUID


class Focus(_Strict):
    """Show one patient large."""

    type: Literal["focus"]
    participant: UUID | None


class TalkTo(_Strict):
    """Be heard by one patient only."""

    type: Literal["talk_to"]
    participant: UUID | None


class Help(_Strict):
    """Ask for help, or take it back."""

    type: Literal["help"]
    on: bool


class Pause(_Strict):
    """Rest, or go on."""

    type: Literal["pause"]
    on: bool


class Text(_Strict):
    """Write something."""

    type: Literal["text"]
    text: Annotated[str, Field(min_length=1, max_length=TEXT_MAX_CHARS)]


class End(_Strict):
    """End the live session for all."""

    type: Literal["end"]


class Beat(_Strict):
    """When one socket was last heard."""

    participant: UUID
    connection: Connection
    silence_ms: Annotated[int, Field(ge=0)]
    round_trip_ms: float | None = None


class Heartbeat(_Strict):
    """All sockets of one live session that one web process holds; returns the snapshot when it is newer."""

    type: Literal["heartbeat"]
    beats: Annotated[list[Beat], Field(max_length=64)]
    version: int
    """The snapshot that the web process has; -1: none."""


Command = Annotated[
    Create
    | State
    | Join
    | AddHelper
    | Drop
    | Leave
    | Publish
    | Subscribe
    | SubscribeSdp
    | Bind
    | Admit
    | Remove
    | Focus
    | TalkTo
    | Help
    | Pause
    | Text
    | End
    | Heartbeat,
    Field(discriminator="type"),
]


class CommandRequest(_Strict):
    """One command for one live session, by one participant where it is somebody's."""

    request_id: Annotated[str, Field(min_length=1, max_length=200)]
    live_session: UUID
    participant: UUID | None = None
    command: Command


Result = dict[str, Any]


def pick_worker(live_session: UUID, workers: Iterable[UUID]) -> UUID | None:
    """Return the worker that a live session belongs to, by rendezvous hash; None when there is none.

    A worker that comes or goes moves only the live sessions that it wins or had.

    Examples
    --------
    >>> pick_worker(UUID(int=1), []) is None
    True
    """

    def weight(worker: UUID) -> bytes:
        return sha256(worker.bytes + live_session.bytes).digest()

    return max(workers, key=weight, default=None)
