from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.referral import (
    PLAN_STOP_REASONS,
    REFERRAL_STOP_REASONS,
    ClockState,
    ReferralDates,
    find_referral_faults,
    read_clock,
)

HOME = date(2026, 11, 2)


def _day(i: int) -> date:
    return HOME + timedelta(days=i)


def test_the_seventh_day_still_counts_and_the_eighth_is_late() -> None:
    dates = ReferralDates(discharged_on=HOME)

    last = read_clock(dates, today=_day(7))
    late = read_clock(dates, today=_day(8))

    assert (last.start.state, last.start.days_left, last.has_free_choice) == (ClockState.RUNNING, 0, False)
    assert (late.start.state, late.start.days_late, late.has_free_choice) == (ClockState.LATE, 1, True)


def test_the_patient_is_told_within_four_days() -> None:
    assert read_clock(ReferralDates(discharged_on=HOME), today=_day(4)).inform.state is ClockState.RUNNING
    assert read_clock(ReferralDates(discharged_on=HOME), today=_day(5)).inform.state is ClockState.LATE
    told = ReferralDates(discharged_on=HOME, informed_on=_day(4))
    assert read_clock(told, today=_day(30)).inform.state is ClockState.IN_TIME


def test_an_offer_for_the_seventh_day_is_in_time_and_for_the_tenth_is_late_by_three() -> None:
    in_time = read_clock(ReferralDates(discharged_on=HOME, first_offered_on=_day(7)), today=_day(1))
    late = read_clock(ReferralDates(discharged_on=HOME, first_offered_on=_day(10)), today=_day(1))

    assert in_time.start.state is ClockState.IN_TIME
    assert (late.start.state, late.start.days_late) == (ClockState.LATE, 3)


def test_without_the_day_of_discharge_nothing_is_known() -> None:
    clock = read_clock(ReferralDates(discharged_on=None, first_offered_on=HOME, informed_on=HOME), today=HOME)

    assert clock.start.state is ClockState.UNKNOWN
    assert clock.inform.state is ClockState.UNKNOWN
    assert clock.start.days_left is None
    assert clock.has_free_choice is None


def test_a_stop_within_the_time_stops_the_clock_and_a_later_one_leaves_it_late() -> None:
    stopped = ReferralDates(discharged_on=HOME, stopped_on=_day(5), stop_reason="free_choice")
    too_late = ReferralDates(discharged_on=HOME, stopped_on=_day(9), stop_reason="error")

    assert read_clock(stopped, today=_day(20)).start.state is ClockState.STOPPED
    assert read_clock(stopped, today=_day(20)).stop_reason == "free_choice"
    assert read_clock(stopped, today=_day(3)).start.state is ClockState.RUNNING
    assert read_clock(too_late, today=_day(20)).start.days_late == 2


def test_stop_reasons_are_those_of_the_municipal_report_or_the_organisations_own() -> None:
    assert (len(REFERRAL_STOP_REASONS), len(PLAN_STOP_REASONS)) == (5, 9)
    dates = ReferralDates(discharged_on=HOME, stopped_on=HOME, stop_reason="moved_abroad")

    assert [one.code for one in find_referral_faults(dates, reasons=frozenset(REFERRAL_STOP_REASONS))] == [
        "reason_unknown"
    ]
    assert find_referral_faults(dates, reasons=frozenset({"moved_abroad"})) == ()


def test_dates_that_cannot_be_are_named() -> None:
    dates = ReferralDates(discharged_on=HOME, first_offered_on=_day(-1), stopped_on=HOME)

    assert {one.code for one in find_referral_faults(dates, reasons=frozenset())} == {
        "before_discharge",
        "day_and_reason_belong_together",
    }


_days = st.one_of(st.none(), st.integers(-5, 30).map(_day))


@given(_days, _days, _days, st.integers(-5, 40))
def test_a_deadline_never_goes_back_from_late(
    discharged_on: date | None, offered: date | None, stopped_on: date | None, today: int
) -> None:
    dates = ReferralDates(
        discharged_on=discharged_on,
        first_offered_on=offered,
        stopped_on=stopped_on,
        stop_reason="error" if stopped_on else None,
    )
    now, later = read_clock(dates, today=_day(today)).start, read_clock(dates, today=_day(today + 1)).start

    if now.state is not ClockState.RUNNING and discharged_on is not None:
        assert later.state is now.state
    if now.state is ClockState.RUNNING:
        assert now.days_left is not None
        assert now.days_left >= 0
    if now.state is ClockState.LATE:
        assert later.state is ClockState.LATE
        assert (later.days_late or 0) >= (now.days_late or 0) > 0


@pytest.mark.parametrize("today", range(-3, 20))
def test_one_state_has_one_number(today: int) -> None:
    deadline = read_clock(ReferralDates(discharged_on=HOME), today=_day(today)).start

    assert (deadline.days_left is None) != (deadline.days_late is None)
