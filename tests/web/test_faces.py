"""The faces in a real browser, against a scripted clinic: words, sizes, accessibility, ages, help, text."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Page

from tests.web.fake_clinic import (
    LIVE_SESSION,
    THERAPIST,
    FakeClinic,
    patient_clinic,
    patient_of,
    serve_clinic,
    therapist_clinic,
    training_of,
)
from tests.web.inspection import Inspector, press, wait_for

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]
PLOT_LIES_BELOW = """() => document.querySelector(".focus .plot").getBoundingClientRect().top >=
    Math.max(...[...document.querySelectorAll(".focus-body > *")].map((each) => each.getBoundingClientRect().bottom))"""

# --- every screen, in both languages: axe, targets, type, scrolling ---


def test_every_screen_of_the_patient_is_accessible(open_page: Callable[..., Page]) -> None:
    clinic = patient_clinic("da")
    offered = clinic.live_sessions
    assert clinic.state is not None
    own = clinic.state["participants"][1]
    with serve_clinic(clinic):
        clinic.live_sessions = []
        page = open_page(clinic, "/patient")
        inspector = Inspector(page, for_patients=True)
        page.wait_for_selector("h1:has-text('Else')")
        inspector.look("nothing on")
        press(page, "help")
        inspector.look("help without a therapist")
        press(page, "help-close")
        clinic.live_sessions = offered
        page.wait_for_selector('[data-action="start"]')
        inspector.look("start")
        own["state"] = "waiting"
        press(page, "start")
        page.wait_for_selector('h1:has-text("klar")')
        inspector.look("waiting room")
        own["state"] = "connected"
        clinic.show()
        page.wait_for_selector(".count-number")
        inspector.look("training")
        press(page, "pause")
        inspector.look("pause")
        press(page, "help")
        page.wait_for_selector(".help-banner")
        inspector.look("help called")
        press(page, "help-cancel")
        press(page, "write")
        inspector.look("writing")
        press(page, "write-done")
        press(page, "stop")
        inspector.look("stop?")
        press(page, "stop-no")
        clinic.answers = False
        page.wait_for_selector('[role="alert"]')
        inspector.look("link lost")
        clinic.answers = True
        page.wait_for_selector(".count-number")
        press(page, "stop")
        press(page, "stop-yes")
        page.wait_for_selector('[data-action="receipt-done"]')
        inspector.look("receipt")
        press(page, "receipt-done")
        page.wait_for_selector('[data-action="start"]')
        press(page, "start")
        page.wait_for_selector(".count-number")
        clinic.say({"type": "bye", "reason": "replaced", "live_session": LIVE_SESSION})
        page.wait_for_selector('[data-action="take-back"]')
        inspector.look("open somewhere else")
    assert inspector.wrong == []
    assert inspector.screen_count == 12


def test_every_screen_of_the_therapist_is_accessible(open_page: Callable[..., Page]) -> None:
    clinic = therapist_clinic("da")
    offered = clinic.live_sessions
    assert clinic.state is not None
    people = clinic.state["participants"]
    with serve_clinic(clinic):
        clinic.live_sessions = []
        page = open_page(clinic, "/therapist#/sessions")
        inspector = Inspector(page, for_patients=False)
        page.wait_for_selector(".lobby .empty")
        inspector.look("no live session")
        clinic.live_sessions = offered
        page.wait_for_selector('[data-action="open"]')
        press(page, "pairing-code")
        page.wait_for_selector(".code")
        inspector.look("overview")
        press(page, "open")
        page.wait_for_selector(".tile")
        inspector.look("room")
        people[1]["paused_since"] = "2026-11-21T20:00:00Z"
        people[2]["help_since"], people[3]["state"], people[4]["link"] = "2026-11-21T20:00:00Z", "waiting", "lost"
        clinic.movements[training_of(0)].age_ms = 3000
        clinic.show()
        press(page, "look")
        page.wait_for_selector('[data-need="help"]')
        page.wait_for_selector('[data-need="link_lost"]')
        inspector.look("room with needs")
        press(page, "next-exercise")
        inspector.look("next exercise")
        press(page, "alike")
        inspector.look("all the same size")
        press(page, "end")
        page.wait_for_selector("dialog[open]")
        inspector.look("end?")
        press(page, "stay")
        clinic.say({"type": "bye", "reason": "ended", "live_session": LIVE_SESSION})
        page.wait_for_selector('[data-action="to-lobby"]')
        inspector.look("ended")
    assert inspector.wrong == []


def test_the_ways_in_are_accessible_and_a_spent_link_says_so(open_page: Callable[..., Page]) -> None:
    clinic = FakeClinic(me=None)
    with serve_clinic(clinic):
        page = open_page(clinic, "/enter#spent-token")
        page.wait_for_selector('[role="alert"]')
        assert clinic.posted == [("/api/enter", {"token": "spent-token"})]
        assert page.url == f"{clinic.url}/enter"
        inspector = Inspector(page, for_patients=False)
        inspector.look("ways in")
        page.fill(".code", "042 517")
        page.click('[data-action="pair"]')
        wait_for(lambda: ("/api/tablet-pairing", {"code": "042517"}) in clinic.posted, page)
        patient = open_page(clinic, "/patient")
        patient.wait_for_selector('a[href="/enter"]')
        for_patients = Inspector(patient, for_patients=True)
        for_patients.look("not paired")
    assert inspector.wrong + for_patients.wrong == []


@pytest.mark.parametrize("face", ["patient", "therapist"])
def test_the_keyboard_alone_reaches_every_control(open_page: Callable[..., Page], face: str) -> None:
    clinic = patient_clinic("en") if face == "patient" else therapist_clinic("en")
    with serve_clinic(clinic):
        page = open_page(clinic, f"/{face}")
        page.locator('[data-action="start"], [data-action="open"]').first.focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".cue, .tile")
        controls = page.locator("button:visible, input:visible, a[href]:visible").count()
        reached = set()
        for _ in range(controls + 8):
            page.keyboard.press("Tab")
            reached.add(
                page.evaluate(
                    """() => { const all = [...document.querySelectorAll('button, input, a[href]')];
                    return all.indexOf(document.activeElement); }"""
                )
            )
        assert len(reached - {-1}) == controls


# --- honesty ---


def test_values_are_grey_after_two_seconds_and_gone_after_five(open_page: Callable[..., Page]) -> None:
    patients, therapists = patient_clinic("da"), therapist_clinic("da", patients=1)
    with serve_clinic(patients), serve_clinic(therapists):
        patient, therapist = open_page(patients, "/patient"), open_page(therapists, "/therapist")
        press_when_shown(patient, "start")
        press_when_shown(therapist, "open")
        press_when_shown(therapist, "look")
        shown = {patient: ".count", therapist: ".numbers"}
        for page, selector in shown.items():
            page.wait_for_selector(f'{selector}[data-freshness="fresh"]')
            page.evaluate(WATCH_FRESHNESS, selector)
        patients.sends_frames = therapists.sends_frames = False
        patient.wait_for_selector('.count[data-freshness="delayed"]')
        assert "7" in patient.inner_text(".count")
        for page, selector in shown.items():
            page.wait_for_selector(f'{selector}[data-freshness="gone"]')
            seen = page.evaluate("window.seen")  # by the page's own clock, since its last live frame, which said 0.12 s
            assert 1700 < seen["delayed"] - seen["frame"] < 2500
            assert 4700 < seen["gone"] - seen["frame"] < 5500
        assert patient.locator(".count-number").count() == 0
        assert not any(character.isdigit() for character in patient.inner_text(".count"))
        assert therapist.inner_text('[data-number="repetitions"]') == "–"
        assert therapist.inner_text('[data-number="angle"]') == "–"
        patients.sends_frames = True
        patient.wait_for_selector('.count[data-freshness="fresh"]')


WATCH_FRESHNESS = """selector => {
  window.seen = {};
  let frames = 0;
  setInterval(() => {
    const count = window.__telerehab.liveFrames();
    if (count !== frames) window.seen.frame = performance.now();
    frames = count;
    const freshness = document.querySelector(selector).dataset.freshness;
    window.seen[freshness] ??= performance.now();
  }, 10);
}"""


def press_when_shown(page: Page, action: str) -> None:
    page.wait_for_selector(f'[data-action="{action}"]')
    press(page, action)


def test_a_repetition_is_announced_once(open_page: Callable[..., Page]) -> None:
    clinic = patient_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        press_when_shown(page, "start")
        page.wait_for_selector(".count-number")
        page.evaluate(
            """() => { window.announced = [];
            for (const status of document.querySelectorAll('[role=status]'))
              new MutationObserver(() => window.announced.push(status.textContent))
                .observe(status, {childList: true, characterData: true, subtree: true}); }"""
        )
        clinic.movements[training_of(0)].repetitions = 8
        wait_for(lambda: page.inner_text(".count-number") == "8", page)
        frames = page.evaluate("window.__telerehab.liveFrames()")
        wait_for(lambda: page.evaluate("window.__telerehab.liveFrames()") > frames + 5, page)
        assert page.evaluate("window.announced") == ["8 af 10 gentagelser"]
        assert page.evaluate("window.__telerehab.repetitions()") == {training_of(0): 8}


def test_curves_are_drawn_at_most_25_times_a_second(open_page: Callable[..., Page]) -> None:
    count_drawing = """window.drawn = new Map();
      const clear = CanvasRenderingContext2D.prototype.clearRect;
      CanvasRenderingContext2D.prototype.clearRect = function (...box) {
        window.drawn.set(this.canvas, (window.drawn.get(this.canvas) ?? 0) + 1);
        return clear.apply(this, box);
      };"""
    clinic = therapist_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist", script=count_drawing)
        press_when_shown(page, "open")
        press_when_shown(page, "look")
        page.wait_for_selector(".plot canvas")
        seconds, counts = page.evaluate(
            """() => new Promise(resolve => { window.drawn.clear(); const start = performance.now();
              setTimeout(() => resolve([(performance.now() - start) / 1000, [...window.drawn.values()]]), 1500); })"""
        )
        assert len(counts) == 5
        assert max(counts) <= 26 * seconds
        assert min(counts) >= 3


# --- a trembling hand, a call for help, a line that breaks ---


def test_a_second_tap_of_a_trembling_finger_is_ignored(open_page: Callable[..., Page]) -> None:
    clinic = patient_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        page.click('[data-action="start"]')
        page.wait_for_selector(".cue")
        page.wait_for_timeout(650)  # the guard's own time since the first tap
        page.dblclick('[data-action="pause"]')
        assert page.get_attribute('[data-action="pause"]', "aria-pressed") == "true"


def test_a_call_for_help_is_repeated_until_it_is_heard_also_over_a_broken_line(open_page: Callable[..., Page]) -> None:
    clinic = patient_clinic("da")
    assert clinic.state is not None
    own = clinic.state["participants"][1]
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        press_when_shown(page, "start")
        page.wait_for_selector(".cue")
        clinic.answers = False
        clinic.close_sockets()
        press(page, "help")
        assert page.get_attribute('[data-action="help"]', "aria-pressed") == "true"
        clinic.answers = True
        wait_for(lambda: any(message["on"] for message in clinic.heard("help")), page)
        assert "Vi giver Mette Holm besked" in page.inner_text(".help-banner")
        own["help_since"] = "2026-11-21T20:00:00Z"
        clinic.show()
        page.wait_for_selector(".help-banner:has-text('har fået besked')")
        press(page, "help-cancel")
        wait_for(lambda: clinic.heard("help")[-1]["on"] is False, page)


def test_a_pause_is_told_until_it_is_heard_and_is_kept_over_a_reload(open_page: Callable[..., Page]) -> None:
    clinic = patient_clinic("da")
    assert clinic.state is not None
    own = clinic.state["participants"][1]
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        press_when_shown(page, "start")
        page.wait_for_selector(".count-number")
        press(page, "pause")
        wait_for(lambda: len(clinic.heard("pause")) >= 2, page)  # the state does not show it yet: told again
        assert {message["on"] for message in clinic.heard("pause")} == {True}
        own["paused_since"] = "2026-11-21T20:00:00Z"
        clinic.show()
        page.reload()
        page.wait_for_selector('[data-action="pause"][aria-pressed="true"]')
        assert "kan se, at du holder pause" in page.inner_text(".cue")
        press(page, "pause")
        wait_for(lambda: clinic.heard("pause")[-1]["on"] is False, page)


def test_the_first_patient_is_large_at_once_and_all_may_be_alike(open_page: Callable[..., Page]) -> None:
    clinic = therapist_clinic("en")
    assert clinic.state is not None
    clinic.state["participants"][1]["state"] = "invited"
    clinic.state["participants"][3]["paused_since"] = "2026-11-21T20:00:00Z"

    def picture_area() -> float:
        box = page.locator(".tile-picture").first.bounding_box()
        assert box is not None
        return box["width"] * box["height"]

    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        press_when_shown(page, "open")
        page.wait_for_selector(".focus h2:has-text('Poul Kristensen')")  # the first who is here
        page.set_viewport_size({"width": 1280, "height": 620})
        wait_for(lambda: page.evaluate(PLOT_LIES_BELOW), page)
        wait_for(lambda: clinic.heard("focus") and clinic.heard("focus")[-1]["participant"] == patient_of(1), page)
        page.wait_for_selector('[data-need="paused"]:has-text("Anna Møller")')
        assert page.locator(".badge.pause").count() == 1
        small = picture_area()
        page.locator('[data-action="alike"]').focus()
        page.keyboard.press("Enter")
        page.wait_for_selector(".focus", state="detached")
        assert picture_area() > 2 * small
        assert page.evaluate("document.activeElement.dataset.action") == "alike"
        wait_for(lambda: clinic.heard("focus")[-1]["participant"] is None, page)


def test_a_patient_who_refuses_the_camera_trains_on_and_is_not_asked_again(open_page: Callable[..., Page]) -> None:
    refuse = """window.asked = 0;
      navigator.mediaDevices.getUserMedia = () => { window.asked += 1;
        return Promise.reject(new DOMException('no', 'NotAllowedError')); };"""
    clinic = patient_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient", script=refuse)
        press_when_shown(page, "start")
        page.wait_for_selector(".count-number")
        assert page.evaluate("window.asked") >= 1
        assert "Uden kamera" in page.inner_text(".top")
        page.reload()
        page.wait_for_selector(".count-number")  # back on the same seat without a tap
        assert page.evaluate("window.asked") == 0
        press(page, "stop")
        press(page, "stop-yes")
        press_when_shown(page, "receipt-done")
        page.wait_for_selector('[data-action="start"]')
        page.reload()
        press_when_shown(page, "start")
        page.wait_for_selector(".count-number")
        assert page.evaluate("window.asked") == 0


def test_a_therapist_is_not_asked_for_camera_or_microphone(open_page: Callable[..., Page]) -> None:
    count = """window.asked = 0; const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
      navigator.mediaDevices.getUserMedia = wish => { window.asked += 1; return ask(wish); };"""
    clinic = therapist_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist", script=count)
        press_when_shown(page, "open")
        page.wait_for_selector(".tile")
        wait_for(lambda: clinic.heard("subscribe"), page)
        assert page.evaluate("window.asked") == 0
        assert clinic.heard("subscribe")[0] == {**clinic.heard("subscribe")[0], "audio": 4, "video": 4}


def test_stopping_ends_safely_with_a_receipt(open_page: Callable[..., Page]) -> None:
    clinic = patient_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        press_when_shown(page, "start")
        page.wait_for_selector(".count-number")
        press(page, "stop")
        press(page, "stop-yes")
        page.wait_for_selector("text=Du lavede 7 gentagelser")
        wait_for(lambda: (f"/api/training-sessions/{training_of(0)}/close", {"reason": "stop"}) in clinic.posted, page)
        wait_for(lambda: clinic.heard("leave"), page)
        page.wait_for_selector("text=Din træning er gemt")


def test_a_patient_whose_line_was_broken_when_the_training_ended_has_a_receipt(open_page: Callable[..., Page]) -> None:
    clinic = patient_clinic("da")
    with serve_clinic(clinic):
        page = open_page(clinic, "/patient")
        press_when_shown(page, "start")
        page.wait_for_selector(".count-number")
        clinic.has_ended = True
        clinic.close_sockets()
        page.wait_for_selector("text=Du lavede 7 gentagelser")


# --- real-time text, needs, places ---


def test_text_is_seen_while_it_is_typed_and_both_sides_are_told_apart(open_page: Callable[..., Page]) -> None:
    clinic = therapist_clinic("en")
    clinic.events = [
        {"sequence": 3, "kind": "text", "at": "", "data": {"participant": patient_of(0), "to": None, "text": "My kn"}},
        {"sequence": 4, "kind": "text", "at": "", "data": {"participant": patient_of(0), "to": None, "text": "\bnee"}},
    ]
    note_times = """window.pressed = []; window.sent = []; const send = WebSocket.prototype.send;
      addEventListener('keydown', () => window.pressed.push(performance.now()), true);
      WebSocket.prototype.send = function (text) {
        if (text.includes('"text":')) window.sent.push(performance.now());
        return send.call(this, text);
      };"""
    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist", script=note_times)
        press_when_shown(page, "open")
        page.wait_for_selector(".lines .other:has-text('Else Jensen: My knee')")
        page.locator(".text input").press_sequentially("Sit", delay=20)
        wait_for(lambda: "".join(message["text"] for message in clinic.heard("text")) == "Sit", page)
        assert page.evaluate("window.sent.at(-1) - window.pressed.at(-1)") < 400
        page.locator(".text input").press("Enter")
        wait_for(lambda: "".join(message["text"] for message in clinic.heard("text")) == "Sit\n", page)
        wait_for(lambda: page.input_value(".text input") == "", page)
        own = {"sequence": 5, "kind": "text", "at": "", "data": {"participant": THERAPIST, "to": None, "text": "Sit\n"}}
        clinic.say({"type": "event", "live_session": LIVE_SESSION, **own})
        page.wait_for_selector(".lines .own:has-text('You: Sit')")


def test_who_needs_help_moves_up_the_list_and_no_tile_changes_its_place(open_page: Callable[..., Page]) -> None:
    clinic = therapist_clinic("en")
    assert clinic.state is not None
    people = clinic.state["participants"]

    def places() -> list[str]:
        found: list[str] = page.eval_on_selector_all(".tile", "tiles => tiles.map(tile => tile.dataset.participant)")
        return found

    with serve_clinic(clinic):
        page = open_page(clinic, "/therapist")
        press_when_shown(page, "open")
        page.wait_for_selector(".tile")
        before = places()
        people[3]["link"] = "lost"
        clinic.show()
        page.wait_for_selector('[data-need="link_lost"]')
        people[4]["help_since"] = "2026-11-21T20:00:00Z"
        people.append(people.pop(1))  # a server that lists its people in another order
        clinic.show()
        page.wait_for_selector('[data-need="help"]')
        kinds = page.eval_on_selector_all("[data-need]", "needs => needs.map(need => need.dataset.need)")
        assert kinds == ["help", "link_lost"]
        assert page.inner_text(".room > [role=status]") == "Bent Sørensen: Asked for help"
        assert places() == before
        press(page, "look-need")
        wait_for(lambda: patient_of(3) in [heard["participant"] for heard in clinic.heard("focus")], page)
