from telerehab.clock import ManualClock, utc_now
from telerehab.db.engine import Database, reading
from telerehab.db.workers import FORGET_AFTER_S, STALE_AFTER_S, Heartbeat, is_role_alive, workers_alive


def test_a_role_is_alive_while_it_beats(database: Database) -> None:
    clock = ManualClock()
    heartbeat = Heartbeat(database.main, role="media", clock=clock, address="http://127.0.0.1:1", secret="s")
    assert not is_role_alive(database.main, "media", clock=clock)
    heartbeat.register({"rooms": 0})
    clock.advance(STALE_AFTER_S)
    assert is_role_alive(database.main, "media", clock=clock)
    assert not is_role_alive(database.main, "ingest", clock=clock)
    clock.advance(1)
    assert not is_role_alive(database.main, "media", clock=clock)
    heartbeat.beat({"rooms": 2})
    with reading(database.main) as db:
        (worker,) = workers_alive(db, now=utc_now(clock), role="media")
    assert (worker.id, worker.address, worker.status) == (heartbeat.id, "http://127.0.0.1:1", {"rooms": 2})
    heartbeat.remove()
    heartbeat.beat()
    assert not is_role_alive(database.main, "media", clock=clock)


def test_a_process_from_before_does_not_count_as_started(database: Database) -> None:
    clock = ManualClock()
    Heartbeat(database.main, role="web", clock=clock).register()
    clock.advance(1)
    started_after = utc_now(clock)
    assert not is_role_alive(database.main, "web", clock=clock, started_after=started_after)
    Heartbeat(database.main, role="web", clock=clock).register()
    assert is_role_alive(database.main, "web", clock=clock, started_after=started_after)


def test_rows_of_processes_killed_long_ago_are_forgotten(database: Database) -> None:
    clock = ManualClock()
    for role in ("web", "media"):
        Heartbeat(database.main, role=role, clock=clock).register()
    clock.advance(FORGET_AFTER_S + 1)
    heartbeat = Heartbeat(database.main, role="web", clock=clock)
    heartbeat.register()
    with reading(database.main) as db:
        (worker,) = workers_alive(db, now=utc_now(clock))
    assert worker.id == heartbeat.id


def test_a_role_whose_row_was_forgotten_while_it_slept_comes_back(database: Database) -> None:
    clock = ManualClock()
    sleeper, other = (Heartbeat(database.main, role="web", clock=clock) for _ in range(2))
    sleeper.register()
    clock.advance(FORGET_AFTER_S + 1)
    other.register()
    sleeper.beat()
    with reading(database.main) as db:
        assert {worker.id for worker in workers_alive(db, now=utc_now(clock))} == {sleeper.id, other.id}
