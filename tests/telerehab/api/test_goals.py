import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Goal
from tests.telerehab.api.test_exercises import on_sqlite
from tests.telerehab.api.world import World, new_id

WORDS = "Jeg vil kunne gå ned til købmanden igen"
RANGE = {"kind": "rom", "exercise": "heel_slide", "side": "left", "at_least": 95}


def goal(**changes: Any) -> dict[str, Any]:
    """Return the body of a new goal."""
    return {"id": new_id(), "text": WORDS, "target_on": "2026-12-24", "measure": RANGE, **changes}


def changed(body: dict[str, Any], version: int, **changes: Any) -> dict[str, Any]:
    """Return the body that changes a goal."""
    return {**{key: value for key, value in body.items() if key != "id"}, "version": version, **changes}


@pytest.fixture
def therapist(world: World) -> TestClient:
    return world.logged_in(world.here.therapist_link)


@pytest.fixture
def path(world: World) -> str:
    return f"/api/patients/{world.here.patient_ids[0]}/goals"


def test_a_goal_is_kept_in_the_patients_own_words_and_lies_sealed(
    world: World, therapist: TestClient, path: str
) -> None:
    body = goal()
    answer = therapist.post(path, json=body)
    assert answer.status_code == 201, answer.text

    listed = world.logged_in(world.here.tablet_link).get(path).json()

    assert listed == [answer.json()]
    assert (listed[0]["text"], listed[0]["target_on"], listed[0]["state"]) == (WORDS, "2026-12-24", "open")
    assert listed[0]["measure"] == {**RANGE, "at_least": 95.0}
    with reading(world.database.main) as db:
        assert "købmanden".encode() not in db.exec(select(Goal)).one().text_sealed


@on_sqlite
def test_a_goal_without_measure_has_none(therapist: TestClient, path: str) -> None:
    assert therapist.post(path, json=goal(measure=None)).json()["measure"] is None


@on_sqlite
def test_a_goal_that_is_sent_twice_is_written_once_and_another_one_is_refused(therapist: TestClient, path: str) -> None:
    body = goal()

    assert therapist.post(path, json=body).json() == therapist.post(path, json=body).json()
    assert len(therapist.get(path).json()) == 1
    assert therapist.post(path, json={**body, "text": "Noget andet"}).status_code == 409


@on_sqlite
def test_a_goal_is_met_and_says_since_when(world: World, therapist: TestClient, path: str) -> None:
    body = goal()
    therapist.post(path, json=body)
    world.clock.advance(60)

    met = therapist.put(f"/api/goals/{body['id']}", json=changed(body, 1, state="met"))

    assert met.status_code == 200, met.text
    assert (met.json()["state"], met.json()["version"]) == ("met", 2)
    assert met.json()["state_changed_at"] is not None
    assert therapist.put(f"/api/goals/{body['id']}", json=changed(body, 1, state="met")).json() == met.json()
    stale = therapist.put(f"/api/goals/{body['id']}", json=changed(body, 1, state="dropped"))
    assert (stale.status_code, stale.json()["code"]) == (409, "goal_moved")
    assert therapist.get(path).json() == [met.json()]


def test_of_two_who_change_a_goal_at_the_same_time_one_is_told(world: World, therapist: TestClient, path: str) -> None:
    body = goal()
    therapist.post(path, json=body)
    start = threading.Barrier(2)

    def change(text: str) -> int:
        start.wait(timeout=10)
        return therapist.put(f"/api/goals/{body['id']}", json=changed(body, 1, text=text)).status_code

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(change, ["Det ene", "Det andet"])) == [200, 409]


@on_sqlite
def test_goals_that_are_not_for_ones_eyes_do_not_exist(world: World, therapist: TestClient, path: str) -> None:
    body = goal()
    therapist.post(path, json=body)
    foreign = world.logged_in(world.there.therapist_link)
    tablet = world.logged_in(world.here.tablet_link)
    stranger = f"/api/patients/{world.here.stranger_id}/goals"
    theirs = f"/api/patients/{world.there.patient_ids[0]}/goals"

    assert foreign.get(path).status_code == 404
    assert foreign.post(path, json=goal()).status_code == 404
    assert foreign.put(f"/api/goals/{body['id']}", json=changed(body, 1)).status_code == 404
    assert foreign.post(theirs, json=body).status_code == 404, "an id that is taken elsewhere"
    assert therapist.get(stranger).status_code == 404
    assert therapist.post(stranger, json=goal()).status_code == 404
    assert tablet.get(f"/api/patients/{world.here.patient_ids[1]}/goals").status_code == 404
    assert tablet.post(path, json=goal()).status_code == 403
    assert world.browser().get(path).status_code == 401
    assert world.as_helper().get(path).status_code == 200
    assert world.as_helper(clinic=world.there).get(path).status_code == 404


@on_sqlite
def test_a_retracted_goal_is_gone(world: World, therapist: TestClient, path: str) -> None:
    body = goal()
    therapist.post(path, json=body)
    with writing(world.database.main, owner="web") as db:
        row = db.exec(select(Goal)).one()
        row.retracted_at = utc_now(world.clock) + timedelta(seconds=1)
        db.add(row)

    assert therapist.get(path).json() == []
    assert therapist.put(f"/api/goals/{body['id']}", json=changed(body, 1)).status_code == 404
    assert therapist.post(path, json=body).status_code == 409


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"text": " "}, "body.text"),
        ({"text": "nul\x00"}, "body.text"),
        ({"target_on": 20_000}, "body.target_on"),
        ({"measure": {**RANGE, "at_least": 0}}, "body.measure.rom.at_least"),
        ({"measure": {**RANGE, "exercise": "handstand"}}, "measure.exercise"),
        ({"measure": {"kind": "pain", "at_most": True}}, "body.measure.pain.at_most"),
        ({"state": "forgotten"}, "body.state"),
        ({"version": 1}, "body"),
    ],
)
def test_what_makes_no_sense_is_named(sqlite_world: World, changes: dict[str, Any], at: str) -> None:
    therapist = sqlite_world.logged_in(sqlite_world.here.therapist_link)

    answer = therapist.post(f"/api/patients/{sqlite_world.here.patient_ids[0]}/goals", json=goal(**changes))

    assert answer.status_code == 422
    assert [fault["at"] for fault in answer.json()["faults"]] == [at]


def test_the_number_of_goals_is_bounded(sqlite_world: World) -> None:
    therapist = sqlite_world.logged_in(sqlite_world.here.therapist_link)
    path = f"/api/patients/{sqlite_world.here.patient_ids[0]}/goals"
    for _ in range(50):
        assert therapist.post(path, json=goal()).status_code == 201

    assert therapist.post(path, json=goal()).json()["faults"] == [{"at": "id", "kind": "too_many"}]
