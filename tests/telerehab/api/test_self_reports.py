"""What patients say stops training over their limits, on both databases, whatever switches and clocks say (H7, H12)."""

import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import Engine, text
from sqlmodel import select
from starlette.testclient import TestClient

from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.reader import Reader
from telerehab.care.safety import Limits, write_limits
from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.repositories.alerts import AlertRepository
from telerehab.db.tables import Alert, HelperGrant, Organisation, PlanVersion, SelfReport, TrainingSession
from tests.telerehab.api.world import World, new_id, training


class Home:
    """The first patient of `here` with a tablet, in an open training session."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.tablet = world.as_tablet()
        self.patient_id = world.here.patient_ids[0]
        self.training_session_id: UUID | None = open_training_session(world, self.patient_id)

    def says(self, kind: str, value: int | None = None, *, by: TestClient | None = None, **chosen: Any) -> Any:
        """Return the answer to a report, a minute after the last one."""
        self.world.clock.advance(60)
        answer = (by or self.tablet).put(self.path(), json=self.body(kind, value, **chosen))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def path(self, report_id: str | None = None) -> str:
        return f"/api/patients/{self.patient_id}/self-reports/{report_id or new_id()}"

    def body(self, kind: str, value: int | None = None, **chosen: Any) -> dict[str, Any]:
        said = {
            "training_session_id": self.training_session_id and str(self.training_session_id),
            "kind": kind,
            "value": value,
            "phase": "during",
            "at": utc_now(self.world.clock).isoformat(),
        }
        return said | chosen

    def stop(self) -> Any:
        return self.tablet.get(f"/api/patients/{self.patient_id}/stop").json()

    def alerts(self) -> list[Alert]:
        with reading(self.world.database.main) as db:
            return sorted(db.exec(select(Alert)), key=lambda alert: alert.found_at)

    def causes(self) -> list[str]:
        return [alert.cause for alert in self.alerts()]

    def may_continue(self) -> None:
        """Let a therapist confirm everything, a minute later."""
        self.world.clock.advance(60)
        therapist = self.world.as_staff("therapist")
        for alert in self.alerts():
            answer = therapist.post(f"/api/alerts/{alert.id}/acknowledge", json={"action": "may_continue"})
            assert answer.status_code == 200, answer.text


def open_training_session(world: World, patient_id: UUID) -> UUID:
    row_id = uuid.uuid4()
    with writing(world.database.main, owner="web") as db:
        db.add(
            TrainingSession(
                id=row_id,
                patient_id=patient_id,
                exercise="knee_extension_seated",
                side="right",
                opened_at=utc_now(world.clock),
                opened_by=uuid.uuid4(),
            )
        )
    return row_id


@pytest.fixture
def home(world: World) -> Home:
    """Give a home on SQLite and on PostgreSQL."""
    return Home(world)


@pytest.fixture
def sqlite_home(sqlite_world: World) -> Home:
    return Home(sqlite_world)


def test_H7_pain_of_seven_stops_training_and_waits_for_the_therapist(home: Home) -> None:
    with writing(home.world.database.main, owner="web") as db:
        organisation = db.get_one(Organisation, home.world.here.organisation_id)
        organisation.help_telephone = "+45 70 10 20 30"
        db.add(organisation)
    assert home.says("pain", 6)["is_stopped"] is False
    answer = home.says("pain", 7)
    (alert,) = home.alerts()
    assert answer == {
        "is_stopped": True,
        "cause": "pain_high",
        "since": alert.began_at.isoformat().replace("+00:00", "Z"),
        "needs_confirmation_by": "therapist",
        "alert_ids": [],
        "telephone": "+45 70 10 20 30",
    }
    assert home.stop() == answer
    assert (alert.cause, alert.value, alert.limit_value, alert.found_by) == ("pain_high", 7, 7, "web")
    assert (alert.patient_id, alert.training_session_id) == (home.patient_id, home.training_session_id)
    assert ("alert", alert.id) in [(change.table, change.id) for change in home.world.changes.told]


def test_H7_three_more_than_at_the_start_stops_training(sqlite_world: World) -> None:
    home = Home(sqlite_world)
    home.says("pain", 2, phase="start")
    assert home.says("pain", 4)["is_stopped"] is False
    assert home.says("pain", 5)["cause"] == "pain_rise"
    assert [(alert.cause, alert.value, alert.limit_value) for alert in home.alerts()] == [("pain_rise", 5, 5)]


def test_H7_the_start_value_is_that_of_the_training_session(sqlite_world: World) -> None:
    home = Home(sqlite_world)
    home.says("pain", 0)
    home.training_session_id = open_training_session(home.world, home.patient_id)
    assert home.says("pain", 3)["is_stopped"] is False


def test_H7_the_plans_own_limits_hold(sqlite_home: Home) -> None:
    now = utc_now(sqlite_home.world.clock)
    with writing(sqlite_home.world.database.main, owner="web") as db:
        version = PlanVersion(
            patient_id=sqlite_home.patient_id,
            number=1,
            content={"items": [], "limits": write_limits(Limits(pain_max=4))},
            content_hash="0" * 64,
            valid_from=now.date(),
            author_id=sqlite_home.world.here.therapist_id,
            reason_sealed=b"-",
            created_at=now,
        )
        db.add(version)
    assert sqlite_home.says("pain", 4)["cause"] == "pain_high"


@pytest.mark.parametrize("service", ["measure_only", "communication_only"])
def test_H7_what_the_patient_says_counts_whatever_the_organisation_has_switched_off(
    sqlite_world: World, service: str
) -> None:
    home = Home(sqlite_world)
    with writing(home.world.database.main, owner="web") as db:
        organisation = db.get_one(Organisation, home.world.here.organisation_id)
        organisation.service = service
        db.add(organisation)
    assert home.says("pain", 8)["is_stopped"] is True
    assert home.says("stop")["is_stopped"] is True
    assert home.causes() == ["pain_high", "stop_pressed"]


def test_H7_the_patients_own_stop_waits_for_the_patient_alone(sqlite_home: Home) -> None:
    answer = sqlite_home.says("stop")
    assert (answer["cause"], answer["needs_confirmation_by"]) == ("stop_pressed", "patient")
    (alert,) = sqlite_home.alerts()
    assert answer["alert_ids"] == [str(alert.id)]
    confirmed = sqlite_home.tablet.post(f"/api/alerts/{alert.id}/confirm").json()
    assert (confirmed["is_stopped"], confirmed["cause"], confirmed["alert_ids"]) == (False, None, [])
    assert sqlite_home.says("stop")["is_stopped"] is True
    assert len(sqlite_home.alerts()) == 2


def test_H7_as_long_as_one_cause_needs_the_therapist_the_patient_can_confirm_nothing_away(sqlite_home: Home) -> None:
    sqlite_home.says("pain", 9)
    answer = sqlite_home.says("stop")
    assert (answer["cause"], answer["needs_confirmation_by"], answer["alert_ids"]) == ("pain_high", "therapist", [])
    own = next(alert for alert in sqlite_home.alerts() if alert.cause == "stop_pressed")
    after = sqlite_home.tablet.post(f"/api/alerts/{own.id}/confirm").json()
    assert (after["is_stopped"], after["needs_confirmation_by"]) == (True, "therapist")


def test_H7_pain_after_a_confirmation_stops_again_also_seconds_later(home: Home) -> None:
    home.says("pain", 8)
    home.may_continue()
    assert home.stop()["is_stopped"] is False
    home.world.clock.advance(-55)  # the report says that it was said 5 s after the first one
    at = utc_now(home.world.clock).isoformat()
    home.world.clock.advance(56)
    answer = home.tablet.put(home.path(), json=home.body("pain", 8, at=at))
    assert answer.json()["is_stopped"] is True
    assert home.causes() == ["pain_high", "pain_high"]


def test_H9_pain_that_stays_too_high_while_it_waits_is_one_alert_and_worse_pain_another(sqlite_home: Home) -> None:
    sqlite_home.says("pain", 2)
    for value in (5, 6, 5, 8, 9, 8):
        assert sqlite_home.says("pain", value)["is_stopped"] is True
    assert sqlite_home.causes() == ["pain_rise", "pain_high"]


@pytest.mark.parametrize("off_by", [timedelta(hours=-1), timedelta(hours=1), timedelta(days=-400)])
def test_H12_a_tablet_whose_clock_is_wrong_stops_all_the_same(sqlite_world: World, off_by: timedelta) -> None:
    home = Home(sqlite_world)

    def wrong() -> str:
        return (utc_now(home.world.clock) + off_by).isoformat()

    home.says("pain", 2, at=wrong())
    assert home.says("pain", 8, at=wrong())["cause"] == "pain_high"
    home.may_continue()
    assert home.says("pain", 8, at=wrong())["is_stopped"] is True
    assert len(home.alerts()) == 2
    with reading(home.world.database.main) as db:
        assert all(report.at <= utc_now(home.world.clock) for report in db.exec(select(SelfReport)))


def test_H12_the_start_value_is_the_first_that_came_whatever_the_tablets_clock_says_later(sqlite_home: Home) -> None:
    yesterday = (utc_now(sqlite_home.world.clock) - timedelta(days=1)).isoformat()
    sqlite_home.says("pain", 2)
    sqlite_home.says("pain", 4, at=yesterday)
    assert sqlite_home.says("pain", 5)["cause"] == "pain_rise"


def test_what_a_tablet_kept_without_a_link_is_judged_in_the_order_in_which_it_was_said(sqlite_home: Home) -> None:
    home = sqlite_home
    kept = [home.body("pain", value) for value in (1, 5)]
    home.world.clock.advance(3_600)
    answers = [home.tablet.put(home.path(), json=body).json()["is_stopped"] for body in kept]
    assert answers == [False, True]
    assert home.causes() == ["pain_rise"]


def test_pain_outside_a_training_session_is_judged_by_itself(sqlite_home: Home) -> None:
    sqlite_home.training_session_id = None
    assert sqlite_home.says("pain", 6)["is_stopped"] is False
    assert sqlite_home.says("pain", 7)["is_stopped"] is True
    assert [alert.training_session_id for alert in sqlite_home.alerts()] == [None]


def test_H7_a_stop_outside_a_training_session_stops_again_seconds_after_it_was_confirmed(home: Home) -> None:
    home.training_session_id = None
    (alert_id,) = home.says("stop")["alert_ids"]
    assert home.tablet.post(f"/api/alerts/{alert_id}/confirm").json()["is_stopped"] is False
    home.world.clock.advance(-55)
    assert home.says("stop")["is_stopped"] is True


def test_H7_a_stop_pressed_while_the_last_one_is_being_confirmed_is_not_lost(postgres_world: World) -> None:
    home = Home(postgres_world)
    home.says("stop")
    (alert,) = home.alerts()
    engine = home.world.database.main
    home.world.clock.advance(1)
    now = utc_now(home.world.clock)
    home.world.clock.advance(1)
    with ThreadPoolExecutor(1) as pool:
        with writing(engine, owner="web") as db:
            tablet = Reader(
                login_id=uuid.uuid4(),
                role="tablet",
                organisation_id=home.world.here.organisation_id,
                tablet_id=home.world.here.tablet_id,
                patient_id=home.patient_id,
            )
            AlertRepository(db, reader=tablet, now=now, key_ring=open_key_ring(home.world.settings)).confirm(alert.id)
            pressed = pool.submit(lambda: home.tablet.put(home.path(), json=home.body("stop")))
            while not pressed.done() and not is_somebody_waiting(engine):
                pass
        assert pressed.result(timeout=30).status_code == 200
    assert home.stop()["is_stopped"] is True
    assert home.causes() == ["stop_pressed", "stop_pressed"]


def is_somebody_waiting(engine: Engine) -> bool:
    """Return whether a transaction waits for another one."""
    with engine.connect() as connection:
        waiting = text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(connection.execute(waiting).scalar_one())


def test_effort_stops_nothing(sqlite_world: World) -> None:
    home = Home(sqlite_world)
    assert home.says("effort", 10)["is_stopped"] is False
    assert home.alerts() == []


def test_the_same_report_twice_is_one_and_another_under_its_id_is_refused(sqlite_home: Home) -> None:
    path, body = (
        sqlite_home.path(),
        sqlite_home.body("pain", 8, at=(utc_now(sqlite_home.world.clock) + timedelta(hours=2)).isoformat()),
    )
    first = sqlite_home.tablet.put(path, json=body)
    sqlite_home.world.clock.advance(5)
    again = sqlite_home.tablet.put(path, json=body)
    assert again.json() == first.json()
    assert len(sqlite_home.alerts()) == 1
    other = sqlite_home.tablet.put(path, json={**body, "value": 2})
    assert (other.status_code, other.json()["code"]) == (409, "conflict")
    with reading(sqlite_home.world.database.main) as db:
        assert [report.value for report in db.exec(select(SelfReport))] == [8]


def test_therapist_and_helper_may_report_for_the_patient(sqlite_home: Home) -> None:
    therapist = sqlite_home.world.as_staff("therapist")
    assert sqlite_home.says("pain", 3, by=therapist)["is_stopped"] is False
    helper = sqlite_home.world.as_helper()
    with writing(sqlite_home.world.database.main, owner="web") as db:
        for grant in db.exec(select(HelperGrant)):
            grant.scopes = ["train_for"]
            db.add(grant)
    assert sqlite_home.says("pain", 8, by=helper)["is_stopped"] is True
    assert helper.get(f"/api/patients/{sqlite_home.patient_id}/stop").json()["is_stopped"] is True
    with writing(sqlite_home.world.database.main, owner="web") as db:
        for grant in db.exec(select(HelperGrant)):
            grant.scopes = ["see_results"]
            db.add(grant)
    assert helper.put(sqlite_home.path(), json=sqlite_home.body("pain", 1)).status_code == 404
    assert helper.get(f"/api/patients/{sqlite_home.patient_id}/stop").status_code == 404


def test_foreign_patients_training_sessions_sets_and_reports_do_not_exist(sqlite_home: Home) -> None:
    home = sqlite_home
    world = home.world
    known = new_id()
    assert home.tablet.put(home.path(known), json=home.body("pain", 1)).status_code == 200
    not_own = open_training_session(world, world.here.patient_ids[1])
    tries: list[Callable[[], httpx2.Response]] = [
        lambda: world.as_tablet(clinic=world.there).put(home.path(), json=home.body("pain", 1)),
        lambda: world.as_staff("therapist", clinic=world.there).put(home.path(), json=home.body("pain", 1)),
        lambda: home.tablet.put(home.path(), json=home.body("pain", 1, training_session_id=str(not_own))),
        lambda: home.tablet.put(home.path(), json=home.body("pain", 1, training_set_id=new_id())),
        lambda: home.tablet.put(
            home.path(), json=home.body("pain", 1, training_session_id=None, training_set_id=new_id())
        ),
        lambda: world.as_staff("therapist").put(
            f"/api/patients/{world.here.patient_ids[1]}/self-reports/{known}",
            json=home.body("pain", 1, training_session_id=None),
        ),
        lambda: world.as_staff("therapist").get(f"/api/patients/{world.here.stranger_id}/stop"),
        lambda: world.as_tablet(clinic=world.there).get(f"/api/patients/{home.patient_id}/stop"),
    ]
    assert [attempt().status_code for attempt in tries] == [404] * len(tries)
    assert world.browser().put(home.path(), json=home.body("pain", 1)).status_code == 401
    with reading(world.database.main) as db:
        assert len(db.exec(select(SelfReport)).all()) == 1


def test_what_is_no_report_is_refused(sqlite_world: World) -> None:
    home = Home(sqlite_world)
    wrong: list[dict[str, Any]] = [
        {"value": None},
        {"value": 11},
        {"value": -1},
        {"value": 7.5},
        {"value": True},
        {"value": "7"},
        {"kind": "stop"},
        {"kind": "mood"},
        {"phase": "before"},
        {"at": 1_790_000_000},
        {"at": "2026-09-21T10:00:00"},
        {"training_session_id": "x"},
        {"colour": "red"},
    ]
    for each in wrong:
        answer = home.tablet.put(home.path(), json=home.body("pain", 7) | each)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), each
    assert home.alerts() == []


def test_H7_while_a_stop_waits_no_training_session_opens_and_no_set_begins(sqlite_home: Home) -> None:
    home = sqlite_home
    home.says("pain", 8)
    refused = [
        home.tablet.put(f"/api/training-sessions/{new_id()}", json=training(home.patient_id)),
        home.world.as_staff("therapist").put(f"/api/training-sessions/{new_id()}", json=training(home.patient_id)),
        home.tablet.put(
            f"/api/training-sessions/{home.training_session_id}/sets/{new_id()}",
            json={"exercise": "knee_extension_seated", "side": "right"},
        ),
    ]
    assert [(answer.status_code, answer.json()["code"]) for answer in refused] == [(409, "stop_unconfirmed")] * 3
    home.may_continue()
    opened = home.tablet.put(f"/api/training-sessions/{new_id()}", json=training(home.patient_id))
    assert opened.status_code == 200, opened.text
