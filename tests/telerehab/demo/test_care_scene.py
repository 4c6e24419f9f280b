"""The demonstration's clinic and its care scene on the real application, without processes: right, and with faults."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import anyio
import httpx2
import pytest
from fastapi import FastAPI
from sqlmodel import col, select

from telerehab.app import create_app
from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.passwords import Passwords
from telerehab.care import help_calls, plans
from telerehab.clock import SystemClock, utc_now
from telerehab.db.engine import Database, reading
from telerehab.db.repositories import self_reports, training_sessions, training_sets
from telerehab.db.tables import Alert, Flag, HelpCall, OneTimeLink, TrainingSession
from telerehab.demo import care_scene
from telerehab.demo.care_report import CareReport, CareStep, Outcome
from telerehab.demo.care_scene import CareDoors, CareScene
from telerehab.demo.clinic import HELP_TELEPHONE, VERA_BIRTH_DATE, VERA_NAME, Clinic, make_clinic
from telerehab.jobs.flags import evaluate_all
from telerehab.settings import Settings
from tests.telerehab.db.stores import make_settings

pytestmark = pytest.mark.anyio
SHORT_S = 25.0
BASE_ADDRESS = "http://clinic.localhost"
HELP_STEPS = {CareStep.HELP_UNANSWERED, CareStep.HELP_CLOSED}


@dataclass(frozen=True, kw_only=True, slots=True)
class Inside:
    """Somebody who has entered, without a network."""

    app: FastAPI
    cookie: str

    def client(self) -> httpx2.AsyncClient:
        return _client(self.app, {"Cookie": f"__Host-telerehab={self.cookie}"})


def _client(app: FastAPI, headers: dict[str, str]) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        transport=httpx2.ASGITransport(app=app), base_url=BASE_ADDRESS, headers={"X-Telerehab": "1", **headers}
    )


async def enter(app: FastAPI, token: str) -> Inside:
    async with _client(app, {}) as client:
        response = await client.post("/api/enter", json={"token": token})
    assert response.status_code == 200, response.text
    return Inside(app=app, cookie=response.cookies["__Host-telerehab"])


@pytest.fixture
def clinic(settings: Settings, database: Database) -> Clinic:
    return _made(settings, database)


@pytest.fixture
def settings_and_database(sqlite_database: Database, tmp_path: Path) -> tuple[Settings, Database]:
    return make_settings(tmp_path), sqlite_database


@pytest.fixture
def sqlite_clinic(settings_and_database: tuple[Settings, Database]) -> tuple[Settings, Clinic]:
    """Give a clinic on SQLite only: for what does not ask the database much."""
    settings, database = settings_and_database
    return settings, _made(settings, database)


def _made(settings: Settings, database: Database) -> Clinic:
    clinic = make_clinic(database, key_ring=open_key_ring(settings), homes=1, now=utc_now(SystemClock()))
    evaluate_all(database, utc_now(SystemClock()))
    return clinic


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[FastAPI]:
    app = create_app(settings, passwords=Passwords(memory_cost_kib=1024))
    async with app.router.lifespan_context(app):
        yield app


async def play(
    settings: Settings,
    clinic: Clinic,
    *,
    planned_s: float = SHORT_S,
    telephone: str = HELP_TELEPHONE,
    within_s: float = 20,
) -> CareReport:
    care = clinic.care
    async with running(settings) as app:
        doors = CareDoors(
            patient_id=care.patient_id,
            tablet=await enter(app, care.tablet_token),
            therapist=await enter(app, care.therapist_token),
            stranger=await enter(app, care.stranger_token),
            planted=care.planted,
            name=VERA_NAME,
            birth_date=VERA_BIRTH_DATE.isoformat(),
            telephone=telephone,
        )
        scene = CareScene(doors, planned_s=planned_s)
        with anyio.fail_after(within_s):
            await scene.run()
    return scene.report(was_told_to_end=False)


def outcomes(report: CareReport) -> dict[CareStep, Outcome]:
    return {each.step: each.outcome for each in report.steps}


async def test_the_scene_shows_everything_but_the_wait_in_a_short_run(
    settings: Settings, database: Database, clinic: Clinic
) -> None:
    report = await play(settings, clinic)
    assert outcomes(report) == {step: Outcome.LEFT_OUT if step in HELP_STEPS else Outcome.RIGHT for step in CareStep}, (
        report
    )
    assert report.is_right
    with reading(database.main) as db:
        (alert,) = db.exec(select(Alert)).all()
        assert (alert.patient_id, alert.cause, alert.value) == (clinic.care.patient_id, "pain_high", 8)
        assert db.exec(select(HelpCall)).all() == []


async def test_nobody_answers_and_the_tablet_is_told_to_telephone(
    monkeypatch: pytest.MonkeyPatch, settings: Settings, database: Database, clinic: Clinic
) -> None:
    shorten_the_wait(monkeypatch)
    report = await play(settings, clinic, planned_s=60)
    assert set(outcomes(report).values()) == {Outcome.RIGHT}, report
    with reading(database.main) as db:
        (call,) = db.exec(select(HelpCall)).all()
        assert (call.unanswered, call.state, call.outcome) == ("no_answer", "closed", "helped")


def shorten_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let half a second be what thirty are."""
    monkeypatch.setattr(help_calls, "UNANSWERED_AFTER", timedelta(seconds=0.5))
    monkeypatch.setattr(care_scene, "UNANSWERED_S", (0.5, 5.0))
    monkeypatch.setattr(care_scene, "GIVE_UP_AFTER_S", 0.0)


Break = Callable[[pytest.MonkeyPatch], None]


def no_alert(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(self_reports, "store_event", lambda *_rows, **_about: None)


def no_way_back_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    for module in (training_sessions, training_sets):
        patch.setattr(module, "require_no_open_stop", lambda *_about: None)


def a_late_list_of_alerts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(care_scene, "ALERT_SEEN_MAX_S", 0.0)


def another_hash_on_the_tablet(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(plans, "content_hash", _changing_hash)


def _changing_hash(_content: object, *, number: int) -> str:
    return f"{number}{uuid4().hex}{uuid4().hex}"


@pytest.mark.parametrize(
    ("break_it", "steps"),
    [
        (no_alert, {CareStep.STOP_ON_PAIN, CareStep.ALERT_SEEN, CareStep.NO_WAY_BACK, CareStep.MAY_CONTINUE}),
        (no_way_back_is_forgotten, {CareStep.NO_WAY_BACK}),
        (a_late_list_of_alerts, {CareStep.ALERT_SEEN}),
        (another_hash_on_the_tablet, {CareStep.SAME_PLAN}),
    ],
)
async def test_a_fault_in_the_application_is_a_wrong_step(
    break_it: Break, steps: set[CareStep], sqlite_clinic: tuple[Settings, Clinic], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(care_scene, "GIVE_UP_AFTER_S", 0.3)
    break_it(monkeypatch)
    report = await play(*sqlite_clinic)
    wrong = {step for step, outcome in outcomes(report).items() if outcome is Outcome.WRONG}
    assert steps <= wrong, report
    assert not report.is_right


async def test_a_tablet_that_is_told_another_number_is_a_wrong_step(sqlite_clinic: tuple[Settings, Clinic]) -> None:
    report = await play(*sqlite_clinic, telephone="+45 11 11 11 11")
    assert outcomes(report)[CareStep.STOP_ON_PAIN] is Outcome.WRONG


async def test_a_call_that_rings_for_ever_is_a_wrong_step(
    monkeypatch: pytest.MonkeyPatch, sqlite_clinic: tuple[Settings, Clinic]
) -> None:
    shorten_the_wait(monkeypatch)
    monkeypatch.setattr(help_calls, "UNANSWERED_AFTER", timedelta(minutes=1))
    monkeypatch.setattr(care_scene, "UNANSWERED_S", (0.2, 0.4))
    report = await play(*sqlite_clinic, planned_s=60)
    assert outcomes(report)[CareStep.HELP_UNANSWERED] is Outcome.WRONG
    assert outcomes(report)[CareStep.HELP_CLOSED] is Outcome.RIGHT


async def test_a_stranger_who_finds_the_patient_is_a_wrong_step(sqlite_clinic: tuple[Settings, Clinic]) -> None:
    settings, clinic = sqlite_clinic
    inside = replace(clinic.care, stranger_token=clinic.observer_token)
    report = await play(settings, replace(clinic, care=inside))
    assert outcomes(report)[CareStep.OWN_CLINIC_ONLY] is Outcome.WRONG


async def test_flags_that_never_come_are_waited_for_until_the_end(
    settings_and_database: tuple[Settings, Database],
) -> None:
    settings, database = settings_and_database
    clinic = make_clinic(database, key_ring=open_key_ring(settings), homes=1, now=utc_now(SystemClock()))
    with pytest.raises(TimeoutError):
        await play(settings, clinic, within_s=2)


def test_the_past_shows_what_is_planted_and_nothing_else(
    settings: Settings, database: Database, clinic: Clinic
) -> None:
    with reading(database.main) as db:
        flags = {(flag.patient_id, flag.rule) for flag in db.exec(select(Flag).where(col(Flag.ended_at).is_(None)))}
        n_trainings = len(db.exec(select(TrainingSession.id)).all())
    assert flags == {(each.patient_id, each.rule) for each in clinic.care.planted}
    assert {each.rule for each in clinic.care.planted} == {"range_falling", "days_missed"}
    assert 40 <= n_trainings <= 60


def test_every_link_is_another_one_and_full(settings: Settings, database: Database, clinic: Clinic) -> None:
    with reading(database.main) as db:
        links = db.exec(select(OneTimeLink)).all()
    assert len(links) == 2 + 4 + 3 + 4
    assert all(link.is_full for link in links if link.account_id is not None)
    assert [each.name for each in clinic.staff] == ["colleague", "manager", "admin", "auditor"]


async def test_every_link_leads_to_its_face(sqlite_clinic: tuple[Settings, Clinic]) -> None:
    settings, clinic = sqlite_clinic
    logins = {each.name: each.token for each in (*clinic.staff, clinic.vera)}
    logins |= {"therapist": clinic.therapist_token, "home": clinic.homes[0].page_token}
    async with running(settings) as app:
        faces = {}
        for name, token in logins.items():
            async with _client(app, {}) as client:
                answer = (await client.post("/api/enter", json={"token": token})).json()
                faces[name] = (answer["next"], answer["face"])
        async with _client(app, {}) as client:
            look = (await client.post("/api/invitations/look", json={"token": clinic.invitation_token})).json()
    assert faces == {
        **dict.fromkeys(("therapist", "colleague"), ("done", "therapist")),
        **dict.fromkeys(("manager", "admin", "auditor"), ("done", "office")),
        **dict.fromkeys(("vera", "home"), ("done", "patient")),
    }
    assert look == {"organisation": "Demo Kommune", "patient_name": "Anna"}


async def test_a_homes_page_has_plan_message_appointment_and_goal(sqlite_clinic: tuple[Settings, Clinic]) -> None:
    settings, clinic = sqlite_clinic
    home = clinic.homes[0]
    async with running(settings) as app:
        tablet = await enter(app, home.page_token)
        async with tablet.client() as client:
            own = f"/api/patients/{home.patient_id}"
            today = (await client.get("/api/my/today")).json()
            messages = (await client.get(f"{own}/messages")).json()
            goals = (await client.get(f"{own}/goals")).json()
            consents = (await client.get(f"{own}/consents")).json()
            (appointment,) = (await client.get("/api/appointments")).json()
    assert today["is_training_day"]
    assert (today["plan"]["items"][0]["code"], today["plan"]["items"][0]["side"]) == (home.exercise, home.side)
    assert [len(each) for each in (messages, goals)] == [1, 1]
    assert sorted(each["kind"] for each in consents) == ["helper", "seen_by_group"]
    assert appointment["kind"] == "live_session"
