"""A therapist sets up a second factor, pairs a tablet over the telephone, opens a live session, lets the patient in."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import Error, Page

from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.passwords import Passwords
from telerehab.clock import SystemClock, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import open_database, writing
from telerehab.db.migrate import upgrade
from telerehab.settings import Settings
from tests.browser.chromium import chromium
from tests.browser.rooms import wait_for, wait_until_frames_grow
from tests.demo_process import free_port

EMAIL, PASSWORD = "therapist@clinic.example", "correct horse battery"


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The whole application, as `telerehab serve` runs it, with one therapist and one patient."""
    settings = Settings(
        data_dir=tmp_path, mqtt_port=free_port(), web_port=free_port(), public_hosts=["*.localhost"], dev=True
    )
    upgrade(settings)
    database = open_database(settings)
    with writing(database.main, owner="web") as db:
        clinic = provisioning.create_organisation(db, name="clinic")
        therapist = provisioning.create_account(
            db,
            organisation_id=clinic.id,
            email=EMAIL,
            display_name="Mette",
            password_hash=Passwords(memory_cost_kib=1024).hash(PASSWORD),
        )
        patient = provisioning.create_patient(
            db,
            key_ring=open_key_ring(settings),
            organisation_id=clinic.id,
            name="Else Juhl",
            birth_date=date(1941, 5, 6),
        )
        provisioning.create_care_relation(
            db, account_id=therapist.id, patient_id=patient.id, starts_at=utc_now(SystemClock())
        )
    database.close()
    log = (tmp_path / "serve.log").open("wb")
    server = subprocess.Popen(
        [sys.executable, "-m", "telerehab", "serve", "--dev"],
        env={**os.environ, **settings.as_environment()},
        stdout=log,
        stderr=log,
    )
    try:
        yield settings.web_port
    finally:
        server.terminate()
        assert server.wait(30) == 0
        log.close()
        said = (tmp_path / "serve.log").read_text(errors="replace")
        assert not [secret for secret in (PASSWORD, EMAIL, "Else Juhl") if secret in said]


def open_when_served(page: Page, address: str) -> None:
    def is_served() -> bool:
        try:
            page.goto(address)
        except Error as error:
            if "ERR_CONNECTION_REFUSED" not in error.message and "chrome-error:" not in error.message:
                raise
            return False
        return True

    wait_for("the pages", is_served, page)


def log_in_with_password(page: Page, port: int) -> None:
    open_when_served(page, f"http://clinic.localhost:{port}/enter")
    page.locator('input[type="email"]').fill(EMAIL)
    page.locator('input[type="password"]').fill(PASSWORD)
    page.locator('[data-action="log-in"]').click()


def set_up_codes(page: Page) -> pyotp.TOTP:
    """Set up an authenticator app as the page asks for at the first login, and be in."""
    page.locator('[data-action="setup-totp"]').click()
    app = pyotp.TOTP(re.sub(r"\s", "", page.locator("code").first.inner_text()))
    page.locator("input.code").fill(app.now())
    page.locator('[data-action="confirm-totp"]').click()
    page.wait_for_url("**/therapist*")
    return app


def log_out(page: Page, port: int) -> None:
    page.goto(f"http://clinic.localhost:{port}/therapist#/me")
    page.locator('[data-action="me-log-out"]').click()
    page.wait_for_url("**/enter*")
    assert me_of(page) == 401


def me_of(page: Page) -> int:
    """Return how the server answers who this browser is."""
    status: int = page.evaluate("async () => (await fetch('/api/me')).status")
    return status


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_a_therapist_and_a_paired_tablet_meet(port: int) -> None:
    with chromium() as browser:
        therapist, tablet = browser.new_context().new_page(), browser.new_context().new_page()
        log_in_with_password(therapist, port)
        set_up_codes(therapist)

        therapist.goto(f"http://clinic.localhost:{port}/therapist#/sessions")
        therapist.locator('[data-action="pairing-code"]').click()
        said = re.search(r"(\d{3}) (\d{3})\D*$", therapist.locator("strong.code").inner_text())
        assert said is not None
        tablet.goto(f"http://home.localhost:{port}/enter")
        tablet.locator("input.code").fill("".join(said.groups()))
        tablet.locator('[data-action="pair"]').click()
        tablet.wait_for_url("**/patient*")

        therapist.locator('input[type="checkbox"]').check()
        therapist.locator('[data-action="create"]').click()
        tablet.locator('[data-action="start"]').click(timeout=20_000)
        therapist.locator('[data-action="admit"]').first.click(timeout=20_000)
        wait_for("the training screen", lambda: tablet.locator('[data-action="pause"]').count() == 1, tablet)
        wait_until_frames_grow(therapist, slots=["video-0"])

        therapist.locator('[data-action="camera"]').click()
        wait_until_frames_grow(tablet, slots=["video-0"])
        therapist.locator('[data-action="end"]').click()
        therapist.locator('[data-action="end-yes"]').click()
        wait_for("the receipt", lambda: tablet.locator('[data-action="receipt-done"]').count() == 1, tablet)


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_a_therapist_comes_in_by_code_and_by_passkey(port: int) -> None:
    with chromium() as browser:
        page = browser.new_context().new_page()
        log_in_with_password(page, port)
        app = set_up_codes(page)

        devices = page.context.new_cdp_session(page)
        devices.send("WebAuthn.enable")
        devices.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                }
            },
        )
        page.goto(f"http://clinic.localhost:{port}/therapist#/me")
        page.locator('[data-action="passkey-add"]').click()
        wait_for("the passkey", lambda: page.locator('[data-action="passkey-remove"]').count() == 1, page)

        log_out(page, port)
        page.locator('[data-action="passkey"]').first.click()
        page.wait_for_url("**/therapist*")
        assert me_of(page) == 200, "a passkey alone is a full login"

        log_out(page, port)
        log_in_with_password(page, port)
        # the field for a tablet's code is there before: only the step of the second factor has this button
        page.locator('[data-action="give-code"]').wait_for()
        page.locator("input.code").fill(app.at(int(time.time()), counter_offset=1))  # the last one has counted
        assert me_of(page) == 403, "the password alone opens nothing"
        page.locator('[data-action="give-code"]').click()
        page.wait_for_url("**/therapist*")
        assert me_of(page) == 200
