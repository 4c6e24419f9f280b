"""Two write of one patient at the same moment, on PostgreSQL: the second waits and then knows what the first did."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlmodel import Session, col, select
from starlette.testclient import TestClient

from telerehab.clock import utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.locks import lock_patient
from telerehab.db.tables import Device, Patient, TrainingSession, TrainingSet
from telerehab.db.training_rows import close_idle
from tests.telerehab.api.world import World, new_id, training

pytestmark = pytest.mark.postgres


def while_it_happens(world: World, what: Callable[[Session], None], ask: Callable[[], Any]) -> Any:
    """Write something, ask before it is committed, commit, and return the answer."""
    with ThreadPoolExecutor(1) as pool:
        with writing(world.database.main, owner="web") as db:
            what(db)
            db.flush()
            asked = pool.submit(ask)
            wait([asked], timeout=0.5)  # only what does not wait for us comes through before our commit
        return asked.result(30)


def _wishes(world: World) -> dict[str, dict[str, object]]:
    begins = utc_now(world.clock) + timedelta(days=1)
    times = {"starts_at": begins.isoformat(), "ends_at": (begins + timedelta(hours=1)).isoformat()}
    patient_id = str(world.here.patient_ids[0])
    return {
        f"/api/patients/{patient_id}/assignments": {"device_name": "s-1"},
        f"/api/patients/{patient_id}/care-relations": {"therapist_id": str(world.here.therapist_id)},
        "/api/appointments": {"kind": "visit", "title": "Besøg", "patient_id": patient_id, **times},
        f"/api/patients/{patient_id}/messages/{new_id()}": {"text": "Hej"},
    }


@pytest.mark.parametrize("which", range(4))
def test_nothing_begins_for_a_patient_whose_course_ends_meanwhile(postgres_world: World, which: int) -> None:
    world = postgres_world
    therapist: TestClient = world.as_staff("therapist")
    world.as_staff("team_manager").post("/api/devices", json={"name": "s-1", "kind": "imu6"})
    path, body = list(_wishes(world).items())[which]

    def end(db: Session) -> None:
        lock_patient(db, world.here.patient_ids[0])
        db.get_one(Patient, world.here.patient_ids[0]).ended_at = utc_now(world.clock)

    method = "PUT" if "messages" in path else "POST"
    answer = while_it_happens(world, end, lambda: therapist.request(method, path, json=body))
    assert (answer.status_code, answer.json().get("code")) == (409, "course_ended")


def test_a_device_that_is_revoked_meanwhile_is_not_lent(postgres_world: World) -> None:
    world = postgres_world
    therapist = world.as_staff("therapist")
    world.as_staff("team_manager").post("/api/devices", json={"name": "s-1", "kind": "imu6"})

    def revoke(db: Session) -> None:
        row = db.exec(select(Device).where(col(Device.name) == "s-1").with_for_update()).one()
        row.revoked_at = utc_now(world.clock)

    path = f"/api/patients/{world.here.patient_ids[0]}/assignments"
    answer = while_it_happens(world, revoke, lambda: therapist.post(path, json={"device_name": "s-1"}))
    assert (answer.status_code, answer.json()["code"]) == (409, "device_revoked")


def test_a_set_that_starts_while_its_training_session_is_closed_ends_with_it(postgres_world: World) -> None:
    world = postgres_world
    tablet, session_id, set_id = world.as_tablet(), UUID(new_id()), UUID(new_id())
    path = f"/api/training-sessions/{session_id}"
    assert tablet.put(path, json=training(world.here.patient_ids[0])).status_code == 200

    def start(db: Session) -> None:
        lock_patient(db, world.here.patient_ids[0])
        row = db.get_one(TrainingSession, session_id)
        db.add(
            TrainingSet(
                id=set_id,
                training_session_id=session_id,
                number=1,
                exercise=row.exercise,
                side=row.side,
                started_at=utc_now(world.clock),
            )
        )
        db.flush()
        row.training_set_id = set_id

    assert while_it_happens(world, start, lambda: tablet.post(f"{path}/close", json={"reason": "done"})).is_success
    with reading(world.database.main) as db:
        assert db.get_one(TrainingSet, set_id).ended_at is not None


def test_a_name_that_comes_while_a_patient_is_erased_is_not_kept(postgres_world: World) -> None:
    world = postgres_world
    therapist, patient_id = world.as_staff("therapist"), world.here.patient_ids[0]

    def erase(db: Session) -> None:
        lock_patient(db, patient_id)
        row = db.get_one(Patient, patient_id)
        row.wrapped_key = row.name_sealed = row.birth_date_sealed = None

    path = f"/api/patients/{patient_id}/identity"
    answer = while_it_happens(world, erase, lambda: therapist.put(path, json={"name": "Karen Ny"}))
    assert answer.status_code == 404
    with reading(world.database.main) as db:
        assert db.get_one(Patient, patient_id).name_sealed is None


def test_a_training_session_in_which_a_set_is_being_written_is_not_closed_as_idle(postgres_world: World) -> None:
    world = postgres_world
    session_id, patient_id = UUID(new_id()), world.here.patient_ids[0]
    tablet = world.as_tablet()
    assert tablet.put(f"/api/training-sessions/{session_id}", json=training(patient_id)).is_success
    much_later = utc_now(world.clock) + timedelta(minutes=21)

    def close() -> list[UUID]:
        with writing(world.database.main, owner="web") as db:
            return [row.id for row in close_idle(db, moved_at={}, now=much_later)]

    assert while_it_happens(world, lambda db: lock_patient(db, patient_id), close) == []
    assert close() == [session_id]
