"""Sets: started and ended by the page, one after another, idempotent; what the training session shows follows."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from telerehab.clock import from_us, to_us, utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Alert, TrainingSession, TrainingSet
from tests.telerehab.api.world import World, new_id, training

KNEE = {"exercise": "knee_extension_seated", "side": "right"}
SQUAT = {"exercise": "mini_squat", "side": "both"}


def _open(world: World, browser: TestClient) -> str:
    path = f"/api/training-sessions/{new_id()}"
    assert browser.put(path, json=training(world.here.patient_ids[0])).status_code == 200
    return path


def _start(browser: TestClient, path: str, **body: object) -> str:
    set_id = new_id()
    answer = browser.put(f"{path}/sets/{set_id}", json=KNEE | body)
    assert answer.status_code == 200, answer.text
    return set_id


def test_the_next_set_ends_the_one_before_and_the_training_session_shows_it(world: World) -> None:
    tablet = world.as_tablet()
    path = _open(world, tablet)
    first = _start(tablet, path, plan_item=0, set_number=1, target_repetitions=8)
    world.clock.advance(30)
    second = _start(tablet, path, **SQUAT, plan_item=1, set_number=1, target_low_deg=40, target_high_deg=60)
    shown = tablet.get(path).json()
    assert [(each["id"], each["number"], each["end_reason"]) for each in shown["sets"]] == [
        (first, 1, "next"),
        (second, 2, None),
    ]
    assert shown["sets"][0]["ended_at"] == shown["sets"][1]["started_at"]
    assert (shown["exercise"], shown["side"], shown["target_low_deg"]) == ("mini_squat", "both", 40)
    assert shown["training_set_id"] == second
    world.clock.advance(30)
    tablet.post(f"{path}/close", json={"reason": "done"})
    assert tablet.get(path).json()["sets"][1]["end_reason"] == "closed"
    with reading(world.database.main) as db:
        row = db.exec(select(TrainingSession)).one()
    assert row.exercise_since == utc_now(world.clock) - timedelta(seconds=30)


def test_what_is_sent_twice_is_done_once_and_an_id_is_for_one_set_only(world: World) -> None:
    tablet = world.as_tablet()
    path = _open(world, tablet)
    set_path = f"{path}/sets/{new_id()}"
    started = tablet.put(set_path, json=KNEE | {"set_number": 1})
    world.clock.advance(5)
    assert tablet.put(set_path, json=KNEE | {"set_number": 1}).json() == started.json()
    assert tablet.put(set_path, json=SQUAT).status_code == 409
    changed = tablet.put(set_path, json=KNEE | {"set_number": 1, "target_repetitions": 5}).json()
    assert changed == started.json() | {"target_repetitions": 5}
    end = {"reason": "done", "counted_repetitions": 7}
    ended = tablet.post(f"{set_path}/end", json=end)
    world.clock.advance(5)
    assert tablet.post(f"{set_path}/end", json=end).json() == ended.json()
    assert tablet.post(f"{set_path}/end", json=end | {"counted_repetitions": 8}).status_code == 409
    assert tablet.put(set_path, json=KNEE | {"set_number": 1}).status_code == 409  # its target was another one
    assert len(tablet.get(path).json()["sets"]) == 1


def test_what_the_page_says_later_of_a_set_that_ended_by_itself_is_taken_in(world: World) -> None:
    tablet = world.as_tablet()
    path = _open(world, tablet)
    first = _start(tablet, path)
    world.clock.advance(30)
    _start(tablet, path)
    answer = tablet.post(f"{path}/sets/{first}/end", json={"reason": "done", "counted_repetitions": 9})
    assert (answer.json()["end_reason"], answer.json()["counted_repetitions"]) == ("done", 9)
    assert answer.json()["ended_at"] == tablet.get(path).json()["sets"][1]["started_at"]


def test_a_page_may_say_when_it_was_but_neither_ahead_nor_before_the_last_set(world: World) -> None:
    tablet = world.as_tablet()
    path = _open(world, tablet)
    opened_at = utc_now(world.clock)
    world.clock.advance(100)

    def at(seconds: float) -> str:
        return (opened_at + timedelta(seconds=seconds)).isoformat()

    first = _start(tablet, path, at=at(20))
    tablet.post(f"{path}/sets/{first}/end", json={"reason": "done", "at": at(50)})
    _start(tablet, path, at=at(40))
    _start(tablet, path, at=at(500))
    _start(tablet, path, at=at(-100_000))
    spans = [(each["started_at"], each["ended_at"]) for each in tablet.get(path).json()["sets"]]
    times = [at(seconds).replace("+00:00", "Z") for seconds in (20, 50, 100)]
    assert spans == [(times[0], times[1]), (times[1], times[2]), (times[2], times[2]), (times[2], None)]


def test_sets_that_pages_start_at_once_are_numbered_and_do_not_overlap(world: World) -> None:
    browsers = [world.as_tablet(), world.as_staff("therapist")]
    path = _open(world, browsers[0])

    def put(index: int) -> int:
        return int(browsers[index % 2].put(f"{path}/sets/{new_id()}", json=KNEE).status_code)

    with ThreadPoolExecutor(6) as pool:
        assert set(pool.map(put, range(8))) == {200}
    with reading(world.database.main) as db:
        sets = db.exec(select(TrainingSet).order_by("number")).all()
    assert [each.number for each in sets] == list(range(1, 9))
    assert [each.ended_at is None for each in sets] == [False] * 7 + [True]


def test_while_a_stop_waits_nothing_is_opened_or_started(world: World) -> None:
    tablet = world.as_tablet()
    path = _open(world, tablet)
    _start(tablet, path)
    with writing(world.database.main, owner="web") as db:
        db.add(
            Alert(
                id=uuid4(),
                organisation_id=world.here.organisation_id,
                patient_id=world.here.patient_ids[0],
                cause="pain_high",
                is_stop=True,
                began_at=utc_now(world.clock),
                found_at=utc_now(world.clock),
                found_by="web",
            )
        )
    refused = [
        tablet.put(f"{path}/sets/{new_id()}", json=KNEE),
        tablet.put(f"/api/training-sessions/{new_id()}", json=training(world.here.patient_ids[0])),
    ]
    assert [(each.status_code, each.json()["code"]) for each in refused] == [(409, "stop_unconfirmed")] * 2
    assert tablet.post(f"{path}/close", json={"reason": "stop"}).status_code == 200
    other = world.as_staff("therapist")
    assert other.put(f"/api/training-sessions/{new_id()}", json=training(world.here.patient_ids[1])).status_code == 200


def test_what_a_tablet_did_without_its_line_is_taken_in_after_the_program_closed(world: World) -> None:
    tablet = world.as_tablet()
    path = _open(world, tablet)
    first = path.rpartition("/")[2]
    opened_at = utc_now(world.clock)
    world.clock.advance(1_500)
    with writing(world.database.main, owner="web") as db:
        row = db.get_one(TrainingSession, UUID(first))
        row.closed_at, row.close_reason = utc_now(world.clock), "no_movement"
    world.clock.advance(600)
    late = f"{path}/sets/{new_id()}"
    at = from_us(to_us(opened_at) + 60_000_000).isoformat()
    assert tablet.put(late, json=KNEE | {"at": at}).status_code == 200
    assert tablet.post(f"{late}/end", json={"reason": "done", "counted_repetitions": 10}).status_code == 200
    closed = tablet.post(f"{path}/close", json={"reason": "done"}).json()
    assert closed["close_reason"] == "done"
    shown = tablet.get(path).json()
    assert [(each["started_at"], each["counted_repetitions"]) for each in shown["sets"]] == [
        (at.replace("+00:00", "Z"), 10)
    ]
    assert tablet.put(f"{path}/sets/{new_id()}", json=KNEE).status_code == 409


def test_a_helper_who_may_train_opens_sets_and_is_named(world: World) -> None:
    helper = world.as_helper()
    path = _open(world, helper)
    _start(helper, path)
    assert helper.get(path).json()["helper_id"] == str(world.here.helper_id)


@pytest.mark.parametrize("who", ["therapist", "tablet", "helper"])
def test_sets_of_others_are_not_found(sqlite_world: World, who: str) -> None:
    world = sqlite_world
    theirs = world.as_tablet(clinic=world.there)
    path = f"/api/training-sessions/{new_id()}"
    theirs.put(path, json=training(world.there.patient_ids[0]))
    set_id = _start(theirs, path)
    own = {"therapist": world.as_staff, "tablet": world.as_tablet, "helper": world.as_helper}
    ours = own[who]("therapist") if who == "therapist" else own[who]()  # type: ignore[operator]
    our_path = _open(world, ours)
    answers = [
        ours.put(f"{path}/sets/{new_id()}", json=KNEE),
        ours.put(f"{path}/sets/{set_id}", json=KNEE),
        ours.put(f"{our_path}/sets/{set_id}", json=KNEE),
        ours.post(f"{path}/sets/{set_id}/end", json={"reason": "done"}),
        ours.post(f"{our_path}/sets/{set_id}/end", json={"reason": "done"}),
    ]
    assert [answer.status_code for answer in answers] == [404] * len(answers)
