"""Alerts: who sees them, who says what follows, and that a stop has no way round a confirmation (H7, H14)."""

import uuid
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, delete, select
from starlette.testclient import TestClient

from telerehab.care.safety import Cause, SafetyEvent
from telerehab.clock import to_us, utc_now
from telerehab.db.alert_rows import store_event
from telerehab.db.engine import reading, writing
from telerehab.db.repositories.alerts import require_no_open_stop
from telerehab.db.tables import Alert, AlertAcknowledgement, AuditEvent, BreakGlass, CareRelation, Patient
from telerehab.errors import ConflictError
from tests.telerehab.api.test_self_reports import open_training_session
from tests.telerehab.api.world import World

ACTIONS = ("may_continue", "ended", "called", "seen")
BODY = [cause for cause in Cause if cause not in (Cause.STOP_PRESSED, Cause.STREAM_LOST)]


def found(
    world: World, patient_id: UUID, cause: Cause = Cause.HEART_RATE_HIGH, *, training_session_id: UUID | None = None
) -> UUID:
    """Write an alert as the role does that finds it, in a training session of its own."""
    now_us = to_us(utc_now(world.clock))
    event = SafetyEvent(cause=cause, onset_us=now_us - 10_000_000, at_us=now_us, value=160, limit=150)
    session_id = training_session_id or open_training_session(world, patient_id)
    with writing(world.database.main, owner="ingest") as db:
        alert = store_event(
            db, event, patient=db.get_one(Patient, patient_id), training_session_id=session_id, found_by="ingest"
        )
        assert alert is not None
        return alert.id


def listed(browser: TestClient, **query: str) -> list[Any]:
    answer = browser.get("/api/alerts", params=query)
    assert answer.status_code == 200, answer.text
    rows: list[Any] = answer.json()
    return rows


def say(world: World, alert_id: UUID, action: str, *, note: str | None = None) -> Any:
    world.clock.advance(1)
    answer = world.as_staff("therapist").post(
        f"/api/alerts/{alert_id}/acknowledge", json={"action": action, "note": note}
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def is_stopped(world: World, patient_id: UUID) -> bool:
    codes: list[str | None] = []
    with reading(world.database.main) as db:
        try:
            require_no_open_stop(db, patient_id)
        except ConflictError as error:
            codes.append(error.code)
    assert codes in ([], ["stop_unconfirmed"])
    return bool(codes)


def test_a_therapist_sees_whose_alert_it_is_and_what_passed_which_limit(sqlite_world: World) -> None:
    world = sqlite_world
    patient_id = world.here.patient_ids[0]
    alert_id = found(world, patient_id)
    (alert,) = listed(world.as_staff("therapist"))
    with reading(world.database.main) as db:
        row = db.get_one(Alert, alert_id)
    assert alert == {
        "id": str(alert_id),
        "patient_id": str(patient_id),
        "display_name": "Karen Patient 0 here",
        "birth_date": "1940-02-03",
        "training_session_id": str(row.training_session_id),
        "cause": "heart_rate_high",
        "stream": None,
        "value": 160,
        "limit": 150,
        "began_at": row.began_at.isoformat().replace("+00:00", "Z"),
        "found_at": row.found_at.isoformat().replace("+00:00", "Z"),
        "is_stop": True,
        "is_standing": True,
        "needs_confirmation_by": "therapist",
        "acknowledged": None,
    }


def test_the_newest_come_first_and_only_of_patients_in_the_therapists_care(world: World) -> None:
    own = []
    for patient_id in world.here.patient_ids:
        own.append(found(world, patient_id))
        world.clock.advance(60)
    found(world, world.here.stranger_id)
    found(world, world.there.patient_ids[0])
    therapist = world.as_staff("therapist")
    assert [alert["id"] for alert in listed(therapist)] == [str(each) for each in reversed(own)]
    with writing(world.database.main, owner="web") as db:
        db.exec(delete(CareRelation).where(col(CareRelation.patient_id) == world.here.patient_ids[0]))
    assert [alert["id"] for alert in listed(therapist)] == [str(own[1])]


def test_H14_an_alert_is_open_until_somebody_acknowledges_it_and_a_stop_until_the_patient_may_go_on(
    world: World,
) -> None:
    patient_id = world.here.patient_ids[0]
    lost, stop = found(world, patient_id, Cause.STREAM_LOST), found(world, patient_id)
    therapist = world.as_staff("therapist")
    assert say(world, lost, "seen")["is_standing"] is False
    said = say(world, stop, "called", note="Taler med Karen.\nHun sidder ned.")
    assert said["acknowledged"] == {
        "action": "called",
        "account_name": "Ida Therapist here",
        "note": "Taler med Karen.\nHun sidder ned.",
        "at": utc_now(world.clock).isoformat().replace("+00:00", "Z"),
    }
    assert listed(therapist) == [said], "seen, and still in the patient's way"
    assert said["is_standing"] is True
    say(world, stop, "may_continue")
    assert listed(therapist) == []
    world.clock.advance(29 * 86_400)
    everything = listed(world.as_staff("therapist"), open="false")
    assert {alert["id"]: alert["acknowledged"]["action"] for alert in everything} == {
        str(lost): "seen",
        str(stop): "may_continue",
    }
    world.clock.advance(2 * 86_400)
    assert listed(world.as_staff("therapist"), open="false") == []


def test_H7_from_a_stop_of_the_body_only_the_therapists_word_to_go_on_leads_back(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    patient_id = world.here.patient_ids[0]
    for cause in BODY:
        alert_id = found(world, patient_id, cause)
        for action in ("seen", "called", "ended"):
            say(world, alert_id, action)
            assert is_stopped(world, patient_id)
        by_tablet = world.as_tablet().post(f"/api/alerts/{alert_id}/confirm")
        assert (by_tablet.status_code, by_tablet.json()["code"]) == (409, "needs_therapist")
        world.clock.advance(400 * 86_400)
        assert is_stopped(world, patient_id), "time alone confirms nothing"
        say(world, alert_id, "may_continue")
        assert not is_stopped(world, patient_id)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["find", "say", "confirm"]), st.sampled_from(list(Cause)), st.sampled_from(list(ACTIONS))
        ),
        max_size=8,
    )
)
def test_H7_whatever_happens_in_whatever_order_a_patient_goes_on_only_when_every_stop_is_confirmed(
    sqlite_world: World, steps: list[tuple[str, Cause, str]]
) -> None:
    world = sqlite_world
    patient_id = world.here.patient_ids[0]
    with writing(world.database.main, owner="web") as db:
        db.exec(delete(AlertAcknowledgement))
        db.exec(delete(Alert))
    waiting: dict[UUID, Cause] = {}
    alerts: dict[UUID, Cause] = {}
    tablet = world.as_tablet()
    for what, cause, action in steps:
        if what == "find":
            alert_id = found(world, patient_id, cause)
            alerts[alert_id] = cause
            if cause is not Cause.STREAM_LOST:
                waiting[alert_id] = cause
            continue
        chosen = next((each for each, its_cause in alerts.items() if its_cause is cause), None)
        if chosen is None:
            continue
        if what == "say":
            say(world, chosen, action)
            if action == "may_continue":
                waiting.pop(chosen, None)
        else:
            answer = tablet.post(f"/api/alerts/{chosen}/confirm")
            assert answer.status_code == (200 if cause is Cause.STOP_PRESSED else 409)
            if cause is Cause.STOP_PRESSED:
                waiting.pop(chosen, None)
        assert is_stopped(world, patient_id) == bool(waiting)
    assert is_stopped(world, patient_id) == bool(waiting)


def test_one_patients_stop_stops_nobody_else(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    found(world, world.here.patient_ids[0])
    assert is_stopped(world, world.here.patient_ids[0])
    assert not is_stopped(world, world.here.patient_ids[1])


def test_what_was_found_in_somebody_elses_training_is_shown_nowhere_and_stops_nobody(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    patient_id = world.here.patient_ids[0]
    alert_id = found(world, patient_id)
    with writing(world.database.main, owner="web") as db:
        alert = db.get_one(Alert, alert_id)
        alert.retracted_at = utc_now(world.clock)
        db.add(alert)
    assert not is_stopped(world, patient_id)
    therapist = world.as_staff("therapist")
    assert listed(therapist) == listed(therapist, open="false") == []
    assert therapist.post(f"/api/alerts/{alert_id}/acknowledge", json={"action": "seen"}).status_code == 404


def test_the_same_word_twice_is_said_once_and_everybody_hears_of_it(sqlite_world: World) -> None:
    world = sqlite_world
    alert_id = found(world, world.here.patient_ids[0])
    world.changes.told.clear()
    first = say(world, alert_id, "seen", note="ok")
    assert say(world, alert_id, "seen", note="ok") == first
    say(world, alert_id, "may_continue")
    with reading(world.database.main) as db:
        said = db.exec(select(AlertAcknowledgement).order_by(col(AlertAcknowledgement.at))).all()
        recorded = db.exec(select(AuditEvent.action)).all()
    assert [row.action for row in said] == ["seen", "may_continue"]
    assert said[0].note_sealed is not None
    assert b"ok" not in said[0].note_sealed
    assert [(change.table, change.id, change.version) for change in world.changes.told] == [
        ("alert", alert_id, 2),
        ("alert", alert_id, 3),
    ]
    assert list(recorded).count("acknowledge_alert") == 2


def test_foreign_alerts_do_not_exist_and_only_staff_who_treat_may_acknowledge(
    sqlite_world: World,
) -> None:
    world = sqlite_world
    alert_id = found(world, world.here.patient_ids[0], Cause.STOP_PRESSED)
    acknowledge = f"/api/alerts/{alert_id}/acknowledge"
    seen = {"action": "seen"}
    nowhere = world.as_staff("therapist").post(f"/api/alerts/{uuid.uuid4()}/acknowledge", json=seen)
    foreign = world.as_staff("therapist", clinic=world.there).post(acknowledge, json=seen)
    assert foreign.status_code == nowhere.status_code == 404
    assert foreign.json() == nowhere.json(), "the answer must not tell what exists"
    assert world.as_tablet(clinic=world.there).post(f"/api/alerts/{alert_id}/confirm").status_code == 404
    assert world.as_tablet().post(acknowledge, json=seen).status_code == 403
    assert world.as_tablet().get("/api/alerts").status_code == 403
    assert world.as_helper().get("/api/alerts").status_code == 403
    assert world.as_staff("therapist").post(f"/api/alerts/{alert_id}/confirm").status_code == 403
    assert world.browser().get("/api/alerts").status_code == 401
    stranger = found(world, world.here.stranger_id)
    assert world.as_staff("therapist").post(f"/api/alerts/{stranger}/acknowledge", json=seen).status_code == 404
    with reading(world.database.main) as db:
        assert db.exec(select(AlertAcknowledgement)).all() == []


def test_who_only_broke_the_glass_may_not_say_what_follows(sqlite_world: World) -> None:
    world = sqlite_world
    alert_id = found(world, world.here.stranger_id)
    now = utc_now(world.clock)
    with writing(world.database.main, owner="web") as db:
        db.add(
            BreakGlass(
                organisation_id=world.here.organisation_id,
                account_id=world.here.therapist_id,
                patient_id=world.here.stranger_id,
                reason_sealed=b"-",
                starts_at=now,
                ends_at=now + timedelta(hours=1),
            )
        )
    therapist = world.as_staff("therapist")
    assert therapist.get(f"/api/patients/{world.here.stranger_id}").status_code == 200
    assert therapist.post(f"/api/alerts/{alert_id}/acknowledge", json={"action": "seen"}).status_code == 404


def test_what_is_no_acknowledgement_is_refused(sqlite_world: World) -> None:
    alert_id = found(sqlite_world, sqlite_world.here.patient_ids[0])
    therapist = sqlite_world.as_staff("therapist")
    wrong: list[dict[str, Any]] = [{}, {"action": "may"}, {"action": "seen", "note": ""}, {"action": "seen", "x": 1}]
    for each in wrong:
        assert therapist.post(f"/api/alerts/{alert_id}/acknowledge", json=each).status_code == 422, each


def test_nobody_can_fill_an_alert_with_words_and_no_words_bar_the_way_back(sqlite_world: World) -> None:
    world = sqlite_world
    patient_id = world.here.patient_ids[0]
    alert_id = found(world, patient_id)
    therapist = world.as_staff("therapist")

    def say_status(action: str, note: str) -> int:
        body = {"action": action, "note": note}
        return therapist.post(f"/api/alerts/{alert_id}/acknowledge", json=body).status_code

    assert [say_status("seen", str(number)) for number in range(52)] == [200] * 50 + [409] * 2
    assert is_stopped(world, patient_id)
    assert say_status("may_continue", "after all") == 200
    assert not is_stopped(world, patient_id)
    assert [say_status(action, "once more") for action in ("seen", "may_continue")] == [409] * 2
