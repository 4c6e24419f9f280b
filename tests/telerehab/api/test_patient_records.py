import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Alert, Assignment, AuditEvent, Patient, SecretLook
from tests.telerehab.api.world import World, new_id

CPR = "070250-1234"


def new_patient(**chosen: object) -> dict[str, object]:
    return {"id": new_id(), "name": "Åse <b>Holm</b>", "cpr": CPR, "telephone": "+45 12345678", **chosen}


def made(browser: TestClient, **chosen: object) -> str:
    """Make a patient and return the id."""
    answer = browser.post("/api/patients", json=new_patient(**chosen))
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def row_of(world: World, patient_id: str) -> Patient:
    with reading(world.database.main) as db:
        return db.get_one(Patient, UUID(patient_id))


def records(world: World, action: str) -> list[dict[str, object]]:
    with reading(world.database.main) as db:
        found = db.exec(select(AuditEvent.record).where(col(AuditEvent.action) == action))
        return [json.loads(each) for each in found]


def test_a_therapists_new_patient_is_in_the_own_care_and_the_birth_date_follows_from_the_number(world: World) -> None:
    therapist = world.as_staff("therapist")
    patient_id = made(therapist)
    head = therapist.get(f"/api/patients/{patient_id}").json()
    assert (head["display_name"], head["birth_date"], head["has_cpr"]) == ("Åse <b>Holm</b>", "1950-02-07", True)
    assert [each["account_id"] for each in head["care"]] == [str(world.here.therapist_id)]
    assert patient_id in [each["id"] for each in therapist.get("/api/patients").json()]
    assert "0702501234" not in json.dumps(head)


def test_nothing_of_a_patient_lies_open_in_the_database(world: World) -> None:
    row = row_of(world, made(world.as_staff("therapist"), has_protected_address=True))
    kept = repr(row.model_dump()).encode() + b"".join(
        value for value in row.model_dump().values() if isinstance(value, bytes)
    )
    for secret in ("Holm", "0702501234", "1950", "12345678"):
        assert secret.encode() not in kept


def test_the_same_patient_again_adds_nothing_and_another_under_the_id_is_a_conflict(world: World) -> None:
    therapist = world.as_staff("therapist")
    body = new_patient()
    first, again = (therapist.post("/api/patients", json=body) for _ in range(2))
    assert (first.status_code, again.status_code, again.json()) == (201, 201, first.json())
    assert therapist.post("/api/patients", json={**body, "name": "Bo"}).status_code == 409
    assert world.as_staff("therapist", clinic=world.there).post("/api/patients", json=body).status_code == 404


def test_a_number_is_one_patients_in_a_house_and_may_be_anothers_elsewhere(world: World) -> None:
    made(world.as_staff("therapist"))
    again = world.as_staff("team_manager").post("/api/patients", json=new_patient(cpr="0702501234"))
    assert (again.status_code, again.json()["code"]) == (409, "cpr_known")
    assert "0702501234" not in again.text
    made(world.as_staff("therapist", clinic=world.there))


def test_pages_that_make_the_same_patient_at_once_make_one(world: World) -> None:
    browsers = [world.as_staff("therapist"), world.as_staff("team_manager")]
    bodies = [new_patient(therapist_id=str(world.here.therapist_id)) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        codes = list(pool.map(lambda i: browsers[i % 2].post("/api/patients", json=bodies[i]).status_code, range(6)))
    assert sorted(codes) == [201, 409, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        ({"cpr": "310250-1234"}, "cpr_day"),
        ({"cpr": "670250-1234"}, "cpr_replacement"),
        ({"birth_date": "1950-07-02"}, "cpr_other_birth_date"),
        ({"cpr": None, "birth_date": "2100-01-01"}, "birth_date_future"),
        ({"cpr": "0702364234"}, "birth_date_future"),
        ({"name": ""}, "string_too_short"),
        ({"name": "\x00"}, "string_pattern_mismatch"),
        ({"birth_date": 20_000, "cpr": None}, "iso_format"),
        ({"has_protected_address": 1}, "bool_type"),
        ({"address": "Vej 1"}, "extra_forbidden"),
    ],
)
def test_an_identity_that_cannot_be_is_refused_by_kind(
    sqlite_world: World, chosen: dict[str, object], kind: str
) -> None:
    answer = sqlite_world.as_staff("therapist").post("/api/patients", json=new_patient(**chosen))
    assert answer.status_code == 422
    assert [fault["kind"] for fault in answer.json()["faults"]] == [kind]
    assert "0250" not in answer.text


def test_a_therapist_makes_no_patient_for_others(sqlite_world: World) -> None:
    world = sqlite_world
    admin, manager = world.as_staff("admin"), world.as_staff("team_manager")
    body = {"email": "per@here.example", "display_name": "Per", "role": "therapist"}
    per = admin.post("/api/staff", json=body).json()["id"]
    team = manager.post("/api/teams", json={"name": "Knæ"}).json()["id"]
    therapist = world.as_staff("therapist")
    for holder in ({"therapist_id": per}, {"team_id": team}):
        wish = new_patient(**holder)
        assert therapist.post("/api/patients", json=wish).status_code == 422
        assert manager.get(f"/api/patients/{wish['id']}").status_code == 404, "nothing was written"
        assert manager.post("/api/patients", json={**wish, "cpr": None}).status_code == 201
    for foreign in ({"therapist_id": str(world.there.therapist_id)}, {"team_id": new_id()}):
        assert manager.post("/api/patients", json=new_patient(**foreign)).status_code == 404


def test_what_is_hidden_is_shown_with_a_reason_and_the_look_is_recorded(world: World) -> None:
    therapist = world.as_staff("therapist")
    patient_id = made(therapist, has_protected_address=True)
    path = f"/api/patients/{patient_id}/reveal"
    assert therapist.post(path, json={"what": "cpr"}).status_code == 422
    assert therapist.post(path, json={"what": "cpr", "reason": "  "}).status_code == 422
    shown = therapist.post(path, json={"what": "cpr", "reason": "Ringer for Åse Holm"})
    assert shown.json() == {"value": "0702501234"}
    marked = therapist.post(path, json={"what": "protected_address", "reason": "Hjemmebesøg"})
    assert marked.json() == {"value": True}
    (look,) = records(world, "reveal_cpr")
    assert (look["patient"], look["actor"]) == (patient_id, f"therapist:{world.here.therapist_id}")
    with reading(world.database.main) as db:
        looks = db.exec(select(SecretLook)).all()
    assert {f"secret_look:{each.id}" for each in looks} >= {look["object"]}
    assert "Holm" not in json.dumps(records(world, "reveal_cpr"))
    assert all(b"Holm" not in each.reason_sealed for each in looks)
    assert world.as_staff("team_manager").post(path, json={"what": "cpr", "reason": "Ret tal"}).status_code == 200


def test_nobody_else_sees_what_is_hidden_and_no_look_is_written(sqlite_world: World) -> None:
    world = sqlite_world
    patient_id = made(world.as_staff("therapist"))
    body = {"what": "cpr", "reason": "Nysgerrig"}
    for browser in (
        world.as_staff("therapist", clinic=world.there),
        world.as_staff("team_manager", clinic=world.there),
        world.as_staff("admin"),
        world.as_staff("auditor"),
        world.as_tablet(),
        world.as_helper(),
    ):
        assert browser.post(f"/api/patients/{patient_id}/reveal", json=body).status_code in (403, 404)
    assert records(world, "reveal_cpr") == []


def test_a_patient_is_found_by_number_in_the_own_house_and_every_question_is_recorded(world: World) -> None:
    patient_id = made(world.as_staff("team_manager"))
    for browser, found in (
        (world.as_staff("therapist"), [{"id": patient_id, "is_ended": False}]),
        (world.as_staff("therapist", clinic=world.there), []),
    ):
        assert browser.post("/api/patients/find", json={"cpr": "0702501234"}).json() == found
    assert world.as_staff("therapist").get(f"/api/patients/{patient_id}").status_code == 404, "found is not seen"
    assert [record.get("patient", None) for record in records(world, "find_by_cpr")] == [
        patient_id,
        None,
    ]


def test_what_a_page_leaves_out_stays_and_null_takes_it_away(sqlite_world: World) -> None:
    world = sqlite_world
    therapist = world.as_staff("therapist")
    patient_id = made(therapist, has_protected_address=True)
    path = f"/api/patients/{patient_id}"
    kept = therapist.put(f"{path}/identity", json={"name": "Åse Bang", "telephone": None})
    assert kept.status_code == 200, kept.text
    assert (kept.json()["display_name"], kept.json()["telephone"]) == ("Åse Bang", None)
    assert (kept.json()["has_cpr"], kept.json()["has_address_mark"]) == (True, True)
    assert therapist.post("/api/patients/find", json={"cpr": CPR}).json()[0]["id"] == patient_id
    gone = therapist.put(
        f"{path}/identity", json={"name": "Åse Bang", "cpr": None, "has_protected_address": None}
    ).json()
    assert (gone["has_cpr"], gone["has_address_mark"], gone["birth_date"]) == (False, False, None)
    assert therapist.post("/api/patients/find", json={"cpr": CPR}).json() == []
    made(therapist, id=new_id())


def test_an_identity_is_not_changed_into_another_patients(sqlite_world: World) -> None:
    world = sqlite_world
    therapist = world.as_staff("therapist")
    made(therapist)
    other = made(therapist, cpr="010237-1234")
    taken = therapist.put(f"/api/patients/{other}/identity", json={"name": "Bo", "cpr": CPR})
    assert (taken.status_code, taken.json()["code"]) == (409, "cpr_known")
    assert therapist.get(f"/api/patients/{other}").json()["display_name"] == "Åse <b>Holm</b>"


def test_care_begins_and_ends_at_the_stated_moments(world: World) -> None:
    manager, therapist = world.as_staff("team_manager"), world.as_staff("therapist")
    path = f"/api/patients/{world.here.stranger_id}"
    now = utc_now(world.clock)
    wish = {
        "id": new_id(),
        "therapist_id": str(world.here.therapist_id),
        "starts_at": (now + timedelta(seconds=60)).isoformat(),
        "ends_at": (now + timedelta(seconds=120)).isoformat(),
    }
    assert [manager.post(f"{path}/care-relations", json=wish).status_code for _ in range(2)] == [201, 201]
    codes = []
    for duration_s in (0, 59, 1, 59, 1):
        world.clock.advance(duration_s)
        codes.append(therapist.get(path).status_code)
    assert codes == [404, 404, 200, 200, 404]
    assert len(manager.get(f"{path}/care-relations").json()) == 1


def test_care_that_is_ended_ends_at_once_and_nobody_elsewhere_ends_it(world: World) -> None:
    manager, therapist = world.as_staff("team_manager"), world.as_staff("therapist")
    path = f"/api/patients/{world.here.patient_ids[0]}"
    (relation,) = manager.get(f"{path}/care-relations").json()
    there = world.as_staff("team_manager", clinic=world.there)
    assert there.delete(f"/api/care-relations/{relation['id']}").status_code == 404
    assert therapist.get(path).status_code == 200
    assert manager.delete(f"/api/care-relations/{relation['id']}").status_code == 204
    assert therapist.get(path).status_code == 404
    assert [record["patient"] for record in records(world, "end_care")] == [str(world.here.patient_ids[0])]


@pytest.mark.parametrize("holder", ["nobody", "both", "admin", "there"])
def test_care_is_given_to_one_therapist_or_team_of_the_house(sqlite_world: World, holder: str) -> None:
    world = sqlite_world
    wish = {
        "nobody": {},
        "both": {"therapist_id": str(world.here.therapist_id), "team_id": new_id()},
        "admin": {"therapist_id": str(world.here.staff_ids["admin"])},
        "there": {"therapist_id": str(world.there.therapist_id)},
    }[holder]
    manager = world.as_staff("team_manager")
    answer = manager.post(f"/api/patients/{world.here.stranger_id}/care-relations", json=wish)
    assert answer.status_code == (404 if holder == "there" else 422)


def test_the_end_of_a_course_takes_everything_back_and_a_manager_begins_another(world: World) -> None:
    therapist, manager = world.as_staff("therapist"), world.as_staff("team_manager")
    patient_id = str(world.here.patient_ids[0])
    manager.post("/api/devices", json={"name": "s-1", "kind": "imu6"})
    lent = therapist.post(f"/api/patients/{patient_id}/assignments", json={"device_name": "s-1"})
    assert lent.status_code == 201, lent.text
    times = [(utc_now(world.clock) + timedelta(days=days)).isoformat() for days in (1, 1.02)]
    meeting = {"kind": "visit", "title": "Træning", "starts_at": times[0], "ends_at": times[1]}
    appointment = therapist.post("/api/appointments", json={**meeting, "patient_id": patient_id}).json()
    assert therapist.post(f"/api/patients/{patient_id}/end").status_code == 204
    assert therapist.get(f"/api/patients/{patient_id}").status_code == 404
    assert patient_id not in [each["id"] for each in manager.get("/api/patients").json()]
    assert [device["is_lent"] for device in manager.get("/api/devices").json()] == [False]
    assert therapist.post(f"/api/appointments/{appointment['id']}/cancel").status_code == 404
    for path, body in (
        ("assignments", {"device_name": "s-1"}),
        ("care-relations", {"therapist_id": str(world.here.therapist_id)}),
    ):
        assert manager.post(f"/api/patients/{patient_id}/{path}", json=body).json()["code"] == "course_ended"
    again = manager.post(f"/api/patients/{patient_id}/reopen", json={"therapist_id": str(world.here.therapist_id)})
    assert again.status_code == 200, again.text
    assert therapist.get(f"/api/patients/{patient_id}").json()["ended_at"] is None
    with reading(world.database.main) as db:
        assert [row.ends_at for row in db.exec(select(Assignment))] == [utc_now(world.clock)]


def test_a_course_with_an_open_alert_does_not_end_out_of_sight(world: World) -> None:
    patient_id = world.here.patient_ids[0]
    with writing(world.database.main, owner="web") as db:
        now = utc_now(world.clock)
        db.add(
            Alert(
                id=UUID(new_id()),
                organisation_id=world.here.organisation_id,
                patient_id=patient_id,
                cause="pain",
                began_at=now,
                found_at=now,
                found_by="web",
            )
        )
    therapist = world.as_staff("therapist")
    assert therapist.post(f"/api/patients/{patient_id}/end").json()["code"] == "open_alert"
    assert therapist.get(f"/api/patients/{patient_id}").status_code == 200


def test_managers_see_no_referral_in_the_head_of_a_record(sqlite_world: World) -> None:
    world = sqlite_world
    therapist, manager = world.as_staff("therapist"), world.as_staff("team_manager")
    path = f"/api/patients/{world.here.patient_ids[0]}"
    day = utc_now(world.clock).date().isoformat()
    therapist.post(f"{path}/referrals", json={"discharged_on": day, "note": "Hofte"})
    assert therapist.get(path).json()["referral"]["clock"]["start"]["days_left"] == 7
    assert manager.get(path).json()["referral"] is None
    assert manager.get(f"{path}/referrals").status_code == 403


def test_a_referral_carries_the_clock_and_is_changed_from_what_was_shown(world: World) -> None:
    therapist = world.as_staff("therapist")
    path = f"/api/patients/{world.here.patient_ids[0]}/referrals"
    body = {"id": new_id(), "kind": "general", "discharged_on": "2026-09-14", "note": "Ny hofte"}
    first, again = (therapist.post(path, json=body) for _ in range(2))
    assert first.status_code == again.status_code == 201, first.text
    assert first.json() == again.json()
    clock = first.json()["clock"]
    assert (clock["start"]["state"], clock["start"]["days_left"], clock["has_free_choice"]) == ("running", 0, False)
    assert (clock["inform"]["state"], clock["inform"]["days_late"]) == ("late", 3)
    world.clock.advance(86_400)
    therapist = world.as_staff("therapist")  # the login of yesterday has ended
    (late,) = therapist.get(path).json()
    assert (late["clock"]["start"]["state"], late["clock"]["has_free_choice"]) == ("late", True)
    wish = {key: value for key, value in body.items() if key != "id"}
    changed = therapist.put(
        f"/api/referrals/{body['id']}", json={**wish, "first_offered_on": "2026-09-20", "version": 1}
    ).json()
    assert (changed["clock"]["start"]["state"], changed["version"]) == ("in_time", 2)
    stale = therapist.put(f"/api/referrals/{body['id']}", json={**wish, "kind": "specialised", "version": 1})
    assert stale.json()["code"] == "referral_moved"
    assert world.as_tablet().get(path).json()[0]["note"] == "Ny hofte", "the patient reads the own record"
    assert therapist.post(path, json={**body, "note": "Anden"}).status_code == 409


@pytest.mark.parametrize(
    ("chosen", "kind"),
    [
        ({"first_offered_on": "2026-09-01"}, "before_discharge"),
        ({"stopped_on": "2026-09-20"}, "day_and_reason_belong_together"),
        ({"stopped_on": "2026-09-20", "stop_reason": "bored"}, "reason_unknown"),
    ],
)
def test_dates_that_cannot_be_make_no_referral(sqlite_world: World, chosen: dict[str, str], kind: str) -> None:
    path = f"/api/patients/{sqlite_world.here.patient_ids[0]}/referrals"
    answer = sqlite_world.as_staff("therapist").post(path, json={"discharged_on": "2026-09-14", **chosen})
    assert answer.status_code == 422
    assert [fault["kind"] for fault in answer.json()["faults"]] == [kind]


def test_a_foreign_patients_record_does_not_exist(world: World) -> None:
    therapist, manager = world.as_staff("therapist"), world.as_staff("team_manager")
    there = world.as_staff("therapist", clinic=world.there)
    foreign = str(world.there.patient_ids[0])
    referral = there.post(f"/api/patients/{foreign}/referrals", json={}).json()["id"]
    for browser in (therapist, manager):
        for method, path, body in (
            ("GET", f"/api/patients/{foreign}", None),
            ("PUT", f"/api/patients/{foreign}/identity", {"name": "X"}),
            ("POST", f"/api/patients/{foreign}/end", {}),
            ("GET", f"/api/patients/{foreign}/care-relations", None),
            ("POST", f"/api/patients/{foreign}/care-relations", {"therapist_id": str(world.here.therapist_id)}),
        ):
            assert browser.request(method, path, json=body).status_code == 404, (method, path)
    assert therapist.get(f"/api/patients/{foreign}/referrals").status_code == 404
    assert therapist.put(f"/api/referrals/{referral}", json={"version": 1, "kind": "specialised"}).status_code == 404
    assert there.get(f"/api/patients/{foreign}").status_code == 200
