import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import select, update

from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import CareRelation, LiveSession, TrainingSession
from tests.telerehab.api.world import World, new_id, training


@pytest.mark.parametrize("who", ["therapist", "tablet"])
def test_therapist_and_tablet_open_show_and_close_a_training_session(world: World, who: str) -> None:
    browser = world.logged_in(world.here.therapist_link if who == "therapist" else world.here.tablet_link)
    path = f"/api/training-sessions/{new_id()}"
    body = training(world.here.patient_ids[0], target_low_deg=0, target_high_deg=12.5, target_repetitions=10)
    opened = browser.put(path, json=body)
    assert opened.status_code == 200, opened.text
    assert opened.json() == {
        "id": path.rpartition("/")[2],
        **body,
        "live_session_id": None,
        "plan_version_id": None,
        "helper_id": None,
        "training_set_id": None,
        "opened_via": "page",
        "opened_at": utc_now(world.clock).isoformat().replace("+00:00", "Z"),
        "closed_at": None,
        "close_reason": None,
        "version": 1,
    }
    assert browser.get(path).json() == opened.json() | {"sets": []}
    world.clock.advance(60)
    closed = browser.post(f"{path}/close", json={"reason": "done"}).json()
    assert (closed["close_reason"], closed["version"]) == ("done", 2)
    assert browser.post(f"{path}/close", json={"reason": "stop"}).json() == closed


def test_what_changed_is_told_after_the_commit_with_its_version(world: World) -> None:
    browser = world.logged_in(world.here.tablet_link)
    training_session_id = new_id()
    path = f"/api/training-sessions/{training_session_id}"
    browser.put(path, json=training(world.here.patient_ids[0]))
    browser.put(path, json=training(world.here.patient_ids[0]))
    browser.put(path, json=training(world.here.patient_ids[0], target_repetitions=8))
    browser.post(f"{path}/close", json={"reason": "stop"})
    told = [(change.table, str(change.id), change.version) for change in world.changes.told]
    assert told == [("training_session", training_session_id, version) for version in (1, 2, 3)]


def test_nothing_is_told_when_nothing_was_committed(world: World) -> None:
    browser = world.logged_in(world.here.tablet_link)
    answer = browser.put(
        f"/api/training-sessions/{new_id()}", json=training(world.here.patient_ids[0], live_session_id=new_id())
    )
    assert answer.status_code == 404
    assert world.changes.told == []


def test_opening_the_next_training_session_closes_the_one_before(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    first, second, other = (f"/api/training-sessions/{new_id()}" for _ in range(3))
    browser.put(first, json=training(world.here.patient_ids[0]))
    browser.put(other, json=training(world.here.patient_ids[1]))
    browser.put(second, json=training(world.here.patient_ids[0], exercise="elbow_flexion"))
    assert browser.get(first).json()["close_reason"] == "superseded"
    assert browser.get(second).json()["closed_at"] is None
    assert browser.get(other).json()["closed_at"] is None


def test_pages_that_open_at_once_leave_one_training_session_open(world: World) -> None:
    browsers = [world.logged_in(world.here.therapist_link), world.logged_in(world.here.tablet_link)]
    shared_id = new_id()
    ids = [shared_id, shared_id, *(new_id() for _ in range(6))]

    def put(index: int) -> int:
        path = f"/api/training-sessions/{ids[index]}"
        return int(browsers[index % 2].put(path, json=training(world.here.patient_ids[0])).status_code)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(put, range(8))) == {200}
    with reading(world.database.main) as db:
        rows = db.exec(select(TrainingSession)).all()
    assert (len(rows), sum(row.closed_at is None for row in rows)) == (7, 1)


@pytest.mark.parametrize("change", [{"exercise": "elbow_flexion"}, {"side": "left"}])
def test_an_id_is_for_one_exercise_only(world: World, change: dict[str, str]) -> None:
    browser = world.logged_in(world.here.therapist_link)
    path = f"/api/training-sessions/{new_id()}"
    browser.put(path, json=training(world.here.patient_ids[0]))
    answer = browser.put(path, json=training(world.here.patient_ids[0], **change))
    assert (answer.status_code, answer.json()["code"]) == (409, "conflict")


def test_the_targets_of_a_closed_training_session_stay(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    path = f"/api/training-sessions/{new_id()}"
    browser.put(path, json=training(world.here.patient_ids[0]))
    browser.post(f"{path}/close", json={"reason": "done"})
    assert browser.put(path, json=training(world.here.patient_ids[0], target_repetitions=3)).status_code == 409


def test_repetitions_are_listed_in_their_order(world: World) -> None:
    browser = world.logged_in(world.here.tablet_link)
    training_session_id = new_id()
    browser.put(f"/api/training-sessions/{training_session_id}", json=training(world.here.patient_ids[0]))
    for index in (1, 0, 2):
        world.add_repetition(UUID(training_session_id), index)
    found = browser.get(f"/api/training-sessions/{training_session_id}/repetitions").json()
    assert [repetition["index"] for repetition in found] == [0, 1, 2]
    assert found[0]["rom_deg"] == 81.5


UNFIT: tuple[dict[str, object], ...] = (
    {"exercise": "juggling"},
    {"side": "up"},
    {"target_low_deg": 10.0},
    {"target_low_deg": 20.0, "target_high_deg": 10.0},
    {"target_low_deg": False, "target_high_deg": True},
    {"target_low_deg": "0", "target_high_deg": "10"},
    {"target_low_deg": 0, "target_high_deg": 1e6},
    {"target_repetitions": 0},
    {"target_repetitions": 10.5},
    {"target_repetitions": True},
    {"patient_id": 7},
    {"patient_id": "karen"},
    {"pain": 3},
)


def test_a_body_that_does_not_fit_is_refused_whole(sqlite_world: World) -> None:
    browser = sqlite_world.logged_in(sqlite_world.here.tablet_link)
    path = f"/api/training-sessions/{new_id()}"
    for fault in UNFIT:
        answer = browser.put(path, json={**training(sqlite_world.here.patient_ids[0]), **fault})
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), fault
    assert browser.get(path).status_code == 404


def test_no_angle_is_not_a_number(sqlite_world: World) -> None:
    browser = sqlite_world.logged_in(sqlite_world.here.tablet_link)
    for text in ("NaN", "Infinity", "1e999"):
        body = f"""{{"patient_id": "{sqlite_world.here.patient_ids[0]}", "exercise": "elbow_flexion", "side": "left",
            "target_low_deg": {text}, "target_high_deg": 10}}"""
        answer = browser.put(
            f"/api/training-sessions/{new_id()}", content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 422, text


def test_a_therapist_sees_and_trains_own_patients_only(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    names = [patient["display_name"] for patient in browser.get("/api/patients").json()]
    assert names == ["Karen Patient 0 here", "Karen Patient 1 here"]
    for foreign in (world.here.stranger_id, world.there.patient_ids[0], uuid.uuid4()):
        answer = browser.put(f"/api/training-sessions/{new_id()}", json=training(foreign))
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found"), foreign


def test_a_tablet_trains_its_own_patient_only(world: World) -> None:
    browser = world.logged_in(world.here.tablet_link)
    for foreign in (world.here.patient_ids[1], world.here.stranger_id, world.there.patient_ids[0]):
        assert browser.put(f"/api/training-sessions/{new_id()}", json=training(foreign)).status_code == 404


def test_what_belongs_to_another_organisation_is_not_found(world: World) -> None:
    theirs = world.logged_in(world.there.therapist_link)
    training_session_id, live_session_id = new_id(), _live_session(world, theirs, world.there.patient_ids[0])
    path = f"/api/training-sessions/{training_session_id}"
    assert theirs.put(path, json=training(world.there.patient_ids[0])).status_code == 200
    for link in (world.here.therapist_link, world.here.tablet_link):
        ours = world.logged_in(link)
        answers = [
            ours.get(path),
            ours.get(f"{path}/repetitions"),
            ours.post(f"{path}/close", json={"reason": "stop"}),
            ours.put(path, json=training(world.there.patient_ids[0])),
            ours.put(path, json=training(world.here.patient_ids[0])),
            ours.get(f"/api/live-sessions/{live_session_id}"),
            ours.put(
                f"/api/training-sessions/{new_id()}",
                json=training(world.here.patient_ids[0], live_session_id=live_session_id),
            ),
        ]
        assert [answer.status_code for answer in answers] == [404] * len(answers)
        assert len({answer.text for answer in answers if "no such training session" in answer.text}) <= 1
    assert theirs.get(path).json()["version"] == 1


def test_a_former_therapist_sees_the_patient_no_more(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    path = f"/api/training-sessions/{new_id()}"
    browser.put(path, json=training(world.here.patient_ids[0]))
    with writing(world.database.main, owner="web") as db:
        db.exec(update(CareRelation).values(ends_at=utc_now(world.clock) + timedelta(seconds=10)))
    assert browser.get(path).status_code == 200
    world.clock.advance(10)
    assert browser.get(path).status_code == 404
    assert browser.get("/api/patients").json() == []
    with reading(world.database.main) as db:
        assert db.exec(select(TrainingSession)).one().closed_at is None


def _live_session(world: World, browser: object, *patient_ids: UUID) -> str:
    answer = browser.post(  # type: ignore[attr-defined]
        "/api/live-sessions", json={"title": "Knees", "patient_ids": [str(patient_id) for patient_id in patient_ids]}
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_a_therapist_opens_a_live_session_and_its_tablets_see_it(world: World) -> None:
    therapist, tablet = (world.logged_in(link) for link in (world.here.therapist_link, world.here.tablet_link))
    with_tablet = _live_session(world, therapist, *world.here.patient_ids)
    without_tablet = _live_session(world, therapist, world.here.patient_ids[1])
    shown = tablet.get("/api/live-sessions").json()
    assert [each["id"] for each in shown] == [with_tablet]
    assert shown[0]["title"] == "Knees"
    assert shown[0]["patient_ids"] == [str(world.here.patient_ids[0])], "the others are nobody's business"
    assert tablet.get(f"/api/live-sessions/{without_tablet}").status_code == 404
    assert {each["id"] for each in therapist.get("/api/live-sessions").json()} == {with_tablet, without_tablet}
    assert tablet.post("/api/live-sessions", json={"title": "x", "patient_ids": [new_id()]}).status_code == 403


def test_nobody_is_invited_whom_the_therapist_does_not_treat(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    for foreign in (world.here.stranger_id, world.there.patient_ids[0]):
        body = {"title": "x", "patient_ids": [str(world.here.patient_ids[0]), str(foreign)]}
        assert browser.post("/api/live-sessions", json=body).status_code == 404
    with reading(world.database.main) as db:
        assert db.exec(select(LiveSession)).all() == []


def test_a_training_session_joins_only_a_live_session_in_which_the_patient_has_a_seat(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    live_session_id = _live_session(world, browser, world.here.patient_ids[0])

    def put(patient_id: UUID) -> int:
        body = training(patient_id, live_session_id=live_session_id)
        return int(browser.put(f"/api/training-sessions/{new_id()}", json=body).status_code)

    assert put(world.here.patient_ids[0]) == 200
    assert put(world.here.patient_ids[1]) == 409
    with writing(world.database.main, owner="media") as db:
        db.exec(update(LiveSession).values(ended_at=utc_now(world.clock)))
    assert put(world.here.patient_ids[0]) == 409


def test_a_pairing_code_is_for_the_therapists_own_patients(world: World) -> None:
    therapist, tablet = (world.logged_in(link) for link in (world.here.therapist_link, world.here.tablet_link))
    for foreign in (world.here.stranger_id, world.there.patient_ids[0]):
        assert therapist.post("/api/tablet-pairing-codes", json={"patient_id": str(foreign)}).status_code == 404
    own = {"patient_id": str(world.here.patient_ids[0])}
    assert tablet.post("/api/tablet-pairing-codes", json=own).status_code == 403
