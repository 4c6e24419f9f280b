"""The order of things in the media worker: rows, then events; media waits for neither disk nor broker."""

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy.exc import OperationalError

from sessions.media.engine import LegState, Seat
from telerehab.clock import SystemClock
from telerehab.db.engine import Database
from telerehab.live.host import LiveHost
from telerehab.live.media_protocol import CommandRequest, Result
from telerehab.live.store import LiveStore, RoomRecord
from telerehab.roles.media import is_alive
from telerehab.supervision import TaskSupervisor
from tests.sessions.null_engine import NullEngine
from tests.telerehab.live.clinic import Clinic, open_clinic, until

pytestmark = pytest.mark.anyio


class Disk(LiveStore):
    """The rows, on a disk that can be held or can refuse."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, worker_id=uuid4())
        self.free = threading.Event()
        self.free.set()
        self.refusal_count = 0

    def write(self, records: Sequence[RoomRecord]) -> frozenset[UUID]:
        assert self.free.wait(20)
        if self.refusal_count > 0:
            self.refusal_count -= 1
            raise OperationalError("insert", {}, Exception("disk full"))
        return super().write(records)


class SlowEngine(NullEngine):
    """Closing a connection takes a moment."""

    def __init__(self) -> None:
        super().__init__(monotonic_ns=SystemClock().monotonic_ns)
        self.may_close = asyncio.Event()
        self.may_close.set()

    async def leave(self, seat: Seat) -> None:
        await self.may_close.wait()
        await super().leave(seat)


@dataclass
class Hosted:
    """A host with one live session."""

    host: LiveHost
    disk: Disk
    engine: SlowEngine
    live_session: UUID
    published: list[str] = field(default_factory=list)

    async def ask(self, participant: UUID | None, **command: object) -> Result:
        body = {
            "request_id": str(uuid4()),
            "live_session": str(self.live_session),
            "participant": None if participant is None else str(participant),
            "command": command,
        }
        return await self.host.execute(CommandRequest.model_validate_json(json.dumps(body)))

    async def people(self) -> list[UUID]:
        return [UUID(p["id"]) for p in (await self.ask(None, type="state"))["state"]["participants"]]


@contextlib.asynccontextmanager
async def hosting(clinic: Clinic) -> AsyncIterator[Hosted]:
    disk, engine, published = Disk(clinic.database), SlowEngine(), list[str]()

    def publish(topic: str, payload: bytes) -> None:
        published.append(json.loads(payload)["kind"])

    host = LiveHost(engine=engine, store=disk, clock=SystemClock(), publish=publish, is_alive=is_alive)
    tasks = TaskSupervisor()
    tasks.start("rows", host.run_writer)
    tasks.start("ticks", host.run_ticks)
    hosted = Hosted(host, disk, engine, uuid4(), published)
    await hosted.ask(
        None,
        type="create",
        organisation_id=str(clinic.organisation_id),
        therapist_account_id=str(clinic.therapist_id),
        title="Knee group",
        patient_ids=[str(patient) for patient in clinic.patient_ids],
        auto_admit=True,
    )
    try:
        yield hosted
    finally:
        await tasks.close()
        await host.aclose()


async def test_an_event_is_published_only_after_its_row_is_written(tmp_path: Path, template: Path) -> None:
    async with (
        open_clinic(tmp_path, template, with_broker=False, with_worker=False, with_web=False) as clinic,
        hosting(clinic) as hosted,
    ):
        me = (await hosted.people())[0]
        hosted.published.clear()
        hosted.disk.free.clear()
        joining = asyncio.create_task(hosted.ask(me, type="join", connection="c"))
        await until(lambda: hosted.host.status["rows_waiting"], what="a record that waits")
        await hosted.ask(None, type="state")
        assert (hosted.published, joining.done()) == ([], False)
        hosted.disk.free.set()
        await joining
        assert hosted.published == ["participant", "live_session"]


async def test_a_disk_that_refuses_delays_rows_and_stops_no_media(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telerehab.live.host.ROWS_WAITED_FOR_S", 0.05)
    monkeypatch.setattr("telerehab.live.host.WRITE_RETRY_S", 0.05)
    async with (
        open_clinic(tmp_path, template, with_broker=False, with_worker=False, with_web=False) as clinic,
        hosting(clinic) as hosted,
    ):
        me = (await hosted.people())[0]
        hosted.published.clear()
        hosted.disk.refusal_count = 10
        await hosted.ask(me, type="join", connection="c")
        assert (await hosted.ask(me, type="publish", sdp="offer"))["sdp"] == "answer to offer"
        assert hosted.published == []
        await until(lambda: hosted.disk.refusal_count == 0 and not hosted.host.status["rows_waiting"], what="rows")
        await until(lambda: "live_session" in hosted.published, what="events")
        room = hosted.disk.read_room(hosted.live_session, now=hosted.host._now())
        assert room is not None
        assert room.participant(me).state in ("connecting", "connected")


async def test_who_comes_back_while_the_old_media_is_being_closed_gets_slots_and_media(
    tmp_path: Path, template: Path
) -> None:
    async with (
        open_clinic(tmp_path, template, with_broker=False, with_worker=False, with_web=False) as clinic,
        hosting(clinic) as hosted,
    ):
        therapist, patient, _ = await hosted.people()
        for person in (therapist, patient):
            await hosted.ask(person, type="join", connection="c")
        viewer = Seat(live_session=hosted.live_session, participant=patient)
        await until(lambda: (viewer, "video-0") in hosted.engine.bound, what="bound")
        hosted.engine.may_close.clear()
        await hosted.ask(patient, type="leave")
        await hosted.ask(patient, type="join", connection="d")
        publishing = asyncio.create_task(hosted.ask(patient, type="publish", sdp="offer"))
        await hosted.ask(None, type="state")
        assert not publishing.done()
        hosted.engine.may_close.set()
        assert (await publishing)["sdp"] == "answer to offer"
        assert hosted.engine.left == [viewer]
        assert hosted.engine.seats[hosted.live_session][viewer].publish is LegState.FLOWING
        await until(lambda: (viewer, "video-0") in hosted.engine.bound, what="bound again")
