"""The rows of live sessions and of the media worker that runs them; plain functions of a database, for a thread.

A live session belongs to the worker whose id is in its row. Every write asks for that first, so that a worker that was
believed dead and comes back cannot write over the one that took over.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import delete, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from sessions.live_rooms import LiveRoom, Participant, RoomEvent, RoomOptions
from sessions.live_session import RUNNING, LiveSessionState
from sessions.participant import ParticipantState, Role
from sessions.ports import Instant
from telerehab.clock import from_us, to_us
from telerehab.db import tables
from telerehab.db.engine import Database, reading, writing

OWNER: Final = "media"
_REMEMBERED_KINDS: Final = ("created", "seat", "focus", "talk_to", "help", "pause")


@dataclass(frozen=True, kw_only=True, slots=True)
class RoomRecord:
    """What changed in one live session, to be written in one transaction."""

    live_session_id: UUID
    state: LiveSessionState
    event_sequence: int
    at_us: int
    events: tuple[RoomEvent, ...]
    participants: tuple[Participant, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class WorkerAddress:
    """Where a media worker is reached."""

    id: UUID
    address: str
    secret: str
    heartbeat_at: datetime


class LiveStore:
    """The rows that one media worker owns."""

    def __init__(self, database: Database, *, worker_id: UUID) -> None:
        self._database = database
        self.worker_id = worker_id

    # --- live sessions ---

    def create(self, room: LiveRoom, record: RoomRecord, *, organisation_id: UUID, therapist_account_id: UUID) -> bool:
        """Write a new live session; False when its rows are there already or name somebody who does not exist."""
        try:
            with writing(self._database.main, owner=OWNER) as db:
                db.add(
                    tables.LiveSession(
                        id=room.id,
                        organisation_id=organisation_id,
                        title=room.title,
                        therapist_account_id=therapist_account_id,
                        state=room.state.value,
                        worker_id=self.worker_id,
                        opened_at=from_us(record.at_us),
                    )
                )
                db.flush()
                _write_record(db, record)
        except IntegrityError:
            return False
        return True

    def write(self, records: Sequence[RoomRecord]) -> frozenset[UUID]:
        """Write all records in one transaction; return the live sessions that belong to another worker now."""
        try:
            with writing(self._database.main, owner=OWNER) as db:
                return self._write_own(db, records)
        except IntegrityError:
            if len(records) == 1:  # somebody else wrote this event: the live session runs elsewhere
                return frozenset({records[0].live_session_id})
            return frozenset().union(*(self.write([record]) for record in records))

    def read_owner(self, live_session_id: UUID) -> tuple[LiveSessionState, UUID | None] | None:
        """Return state and worker of a live session; None when there is no such."""
        with reading(self._database.main) as db:
            row = db.get(tables.LiveSession, live_session_id)
            return None if row is None else (LiveSessionState(row.state), row.worker_id)

    def claim(self, live_session_id: UUID, *, from_worker: UUID | None) -> bool:
        """Take a live session over from a worker; False when somebody else was faster."""
        with writing(self._database.main, owner=OWNER) as db:
            is_from = (
                col(tables.LiveSession.worker_id).is_(None)
                if from_worker is None
                else col(tables.LiveSession.worker_id) == from_worker
            )
            claimed = db.exec(
                update(tables.LiveSession)
                .where(col(tables.LiveSession.id) == live_session_id, is_from)
                .values(worker_id=self.worker_id)
            )
            return bool(claimed.rowcount == 1)

    def read_room(self, live_session_id: UUID, *, now: Instant) -> LiveRoom | None:
        """Make a live session again from its rows; nobody sits in it until they come back."""
        with reading(self._database.main) as db:
            row = db.get(tables.LiveSession, live_session_id)
            if row is None:
                return None
            people = db.exec(
                select(tables.Participant).where(tables.Participant.live_session_id == live_session_id)
            ).all()
            events = db.exec(
                select(tables.LiveEvent)
                .where(
                    tables.LiveEvent.live_session_id == live_session_id,
                    col(tables.LiveEvent.kind).in_(_REMEMBERED_KINDS),
                )
                .order_by(col(tables.LiveEvent.sequence))
            ).all()
        return _restore(row, people, events, now=now)

    def running_elsewhere(self) -> dict[UUID, UUID | None]:
        """Return the running live sessions of other workers, with those."""
        states = [state.value for state in RUNNING]
        with reading(self._database.main) as db:
            rows = db.exec(select(tables.LiveSession).where(col(tables.LiveSession.state).in_(states))).all()
            return {row.id: row.worker_id for row in rows if row.worker_id != self.worker_id}

    # --- workers ---

    def forget_worker(self, worker_id: UUID) -> None:
        """Take away the row of a worker found dead."""
        with writing(self._database.main, owner=OWNER) as db:
            db.exec(delete(tables.Worker).where(col(tables.Worker.id) == worker_id))

    def other_workers(self) -> list[WorkerAddress]:
        """Return the other media workers, living or not."""
        return [worker for worker in read_workers(self._database) if worker.id != self.worker_id]

    def _write_own(self, db: Session, records: Sequence[RoomRecord]) -> frozenset[UUID]:
        lost = set()
        for record in records:
            claimed = db.exec(
                update(tables.LiveSession)
                .where(
                    col(tables.LiveSession.id) == record.live_session_id,
                    col(tables.LiveSession.worker_id) == self.worker_id,
                )
                .values(worker_id=self.worker_id)
            )
            if claimed.rowcount == 1:
                _write_record(db, record)
            else:
                lost.add(record.live_session_id)
        return frozenset(lost)


def read_workers(database: Database) -> list[WorkerAddress]:
    """Return every media worker that has said where it is."""
    with reading(database.main) as db:
        rows = db.exec(select(tables.Worker).where(tables.Worker.role == OWNER)).all()
    return [
        WorkerAddress(id=row.id, address=row.address, secret=row.secret, heartbeat_at=row.heartbeat_at)
        for row in rows
        if row.address is not None and row.secret is not None
    ]


def read_events(database: Database, live_session_id: UUID, *, after: int, limit: int) -> list[RoomEvent]:
    """Return the events of a live session after a sequence number, in order."""
    with reading(database.main) as db:
        rows = db.exec(
            select(tables.LiveEvent)
            .where(tables.LiveEvent.live_session_id == live_session_id, col(tables.LiveEvent.sequence) > after)
            .order_by(col(tables.LiveEvent.sequence))
            .limit(limit)
        ).all()
    return [RoomEvent(sequence=row.sequence, kind=row.kind, at_us=to_us(row.at), data=row.data) for row in rows]


def _write_record(db: Session, record: RoomRecord) -> None:
    row = db.get_one(tables.LiveSession, record.live_session_id)
    row.state = record.state.value
    row.event_sequence = record.event_sequence
    row.version += 1
    if record.state not in RUNNING and row.ended_at is None:
        row.ended_at = from_us(record.at_us)
    db.add(row)
    for participant in record.participants:
        db.merge(
            tables.Participant(
                id=participant.id,
                live_session_id=record.live_session_id,
                role=participant.role.value,
                account_id=participant.account_id,
                patient_id=participant.patient_id,
                helper_id=participant.helper_id,
                state=participant.state.value,
                admitted_at=None if participant.admitted_at_us is None else from_us(participant.admitted_at_us),
                left_at=None if participant.left_at_us is None else from_us(participant.left_at_us),
            )
        )
    db.add_all(
        tables.LiveEvent(
            live_session_id=record.live_session_id,
            sequence=event.sequence,
            kind=event.kind,
            at=from_us(event.at_us),
            data=dict(event.data),
        )
        for event in record.events
    )
    db.flush()


def _restore(
    row: tables.LiveSession,
    people: Sequence[tables.Participant],
    events: Sequence[tables.LiveEvent],
    *,
    now: Instant,
) -> LiveRoom:
    """Make the live session from its rows; what no row holds is in its events."""
    created = next((event.data for event in events if event.kind == "created"), {})
    added = [event.data["participant"] for event in events if event.kind == "seat"]
    order = {seat: number for number, seat in enumerate([*created.get("participants", ()), *added])}
    help_since_us, paused_since_us = _read_since_us(events, "help"), _read_since_us(events, "pause")
    participants = [
        Participant(
            id=person.id,
            role=Role(person.role),
            account_id=person.account_id,
            patient_id=person.patient_id,
            helper_id=person.helper_id,
            state=ParticipantState(person.state),
            admitted_at_us=None if person.admitted_at is None else to_us(person.admitted_at),
            left_at_us=None if person.left_at is None else to_us(person.left_at),
            help_since_us=help_since_us.get(str(person.id)),
            paused_since_us=paused_since_us.get(str(person.id)),
        )
        for person in sorted(people, key=lambda person: (order.get(str(person.id), len(order)), str(person.id)))
    ]
    return LiveRoom(
        row.id,
        title=row.title,
        state=LiveSessionState(row.state),
        participants=participants,
        now=now,
        options=RoomOptions(
            auto_admit=bool(created.get("auto_admit", False)),
            patients_see_each_other=bool(created.get("patients_see_each_other", False)),
        ),
        event_sequence=row.event_sequence,
        focus=_last_choice(events, "focus"),
        talk_to=_last_choice(events, "talk_to"),
    )


def _read_since_us(events: Sequence[tables.LiveEvent], kind: str) -> dict[str, int | None]:
    """Return, by participant, since when a switch (`on`: true or false) has been on; None where it is off."""
    return {
        event.data["participant"]: to_us(event.at) if event.data["on"] else None
        for event in events
        if event.kind == kind
    }


def _last_choice(events: Sequence[tables.LiveEvent], kind: str) -> UUID | None:
    chosen = next((event.data["participant"] for event in reversed(events) if event.kind == kind), None)
    return None if chosen is None else UUID(chosen)
