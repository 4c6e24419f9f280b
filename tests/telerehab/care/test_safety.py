"""The rules that stop training: limits, pain, falls, stops, lost streams (H6, H7, H8, H9, H12, H14)."""

import dataclasses
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.safety import (
    RANGES,
    Cause,
    Limits,
    LimitsError,
    Observation,
    SafetyEvent,
    Watch,
    alert_id,
    read_limits,
    step,
    write_limits,
)
from tests.telerehab.care.safety_cases import CASES, run_case

TRAINING_SESSION = UUID("0b0f8f1e-0000-4000-8000-000000000102")
SECOND_US = 1_000_000


@pytest.mark.parametrize("case", CASES["watch"], ids=lambda case: case["name"])
def test_every_case_is_judged_as_written(case: dict[str, Any]) -> None:
    assert run_case(case) == case["events"]


@pytest.mark.parametrize("every_ms", [250, 500, 1_000, 2_000, 4_000])
@pytest.mark.parametrize("before_per_min", [60, 149])
def test_H6_a_step_of_the_heart_rate_is_found_two_seconds_after_persistence_at_most(
    every_ms: int, before_per_min: int
) -> None:
    limits, watch = Limits(heart_rate_max_per_min=150), Watch()
    found: list[SafetyEvent] = []
    step_us = 60 * SECOND_US
    for at_us in range(0, 120 * SECOND_US, every_ms * 1_000):
        heart_rate = 151 if at_us >= step_us else before_per_min
        watch, events = step(watch, Observation(heart_rate_per_min=heart_rate), limits, at_us=at_us)
        found += events
    assert len(found) == 1
    late_us = found[0].at_us - step_us - limits.heart_rate_hold_s * SECOND_US
    assert 0 <= late_us <= 2 * SECOND_US


@given(
    values=st.lists(
        st.tuples(st.integers(0, 20_000), st.sampled_from([None, 0.0, float("nan"), 40.0, 149.0, 150.0])), max_size=60
    )
)
def test_H6_values_that_are_not_over_the_limit_never_raise_whatever_the_clock_does(
    values: list[tuple[int, float | None]],
) -> None:
    watch, limits = Watch(), Limits(heart_rate_max_per_min=150)
    for at_ms, heart_rate in values:
        watch, events = step(watch, Observation(heart_rate_per_min=heart_rate), limits, at_us=at_ms * 1_000)
        assert events == ()


@given(unknown=st.lists(st.sampled_from([None, 0.0, float("nan"), 255.0]), max_size=20), lead_s=st.integers(0, 9))
def test_H6_unknown_values_change_nothing_that_was_seen(unknown: list[float | None], lead_s: int) -> None:
    watch, limits = Watch(), Limits(heart_rate_max_per_min=150)
    for at_s in range(lead_s):
        watch, _ = step(watch, Observation(heart_rate_per_min=160), limits, at_us=at_s * SECOND_US)
    before = watch.heart_rate_high
    for value in unknown:
        watch, _ = step(watch, Observation(heart_rate_per_min=value), limits, at_us=lead_s * SECOND_US)
    assert watch.heart_rate_high == before


def test_the_patients_own_words_count_where_sensors_are_switched_off() -> None:
    said = Observation(heart_rate_per_min=200, spo2_percent=60, has_fall_hint=True, pain=9, is_stop_pressed=True)
    _, events = step(Watch(), said.without_sensors(), Limits(heart_rate_max_per_min=150), at_us=0)
    assert [event.cause for event in events] == [Cause.PAIN_HIGH, Cause.STOP_PRESSED]


def test_H14_the_same_episode_has_the_same_id_and_another_one_another() -> None:
    event = SafetyEvent(cause=Cause.HEART_RATE_HIGH, onset_us=5, at_us=10, value=160, limit=150)
    others = [
        dataclasses.replace(event, onset_us=6),
        dataclasses.replace(event, cause=Cause.HEART_RATE_LOW),
        dataclasses.replace(event, stream="heart"),
    ]
    same = dataclasses.replace(event, at_us=99, value=161)
    assert alert_id(TRAINING_SESSION, event) == alert_id(TRAINING_SESSION, same)
    assert len({alert_id(TRAINING_SESSION, each) for each in (event, *others)}) == 4
    assert alert_id(UUID(int=1), event) != alert_id(TRAINING_SESSION, event)


def test_limits_come_back_from_json_as_they_were() -> None:
    limits = Limits(pain_max=6, heart_rate_max_per_min=140, heart_rate_min_per_min=50, stream_lost_s=None)
    assert read_limits(write_limits(limits)) == limits
    assert read_limits({}) == Limits()


def test_H7_the_limits_where_nobody_says_anything_else_are_those_of_the_hazard_table() -> None:
    assert write_limits(Limits()) == CASES["defaults"]
    assert (Limits().pain_max, Limits().pain_rise, Limits().heart_rate_hold_s) == (7, 3, 10)


@pytest.mark.parametrize(
    ("said", "field", "code"),
    [
        ({"pain": 7}, "pain", "unknown"),
        ({"pain_max": None}, "pain_max", "missing"),
        ({"pain_max": True}, "pain_max", "not_a_number"),
        ({"pain_max": 6.5}, "pain_max", "not_a_number"),
        ({"pain_max": float("nan")}, "pain_max", "not_a_number"),
        ({"pain_max": 11}, "pain_max", "out_of_range"),
        ({"heart_rate_hold_s": 9}, "heart_rate_hold_s", "out_of_range"),
        ({"is_fall_hint_on": 1}, "is_fall_hint_on", "not_a_switch"),
        ({"is_fall_hint_on": None}, "is_fall_hint_on", "not_a_switch"),
        ({"heart_rate_max_per_min": 90, "heart_rate_min_per_min": 71}, "heart_rate_min_per_min", "crossed"),
    ],
)
def test_limits_that_make_no_sense_are_refused_by_name(said: dict[str, Any], field: str, code: str) -> None:
    with pytest.raises(LimitsError) as refused:
        read_limits(said)
    assert [(fault.field, fault.code) for fault in refused.value.faults] == [(field, code)]


@pytest.mark.parametrize("field", RANGES)
def test_both_ends_of_every_range_are_allowed_and_one_beyond_is_not(field: str) -> None:
    low, high = RANGES[field]
    for value in (low, high):
        assert getattr(read_limits({field: value}), field) == value
    for value in (low - 1, high + 1):
        with pytest.raises(LimitsError):
            read_limits({field: value})


def test_every_fault_is_named_at_once() -> None:
    with pytest.raises(LimitsError) as refused:
        read_limits({"pain_max": 0, "pain_rise": "3", "colour": "red"})
    assert {fault.field for fault in refused.value.faults} == {"pain_max", "pain_rise", "colour"}
