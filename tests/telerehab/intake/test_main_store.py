"""The thread that writes repetitions, reads who trains and beats, on both databases."""

import time
from collections.abc import Callable, Iterator
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlalchemy import text
from sqlmodel import select

from analytics.results import ALGORITHM_VERSION, REPETITION_DTYPE
from telerehab.auth.key_ring import KeyRing
from telerehab.clock import SystemClock, from_us, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Assignment, Patient, Repetition, TrainingSession, Worker
from telerehab.db.workers import Heartbeat
from telerehab.intake.main_store import MainStore, write_repetitions
from telerehab.intake.places import Places
from telerehab.intake.slots import EndedRepetition

FIRST_US = 1_790_000_000_000_000
SENSORS = frozenset({"thigh-1", "shank-1"})


@pytest.fixture
def training_session(database: Database, key_ring: KeyRing) -> UUID:
    with writing(database.main, owner="web") as db:
        clinic = provisioning.create_organisation(db, name="clinic")
        patient = provisioning.create_patient(db, key_ring=key_ring, organisation_id=clinic.id, name="Patient")
        training_session = TrainingSession(
            patient_id=patient.id,
            exercise="mini_squat",
            side="left",
            opened_at=utc_now(SystemClock()),
            opened_by=UUID(int=1),
        )
        db.add(training_session)
        for name in sorted(SENSORS):
            provisioning.create_device(db, organisation_id=clinic.id, name=name, kind="imu6")
            provisioning.assign_device(
                db, device_name=name, patient_id=patient.id, body_site=None, starts_at=from_us(FIRST_US)
            )
        db.flush()
        return training_session.id


@pytest.fixture
def store(database: Database) -> Iterator[MainStore]:
    heartbeat = Heartbeat(database.main, role="ingest", clock=SystemClock())
    heartbeat.register()
    store = MainStore(database.main, heartbeat=heartbeat, status=lambda: {"ticks": 7}, clock=SystemClock())
    store.start()
    yield store
    assert store.close(timeout_s=5)
    assert not store.is_alive


def ended(training_session: UUID, index: int, *, rom_deg: float = 80.0) -> EndedRepetition:
    row = np.zeros(1, REPETITION_DTYPE)
    row["rom_deg"], row["trust"], row["algorithm_version"], row["up_s"] = rom_deg, np.nan, ALGORITHM_VERSION, 1.5
    start_us = FIRST_US + index * 4_000_000
    return EndedRepetition(
        training_session=training_session,
        index=index,
        start_us=start_us,
        peak_us=start_us + 1_000_000,
        stop_us=start_us + 2_000_000,
        devices=SENSORS,
        row=row[0],
    )


def stored(database: Database) -> list[Repetition]:
    with reading(database.main) as db:
        return sorted(db.exec(select(Repetition)), key=lambda repetition: repetition.index)


def wait_until(is_so: Callable[[], object], *, timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.01)


def test_a_repetition_is_written_once_and_stays_as_it_was(database: Database, training_session: UUID) -> None:
    write_repetitions(database.main, [ended(training_session, 0), ended(training_session, 1)])
    write_repetitions(database.main, [ended(training_session, 1, rom_deg=12.0), ended(training_session, 2)])
    rows = stored(database)
    assert [(row.index, row.rom_deg, row.up_s, row.trust) for row in rows] == [
        (each, 80.0, 1.5, 0.0) for each in range(3)
    ]
    assert rows[1].stop_us - rows[1].start_us == 2_000_000
    assert rows[0].algorithm_version == str(ALGORITHM_VERSION)
    assert rows[0].data["peak_us"] == rows[0].start_us + 1_000_000


def test_repetitions_of_a_training_session_that_is_gone_do_not_stop_the_others(
    database: Database, training_session: UUID, store: MainStore
) -> None:
    store.write([ended(uuid4(), 0), ended(training_session, 0)])
    wait_until(lambda: len(stored(database)) == 1)
    store.write([ended(training_session, 1)])
    wait_until(lambda: len(stored(database)) == 2)


def test_a_change_is_seen_at_once_when_somebody_says_so(
    database: Database, training_session: UUID, store: MainStore
) -> None:
    places: list[Places] = []

    def has_read() -> bool:
        newest = store.take_places()
        places.extend([newest] if newest is not None else [])
        return newest is not None

    store.look_again()
    wait_until(has_read, timeout_s=1.5)
    assert [training.id for training in places[-1].trainings] == [training_session]
    with writing(database.main, owner="web") as db:
        db.connection().execute(text("UPDATE training_session SET close_reason = 'done', closed_at = opened_at"))
    has_read()
    store.look_again()
    wait_until(has_read, timeout_s=1.5)
    assert places[-1].trainings == ()


def test_the_role_beats_with_its_status(database: Database, store: MainStore) -> None:
    def status() -> dict[str, object]:
        with reading(database.main) as db:
            (worker,) = db.exec(select(Worker))
            return worker.status

    wait_until(lambda: status() == {"ticks": 7})


def test_a_database_that_refuses_delays_repetitions_and_loses_none(
    database: Database, training_session: UUID, store: MainStore
) -> None:
    with writing(database.main, owner="web") as db:
        db.connection().execute(text("ALTER TABLE repetition RENAME TO hidden"))
    store.write([ended(training_session, 0)])
    wait_until(lambda: store.refused_count >= 1)
    assert store.is_alive
    with writing(database.main, owner="web") as db:
        db.connection().execute(text("ALTER TABLE hidden RENAME TO repetition"))
    store.look_again()
    wait_until(lambda: len(stored(database)) == 1)


@pytest.mark.parametrize("border", ["taken back before", "lent after", "taken back within", "lent to another"])
def test_hazard_h2_a_repetition_that_is_not_the_patients_is_not_written(
    database: Database, training_session: UUID, key_ring: KeyRing, border: str
) -> None:
    repetition = ended(training_session, 5)
    with writing(database.main, owner="web") as db:
        lent = db.exec(select(Assignment).where(Assignment.device_name == "shank-1")).one()
        if border == "taken back before":
            lent.ends_at = from_us(repetition.start_us)
        elif border == "lent after":
            lent.starts_at = from_us(repetition.stop_us)
        elif border == "taken back within":
            lent.ends_at = from_us(repetition.peak_us)
        else:
            organisation_id = db.get_one(Patient, lent.patient_id).organisation_id
            lent.patient_id = provisioning.create_patient(
                db, key_ring=key_ring, organisation_id=organisation_id, name="Another"
            ).id
        db.add(lent)
    write_repetitions(database.main, [repetition])
    assert stored(database) == []


def test_a_repetition_between_the_borders_of_a_lending_is_written(database: Database, training_session: UUID) -> None:
    repetition = ended(training_session, 5)
    with writing(database.main, owner="web") as db:
        for lent in db.exec(select(Assignment)):
            lent.starts_at, lent.ends_at = from_us(repetition.start_us), from_us(repetition.stop_us)
            db.add(lent)
    write_repetitions(database.main, [repetition])
    assert [row.index for row in stored(database)] == [5]
