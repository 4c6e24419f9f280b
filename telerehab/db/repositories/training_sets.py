"""The sets of training sessions: started and ended by the page, one at a time, each under an id that the page chose."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, func, select

from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.db.changes import note_change
from telerehab.db.repositories.alerts import require_no_open_stop
from telerehab.db.repositories.training_sessions import LATE_MAX, TrainingSessionRepository
from telerehab.db.tables import TrainingSession, TrainingSet
from telerehab.db.training_rows import CLOSED, CLOSED_BY_US, NEXT, note_new_version
from telerehab.errors import ConflictError, NotFoundError

SETS_MAX: Final = 300
"""Of one training session."""
_TABLE: Final = "training_set"
_ENDED_BY_US: Final = frozenset({NEXT, CLOSED})


@dataclass(kw_only=True, frozen=True, slots=True)
class SetWish:
    """What a set shall be."""

    exercise: str
    side: str
    target_low_deg: float | None
    target_high_deg: float | None
    target_repetitions: int | None
    plan_item: int | None
    set_number: int | None
    at: datetime | None = None
    """When it began, as the page says; None: now."""


class TrainingSetRepository:
    """The sets of the training sessions of one reader."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._now = now
        self._training_sessions = TrainingSessionRepository(db, reader=reader, now=now, key_ring=key_ring)

    def start(self, training_session_id: UUID, set_id: UUID, wish: SetWish) -> TrainingSet:
        """Start a set, which ends the one before; or change the targets of the set that is trained.

        The training session's exercise, side and targets follow. What a tablet did while its line was down, and the
        program closed the training session meanwhile, is still taken in.

        Raises
        ------
        NotFoundError
            The reader may not train with the patient, or the set is another training session's.
        ConflictError
            The training session was closed by somebody, the id is another set's, there are too many, or a stop waits
            for a confirmation (code `stop_unconfirmed`).
        """
        row = self._training_sessions.get_locked(training_session_id)
        known = self._db.get(TrainingSet, set_id)
        if known is not None:
            return self._change(row, known, wish)
        is_late = row.closed_at is not None
        if is_late and (row.close_reason not in CLOSED_BY_US or self._is_older_than_a_day(row)):
            raise ConflictError("this training session is closed")
        if not is_late:
            require_no_open_stop(self._db, row.patient_id)
        before = self._last(row)
        number = 1 if before is None else before.number + 1
        if number > SETS_MAX:
            raise ConflictError("this training session has too many sets")
        started_at = self._moment(row, wish.at, after=before)
        if before is not None and before.ended_at is None:
            self._end(before, NEXT, started_at)
        training_set = TrainingSet(
            id=set_id,
            training_session_id=row.id,
            number=number,
            plan_item=wish.plan_item,
            set_number=wish.set_number,
            exercise=wish.exercise,
            side=wish.side,
            target_low_deg=wish.target_low_deg,
            target_high_deg=wish.target_high_deg,
            target_repetitions=wish.target_repetitions,
            started_at=started_at,
            ended_at=row.closed_at,
            end_reason=CLOSED if is_late else None,
        )
        self._db.add(training_set)
        self._db.flush()
        note_change(self._db, _TABLE, set_id, version=1)
        if not is_late:
            self._follow(row, training_set)
        return training_set

    def end(
        self,
        training_session_id: UUID,
        set_id: UUID,
        *,
        reason: str,
        counted_repetitions: int | None,
        at: datetime | None = None,
    ) -> TrainingSet:
        """End a set. What the page says of a set that ended by itself is taken in once; its end stays.

        Raises
        ------
        NotFoundError
            There is no such set, or the reader may not train with the patient.
        ConflictError
            It ended otherwise.
        """
        row = self._training_sessions.get_locked(training_session_id)
        training_set = self._require(row, set_id)
        if training_set.ended_at is None:
            self._end(training_set, reason, max(self._moment(row, at, after=None), training_set.started_at))
        elif training_set.end_reason in _ENDED_BY_US:
            training_set.end_reason = reason
        elif (training_set.end_reason, training_set.counted_repetitions) != (reason, counted_repetitions):
            raise ConflictError("this set ended otherwise")
        else:
            return training_set
        training_set.counted_repetitions = counted_repetitions
        self._db.add(training_set)
        note_change(self._db, _TABLE, set_id, version=2)
        note_new_version(self._db, row)
        return training_set

    def _require(self, row: TrainingSession, set_id: UUID) -> TrainingSet:
        training_set = self._db.get(TrainingSet, set_id)
        if training_set is None or training_set.training_session_id != row.id:
            raise NotFoundError("no such set")
        return training_set

    def _change(self, row: TrainingSession, known: TrainingSet, wish: SetWish) -> TrainingSet:
        """Return the set as it is, with other targets where it is trained now."""
        if known.training_session_id != row.id:
            raise NotFoundError("no such set")
        same = (known.exercise, known.side, known.plan_item, known.set_number)
        if same != (wish.exercise, wish.side, wish.plan_item, wish.set_number):
            raise ConflictError("this set was started as something else")
        targets = (wish.target_low_deg, wish.target_high_deg, wish.target_repetitions)
        if targets == (known.target_low_deg, known.target_high_deg, known.target_repetitions):
            return known
        if known.ended_at is not None:
            raise ConflictError("this set has ended")
        known.target_low_deg, known.target_high_deg, known.target_repetitions = targets
        self._db.add(known)
        note_change(self._db, _TABLE, known.id, version=1)
        self._follow(row, known)
        return known

    def _follow(self, row: TrainingSession, training_set: TrainingSet) -> None:
        """Let the training session show what is trained now."""
        if (row.exercise, row.side) != (training_set.exercise, training_set.side):
            row.exercise, row.side = training_set.exercise, training_set.side
            row.exercise_since = training_set.started_at
        row.target_low_deg, row.target_high_deg = training_set.target_low_deg, training_set.target_high_deg
        row.target_repetitions = training_set.target_repetitions
        row.training_set_id = training_set.id
        note_new_version(self._db, row)

    def _last(self, row: TrainingSession) -> TrainingSet | None:
        last = select(func.max(TrainingSet.number)).where(col(TrainingSet.training_session_id) == row.id)
        return self._db.exec(
            select(TrainingSet).where(
                col(TrainingSet.training_session_id) == row.id, col(TrainingSet.number) == last.scalar_subquery()
            )
        ).first()

    def _end(self, training_set: TrainingSet, reason: str, at: datetime) -> None:
        training_set.ended_at, training_set.end_reason = at, reason
        self._db.add(training_set)

    def _moment(self, row: TrainingSession, said: datetime | None, *, after: TrainingSet | None) -> datetime:
        """Return when something happened: as the page says, within the training session and after the set before."""
        latest = row.closed_at or self._now
        earliest = row.opened_at
        if after is not None:
            earliest = max(earliest, after.ended_at or after.started_at)
        if said is None or self._now - said > LATE_MAX:
            said = latest
        return max(min(said, latest), earliest)

    def _is_older_than_a_day(self, row: TrainingSession) -> bool:
        return row.closed_at is not None and self._now - row.closed_at > LATE_MAX
