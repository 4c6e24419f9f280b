"""The media worker: its HTTP, its rows, and who takes over when it is gone."""

import asyncio
import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest
from sqlmodel import col, select

from telerehab.db import tables
from telerehab.db.engine import reading
from telerehab.errors import ConflictError, MediaUnavailableError
from telerehab.live.media_client import MediaClient, MediaRefusedError
from telerehab.live.media_protocol import BODY_MAX_BYTES, COMMANDS_PATH, HEALTH_PATH, SECRET_HEADER, pick_worker
from tests.sessions.null_engine import REFUSED_SDP
from tests.telerehab.live.clinic import Clinic, Worker, open_clinic, until

pytestmark = pytest.mark.anyio


def events_of(clinic: Clinic, live_session: UUID) -> list[tables.LiveEvent]:
    with reading(clinic.database.main) as db:
        rows = db.exec(
            select(tables.LiveEvent)
            .where(tables.LiveEvent.live_session_id == live_session)
            .order_by(col(tables.LiveEvent.sequence))
        )
        return list(rows)


def row_of(clinic: Clinic, live_session: UUID) -> tables.LiveSession:
    with reading(clinic.database.main) as db:
        return db.get_one(tables.LiveSession, live_session)


async def participants_of(clinic: Clinic, live_session: UUID) -> list[dict[str, Any]]:
    result = await clinic.media.command(live_session, None, {"type": "state"})
    participants: list[dict[str, Any]] = result["state"]["participants"]
    return participants


async def post(worker: Worker, body: object, *, secret: str | None = None) -> httpx2.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.post(
            f"http://127.0.0.1:{worker.port}{COMMANDS_PATH}",
            content=content,
            headers=[(SECRET_HEADER.encode(), (worker.secret if secret is None else secret).encode())],
        )


async def test_the_control_refuses_strangers_and_malformed_commands_and_goes_on(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False) as clinic:
        live_session = await clinic.create_live_session()
        worker = clinic.workers[0]
        good = {"request_id": "1", "live_session": str(live_session), "command": {"type": "state"}}
        assert (await post(worker, good)).json()["result"]["state"]["title"] == "Knee group"
        for secret in ("", worker.secret[:-1], worker.secret.upper() + "x", "æ"):
            answer = await post(worker, good, secret=secret)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorised")
        async with httpx2.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"http://127.0.0.1:{worker.port}{HEALTH_PATH}")).status_code == 401
        malformed: tuple[object, ...] = (
            b"{",
            [],
            {**good, "extra": 1},
            {**good, "command": {"type": "shout"}},
            {**good, "command": {"type": "state", "extra": 1}},
            {**good, "live_session": 5},
            {**good, "command": {"type": "help", "on": "true"}},
        )
        for body in malformed:
            assert (await post(worker, body)).status_code == 400
        assert (await post(worker, b"x" * (BODY_MAX_BYTES + 1))).status_code == 413
        unknown = {**good, "request_id": "2", "live_session": str(uuid4())}
        assert (await post(worker, unknown)).json()["error"]["code"] == "unknown_live_session"
        assert (await post(worker, good)).status_code == 200


async def test_a_repeated_request_acts_once_and_a_refused_one_may_be_tried_again(
    tmp_path: Path, template: Path
) -> None:
    async with open_clinic(tmp_path, template, with_broker=False) as clinic:
        live_session = await clinic.create_live_session()
        me = UUID((await participants_of(clinic, live_session))[0]["id"])
        say = {"type": "text", "text": "hej"}
        with pytest.raises(MediaRefusedError, match="not_joined"):
            await clinic.media.command(live_session, me, say, request_id="once")
        await clinic.media.command(live_session, me, {"type": "join", "connection": "c"})
        many = [clinic.media.command(live_session, me, say, request_id="once") for _ in range(5)]
        assert await asyncio.gather(*many) == [{}] * 5
        assert [event.kind for event in events_of(clinic, live_session)].count("text") == 1


async def test_the_engines_refusals_have_codes(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False) as clinic:
        live_session = await clinic.create_live_session()
        me = UUID((await participants_of(clinic, live_session))[0]["id"])
        await clinic.media.command(live_session, me, {"type": "join", "connection": "c"})
        with pytest.raises(MediaRefusedError) as caught:
            await clinic.media.command(live_session, me, {"type": "publish", "sdp": REFUSED_SDP})
        assert caught.value.code == "sdp_refused"


async def test_rows_are_on_the_disk_when_the_command_answers_and_numbered_without_holes(
    tmp_path: Path, template: Path
) -> None:
    async with open_clinic(tmp_path, template, with_broker=False) as clinic:
        live_session = await clinic.create_live_session()
        people = await participants_of(clinic, live_session)
        for person in people:
            await clinic.media.command(live_session, UUID(person["id"]), {"type": "join", "connection": "c"})
        await clinic.media.command(live_session, UUID(people[0]["id"]), {"type": "end"})
        events, row = events_of(clinic, live_session), row_of(clinic, live_session)
        assert [event.sequence for event in events] == list(range(1, len(events) + 1))
        assert events[0].data["participants"] == [person["id"] for person in people]
        assert (row.state, row.event_sequence) == ("ended", len(events))
        assert row.ended_at is not None
        with reading(clinic.database.main) as db:
            states = {str(p.id): p.state for p in db.exec(select(tables.Participant)).all()}
        assert states == {person["id"]: "left" for person in people}
        await until(lambda: live_session not in clinic.workers[0].engine.seats, what="engine closed")
        with pytest.raises(MediaRefusedError, match="not_allowed"):
            await clinic.media.command(live_session, None, {"type": "state"})


async def test_a_live_session_with_people_who_do_not_exist_is_a_conflict(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False) as clinic:
        clinic.patient_ids.append(uuid4())
        with pytest.raises(ConflictError):
            await clinic.create_live_session()
        with reading(clinic.database.main) as db:
            assert db.exec(select(tables.LiveSession)).all() == []
        assert clinic.workers[0].engine.seats == {}


async def test_without_a_worker_the_client_says_so_within_its_deadline(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False, with_worker=False) as clinic:
        with pytest.raises(MediaUnavailableError):
            await clinic.media.command(uuid4(), None, {"type": "state"}, deadline_s=0.5)


async def test_the_next_worker_takes_over_with_seats_order_help_pause_and_focus(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, n_patients=3, with_broker=False) as clinic:
        live_session = await clinic.create_live_session(auto_admit=False)
        people = [UUID(p["id"]) for p in await participants_of(clinic, live_session)]
        for person in people[:3]:
            await clinic.media.command(live_session, person, {"type": "join", "connection": "c"})
        therapist, anna, bent = people[:3]
        await clinic.media.command(live_session, therapist, {"type": "admit", "participant": str(anna)})
        await clinic.media.command(live_session, therapist, {"type": "focus", "participant": str(anna)})
        await clinic.media.command(live_session, anna, {"type": "help", "on": True})
        await clinic.media.command(live_session, anna, {"type": "pause", "on": True})
        before = events_of(clinic, live_session)
        await clinic.workers[0].kill()
        second = await clinic.start_worker()
        result = await clinic.media.command(live_session, None, {"type": "state"})
        snapshot = result["state"]
        assert result["media_epoch"] == second.host.epoch
        assert [UUID(p["id"]) for p in snapshot["participants"]] == people
        assert [p["state"] for p in snapshot["participants"]] == ["reconnecting", "reconnecting", "invited", "invited"]
        assert snapshot["focus"] == str(anna)
        assert snapshot["participants"][1]["help_since_us"] is not None
        assert [p["paused_since_us"] is not None for p in snapshot["participants"]] == [False, True, False, False]
        await clinic.media.command(live_session, anna, {"type": "join", "connection": "new"})
        await clinic.media.command(live_session, bent, {"type": "join", "connection": "new"})
        states = [p["state"] for p in await participants_of(clinic, live_session)]
        assert states[1:3] == ["connecting", "waiting"]
        after = events_of(clinic, live_session)
        assert [event.sequence for event in after] == list(range(1, len(after) + 1))
        assert len(after) > len(before)
        assert row_of(clinic, live_session).worker_id == second.row.id


async def test_a_living_workers_live_session_is_not_taken_from_it(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False) as clinic:
        first = clinic.workers[0]
        live_session = await clinic.create_live_session()
        second = await clinic.start_worker()
        body = {"request_id": "1", "live_session": str(live_session), "command": {"type": "state"}}
        assert (await post(second, body)).json()["error"]["code"] == "elsewhere"
        assert row_of(clinic, live_session).worker_id == first.row.id
        other = MediaClient(clinic.settings, clinic.database)
        result = await other.command(live_session, None, {"type": "state"})
        assert result["media_epoch"] == first.host.epoch
        await other.aclose()


async def test_a_worker_that_lost_a_live_session_writes_no_row_and_forgets_it(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template, with_broker=False) as clinic:
        live_session = await clinic.create_live_session()
        me = (await participants_of(clinic, live_session))[0]["id"]
        first, second = clinic.workers[0], await clinic.start_worker()
        second.host._store.claim(live_session, from_worker=first.row.id)  # as after a stall that looked like an end
        body = {
            "request_id": "1",
            "live_session": str(live_session),
            "participant": me,
            "command": {"type": "join", "connection": "c"},
        }
        await post(first, body)
        assert [event.kind for event in events_of(clinic, live_session)] == ["created"]
        await until(lambda: live_session not in first.engine.seats, what="connections closed")


async def test_live_sessions_spread_over_workers_and_few_move_when_one_goes() -> None:
    workers = [uuid4() for _ in range(4)]
    live_sessions = [uuid4() for _ in range(400)]
    before = {each: pick_worker(each, workers) for each in live_sessions}
    after = {each: pick_worker(each, workers[:-1]) for each in live_sessions}
    assert {each for each in live_sessions if before[each] != after[each]} == {
        each for each in live_sessions if before[each] == workers[-1]
    }
    shares = [sum(winner == worker for winner in before.values()) for worker in workers]
    assert all(60 < share < 140 for share in shares)


async def test_pages_come_back_by_themselves_when_the_worker_is_killed(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as patient,
        ):
            await therapist.ask("join", live_session)
            await patient.ask("join", live_session)
            await patient.ask("publish", live_session, sdp="offer")
            await until(lambda: therapist.participant("patient").get("state") == "connected", what="connected")
            epoch, slots = therapist.state["media_epoch"], therapist.state["slots"]
            await clinic.workers[0].kill()
            second = await clinic.start_worker()
            await until(lambda: patient.state["media_epoch"] == second.host.epoch, what="told of the new worker")
            assert epoch != second.host.epoch
            assert (await patient.ask("publish", live_session, sdp="again"))["type"] == "reply"
            await until(
                lambda: (
                    therapist.state["media_epoch"] == second.host.epoch
                    and therapist.participant("patient")["state"] == "connected"
                ),
                what="connected again",
            )
            assert therapist.participant("therapist")["state"] == "connecting"  # without having asked for anything
            assert therapist.state["slots"] == slots
            assert (patient.byes, therapist.byes) == ([], [])


async def test_a_dead_broker_ends_nothing_and_delays_events_only(tmp_path: Path, template: Path) -> None:
    async with open_clinic(tmp_path, template) as clinic:
        live_session = await clinic.create_live_session()
        async with (
            await clinic.page(clinic.therapist_id) as therapist,
            await clinic.page(clinic.patient_ids[0]) as patient,
        ):
            await therapist.ask("join", live_session)
            await patient.ask("join", live_session)
            assert clinic.broker is not None
            await clinic.broker.stop()
            await patient.ask("help", live_session, on=True)
            await patient.ask("text", live_session, text="hjælp")
            await until(lambda: therapist.participant("patient")["help_since"], what="help in the state")
            await until(
                lambda: [e["data"]["text"] for e in therapist.events if e["kind"] == "text"] == ["hjælp"], what="text"
            )
            sequences = [event["sequence"] for event in therapist.events]
            assert sequences == sorted(set(sequences))
            await patient.aclose()
            async with await clinic.page(clinic.patient_ids[0]) as again:
                assert (await again.ask("join", live_session))["type"] == "reply"
