"""The hot store: one thread commits what has arrived, in groups, and only then says so.

The intake loop hands groups over and goes on at once; it never waits for the disk. What has been committed comes back
as keys (`take_committed`), and only these may be acknowledged to devices. Between two groups the thread deletes what
the archive has taken over (`forget`), a bounded number of blocks at a time. When disk or database refuse, nothing is
reported, the same rows are tried again after a pause, and `is_storing` tells the screens; the thread itself goes on.
"""

import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import InterfaceError, OperationalError, SQLAlchemyError
from sqlmodel import Session, SQLModel

from devices.effects import BlockKey, SequenceRun, StepEffects, StoreBlock
from devices.ports import Token
from telerehab.db.engine import reading, writing
from telerehab.db.ledger_rows import keep_counts
from telerehab.db.tables import Block, ClockFit, DeviceReport, DuplicateCount, Gap, Quarantine, SealedRun
from telerehab.intake.hot_reads import read_clocks, table_of
from telerehab.intake.wipes import is_empty

log = logging.getLogger(__name__)

OWNER: Final = "ingest"
GROUP_WAIT_S: Final = 0.075
GROUP_WAIT_MAX_S: Final = 0.4
REST_FACTOR: Final = 4.0
"""The thread rests this many times as long as its last commit took, up to `GROUP_WAIT_MAX_S`: under load groups grow.

Each stream has a page of its own: two blocks of it in one commit cost little more than one.
"""
GROUP_MAX_ROWS: Final = 5_000
QUEUE_MAX_ROWS: Final = 20_000
FORGET_MAX_BLOCKS: Final = 2_000
"""Blocks that are deleted between two groups."""
RETRY_DELAY_S: Final = 0.5
_FIRST_OF: Final = MappingProxyType({"blocks": "sequence", "gaps": "start_sequence"})
"""Column of the first sequence that a row speaks of, by the name of its statement."""

Rows = list[dict[str, Any]]


class ForgottenPart(NamedTuple):
    """How many blocks were deleted, and what of the run is still to be done."""

    block_count: int
    rest: SequenceRun | None


class HotStore:
    """Owner of the store thread.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        The hot store.
    group_wait_s : float
        How long, at least, the thread lets rows gather before it commits them together. [s]
    retry_delay_s : float
        Pause after a refused commit. [s]
    """

    def __init__(
        self,
        engine: sa.Engine,
        *,
        group_wait_s: float = GROUP_WAIT_S,
        retry_delay_s: float = RETRY_DELAY_S,
        queue_max_rows: int = QUEUE_MAX_ROWS,
    ) -> None:
        self._engine = engine
        self._statements = _make_statements(engine.dialect.name)
        self._insert_blocks = _compile_blocks(engine.dialect, self._statements["blocks"])
        self._group_wait_s = group_wait_s
        self._retry_delay_s = retry_delay_s
        self._queue_max_rows = queue_max_rows
        self._changed = threading.Condition()
        self._queue: deque[_Group] = deque()
        self._n_queued_rows = 0  # including the rows that the thread is committing
        self._committed: list[BlockKey | SequenceRun] = []
        self._committed_tokens: list[Token] = []
        self._to_forget: deque[SequenceRun] = deque()
        self._is_closing = False
        self._is_given_up = False
        self._is_storing = True
        self._commit_took_s = 0.0
        self.committed_block_count = 0
        self.forgotten_block_count = 0
        self.refused_commit_count = 0
        self.poisonous_row_count = 0
        self._thread = threading.Thread(target=self._run, name="hot store", daemon=True)

    @property
    def is_storing(self) -> bool:
        """Return whether the last commit succeeded and there is room for more."""
        return self._is_storing and self._n_queued_rows < self._queue_max_rows

    @property
    def has_room(self) -> bool:
        """Return whether the queue is less than half full: then devices may be asked for what is missing."""
        return self._n_queued_rows < self._queue_max_rows // 2

    @property
    def is_alive(self) -> bool:
        """Return whether the thread runs."""
        return self._thread.is_alive()

    @property
    def n_queued_rows(self) -> int:
        """Return how many rows wait for their commit."""
        return self._n_queued_rows

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def offer(self, effects: StepEffects, *, tokens: Sequence[Token] = ()) -> bool:
        """Queue what a step wants kept; False, and nothing is queued, when the queue is full.

        An empty queue takes a step of any size: otherwise one that is too large would be refused for ever.
        What is not queued is never acknowledged, so devices keep it and send it again. `tokens` are those of the
        messages that the step has taken: they come back when this group and all before it are committed, also where
        the messages were duplicates and nothing of them is kept.
        """
        if not count_rows(effects) and not tokens:
            return True
        group = _Group(replace(effects, live=(), outgoing=()), tokens)
        n_rows = group.weight
        with self._changed:
            is_full = self._n_queued_rows > 0 and self._n_queued_rows + n_rows > self._queue_max_rows
            if self._is_closing or is_full:
                return False
            self._queue.append(group)
            self._n_queued_rows += n_rows
            self._changed.notify_all()
        return True

    def take_committed(self) -> list[BlockKey | SequenceRun]:
        """Return what was committed since the last call, to hand to `Ingest.committed`: blocks, and what is lost."""
        with self._changed:
            committed, self._committed = self._committed, []
        return committed

    def take_committed_tokens(self) -> list[Token]:
        """Return the tokens whose messages are committed since the last call, in the order of their arrival."""
        with self._changed:
            committed, self._committed_tokens = self._committed_tokens, []
        return committed

    def forget(self, runs: Iterable[SequenceRun]) -> None:
        """Delete these blocks when there is time: the archive has them. The newest call counts."""
        with self._changed:
            self._to_forget = deque(runs)
            self._changed.notify_all()

    def close(self, *, timeout_s: float) -> bool:
        """Commit what is queued, end the thread; return whether everything was committed in time."""
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        with self._changed:
            self._is_given_up = True
            self._changed.notify_all()
        return self._n_queued_rows == 0

    def _run(self) -> None:
        """Commit group after group until closed and empty, or given up."""
        while not self._is_given_up and self._wait_for_work():
            groups = self._take_groups()
            if groups and not self._store(groups):
                with self._changed:
                    self._changed.wait_for(lambda: self._is_given_up, timeout=self._retry_delay_s)
            else:
                self._forget_some()

    def _wait_for_work(self) -> bool:
        """Wait until there is something to do; False when closed and nothing is left to commit."""
        with self._changed:
            self._changed.wait_for(lambda: bool(self._queue or self._to_forget) or self._is_closing)
            if self._queue or not self._to_forget:
                rest_s = max(self._group_wait_s, min(REST_FACTOR * self._commit_took_s, GROUP_WAIT_MAX_S))
                self._changed.wait_for(
                    lambda: self._is_closing or self._n_queued_rows >= GROUP_MAX_ROWS, timeout=rest_s
                )
            return bool(self._queue) or not self._is_closing

    def _take_groups(self) -> "list[_Group]":
        """Return the groups of the next commit."""
        with self._changed:
            groups: list[_Group] = []
            n_rows = 0
            while self._queue and n_rows < GROUP_MAX_ROWS:
                groups.append(self._queue.popleft())
                n_rows += groups[-1].weight
        return groups

    def _store(self, groups: "Sequence[_Group]") -> bool:
        """Commit groups, or put them back; return whether the database took them."""
        began_s = time.monotonic()
        committed = self._commit([group.effects for group in groups])
        self._commit_took_s = time.monotonic() - began_s
        with self._changed:
            if committed is not None:
                self._committed += committed
                self.committed_block_count += sum(isinstance(key, BlockKey) for key in committed)
                for group in groups:
                    self._committed_tokens += group.tokens
                    self._n_queued_rows -= group.weight
            else:
                self._queue.extendleft(reversed(groups))
            self._is_storing = committed is not None
        return committed is not None

    def _forget_some(self) -> None:
        """Delete a bounded part of what the archive has; what cannot be deleted now is offered again."""
        with self._changed:
            run = self._to_forget.popleft() if self._to_forget else None
        if run is None:
            return
        try:
            part = forget_run(self._engine, run, block_max=FORGET_MAX_BLOCKS)
        except SQLAlchemyError as error:
            log.warning("sealed blocks could not be deleted: %s", type(error).__name__)
            return
        with self._changed:
            self.forgotten_block_count += part.block_count
            if part.rest is not None:
                self._to_forget.appendleft(part.rest)

    def _commit(self, groups: Sequence[StepEffects]) -> list[BlockKey | SequenceRun] | None:
        """Write the groups in one transaction; return what may be acknowledged, None when the database refused."""
        if not any(map(count_rows, groups)):
            return []
        try:
            with writing(self._engine, owner=OWNER) as db:
                blocks = [block for effects in groups for block in effects.blocks] if self._insert_blocks else []
                if blocks:
                    db.connection().exec_driver_sql(self._insert_blocks, blocks)
                for name, rows in _rows(groups, leave_out="blocks" if blocks else ""):
                    db.connection().execute(self._statements[name], rows)
        except (OperationalError, InterfaceError, OSError) as error:
            self.refused_commit_count += 1
            log.warning("the store refused a commit: %s", type(error).__name__)
            return None
        except (SQLAlchemyError, ValueError, TypeError, OverflowError) as error:
            self.refused_commit_count += 1
            log.warning("a row cannot be stored, rows are tried one by one: %s", type(error).__name__)
            return self._commit_one_by_one(groups)
        return [key for effects in groups for key in keys_of(effects)]

    def _commit_one_by_one(self, groups: Sequence[StepEffects]) -> list[BlockKey | SequenceRun] | None:
        """Write row after row and leave out what no database takes, so that one bad row does not stop the rest."""
        left_out: set[tuple[str, int, str, int]] = set()
        for name, rows in _rows(groups):
            for row in rows:
                try:
                    with writing(self._engine, owner=OWNER) as db:
                        db.connection().execute(self._statements[name], [row])
                except (OperationalError, InterfaceError, OSError):
                    return None
                except (SQLAlchemyError, ValueError, TypeError, OverflowError) as error:
                    self.poisonous_row_count += 1
                    log.warning("a row of %s was left out: %s", name, type(error).__name__)
                    if name in _FIRST_OF:
                        left_out.add((row["device"], row["boot"], row["stream"], row[_FIRST_OF[name]]))
        return [key for effects in groups for key in keys_of(effects) if key[:4] not in left_out]


class _Group(NamedTuple):
    """What one step wants kept, and the tokens of what it has taken."""

    effects: StepEffects
    tokens: Sequence[Token]

    @property
    def weight(self) -> int:
        """Return what it counts in the queue: its rows, at least one."""
        return max(1, count_rows(self.effects))


def forget_run(engine: sa.Engine, run: SequenceRun, *, block_max: int) -> ForgottenPart:
    """Delete the first `block_max` blocks of a run, and keep in mind in the same transaction that they were stored.

    So a restart still knows that they need not come again, and the ledger how many there were. Where nothing is to be
    done nothing is written.
    """
    block = table_of(Block)
    of_stream = (block.c.device == run.device, block.c.boot == run.boot, block.c.stream == run.stream)
    in_run = (*of_stream, block.c.sequence >= run.start_sequence, block.c.sequence < run.stop_sequence)
    with reading(engine) as db:
        statement = sa.select(block.c.sequence).where(*in_run).order_by(block.c.sequence).limit(block_max + 1)
        found = list(db.connection().execute(statement).scalars())
        if not found and _is_kept_in_mind(db, run):
            return ForgottenPart(block_count=0, rest=None)
    stop = found[block_max] if len(found) > block_max else run.stop_sequence
    with writing(engine, owner=OWNER) as db:
        keep_counts(
            db,
            device=run.device,
            boot=run.boot,
            stream=run.stream,
            runs=[(run.start_sequence, stop)],
            clocks=read_clocks(db, [run.device]),
        )
        _keep_in_mind(db, run._replace(stop_sequence=stop))
        db.connection().execute(sa.delete(block).where(*in_run, block.c.sequence < stop))
    rest = None if stop == run.stop_sequence else run._replace(start_sequence=stop)
    return ForgottenPart(block_count=min(len(found), block_max), rest=rest)


def _is_kept_in_mind(db: Session, run: SequenceRun) -> bool:
    sealed = table_of(SealedRun).c
    statement = sa.select(sealed.device).where(
        sealed.device == run.device,
        sealed.boot == run.boot,
        sealed.stream == run.stream,
        sealed.start_sequence <= run.start_sequence,
        sealed.stop_sequence >= run.stop_sequence,
    )
    return db.connection().execute(statement).first() is not None


def _keep_in_mind(db: Session, run: SequenceRun) -> None:
    """Note a run as sealed, as one row with those that it touches: a stream has few rows, however long it lives."""
    table = table_of(SealedRun)
    touching = (
        table.c.device == run.device,
        table.c.boot == run.boot,
        table.c.stream == run.stream,
        table.c.start_sequence <= run.stop_sequence,
        table.c.stop_sequence >= run.start_sequence,
    )
    starts_stops = db.connection().execute(sa.select(table.c.start_sequence, table.c.stop_sequence).where(*touching))
    known = starts_stops.all()
    whole = run._replace(
        start_sequence=min([run.start_sequence, *(row[0] for row in known)]),
        stop_sequence=max([run.stop_sequence, *(row[1] for row in known)]),
    )
    db.connection().execute(sa.delete(table).where(*touching))
    db.connection().execute(sa.insert(table).values(**whole._asdict()))


def count_rows(effects: StepEffects) -> int:
    """Return how many rows a step wants kept."""
    return (
        len(effects.blocks)
        + len(effects.quarantined)
        + len(effects.gaps_closed)
        + len(effects.gaps_opened)
        + len(effects.clock_fits)
        + len(effects.device_meta)
        + len(effects.device_state)
        + len(effects.duplicates)
    )


def keys_of(effects: StepEffects) -> Iterator[BlockKey | SequenceRun]:
    """Yield what may be acknowledged once the rows are committed.

    Refused messages too, they are kept raw; and what a row says is lost: no device forgets before the row is there.
    """
    for block in effects.blocks:
        yield block.key
    for refused in effects.quarantined:
        if refused.key is not None:
            yield refused.key
    for gap in effects.gaps_closed:
        if (given_up := gap.given_up) is not None:
            yield given_up


def _rows(groups: Sequence[StepEffects], *, leave_out: str = "") -> Iterator[tuple[str, Rows]]:
    """Yield all rows of all groups by the name of their statement; a second time changes nothing."""
    for name, rows_of in _ROWS_OF.items():
        if name == leave_out:
            continue
        rows = [row for effects in groups for row in rows_of(effects)]
        if rows:
            yield name, rows


def _rows_of_blocks(effects: StepEffects) -> Rows:
    return [block._asdict() for block in effects.blocks]


def _rows_of_quarantined(effects: StepEffects) -> Rows:
    return [
        {
            "id": uuid.uuid4(),
            "device": refused.device,
            "received_us": refused.received_us,
            "why": refused.why,
            "payload": refused.payload,
        }
        for refused in effects.quarantined
    ]


def _rows_of_gaps(effects: StepEffects) -> Rows:
    return [gap._asdict() for gap in (*effects.gaps_closed, *effects.gaps_opened)]


def _rows_of_clock_fits(effects: StepEffects) -> Rows:
    return [
        {
            "device": fitted.device,
            "boot": fitted.boot,
            "from_us": fitted.from_us,
            "a_us": fitted.fit.a_us,
            "b": fitted.fit.b,
            "rmse_us": fitted.fit.rmse_us,
        }
        for fitted in effects.clock_fits
    ]


def _rows_of_device_meta(effects: StepEffects) -> Rows:
    return [
        {"device": said.device, "meta": dict(said.document), "state": {}, "received_us": said.received_us}
        for said in effects.device_meta
    ]


def _rows_of_device_state(effects: StepEffects) -> Rows:
    return [
        {
            "device": said.device,
            "meta": {},
            "state": dict(said.document),
            "received_us": said.received_us,
            "kept_told_us": said.received_us if said.document.keys() & {"kept", "bytes_kept"} else None,
            "emptied_us": said.received_us if is_empty(said.document) else None,
        }
        for said in effects.device_state
    ]


def _rows_of_duplicates(effects: StepEffects) -> Rows:
    return [seen._asdict() for seen in effects.duplicates]


_ROWS_OF: Final[Mapping[str, Callable[[StepEffects], Rows]]] = MappingProxyType(
    {
        "blocks": _rows_of_blocks,
        "quarantined": _rows_of_quarantined,
        "gaps": _rows_of_gaps,
        "clock_fits": _rows_of_clock_fits,
        "device_meta": _rows_of_device_meta,
        "device_state": _rows_of_device_state,
        "duplicates": _rows_of_duplicates,
    }
)


def _insert_or_ignore(dialect: str, model: type[SQLModel]) -> sa.Executable:
    """Return the statement that leaves a row alone that is already there."""
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return make(table_of(model)).on_conflict_do_nothing()


def _compile_blocks(dialect: sa.Dialect, statement: sa.Executable) -> str:
    """Return the statement as SQLite's driver takes it with blocks as they are; empty for other databases.

    Nearly all rows are blocks, and a dictionary and a check of each value cost as much as the insertion itself.
    """
    compiled = statement.compile(dialect=dialect)  # type: ignore[attr-defined]
    return str(compiled) if compiled.positiontup == list(StoreBlock._fields) else ""


def _insert_or_replace(
    dialect: str, model: type[SQLModel], *, key: Sequence[str], changed: Sequence[str], known: Sequence[str] = ()
) -> sa.Executable:
    """Return the statement that writes `changed` into the row with this key, or makes the row.

    Of the columns `known` only a value that is one is written: NULL leaves what is there.
    """
    make = sqlite.insert if dialect == "sqlite" else postgresql.insert
    table = table_of(model)
    statement = make(table)
    kept = {name: sa.func.coalesce(statement.excluded[name], table.c[name]) for name in known}
    return statement.on_conflict_do_update(
        index_elements=list(key), set_={name: statement.excluded[name] for name in changed} | kept
    )


def _make_statements(dialect: str) -> Mapping[str, sa.Executable]:
    """Return the statement for each name of `_ROWS_OF`."""
    return {
        "blocks": _insert_or_ignore(dialect, Block),
        "quarantined": _insert_or_ignore(dialect, Quarantine),
        "gaps": _insert_or_replace(
            dialect,
            Gap,
            key=("device", "boot", "stream", "start_sequence"),
            changed=("stop_sequence", "seen_at_us", "cause", "closed_at_us"),
        ),
        "clock_fits": _insert_or_ignore(dialect, ClockFit),
        "device_meta": _insert_or_replace(dialect, DeviceReport, key=("device",), changed=("meta", "received_us")),
        "device_state": _insert_or_replace(
            dialect,
            DeviceReport,
            key=("device",),
            changed=("state", "received_us"),
            known=("kept_told_us", "emptied_us"),
        ),
        "duplicates": _insert_or_replace(
            dialect,
            DuplicateCount,
            key=("device", "boot", "stream", "span", "counted_since_us"),
            changed=("duplicate_count",),
        ),
    }
