"""After a restart counts, calibration and state are back, from what the stores have."""

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text

from analytics.results import Phase
from telerehab.attribution import Lending
from telerehab.auth.key_ring import open_key_ring
from telerehab.clock import from_us
from telerehab.db import provisioning
from telerehab.db.engine import Database, open_database, reading, writing
from telerehab.db.migrate import upgrade
from telerehab.db.tables import TrainingSession
from telerehab.intake import replay
from telerehab.intake.catch_up import CatchUp
from telerehab.intake.hot_store import HotStore
from telerehab.intake.main_store import write_repetitions
from telerehab.live_pipeline import LivePipeline
from telerehab.roles.ingest import restore_order
from telerehab.settings import Settings
from tests.telerehab.intake.bodies import PATIENT, REPETITION_S, START_US, STILL_S, House, catch_up, knee, training


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    settings = Settings(data_dir=tmp_path)
    upgrade(settings)
    database = open_database(settings)
    with writing(database.main, owner="web") as db:
        clinic = provisioning.create_organisation(db, name="clinic")
        patient = provisioning.create_patient(
            db, key_ring=open_key_ring(settings), organisation_id=clinic.id, name="Patient"
        )
        db.add(
            TrainingSession(
                id=UUID(int=1),
                patient_id=patient.id,
                exercise="knee_extension_seated",
                side="right",
                opened_at=from_us(START_US),
                opened_by=UUID(int=9),
            )
        )
        for name, site in (("thigh-1", "thigh_right"), ("shank-1", "shank_right")):
            provisioning.create_device(db, organisation_id=clinic.id, name=name, kind="imu6")
            provisioning.assign_device(
                db, device_name=name, patient_id=patient.id, body_site=site, starts_at=from_us(START_US)
            )
    yield database
    database.close()


def keep(house: House, database: Database) -> None:
    """Store what the house has stored so far in the real stores."""
    store = HotStore(database.hot, group_wait_s=0, queue_max_rows=1_000_000)
    for effects in house.effects:
        assert store.offer(effects.to_store)
    store.start()
    assert store.close(timeout_s=10)
    if house.ended:
        write_repetitions(database.main, house.ended)


def stored_repetition_count(database: Database) -> int:
    with reading(database.main) as db:
        return int(db.connection().execute(text("SELECT count(*) FROM repetition")).scalar_one())


def restarted(house: House, database: Database) -> tuple[LivePipeline, int]:
    """Return a new pipeline with what the stores know, and how many repetitions it found that were not stored."""
    pipeline = LivePipeline(capacity=4, window_samples=1_000)
    restore_order(pipeline, database, house.places, now_us=house.now_us)
    ended = catch_up(pipeline, database)
    write_repetitions(database.main, ended)
    return pipeline, len(ended)


def test_counts_and_calibration_return_and_the_set_goes_on(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 2.3 * REPETITION_S)  # in the middle of the third
    keep(house, database)
    before = house.entries()[-1]
    assert before["repetitions"] == 2
    pipeline, n_new = restarted(house, database)
    assert n_new == 0
    assert stored_repetition_count(database) == 2
    entry = pipeline.slots.entries(now_us=house.now_us, is_storing=True)[0]
    for name in ("repetitions", "last_rom", "phase", "trust", "completeness"):
        assert entry[name] == pytest.approx(before[name], abs=1), name
    for sensor in house.sensors:
        sensor.is_silent = True
    house.run(2)  # nobody was there
    for sensor in house.sensors:
        sensor.is_silent = False
    house = House(house.sensors, [training()], pipeline=pipeline, now_us=house.now_us)
    house.run(3 * REPETITION_S)
    assert {Phase(int(entry["phase"])) for entry in house.entries()} & {Phase.WAITING_STILL} == set()
    assert [ended.index for ended in house.ended] in ([2, 3], [2, 3, 4])
    assert house.entries()[-1]["repetitions"] >= 3


def test_a_repetition_that_was_counted_but_not_written_is_written_with_its_index(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 2.3 * REPETITION_S)
    del house.ended[1]
    keep(house, database)
    pipeline, n_new = restarted(house, database)
    assert n_new == 1
    with reading(database.main) as db:
        rows = db.connection().execute(text('SELECT start_us FROM repetition ORDER BY "index"')).scalars().all()
    assert [round((start_us - START_US) * 1e-6) for start_us in rows] == [6, 10]
    assert pipeline.slots.repetition_count(UUID(int=1)) == 2


@pytest.mark.parametrize("is_stored", [True, False])
def test_no_repetition_is_lost_to_a_restart_when_its_blocks_come_again(database: Database, *, is_stored: bool) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 1.25 * REPETITION_S)  # in the middle of the second
    keep(house, database)
    for sensor in house.sensors:
        sensor.is_silent = True
    house.run(3)  # nobody is there
    pipeline = LivePipeline(capacity=4, window_samples=1_000)
    assert restore_order(pipeline, database, house.places, now_us=house.now_us)
    pipeline.pause_showing()
    after = House(house.sensors, [training()], pipeline=pipeline, now_us=house.now_us)
    for sensor in after.sensors:
        sensor.is_silent = False
        after.send(*sensor.kept)
    after.run(8)  # so long did it take to read and to analyse what was stored: two repetitions
    assert after.frames == []
    assert not pipeline.has_holes()
    if is_stored:
        keep(after, database)
    came = [] if is_stored else after.effects
    write_repetitions(database.main, catch_up(pipeline, database, *came))
    pipeline.resume_showing()
    after.run(2 * REPETITION_S)
    write_repetitions(database.main, after.ended)
    made_count = int(((after.now_us - START_US) * 1e-6 - STILL_S - 2.5) // REPETITION_S) + 1
    assert after.entries()[-1]["repetitions"] == stored_repetition_count(database) == made_count
    assert pipeline.slots.jump_count == 0


def test_old_movement_is_not_counted_for_a_training_session_that_opened_meanwhile(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 3 * REPETITION_S)
    keep(house, database)
    pipeline = LivePipeline(capacity=4, window_samples=1_000)
    restore_order(pipeline, database, house.places, now_us=house.now_us)
    way = CatchUp(pipeline.slots)
    way.read(database)
    assert way.go_on()
    house.follow([training(number=1, id=UUID(int=2), opened_us=house.now_us)])
    pipeline.follow(house.places)
    while way.end(database):
        pass
    assert way.take_up(database) == []
    assert pipeline.slots.repetition_count(UUID(int=2)) == 0


def test_a_training_session_that_closed_meanwhile_keeps_its_numbering(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 3.2 * REPETITION_S)
    last = house.ended.pop()
    keep(house, database)
    pipeline = LivePipeline(capacity=4, window_samples=1_000)
    restore_order(pipeline, database, house.places, now_us=house.now_us)
    way = CatchUp(pipeline.slots)
    way.read(database)
    while way.end(database):
        pass
    house.follow([])
    pipeline.follow(house.places)
    assert [(each.training_session, each.index) for each in way.take_up(database)] == [(UUID(int=1), last.index)]


def test_a_sensor_that_was_behind_is_waited_for(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S)
    house.sensors[1].is_silent = True  # 18 s before the end, in the middle of the still start
    house.run(4 * REPETITION_S + 2)
    keep(house, database)
    pipeline = LivePipeline(capacity=4, window_samples=1_000)
    restore_order(pipeline, database, house.places, now_us=house.now_us)
    pipeline.pause_showing()
    house.sensors[1].is_silent = False
    after = House(house.sensors, [training()], pipeline=pipeline, now_us=house.now_us)
    after.send(*after.sensors[1].kept)
    after.run(1)
    ended = catch_up(pipeline, database, *after.effects)
    assert [each.index for each in ended] == [0, 1, 2, 3, 4]


def test_what_the_store_has_counted_is_no_part(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay, "BEGINNING_US", 8_000_000)
    monkeypatch.setattr(replay, "END_US", 6_000_000)
    house = House(knee(), [training()])
    house.run(STILL_S + 6 * REPETITION_S)
    keep(house, database)
    pipeline, _ = restarted(house, database)
    assert pipeline.slots.jump_count == 1, "the middle is left out"
    entry = pipeline.slots.entries(now_us=house.now_us, is_storing=True)[0]
    assert (entry["flags"], entry["repetitions"]) == (0, stored_repetition_count(database))


def test_without_stored_blocks_there_is_nothing_to_take_up(database: Database) -> None:
    house = House(knee(), [training()])
    assert not restore_order(house.pipeline, database, house.places, now_us=house.now_us)


def test_watermarks_go_on_where_the_store_stands(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(3)
    keep(house, database)
    pipeline, _ = restarted(house, database)
    house = House(house.sensors, [training()], pipeline=pipeline, now_us=house.now_us)
    house.run(0.2)
    assert min(house.acknowledged("thigh-1"), house.acknowledged("shank-1")) >= 29
    assert house.requests == []


def test_a_count_never_falls_below_the_repetitions_that_are_stored(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 2 * REPETITION_S)
    keep(house, database)
    assert stored_repetition_count(database) == 2
    with writing(database.hot, owner="ingest") as db:
        db.connection().execute(text("DELETE FROM block WHERE device = 'shank-1' AND sequence > 90"))
    pipeline, n_new = restarted(house, database)
    assert n_new == 0
    assert pipeline.slots.engine.repetition_count.sum() < 2
    assert pipeline.slots.repetition_count(UUID(int=1)) == 2


def test_blocks_from_before_the_training_session_are_left_out(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 2 * REPETITION_S)
    keep(house, database)
    opened_us = START_US + round((STILL_S + 2 * REPETITION_S) * 1e6)
    house.follow([training(opened_us=opened_us)])
    pipeline, n_new = restarted(house, database)
    assert n_new == 0
    assert pipeline.slots.engine.repetition_count.sum() == 0
    assert pipeline.slots.entries(now_us=house.now_us, is_storing=True)[0]["repetitions"] == 2


def test_hazard_h2_blocks_from_before_the_device_was_lent_are_left_out(database: Database) -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 2 * REPETITION_S)
    keep(house, database)
    house.lendings = dict.fromkeys(("thigh-1", "shank-1"), Lending(PATIENT, house.now_us))
    house.follow([training()])
    pipeline, n_new = restarted(house, database)
    assert n_new == 0
    assert pipeline.slots.grid.unattributed_block_count + pipeline.slots.grid.unplaced_block_count > 100
    assert pipeline.slots.engine.repetition_count.sum() == 0
    assert (pipeline.slots.grid.newest() == 0).all()
