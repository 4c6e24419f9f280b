"""How the web role reaches the media worker that runs a live session.

A new live session goes to the worker that wins its rendezvous hash; a running one to the worker in its row, and when
that one does not answer, to the living worker that wins, which takes it over. A repeated command carries the same
request id, so trying again is harmless.

Errors: `MediaUnavailableError` (no worker answers in time: try again) and `MediaRefusedError` (a worker answered, and
its `code` says why not).
"""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import httpx2

from telerehab.clock import Clock, SystemClock, utc_now
from telerehab.db import tables
from telerehab.db.engine import Database, reading
from telerehab.db.workers import STALE_AFTER_S
from telerehab.errors import ConflictError, MediaUnavailableError, TelerehabError
from telerehab.live import media_protocol as protocol
from telerehab.live.store import WorkerAddress, read_workers
from telerehab.plain_http import make_plain_client
from telerehab.settings import Settings

COMMAND_DEADLINE_S: Final = 10.0
CONNECT_TIMEOUT_S: Final = 1.0
RETRY_S: Final = 0.2
KNOWN_PLACES_MAX: Final = 1_000
_NS_PER_S: Final = 1_000_000_000


class MediaRefusedError(TelerehabError):
    """A media worker refused a command; `code` is for the page."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    """Where a live session runs, as far as the database knows."""

    row_worker_id: UUID | None
    workers: tuple[WorkerAddress, ...]
    living: frozenset[UUID]

    def pick(self, live_session: UUID, *, without: frozenset[UUID]) -> WorkerAddress | None:
        """Return the worker to ask: the one in the row, else the winner among the living."""
        candidates = {worker.id: worker for worker in self.workers if worker.id not in without}
        if self.row_worker_id in candidates:
            return candidates[self.row_worker_id]
        winner = protocol.pick_worker(live_session, candidates.keys() & self.living)
        return None if winner is None else candidates[winner]


class MediaClient:
    """Commands to media workers; belongs to one event loop.

    Parameters
    ----------
    settings : Settings
        In the demonstration clinic patients are let in as they come.
    """

    def __init__(self, settings: Settings, database: Database, *, clock: Clock | None = None) -> None:
        self._database = database
        self._clock = clock or SystemClock()
        self._auto_admit = settings.demo
        self._http = make_plain_client(
            timeout=httpx2.Timeout(COMMAND_DEADLINE_S, connect=CONNECT_TIMEOUT_S),
            limits=httpx2.Limits(max_connections=200, max_keepalive_connections=20),
        )
        self._places: OrderedDict[UUID, WorkerAddress] = OrderedDict()

    async def aclose(self) -> None:
        """Close the connections to the workers."""
        await self._http.aclose()

    async def create_live_session(
        self,
        *,
        organisation_id: UUID,
        therapist_account_id: UUID,
        title: str,
        patient_ids: Sequence[UUID],
        auto_admit: bool | None = None,
    ) -> UUID:
        """Open a live session with seats for a therapist and patients (in this order of slots); return its id.

        Raises
        ------
        MediaUnavailableError
            No media worker answers.
        ConflictError
            It cannot be opened with these people.
        """
        live_session = uuid4()
        command = {
            "type": "create",
            "organisation_id": str(organisation_id),
            "therapist_account_id": str(therapist_account_id),
            "title": title,
            "patient_ids": [str(patient_id) for patient_id in patient_ids],
            "auto_admit": self._auto_admit if auto_admit is None else auto_admit,
        }
        try:
            await self.command(live_session, None, command)
        except MediaRefusedError as error:
            raise ConflictError(error.code) from error
        return live_session

    async def command(
        self,
        live_session: UUID,
        participant: UUID | None,
        command: Mapping[str, Any],
        *,
        request_id: str | None = None,
        deadline_s: float | None = None,
    ) -> dict[str, Any]:
        """Have the live session's worker execute a command; return its result.

        Raises
        ------
        MediaUnavailableError
            No worker answered before the deadline.
        MediaRefusedError
            A worker refused.
        """
        body = {
            "request_id": request_id or str(uuid4()),
            "live_session": str(live_session),
            "participant": None if participant is None else str(participant),
            "command": dict(command),
        }
        wait_s = COMMAND_DEADLINE_S if deadline_s is None else deadline_s
        stop_ns = self._clock.monotonic_ns() + round(wait_s * _NS_PER_S)
        while True:
            result = await self._try_workers(live_session, body, stop_ns)
            if result is not None:
                return result
            if self._left_s(stop_ns) <= RETRY_S:
                raise MediaUnavailableError("no media worker answers")
            await asyncio.sleep(RETRY_S)

    async def _try_workers(self, live_session: UUID, body: Mapping[str, Any], stop_ns: int) -> dict[str, Any] | None:
        """Ask the known worker, then each that the database names; None when none of them could be reached."""
        known = self._places.get(live_session)
        if known is not None:
            result = await self._ask(known, live_session, body, stop_ns)
            if result is not None:
                return result
        place = await asyncio.to_thread(self._read_place, live_session)
        failed: frozenset[UUID] = frozenset() if known is None else frozenset({known.id})
        while self._left_s(stop_ns) > 0:
            worker = place.pick(live_session, without=failed)
            if worker is None:
                return None
            result = await self._ask(worker, live_session, body, stop_ns)
            if result is not None:
                return result
            failed |= {worker.id}
        return None

    async def _ask(
        self, worker: WorkerAddress, live_session: UUID, body: Mapping[str, Any], stop_ns: int
    ) -> dict[str, Any] | None:
        """Send a command to one worker; None when it cannot be reached or does not run the live session."""
        try:
            async with asyncio.timeout(max(self._left_s(stop_ns), 0)):
                answer = await self._http.post(
                    f"{worker.address}{protocol.COMMANDS_PATH}",
                    headers={protocol.SECRET_HEADER: worker.secret},
                    json=body,
                )
            content = answer.json() if answer.status_code != httpx2.codes.UNAUTHORIZED else None
        except (httpx2.HTTPError, TimeoutError, ValueError):
            content = None
        if not isinstance(content, dict):  # gone, or another process at its old address
            self._places.pop(live_session, None)
            return None
        if "error" in content:
            code = content["error"]["code"]
            if code in ("elsewhere", "draining"):
                self._places.pop(live_session, None)
                return None
            raise MediaRefusedError(code, content["error"].get("detail", ""))
        self._places[live_session] = worker
        self._places.move_to_end(live_session)
        if len(self._places) > KNOWN_PLACES_MAX:
            self._places.popitem(last=False)
        result: dict[str, Any] = content["result"]
        return result

    def _read_place(self, live_session: UUID) -> _Place:
        now = utc_now(self._clock)
        workers = tuple(read_workers(self._database))
        with reading(self._database.main) as db:
            row = db.get(tables.LiveSession, live_session)
        return _Place(
            row_worker_id=None if row is None else row.worker_id,
            workers=workers,
            living=frozenset(w.id for w in workers if now - w.heartbeat_at < timedelta(seconds=STALE_AFTER_S)),
        )

    def _left_s(self, stop_ns: int) -> float:
        return (stop_ns - self._clock.monotonic_ns()) / _NS_PER_S
