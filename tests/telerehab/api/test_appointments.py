from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from icalendar import Calendar
from sqlmodel import select
from starlette.testclient import TestClient

from telerehab.clock import utc_now
from telerehab.db.engine import reading
from telerehab.db.tables import CalendarFeed
from tests.telerehab.api.world import World, new_id


def meeting(world: World, **chosen: object) -> dict[str, object]:
    """Return an appointment of half an hour, tomorrow."""
    starts_at = utc_now(world.clock) + timedelta(days=1)
    return {
        "id": new_id(),
        "kind": "live_session",
        "title": "Træning af knæ",
        "starts_at": starts_at.isoformat(),
        "ends_at": (starts_at + timedelta(minutes=30)).isoformat(),
        **chosen,
    }


def made(browser: TestClient, body: dict[str, object]) -> dict[str, object]:
    answer = browser.post("/api/appointments", json=body)
    assert answer.status_code == 201, answer.text
    shown: dict[str, object] = answer.json()
    return shown


def ids_of(browser: TestClient, query: str = "") -> list[str]:
    answer = browser.get(f"/api/appointments{query}")
    assert answer.status_code == 200, answer.text
    return [each["id"] for each in answer.json()]


def test_an_appointment_is_seen_by_those_who_take_part_and_by_nobody_else(world: World) -> None:
    therapist = world.as_staff("therapist")
    first = made(therapist, meeting(world, patient_id=str(world.here.patient_ids[0])))
    second = made(therapist, meeting(world, patient_id=str(world.here.patient_ids[1])))
    assert (first["display_name"], first["birth_date"]) == ("Karen Patient 0 here", "1940-02-03")
    assert set(ids_of(therapist)) == {first["id"], second["id"]}
    assert ids_of(world.as_tablet()) == [first["id"]]
    assert "Patient 1" not in world.as_tablet().get("/api/appointments").text
    assert ids_of(world.as_staff("therapist", clinic=world.there)) == []
    assert ids_of(world.as_tablet(clinic=world.there)) == []
    assert world.as_helper().get("/api/appointments").status_code == 403
    assert world.as_staff("team_manager").get("/api/appointments").status_code == 403


def test_the_same_appointment_again_adds_nothing_and_another_under_its_id_is_a_conflict(world: World) -> None:
    therapist, body = world.as_staff("therapist"), meeting(world, patient_id=str(world.here.patient_ids[0]))
    assert made(therapist, body) == made(therapist, body)
    assert therapist.post("/api/appointments", json={**body, "kind": "visit"}).status_code == 409
    there = world.as_staff("therapist", clinic=world.there)
    foreign = {**body, "patient_id": str(world.there.patient_ids[0])}
    assert there.post("/api/appointments", json=foreign).status_code == 404


@pytest.mark.parametrize("who", ["stranger", "there", "nobody", "both", "group of elsewhere"])
def test_an_appointment_is_with_one_own_patient_or_group(sqlite_world: World, who: str) -> None:
    world = sqlite_world
    group = world.as_staff("therapist", clinic=world.there).post("/api/groups", json={"name": "Hold"}).json()
    chosen, status = {
        "stranger": ({"patient_id": str(world.here.stranger_id)}, 404),
        "there": ({"patient_id": str(world.there.patient_ids[0])}, 404),
        "nobody": ({}, 422),
        "both": ({"patient_id": str(world.here.patient_ids[0]), "group_id": group["id"]}, 422),
        "group of elsewhere": ({"group_id": group["id"]}, 404),
    }[who]
    answer = world.as_staff("therapist").post("/api/appointments", json=meeting(world, **chosen))
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("starts_in", "length", "kind"),
    [
        (timedelta(days=-1), timedelta(minutes=30), "in_the_past"),
        (timedelta(days=1), timedelta(0), "out_of_range"),
        (timedelta(days=1), timedelta(hours=-1), "out_of_range"),
        (timedelta(days=1), timedelta(hours=13), "out_of_range"),
        (timedelta(days=800), timedelta(hours=1), "too_far_ahead"),
    ],
)
def test_times_that_cannot_be_are_refused(
    sqlite_world: World, starts_in: timedelta, length: timedelta, kind: str
) -> None:
    starts_at = utc_now(sqlite_world.clock) + starts_in
    times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + length).isoformat()}
    body = meeting(sqlite_world, patient_id=str(sqlite_world.here.patient_ids[0]), **times)
    answer = sqlite_world.as_staff("therapist").post("/api/appointments", json=body)
    assert [fault["kind"] for fault in answer.json()["faults"]] == [kind]


def test_a_time_without_zone_is_no_time(sqlite_world: World) -> None:
    body = meeting(sqlite_world, patient_id=str(sqlite_world.here.patient_ids[0]), starts_at="2026-10-01T10:00:00")
    assert sqlite_world.as_staff("therapist").post("/api/appointments", json=body).status_code == 422


def test_changes_are_counted_and_made_from_what_was_shown(world: World) -> None:
    therapist = world.as_staff("therapist")
    body = meeting(world, patient_id=str(world.here.patient_ids[0]))
    path = f"/api/appointments/{made(therapist, body)['id']}"
    wish = {key: body[key] for key in ("kind", "title", "starts_at", "ends_at")}
    moved = therapist.put(path, json={**wish, "title": "Træning af hofte", "version": 1}).json()
    assert (moved["title"], moved["version"]) == ("Træning af hofte", 2)
    again = therapist.put(path, json={**wish, "title": "Træning af hofte", "version": 1}).json()
    assert again == moved, "what is so already counts no further"
    assert therapist.put(path, json={**wish, "version": 1}).json()["code"] == "appointment_moved"
    early = therapist.put(path, json={**wish, "state": "done", "version": 2})
    assert early.json()["code"] == "appointment_to_come"
    cancelled = therapist.post(f"{path}/cancel").json()
    assert (cancelled["state"], cancelled["version"]) == ("cancelled", 3)
    assert therapist.post(f"{path}/cancel").json() == cancelled
    assert therapist.put(path, json={**wish, "version": 3}).json()["code"] == "appointment_cancelled"
    told = [change.version for change in world.changes.told if change.table == "appointment"]
    assert told == [1, 2, 3]


def test_how_it_went_is_said_once_it_has_begun(sqlite_world: World) -> None:
    world = sqlite_world
    therapist = world.as_staff("therapist")
    body = meeting(world, patient_id=str(world.here.patient_ids[0]))
    path = f"/api/appointments/{made(therapist, body)['id']}"
    world.clock.advance(86_400)
    therapist = world.as_staff("therapist")
    wish = {key: body[key] for key in ("kind", "title", "starts_at", "ends_at")}
    assert therapist.put(path, json={**wish, "state": "no_show", "version": 1}).json()["state"] == "no_show"
    assert therapist.post(f"{path}/cancel").json()["code"] == "appointment_over"


def test_an_appointment_of_elsewhere_does_not_exist(sqlite_world: World) -> None:
    world = sqlite_world
    body = meeting(world, patient_id=str(world.here.patient_ids[0]))
    path = f"/api/appointments/{made(world.as_staff('therapist'), body)['id']}"
    there = world.as_staff("therapist", clinic=world.there)
    wish = {key: body[key] for key in ("kind", "title", "starts_at", "ends_at")}
    assert there.put(path, json={**wish, "version": 1}).status_code == 404
    assert there.post(f"{path}/cancel").status_code == 404
    assert world.as_tablet().post(f"{path}/cancel").status_code == 403


def test_a_span_is_counted_in_days_of_the_house_or_in_moments(world: World) -> None:
    therapist, patient_id = world.as_staff("therapist"), str(world.here.patient_ids[0])
    around = {}
    for name, starts_at in (  # Copenhagen is two hours ahead of UTC until 25 October 2026, one hour from then on
        ("before", datetime(2026, 10, 24, 21, 59, tzinfo=UTC)),
        ("first", datetime(2026, 10, 24, 22, 0, tzinfo=UTC)),
        ("last", datetime(2026, 10, 25, 22, 59, tzinfo=UTC)),
        ("after", datetime(2026, 10, 25, 23, 0, tzinfo=UTC)),
    ):
        times = {"starts_at": starts_at.isoformat(), "ends_at": (starts_at + timedelta(minutes=5)).isoformat()}
        around[name] = made(therapist, meeting(world, patient_id=patient_id, **times))["id"]
    assert ids_of(therapist, "?from=2026-10-25&to=2026-10-26") == [around["first"], around["last"]]
    moments = "?from=2026-10-24T21:59:00Z&to=2026-10-24T22:00:00Z"
    assert ids_of(therapist, moments) == [around["before"]]
    for query in (
        "?from=2026-10-26&to=2026-10-25",
        "?from=2024-01-01&to=2026-01-01",
        "?from=5",
        "?from=2026-10-24T1:0",
    ):
        assert therapist.get(f"/api/appointments{query}").status_code == 422, query


def feed_of(world: World, browser: TestClient) -> tuple[str, str]:
    """Make a feed and return its id and its path."""
    answer = browser.post("/api/calendar-feeds")
    assert answer.status_code == 201, answer.text
    address = answer.json()["address"]
    assert address.startswith("https://clinic.localhost/api/calendar/")
    return answer.json()["id"], address.removeprefix("https://clinic.localhost")


def test_a_feed_names_nobody_and_follows_changes(world: World) -> None:
    therapist = world.as_staff("therapist")
    body = meeting(world, patient_id=str(world.here.patient_ids[0]), title="Karen Patients knæ")
    appointment_id = made(therapist, body)["id"]
    feeds = {"therapist": feed_of(world, therapist)[1], "tablet": feed_of(world, world.as_tablet())[1]}
    shown = {who: world.browser().get(path) for who, path in feeds.items()}
    for who, summary in (("therapist", "Træning på skærm, KH"), ("tablet", "Træning på skærm")):
        assert shown[who].headers["content-type"].startswith("text/calendar")
        (event,) = Calendar.from_ical(shown[who].content).events
        assert (str(event["uid"]), str(event["summary"])) == (appointment_id, summary)
        assert event.start == datetime.fromisoformat(str(body["starts_at"]))
        assert (event.sequence, str(event["status"])) == (0, "CONFIRMED")
        for name in ("Karen", "Patient", "Ida", "knæ", "1940", str(world.here.patient_ids[0])):
            assert name not in shown[who].text.replace("PATIENT", ""), name
    therapist.post(f"/api/appointments/{appointment_id}/cancel")
    for path in feeds.values():
        (event,) = Calendar.from_ical(world.browser().get(path).content).events
        assert (event.sequence, str(event["status"])) == (1, "CANCELLED")


def test_a_feed_ends_when_it_is_ended_and_when_its_owner_is_gone(sqlite_world: World) -> None:
    world = sqlite_world
    therapist, tablet = world.as_staff("therapist"), world.as_tablet()
    (first_id, first), (_, second), (_, own) = (
        feed_of(world, therapist),
        feed_of(world, therapist),
        feed_of(world, tablet),
    )
    assert tablet.delete(f"/api/calendar-feeds/{first_id}").status_code == 404
    assert world.as_staff("therapist", clinic=world.there).delete(f"/api/calendar-feeds/{first_id}").status_code == 404
    assert therapist.delete(f"/api/calendar-feeds/{first_id}").status_code == 204
    stranger = world.browser()
    assert [stranger.get(path).status_code for path in (first, second, own)] == [404, 200, 200]
    world.as_staff("admin").post(f"/api/staff/{world.here.therapist_id}/disable")
    assert stranger.get(second).status_code == 404
    world.as_staff("team_manager").post(f"/api/patients/{world.here.patient_ids[0]}/end")
    assert stranger.get(own).status_code == 404


def test_a_feed_says_no_initials_of_a_patient_who_has_gone_elsewhere(sqlite_world: World) -> None:
    world = sqlite_world
    therapist, manager = world.as_staff("therapist"), world.as_staff("team_manager")
    made(therapist, meeting(world, patient_id=str(world.here.patient_ids[0])))
    path = feed_of(world, therapist)[1]
    (relation,) = manager.get(f"/api/patients/{world.here.patient_ids[0]}/care-relations").json()
    manager.delete(f"/api/care-relations/{relation['id']}")
    (event,) = Calendar.from_ical(world.browser().get(path).content).events
    assert str(event["summary"]) == "Træning på skærm"
    (shown,) = therapist.get("/api/appointments").json()
    assert (shown["display_name"], shown["patient_id"]) == (None, None)


@pytest.mark.parametrize("token", ["x", "A" * 43, "..", "\u00e6"])
def test_an_address_that_was_never_made_is_not_found(sqlite_world: World, token: str) -> None:
    assert sqlite_world.browser().get(f"/api/calendar/{token}.ics").status_code == 404


def test_addresses_are_few_shown_once_and_kept_as_hashes(sqlite_world: World) -> None:
    world = sqlite_world
    therapist = world.as_staff("therapist")
    paths = [feed_of(world, therapist)[1] for _ in range(5)]
    assert therapist.post("/api/calendar-feeds").json()["code"] == "too_many_feeds"
    listed = therapist.get("/api/calendar-feeds")
    assert len(listed.json()) == 5
    with reading(world.database.main) as db:
        kept = [feed.token_hash for feed in db.exec(select(CalendarFeed))]
    for path in paths:
        token = path.rpartition("/")[2].removesuffix(".ics")
        assert token not in listed.text
        assert token not in kept


def test_a_groups_appointment_is_every_members_and_names_nobody_to_the_others(world: World) -> None:
    therapist = world.as_staff("therapist")
    ids = [str(each) for each in world.here.patient_ids]
    group = therapist.post("/api/groups", json={"name": "Knæhold", "patient_ids": ids}).json()
    assert [member["birth_date"] for member in group["members"]] == ["1940-02-03", "1941-02-03"]
    made(therapist, meeting(world, group_id=group["id"]))
    tablet = world.as_tablet()
    (shown,) = tablet.get("/api/appointments").json()
    assert (shown["group_name"], shown["patient_id"], shown["display_name"]) == ("Knæhold", None, None)
    assert "Karen" not in tablet.get("/api/appointments").text
    left = therapist.put(f"/api/groups/{group['id']}/members", json={"patient_ids": ids[1:]}).json()
    assert [member["id"] for member in left["members"]] == ids[1:]
    assert tablet.get("/api/appointments").json() == []
    assert therapist.delete(f"/api/groups/{group['id']}").status_code == 204
    assert therapist.get("/api/groups").json() == []
    assert [each["state"] for each in therapist.get("/api/appointments").json()] == ["cancelled"]


def test_only_own_patients_come_into_a_group_and_only_its_leader_sees_it(world: World) -> None:
    therapist = world.as_staff("therapist")
    group_id = therapist.post("/api/groups", json={"name": "Knæhold"}).json()["id"]
    for foreign in (world.here.stranger_id, world.there.patient_ids[0]):
        body = {"patient_ids": [str(foreign)]}
        assert therapist.put(f"/api/groups/{group_id}/members", json=body).status_code == 404
        assert therapist.post("/api/groups", json={"name": "X", **body}).status_code == 404
    assert [group["name"] for group in therapist.get("/api/groups").json()] == ["Knæhold"]
    for browser in (world.as_staff("therapist", clinic=world.there), _colleague(world)):
        assert browser.get("/api/groups").json() == []
        requests: tuple[tuple[str, str, dict[str, object] | None], ...] = (
            ("GET", "", None),
            ("PUT", "", {"name": "Y"}),
            ("PUT", "/members", {"patient_ids": []}),
            ("DELETE", "", None),
        )
        for method, path, wish in requests:
            assert browser.request(method, f"/api/groups/{group_id}{path}", json=wish).status_code == 404


def test_a_member_whom_the_leader_may_not_see_any_more_is_counted_only(sqlite_world: World) -> None:
    world = sqlite_world
    therapist, manager = world.as_staff("therapist"), world.as_staff("team_manager")
    ids = [str(each) for each in world.here.patient_ids]
    group_id = therapist.post("/api/groups", json={"name": "Knæhold", "patient_ids": ids}).json()["id"]
    (relation,) = manager.get(f"/api/patients/{ids[0]}/care-relations").json()
    manager.delete(f"/api/care-relations/{relation['id']}")
    shown = therapist.get(f"/api/groups/{group_id}").json()
    assert ([member["id"] for member in shown["members"]], shown["hidden_count"]) == (ids[1:], 1)
    kept = therapist.put(f"/api/groups/{group_id}/members", json={"patient_ids": []}).json()
    assert (kept["members"], kept["hidden_count"]) == ([], 1), "whom one does not see one does not send away"


def _colleague(world: World) -> TestClient:
    """Return a browser of another therapist of the house."""
    body = {"email": "per@here.example", "display_name": "Per", "role": "therapist"}
    made_account = world.as_staff("admin").post("/api/staff", json=body).json()
    return world.with_login(account_id=UUID(made_account["id"]))
