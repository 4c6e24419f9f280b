from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.help_calls import (
    ESCALATE_EVERY,
    OUTCOMES,
    UNANSWERED_AFTER,
    HelpCall,
    HelpCallState,
    Unanswered,
    advance,
    answer,
    begin,
    close,
    press_again,
    withdraw,
)
from telerehab.errors import ConflictError

NOW = datetime(2026, 10, 20, 6, tzinfo=UTC)
IDA, OLE, EVA = (UUID(int=i) for i in (1, 2, 3))
LINE = (IDA, OLE, EVA)


def _after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def _told(call: HelpCall) -> list[UUID]:
    return [each.account_id for each in call.told]


def test_the_first_in_line_is_told_at_once() -> None:
    call = begin(now=NOW, line=LINE)
    assert (call.state, _told(call), call.unanswered) == (HelpCallState.TOLD, [IDA], None)


def test_the_next_in_line_is_told_when_the_first_does_not_answer() -> None:
    call = begin(now=NOW, line=LINE)
    almost = advance(call, now=NOW + ESCALATE_EVERY - timedelta(milliseconds=1), line=LINE)
    assert _told(almost) == [IDA]
    escalated = advance(almost, now=NOW + ESCALATE_EVERY, line=LINE)
    assert (escalated.state, _told(escalated)) == (HelpCallState.ESCALATED, [IDA, OLE])


def test_after_thirty_seconds_the_tablet_is_told_and_the_call_rings_on() -> None:
    call = begin(now=NOW, line=LINE)
    assert advance(call, now=_after(29.9), line=LINE).unanswered is None
    unanswered = advance(call, now=NOW + UNANSWERED_AFTER, line=LINE)
    assert (unanswered.unanswered, unanswered.unanswered_at) == (Unanswered.NO_ANSWER, _after(30))
    assert unanswered.is_ringing
    assert answer(unanswered, account_id=EVA, now=_after(50)).state is HelpCallState.ANSWERED


def test_outside_hours_the_tablet_is_told_at_once_and_whoever_comes_on_duty_is_told() -> None:
    call = begin(now=NOW, line=())
    assert (call.state, call.unanswered, call.unanswered_at) == (HelpCallState.CALLED, Unanswered.OUTSIDE_HOURS, NOW)
    morning = advance(call, now=_after(7_200), line=LINE)
    assert (morning.state, _told(morning)) == (HelpCallState.TOLD, [IDA])
    assert morning.unanswered is Unanswered.OUTSIDE_HOURS


def test_when_all_on_duty_have_gone_home_the_tablet_is_still_told_after_thirty_seconds() -> None:
    call = advance(begin(now=NOW, line=LINE), now=_after(31), line=())
    assert call.unanswered is Unanswered.NO_ANSWER


def test_a_process_that_looks_late_catches_up_in_one_step_and_then_does_nothing() -> None:
    late = advance(begin(now=NOW, line=LINE), now=_after(600), line=LINE)
    assert _told(late) == [IDA, OLE, EVA]
    assert advance(late, now=_after(600), line=LINE) == late


def test_the_answer_belongs_to_one_person() -> None:
    call = answer(begin(now=NOW, line=LINE), account_id=OLE, now=_after(5))
    assert (call.state, call.answered_by) == (HelpCallState.ANSWERED, OLE)
    assert answer(call, account_id=OLE, now=_after(6)) == call
    with pytest.raises(ConflictError):
        answer(call, account_id=IDA, now=_after(6))
    assert advance(call, now=_after(600), line=LINE) == call


def test_a_withdrawn_call_stays_open_until_staff_closes_it() -> None:
    call = withdraw(begin(now=NOW, line=LINE), now=_after(3))
    assert call.is_open
    assert not call.is_ringing
    assert advance(call, now=_after(600), line=LINE) == call
    assert answer(call, account_id=IDA, now=_after(9)).state is HelpCallState.ANSWERED
    assert not close(call, account_id=IDA, outcome="mistake", now=_after(9)).is_open


@pytest.mark.parametrize("over", ["answered", "withdrawn"])
def test_pressing_again_rings_anew(over: str) -> None:
    ringing = begin(now=NOW, line=LINE)
    call = answer(ringing, account_id=OLE, now=_after(5)) if over == "answered" else withdraw(ringing, now=_after(5))
    again = press_again(call, now=_after(100), line=LINE)
    assert (again.state, _told(again), again.called_at, again.press_count) == (HelpCallState.TOLD, [IDA], NOW, 2)
    assert advance(again, now=_after(129), line=LINE).unanswered is None
    assert advance(again, now=_after(130), line=LINE).unanswered is Unanswered.NO_ANSWER


def test_pressing_again_while_it_rings_does_not_start_the_thirty_seconds_anew() -> None:
    call = press_again(begin(now=NOW, line=LINE), now=_after(20), line=LINE)
    assert advance(call, now=_after(30), line=LINE).unanswered is Unanswered.NO_ANSWER


def test_a_closed_call_stays_as_it_was_closed() -> None:
    call = close(begin(now=NOW, line=LINE), account_id=IDA, outcome="helped", now=_after(60))
    assert close(call, account_id=IDA, outcome="helped", now=_after(70)) == call
    with pytest.raises(ConflictError):
        close(call, account_id=OLE, outcome="mistake", now=_after(70))
    with pytest.raises(ConflictError):
        answer(call, account_id=IDA, now=_after(70))
    with pytest.raises(ConflictError):
        withdraw(call, now=_after(70))
    with pytest.raises(ConflictError):
        press_again(call, now=_after(70), line=LINE)


def test_an_outcome_is_one_of_the_known_ones() -> None:
    with pytest.raises(ValueError, match="no outcome"):
        close(begin(now=NOW, line=LINE), account_id=IDA, outcome="whatever", now=NOW)


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["wait", "answer", "withdraw", "press"]),
        st.floats(0, 40),
        st.lists(st.sampled_from(LINE), unique=True),
    ),
    max_size=20,
)


@given(_STEPS)
def test_a_call_is_open_whatever_happens_until_somebody_closes_it(steps: list[tuple[str, float, list[UUID]]]) -> None:
    now, call = NOW, begin(now=NOW, line=LINE)
    rings_since = NOW
    for what, seconds, line in steps:
        now += timedelta(seconds=seconds)
        call = advance(call, now=now, line=line)
        try:
            if what == "answer":
                call = answer(call, account_id=IDA, now=now)
            elif what == "withdraw":
                call = withdraw(call, now=now)
            elif what == "press":
                rings_since = rings_since if call.is_ringing else now
                call = press_again(call, now=now, line=line)
        except ConflictError:
            pytest.fail("an open call takes every step of its own people")
        assert call.is_open
        assert len(_told(call)) == len(set(_told(call)))
        if call.is_ringing and now - rings_since >= UNANSWERED_AFTER:
            assert call.unanswered is not None
        if call.is_ringing and not call.told:
            assert call.unanswered is Unanswered.OUTSIDE_HOURS
    assert not close(call, account_id=OLE, outcome=OUTCOMES[0], now=now).is_open
