"""Requests of our own people that are built from the other organisation's real ids: none of them succeeds.

In paths, queries and bodies of every route that the app describes, and in the messages of the channel. Nothing that is
sent is kept (`nothing_is_kept`), and nothing of the other organisation may look different afterwards.
"""

import contextlib
import json
import random
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from sessions.live_rooms import LiveRoom, Participant
from sessions.live_session import LiveSessionState
from sessions.participant import Role
from sessions.ports import Instant
from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.reader import STAFF_ROLES
from telerehab.clock import utc_now
from telerehab.live.media_client import MediaRefusedError
from tests.telerehab.api.access_table import EXPECTED
from tests.telerehab.api.every_row import EveryRow, fill, fingerprint
from tests.telerehab.api.requests_of import (
    address_of,
    body_of,
    foreign_choice,
    has_ids,
    key_for,
    operations_of,
    query_of,
)
from tests.telerehab.api.test_access_matrix import OFF_THE_TABLE, POLICIES, nothing_is_kept
from tests.telerehab.api.world import Clinic, World

RANDOM_REQUESTS: Final = 10_000
PARTS: Final = 4
RANDOM_REQUESTS_ON_POSTGRESQL: Final = 1_000
SEED: Final = 20_260_922


def send_foreign_requests(world: World, count: int, *, seed: int = SEED) -> Mapping[str, int]:
    """Send requests of our own people that are built from the other organisation's ids; return how many were tried.

    Raises
    ------
    AssertionError
        One succeeded, failed the server, or told something of the other organisation; or a foreign row changed.
    """
    rng, now, key_ring = random.Random(seed), utc_now(world.clock), open_key_ring(world.settings)
    own, foreign = (fill(world.database, key_ring, clinic, now) for clinic in (world.here, world.there))
    before = fingerprint(world.database, foreign)
    operations = [
        operation
        for operation in operations_of(world.app)
        if operation.route not in OFF_THE_TABLE and has_ids(operation) and POLICIES[EXPECTED[operation.route][0]].roles
    ]
    browsers: dict[str, TestClient] = {"tablet": world.as_tablet(), "helper": world.as_helper()}
    browsers.update((role, world.as_staff(role)) for role in STAFF_ROLES)
    tried: dict[str, int] = {}
    for number in range(count):
        operation = operations[number % len(operations)]
        roles = sorted(POLICIES[EXPECTED[operation.route][0]].roles or browsers)
        role = rng.choice(roles if rng.random() < 0.9 else sorted(browsers))
        choose = foreign_choice(rng, foreign)
        mixes = "{" in operation.path and operation.body is not None and rng.random() < 0.5

        def choose_own(name: str) -> str:
            return key_for(name, own)

        where = "body" if mixes or "{" not in operation.path else "path"
        body = body_of(operation, choose, now, all_of_them=rng.random() < 0.5 or mixes)
        if mixes and not sent_ids(body, foreign):
            mixes, where = False, "path"
        with nothing_is_kept(operation.route):
            answer = browsers[role].request(
                operation.method.upper(),
                address_of(operation, choose_own if mixes else choose),
                params=query_of(operation, choose, now, all_of_them=True),
                **({} if body is None else {"json": body}),
            )
        said = f"{operation.method} {operation.path} as {role}: {answer.status_code}"
        tried[where] = tried.get(where, 0) + 1
        is_without = where == "body" and not sent_ids(body, foreign)
        if where == "body" and is_without:
            where = "query"
        if where != "query":
            assert answer.status_code in (401, 403, 404, 409, 422, 429), said
        assert answer.status_code < 500, said
        assert "there" not in answer.text.replace("there is", ""), said
    assert fingerprint(world.database, foreign) == before
    return tried


def sent_ids(body: Any, rows: EveryRow) -> bool:
    """Return whether an id of an organisation stands in a body."""
    return any(each in json.dumps(body) for each in rows.all_ids())


@pytest.mark.parametrize("part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, PARTS))])
def test_access_matrix_lets_none_of_ten_thousand_requests_with_foreign_ids_succeed(
    sqlite_world: World, part: int
) -> None:
    tried = send_foreign_requests(sqlite_world, RANDOM_REQUESTS // PARTS, seed=SEED + part)
    assert sum(tried.values()) * PARTS == RANDOM_REQUESTS
    assert min(tried.values()) * PARTS > 500, tried


@pytest.mark.postgres
def test_access_matrix_lets_no_foreign_id_through_on_postgresql(postgres_world: World) -> None:
    assert sum(send_foreign_requests(postgres_world, RANDOM_REQUESTS_ON_POSTGRESQL).values()) == 1_000


# --- the channel ---


class RoomsStandIn:
    """Answers as the media worker does, for a live session of each organisation; notes what gets through to it."""

    def __init__(self, clinics: Mapping[UUID, Clinic]) -> None:
        self.reached: list[tuple[UUID, str]] = []
        now = Instant(utc_us=0, monotonic_ns=0)
        self._rooms = {
            live_session: LiveRoom(
                live_session,
                title="Hold",
                state=LiveSessionState.OPEN,
                participants=[
                    Participant(id=uuid4(), role=Role.THERAPIST, account_id=clinic.therapist_id),
                    Participant(id=uuid4(), role=Role.PATIENT, patient_id=clinic.patient_ids[0]),
                ],
                now=now,
            )
            for live_session, clinic in clinics.items()
        }

    async def command(
        self, live_session: UUID, participant: UUID | None, command: Mapping[str, Any], **_: Any
    ) -> dict[str, Any]:
        room = self._rooms.get(live_session)
        if room is None:
            raise MediaRefusedError("unknown_live_session", "there is none of this id")
        if command["type"] == "state":
            return {"version": 1, "media_epoch": "e", "state": room.snapshot()}
        self.reached.append((live_session, command["type"]))
        raise MediaRefusedError("not_joined", "join first")


MESSAGES: Final[tuple[Mapping[str, Any], ...]] = (
    {"type": "join"},
    {"type": "leave"},
    {"type": "replay", "after": 0},
    {"type": "publish", "sdp": "v=0"},
    {"type": "subscribe", "audio": 1, "video": 1},
    {"type": "admit"},
    {"type": "focus"},
    {"type": "talk_to"},
    {"type": "help", "on": True},
    {"type": "text", "text": "hej"},
    {"type": "end"},
)


@pytest.mark.parametrize("who", ["therapist", "tablet", "helper"])
def test_access_matrix_of_the_channel_reaches_no_foreign_live_session(
    sqlite_world: World, who: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, own, foreign = sqlite_world, uuid4(), uuid4()
    rooms = RoomsStandIn({own: world.here, foreign: world.there})
    monkeypatch.setattr(world.app.state.live_fanout, "_media", rooms)
    browser = {"therapist": lambda: world.as_staff("therapist"), "tablet": world.as_tablet, "helper": world.as_helper}[
        who
    ]()
    answers = []
    with (
        contextlib.suppress(CancelledError),
        browser.websocket_connect("wss://clinic.localhost/ws", headers={"Origin": "https://clinic.localhost"}) as page,
    ):
        for number, message in enumerate(MESSAGES):
            ids = {"id": str(number), "live_session": str(foreign)}
            if message["type"] in ("admit", "remove", "focus", "talk_to"):
                ids["participant"] = str(uuid4())
            page.send_json({"v": 1, **message, **ids})
            answers.append(page.receive_json())
        page.send_json({"v": 1, "type": "join", "id": "own", "live_session": str(own)})
        page.receive_json()
    codes = {answer.get("code") for answer in answers}
    assert codes <= {"not_found", "not_joined", None}
    assert [answer["type"] for answer in answers if answer["type"] != "error"] in ([], ["reply"]), "leaving nothing"
    assert [live_session for live_session, _ in rooms.reached if live_session == foreign] == []
    assert own in {live_session for live_session, _ in rooms.reached}, "one's own is reached: the stand-in works"


@pytest.mark.parametrize("who", ["team_manager", "admin", "auditor", "first factor only", "logged out"])
def test_access_matrix_of_the_channel_lets_nobody_else_in(sqlite_world: World, who: str) -> None:
    world = sqlite_world
    if who == "first factor only":
        browser = world.as_staff("therapist", assurance="first_factor")
    elif who == "logged out":
        browser = world.browser()
        browser.portal = world.client.portal
    else:
        browser = world.as_staff(next(role for role in STAFF_ROLES if role == who))
    with pytest.raises(WebSocketDenialResponse) as caught, browser.websocket_connect("wss://clinic.localhost/ws"):
        pass
    assert caught.value.status_code == (401 if who == "logged out" else 403)
