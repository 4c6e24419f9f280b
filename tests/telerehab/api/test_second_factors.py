"""Second factors: nobody of staff is in without one, a code counts once, a passkey proves one device at one site."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pyotp
import pytest
from httpx2 import Response
from sqlmodel import col, select
from starlette.testclient import TestClient

from telerehab.auth import totp
from telerehab.clock import ManualClock, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Account, AuditEvent, Login, Passkey, PasskeyChallenge
from tests.telerehab.api.test_logins import code_now, log_in, with_totp
from tests.telerehab.api.world import PASSWORD, World, token_of
from tests.telerehab.auth.authenticator import Authenticator

NEW_PASSWORD = "tre grønne måger i modvind"


def browser_of(world: World) -> TestClient:
    browser = world.browser()
    browser.portal = world.client.portal
    return browser


def enroll(browser: TestClient, device: Authenticator) -> Response:
    asked = browser.post("/api/my/passkeys/options", json={})
    assert asked.status_code == 200, asked.text
    body = {"challenge_id": asked.json()["challenge_id"], "credential": device.make(asked.json()["options"])}
    return browser.post("/api/my/passkeys", json=body)


def come_in(browser: TestClient, device: Authenticator, **changed: Any) -> Response:
    asked = browser.post("/api/login/passkey/options", json={}).json()
    body = {"challenge_id": asked["challenge_id"], "credential": device.answer(asked["options"]), **changed}
    return browser.post("/api/login/passkey", json=body)


# --- codes ---


def test_who_has_no_second_factor_sets_one_up_and_is_in(world: World) -> None:
    browser = browser_of(world)
    step = log_in(browser, world.here.email).json()
    assert (step["next"], step["methods"], step["needs_password"]) == (
        "set_up_second_factor",
        ["passkey", "totp"],
        False,
    )
    assert browser.get("/api/patients").json()["code"] == "second_factor"
    made = browser.post("/api/my/totp", json={}).json()
    assert made["address"].startswith("otpauth://totp/telerehab:ida%40here.example?secret=" + made["secret"])
    assert made["qr_svg"].startswith("<svg")
    first_token = token_of(browser)
    code = code_now(pyotp.TOTP(made["secret"]), world)
    assert browser.post("/api/my/totp/confirm", json={"code": code}).status_code == 204
    assert token_of(browser) != first_token
    assert browser.get("/api/patients").status_code == 200
    assert browser.get("/api/my/second-factors").json() == {"totp": True, "passkeys": []}
    again = browser_of(world)
    assert log_in(again, world.here.email).json()["next"] == "second_factor"
    assert again.post("/api/login/totp", json={"code": code}).status_code == 401, "it was used to set up"


def test_a_secret_counts_only_after_a_code_of_it(sqlite_world: World) -> None:
    browser = browser_of(sqlite_world)
    log_in(browser, sqlite_world.here.email)
    browser.post("/api/my/totp", json={})
    assert browser.post("/api/my/totp/confirm", json={"code": "000000"}).status_code == 401
    assert log_in(browser, sqlite_world.here.email).json()["next"] == "set_up_second_factor"


def test_a_code_counts_once_and_no_older_one_after_it(world: World) -> None:
    app = with_totp(world, world.here.therapist_id)
    codes = [code_now(app, world, step=step) for step in (-1, 0)]
    outcomes = []
    for code in (codes[1], codes[1], codes[0]):
        browser = browser_of(world)
        log_in(browser, world.here.email)
        outcomes.append(browser.post("/api/login/totp", json={"code": code}).status_code)
    assert outcomes == [200, 401, 401]
    world.clock.advance(60)
    browser = browser_of(world)
    log_in(browser, world.here.email)
    assert browser.post("/api/login/totp", json={"code": code_now(app, world)}).status_code == 200


@pytest.mark.parametrize(("step", "status"), [(-2, 401), (-1, 200), (0, 200), (1, 200), (2, 401)])
def test_a_code_may_be_one_step_early_or_late(sqlite_world: World, step: int, status: int) -> None:
    app = with_totp(sqlite_world, sqlite_world.here.therapist_id)
    browser = browser_of(sqlite_world)
    log_in(browser, sqlite_world.here.email)
    code = code_now(app, sqlite_world, step=step)
    assert browser.post("/api/login/totp", json={"code": code}).status_code == status


def test_the_codes_are_those_of_the_standard() -> None:
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # RFC 6238, appendix B: the last six digits
    for at_s, code in ((59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037")):
        now = utc_now(ManualClock(utc_now_ns=at_s * 10**9))
        assert totp.accepted_step(secret, code, now=now, last_step=None) == at_s // 30


def test_codes_cannot_be_guessed_at_from_one_address_without_end(sqlite_world: World) -> None:
    app = with_totp(sqlite_world, sqlite_world.here.therapist_id)
    browser = browser_of(sqlite_world)
    log_in(browser, sqlite_world.here.email)
    wrong = f"{(int(code_now(app, sqlite_world)) + 1) % 1_000_000:06d}"
    statuses = [browser.post("/api/login/totp", json={"code": wrong}).status_code for _ in range(6)]
    assert statuses == [401] * 5 + [429]


def test_a_login_with_one_factor_ends_after_a_quarter_of_an_hour(sqlite_world: World) -> None:
    browser = browser_of(sqlite_world)
    log_in(browser, sqlite_world.here.email)
    sqlite_world.clock.advance(15 * 60)
    assert browser.get("/api/login").status_code == 401


def test_the_first_factor_alone_changes_nothing_where_there_is_a_second(world: World) -> None:
    with_totp(world, world.here.therapist_id)
    browser = browser_of(world)
    log_in(browser, world.here.email)
    for method, path, body in (
        ("POST", "/api/my/totp", {}),
        ("POST", "/api/my/totp/confirm", {"code": "123456"}),
        ("POST", "/api/my/passkeys/options", {}),
        ("POST", "/api/my/passkeys", {"challenge_id": str(uuid4()), "credential": {}}),
        ("PUT", "/api/my/password", {"old": PASSWORD, "new": NEW_PASSWORD}),
        ("DELETE", "/api/my/totp", None),
        ("GET", "/api/my/second-factors", None),
        ("GET", "/api/my/logins", None),
    ):
        answer = browser.request(method, path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "second_factor"), path
    assert log_in(browser, world.here.email).status_code == 200, "the password is the old one"


def test_the_last_second_factor_stays(world: World) -> None:
    with_totp(world, world.here.therapist_id)
    browser, device = world.as_staff("therapist"), Authenticator()
    refused = browser.delete("/api/my/totp")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_factor")
    assert enroll(browser, device).status_code == 204
    assert browser.delete("/api/my/totp").status_code == 204
    (passkey,) = browser.get("/api/my/second-factors").json()["passkeys"]
    refused = browser.delete(f"/api/my/passkeys/{passkey['id']}")
    assert (refused.status_code, refused.json()["code"]) == (409, "last_factor")


# --- passkeys ---


def test_a_passkey_alone_is_a_full_login(world: World) -> None:
    browser, device = browser_of(world), Authenticator()
    log_in(browser, world.here.email)
    first_token = token_of(browser)
    assert enroll(browser, device).status_code == 204
    assert token_of(browser) != first_token
    assert browser.get("/api/patients").status_code == 200

    elsewhere = browser_of(world)
    assert come_in(elsewhere, device).json() == {
        "next": "done",
        "methods": [],
        "needs_password": False,
        "face": "therapist",
    }
    assert elsewhere.get("/api/me").json()["account_id"] == str(world.here.therapist_id)
    (passkey,) = elsewhere.get("/api/my/second-factors").json()["passkeys"]
    assert passkey["last_used_at"] is not None
    with reading(world.database.main) as db:
        assert db.exec(select(Passkey.sign_count)).one() == 1
        assert db.exec(select(AuditEvent.action)).all() == ["add_passkey"]


def test_a_passkey_is_the_second_step_too(sqlite_world: World) -> None:
    browser, device = sqlite_world.as_staff("therapist"), Authenticator()
    enroll(browser, device)
    half = browser_of(sqlite_world)
    assert log_in(half, sqlite_world.here.email).json()["methods"] == ["passkey"]
    assert come_in(half, device).json()["next"] == "done"


def test_an_answer_to_a_challenge_counts_once(world: World) -> None:
    device = Authenticator()
    enroll(world.as_staff("therapist"), device)
    browser = browser_of(world)
    asked = browser.post("/api/login/passkey/options", json={}).json()
    body = {"challenge_id": asked["challenge_id"], "credential": device.answer(asked["options"])}
    assert [browser_of(world).post("/api/login/passkey", json=body).status_code for _ in range(2)] == [200, 401]


def test_a_challenge_is_good_for_five_minutes_and_then_goes(sqlite_world: World) -> None:
    device = Authenticator()
    enroll(sqlite_world.as_staff("therapist"), device)
    browser = browser_of(sqlite_world)
    asked = browser.post("/api/login/passkey/options", json={}).json()
    sqlite_world.clock.advance(300)
    body = {"challenge_id": asked["challenge_id"], "credential": device.answer(asked["options"])}
    assert browser.post("/api/login/passkey", json=body).status_code == 401
    browser.post("/api/login/passkey/options", json={})
    with reading(sqlite_world.database.main) as db:
        assert len(db.exec(select(PasskeyChallenge)).all()) == 1


def test_a_passkey_of_another_site_key_or_unverified_person_is_refused(sqlite_world: World) -> None:
    world, device = sqlite_world, Authenticator()
    enroll(world.as_staff("therapist"), device)
    browser = browser_of(world)
    device.origin = "https://evil.localhost"
    assert come_in(browser, device).status_code == 401
    device.origin, device.verifies_user = "https://clinic.localhost", False
    assert come_in(browser, device).status_code == 401
    assert come_in(browser, Authenticator()).status_code == 401, "nobody knows this one"
    impostor = Authenticator(credential_id=device.credential_id)
    assert come_in(browser, impostor).status_code == 401, "the id is right, the key is not"
    device.verifies_user = True
    assert come_in(browser, device).status_code == 200


def test_a_copied_passkey_is_found_by_its_count(sqlite_world: World) -> None:
    device = Authenticator()
    enroll(sqlite_world.as_staff("therapist"), device)
    device.count = 7
    assert come_in(browser_of(sqlite_world), device).status_code == 200
    device.count = 3
    assert come_in(browser_of(sqlite_world), device).status_code == 401


def test_a_challenge_is_for_its_purpose_and_its_holder(sqlite_world: World) -> None:
    world, device = sqlite_world, Authenticator()
    therapist, admin = world.as_staff("therapist"), world.as_staff("admin")
    asked = therapist.post("/api/my/passkeys/options", json={}).json()
    body = {"challenge_id": asked["challenge_id"], "credential": device.make(asked["options"])}
    assert admin.post("/api/my/passkeys", json=body).status_code == 401, "the challenge was the therapist's"
    assert therapist.post("/api/my/passkeys", json=body).status_code == 204
    asked = therapist.post("/api/my/passkeys/options", json={}).json()
    options = {**asked["options"], "rpId": "clinic.localhost"}
    body = {"challenge_id": asked["challenge_id"], "credential": device.answer(options)}
    assert browser_of(world).post("/api/login/passkey", json=body).status_code == 401, "a challenge to register"


def test_an_unverified_person_makes_no_passkey_and_nobody_takes_over_a_known_one(sqlite_world: World) -> None:
    device = Authenticator(verifies_user=False)
    assert enroll(sqlite_world.as_staff("therapist"), device).status_code == 401
    device.verifies_user = True
    assert enroll(sqlite_world.as_staff("therapist"), device).status_code == 204
    assert enroll(sqlite_world.as_staff("admin"), device).status_code == 401


@pytest.mark.parametrize("credential", [{}, {"id": "x"}, {"id": 7, "rawId": [], "type": "public-key", "response": {}}])
def test_what_is_no_answer_is_refused(sqlite_world: World, credential: dict[str, Any]) -> None:
    browser = sqlite_world.as_staff("therapist")
    asked = browser.post("/api/my/passkeys/options", json={}).json()["challenge_id"]
    body = {"challenge_id": asked, "credential": credential}
    assert browser.post("/api/my/passkeys", json=body).status_code == 401
    asked = browser.post("/api/login/passkey/options", json={}).json()["challenge_id"]
    body = {"challenge_id": asked, "credential": credential}
    assert browser_of(sqlite_world).post("/api/login/passkey", json=body).status_code == 401


def test_a_removed_passkey_lets_nobody_in(sqlite_world: World) -> None:
    with_totp(sqlite_world, sqlite_world.here.therapist_id)
    browser, device = sqlite_world.as_staff("therapist"), Authenticator()
    enroll(browser, device)
    (passkey,) = browser.get("/api/my/second-factors").json()["passkeys"]
    foreign = sqlite_world.as_staff("admin").delete(f"/api/my/passkeys/{passkey['id']}")
    assert foreign.status_code == 404
    assert browser.delete(f"/api/my/passkeys/{passkey['id']}").status_code == 204
    assert come_in(browser_of(sqlite_world), device).status_code == 401


def test_a_disabled_account_comes_in_no_way(world: World) -> None:
    device, app = Authenticator(), with_totp(world, world.here.therapist_id)
    enroll(world.as_staff("therapist"), device)
    half, inside = browser_of(world), world.as_staff("therapist")
    log_in(half, world.here.email)
    with writing(world.database.main, owner="web") as db:
        db.get_one(Account, world.here.therapist_id).disabled_at = utc_now(world.clock)
    assert inside.get("/api/me").status_code == 401
    assert half.post("/api/login/totp", json={"code": code_now(app, world)}).status_code == 401
    assert log_in(browser_of(world), world.here.email).status_code == 401
    assert come_in(browser_of(world), device).status_code == 401
    assert browser_of(world).post("/api/enter", json={"token": world.here.therapist_link}).status_code == 401


# --- links ---


def test_a_link_of_staff_leads_to_setting_up_password_and_second_factor(world: World) -> None:
    with writing(world.database.main, owner="web") as db:
        account = db.get_one(Account, world.here.therapist_id)
        account.password_hash = None
        link = provisioning.create_one_time_link(db, now=utc_now(world.clock), account_id=account.id)
    browser = browser_of(world)
    step = browser.post("/api/enter", json={"token": link.token}).json()
    assert (step["next"], step["needs_password"]) == ("set_up_second_factor", True)
    secret = browser.post("/api/my/totp", json={}).json()["secret"]
    code = code_now(pyotp.TOTP(secret), world)
    refused = browser.post("/api/my/totp/confirm", json={"code": code})
    assert (refused.status_code, refused.json()["code"]) == (409, "needs_password")
    assert browser.put("/api/my/password", json={"old": None, "new": NEW_PASSWORD}).status_code == 204
    assert browser.post("/api/my/totp/confirm", json={"code": code}).status_code == 204
    assert browser.get("/api/patients").status_code == 200


def test_a_link_is_no_way_around_the_second_factor(sqlite_world: World) -> None:
    world = sqlite_world
    with_totp(world, world.here.therapist_id)
    with writing(world.database.main, owner="web") as db:
        link = provisioning.create_one_time_link(db, now=utc_now(world.clock), account_id=world.here.therapist_id)
    browser = browser_of(world)
    assert browser.post("/api/enter", json={"token": link.token}).json()["next"] == "second_factor"
    assert browser.get("/api/patients").status_code == 403


# --- limits and my logins ---


@pytest.mark.parametrize(("who", "idle_s"), [("staff", 30 * 60), ("helper", 30 * 60), ("tablet", 90 * 24 * 3600)])
def test_a_login_that_nobody_uses_ends(sqlite_world: World, who: str, idle_s: int) -> None:
    world = sqlite_world
    browser = {"staff": lambda: world.as_staff("admin"), "helper": world.as_helper, "tablet": world.as_tablet}[who]()
    with writing(world.database.main, owner="web") as db:
        db.exec(select(Login)).one().expires_at = utc_now(world.clock) + timedelta(days=365)
    for _ in range(2):
        world.clock.advance(idle_s - 1)
        assert browser.get("/api/me").status_code == 200
    world.clock.advance(idle_s)
    assert browser.get("/api/me").status_code == 401


def test_what_a_page_asks_by_itself_keeps_no_login(sqlite_world: World) -> None:
    browser = sqlite_world.as_staff("therapist")
    for _ in range(30):
        sqlite_world.clock.advance(60)
        last = browser.get("/api/live-sessions").status_code
    assert last == 401


def test_a_tablets_token_changes_every_week_and_a_lost_answer_loses_no_tablet(world: World) -> None:
    tablet = world.as_tablet()
    with writing(world.database.main, owner="web") as db:
        db.exec(select(Login)).one().expires_at = utc_now(world.clock) + timedelta(days=365)
    old = token_of(tablet)
    world.clock.advance(timedelta(days=7).total_seconds() - 1)
    tablet.get("/api/me")
    assert token_of(tablet) == old
    world.clock.advance(1)
    lost = tablet.get("/api/me").headers["set-cookie"]
    assert old not in lost
    late = browser_of(world)
    late.cookies.set("__Host-telerehab", old, domain="clinic.localhost")
    world.clock.advance(59)
    assert late.get("/api/me").status_code == 200, "it was on its way"
    assert token_of(late) == old, "the answer to the first brings the new one"
    world.clock.advance(3600)
    assert late.get("/api/me").status_code == 200, "nobody has used the new one: its answer was lost"
    newest = token_of(late)
    assert newest not in (old, token_of(tablet))
    world.clock.advance(61)
    assert late.get("/api/me").status_code == 200
    for stale in (old, token_of(tablet)):
        other = browser_of(world)
        other.cookies.set("__Host-telerehab", stale, domain="clinic.localhost")
        assert other.get("/api/me").status_code == 401


def test_i_see_my_logins_and_end_them(world: World) -> None:
    here, there, colleague = world.as_staff("therapist"), world.as_staff("therapist"), world.as_staff("admin")
    with writing(world.database.main, owner="web") as db:
        for login in db.exec(select(Login)):
            login.browser = "Firefox, Linux"
    listed = here.get("/api/my/logins").json()
    assert [each["is_this"] for each in listed].count(True) == 1
    assert {each["browser"] for each in listed} == {"Firefox, Linux"}
    other = next(each["id"] for each in listed if not each["is_this"])
    assert colleague.delete(f"/api/my/logins/{other}").status_code == 404
    assert here.delete(f"/api/my/logins/{other}").status_code == 204
    assert ("login", other) in [(change.table, str(change.id)) for change in world.changes.told]
    assert there.get("/api/me").status_code == 401
    third = world.as_staff("therapist")
    assert here.delete("/api/my/logins").status_code == 204
    assert [browser.get("/api/me").status_code for browser in (here, third, colleague)] == [200, 401, 200]


def test_a_new_password_ends_the_other_logins(world: World) -> None:
    here, there = world.as_staff("therapist"), world.as_staff("therapist")
    answer = here.put("/api/my/password", json={"old": PASSWORD, "new": NEW_PASSWORD})
    assert answer.status_code == 204
    assert [browser.get("/api/me").status_code for browser in (here, there)] == [200, 401]
    assert "login" in {change.table for change in world.changes.told}
    assert log_in(browser_of(world), world.here.email).status_code == 401
    body = {"email": world.here.email, "password": NEW_PASSWORD}
    assert browser_of(world).post("/api/login", json=body).status_code == 200


@pytest.mark.parametrize(
    ("new", "kind"),
    [("kort", "too_short"), ("Sommer2026!!!", "too_common"), ("ida@here.example1", "too_common")],
)
def test_a_password_that_is_guessed_first_is_refused(sqlite_world: World, new: str, kind: str) -> None:
    browser = sqlite_world.as_staff("therapist")
    refused = browser.put("/api/my/password", json={"old": PASSWORD, "new": new})
    assert (refused.status_code, refused.json()["faults"]) == (422, [{"at": "new", "kind": kind}])


def test_who_does_not_know_the_old_password_sets_no_new_one(sqlite_world: World) -> None:
    browser = sqlite_world.as_staff("therapist")
    statuses = [
        browser.put("/api/my/password", json={"old": old, "new": NEW_PASSWORD}).status_code
        for old in (None, "wrong", "wrong", "wrong", "wrong", "wrong")
    ]
    assert statuses == [401] * 5 + [429]


def test_a_flood_from_one_address_leaves_the_victim_able_to_log_in_from_another(sqlite_world: World) -> None:
    world = sqlite_world
    for _ in range(80):
        log_in_wrong = {"email": world.here.email, "password": "guess"}
        world.client.post("/api/login", json=log_in_wrong)
    assert log_in(world.client, world.here.email).status_code == 429
    elsewhere = TestClient(
        world.app, base_url="https://clinic.localhost", client=("192.0.2.7", 1), headers={"X-Telerehab": "1"}
    )
    elsewhere.portal = world.client.portal
    assert log_in(elsewhere, world.here.email).status_code == 200


def test_the_rows_of_second_factors_hold_no_secret_in_the_clear(sqlite_world: World) -> None:
    browser = browser_of(sqlite_world)
    log_in(browser, sqlite_world.here.email)
    secret = browser.post("/api/my/totp", json={}).json()["secret"]
    with reading(sqlite_world.database.main) as db:
        account = db.exec(select(Account).where(col(Account.id) == sqlite_world.here.therapist_id)).one()
    assert account.totp_pending_sealed is not None
    assert secret.encode() not in account.totp_pending_sealed
