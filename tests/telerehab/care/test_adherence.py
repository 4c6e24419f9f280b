from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerehab.care.adherence import DayStatus, Pause, TrainingDone, find_adherence, judge_day
from telerehab.care.plans import PlanContent, PlanItem, PlanVersion
from telerehab.care.safety import Limits

MONDAY = date(2026, 11, 2)
KNEE = PlanItem(
    exercise="heel_slide", exercise_version=1, side="left", sets=3, repetitions=10, weekdays=(1, 2, 3, 4, 5)
)
CHAIR = PlanItem(exercise="sit_to_stand", exercise_version=1, side="both", sets=2, repetitions=8, weekdays=(1, 3))


def _version(number: int, valid_from: date, *items: PlanItem) -> PlanVersion:
    return PlanVersion(
        number=number,
        content=PlanContent(items=items, limits=Limits(), valid_from=valid_from),
        author_account_id=UUID(int=1),
        reason="",
        written_at=datetime(2026, 11, 1, tzinfo=UTC),
    )


PLAN = (_version(1, MONDAY, KNEE, CHAIR),)


def _day(i: int) -> date:
    return MONDAY + timedelta(days=i)


def _trained(i: int, *, knee: int | None = 3, chair: int | None = None) -> list[TrainingDone]:
    done = [TrainingDone(day=_day(i), exercise="heel_slide", side="left", set_count=knee)]
    if chair is not None:
        done.append(TrainingDone(day=_day(i), exercise="sit_to_stand", side="both", set_count=chair))
    return done


def _statuses(done: list[TrainingDone], *pauses: Pause, today: int = 7) -> list[DayStatus]:
    found = find_adherence(PLAN, done, pauses, first_day=MONDAY, stop_day=_day(7), today=_day(today))
    return [day.status for day in found.days]


_trainings = st.lists(
    st.builds(
        TrainingDone,
        day=st.integers(-3, 24).map(_day),
        exercise=st.sampled_from(["heel_slide", "sit_to_stand", "bridge"]),
        side=st.sampled_from(["left", "right", "both"]),
        set_count=st.sampled_from([None, 0, 1, 2, 3, 9]),
        is_retracted=st.booleans(),
    ),
    max_size=12,
)
_pauses = st.lists(
    st.builds(
        lambda kind, first, length: Pause(
            kind=kind, first_day=_day(first), stop_day=None if length is None else _day(first + length)
        ),
        st.sampled_from(["planned_rest", "illness", "holiday"]),
        st.integers(-3, 20),
        st.one_of(st.none(), st.integers(0, 9)),
    ),
    max_size=3,
)
_plans = st.lists(st.tuples(st.integers(-5, 20), st.sampled_from([(KNEE,), (CHAIR,), (KNEE, CHAIR)])), max_size=3).map(
    lambda told: [_version(i + 1, _day(start), *items) for i, (start, items) in enumerate(told)]
)


@given(_plans, _trainings, _pauses, st.integers(-2, 25), st.integers(0, 20), st.integers(0, 20))
@settings(max_examples=200, deadline=None)
def test_a_day_is_the_same_in_every_window(
    plans: list[PlanVersion], done: list[TrainingDone], pauses: list[Pause], today: int, start: int, length: int
) -> None:
    whole = find_adherence(plans, done, pauses, first_day=_day(-5), stop_day=_day(45), today=_day(today))
    part = find_adherence(plans, done, pauses, first_day=_day(start), stop_day=_day(start + length), today=_day(today))

    assert len(part.days) == length
    assert set(part.days) <= set(whole.days)


@given(_plans, _trainings, _pauses, st.integers(-2, 25))
@settings(max_examples=200, deadline=None)
def test_what_holds_for_every_day(
    plans: list[PlanVersion], done: list[TrainingDone], pauses: list[Pause], today: int
) -> None:
    found = find_adherence(plans, done, pauses, first_day=_day(-5), stop_day=_day(30), today=_day(today))
    trained = {training.day for training in done if not training.is_retracted}

    for day in found.days:
        if day.pause is not None:
            assert day.status is not DayStatus.MISSED
            assert day.completeness is None
        if day.status is DayStatus.MISSED:
            assert day.day < _day(today)
        if day.status in {DayStatus.DONE, DayStatus.PARTLY, DayStatus.UNMEASURED, DayStatus.EXTRA}:
            assert day.day in trained
        if day.done_set_count is not None:
            assert day.done_set_count <= day.prescribed_set_count
        assert (day.prescribed_set_count == 0) == (day.status in {DayStatus.REST, DayStatus.EXTRA})
    assert sum(found.counts.values()) == len(found.days)
    assert found.missed_run <= found.counts.get(DayStatus.MISSED, 0)
    assert found.completeness is None or 0 <= found.completeness <= 1


@given(_plans, _trainings, _pauses, st.integers(-2, 25))
@settings(max_examples=100, deadline=None)
def test_a_retracted_training_session_counts_nowhere(
    plans: list[PlanVersion], done: list[TrainingDone], pauses: list[Pause], today: int
) -> None:
    kept = [training for training in done if not training.is_retracted]
    window = {"first_day": _day(-5), "stop_day": _day(30), "today": _day(today)}

    assert find_adherence(plans, done, pauses, **window) == find_adherence(plans, kept, pauses, **window)


@given(_plans, _trainings, _pauses, st.integers(0, 20))
@settings(max_examples=100, deadline=None)
def test_more_training_never_makes_a_day_missed(
    plans: list[PlanVersion], done: list[TrainingDone], pauses: list[Pause], i: int
) -> None:
    today = _day(25)
    before = judge_day(
        _day(i), versions=plans, done=[one for one in done if one.day == _day(i)], pauses=[], today=today
    )
    more = [*(one for one in done if one.day == _day(i)), *_trained(i, knee=1, chair=1)]
    after = judge_day(_day(i), versions=plans, done=more, pauses=[], today=today)

    assert after.status is not DayStatus.MISSED
    assert (after.done_set_count or 0) >= (before.done_set_count or 0) or after.done_set_count is None


def test_a_week_reads_as_it_was() -> None:
    done = [*_trained(0, chair=2), *_trained(1, knee=2), *_trained(3, knee=None), *_trained(5)]

    assert _statuses(done) == ["done", "partly", "missed", "unmeasured", "missed", "extra", "rest"]


def test_today_is_open_and_tomorrow_ahead() -> None:
    assert _statuses(_trained(0, chair=2), today=1) == ["done", "open", "ahead", "ahead", "ahead", "rest", "rest"]


def test_a_day_that_is_not_over_has_no_completeness_before_it_is_done() -> None:
    found = find_adherence(PLAN, _trained(1, knee=1), (), first_day=MONDAY, stop_day=_day(7), today=_day(1))

    assert found.days[1].status is DayStatus.PARTLY
    assert found.days[1].completeness is None
    assert found.completeness == 0  # Monday, which was missed


def test_below_ninety_percent_is_marked() -> None:
    ten = (_version(1, MONDAY, replace(KNEE, sets=10)),)
    window = {"first_day": MONDAY, "stop_day": _day(1), "today": _day(3)}

    nine = find_adherence(ten, _trained(0, knee=9), (), **window)
    eight = find_adherence(ten, _trained(0, knee=8), (), **window)

    assert (nine.days[0].status, nine.is_incomplete) == (DayStatus.DONE, False)
    assert (eight.days[0].status, eight.is_incomplete, eight.days[0].is_incomplete) == (DayStatus.PARTLY, True, True)


def test_more_of_one_exercise_does_not_make_up_for_another() -> None:
    assert _statuses(_trained(0, knee=9, chair=0))[0] is DayStatus.PARTLY


def test_unmeasured_is_neither_missed_nor_incomplete() -> None:
    found = find_adherence(PLAN, _trained(0, knee=None), (), first_day=MONDAY, stop_day=_day(1), today=_day(3))

    assert found.days[0].status is DayStatus.UNMEASURED
    assert found.completeness is None
    assert not found.is_incomplete


@pytest.mark.parametrize("kind", ["planned_rest", "illness", "holiday"])
def test_a_pause_excuses_its_days_and_a_trained_day_stays_trained(kind: str) -> None:
    pause = Pause(kind=kind, first_day=_day(1), stop_day=_day(3))  # type: ignore[arg-type]

    assert _statuses(_trained(1), pause)[:4] == ["missed", "done", "excused", "missed"]


def test_training_during_a_pause_is_not_measured_against_the_plan() -> None:
    pause = (Pause(kind="illness", first_day=MONDAY, stop_day=None),)
    found = find_adherence(PLAN, _trained(0, knee=1), pause, first_day=MONDAY, stop_day=_day(2), today=_day(3))

    assert [day.status for day in found.days] == ["partly", "excused"]
    assert found.days[0].completeness is None
    assert found.completeness is None


def test_a_pause_without_end_lasts() -> None:
    assert _statuses([], Pause(kind="illness", first_day=_day(2), stop_day=None))[2:5] == ["excused"] * 3


def test_the_run_of_missed_days_leaps_over_rest_and_pauses_and_ends_with_training() -> None:
    pause = (Pause(kind="illness", first_day=_day(8), stop_day=_day(9)),)
    window = {"first_day": MONDAY, "stop_day": _day(11), "today": _day(10)}

    assert find_adherence(PLAN, _trained(2, chair=2), pause, **window).missed_run == 4  # Thu, Fri, Mon, Wed
    assert find_adherence(PLAN, _trained(9), pause, **window).missed_run == 0


def test_the_plan_in_force_on_the_day_counts() -> None:
    versions = (*PLAN, _version(2, _day(2), replace(CHAIR, weekdays=(5,))))
    found = find_adherence(versions, [], (), first_day=_day(-1), stop_day=_day(5), today=_day(9))

    assert [day.plan_number for day in found.days] == [None, 1, 1, 2, 2, 2]
    assert [day.prescribed_set_count for day in found.days] == [0, 5, 3, 0, 0, 2]


def test_training_of_both_sides_counts_for_either() -> None:
    both = [TrainingDone(day=MONDAY, exercise="heel_slide", side="both", set_count=3)]
    right = [TrainingDone(day=MONDAY, exercise="heel_slide", side="right", set_count=3)]
    chair = [TrainingDone(day=MONDAY, exercise="sit_to_stand", side="left", set_count=2)]

    assert _statuses(both + chair)[0] is DayStatus.DONE
    assert _statuses(right + chair)[0] is DayStatus.PARTLY
