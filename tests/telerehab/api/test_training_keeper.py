"""Training sessions are opened by a sensor that was put on, and closed when nobody has moved for twenty minutes."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlmodel import select, update

from analytics.results import Phase
from devices.ports import Raw
from telerehab.clock import ManualClock, SystemClock, from_us, to_us, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import reading, writing
from telerehab.db.tables import (
    Alert,
    Assignment,
    Device,
    LiveSession,
    Organisation,
    Participant,
    Repetition,
    SelfReport,
    TrainingPause,
    TrainingSession,
    TrainingSet,
)
from telerehab.live_frame import ENTRY_DTYPE, FLAG_SENSOR_LOST, encode_live_frame
from telerehab.training_keeper import TrainingKeeper
from tests.devices.broker_fixtures import MemoryCredentials, connected, embedded_broker
from tests.telerehab.api.test_plans import today_of, version
from tests.telerehab.api.world import World, new_id, training

MINUTE = 60.0


@pytest.fixture
def keeper(world: World) -> TrainingKeeper:
    """Give a keeper that runs for half an hour already and has no broker."""
    return _make_keeper(world)


def _make_keeper(world: World) -> TrainingKeeper:
    keeper = TrainingKeeper(world.settings, database=world.database, clock=world.clock, changes=world.changes)
    world.clock.advance(30 * MINUTE)
    return keeper


def _open(world: World) -> UUID:
    training_session_id = new_id()
    answer = world.as_staff("therapist").put(
        f"/api/training-sessions/{training_session_id}", json=training(world.here.patient_ids[0])
    )
    assert answer.status_code == 200, answer.text
    world.changes.told.clear()
    return UUID(training_session_id)


def _rows(world: World) -> list[TrainingSession]:
    with reading(world.database.main) as db:
        return list(db.exec(select(TrainingSession).order_by("opened_at")))


# --- closed ---


def test_after_twenty_minutes_without_movement_a_training_session_is_closed_once_and_told(
    world: World, keeper: TrainingKeeper
) -> None:
    training_session = _open(world)
    world.clock.advance(20 * MINUTE - 1)
    keeper.close_idle()
    assert _rows(world)[0].closed_at is None
    world.clock.advance(1)
    others = [
        TrainingKeeper(world.settings, database=world.database, clock=world.clock, changes=world.changes)
        for _ in range(3)
    ]
    for other in others:
        other._started_at -= timedelta(hours=1)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: each.close_idle(), [keeper, *others]))
    (row,) = _rows(world)
    assert (row.close_reason, row.closed_at, row.version) == ("no_movement", utc_now(world.clock), 2)
    assert [(each.table, each.id) for each in world.changes.told] == [("training_session", training_session)]


def _repetition(training_session: UUID, at_us: int) -> Repetition:
    return Repetition(
        training_session_id=training_session,
        index=0,
        start_us=at_us - 1,
        stop_us=at_us,
        rom_deg=80,
        up_s=1,
        hold_s=0,
        down_s=1,
        peak_speed_deg_s=90,
        trust=1,
        reason=0,
        algorithm_version="1",
    )


def _report(world: World, training_session: UUID, at_us: int) -> SelfReport:
    return SelfReport(
        patient_id=world.here.patient_ids[0],
        training_session_id=training_session,
        kind="effort",
        value=3,
        phase="during",
        reported_by=uuid4(),
        at=from_us(at_us),
    )


def _set(training_session: UUID, at_us: int) -> TrainingSet:
    return TrainingSet(
        training_session_id=training_session,
        number=1,
        exercise="mini_squat",
        side="both",
        started_at=from_us(at_us),
    )


MOVEMENT: dict[str, tuple[str, Callable[[World, UUID, int], Any]]] = {
    "a repetition": ("ingest", lambda world, session, at_us: _repetition(session, at_us)),
    "a set": ("web", lambda world, session, at_us: _set(session, at_us)),
    "a report": ("web", _report),
}


@pytest.mark.parametrize("what", MOVEMENT)
def test_what_happens_in_a_training_session_keeps_it_open(sqlite_world: World, what: str) -> None:
    world, keeper = sqlite_world, _make_keeper(sqlite_world)
    training_session = _open(world)
    world.clock.advance(10 * MINUTE)
    owner, make = MOVEMENT[what]
    with writing(world.database.main, owner=owner) as db:
        db.add(make(world, training_session, to_us(utc_now(world.clock))))
    world.clock.advance(15 * MINUTE)
    keeper.close_idle()
    assert _rows(world)[0].closed_at is None
    world.clock.advance(5 * MINUTE)
    keeper.close_idle()
    assert _rows(world)[0].closed_at is not None


def _frame(world: World, training_session: UUID, phase: Phase, *, flags: int = 0) -> Raw:
    entries = np.zeros(1, ENTRY_DTYPE)
    entries["training_session"] = np.frombuffer(training_session.bytes, "V16")
    entries["phase"], entries["flags"] = phase, flags
    return Raw("live/1/worker", encode_live_frame(entries, tick=1), to_us(utc_now(world.clock)))


@pytest.mark.parametrize(
    ("phase", "flags", "is_kept"),
    [
        (Phase.UP, 0, True),
        (Phase.DOWN, 0, True),
        (Phase.READY, 0, False),
        (Phase.WAITING_STILL, 0, False),
        (Phase.HOLD, FLAG_SENSOR_LOST, False),  # the last phase of a sensor that fell silent
    ],
)
def test_movement_that_the_live_analysis_sees_keeps_it_open(
    sqlite_world: World, phase: Phase, flags: int, is_kept: bool
) -> None:
    world, keeper = sqlite_world, _make_keeper(sqlite_world)
    training_session = _open(world)
    world.clock.advance(15 * MINUTE)
    assert keeper.take([_frame(world, training_session, phase, flags=flags), Raw("live/1/x", b"damaged", 0)]) == ()
    world.clock.advance(10 * MINUTE)
    keeper.close_idle()
    assert (_rows(world)[0].closed_at is None) == is_kept


def test_a_process_that_has_just_started_closes_nothing_yet(sqlite_world: World) -> None:
    world = sqlite_world
    _open(world)
    world.clock.advance(60 * MINUTE)
    keeper = TrainingKeeper(world.settings, database=world.database, clock=world.clock, changes=world.changes)
    keeper.close_idle()
    assert _rows(world)[0].closed_at is None
    world.clock.advance(20 * MINUTE)
    keeper.close_idle()
    assert _rows(world)[0].closed_at is not None


def _live_session(world: World, *patient_ids: UUID) -> None:
    answer = world.as_staff("therapist").post(
        "/api/live-sessions", json={"title": "Knees", "patient_ids": [str(each) for each in patient_ids]}
    )
    assert answer.status_code == 201, answer.text


def _take_seats(world: World, state: str) -> None:
    with writing(world.database.main, owner="media") as db:
        db.exec(update(Participant).where(Participant.role == "patient").values(state=state))  # type: ignore[arg-type]


def test_while_a_live_session_with_the_patient_runs_nothing_is_closed(world: World, keeper: TrainingKeeper) -> None:
    _live_session(world, world.here.patient_ids[0])
    _open(world)
    world.clock.advance(60 * MINUTE)
    _take_seats(world, "reconnecting")
    keeper.close_idle()
    assert _rows(world)[0].closed_at is None
    _take_seats(world, "left")
    keeper.close_idle()
    assert _rows(world)[0].closed_at is not None


def test_a_live_session_that_has_ended_or_is_another_patients_keeps_nothing_open(sqlite_world: World) -> None:
    world, keeper = sqlite_world, _make_keeper(sqlite_world)
    _live_session(world, world.here.patient_ids[0])
    _live_session(world, world.here.patient_ids[1])
    _open(world)
    world.clock.advance(60 * MINUTE)
    _take_seats(world, "connected")
    with writing(world.database.main, owner="media") as db:
        first = db.exec(select(Participant).where(Participant.patient_id == world.here.patient_ids[0])).one()
        db.exec(update(LiveSession).where(LiveSession.id == first.live_session_id).values(state="ended"))  # type: ignore[arg-type]
    keeper.close_idle()
    assert _rows(world)[0].closed_at is not None


# --- opened ---


def _lend(world: World) -> UUID:
    """Lend the first patient a knee kit and write a plan; return the assignment of the shank sensor."""
    with writing(world.database.main, owner="web") as db:
        kit = provisioning.create_kit(db, organisation_id=world.here.organisation_id, name="kit")
        assignments = []
        for site in ("thigh_left", "shank_left"):
            device = Device(
                name=f"imu-{site.replace('_', '-')}",
                organisation_id=world.here.organisation_id,
                kit_id=kit.id,
                kind="imu6",
                credential_hash="x",
            )
            db.add(device)
            db.flush()
            assignments.append(
                provisioning.assign_device(
                    db,
                    device_name=device.name,
                    patient_id=world.here.patient_ids[0],
                    body_site=site,
                    starts_at=utc_now(world.clock) - timedelta(days=1),
                )
            )
    body = version(world)
    body["content"]["items"].insert(
        0,
        {
            "exercise": "shoulder_flexion",
            "exercise_version": 1,
            "side": "right",
            "sets": 2,
            "repetitions": 10,
            "weekdays": [1, 2, 3, 4, 5, 6, 7],
        },
    )
    written = world.as_staff("therapist").post(f"/api/patients/{world.here.patient_ids[0]}/plan-versions", json=body)
    assert written.status_code == 201, written.text
    world.changes.told.clear()
    return assignments[1].id


def _told(*assignments: UUID) -> list[Raw]:
    return [
        Raw("app/1/changed/device_started", json.dumps({"id": str(each), "version": 1}).encode(), 1)
        for each in assignments
    ]


def test_a_sensor_that_was_put_on_opens_the_first_exercise_of_today_that_it_shows(
    world: World, keeper: TrainingKeeper
) -> None:
    assignment = _lend(world)
    junk = Raw("app/1/changed/device_started", b"[]", 1)
    started = keeper.take([junk, *_told(assignment, assignment)])
    assert started == (assignment,)
    keeper.open_started(started)
    (row,) = _rows(world)
    assert (row.exercise, row.side, row.target_high_deg, row.opened_via) == (
        "knee_extension_seated",
        "left",
        15,
        "device",
    )
    assert row.plan_version_id is not None
    with reading(world.database.main) as db:
        assert row.opened_by == db.get_one(Device, "imu-shank-left").kit_id
    assert [(each.table, each.id) for each in world.changes.told] == [("training_session", row.id)]


def test_sensors_pages_and_processes_that_open_at_once_leave_one_open(world: World, keeper: TrainingKeeper) -> None:
    assignment = _lend(world)
    tablet = world.as_tablet()

    def open_one(index: int) -> None:
        if index % 3:
            keeper.open_started([assignment])
        else:
            tablet.put(f"/api/training-sessions/{new_id()}", json=training(world.here.patient_ids[0]))

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(open_one, range(9)))
    rows = _rows(world)
    assert sum(row.closed_at is None for row in rows) == 1
    assert sum(row.opened_via == "device" for row in rows) <= 1


def _stop(world: World, db: Any) -> None:
    db.add(
        Alert(
            id=uuid4(),
            organisation_id=world.here.organisation_id,
            patient_id=world.here.patient_ids[0],
            cause="pain_high",
            is_stop=True,
            began_at=utc_now(world.clock),
            found_at=utc_now(world.clock),
            found_by="web",
        )
    )


def _trained(world: World, db: Any) -> None:
    db.add(
        TrainingSession(
            patient_id=world.here.patient_ids[0],
            exercise="mini_squat",
            side="both",
            opened_at=utc_now(world.clock) - timedelta(minutes=40),
            opened_by=uuid4(),
            closed_at=utc_now(world.clock) - timedelta(minutes=14),
            close_reason="done",
        )
    )


def _ill(world: World, db: Any) -> None:
    db.add(
        TrainingPause(
            patient_id=world.here.patient_ids[0],
            kind="illness",
            starts_on=today_of(world),
            created_by=uuid4(),
            created_at=utc_now(world.clock),
        )
    )


HINDRANCES: dict[str, Callable[[World, Any], Any]] = {
    "a stop waits": _stop,
    "the patient has just trained": _trained,
    "the patient is ill": _ill,
    "the sensor came back": lambda world, db: db.exec(update(Assignment).values(ends_at=utc_now(world.clock))),
    "no sensor is used here": lambda world, db: db.exec(update(Organisation).values(service="communication_only")),
}


@pytest.mark.parametrize("why", HINDRANCES)
def test_a_sensor_opens_nothing_where_there_is_no_reason_to(sqlite_world: World, why: str) -> None:
    world, keeper = sqlite_world, _make_keeper(sqlite_world)
    assignment = _lend(world)
    with writing(world.database.main, owner="web") as db:
        HINDRANCES[why](world, db)
    before = len(_rows(world))
    keeper.open_started([assignment, uuid4()])
    assert len(_rows(world)) == before, why


def test_a_sensor_opens_nothing_in_a_live_session_and_without_a_plan_for_today(sqlite_world: World) -> None:
    world, keeper = sqlite_world, _make_keeper(sqlite_world)
    assignment = _lend(world)
    _live_session(world, world.here.patient_ids[0])
    keeper.open_started([assignment])
    assert _rows(world) == []
    with writing(world.database.main, owner="media") as db:
        db.exec(update(LiveSession).values(state="ended"))
    with writing(world.database.main, owner="web") as db:
        db.exec(update(Assignment).values(patient_id=world.here.patient_ids[1]))  # who has no plan
    keeper.open_started([assignment])
    assert _rows(world) == []


class _Ticking:
    """The world's date, with durations that pass: the connection to the broker needs them."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock

    def utc_ns(self) -> int:
        return self._clock.utc_ns()

    def monotonic_ns(self) -> int:
        return SystemClock().monotonic_ns()


class _AnyPassword(MemoryCredentials):
    def may_log_in(self, username: str, password: str) -> bool:
        return True


@pytest.mark.anyio
async def test_the_word_of_intake_reaches_it_over_the_broker(sqlite_world: World) -> None:
    world, credentials = sqlite_world, _AnyPassword()
    assignment = _lend(world)
    with embedded_broker(credentials) as port, connected(port, "ingest") as ingest:
        settings = world.settings.model_copy(update={"mqtt_port": port})
        keeper = TrainingKeeper(settings, database=world.database, clock=_Ticking(world.clock), changes=world.changes)
        running = asyncio.create_task(keeper.run())
        try:
            async with asyncio.timeout(20):
                while not world.changes.told:
                    ingest.publish(_told(assignment)[0].topic, _told(assignment)[0].payload)
                    await asyncio.sleep(0.1)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            keeper.close()
    assert [row.opened_via for row in _rows(world)] == ["device"]
