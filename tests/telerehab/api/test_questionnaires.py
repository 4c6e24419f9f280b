from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import QuestionnaireResponse
from tests.telerehab.api.test_exercises import on_sqlite
from tests.telerehab.api.test_plans import today_of
from tests.telerehab.api.world import World, new_id
from tests.telerehab.care.test_questionnaires import IMPORT

ANSWERS = {"q0": "o1", "q1": "o2", "q2": "o3", "q3": "o4", "n": 0.5, "words": "Det går fremad"}


@pytest.fixture
def therapist(world: World) -> TestClient:
    return world.logged_in(world.here.therapist_link)


@pytest.fixture
def tablet(world: World) -> TestClient:
    return world.logged_in(world.here.tablet_link)


@pytest.fixture
def path(world: World) -> str:
    return f"/api/patients/{world.here.patient_ids[0]}"


def definition(**changes: Any) -> dict[str, Any]:
    """Return the body of an import."""
    return {"definition": {**deepcopy(IMPORT), **changes}}


def pain(value: Any = 4, **changes: Any) -> dict[str, Any]:
    """Return the body of an answer to the pain question."""
    return {"code": "pain_nrs", "answers": {"pain": value}, **changes}


def weekly(first_on: date, **changes: Any) -> dict[str, Any]:
    """Return the body of a weekly schedule of the pain question."""
    return {"id": new_id(), "code": "pain_nrs", "first_on": first_on.isoformat(), "every_days": 7, **changes}


@on_sqlite
def test_pain_and_effort_are_there_from_the_start(therapist: TestClient) -> None:
    listed = therapist.get("/api/questionnaires").json()

    assert [(one["id"], one["definition"]["code"]) for one in listed] == [
        (None, "pain_nrs"),
        (None, "perceived_effort"),
    ]


def test_an_import_is_there_for_its_organisation_only(world: World, therapist: TestClient) -> None:
    answer = therapist.post("/api/questionnaires", json=definition())
    assert answer.status_code == 201, answer.text

    assert therapist.get("/api/questionnaires").json()[-1] == answer.json()
    assert len(world.logged_in(world.there.therapist_link).get("/api/questionnaires").json()) == 2
    assert therapist.post("/api/questionnaires", json=definition()).json() == answer.json()
    other = therapist.post("/api/questionnaires", json=definition(title={"da": "Andet"}))
    assert (other.status_code, other.json()["code"]) == (409, "version_taken")
    newer = therapist.post("/api/questionnaires", json=definition(version=2)).json()
    assert [one["id"] for one in therapist.get("/api/questionnaires").json()] == [None, None, newer["id"]]


@on_sqlite
def test_an_import_needs_a_confirmed_licence(therapist: TestClient) -> None:
    licence = {"holder": "x", "reference": "y", "is_confirmed": False}

    for changes, fault in (
        ({"licence": None}, {"at": "licence", "kind": "missing"}),
        ({"licence": licence}, {"at": "licence.is_confirmed", "kind": "not_confirmed"}),
        ({"code": "pain_nrs"}, {"at": "code", "kind": "built_in"}),
    ):
        answer = therapist.post("/api/questionnaires", json=definition(**changes))
        assert (answer.status_code, answer.json()["faults"]) == (422, [fault])
    malformed = therapist.post("/api/questionnaires", json=definition(questions=[{"kind": "choice", "Else": 1}]))
    assert malformed.status_code == 422
    assert "Else" not in malformed.text


def test_an_answer_is_sealed_scored_and_seen_by_those_who_may(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    imported = therapist.post("/api/questionnaires", json=definition()).json()
    body = {"code": "made_up_scale", "questionnaire_id": imported["id"], "answers": ANSWERS}
    answer = tablet.put(f"{path}/questionnaire-responses/{new_id()}", json=body)
    assert answer.status_code == 200, answer.text

    listed = therapist.get(f"{path}/questionnaire-responses").json()

    assert listed == [answer.json()]
    assert listed[0]["answers"] == ANSWERS
    assert {score["code"]: score["value"] for score in listed[0]["scores"]} == {
        "sum": 10,
        "share": 37.5,
        "profile": 0.87,
    }
    with reading(world.database.main) as db:
        row = db.exec(select(QuestionnaireResponse)).one()
    assert b"fremad" not in row.answers_sealed
    assert row.score == 10


@on_sqlite
def test_too_much_missing_is_unknown_and_not_nothing(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    said = definition()
    for question in said["definition"]["questions"]:
        question["is_required"] = False
    imported = therapist.post("/api/questionnaires", json=said).json()
    body = {"code": "made_up_scale", "questionnaire_id": imported["id"], "answers": {"q0": "o1", "q1": None}}

    answer = tablet.put(f"{path}/questionnaire-responses/{new_id()}", json=body).json()

    assert {(score["value"], score["reason"]) for score in answer["scores"]} == {(None, "too_much_missing")}
    with reading(world.database.main) as db:
        assert db.exec(select(QuestionnaireResponse)).one().score is None


@on_sqlite
def test_the_same_answers_sent_again_are_kept_once_and_others_refused(
    therapist: TestClient, tablet: TestClient, path: str
) -> None:
    place = f"{path}/questionnaire-responses/{new_id()}"

    assert tablet.put(place, json=pain()).json() == tablet.put(place, json=pain()).json()
    assert len(therapist.get(f"{path}/questionnaire-responses").json()) == 1
    assert tablet.put(place, json=pain(5)).status_code == 409


@on_sqlite
def test_answers_that_do_not_fit_are_named_without_their_values(tablet: TestClient, path: str) -> None:
    place = f"{path}/questionnaire-responses/{new_id()}"

    for answers, fault in (
        ({"pain": 11}, {"at": "answers.pain", "kind": "does_not_fit"}),
        ({"pain": "Else"}, {"at": "answers.pain", "kind": "does_not_fit"}),
        ({}, {"at": "answers.pain", "kind": "missing"}),
        ({"pain": 1, "else_jensen": 1}, {"at": "answers", "kind": "question_unknown"}),
    ):
        answer = tablet.put(place, json=pain(answers=answers))
        assert (answer.status_code, answer.json()["faults"]) == (422, [fault])
    odd = tablet.put(place, json=pain(answers={"pain": 1, "Else Jensen": True}))
    assert odd.status_code == 422
    assert "Else" not in odd.text
    assert tablet.put(place, json=pain(answers={"pain": 10**400})).status_code == 422


@on_sqlite
def test_answers_kept_on_the_tablet_have_their_own_time_within_bounds(
    world: World, tablet: TestClient, path: str
) -> None:
    now = utc_now(world.clock)

    def answered_at(moment: Any) -> Any:
        body = pain(answered_at=moment.isoformat())
        return tablet.put(f"{path}/questionnaire-responses/{new_id()}", json=body)

    assert answered_at(now - timedelta(days=2)).json()["answered_at"][:10] == (now - timedelta(days=2)).isoformat()[:10]
    assert answered_at(now + timedelta(days=2)).json()["answered_at"][:10] == now.isoformat()[:10]
    assert answered_at(now - timedelta(days=31)).status_code == 422
    assert answered_at(now.replace(tzinfo=None)).status_code == 422
    number = pain(answered_at=round(now.timestamp()))
    assert tablet.put(f"{path}/questionnaire-responses/{new_id()}", json=number).status_code == 422


def test_a_schedule_asks_on_its_days_until_answered(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    today = today_of(world)
    body = weekly(today)
    answer = therapist.post(f"{path}/questionnaire-schedules", json=body)
    assert answer.status_code == 201, answer.text
    assert therapist.post(f"{path}/questionnaire-schedules", json=body).json() == answer.json()
    assert tablet.get(f"{path}/questionnaire-schedules").json() == [answer.json()]

    def due() -> list[str]:
        return [one["due_on"] for one in tablet.get(f"{path}/questionnaires-due").json()]

    assert due() == [today.isoformat()]
    sent = pain(schedule_id=body["id"], due_on=today.isoformat())
    assert tablet.put(f"{path}/questionnaire-responses/{new_id()}", json=sent).status_code == 200
    assert due() == []
    world.clock.advance(8 * 86_400)
    assert due() == [(today + timedelta(days=7)).isoformat()]
    next_week = world.as_staff("therapist")
    assert next_week.delete(f"/api/questionnaire-schedules/{body['id']}").status_code == 204
    assert next_week.delete(f"/api/questionnaire-schedules/{body['id']}").status_code == 204
    assert due() == []


@on_sqlite
def test_a_schedule_carries_the_imported_questionnaire_to_the_tablet(
    therapist: TestClient, tablet: TestClient, path: str, world: World
) -> None:
    imported = therapist.post("/api/questionnaires", json=definition()).json()
    body = weekly(today_of(world), code="made_up_scale", questionnaire_id=imported["id"])

    assert therapist.post(f"{path}/questionnaire-schedules", json=body).status_code == 201

    due = tablet.get(f"{path}/questionnaires-due").json()
    assert [(one["questionnaire_id"], one["definition"]) for one in due] == [(imported["id"], imported["definition"])]


@on_sqlite
def test_answers_to_another_questionnaire_leave_a_schedule_open(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    schedule = therapist.post(f"{path}/questionnaire-schedules", json=weekly(today_of(world))).json()
    body = {"code": "perceived_effort", "answers": {"effort": "easy"}, "schedule_id": schedule["id"]}

    answer = tablet.put(f"{path}/questionnaire-responses/{new_id()}", json=body)

    assert (answer.status_code, answer.json()["faults"]) == (
        422,
        [{"at": "schedule_id", "kind": "another_questionnaire"}],
    )
    assert len(tablet.get(f"{path}/questionnaires-due").json()) == 1


@on_sqlite
def test_another_schedule_of_the_same_id_or_of_unknown_things_is_refused(
    world: World, therapist: TestClient, path: str
) -> None:
    today = today_of(world)
    body = weekly(today)
    place = f"{path}/questionnaire-schedules"
    therapist.post(place, json=body)
    theirs = world.logged_in(world.there.therapist_link).post("/api/questionnaires", json=definition()).json()

    assert therapist.post(place, json={**body, "every_days": 3}).status_code == 409
    assert therapist.post(place, json=weekly(today, until=today.isoformat())).status_code == 422
    assert therapist.post(place, json=weekly(today, code="eq5d")).status_code == 422
    stolen = weekly(today, code="made_up_scale", questionnaire_id=theirs["id"])
    assert therapist.post(place, json=stolen).status_code == 404


@on_sqlite
def test_what_is_not_for_ones_eyes_does_not_exist(world: World, therapist: TestClient, path: str) -> None:
    foreign = world.logged_in(world.there.therapist_link)
    tablet = world.logged_in(world.here.tablet_link)
    second = f"/api/patients/{world.here.patient_ids[1]}"
    stranger = f"/api/patients/{world.here.stranger_id}"
    schedule = weekly(today_of(world))
    therapist.post(f"{path}/questionnaire-schedules", json=schedule)
    response_id = new_id()
    tablet.put(f"{path}/questionnaire-responses/{response_id}", json=pain())
    theirs = f"/api/patients/{world.there.patient_ids[0]}"

    for what in ("questionnaire-schedules", "questionnaires-due", "questionnaire-responses"):
        assert foreign.get(f"{path}/{what}").status_code == 404
        assert therapist.get(f"{stranger}/{what}").status_code == 404
        assert tablet.get(f"{second}/{what}").status_code == 404
        assert world.as_helper(clinic=world.there).get(f"{path}/{what}").status_code == 404
        assert world.as_helper().get(f"{path}/{what}").status_code == 200
        assert world.browser().get(f"{path}/{what}").status_code == 401
    assert foreign.put(f"{path}/questionnaire-responses/{new_id()}", json=pain()).status_code == 404
    assert foreign.put(f"{theirs}/questionnaire-responses/{response_id}", json=pain()).status_code == 404
    assert foreign.delete(f"/api/questionnaire-schedules/{schedule['id']}").status_code == 404
    borrowed = pain(schedule_id=schedule["id"])
    assert foreign.put(f"{theirs}/questionnaire-responses/{new_id()}", json=borrowed).status_code == 404
    assert therapist.put(f"{second}/questionnaire-responses/{new_id()}", json=borrowed).status_code == 404
    assert tablet.post(f"{path}/questionnaire-schedules", json=schedule).status_code == 403
    assert tablet.get("/api/questionnaires").status_code == 403


@on_sqlite
def test_a_retracted_response_counts_as_not_given(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    schedule = weekly(today_of(world))
    therapist.post(f"{path}/questionnaire-schedules", json=schedule)
    tablet.put(f"{path}/questionnaire-responses/{new_id()}", json=pain(schedule_id=schedule["id"]))
    with writing(world.database.main, owner="web") as db:
        row = db.exec(select(QuestionnaireResponse)).one()
        row.retracted_at = utc_now(world.clock)
        db.add(row)

    assert therapist.get(f"{path}/questionnaire-responses").json() == []
    assert len(tablet.get(f"{path}/questionnaires-due").json()) == 1
