"""Tablets, helpers, consents, break-glass and the log of it all, over the API."""

from datetime import timedelta
from typing import Any

import pytest
from httpx2 import Response
from sqlmodel import col, select
from starlette.testclient import TestClient

from telerehab.auth import audit
from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import (
    AuditEvent,
    BreakGlass,
    CareRelation,
    Consent,
    Helper,
    HelperGrant,
    Notice,
    Patient,
    Tablet,
)
from tests.telerehab.api.test_logins import code_now, with_totp
from tests.telerehab.api.test_second_factors import browser_of, come_in
from tests.telerehab.api.world import World, new_id
from tests.telerehab.auth.authenticator import Authenticator

REASON = "Patienten ringer om stærke smerter, behandler er syg"


def invitation(world: World, **changes: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "name": "Poul Krogh",
        "scopes": ["see_plan", "join"],
        "ends_on": (utc_now(world.clock) + timedelta(days=30)).date().isoformat(),
        "consent": {"given_how": "spoken"},
        **changes,
    }


def path(world: World, rest: str) -> str:
    return f"/api/patients/{world.here.patient_ids[0]}/{rest}"


def token_in(link: str) -> str:
    assert "/enter#helper-" in link
    return link.partition("#helper-")[2]


def accept(browser: TestClient, token: str, device: Authenticator) -> Response:
    asked = browser.post("/api/invitations/passkey-options", json={"token": token})
    assert asked.status_code == 200, asked.text
    body = {
        "token": token,
        "challenge_id": asked.json()["challenge_id"],
        "credential": device.make(asked.json()["options"]),
    }
    return browser.post("/api/invitations/accept", json=body)


# --- tablets ---


def test_a_link_pairs_a_tablet_that_is_listed_and_revoked(world: World) -> None:
    therapist = world.as_staff("therapist")
    made = therapist.post(path(world, "tablet-links"))
    assert made.status_code == 201
    assert made.json()["qr_svg"].startswith("<svg")
    token = made.json()["link"].partition("/enter#")[2]
    tablet = browser_of(world)
    assert tablet.post("/api/enter", json={"token": token}).json()["face"] == "patient"
    listed = therapist.get(path(world, "tablets")).json()
    assert [(each["revoked_at"], each["has_pin"]) for each in listed] == [(None, False)]
    assert listed[0]["last_seen_at"] is not None
    assert therapist.delete(f"/api/tablets/{listed[0]['id']}").status_code == 204
    assert "login" in {change.table for change in world.changes.told}, "its sockets close"
    assert tablet.get("/api/me").status_code == 401
    assert therapist.get(path(world, "tablets")).json()[0]["revoked_at"] is not None


def test_a_new_tablet_link_voids_the_older_one(sqlite_world: World) -> None:
    therapist = sqlite_world.as_staff("team_manager")
    links = [therapist.post(path(sqlite_world, "tablet-links")).json()["link"] for _ in range(2)]
    tokens = [link.partition("/enter#")[2] for link in links]
    statuses = [browser_of(sqlite_world).post("/api/enter", json={"token": each}).status_code for each in tokens]
    assert statuses == [401, 200]


@pytest.mark.parametrize("way", ["link", "code"])
def test_pairing_without_eid_is_written_down_once_as_a_consent_of_its_own(world: World, way: str) -> None:
    therapist = world.as_staff("therapist")
    for _ in range(2):
        if way == "link":
            therapist.post(path(world, "tablet-links"))
        else:
            therapist.post("/api/tablet-pairing-codes", json={"patient_id": str(world.here.patient_ids[0])})
    listed = therapist.get(path(world, "consents")).json()
    assert [(each["kind"], each["given_how"]) for each in listed] == [("assisted_start", "assisted_without_eid")]


def test_a_pin_protects_the_page_of_a_tablet(world: World) -> None:
    tablet = world.as_tablet()
    assert tablet.put("/api/my/tablet-pin", json={"pin": "2468"}).status_code == 204
    assert tablet.get("/api/me").json()["has_pin"] is True
    assert tablet.post("/api/my/tablet-pin/check", json={"pin": "2468"}).status_code == 204
    assert tablet.put("/api/my/tablet-pin", json={"pin": None}).status_code == 401, "the old one is asked for"
    wrong = [tablet.post("/api/my/tablet-pin/check", json={"pin": "1111"}).status_code for _ in range(6)]
    assert wrong == [401] * 4 + [429, 429]
    world.clock.advance(60)
    assert tablet.put("/api/my/tablet-pin", json={"pin": None, "old_pin": "2468"}).status_code == 204
    assert tablet.get("/api/me").json()["has_pin"] is False
    with reading(world.database.main) as db:
        assert db.get_one(Tablet, world.here.tablet_id).pin_hash is None


@pytest.mark.parametrize("pin", ["123", "123456789", "12a4", ""])
def test_a_pin_is_four_to_eight_digits(sqlite_world: World, pin: str) -> None:
    assert sqlite_world.as_tablet().put("/api/my/tablet-pin", json={"pin": pin}).status_code == 422


# --- helpers ---


def test_somebody_who_was_invited_makes_a_passkey_and_helps(world: World) -> None:
    made = world.as_staff("therapist").post(path(world, "helpers"), json=invitation(world)).json()
    token, device, browser = token_in(made["link"]), Authenticator(), browser_of(world)
    look = browser.post("/api/invitations/look", json={"token": token}).json()
    assert look == {"organisation": "here", "patient_name": "Karen"}, "the first name, and nothing else"
    assert accept(browser, token, device).json() == {"face": "helper"}
    me = browser.get("/api/me").json()
    assert (me["role"], me["display_name"], me["is_full"]) == ("helper", "Poul Krogh", True)
    (patient,) = browser.get("/api/my/patients").json()
    assert patient["patient_id"] == str(world.here.patient_ids[0])
    assert (patient["display_name"], patient["birth_date"]) == ("Karen Patient 0 here", "1940-02-03")
    assert patient["scopes"] == ["join", "see_plan"]
    later = browser_of(world)
    assert come_in(later, device).json()["face"] == "helper"
    again = browser_of(world)
    assert again.post("/api/invitations/look", json={"token": token}).status_code == 401, "it was accepted"


def test_a_patient_invites_a_helper_from_the_own_tablet(world: World) -> None:
    tablet = world.as_tablet()
    spoken = tablet.post(path(world, "helpers"), json=invitation(world))
    assert spoken.status_code == 422, "what is tapped is not spoken"
    body = invitation(world, consent={"given_how": "on_tablet"})
    assert tablet.post(path(world, "helpers"), json=body).status_code == 201
    (consent, *_) = tablet.get(path(world, "consents")).json()
    assert (consent["kind"], consent["given_how"]) == ("helper", "on_tablet")
    tapped = {**body, "id": new_id()}
    assert world.as_staff("therapist").post(path(world, "helpers"), json=tapped).status_code == 422


def test_an_invitation_that_is_sent_twice_is_one_with_a_new_link(world: World) -> None:
    therapist, body = world.as_staff("therapist"), invitation(world)
    first, second = (therapist.post(path(world, "helpers"), json=body).json() for _ in range(2))
    assert first["grant_id"] == second["grant_id"] == body["id"]
    statuses = [
        browser_of(world).post("/api/invitations/look", json={"token": token_in(each["link"])}).status_code
        for each in (first, second)
    ]
    assert statuses == [401, 200]
    other = {**body, "scopes": ["train_for"]}
    assert therapist.post(path(world, "helpers"), json=other).status_code == 409
    elsewhere = f"/api/patients/{world.here.patient_ids[1]}/helpers"
    assert therapist.post(elsewhere, json=body).status_code == 409


def test_a_grant_ends_at_once_when_it_is_revoked_and_on_its_day(world: World) -> None:
    therapist, helper = world.as_staff("therapist"), world.as_helper()
    assert len(helper.get("/api/my/patients").json()) == 1
    assert therapist.delete(f"/api/helper-grants/{world.here.grant_id}").status_code == 204
    assert helper.get("/api/my/patients").json() == []
    assert helper.get(path(world, "plan")).status_code == 404
    assert "helper_grant" in {change.table for change in world.changes.told}, "sockets are told"
    body = invitation(world, ends_on=utc_now(world.clock).date().isoformat())
    made = therapist.post(path(world, "helpers"), json=body).json()
    browser = browser_of(world)
    assert accept(browser, token_in(made["link"]), Authenticator()).status_code == 200
    (grant,) = [each for each in therapist.get(path(world, "helpers")).json() if each["id"] == body["id"]]
    assert grant["ends_at"] == "2026-09-21T22:00:00Z", "midnight in Copenhagen"
    world.clock.advance(7 * 3600)
    late = world.with_login(helper_id=_helper_of(world, body["id"]))
    assert len(late.get("/api/my/patients").json()) == 1
    world.clock.advance(3600)
    late = world.with_login(helper_id=_helper_of(world, body["id"]))
    assert late.get("/api/my/patients").json() == []


def _helper_of(world: World, grant_id: str) -> Any:
    with reading(world.database.main) as db:
        return next(each.helper_id for each in db.exec(select(HelperGrant)) if str(each.id) == grant_id)


def test_an_invitation_is_good_for_a_week_until_it_is_taken_back(sqlite_world: World) -> None:
    world = sqlite_world
    bodies = [invitation(world), invitation(world)]
    tokens = [
        token_in(world.as_staff("therapist").post(path(world, "helpers"), json=body).json()["link"]) for body in bodies
    ]
    assert world.as_staff("therapist").delete(f"/api/helper-grants/{bodies[0]['id']}").status_code == 204
    assert browser_of(world).post("/api/invitations/look", json={"token": tokens[0]}).status_code == 401
    world.clock.advance(timedelta(days=7).total_seconds())
    assert browser_of(world).post("/api/invitations/look", json={"token": tokens[1]}).status_code == 401


def test_a_helper_takes_one_more_patient_without_a_new_passkey(world: World) -> None:
    other = f"/api/patients/{world.here.patient_ids[1]}/helpers"
    made = world.as_staff("therapist").post(other, json=invitation(world)).json()
    helper = world.as_helper()
    token = token_in(made["link"])
    assert world.as_helper(clinic=world.there).post("/api/invitations/accept", json={"token": token}).status_code == 401
    assert world.as_staff("admin").post("/api/invitations/accept", json={"token": token}).status_code == 401
    assert browser_of(world).post("/api/invitations/accept", json={"token": token}).status_code == 401
    assert helper.post("/api/invitations/accept", json={"token": token}).status_code == 200
    assert len(helper.get("/api/my/patients").json()) == 2


def test_names_of_helpers_lie_sealed(sqlite_world: World) -> None:
    made = sqlite_world.as_staff("therapist").post(path(sqlite_world, "helpers"), json=invitation(sqlite_world)).json()
    accept(browser_of(sqlite_world), token_in(made["link"]), Authenticator())
    with reading(sqlite_world.database.main) as db:
        kept = [*db.exec(select(Helper.name_sealed)), *db.exec(select(HelperGrant.invited_name_sealed))]
    assert not [each for each in kept if b"Poul" in each]


@pytest.mark.parametrize("ends_on", ["2026-09-20", "2027-09-23"])
def test_a_grant_ends_within_a_year(sqlite_world: World, ends_on: str) -> None:
    body = invitation(sqlite_world, ends_on=ends_on)
    assert sqlite_world.as_staff("therapist").post(path(sqlite_world, "helpers"), json=body).status_code == 422


def test_a_consent_that_is_taken_back_takes_the_helper_with_it(world: World) -> None:
    therapist, body = world.as_staff("therapist"), invitation(world)
    made = therapist.post(path(world, "helpers"), json=body).json()
    browser = browser_of(world)
    accept(browser, token_in(made["link"]), Authenticator())
    with reading(world.database.main) as db:
        consent_id = db.exec(select(Consent.id).where(col(Consent.kind) == "helper")).one()
    assert world.as_tablet().delete(f"/api/consents/{consent_id}").status_code == 204
    assert browser.get("/api/my/patients").json() == []


def test_a_consent_is_written_once_and_only_in_a_way_that_was_seen(world: World) -> None:
    therapist = world.as_staff("therapist")
    body = {"id": new_id(), "kind": "auto_answer", "given_how": "spoken", "ends_on": None}
    first, second = (therapist.post(path(world, "consents"), json=body) for _ in range(2))
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert therapist.post(path(world, "consents"), json={**body, "kind": "seen_by_group"}).status_code == 409
    for given_how in ("on_tablet", "assisted_without_eid"):
        odd = {**body, "id": new_id(), "given_how": given_how}
        assert therapist.post(path(world, "consents"), json=odd).status_code == 422


# --- break-glass ---


def break_glass(world: World, browser: TestClient, **changes: Any) -> Response:
    body = {"patient_id": str(world.here.stranger_id), "reason": REASON, **changes}
    return browser.post("/api/break-glass", json={key: value for key, value in body.items() if value is not None})


def stranger(world: World, rest: str) -> str:
    return f"/api/patients/{world.here.stranger_id}/{rest}"


def test_break_glass_opens_a_patient_for_an_hour_tells_two_and_stands_in_the_log(world: World) -> None:
    therapist = world.as_staff("therapist")
    assert therapist.get(stranger(world, "plan")).status_code == 404
    made = break_glass(world, therapist)
    assert made.status_code == 201
    look = made.json()
    assert (look["display_name"], look["birth_date"]) == ("Karen Patient 2 here", "1942-02-03")
    assert look["ends_at"] == (utc_now(world.clock) + timedelta(minutes=60)).isoformat().replace("+00:00", "Z")
    assert therapist.get(stranger(world, "plan-versions")).status_code == 200
    assert therapist.get(stranger(world, "messages")).status_code == 404, "only what is needed"
    assert break_glass(world, therapist).json()["id"] == look["id"], "it runs already"
    with reading(world.database.main) as db:
        notices = db.exec(select(Notice).where(col(Notice.kind) == "notice.break_glass")).all()
        events = db.exec(select(AuditEvent).where(col(AuditEvent.action) == "break_glass")).all()
        (row,) = db.exec(select(BreakGlass)).all()
    assert {notice.recipient for notice in notices} == {
        f"patient:{world.here.stranger_id}",
        f"role:auditor:{world.here.organisation_id}",
    }
    assert [event.patient_id for event in events] == [world.here.stranger_id]
    assert REASON.encode() not in row.reason_sealed
    assert REASON not in str(notices) + str(events)
    world.clock.advance(29 * 60)
    assert therapist.get("/api/me").status_code == 200
    world.clock.advance(29 * 60)
    assert therapist.get(stranger(world, "plan-versions")).status_code == 200
    world.clock.advance(2 * 60)
    assert therapist.get(stranger(world, "plan-versions")).status_code == 404, "it ends by itself"
    assert therapist.get("/api/break-glass").json()[0]["display_name"] is None


def test_break_glass_wants_the_second_factor_just_now(world: World) -> None:
    therapist, app = world.as_staff("therapist"), with_totp(world, world.here.therapist_id)
    world.clock.advance(5 * 60)
    refused = break_glass(world, therapist)
    assert (refused.status_code, refused.json()["code"]) == (403, "second_factor_now")
    assert break_glass(world, therapist, code="000000").status_code == 403
    with reading(world.database.main) as db:
        assert db.exec(select(BreakGlass)).all() == []
    code = code_now(app, world)
    assert break_glass(world, therapist, code=code).status_code == 201
    assert [break_glass(world, therapist, code=code).status_code for _ in range(4)] == [403, 403, 403, 429]


def test_break_glass_finds_by_cpr_and_never_in_another_organisation(world: World) -> None:
    from_there = world.as_staff("therapist", clinic=world.there)
    assert break_glass(world, from_there).status_code == 404
    therapist = world.as_staff("therapist")
    assert break_glass(world, therapist, patient_id=None, cpr="010240-1234").status_code == 404
    made = therapist.post(
        "/api/patients",
        json={"id": new_id(), "name": "Else", "birth_date": "1940-02-01", "cpr": "0102401234", "language": "da"},
    )
    assert made.status_code in (200, 201), made.text
    with writing(world.database.main, owner="web") as db:
        for relation in _relations(db, made.json()["id"]):
            db.delete(relation)
    assert break_glass(world, therapist, patient_id=None, cpr="010240-1234").json()["display_name"] == "Else"
    assert break_glass(world, from_there, patient_id=None, cpr="010240-1234").status_code == 404


def _relations(db: Any, patient_id: str) -> Any:
    return [each for each in db.exec(select(CareRelation)) if str(each.patient_id) == patient_id]


@pytest.mark.parametrize("changes", [{"reason": "kort"}, {"cpr": "0102401234"}, {"patient_id": None}])
def test_break_glass_says_whom_and_why(sqlite_world: World, changes: dict[str, Any]) -> None:
    assert break_glass(sqlite_world, sqlite_world.as_staff("therapist"), **changes).status_code == 422


def test_break_glass_is_not_for_ones_own_patients(sqlite_world: World) -> None:
    own = str(sqlite_world.here.patient_ids[0])
    answer = break_glass(sqlite_world, sqlite_world.as_staff("therapist"), patient_id=own)
    assert (answer.status_code, answer.json()["code"]) == (409, "already_in_care")


def test_an_auditor_judges_a_look_once(world: World) -> None:
    therapist, auditor = world.as_staff("therapist"), world.as_staff("auditor")
    look_id = break_glass(world, therapist).json()["id"]
    (listed,) = auditor.get("/api/break-glass").json()
    assert (listed["reason"], listed["actor_name"], listed["display_name"]) == (REASON, "Ida Therapist here", None)
    assert listed["review_due_at"] == (utc_now(world.clock) + timedelta(hours=72)).isoformat().replace("+00:00", "Z")
    review = f"/api/break-glass/{look_id}/review"
    assert therapist.post(review, json={"outcome": "justified"}).status_code == 403
    assert world.as_staff("auditor", clinic=world.there).post(review, json={"outcome": "justified"}).status_code == 404
    assert auditor.post(review, json={"outcome": "not_justified"}).json()["outcome"] == "not_justified"
    assert auditor.post(review, json={"outcome": "not_justified"}).status_code == 200
    assert auditor.post(review, json={"outcome": "justified"}).status_code == 409
    assert world.as_staff("auditor", clinic=world.there).get("/api/break-glass").json() == []


# --- the log ---


def test_a_patient_reads_who_looked_and_an_auditor_reads_all(world: World) -> None:
    therapist, auditor = world.as_staff("therapist"), world.as_staff("auditor")
    therapist.post(path(world, "tablet-links"))
    helper = world.as_helper()
    assert helper.get("/api/caseload").status_code == 403
    entries = world.as_tablet().get(path(world, "access-log")).json()
    assert [(each["action"], each["who"], each["actor_role"]) for each in entries] == [
        ("invite_tablet", "Ida Therapist here", "therapist"),
        ("record_consent", "Ida Therapist here", "therapist"),
    ]
    page = world.as_tablet().get(path(world, "access-log"), params={"limit": 1}).json()
    rest = world.as_tablet().get(path(world, "access-log"), params={"before": page[0]["sequence"]}).json()
    assert [*page, *rest] == entries
    everything = auditor.get("/api/audit").json()
    assert [(each["action"], each["allowed"]) for each in everything] == [
        ("refused", False),
        ("invite_tablet", True),
        ("record_consent", True),
    ]
    assert everything[0]["reason_code"] == "therapist"
    assert world.as_staff("auditor", clinic=world.there).get("/api/audit").json() == []
    with reading(world.database.main) as db:
        verdict = audit.verify(audit.read_links(db), key=audit.audit_key(world.settings))
    assert verdict.fault is None


def test_refusals_without_end_fill_no_log(sqlite_world: World) -> None:
    auditor = sqlite_world.as_staff("auditor")
    for _ in range(20):
        assert auditor.get("/api/caseload").status_code == 403
    with reading(sqlite_world.database.main) as db:
        assert len(db.exec(select(AuditEvent)).all()) == 5


def test_the_chain_holds_no_names(sqlite_world: World) -> None:
    therapist = sqlite_world.as_staff("therapist")
    therapist.post(path(sqlite_world, "helpers"), json=invitation(sqlite_world))
    break_glass(sqlite_world, therapist)
    with reading(sqlite_world.database.main) as db:
        said = " ".join(db.exec(select(AuditEvent.record)).all())
        names = [patient.id for patient in db.exec(select(Patient))]
    assert names
    assert not [word for word in ("Poul", "Karen", "Ida", "smerter", "here.example") if word in said]
