"""Results with corrections beside the original, pauses, and what adherence makes of them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select

from telerehab.clock import to_us, utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Correction, Repetition
from tests.telerehab.api.test_plans import changed, today_of, version
from tests.telerehab.api.world import World, new_id, training

KNEE = {"exercise": "knee_extension_seated", "side": "left", "plan_item": 0}


def _write_plan(world: World, **body: Any) -> None:
    path = f"/api/patients/{world.here.patient_ids[0]}/plan-versions"
    written = world.as_staff("therapist").post(path, json=version(world, **body))
    assert written.status_code == 201, written.text


def _train(
    world: World, *, n_sets: int = 1, n_repetitions: int = 0, counted: int | None = None
) -> tuple[str, list[str]]:
    """Train sets of the plan's first exercise; return the path of the training session and the ids of its sets."""
    tablet = world.as_tablet()
    training_session_id = new_id()
    path = f"/api/training-sessions/{training_session_id}"
    opened = tablet.put(path, json=training(world.here.patient_ids[0], side="left"))
    assert opened.status_code == 200, opened.text
    set_ids = [new_id() for _ in range(n_sets)]
    for number, set_id in enumerate(set_ids):
        tablet.put(f"{path}/sets/{set_id}", json=KNEE | {"set_number": number + 1})
        for index in range(n_repetitions):
            _add_repetition(world, training_session_id, set_id, number * n_repetitions + index)
        world.clock.advance(40)
        end = {"reason": "done", "counted_repetitions": counted}
        assert tablet.post(f"{path}/sets/{set_id}/end", json=end).status_code == 200
    tablet.post(f"{path}/close", json={"reason": "done"})
    return path, set_ids


def _add_repetition(world: World, training_session_id: str, set_id: str | None, index: int) -> None:
    start_us = to_us(utc_now(world.clock)) + index * 3_000_000
    with writing(world.database.main, owner="ingest") as db:
        db.add(
            Repetition(
                training_session_id=UUID(training_session_id),
                index=index,
                training_set_id=None if set_id is None else UUID(set_id),
                start_us=start_us,
                stop_us=start_us + 2_000_000,
                rom_deg=80.0 + index,
                up_s=1,
                hold_s=0,
                down_s=1,
                peak_speed_deg_s=90,
                trust=0.9 if index != 1 else 0.1,
                reason=0,
                algorithm_version="1",
                data={"peak_angle_deg": 10.0, "trust_completeness": 0.8},
            )
        )


def test_results_are_shown_set_by_set_with_their_trust_and_completeness(world: World) -> None:
    _write_plan(world)
    path, set_ids = _train(world, n_sets=2, n_repetitions=2)
    _add_repetition(world, path.rpartition("/")[2], None, 4)
    for browser in (world.as_staff("therapist"), world.as_tablet(), world.as_helper()):
        results = browser.get(f"{path}/results").json()
        assert [each["id"] for each in results["sets"]] == set_ids
        first = results["sets"][0]
        assert (first["counted"], first["counted_by"], first["rom_median_deg"], first["in_target_count"]) == (
            2,
            "sensors",
            80.0,
            1,
        )
        assert [each["rom_deg"] for each in first["repetitions"]] == [80.0, None]
        assert (round(first["trust"], 3), round(first["completeness"], 3), first["is_incomplete"]) == (0.5, 0.8, True)
        assert [each["index"] for each in results["outside"]] == [4]
        assert results["plan"] == {"plan_number": 1, "prescribed_set_count": 3, "done_set_count": 2, "share": 2 / 3}


def test_not_measured_is_not_zero_and_the_tablets_zero_is(sqlite_world: World) -> None:
    path, _ = _train(sqlite_world)
    other, _ = _train(sqlite_world, counted=0)
    therapist = sqlite_world.as_staff("therapist")
    assert [each["counted"] for each in therapist.get(f"{path}/results").json()["sets"]] == [None]
    assert [each["counted"] for each in therapist.get(f"{other}/results").json()["sets"]] == [0]


def test_a_correction_stands_beside_the_original_and_can_be_taken_back(world: World) -> None:
    path, (set_id,) = _train(world, n_repetitions=3)
    therapist = world.as_staff("therapist")
    body = {
        "id": new_id(),
        "training_set_id": set_id,
        "kind": "repetition_count",
        "corrected": {"repetitions": 5},
        "note": "Set på video",
    }
    written = therapist.post(f"{path}/corrections", json=body)
    assert (written.status_code, written.json()["original"]) == (201, {"repetitions": 3, "counted_by": "sensors"})
    assert therapist.post(f"{path}/corrections", json=body).json() == written.json()
    assert therapist.post(f"{path}/corrections", json=body | {"note": "Andet"}).status_code == 409
    (shown,) = therapist.get(f"{path}/results").json()["sets"]
    assert (shown["counted"], shown["counted_by"], shown["original_count"]) == (5, "therapist", 3)
    assert [(each["note"], each["withdrawn_at"]) for each in shown["corrections"]] == [("Set på video", None)]
    with reading(world.database.main) as db:
        assert b"video" not in (db.exec(select(Correction)).one().note_sealed or b"")
    for _ in range(2):
        assert therapist.delete(f"/api/corrections/{body['id']}").status_code == 204
    (shown,) = therapist.get(f"{path}/results").json()["sets"]
    assert (shown["counted"], len(shown["corrections"])) == (3, 1)
    assert shown["corrections"][0]["withdrawn_at"] is not None


UNFIT_CORRECTIONS: tuple[dict[str, Any], ...] = (
    {"kind": "repetition_count"},
    {"kind": "repetition_count", "corrected": {"repetitions": -1}},
    {"kind": "repetition_count", "corrected": {"repetitions": 5}, "training_set_id": None},
    {"kind": "not_valid", "corrected": {"repetitions": 5}},
    {"kind": "note"},
    {"kind": "note", "note": "a\x00b"},
    {"kind": "other", "note": "x"},
)


def test_a_correction_that_makes_no_sense_is_refused_and_others_cannot_write_one(sqlite_world: World) -> None:
    world = sqlite_world
    path, (set_id,) = _train(world)
    therapist = world.as_staff("therapist")
    good = {"id": new_id(), "training_set_id": set_id, "kind": "not_valid"}
    for unfit in UNFIT_CORRECTIONS:
        assert therapist.post(f"{path}/corrections", json=good | unfit).status_code == 422, unfit
    assert therapist.post(f"{path}/corrections", json=good | {"training_set_id": new_id()}).status_code == 404
    foreign = world.as_staff("therapist", clinic=world.there)
    assert foreign.post(f"{path}/corrections", json=good).status_code == 404
    assert therapist.post(f"{path}/corrections", json=good).status_code == 201
    assert foreign.delete(f"/api/corrections/{good['id']}").status_code == 404
    for browser in (world.as_tablet(), world.as_helper(), world.as_staff("team_manager")):
        assert browser.post(f"{path}/corrections", json=good).status_code == 403


def _adherence(world: World, *, days: int = 1) -> list[dict[str, Any]]:
    period = {"from": str(today_of(world)), "to": str(today_of(world) + timedelta(days=days))}
    path = f"/api/patients/{world.here.patient_ids[0]}/adherence"
    found = world.as_staff("therapist").get(path, params=period)
    assert found.status_code == 200, found.text
    return list(found.json()["days"])


def test_adherence_counts_ended_sets_that_are_valid(world: World) -> None:
    _write_plan(world)
    assert [day["status"] for day in _adherence(world)] == ["open"]
    path, set_ids = _train(world, n_sets=3)
    (day,) = _adherence(world)
    assert (day["status"], day["done_set_count"], day["prescribed_set_count"]) == ("done", 3, 3)
    correction = {"id": new_id(), "training_set_id": set_ids[0], "kind": "not_valid"}
    therapist = world.as_staff("therapist")
    assert therapist.post(f"{path}/corrections", json=correction).status_code == 201
    assert _adherence(world)[0]["done_set_count"] == 2
    therapist.post(f"{path}/corrections", json={"id": new_id(), "kind": "not_valid"})
    assert _adherence(world)[0]["status"] == "open"


def test_training_without_sets_is_not_measured_and_not_missed(sqlite_world: World) -> None:
    _write_plan(sqlite_world)
    _train(sqlite_world, n_sets=0)
    (day,) = _adherence(sqlite_world)
    assert (day["status"], day["done_set_count"]) == ("unmeasured", None)


def test_the_share_is_that_of_the_plan_that_was_in_force_when_the_training_was_opened(sqlite_world: World) -> None:
    world = sqlite_world
    _write_plan(world)
    path, _ = _train(world, n_sets=3)
    _write_plan(world, based_on=1, content=changed(world, 6))
    plan = world.as_staff("therapist").get(f"{path}/results").json()["plan"]
    assert (plan["plan_number"], plan["share"]) == (1, 1.0)


def test_a_page_trains_by_the_version_that_it_shows_and_by_no_other_patients(sqlite_world: World) -> None:
    world = sqlite_world
    _write_plan(world)
    path = f"/api/patients/{world.here.patient_ids[0]}/plan-versions"
    first = world.as_staff("therapist").get(path).json()[0]["id"]
    _write_plan(world, based_on=1, content=changed(world, 6))
    wish = training(world.here.patient_ids[0], plan_version_id=first)
    opened = world.as_tablet().put(f"/api/training-sessions/{new_id()}", json=wish)
    assert opened.json()["plan_version_id"] == first
    for foreign in (training(world.here.patient_ids[1], plan_version_id=first), wish | {"plan_version_id": new_id()}):
        answer = world.as_staff("therapist").put(f"/api/training-sessions/{new_id()}", json=foreign)
        assert answer.status_code == 404


@pytest.mark.parametrize("who", ["therapist", "tablet"])
def test_a_pause_excuses_its_days_until_it_is_taken_back(world: World, who: str) -> None:
    _write_plan(world)
    browser = world.as_staff("therapist") if who == "therapist" else world.as_tablet()
    path = f"/api/patients/{world.here.patient_ids[0]}/pauses"
    today = today_of(world)
    body = {"id": new_id(), "kind": "illness", "starts_on": str(today), "ends_on": str(today + timedelta(days=1))}
    assert browser.post(path, json=body).status_code == 201
    assert browser.post(path, json=body).json() == body
    assert browser.post(path, json=body | {"kind": "holiday"}).status_code == 409
    assert browser.get(path).json() == [body]
    assert [(day["status"], day["pause"]) for day in _adherence(world, days=3)] == [
        ("excused", "illness"),
        ("excused", "illness"),
        ("ahead", None),
    ]
    for _ in range(2):
        assert browser.delete(f"/api/pauses/{body['id']}").status_code == 204
    assert browser.get(path).json() == []
    assert [day["status"] for day in _adherence(world)] == ["open"]


def test_pauses_and_days_of_others_are_not_found_and_make_sense(sqlite_world: World) -> None:
    world = sqlite_world
    theirs, ours = world.as_staff("therapist", clinic=world.there), world.as_staff("therapist")
    today = str(today_of(world))
    body = {"id": new_id(), "kind": "holiday", "starts_on": today}
    assert theirs.post(f"/api/patients/{world.there.patient_ids[0]}/pauses", json=body).status_code == 201
    for patient_id in (world.there.patient_ids[0], world.here.stranger_id):
        path = f"/api/patients/{patient_id}"
        assert ours.post(f"{path}/pauses", json=body | {"id": new_id()}).status_code == 404
        assert ours.get(f"{path}/pauses").status_code == 404
        for what in ("adherence", "training-sessions"):
            assert ours.get(f"{path}/{what}", params={"from": today, "to": today}).status_code == 404
    assert ours.delete(f"/api/pauses/{body['id']}").status_code == 404
    own = f"/api/patients/{world.here.patient_ids[0]}/pauses"
    assert ours.post(own, json=body).status_code == 404  # the id is theirs
    assert world.as_helper().post(own, json=body).status_code == 403
    for unfit in ({"ends_on": "2020-01-01"}, {"kind": "sick"}, {"starts_on": 20_260_101}, {"starts_on": "yesterday"}):
        assert ours.post(own, json=body | {"id": new_id()} | unfit).status_code == 422, unfit


def test_training_sessions_are_listed_by_local_day_the_newest_first(sqlite_world: World) -> None:
    world = sqlite_world
    first, _ = _train(world)
    world.clock.advance(86_400)
    second, _ = _train(world)
    today = today_of(world)

    def listed(first_day: int, stop_day: int) -> list[str]:
        days = {"from": str(today + timedelta(days=first_day)), "to": str(today + timedelta(days=stop_day))}
        answer = world.as_tablet().get(f"/api/patients/{world.here.patient_ids[0]}/training-sessions", params=days)
        return [f"/api/training-sessions/{each['id']}" for each in answer.json()]

    assert listed(-1, 1) == [second, first]
    assert listed(-1, 0) == [first]
    assert listed(1, 5) == []
