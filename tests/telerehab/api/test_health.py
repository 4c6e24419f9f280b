import asyncio
import shutil
import threading
from collections import namedtuple

import pytest

from telerehab.api.health import EXPECTED_ROLES
from telerehab.api.shared_look import SharedLook
from telerehab.archive.errors import ArchiveUnavailableError
from telerehab.clock import utc_now
from telerehab.db import migrate
from telerehab.db.engine import writing
from telerehab.db.tables import Worker
from telerehab.jobs import sealing
from telerehab.roles import jobs
from tests.telerehab.api.world import World

Usage = namedtuple("Usage", "total used free")


def _let_all_beat(world: World) -> None:
    now = utc_now(world.clock)
    for role in EXPECTED_ROLES:
        with writing(world.database.main, owner=role) as db:
            db.add(Worker(role=role, started_at=now, heartbeat_at=now))


def _named_wrong(world: World) -> set[str]:
    answer = world.client.get("/readyz")
    body = answer.json()
    wrong = {name for name, state in body["parts"].items() if state != "ok"}
    assert answer.status_code == (503 if wrong else 200)
    assert body["is_ready"] == (not wrong)
    return wrong


def test_the_whole_is_ready_when_every_part_is(world: World) -> None:
    _let_all_beat(world)
    assert _named_wrong(world) == set()


def test_a_role_that_stops_beating_is_named(world: World) -> None:
    _let_all_beat(world)
    world.clock.advance(8.5)
    assert _named_wrong(world) >= {"role ingest", "role jobs", "role media"}


def test_intake_that_stores_nothing_is_named_also_when_another_one_stores(sqlite_world: World) -> None:
    _let_all_beat(sqlite_world)
    now = utc_now(sqlite_world.clock)
    with writing(sqlite_world.database.main, owner="ingest") as db:
        db.add(Worker(role="ingest", started_at=now, heartbeat_at=now, status={"storing": False}))
    assert _named_wrong(sqlite_world) == {"role ingest"}


def test_an_archive_that_cannot_be_written_is_named_until_it_can(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    _let_all_beat(sqlite_world)
    jobs.plan(sqlite_world.database, clock=sqlite_world.clock)

    def work() -> None:
        while jobs.do_one(sqlite_world.database, clock=sqlite_world.clock):
            pass

    def refuse(_archive: object, _now: object) -> None:
        raise ArchiveUnavailableError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(sealing, "mark_cleared", refuse)
        work()
        assert _named_wrong(sqlite_world) == {"job sealing"}
    sqlite_world.clock.advance(31)
    _let_all_beat(sqlite_world)
    work()
    assert _named_wrong(sqlite_world) == set()


def test_a_lost_broker_is_named(sqlite_world: World) -> None:
    _let_all_beat(sqlite_world)
    sqlite_world.changes.is_connected = False
    assert _named_wrong(sqlite_world) == {"broker"}


def test_a_failing_task_is_named(sqlite_world: World) -> None:
    _let_all_beat(sqlite_world)
    sqlite_world.app.state.parts.tasks.failing.add("live values")
    assert _named_wrong(sqlite_world) == {"task live values"}


def test_an_old_database_is_named(sqlite_world: World) -> None:
    _let_all_beat(sqlite_world)
    with sqlite_world.database.hot.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {migrate.version_table('hot')} SET version_num = '0000'")
    assert _named_wrong(sqlite_world) == {"migration"}


def test_a_database_that_cannot_be_read_is_named_and_health_goes_on(sqlite_world: World) -> None:
    path = sqlite_world.settings.data_dir
    sqlite_world.database.hot.dispose()
    for file in path.glob("blocks.db*"):
        file.unlink()
    (path / "blocks.db").mkdir()
    sqlite_world.app.state.parts.database.hot.dispose()
    assert _named_wrong(sqlite_world) >= {"hot database", "migration"}
    assert sqlite_world.client.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("total_gib", "free_gib", "is_short"), [(10, 0.5, True), (10, 2, False), (1_000, 50, False), (1_000, 4, True)]
)
def test_a_full_disk_is_named(
    sqlite_world: World, monkeypatch: pytest.MonkeyPatch, total_gib: float, free_gib: float, is_short: bool
) -> None:
    _let_all_beat(sqlite_world)
    usage = Usage(int(total_gib * 2**30), 0, int(free_gib * 2**30))
    monkeypatch.setattr(shutil, "disk_usage", lambda _folder: usage)
    assert _named_wrong(sqlite_world) == ({"disk"} if is_short else set())


@pytest.mark.anyio
async def test_those_who_ask_while_somebody_looks_share_what_is_found() -> None:
    look: SharedLook[int] = SharedLook()
    looks: list[int] = []
    may_end = threading.Event()

    def find() -> int:
        looks.append(1)
        assert may_end.wait(5)
        return len(looks)

    asking = [asyncio.create_task(look.look(find)) for _ in range(20)]
    async with asyncio.timeout(5):
        while not looks:
            await asyncio.sleep(0.005)
        asking[0].cancel()  # who goes away takes nothing from the others
        may_end.set()
        assert await asyncio.gather(*asking[1:]) == [1] * 19
        assert await look.look(find) == 2
