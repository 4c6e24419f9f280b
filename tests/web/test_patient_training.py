"""Training alone in a real browser: what is told to the server, in which order, and that nothing is lost."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.web.fake_clinic import FakeClinic, Movement, patient_of, serve_clinic
from tests.web.fake_patient_service import PatientService, planned, short_items, tablet_clinic
from tests.web.inspection import press, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

OpenPage = Callable[..., Page]
ELSE = patient_of(0)
OPENING = r"/training-sessions/[^/]+$"


def do(page: Page, actions: str | Sequence[str]) -> None:
    """Press one button after the other, each as soon as it is there."""
    for action in actions.split() if isinstance(actions, str) else actions:
        page.wait_for_selector(f'[data-action="{action}"]')
        press(page, action)


TO_FIRST_SET = "start-alone check-done space-yes pain-1 begin-set"
SECOND_SET_ON = "end-set pain-3 begin-set plus plus end-set pain-2 effort-4"
WHOLE_PLAN = f"{TO_FIRST_SET} plus plus plus end-set pain-2 begin-set plus {SECOND_SET_ON}"


def kinds(service: PatientService) -> list[str]:
    """Return the writes of training in their order, without ids."""
    names = []
    for method, path, body in service.received:
        if "/sets/" in path:
            names.append("set end" if path.endswith("/end") else "set")
        elif "/self-reports/" in path:
            names.append(f"{body['kind']} {body['value']} {body['phase']}")
        elif "/training-sessions/" in path:
            names.append(f"close {body['reason']}" if path.endswith("/close") else "open")
        else:
            names.append(f"{method} {path}")
    return names


AS_TOLD = [
    "open",
    "pain 1 start",
    "set",
    "set end",
    "pain 2 after_set",
    "set",
    "set end",
    "pain 3 after_set",
    "set",
    "set end",
    "pain 2 after_set",
    "effort 4 end",
    "close done",
]


def test_a_whole_plan_is_trained_and_told_in_its_order_and_ends_with_a_receipt(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, WHOLE_PLAN)
        page.wait_for_selector("text=2 af 2 øvelser færdige. Sæt i dag: 3. Gentagelser: 6.")
        page.wait_for_selector("text=Din træning er gemt")
        wait_for(lambda: kinds(service) == AS_TOLD, page)
        opened = service.writes(OPENING)[0]
        assert opened[2]["patient_id"] == ELSE
        assert opened[2]["plan_version_id"] == "0b0f8f1e-0000-4000-8000-00000000aaaa"
        sets = [body for _, path, body in service.writes("/sets/") if not path.endswith("/end")]
        assert [(body["plan_item"], body["set_number"]) for body in sets] == [(0, 1), (0, 2), (1, 1)]
        ends = [body["counted_repetitions"] for _, path, body in service.writes("/sets/") if path.endswith("/end")]
        assert ends == [3, 1, 2]
        do(page, "receipt-done")
        page.wait_for_selector(".plan-lines")


def test_the_plan_shows_its_number_and_short_hash_as_the_therapist_sees_them(open_page: OpenPage) -> None:
    with serve_clinic(tablet_clinic("da", PatientService(items=short_items()))) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector("text=Plan 3 · 4f2a91c0")
        assert "I dag: 2 øvelser" in page.inner_text(".home-plan")
        assert "2 × 3" in page.inner_text(".plan-lines")


# --- nothing is lost ---


def test_training_without_a_link_is_kept_and_delivered_once_when_the_link_is_back(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone check-done space-yes pain-1")
        wait_for(lambda: kinds(service) == AS_TOLD[:2], page)
        page.context.set_offline(True)
        do(page, WHOLE_PLAN.removeprefix("start-alone check-done space-yes pain-1 "))
        page.wait_for_selector("text=Gemt her, sendes når nettet er tilbage.")
        assert kinds(service) == AS_TOLD[:2]
        page.context.set_offline(False)
        page.wait_for_selector("text=Din træning er gemt")
        assert kinds(service) == AS_TOLD
        written = [path for _, path, _ in service.received]
        assert len(written) == len(set(written))


def test_a_reload_in_the_middle_loses_nothing(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, f"{TO_FIRST_SET} plus plus")
        wait_for(lambda: kinds(service) == AS_TOLD[:3], page)
        service.is_down = True
        do(page, "plus end-set pain-2 begin-set plus")
        page.reload()
        page.wait_for_selector("text=Vi kan ikke nå serveren")
        service.is_down = False
        page.wait_for_selector('[data-action="plus"]')
        assert page.inner_text(".count-number") == "1"
        do(page, SECOND_SET_ON)
        page.wait_for_selector("text=Din træning er gemt")
        assert kinds(service) == AS_TOLD


def test_the_browsers_back_loses_nothing(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/enter")
        page.goto(f"{clinic.url}/patient")
        do(page, f"{TO_FIRST_SET} plus plus")
        page.go_back()
        page.goto(f"{clinic.url}/patient")
        page.wait_for_selector('[data-action="plus"]')
        assert page.inner_text(".count-number") == "2"


def test_messages_answers_and_rest_days_wait_for_the_link_too(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector(".plan-lines")
        page.context.set_offline(True)
        do(page, "page-messages write-message")
        page.fill("textarea", "Knæet er hævet")
        do(page, "send-message")
        page.wait_for_selector("text=Beskeden er gemt her")
        do(page, "sent-done page-not_today rest")
        page.wait_for_selector("text=Gemt her. Vi sender det")
        page.context.set_offline(False)
        wait_for(lambda: len(service.received) == 2, page)
        assert [body.get("text") or body["kind"] for _, _, body in service.received] == [
            "Knæet er hævet",
            "planned_rest",
        ]


# --- counting ---


def train_with_sensor(page: Page, clinic: FakeClinic, service: PatientService) -> Movement:
    """Begin the first set with a sensor that is seen; return the movement that it sends."""
    page.wait_for_selector(".plan-lines")
    do(page, "start-alone")
    wait_for(lambda: service.writes(OPENING), page)
    movement = clinic.movements[service.writes(OPENING)[0][1].rsplit("/", 1)[1]] = Movement(repetitions=0)
    page.wait_for_selector("text=Sensoren er fundet")
    do(page, "check-done space-yes pain-1")
    page.wait_for_selector('[data-action="begin-set"]')
    return movement


def test_repetitions_come_from_the_sensor_where_there_is_one(open_page: OpenPage) -> None:
    items = [planned(0, "knee_extension_seated", side="right", sets=1, repetitions=3)]
    service = PatientService(items=items)
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        movement = train_with_sensor(page, clinic, service)
        do(page, "begin-set")
        page.wait_for_selector(".exercise-figure .figure[data-zone]")
        movement.repetitions += 2
        wait_for(lambda: page.inner_text(".count-number") == "2", page)
        assert page.locator('[data-action="plus"]').count() == 0
        do(page, "end-set")
        wait_for(lambda: service.writes("/end$"), page)
        assert service.writes("/end$")[0][2]["counted_repetitions"] is None


def test_a_sensor_that_falls_silent_leaves_the_counting_to_the_hand(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        train_with_sensor(page, clinic, service)
        do(page, "begin-set")
        page.wait_for_selector(".exercise-figure .figure[data-zone]")
        clinic.sends_frames = False
        page.wait_for_selector('.counter[data-freshness="delayed"] .delay-mark')
        page.wait_for_selector("text=Vi kan ikke måle lige nu. Tryk på +1")
        assert page.inner_text(".count-none") == "Ikke målt"
        assert page.locator(".count-number").count() == 0
        do(page, "plus")
        assert page.inner_text(".count-number") == "1"


def test_a_sensor_that_is_not_seen_has_one_action_and_a_way_on(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone")
        page.wait_for_selector("text=Vi ser ingen sensor")
        assert page.inner_text('[data-action="check-done"]') == "Træn uden sensor"
        do(page, "check-again")
        page.wait_for_selector("text=Vi leder efter din sensor")
        clinic.movements[service.writes(OPENING)[0][1].rsplit("/", 1)[1]] = Movement()
        page.wait_for_selector("text=Sensoren er fundet")


def test_going_back_before_the_first_set_closes_what_was_opened(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone check-back start-alone check-done space-no")
        page.wait_for_selector('[data-action="start-alone"]')
        wait_for(lambda: kinds(service) == ["open", "close stop"] * 2, page)


def test_a_count_by_hand_is_announced_once(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, TO_FIRST_SET)
        page.wait_for_selector('[data-action="plus"]')
        page.evaluate(
            """() => { window.announced = [];
            for (const status of document.querySelectorAll('[role=status]'))
              new MutationObserver(() => window.announced.push(status.textContent))
                .observe(status, {childList: true, characterData: true, subtree: true}); }"""
        )
        do(page, "plus")
        wait_for(lambda: page.inner_text(".count-number") == "1", page)
        page.wait_for_timeout(200)
        assert page.evaluate("window.announced") == ["1 af 3 gentagelser"]


def test_a_trembling_finger_counts_one(open_page: OpenPage) -> None:
    with serve_clinic(tablet_clinic("da", PatientService(items=short_items()))) as clinic:
        page = open_page(clinic, "/patient")
        do(page, TO_FIRST_SET)
        page.dblclick('[data-action="plus"]')
        assert page.inner_text(".count-number") == "1"


def test_nobody_is_sent_away_by_a_lost_login_while_training(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, f"{TO_FIRST_SET} plus")
        wait_for(lambda: len(kinds(service)) == 3, page)
        service.is_logged_out = True
        do(page, "plus end-set pain-2 begin-set")
        page.wait_for_timeout(3500)  # the page looks every 3 s
        do(page, "plus stop stop-yes")
        page.wait_for_selector("text=Gemt her, sendes når nettet er tilbage.")
        service.is_logged_out = False
        page.wait_for_selector("text=Din træning er gemt", timeout=20_000)
        assert kinds(service)[3:] == ["set end", "pain 2 after_set", "set", "set end", "close stop"]


# --- the figure, the voice, the keyboard ---


def test_the_figure_moves_and_stands_still_where_motion_is_not_wanted(open_page: OpenPage) -> None:
    with serve_clinic(tablet_clinic("da", PatientService(items=short_items()))) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "start-alone check-done space-yes pain-1")
        page.wait_for_selector('[data-motion="still"]')
        assert page.locator('[data-motion="still"] svg').count() == 2
        page.emulate_media(reduced_motion="no-preference")
        page.wait_for_selector('[data-motion="moving"]')
        drawn = "[...document.querySelectorAll('.moving-figure .near')].map(e => e.getAttribute('d')).join()"
        before = page.evaluate(drawn)
        wait_for(lambda: page.evaluate(drawn) != before, page)


@pytest.mark.parametrize(("is_local", "count"), [(True, 1), (False, 0)])
def test_words_are_read_aloud_by_a_voice_of_this_machine_only(open_page: OpenPage, is_local: bool, count: int) -> None:
    voice = f"{{lang: 'da-DK', localService: {str(is_local).lower()}, name: 'v'}}"
    stub = f"speechSynthesis.getVoices = () => [{voice}];"
    with serve_clinic(tablet_clinic("da", PatientService(items=short_items()))) as clinic:
        page = open_page(clinic, "/patient", script=stub)
        page.wait_for_selector(".plan-lines")
        assert page.locator('[data-action="read-aloud"]').count() == count


def test_the_keyboard_alone_trains_a_set(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())

    def key(action: str) -> None:
        page.wait_for_selector(f'[data-action="{action}"]')
        for _ in range(30):
            if page.evaluate("document.activeElement.dataset.action") == action:
                page.keyboard.press("Enter")
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"the keyboard does not reach {action}")

    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        for action in (*TO_FIRST_SET.split(), "plus", "plus", "end-set", "pain-2", "begin-set", "stop", "stop-yes"):
            key(action)
        page.wait_for_selector("text=Din træning er gemt")
        key("receipt-done")


def test_stopping_ends_safely_with_a_receipt_wherever_it_is_pressed(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        for way in (TO_FIRST_SET, "start-alone check-done space-yes pain-1", f"{TO_FIRST_SET} end-set pain-2"):
            service.received.clear()
            do(page, f"{way} stop stop-yes")
            page.wait_for_selector("text=Din træning er gemt")
            assert kinds(service)[-1] == "close stop"
            do(page, "receipt-done")


# --- the first screen ---


def test_a_rest_day_and_an_illness_are_told_with_their_days(open_page: OpenPage) -> None:
    service = PatientService(items=short_items())
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "page-not_today ill ill-3 not-today-done page-not_today rest not-today-done")
        wait_for(lambda: len(service.writes("/pauses")) == 2, page)
        ill, rest = (body for _, _, body in service.writes("/pauses"))
        days = [datetime.fromisoformat(ill[name]).toordinal() for name in ("starts_on", "ends_on")]
        assert (ill["kind"], days[1] - days[0]) == ("illness", 2)
        assert (rest["kind"], rest["starts_on"]) == ("planned_rest", rest["ends_on"])


def test_the_answers_of_a_questionnaire_leave_together(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), due=[DUE])
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        do(page, "page-questionnaire answer-4")
        page.wait_for_selector("text=Dine svar er gemt")
        method, path, body = service.received[-1]
        assert (method, path.split("/")[-2]) == ("PUT", "questionnaire-responses")
        assert {name: body[name] for name in ("code", "schedule_id", "answers")} == {
            "code": "pain_nrs",
            "schedule_id": DUE["schedule_id"],
            "answers": {"pain": 4},
        }


DUE: dict[str, Any] = {
    "schedule_id": "0b0f8f1e-0000-4000-8000-00000000cccc",
    "due_on": "2026-11-22",
    "questionnaire_id": None,
    "definition": {
        "code": "pain_nrs",
        "version": 1,
        "title": {"da": "Smerte", "en": "Pain"},
        "questions": [
            {
                "kind": "number",
                "code": "pain",
                "text": {"da": "Hvor ondt?", "en": "How much pain?"},
                "minimum": 0,
                "maximum": 10,
                "step": 1,
            }
        ],
    },
}


@pytest.mark.parametrize(
    ("scopes", "seen", "unseen"),
    [
        (["see_plan"], [".plan-lines"], ["start-alone", "page-progress", "page-messages"]),
        (["see_plan", "train_for"], [".plan-lines", '[data-action="start-alone"]'], ["page-progress"]),
        (["see_plan", "see_results"], ['[data-action="page-progress"]'], ["start-alone", "page-messages"]),
    ],
)
def test_a_helper_sees_what_the_patient_has_allowed(
    open_page: OpenPage, scopes: list[str], seen: list[str], unseen: list[str]
) -> None:
    helped = {"patient_id": ELSE, "display_name": "Else Jensen", "birth_date": "1944-05-02", "ends_at": None}
    service = PatientService(items=short_items(), helped=[{**helped, "scopes": scopes}])
    clinic = tablet_clinic("da", service, role="helper", patient_id=None, display_name="Ole")
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        page.wait_for_selector("text=Else Jensen, født 2. maj 1944")
        do(page, "help-patient")
        for selector in seen:
            page.wait_for_selector(selector)
        assert [action for action in unseen if page.locator(f'[data-action="{action}"]').count()] == []


def test_a_helper_trains_with_the_patient_in_the_patients_name(open_page: OpenPage) -> None:
    helped = {"patient_id": ELSE, "display_name": "Else Jensen", "birth_date": "1944-05-02", "ends_at": None}
    service = PatientService(items=short_items(), helped=[{**helped, "scopes": ["see_plan", "train_for"]}])
    clinic = tablet_clinic("da", service, role="helper", patient_id=None, display_name="Ole")
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        do(page, f"help-patient {WHOLE_PLAN}")
        page.wait_for_selector("text=Din træning er gemt")
        assert service.writes(OPENING)[0][2]["patient_id"] == ELSE
        assert kinds(service) == AS_TOLD


def test_nothing_of_the_patient_is_shown_before_the_pin_is_right(open_page: OpenPage) -> None:
    service = PatientService(items=short_items(), pin="2580")
    with serve_clinic(tablet_clinic("da", service)) as clinic:
        page = open_page(clinic, "/patient")
        page.wait_for_selector(".keypad")
        assert "Else" not in page.inner_text("body")
        do(page, "pin-2 pin-5 pin-8 pin-1 pin-done")
        page.wait_for_selector("text=Koden passede ikke")
        do(page, "pin-2 pin-5 pin-8 pin-0 pin-done")
        page.wait_for_selector("text=Hej, Else")
        page.reload()
        page.wait_for_selector("text=Hej, Else")  # asked when the page is opened, not again in the same tab


def test_in_a_magnified_set_counting_and_stopping_come_before_the_figure(open_page: OpenPage) -> None:
    with serve_clinic(tablet_clinic("da", PatientService(items=short_items()))) as clinic:
        page = open_page(clinic, "/patient")
        for action in TO_FIRST_SET.split():
            page.wait_for_selector(f'[data-action="{action}"]')
            press(page, action)
        page.wait_for_selector('[data-action="plus"]')
        page.set_viewport_size({"width": 640, "height": 400})
        tops = {
            each: page.locator(each).first.evaluate("element => element.getBoundingClientRect().top")
            for each in ('[data-action="plus"]', '[data-action="hurts"]', '[data-action="stop"]', ".exercise-figure")
        }
        assert tops.pop(".exercise-figure") > max(tops.values())
