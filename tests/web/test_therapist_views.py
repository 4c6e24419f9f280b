"""Every view of the therapist in a real browser, in both languages: axe, the keyboard alone, one panel at a time."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.web.fake_care import ELSE, STRANGER, FakeCare, care_clinic
from tests.web.fake_clinic import LIVE_SESSION, FakeClinic, serve_clinic
from tests.web.inspection import Inspector, press, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

RECORD = f"#/patients/{ELSE}"
OpenPage = Callable[..., Page]


def go(page: Page, clinic: FakeClinic, address: str, shown: str) -> None:
    """Follow a link of the page and wait until its panels are there."""
    page.evaluate("address => location.hash = address", address)
    page.wait_for_selector(shown)
    wait_until_read(page)
    assert clinic.url in page.url


def wait_until_read(page: Page) -> None:
    """Wait until no panel is loading any more."""
    waiting = page.locator("main [role=status]", has_text="…")
    wait_for(lambda: waiting.count() == 0, page)


def raise_everything(care: FakeCare) -> None:
    """Let somebody call for help, let a stop stand, let a sensor be lost, let an acknowledged stop wait."""
    seen = {"action": "called", "at": care.at(minutes=1), "account_name": "Mette Holm", "note": None}
    lost = {"cause": "stream_lost", "value": None, "limit": None, "is_stop": False, "is_standing": False}
    care.alerts = [
        care.alert(),
        care.alert(id=ELSE, **lost, needs_confirmation_by=None),
        care.alert(id=STRANGER, acknowledged=seen),
    ]
    care.help_calls = [care.help_call()]


def test_the_daily_pages_are_accessible(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.notices = [care.notice()]
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        inspector = Inspector(page, for_patients=False)
        page.wait_for_selector(".case")
        page.wait_for_selector("[data-notice]")
        inspector.look("caseload")
        press(page, "why")
        page.wait_for_selector("dialog table")
        inspector.look("why a flag")
        press(page, "dialog-close")
        raise_everything(care)
        page.wait_for_selector("[data-help-call]")
        inspector.look("caseload with alerts")
        press(page, "acknowledge")
        page.wait_for_selector("dialog[open]")
        inspector.look("acknowledge")
        press(page, "dialog-close")
        press(page, "answer-help")
        page.wait_for_selector(".telephone")
        inspector.look("answer a help call")
        press(page, "help-to-close")
        page.wait_for_selector('[data-action="close-help-save"]')
        inspector.look("close a help call")
        press(page, "dialog-close")
        go(page, clinic, "#/sessions", ".card.new")
        inspector.look("live sessions")
        go(page, clinic, "#/calendar", '[data-action="feed-make"]')
        press(page, "feed-make")
        page.wait_for_selector('[data-action="copy"]')
        inspector.look("appointments")
        go(page, clinic, f"#/live/{LIVE_SESSION}", ".tile")
        page.wait_for_selector("[data-alert]")
        inspector.look("room with alerts")
        go(page, clinic, "#/me", '[data-action="totp-add"]')
        press(page, "totp-add")
        page.wait_for_selector(".qr")
        inspector.look("me")
    assert inspector.wrong == []
    assert inspector.screen_count == 10


def test_every_section_of_a_record_is_accessible(open_page: OpenPage) -> None:
    clinic, _ = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}")
        inspector = Inspector(page, for_patients=False)
        page.wait_for_selector(".flag")
        inspector.look("overview")
        press(page, "reveal-cpr")
        page.wait_for_selector("dialog[open]")
        inspector.look("reveal")
        press(page, "dialog-close")
        go(page, clinic, f"{RECORD}/plan", ".versions")
        press(page, "plan-changes")
        page.wait_for_selector(".changes")
        inspector.look("plan")
        press(page, "plan-edit")
        page.wait_for_selector("[name=template] option", state="attached")
        inspector.look("plan editor")
        press(page, "plan-discard")
        go(page, clinic, f"{RECORD}/training", ".training-list")
        press(page, "results")
        page.wait_for_selector('[data-action="correct"]')
        press(page, "correct")
        press(page, "repetitions")
        page.wait_for_selector('.problem[data-completeness="82"]')
        inspector.look("training")
        press(page, "retract")
        page.fill("[name=right-patient]", "poul")
        page.wait_for_selector("dialog .person")
        inspector.look("wrong patient")
        press(page, "dialog-close")
        for section, shown in (("goals", "q"), ("messages", ".messages"), ("course", ".clocks")):
            go(page, clinic, f"{RECORD}/{section}", shown)
            inspector.look(section)
        press(page, "referral-edit")
        page.wait_for_selector("[name=discharged_on]")
        inspector.look("referral")
        go(page, clinic, f"{RECORD}/access", '[data-action="helper-invite"]')
        invite_helper(page)
        inspector.look("helpers, consents, access log")
        go(page, clinic, f"{RECORD}/equipment", '[data-action="lend"]')
        press(page, "tablet-qr")
        page.wait_for_selector(".qr")
        press(page, "tablet-code")
        page.wait_for_selector(".six-digits")
        press(page, "phone-link")
        page.locator(".hand-over .qr").nth(1).wait_for()
        page.select_option('form:has([data-action="lend"]) select >> nth=0', "device imu-0102")
        page.wait_for_selector('[data-hindrance="device_not_empty"]')
        inspector.look("tablets and sensors")
        press(page, "wipe")
        page.wait_for_selector('[data-action="wipe-yes"]')
        inspector.look("wiping a sensor")
    assert inspector.wrong == []
    assert inspector.screen_count == 13


def invite_helper(page: Page) -> None:
    """Fill in and send an invitation."""
    page.fill("[name=helper-name]", "Lone")
    page.check("[name=helper-consent]")
    page.click('[data-action="helper-invite"]')
    page.wait_for_selector(".hand-over .qr")


def test_emergency_access_and_what_is_not_there_are_accessible(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist#/patients/{STRANGER}")
        inspector = Inspector(page, for_patients=False)
        page.wait_for_selector('[data-action="emergency"]')
        press(page, "emergency")
        page.wait_for_selector("[name=sure]")
        inspector.look("not found, with emergency access")
        go(page, clinic, "#/find", "[name=cpr]")
        inspector.look("emergency access by CPR")
        care.patient_count = 0
        go(page, clinic, "#/", ".caseload .empty")
        inspector.look("no patients")
        care.refused = {"GET /api/caseload": (500, "internal")}
        page.wait_for_selector('.caseload [data-action="retry"]')
        inspector.look("caseload cannot be read")
    assert inspector.wrong == []
    assert inspector.screen_count == 4


def test_the_keyboard_alone_reaches_every_control_of_caseload_and_record(open_page: OpenPage) -> None:
    clinic, care = care_clinic("en")
    raise_everything(care)
    controls = "button, input, select, textarea, a[href]"
    reach = """selector => { const all = [...document.querySelectorAll(selector)]
        .filter(one => one.checkVisibility()); return [all.indexOf(document.activeElement), all.length]; }"""
    with serve_clinic(clinic):
        for address, shown in (("#/", ".case"), (f"{RECORD}/plan", ".versions"), (f"{RECORD}/training", ".month")):
            page = open_page(clinic, f"/therapist{address}")
            page.wait_for_selector(shown)
            page.wait_for_selector("[data-alert]")
            wait_until_read(page)
            if "plan" in address:
                press(page, "plan-edit")
                page.wait_for_selector(".item")
            count = page.evaluate(reach, controls)[1]
            reached = set()
            for _ in range(count * 3):  # a date has several stops
                page.keyboard.press("Tab")
                reached.add(page.evaluate(reach, controls)[0])
            assert len(reached - {-1}) == count, address


def test_one_failing_panel_leaves_the_others_and_comes_back(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.refused = {"/consents": (500, "internal"), "/access-log": (404, "not_found")}
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/access")
        page.wait_for_selector('[data-action="retry"]')
        assert "Lone (datter)" in page.inner_text("main")
        assert page.locator('main [role="alert"]').count() == 2
        care.refused = {}
        page.locator('[data-action="retry"]').first.click()
        page.wait_for_selector("text=Opkald besvares af sig selv")
        assert page.locator('main [role="alert"]').count() == 1


def test_every_patient_to_choose_is_named_with_the_birth_date(open_page: OpenPage) -> None:
    clinic, _ = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.wait_for_selector(".case")
        assert "født 1. januar 1936" in page.inner_text(".case >> nth=0")
        press(page, "language")
        wait_for(lambda: "born 1 January 1936" in page.inner_text(".case >> nth=0"), page)
        go(page, clinic, "#/sessions", ".choose li")
        for line in page.locator(".choose label").all_inner_texts():
            assert "born " in line, line
