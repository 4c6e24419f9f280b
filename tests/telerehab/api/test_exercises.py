import uuid
from copy import deepcopy
from typing import Any

import pytest
from starlette.testclient import TestClient

from analytics.exercises import EXERCISES
from telerehab.care.library import find_shared
from telerehab.care.reading import write_value
from tests.telerehab.api.world import World, new_id

on_sqlite = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what does not ask the database much."""


def local(code: str = "heel_slide", *, title: str = "Hælen ind på håndklæde", based_on: int = 0) -> dict[str, Any]:
    """Return the body of a local exercise."""
    content = deepcopy(write_value(find_shared(code).content))
    content["title"] = {"da": title, "en": None}
    return {"exercise_id": new_id(), "code": code, "based_on": based_on, "content": content}


@pytest.fixture
def therapist(world: World) -> TestClient:
    return world.logged_in(world.here.therapist_link)


@pytest.fixture
def foreign_therapist(world: World) -> TestClient:
    return world.logged_in(world.there.therapist_link)


@on_sqlite
def test_everybody_who_is_logged_in_sees_the_shared_library_marked_as_not_reviewed(world: World) -> None:
    tablet = world.logged_in(world.here.tablet_link)

    exercises = tablet.get("/api/exercises").json()

    assert [one["code"] for one in exercises] == list(EXERCISES)
    assert {(one["is_reviewed"], one["local_id"]) for one in exercises} == {(False, None)}
    by_code = {one["code"]: one for one in exercises}
    assert by_code["row_band"]["default_target_deg"] is None
    assert by_code["heel_slide"]["default_target_deg"] == [80, 110]
    assert by_code["bridge"]["name"] == {"da": "Bækkenløft", "en": "Bridge"}
    assert by_code["bridge"]["figure"]["poses"]["start"]["pelvis"] == [0.47, 0.05]
    assert world.browser().get("/api/exercises").status_code == 401


@on_sqlite
def test_a_local_exercise_stands_beside_the_shared_ones_of_its_organisation_only(
    therapist: TestClient, foreign_therapist: TestClient
) -> None:
    body = local()
    answer = therapist.post("/api/exercises", json=body)
    assert answer.status_code == 201, answer.text

    listed = therapist.get("/api/exercises").json()

    assert listed[-1] == answer.json()
    assert (listed[-1]["local_id"], listed[-1]["version"]) == (body["exercise_id"], 1)
    assert listed[-1]["name"]["da"] == "Hælen ind på håndklæde"
    assert len(foreign_therapist.get("/api/exercises").json()) == len(EXERCISES)


@on_sqlite
def test_the_next_version_replaces_the_one_that_was_read_and_a_stale_writer_is_told(therapist: TestClient) -> None:
    first = local()
    second = {**first, "based_on": 1, "content": {**first["content"], "equipment": ["mat", "towel"]}}
    stale = {**first, "based_on": 1}

    assert therapist.post("/api/exercises", json=first).status_code == 201
    assert therapist.post("/api/exercises", json=second).json()["version"] == 2
    refused = therapist.post("/api/exercises", json=stale)

    assert (refused.status_code, refused.json()["code"]) == (409, "exercise_moved")
    assert [one["version"] for one in therapist.get("/api/exercises").json() if one["local_id"]] == [2]


def test_a_local_exercise_that_is_sent_twice_is_written_once(therapist: TestClient) -> None:
    body = local()

    answers = [therapist.post("/api/exercises", json=body).json() for _ in range(2)]

    assert answers[0] == answers[1]
    assert answers[1]["version"] == 1


@on_sqlite
def test_a_retired_exercise_leaves_the_list_and_is_never_written_again(therapist: TestClient) -> None:
    body = local()
    therapist.post("/api/exercises", json=body)

    assert therapist.delete(f"/api/exercises/{body['exercise_id']}").status_code == 204
    assert therapist.delete(f"/api/exercises/{body['exercise_id']}").status_code == 204
    assert len(therapist.get("/api/exercises").json()) == len(EXERCISES)
    refused = therapist.post("/api/exercises", json={**body, "based_on": 1})
    assert (refused.status_code, refused.json()["code"]) == (409, "exercise_retired")


@on_sqlite
def test_a_foreign_exercise_does_not_exist(therapist: TestClient, foreign_therapist: TestClient) -> None:
    body = local()
    therapist.post("/api/exercises", json=body)

    assert foreign_therapist.post("/api/exercises", json=body).status_code == 404
    assert foreign_therapist.post("/api/exercises", json={**body, "based_on": 1}).status_code == 404
    assert foreign_therapist.delete(f"/api/exercises/{body['exercise_id']}").status_code == 404
    assert foreign_therapist.delete(f"/api/exercises/{uuid.uuid4()}").status_code == 404
    assert therapist.get("/api/exercises").json()[-1]["local_id"] == body["exercise_id"]


@on_sqlite
def test_content_that_makes_no_sense_is_refused_with_its_places(therapist: TestClient) -> None:
    body = local()
    body["content"]["title"] = None
    body["content"]["figure"]["poses"]["end"].pop("toe")

    answer = therapist.post("/api/exercises", json=body)

    assert answer.status_code == 422
    assert {(fault["at"], fault["kind"]) for fault in answer.json()["faults"]} == {
        ("content.title", "title_missing"),
        ("content.figure.poses.end.toe", "joint_missing"),
    }


@on_sqlite
def test_another_code_is_another_exercise(therapist: TestClient) -> None:
    body = local()
    therapist.post("/api/exercises", json=body)

    answer = therapist.post("/api/exercises", json={**body, "based_on": 1, "code": "bridge"})

    assert answer.json()["faults"] == [{"at": "code", "kind": "code_changed"}]
    unknown = therapist.post("/api/exercises", json={**local(), "code": "handstand"})
    assert unknown.json()["faults"] == [{"at": "code", "kind": "exercise_unknown"}]


@on_sqlite
def test_a_tablet_writes_no_exercises(world: World) -> None:
    assert world.logged_in(world.here.tablet_link).post("/api/exercises", json=local()).status_code == 403
