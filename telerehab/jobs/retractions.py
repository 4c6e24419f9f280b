"""After a retraction: the flags of the wrong patient are evaluated anew, and name nothing of it any more.

The rules read only what is not retracted, so a flag that stood on it ends or stands on other data. What it stood on is
taken out of the raw data behind it, also of flags that had ended before, and who was told of it is told no more.
"""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.db.changes import note_change
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Flag, Notice, Retraction, SelfReport
from telerehab.jobs.flags import OWNER, TABLE, evaluate

LOOK_BACK: Final = timedelta(days=2)
"""Retractions are looked at for so long: also those that came while the role was down."""


def carry_out_retractions(database: Database, now: datetime) -> None:
    """Bring the flags that name what was taken back up to date; doing it twice is harmless."""
    with reading(database.main) as db:
        concerned = _read_concerned(db, since=now - LOOK_BACK)
        due = {patient_id for patient_id, ids in concerned.items() if _find_tainted(db, patient_id, ids)}
    if not due:
        return
    evaluate(database, now=now, patient_ids=due)
    with writing(database.main, owner=OWNER) as db:
        for patient_id in sorted(due):
            for flag in _find_tainted(db, patient_id, concerned[patient_id]):
                _cleanse(db, flag, concerned[patient_id], now=now)


def _read_concerned(db: Session, *, since: datetime) -> dict[UUID, set[str]]:
    """Return the ids that were taken back lately, by the patient who had them and has them no more."""
    concerned: dict[UUID, set[str]] = {}
    lately = db.exec(select(Retraction).where(col(Retraction.at) >= since).order_by(col(Retraction.at))).all()
    holders = {row.row_id: row.right_patient_id for row in lately}  # the last one's word counts
    for row in lately:
        if holders[row.row_id] == row.wrong_patient_id:
            continue
        ids = concerned.setdefault(row.wrong_patient_id, set())
        ids.add(str(row.row_id))
        reports = select(SelfReport.id).where(col(SelfReport.training_session_id) == row.row_id)
        ids.update(str(each) for each in db.exec(reports))
    return concerned


def _find_tainted(db: Session, patient_id: UUID, ids: Collection[str]) -> list[Flag]:
    """Return the flags of a patient that name what was taken back."""
    flags = db.exec(select(Flag).where(col(Flag.patient_id) == patient_id)).all()
    return [flag for flag in flags if any(each in ids for each in _named(flag))]


def _cleanse(db: Session, flag: Flag, ids: Collection[str], *, now: datetime) -> None:
    """Take what was taken back out of a flag; one that stood still ends, and its notices go."""
    kept: list[dict[str, Any]] = [each for each in flag.data.get("evidence", ()) if str(each.get("id")) not in ids]
    flag.data = {**flag.data, "evidence": kept}
    flag.value = None
    flag.ended_at = flag.ended_at or now
    flag.updated_at = now
    flag.version += 1
    db.add(flag)
    note_change(db, TABLE, flag.id, version=flag.version)
    for notice in db.exec(select(Notice).where(col(Notice.patient_id) == flag.patient_id)):
        if notice.data.get("flag_id") == str(flag.id):
            db.delete(notice)


def _named(flag: Flag) -> list[str]:
    return [str(each.get("id")) for each in flag.data.get("evidence", ())]
