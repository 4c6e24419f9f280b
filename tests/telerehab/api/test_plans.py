import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select
from starlette.testclient import TestClient

from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.reader import Reader
from telerehab.care.plans import content_hash, read_plan_content
from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.repositories.plans import PlanRepository
from telerehab.db.tables import (
    BreakGlass,
    Correction,
    Goal,
    Helper,
    HelperGrant,
    PlanVersion,
    TrainingPause,
    TrainingSession,
    TrainingSet,
)
from telerehab.errors import NotFoundError
from tests.telerehab.api.test_exercises import local, on_sqlite
from tests.telerehab.api.world import World, new_id

ZONE = ZoneInfo("Europe/Copenhagen")


def today_of(world: World) -> date:
    """Return the local day of the clinics."""
    return utc_now(world.clock).astimezone(ZONE).date()


def plan(world: World, **changes: Any) -> dict[str, Any]:
    """Return the content of a plan whose first exercise is on all days and whose second is on none of today's."""
    other_day = (today_of(world).isoweekday() % 7) + 1
    return {
        "items": [
            {
                "exercise": "knee_extension_seated",
                "exercise_version": 1,
                "side": "left",
                "sets": 3,
                "repetitions": 10,
                "target_low_deg": 0,
                "target_high_deg": 15,
                "weekdays": [1, 2, 3, 4, 5, 6, 7],
            },
            {
                "exercise": "sit_to_stand",
                "exercise_version": 1,
                "side": "both",
                "sets": 2,
                "repetitions": 8,
                "weekdays": [other_day],
            },
        ],
        "limits": {"pain_max": 6},
        "valid_from": today_of(world).isoformat(),
        **changes,
    }


def version(world: World, based_on: int = 0, **changes: Any) -> dict[str, Any]:
    """Return the body of a plan version."""
    return {"based_on": based_on, "content": plan(world), "reason": "Mere kraft i låret", **changes}


def changed(world: World, sets: int) -> dict[str, Any]:
    """Return the content of a plan with another number of sets."""
    content = plan(world)
    content["items"][0]["sets"] = sets
    return content


@pytest.fixture
def therapist(world: World) -> TestClient:
    return world.logged_in(world.here.therapist_link)


@pytest.fixture
def tablet(world: World) -> TestClient:
    return world.logged_in(world.here.tablet_link)


@pytest.fixture
def path(world: World) -> str:
    return f"/api/patients/{world.here.patient_ids[0]}"


@on_sqlite
def test_without_plan_there_is_none(therapist: TestClient, tablet: TestClient, path: str, world: World) -> None:
    assert therapist.get(f"{path}/plan").json() is None
    assert therapist.get(f"{path}/plan-versions").json() == []
    assert tablet.get("/api/my/today").json() == {
        "date": today_of(world).isoformat(),
        "plan": None,
        "is_training_day": False,
        "pause": None,
    }


def test_a_version_keeps_author_reason_and_hash_and_both_sides_see_the_same(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    answer = therapist.post(f"{path}/plan-versions", json=version(world, template="knee"))
    assert answer.status_code == 201, answer.text
    written = answer.json()

    assert (written["number"], written["reason"], written["template"]) == (1, "Mere kraft i låret", "knee")
    assert written["author"] == {
        "account_id": str(world.here.therapist_id),
        "display_name": "Ida Therapist here",
    }
    assert written["is_in_force"]
    assert written["content"]["limits"]["pain_max"] == 6
    assert written["content"]["limits"]["pain_rise"] == 3
    assert written["hash"] == content_hash(read_plan_content(plan(world)), number=1)
    assert therapist.get(f"{path}/plan").json() == written
    assert tablet.get(f"{path}/plan").json() == written
    todays = tablet.get("/api/my/today").json()["plan"]
    assert (todays["number"], todays["short_hash"]) == (1, written["short_hash"])
    assert written["hash"].startswith(todays["short_hash"])


@on_sqlite
def test_the_reason_lies_sealed(world: World, therapist: TestClient, path: str) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))

    with reading(world.database.main) as db:
        row = db.exec(select(PlanVersion)).one()

    assert b"kraft" not in row.reason_sealed
    assert "kraft" not in str(row.content)


@on_sqlite
def test_versions_are_only_added_and_told_apart(world: World, therapist: TestClient, path: str) -> None:
    first = therapist.post(f"{path}/plan-versions", json=version(world)).json()
    second = therapist.post(
        f"{path}/plan-versions", json=version(world, 1, content=changed(world, 4), reason="Flere sæt")
    ).json()

    assert therapist.get(f"{path}/plan-versions").json() == [second, {**first, "is_in_force": False}]
    changes = therapist.get(f"{path}/plan-versions/1/diff").json()
    assert changes == {
        "from_number": 1,
        "to_number": 2,
        "changes": [
            {
                "kind": "changed",
                "of": "item",
                "exercise": "knee_extension_seated",
                "local_exercise_id": None,
                "side": "left",
                "field": "sets",
                "before": 3,
                "after": 4,
            }
        ],
    }
    assert therapist.get(f"{path}/plan-versions/2/diff?to=1").json()["changes"][0]["after"] == 3
    assert therapist.get(f"{path}/plan-versions/2/diff?to=9").status_code == 404
    assert therapist.get(f"{path}/plan-versions/9/diff").status_code == 404


@on_sqlite
def test_a_version_that_is_not_made_from_the_head_is_refused(world: World, therapist: TestClient, path: str) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))
    therapist.post(f"{path}/plan-versions", json=version(world, 1, content=changed(world, 4)))

    for based_on in (0, 1, 3):
        refused = therapist.post(f"{path}/plan-versions", json=version(world, based_on, content=changed(world, 5)))
        assert (refused.status_code, refused.json()["code"]) == (409, "plan_moved")
    assert therapist.get(f"{path}/plan").json()["number"] == 2


@on_sqlite
def test_the_same_version_sent_twice_is_written_once(world: World, therapist: TestClient, path: str) -> None:
    first, second = (therapist.post(f"{path}/plan-versions", json=version(world)) for _ in range(2))

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len(therapist.get(f"{path}/plan-versions").json()) == 1
    other_reason = therapist.post(f"{path}/plan-versions", json=version(world, reason="En anden grund"))
    assert other_reason.status_code == 409


def test_of_therapists_who_write_at_the_same_time_exactly_one_wins(world: World, path: str) -> None:
    n_writers = 4
    browsers = [world.as_staff("therapist") for _ in range(n_writers)]
    with ThreadPoolExecutor(n_writers) as pool:
        for based_on in range(5):
            start = threading.Barrier(n_writers)

            def write(i: int, based_on: int = based_on, start: threading.Barrier = start) -> int:
                content = plan(world)
                content["items"][0]["repetitions"] = 1 + n_writers * based_on + i
                start.wait(timeout=10)
                body = version(world, based_on, content=content, reason=f"skrivende {i}")
                return browsers[i].post(f"{path}/plan-versions", json=body).status_code

            assert sorted(pool.map(write, range(n_writers))) == [201, 409, 409, 409]

    numbers = [one["number"] for one in browsers[0].get(f"{path}/plan-versions").json()]
    assert numbers == [5, 4, 3, 2, 1]


@on_sqlite
def test_what_makes_no_sense_is_named(world: World, therapist: TestClient, path: str) -> None:
    content = plan(world, valid_from=(today_of(world) - timedelta(days=1)).isoformat())

    def faults(content: dict[str, Any], **changes: Any) -> set[tuple[str, str]]:
        answer = therapist.post(f"{path}/plan-versions", json=version(world, content=content, **changes))
        assert answer.status_code == 422, answer.text
        return {(fault["at"], fault["kind"]) for fault in answer.json()["faults"]}

    assert faults(content) == {("valid_from", "in_the_past")}
    content = plan(world)
    content["items"][0] |= {"exercise_version": 99, "target_low_deg": 20}
    assert faults(content) == {("items.0.target_low_deg", "crossed")}
    content["items"][0]["target_low_deg"] = 0
    assert faults(content) == {("items.0.exercise_version", "exercise_unknown")}
    assert faults(plan(world, limits={"pain_max": 12})) == {("body.content.limits", "limits")}
    assert faults(plan(world), reason="  ") == {("body.reason", "string_too_short")}
    assert faults(plan(world, items=[])) == {("body.content.items", "too_short")}
    assert faults(plan(world, Else="Jensen")) == {("body.content", "unexpected_keyword_argument")}
    assert therapist.get(f"{path}/plan").json() is None


@on_sqlite
def test_an_unchanged_plan_is_no_new_version(world: World, therapist: TestClient, path: str) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))

    answer = therapist.post(f"{path}/plan-versions", json=version(world, 1, reason="Igen"))

    assert answer.json()["faults"] == [{"at": "items", "kind": "nothing_changed"}]


@on_sqlite
def test_a_plan_names_local_exercises_of_its_own_organisation_only(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    body = local("heel_slide")
    therapist.post("/api/exercises", json=body)
    foreign = local("heel_slide")
    world.logged_in(world.there.therapist_link).post("/api/exercises", json=foreign)
    content = plan(world)
    content["items"][0] |= {
        "exercise": "heel_slide",
        "local_exercise_id": body["exercise_id"],
        "target_low_deg": 70,
        "target_high_deg": 90,
    }
    stolen = plan(world)
    stolen["items"][0] |= {"exercise": "heel_slide", "local_exercise_id": foreign["exercise_id"]}

    swapped = plan(world)
    swapped["items"][0] |= {"exercise": "straight_leg_raise", "local_exercise_id": body["exercise_id"]}

    for wrong in (stolen, swapped):
        refused = therapist.post(f"{path}/plan-versions", json=version(world, content=wrong))
        assert refused.json()["faults"][0]["at"] == "items.0.exercise_version"
    assert therapist.post(f"{path}/plan-versions", json=version(world, content=content)).status_code == 201
    therapist.delete(f"/api/exercises/{body['exercise_id']}")

    item = tablet.get("/api/my/today").json()["plan"]["items"][0]
    assert item["name"]["da"] == "Hælen ind på håndklæde"
    assert item["local_id"] == body["exercise_id"]


def test_a_later_version_holds_from_its_day_on(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))
    tomorrow = (today_of(world) + timedelta(days=1)).isoformat()
    later = therapist.post(
        f"{path}/plan-versions", json=version(world, 1, content={**changed(world, 5), "valid_from": tomorrow})
    ).json()

    assert not later["is_in_force"]
    assert tablet.get("/api/my/today").json()["plan"]["number"] == 1
    world.clock.advance(24 * 3600)
    assert tablet.get("/api/my/today").json()["plan"]["number"] == 2


@on_sqlite
def test_today_shows_the_exercises_of_the_day_with_words_and_a_figure_for_the_side(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))

    today = tablet.get("/api/my/today").json()

    assert today["is_training_day"]
    assert [(one["index"], one["code"]) for one in today["plan"]["items"]] == [(0, "knee_extension_seated")]
    assert [one["code"] for one in today["plan"]["other_items"]] == ["sit_to_stand"]
    item = today["plan"]["items"][0]
    assert (item["sets"], item["repetitions"], item["side"], item["done_set_count"]) == (3, 10, "left", 0)
    assert len(item["instructions"]["da"]) == 5
    assert not item["is_reviewed"]
    shared = {one["code"]: one for one in tablet.get("/api/exercises").json()}["knee_extension_seated"]
    assert item["figure"]["poses"]["start"]["knee"][0] == pytest.approx(
        1 - shared["figure"]["poses"]["start"]["knee"][0]
    )
    assert therapist.get(f"{path}/today").json() == today


def test_today_counts_valid_sets_of_this_local_day(
    world: World, therapist: TestClient, tablet: TestClient, path: str
) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))
    midnight = datetime.combine(today_of(world), datetime.min.time(), ZONE)
    counted = _add_sets(world, midnight, midnight + timedelta(hours=1), midnight - timedelta(seconds=1))
    _add_sets(world, midnight + timedelta(hours=2), is_retracted=True)
    _add_sets(world, midnight + timedelta(hours=2), is_ended=False)
    valid_again, not_valid = (_add_sets(world, midnight + timedelta(hours=3)) for _ in range(2))
    with writing(world.database.main, owner="web") as db:
        for training_set, withdrawn_at in ((counted[0], None), (valid_again[0], midnight), (not_valid[0], None)):
            db.add(
                Correction(
                    training_session_id=training_set.training_session_id,
                    training_set_id=None if training_set is not_valid[0] else training_set.id,
                    kind="not_valid",
                    account_id=world.here.therapist_id,
                    at=midnight,
                    withdrawn_at=withdrawn_at,
                )
            )

    assert tablet.get("/api/my/today").json()["plan"]["items"][0]["done_set_count"] == 2


def _add_sets(world: World, *starts: datetime, is_retracted: bool = False, is_ended: bool = True) -> list[TrainingSet]:
    """Write a training session of the first patient with sets that start at these moments."""
    with writing(world.database.main, owner="web") as db:
        session = TrainingSession(
            patient_id=world.here.patient_ids[0],
            exercise="knee_extension_seated",
            side="left",
            opened_at=starts[0],
            opened_by=uuid.uuid4(),
            retracted_at=starts[0] if is_retracted else None,
        )
        db.add(session)
        db.flush()
        sets = [
            TrainingSet(
                training_session_id=session.id,
                number=number,
                exercise="knee_extension_seated",
                side="left",
                started_at=started_at,
                ended_at=started_at + timedelta(minutes=1) if is_ended else None,
            )
            for number, started_at in enumerate(starts, start=1)
        ]
        db.add_all(sets)
    return sets


@on_sqlite
def test_a_pause_makes_no_training_day(world: World, therapist: TestClient, tablet: TestClient, path: str) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))
    day = today_of(world)
    with writing(world.database.main, owner="web") as db:
        for kind, starts_on, ends_on, is_withdrawn in (
            ("holiday", day - timedelta(days=3), day - timedelta(days=1), False),
            ("planned_rest", day - timedelta(days=2), None, True),
            ("illness", day - timedelta(days=1), day, False),
        ):
            db.add(
                TrainingPause(
                    patient_id=world.here.patient_ids[0],
                    kind=kind,
                    starts_on=starts_on,
                    ends_on=ends_on,
                    created_by=world.here.therapist_id,
                    created_at=utc_now(world.clock),
                    withdrawn_at=utc_now(world.clock) if is_withdrawn else None,
                )
            )

    today = tablet.get("/api/my/today").json()

    assert not today["is_training_day"]
    assert today["pause"]["kind"] == "illness"
    assert len(today["plan"]["items"]) == 1


@on_sqlite
def test_the_day_is_that_of_the_clinic_not_of_the_server(world: World, tablet: TestClient) -> None:
    now = utc_now(world.clock)
    last_hour = datetime(now.year, now.month, now.day, 22, 30, tzinfo=ZoneInfo("UTC"))
    world.clock.advance((last_hour - now).total_seconds() % 86_400)

    assert tablet.get("/api/my/today").json()["date"] == (utc_now(world.clock).date() + timedelta(days=1)).isoformat()


@on_sqlite
@pytest.mark.parametrize("what", ["plan", "plan-versions", "plan-versions/1/diff", "today"])
def test_a_plan_that_is_not_for_ones_eyes_does_not_exist(world: World, what: str) -> None:
    therapist = world.logged_in(world.here.therapist_link)
    tablet = world.logged_in(world.here.tablet_link)
    foreign = world.logged_in(world.there.therapist_link)
    mine, second = world.here.patient_ids
    therapist.post(f"/api/patients/{mine}/plan-versions", json=version(world))
    therapist.post(f"/api/patients/{second}/plan-versions", json=version(world))

    assert therapist.get(f"/api/patients/{mine}/{what}").status_code == 200
    assert therapist.get(f"/api/patients/{world.here.stranger_id}/{what}").status_code == 404
    assert tablet.get(f"/api/patients/{second}/{what}").status_code == 404
    assert foreign.get(f"/api/patients/{mine}/{what}").status_code == 404
    assert world.browser().get(f"/api/patients/{mine}/{what}").status_code == 401


@on_sqlite
def test_only_those_who_treat_a_patient_write_the_plan(world: World) -> None:
    mine = world.here.patient_ids[0]
    path = f"/api/patients/{mine}/plan-versions"

    assert world.logged_in(world.here.tablet_link).post(path, json=version(world)).status_code == 403
    assert world.logged_in(world.there.therapist_link).post(path, json=version(world)).status_code == 404
    therapist = world.logged_in(world.here.therapist_link)
    stranger = f"/api/patients/{world.here.stranger_id}/plan-versions"
    assert therapist.post(stranger, json=version(world)).status_code == 404
    with reading(world.database.main) as db:
        assert db.exec(select(PlanVersion)).all() == []


@on_sqlite
def test_who_breaks_the_glass_reads_plan_and_goals_and_writes_neither(world: World) -> None:
    therapist = world.as_staff("therapist")
    stranger = f"/api/patients/{world.here.stranger_id}"
    goal_id = new_id()
    now = utc_now(world.clock)
    with writing(world.database.main, owner="web") as db:
        db.add(
            BreakGlass(
                organisation_id=world.here.organisation_id,
                account_id=world.here.therapist_id,
                patient_id=world.here.stranger_id,
                reason_sealed=b"x",
                starts_at=now,
                ends_at=now + timedelta(hours=1),
            )
        )
        db.add(
            Goal(
                id=UUID(goal_id),
                patient_id=world.here.stranger_id,
                text_sealed=b"x",
                created_by=world.here.therapist_id,
                created_at=now,
            )
        )

    assert therapist.get(f"{stranger}/plan").status_code == 200
    assert therapist.post(f"{stranger}/plan-versions", json=version(world)).status_code == 404
    goal = {"text": "At gå selv"}
    assert therapist.post(f"{stranger}/goals", json={**goal, "id": new_id()}).status_code == 404
    assert therapist.put(f"/api/goals/{goal_id}", json={**goal, "version": 1}).status_code == 404


@contextmanager
def _plans_of_helper(world: World, *scopes: str) -> Iterator[PlanRepository]:
    """Give the plans as a helper with these scopes for the first patient sees them."""
    now = utc_now(world.clock)
    key_ring = open_key_ring(world.settings)
    with writing(world.database.main, owner="web") as db:
        helper = Helper(organisation_id=world.here.organisation_id, name_sealed=b"x", created_at=now)
        db.add(helper)
        db.flush()
        db.add(
            HelperGrant(
                patient_id=world.here.patient_ids[0],
                helper_id=helper.id,
                invited_name_sealed=b"x",
                scopes=list(scopes),
                starts_at=now,
                ends_at=now + timedelta(days=1),
                accepted_at=now,
                created_by=world.here.therapist_id,
            )
        )
    reader = Reader(
        login_id=uuid.uuid4(), role="helper", organisation_id=world.here.organisation_id, helper_id=helper.id
    )
    with reading(world.database.main) as db:
        yield PlanRepository(db, reader=reader, now=now, key_ring=key_ring)


@on_sqlite
def test_a_helper_sees_what_the_patient_agreed_to(world: World, therapist: TestClient, path: str) -> None:
    therapist.post(f"{path}/plan-versions", json=version(world))
    mine, second = world.here.patient_ids

    with _plans_of_helper(world, "see_plan") as plans:
        assert plans.head(mine) is not None
        assert len(plans.today(mine).items) == 2
        _is_hidden(plans, second)
    with _plans_of_helper(world, "train_for") as plans:
        assert len(plans.today(mine).items) == 2
        with pytest.raises(NotFoundError):
            plans.list(mine)
    with _plans_of_helper(world, "join", "see_results") as plans:
        _is_hidden(plans, mine)


def _is_hidden(plans: PlanRepository, patient_id: UUID) -> None:
    with pytest.raises(NotFoundError):
        plans.head(patient_id)
    with pytest.raises(NotFoundError):
        plans.today(patient_id)


@on_sqlite
def test_templates_are_examples_for_either_side_and_can_be_written_as_a_plan(
    world: World, therapist: TestClient, path: str
) -> None:
    templates = therapist.get("/api/plan-templates?side=left").json()

    assert [one["code"] for one in templates] == ["knee", "hip", "shoulder"]
    assert not any(one["is_reviewed"] for one in templates)
    assert "right" not in {item["side"] for one in templates for item in one["items"]}
    for number, template in enumerate(templates):
        content = {
            "items": template["items"],
            "limits": template["limits"],
            "valid_from": today_of(world).isoformat(),
        }
        body = version(world, number, content=content, template=template["code"])
        assert therapist.post(f"{path}/plan-versions", json=body).status_code == 201
    assert therapist.get("/api/plan-templates?side=up").status_code == 422


@on_sqlite
def test_a_new_version_is_announced(world: World, therapist: TestClient, path: str) -> None:
    written = therapist.post(f"{path}/plan-versions", json=version(world)).json()

    assert [(one.table, str(one.id), one.version) for one in world.changes.told] == [("plan_version", written["id"], 1)]
    therapist.post(f"{path}/plan-versions", json=version(world, 7))
    assert len(world.changes.told) == 1
