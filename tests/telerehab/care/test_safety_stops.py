"""A stop has no way back to exercise round a confirmation (H7)."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from hypothesis.strategies import sampled_from

from telerehab.care.safety import Cause
from telerehab.care.stops import (
    CONFIRMED_BY,
    Confirmer,
    NoWayBackError,
    Stops,
    StopState,
    confirm,
    end,
    is_stop,
    opening,
    resume,
    stop,
)
from tests.telerehab.care.safety_cases import CASES

FOR_THERAPIST = frozenset(cause for cause in Cause if CONFIRMED_BY[cause] is Confirmer.THERAPIST)


@pytest.mark.parametrize("case", CASES["stops"], ids=lambda case: case["name"])
def test_every_case_stands_as_written(case: dict[str, Any]) -> None:
    stops = opening(Cause(cause) for cause in case["open_causes"])
    for said in case["does"]:
        state = None
        if "stop" in said:
            stops = stop(stops, Cause(said["stop"]))
        elif "confirm" in said:
            stops = confirm(stops, Confirmer(said["confirm"]))
        elif "end" in said:
            stops = end(stops)
        else:
            try:
                stops = resume(stops)
            except NoWayBackError:
                state = "refused"
        assert (state or stops.state, stops.needs_confirmation_by) == (said["state"], said["needs"])


def test_the_causes_that_wait_for_a_therapist_are_those_of_the_body() -> None:
    assert dict(CONFIRMED_BY) == CASES["confirmed_by"]
    assert len(FOR_THERAPIST) == 6
    assert not is_stop(Cause.STREAM_LOST)


def all_states() -> set[Stops]:
    """Return every state that can be reached, by trying everything from everywhere."""
    seen: set[Stops] = set()
    waiting = [opening(()), *(opening([cause]) for cause in Cause)]
    while waiting:
        stops = waiting.pop()
        if stops not in seen:
            seen.add(stops)
            waiting += [after for _, after in moves(stops)]
    return seen


def moves(stops: Stops) -> Iterator[tuple[str, Stops]]:
    """Yield everything that can be done with a state, by name."""
    tries: list[tuple[str, Callable[[], Stops]]] = [("end", lambda: end(stops)), ("resume", lambda: resume(stops))]
    tries += [(f"confirm {by}", lambda by=by: confirm(stops, by)) for by in Confirmer]  # type: ignore[misc]
    tries += [(f"stop {cause}", lambda cause=cause: stop(stops, cause)) for cause in Cause]  # type: ignore[misc]
    for name, attempt in tries:
        try:
            yield name, attempt()
        except NoWayBackError:
            continue


def test_H7_of_all_states_none_trains_with_an_open_cause() -> None:
    states = all_states()
    assert len(states) > 200
    for stops in states:
        assert not (stops.may_train and stops.open_causes)
        assert not (stops.state is StopState.CONFIRMED and stops.open_causes)


def test_H7_only_the_therapists_word_takes_a_stop_of_the_body_off() -> None:
    for stops in all_states():
        for name, after in moves(stops):
            lost = (stops.open_causes & FOR_THERAPIST) - after.open_causes
            assert not lost or name == "confirm therapist"


def test_H7_no_path_leads_from_a_stop_of_the_body_to_exercise_without_the_therapist() -> None:
    for cause in FOR_THERAPIST:
        seen: set[Stops] = set()
        waiting = [stop(opening(()), cause), opening([cause]), stop(end(opening(())), cause)]
        while waiting:
            stops = waiting.pop()
            if stops in seen:
                continue
            seen.add(stops)
            assert not stops.may_train
            assert stops.needs_confirmation_by is Confirmer.THERAPIST
            waiting += [after for name, after in moves(stops) if name != "confirm therapist"]


def test_an_end_is_always_possible_and_final() -> None:
    for stops in all_states():
        ended = end(stops)
        assert ended.state is StopState.ENDED
        assert ended.open_causes == stops.open_causes
        assert all(after.state is StopState.ENDED for _, after in moves(ended))


class TrainingOverDays(RuleBasedStateMachine):
    """One patient, training session after training session, beside a simple record of what nobody has confirmed."""

    def __init__(self) -> None:
        super().__init__()
        self.stops = opening(())
        self.unconfirmed: set[Cause] = set()

    @rule(cause=sampled_from(Cause))
    def something_happens(self, cause: Cause) -> None:
        self.stops = stop(self.stops, cause)
        if cause is not Cause.STREAM_LOST:
            self.unconfirmed.add(cause)

    @rule()
    def the_therapist_confirms(self) -> None:
        self.stops = confirm(self.stops, Confirmer.THERAPIST)
        self.unconfirmed.clear()

    @rule()
    def the_patient_confirms(self) -> None:
        self.stops = confirm(self.stops, Confirmer.PATIENT)
        self.unconfirmed.discard(Cause.STOP_PRESSED)

    @rule()
    def somebody_wants_to_go_on(self) -> None:
        try:
            self.stops = resume(self.stops)
        except NoWayBackError:
            return
        assert not self.unconfirmed

    @rule()
    def the_training_session_ends(self) -> None:
        self.stops = end(self.stops)

    @precondition(lambda self: self.stops.state is StopState.ENDED)
    @rule()
    def the_next_one_opens(self) -> None:
        self.stops = opening(self.stops.open_causes)

    @invariant()
    def nothing_trains_that_is_not_confirmed(self) -> None:
        assert self.stops.open_causes == self.unconfirmed
        assert not (self.stops.may_train and self.unconfirmed)


TestTrainingOverDays = TrainingOverDays.TestCase
TestTrainingOverDays.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
