"""Seats, slots, focus, private talk, help, links and grace times of a running live session, in virtual time."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import pytest

from sessions import live_view
from sessions.errors import (
    NotAllowedError,
    NotJoinedError,
    RoomError,
    UnknownLiveSessionError,
    UnknownParticipantError,
    WrongStateError,
)
from sessions.live_rooms import (
    LiveRoom,
    LiveRooms,
    MediaReport,
    Participant,
    RoomEvent,
    RoomOptions,
    may_publish,
    may_see,
)
from sessions.live_session import LiveSessionState
from sessions.participant import Link, ParticipantState, Role
from sessions.ports import Instant

METTE, ANNA, BENT, HELPER = (UUID(int=number) for number in range(1, 5))
S = 1_000_000_000


@dataclass
class Group:
    """A room and its clock."""

    options: RoomOptions = field(default_factory=RoomOptions)
    now: Instant = field(default_factory=lambda: Instant(utc_us=1_790_000_000_000_000, monotonic_ns=100 * S))
    events: list[RoomEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.room = LiveRoom(
            UUID(int=99),
            title="Knee group",
            state=LiveSessionState.OPEN,
            participants=[
                Participant(id=METTE, role=Role.THERAPIST, account_id=UUID(int=11)),
                Participant(id=ANNA, role=Role.PATIENT, patient_id=UUID(int=12)),
                Participant(id=BENT, role=Role.PATIENT, patient_id=UUID(int=13)),
            ],
            now=self.now,
            options=self.options,
        )

    def join(self, *people: UUID, connection: str = "first") -> None:
        for person in people:
            self.room.join(person, connection=connection, now=self.now)

    def connect(self, *people: UUID, connection: str = "first") -> None:
        self.join(*people, connection=connection)
        for person in people:
            self.room.negotiated(person, now=self.now)
            self.media(person)

    def media(self, person: UUID, *, packet_s_ago: float | None = 0.0, connected: bool = True) -> None:
        packet_ns = None if packet_s_ago is None else self.now.monotonic_ns - int(packet_s_ago * S)
        report = MediaReport(connected=connected, packet_ns=packet_ns, publishes_audio=True, publishes_video=True)
        self.room.observe_media(person, report, now=self.now)

    def beat(self, *people: UUID, connection: str = "first") -> list[bool]:
        return [
            self.room.beat(person, connection=connection, heard_ns=self.now.monotonic_ns, now=self.now)
            for person in people
        ]

    def wait(self, duration_s: float, *, beating: tuple[UUID, ...] = ()) -> None:
        """Let time pass in ticks of 0.2 s; some pages go on beating."""
        for _ in range(round(duration_s / 0.2)):
            self.now = Instant(utc_us=self.now.utc_us + 200_000, monotonic_ns=self.now.monotonic_ns + 200_000_000)
            self.beat(*beating)
            self.room.tick(self.now)

    def state(self, person: UUID) -> ParticipantState:
        return self.room.participant(person).state

    def link(self, person: UUID) -> Link:
        return self.room.participant(person).link

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        changes = self.room.take_changes()
        self.events += changes.events
        return [(event.kind, dict(event.data)) for event in changes.events]


@pytest.fixture
def group() -> Group:
    return Group()


@pytest.fixture
def open_group() -> Group:
    return Group(options=RoomOptions(auto_admit=True))


def test_the_therapist_is_let_in_at_once_and_opens_the_live_session(group: Group) -> None:
    group.join(METTE)
    assert (group.state(METTE), group.room.state) == (ParticipantState.ADMITTED, LiveSessionState.LIVE)
    assert ("live_session", {"state": "live"}) in group.take()


def test_a_patient_waits_until_the_therapist_admits(group: Group) -> None:
    group.join(METTE, ANNA)
    assert group.state(ANNA) is ParticipantState.WAITING
    assert not may_publish(group.room.participant(ANNA), group.room.state)
    with pytest.raises(NotAllowedError):
        group.room.admit(ANNA, ANNA, now=group.now)
    group.room.admit(METTE, ANNA, now=group.now)
    group.room.admit(METTE, ANNA, now=group.now)
    assert group.state(ANNA) is ParticipantState.ADMITTED
    assert may_publish(group.room.participant(ANNA), group.room.state)


def test_who_was_admitted_once_need_not_wait_again_after_leaving_or_expiring(group: Group) -> None:
    group.join(METTE, ANNA)
    group.room.admit(METTE, ANNA, now=group.now)
    group.room.leave(ANNA, now=group.now)
    group.join(ANNA)
    assert group.state(ANNA) is ParticipantState.ADMITTED


def test_admitting_somebody_who_does_not_wait_is_a_wrong_state(group: Group) -> None:
    group.join(METTE)
    with pytest.raises(WrongStateError):
        group.room.admit(METTE, ANNA, now=group.now)


def test_the_ith_patient_is_in_the_ith_slot_whatever_the_others_do(open_group: Group) -> None:
    group = open_group
    group.join(METTE, BENT)
    bindings = group.room.bindings()
    assert bindings[METTE, "video-0"] is None  # Anna has not come; her slot is kept
    assert bindings[METTE, "video-1"] == BENT
    group.join(ANNA)
    group.room.leave(BENT, now=group.now)
    bindings = group.room.bindings()
    assert (bindings[METTE, "video-0"], bindings[METTE, "audio-0"]) == (ANNA, ANNA)
    assert (bindings[METTE, "video-1"], bindings[METTE, "audio-1"]) == (None, None)
    assert bindings[ANNA, "video-0"] == METTE
    assert {slot for viewer, slot in bindings if viewer == ANNA} == {"audio-0", "video-0"}


def test_a_patient_in_the_waiting_room_has_no_slots_and_is_in_none(group: Group) -> None:
    group.join(METTE, ANNA)
    bindings = group.room.bindings()
    assert bindings[METTE, "video-0"] is None
    assert not [key for key in bindings if key[0] == ANNA]


def test_patients_see_each_other_only_where_the_live_session_says_so(open_group: Group) -> None:
    anna, bent = open_group.room.participant(ANNA), open_group.room.participant(BENT)
    mette = open_group.room.participant(METTE)
    assert not may_see(anna, bent, RoomOptions())
    assert may_see(anna, bent, RoomOptions(patients_see_each_other=True))
    assert may_see(mette, anna, RoomOptions())
    assert may_see(anna, mette, RoomOptions())
    assert not may_see(anna, anna, RoomOptions(patients_see_each_other=True))
    helper = Participant(id=HELPER, role=Role.HELPER, patient_id=anna.patient_id)
    assert may_see(helper, anna, RoomOptions())
    assert not may_see(helper, bent, RoomOptions())


def test_a_group_that_agreed_has_the_therapist_first_and_the_others_behind() -> None:
    group = Group(options=RoomOptions(auto_admit=True, patients_see_each_other=True))
    group.join(METTE, ANNA, BENT)
    bindings = group.room.bindings()
    assert [bindings[BENT, slot] for slot in ("video-0", "video-1")] == [METTE, ANNA]


def test_talking_to_one_mutes_the_therapist_for_the_others_only(open_group: Group) -> None:
    group = open_group
    group.join(METTE, ANNA, BENT)
    group.room.set_talk_to(METTE, ANNA, now=group.now)
    bindings = group.room.bindings()
    assert (bindings[ANNA, "audio-0"], bindings[BENT, "audio-0"]) == (METTE, None)
    assert bindings[BENT, "video-0"] == METTE
    assert (bindings[METTE, "audio-0"], bindings[METTE, "audio-1"]) == (ANNA, BENT)
    group.room.set_talk_to(METTE, None, now=group.now)
    assert group.room.bindings()[BENT, "audio-0"] == METTE


def test_private_talk_ends_when_the_one_talked_to_goes(open_group: Group) -> None:
    group = open_group
    group.join(METTE, ANNA, BENT)
    group.room.set_talk_to(METTE, ANNA, now=group.now)
    group.room.leave(ANNA, now=group.now)
    assert group.room.bindings()[BENT, "audio-0"] == METTE
    assert group.take()[-1] == ("talk_to", {"participant": None})


def test_focus_is_the_therapists_alone_and_on_patients_alone(open_group: Group) -> None:
    group = open_group
    group.join(METTE, ANNA)
    with pytest.raises(NotAllowedError):
        group.room.set_focus(ANNA, ANNA, now=group.now)
    with pytest.raises(NotAllowedError):
        group.room.set_focus(METTE, METTE, now=group.now)
    group.take()
    group.room.set_focus(METTE, BENT, now=group.now)
    group.room.set_focus(METTE, BENT, now=group.now)
    assert group.take() == [("focus", {"participant": str(BENT)})]


def test_the_therapist_may_choose_another_source_for_a_slot(open_group: Group) -> None:
    group = open_group
    group.join(METTE, ANNA, BENT)
    group.room.choose_source(METTE, "video-0", BENT)
    group.room.choose_source(METTE, "audio-1", None)
    bindings = group.room.bindings()
    assert (bindings[METTE, "video-0"], bindings[METTE, "audio-1"], bindings[METTE, "audio-0"]) == (BENT, None, ANNA)
    with pytest.raises(NotAllowedError):
        group.room.choose_source(ANNA, "video-0", BENT)


@pytest.mark.parametrize("kind", ["help", "pause"])
def test_help_and_pause_are_told_once_also_from_the_waiting_room_and_end_with_the_leaving(
    group: Group, kind: str
) -> None:
    switch = group.room.set_help if kind == "help" else group.room.set_pause

    def since_us() -> int | None:
        anna = group.room.participant(ANNA)
        return anna.help_since_us if kind == "help" else anna.paused_since_us

    group.join(METTE, ANNA)
    group.take()
    switch(ANNA, on=True, now=group.now)
    switch(ANNA, on=True, now=group.now)
    assert group.take() == [(kind, {"participant": str(ANNA), "on": True})]
    assert since_us() == group.now.utc_us
    group.room.leave(ANNA, now=group.now)
    assert (kind, {"participant": str(ANNA), "on": False}) in group.take()
    assert since_us() is None
    with pytest.raises(NotJoinedError):
        switch(ANNA, on=True, now=group.now)


def test_the_therapists_text_goes_to_the_one_talked_to(open_group: Group) -> None:
    group = open_group
    group.join(METTE, ANNA)
    group.room.set_talk_to(METTE, ANNA, now=group.now)
    group.take()
    group.room.write_text(METTE, "godt", now=group.now)
    group.room.write_text(ANNA, "tak", now=group.now)
    assert [data["to"] for _, data in group.take()] == [str(ANNA), None]


def test_events_are_numbered_without_holes(open_group: Group) -> None:
    group = open_group
    group.room.record_creation(group.now)
    group.connect(METTE, ANNA)
    group.wait(20)
    group.join(METTE, connection="second")
    group.room.end(METTE, now=group.now)
    group.take()
    assert [event.sequence for event in group.events] == list(range(1, len(group.events) + 1))
    assert group.room.event_sequence == len(group.events)


def test_a_half_open_socket_is_marked_lost_within_three_seconds_and_a_tick_then_dropped(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    for person in (METTE, ANNA):  # neither has a camera: the heartbeat alone tells
        group.media(person, packet_s_ago=None)
    group.take()
    group.wait(3.0, beating=(METTE,))
    assert group.link(ANNA) is Link.WEAK
    group.wait(0.2, beating=(METTE,))
    assert group.link(ANNA) is Link.LOST
    assert group.take() == [("link", {"participant": str(ANNA), "link": "lost"})]
    assert (group.link(METTE), group.state(ANNA)) == (Link.GOOD, ParticipantState.DEGRADED)
    group.wait(11.4, beating=(METTE,))
    assert group.state(ANNA) is ParticipantState.DEGRADED  # a stall is normal at home: 14.6 s close nothing
    group.wait(0.6, beating=(METTE,))
    assert group.state(ANNA) is ParticipantState.RECONNECTING


def test_a_stall_of_ten_seconds_is_forgiven(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.media(ANNA, packet_s_ago=None)
    group.wait(10, beating=(METTE,))
    assert group.beat(ANNA) == [True]
    assert (group.link(ANNA), group.state(ANNA)) == (Link.GOOD, ParticipantState.CONNECTED)
    assert ("link", {"participant": str(ANNA), "link": "good"}) in group.take()


def test_packets_that_stop_weaken_the_link_of_a_living_page(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.wait(2.4, beating=(METTE, ANNA))
    assert (group.link(ANNA), group.state(ANNA)) == (Link.WEAK, ParticipantState.DEGRADED)
    group.media(ANNA)
    assert (group.link(ANNA), group.state(ANNA)) == (Link.GOOD, ParticipantState.CONNECTED)


def test_a_weak_link_writes_no_event_for_each_wave(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.take()
    for _ in range(5):
        group.wait(2.4, beating=(METTE, ANNA))
        group.media(ANNA)
    assert group.take() == []


@pytest.mark.parametrize("dropped_in", ["admitted", "connecting", "connected", "degraded"])
def test_drop_and_rejoin_keeps_the_seat(open_group: Group, dropped_in: str) -> None:
    group = open_group
    group.join(METTE, ANNA, BENT)
    if dropped_in != "admitted":
        group.room.negotiated(ANNA, now=group.now)
    if dropped_in in ("connected", "degraded"):
        group.media(ANNA)
    if dropped_in == "degraded":
        group.wait(2.4, beating=(METTE, ANNA, BENT))
    assert group.state(ANNA) == dropped_in
    slots = group.room.bindings()
    group.room.take_changes()
    group.room.drop(ANNA, connection="first", now=group.now)
    assert (group.state(ANNA), group.link(ANNA)) == (ParticipantState.RECONNECTING, Link.LOST)
    assert group.room.bindings() == slots
    group.wait(59, beating=(METTE, BENT))
    group.join(ANNA, connection="second")
    assert group.state(ANNA) is ParticipantState.CONNECTING
    assert group.room.bindings() == slots
    assert group.room.take_changes().freed_seats == ()
    group.media(ANNA)
    assert group.state(ANNA) is ParticipantState.CONNECTED


def test_a_seat_is_kept_a_minute_then_freed_and_still_hers_when_she_returns(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.room.drop(ANNA, connection="first", now=group.now)
    group.room.take_changes()
    group.wait(60.4, beating=(METTE,))
    assert group.state(ANNA) is ParticipantState.EXPIRED
    assert group.room.take_changes().freed_seats == (ANNA,)
    assert group.room.bindings()[METTE, "video-0"] is None
    group.join(ANNA, connection="second")
    assert group.state(ANNA) is ParticipantState.ADMITTED
    assert group.room.bindings()[METTE, "video-0"] == ANNA


def test_leaving_frees_the_seat_at_once_and_ends_nothing(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.room.take_changes()
    group.room.leave(METTE, now=group.now)
    assert group.room.take_changes().freed_seats == (METTE,)
    assert group.room.state is LiveSessionState.LIVE
    states = []
    for duration_s in (59, 2):
        group.wait(duration_s, beating=(ANNA,))
        states.append(group.room.state)
    group.join(METTE, connection="second")
    assert [*states, group.room.state] == ["live", "paused", "live"]


def test_the_live_session_ends_ten_minutes_after_the_therapist_went(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.room.leave(METTE, now=group.now)
    group.wait(601, beating=(ANNA,))
    assert (group.room.state, group.state(ANNA)) == (LiveSessionState.ENDED, ParticipantState.LEFT)


def test_a_newer_socket_takes_the_seat_and_the_older_ones_end_changes_nothing(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.join(ANNA, connection="second")
    group.room.drop(ANNA, connection="first", now=group.now)
    assert group.state(ANNA) is ParticipantState.CONNECTING
    assert group.beat(ANNA, connection="first") == [False]
    assert group.beat(ANNA, connection="second") == [True]


def test_a_late_heartbeat_never_makes_the_link_older(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.media(ANNA, packet_s_ago=None)
    stale_ns = group.now.monotonic_ns - 5 * S
    group.room.beat(ANNA, connection="first", heard_ns=stale_ns, now=group.now)
    assert group.link(ANNA) is Link.GOOD


def test_whoever_is_removed_stays_out(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    group.room.remove(METTE, ANNA, now=group.now)
    with pytest.raises(WrongStateError):
        group.join(ANNA, connection="second")


def test_ending_is_the_therapists_and_sends_everybody_home(open_group: Group) -> None:
    group = open_group
    group.connect(METTE, ANNA)
    with pytest.raises(NotAllowedError):
        group.room.end(ANNA, now=group.now)
    group.room.end(METTE, now=group.now)
    assert group.room.state is LiveSessionState.ENDED
    assert set(group.room.take_changes().freed_seats) == {METTE, ANNA}
    assert group.room.bindings() == {}
    with pytest.raises(NotAllowedError):
        group.join(ANNA)


def test_after_a_crash_everybody_has_a_minute_and_who_waited_is_no_ghost() -> None:
    before = Group()
    before.connect(METTE)
    before.join(ANNA, BENT)
    before.room.admit(METTE, ANNA, now=before.now)
    rows = [
        Participant(id=p.id, role=p.role, patient_id=p.patient_id, state=p.state, admitted_at_us=p.admitted_at_us)
        for p in before.room.participants
    ]
    now = Instant(utc_us=before.now.utc_us + 1, monotonic_ns=5)  # another process, another monotonic clock
    room = LiveRoom(before.room.id, title="", state=before.room.state, participants=rows, now=now, event_sequence=7)
    room.resume(now)
    assert [p.state for p in room.participants] == ["reconnecting", "reconnecting", "invited"]
    assert [event.sequence for event in room.take_changes().events] == [8, 9, 10]
    room.tick(Instant(utc_us=now.utc_us, monotonic_ns=5 + 59 * S))
    assert room.participant(ANNA).state is ParticipantState.RECONNECTING
    room.join(ANNA, connection="new", now=now)
    assert room.participant(ANNA).state is ParticipantState.CONNECTING
    room.join(BENT, connection="new", now=now)
    assert room.participant(BENT).state is ParticipantState.WAITING


def test_a_stranger_and_an_unknown_live_session_have_errors_of_their_own(group: Group) -> None:
    with pytest.raises(UnknownParticipantError):
        group.join(HELPER)
    with pytest.raises(UnknownLiveSessionError):
        LiveRooms().get(group.room.id)
    with pytest.raises(NotJoinedError):
        group.room.require_seat(ANNA)
    assert issubclass(UnknownLiveSessionError, RoomError)


def test_a_live_session_holds_no_more_people_than_one_worker_carries(group: Group) -> None:
    people = [Participant(id=UUID(int=number), role=Role.PATIENT) for number in range(22)]
    with pytest.raises(NotAllowedError):
        LiveRoom(UUID(int=1), title="", state=LiveSessionState.OPEN, participants=people, now=group.now)


def test_the_version_rises_with_everything_a_snapshot_shows(open_group: Group) -> None:
    group = open_group
    seen: dict[int, dict[str, Any]] = {}
    steps: list[Callable[[], object]] = [
        lambda: group.connect(METTE, ANNA),
        lambda: group.wait(2.6),
        lambda: group.beat(METTE, ANNA),
        lambda: group.media(ANNA),
        lambda: group.room.set_focus(METTE, ANNA, now=group.now),
        lambda: group.room.set_talk_to(METTE, ANNA, now=group.now),
        lambda: group.room.set_help(ANNA, on=True, now=group.now),
        lambda: group.room.set_pause(ANNA, on=True, now=group.now),
        lambda: group.room.choose_source(METTE, "video-0", None),
        lambda: group.room.drop(ANNA, connection="first", now=group.now),
        lambda: group.wait(61, beating=(METTE,)),
    ]
    for step in steps:
        step()
        snapshot = group.room.snapshot()
        assert seen.setdefault(group.room.version, snapshot) == snapshot
    assert len(seen) >= len(steps) - 1  # a heartbeat alone changes nothing that is shown


# --- what each may read of it ---


def test_a_patient_reads_of_the_therapist_and_self_only_and_never_of_focus(open_group: Group) -> None:
    group = open_group
    group.join(METTE, ANNA, BENT)
    group.room.set_focus(METTE, BENT, now=group.now)
    snapshot = group.room.snapshot()
    view = live_view.view_for(snapshot, str(ANNA))
    assert [p["id"] for p in view["participants"]] == [str(METTE), str(ANNA)]
    assert (view["you"], view["focus"]) == (str(ANNA), None)
    assert view["slots"] == {"audio-0": str(METTE), "video-0": str(METTE)}
    whole = live_view.view_for(snapshot, str(METTE))
    assert [p["id"] for p in whole["participants"]] == [str(METTE), str(ANNA), str(BENT)]
    assert whole["focus"] == str(BENT)
    assert str(BENT) not in str(view)


@pytest.mark.parametrize(
    ("kind", "data", "anna", "bent"),
    [
        ("help", {"participant": str(ANNA), "on": True}, True, False),
        ("pause", {"participant": str(ANNA), "on": True}, True, False),
        ("participant", {"participant": str(METTE), "state": "left"}, True, True),
        ("text", {"participant": str(METTE), "to": None, "text": "x"}, True, True),
        ("text", {"participant": str(METTE), "to": str(ANNA), "text": "x"}, True, False),
        ("text", {"participant": str(ANNA), "to": None, "text": "x"}, True, False),
        ("focus", {"participant": str(ANNA)}, False, False),
        ("talk_to", {"participant": str(ANNA)}, False, False),
        ("live_session", {"state": "paused"}, True, True),
        ("created", {"participants": [str(ANNA), str(BENT)]}, False, False),
    ],
)
def test_a_patient_reads_events_of_the_therapist_and_self_only(
    open_group: Group, kind: str, data: dict[str, Any], anna: bool, bent: bool
) -> None:
    snapshot = open_group.room.snapshot()
    allowed = {
        person: live_view.may_read_event(snapshot, str(person), kind=kind, data=data) for person in (METTE, ANNA, BENT)
    }
    assert allowed == {METTE: True, ANNA: anna, BENT: bent}


def test_the_one_in_focus_sends_well_and_the_others_little(open_group: Group) -> None:
    group = open_group
    group.join(METTE, ANNA, BENT)
    quality = {p: live_view.quality_for(group.room.snapshot(), str(p)) for p in (METTE, ANNA, BENT)}
    assert quality == {METTE: live_view.FOCUSED, ANNA: live_view.EQUAL, BENT: live_view.EQUAL}
    group.room.set_focus(METTE, BENT, now=group.now)
    quality = {p: live_view.quality_for(group.room.snapshot(), str(p)) for p in (METTE, ANNA, BENT)}
    assert quality == {METTE: live_view.FOCUSED, ANNA: live_view.BESIDE, BENT: live_view.FOCUSED}


def test_a_reader_is_found_by_account_or_by_patient(open_group: Group) -> None:
    snapshot = open_group.room.snapshot()
    therapist = live_view.find_participant(snapshot, account_id=str(UUID(int=11)), patient_id=None)
    patient = live_view.find_participant(snapshot, account_id=None, patient_id=str(UUID(int=13)))
    stranger = live_view.find_participant(snapshot, account_id=str(UUID(int=77)), patient_id=None)
    nobody = live_view.find_participant(snapshot, account_id=None, patient_id=None)
    assert (therapist, patient, stranger, nobody) == (str(METTE), str(BENT), None, None)
