from datetime import UTC, datetime
from typing import Any

import pytest
from sqlmodel import select, update

from telerehab.clock import ManualClock, to_us
from telerehab.db.engine import reading, writing
from telerehab.db.tables import AuditEvent, Organisation
from tests.telerehab.api.world import World, new_id

TUESDAY_NOON = datetime(2026, 10, 20, 10, 0, tzinfo=UTC)  # 12:00 in Copenhagen


def _duty(world: World, **chosen: object) -> dict[str, Any]:
    """Return the body of Tuesday's hours from 8 to 16."""
    wish = {"id": new_id(), "account_id": str(world.here.therapist_id), "weekday": 2}
    return {**wish, "from_minute": 480, "to_minute": 960, "line": 0, "telephone": "+45 12 34 56 78", **chosen}


def _set(clock: ManualClock, now: datetime) -> None:
    clock.advance((to_us(now) - clock.utc_ns() // 1_000) / 1e6)


def test_hours_are_given_listed_and_taken_away(world: World) -> None:
    manager = world.as_staff("team_manager")
    body = _duty(world)
    added = manager.post("/api/duties", json=body)
    assert added.status_code == 200, added.text
    assert added.json() == {**body, "name": "Ida Therapist here"}
    assert manager.post("/api/duties", json=body).json() == added.json()
    assert manager.post("/api/duties", json={**body, "line": 1}).status_code == 409
    assert world.as_staff("therapist").get("/api/duties").json() == [added.json()]
    assert manager.delete(f"/api/duties/{body['id']}").status_code == 204
    assert manager.delete(f"/api/duties/{body['id']}").status_code == 204
    assert manager.get("/api/duties").json() == []
    with reading(world.database.main) as db:
        actions = [event.action for event in db.exec(select(AuditEvent).order_by("sequence"))]
    assert [action for action in actions if action.endswith("duty")] == ["add_duty", "end_duty"]


def test_who_is_on_duty_now_and_when_nobody_is(world: World) -> None:
    manager = world.as_staff("team_manager")
    _set(world.clock, TUESDAY_NOON)
    manager = world.as_staff("team_manager")
    manager.post("/api/duties", json=_duty(world))
    manager.post("/api/duties", json=_duty(world, weekday=3, from_minute=0, to_minute=1440))
    found = manager.get("/api/duties/now").json()
    assert (found["on_duty"], found["next"]) == (["Ida Therapist here"], "Ida Therapist here")
    assert found["next_at"] == "2026-10-20T22:00:00Z"
    assert found["gaps"] == [
        {"start": "2026-10-20T14:00:00Z", "stop": "2026-10-20T22:00:00Z"},
        {"start": "2026-10-21T22:00:00Z", "stop": "2026-10-27T07:00:00Z"},
    ]


def test_without_a_list_everything_is_a_gap(sqlite_world: World) -> None:
    found = sqlite_world.as_staff("auditor").get("/api/duties/now").json()
    assert (found["on_duty"], found["next"], len(found["gaps"])) == ([], None, 1)


def test_hours_are_read_on_the_clock_of_the_organisation(sqlite_world: World) -> None:
    _set(sqlite_world.clock, TUESDAY_NOON)
    manager = sqlite_world.as_staff("team_manager")
    manager.post("/api/duties", json=_duty(sqlite_world, from_minute=0, to_minute=60))
    assert manager.get("/api/duties/now").json()["on_duty"] == []
    with writing(sqlite_world.database.main, owner="web") as db:
        db.exec(update(Organisation).values(time_zone="Pacific/Midway"))  # 23:00 on Monday
    assert manager.get("/api/duties/now").json()["next_at"] == "2026-10-20T11:00:00Z"


@pytest.mark.parametrize(
    "wrong",
    [
        {"weekday": 0},
        {"weekday": 8},
        {"from_minute": 960, "to_minute": 480},
        {"to_minute": 1441},
        {"from_minute": -1},
        {"line": 5},
        {"line": True},
        {"telephone": "call me"},
        {"telephone": "\x00"},
        {"extra": 1},
    ],
)
def test_hours_that_cannot_be_are_refused(sqlite_world: World, wrong: dict[str, object]) -> None:
    answer = sqlite_world.as_staff("team_manager").post("/api/duties", json=_duty(sqlite_world, **wrong))
    assert answer.status_code == 422


def test_only_managers_change_the_list_and_only_their_own(sqlite_world: World) -> None:
    body = _duty(sqlite_world)
    assert sqlite_world.as_staff("therapist").post("/api/duties", json=body).status_code == 403
    assert sqlite_world.as_tablet().get("/api/duties").status_code == 403
    foreign = sqlite_world.as_staff("team_manager", clinic=sqlite_world.there)
    assert foreign.post("/api/duties", json=body).status_code == 404
    assert sqlite_world.as_staff("team_manager").post("/api/duties", json=body).status_code == 200
    own = {**body, "account_id": str(sqlite_world.there.therapist_id)}
    assert foreign.post("/api/duties", json=own).status_code == 404
    assert foreign.delete(f"/api/duties/{body['id']}").status_code == 404
    assert foreign.get("/api/duties").json() == []


def test_only_therapists_answer_help_calls(sqlite_world: World) -> None:
    admin_id = str(sqlite_world.here.staff_ids["admin"])
    answer = sqlite_world.as_staff("team_manager").post("/api/duties", json=_duty(sqlite_world, account_id=admin_id))
    assert answer.status_code == 404


def test_who_is_no_therapist_any_more_is_rung_no_more(sqlite_world: World) -> None:
    _set(sqlite_world.clock, TUESDAY_NOON)
    manager, admin = sqlite_world.as_staff("team_manager"), sqlite_world.as_staff("admin")
    manager.post("/api/duties", json=_duty(sqlite_world))
    account = {"email": sqlite_world.here.email, "display_name": "Ida Therapist here", "role": "auditor"}
    assert admin.put(f"/api/staff/{sqlite_world.here.therapist_id}", json=account).status_code == 200
    assert manager.get("/api/duties/now").json()["on_duty"] == [], "nobody who may not answer is on duty"
    assert manager.get("/api/duties").json() == []
