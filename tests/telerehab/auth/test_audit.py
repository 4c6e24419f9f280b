"""The audit chain: what was written stays as it was written, or somebody can tell."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, update
from sqlmodel import Session, col, func, select

from telerehab.auth import audit
from telerehab.auth.reader import Reader
from telerehab.clock import ManualClock, utc_now
from telerehab.db.engine import Database, make_engine, reading, writing
from telerehab.db.tables import AuditEvent
from telerehab.errors import AuditKeyError
from telerehab.settings import Settings

NOW = utc_now(ManualClock())
THERAPIST = Reader(login_id=uuid4(), role="therapist", organisation_id=uuid4(), account_id=uuid4())
GOLDEN = '{"action":"read","actor":"therapist:12","allowed":true,"object":"patient:7","seq":0}'


def test_the_macs_are_those_of_the_definition() -> None:
    key = bytes(32)
    first = audit.mac_of(GOLDEN, previous=audit.FIRST_MAC, key=key)
    assert first.hex() == "63be857aeb61a372b037179c870b81a4424d8f04dd1bb1eef15fbb3c108ded00"
    second = audit.mac_of(GOLDEN.replace('"seq":0', '"seq":1'), previous=first, key=key)
    assert second.hex() == "db3e02f91975800f2c0d98545107912b16ce341791a8507c31c447bfa5f19750"
    fields = {"seq": 0, "object": "patient:7", "allowed": True, "actor": "therapist:12", "action": "read"}
    assert audit.as_text(fields) == GOLDEN


def _write(database: Database, count: int, patient_id: UUID | None = None) -> None:
    for number in range(count):
        with writing(database.main, owner="web") as db:
            audit.record(
                db,
                actor=THERAPIST,
                action="reveal_cpr",
                patient_id=patient_id,
                object=f"thing:{number}",
                reason_code="identity_check",
                now=NOW,
            )


def _verify(database: Database, settings: Settings, anchor: audit.Anchor | None = None) -> audit.Verdict:
    with reading(database.main) as db:
        return audit.verify(audit.read_links(db), key=audit.audit_key(settings), anchor=anchor)


def test_a_record_says_who_did_what_for_whom_in_ids(database: Database, settings: Settings) -> None:
    patient_id = uuid4()
    helper = replace(THERAPIST, role="helper", account_id=None, helper_id=uuid4())
    with writing(database.main, owner="web") as db:
        audit.record(db, actor=helper, action="see_plan", patient_id=patient_id, now=NOW)
    with reading(database.main) as db:
        row = db.exec(select(AuditEvent)).one()
    assert (row.organisation_id, row.patient_id, row.action, row.at) == (
        helper.organisation_id,
        patient_id,
        "see_plan",
        NOW,
    )
    assert row.record == audit.as_text(
        {
            "system": "telerehab",
            "action": "see_plan",
            "actor": f"helper:{helper.helper_id}",
            "role": "helper",
            "login": str(helper.login_id),
            "organisation": str(helper.organisation_id),
            "patient": str(patient_id),
            "on_behalf_of": str(patient_id),
            "allowed": True,
            "at": NOW.isoformat(timespec="microseconds"),
            "seq": 0,
        }
    )
    assert _verify(database, settings).fault is None


def test_what_is_rolled_back_leaves_no_link(database: Database, settings: Settings) -> None:
    with writing(database.main, owner="web") as db:
        audit.record(db, actor=THERAPIST, action="reveal_cpr", now=NOW)
        db.rollback()
    _write(database, 1)
    assert _verify(database, settings).head.count == 1


def test_writers_at_once_never_fork_the_chain(database: Database, settings: Settings) -> None:
    barrier = threading.Barrier(4)

    def write() -> None:
        barrier.wait()
        _write(database, 10)

    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write) for _ in range(4)]:
            done.result()
    verdict = _verify(database, settings)
    assert (verdict.fault, verdict.head.count) == (None, 40)


def _flip(db: Session, at: int) -> None:
    row = db.get_one(AuditEvent, at)
    row.record = row.record.replace("identity_check", "identity_chess")


def _flip_mac(db: Session, at: int) -> None:
    row = db.get_one(AuditEvent, at)
    row.mac = ("0" if row.mac[0] != "0" else "1") + row.mac[1:]


def _hide(db: Session, at: int) -> None:
    db.exec(update(AuditEvent).where(col(AuditEvent.sequence) == at).values(patient_id=None))


def _redate(db: Session, at: int) -> None:
    db.exec(update(AuditEvent).where(col(AuditEvent.sequence) == at).values(at=NOW.replace(year=2020)))


def _delete(db: Session, at: int) -> None:
    db.exec(delete(AuditEvent).where(col(AuditEvent.sequence) == at))


def _delete_and_close_up(db: Session, at: int) -> None:
    _delete(db, at)
    last = db.exec(select(func.max(AuditEvent.sequence))).one()
    for sequence in range(at + 1, last + 1):
        db.exec(update(AuditEvent).where(col(AuditEvent.sequence) == sequence).values(sequence=sequence - 1))


def _swap(db: Session, at: int) -> None:
    for old, new in ((at, 10_000), (at + 1, at), (10_000, at + 1)):
        db.exec(update(AuditEvent).where(col(AuditEvent.sequence) == old).values(sequence=new))


@pytest.mark.parametrize("tamper", [_flip, _flip_mac, _hide, _redate, _delete, _delete_and_close_up, _swap])
@pytest.mark.parametrize("at", [0, 4, 7])
def test_a_link_that_was_changed_taken_out_or_swapped_is_found(
    database: Database, settings: Settings, tamper: Callable[[Session, int], None], at: int
) -> None:
    _write(database, 9, patient_id=uuid4())
    with writing(database.main, owner="web") as db:
        tamper(db, at)
    verdict = _verify(database, settings)
    assert (verdict.fault in ("changed", "missing"), verdict.sequence) == (True, at)


@pytest.mark.parametrize("cut", [1, 5, 9])
def test_a_chain_that_was_cut_off_is_found_by_its_anchor(database: Database, settings: Settings, cut: int) -> None:
    _write(database, 9)
    anchor = _verify(database, settings).head
    with writing(database.main, owner="web") as db:
        db.exec(delete(AuditEvent).where(col(AuditEvent.sequence) >= 9 - cut))
    assert _verify(database, settings).fault is None, "alone, a shorter chain is a sound one"
    verdict = _verify(database, settings, anchor)
    assert (verdict.fault, verdict.sequence) == ("truncated", 9 - cut)
    _write(database, cut + 1, patient_id=uuid4())
    verdict = _verify(database, settings, anchor)
    assert (verdict.fault, verdict.sequence) == ("changed", 8), "what grew again is another chain"


def test_a_chain_that_grew_agrees_with_its_anchor(database: Database, settings: Settings) -> None:
    _write(database, 3)
    anchor = _verify(database, settings).head
    _write(database, 3)
    assert _verify(database, settings, anchor).head.count == 6


def test_whoever_does_not_know_the_key_cannot_write_a_chain(database: Database) -> None:
    _write(database, 2)
    with reading(database.main) as db:
        assert audit.verify(audit.read_links(db), key=bytes(32)).fault == "changed"


def test_reading_goes_on_over_the_bound_of_a_part(
    database: Database, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telerehab.auth.audit.BATCH_ROWS", 2)
    _write(database, 5)
    assert _verify(database, settings).head.count == 5


def test_an_engine_without_key_writes_no_link(settings: Settings) -> None:
    engine = make_engine(settings.database_url)
    with pytest.raises(AuditKeyError), writing(engine, owner="web") as db:
        audit.record(db, actor=THERAPIST, action="reveal_cpr", now=NOW)
    engine.dispose()
