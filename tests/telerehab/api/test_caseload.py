import uuid
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import SQLModel, select, update
from starlette.testclient import TestClient

from telerehab.api.caseload import CaseloadRead
from telerehab.auth.key_ring import open_key_ring
from telerehab.bench.people_caseload import counting
from telerehab.bench.people_rows import make_people
from telerehab.clock import utc_now
from telerehab.db.engine import writing
from telerehab.db.tables import Alert, AlertAcknowledgement, CareRelation, Flag, FlagAction, Message, Patient
from telerehab.jobs.flags import evaluate_all
from tests.telerehab.api.world import World, new_id


def _write(world: World, *rows: SQLModel, owner: str = "web") -> None:
    with writing(world.database.main, owner=owner) as db:
        db.add_all(rows)


def _flag(world: World, patient_id: UUID, rule: str = "range_falling", severity: int = 3) -> Flag:
    """Return the row of a flag as the job writes it."""
    now = utc_now(world.clock)
    return Flag(
        organisation_id=world.here.organisation_id,
        patient_id=patient_id,
        rule=rule,
        cause=f"{rule}:{uuid.uuid4()}",
        severity=severity,
        value=14.5,
        threshold=8.7,
        unit="deg",
        since=now - timedelta(days=2),
        opened_at=now - timedelta(hours=5),
        updated_at=now,
        suggested_action="review",
        data={"since": "2026-09-20", "exercise": "heel_slide", "side": "left"},
    )


def _alert(world: World, patient_id: UUID) -> Alert:
    now = utc_now(world.clock)
    return Alert(
        id=uuid.uuid4(),
        organisation_id=world.here.organisation_id,
        patient_id=patient_id,
        cause="pain_high",
        is_stop=True,
        needs_confirmation_by="therapist",
        began_at=now,
        found_at=now,
        found_by="web",
    )


def _page(browser: TestClient) -> list[dict[str, Any]]:
    answer = browser.get("/api/caseload")
    assert answer.status_code == 200, answer.text
    page = answer.json()
    assert CaseloadRead.model_validate_json(answer.content).model_dump(mode="json") == page, "not as described"
    patients: list[dict[str, Any]] = page["patients"]
    return patients


def test_patients_with_nothing_are_fine_and_stand_by_name(sqlite_world: World) -> None:
    patients = _page(sqlite_world.as_staff("therapist"))
    assert [(each["display_name"], each["birth_date"]) for each in patients] == [
        ("Karen Patient 0 here", "1940-02-03"),
        ("Karen Patient 1 here", "1941-02-03"),
    ]
    assert patients[0] == {
        "id": str(sqlite_world.here.patient_ids[0]),
        "display_name": "Karen Patient 0 here",
        "birth_date": "1940-02-03",
        "rank_reason": "fine",
        "rank_since": None,
        "flags": [],
        "open_alerts": 0,
        "open_help_call": None,
        "unread_messages": 0,
        "adherence": None,
        "last_training_at": None,
        "pain_last": None,
        "counted_at": None,
    }


def test_whoever_needs_somebody_most_stands_on_top_with_the_reason(world: World) -> None:
    therapist = world.as_staff("therapist")
    first, second = world.here.patient_ids
    flag = _flag(world, second)
    _write(world, flag, owner="jobs")
    top, _ = _page(therapist)
    assert (top["id"], top["rank_reason"]) == (str(second), "worse")
    assert (top["flags"][0]["rule"], top["flags"][0]["state"]) == ("range_falling", "open")
    assert (top["flags"][0]["value"], top["flags"][0]["unit"], top["flags"][0]["since"]) == (14.5, "deg", "2026-09-20")
    alert = _alert(world, first)
    _write(world, alert)
    top, _ = _page(therapist)
    assert (top["id"], top["rank_reason"], top["open_alerts"]) == (str(first), "alert", 1)
    call_id = new_id()
    world.as_tablet().post("/api/help-calls", json={"id": call_id})
    top, _ = _page(therapist)
    assert (top["rank_reason"], top["open_help_call"]) == ("help_call", call_id)


def test_what_somebody_has_seen_stays_in_sight_below_what_nobody_has(world: World) -> None:
    therapist = world.as_staff("therapist")
    first, second = world.here.patient_ids
    flag, alert = _flag(world, second), _alert(world, first)
    _write(world, flag, owner="jobs")
    _write(world, alert)
    therapist.post(f"/api/flags/{flag.id}/actions", json={"action": "acknowledged"})
    seen = AlertAcknowledgement(
        alert_id=alert.id, account_id=world.here.therapist_id, action="seen", at=utc_now(world.clock)
    )
    _write(world, seen)
    patients = {each["id"]: each for each in _page(therapist)}
    assert {each["rank_reason"] for each in patients.values()} == {"seen"}
    assert patients[str(first)]["open_alerts"] == 0
    assert patients[str(second)]["flags"][0]["state"] == "acknowledged"
    resolve = FlagAction(
        flag_id=flag.id,
        account_id=world.here.therapist_id,
        action="resolved",
        flag_version=1,
        at=utc_now(world.clock) + timedelta(seconds=1),
    )
    _write(world, resolve)
    patients = {each["id"]: each for each in _page(therapist)}
    assert (patients[str(second)]["rank_reason"], patients[str(second)]["flags"]) == ("fine", [])


def test_messages_of_the_patient_that_nobody_has_read_are_counted(sqlite_world: World) -> None:
    now = utc_now(sqlite_world.clock)
    first = sqlite_world.here.patient_ids[0]
    _write(
        sqlite_world,
        Message(patient_id=first, text_sealed=b"", sent_at=now),
        Message(patient_id=first, text_sealed=b"", sent_at=now, read_at=now),
        Message(patient_id=first, text_sealed=b"", sent_at=now, retracted_at=now),
        Message(patient_id=first, text_sealed=b"", sent_at=now, account_id=sqlite_world.here.therapist_id),
    )
    top, _ = _page(sqlite_world.as_staff("therapist"))
    assert (top["id"], top["unread_messages"], top["rank_reason"]) == (str(first), 1, "message")


def test_two_weeks_of_days_are_counted_by_the_jobs_and_say_when(world: World) -> None:
    now = utc_now(world.clock)
    made = make_people(
        world.database,
        key_ring=open_key_ring(world.settings),
        now=now,
        n_patients=4,
        n_days=21,
        account_id=world.here.therapist_id,
        organisation_id=world.here.organisation_id,
    )
    evaluate_all(world.database, now)
    browser = world.as_staff("therapist")
    page = browser.get("/api/caseload").json()
    shown = [each for each in page["patients"] if UUID(each["id"]) in made.patient_ids]
    assert len(shown) == 4
    for each in shown:
        last_day = (now + timedelta(hours=2)).date()
        assert each["adherence"]["last_day"] == last_day.isoformat()
        assert len(each["adherence"]["statuses"]) == 14
        assert 0 < each["adherence"]["completeness"] <= 1
        assert each["last_training_at"] is not None
        assert 0 <= each["pain_last"] <= 10
        window = f"from={last_day - timedelta(days=13)}&to={last_day + timedelta(days=1)}"
        found = browser.get(f"/api/patients/{each['id']}/adherence?{window}").json()
        assert [day["status"] for day in found["days"]] == each["adherence"]["statuses"]
        assert found["completeness"] == pytest.approx(each["adherence"]["completeness"])
    assert page["counted_at"] == now.isoformat().replace("+00:00", "Z")


def test_only_patients_in_care_whose_course_is_not_over_are_listed(world: World) -> None:
    foreign = world.as_staff("therapist", clinic=world.there)
    assert {each["id"] for each in _page(foreign)} == {str(each) for each in world.there.patient_ids}
    for browser in (world.as_tablet(), world.as_helper(), world.as_staff("team_manager"), world.as_staff("admin")):
        assert browser.get("/api/caseload").status_code == 403
    with writing(world.database.main, owner="web") as db:
        over = db.exec(select(Patient).where(Patient.id == world.here.patient_ids[0])).one()
        over.ended_at = utc_now(world.clock)
        db.add(over)
    assert [each["id"] for each in _page(world.as_staff("therapist"))] == [str(world.here.patient_ids[1])]
    with writing(world.database.main, owner="web") as db:
        db.exec(update(CareRelation).values(ends_at=utc_now(world.clock)))
    assert _page(world.as_staff("therapist")) == []


def test_the_number_of_queries_does_not_grow_with_the_patients(world: World) -> None:
    browser = world.as_staff("therapist")
    engine = world.app.state.parts.database.main
    with counting(engine) as few:
        _page(browser)
    make_people(
        world.database,
        key_ring=open_key_ring(world.settings),
        now=utc_now(world.clock),
        n_patients=12,
        n_days=5,
        account_id=world.here.therapist_id,
        organisation_id=world.here.organisation_id,
    )
    evaluate_all(world.database, utc_now(world.clock))
    with counting(engine) as many:
        assert len(_page(browser)) == 14
    assert len(many) == len(few) <= 4
