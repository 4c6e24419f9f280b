from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import UUID

import pyotp
import pytest
from httpx2 import Response
from sqlmodel import col, select
from starlette.testclient import TestClient

from telerehab.auth import totp
from telerehab.auth.cookies import COOKIE_NAME
from telerehab.auth.key_ring import open_key_ring
from telerehab.clock import utc_now
from telerehab.db import provisioning
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Account, Login, Tablet, TabletPairingCode
from tests.telerehab.api.world import PASSWORD, WRITE, World, token_of


def log_in(browser: TestClient, email: str) -> Response:
    return browser.post("/api/login", json={"email": email, "password": PASSWORD})


def with_totp(world: World, account_id: UUID) -> pyotp.TOTP:
    """Give an account an authenticator app, and return it."""
    secret = totp.new_secret()
    with writing(world.database.main, owner="web") as db:
        account = db.get_one(Account, account_id)
        account.totp_secret_sealed = totp.seal_secret(
            secret, key_ring=open_key_ring(world.settings), account_id=account_id
        )
    return pyotp.TOTP(secret)


def code_now(app: pyotp.TOTP, world: World, *, step: int = 0) -> str:
    return app.generate_otp(int(utc_now(world.clock).timestamp()) // 30 + step)


def test_a_therapist_logs_in_by_password_and_code_and_out_again(world: World) -> None:
    app = with_totp(world, world.here.therapist_id)
    answer = log_in(world.client, "IDA@here.example")
    assert answer.json() == {
        "next": "second_factor",
        "methods": ["totp"],
        "needs_password": False,
        "face": "therapist",
    }
    first_token = token_of(world.client)
    for path in ("/api/me", "/api/patients"):
        refused = world.client.get(path)
        assert (refused.status_code, refused.json()["code"]) == (403, "second_factor")
    assert world.client.get("/api/login").json()["next"] == "second_factor"
    answer = world.client.post("/api/login/totp", json={"code": code_now(app, world)})
    assert answer.json() == {"next": "done", "methods": [], "needs_password": False, "face": "therapist"}
    token = token_of(world.client)
    assert token != first_token
    assert world.client.get("/api/me").json() == {
        "role": "therapist",
        "display_name": "Ida Therapist here",
        "language": "da",
        "account_id": str(world.here.therapist_id),
        "patient_id": None,
        "helper_id": None,
        "is_full": True,
        "has_pin": False,
        "organisation": {
            "id": str(world.here.organisation_id),
            "name": "here",
            "service": "full",
            "help_telephone": None,
            "time_zone": "Europe/Copenhagen",
        },
    }
    assert world.client.post("/api/logout").status_code == 204
    assert COOKIE_NAME not in world.client.cookies
    for old in (first_token, token):
        world.client.cookies.set(COOKIE_NAME, old, domain="clinic.localhost")
        assert world.client.get("/api/me").status_code == 401


def test_the_login_cookie_is_for_our_own_pages_only(sqlite_world: World) -> None:
    answer = sqlite_world.client.post("/api/enter", json={"token": sqlite_world.here.tablet_link})
    name, _, rest = answer.headers["set-cookie"].partition("=")
    flags = {part.strip().lower() for part in rest.split(";")[1:]}
    assert name == "__Host-telerehab"
    assert {"httponly", "secure", "samesite=lax", "path=/"} <= flags
    assert not any(flag.startswith("domain") for flag in flags)


@pytest.mark.parametrize(("email", "password"), [("ida@here.example", "wrong"), ("nobody@here.example", PASSWORD)])
def test_a_wrong_password_and_an_unknown_account_get_the_same_answer(
    sqlite_world: World, email: str, password: str
) -> None:
    answer = sqlite_world.client.post("/api/login", json={"email": email, "password": password})
    assert answer.status_code == 401
    assert answer.json()["code"] == "login_failed"
    assert answer.json()["detail"] == "wrong e-mail or password"
    assert "set-cookie" not in answer.headers


def test_guessing_at_one_account_locks_nobody_else_out(sqlite_world: World) -> None:
    world = sqlite_world
    for _ in range(5):
        assert world.client.post("/api/login", json={"email": world.here.email, "password": "x"}).status_code == 401
    refused = world.client.post("/api/login", json={"email": world.here.email, "password": PASSWORD})
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_attempts")
    assert 0 < int(refused.headers["retry-after"]) <= 12
    colleague = world.client.post("/api/login", json={"email": world.there.email, "password": PASSWORD})
    assert colleague.status_code == 200
    world.clock.advance(12)
    assert world.client.post("/api/login", json={"email": world.here.email, "password": PASSWORD}).status_code == 200


def test_an_address_that_tries_account_after_account_has_to_wait(sqlite_world: World) -> None:
    def guess(number: int) -> int:
        body = {"email": f"{number}@here.example", "password": "guess"}
        return int(sqlite_world.client.post("/api/login", json=body).status_code)

    assert [guess(number) for number in range(51)] == [401] * 50 + [429]
    sqlite_world.clock.advance(2)
    assert [guess(number) for number in (51, 52)] == [401, 429]


def test_a_one_time_link_logs_in_once(world: World) -> None:
    first = world.client.post("/api/enter", json={"token": world.here.therapist_link})
    assert (first.status_code, first.json()["next"], first.json()["face"]) == (200, "done", "therapist")
    second = world.browser().post("/api/enter", json={"token": world.here.therapist_link})
    assert (second.status_code, second.json()["code"]) == (401, "login_failed")
    assert "set-cookie" not in second.headers


def test_of_many_browsers_with_one_link_at_once_one_gets_in(world: World) -> None:
    browsers = [world.browser() for _ in range(6)]
    for browser in browsers:
        browser.portal = world.client.portal

    def enter(browser: TestClient) -> int:
        return int(browser.post("/api/enter", json={"token": world.here.therapist_link}).status_code)

    with ThreadPoolExecutor(len(browsers)) as pool:
        assert sorted(pool.map(enter, browsers)) == [200, *[401] * 5]


def test_a_tablets_link_shows_the_patients_face_and_pairs_the_tablet(world: World) -> None:
    answer = world.client.post("/api/enter", json={"token": world.here.tablet_link})
    assert answer.json() == {"next": "done", "methods": [], "needs_password": False, "face": "patient"}
    me = world.client.get("/api/me").json()
    assert (me["role"], me["patient_id"], me["account_id"]) == ("tablet", str(world.here.patient_ids[0]), None)
    with reading(world.database.main) as db:
        tablet = db.exec(select(Tablet).where(col(Tablet.patient_id) == world.here.patient_ids[0])).one()
        assert tablet.paired_at == utc_now(world.clock)


@pytest.mark.parametrize("token", ["A" * 43, "short", "ø" * 43])
def test_an_unknown_link_is_refused(sqlite_world: World, token: str) -> None:
    assert sqlite_world.client.post("/api/enter", json={"token": token}).status_code == 401


def test_a_link_expires(sqlite_world: World) -> None:
    sqlite_world.clock.advance(timedelta(days=1).total_seconds())
    answer = sqlite_world.client.post("/api/enter", json={"token": sqlite_world.here.therapist_link})
    assert answer.status_code == 401


def test_a_login_of_staff_ends_after_twelve_hours_of_work(sqlite_world: World) -> None:
    browser = sqlite_world.as_staff("therapist")
    for _ in range(12 * 3 - 1):
        sqlite_world.clock.advance(20 * 60)
        assert browser.get("/api/me").status_code == 200
    sqlite_world.clock.advance(20 * 60)
    assert browser.get("/api/me").status_code == 401


def test_logging_in_gives_a_new_token_and_ends_the_old_login(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    old_token = token_of(browser)
    assert browser.post("/api/login", json={"email": world.here.email, "password": PASSWORD}).status_code == 200
    assert token_of(browser) != old_token
    assert [change.table for change in world.changes.told] == ["login"]
    other = world.browser()
    other.cookies.set(COOKIE_NAME, old_token, domain="clinic.localhost")
    assert other.get("/api/me").status_code == 401


def test_a_logout_is_told_so_that_the_socket_closes(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    browser.post("/api/logout")
    with reading(world.database.main) as db:
        login = db.exec(select(Login)).one()
    assert [(change.table, change.id) for change in world.changes.told] == [("login", login.id)]
    assert login.revoked_at == utc_now(world.clock)


def test_a_revoked_tablet_is_logged_out(world: World) -> None:
    browser = world.logged_in(world.here.tablet_link)
    with writing(world.database.main, owner="web") as db:
        tablet = db.exec(select(Tablet).where(col(Tablet.patient_id) == world.here.patient_ids[0])).one()
        tablet.revoked_at = utc_now(world.clock)
    assert browser.get("/api/me").status_code == 401
    with writing(world.database.main, owner="web") as db:
        link = provisioning.create_one_time_link(db, now=utc_now(world.clock), tablet_id=tablet.id)
    assert world.browser().post("/api/enter", json={"token": link.token}).status_code == 401


def test_neither_tokens_nor_codes_are_kept_in_the_database(world: World) -> None:
    browser = world.logged_in(world.here.therapist_link)
    code = browser.post("/api/tablet-pairing-codes", json={"patient_id": str(world.here.patient_ids[0])}).json()["code"]
    with reading(world.database.main) as db:
        assert token_of(browser) not in db.exec(select(Login.token_hash)).one()
        assert code not in db.exec(select(TabletPairingCode.code_hash)).one()


def _pairing_code(world: World) -> str:
    browser = world.logged_in(world.here.therapist_link)
    answer = browser.post("/api/tablet-pairing-codes", json={"patient_id": str(world.here.patient_ids[1])})
    assert answer.status_code == 201
    return str(answer.json()["code"])


def test_six_digits_pair_a_tablet_once(world: World) -> None:
    code = _pairing_code(world)
    assert len(code) == 6
    tablet = world.browser()
    assert tablet.post("/api/tablet-pairing", json={"code": code}).json()["face"] == "patient"
    assert tablet.get("/api/me").json()["patient_id"] == str(world.here.patient_ids[1])
    again = world.browser().post("/api/tablet-pairing", json={"code": code})
    assert (again.status_code, again.json()["code"]) == (401, "login_failed")


def test_six_digits_are_good_for_ten_minutes(sqlite_world: World) -> None:
    code = _pairing_code(sqlite_world)
    sqlite_world.clock.advance(600)
    assert sqlite_world.browser().post("/api/tablet-pairing", json={"code": code}).status_code == 401


def test_a_new_code_for_a_patient_voids_the_older_one(sqlite_world: World) -> None:
    world = sqlite_world
    therapist = world.logged_in(world.here.therapist_link)
    body = {"patient_id": str(world.here.patient_ids[0])}
    older, newer = (therapist.post("/api/tablet-pairing-codes", json=body).json()["code"] for _ in range(2))
    assert world.browser().post("/api/tablet-pairing", json={"code": older}).status_code == 401
    assert world.browser().post("/api/tablet-pairing", json={"code": newer}).status_code == 200


def test_codes_cannot_be_guessed_at_without_end_from_one_address(sqlite_world: World) -> None:
    code = _pairing_code(sqlite_world)
    wrong = f"{(int(code) + 1) % 1_000_000:06d}"
    statuses = [sqlite_world.client.post("/api/tablet-pairing", json={"code": wrong}).status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]
    sqlite_world.clock.advance(30)
    assert sqlite_world.client.post("/api/tablet-pairing", json={"code": code}).status_code == 200


def test_a_code_that_was_guessed_at_too_often_is_void(world: World) -> None:
    code = _pairing_code(world)
    world.client.post("/api/tablet-pairing", json={"code": f"{(int(code) + 1) % 1_000_000:06d}"})
    with writing(world.database.main, owner="web") as db:
        row = db.exec(select(TabletPairingCode)).one()
        assert row.attempts == 1
        row.attempts = 1_000
    assert world.client.post("/api/tablet-pairing", json={"code": code}).status_code == 401


def test_a_browser_without_our_cookie_is_nobody(sqlite_world: World) -> None:
    for cookie in ("", "x", "A" * 43):
        answer = sqlite_world.browser().get("/api/me", headers={**WRITE, "Cookie": f"{COOKIE_NAME}={cookie}"})
        assert (answer.status_code, answer.json()["code"]) == (401, "not_logged_in")
