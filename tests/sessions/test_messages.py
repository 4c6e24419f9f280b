"""Messages of pages are parsed once, strictly; those of the server are what docs/signalling.md says."""

import json
import re
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from sessions import messages
from sessions.errors import MalformedMessageError, MessageError, RoomError, UnknownMessageError
from sessions.messages import CLIENT_TYPES, SERVER_TYPES, parse_client_message

SESSION = "8b8a9d0e-9ad4-4a5c-9c0a-0d1d6a3c0001"
PERSON = "8b8a9d0e-9ad4-4a5c-9c0a-0d1d6a3c0002"
GOOD: dict[str, dict[str, Any]] = {
    "ping": {"t": 1.5},
    "join": {},
    "publish": {"sdp": "v=0"},
    "subscribe": {"audio": 1, "video": 1},
    "subscribe_sdp": {"sdp": "v=0"},
    "bind": {"slot": "video-0", "source": PERSON},
    "admit": {"participant": PERSON},
    "focus": {"participant": None},
    "talk_to": {"participant": PERSON},
    "help": {"on": True},
    "pause": {"on": False},
    "text": {"text": "Hej"},
    "quality_report": {"round_trip_ms": 40, "fps": None},
    "leave": {},
    "end": {},
    "replay": {"after": 3},
}


def write(type_name: str, **changes: Any) -> str:
    fields = {"v": 1, "type": type_name, "id": "r1", **GOOD[type_name]}
    if type_name != "ping":
        fields["live_session"] = SESSION
    return json.dumps({key: value for key, value in {**fields, **changes}.items() if value != "absent"})


def test_there_is_an_example_of_every_type() -> None:
    assert set(GOOD) == set(CLIENT_TYPES)


@pytest.mark.parametrize("type_name", CLIENT_TYPES)
def test_a_well_formed_message_becomes_a_value_of_its_type(type_name: str) -> None:
    message = parse_client_message(write(type_name))
    assert (message.type, message.request_id) == (type_name, "r1")
    for name, value in GOOD[type_name].items():
        expected = UUID(value) if value == PERSON else value
        assert getattr(message, name) == expected
    if isinstance(message, messages.ChannelMessage):
        assert message.live_session == UUID(SESSION)


@pytest.mark.parametrize("type_name", CLIENT_TYPES)
def test_an_unknown_field_is_refused_and_named(type_name: str) -> None:
    with pytest.raises(MalformedMessageError, match="extra: unknown") as caught:
        parse_client_message(write(type_name, extra=1))
    assert caught.value.request_id == "r1"


@pytest.mark.parametrize(
    ("type_name", "name"),
    [(t, n) for t, fields in GOOD.items() if t != "quality_report" for n in fields]
    + [(t, "live_session") for t in GOOD if t != "ping"],
)
def test_a_missing_field_is_refused_and_named(type_name: str, name: str) -> None:
    with pytest.raises(MalformedMessageError, match=f"{name}: missing"):
        parse_client_message(write(type_name, **{name: "absent"}))


@pytest.mark.parametrize(
    ("type_name", "changes"),
    [
        ("ping", {"t": True}),
        ("ping", {"t": "1"}),
        ("join", {"live_session": 5}),
        ("join", {"live_session": "not-a-uuid"}),
        ("join", {"live_session": SESSION.replace("-", "")}),
        ("join", {"id": 7}),
        ("join", {"id": "x" * 65}),
        ("join", {"id": ""}),
        ("join", {"id": None}),
        ("publish", {"sdp": ""}),
        ("publish", {"sdp": None}),
        ("subscribe", {"audio": -1}),
        ("subscribe", {"video": 21}),
        ("subscribe", {"video": 1.0}),
        ("subscribe", {"video": True}),
        ("bind", {"slot": "screen-0"}),
        ("bind", {"slot": "video-20"}),
        ("bind", {"slot": "video-0 "}),
        ("admit", {"participant": None}),
        ("help", {"on": 1}),
        ("pause", {"on": None}),
        ("text", {"text": ""}),
        ("text", {"text": "x" * 2001}),
        ("quality_report", {"fps": "30"}),
        ("replay", {"after": -1}),
    ],
)
def test_a_field_of_another_kind_is_refused(type_name: str, changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedMessageError):
        parse_client_message(write(type_name, **changes))


def test_half_a_character_is_refused_where_it_comes_in() -> None:
    for text in ('{"v":1,"type":"ping","t":1,"\\ud800":1}', '{"v":1,"type":"ping","t":1,"id":"\\ud800"}'):
        with pytest.raises(MalformedMessageError, match="not JSON"):
            parse_client_message(text)
    parse_client_message('{"v":1,"type":"ping","t":1,"id":"\\u00e6"}')


@pytest.mark.parametrize("text", ["", "{", "[]", "1", '"join"', "null", "[" * 100_000, '{"v":1,"type":"ping","t":NaN}'])
def test_what_is_no_message_is_refused(text: str) -> None:
    with pytest.raises(MessageError):
        parse_client_message(text)


@pytest.mark.parametrize("changes", [{"v": 2}, {"v": True}, {"v": "absent"}, {"type": "shout"}, {"type": ["join"]}])
def test_another_version_or_type_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UnknownMessageError):
        parse_client_message(write("join", **changes))


def test_the_server_writes_each_of_its_types() -> None:
    live_session = UUID(SESSION)
    written = [
        messages.make_reply("r1", sdp="v=0"),
        messages.make_error(None, code="malformed"),
        messages.make_pong(1.5),
        messages.make_state({"id": SESSION}),
        messages.make_event(live_session, sequence=1, kind="help", at="2026-01-01T00:00:00+00:00", data={"on": True}),
        messages.make_quality(live_session, width=640, fps=30, kbps=800),
        messages.make_bye("ended", live_session=live_session),
    ]
    parsed = [json.loads(text) for text in written]
    assert tuple(message["type"] for message in parsed) == SERVER_TYPES
    assert all(message["v"] == 1 for message in parsed)
    assert parsed[0] == {"v": 1, "type": "reply", "re": "r1", "sdp": "v=0"}


PAGE = (Path(__file__).resolve().parents[2] / "docs" / "signalling.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("type_name", CLIENT_TYPES + SERVER_TYPES)
def test_signalling_md_has_a_row_for_every_type(type_name: str) -> None:
    messages_part = PAGE.partition("### Events")[0]
    rows = [line for line in messages_part.splitlines() if line.startswith(f"| `{type_name}`")]
    assert len(rows) == 1
    assert all(f"`{name}`" in rows[0] for name in GOOD.get(type_name, {}))


@pytest.mark.parametrize(
    "code", sorted({error.code for error in (*MessageError.__subclasses__(), *RoomError.__subclasses__())})
)
def test_signalling_md_tells_what_to_do_about_every_error(code: str) -> None:
    assert f"`{code}`" in PAGE.partition("### Error codes")[2]


def test_signalling_md_names_every_kind_of_event() -> None:
    source = (Path(__file__).resolve().parents[2] / "sessions" / "live_rooms.py").read_text(encoding="utf-8")
    kinds = set(re.findall(r'_happen\(\s*"(\w+)"', source))
    assert {"created", "help"} <= kinds
    events_part = PAGE.partition("### Events")[2].partition("### Error codes")[0]
    assert kinds == set(re.findall(r"^\| `(\w+)`", events_part, re.MULTILINE))
