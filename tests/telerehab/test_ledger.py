"""What became of every block: the account, as a pure function, and counted in real databases."""

import random
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from devices.effects import SPAN_US, DuplicateSeen, GapRow, StepEffects, StoreBlock
from telerehab.attribution import BootClock, Lending, StoredFit, Unattributed
from telerehab.db.engine import Database, reading, writing
from telerehab.db.ledger_rows import (
    keep_counts,
    read_duplicates,
    read_holes,
    read_minutes,
    read_single_blocks,
    read_tallies,
)
from telerehab.intake.hot_store import HotStore
from telerehab.ledger import (
    ALL_TIME,
    BlockTally,
    DuplicateTally,
    Hole,
    StreamLedger,
    find_completeness,
    find_unattributed,
    is_marked,
    is_undecided,
    make_ledger,
)
from tests.telerehab.intake.bodies import Sensor, pack_frame, thigh

BOOT = ("s-1", 1)
BLOCK_US = 100_000


def tally(start: int, stop: int, *, received: int | None = None, late: int = 0) -> BlockTally:
    count = stop - start if received is None else received
    last_us = (stop - 1) * BLOCK_US
    return BlockTally(*BOOT, "imu", count, 10 * count, late, start, stop, start * BLOCK_US, last_us, start * BLOCK_US)


def hole(start: int, stop: int, cause: str | None = None) -> Hole:
    return Hole(*BOOT, "imu", start, stop, cause)


def only(streams: list[StreamLedger]) -> StreamLedger:
    (stream,) = streams
    return stream


def test_every_number_is_received_missing_or_lost_with_its_cause() -> None:
    stream = only(
        make_ledger(
            [tally(0, 60, received=50, late=7), tally(60, 100, received=36)],
            [hole(10, 18, "device_overflow"), hole(30, 32, "corrupt"), hole(70, 74)],
            [DuplicateTally(*BOOT, "imu", 0, 5), DuplicateTally(*BOOT, "imu", 4, 2)],
        )
    )
    assert (stream.expected_count, stream.received_count, stream.late_count) == (100, 86, 7)
    assert (stream.duplicate_count, stream.missing_count, stream.sample_count) == (7, 4, 860)
    assert dict(stream.lost) == {"device_overflow": 8, "corrupt": 2}
    assert (stream.unexplained_count, stream.completeness) == (0, 0.86)


def test_what_lies_in_no_hole_and_was_not_received_is_unexplained() -> None:
    assert only(make_ledger([tally(0, 100, received=97)], [hole(10, 12)])).unexplained_count == 1


def test_holes_at_the_ends_count_as_far_as_the_window_reaches() -> None:
    holes = [hole(0, 20, "device_overflow"), hole(20, 40), hole(80, 200, "device_overflow")]
    windows = {BOOT: (10 * BLOCK_US, 90 * BLOCK_US)}
    stream = only(make_ledger([tally(40, 80)], holes, windows=windows))
    assert (stream.expected_count, stream.missing_count, stream.lost_count) == (80, 20, 20)
    assert stream.unexplained_count == 0
    everything = only(make_ledger([tally(40, 80)], holes))
    assert everything.expected_count == 200


def test_a_tally_that_reaches_beyond_the_window_counts_with_its_share() -> None:
    windows = {BOOT: (25 * BLOCK_US, 75 * BLOCK_US)}
    stream = only(make_ledger([tally(0, 100, late=50)], [], windows=windows))
    assert (stream.expected_count, stream.received_count, stream.late_count) == (50, 50, 25)
    assert make_ledger([tally(0, 20)], [], windows=windows) == []
    assert make_ledger([tally(0, 20)], [], windows={}) == []


def test_duplicates_count_by_the_minutes_that_touch_the_window() -> None:
    windows = {BOOT: (2 * SPAN_US, 3 * SPAN_US)}
    seen = [DuplicateTally(*BOOT, "imu", span, 10**span) for span in range(5)]
    received = [tally(1_200, 1_800)]
    assert only(make_ledger(received, [], seen, windows=windows)).duplicate_count == 100


@pytest.mark.parametrize(("completeness", "marked"), [(None, False), (0.9, False), (0.8999, True), (0.0, True)])
def test_under_ninety_percent_is_marked(completeness: float | None, marked: bool) -> None:
    assert is_marked(completeness) == marked


def test_completeness_of_nothing_is_unknown_and_not_zero() -> None:
    assert find_completeness([]) is None


# --- counted in the database -----------------------------------------------------------------------------------------


@pytest.fixture
def hot(database: Database) -> Engine:
    return database.hot


def stored(sequence: int, *, late_us: int = 0, is_backfill: bool = False, n_samples: int = 10) -> StoreBlock:
    """Return a block of a device whose clock is one second behind the server's."""
    t0_us = sequence * BLOCK_US
    sensor = Sensor(name="s-1", signal=thigh, sequence=sequence, boot=1)
    frame = pack_frame(sensor, t0_us=t0_us, body=bytes(12 * n_samples), flags=int(is_backfill) | 2)
    received_us = t0_us + 1_000_000 + 10_000 * n_samples + late_us
    return StoreBlock("s-1", 1, "imu", sequence, 1, t0_us, n_samples, received_us, frame)


CLOCKS = {BOOT: BootClock(fits=(StoredFit(0, 1_000_000.0, 1.0),))}


def keep(hot: Engine, effects: StepEffects) -> None:
    store = HotStore(hot, group_wait_s=0)
    assert store.offer(effects)
    store.start()
    assert store.close(timeout_s=10)


def account(hot: Engine) -> StreamLedger:
    with reading(hot) as db:
        windows = {BOOT: ALL_TIME}
        return only(
            make_ledger(read_tallies(db, windows, clocks=CLOCKS), read_holes(db, windows), read_duplicates(db, windows))
        )


def seal(hot: Engine, start: int, stop: int, *, is_killed: bool = False) -> None:
    """Count and delete blocks as intake does once they are sealed; killed before the commit nothing has happened."""
    with writing(hot, owner="ingest") as db:
        keep_counts(db, device="s-1", boot=1, stream="imu", runs=[(start, stop)], clocks=CLOCKS)
        db.connection().execute(
            text("DELETE FROM block WHERE sequence >= :start AND sequence < :stop"), {"start": start, "stop": stop}
        )
        if is_killed:
            db.rollback()


def test_counts_are_the_same_before_and_after_blocks_leave_the_hot_store(hot: Engine) -> None:
    chance = random.Random(1)
    numbers = [number for number in range(1_500) if number not in range(300, 340)]
    blocks = [
        stored(number, late_us=3_000_000 if number % 50 == 0 else 500_000, is_backfill=number % 70 == 0)
        for number in numbers
    ]
    chance.shuffle(blocks)
    gaps = [GapRow("s-1", 1, "imu", 300, 330, 5, "device_overflow", 9), GapRow("s-1", 1, "imu", 330, 340, 5, "m", None)]
    filled = GapRow("s-1", 1, "imu", 700, 720, 5, "filled", 8)
    again = [DuplicateSeen("s-1", 1, "imu", 0, 111, 4), DuplicateSeen("s-1", 1, "imu", 0, 111, 6)]
    other = DuplicateSeen("s-1", 1, "imu", 0, 222, 3)
    keep(hot, StepEffects(blocks=blocks, gaps_opened=[*gaps, filled], duplicates=[*again, other]))
    before = account(hot)
    assert (before.expected_count, before.received_count) == (1_500, 1_460)
    assert before.late_count == sum(number % 50 == 0 or number % 70 == 0 for number in numbers)
    assert (before.missing_count, dict(before.lost), before.duplicate_count) == (10, {"device_overflow": 30}, 9)
    assert before.unexplained_count == 0
    seal(hot, 0, 700, is_killed=True)
    assert account(hot) == before
    for start, stop in ((0, 700), (700, 1_000), (0, 1_000)):
        seal(hot, start, stop)
        assert account(hot) == before
    keep(hot, StepEffects(blocks=[stored(number, is_backfill=True) for number in range(330, 340)]))
    keep(hot, StepEffects(gaps_closed=[gaps[1]._replace(cause="filled", closed_at_us=10)]))
    seal(hot, 0, 1_500)
    after = account(hot)
    assert (after.received_count, after.late_count, after.missing_count) == (1_470, before.late_count + 10, 0)
    assert after.unexplained_count == 0


def test_what_is_offered_twice_is_counted_once(hot: Engine) -> None:
    for _ in range(2):
        keep(hot, StepEffects(blocks=[stored(number) for number in range(40)]))
    assert account(hot).received_count == 40


@pytest.mark.parametrize("dropped_share", [0.05, 0.2, 0.5])
def test_hazard_h13_completeness_is_right_within_a_point_when_blocks_are_dropped_for_good(
    hot: Engine, dropped_share: float
) -> None:
    chance = random.Random(round(100 * dropped_share))
    made = range(1_200)
    dropped = [number for number in made if chance.random() < dropped_share]
    blocks = [stored(number) for number in made if number not in set(dropped)]
    gaps = [GapRow("s-1", 1, "imu", number, number + 1, 5, "device_overflow", 9) for number in dropped]
    keep(hot, StepEffects(blocks=blocks, gaps_closed=gaps))
    stream = account(hot)
    assert stream.completeness == pytest.approx(1 - len(dropped) / len(made), abs=0.01)
    assert stream.is_incomplete == (dropped_share > 0.1)
    assert stream.unexplained_count == 0


# --- for the device desk ---------------------------------------------------------------------------------------------


def test_stretches_that_are_nobodys_are_found_to_the_sample(hot: Engine) -> None:
    karen = UUID(int=1)
    keep(hot, StepEffects(blocks=[stored(number) for number in range(1_300)]))
    lent = Lending(karen, 1_000_000 + 100 * BLOCK_US, 1_000_000 + 1_000 * BLOCK_US + 50_000)
    lendings = {"s-1": [lent]}
    with reading(hot) as db:
        received: list[BlockTally] = []
        for minute in read_minutes(db, ["s-1"]):
            if is_undecided(minute, clock=CLOCKS[BOOT], lendings=lendings):
                received += read_single_blocks(db, minute)
            else:
                received.append(minute)
    found = find_unattributed(received, clocks=CLOCKS, lendings=lendings)
    assert [(each.reason, each.sample_count) for each in found] == [
        (Unattributed.OUTSIDE_ASSIGNMENTS, 2_990),
        (Unattributed.ACROSS_BORDER, 10),
        (Unattributed.OUTSIDE_ASSIGNMENTS, 1_000),
    ]
    assert found[-1].since_us == 1_000_000
    assert found[-1].until_us == 1_000_000 + 100 * BLOCK_US
    unknown = find_unattributed(received, clocks={}, lendings=lendings)
    assert [(each.reason, each.sample_count) for each in unknown] == [(Unattributed.NO_CLOCK_FIT, 13_000)]
    assert unknown[0].since_us == stored(0).received_us
    assert find_unattributed(received, clocks=CLOCKS, lendings={"s-1": [Lending(karen, 0)]}) == []
