"""A day between a tablet and a therapist on the real web role: training alone, a stop, a lost link, a help call."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest
from playwright.sync_api import Error, Page
from sqlmodel import col, select

from telerehab.auth.key_ring import open_key_ring
from telerehab.clock import SystemClock, utc_now
from telerehab.db.engine import Database, open_database, reading
from telerehab.db.migrate import upgrade
from telerehab.db.tables import Alert, AlertAcknowledgement, HelpCall, SelfReport, TrainingSession, TrainingSet
from telerehab.demo.clinic import CLINIC_HOST, HELP_TELEPHONE, VERA_HOST, VERA_NAME, Clinic, make_clinic
from telerehab.settings import Settings
from tests.browser.chromium import chromium
from tests.browser.rooms import wait_for
from tests.demo_process import free_port

SEEN_WITHIN_S = 8
"""Pages look every two seconds; the machine of a test may be slow."""
ACTIONS_SHOWN = """[...document.querySelectorAll('[data-action]')].filter(element => element.checkVisibility())
  .map(element => element.dataset.action).sort()"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """The demonstration's clinic behind the real web role, without the other roles."""

    clinic: Clinic
    database: Database
    port: int

    def link(self, host: str, token: str) -> str:
        return f"http://{host}:{self.port}/enter#{token}"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    settings = Settings(
        data_dir=tmp_path, mqtt_port=free_port(), web_port=free_port(), public_hosts=["*.localhost"], dev=True
    )
    upgrade(settings)
    database = open_database(settings)
    clinic = make_clinic(database, key_ring=open_key_ring(settings), homes=1, now=utc_now(SystemClock()))
    with (tmp_path / "web.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "telerehab", "serve", "--dev", "--role", "web"],
            env={**os.environ, **settings.as_environment()},
            stdout=log,
            stderr=log,
        )
        try:
            yield Served(clinic=clinic, database=database, port=settings.web_port)
        finally:
            server.terminate()
            assert server.wait(30) == 0
            database.close()
    said = (tmp_path / "web.log").read_text(errors="replace")
    assert VERA_NAME not in said
    assert "Traceback" not in said, said[-4000:]


def enter(page: Page, link: str, face: str) -> None:
    """Enter by a one-time link as soon as the pages are served."""

    def is_served() -> bool:
        try:
            page.goto(link)
        except Error as error:
            if "ERR_CONNECTION_REFUSED" not in error.message:
                raise
            return False
        return True

    wait_for("the pages", is_served, page)
    page.wait_for_url(f"**/{face}*")


def do(page: Page, actions: str) -> None:
    """Press one button after the other, each as soon as it is there, as a switch does: no second tap is swallowed."""
    for action in actions.split():
        page.wait_for_selector(f'[data-action="{action}"]', timeout=SEEN_WITHIN_S * 1000)
        page.locator(f'[data-action="{action}"]').first.evaluate("element => element.click()")


def see(page: Page, selector: str) -> str:
    """Wait for something on the page; return its words."""
    page.wait_for_selector(selector, timeout=SEEN_WITHIN_S * 1000)
    return page.inner_text(selector)


def see_stop(tablet: Page) -> None:
    """See that the tablet is stopped, whom to telephone, and that there is no way on but out."""
    see(tablet, '[data-gate="stopped"]')
    words = tablet.inner_text("main")
    assert HELP_TELEPHONE in words
    assert "112" in words
    assert tablet.evaluate(ACTIONS_SHOWN) == ["gate-stop", "help", "language", "telephone"]


@pytest.mark.browser
@pytest.mark.timeout(600)
def test_a_tablet_is_stopped_let_go_on_loses_its_link_and_calls_for_help(served: Served) -> None:
    clinic, vera = served.clinic, served.clinic.care.patient_id
    complaints: list[str] = []
    with chromium() as browser:
        tablet, therapist = (
            browser.new_context(locale="da-DK", viewport={"width": width, "height": 800}).new_page()
            for width in (1280, 1440)
        )
        for page in (tablet, therapist):
            page.on("pageerror", lambda error: complaints.append(str(error)))
        enter(tablet, served.link(VERA_HOST, clinic.vera.token), "patient")
        enter(therapist, served.link(CLINIC_HOST, clinic.therapist_token), "therapist")
        see_the_same_plan(tablet, therapist, vera)

        do(tablet, "start-alone check-done space-yes pain-2 begin-set plus plus hurts pain-8")
        see_stop(tablet)
        tablet.reload()
        see_stop(tablet)
        tablet.go_back()
        tablet.goto(f"http://{VERA_HOST}:{served.port}/patient")
        see_stop(tablet)
        let_go_on(therapist, vera)
        see(tablet, '[data-gate="confirmed"]')
        do(tablet, "gate-go-on")
        see(tablet, ".instructions")  # never straight back into the movement

        train_without_a_link(tablet, served)
        do(tablet, "stop stop-yes")
        see(tablet, ".saved")
        do(tablet, "receipt-done")
        see(tablet, ".home")

        call_for_help(tablet, therapist, vera)
    assert complaints == []
    assert_everything_was_written_once(served)


def see_the_same_plan(tablet: Page, therapist: Page, patient_id: UUID) -> None:
    """Compare the short hash of the plan on both pages."""
    therapist.evaluate(f"location.hash = '#/patients/{patient_id}/plan'")
    short_hash = see(therapist, "code.hash").strip()
    assert len(short_hash) == 8
    assert short_hash in see(tablet, ".plan-version")
    therapist.evaluate("location.hash = '#/'")


def let_go_on(therapist: Page, patient_id: UUID) -> None:
    """See the alert with name and birth date on the therapist's first page, and let training go on."""
    words = see(therapist, "[data-alert]")
    assert VERA_NAME in words
    assert "9. marts 1944" in words
    assert "8" in words
    assert str(patient_id) in (
        therapist.locator('[data-alert] [data-action="alert-record"]').get_attribute("href") or ""
    )
    do(therapist, "acknowledge")
    therapist.locator('input[name="alert-action"][value="may_continue"]').check()
    do(therapist, "acknowledge-save")
    wait_for("no alert", lambda: therapist.locator("[data-alert]").count() == 0, therapist, timeout_s=SEEN_WITHIN_S)


def train_without_a_link(tablet: Page, served: Served) -> None:
    """Lose the link within a set, finish the set, come back: what was done arrives."""
    before = len(sets_of(served))
    do(tablet, "begin-set")
    wait_for("the set", lambda: len(sets_of(served)) == before + 1, tablet, timeout_s=SEEN_WITHIN_S)
    tablet.context.set_offline(True)
    do(tablet, "plus plus plus end-set pain-2")
    see(tablet, '[data-action="begin-set"]')
    see(tablet, ".top-status span")  # kept here
    assert sets_of(served)[-1].ended_at is None
    tablet.context.set_offline(False)
    wait_for("the end of the set", lambda: sets_of(served)[-1].ended_at is not None, tablet, timeout_s=20)


def call_for_help(tablet: Page, therapist: Page, patient_id: UUID) -> None:
    """Call from the home page; the therapist takes the call and closes it, the tablet sees both."""
    do(tablet, "help")
    see(tablet, '[data-help="calling"]')
    words = see(therapist, "[data-help-call]")
    assert VERA_NAME in words
    assert "9. marts 1944" in words
    do(therapist, "answer-help")
    assert "Mette Holm" in see(tablet, '[data-help="answered"]')
    do(therapist, "help-to-close")
    therapist.locator('input[name="outcome"][value="helped"]').check()
    do(therapist, "close-help-save")
    wait_for("no call", lambda: tablet.locator("[data-help]").count() == 0, tablet, timeout_s=SEEN_WITHIN_S)
    see(tablet, ".home")


def sets_of(served: Served) -> list[TrainingSet]:
    with reading(served.database.main) as db:
        statement = (
            select(TrainingSet)
            .join(TrainingSession, col(TrainingSession.id) == col(TrainingSet.training_session_id))
            .where(col(TrainingSession.patient_id) == served.clinic.care.patient_id)
        )
        return list(db.exec(statement.order_by(col(TrainingSet.started_at))))


def assert_everything_was_written_once(served: Served) -> None:
    patient_id = served.clinic.care.patient_id
    assert [(each.end_reason, each.counted_repetitions) for each in sets_of(served)] == [("pain", 2), ("done", 3)]
    with reading(served.database.main) as db:
        (training,) = db.exec(select(TrainingSession).where(col(TrainingSession.patient_id) == patient_id)).all()
        reports = db.exec(
            select(SelfReport).where(col(SelfReport.patient_id) == patient_id).order_by(col(SelfReport.at))
        ).all()
        (alert,) = db.exec(select(Alert).where(col(Alert.patient_id) == patient_id)).all()
        said = db.exec(select(AlertAcknowledgement.action).where(col(AlertAcknowledgement.alert_id) == alert.id)).all()
        (call,) = db.exec(select(HelpCall)).all()
    assert (training.close_reason, training.plan_version_id is None) == ("stop", False)
    assert [(report.kind, report.value) for report in reports] == [("pain", 2), ("pain", 8), ("pain", 2)]
    assert (alert.cause, alert.value, said) == ("pain_high", 8, ["may_continue"])
    assert (call.state, call.outcome, call.press_count) == ("closed", "helped", 1)
