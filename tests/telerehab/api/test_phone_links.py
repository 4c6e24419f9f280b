"""Links that make a telephone a sensor: who makes them, what they are worth, and for how long."""

from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import col, select
from starlette.testclient import TestClient

from telerehab.auth.device_credentials import SqlCredentials
from telerehab.auth.phone_links import LINK_LIFETIME, TOKEN_MAX_CHARS
from telerehab.db.engine import reading
from telerehab.db.tables import AuditEvent
from telerehab.intake.places import MOVEMENT_KINDS
from tests.telerehab.api.world import World


def lent(world: World, name: str = "phone-1", *, kind: str = "phone") -> str:
    """Make a device, lend it to the first patient, and return the assignment."""
    manager = world.as_staff("team_manager")
    assert manager.post("/api/devices", json={"name": name, "kind": kind}).status_code == 201
    wish = {"device_name": name, "body_site": f"thigh_{'left' if kind == 'phone' else 'right'}"}
    made = manager.post(f"/api/patients/{world.here.patient_ids[0]}/assignments", json=wish)
    assert made.status_code == 201, made.text
    return str(made.json()[0]["id"])


def make_link(browser: TestClient, assignment: str) -> dict[str, Any]:
    answer = browser.post(f"/api/assignments/{assignment}/phone-link")
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def claim(world: World, token: str) -> tuple[int, dict[str, Any]]:
    answer = world.browser().post("/api/phone-links/claim", json={"token": token})
    return answer.status_code, answer.json()


def may_log_in(world: World, password: str) -> bool:
    credentials = SqlCredentials(world.database.main, world.settings)
    credentials.refresh()
    return credentials.may_log_in("phone-1", password)


def test_a_link_makes_one_telephone_the_sensor_and_the_next_one_takes_it_over(sqlite_world: World) -> None:
    world = sqlite_world
    therapist, assignment = world.logged_in(world.here.therapist_link), lent(world)
    first = make_link(therapist, assignment)
    assert first["qr_svg"].startswith("<svg")
    address, _, token = first["link"].partition("#")  # a fragment is never sent nor logged
    assert address == "https://clinic.localhost/sensor"
    older = make_link(therapist, assignment)["link"].partition("#")[2]
    status, phone = claim(world, token)
    assert (status, phone["device"]) == (200, "phone-1")
    assert may_log_in(world, phone["password"])
    for used in (token, older):
        assert claim(world, used)[0] == 401
    second = make_link(therapist, assignment)["link"].partition("#")[2]
    assert may_log_in(world, phone["password"])  # a link that nobody takes changes nothing
    another = claim(world, second)[1]
    assert may_log_in(world, another["password"])
    assert not may_log_in(world, phone["password"])
    with reading(world.database.main) as db:
        actions = db.exec(select(AuditEvent).where(col(AuditEvent.action).in_(["invite_phone", "pair_phone"]))).all()
        assert [event.action for event in actions].count("pair_phone") == 2
        assert not [event for event in actions if token in event.record or phone["password"] in event.record]
    assert "phone" in MOVEMENT_KINDS


def test_a_link_that_was_not_made_so_is_none(sqlite_world: World) -> None:
    world = sqlite_world
    manager, assignment = world.as_staff("team_manager"), lent(world)
    lent(world, "s-1", kind="imu6")
    token = make_link(manager, assignment)["link"].partition("#")[2]
    device, expires, mac = token.split(".")
    forged = [
        "x",
        "..",
        f"{device}.{expires}.",
        f"{device}.{expires}.{mac[:-2]}xx",
        f"{device}.{int(expires) + 1}.{mac}",
        f"s-1.{expires}.{mac}",
        f"stranger.{expires}.{mac}",
        f"{device}.{expires}.{mac}.more",
        f"{device}.²³.{mac}",
        f"{device}.{expires}.æ",
        f"../{device}.{expires}.{mac}",
        f"{device}.{'9' * 90}.{mac}",
    ]
    for wrong in forged:
        world.clock.advance(60)
        assert (claim(world, wrong)[0], wrong) == (401, wrong)
    assert claim(world, "x" * (TOKEN_MAX_CHARS + 1))[0] == 422
    assert claim(world, token)[0] == 200


@pytest.mark.parametrize("how", ["expired", "revoked"])
def test_a_link_ends_with_its_day_and_with_its_device(sqlite_world: World, how: str) -> None:
    world = sqlite_world
    manager, assignment = world.as_staff("team_manager"), lent(world)
    token = make_link(manager, assignment)["link"].partition("#")[2]
    if how == "expired":
        world.clock.advance((LINK_LIFETIME + timedelta(seconds=1)).total_seconds())
    else:
        assert manager.delete("/api/devices/phone-1").status_code == 204
    assert claim(world, token)[0] == 401


def test_links_are_for_telephones_that_are_lent_to_ones_own_patients(sqlite_world: World) -> None:
    world = sqlite_world
    manager, assignment = world.as_staff("team_manager"), lent(world)
    sensor = lent(world, "s-1", kind="imu6")
    assert manager.post(f"/api/assignments/{sensor}/phone-link").json()["code"] == "not_a_phone"
    for stranger in (world.logged_in(world.there.therapist_link), world.as_staff("team_manager", clinic=world.there)):
        assert stranger.post(f"/api/assignments/{assignment}/phone-link").status_code == 404
    assert manager.post(f"/api/assignments/{assignment}/end").status_code == 200
    assert manager.post(f"/api/assignments/{assignment}/phone-link").json()["code"] == "not_lent"


def test_whoever_guesses_at_links_is_slowed_down(sqlite_world: World) -> None:
    statuses = [claim(sqlite_world, "phone-1.9999999999.x")[0] for _ in range(25)]
    assert statuses[0] == 401
    assert statuses[-1] == 429
