import asyncio
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import OperationalError
from sqlmodel import col, select, update
from starlette.testclient import TestClient

from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Account, AuditEvent, CareRelation, Duty, HelpCall, Organisation
from telerehab.live.help_calls import LOOK_INTERVAL_S, HelpCallWatch
from tests.telerehab.api.world import World, new_id

TELEPHONE = "+45 87 65 43 21"


def _put_on_duty(world: World, account_id: UUID, *, line: int = 0) -> None:
    """Have somebody on duty around the clock."""
    with writing(world.database.main, owner="web") as db:
        for weekday in range(1, 8):
            db.add(
                Duty(
                    organisation_id=world.here.organisation_id,
                    account_id=account_id,
                    weekday=weekday,
                    from_minute=0,
                    to_minute=1440,
                    line=line,
                )
            )


def _add_therapist(world: World, name: str) -> UUID:
    """Return another therapist of the organisation, who treats nobody."""
    with writing(world.database.main, owner="web") as db:
        account = Account(
            organisation_id=world.here.organisation_id,
            email=f"{name}@here.example",
            display_name=name,
            role="therapist",
        )
        db.add(account)
    return account.id


def _set_telephone(world: World) -> None:
    with writing(world.database.main, owner="web") as db:
        db.exec(update(Organisation).values(help_telephone=TELEPHONE))


def _watch(world: World) -> HelpCallWatch:
    return HelpCallWatch(world.database, clock=world.clock, changes=world.changes)


def _call(tablet: TestClient, **chosen: object) -> dict[str, Any]:
    answer = tablet.post("/api/help-calls", json={"id": new_id(), **chosen})
    assert answer.status_code == 200, answer.text
    call: dict[str, Any] = answer.json()
    return call


def test_a_call_is_told_to_who_is_on_duty_answered_and_closed(world: World) -> None:
    _put_on_duty(world, world.here.therapist_id)
    tablet, therapist = world.logged_in(world.here.tablet_link), world.logged_in(world.here.therapist_link)
    call = _call(tablet)
    assert (call["state"], call["told_name"], call["is_unanswered"]) == ("told", "Ida Therapist here", False)
    (listed,) = therapist.get("/api/help-calls?open=true").json()
    assert (listed["id"], listed["display_name"], listed["birth_date"]) == (
        call["id"],
        "Karen Patient 0 here",
        "1940-02-03",
    )
    answered = therapist.post(f"/api/help-calls/{call['id']}/answer").json()
    assert (answered["state"], answered["answered_name"]) == ("answered", "Ida Therapist here")
    assert tablet.get(f"/api/help-calls/{call['id']}").json()["state"] == "answered"
    body = {"outcome": "helped", "note": "Stolen var for lav"}
    closed = therapist.post(f"/api/help-calls/{call['id']}/close", json=body)
    assert (closed.json()["state"], closed.json()["note"]) == ("closed", "Stolen var for lav")
    assert therapist.post(f"/api/help-calls/{call['id']}/close", json=body).json() == closed.json()
    assert therapist.post(f"/api/help-calls/{call['id']}/close", json={"outcome": "mistake"}).status_code == 409
    assert therapist.get("/api/help-calls").json() == []
    assert tablet.get(f"/api/help-calls/{call['id']}").json()["note"] is None
    told = [change.version for change in world.changes.told if change.table == "help_call"]
    assert told == [1, 2, 3]


def test_unanswered_for_thirty_seconds_the_next_is_told_and_the_tablet_shows_the_telephone(world: World) -> None:
    _set_telephone(world)
    ole = _add_therapist(world, "Ole")
    _put_on_duty(world, world.here.therapist_id)
    _put_on_duty(world, ole, line=1)
    tablet = world.logged_in(world.here.tablet_link)
    call = _call(tablet)
    watch = _watch(world)
    seen = []
    for _ in range(31):
        watch.step()
        shown = tablet.get(f"/api/help-calls/{call['id']}").json()
        seen.append((shown["state"], shown["told_name"], shown["is_unanswered"]))
        world.clock.advance(1)
    assert seen[:15] == [("told", "Ida Therapist here", False)] * 15
    assert seen[15:30] == [("escalated", "Ole", False)] * 15
    assert seen[30] == ("escalated", "Ole", True)
    assert (shown["telephone"], shown["is_out_of_hours"]) == (TELEPHONE, False)
    assert shown["emergency_text_key"] == "help.emergency"
    changes = [change for change in world.changes.told if change.table == "help_call"]
    assert [change.version for change in changes] == [1, 2, 3]


def test_outside_hours_the_tablet_is_told_in_the_first_answer(sqlite_world: World) -> None:
    _set_telephone(sqlite_world)
    call = _call(sqlite_world.logged_in(sqlite_world.here.tablet_link))
    assert (call["state"], call["is_unanswered"], call["is_out_of_hours"]) == ("called", True, True)
    assert call["telephone"] == TELEPHONE


def test_a_call_made_outside_hours_rings_when_somebody_comes_on_duty(world: World) -> None:
    tablet = world.logged_in(world.here.tablet_link)
    call = _call(tablet)
    _watch(world).step()
    _put_on_duty(world, world.here.therapist_id)
    _watch(world).step()
    assert tablet.get(f"/api/help-calls/{call['id']}").json()["told_name"] == "Ida Therapist here"


def test_somebody_disabled_is_not_on_duty(sqlite_world: World) -> None:
    _put_on_duty(sqlite_world, sqlite_world.here.therapist_id)
    with writing(sqlite_world.database.main, owner="web") as db:
        db.exec(
            update(Account)
            .where(col(Account.id) == sqlite_world.here.therapist_id)
            .values(disabled_at=utc_now(sqlite_world.clock))
        )
    assert _call(sqlite_world.logged_in(sqlite_world.here.tablet_link))["is_out_of_hours"]


def test_the_same_press_sent_twice_is_one_call_and_another_press_rings_anew(sqlite_world: World) -> None:
    _put_on_duty(sqlite_world, sqlite_world.here.therapist_id)
    tablet, therapist = (
        sqlite_world.logged_in(sqlite_world.here.tablet_link),
        sqlite_world.logged_in(sqlite_world.here.therapist_link),
    )
    call = _call(tablet)
    therapist.post(f"/api/help-calls/{call['id']}/answer")
    again = _call(tablet, id=call["id"])
    assert (again["state"], again["press_count"]) == ("answered", 1)
    sqlite_world.clock.advance(60)
    anew = _call(tablet)
    assert (anew["id"], anew["state"], anew["press_count"]) == (call["id"], "told", 2)
    assert len(therapist.get("/api/help-calls").json()) == 1


def test_a_withdrawn_call_stays_on_the_list_until_staff_closes_it(sqlite_world: World) -> None:
    _put_on_duty(sqlite_world, sqlite_world.here.therapist_id)
    tablet, therapist = (
        sqlite_world.logged_in(sqlite_world.here.tablet_link),
        sqlite_world.logged_in(sqlite_world.here.therapist_link),
    )
    call = _call(tablet)
    assert tablet.post(f"/api/help-calls/{call['id']}/withdraw").json()["state"] == "withdrawn"
    sqlite_world.clock.advance(600)
    _watch(sqlite_world).step()
    (listed,) = therapist.get("/api/help-calls").json()
    assert (listed["state"], listed["is_unanswered"]) == ("withdrawn", False)
    assert therapist.post(f"/api/help-calls/{call['id']}/close", json={"outcome": "mistake"}).status_code == 200


def test_a_colleague_sees_a_strangers_call_on_duty_only_and_answering_it_is_written_down(world: World) -> None:
    tablet, therapist = world.logged_in(world.here.tablet_link), world.logged_in(world.here.therapist_link)
    call = _call(tablet)
    with writing(world.database.main, owner="web") as db:
        db.exec(update(CareRelation).values(ends_at=utc_now(world.clock)))
    assert therapist.get("/api/help-calls").json() == []
    assert therapist.get(f"/api/help-calls/{call['id']}").status_code == 404
    assert therapist.post(f"/api/help-calls/{call['id']}/answer").status_code == 404
    assert therapist.post(f"/api/help-calls/{call['id']}/close", json={"outcome": "helped"}).status_code == 404
    _put_on_duty(world, world.here.therapist_id)
    assert [each["id"] for each in therapist.get("/api/help-calls").json()] == [call["id"]]
    assert therapist.post(f"/api/help-calls/{call['id']}/answer").status_code == 200
    with reading(world.database.main) as db:
        events = db.exec(select(AuditEvent).where(AuditEvent.action == "answer_help_call")).all()
    assert [event.patient_id for event in events] == [world.here.patient_ids[0]]


def test_of_two_who_answer_one_has_the_call(world: World) -> None:
    ole = _add_therapist(world, "Ole")
    _put_on_duty(world, world.here.therapist_id)
    _put_on_duty(world, ole, line=1)
    call = _call(world.logged_in(world.here.tablet_link))
    therapist, other = world.logged_in(world.here.therapist_link), world.with_login(account_id=ole)
    assert therapist.post(f"/api/help-calls/{call['id']}/answer").status_code == 200
    late = other.post(f"/api/help-calls/{call['id']}/answer")
    assert (late.status_code, late.json()["code"]) == (409, "help_call_taken")


def test_the_other_organisation_and_other_roles_see_nothing(sqlite_world: World) -> None:
    call = _call(sqlite_world.logged_in(sqlite_world.here.tablet_link))
    path = f"/api/help-calls/{call['id']}"
    for stranger in (
        sqlite_world.logged_in(sqlite_world.there.therapist_link),
        sqlite_world.logged_in(sqlite_world.there.tablet_link),
    ):
        assert stranger.get(path).status_code == 404
        assert stranger.get("/api/help-calls").json() == []
    assert sqlite_world.as_staff("therapist", clinic=sqlite_world.there).post(f"{path}/answer").status_code == 404
    stolen = sqlite_world.as_tablet(clinic=sqlite_world.there).post("/api/help-calls", json={"id": call["id"]})
    assert stolen.status_code == 404
    assert sqlite_world.as_staff("admin").get(path).status_code == 403
    assert sqlite_world.as_helper().get(path).status_code == 403
    assert _call(sqlite_world.as_tablet())["id"] == call["id"]


def test_a_call_from_a_live_session_needs_a_seat_in_it(sqlite_world: World) -> None:
    tablet = sqlite_world.logged_in(sqlite_world.here.tablet_link)
    answer = tablet.post("/api/help-calls", json={"id": new_id(), "live_session_id": new_id()})
    assert answer.status_code == 404


def test_what_a_killed_process_left_undone_the_next_one_does_once(world: World) -> None:
    _put_on_duty(world, world.here.therapist_id)
    call = _call(world.logged_in(world.here.tablet_link))
    world.clock.advance(3_600)
    first, second = _watch(world), _watch(world)
    first.step()
    second.step()
    with reading(world.database.main) as db:
        row = db.get_one(HelpCall, UUID(call["id"]))
    assert (row.version, row.unanswered) == (2, "no_answer")


def test_the_watch_looks_again_within_a_second_also_when_the_database_refused(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise asyncio.CancelledError

    def refuse(_watch: HelpCallWatch) -> None:
        raise OperationalError("", {}, Exception())

    monkeypatch.setattr(HelpCallWatch, "step", refuse)
    watch = HelpCallWatch(sqlite_world.database, clock=sqlite_world.clock, changes=sqlite_world.changes, sleep=sleep)
    with pytest.raises(asyncio.CancelledError):
        asyncio.run(watch.run())
    assert waits == [LOOK_INTERVAL_S] * 3
    assert LOOK_INTERVAL_S < 1
