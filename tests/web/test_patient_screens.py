"""Every screen of the patient outside the live session, and of the helper: axe, targets, type, contrast, scrolling."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.web.fake_clinic import FakeClinic, patient_of, serve_clinic
from tests.web.fake_patient_service import (
    EXERCISES,
    NOT_STOPPED,
    PatientService,
    full_service,
    long_items,
    planned,
    short_items,
    stopped,
    tablet_clinic,
)
from tests.web.inspection import LYING, SCROLLS_DOWN, SCROLLS_SIDEWAYS, STANDING, Inspector, press, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

OpenPage = Callable[..., Page]


def press_when_shown(page: Page, action: str) -> None:
    page.wait_for_selector(f'[data-action="{action}"]')
    press(page, action)


def test_the_first_screen_and_what_it_leads_to_are_accessible(open_page: OpenPage) -> None:
    with serve_clinic(tablet_clinic("da", full_service())) as clinic:
        page = open_page(clinic, "/patient")
        inspector = Inspector(page, for_patients=True)
        page.wait_for_selector(".plan-lines")
        wait_for(lambda: page.locator('[data-action="page-questionnaire"]').count(), page)
        inspector.look("home")
        press(page, "page-messages")
        press_when_shown(page, "older")
        inspector.look("messages")
        press(page, "write-message")
        page.wait_for_selector("textarea")
        inspector.look("write a message")
        page.fill("textarea", "Hej")
        press(page, "send-message")
        page.wait_for_selector("h1:has-text('sendt')")
        inspector.look("message sent")
        press(page, "sent-done")
        press_when_shown(page, "page-goals")
        page.wait_for_selector(".goal-lines")
        inspector.look("goals")
        press(page, "home")
        press_when_shown(page, "page-progress")
        page.wait_for_selector("table.days")
        inspector.look("progress")
        press(page, "home")
        press_when_shown(page, "page-not_today")
        inspector.look("why not today")
        press_when_shown(page, "ill")
        inspector.look("how long")
        press_when_shown(page, "ill-3")
        page.wait_for_selector("[data-action=not-today-done]")
        inspector.look("noted")
        press(page, "not-today-done")
    assert inspector.wrong == []
    assert inspector.screen_count == 9


def test_the_questions_and_the_empty_states_are_accessible(open_page: OpenPage) -> None:
    service = full_service()
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        inspector = Inspector(page, for_patients=True)
        press_when_shown(page, "page-questionnaire")
        for number, action in enumerate(("answer-3", "option-well", "answer-number", "answer-text"), start=1):
            page.wait_for_selector(f'[data-action="{action}"]')
            inspector.look(f"question {number}")
            press(page, action)
        page.wait_for_selector('[data-action="questions-done"]')
        inspector.look("answers kept")
        empty = open_page(tablet_like(clinic, PatientService()), "/patient")
        inspector_of_empty = Inspector(empty, for_patients=True)
        empty.wait_for_selector("text=Du har ingen plan endnu")
        inspector_of_empty.look("no plan")
        for name, text in (("messages", "ingen beskeder"), ("goals", "ingen mål"), ("progress", "ingen planlagt")):
            press_when_shown(empty, f"page-{name}")
            empty.wait_for_selector(f"text={text}")
            inspector_of_empty.look(f"no {name}")
            press(empty, "home")
    assert inspector.wrong + inspector_of_empty.wrong == []


def tablet_like(clinic: FakeClinic, service: PatientService) -> FakeClinic:
    """Answer from another patient's service from now on."""
    clinic.service = service
    return clinic


def test_every_screen_of_training_alone_is_accessible(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        inspector = Inspector(page, for_patients=True)
        press_when_shown(page, "start-alone")
        page.wait_for_selector("text=Vi ser ingen sensor")
        press(page, "tone")
        page.wait_for_selector("text=Lyden er prøvet")
        inspector.look("are we ready")
        press(page, "check-done")
        page.wait_for_selector('[data-action="space-yes"]')
        inspector.look("room to move")
        press(page, "space-yes")
        page.wait_for_selector('[data-action="pain-2"]')
        inspector.look("pain now")
        press(page, "pain-2")
        page.wait_for_selector(".instructions")
        inspector.look("instructions")
        press(page, "safety")
        page.wait_for_selector(".instructions.safety")
        inspector.look("take care")
        press(page, "begin-set")
        press_when_shown(page, "plus")
        inspector.look("set")
        press(page, "stop")
        page.wait_for_selector('[data-action="stop-no"]')
        inspector.look("stop?")
        press(page, "stop-no")
        press_when_shown(page, "hurts")
        page.wait_for_selector('[data-action="pain-back"]')
        inspector.look("how much does it hurt")
        press(page, "pain-3")
        press_when_shown(page, "end-set")
        page.wait_for_selector("text=Gjorde det ondt?")
        inspector.look("did it hurt")
        press(page, "pain-2")
        page.wait_for_selector("h1:has-text('Hvil dig')")
        inspector.look("rest")
        press(page, "begin-set")
        press_when_shown(page, "end-set")
        press_when_shown(page, "pain-2")
        press_when_shown(page, "skip")
        page.wait_for_selector('[data-action="effort-4"]')
        inspector.look("effort")
        press(page, "effort-4")
        page.wait_for_selector("text=Din træning er gemt")
        inspector.look("receipt")
    assert inspector.wrong == []
    assert inspector.screen_count == 12


def test_the_screens_of_a_stop_and_of_help_are_accessible(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), stop=stopped("pain_high", by="therapist"))
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        inspector = Inspector(page, for_patients=True)
        press_when_shown(page, "start-alone")
        page.wait_for_selector('[data-gate="stopped"]')
        inspector.look("stopped")
        service.stop = dict(NOT_STOPPED)
        page.wait_for_selector('[data-gate="confirmed"]')
        inspector.look("may go on")
        press(page, "gate-go-on")
        service.stop = stopped("stop_pressed", by="patient", alert_ids=["a"])
        page.wait_for_selector("text=Er du klar igen?")
        inspector.look("ready again?")
        press(page, "help")
        page.wait_for_selector('[data-help="calling"]')
        inspector.look("calling")
        assert service.help_call is not None
        service.help_call |= {"state": "answered", "answered_name": "Mette Holm"}
        page.wait_for_selector('[data-help="answered"]')
        inspector.look("answered")
        press(page, "help-close")
        service.is_out_of_hours = True
        press_when_shown(page, "help")
        page.wait_for_selector('[data-help="telephone"]')
        inspector.look("telephone")
    assert inspector.wrong == []
    assert inspector.screen_count == 6


def test_the_screens_of_a_helper_and_of_a_pin_are_accessible(open_page: OpenPage) -> None:
    helped = [
        {
            "patient_id": patient_of(i),
            "display_name": name,
            "birth_date": "1944-05-02",
            "scopes": ["see_plan", "see_results", "train_for", "join"],
            "ends_at": None,
        }
        for i, name in enumerate(("Else Jensen", "Poul Kristensen"))
    ]
    service = PatientService(items=short_items(), helped=helped)
    clinic = tablet_clinic("da", service, role="helper", patient_id=None, display_name="Ole")
    with serve_clinic(clinic), serve_clinic(tablet_clinic("da", PatientService(pin="2580"))) as locked:
        page = open_page(clinic, "/patient")
        inspector = Inspector(page, for_patients=True)
        page.wait_for_selector('[data-action="help-patient"]')
        inspector.look("whom")
        press(page, "help-patient")
        page.wait_for_selector(".plan-lines")
        inspector.look("helper's home")
        tablet = open_page(locked, "/patient")
        of_tablet = Inspector(tablet, for_patients=True)
        tablet.wait_for_selector(".keypad")
        for digit in "1111":
            press(tablet, f"pin-{digit}")
        press(tablet, "pin-done")
        tablet.wait_for_selector("[role=alert]:has-text('Koden passede ikke')")
        of_tablet.look("wrong PIN")
        for digit in "2580":
            press(tablet, f"pin-{digit}")
        press(tablet, "pin-done")
        press_when_shown(tablet, "page-pin_setup")
        for digit in "2580":
            press_when_shown(tablet, f"pin-{digit}")
        press(tablet, "pin-done")
        tablet.wait_for_selector('[data-action="pin-none"]')
        of_tablet.look("new PIN")
        press(tablet, "pin-none")
        tablet.wait_for_selector('[data-action="pin-set"]')
        of_tablet.look("PIN removed")
    assert inspector.wrong + of_tablet.wrong == []


@pytest.mark.parametrize("language", ["da", "en"])
def test_the_words_of_every_exercise_fit_on_a_tablet(open_page: OpenPage, language: str) -> None:
    codes = sorted(path.name.split(".")[0] for path in EXERCISES.iterdir())
    assert len(codes) == 20
    items = [planned(i, code, side="both", sets=1, repetitions=10) for i, code in enumerate(codes)]
    wrong = []
    with serve_clinic(tablet_clinic(language, PatientService(items=items))) as clinic:
        page = open_page(clinic, "/patient")
        for action in ("start-alone", "check-done", "space-yes", "pain-0"):
            press_when_shown(page, action)
        for code in codes:
            page.wait_for_selector(".instructions")
            for view in ("instructions", "safety"):
                for width, height in (LYING, STANDING):
                    page.set_viewport_size({"width": width, "height": height})
                    if page.evaluate(f"({SCROLLS_DOWN}) || ({SCROLLS_SIDEWAYS}) || ({OVERLAPS})"):
                        wrong.append(f"{code}: {view} at {width}x{height}")
                press(page, "safety")
            press(page, "skip")
    assert wrong == []


OVERLAPS = """(() => {
  const words = document.querySelector('.instructions').getBoundingClientRect();
  const below = document.querySelector('.exercise .bottom').getBoundingClientRect();
  const figure = document.querySelector('.exercise-figure').getBoundingClientRect();
  const place = document.querySelector('.exercise-place').getBoundingClientRect();
  return words.bottom > below.top + 1 || words.top < place.bottom - 1 || figure.height < 120;
})()"""


def test_the_first_screen_holds_a_long_plan_without_scrolling(open_page: OpenPage) -> None:
    service = full_service()
    service.items = [*long_items(), *long_items()]
    service.pause = {"kind": "illness", "starts_on": "2026-11-20", "ends_on": "2026-11-24"}
    with serve_clinic(tablet_clinic("en", service)) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector("text=and 6 more")
        page.wait_for_selector("text=You are taking a break until")
        wait_for(lambda: page.locator('[data-action="page-questionnaire"]').count(), page)
        for width, height in (LYING, STANDING):
            page.set_viewport_size({"width": width, "height": height})
            assert not page.evaluate(SCROLLS_DOWN)
            assert not page.evaluate(SCROLLS_SIDEWAYS)
