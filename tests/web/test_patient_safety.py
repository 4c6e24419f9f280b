"""What stops a patient, with and without a link, and what lets them go on; help that is always one press away."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.web.fake_clinic import (
    LIVE_SESSION,
    FakeClinic,
    Movement,
    patient_clinic,
    patient_of,
    serve_clinic,
    training_of,
)
from tests.web.fake_patient_service import NOT_STOPPED, PatientService, short_items, stopped, tablet_clinic
from tests.web.inspection import SCROLLS_DOWN, wait_for
from tests.web.test_patient_training import TO_FIRST_SET, do, train_with_sensor

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

OpenPage = Callable[..., Page]
ELSE = patient_of(0)
NUMBER = "Ring +45 12 34 56 78"
SHOWN_ACTIONS = """[...document.querySelectorAll('[data-action]')].filter(element => element.checkVisibility())
  .map(element => element.dataset.action).sort()"""


def stopped_screen(page: Page) -> None:
    """Wait for the screen that stops, and see that it leads nowhere but out."""
    page.wait_for_selector('[data-gate="stopped"]')
    words = page.inner_text("main")
    for sentence in ("Stop.", "får besked. Ring, hvis det ikke går over.", NUMBER, "Ring 112 ved akut fare"):
        assert sentence in words
    assert page.evaluate(SHOWN_ACTIONS) == ["gate-stop", "help", "language", "telephone"]


# --- stops ---


@pytest.mark.parametrize("pain", [7, 10])
def test_pain_over_the_limit_stops_at_once_by_the_tablets_own_judgement(open_page: OpenPage, pain: int) -> None:
    service = PatientService(items=short_items(), stops_on_reports=False)
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, f"{TO_FIRST_SET} plus hurts pain-{pain}")
        stopped_screen(page)
        wait_for(lambda: service.writes("/end$"), page)
        assert service.writes("/end$")[0][2]["reason"] == "pain"
        assert service.writes("self-reports")[-1][2]["value"] == pain


def test_pain_just_below_the_limit_lets_training_go_on(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone check-done space-yes pain-4 begin-set hurts pain-6")
        page.wait_for_selector('[data-action="plus"]')
        assert page.locator("[data-gate]").count() == 0


def test_pain_three_over_the_start_stops_also_after_a_reload(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), stops_on_reports=False)
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone check-done space-yes pain-2 begin-set")
        page.wait_for_selector('[data-action="end-set"]')
        page.reload()
        do(page, "end-set pain-5")
        stopped_screen(page)


def test_without_a_link_a_stop_holds_until_the_server_has_confirmed_it(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, TO_FIRST_SET)
        wait_for(lambda: service.writes("/sets/"), page)
        page.context.set_offline(True)
        do(page, "hurts pain-8")
        stopped_screen(page)
        page.wait_for_selector("text=Vi kan ikke nå klinikken lige nu")
        page.context.set_offline(False)
        page.wait_for_selector("text=har fået besked")  # told, and still stopped
        stopped_screen(page)
        page.reload()
        stopped_screen(page)
        service.stop = dict(NOT_STOPPED)
        page.wait_for_selector("text=Du må gerne fortsætte")
        do(page, "gate-go-on")
        page.wait_for_selector(".instructions")  # never straight back into the movement


def test_a_stop_that_the_server_has_not_heard_of_is_not_opened_by_its_silence(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), stops_on_reports=False)
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, f"{TO_FIRST_SET} hurts pain-9")
        stopped_screen(page)
        wait_for(lambda: len(service.writes("self-reports")) == 2, page)
        page.wait_for_timeout(4500)  # asked twice meanwhile: every 2 s
        stopped_screen(page)
        page.reload()
        stopped_screen(page)
        do(page, "gate-stop")
        page.wait_for_selector("text=Din træning er gemt")
        do(page, "receipt-done start-alone")
        stopped_screen(page)


def test_a_stop_of_before_stands_in_the_way_of_the_next_training(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), stop=stopped("pain_high", by="therapist"))
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone")
        stopped_screen(page)
        do(page, "gate-stop receipt-done")
        page.wait_for_selector('[data-action="start-alone"]')


def test_where_the_patients_word_is_enough_the_patient_goes_on(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), stop=stopped("stop_pressed", by="patient", alert_ids=["a1"]))
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone")
        page.wait_for_selector("text=Er du klar igen?")
        do(page, "gate-go-on")
        wait_for(lambda: service.writes("/api/alerts/a1/confirm"), page)
        page.wait_for_selector("text=Du må gerne fortsætte")
        do(page, "gate-go-on check-done")


def test_a_sustained_heart_rate_over_the_limit_stops(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        movement = train_with_sensor(page, clinic, service)
        movement.heart_rate = 140
        do(page, "begin-set")
        page.wait_for_selector('[data-action="end-set"]')
        page.wait_for_timeout(4000)  # longer than the limit's 3 s, at the limit itself
        assert page.locator("[data-gate]").count() == 0
        movement.heart_rate = 150
        stopped_screen(page)


def live_clinic_with_service(service: PatientService) -> FakeClinic:
    clinic = patient_clinic("da")
    assert clinic.me is not None
    clinic.me["organisation"] = {"help_telephone": "+45 12 34 56 78"}
    clinic.service = service
    return clinic


def test_pain_stops_a_live_session_too_and_the_therapist_lets_it_go_on(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(live_clinic_with_service(service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start")
        page.wait_for_selector(".count-number")
        do(page, "hurts pain-8")
        stopped_screen(page)
        wait_for(lambda: service.writes("self-reports"), page)
        report = service.writes("self-reports")[0][2]
        assert (report["training_session_id"], report["value"], report["phase"]) == (training_of(0), 8, "during")
        wait_for(lambda: any(message["on"] for message in clinic.heard("pause")), page)
        service.stop = dict(NOT_STOPPED)
        page.wait_for_selector('[data-gate="confirmed"]')
        do(page, "gate-go-on")
        page.wait_for_selector(".count-number")


def test_a_live_session_can_be_left_from_a_stop_with_a_receipt(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(live_clinic_with_service(service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start")
        page.wait_for_selector(".count-number")
        do(page, "hurts pain-8 gate-stop")
        page.wait_for_selector("text=Du lavede 7 gentagelser")


def test_a_heart_rate_over_the_limit_stops_a_live_session(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(live_clinic_with_service(service)) as clinic:
        clinic.movements[training_of(0)] = Movement(heart_rate=150)
        page = open_page(clinic, "/patient")
        page.wait_for_selector('[data-action="show-plan"]')
        do(page, "show-plan")
        page.wait_for_selector(".plan-lines")  # the limits have come
        do(page, "to-offer start")
        stopped_screen(page)


# --- help ---


def test_help_is_on_every_screen_and_says_who_is_rung_and_who_has_answered(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, f"{TO_FIRST_SET} plus help")
        page.wait_for_selector("text=Vi ringer til Mette Holm")
        assert service.help_call is not None
        service.help_call |= {"state": "answered", "answered_name": "Ole Vagt"}
        page.wait_for_selector("text=Ole Vagt har svaret")
        do(page, "help-close")
        wait_for(lambda: service.writes("/withdraw$"), page)
        page.wait_for_selector('[data-action="plus"]')
        assert page.inner_text(".count-number") == "1"


def let_pass(page: Page, seconds: int) -> None:
    """Let the page's stopped clock run on, and the server answer meanwhile: no question runs into its own deadline."""
    asked: list[object] = []
    ended: list[object] = []
    page.on("request", lambda request: asked.append(request))
    page.on("requestfinished", lambda request: ended.append(request))
    page.on("requestfailed", lambda request: ended.append(request))
    for _ in range(seconds):
        page.clock.run_for(1_000)
        wait_for(lambda: set(asked) <= set(ended), page)


def test_after_thirty_seconds_without_an_answer_the_number_is_shown_and_not_before(open_page: OpenPage) -> None:
    with serve_clinic(tablet_clinic("da", PatientService(items=short_items()))) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector(".plan-lines")
        page.clock.install()
        page.clock.pause_at(page.evaluate("Date.now()") + 3_600_000)  # from here on time passes by our word alone
        do(page, "help")
        page.wait_for_selector('[data-help="calling"]')
        let_pass(page, 29)
        assert page.locator('[data-help="calling"]').count() == 1
        let_pass(page, 2)
        page.wait_for_selector("text=Ingen har svaret endnu")
        assert NUMBER in page.inner_text("main")
        assert "Ring 112 ved akut fare" in page.inner_text("main")


def test_out_of_hours_the_number_is_shown_at_once(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), is_out_of_hours=True, help_told=None)
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector(".plan-lines")
        do(page, "help")
        page.wait_for_selector("text=Der er ingen på vagt lige nu", timeout=2000)
        assert page.get_attribute('[data-action="telephone"]', "href") == "tel:+4512345678"


def test_without_a_link_the_number_is_shown_at_once_and_the_call_goes_out_later(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector(".plan-lines")
        page.context.set_offline(True)
        do(page, "help")
        page.wait_for_selector('[data-help="telephone"]', timeout=2000)
        assert NUMBER in page.inner_text("main")
        assert "Ring 112 ved akut fare" in page.inner_text("main")
        page.context.set_offline(False)
        page.wait_for_selector("text=Vi ringer til Mette Holm")
        assert len(service.writes("/api/help-calls$")) == 1


def test_a_call_for_help_outlives_a_reload(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector(".plan-lines")
        do(page, "help")
        page.wait_for_selector("text=Vi ringer til Mette Holm")
        page.reload()
        page.wait_for_selector("text=Vi ringer til Mette Holm")
        assert len({body["id"] for _, _, body in service.writes("/api/help-calls$")}) == 1


def test_a_call_in_a_live_session_rings_too_and_shows_the_number_when_nobody_answers(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), is_out_of_hours=True)
    with serve_clinic(live_clinic_with_service(service)) as clinic:
        assert clinic.state is not None
        page = open_page(clinic, "/patient")
        do(page, "start")
        page.wait_for_selector(".count-number")
        do(page, "help")
        page.wait_for_selector('[data-help="telephone"]')
        assert NUMBER in page.inner_text("main")
        assert service.writes("/api/help-calls$")[0][2]["live_session_id"] == LIVE_SESSION
        clinic.state["participants"][1]["help_since"] = "2026-11-21T20:00:00Z"
        clinic.show()  # the therapist of the live session has heard
        page.wait_for_selector(f".help-banner:has-text('har fået besked'):has-text('{NUMBER}')")
        assert not page.evaluate(SCROLLS_DOWN)
        do(page, "help-cancel")
        wait_for(lambda: service.writes("/withdraw$"), page)


def test_a_helper_who_needs_help_sees_the_number(open_page: OpenPage) -> None:
    helped = {"patient_id": ELSE, "display_name": "Else", "birth_date": None, "scopes": ["see_plan"], "ends_at": None}
    service = PatientService(items=short_items(), helped=[helped])
    with serve_clinic(tablet_clinic("da", service, role="helper", patient_id=None, display_name="Ole")) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "help-patient")
        page.wait_for_selector(".plan-lines")
        do(page, "help")
        page.wait_for_selector('[data-help="telephone"]')
        assert NUMBER in page.inner_text("main")
        assert service.writes("help-calls") == []
