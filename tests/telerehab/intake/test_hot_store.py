"""The store thread on a real database: committed first, reported after; a full disk stops neither it nor the stream."""

import sqlite3
import time
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, event, text

from devices.clock_sync import ClockFit
from devices.effects import (
    BlockKey,
    ClockFitted,
    DeviceMeta,
    DeviceState,
    GapRow,
    Quarantined,
    SequenceRun,
    StepEffects,
    StoreBlock,
)
from devices.ports import Token
from telerehab.db.engine import Database, reading, writing
from telerehab.intake.hot_reads import (
    StoredClockFit,
    read_blocks,
    read_device_reports,
    read_lost_gaps,
    read_newest_clock_fits,
    read_open_gaps,
    read_sealed_runs,
    read_sequence_runs,
)
from telerehab.intake.hot_store import HotStore


@pytest.fixture
def hot(database: Database) -> Engine:
    """Give the hot store, on SQLite and on PostgreSQL."""
    return database.hot


@pytest.fixture
def sqlite_hot(sqlite_database: Database) -> Engine:
    return sqlite_database.hot


@pytest.fixture
def store(hot: Engine) -> Iterator[HotStore]:
    store = HotStore(hot, group_wait_s=0.01, retry_delay_s=0.02, queue_max_rows=1_000)
    store.start()
    yield store
    store.close(timeout_s=5)
    assert not store.is_alive


def block(sequence: int, *, device: str = "thigh-1", payload: bytes | None = b"frame", t0_us: int = 7) -> StoreBlock:
    return StoreBlock(device, 3_000_000_000, "imu", sequence, 1, t0_us, 10, 1_000 + sequence, payload)  # type: ignore[arg-type]


def wait_until(is_so: Callable[[], object], *, timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.002)


def count_blocks(engine: Engine) -> int:
    with reading(engine) as db:
        return int(db.connection().execute(text("SELECT count(*) FROM block")).scalar_one())


class Disk:
    """Makes SQLite find its disk full: a real SQLITE_FULL from the real library."""

    def __init__(self, engine: Engine) -> None:
        self._max_page_count = 1_073_741_823
        event.listen(engine, "checkout", self._limit)

    def fill_up(self, engine: Engine) -> None:
        with reading(engine) as db:
            self._max_page_count = db.connection().execute(text("PRAGMA page_count")).scalar_one() + 2

    def make_room(self) -> None:
        self._max_page_count = 1_073_741_823

    def _limit(self, connection: sqlite3.Connection, *_: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {self._max_page_count}").close()


def test_keys_come_back_after_their_blocks_are_in_the_database(hot: Engine, store: HotStore) -> None:
    store.offer(StepEffects(blocks=[block(0), block(1)]))
    wait_until(lambda: store.committed_block_count == 2)
    assert store.take_committed() == [BlockKey("thigh-1", 3_000_000_000, "imu", sequence) for sequence in (0, 1)]
    assert count_blocks(hot) == 2
    assert store.take_committed() == []


def test_the_same_block_twice_is_one_row_and_both_are_reported(hot: Engine, store: HotStore) -> None:
    store.offer(StepEffects(blocks=[block(0, payload=b"first")]))
    store.offer(StepEffects(blocks=[block(0, payload=b"again")]))
    wait_until(lambda: store.committed_block_count == 2)
    with reading(hot) as db:
        assert list(read_blocks(db, device="thigh-1", received_from_us=0)) == [b"first"]


def test_a_full_disk_reports_nothing_and_says_so_until_there_is_room(sqlite_hot: Engine) -> None:
    hot = sqlite_hot
    store = HotStore(hot, group_wait_s=0.01, retry_delay_s=0.02)
    store.start()
    disk = Disk(hot)
    disk.fill_up(hot)
    store.offer(StepEffects(blocks=[block(sequence, payload=bytes(4_000)) for sequence in range(50)]))
    wait_until(lambda: store.refused_commit_count >= 2)
    assert not store.is_storing
    assert store.take_committed() == []
    assert count_blocks(hot) == 0
    disk.make_room()
    wait_until(lambda: store.committed_block_count == 50)
    assert store.is_storing
    assert len(store.take_committed()) == count_blocks(hot) == 50
    assert store.close(timeout_s=5)


def test_rows_that_no_database_takes_do_not_stop_the_others(hot: Engine, store: HotStore) -> None:
    store.offer(StepEffects(blocks=[block(0), block(1, t0_us=2**63), block(2, payload=None), block(3)]))
    wait_until(lambda: store.poisonous_row_count == 2 and store.n_queued_rows == 0)
    assert count_blocks(hot) == 2
    assert [key[3] for key in store.take_committed()] == [0, 3]


def test_a_full_queue_takes_nothing_and_the_screens_learn_it(hot: Engine) -> None:
    store = HotStore(hot, queue_max_rows=3)
    assert store.offer(StepEffects(blocks=[block(0), block(1)]))
    assert store.is_storing
    assert not store.offer(StepEffects(blocks=[block(2), block(3)]))
    assert store.offer(StepEffects(blocks=[block(2)]))
    assert not store.is_storing


def test_a_queue_that_is_half_full_has_no_room_for_what_would_have_to_be_asked_for(hot: Engine) -> None:
    store = HotStore(hot, queue_max_rows=4)
    assert store.offer(StepEffects(blocks=[block(0)]))
    assert (store.has_room, store.is_storing) == (True, True)
    assert store.offer(StepEffects(blocks=[block(1)]))
    assert (store.has_room, store.is_storing) == (False, True)


def test_tokens_come_back_in_order_and_only_when_all_before_them_is_committed(sqlite_hot: Engine) -> None:
    store = HotStore(sqlite_hot, group_wait_s=0.01, retry_delay_s=0.02)
    store.start()
    disk = Disk(sqlite_hot)
    disk.fill_up(sqlite_hot)
    blocks = [block(sequence, payload=bytes(4_000)) for sequence in range(50)]
    assert store.offer(StepEffects(blocks=blocks), tokens=[Token(0, 7), Token(0, 3)])
    wait_until(lambda: store.refused_commit_count >= 1)
    assert store.offer(StepEffects(), tokens=[Token(0, 5)]), "duplicates: nothing is kept of them"
    refused_count = store.refused_commit_count
    wait_until(lambda: store.refused_commit_count >= refused_count + 2)
    assert store.take_committed_tokens() == [], "what the duplicates double is not committed yet"
    disk.make_room()
    wait_until(lambda: store.n_queued_rows == 0)
    assert store.take_committed_tokens() == [Token(0, 7), Token(0, 3), Token(0, 5)]
    assert store.take_committed_tokens() == []
    assert store.close(timeout_s=5)


def test_groups_of_tokens_alone_do_not_fill_the_memory_of_a_store_that_stands_still(hot: Engine) -> None:
    store = HotStore(hot, queue_max_rows=3)
    assert [store.offer(StepEffects(), tokens=[Token(0, number)]) for number in range(1, 5)] == [True] * 3 + [False]


def test_an_empty_queue_takes_a_step_that_is_larger_than_it(hot: Engine) -> None:
    store = HotStore(hot, queue_max_rows=3)
    assert store.offer(StepEffects(blocks=[block(number) for number in range(5)]))
    assert not store.offer(StepEffects(blocks=[block(5)]))


def test_closing_commits_what_is_queued(hot: Engine) -> None:
    store = HotStore(hot, group_wait_s=60)
    store.start()
    store.offer(StepEffects(blocks=[block(0)]))
    assert store.close(timeout_s=5)
    assert count_blocks(hot) == 1
    assert [key[3] for key in store.take_committed()] == [0]


def test_closing_on_a_full_disk_ends_and_says_that_something_is_left(sqlite_hot: Engine) -> None:
    hot = sqlite_hot
    disk = Disk(hot)
    disk.fill_up(hot)
    store = HotStore(hot, group_wait_s=0.01, retry_delay_s=0.02)
    store.start()
    store.offer(StepEffects(blocks=[block(sequence, payload=bytes(4_000)) for sequence in range(50)]))
    assert not store.close(timeout_s=0.3)
    wait_until(lambda: not store.is_alive)
    assert store.take_committed() == []


def test_stored_sequences_are_read_back_as_runs_per_stream(hot: Engine, store: HotStore) -> None:
    rows = [block(sequence) for sequence in (0, 1, 2, 5, 6, 9)] + [block(7, device="shank-1")]
    store.offer(StepEffects(blocks=rows))
    wait_until(lambda: store.committed_block_count == len(rows))
    with reading(hot) as db:
        assert read_sequence_runs(db) == [
            SequenceRun("shank-1", 3_000_000_000, "imu", 7, 8),
            SequenceRun("thigh-1", 3_000_000_000, "imu", 0, 3),
            SequenceRun("thigh-1", 3_000_000_000, "imu", 5, 7),
            SequenceRun("thigh-1", 3_000_000_000, "imu", 9, 10),
        ]


def gap(start: int, stop: int, *, cause: str = "missing", closed_at_us: int | None = None) -> GapRow:
    return GapRow("thigh-1", 1, "imu", start, stop, 5, cause, closed_at_us)


def test_a_hole_is_as_it_was_said_last_and_only_lost_ones_are_passed(hot: Engine, store: HotStore) -> None:
    store.offer(StepEffects(gaps_opened=[gap(3, 9)]))
    store.offer(
        StepEffects(gaps_opened=[gap(5, 9), gap(20, 22)], gaps_closed=[gap(3, 5, cause="filled", closed_at_us=7)])
    )
    store.offer(StepEffects(gaps_closed=[gap(5, 9, cause="device_overflow", closed_at_us=8)]))
    wait_until(lambda: store.n_queued_rows == 0)
    with reading(hot) as db:
        assert read_lost_gaps(db) == [SequenceRun("thigh-1", 1, "imu", 5, 9)]
        assert read_open_gaps(db) == [SequenceRun("thigh-1", 1, "imu", 20, 22)]
        stored = db.connection().execute(text("SELECT start_sequence, stop_sequence FROM gap ORDER BY 1")).all()
    assert [tuple(row) for row in stored] == [(3, 5), (5, 9), (20, 22)]
    assert store.take_committed() == [SequenceRun("thigh-1", 1, "imu", 5, 9)]
    assert store.committed_block_count == 0


def fitted(boot: int, from_us: int, *, b: float) -> ClockFitted:
    fit = ClockFit(a_us=1.5e15, b=b, rmse_us=300.0, n=9)
    return ClockFitted(device="thigh-1", boot=boot, from_us=from_us, fit=fit)


def test_the_newest_clock_fit_and_the_last_reports_survive(hot: Engine, store: HotStore) -> None:
    store.offer(StepEffects(clock_fits=[fitted(1, 0, b=1.0), fitted(1, 5, b=1.00004), fitted(2, 0, b=0.99)]))
    meta = DeviceMeta(device="thigh-1", received_us=1, streams={}, document={"v": 1})
    state = DeviceState(device="thigh-1", received_us=2, is_online=True, boot=1, document={"online": True})
    store.offer(StepEffects(device_meta=[meta]))
    store.offer(StepEffects(device_state=[state]))
    wait_until(lambda: store.n_queued_rows == 0)
    with reading(hot) as db:
        assert read_newest_clock_fits(db) == [
            StoredClockFit("thigh-1", 1, 1.5e15, 1.00004, 300.0),
            StoredClockFit("thigh-1", 2, 1.5e15, 0.99, 300.0),
        ]
        assert read_device_reports(db) == {"thigh-1": ({"v": 1}, {"online": True})}


def test_refused_messages_are_kept_raw_and_may_be_forgotten_by_the_device(hot: Engine, store: HotStore) -> None:
    key = BlockKey("thigh-1", 1, "imu", 4)
    store.offer(
        StepEffects(
            quarantined=[
                Quarantined(device="thigh-1", received_us=1, why="schema", payload=b"\0\xff", key=key),
                Quarantined(device="thigh-1", received_us=2, why="crc", payload=b""),
            ]
        )
    )
    wait_until(lambda: store.n_queued_rows == 0)
    assert store.take_committed() == [key]
    with reading(hot) as db:
        stored = db.connection().execute(text("SELECT device, why, payload FROM quarantine ORDER BY received_us")).all()
    assert [tuple(row) for row in stored] == [("thigh-1", "schema", b"\0\xff"), ("thigh-1", "crc", b"")]


def test_what_the_archive_has_goes_in_portions_while_new_blocks_are_committed(
    hot: Engine, store: HotStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telerehab.intake.hot_store.FORGET_MAX_BLOCKS", 10)
    store.offer(StepEffects(blocks=[block(sequence) for sequence in range(200)]))
    wait_until(lambda: store.committed_block_count == 200)
    store.forget([SequenceRun("thigh-1", 3_000_000_000, "imu", 0, 120), SequenceRun("gone-1", 1, "imu", 0, 5)])
    store.offer(StepEffects(blocks=[block(200)]))
    wait_until(lambda: store.forgotten_block_count == 120 and store.committed_block_count == 201)
    assert count_blocks(hot) == 81
    wait_until(lambda: len(_sealed(hot)) == 2)
    with reading(hot) as db:
        assert read_sequence_runs(db) == [
            SequenceRun("thigh-1", 3_000_000_000, "imu", 120, 201),
            SequenceRun("gone-1", 1, "imu", 0, 5),
            SequenceRun("thigh-1", 3_000_000_000, "imu", 0, 120),
        ]
    store.forget([SequenceRun("thigh-1", 3_000_000_000, "imu", 0, 150)])  # touches what is known: stays one row
    wait_until(lambda: store.forgotten_block_count == 150)
    assert SequenceRun("thigh-1", 3_000_000_000, "imu", 0, 150) in _sealed(hot)
    assert len(_sealed(hot)) == 2


def test_deletion_that_the_database_refuses_keeps_nothing_from_being_committed(sqlite_hot: Engine) -> None:
    store = HotStore(sqlite_hot, group_wait_s=0.01, retry_delay_s=0.02)
    store.start()
    store.offer(StepEffects(blocks=[block(0)]))
    wait_until(lambda: store.committed_block_count == 1)
    with writing(sqlite_hot, owner="ingest") as db:
        db.connection().execute(text("DROP TABLE sealed_run"))
    store.forget([SequenceRun("thigh-1", 3_000_000_000, "imu", 0, 1)])
    store.offer(StepEffects(blocks=[block(1)]))
    wait_until(lambda: store.committed_block_count == 2)
    assert store.close(timeout_s=5)
    assert count_blocks(sqlite_hot) == 2, "what cannot be noted is not deleted"


def _sealed(engine: Engine) -> list[SequenceRun]:
    with reading(engine) as db:
        return read_sealed_runs(db)
