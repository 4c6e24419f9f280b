import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, StatementError
from sqlmodel import Session, col, func, select, update

from telerehab.db.engine import Database, make_engine, reading, writing
from telerehab.db.tables import Block, Organisation, Patient, Worker
from telerehab.errors import NotTheOwnerError, SettingsError

NOW = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


def _names(database: Database) -> list[str]:
    with reading(database.main) as db:
        return list(db.exec(select(Organisation.name)))


FOREIGN_WRITES: list[Callable[[Session], object]] = [
    lambda db: db.add(Organisation(name="flushed")),
    lambda db: db.execute(sa.insert(Organisation), [{"name": "one"}, {"name": "two"}]),
    lambda db: db.execute(sa.insert(Organisation.__table__), {"id": uuid.uuid4(), "name": "core"}),  # type: ignore[attr-defined]
    lambda db: db.connection().execute(sa.delete(Organisation)),
    lambda db: db.exec(update(Organisation).values(name="renamed")),
]


@pytest.mark.parametrize("write", FOREIGN_WRITES)
@pytest.mark.parametrize("role", ["ingest", "media", "jobs"])
def test_no_role_writes_a_table_of_another(database: Database, role: str, write: Callable[[Session], object]) -> None:
    with writing(database.main, owner="web") as db:
        db.add(Organisation(name="first"))
    with pytest.raises(NotTheOwnerError, match="organisation belongs to web"), writing(database.main, owner=role) as db:
        write(db)
    assert _names(database) == ["first"]


def test_a_flush_that_touches_a_foreign_table_keeps_nothing_of_the_transaction(database: Database) -> None:
    def write() -> None:
        with writing(database.main, owner="web") as db:
            db.add(Organisation(name="own"))
            db.flush()
            db.execute(sa.insert(Block.__table__), {})  # type: ignore[attr-defined]

    with pytest.raises(NotTheOwnerError):
        write()
    assert _names(database) == []


def test_every_role_writes_its_row_among_the_workers(database: Database) -> None:
    for role in ("web", "ingest", "media", "jobs"):
        with writing(database.main, owner=role) as db:
            db.add(Worker(role=role, started_at=NOW, heartbeat_at=NOW))
    with reading(database.main) as db:
        assert len(db.exec(select(Worker)).all()) == 4


def test_a_reading_transaction_writes_nothing(database: Database) -> None:
    with reading(database.main) as db:
        db.add(Worker(role="web", started_at=NOW, heartbeat_at=NOW))
        with pytest.raises(NotTheOwnerError):
            db.flush()


def test_an_exception_rolls_a_writing_transaction_back(database: Database) -> None:
    def write_and_fail() -> None:
        with writing(database.main, owner="web") as db:
            db.add(Organisation(name="never"))
            db.flush()
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_and_fail()
    assert _names(database) == []


def test_two_writers_that_read_before_they_write_both_succeed_and_lose_no_update(database: Database) -> None:
    with writing(database.main, owner="web") as db:
        counter = Organisation(name="0")
        db.add(counter)
    faults: list[BaseException] = []

    def count(times: int) -> None:
        try:
            for _ in range(times):
                with writing(database.main, owner="web") as db:
                    statement = select(Organisation).where(col(Organisation.id) == counter.id).with_for_update()
                    row = db.exec(statement).one()
                    row.name = str(int(row.name) + 1)
                    db.add(row)
        except BaseException as error:
            faults.append(error)

    writers = [threading.Thread(target=count, args=(25,)) for _ in range(2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert faults == []
    assert _names(database) == ["50"]


def test_a_second_writer_on_sqlite_waits_before_it_has_read_anything(sqlite_database: Database) -> None:
    database = sqlite_database
    is_reading = threading.Event()
    seen: list[int] = []

    def second() -> None:
        with writing(database.main, owner="web") as db:
            is_reading.set()
            seen.append(db.exec(select(func.count()).select_from(Organisation)).one())

    with writing(database.main, owner="web") as db:
        thread = threading.Thread(target=second)
        thread.start()
        assert not is_reading.wait(0.2)
        db.add(Organisation(name="first"))
    thread.join()
    assert seen == [1]


def test_a_reader_on_sqlite_goes_on_while_somebody_writes(database: Database) -> None:
    with writing(database.main, owner="web") as db:
        db.add(Organisation(name="not committed"))
        db.flush()
        assert _names(database) == []


@pytest.mark.parametrize(
    ("pragma", "value"), [("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)]
)
@pytest.mark.parametrize("store", ["main", "hot"])
def test_sqlite_is_set_to_keep_what_it_committed(tmp_path: Path, store: str, pragma: str, value: object) -> None:
    engine = make_engine(f"sqlite:///{tmp_path / store}.db")
    with reading(engine) as db:
        assert db.connection().exec_driver_sql(f"PRAGMA {pragma}").scalar() == value
    engine.dispose()


def test_a_row_cannot_point_to_nobody(database: Database) -> None:
    with pytest.raises(IntegrityError), writing(database.main, owner="web") as db:
        db.add(Patient(organisation_id=uuid.uuid4()))


def test_errors_of_the_database_do_not_show_values(database: Database) -> None:
    with pytest.raises(IntegrityError) as caught, writing(database.main, owner="web") as db:
        db.add(Patient(organisation_id=uuid.uuid4(), cpr_hash="Karen Blixen"))
    assert "Blixen" not in str(caught.value)


def test_moments_come_back_in_utc_and_naive_ones_are_refused(database: Database) -> None:
    summer = timezone(timedelta(hours=2))
    with writing(database.main, owner="web") as db:
        row = Worker(role="web", started_at=NOW.astimezone(summer), heartbeat_at=NOW)
        db.add(row)
    with reading(database.main) as db:
        found = db.exec(select(Worker)).one()
        assert found.started_at == NOW
        assert found.started_at.utcoffset() == timedelta(0)
    with pytest.raises(StatementError), writing(database.main, owner="web") as db:
        db.add(Worker(role="web", started_at=datetime(2026, 1, 1), heartbeat_at=NOW))  # noqa: DTZ001


def test_numbers_of_32_and_53_bits_survive(database: Database) -> None:
    with writing(database.hot, owner="ingest") as db:
        db.add(
            Block(
                device="d",
                boot=2**32 - 1,
                stream="imu",
                sequence=2**32 - 1,
                schema_code=1,
                t0_us=2**53,
                n_samples=10,
                received_us=2**53,
                payload=b"\x00\xff",
            )
        )
    with reading(database.hot) as db:
        found = db.exec(select(Block)).one()
        assert (found.boot, found.sequence, found.t0_us, found.payload) == (2**32 - 1, 2**32 - 1, 2**53, b"\x00\xff")


@pytest.mark.parametrize("url", ["sqlite://", "mysql://localhost/x", "no address"])
def test_an_address_that_cannot_serve_is_refused(url: str) -> None:
    with pytest.raises(SettingsError):
        make_engine(url)


def test_files_with_health_data_are_their_owners_only(tmp_path: Path) -> None:
    path = tmp_path / "new" / "data" / "main.db"
    engine = make_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a)")
        connection.commit()
        modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    engine.dispose()
    assert modes == {"main.db": 0o600, "main.db-wal": 0o600, "main.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_a_database_file_that_cannot_be_written_is_said_plainly(tmp_path: Path) -> None:
    (tmp_path / "main.db").mkdir()
    with pytest.raises(SettingsError, match=r"main\.db cannot be made or written"):
        make_engine(f"sqlite:///{tmp_path / 'main.db'}")
