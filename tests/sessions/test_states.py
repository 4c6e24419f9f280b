"""The state tables of live sessions and participants: every transition, every refusal, every drop and rejoin."""

from itertools import product

import pytest

from sessions import live_session, participant
from sessions.errors import WrongStateError
from sessions.live_session import LiveSessionEvent, LiveSessionState
from sessions.participant import PRESENT, SEATED, Link, ParticipantEvent, ParticipantState, judge_link

LIVE_SESSION_TABLE = """
            open  therapist_joined  therapist_gone  end    archive   cancel     no_show
scheduled   open  -                 -               -      -         cancelled  no_show
open        -     live              -               ended  -         cancelled  no_show
live        -     live              paused          ended  -         -          -
paused      -     live              -               ended  -         -          -
ended       -     -                 -               -      archived  -          -
archived    -     -                 -               -      -         -          -
cancelled   -     -                 -               -      -         -          -
no_show     -     -                 -               -      -         -          -
"""
PARTICIPANT_TABLE = """
             join     join_admitted admit    negotiate  connect   weaken   recover   drop         seat_expire leave remove
invited      waiting  admitted      -        -          -         -        -         -            -           -     removed
waiting      waiting  admitted      admitted -          -         -        -         invited      -           left  removed
admitted     -        admitted      -        connecting -         -        -         reconnecting -           left  removed
connecting   -        connecting    -        connecting connected -        -         reconnecting -           left  removed
connected    -        connecting    -        connected  -         degraded -         reconnecting -           left  removed
degraded     -        connecting    -        degraded   -         -        connected reconnecting -           left  removed
reconnecting -        connecting    -        -          -         -        -         -            expired     left  removed
left         waiting  admitted      -        -          -         -        -         -            -           -     removed
removed      -        -             -        -          -         -        -         -            -           -     -
expired      waiting  admitted      -        -          -         -        -         -            -           -     removed
"""  # noqa: E501


def read_table(text: str) -> dict[tuple[str, str], str]:
    header, *rows = text.strip("\n").splitlines()
    events = header.split()
    return {
        (row.split()[0], event): state
        for row in rows
        for event, state in zip(events, row.split()[1:], strict=True)
        if state != "-"
    }


def test_the_live_session_table_is_the_one_drawn_here() -> None:
    drawn = read_table(LIVE_SESSION_TABLE)
    for state, event in product(LiveSessionState, LiveSessionEvent):
        if (state, event) in drawn:
            assert live_session.next_state(state, event) == drawn[state, event]
        else:
            with pytest.raises(WrongStateError):
                live_session.next_state(state, event)


def test_the_participant_table_is_the_one_drawn_here() -> None:
    drawn = read_table(PARTICIPANT_TABLE)
    for state, event in product(ParticipantState, ParticipantEvent):
        if (state, event) in drawn:
            assert participant.next_state(state, event) == drawn[state, event]
        else:
            with pytest.raises(WrongStateError):
                participant.next_state(state, event)


@pytest.mark.parametrize("state", sorted(SEATED & PRESENT))
def test_whoever_is_dropped_from_a_seat_comes_back_to_it(state: ParticipantState) -> None:
    dropped = participant.next_state(state, ParticipantEvent.DROP)
    assert dropped in SEATED
    assert participant.next_state(dropped, ParticipantEvent.JOIN_ADMITTED) is ParticipantState.CONNECTING


def test_a_wait_that_is_broken_off_leaves_no_ghost_and_waits_again_after_the_return() -> None:
    dropped = participant.next_state(ParticipantState.WAITING, ParticipantEvent.DROP)
    assert dropped not in SEATED | PRESENT
    assert participant.next_state(dropped, ParticipantEvent.JOIN) is ParticipantState.WAITING


@pytest.mark.parametrize(
    ("state", "gone_s", "event"),
    [
        (LiveSessionState.LIVE, 59.9, None),
        (LiveSessionState.LIVE, 60.1, LiveSessionEvent.THERAPIST_GONE),
        (LiveSessionState.PAUSED, 599.0, None),
        (LiveSessionState.PAUSED, 601.0, LiveSessionEvent.END),
        (LiveSessionState.OPEN, 1e6, None),
        (LiveSessionState.ENDED, 1e6, None),
    ],
)
def test_the_therapists_absence_pauses_then_ends(
    state: LiveSessionState, gone_s: float, event: LiveSessionEvent | None
) -> None:
    assert live_session.due_event(state, therapist_gone_s=gone_s) is event


@pytest.mark.parametrize(
    ("heartbeat_s", "packet_s", "round_trip_ms", "loss", "link"),
    [
        (0.5, None, None, None, Link.GOOD),
        (0.5, 0.02, 80.0, 0.01, Link.GOOD),
        (2.5, None, None, None, Link.WEAK),
        (3.1, None, None, None, Link.LOST),
        (3.1, 0.02, None, None, Link.WEAK),  # media flows while the socket stalls
        (0.5, 3.1, None, None, Link.WEAK),  # frozen picture, living page
        (3.1, 3.1, None, None, Link.LOST),
        (0.5, 0.02, 500.0, None, Link.WEAK),
        (0.5, 0.02, None, 0.2, Link.WEAK),
        (float("inf"), None, None, None, Link.LOST),
    ],
)
def test_a_link_is_judged_by_what_was_last_heard(
    heartbeat_s: float, packet_s: float | None, round_trip_ms: float | None, loss: float | None, link: Link
) -> None:
    assert (
        judge_link(
            heartbeat_silence_s=heartbeat_s, packet_silence_s=packet_s, round_trip_ms=round_trip_ms, loss_share=loss
        )
        is link
    )
