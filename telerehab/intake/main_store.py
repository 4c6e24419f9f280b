"""What intake has to do with the main database, in one thread: write repetitions, read who trains, say that it is well.

The intake loop never waits for it. A repetition that could not be written is tried again; the newest `Places` is there
to be taken whenever something changed.
"""

import logging
import math
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from telerehab.clock import Clock, utc_now
from telerehab.db.engine import reading, writing
from telerehab.db.tables import Repetition
from telerehab.db.workers import BEAT_INTERVAL_S, Heartbeat
from telerehab.intake.hot_reads import table_of
from telerehab.intake.places import Places, read_places
from telerehab.intake.slots import EndedRepetition

log = logging.getLogger(__name__)

OWNER: Final = "ingest"
PAUSE_MIN_S: Final = 0.1
QUEUE_MAX_REPETITIONS: Final = 10_000


class MainStore:
    """Owner of the thread.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        The main database.
    heartbeat : Heartbeat
        Registered already.
    status : callable
        Returns what the heartbeat tells; called in the thread.
    """

    def __init__(
        self, engine: sa.Engine, *, heartbeat: Heartbeat, status: Callable[[], Mapping[str, Any]], clock: Clock
    ) -> None:
        self._engine = engine
        self._heartbeat = heartbeat
        self._status = status
        self._clock = clock
        self._changed = threading.Condition()
        self._queue: deque[EndedRepetition] = deque(maxlen=QUEUE_MAX_REPETITIONS)
        self._places: Places | None = None
        self._is_woken = False
        self._is_closing = False
        self._last_beat_ns = clock.monotonic_ns()
        self.refused_count = 0
        self._thread = threading.Thread(target=self._run, name="main store", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write(self, ended: Sequence[EndedRepetition]) -> None:
        """Queue repetitions; when even ten thousand wait, the oldest are given up (blocks are the record)."""
        if ended:
            with self._changed:
                self._queue.extend(ended)
                self._wake()

    def look_again(self) -> None:
        """Read the places now: somebody said that a row changed."""
        with self._changed:
            self._wake()

    def take_places(self) -> Places | None:
        """Return what was read since the last call, None when nothing was."""
        with self._changed:
            places, self._places = self._places, None
        return places

    def close(self, *, timeout_s: float) -> bool:
        """Write what is queued, end the thread; return whether everything was written in time."""
        with self._changed:
            self._is_closing = True
            self._wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._queue

    def _wake(self) -> None:
        self._is_woken = True
        self._changed.notify_all()

    def _run(self) -> None:
        """Do a round every two seconds, sooner when woken; the last one after closing."""
        is_last = False
        while not is_last:
            with self._changed:
                self._changed.wait_for(lambda: self._is_woken, timeout=BEAT_INTERVAL_S)
                self._is_woken = False
                is_last = self._is_closing
            try:
                self._make_round()
            except SQLAlchemyError as error:
                self.refused_count += 1
                log.warning("the main database refused: %s", type(error).__name__)
            with self._changed:
                self._changed.wait_for(lambda: self._is_closing, timeout=PAUSE_MIN_S)

    def _make_round(self) -> None:
        """Write, beat when due, read."""
        with self._changed:
            waiting = list(self._queue)
        self._write(waiting)
        with self._changed:
            for _ in waiting:
                self._queue.popleft()
        now_ns = self._clock.monotonic_ns()
        if now_ns - self._last_beat_ns >= BEAT_INTERVAL_S * 1e9:
            self._last_beat_ns = now_ns
            self._heartbeat.beat(self._status())
        with reading(self._engine) as db:
            places = read_places(db, now=utc_now(self._clock))
        with self._changed:
            self._places = places

    def _write(self, ended: Sequence[EndedRepetition]) -> None:
        """Write repetitions, those that are there already stay; a training session that is gone takes its own along."""
        try:
            write_repetitions(self._engine, ended)
        except IntegrityError:
            for repetition in ended:
                try:
                    write_repetitions(self._engine, [repetition])
                except IntegrityError:
                    log.warning("a repetition of a training session that is gone was left out")


def write_repetitions(engine: sa.Engine, ended: Sequence[EndedRepetition]) -> None:
    """Insert repetitions; those whose index is there already stay as they are."""
    if not ended:
        return
    make = sqlite.insert if engine.dialect.name == "sqlite" else postgresql.insert
    with writing(engine, owner=OWNER) as db:
        db.connection().execute(
            make(table_of(Repetition)).on_conflict_do_nothing(), [_row(repetition) for repetition in ended]
        )


def _row(repetition: EndedRepetition) -> dict[str, Any]:
    """Return the row of the table `repetition`."""
    row = repetition.row
    return {
        "training_session_id": repetition.training_session,
        "index": repetition.index,
        "start_us": repetition.start_us,
        "stop_us": repetition.stop_us,
        "rom_deg": _finite(row["rom_deg"]),
        "up_s": _finite(row["up_s"]),
        "hold_s": _finite(row["hold_s"]),
        "down_s": _finite(row["down_s"]),
        "peak_speed_deg_s": _finite(row["peak_speed_deg_s"]),
        "trust": _finite(row["trust"]),
        "reason": int(row["reason"]),
        "algorithm_version": str(row["algorithm_version"]),
        "data": {
            "peak_us": repetition.peak_us,
            "peak_angle_deg": _finite(row["peak_angle_deg"]),
            "kind": int(row["kind"]),
            "trust_completeness": _finite(row["trust_completeness"]),
            "trust_calibration": _finite(row["trust_calibration"]),
        },
    }


def _finite(value: float) -> float:
    """Return a number that every database keeps; what is unknown counts nothing."""
    return float(value) if math.isfinite(value) else 0.0
