"""What was entered for the wrong patient is theirs no more: in no table, on no page, in no figure (H2)."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import sqlalchemy as sa
from fastapi.routing import iter_route_contexts
from sqlmodel import Session, select
from starlette.testclient import TestClient

from telerehab.auth.key_ring import open_key_ring
from telerehab.clock import from_us, to_us, utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import (
    Alert,
    AuditEvent,
    Correction,
    Flag,
    Notice,
    Patient,
    Repetition,
    Retraction,
    SelfReport,
    TrainingSession,
    TrainingSet,
)
from telerehab.db.tables.base import Table
from telerehab.jobs.flags import evaluate_all
from telerehab.jobs.retractions import carry_out_retractions
from tests.telerehab.api.test_plans import today_of, version
from tests.telerehab.api.world import World, new_id, training

NAMES_IT: frozenset[str] = frozenset({"retraction", "audit_event"})
"""Tables that must say that it was there."""


@dataclass(kw_only=True)
class Bout:
    """A training session of the wrong patient with all that may hang on one."""

    world: World
    wrong: UUID
    right: UUID
    id: UUID = field(default_factory=uuid4)
    ids: set[str] = field(default_factory=set)
    """Of everything that belongs to it."""
    flag_id: UUID = field(default_factory=uuid4)

    @property
    def path(self) -> str:
        return f"/api/training-sessions/{self.id}"


@pytest.fixture
def bout(sqlite_world: World) -> Bout:
    """Give a training session whose patient should have been the other one."""
    return _make_bout(sqlite_world)


@pytest.fixture
def bout_on_both(world: World) -> Bout:
    """Give the same on SQLite and on PostgreSQL."""
    return _make_bout(world)


def _make_bout(world: World) -> Bout:
    wrong, right = world.here.patient_ids
    therapist = world.as_staff("therapist")
    for patient_id in (wrong, right):
        written = therapist.post(f"/api/patients/{patient_id}/plan-versions", json=version(world))
        assert written.status_code == 201, written.text
    evaluate_all(world.database, utc_now(world.clock))
    return Bout(world=world, wrong=wrong, right=right)


def _train(bout: Bout) -> None:
    """Let the training session happen: two sets, repetitions, pain over the limit, words about it, a flag, a notice."""
    world = bout.world
    tablet, therapist = world.as_tablet(), world.as_staff("therapist")
    body = training(bout.wrong, side="left")
    assert tablet.put(bout.path, json=body).status_code == 200
    set_ids = [new_id(), new_id()]
    for number, set_id in enumerate(set_ids, start=1):
        started = {"exercise": "knee_extension_seated", "side": "left", "plan_item": 0, "set_number": number}
        assert tablet.put(f"{bout.path}/sets/{set_id}", json=started).status_code == 200
        with writing(world.database.main, owner="ingest") as db:
            db.add(_repetition(world, bout.id, UUID(set_id), number))
        world.clock.advance(30)
        end = {"reason": "done", "counted_repetitions": None}
        assert tablet.post(f"{bout.path}/sets/{set_id}/end", json=end).status_code == 200
    report_id = new_id()
    report = {
        "training_session_id": str(bout.id),
        "training_set_id": set_ids[1],
        "kind": "pain",
        "value": 9,
        "phase": "after_set",
        "at": utc_now(world.clock).isoformat(),
    }
    answer = tablet.put(f"/api/patients/{bout.wrong}/self-reports/{report_id}", json=report)
    assert answer.json()["is_stopped"], answer.text
    correction_id = new_id()
    correction = {"id": correction_id, "kind": "note", "note": "Kun halvt ud"}
    assert therapist.post(f"{bout.path}/corrections", json=correction).status_code == 201
    (alert,) = therapist.get("/api/alerts").json()
    said = therapist.post(f"/api/alerts/{alert['id']}/acknowledge", json={"action": "called", "note": "Talt med Karen"})
    assert said.status_code == 200, said.text
    with writing(world.database.main, owner="jobs") as db:
        db.add(_flag(world, bout, report_id))
        db.add(_notice(world, bout, {"flag_id": str(bout.flag_id)}))
        db.add(_notice(world, bout, {"alert_id": alert["id"]}))
    bout.ids |= {str(bout.id), *set_ids, report_id, correction_id, alert["id"]}


def _repetition(world: World, training_session: UUID, set_id: UUID, index: int) -> Repetition:
    stop_us = to_us(utc_now(world.clock))
    return Repetition(
        training_session_id=training_session,
        training_set_id=set_id,
        index=index,
        start_us=stop_us - 2_000_000,
        stop_us=stop_us,
        rom_deg=88.0,
        up_s=1,
        hold_s=0,
        down_s=1,
        peak_speed_deg_s=90,
        trust=0.9,
        reason=0,
        algorithm_version="1",
    )


def _flag(world: World, bout: Bout, report_id: str) -> Flag:
    day = today_of(world).isoformat()
    evidence = [
        {"source": "training_session", "id": str(bout.id), "day": day, "value": 88.0},
        {"source": "pain_report", "id": report_id, "day": day, "value": 9.0},
    ]
    return Flag(
        id=bout.flag_id,
        organisation_id=world.here.organisation_id,
        patient_id=bout.wrong,
        rule="pain_high",
        cause="pain",
        severity=5,
        value=9.0,
        threshold=7.0,
        unit="{score}",
        since=utc_now(world.clock),
        opened_at=utc_now(world.clock),
        updated_at=utc_now(world.clock),
        suggested_action="call",
        data={
            "since": day,
            "exercise": None,
            "side": None,
            "level": {"severity": 5, "number": 9.0},
            "evidence": evidence,
        },
    )


def _notice(world: World, bout: Bout, data: dict[str, Any]) -> Notice:
    return Notice(
        organisation_id=world.here.organisation_id,
        recipient=f"account:{world.here.therapist_id}",
        patient_id=bout.wrong,
        kind="notice.flag",
        cause=json.dumps(data),
        day=today_of(world).isoformat(),
        data=data,
        created_at=utc_now(world.clock),
    )


def _retract(bout: Bout, *, right: UUID | None, what: str = "training_session", row_id: object = None) -> Any:
    answer = bout.world.as_staff("therapist").post(
        "/api/retractions",
        json={
            "what": what,
            "row_id": str(row_id or bout.id),
            "right_patient_id": None if right is None else str(right),
            "reason": "Forkert tablet",
        },
    )
    assert answer.status_code == 201, answer.text
    carry_out_retractions(bout.world.database, utc_now(bout.world.clock))
    evaluate_all(bout.world.database, utc_now(bout.world.clock))
    return answer.json()


# --- what is left of it ---


def _rows_of(db: Session, patient_id: UUID) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every row of every table that names the patient, whatever the column is called."""
    for table in Table.metadata.sorted_tables:
        if table.info["store"] != "main":
            continue
        columns = [
            column
            for column in table.columns
            if any(key.column.table.name == "patient" for key in column.foreign_keys) or "patient_id" in column.name
        ]
        if table.name == "patient":
            columns = [table.c.id]
        for column in columns:
            for row in db.connection().execute(sa.select(table).where(column == patient_id)):
                yield table.name, dict(row._mapping)


def _is_named(ids: set[str], value: object) -> bool:
    text = str(value).replace("-", "")
    return any(each.replace("-", "") in text for each in ids)


@pytest.mark.parametrize("is_known", [True, False])
def test_no_table_has_anything_of_it_at_the_wrong_patient(bout_on_both: Bout, is_known: bool) -> None:
    bout = bout_on_both
    _train(bout)
    with reading(bout.world.database.main) as db:
        before = {name for name, row in _rows_of(db, bout.wrong) if _is_named(bout.ids, row)}
    assert before >= {"training_session", "self_report", "alert", "flag", "notice"}
    _retract(bout, right=bout.right if is_known else None)
    with reading(bout.world.database.main) as db:
        left = [
            (name, row)
            for name, row in _rows_of(db, bout.wrong)
            if name not in NAMES_IT and row.get("retracted_at") is None and _is_named(bout.ids, row)
        ]
        now_there = {name for name, row in _rows_of(db, bout.right) if _is_named(bout.ids, row)}
    assert left == []
    assert (now_there >= {"training_session", "self_report", "alert"}) == is_known


def _read_routes(world: World) -> Iterator[str]:
    for route in iter_route_contexts(world.app.routes):
        if "GET" in (route.methods or ()) and (route.path or "").startswith("/api/"):
            yield route.path or ""


def _find_traces(answer: object, wrong: UUID, ids: set[str]) -> list[object]:
    """Return the objects of an answer that are the wrong patient's and name something of it."""
    if isinstance(answer, list):
        return [trace for each in answer for trace in _find_traces(each, wrong, ids)]
    if not isinstance(answer, dict):
        return []
    if str(wrong) in (answer.get("patient_id"), answer.get("id")) and _is_named(ids, answer):
        return [answer]
    return [trace for each in answer.values() for trace in _find_traces(each, wrong, ids)]


@pytest.mark.parametrize("is_known", [True, False])
def test_no_page_shows_anything_of_it_at_the_wrong_patient(bout: Bout, is_known: bool) -> None:
    world = bout.world
    readers = [world.as_staff("therapist"), world.as_tablet(), world.as_helper()]
    _train(bout)
    assert _read_everywhere(bout, readers)
    _retract(bout, right=bout.right if is_known else None)
    assert _read_everywhere(bout, readers, is_known=is_known) == []


def _read_everywhere(bout: Bout, readers: list[TestClient], *, is_known: bool = False) -> list[str]:
    """Return the addresses on which something of it is shown at the wrong patient."""
    world = bout.world
    days = {"from": str(today_of(world) - timedelta(days=3)), "to": str(today_of(world) + timedelta(days=2))}
    shown: list[str] = []
    for place, browser in enumerate(readers):
        for path in _read_routes(world):
            own = path.replace("{patient_id}", str(bout.wrong))
            filled = own.replace("{training_session_id}", str(bout.id)).replace("{flag_id}", str(bout.flag_id))
            while "{" in filled:
                filled = filled[: filled.index("{")] + str(uuid.uuid4()) + filled[filled.index("}") + 1 :]
            answer = browser.get(filled, params=days)
            assert answer.status_code < 500, (filled, answer.text)
            if answer.status_code != 200 or not _is_named(bout.ids, answer.text):
                continue
            is_wrong_patients = "{patient_id}" in path or place > 0 or not is_known
            if is_wrong_patients or _find_traces(answer.json(), bout.wrong, bout.ids):
                shown.append(f"{place} {path}")
    return shown


def _figures(world: World, patient_id: UUID) -> dict[str, Any]:
    therapist = world.as_staff("therapist")
    days = {"from": str(today_of(world) - timedelta(days=3)), "to": str(today_of(world) + timedelta(days=1))}
    (on_caseload,) = [
        each for each in therapist.get("/api/caseload").json()["patients"] if each["id"] == str(patient_id)
    ]
    adherence = therapist.get(f"/api/patients/{patient_id}/adherence", params=days)
    assert on_caseload.pop("counted_at", None) is not None
    return {
        "caseload": on_caseload,
        "adherence": adherence.json(),
        "today": therapist.get(f"/api/patients/{patient_id}/today").json(),
        "stop": therapist.get(f"/api/patients/{patient_id}/stop").json(),
    }


@pytest.mark.parametrize("is_known", [True, False])
def test_every_figure_of_the_wrong_patient_is_what_it_was_before(bout_on_both: Bout, is_known: bool) -> None:
    bout = bout_on_both
    before = _figures(bout.world, bout.wrong)
    _train(bout)
    evaluate_all(bout.world.database, utc_now(bout.world.clock))
    meanwhile = _figures(bout.world, bout.wrong)
    assert all(meanwhile[name] != before[name] for name in before)
    _retract(bout, right=bout.right if is_known else None)
    assert _figures(bout.world, bout.wrong) == before
    if is_known:
        rights = _figures(bout.world, bout.right)
        assert rights["stop"]["is_stopped"]
        assert rights["adherence"]["days"][-1]["done_set_count"] == 2


def test_the_right_patient_has_it_whole_and_opens_what_was_sealed(bout_on_both: Bout) -> None:
    bout = bout_on_both
    _train(bout)
    _retract(bout, right=bout.right)
    therapist = bout.world.as_staff("therapist")
    results = therapist.get(f"{bout.path}/results").json()
    assert [len(each["repetitions"]) for each in results["sets"]] == [1, 1]
    assert [each["note"] for each in results["corrections"]] == ["Kun halvt ud"]
    assert [each["value"] for each in results["self_reports"]] == [9]
    assert results["plan"]["done_set_count"] == 2
    (alert,) = therapist.get("/api/alerts").json()
    assert (alert["patient_id"], alert["acknowledged"]["note"]) == (str(bout.right), "Talt med Karen")
    with reading(bout.world.database.main) as db:
        row = db.get_one(TrainingSession, bout.id)
        assert (row.patient_id, row.close_reason, row.retracted_at) == (bout.right, "retracted", None)


def test_who_took_it_back_and_why_is_written_down_once(bout: Bout) -> None:
    _train(bout)
    first = _retract(bout, right=bout.right)
    assert _retract(bout, right=bout.right) == first
    other = {"what": "training_session", "row_id": str(bout.id), "right_patient_id": str(bout.right), "reason": "x"}
    assert bout.world.as_staff("therapist").post("/api/retractions", json=other).status_code == 409
    with reading(bout.world.database.main) as db:
        (row,) = db.exec(select(Retraction)).all()
        patient = db.get_one(Patient, bout.wrong)
        seal = PatientSeal(patient, open_key_ring(bout.world.settings))
        assert seal.open(row.reason_sealed, table="retraction", column="reason", row_id=row.id) == "Forkert tablet"
        events = db.exec(select(AuditEvent).where(AuditEvent.action.in_(["retract", "take_over_retracted"]))).all()  # type: ignore[attr-defined]
    assert [(each.action, each.patient_id) for each in events] == [
        ("retract", bout.wrong),
        ("take_over_retracted", bout.right),
    ]


def test_whose_it_is_may_be_found_out_later(bout: Bout) -> None:
    _train(bout)
    _retract(bout, right=None)
    therapist = bout.world.as_staff("therapist")
    assert therapist.get(bout.path).status_code == 404
    _retract(bout, right=bout.right)
    assert therapist.get(bout.path).json()["patient_id"] == str(bout.right)
    assert [each["value"] for each in therapist.get(f"{bout.path}/results").json()["self_reports"]] == [9]
    assert [each["patient_id"] for each in therapist.get("/api/alerts").json()] == [str(bout.right)]


def test_nobody_takes_back_or_hands_over_what_is_not_in_their_care(bout: Bout) -> None:
    _train(bout)
    world = bout.world
    therapist = world.as_staff("therapist")

    def status_of(browser: TestClient, **changed: object) -> int:
        body = {"what": "training_session", "row_id": str(bout.id), "reason": "x", **changed}
        return int(browser.post("/api/retractions", json=body).status_code)

    for foreign in (world.here.stranger_id, world.there.patient_ids[0], uuid4()):
        assert status_of(therapist, right_patient_id=str(foreign)) == 404
    assert status_of(world.as_staff("therapist", clinic=world.there)) == 404
    assert status_of(therapist, row_id=new_id()) == 404
    assert status_of(therapist, right_patient_id=str(bout.wrong)) == 422
    assert status_of(therapist, what="account") == 422
    for browser in (world.as_tablet(), world.as_helper(), world.as_staff("admin"), world.as_staff("team_manager")):
        assert status_of(browser) == 403
    with reading(world.database.main) as db:
        assert db.exec(select(Retraction)).all() == []


# --- other rows ---


def test_a_report_takes_its_stop_along_unless_another_one_holds_it(bout_on_both: Bout) -> None:
    bout = bout_on_both
    world = bout.world
    tablet = world.as_tablet()
    assert tablet.put(bout.path, json=training(bout.wrong)).status_code == 200
    reports = []
    for value in (9, 8):
        world.clock.advance(60)
        report_id = new_id()
        body = {
            "training_session_id": str(bout.id),
            "kind": "pain",
            "value": value,
            "phase": "during",
            "at": utc_now(world.clock).isoformat(),
        }
        assert tablet.put(f"/api/patients/{bout.wrong}/self-reports/{report_id}", json=body).status_code == 200
        reports.append(report_id)
    stop = f"/api/patients/{bout.wrong}/stop"
    _retract(bout, right=None, what="self_report", row_id=reports[0])
    assert tablet.get(stop).json()["is_stopped"]  # an 8 would have stopped as well
    _retract(bout, right=bout.right, what="self_report", row_id=reports[1])
    with reading(world.database.main) as db:
        moved = db.get_one(SelfReport, UUID(reports[1]))
    assert (moved.patient_id, moved.training_session_id) == (bout.right, None)


def test_the_only_report_of_a_stop_takes_it_along(bout: Bout) -> None:
    world = bout.world
    tablet = world.as_tablet()
    report_id = new_id()
    tablet.put(bout.path, json=training(bout.wrong))
    body = {
        "training_session_id": str(bout.id),
        "kind": "pain",
        "value": 9,
        "phase": "during",
        "at": from_us(to_us(utc_now(world.clock))).isoformat(),
    }
    tablet.put(f"/api/patients/{bout.wrong}/self-reports/{report_id}", json=body)
    assert tablet.get(f"/api/patients/{bout.wrong}/stop").json()["is_stopped"]
    _retract(bout, right=bout.right, what="self_report", row_id=report_id)
    assert not tablet.get(f"/api/patients/{bout.wrong}/stop").json()["is_stopped"]
    with reading(world.database.main) as db:
        (alert,) = db.exec(select(Alert)).all()
        assert (alert.patient_id, alert.training_session_id) == (bout.right, None)


def test_a_message_and_a_goal_are_sealed_anew_for_the_right_patient(bout: Bout) -> None:
    therapist = bout.world.as_staff("therapist")
    message_id, goal_id = new_id(), new_id()
    assert therapist.put(
        f"/api/patients/{bout.wrong}/messages/{message_id}", json={"text": "Husk elastikken"}
    ).is_success
    goal = therapist.post(f"/api/patients/{bout.wrong}/goals", json={"id": goal_id, "text": "Gå til bageren"})
    assert goal.is_success, goal.text
    _retract(bout, right=bout.right, what="message", row_id=message_id)
    _retract(bout, right=bout.right, what="goal", row_id=goal_id)
    for what, text in (("messages", "Husk elastikken"), ("goals", "Gå til bageren")):
        assert therapist.get(f"/api/patients/{bout.wrong}/{what}").json() == []
        assert [each["text"] for each in therapist.get(f"/api/patients/{bout.right}/{what}").json()] == [text]
    other = new_id()
    therapist.put(f"/api/patients/{bout.wrong}/messages/{other}", json={"text": "Til en anden"})
    _retract(bout, right=None, what="message", row_id=other)
    assert therapist.get(f"/api/patients/{bout.wrong}/messages").json() == []


def test_a_training_session_that_runs_is_closed_and_its_late_repetitions_go_along(bout: Bout) -> None:
    tablet = bout.world.as_tablet()
    tablet.put(bout.path, json=training(bout.wrong))
    _retract(bout, right=bout.right)
    bout.world.add_repetition(bout.id, 0)
    assert tablet.get(bout.path).status_code == 404
    assert (
        tablet.put(f"{bout.path}/sets/{new_id()}", json={"exercise": "mini_squat", "side": "both"}).status_code == 404
    )
    with reading(bout.world.database.main) as db:
        assert db.exec(select(TrainingSet)).all() == []
        assert db.exec(select(Correction)).all() == []


def test_what_came_back_to_the_first_patient_counts_there_again(bout: Bout) -> None:
    _train(bout)
    _retract(bout, right=bout.right)
    _retract(bout, right=bout.wrong)  # the first word was the mistake
    database, now = bout.world.database, utc_now(bout.world.clock)
    with writing(database.main, owner="web") as db:
        db.add(
            SelfReport(
                id=uuid4(),
                patient_id=bout.wrong,
                kind="pain",
                value=9,
                phase="end",
                reported_by=bout.wrong,
                at=now - timedelta(days=1),
            )
        )

    def standing() -> list[tuple[str, int]]:
        evaluate_all(database, now)
        carry_out_retractions(database, now)
        with reading(database.main) as db:
            flags = db.exec(select(Flag).where(Flag.patient_id == bout.wrong).order_by("cause", "version")).all()
        return [(flag.cause, flag.version) for flag in flags if flag.ended_at is None]

    first = standing()
    assert first, "pain over the limit is the first patient's again"
    assert standing() == first
