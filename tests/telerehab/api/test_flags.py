from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import select, update

from telerehab.care.flags import Evidence, Finding, Flag, Rule
from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.flag_rows import new_flag_row, read_flag, write_flag
from telerehab.db.tables import AuditEvent, BreakGlass, CareRelation, FlagAction
from telerehab.db.tables import Flag as FlagRow
from tests.telerehab.api.world import Clinic, World, new_id


def _flag(
    world: World,
    rule: Rule = Rule.RANGE_FALLING,
    *,
    number: float = 14.5,
    patient: int = 0,
    clinic: Clinic | None = None,
) -> UUID:
    """Write a flag as the job does, and return its id."""
    now = utc_now(world.clock)
    today = now.date()
    finding = Finding(
        rule=rule,
        cause_key=f"{rule}:{number}",
        number=number,
        unit="deg",
        threshold=8.7,
        since=today - timedelta(days=2),
        exercise="heel_slide",
        side="left",
        evidence=(Evidence(source="training_session", id=new_id(), day=today, value=81.0),),
    )
    flag = Flag(
        finding=finding, opened_at=now, seen_at=now, level_severity=finding.severity, level_number=finding.number
    )
    of = clinic or world.here
    row = new_flag_row(flag, of.patient_ids[patient], of.organisation_id, since=now)
    with writing(world.database.main, owner="jobs") as db:
        db.add(row)
    return row.id


def _change(world: World, flag_id: UUID, **changes: Any) -> None:
    """Change a flag as the job does."""
    with writing(world.database.main, owner="jobs") as db:
        row = db.get_one(FlagRow, flag_id)
        for name, value in changes.items():
            setattr(row, name, value)
        db.add(row)


def test_flags_are_listed_with_the_patient_the_gravest_first(world: World) -> None:
    fallen = _flag(world)
    hurting = _flag(world, Rule.PAIN_HIGH, number=8, patient=1)
    first, second = world.as_staff("therapist").get("/api/flags").json()
    assert (first["id"], first["display_name"], first["birth_date"]) == (
        str(hurting),
        "Karen Patient 1 here",
        "1941-02-03",
    )
    assert second["id"] == str(fallen)
    assert (second["rule"], second["value"], second["unit"], second["threshold"]) == ("range_falling", 14.5, "deg", 8.7)
    assert (second["exercise"], second["side"], second["state"]) == ("heel_slide", "left", "open")
    assert second["suggested_action"] == "review"
    assert second["since"] == (utc_now(world.clock).date() - timedelta(days=2)).isoformat()


def test_a_flag_shows_its_raw_data_and_what_was_done(world: World) -> None:
    therapist, flag_id = world.as_staff("therapist"), _flag(world)
    shown = therapist.get(f"/api/flags/{flag_id}").json()
    assert (shown["evidence"][0]["source"], shown["evidence"][0]["value"]) == ("training_session", 81.0)
    assert shown["actions"] == []
    taken = therapist.post(f"/api/flags/{flag_id}/actions", json={"action": "acknowledged", "note": "Ringer i dag"})
    assert taken.status_code == 200, taken.text
    (action,) = taken.json()["actions"]
    assert (action["action"], action["display_name"], action["note"]) == (
        "acknowledged",
        "Ida Therapist here",
        "Ringer i dag",
    )
    assert therapist.get(f"/api/flags/{flag_id}").json() == taken.json()
    with reading(world.database.main) as db:
        (stored,) = db.exec(select(FlagAction)).all()
        events = db.exec(select(AuditEvent).where(AuditEvent.action == "flag_acknowledged")).all()
    assert b"Ringer" not in (stored.note_sealed or b"")
    assert len(events) == 1


def test_open_acknowledged_resolved_and_open_again_when_it_is_worse(world: World) -> None:
    therapist, flag_id = world.as_staff("therapist"), _flag(world)

    def states() -> list[tuple[str, int]]:
        words = ("open", "acknowledged", "resolved", "ended", "standing")
        return [(word, len(therapist.get(f"/api/flags?state={word}").json())) for word in words]

    def only(*there: str) -> list[tuple[str, int]]:
        return [(word, int(word in there)) for word in ("open", "acknowledged", "resolved", "ended", "standing")]

    assert states() == only("open", "standing")
    therapist.post(f"/api/flags/{flag_id}/actions", json={"action": "acknowledged"})
    assert states() == only("acknowledged", "standing")
    world.clock.advance(60)
    therapist.post(f"/api/flags/{flag_id}/actions", json={"action": "resolved"})
    assert states() == only("resolved")
    _change(world, flag_id, version=2, value=20.0)
    assert states() == only("open", "standing")
    _change(world, flag_id, ended_at=utc_now(world.clock))
    assert states() == only("ended")


def test_the_same_action_sent_twice_is_done_once(sqlite_world: World) -> None:
    therapist, flag_id = sqlite_world.as_staff("therapist"), _flag(sqlite_world)
    body = {"action": "acknowledged", "note": "Set"}
    first = therapist.post(f"/api/flags/{flag_id}/actions", json=body)
    assert therapist.post(f"/api/flags/{flag_id}/actions", json=body).json() == first.json()
    assert len(first.json()["actions"]) == 1


def test_who_looked_at_an_earlier_version_has_not_seen_what_became_worse(sqlite_world: World) -> None:
    therapist, flag_id = sqlite_world.as_staff("therapist"), _flag(sqlite_world)
    _change(sqlite_world, flag_id, version=2)
    answer = therapist.post(f"/api/flags/{flag_id}/actions", json={"action": "resolved", "version": 1})
    assert answer.json()["state"] == "open"
    answer = therapist.post(f"/api/flags/{flag_id}/actions", json={"action": "resolved", "version": 2})
    assert answer.json()["state"] == "resolved"


def test_a_flag_that_ended_by_itself_is_not_taken_up(sqlite_world: World) -> None:
    therapist, flag_id = sqlite_world.as_staff("therapist"), _flag(sqlite_world)
    _change(sqlite_world, flag_id, ended_at=utc_now(sqlite_world.clock))
    answer = therapist.post(f"/api/flags/{flag_id}/actions", json={"action": "acknowledged"})
    assert (answer.status_code, answer.json()["code"]) == (409, "flag_ended")


def test_nobody_else_sees_or_takes_up_a_flag(sqlite_world: World) -> None:
    flag_id = _flag(sqlite_world)
    foreign = sqlite_world.as_staff("therapist", clinic=sqlite_world.there)
    assert foreign.get("/api/flags").json() == []
    assert foreign.get(f"/api/flags/{flag_id}").status_code == 404
    assert foreign.post(f"/api/flags/{flag_id}/actions", json={"action": "resolved"}).status_code == 404
    for browser in (
        sqlite_world.as_tablet(),
        sqlite_world.as_helper(),
        sqlite_world.as_staff("admin"),
        sqlite_world.as_staff("team_manager"),
    ):
        assert browser.get(f"/api/flags/{flag_id}").status_code == 403
    with reading(sqlite_world.database.main) as db:
        assert db.exec(select(FlagAction)).all() == []


def test_who_broke_the_glass_sees_a_flag_and_does_not_take_it_up(sqlite_world: World) -> None:
    flag_id, now = _flag(sqlite_world), utc_now(sqlite_world.clock)
    with writing(sqlite_world.database.main, owner="web") as db:
        db.exec(update(CareRelation).values(ends_at=now))
        db.add(
            BreakGlass(
                organisation_id=sqlite_world.here.organisation_id,
                account_id=sqlite_world.here.therapist_id,
                patient_id=sqlite_world.here.patient_ids[0],
                reason_sealed=b"",
                starts_at=now,
                ends_at=now + timedelta(minutes=60),
            )
        )
    therapist = sqlite_world.as_staff("therapist")
    assert therapist.get(f"/api/flags/{flag_id}").status_code == 200
    assert therapist.post(f"/api/flags/{flag_id}/actions", json={"action": "resolved"}).status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"action": "ended"}, {}, {"action": "resolved", "note": "\x00"}, {"action": "resolved", "version": True}]
)
def test_an_action_that_cannot_be_is_refused(sqlite_world: World, wrong: dict[str, object]) -> None:
    answer = sqlite_world.as_staff("therapist").post(f"/api/flags/{_flag(sqlite_world)}/actions", json=wrong)
    assert answer.status_code == 422


def test_a_row_gives_back_the_flag_that_was_written(world: World) -> None:
    flag_id = _flag(world)
    with reading(world.database.main) as db:
        row = db.get_one(FlagRow, flag_id)
    flag = read_flag(row)
    assert not write_flag(row, flag, since=row.since)
    assert read_flag(row) == flag
