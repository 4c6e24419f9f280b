"""What a therapist does in a real browser: alerts, help calls, caseload, plan, wrong patient, emergency access."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.web.fake_care import ALERT, ELSE, HELP_CALL, STRANGER, TRAINING, care_clinic
from tests.web.fake_clinic import LIVE_SESSION, serve_clinic
from tests.web.inspection import press, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

RECORD = f"#/patients/{ELSE}"
COUNT_TONES = """window.tones = 0;
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...when) { window.tones += 1; return start.apply(this, when); };"""
OpenPage = Callable[..., Page]


# --- alerts and help calls ---


def test_an_alert_shows_on_every_page_within_seconds_and_sounds_once(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist", script=COUNT_TONES)
        page.wait_for_selector(".case")
        care.alerts = [care.alert()]
        page.wait_for_selector("[data-alert]", timeout=4000)
        row = page.inner_text("[data-alert]")
        for part in (
            "Poul Kristensen",
            "født 2. februar 1937",
            "Stærk smerte",
            "8 af 10, grænse 7",
            "siden",
            "stoppet",
        ):
            assert part in row
        assert "Poul Kristensen" in page.inner_text(".safety-bar [aria-live]")
        for address in (f"{RECORD}/messages", "#/me", f"#/live/{LIVE_SESSION}"):
            page.evaluate("address => location.hash = address", address)
            wait_for(lambda: page.locator("[data-alert]").is_visible(), page)
        page.wait_for_selector(".tile")
        polls = len(care.sent)
        wait_for(lambda: len([one for one in care.sent[polls:] if one[1] == "/api/alerts"]) >= 2, page)
        assert page.evaluate("window.tones") == 1


def test_an_acknowledgement_needs_an_action_and_keeps_its_note_when_it_fails(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.alerts = [care.alert()]
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.click('[data-action="acknowledge"]')
        page.click('[data-action="acknowledge-save"]')
        assert care.writes("/acknowledge") == []
        page.check('[value="may_continue"]')
        page.fill("dialog [name=note]", "Talt med ham, det går bedre")
        care.refused = {"/acknowledge": (500, "internal")}
        page.click('[data-action="acknowledge-save"]')
        page.wait_for_selector("dialog .problem")
        assert page.input_value("dialog [name=note]") == "Talt med ham, det går bedre"
        care.refused = {}
        page.click('[data-action="acknowledge-save"]')
        page.wait_for_selector("[data-alert]", state="detached")
        assert care.writes(f"/alerts/{ALERT}/acknowledge")[-1] == {
            "action": "may_continue",
            "note": "Talt med ham, det går bedre",
        }


def test_a_stop_that_was_only_acknowledged_stays_in_sight(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    seen = {"action": "called", "at": care.at(minutes=1), "account_name": "Mette Holm", "note": None}
    care.alerts = [care.alert(acknowledged=seen)]
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist", script=COUNT_TONES)
        page.wait_for_selector("[data-alert]")
        row = page.inner_text("[data-alert]")
        assert "Mette Holm kvitterede: Jeg har ringet til patienten." in row
        assert "til du siger, at den må fortsætte" in row
        assert page.evaluate("window.tones") == 0


def test_a_help_call_is_answered_in_a_live_session_and_closed_with_an_outcome(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.help_calls = [care.help_call()]
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.click('[data-action="answer-help"]')
        page.wait_for_selector("text=Kaldet er dit")
        assert care.writes(f"/help-calls/{HELP_CALL}/answer") != []
        assert page.get_attribute(".telephone a", "href") == "tel:+4512345678"
        page.click('[data-action="help-room"]')
        page.wait_for_selector(".tile")
        created = [body for path, body in clinic.posted if path == "/api/live-sessions"]
        assert [body["patient_ids"] for body in created] == [[ELSE]]
        page.click('[data-action="close-help"]')
        page.check('[value="helped"]')
        page.click('[data-action="close-help-save"]')
        page.wait_for_selector("[data-help-call]", state="detached")
        assert care.writes("/close")[-1] == {"outcome": "helped", "note": None}


def test_a_call_that_somebody_else_took_says_so(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.help_calls = [care.help_call()]
    care.refused = {f"/help-calls/{HELP_CALL}/answer": (409, "help_call_taken")}
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.click('[data-action="answer-help"]')
        page.wait_for_selector("text=En anden har allerede svaret.")


def test_alerts_are_never_stale_in_silence(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.wait_for_selector(".case")
        page.wait_for_timeout(2500)  # the page has read at least once more
        assert page.locator(".stale").count() == 0
        care.refused = {"/api/help-calls": (502, "bad_gateway")}
        page.wait_for_selector(".stale:has-text('Alarmer og hjælpekald er fra kl.')", timeout=12_000)
        care.refused = {}
        page.wait_for_selector(".stale", state="detached")


def test_a_message_of_the_server_is_heard_before_the_next_poll(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.wait_for_selector(".case")
        wait_for(lambda: clinic.sockets != [], page)
        calls_before = len([one for one in care.sent if one[1] == "/api/alerts"])
        for _ in range(5):
            clinic.say({"type": "changed", "table": "alert"})
            page.wait_for_timeout(100)
        assert len([one for one in care.sent if one[1] == "/api/alerts"]) >= calls_before + 4


# --- caseload ---


def test_three_hundred_patients_come_in_pages_and_are_found_by_name_or_birth_date(open_page: OpenPage) -> None:
    clinic, _ = care_clinic("da", patients=300)
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.click('[data-action="filter-all"]')
        wait_for(lambda: page.locator(".case").count() == 25, page)
        assert "Side 1 af 12" in page.inner_text(".pager")
        first = page.inner_text(".case >> nth=0")
        page.focus('[data-action="page-after"]')
        page.keyboard.press("Enter")
        wait_for(lambda: page.inner_text(".case >> nth=0") != first, page)
        assert page.evaluate("document.activeElement.matches('.case a')")
        page.fill("[name=search]", "jensen 01-01-1936")
        wait_for(lambda: page.locator(".case").count() < 25, page)
        for shown in page.locator(".case-link").all_inner_texts():
            assert "Jensen" in shown
            assert "1. januar 1936" in shown
        page.fill("[name=search]", "ingen hedder sådan")
        page.wait_for_selector("text=Ingen patient passer til søgningen.")


def test_the_servers_order_of_need_stands_and_no_row_moves_under_the_hand(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da", patients=9)
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.wait_for_selector(".case")
        names = page.locator(".case-link strong").all_inner_texts()
        assert names[:2] == ["Else Jensen", "Poul Kristensen"]
        assert "Stærk smerte" in page.inner_text(".case >> nth=0")
        page.hover(".case >> nth=1")
        care.shift = 1
        page.wait_for_selector('[data-action="new-order"]', timeout=8000)
        assert page.locator(".case-link strong").all_inner_texts() == names
        page.mouse.move(5, 5)
        wait_for(lambda: page.locator(".case-link strong").all_inner_texts()[0] == "Jørgen Jensen", page)


def test_the_keyboard_goes_on_from_the_page_that_a_link_opened_and_the_window_names_no_patient(
    open_page: OpenPage,
) -> None:
    clinic, _ = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.wait_for_selector(".case-link")
        assert page.title() == "Patienter – Telerehab"
        page.focus(".case-link >> nth=0")
        page.keyboard.press("Enter")
        page.wait_for_selector(".record-head")
        assert page.title() == "Journal – Telerehab"
        assert page.evaluate("document.activeElement.tagName") == "MAIN"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.closest('main') !== null")


def test_a_flag_opens_its_data_and_is_taken_up_in_the_version_that_was_seen(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        row = page.locator(".case", has_text="Anna Møller")
        assert "Bevægelighed faldet 12,4°" in row.inner_text()
        row.locator('[data-action="why"]').click()
        page.wait_for_selector("dialog tbody tr")
        assert "80°" in page.inner_text("dialog table")
        assert "6,1°" in page.inner_text("dialog")
        page.click('[data-action="flag-acknowledge"]')
        page.wait_for_selector("dialog", state="detached")
        assert care.writes("/actions") == [{"action": "acknowledged", "note": None, "version": 1}]


def test_a_notice_leads_to_the_patient_and_goes_when_it_was_seen(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.notices = [care.notice()]
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.wait_for_selector("[data-notice] a")
        assert "Anna Møller: Bevægelighed faldet 12,4°" in page.inner_text("[data-notice]")
        assert "født 3. marts 1938" in page.inner_text("[data-notice]")
        page.click('[data-action="notice-read"]')
        page.wait_for_selector("[data-notice]", state="detached")


def test_the_strip_of_fourteen_days_says_in_words_what_it_shows(open_page: OpenPage) -> None:
    clinic, _ = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        page.wait_for_selector(".day-strip")
        label = page.get_attribute(".day-strip >> nth=0", "aria-label") or ""
        shapes = page.locator(".day-strip >> nth=0").locator("g.day")
        assert shapes.count() == 14
        trained = page.locator(".day-strip >> nth=0").locator("g.done, g.partly, g.unmeasured").count()
        assert label.startswith(f"Trænet {trained} af ")
        assert "Ikke trænet: 1." in label
        assert "Trænet uden måling: 1." in label


# --- record ---


def test_a_plan_that_moved_shows_what_changed_and_keeps_the_draft(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/plan")
        assert page.inner_text(".hash") == care.versions[-1]["short_hash"]
        page.click('[data-action="plan-edit"]')
        page.fill("[name=repetitions-0]", "12")
        page.fill("[name=reason]", "Det går godt")
        page.evaluate("address => location.hash = address", f"{RECORD}/training")
        page.wait_for_selector(".training-list")
        page.evaluate("address => location.hash = address", f"{RECORD}/plan")
        page.wait_for_selector("[name=reason]")
        assert page.input_value("[name=repetitions-0]") == "12"  # looking elsewhere loses nothing
        care.versions.append({**care.versions[-1], "number": 3})
        page.click('[data-action="plan-save"]')
        page.wait_for_selector(".moved .changes li")
        assert "Knæstræk på stol, begge: Gentagelser fra 8 til 10." in page.inner_text(".moved")
        assert page.input_value("[name=repetitions-0]") == "12"
        assert page.input_value("[name=reason]") == "Det går godt"
        page.click('[data-action="plan-accept"]')
        page.click('[data-action="plan-save"]')
        page.wait_for_selector("[name=reason]", state="detached")
        sent = care.writes("/plan-versions")
        assert [body["based_on"] for body in sent] == [2, 3]
        assert sent[-1]["content"]["items"][0]["repetitions"] == 12
        assert sent[-1]["reason"] == "Det går godt"


def test_a_version_that_does_not_hold_yet_says_that_the_patient_sees_another(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.versions[-1]["is_in_force"] = False
    care.versions[-1]["content"]["valid_from"] = "2027-01-04"
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/plan")
        page.wait_for_selector(".warning:has-text('Gælder først fra 4. januar 2027')")


def test_a_refused_plan_says_where_and_what(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/plan")
        page.click('[data-action="plan-edit"]')
        page.click('[data-action="plan-add"]')
        page.fill("[name=reason]", "Mere")
        care.refused = {"POST ": (422, [{"at": "items.2", "kind": "twice"}])}
        page.click('[data-action="plan-save"]')
        page.wait_for_selector("text=Øvelse 3: Øvelsen står der to gange.")
        assert page.locator(".item").count() == 3


def test_not_measured_is_not_zero_and_a_correction_stands_beside_the_original(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/training")
        page.locator(f'[data-training="{TRAINING}"] [data-action="results"]').click()
        page.wait_for_selector("[data-action=correct]")
        cells = [row.locator("td").first.inner_text() for row in page.locator(".inner tbody tr").all()]
        assert cells[0].startswith("10 af 10 (talt: 9)")
        assert cells[1] == "Ikke målt"
        assert cells[2] == "0 af 10"
        assert "Smerte: 2 af 10" in page.inner_text(".inner >> nth=-1")
        page.click('[data-action="correct"]')
        page.check('[value="repetition_count"]')
        page.fill(".inner input[type=number]", "8")
        page.click('[data-action="correction-save"]')
        page.wait_for_selector('[data-action="correction-save"]', state="detached")
        [body] = care.writes("/corrections")
        assert (body["kind"], body["corrected"]) == ("repetition_count", {"repetitions": 8})


def test_a_training_session_goes_to_the_right_patient_only_after_a_second_look(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/training")
        page.locator(f'[data-training="{TRAINING}"] [data-action="retract"]').click()
        press(page, "retract-next")
        page.fill("[name=right-patient]", "poul kris")
        page.locator("dialog .radios input").first.check()
        page.fill("dialog [name=reason]", "Forkert tablet")
        page.click('[data-action="retract-next"]')
        confirm = page.inner_text("dialog .warning")
        assert "Else Jensen, født 1. januar 1936" in confirm
        assert "Poul Kristensen, født 2. februar 1937" in confirm
        assert care.writes("/retractions") == []
        page.click('[data-action="retract-yes"]')
        page.wait_for_selector("dialog", state="detached")
        [body] = care.writes("/retractions")
        assert body == {
            "what": "training_session",
            "row_id": TRAINING,
            "right_patient_id": care.people()[1]["id"],
            "reason": "Forkert tablet",
        }


def test_a_message_that_cannot_be_sent_is_kept_and_sent_once(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    care.refused = {"PUT ": (500, "internal")}
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/messages")
        page.fill("[name=message]", "Hvil knæet i dag")
        page.click('[data-action="message-send"]')
        page.wait_for_selector("main .problem")
        page.evaluate("location.hash = '#/'")
        page.wait_for_selector(".case")
        page.evaluate("address => location.hash = address", f"{RECORD}/messages")
        page.wait_for_selector("[name=message]")
        assert page.input_value("[name=message]") == "Hvil knæet i dag"
        care.refused = {}
        page.click('[data-action="message-send"]')
        wait_for(lambda: page.input_value("[name=message]") == "", page)


def test_what_the_server_tells_never_takes_the_keyboard_from_somebody_who_writes(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}/messages")
        page.focus("[name=message]")
        page.keyboard.type("Hvil ")
        wait_for(lambda: clinic.sockets != [], page)
        reads = len([one for one in care.sent if one[1].endswith("/messages")])
        clinic.say({"type": "changed", "table": "message"})
        wait_for(lambda: len([one for one in care.sent if one[1].endswith("/messages")]) > reads, page)
        page.wait_for_timeout(200)  # the answer is drawn
        page.keyboard.type("knæet")
        assert page.input_value("[name=message]") == "Hvil knæet"


def test_cpr_is_shown_only_with_a_reason(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist{RECORD}")
        page.click('[data-action="reveal-cpr"]')
        page.click('[data-action="reveal"]')
        assert care.writes("/reveal") == []
        page.fill("dialog [name=reason]", "Skal ringe til hospitalet")
        page.click('[data-action="reveal"]')
        page.wait_for_selector("text=040344-1234")
        assert care.writes("/reveal") == [{"what": "cpr", "reason": "Skal ringe til hospitalet"}]


# --- emergency access, me ---


def test_emergency_access_needs_reason_and_consent_and_opens_read_only_for_an_hour(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/therapist#/patients/{STRANGER}")
        page.click('[data-action="emergency"]')
        page.fill("[name=reason]", "Patienten er faldet og svarer ikke")
        press(page, "break-glass")
        assert care.writes("/break-glass") == []
        page.check("[name=sure]")
        page.click('[data-action="break-glass"]')
        page.wait_for_selector(".emergency:has-text('60 min tilbage')")
        assert care.writes("/break-glass") == [{"patient_id": STRANGER, "reason": "Patienten er faldet og svarer ikke"}]
        assert page.locator('[data-action="section-messages"], [data-action="reveal-cpr"]').count() == 0
        page.click('[data-action="section-plan"]')
        page.wait_for_selector(".versions")
        assert page.locator('[data-action="plan-edit"]').count() == 0
        page.click('[data-action="section-training"]')
        page.wait_for_selector(".training-list")
        assert page.locator('[data-action="retract"], [data-action="pause-add"]').count() == 0


def test_other_logins_are_ended_and_logging_out_leads_to_the_way_in(open_page: OpenPage) -> None:
    clinic, care = care_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist#/me")
        page.wait_for_selector("text=denne browser")
        page.wait_for_selector("li:has-text('Ukendt browser')")  # no question marks where the server knows no name
        page.click('[data-action="login-end"]')
        wait_for(lambda: ("DELETE", f"/api/my/logins/{TRAINING}", None) in care.sent, page)
        assert page.locator('[data-action="login-end"]').count() == 1  # never this one's own
        press(page, "log-out")
        page.wait_for_url("**/enter")
