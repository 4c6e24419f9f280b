"""A repetition belongs to the set in which it started: in the rows, on the screens, and after a restart."""

import random
from datetime import timedelta
from itertools import pairwise
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlmodel import select

from analytics.results import Phase
from telerehab.clock import from_us
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Repetition, TrainingSession, TrainingSet
from telerehab.intake.main_store import write_repetitions
from telerehab.intake.sets import NO_SET, SetCount, SetSpan, set_at
from tests.telerehab.intake.bodies import REPETITION_S, START_US, STILL_S, House, knee, training
from tests.telerehab.intake.test_main_store import ended, stored, training_session
from tests.telerehab.intake.test_restart import database as restart_database
from tests.telerehab.intake.test_restart import keep, restarted

__all__ = ["restart_database", "training_session"]
SECOND_US = 1_000_000

moments = st.integers(min_value=0, max_value=60)


@st.composite
def _spans(draw: st.DrawFn) -> list[SetSpan]:
    """Return sets as pages start and end them: one after another, the last one perhaps still open."""
    times = sorted(draw(st.lists(moments, max_size=12)))
    spans = [SetSpan(id=uuid4(), started_us=start, ended_us=end) for start, end in pairwise(times)]
    keeps, is_open = draw(st.lists(st.booleans(), min_size=12, max_size=12)), draw(st.integers(0, 1))
    spans = [span for span, is_kept in zip(spans, keeps, strict=False) if is_kept]
    if spans and is_open:
        last = spans.pop()
        spans.append(SetSpan(id=last.id, started_us=last.started_us, ended_us=None))
    return spans


@given(_spans(), moments)
def test_a_repetition_belongs_to_the_one_set_in_which_it_started_or_to_none(spans: list[SetSpan], at_us: int) -> None:
    holding = [span.id for span in spans if span.contains(at_us)]
    assert len(holding) <= 1
    assert set_at(spans, at_us) == (holding[0] if holding else None)


@given(_spans(), st.lists(moments, max_size=20), st.randoms(use_true_random=False))
def test_the_count_of_a_set_does_not_depend_on_when_intake_hears_of_it(
    spans: list[SetSpan], starts: list[int], rng: random.Random
) -> None:
    count = SetCount()
    if not spans:
        assert count.value == NO_SET
        return
    last = spans[-1]
    heard_after = rng.randint(0, len(starts))
    for place, start_us in enumerate(sorted(starts)):
        if place == heard_after:
            count.follow(SetSpan(id=last.id, started_us=last.started_us, ended_us=None))
        count.note(start_us)
    count.follow(last)
    assert count.value == sum(last.contains(start_us) for start_us in starts)


def test_repetitions_are_written_with_the_set_in_which_they_started(database: Database, training_session: UUID) -> None:
    start = from_us(1_790_000_000_000_000)
    first, second = uuid4(), uuid4()
    with writing(database.main, owner="web") as db:
        for number, (set_id, begins_s, ends_s) in enumerate(((first, 2, 9), (second, 12, None)), start=1):
            db.add(
                TrainingSet(
                    id=set_id,
                    training_session_id=training_session,
                    number=number,
                    exercise="mini_squat",
                    side="left",
                    started_at=start + timedelta(seconds=begins_s),
                    ended_at=None if ends_s is None else start + timedelta(seconds=ends_s),
                )
            )
    write_repetitions(database.main, [ended(training_session, index) for index in range(5)])  # at 0, 4, 8, 12, 16 s
    assert [row.training_set_id for row in stored(database)] == [None, first, first, second, second]


def _set(number: int, *, from_s: float, to_s: float | None = None) -> SetSpan:
    def at_us(seconds: float) -> int:
        return START_US + round(seconds * SECOND_US)

    return SetSpan(id=UUID(int=100 + number), started_us=at_us(from_s), ended_us=None if to_s is None else at_us(to_s))


def test_the_next_set_of_an_exercise_begins_to_count_anew_without_standing_still_again() -> None:
    house = House(knee(), [training(set=_set(1, from_s=0))])
    house.run(STILL_S + 2.1 * REPETITION_S)
    assert house.entries()[-1]["repetitions"] == 2
    between_s = STILL_S + 2.1 * REPETITION_S
    house.follow([training(set=_set(2, from_s=between_s))])
    house.frames.clear()
    house.run(REPETITION_S)
    assert {int(entry["phase"]) for entry in house.entries()}.isdisjoint({Phase.WAITING_STILL, Phase.CALIBRATING})
    assert house.entries()[0]["repetitions"] == 0
    house.run(REPETITION_S)
    assert house.entries()[-1]["repetitions"] in (1, 2)  # the third had begun in the first set, or not
    assert [each.index for each in house.ended] == list(range(len(house.ended)))
    in_second = [each for each in house.ended if each.start_us >= START_US + between_s * SECOND_US]
    assert house.entries()[-1]["repetitions"] == len(in_second)


def test_between_two_sets_the_screen_keeps_the_count_of_the_set_that_ended() -> None:
    house = House(knee(), [training(set=_set(1, from_s=0))])
    house.run(STILL_S + 2.1 * REPETITION_S)
    house.follow([training(set=_set(1, from_s=0, to_s=STILL_S + 1.9 * REPETITION_S))])
    house.run(2 * REPETITION_S)
    assert house.entries()[-1]["repetitions"] == 2
    assert len(house.ended) >= 3


def test_another_exercise_stands_still_first_and_its_repetitions_are_numbered_on() -> None:
    house = House(knee(), [training(set=_set(1, from_s=0))])
    house.run(STILL_S + 2.1 * REPETITION_S)
    now_s = (house.now_us - START_US) / SECOND_US
    other = training(exercise="heel_slide", exercise_since_us=house.now_us, set=_set(2, from_s=now_s))
    house.follow([other])
    house.run(0.3)
    assert house.entries()[-1]["phase"] in (Phase.WAITING_STILL, Phase.CALIBRATING)
    assert house.entries()[-1]["repetitions"] == 0
    assert house.pipeline.slots.repetition_count(UUID(int=1)) == 2


@pytest.mark.parametrize("is_second_set", [False, True])
def test_after_a_restart_the_set_has_the_count_it_had(restart_database: Database, is_second_set: bool) -> None:
    first = _set(1, from_s=0)
    house = House(knee(), [training(set=first)])
    house.run(STILL_S + 2.3 * REPETITION_S)
    current = first
    if is_second_set:
        at_s = STILL_S + 0.8 * REPETITION_S
        first = _set(1, from_s=0, to_s=at_s)
        current = _set(2, from_s=at_s)
        house.follow([training(set=current)])
        house.run(0.2)
    with writing(restart_database.main, owner="web") as db:
        for number, span in enumerate(dict.fromkeys((first, current)), start=1):
            db.add(
                TrainingSet(
                    id=span.id,
                    training_session_id=UUID(int=1),
                    number=number,
                    exercise="knee_extension_seated",
                    side="right",
                    started_at=from_us(span.started_us),
                    ended_at=None if span.ended_us is None else from_us(span.ended_us),
                )
            )
    before = house.entries()[-1]["repetitions"]
    assert before == (1 if is_second_set else 2)
    expected = [set_at([first, current], each.start_us) for each in house.ended]
    del house.ended[-1]  # the last one was counted and not written
    keep(house, restart_database)
    pipeline, n_new = restarted(house, restart_database)
    assert n_new == 1
    entry = pipeline.slots.entries(now_us=house.now_us, is_storing=True)[0]
    assert entry["repetitions"] == before
    with reading(restart_database.main) as db:
        rows = db.exec(select(Repetition).order_by("start_us")).all()
    assert [row.training_set_id for row in rows] == expected


def test_after_a_restart_only_what_was_moved_in_this_exercise_is_analysed_again(restart_database: Database) -> None:
    # As when another exercise was trained before: what was moved then would count as this one.
    house = House(knee(), [training()])
    house.run(STILL_S + 2.3 * REPETITION_S)
    with writing(restart_database.main, owner="web") as db:
        row = db.get_one(TrainingSession, UUID(int=1))
        row.exercise_since = from_us(house.now_us)
    house.follow([training(exercise_since_us=house.now_us)])
    house.ended.clear()  # none was written, so nothing but its time tells the movement before from that of now
    keep(house, restart_database)
    pipeline, n_new = restarted(house, restart_database)
    assert n_new == 0
    assert pipeline.slots.entries(now_us=house.now_us, is_storing=True)[0]["phase"] == Phase.WAITING_STILL
