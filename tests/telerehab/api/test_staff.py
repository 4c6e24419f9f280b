from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from telerehab.clock import utc_now
from telerehab.db.engine import reading
from telerehab.db.tables import AuditEvent, Login, Patient
from tests.telerehab.api.world import World, new_id, token_of


def colleague(browser: TestClient, role: str = "therapist", **chosen: object) -> dict[str, object]:
    """Make an account as an administrator and return it."""
    body = {"id": new_id(), "email": f"{new_id()}@Here.example", "display_name": "Per Kollega", "role": role}
    answer = browser.post("/api/staff", json={**body, **chosen})
    assert answer.status_code == 201, answer.text
    made: dict[str, object] = answer.json()
    return made


def actions(world: World) -> list[str]:
    with reading(world.database.main) as db:
        return list(db.exec(select(AuditEvent.action).order_by(col(AuditEvent.sequence))))


def test_an_administrator_makes_an_account_whose_holder_enters_by_a_link_once(world: World) -> None:
    admin = world.as_staff("admin")
    made = colleague(admin, email="Per@Here.example")
    assert (made["email"], made["has_way_in"], made["is_disabled"]) == ("per@here.example", False, False)
    link = admin.post(f"/api/staff/{made['id']}/link").json()["link"]
    token = link.rpartition("#")[2]
    assert link.startswith("https://clinic.localhost/enter#")
    first, second = world.browser(), world.browser()
    assert first.post("/api/enter", json={"token": token}).status_code == 200
    assert second.post("/api/enter", json={"token": token}).status_code == 401
    assert first.get("/api/patients").status_code == 403, "the second factor is still to be set up"
    assert [a for a in actions(world) if a.startswith("create")] == ["create_account", "create_entry_link"]


def test_a_newer_link_makes_the_older_void(sqlite_world: World) -> None:
    world = sqlite_world
    admin = world.as_staff("admin")
    made = colleague(admin)
    older, newer = (admin.post(f"/api/staff/{made['id']}/link").json()["link"].rpartition("#")[2] for _ in range(2))
    assert world.browser().post("/api/enter", json={"token": older}).status_code == 401
    assert world.browser().post("/api/enter", json={"token": newer}).status_code == 200


def test_the_same_account_again_adds_nothing_and_another_under_its_id_or_address_is_a_conflict(world: World) -> None:
    admin = world.as_staff("admin")
    body = {"id": new_id(), "email": "per@here.example", "display_name": "Per", "role": "therapist"}
    assert [admin.post("/api/staff", json=body).status_code for _ in range(2)] == [201, 201]
    assert admin.post("/api/staff", json={**body, "display_name": "Bo"}).status_code == 409
    taken = admin.post("/api/staff", json={**body, "id": new_id(), "email": "PER@here.example"})
    assert (taken.status_code, taken.json()["code"]) == (409, "email_taken")
    assert "per@" not in taken.text.lower()
    assert sum(each["display_name"] == "Per" for each in admin.get("/api/staff").json()) == 1


@pytest.mark.parametrize("what", ["disable", "other role"])
def test_who_is_disabled_or_gets_another_role_has_no_login_any_more(world: World, what: str) -> None:
    admin = world.as_staff("admin")
    therapist = world.as_staff("therapist")
    assert therapist.get("/api/patients").status_code == 200
    path = f"/api/staff/{world.here.therapist_id}"
    if what == "disable":
        assert admin.post(f"{path}/disable").json()["is_disabled"] is True
    else:
        body = {"email": "ida@here.example", "display_name": "Ida", "role": "auditor"}
        assert admin.put(path, json=body).json()["role"] == "auditor"
    assert therapist.get("/api/patients").status_code == 401
    told = {change.id for change in world.changes.told if change.table == "login"}
    with reading(world.database.main) as db:
        ended = set(db.exec(select(Login.id).where(col(Login.account_id) == world.here.therapist_id)))
    assert ended <= told, "their sockets close"
    assert ended


def test_a_disabled_account_gets_no_link_and_can_be_enabled_again(sqlite_world: World) -> None:
    world = sqlite_world
    admin = world.as_staff("admin")
    path = f"/api/staff/{colleague(admin)['id']}"
    token = admin.post(f"{path}/link").json()["link"].rpartition("#")[2]
    admin.post(f"{path}/disable")
    assert world.browser().post("/api/enter", json={"token": token}).status_code == 401
    assert admin.post(f"{path}/link").json()["code"] == "account_disabled"
    assert admin.post(f"{path}/enable").json()["is_disabled"] is False
    assert world.browser().post("/api/enter", json={"token": token}).status_code == 401, "the older link stays void"
    assert admin.post(f"{path}/link").status_code == 201


def test_nobody_takes_the_own_keys_away(sqlite_world: World) -> None:
    world = sqlite_world
    admin = world.as_staff("admin")
    own = f"/api/staff/{world.here.staff_ids['admin']}"
    assert admin.post(f"{own}/disable").json()["code"] == "own_account"
    body = {"email": "admin@here.example", "display_name": "Bo", "role": "therapist"}
    assert admin.put(own, json=body).json()["code"] == "own_account"
    assert admin.get("/api/staff").status_code == 200


def test_addresses_are_shown_to_those_who_manage_only(sqlite_world: World) -> None:
    world = sqlite_world
    for role, sees_email, sees_way_in in (
        ("admin", True, True),
        ("team_manager", True, False),
        ("therapist", False, False),
        ("auditor", False, False),
    ):
        shown = world.as_staff(role).get("/api/staff").json()  # type: ignore[arg-type]
        assert {each["display_name"].rpartition(" ")[2] for each in shown} == {"here"}
        assert all((each["email"] is not None) == sees_email for each in shown), role
        assert all((each["has_way_in"] is not None) == sees_way_in for each in shown), role


def test_an_account_of_elsewhere_does_not_exist(world: World) -> None:
    admin = world.as_staff("admin")
    foreign = world.there.therapist_id
    body = {"email": "x@here.example", "display_name": "X", "role": "therapist"}
    assert admin.put(f"/api/staff/{foreign}", json=body).status_code == 404
    assert admin.post("/api/staff", json={**body, "id": str(foreign)}).status_code == 404
    for action in ("link", "disable", "enable"):
        assert admin.post(f"/api/staff/{foreign}/{action}").status_code == 404
    assert world.as_staff("therapist", clinic=world.there).get("/api/patients").status_code == 200


def test_a_member_of_a_team_sees_its_patients_during_the_stated_time_only(world: World) -> None:
    manager, admin = world.as_staff("team_manager"), world.as_staff("admin")
    per = UUID(str(colleague(admin)["id"]))
    team_id = new_id()
    manager.post("/api/teams", json={"id": team_id, "name": "Knæ"})
    manager.post(f"/api/patients/{world.here.stranger_id}/care-relations", json={"team_id": team_id})
    now = utc_now(world.clock)
    times = {"starts_at": (now + timedelta(hours=1)).isoformat(), "ends_at": (now + timedelta(hours=2)).isoformat()}
    put = manager.put(f"/api/teams/{team_id}/members", json={"members": [{"account_id": str(per), **times}]})
    assert put.status_code == 200, put.text
    seen = []
    for _ in range(3):
        seen.append([each["id"] for each in world.with_login(account_id=per).get("/api/patients").json()])
        world.clock.advance(3_600)
    assert seen == [[], [str(world.here.stranger_id)], []]


def test_who_is_not_named_any_more_leaves_the_team_at_once(sqlite_world: World) -> None:
    world = sqlite_world
    manager, admin = world.as_staff("team_manager"), world.as_staff("admin")
    team = manager.post("/api/teams", json={"name": "Knæ"}).json()
    ids = [str(colleague(admin)["id"]) for _ in range(2)]
    path = f"/api/teams/{team['id']}/members"
    manager.put(path, json={"members": [{"account_id": each} for each in ids]})
    world.clock.advance(60)
    left = manager.put(path, json={"members": [{"account_id": ids[1]}]}).json()
    assert [member["account_id"] for member in left["members"]] == [ids[1]]
    assert left["members"][0]["starts_at"] < utc_now(world.clock).isoformat(), "who stays has stayed since then"
    manager.post(f"/api/patients/{world.here.stranger_id}/care-relations", json={"team_id": team["id"]})
    sees = [bool(world.with_login(account_id=UUID(each)).get("/api/patients").json()) for each in ids]
    assert sees == [False, True]


def test_only_therapists_of_the_house_belong_to_a_team(sqlite_world: World) -> None:
    world = sqlite_world
    manager = world.as_staff("team_manager")
    path = f"/api/teams/{manager.post('/api/teams', json={'name': 'Knæ'}).json()['id']}/members"
    own, foreign = world.here.staff_ids["admin"], world.there.therapist_id
    refused = manager.put(path, json={"members": [{"account_id": str(own)}]})
    assert (refused.status_code, refused.json()["faults"][0]["kind"]) == (422, "not_a_therapist")
    assert manager.put(path, json={"members": [{"account_id": str(foreign)}]}).status_code == 404
    there = world.as_staff("team_manager", clinic=world.there)
    assert there.put(path, json={"members": []}).status_code == 404
    assert there.get("/api/teams").json() == []


def test_a_team_with_patients_cannot_be_dissolved(sqlite_world: World) -> None:
    world = sqlite_world
    manager = world.as_staff("team_manager")
    team_id = manager.post("/api/teams", json={"name": "Knæ"}).json()["id"]
    care = manager.post(f"/api/patients/{world.here.stranger_id}/care-relations", json={"team_id": team_id}).json()
    assert manager.delete(f"/api/teams/{team_id}").json()["code"] == "team_has_patients"
    manager.delete(f"/api/care-relations/{care['id']}")
    assert manager.delete(f"/api/teams/{team_id}").status_code == 204
    assert manager.get("/api/teams").json() == []


def test_a_substitute_sees_the_absent_ones_patients_on_the_stated_days_of_the_house(world: World) -> None:
    manager, admin = world.as_staff("team_manager"), world.as_staff("admin")
    per = UUID(str(colleague(admin)["id"]))
    # the clock stands at 2026-09-21 in the afternoon; days are those of Copenhagen, two hours ahead of UTC
    body = {
        "absent_account_id": str(world.here.therapist_id),
        "substitute_account_id": str(per),
        "first_on": "2026-09-22",
        "last_on": "2026-09-23",
    }
    made = manager.post("/api/substitutions", json=body)
    assert made.status_code == 201, made.text
    assert [each["substitute_name"] for each in manager.get("/api/substitutions").json()] == ["Per Kollega"]
    world.clock.advance((datetime(2026, 9, 21, 21, 59, 59, tzinfo=UTC) - utc_now(world.clock)).total_seconds())
    seen = []
    for duration_s in (0, 1, 2 * 86_400 - 1, 1):
        world.clock.advance(duration_s)
        seen.append(len(world.with_login(account_id=per).get("/api/patients").json()))
    assert seen == [0, 2, 2, 0], "to the second"


def test_a_substitution_that_is_taken_back_ends_at_once(world: World) -> None:
    manager, admin = world.as_staff("team_manager"), world.as_staff("admin")
    per = UUID(str(colleague(admin)["id"]))
    body = {
        "id": new_id(),
        "absent_account_id": str(world.here.therapist_id),
        "substitute_account_id": str(per),
        "first_on": utc_now(world.clock).date().isoformat(),
        "last_on": "2026-12-01",
    }
    assert [manager.post("/api/substitutions", json=body).status_code for _ in range(2)] == [201, 201]
    assert manager.post("/api/substitutions", json={**body, "last_on": "2026-12-02"}).status_code == 409
    browser = world.with_login(account_id=per)
    assert len(browser.get("/api/patients").json()) == 2
    there = world.as_staff("team_manager", clinic=world.there)
    assert there.delete(f"/api/substitutions/{body['id']}").status_code == 404
    assert there.post("/api/substitutions", json={**body, "id": new_id()}).status_code == 404
    assert manager.delete(f"/api/substitutions/{body['id']}").status_code == 204
    assert browser.get("/api/patients").json() == []


@pytest.mark.parametrize(
    "chosen",
    [{"last_on": "2020-01-01"}, {"first_on": "2026-01-01", "last_on": "2030-01-01"}, {"substitute_account_id": "same"}],
)
def test_days_that_are_none_and_oneself_make_no_substitution(sqlite_world: World, chosen: dict[str, str]) -> None:
    world = sqlite_world
    manager, admin = world.as_staff("team_manager"), world.as_staff("admin")
    per = str(colleague(admin)["id"])
    body = {
        "absent_account_id": per,
        "substitute_account_id": str(world.here.therapist_id),
        "first_on": "2026-09-22",
        "last_on": "2026-09-23",
        **chosen,
    }
    body = {key: per if value == "same" else value for key, value in body.items()}
    assert manager.post("/api/substitutions", json=body).status_code == 422


def test_the_settings_of_the_house_are_changed_by_its_administrator_from_what_was_shown(world: World) -> None:
    admin = world.as_staff("admin")
    shown = admin.get("/api/organisation").json()
    assert (shown["name"], shown["service"], shown["version"]) == ("here", "full", 1)
    wish = {key: shown[key] for key in ("version", "name", "time_zone")}
    changed = admin.put("/api/organisation", json={**wish, "service": "measure_only", "help_telephone": "+45 12345678"})
    assert changed.status_code == 200, changed.text
    assert (changed.json()["service"], changed.json()["version"]) == ("measure_only", 2)
    stale = admin.put("/api/organisation", json={**wish, "service": "full", "help_telephone": None})
    assert stale.json()["code"] == "organisation_moved"
    assert ("organisation", 2) in [(change.table, change.version) for change in world.changes.told]
    assert "change_service" in actions(world)
    there = world.as_staff("therapist", clinic=world.there).get("/api/organisation").json()
    assert (there["name"], there["service"]) == ("there", "full")


@pytest.mark.parametrize(
    "chosen", [{"service": "alarm"}, {"time_zone": "Mars/Base"}, {"help_telephone": "ring!"}, {"name": "\x00"}]
)
def test_settings_that_make_no_sense_are_refused(sqlite_world: World, chosen: dict[str, str]) -> None:
    admin = sqlite_world.as_staff("admin")
    shown = {key: value for key, value in admin.get("/api/organisation").json().items() if key != "id"}
    assert admin.put("/api/organisation", json={**shown, **chosen}).status_code == 422
    assert admin.put("/api/organisation", json=shown).json()["version"] == 1


def test_administrators_and_auditors_see_no_patient(world: World) -> None:
    with reading(world.database.main) as db:
        ids = list(db.exec(select(Patient.id)))
    for role in ("admin", "auditor"):
        browser = world.as_staff(role)
        assert token_of(browser)
        for patient_id in ids:
            for path in ("", "/referrals", "/messages", "/assignments", "/care-relations"):
                assert browser.get(f"/api/patients/{patient_id}{path}").status_code in (403, 404), (role, path)
        assert browser.get("/api/patients").status_code == 403
        assert browser.get("/api/appointments").status_code == 403


def test_nobody_belongs_to_a_team_in_hindsight(sqlite_world: World) -> None:
    world = sqlite_world
    manager, now = world.as_staff("team_manager"), utc_now(world.clock)
    path = f"/api/teams/{manager.post('/api/teams', json={'name': 'Knæ'}).json()['id']}/members"
    member = {"account_id": str(world.here.therapist_id)}
    over = {"starts_at": (now - timedelta(hours=2)).isoformat(), "ends_at": (now - timedelta(hours=1)).isoformat()}
    assert manager.put(path, json={"members": [{**member, **over}]}).status_code == 422
    assert manager.put(path, json={"members": [member]}).status_code == 200
    assert manager.put(path, json={"members": [{**member, **over}]}).status_code == 422
