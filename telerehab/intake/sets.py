"""Which set a repetition belongs to, and how many the set that is trained now has.

A repetition belongs to the set in which it started: sets are half-open and do not overlap, so that is one set or,
between two sets, none. It is decided from the rows in the transaction that writes the repetition; intake that was
restarted decides the same.
"""

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, func, select

from telerehab.clock import to_us
from telerehab.db.tables import Repetition, TrainingSet

STARTS_MAX: Final = 1_000
NO_SET: Final = -1


@dataclass(frozen=True, kw_only=True, slots=True)
class SetSpan:
    """When a set is trained, `[started_us, ended_us)` of the server's UTC; None: it has not ended."""

    id: UUID
    started_us: int
    ended_us: int | None

    def contains(self, at_us: int) -> bool:
        """Return whether a moment lies in the set."""
        return self.started_us <= at_us and (self.ended_us is None or at_us < self.ended_us)


def set_at(spans: Sequence[SetSpan], at_us: int) -> UUID | None:
    """Return the set that was trained at a moment; `spans` in their order, none overlaps another."""
    place = bisect_right(spans, at_us, key=lambda span: span.started_us)
    return spans[place - 1].id if place and spans[place - 1].contains(at_us) else None


@dataclass(kw_only=True, slots=True)
class SetCount:
    """The repetitions of the set that is trained now, as screens are shown them.

    What intake learns of a set comes a moment after the set began or ended; the starts of the last repetitions are
    kept, so that the count is right from then on.
    """

    span: SetSpan | None = None
    _stored: int = 0
    _starts_us: deque[int] = field(default_factory=lambda: deque(maxlen=STARTS_MAX))

    @property
    def value(self) -> int:
        """Return the count, `NO_SET` where the training session has no sets."""
        span = self.span
        return NO_SET if span is None else self._stored + sum(span.contains(start) for start in self._starts_us)

    def follow(self, span: SetSpan | None) -> None:
        """Take over which set is trained now, and whether it has ended."""
        if span is None or self.span is None or span.id != self.span.id:
            self._stored = 0
        self.span = span

    def note(self, start_us: int) -> None:
        """Note a repetition that ended now and started then."""
        self._starts_us.append(start_us)

    def count_from(self, already_counted: int) -> None:
        """After a restart: begin with what is stored."""
        self._stored = already_counted
        self._starts_us.clear()


def to_span(row: TrainingSet) -> SetSpan:
    """Return when a set is trained."""
    return SetSpan(
        id=row.id, started_us=to_us(row.started_at), ended_us=None if row.ended_at is None else to_us(row.ended_at)
    )


def read_spans(db: Session, training_sessions: Iterable[UUID]) -> Mapping[UUID, Sequence[SetSpan]]:
    """Return the sets of training sessions, in their order."""
    spans: dict[UUID, list[SetSpan]] = {}
    statement = select(TrainingSet).where(col(TrainingSet.training_session_id).in_(set(training_sessions)))
    for row in db.exec(statement.order_by(col(TrainingSet.number))):
        spans.setdefault(row.training_session_id, []).append(to_span(row))
    return spans


def read_set_counts(db: Session, sets: Iterable[UUID]) -> Mapping[UUID, int]:
    """Return how many repetitions are stored of each set that has any."""
    statement = (
        select(Repetition.training_set_id, func.count())
        .where(col(Repetition.training_set_id).in_(set(sets)))
        .group_by(col(Repetition.training_set_id))
    )
    return {identifier: count for identifier, count in db.exec(statement) if identifier is not None}
