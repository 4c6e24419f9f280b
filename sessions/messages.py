"""The messages between a page and the web role, version 1; `docs/signalling.md` tells them in words.

A message is parsed once, at the edge, into a frozen value: behind `parse_client_message` nobody checks a field. Unknown
fields and types are refused, so that a page and a server that have grown apart notice at once.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final
from uuid import UUID

from sessions.errors import MalformedMessageError, UnknownMessageError

VERSION: Final = 1
MESSAGE_MAX_BYTES: Final = 64 * 1024
REQUEST_ID_MAX_CHARS: Final = 64
TEXT_MAX_CHARS: Final = 2000
AUDIO_SLOTS_MAX: Final = 20
VIDEO_SLOTS_MAX: Final = 20
SLOT_PATTERN: Final = re.compile(r"(audio|video)-(\d|1\d)")

SERVER_TYPES: Final = ("reply", "error", "pong", "state", "event", "quality", "bye")
"""What a page may receive as text; live values come as binary messages."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ClientMessage:
    """What every message of a page carries."""

    type: ClassVar[str] = ""
    request_id: str | None
    """Chosen by the page; the same one again means the same request again, which acts once."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChannelMessage(ClientMessage):
    """A message on the channel of one live session."""

    live_session: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Ping(ClientMessage):
    """The heartbeat, once a second; `t` comes back as it was."""

    type: ClassVar[str] = "ping"
    t: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Join(ChannelMessage):
    """Take, or take again, the own seat."""

    type: ClassVar[str] = "join"


@dataclass(frozen=True, kw_only=True, slots=True)
class Publish(ChannelMessage):
    """Offer the connection on which the page sends."""

    type: ClassVar[str] = "publish"
    sdp: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Subscribe(ChannelMessage):
    """Ask for slots to receive into."""

    type: ClassVar[str] = "subscribe"
    audio: int
    video: int


@dataclass(frozen=True, kw_only=True, slots=True)
class SubscribeSdp(ChannelMessage):
    """The page's half of the receiving connection: an offer, or the answer to the engine's."""

    type: ClassVar[str] = "subscribe_sdp"
    sdp: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Bind(ChannelMessage):
    """Put somebody else into an own slot."""

    type: ClassVar[str] = "bind"
    slot: str
    source: UUID | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Admit(ChannelMessage):
    """Let somebody in who waits."""

    type: ClassVar[str] = "admit"
    participant: UUID


@dataclass(frozen=True, kw_only=True, slots=True)
class Focus(ChannelMessage):
    """Show one patient large (None: nobody)."""

    type: ClassVar[str] = "focus"
    participant: UUID | None


@dataclass(frozen=True, kw_only=True, slots=True)
class TalkTo(ChannelMessage):
    """Be heard by one patient only (None: by all)."""

    type: ClassVar[str] = "talk_to"
    participant: UUID | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Help(ChannelMessage):
    """Ask for help, or take it back."""

    type: ClassVar[str] = "help"
    on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Pause(ChannelMessage):
    """Rest, or go on."""

    type: ClassVar[str] = "pause"
    on: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Text(ChannelMessage):
    """Write something."""

    type: ClassVar[str] = "text"
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class QualityReport(ChannelMessage):
    """What the page measures on its own connections; None where it does not know."""

    type: ClassVar[str] = "quality_report"
    round_trip_ms: float | None = None
    loss_share: float | None = None
    fps: float | None = None
    kbps: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Leave(ChannelMessage):
    """Go; the seat is free at once, the live session goes on."""

    type: ClassVar[str] = "leave"


@dataclass(frozen=True, kw_only=True, slots=True)
class End(ChannelMessage):
    """End the live session for all."""

    type: ClassVar[str] = "end"


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay(ChannelMessage):
    """Send the events after this sequence number again."""

    type: ClassVar[str] = "replay"
    after: int


_Check = Callable[[object], object]


def _string(least_chars: int, most_chars: int) -> _Check:
    def check(value: object) -> str:
        if not isinstance(value, str) or not least_chars <= len(value) <= most_chars:
            raise ValueError(f"wants text of {least_chars} to {most_chars} characters")
        return value

    return check


def _integer(least: int, most: int) -> _Check:
    def check(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise ValueError(f"wants a whole number from {least} to {most}")
        return value

    return check


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("wants a number")
    return float(value)


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError("wants true or false")
    return value


def _uuid(value: object) -> UUID:
    if not isinstance(value, str) or len(value) != 36:
        raise ValueError("wants a UUID")
    return UUID(value)


def _slot(value: object) -> str:
    if not isinstance(value, str) or not SLOT_PATTERN.fullmatch(value):
        raise ValueError("wants a slot such as video-0")
    return value


def _or_none(check: _Check) -> _Check:
    return lambda value: None if value is None else check(value)


_SDP = _string(1, MESSAGE_MAX_BYTES)
_OPTIONAL_NUMBER = _or_none(_number)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Shape:
    make: Callable[..., ClientMessage]
    fields: Mapping[str, _Check]
    optional: frozenset[str] = frozenset()
    needs_request_id: bool = True
    on_channel: bool = True


_SHAPES: Final[Mapping[str, _Shape]] = {
    "ping": _Shape(make=Ping, fields={"t": _number}, needs_request_id=False, on_channel=False),
    "join": _Shape(make=Join, fields={}),
    "publish": _Shape(make=Publish, fields={"sdp": _SDP}),
    "subscribe": _Shape(
        make=Subscribe, fields={"audio": _integer(0, AUDIO_SLOTS_MAX), "video": _integer(0, VIDEO_SLOTS_MAX)}
    ),
    "subscribe_sdp": _Shape(make=SubscribeSdp, fields={"sdp": _SDP}),
    "bind": _Shape(make=Bind, fields={"slot": _slot, "source": _or_none(_uuid)}),
    "admit": _Shape(make=Admit, fields={"participant": _uuid}),
    "focus": _Shape(make=Focus, fields={"participant": _or_none(_uuid)}),
    "talk_to": _Shape(make=TalkTo, fields={"participant": _or_none(_uuid)}),
    "help": _Shape(make=Help, fields={"on": _boolean}),
    "pause": _Shape(make=Pause, fields={"on": _boolean}),
    "text": _Shape(make=Text, fields={"text": _string(1, TEXT_MAX_CHARS)}),
    "quality_report": _Shape(
        make=QualityReport,
        fields=dict.fromkeys(("round_trip_ms", "loss_share", "fps", "kbps"), _OPTIONAL_NUMBER),
        optional=frozenset({"round_trip_ms", "loss_share", "fps", "kbps"}),
        needs_request_id=False,
    ),
    "leave": _Shape(make=Leave, fields={}, needs_request_id=False),
    "end": _Shape(make=End, fields={}),
    "replay": _Shape(make=Replay, fields={"after": _integer(0, 2**53)}),
}

CLIENT_TYPES: Final = tuple(_SHAPES)
"""What a page may send."""


def parse_client_message(text: str) -> ClientMessage:
    """Turn a text message of a page into a value.

    Raises
    ------
    MalformedMessageError
        Not a JSON object, or a field is missing, unknown or of another kind.
    UnknownMessageError
        The type or the version is not spoken here.

    Examples
    --------
    >>> parse_client_message('{"v": 1, "type": "ping", "t": 12.5}')
    Ping(request_id=None, t=12.5)
    """
    fields = _read_object(text)
    request_id = _read_request_id(fields)
    version, type_name = fields.pop("v", None), fields.pop("type", None)
    if isinstance(version, bool) or version != VERSION:
        raise UnknownMessageError(f"version {VERSION} is spoken here", request_id=request_id)
    shape = _SHAPES.get(type_name) if isinstance(type_name, str) else None
    if shape is None:
        raise UnknownMessageError("no such type of message", request_id=request_id)
    if request_id is None and shape.needs_request_id:
        raise MalformedMessageError("id: missing")
    checks: dict[str, _Check] = {**shape.fields, **({"live_session": _uuid} if shape.on_channel else {})}
    unknown = fields.keys() - checks.keys()
    missing = checks.keys() - shape.optional - fields.keys()
    if unknown or missing:
        detail = ", ".join(
            [f"{name}: unknown" for name in sorted(unknown)] + [f"{n}: missing" for n in sorted(missing)]
        )
        raise MalformedMessageError(detail[:200], request_id=request_id)
    return shape.make(request_id=request_id, **_check_fields(fields, checks, request_id))


def _read_object(text: str) -> dict[str, object]:
    try:
        value = json.loads(text)
        if "\\u" in text:  # half a character, escaped, is text that nothing can send on
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise MalformedMessageError("not JSON") from None
    if not isinstance(value, dict):
        raise MalformedMessageError("not a JSON object")
    return value


def _read_request_id(fields: dict[str, object]) -> str | None:
    request_id = fields.pop("id", None)
    if request_id is None:
        return None
    if not isinstance(request_id, str) or not 1 <= len(request_id) <= REQUEST_ID_MAX_CHARS:
        raise MalformedMessageError(f"id: wants text of 1 to {REQUEST_ID_MAX_CHARS} characters")
    return request_id


def _check_fields(
    fields: Mapping[str, object], checks: Mapping[str, _Check], request_id: str | None
) -> dict[str, object]:
    values = {}
    for name, value in fields.items():
        try:
            values[name] = checks[name](value)
        except ValueError as error:
            raise MalformedMessageError(f"{name}: {error}", request_id=request_id) from None
    return values


def make_reply(request_id: str, **fields: object) -> str:
    """Write the answer to a request."""
    return _write("reply", re=request_id, **fields)


def make_error(request_id: str | None, *, code: str, detail: str = "") -> str:
    """Write a refusal: a code for the page, a detail for its console."""
    return _write("error", re=request_id, code=code, detail=detail)


def make_pong(t: float) -> str:
    """Write the answer to a heartbeat."""
    return _write("pong", t=t)


def make_state(live_session: Mapping[str, object]) -> str:
    """Write the whole state of a live session as its reader may see it."""
    return _write("state", live_session=live_session)


def make_event(live_session: UUID, *, sequence: int, kind: str, at: str, data: Mapping[str, object]) -> str:
    """Write one event; `at` is UTC in ISO 8601."""
    return _write("event", live_session=str(live_session), sequence=sequence, kind=kind, at=at, data=data)


def make_quality(live_session: UUID, *, width: int, fps: int, kbps: int) -> str:
    """Write what the page shall send at most: picture width [px], frames [1/s] and bit rate [kbit/s]."""
    return _write("quality", live_session=str(live_session), width=width, fps=fps, kbps=kbps)


def make_bye(reason: str, *, live_session: UUID | None = None) -> str:
    """Write the last word on a channel, or, without a live session, on the socket."""
    return _write("bye", reason=reason, live_session=None if live_session is None else str(live_session))


def _write(type_name: str, **fields: object) -> str:
    return json.dumps({"v": VERSION, "type": type_name, **fields}, separators=(",", ":"), ensure_ascii=False)


def slot_names(*, audio: int, video: int) -> tuple[str, ...]:
    """Return the names of so many slots, audio first.

    Examples
    --------
    >>> slot_names(audio=1, video=2)
    ('audio-0', 'video-0', 'video-1')
    """
    return (*(f"audio-{i}" for i in range(audio)), *(f"video-{i}" for i in range(video)))
