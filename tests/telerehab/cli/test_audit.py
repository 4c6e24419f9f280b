"""`telerehab audit verify`: 0 for a sound chain, 1 for one that was tampered with, 2 for an anchor that is none."""

import json
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import delete
from sqlmodel import col

from telerehab.auth import audit
from telerehab.auth.reader import Reader
from telerehab.clock import SystemClock, utc_now
from telerehab.db.engine import open_database, writing
from telerehab.db.migrate import upgrade
from telerehab.db.tables import AuditEvent
from telerehab.settings import Settings
from tests.telerehab.cli.test_commands import telerehab

ACTOR = Reader(login_id=uuid4(), role="admin", organisation_id=uuid4(), account_id=uuid4())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Give an installation with five records."""
    settings = Settings(data_dir=tmp_path)
    upgrade(settings)
    database = open_database(settings)
    for _ in range(5):
        with writing(database.main, owner="web") as db:
            audit.record(db, actor=ACTOR, action="create_account", now=utc_now(SystemClock()))
    database.close()
    return tmp_path


def cut(folder: Path, sequence: int) -> None:
    database = open_database(Settings(data_dir=folder))
    with writing(database.main, owner="web") as db:
        db.exec(delete(AuditEvent).where(col(AuditEvent.sequence) == sequence))
    database.close()


def test_a_sound_chain_is_said_to_be_one_and_its_head_is_kept(folder: Path, tmp_path: Path) -> None:
    kept = tmp_path / "anchor.json"
    result = telerehab("audit", "verify", "--json", "--write-anchor", str(kept), folder=folder)
    said = json.loads(result.stdout)
    assert (result.returncode, said["is_sound"], said["count"], said["fault"]) == (0, True, 5, None)
    assert json.loads(kept.read_text()) == {"count": 5, "mac": said["mac"]}
    cut(folder, 4)
    assert telerehab("audit", "verify", folder=folder).returncode == 0, "without an anchor nobody can tell"
    result = telerehab("audit", "verify", "--anchor", str(kept), "--json", folder=folder)
    said = json.loads(result.stdout)
    assert (result.returncode, said["fault"], said["sequence"]) == (1, "truncated", 4)


def test_a_missing_record_is_found(folder: Path) -> None:
    cut(folder, 2)
    result = telerehab("audit", "verify", folder=folder)
    assert (result.returncode, result.stderr) == (1, "Record 2 is missing; 2 before it are as they were written.\n")


def test_an_anchor_that_is_none_is_one_plain_sentence(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "odd.json").write_text("[]")
    for name in ("odd.json", "nowhere.json"):
        result = telerehab("audit", "verify", "--anchor", str(tmp_path / name), folder=folder)
        assert (result.returncode, result.stderr.count("\n")) == (2, 1)
