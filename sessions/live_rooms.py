"""The running live sessions of one worker: seats, slots, focus, talk, help, pauses, grace timers, event sequence.

Pure: time comes in as an `Instant`, and what has to happen outside (rows, events, closed seats) is collected and taken
by the shell with `take_changes`. Which source belongs into which slot is not a command but a value, `bindings`: the
shell compares it with what the engine has and binds the difference, so nothing can be forgotten on any path.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from sessions.errors import NotAllowedError, NotJoinedError, UnknownLiveSessionError, UnknownParticipantError
from sessions.live_session import RUNNING, LiveSessionEvent, LiveSessionState, due_event
from sessions.live_session import next_state as next_live_session_state
from sessions.participant import (
    PRESENT,
    SEAT_KEPT_S,
    SEATED,
    SOCKET_KEPT_S,
    Link,
    ParticipantEvent,
    ParticipantState,
    Role,
    judge_link,
)
from sessions.participant import next_state as next_participant_state
from sessions.ports import Instant

PARTICIPANTS_MAX: Final = 21
_S_PER_NS: Final = 1e-9


@dataclass(frozen=True, kw_only=True, slots=True)
class Participant:
    """One seat, with what is known of the person's connection."""

    id: UUID
    role: Role
    account_id: UUID | None = None
    patient_id: UUID | None = None
    """Of a patient's seat; of a helper's, the patient whom the helper sits beside."""
    helper_id: UUID | None = None
    state: ParticipantState = ParticipantState.INVITED
    admitted_at_us: int | None = None
    left_at_us: int | None = None
    help_since_us: int | None = None
    paused_since_us: int | None = None
    """The patient rests; the live session goes on."""
    connection: str | None = None
    """The socket that holds the seat; a newer one takes it over."""
    heartbeat_ns: int | None = None
    packet_ns: int | None = None
    round_trip_ms: float | None = None
    loss_share: float | None = None
    dropped_ns: int | None = None
    publishes_audio: bool = False
    publishes_video: bool = False
    link: Link = Link.LOST


@dataclass(frozen=True, kw_only=True, slots=True)
class MediaReport:
    """What the engine knows of a seat."""

    connected: bool
    """A connection of the seat stands."""
    packet_ns: int | None
    """Monotonic time of the last packet that the seat sent; None while it sends none. [ns]"""
    publishes_audio: bool
    publishes_video: bool
    round_trip_ms: float | None = None
    loss_share: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomEvent:
    """Something that happened, numbered; it becomes a row, then a message."""

    sequence: int
    kind: str
    at_us: int
    data: Mapping[str, object]


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomChanges:
    """What a command or a tick leaves for the shell to do."""

    events: tuple[RoomEvent, ...]
    participants: tuple[Participant, ...]
    """Those whose row changed."""
    live_session_changed: bool
    freed_seats: tuple[UUID, ...]
    """Participants whose media connections have to close."""

    @property
    def has_rows(self) -> bool:
        """Tell whether anything has to be written."""
        return bool(self.events or self.participants or self.live_session_changed)


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomOptions:
    """What is agreed for one live session."""

    auto_admit: bool = False
    """Patients are let in as they come (the demonstration clinic)."""
    patients_see_each_other: bool = False
    """Only where the live session says so and they agreed."""


def may_publish(participant: Participant, state: LiveSessionState) -> bool:
    """Tell whether somebody may send audio and video now."""
    return state in RUNNING and participant.state in SEATED


def may_see(viewer: Participant, publisher: Participant, options: RoomOptions) -> bool:
    """Tell whether a viewer may see and hear a publisher.

    A therapist sees all, everybody sees the therapist, a helper and the patient beside whom the seat is see each other;
    patients see each other only where the live session says so, and a helper never sees another patient.
    """
    if viewer.id == publisher.id:
        return False
    if Role.THERAPIST in (viewer.role, publisher.role):
        return True
    if viewer.patient_id is not None and viewer.patient_id == publisher.patient_id:
        return True
    return options.patients_see_each_other and viewer.role is publisher.role is Role.PATIENT


class LiveRoom:
    """One running live session.

    Parameters
    ----------
    participants : sequence of Participant
        In the order of their seats, which never changes: the i-th patient is in the therapist's slots `audio-i` and
        `video-i`.
    event_sequence : int
        Number of the last event that was written.
    """

    def __init__(
        self,
        live_session_id: UUID,
        *,
        title: str,
        state: LiveSessionState,
        participants: Sequence[Participant],
        now: Instant,
        options: RoomOptions | None = None,
        event_sequence: int = 0,
        focus: UUID | None = None,
        talk_to: UUID | None = None,
    ) -> None:
        if len(participants) > PARTICIPANTS_MAX:
            raise NotAllowedError(f"a live session has at most {PARTICIPANTS_MAX} participants")
        self.id = live_session_id
        self.title = title
        self.state = state
        self.options = options or RoomOptions()
        self.event_sequence = event_sequence
        self.focus = focus
        self.talk_to = talk_to
        self.version = 1
        """Rises with everything that `snapshot` shows."""
        self._participants = {participant.id: participant for participant in participants}
        self._chosen_sources: dict[tuple[UUID, str], UUID | None] = {}
        self._therapist_gone_ns = now.monotonic_ns
        self._events: list[RoomEvent] = []
        self._changed: set[UUID] = set()
        self._live_session_changed = False
        self._freed: list[UUID] = []

    # --- what is so ---

    @property
    def participants(self) -> tuple[Participant, ...]:
        """Return everybody in the order of the seats."""
        return tuple(self._participants.values())

    def participant(self, participant_id: UUID) -> Participant:
        """Return one participant, or raise `UnknownParticipantError`."""
        try:
            return self._participants[participant_id]
        except KeyError:
            raise UnknownParticipantError("no such participant in this live session") from None

    def require_seat(self, participant_id: UUID) -> Participant:
        """Return somebody who holds a seat and has a socket, or say why not."""
        participant = self.participant(participant_id)
        if self.state not in RUNNING:
            raise NotAllowedError(f"the live session is {self.state}")
        if participant.state is ParticipantState.WAITING:
            raise NotAllowedError("not let in yet")
        if participant.state not in PRESENT:
            raise NotJoinedError("join first")
        return participant

    def bindings(self) -> dict[tuple[UUID, str], UUID | None]:
        """Return which participant belongs into which (viewer, slot); None clears a slot."""
        return {
            (viewer.id, slot): source
            for viewer in self.participants
            if viewer.state in SEATED
            for slot, source in self._slots_of(viewer)
        }

    def snapshot(self) -> dict[str, object]:
        """Return all that the web role tells pages, as JSON values; who may see what is decided by `live_view`."""
        slots: dict[str, dict[str, str | None]] = {str(participant.id): {} for participant in self.participants}
        for (viewer, slot), source in self.bindings().items():
            slots[str(viewer)][slot] = _text(source)
        return {
            "id": str(self.id),
            "title": self.title,
            "state": self.state.value,
            "version": self.version,
            "event_sequence": self.event_sequence,
            "focus": _text(self.focus),
            "talk_to": _text(self.talk_to),
            "sees": {
                str(viewer.id): [str(p.id) for p in self.participants if may_see(viewer, p, self.options)]
                for viewer in self.participants
            },
            "participants": [_describe(participant) for participant in self.participants],
            "slots": slots,
        }

    def take_changes(self) -> RoomChanges:
        """Return what has happened since the last call, and forget it."""
        changes = RoomChanges(
            events=tuple(self._events),
            participants=tuple(p for p in self.participants if p.id in self._changed),
            live_session_changed=self._live_session_changed or bool(self._events),
            freed_seats=tuple(self._freed),
        )
        self._events, self._changed, self._live_session_changed = [], set(), False
        self._freed = []
        return changes

    # --- what the participants do ---

    def record_creation(self, now: Instant) -> None:
        """Write down, as the first event, what no row holds: the order of the seats and the options."""
        data = {
            "participants": [str(participant_id) for participant_id in self._participants],
            "auto_admit": self.options.auto_admit,
            "patients_see_each_other": self.options.patients_see_each_other,
        }
        self._happen("created", now, **data)
        self._changed.update(self._participants)

    def add_helper(self, helper_id: UUID, patient_id: UUID, *, seat_id: UUID, now: Instant) -> UUID:
        """Give a helper a seat beside a patient and return it; whoever has one there keeps it.

        The seat comes behind all others, so that nobody's slots move.
        """
        for participant in self.participants:
            if participant.helper_id == helper_id and participant.patient_id == patient_id:
                return participant.id
        if self.state not in RUNNING:
            raise NotAllowedError(f"the live session is {self.state}")
        if not any(p.role is Role.PATIENT and p.patient_id == patient_id for p in self.participants):
            raise NotAllowedError("the patient has no seat here")
        if len(self._participants) >= PARTICIPANTS_MAX:
            raise NotAllowedError(f"a live session has at most {PARTICIPANTS_MAX} participants")
        self._put(Participant(id=seat_id, role=Role.HELPER, patient_id=patient_id, helper_id=helper_id))
        self._changed.add(seat_id)
        self._happen("seat", now, participant=str(seat_id))
        return seat_id

    def join(self, participant_id: UUID, *, connection: str, now: Instant) -> None:
        """Give the participant's seat to this socket; an older one finds out by its next heartbeat (`beat`)."""
        participant = self.participant(participant_id)
        if self.state not in RUNNING:
            raise NotAllowedError(f"the live session is {self.state}")
        let_in = participant.role is Role.THERAPIST or self.options.auto_admit or participant.admitted_at_us is not None
        event = ParticipantEvent.JOIN_ADMITTED if let_in else ParticipantEvent.JOIN
        self._move(participant_id, event, now)
        self._put(
            replace(
                self.participant(participant_id),
                connection=connection,
                heartbeat_ns=now.monotonic_ns,
                dropped_ns=None,
                left_at_us=None,
                link=Link.GOOD,
            )
        )
        if participant.role is Role.THERAPIST:
            self._move_live_session(LiveSessionEvent.THERAPIST_JOINED, now)

    def admit(self, by: UUID, participant_id: UUID, *, now: Instant) -> None:
        """Let somebody in who waits; nothing happens to one who has been let in already."""
        self._require_therapist(by)
        if self.participant(participant_id).state not in SEATED:
            self._move(participant_id, ParticipantEvent.ADMIT, now)

    def leave(self, participant_id: UUID, *, now: Instant) -> None:
        """Free the seat at once; the live session goes on."""
        if self.participant(participant_id).state in (PRESENT | SEATED):
            self._move(participant_id, ParticipantEvent.LEAVE, now)

    def remove(self, by: UUID, participant_id: UUID, *, now: Instant) -> None:
        """Keep somebody out from now on."""
        self._require_therapist(by)
        self._move(participant_id, ParticipantEvent.REMOVE, now)

    def drop(self, participant_id: UUID, *, connection: str, now: Instant) -> None:
        """Note that a socket is gone; the seat is kept for a minute. A replaced socket's end changes nothing."""
        participant = self.participant(participant_id)
        if participant.connection == connection and participant.state in PRESENT:
            self._move(participant_id, ParticipantEvent.DROP, now)
            self._judge(participant_id, now)

    def set_focus(self, by: UUID, participant_id: UUID | None, *, now: Instant) -> None:
        """Show one patient large, or nobody."""
        self._require_therapist(by)
        self._require_patient(participant_id)
        if participant_id != self.focus:
            self.focus = participant_id
            self._happen("focus", now, participant=_text(participant_id))

    def set_talk_to(self, by: UUID, participant_id: UUID | None, *, now: Instant) -> None:
        """Let one patient alone hear the therapist, or all again."""
        self._require_therapist(by)
        self._require_patient(participant_id)
        if participant_id != self.talk_to:
            self.talk_to = participant_id
            self._happen("talk_to", now, participant=_text(participant_id))

    def set_help(self, participant_id: UUID, *, on: bool, now: Instant) -> None:
        """Ask for help or take it back; also from the waiting room."""
        participant = self._require_present(participant_id)
        if on != (participant.help_since_us is not None):
            self._put(replace(participant, help_since_us=now.utc_us if on else None))
            self._happen("help", now, participant=str(participant_id), on=on)

    def set_pause(self, participant_id: UUID, *, on: bool, now: Instant) -> None:
        """Rest, or go on; measuring, pictures and voices go on meanwhile."""
        participant = self._require_present(participant_id)
        if on != (participant.paused_since_us is not None):
            self._put(replace(participant, paused_since_us=now.utc_us if on else None))
            self._happen("pause", now, participant=str(participant_id), on=on)

    def write_text(self, participant_id: UUID, text: str, *, now: Instant) -> None:
        """Write to the therapist, or as the therapist to all or to the one talked to."""
        participant = self.require_seat(participant_id)
        to = self.talk_to if participant.role is Role.THERAPIST else None
        self._happen("text", now, participant=str(participant_id), to=_text(to), text=text)

    def choose_source(self, by: UUID, slot: str, source: UUID | None) -> None:
        """Put somebody else into an own slot than the server chose."""
        viewer = self.require_seat(by)
        if source is not None and not may_see(viewer, self.participant(source), self.options):
            raise NotAllowedError("may not be seen by this participant")
        self._chosen_sources[by, slot] = source
        self.version += 1

    def end(self, by: UUID, *, now: Instant) -> None:
        """End the live session for all."""
        self._require_therapist(by)
        self._end(now)

    # --- what the shell observes ---

    def negotiated(self, participant_id: UUID, *, now: Instant) -> None:
        """Note that the engine answered one of the seat's connections."""
        self._move(participant_id, ParticipantEvent.NEGOTIATE, now)

    def beat(
        self, participant_id: UUID, *, connection: str, heard_ns: int, now: Instant, round_trip_ms: float | None = None
    ) -> bool:
        """Note when the socket was last heard; False says that it holds no seat here (any more)."""
        participant = self.participant(participant_id)
        if participant.connection != connection or participant.state not in PRESENT:
            return False
        newest_ns = max(heard_ns, participant.heartbeat_ns or 0)
        self._participants[participant_id] = replace(participant, heartbeat_ns=newest_ns, round_trip_ms=round_trip_ms)
        self._judge(participant_id, now)
        return True

    def observe_media(self, participant_id: UUID, report: MediaReport, *, now: Instant) -> None:
        """Take over what the engine knows of a seat."""
        participant = self.participant(participant_id)
        published = (participant.publishes_audio, participant.publishes_video)
        if published != (report.publishes_audio, report.publishes_video):
            self.version += 1
        self._participants[participant_id] = replace(
            participant,
            packet_ns=report.packet_ns,
            publishes_audio=report.publishes_audio,
            publishes_video=report.publishes_video,
            loss_share=report.loss_share,
        )
        if report.connected and participant.state is ParticipantState.CONNECTING:
            self._move(participant_id, ParticipantEvent.CONNECT, now)
        self._judge(participant_id, now)

    def tick(self, now: Instant) -> None:
        """Let time act: links, dead sockets, seats that were kept long enough, the therapist's absence."""
        for participant in self.participants:
            if participant.state in PRESENT and _since_s(participant.heartbeat_ns, now) > SOCKET_KEPT_S:
                self._move(participant.id, ParticipantEvent.DROP, now)
            elif participant.state is ParticipantState.RECONNECTING and (
                _since_s(participant.dropped_ns, now) > SEAT_KEPT_S
            ):
                self._move(participant.id, ParticipantEvent.SEAT_EXPIRE, now)
            self._judge(participant.id, now)
        if any(p.role is Role.THERAPIST and p.state in PRESENT for p in self.participants):
            self._therapist_gone_ns = now.monotonic_ns
            return
        due = due_event(self.state, therapist_gone_s=_since_s(self._therapist_gone_ns, now))
        if due is LiveSessionEvent.END:
            self._end(now)
        elif due is not None:
            self._move_live_session(due, now)

    def resume(self, now: Instant) -> None:
        """Begin again from the rows after a crash: whoever sat here has a minute to come back."""
        for participant in self.participants:
            if participant.state in PRESENT:
                self._move(participant.id, ParticipantEvent.DROP, now)
            elif participant.state is ParticipantState.RECONNECTING:
                self._put(replace(participant, dropped_ns=now.monotonic_ns))

    # --- helpers ---

    def _slots_of(self, viewer: Participant) -> Iterator[tuple[str, UUID | None]]:
        """Yield the slots of a viewer with the source that belongs there."""
        for number, source in enumerate(self._sources_of(viewer)):
            visible = source.state in SEATED
            heard = visible and (source.role is not Role.THERAPIST or self._is_talked_to(viewer))
            for slot, allowed in ((f"audio-{number}", heard), (f"video-{number}", visible)):
                chosen = self._chosen_sources.get((viewer.id, slot), source.id)
                if chosen is not None and chosen != source.id:
                    allowed = self._participants[chosen].state in SEATED
                yield slot, chosen if allowed else None

    def _is_talked_to(self, viewer: Participant) -> bool:
        """Tell whether a viewer hears the therapist: all do, or the one talked to and who sits beside."""
        if self.talk_to is None or self.talk_to == viewer.id:
            return True
        return viewer.role is Role.HELPER and self.participant(self.talk_to).patient_id == viewer.patient_id

    def _sources_of(self, viewer: Participant) -> list[Participant]:
        """Return whom a viewer has in the slots, in the order of the slots."""
        others = [p for p in self.participants if may_see(viewer, p, self.options)]
        if viewer.role is Role.THERAPIST:
            return [p for p in others if p.role is not Role.THERAPIST]
        return sorted(others, key=lambda p: p.role is not Role.THERAPIST)

    def _require_present(self, participant_id: UUID) -> Participant:
        participant = self.participant(participant_id)
        if participant.state not in PRESENT:
            raise NotJoinedError("join first")
        return participant

    def _require_therapist(self, participant_id: UUID) -> None:
        if self.require_seat(participant_id).role is not Role.THERAPIST:
            raise NotAllowedError("the therapist alone may do this")

    def _require_patient(self, participant_id: UUID | None) -> None:
        if participant_id is not None and self.participant(participant_id).role is not Role.PATIENT:
            raise NotAllowedError("not a patient of this live session")

    def _put(self, participant: Participant) -> None:
        self._participants[participant.id] = participant
        self.version += 1

    def _move(self, participant_id: UUID, event: ParticipantEvent, now: Instant) -> None:
        before = self._participants[participant_id]
        state = next_participant_state(before.state, event)
        if state is before.state:
            return
        after = replace(before, state=state)
        if state in SEATED and after.admitted_at_us is None:
            after = replace(after, admitted_at_us=now.utc_us)
        if state is ParticipantState.RECONNECTING:
            after = replace(after, dropped_ns=now.monotonic_ns)
        is_gone = state not in SEATED | PRESENT
        if is_gone:
            after = _without_connection(after, left_at_us=None if state is ParticipantState.INVITED else now.utc_us)
            if before.state in SEATED:
                self._freed.append(participant_id)
        self._put(after)
        self._changed.add(participant_id)
        self._happen("participant", now, participant=str(participant_id), state=state.value)
        if is_gone and before.help_since_us is not None:
            self._happen("help", now, participant=str(participant_id), on=False)
        if is_gone and before.paused_since_us is not None:
            self._happen("pause", now, participant=str(participant_id), on=False)
        if is_gone and participant_id == self.talk_to:
            self.talk_to = None  # or nobody would hear the therapist
            self._happen("talk_to", now, participant=None)

    def _move_live_session(self, event: LiveSessionEvent, now: Instant) -> None:
        state = next_live_session_state(self.state, event)
        if state is not self.state:
            self.state = state
            self._live_session_changed = True
            self._happen("live_session", now, state=state.value)

    def _end(self, now: Instant) -> None:
        self._move_live_session(LiveSessionEvent.END, now)
        for participant in self.participants:
            if participant.state in PRESENT | SEATED:
                self._move(participant.id, ParticipantEvent.LEAVE, now)

    def _judge(self, participant_id: UUID, now: Instant) -> None:
        participant = self._participants[participant_id]
        link = Link.LOST
        if participant.state in PRESENT:
            link = judge_link(
                heartbeat_silence_s=_since_s(participant.heartbeat_ns, now),
                packet_silence_s=None if participant.packet_ns is None else _since_s(participant.packet_ns, now),
                round_trip_ms=participant.round_trip_ms,
                loss_share=participant.loss_share,
            )
        if link is not participant.link:
            self._put(replace(participant, link=link))
            if participant.state in PRESENT and Link.LOST in (link, participant.link):
                self._happen("link", now, participant=str(participant_id), link=link.value)
        if participant.state is ParticipantState.CONNECTED and link is not Link.GOOD:
            self._set_quietly(participant_id, ParticipantEvent.WEAKEN)
        elif participant.state is ParticipantState.DEGRADED and link is Link.GOOD:
            self._set_quietly(participant_id, ParticipantEvent.RECOVER)

    def _set_quietly(self, participant_id: UUID, event: ParticipantEvent) -> None:
        """Move between connected and degraded: shown at once, but no event and no row for each wave of a weak link."""
        participant = self._participants[participant_id]
        self._put(replace(participant, state=next_participant_state(participant.state, event)))

    def _happen(self, kind: str, now: Instant, **data: object) -> None:
        self.event_sequence += 1
        self.version += 1
        self._events.append(RoomEvent(sequence=self.event_sequence, kind=kind, at_us=now.utc_us, data=data))


class LiveRooms:
    """The live sessions that run on one worker."""

    def __init__(self) -> None:
        self._rooms: dict[UUID, LiveRoom] = {}

    def __iter__(self) -> Iterator[LiveRoom]:
        return iter(tuple(self._rooms.values()))

    def __contains__(self, live_session_id: object) -> bool:
        return live_session_id in self._rooms

    def add(self, room: LiveRoom) -> None:
        """Run one more live session here."""
        self._rooms[room.id] = room

    def get(self, live_session_id: UUID) -> LiveRoom:
        """Return one, or raise `UnknownLiveSessionError`."""
        try:
            return self._rooms[live_session_id]
        except KeyError:
            raise UnknownLiveSessionError("this worker does not run it") from None

    def discard(self, live_session_id: UUID) -> None:
        """Forget one that has ended or belongs to another worker now."""
        self._rooms.pop(live_session_id, None)

    def tick(self, now: Instant) -> None:
        """Let time act on all of them."""
        for room in self:
            room.tick(now)


def _without_connection(participant: Participant, *, left_at_us: int | None) -> Participant:
    """Return the participant as one who is gone: nothing of the old connection is left to be mistaken for a new one."""
    return replace(
        participant,
        connection=None,
        heartbeat_ns=None,
        packet_ns=None,
        round_trip_ms=None,
        loss_share=None,
        dropped_ns=None,
        left_at_us=left_at_us,
        help_since_us=None,
        paused_since_us=None,
        publishes_audio=False,
        publishes_video=False,
    )


def _describe(participant: Participant) -> dict[str, object]:
    return {
        "id": str(participant.id),
        "role": participant.role.value,
        "account_id": _text(participant.account_id),
        "patient_id": _text(participant.patient_id),
        "helper_id": _text(participant.helper_id),
        "state": participant.state.value,
        "link": participant.link.value,
        "publishes": {"audio": participant.publishes_audio, "video": participant.publishes_video},
        "help_since_us": participant.help_since_us,
        "paused_since_us": participant.paused_since_us,
    }


def _since_s(then_ns: int | None, now: Instant) -> float:
    """Return the time since then [s]; what was never heard is silent for ever."""
    return float("inf") if then_ns is None else (now.monotonic_ns - then_ns) * _S_PER_NS


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
