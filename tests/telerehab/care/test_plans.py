from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerehab.care.plans import (
    Change,
    PlanContent,
    PlanItem,
    PlanVersion,
    Tempo,
    canonical_json,
    content_hash,
    find_changes,
    find_in_force,
    make_next_version,
    read_plan_content,
    short_hash,
)
from telerehab.care.reading import write_value
from telerehab.care.safety import Limits
from telerehab.errors import InvalidContentError

TODAY = date(2026, 11, 23)
THERAPIST = UUID(int=7)
KNEE = PlanItem(
    exercise="knee_extension_seated",
    exercise_version=1,
    side="left",
    sets=3,
    repetitions=10,
    tempo=Tempo(up_s=2, hold_s=1, down_s=3),
    target_low_deg=0,
    target_high_deg=15,
    weekdays=(1, 3, 5),
)
CHAIR = PlanItem(
    exercise="sit_to_stand", exercise_version=1, side="both", sets=2, repetitions=8, weekdays=(1, 2, 3, 4, 5, 6, 7)
)
CONTENT = PlanContent(items=(KNEE, CHAIR), limits=Limits(), valid_from=TODAY)

_codes = st.sampled_from(["knee_extension_seated", "heel_slide", "bridge", "row_band"])
_weekdays = st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days)))
_items = st.builds(
    PlanItem,
    exercise=_codes,
    exercise_version=st.integers(1, 3),
    local_exercise_id=st.sampled_from([None, UUID(int=1)]),
    side=st.sampled_from(["left", "right"]),
    sets=st.integers(1, 10),
    repetitions=st.integers(1, 100),
    tempo=st.sampled_from([None, Tempo(up_s=1.5, hold_s=0, down_s=2)]),
    load_kg=st.sampled_from([None, 0.5, 2.0]),
    band=st.sampled_from([None, "red"]),
    weekdays=_weekdays,
)
_contents = st.builds(
    PlanContent,
    items=st.lists(_items, min_size=1, max_size=5, unique_by=lambda item: item.key).map(tuple),
    limits=st.sampled_from([Limits(), Limits(pain_max=5), Limits(spo2_min_percent=90)]),
    valid_from=st.dates(date(2026, 11, 1), date(2026, 12, 31)),
)


def _faults(said: Any) -> set[tuple[str, str]]:
    with pytest.raises(InvalidContentError) as caught:
        read_plan_content(said)
    return {(fault["at"], fault["kind"]) for fault in caught.value.faults}


def _next(head: PlanVersion | None, content: PlanContent = CONTENT, reason: str = "mere fleksion") -> PlanVersion:
    return make_next_version(
        head,
        content,
        author_account_id=THERAPIST,
        reason=reason,
        written_at=datetime(2026, 11, 23, 9, tzinfo=UTC),
        today=TODAY,
    )


@given(_contents)
@settings(max_examples=50, deadline=None)
def test_content_is_the_same_after_writing_and_reading(content: PlanContent) -> None:
    assert read_plan_content(write_value(content)) == content


@given(_contents, _contents)
@settings(max_examples=100, deadline=None)
def test_changes_are_empty_exactly_when_contents_are_equal_and_so_is_the_hash(
    old: PlanContent, new: PlanContent
) -> None:
    assert find_changes(old, old) == ()
    assert bool(find_changes(old, new)) == (old != new)
    assert (content_hash(old, number=1) == content_hash(new, number=1)) == (old == new)


@given(_contents, _contents)
@settings(max_examples=50, deadline=None)
def test_changes_back_swap_what_came_and_went(old: PlanContent, new: PlanContent) -> None:
    there, back = find_changes(old, new), find_changes(new, old)

    assert sum(change.kind == "added" for change in there) == sum(change.kind == "removed" for change in back)
    assert sum(change.kind == "reordered" for change in there) == sum(change.kind == "reordered" for change in back)


def test_the_hash_is_that_of_a_text_that_never_changes() -> None:
    # If this fails, every hash that a therapist and a patient compared before is another one now.
    assert canonical_json(replace(CONTENT, items=(CHAIR,))).startswith(
        '{"items":[{"band":null,"exercise":"sit_to_stand","exercise_version":1,"load_kg":null,"local_exercise_id":null,'
        '"repetitions":8,"sets":2,"side":"both","target_high_deg":null,"target_low_deg":null,"tempo":null,'
        '"weekdays":[1,2,3,4,5,6,7]}],"limits":{"heart_rate_hold_s":10,'
    )
    assert len(content_hash(CONTENT, number=1)) == 64
    assert short_hash(content_hash(CONTENT, number=1)) == content_hash(CONTENT, number=1)[:8]


def test_the_hash_tells_versions_and_first_days_apart() -> None:
    hashes = {
        content_hash(CONTENT, number=1),
        content_hash(CONTENT, number=2),
        content_hash(replace(CONTENT, valid_from=date(2026, 11, 24)), number=1),
    }
    assert len(hashes) == 3


def test_an_equal_number_written_differently_gives_the_same_hash() -> None:
    said = write_value(CONTENT)
    said["items"][0]["target_high_deg"] = 15  # 15.0 as JavaScript writes it

    assert content_hash(read_plan_content(said), number=1) == content_hash(CONTENT, number=1)


def test_changes_name_the_field_with_both_values() -> None:
    more = replace(KNEE, sets=4, tempo=None)
    new = replace(CONTENT, items=(more, CHAIR), limits=Limits(pain_max=5), valid_from=date(2026, 11, 30))

    told = {(one.of, one.kind, one.field, str(one.before), str(one.after)) for one in find_changes(CONTENT, new)}

    assert told == {
        ("item", "changed", "sets", "3", "4"),
        ("item", "changed", "tempo", "{'up_s': 2.0, 'hold_s': 1.0, 'down_s': 3.0}", "None"),
        ("limits", "changed", "pain_max", "7", "5"),
        ("plan", "changed", "valid_from", "2026-11-23", "2026-11-30"),
    }


def test_another_side_of_the_same_exercise_is_one_change() -> None:
    new = replace(CONTENT, items=(replace(KNEE, side="right"), CHAIR))

    assert find_changes(CONTENT, new) == (
        Change(
            kind="changed",
            of="item",
            exercise="knee_extension_seated",
            side="right",
            field="side",
            before="left",
            after="right",
        ),
    )


def test_another_order_is_a_change() -> None:
    assert [one.kind for one in find_changes(CONTENT, replace(CONTENT, items=(CHAIR, KNEE)))] == ["reordered"]


def test_the_next_version_follows_the_head_and_leaves_it_alone() -> None:
    first = _next(None)
    second = _next(first, replace(CONTENT, items=(KNEE,)))

    assert (first.number, second.number) == (1, 2)
    assert first.content == CONTENT
    assert first.content_hash != second.content_hash


def test_a_version_needs_a_reason_a_change_and_a_day_to_come() -> None:
    first = _next(None)
    with pytest.raises(InvalidContentError) as caught:
        _next(first, reason=" ")
    assert {fault["kind"] for fault in caught.value.faults} == {"missing", "nothing_changed"}
    with pytest.raises(InvalidContentError) as caught:
        _next(first, replace(CONTENT, valid_from=date(2026, 11, 22)))
    assert [(fault["at"], fault["kind"]) for fault in caught.value.faults] == [("valid_from", "in_the_past")]


def test_the_newest_version_that_has_begun_is_in_force() -> None:
    first = _next(None)
    later = _next(first, replace(CONTENT, valid_from=date(2026, 12, 1)))
    sooner = _next(later, replace(CONTENT, items=(KNEE,)))

    assert find_in_force([first, later], date(2026, 11, 22)) is None
    assert find_in_force([first, later], date(2026, 11, 30)) == first
    assert find_in_force([later, first], date(2026, 12, 1)) == later
    assert find_in_force([first, later, sooner], date(2026, 12, 1)) == sooner


def test_a_day_has_the_items_of_its_weekday() -> None:
    assert CONTENT.items_on(date(2026, 11, 23)) == (KNEE, CHAIR)
    assert CONTENT.items_on(date(2026, 11, 24)) == (CHAIR,)


@pytest.mark.parametrize(
    ("field", "value", "at", "code"),
    [
        ("sets", 0, "items.0.sets", "greater_than_equal"),
        ("sets", True, "items.0.sets", "int_type"),
        ("sets", "3", "items.0.sets", "int_type"),
        ("repetitions", 101, "items.0.repetitions", "less_than_equal"),
        ("side", "middle", "items.0.side", "literal_error"),
        ("exercise", "handstand", "items.0.exercise", "exercise_unknown"),
        ("weekdays", [], "items.0.weekdays", "too_short"),
        ("weekdays", [3, 1], "items.0.weekdays", "not_rising"),
        ("weekdays", [8], "items.0.weekdays.0", "less_than_equal"),
        ("target_low_deg", None, "items.0.target_low_deg", "half_a_target"),
        ("target_low_deg", 20, "items.0.target_low_deg", "crossed"),
        ("target_low_deg", float("nan"), "items.0.target_low_deg", "finite_number"),
        ("load_kg", -1, "items.0.load_kg", "greater_than"),
        ("band", "pink", "items.0.band", "literal_error"),
        ("tempo", {"up_s": 1, "hold_s": 61, "down_s": 1}, "items.0.tempo.hold_s", "less_than_equal"),
        ("name", "Else", "items.0", "unexpected_keyword_argument"),
    ],
)
def test_what_makes_no_sense_in_an_item_is_named(field: str, value: object, at: str, code: str) -> None:
    said = write_value(CONTENT)
    said["items"][0][field] = value

    assert (at, code) in _faults(said)


def test_an_exercise_and_side_stands_once_and_not_beside_both_sides() -> None:
    said = write_value(replace(CONTENT, items=(KNEE, KNEE, CHAIR, replace(CHAIR, side="left"))))

    assert _faults(said) == {("items.1", "twice"), ("items.3.side", "side_overlaps")}


def test_a_target_that_no_sensor_can_see_is_refused() -> None:
    said = write_value(CONTENT)
    said["items"][0] |= {"exercise": "row_band", "target_low_deg": 30, "target_high_deg": 60}

    assert _faults(said) == {("items.0.target_low_deg", "not_measurable")}


def test_faults_of_limits_and_of_the_first_day_are_named() -> None:
    assert _faults({**write_value(CONTENT), "limits": {"pain_max": 11, "pulse": 3}}) == {
        ("limits.pain_max", "out_of_range"),
        ("limits.pulse", "unknown"),
    }
    assert _faults({**write_value(CONTENT), "valid_from": 20_000}) == {("valid_from", "day_format")}
    assert _faults([]) == {("", "dataclass_type")}
