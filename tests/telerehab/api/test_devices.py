import itertools
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from devices.effects import DeviceState, GapRow, StepEffects
from telerehab.auth.device_credentials import SqlCredentials
from telerehab.clock import to_us, utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.provisioning import assign_device
from telerehab.db.tables import Assignment
from telerehab.errors import ConflictError
from telerehab.intake.hot_store import HotStore
from telerehab.intake.places import read_places
from tests.telerehab.api.world import World, new_id, training

DEVICES = ("s-1", "s-2", "h-1")


def with_devices(world: World, names: Sequence[str] = DEVICES) -> TestClient:
    """Make devices and return a manager's browser."""
    manager = world.as_staff("team_manager")
    for name in names:
        body = {"name": name, "kind": "heart" if name.startswith("h") else "imu6"}
        assert manager.post("/api/devices", json=body).status_code == 201
    return manager


def lend(browser: TestClient, patient_id: object, **wish: object) -> str:
    """Lend something and return the answer's code, "" where it went well."""
    answer = browser.post(f"/api/patients/{patient_id}/assignments", json=wish)
    assert answer.status_code in (201, 404, 409, 422), answer.text
    return "" if answer.status_code == 201 else str(answer.json()["code"])


def say(world: World, name: str, **state: object) -> None:
    """Let a device say how it is, as intake writes it down."""
    now_us = to_us(utc_now(world.clock))
    document = {"online": True, "boot": 1, **state}
    said = DeviceState(device=name, received_us=now_us, is_online=True, boot=1, document=document)
    keep(world, StepEffects(device_state=[said]))


def keep(world: World, effects: StepEffects) -> None:
    """Let intake store something."""
    store = HotStore(world.database.hot, group_wait_s=0)
    assert store.offer(effects)
    store.start()
    assert store.close(timeout_s=10)


def come_back_empty(world: World, *names: str) -> None:
    """Let devices say, a second after they came back, that they keep nothing."""
    world.clock.advance(1)
    for name in names:
        say(world, name, kept=[], bytes_kept=0)


def rows(world: World) -> Sequence[Assignment]:
    with reading(world.database.main) as db:
        return db.exec(select(Assignment).order_by(col(Assignment.starts_at))).all()


def test_a_device_logs_in_with_the_password_that_was_shown_once(sqlite_world: World) -> None:
    world = sqlite_world
    manager = with_devices(world, ())
    made = manager.post("/api/devices", json={"name": "s-1", "kind": "imu6", "usual_site": "thigh_right"}).json()
    credentials = SqlCredentials(world.database.main, world.settings)
    credentials.refresh()
    assert credentials.may_log_in("s-1", made["password"])
    assert made["password"] not in manager.get("/api/devices").text
    renewed = manager.post("/api/devices/s-1/credential").json()
    credentials.refresh()
    assert not credentials.may_log_in("s-1", made["password"])
    assert credentials.may_log_in("s-1", renewed["password"])
    assert manager.delete("/api/devices/s-1").status_code == 204
    credentials.refresh()
    assert not credentials.may_log_in("s-1", renewed["password"])
    assert lend(manager, world.here.patient_ids[0], device_name="s-1") == "device_revoked"


@pytest.mark.parametrize("name", ["web", "ingest", "S-1", "a/b", "", "a" * 65, "æ"])
def test_a_name_that_a_topic_cannot_hold_or_that_is_ours_makes_no_device(sqlite_world: World, name: str) -> None:
    manager = sqlite_world.as_staff("team_manager")
    assert manager.post("/api/devices", json={"name": name, "kind": "imu6"}).status_code == 422


def test_a_name_is_taken_once(world: World) -> None:
    manager = with_devices(world, ["s-1"])
    again = manager.post("/api/devices", json={"name": "s-1", "kind": "imu6"})
    assert (again.status_code, again.json()["code"]) == (409, "device_known")


def test_a_device_is_never_with_two_patients_at_once(world: World) -> None:
    manager, now = with_devices(world), utc_now(world.clock)
    karen, bo = world.here.patient_ids
    hour = timedelta(hours=1)

    def span(start: float, stop: float | None) -> dict[str, str | None]:
        return {
            "starts_at": (now + start * hour).isoformat(),
            "ends_at": None if stop is None else (now + stop * hour).isoformat(),
        }

    assert lend(manager, karen, device_name="s-1", **span(2, 4)) == ""
    for start, stop in ((2, 4), (1, 3), (3, 5), (2.5, 3.5), (1, 5), (0, None), (3.9, None)):
        assert lend(manager, bo, device_name="s-1", **span(start, stop)) == "device_lent", (start, stop)
    assert lend(manager, karen, device_name="s-1", **span(3, 5)) == "device_lent"
    for start, stop in ((0, 2), (4, 6), (6, None)):
        wish = {"device_name": "s-1", **span(start, stop)}
        assert lend(manager, bo, **wish) == "device_not_returned", (start, stop)
        assert lend(manager, karen, **wish) == "", (start, stop)
    assert lend(manager, karen, device_name="s-1", **span(100, None)) == "device_lent"


def test_of_those_who_lend_a_device_at_once_one_has_it(world: World) -> None:
    with_devices(world)
    browsers = [world.as_staff("team_manager"), world.as_staff("therapist")]
    for name in DEVICES:

        def ask(i: int, name: str = name) -> str:
            return lend(browsers[i % 2], world.here.patient_ids[i % 2], device_name=name)

        with ThreadPoolExecutor(2) as pool:
            assert sorted(pool.map(ask, range(6))) == ["", *["device_lent"] * 5]
    assert len(rows(world)) == len(DEVICES)


def test_who_lends_a_device_while_another_is_lending_it_waits_and_is_refused(world: World) -> None:
    with_devices(world)
    first_has_lent, second_is_through = threading.Event(), threading.Event()

    def assign(i: int) -> None:
        with writing(world.database.main, owner="web") as db:
            assign_device(
                db,
                device_name="s-1",
                patient_id=world.here.patient_ids[i],
                body_site=None,
                starts_at=utc_now(world.clock),
            )
            if i == 0:
                first_has_lent.set()
                second_is_through.wait(0.5)  # only one that does not wait for us comes through before our commit

    def assign_second() -> None:
        first_has_lent.wait(10)
        try:
            assign(1)
        finally:
            second_is_through.set()

    with ThreadPoolExecutor(2) as pool:
        second, first = pool.submit(assign_second), pool.submit(assign, 0)
        first.result()
        with pytest.raises(ConflictError) as refused:
            second.result()
    assert refused.value.code == "device_lent"
    assert [row.patient_id for row in rows(world)] == [world.here.patient_ids[0]]


def test_of_those_who_lend_two_devices_to_one_site_at_once_one_does(world: World) -> None:
    with_devices(world)
    browsers = [world.as_staff("team_manager"), world.as_staff("therapist")]
    patient_id = world.here.patient_ids[0]

    def ask(i: int) -> str:
        return lend(browsers[i], patient_id, device_name=f"s-{i + 1}", body_site="thigh_right")

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(ask, range(2))) == ["", "site_taken"]


def test_nothing_is_lent_in_hindsight_or_for_no_time(sqlite_world: World) -> None:
    world = sqlite_world
    manager, now = with_devices(world), utc_now(world.clock)
    patient_id = world.here.patient_ids[0]
    earlier = (now - timedelta(hours=1)).isoformat()
    assert lend(manager, patient_id, device_name="s-1", starts_at=earlier) == "invalid"
    assert lend(manager, patient_id, device_name="s-1", ends_at=now.isoformat()) == "invalid"
    assert lend(manager, patient_id, device_name="s-1", starts_at=(now - timedelta(minutes=1)).isoformat()) == ""
    assert rows(world)[0].starts_at == now, "a page's slow clock reaches nothing that was before"


def test_a_kit_is_lent_whole_to_the_usual_sites_and_comes_back(world: World) -> None:
    manager = world.as_staff("team_manager")
    kit = manager.post("/api/kits", json={"name": "Kasse 1"}).json()
    sites = {"s-1": "thigh_right", "s-2": "shank_right", "h-1": None}
    for name, site in sites.items():
        body = {"name": name, "kind": "imu6", "kit_id": kit["id"], "usual_site": site}
        assert manager.post("/api/devices", json=body).status_code == 201
    therapist = world.as_staff("therapist")
    patient_id = world.here.patient_ids[0]
    wish = {"id": new_id(), "kit_id": kit["id"]}
    first, again = (therapist.post(f"/api/patients/{patient_id}/assignments", json=wish) for _ in range(2))
    assert first.status_code == 201, first.text
    assert {each["device_name"]: each["body_site"] for each in first.json()} == sites
    assert sorted(each["id"] for each in again.json()) == sorted(each["id"] for each in first.json())
    assert lend(manager, world.here.patient_ids[1], kit_id=kit["id"]) == "device_lent"
    assert len(rows(world)) == 3
    (shown,) = therapist.get("/api/kits").json()
    assert {device["patient"]["display_name"] for device in shown["devices"]} == {"Karen Patient 0 here"}
    world.clock.advance(60)
    for each in first.json():
        ended = therapist.post(f"/api/assignments/{each['id']}/end").json()
        assert ended["ends_at"] is not None
        assert therapist.post(f"/api/assignments/{each['id']}/end").json() == ended
    assert lend(manager, world.here.patient_ids[1], kit_id=kit["id"]) == "device_unheard"
    come_back_empty(world, "s-1", "s-2")
    assert lend(manager, world.here.patient_ids[1], kit_id=kit["id"]) == "device_unheard", "one is still missing"
    come_back_empty(world, "h-1")
    assert lend(manager, world.here.patient_ids[1], kit_id=kit["id"]) == ""


def test_a_kit_of_which_one_device_is_lent_is_lent_not_at_all(sqlite_world: World) -> None:
    world = sqlite_world
    manager = world.as_staff("team_manager")
    kit = manager.post("/api/kits", json={"name": "Kasse 1"}).json()
    assert lend(manager, world.here.patient_ids[0], kit_id=kit["id"]) == "kit_empty"
    for name in DEVICES:
        manager.post("/api/devices", json={"name": name, "kind": "imu6", "kit_id": kit["id"]})
    assert lend(manager, world.here.patient_ids[1], device_name="s-2") == ""
    assert lend(manager, world.here.patient_ids[0], kit_id=kit["id"]) == "device_lent"
    assert len(rows(world)) == 1


def test_a_device_moves_to_another_kit_when_it_is_free(sqlite_world: World) -> None:
    world = sqlite_world
    manager = with_devices(world)
    one, other = (manager.post("/api/kits", json={"name": name}).json() for name in ("Kasse 1", "Kasse 2"))
    assert one["shard"] != other["shard"]
    moved = manager.put("/api/devices/s-1", json={"kit_id": one["id"], "usual_site": "shank_left"})
    assert (moved.json()["kit_name"], moved.json()["usual_site"]) == ("Kasse 1", "shank_left")
    lend(manager, world.here.patient_ids[0], device_name="s-1")
    refused = manager.put("/api/devices/s-1", json={"kit_id": other["id"]})
    assert refused.json()["code"] == "device_lent"
    assert manager.put("/api/devices/s-1", json={"kit_id": one["id"], "usual_site": "thigh_left"}).status_code == 200
    assert manager.delete(f"/api/kits/{one['id']}").json()["code"] == "kit_not_empty"
    assert manager.delete(f"/api/kits/{other['id']}").status_code == 204


def test_who_has_a_device_is_told_to_those_who_may_see_the_patient(sqlite_world: World) -> None:
    world = sqlite_world
    manager = with_devices(world)
    lend(manager, world.here.patient_ids[0], device_name="s-1")
    lend(manager, world.here.stranger_id, device_name="s-2")
    told = {}
    for role in ("team_manager", "therapist", "admin"):
        shown = world.as_staff(role).get("/api/devices").json()
        told[role] = [each["patient"]["birth_date"] if each["patient"] else each["is_lent"] for each in shown]
    assert told == {
        "team_manager": [False, "1940-02-03", "1942-02-03"],
        "therapist": [False, "1940-02-03", True],
        "admin": [False, True, True],
    }


def test_devices_kits_and_assignments_of_elsewhere_do_not_exist(world: World) -> None:
    manager = with_devices(world)
    kit_id = manager.post("/api/kits", json={"name": "Kasse"}).json()["id"]
    lend(manager, world.here.patient_ids[0], device_name="s-1")
    assignment_id = manager.get(f"/api/patients/{world.here.patient_ids[0]}/assignments").json()[0]["id"]
    there, own = world.as_staff("team_manager", clinic=world.there), world.there.patient_ids[0]
    assert there.get("/api/devices").json() == there.get("/api/kits").json() == []
    assert there.get("/api/unattributed").json() == []
    for method, path, body in (
        ("PUT", "/api/devices/s-2", {"usual_site": None}),
        ("POST", "/api/devices/s-2/credential", {}),
        ("DELETE", "/api/devices/s-2", None),
        ("POST", "/api/devices/s-2/wipe", {}),
        ("GET", "/api/devices/s-2/ledger", None),
        ("DELETE", f"/api/kits/{kit_id}", None),
        ("POST", "/api/kits", {"id": kit_id, "name": "Kasse"}),
        ("POST", "/api/devices", {"name": "t-1", "kind": "imu6", "kit_id": kit_id}),
        ("POST", f"/api/patients/{own}/assignments", {"device_name": "s-2"}),
        ("POST", f"/api/patients/{own}/assignments", {"kit_id": kit_id}),
        ("POST", f"/api/patients/{world.here.patient_ids[0]}/assignments", {"device_name": "s-2"}),
        ("GET", f"/api/patients/{world.here.patient_ids[0]}/assignments", None),
        ("POST", f"/api/assignments/{assignment_id}/end", {}),
    ):
        assert there.request(method, path, json=body).status_code == 404, (method, path)
    assert world.as_tablet().get("/api/devices").status_code == 403
    assert rows(world)[0].ends_at is None


@pytest.mark.parametrize("name", ["%00", "%ED%A0%80", "..%2F", "S-1", "s-1%00"])
def test_a_name_that_no_device_has_is_not_found(world: World, name: str) -> None:
    manager = with_devices(world, ["s-1"])
    assert manager.put(f"/api/devices/{name}", json={}).status_code == 404
    assert manager.delete(f"/api/devices/{name}").status_code == 404


@pytest.mark.parametrize(
    "wish", [{}, {"device_name": "s-1", "kit_id": new_id()}, {"device_name": "s-1", "body_site": "tail"}]
)
def test_a_wish_names_one_device_or_kit_and_a_place_of_the_body(sqlite_world: World, wish: dict[str, str]) -> None:
    manager = with_devices(sqlite_world)
    assert lend(manager, sqlite_world.here.patient_ids[0], **wish) == "invalid"


def shown(browser: TestClient, name: str) -> dict[str, object]:
    return next(each for each in browser.get("/api/devices").json() if each["name"] == name)


def test_a_device_that_came_back_is_lent_again_once_it_keeps_nothing(world: World) -> None:
    manager, (karen, bo) = with_devices(world), world.here.patient_ids
    therapist = world.as_staff("therapist")
    assert lend(manager, karen, device_name="s-1") == ""
    world.clock.advance(60)
    say(world, "s-1", kept=[], bytes_kept=0)
    assert manager.post("/api/devices/s-1/wipe").json()["code"] == "device_lent", "what it keeps is Karen's"
    world.clock.advance(60)
    (assignment,) = manager.get(f"/api/patients/{karen}/assignments").json()
    manager.post(f"/api/assignments/{assignment['id']}/end")
    assert lend(manager, bo, device_name="s-1") == "device_unheard", "what it said before it came back is no proof"
    world.clock.advance(60)
    say(world, "s-1", kept=[[1, "imu", 70]], bytes_kept=4_560)
    assert lend(manager, bo, device_name="s-1") == "device_not_empty"
    assert (shown(manager, "s-1")["hindrance"], shown(manager, "s-1")["bytes_kept"]) == ("device_not_empty", 4_560)
    asked = therapist.post("/api/devices/s-1/wipe").json()
    assert asked["wipe_asked_at"] is not None
    with reading(world.database.main) as db:
        assert read_places(db, now=utc_now(world.clock)).wipes == {"s-1": to_us(utc_now(world.clock))}
    assert lend(manager, bo, device_name="s-1") == "device_not_empty", "asked is not done"
    world.clock.advance(60)
    hole = GapRow("s-1", 1, "imu", 60, 70, to_us(utc_now(world.clock)), "missing", None)
    keep(world, StepEffects(gaps_opened=[hole]))
    say(world, "s-1", kept=[[1, "imu", 90]], bytes_kept=0)
    assert lend(manager, bo, device_name="s-1") == "device_has_holes"
    keep(world, StepEffects(gaps_closed=[hole._replace(cause="device_overflow", closed_at_us=1)]))
    world.clock.advance(60)
    say(world, "s-1", kept=[[1, "imu", 95]], bytes_kept=152)  # made since then, and nobody's
    assert shown(manager, "s-1")["hindrance"] is None
    assert lend(manager, bo, device_name="s-1") == ""
    assert shown(manager, "s-1")["wipe_asked_at"] is None
    with reading(world.database.main) as db:
        assert read_places(db, now=utc_now(world.clock)).wipes == {}, "nothing of Bo's is ever wiped"


def test_a_device_that_is_out_of_use_or_was_never_lent_forgets_nothing_or_everything(sqlite_world: World) -> None:
    manager = with_devices(sqlite_world)
    assert manager.post("/api/devices/s-1/wipe").status_code == 200
    manager.delete("/api/devices/s-1")
    assert manager.post("/api/devices/s-1/wipe").json()["code"] == "device_revoked"


def worn_at(world: World, moment: datetime) -> dict[UUID, set[str]]:
    """Return what intake takes for worn by each patient's open training session."""
    with reading(world.database.main) as db:
        trainings = read_places(db, now=moment).trainings
    return {each.id: {device for device in (*each.sensors, each.heart) if device} for each in trainings}


def test_hazard_h2_swapped_devices_bring_no_row_across(world: World) -> None:
    """Two patients swap their sensors again and again; at every moment each sensor is theirs to whom it is lent."""
    sensors = [f"s-{i}" for i in range(4)]
    manager = with_devices(world, sensors)
    patients = list(world.here.patient_ids)
    trainings = {}
    for patient_id in patients:
        trainings[patient_id] = UUID(new_id())
        body = training(patient_id)
        assert (
            world.as_staff("therapist").put(f"/api/training-sessions/{trainings[patient_id]}", json=body).status_code
            == 200
        )
    chance = random.Random(7)
    sites = ("thigh_right", "shank_right")
    lent: dict[str, tuple[UUID, str]] = {}  # what the test itself knows: device -> patient and assignment
    seen: list[tuple[datetime, dict[UUID, set[str]]]] = []
    for _ in range(40):
        device, patient_id, site = chance.choice(sensors), chance.choice(patients), chance.choice(sites)
        if device in lent and chance.random() < 0.6:
            _, assignment_id = lent.pop(device)
            assert manager.post(f"/api/assignments/{assignment_id}/end").status_code == 200
            come_back_empty(world, device)
        else:
            answer = manager.post(
                f"/api/patients/{patient_id}/assignments", json={"device_name": device, "body_site": site}
            )
            assert (answer.status_code == 201) <= (device not in lent), "lent is lent"
            if answer.status_code == 201:
                lent[device] = (patient_id, answer.json()[0]["id"])
        expected = {
            trainings[patient]: {name for name, (holder, _) in lent.items() if holder == patient}
            for patient in patients
        }
        seen.append((utc_now(world.clock), expected))
        world.clock.advance(1)
    crossed = [(moment, worn_at(world, moment)) for moment, expected in seen if worn_at(world, moment) != expected]
    assert crossed == [], "also in hindsight: the time ranges decide, not what is lent today"
    for name in sensors:
        mine = [row for row in rows(world) if row.device_name == name]
        for one, next_one in itertools.pairwise(mine):
            assert one.ends_at is not None
            assert one.ends_at <= next_one.starts_at
