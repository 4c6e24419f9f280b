"""The accounts of training sessions: what became of every block that their devices numbered."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.attribution import Lending
from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.clock import to_us
from telerehab.db.assignment_rows import read_wearers, to_lending
from telerehab.db.ledger_rows import read_duplicates, read_holes, read_tallies
from telerehab.db.repositories.training_sessions import TrainingSessionRepository
from telerehab.db.tables import Assignment, TrainingSession
from telerehab.intake.hot_reads import read_clocks
from telerehab.ledger import StreamLedger, Window, make_ledger


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingLedger:
    """The streams of a training session, and its devices of which nothing came."""

    streams: Sequence[StreamLedger]
    silent: Sequence[str]


class LedgerRepository:
    """The accounts of the training sessions that one reader may see."""

    def __init__(self, db: Session, *, hot: Session, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._hot = hot
        self._now = now
        self._training_sessions = TrainingSessionRepository(db, reader=reader, now=now, key_ring=key_ring)

    def get(self, training_session_id: UUID) -> TrainingLedger:
        """Return the account of a training session.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see results.
        """
        row = self._training_sessions.get(training_session_id, Scope.SEE_RESULTS)
        return read_training_ledger(self._db, self._hot, row, now=self._now)


def read_training_ledger(db: Session, hot: Session, row: TrainingSession, *, now: datetime) -> TrainingLedger:
    """Return the account of what the patient's devices measured while a training session was open.

    As everywhere, the clock fits and the assignments decide what that is: a boot without fit is in no account.
    """
    opened_us, closed_us = to_us(row.opened_at), to_us(row.closed_at or now)
    lent = _read_lent(db, read_wearers(db, [row.id])[row.id], opened_us, closed_us)
    clocks = read_clocks(hot, lent)
    windows: dict[tuple[str, int], Window] = {}
    for (device, boot), clock in clocks.items():
        spans = [
            (max(opened_us, each.start_us), closed_us if each.stop_us is None else min(closed_us, each.stop_us))
            for each in lent[device]
        ]
        start_us, stop_us = max(spans, key=lambda span: span[1] - span[0])  # more than one: lent anew meanwhile
        windows[device, boot] = (clock.to_device_us(start_us), clock.to_device_us(stop_us))
    streams = make_ledger(
        read_tallies(hot, windows, clocks=clocks),
        read_holes(hot, windows),
        read_duplicates(hot, windows),
        windows=windows,
    )
    heard = {stream.device for stream in streams}
    return TrainingLedger(streams=streams, silent=[device for device in lent if device not in heard])


def _read_lent(db: Session, patients: Collection[UUID], start_us: int, stop_us: int) -> Mapping[str, Sequence[Lending]]:
    """Return the lendings to these patients that share a moment with `[start_us, stop_us)`, by device."""
    found: dict[str, list[Lending]] = {}
    statement = select(Assignment).where(col(Assignment.patient_id).in_(list(patients)))
    for assignment in db.exec(statement.order_by(col(Assignment.starts_at))):
        lending = to_lending(assignment)
        if lending.touches(start_us, stop_us):
            found.setdefault(assignment.device_name, []).append(lending)
    return found
