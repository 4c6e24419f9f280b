"""What came of a training session: measured, counted by hand and not known are three things."""

from datetime import UTC, date, datetime, timedelta
from statistics import median
from typing import Any
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.plans import read_plan_content
from telerehab.care.results import (
    CorrectionMade,
    RepetitionDone,
    SetTrained,
    find_plan_share,
    find_results,
    original_of,
)

AT = datetime(2026, 11, 20, 9, tzinfo=UTC)
SETS = tuple(UUID(int=number) for number in range(1, 4))


def trained(place: int = 0, **changed: Any) -> SetTrained:
    values: dict[str, Any] = {
        "id": SETS[place],
        "number": place + 1,
        "plan_item": place,
        "set_number": 1,
        "exercise": "knee_extension_seated",
        "side": "right",
        "target_low_deg": 0.0,
        "target_high_deg": 15.0,
        "target_repetitions": 10,
        "started_at": AT,
        "ended_at": AT + timedelta(minutes=1),
        "end_reason": "done",
        "counted_repetitions": None,
    }
    return SetTrained(**values | changed)


def repetition(index: int = 0, **changed: Any) -> RepetitionDone:
    values: dict[str, Any] = {
        "index": index,
        "set_id": SETS[0],
        "start_us": index * 4_000_000,
        "stop_us": index * 4_000_000 + 2_000_000,
        "rom_deg": 80.0,
        "peak_angle_deg": 10.0,
        "trust": 0.9,
        "completeness": 1.0,
        "reason": 0,
    }
    return RepetitionDone(**values | changed)


def correction(kind: str, **changed: Any) -> CorrectionMade:
    values: dict[str, Any] = {
        "id": uuid4(),
        "set_id": SETS[0],
        "kind": kind,
        "count": None,
        "at": AT,
        "is_withdrawn": False,
    }
    return CorrectionMade(**values | changed)


def test_a_set_that_nobody_counted_is_not_known_and_not_zero() -> None:
    (result,) = find_results([trained()], [], []).sets
    assert (result.counted, result.counted_by, result.rom_median_deg, result.in_target_count) == (
        None,
        None,
        None,
        None,
    )
    assert (result.trust, result.completeness) == (None, None)
    assert not result.is_incomplete


def test_a_set_that_the_tablet_counted_is_counted_and_not_measured() -> None:
    (result,) = find_results([trained(counted_repetitions=0)], [], []).sets
    assert (result.counted, result.counted_by, result.rom_median_deg) == (0, "tablet", None)


def test_what_sensors_saw_counts_more_than_the_tablet() -> None:
    (result,) = find_results([trained(counted_repetitions=3)], [repetition(), repetition(1)], []).sets
    assert (result.counted, result.counted_by) == (2, "sensors")


def test_repetitions_without_trust_are_counted_and_their_angles_are_not() -> None:
    doubtful = repetition(1, rom_deg=200.0, trust=0.2, peak_angle_deg=10.0)
    (result,) = find_results([trained()], [repetition(), doubtful], []).sets
    assert (result.counted, result.rom_median_deg, result.in_target_count) == (2, 80.0, 1)
    (result,) = find_results([trained()], [doubtful], []).sets
    assert (result.counted, result.rom_median_deg, result.in_target_count) == (1, None, None)


def test_the_exercises_own_target_holds_where_the_plan_has_none() -> None:
    done = [repetition(peak_angle_deg=14.0), repetition(1, peak_angle_deg=16.0)]
    (result,) = find_results([trained(target_low_deg=None, target_high_deg=None)], done, []).sets
    assert result.in_target_count == 1


def test_completeness_stands_beside_the_figures_and_is_marked_below_ninety_percent() -> None:
    (result,) = find_results([trained()], [repetition(completeness=0.9), repetition(1, completeness=0.9)], []).sets
    assert (result.completeness, result.is_incomplete) == (0.9, False)
    (result,) = find_results([trained()], [repetition(completeness=0.88), repetition(1, completeness=0.9)], []).sets
    assert result.is_incomplete


def test_a_correction_stands_beside_the_original_and_the_last_one_that_was_not_taken_back_holds() -> None:
    corrections = [
        correction("repetition_count", count=8),
        correction("repetition_count", count=9, at=AT + timedelta(seconds=1)),
        correction("repetition_count", count=7, at=AT + timedelta(seconds=2), is_withdrawn=True),
        correction("not_valid", is_withdrawn=True),
        correction("note"),
    ]
    (result,) = find_results([trained()], [repetition()], corrections).sets
    assert (result.counted, result.counted_by, result.original_count) == (9, "therapist", 1)
    assert result.is_valid
    assert original_of(result, "repetition_count") == {"repetitions": 1, "counted_by": "therapist"}


def test_a_training_session_that_is_not_valid_has_no_valid_set() -> None:
    results = find_results([trained(), trained(1)], [], [correction("not_valid", set_id=None)]).sets
    assert [result.is_valid for result in results] == [False, False]
    results = find_results([trained(), trained(1)], [], [correction("not_valid")]).sets
    assert [result.is_valid for result in results] == [False, True]


@given(st.lists(st.tuples(st.sampled_from([*SETS, None]), st.floats(0, 180), st.booleans()), max_size=30))
def test_every_repetition_is_in_one_place_and_medians_are_those_of_the_set(
    drawn: list[tuple[UUID | None, float, bool]],
) -> None:
    done = [
        repetition(index, set_id=set_id, rom_deg=rom_deg, trust=0.9 if is_sure else 0.1)
        for index, (set_id, rom_deg, is_sure) in enumerate(drawn)
    ]
    found = find_results([trained(0), trained(1)], reversed(done), [])  # the third set is not there
    placed = [each.index for result in found.sets for each in result.repetitions] + [
        each.index for each in found.outside
    ]
    assert sorted(placed) == list(range(len(done)))
    for result in found.sets:
        own = [each for each in done if each.set_id == result.trained.id]
        measured = [each.rom_deg for each in own if each.trust > 0.5]
        assert list(result.repetitions) == own
        assert result.rom_median_deg == (median(measured) if measured else None)
        assert result.counted == (len(own) or None)


def test_a_training_session_without_sets_is_one_set() -> None:
    found = find_results([trained(id=None)], [repetition(set_id=None), repetition(1, set_id=SETS[2])], [])
    assert [len(result.repetitions) for result in found.sets] == [2]
    assert found.outside == ()


def test_more_sets_of_one_item_do_not_make_up_for_another_and_what_is_not_valid_does_not_count() -> None:
    content = read_plan_content(
        {
            "items": [
                {
                    "exercise": exercise,
                    "exercise_version": 1,
                    "side": "both",
                    "sets": 2,
                    "repetitions": 10,
                    "weekdays": weekdays,
                }
                for exercise, weekdays in (("bridge", [1, 5]), ("mini_squat", [5]), ("heel_raise", [1]))
            ],
            "limits": {},
            "valid_from": date(2026, 11, 1).isoformat(),
        }
    )
    sets = [
        trained(0, plan_item=0),
        trained(1, plan_item=0),
        trained(2, plan_item=0),
        trained(0, id=UUID(int=7), plan_item=1),
        trained(0, id=UUID(int=8), plan_item=1, ended_at=None),
        trained(0, id=UUID(int=9), plan_item=None),
    ]
    results = find_results(sets, [], [correction("not_valid", set_id=UUID(int=7))]).sets
    share = find_plan_share(content, number=3, isoweekday=5, results=results)
    assert (share.plan_number, share.prescribed_set_count, share.done_set_count, share.share) == (3, 4, 2, 0.5)
    assert find_plan_share(content, number=3, isoweekday=2, results=results).share is None
