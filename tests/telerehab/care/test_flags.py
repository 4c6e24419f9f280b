from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.flag_rules import (
    Goal,
    GoalReading,
    PainReport,
    PatientFacts,
    PlannedDay,
    Sensor,
    Training,
    find,
)
from telerehab.care.flags import (
    RETURNS_WITHIN,
    WORSE_STEP,
    Finding,
    Flag,
    FlagState,
    Mark,
    MarkKind,
    Rule,
    carry_on,
    gravest_by_cause,
    state_of,
)
from telerehab.care.range_change import (
    SEM_DEG,
    RangeReading,
    best_level_deg,
    find_range_loss,
    joint_of,
    loss_threshold_deg,
)
from tests.reference.care_range_loss import slow_range_loss

TODAY = date(2026, 10, 20)
NOW = datetime(2026, 10, 20, 6, tzinfo=UTC)


def _ago(days: int) -> date:
    return TODAY - timedelta(days=days)


def _ranges(*rom_deg: float, trust: float = 0.9, repetitions: int = 10) -> tuple[RangeReading, ...]:
    return tuple(
        RangeReading(
            training_session_id=f"session {i}",
            day=_ago(len(rom_deg) - i),
            exercise="heel_slide",
            side="left",
            rom_deg=value,
            repetition_count=repetitions,
            trust=trust,
        )
        for i, value in enumerate(rom_deg)
    )


def _pains(*values: int) -> tuple[PainReport, ...]:
    return tuple(PainReport(id=f"{i}", day=_ago(len(values) - i), value=value) for i, value in enumerate(values))


def _facts(**known: object) -> PatientFacts:
    return replace(PatientFacts(now=NOW, today=TODAY), **known)  # type: ignore[arg-type]


def _rules(facts: PatientFacts, *standing: str) -> list[Rule]:
    return [finding.rule for finding in find(facts, standing=frozenset(standing))]


def _finding(rule: Rule = Rule.RANGE_FALLING, number: float = 12.0, cause_key: str = "range:knee:left") -> Finding:
    return Finding(rule=rule, cause_key=cause_key, number=number, unit="deg", threshold=9.0, since=_ago(3))


def _flag(finding: Finding | None = None) -> Flag:
    (flag,), _, _ = carry_on([], [finding or _finding()], now=NOW)
    return flag


def _next(flag: Flag, *findings: Finding, days: float = 1) -> Flag:
    new, changed, unchanged = carry_on([flag], findings, now=flag.seen_at + timedelta(days=days))
    (after,) = (*new, *changed, *unchanged)
    return after


# --- falling range of motion -----------------------------------------------------------------------------------------


def test_a_loss_beyond_the_measurement_error_is_found_with_its_raw_data() -> None:
    (finding,) = find(_facts(ranges=_ranges(96, 94, 97, 95, 96, 81, 80)))
    assert finding.rule is Rule.RANGE_FALLING
    assert finding.cause_key == "range:knee:left"
    assert (finding.number, finding.unit, finding.threshold) == (14.5, "deg", 8.7)
    assert finding.since == _ago(2)
    assert [each.value for each in finding.evidence] == [96, 94, 97, 95, 96, 81, 80]
    assert finding.evidence[-1].id == "session 6"


def test_one_day_of_a_slipped_strap_is_no_loss() -> None:
    assert find(_facts(ranges=_ranges(96, 94, 97, 95, 96, 86))) == []
    assert find(_facts(ranges=_ranges(96, 94, 97, 95, 86, 96, 95))) == []


def test_restrapping_within_the_measurement_error_is_no_loss() -> None:
    assert find(_facts(ranges=_ranges(96, 91, 97, 93, 96, 90, 94, 91))) == []


def test_a_slow_loss_is_found_against_the_level_that_was_held_before() -> None:
    assert _rules(_facts(ranges=_ranges(95, 96, 95, 96, 94, 92, 90, 88, 86, 85, 84))) == [Rule.RANGE_FALLING]


def test_a_slow_gain_is_no_loss() -> None:
    assert find(_facts(ranges=_ranges(80, 82, 84, 83, 86, 88, 89, 91))) == []


@pytest.mark.parametrize("spoiled", [{"trust": 0.4}, {"repetitions": 2}])
def test_what_cannot_be_trusted_is_not_compared(spoiled: dict[str, float]) -> None:
    good = _ranges(96, 94, 97, 95, 96, 96, 96, 96)[:5]
    bad = _ranges(96, 94, 97, 95, 96, 70, 70, 70, **spoiled)[5:]  # type: ignore[arg-type]
    assert find(_facts(ranges=(*good, *bad))) == []


def test_without_a_level_nothing_is_compared() -> None:
    assert find(_facts(ranges=_ranges(96, 94, 60))) == []


def test_two_exercises_of_one_knee_are_one_cause() -> None:
    slides = _ranges(96, 94, 97, 95, 96, 81, 80)
    stands = tuple(replace(each, exercise="sit_to_stand", rom_deg=each.rom_deg - 10) for each in slides)
    findings = find(_facts(ranges=(*slides, *stands)))
    assert [each.exercise for each in findings] == ["heel_slide", "sit_to_stand"]
    assert list(gravest_by_cause(findings)) == ["range:knee:left"]


def test_a_standing_loss_ends_only_when_half_of_the_threshold_is_regained() -> None:
    facts = _facts(ranges=_ranges(96, 94, 97, 95, 96, 81, 90, 91, 90, 90))
    assert find(facts) == []
    assert _rules(facts, "range:knee:left") == [Rule.RANGE_FALLING]
    regained = _facts(ranges=_ranges(96, 94, 97, 95, 96, 81, 95, 94, 95, 94))
    assert find(regained, standing=frozenset({"range:knee:left"})) == []


def test_the_threshold_is_beyond_the_detectable_change_of_as_many_sessions() -> None:
    thresholds = [loss_threshold_deg(n_recent) for n_recent in (1, 2, 3, 4)]
    assert all(more <= fewer for fewer, more in pairwise(thresholds))
    assert thresholds[0] > 1.96 * 2**0.5 * SEM_DEG


def test_every_measurable_exercise_has_a_joint() -> None:
    assert joint_of("knee_extension_seated") == "knee"
    assert joint_of("hand_to_head") == "shoulder"
    assert joint_of("an_exercise_of_tomorrow") == "an_exercise_of_tomorrow"


@given(
    readings=st.lists(
        st.tuples(
            st.integers(0, 40),
            st.floats(40, 120),
            st.sampled_from((2, 3, 10, 12)),
            st.sampled_from((0.4, 0.5, 0.9, 1.0)),
        ),
        min_size=4,
        max_size=24,
    ),
    is_standing=st.booleans(),
)
def test_the_loss_is_what_the_slow_version_finds(
    readings: list[tuple[int, float, int, float]], is_standing: bool
) -> None:
    readings.sort(key=lambda each: each[0])
    slow = slow_range_loss(readings, today=40, is_standing=is_standing)
    fast = find_range_loss(
        [
            RangeReading(
                training_session_id="",
                day=_ago(40 - day),
                exercise="heel_slide",
                side="left",
                rom_deg=rom_deg,
                repetition_count=repetition_count,
                trust=trust,
            )
            for day, rom_deg, repetition_count, trust in readings
        ],
        today=TODAY,
        is_standing=is_standing,
    )
    assert (fast is None) == (slow is None)
    if fast is not None and slow is not None:
        assert fast.loss_deg == pytest.approx(slow[0])
        assert len(fast.recent) == slow[1]


@given(st.lists(st.floats(0, 180), min_size=1, max_size=12), st.floats(-50, 50))
def test_a_level_moves_with_the_readings(values: list[float], shift_deg: float) -> None:
    assert best_level_deg([value + shift_deg for value in values]) == pytest.approx(best_level_deg(values) + shift_deg)


# --- pain ------------------------------------------------------------------------------------------------------------


def test_one_bad_day_of_pain_is_an_alert_and_no_flag() -> None:
    assert find(_facts(pains=_pains(3, 3, 2, 3, 8))) == []
    assert find(_facts(pains=_pains(3, 3, 2, 3, 8, 3))) == []


def test_pain_at_the_limit_on_two_of_three_days_is_high() -> None:
    (high,) = gravest_by_cause(find(_facts(pains=_pains(3, 3, 2, 3, 8, 4, 7)))).values()
    assert (high.rule, high.number, high.threshold) == (Rule.PAIN_HIGH, 8.0, 7.0)


def test_the_limit_is_that_of_the_plan() -> None:
    assert _rules(_facts(pains=_pains(5, 4, 5), pain_limit=5)) == [Rule.PAIN_HIGH]
    assert find(_facts(pains=_pains(5, 4, 5))) == []


def test_pain_two_points_above_the_own_level_rises() -> None:
    (rising,) = find(_facts(pains=_pains(2, 2, 3, 2, 4, 5)))
    assert (rising.rule, rising.cause_key, rising.number) == (Rule.PAIN_RISING, "pain", 5.0)
    assert [each.value for each in rising.evidence] == [2, 2, 3, 2, 4, 5]


def test_pain_that_was_always_there_does_not_rise() -> None:
    assert find(_facts(pains=_pains(5, 6, 5, 6, 5, 6))) == []


def test_of_one_day_the_worst_report_counts() -> None:
    reports = [PainReport(id=f"{i}{v}", day=_ago(9 - i), value=v) for i in range(8) for v in (1, 2 if i < 6 else 5)]
    assert _rules(_facts(pains=tuple(reports))) == [Rule.PAIN_RISING]


def test_pain_of_long_ago_says_nothing_of_today() -> None:
    old = tuple(replace(report, day=report.day - timedelta(days=10)) for report in _pains(2, 2, 2, 8, 8))
    assert find(_facts(pains=old)) == []


# --- days, devices, scores, goals ------------------------------------------------------------------------------------


def _planned(*done: bool | None) -> tuple[PlannedDay, ...]:
    return tuple(
        PlannedDay(day=_ago(len(done) - i), is_done=bool(each), is_excused=each is None) for i, each in enumerate(done)
    )


def test_three_missed_days_in_a_row_are_found_since_the_first() -> None:
    (missed,) = find(_facts(planned_days=_planned(*[True] * 10, False, False, False)))
    assert (missed.rule, missed.number, missed.since) == (Rule.DAYS_MISSED, 3.0, _ago(3))


def test_illness_is_not_missed_and_does_not_end_the_row() -> None:
    assert find(_facts(planned_days=_planned(*[True] * 10, False, None, None, False))) == []
    (missed,) = find(_facts(planned_days=_planned(*[True] * 10, False, None, False, False)))
    assert missed.number == 3


def test_today_is_not_over() -> None:
    planned = (*_planned(*[True] * 10, False, False), PlannedDay(day=TODAY, is_done=False))
    assert find(_facts(planned_days=planned)) == []


def test_training_on_another_day_ends_the_row() -> None:
    planned = _planned(*[True] * 10, False, False, False)
    trained = (Training(id="x", at=NOW, day=TODAY),)
    assert find(_facts(planned_days=planned, trainings=trained)) == []


def test_who_often_misses_is_flagged_later() -> None:
    often = _planned(*[True, False] * 6, True, False, False, False)
    assert find(_facts(planned_days=often)) == []
    assert _rules(_facts(planned_days=(*_planned(*[True, False] * 6, True, *[False] * 5),))) == [Rule.DAYS_MISSED]


def _trainings(*withheld: bool | None) -> tuple[Training, ...]:
    return tuple(
        Training(
            id=f"{i}", at=NOW - timedelta(days=len(withheld) - i), day=_ago(len(withheld) - i), is_score_withheld=each
        )
        for i, each in enumerate(withheld)
    )


def _sensor(heard_days_ago: float | None) -> Sensor:
    heard_at = None if heard_days_ago is None else NOW - timedelta(days=heard_days_ago)
    return Sensor(name="imu-1", assigned_at=NOW - timedelta(days=30), last_heard_at=heard_at)


def test_a_device_unheard_through_two_trainings_is_silent() -> None:
    (silent,) = find(_facts(trainings=_trainings(None, None, None), sensors=(_sensor(2.5),)))
    assert (silent.rule, silent.cause_key, silent.number) == (Rule.DEVICE_SILENT, "device:imu-1", 2.0)


def test_a_device_that_was_never_heard_is_silent_since_it_was_lent() -> None:
    (silent,) = find(_facts(trainings=_trainings(None, None), sensors=(_sensor(None),)))
    assert silent.number == 30


@pytest.mark.parametrize(("heard_days_ago", "n_trainings"), [(1.9, 3), (2.5, 1), (20.0, 0)])
def test_a_rest_or_one_forgotten_sensor_is_no_silence(heard_days_ago: float, n_trainings: int) -> None:
    trainings = _trainings(*[None] * n_trainings)
    assert find(_facts(trainings=trainings, sensors=(_sensor(heard_days_ago),))) == []


def test_scores_withheld_in_three_of_four_sessions_are_found() -> None:
    assert _rules(_facts(trainings=_trainings(False, True, False, None, True, True))) == [Rule.SCORE_WITHHELD]
    assert find(_facts(trainings=_trainings(True, True, False, False, True))) == []


def test_a_goal_reached_twice_in_a_row_is_met_in_either_direction() -> None:
    def goal(*values: float, target: float, downwards: bool = False) -> Goal:
        readings = tuple(GoalReading(id=f"{i}", day=_ago(9 - i), value=value) for i, value in enumerate(values))
        return Goal(id="g", target=target, unit="deg", is_reached_downwards=downwards, readings=readings)

    assert _rules(_facts(goals=(goal(100, 111, 112, target=110),))) == [Rule.GOAL_MET]
    assert find(_facts(goals=(goal(100, 112, 109, target=110),))) == []
    assert _rules(_facts(goals=(goal(5, 2, 1, target=2, downwards=True),))) == [Rule.GOAL_MET]


# --- the life of a flag ----------------------------------------------------------------------------------------------


def test_the_same_cause_on_the_next_day_is_the_same_flag() -> None:
    flag = _flag()
    again = _next(flag, replace(_finding(number=13.0), since=_ago(1)))
    assert again.opened_at == flag.opened_at
    assert again.finding.since == flag.finding.since
    assert again.finding.number == 13.0
    assert again.version == flag.version


def test_another_cause_is_another_flag() -> None:
    new, changed, _ = carry_on([_flag()], [_finding(), _finding(cause_key="range:knee:right")], now=NOW)
    assert [flag.finding.cause_key for flag in new] == ["range:knee:right"]
    assert [flag.finding.cause_key for flag in changed] == ["range:knee:left"]


def test_a_flag_whose_condition_is_gone_ends_by_itself() -> None:
    ended = _next(_flag())
    assert ended.ended_at == NOW + timedelta(days=1)
    assert state_of(ended, []) is FlagState.ENDED
    _, changed, unchanged = carry_on([ended], [], now=NOW + timedelta(days=2))
    assert (changed, unchanged) == ([], [ended])


def test_a_cause_that_comes_back_soon_is_the_same_flag_and_later_a_new_one() -> None:
    ended = _next(_flag())
    assert ended.ended_at is not None
    _, (back,), _ = carry_on([ended], [_finding()], now=ended.ended_at + RETURNS_WITHIN)
    assert (back.opened_at, back.ended_at) == (ended.opened_at, None)
    (new,), _, _ = carry_on([ended], [_finding()], now=ended.ended_at + RETURNS_WITHIN + timedelta(seconds=1))
    assert new.opened_at > ended.ended_at


def test_a_flag_is_open_then_acknowledged_then_resolved() -> None:
    flag = _flag()
    seen = Mark(kind=MarkKind.ACKNOWLEDGED, at=NOW, flag_version=flag.version)
    done = Mark(kind=MarkKind.RESOLVED, at=NOW + timedelta(hours=1), flag_version=flag.version)
    assert state_of(flag, []) is FlagState.OPEN
    assert state_of(flag, [seen]) is FlagState.ACKNOWLEDGED
    assert state_of(flag, [done, seen]) is FlagState.RESOLVED
    assert state_of(_next(flag, _finding()), [done, seen]) is FlagState.RESOLVED


@pytest.mark.parametrize("rule", [rule for rule in Rule if WORSE_STEP[rule] < 100])
def test_a_marked_flag_opens_again_when_it_is_worse_by_the_stated_step_and_not_before(rule: Rule) -> None:
    flag = _flag(_finding(rule, 10.0))
    marks = [Mark(kind=MarkKind.RESOLVED, at=NOW, flag_version=flag.version)]
    almost = _next(flag, _finding(rule, 10.0 + 0.99 * WORSE_STEP[rule]))
    assert state_of(almost, marks) is FlagState.RESOLVED
    worse = _next(almost, _finding(rule, 10.0 + WORSE_STEP[rule]))
    assert state_of(worse, marks) is FlagState.OPEN
    assert state_of(_next(worse, _finding(rule, 10.0)), marks) is FlagState.OPEN


def test_pain_that_becomes_high_opens_a_marked_flag_again() -> None:
    flag = _flag(_finding(Rule.PAIN_RISING, 6.0, "pain"))
    marks = [Mark(kind=MarkKind.ACKNOWLEDGED, at=NOW, flag_version=flag.version)]
    high = _next(flag, _finding(Rule.PAIN_RISING, 6.0, "pain"), _finding(Rule.PAIN_HIGH, 6.0, "pain"))
    assert high.finding.rule is Rule.PAIN_HIGH
    assert state_of(high, marks) is FlagState.OPEN


@given(st.lists(st.none() | st.floats(1, 60), max_size=25))
def test_a_flag_never_becomes_two_and_its_version_never_falls(numbers: list[float | None]) -> None:
    flags: dict[datetime, Flag] = {}
    for day, number in enumerate(numbers):
        now = NOW + timedelta(days=day)
        before = {key: flag.version for key, flag in flags.items()}
        newest = [max(flags.values(), key=lambda flag: flag.opened_at)] if flags else []
        findings = [] if number is None else [_finding(number=number)]
        new, changed, _ = carry_on(newest, findings, now=now)
        assert len(new) + len(changed) <= 1
        flags.update((flag.opened_at, flag) for flag in (*new, *changed))
        assert all(flags[key].version >= version for key, version in before.items())
        assert sum(flag.ended_at is None for flag in flags.values()) == (number is not None)
        again_new, again_changed, _ = carry_on([*new, *changed], findings, now=now)
        assert (again_new, again_changed) == ([], [flag for flag in (*new, *changed) if flag.ended_at is None])
