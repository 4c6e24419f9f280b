"""Blocks move into the archive, and whatever step is the last one, every sample is read once."""

import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from sqlmodel import col, select

from analytics.live import SensorCalibration
from devices.effects import SequenceRun
from telerehab.archive import sealing
from telerehab.archive.errors import (
    ArchiveUnavailableError,
    ScaleUnknownError,
    SegmentDamagedError,
    SegmentLockedError,
    SegmentMissingError,
)
from telerehab.archive.hot_blocks import read_stream_keys
from telerehab.archive.merge import merge_segments
from telerehab.archive.reader import StreamName, list_streams, read_stream
from telerehab.archive.segment_rows import Archive, key_of, open_segment, read_runs
from telerehab.archive.store import ArchiveStore
from telerehab.clock import SystemClock, from_us
from telerehab.db import provisioning
from telerehab.db.engine import Database, reading, writing
from telerehab.db.ledger_rows import read_tallies
from telerehab.db.tables import Assignment, Patient, Retraction, Segment, TrainingSession
from telerehab.intake.hot_reads import read_clocks, read_sequence_runs
from telerehab.intake.hot_store import forget_run
from telerehab.intake.main_store import write_repetitions
from telerehab.jobs.sealing import seal_segments
from telerehab.live_pipeline import LivePipeline
from telerehab.roles.ingest import Intake
from tests.telerehab.archive.clinic import (
    DEVICE,
    MINUTE,
    OPENED,
    OPENED_US,
    SCALES,
    STREAM,
    World,
    make_world,
    minute_of,
)
from tests.telerehab.archive.frames_by_hand import BOOT, T0_US, frames_of, noise
from tests.telerehab.intake.test_hot_store import wait_until
from tests.telerehab.intake.test_main_store import ended


@pytest.fixture
def world(sqlite_database: Database) -> World:
    world = make_world(sqlite_database)
    world.lend()
    world.describe()
    return world


def values_of(world: World, training: Any) -> Any:
    return read_stream(world.archive, training_session_id=training, device=DEVICE, stream=STREAM)


def in_si(rows: Any) -> Any:
    scale = np.repeat([SCALES[0], np.radians(SCALES[1])], 3)
    return (rows * scale).T.astype(np.float32)


def test_a_training_session_is_sealed_after_its_grace_and_reads_the_same_from_both_places(database: Database) -> None:
    world = make_world(database)
    world.lend()
    world.describe()
    training = world.train()
    rows, frames = minute_of()
    world.store(frames)
    before = values_of(world, training)
    assert world.seal(after=timedelta(minutes=10)) == []
    (segment_id,) = world.seal(after=timedelta(minutes=11))
    for both in (True, False):
        read = values_of(world, training)
        assert read.valid.all()
        assert read.units == ("m/s2",) * 3 + ("rad/s",) * 3
        np.testing.assert_allclose(read.values, in_si(rows), rtol=1e-6)
        assert (read.values == before.values).all()
        assert (read.server_us == OPENED_US + 10_000 * np.arange(len(rows))).all()
        assert world.forget() == (len(frames) if both else 0)
    assert world.hot_count() == 0
    with reading(world.database.main) as db:
        row = db.get_one(Segment, segment_id)
        assert (row.n_samples, row.n_blocks, row.start_us, row.stop_us) == (
            4_000,
            400,
            OPENED_US,
            OPENED_US + 40_000_000,
        )
        assert row.cleared_at is not None
    assert world.seal() == []
    assert list_streams(world.archive, training) == [StreamName(DEVICE, STREAM)]


def test_a_segment_says_how_live_analysis_understood_its_sensor_at_the_last_repetition(world: World) -> None:
    training = world.train()
    first, last = (SensorCalibration(gyro_bias_rad_s=(k, 0, 0), up=(-1, 0, 0), axis=(0, 0, 1)) for k in (0.1, 0.2))
    for index, calibration in enumerate((first, last, None)):  # the third is of other sensors
        at_us = OPENED_US + index * 1_000_000
        repetition = replace(
            ended(training, index),
            start_us=at_us,
            peak_us=at_us,
            stop_us=at_us,
            devices=frozenset({DEVICE}),
            calibrations={} if calibration is None else {DEVICE: calibration},
        )
        write_repetitions(world.database.main, [repetition])
    world.lend("strap-1")
    _, frames = minute_of()
    world.store(frames)
    world.store(frames, device="strap-1")
    world.describe("strap-1")
    segments = world.seal()
    assert len(segments) == 2
    told = {}
    with reading(world.database.main) as db:
        for segment in (db.get_one(Segment, each) for each in segments):
            key = key_of(db, segment, world.archive.key_ring)
            assert key is not None
            told[segment.device] = open_segment(world.archive.store, segment, key=key).about["calibration"]
    as_lists = {name: list(values) for name, values in asdict(last).items()}
    assert told == {DEVICE: as_lists, "strap-1": None}, "None: it showed no repetition"


def test_after_a_restart_sealed_blocks_are_neither_asked_for_nor_taken_as_new(world: World) -> None:
    world.train()
    _, frames = minute_of()
    world.store(frames)
    world.seal()
    with reading(world.database.hot) as db:
        before = read_sequence_runs(db)
    assert world.forget() == 400
    with reading(world.database.hot) as db:
        after = read_sequence_runs(db)
    assert before == after == [SequenceRun(DEVICE, BOOT, STREAM, 0, 400)]
    pipeline = LivePipeline(capacity=1, window_samples=100)
    pipeline.restore(after, lost=[], now_us=OPENED_US)
    (sequence,) = pipeline.ingest.sequences().values()
    assert (sequence.watermark, sequence.has(399), sequence.has(400)) == (400, True, False)


def test_what_was_sealed_and_deleted_stays_in_the_account(world: World) -> None:
    def account() -> tuple[int, int, int, int]:
        with reading(world.database.hot) as db:
            windows = {(DEVICE, BOOT): (0, 2**62)}
            tallies = read_tallies(db, windows, clocks=read_clocks(db, [DEVICE]))
        first, *_ = sorted(tally.start_sequence for tally in tallies)
        return (
            sum(tally.block_count for tally in tallies),
            sum(tally.sample_count for tally in tallies),
            sum(tally.late_count for tally in tallies),
            first,
        )

    world.train()
    _, frames = minute_of()
    late_us = [OPENED_US + 60_000_000] * 30
    world.store(frames[30:])
    world.store(frames[:30], received_us=late_us)
    before = account()
    assert before == (400, 4_000, 30, 0)
    world.seal()
    assert world.forget() == 400
    assert account() == before


def test_holes_are_kept_exactly_and_late_blocks_become_a_second_segment_of_one_stream(world: World) -> None:
    training = world.train()
    rows, frames = minute_of()
    late = [*frames[100:120], frames[300]]
    world.store([frame for frame in frames if frame not in late])
    (first,) = world.seal()
    assert world.forget() == 379
    read = values_of(world, training)
    assert read.valid.sum() == 3_790
    assert not read.valid[1_000:1_200].any()
    world.store(late, received_us=[OPENED_US + 40 * 60_000_000] * 21)
    assert world.seal(after=timedelta(minutes=40, seconds=30)) == [], "more may be coming"
    (second,) = world.seal(after=timedelta(minutes=42))
    assert world.forget() == 21
    with reading(world.database.main) as db:
        assert [tuple(run) for run in read_runs(db, first)] == [(BOOT, 0, 100), (BOOT, 120, 300), (BOOT, 301, 400)]
        assert [tuple(run) for run in read_runs(db, second)] == [(BOOT, 100, 120), (BOOT, 300, 301)]
        wrapped = {row.wrapped_key for row in db.exec(select(Segment))}
    assert len(wrapped) == 1, "a training session has one key"
    read = values_of(world, training)
    assert read.valid.all()
    np.testing.assert_allclose(read.values, in_si(rows), rtol=1e-6)
    with reading(world.database.hot) as db:
        assert read_sequence_runs(db) == [SequenceRun(DEVICE, BOOT, STREAM, 0, 400)], "one row, however it came"


def test_blocks_that_come_back_after_they_were_sealed_go_again_and_make_no_segment(world: World) -> None:
    training = world.train()
    _, frames = minute_of(seconds=10)
    world.store(frames)
    world.seal()
    world.forget()
    world.store(frames[:50])
    assert values_of(world, training).valid.sum() == 1_000
    assert world.seal() == []
    assert world.forget() == 50
    assert world.seal() == []
    assert (len(world.segments()), world.hot_count()) == (1, 0)


def test_what_belongs_to_nobody_is_sealed_by_device_and_hour_under_a_key_of_the_installation(world: World) -> None:
    training = world.train(opened=OPENED + MINUTE, closed=OPENED + 2 * MINUTE)
    _, before = minute_of(seconds=30)
    world.store(before)
    world.store(frames_of(noise(100), boot=5))  # a boot without a clock fit
    _, within = minute_of(seconds=30, start_s=65, first=1_000)
    world.store(within)
    sealed = world.seal(after=timedelta(minutes=50))
    assert len(sealed) == 1, "the hour is not over"
    assert values_of(world, training).valid.sum() == 3_000
    assert len(world.seal(after=timedelta(minutes=150))) == 2
    with reading(world.database.main) as db:
        rows = db.exec(select(Segment).where(col(Segment.hour_us).is_not(None))).all()
        assert {(row.training_session_id, row.patient_id, row.n_blocks) for row in rows} == {
            (None, None, 300),
            (None, None, 10),
        }
        assert {row.start_us for row in rows} == {OPENED_US, None}
        for row in rows:
            key = key_of(db, row, world.archive.key_ring)
            assert open_segment(world.archive.store, row, key=key, is_checked=True).stream.blocks.size == row.n_blocks


def test_an_open_training_session_keeps_its_blocks_hot_however_long_it_lasts(world: World) -> None:
    world.train(closed=None)
    world.store(minute_of(seconds=5)[1])
    assert world.seal(after=timedelta(hours=9)) == []


def test_running_intake_deletes_what_was_sealed_and_jobs_see_it(world: World) -> None:
    training = world.train()
    world.store(minute_of(seconds=10)[1])
    seal_segments(world.database, OPENED + 30 * MINUTE)
    wish = threading.Event()
    intake = Intake(world.database.settings, world.database, clock=SystemClock())  # no broker answers at its port
    intake.start()
    running = threading.Thread(target=intake.run, args=(wish,))
    running.start()
    try:
        wait_until(lambda: intake.status()["blocks_sealed"] == 100, timeout_s=60)
    finally:
        wish.set()
        running.join()
        intake.close()
    assert world.hot_count() == 0
    assert [row.cleared_at for row in world.segments()] == [None]
    seal_segments(world.database, OPENED + 31 * MINUTE)
    assert [row.cleared_at for row in world.segments()] == [OPENED + 31 * MINUTE]
    assert values_of(world, training).valid.sum() == 1_000


def test_a_file_that_a_merge_takes_away_while_it_is_read_is_found_in_the_new_one(world: World) -> None:
    training = world.train()
    _, frames = minute_of(seconds=10)
    for part in (frames[:40], frames[40:]):
        world.store(part)
        world.seal()
        world.forget()
    url = world.database.settings.archive_url
    sound = world.archive

    class MergedMeanwhile(ArchiveStore):
        def read(self, path: str) -> bytes:
            merge_segments(sound, OPENED, progress=lambda *_: None)
            return super().read(path)

    world.archive = Archive(database=world.database, store=MergedMeanwhile(url), key_ring=sound.key_ring)
    assert values_of(world, training).valid.sum() == 1_000
    assert len(sound.store.paths()) == 1


# --- a crash between any two steps ---


class _DiesAfterWriting(ArchiveStore):
    """A process that ends when the file is written: nothing behind it happens."""

    def write(self, path: str, data: bytes) -> None:
        super().write(path, data)
        raise KeyboardInterrupt


class _DiesBeforeTheRow(ArchiveStore):
    """A process that ends when the file has been read back."""

    def read(self, path: str) -> bytes:
        super().read(path)
        raise KeyboardInterrupt


@pytest.mark.parametrize("store", [_DiesAfterWriting, _DiesBeforeTheRow])
def test_a_process_that_ends_before_the_row_is_committed_leaves_a_file_and_loses_nothing(
    world: World, store: type[ArchiveStore]
) -> None:
    training = world.train()
    rows, frames = minute_of(seconds=10)
    world.store(frames)
    sound, dying = world.archive, store(world.database.settings.archive_url)
    world.archive = Archive(database=sound.database, store=dying, key_ring=sound.key_ring)
    with pytest.raises(KeyboardInterrupt):
        world.seal()
    world.archive = sound
    assert (world.segments(), world.hot_count(), world.forget()) == ([], 100, 0)
    np.testing.assert_allclose(values_of(world, training).values, in_si(rows), rtol=1e-6)
    assert len(world.seal()) == 1
    assert world.forget() == 100
    np.testing.assert_allclose(values_of(world, training).values, in_si(rows), rtol=1e-6)


def test_ingest_that_ends_in_the_middle_of_deleting_goes_on_where_it_was(world: World) -> None:
    training = world.train()
    rows, frames = minute_of(seconds=10)
    world.store(frames)
    world.seal()
    part = forget_run(world.database.hot, SequenceRun(DEVICE, BOOT, STREAM, 0, 100), block_max=30)
    assert (part.block_count, part.rest) == (30, SequenceRun(DEVICE, BOOT, STREAM, 30, 100))
    with reading(world.database.hot) as db:
        assert sum(run.stop_sequence - run.start_sequence for run in read_sequence_runs(db)) == 100
    assert values_of(world, training).valid.sum() == 1_000
    assert sealing.mark_cleared(world.archive, OPENED) == 0
    assert world.forget() == 70
    np.testing.assert_allclose(values_of(world, training).values, in_si(rows), rtol=1e-6)


def test_two_processes_that_seal_the_same_blocks_make_one_segment(world: World) -> None:
    training = world.train()
    world.store(minute_of(seconds=10)[1])
    key = next(iter(_keys(world)))
    (wish,) = sealing.find_due(world.archive, key, OPENED + 30 * MINUTE)
    assert len(sealing.seal(world.archive, wish, OPENED)) == 1
    assert sealing.seal(world.archive, wish, OPENED) == []
    assert len(world.archive.store.paths()) == len(world.segments()) == 1
    assert values_of(world, training).valid.sum() == 1_000


def _keys(world: World) -> Any:
    with reading(world.database.hot) as db:
        return list(read_stream_keys(db))


class _Spoils(ArchiveStore):
    """A disk that gives back other bytes than it was given."""

    def read(self, path: str) -> bytes:
        data = bytearray(super().read(path))
        data[len(data) // 2] ^= 1
        return bytes(data)


class _Full(ArchiveStore):
    """A disk without room."""

    def write(self, path: str, data: bytes) -> None:
        raise ArchiveUnavailableError("no room")


def test_a_file_that_does_not_read_back_gets_no_row_and_the_blocks_stay(world: World) -> None:
    world.train()
    world.store(minute_of(seconds=10)[1])
    url = world.database.settings.archive_url
    world.archive = Archive(database=world.database, store=_Spoils(url), key_ring=world.archive.key_ring)
    assert world.seal() == []
    assert (world.segments(), world.archive.store.paths(), world.hot_count()) == ([], set(), 100)
    world.archive = Archive(database=world.database, store=_Full(url), key_ring=world.archive.key_ring)
    with pytest.raises(ArchiveUnavailableError):
        world.seal()
    assert world.hot_count() == 100


# --- keys ---


def test_erasing_the_patients_key_makes_all_unreadable_and_what_comes_later_is_not_kept(world: World) -> None:
    training = world.train()
    _, frames = minute_of(seconds=10)
    world.store(frames[:50])
    world.seal()
    world.forget()
    with writing(world.database.main, owner="web") as db:
        patient = db.get_one(Patient, world.patient_id)
        patient.wrapped_key = None
        db.add(patient)
    with pytest.raises(SegmentLockedError, match="destroyed"):
        values_of(world, training)
    world.store(frames[50:])
    world.seal(after=timedelta(minutes=60))
    assert world.forget() == 50
    assert len(world.archive.store.paths()) == 1
    with pytest.raises(SegmentLockedError):
        values_of(world, training)


def test_a_retraction_wraps_the_key_anew_and_leaves_the_file(world: World) -> None:
    training = world.train()
    _, frames = minute_of(seconds=10)
    world.store(frames[:60])
    (segment_id,) = world.seal()
    world.forget()
    right = world.add_patient()
    with writing(world.database.main, owner="web") as db:
        row = db.get_one(TrainingSession, training)
        row.patient_id = right
        db.add(row)
        db.add(
            Retraction(
                what="training_session",
                row_id=training,
                wrong_patient_id=world.patient_id,
                right_patient_id=right,
                reason_sealed=b"",
                account_id=_account(db, world),
                at=OPENED,
            )
        )
    before = world.archive.store.read(next(iter(world.archive.store.paths())))
    seal_segments(world.database, OPENED)
    assert world.archive.store.read(next(iter(world.archive.store.paths()))) == before
    with writing(world.database.main, owner="web") as db:
        wrong = db.get_one(Patient, world.patient_id)
        wrong.wrapped_key = None
        db.add(wrong)
        assert db.get_one(Segment, segment_id).patient_id == right
    assert values_of(world, training).valid.sum() == 600
    world.store(frames[60:])
    assert len(world.seal()) == 1, "late blocks go to whoever has the training session now"
    assert values_of(world, training).valid.sum() == 1_000


def _account(db: Any, world: World) -> Any:
    return provisioning.create_account(
        db, organisation_id=world.organisation_id, email="a@clinic.example", display_name="A"
    ).id


def test_a_file_that_was_put_in_anothers_place_does_not_open(world: World) -> None:
    first, second = world.train(), world.train(opened=OPENED + MINUTE, closed=OPENED + 2 * MINUTE)
    world.store(minute_of(seconds=10)[1])
    world.store(minute_of(seconds=10, start_s=60, first=2_000)[1])
    world.seal()
    world.forget()
    store = world.archive.store
    one, other = sorted(store.paths())
    content = store.read(one), store.read(other)
    store.write(one, content[1])
    store.write(other, content[0])
    for training in (first, second):
        with pytest.raises(SegmentLockedError):
            values_of(world, training)
    store.write(one, content[0][:10])
    store.remove(other)
    with reading(world.database.main) as db:
        path_of = {row.path: row.training_session_id for row in db.exec(select(Segment))}
    with pytest.raises(SegmentDamagedError):
        values_of(world, path_of[one])
    with pytest.raises(SegmentMissingError):
        values_of(world, path_of[other])


def test_a_stream_without_a_scale_is_read_as_counts_only(sqlite_database: Database) -> None:
    world = make_world(sqlite_database)
    world.lend()
    world.describe(boot=BOOT)
    training = world.train()
    rows, frames = minute_of(seconds=10)
    world.store(frames)
    with writing(world.database.hot, owner="ingest") as db:
        db.connection().exec_driver_sql("DELETE FROM device_report")
    world.seal()
    with pytest.raises(ScaleUnknownError):
        values_of(world, training)
    read = read_stream(world.archive, training_session_id=training, device=DEVICE, stream=STREAM, as_counts=True)
    assert (read.values == rows.T).all()
    with pytest.raises(SegmentMissingError):
        read_stream(world.archive, training_session_id=training, device=DEVICE, stream="heart")


def test_a_kit_lent_again_puts_nothing_under_either_wrong_patient(world: World) -> None:
    other = world.add_patient()
    with writing(world.database.main, owner="web") as db:
        assignment = db.exec(select(Assignment)).one()
        assignment.ends_at = from_us(OPENED_US + 30_000_000)
        db.add(assignment)
    world.lend(patient_id=other, from_=from_us(OPENED_US + 30_000_000))
    mine, theirs = world.train(), world.train(patient_id=other)
    world.store(minute_of(seconds=60, start_s=-0.05)[1])
    assert values_of(world, mine).server_us.max() < OPENED_US + 30_000_000
    assert values_of(world, theirs).server_us.min() >= OPENED_US + 30_000_000
    world.seal(after=timedelta(minutes=150))
    n_mine, n_theirs = (int(values_of(world, each).valid.sum()) for each in (mine, theirs))
    assert n_mine + n_theirs == 6_000 - 20, "the block before the opening and the one across belong to nobody"


def test_two_boots_are_one_stream_on_one_time_base(world: World) -> None:
    training = world.train()
    world.describe(boot=4)
    world.store(minute_of(seconds=10)[1])
    world.store(minute_of(seconds=10, start_s=12, boot=4)[1])
    assert len(world.seal()) == 2
    world.forget()
    read = values_of(world, training)
    assert [(part.boot, part.start, part.stop) for part in read.parts] == [(BOOT, 0, 1_000), (4, 1_000, 2_000)]
    assert read.valid.all()
    assert (np.diff(read.server_us) > 0).all()
    assert read.server_us[1_000] == OPENED_US + 12_000_000
    assert read.device_us[0] == T0_US


def test_the_job_waits_while_the_archive_cannot_be_written(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.train()
    world.store(minute_of(seconds=5)[1])
    make: Callable[..., Any] = _Full
    monkeypatch.setattr("telerehab.archive.segment_rows.open_store", lambda settings: make(settings.archive_url))
    with pytest.raises(ArchiveUnavailableError):
        seal_segments(world.database, OPENED + 30 * MINUTE)
    assert (world.segments(), world.hot_count()) == ([], 50)
    monkeypatch.undo()
    seal_segments(world.database, OPENED + 30 * MINUTE)
    assert len(world.segments()) == 1
