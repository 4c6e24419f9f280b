"""The job that keeps the flags: every ten minutes of everybody, soon after something happened of whom it concerns.

Facts are read first, in a transaction of their own; then the flags are brought up to date in one short writing
transaction that begins with the patients' summaries, so two processes that look at the same moment wait for each other
there and make one flag of one cause. Whoever treats the patient is told of a new or a worse flag: at most once per
cause and day.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime, time, timedelta
from typing import Any, Final
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from telerehab.care.flag_rules import find
from telerehab.care.flags import RETURNS_WITHIN, Finding, Flag, Severity, carry_on
from telerehab.db.changes import note_change
from telerehab.db.engine import Database, reading, writing
from telerehab.db.flag_rows import new_flag_row, read_flag, write_flag
from telerehab.db.repositories.notices import put_notice, to_account
from telerehab.db.tables import (
    CareRelation,
    Correction,
    Patient,
    PlanVersion,
    Retraction,
    SelfReport,
    Substitution,
    TeamMembership,
    TrainingPause,
    TrainingSession,
)
from telerehab.db.tables import Flag as FlagRow
from telerehab.jobs.patient_facts import KnownPatient, read_known_patients
from telerehab.jobs.people import PersonInCourse, group_by_patient
from telerehab.jobs.summaries import write_summaries

OWNER: Final = "jobs"
AT_ONCE: Final = 500
"""Patients whose rows of five weeks are held in memory at a time."""
TABLE: Final = "flag"
FRESH: Final = timedelta(seconds=90)
"""Of whom something is new within this time, they are looked at soon."""
TOLD_FROM: Final = Severity.WATCH
"""Flags of less severity wait on the caseload; nobody is told of them."""
NOTICE_KIND: Final = "notice.flag"


def evaluate_all(database: Database, now: datetime) -> None:
    """Bring the flags of everybody up to date, some hundred patients at a time."""
    with reading(database.main) as db:
        patient_ids = db.exec(select(Patient.id).where(col(Patient.ended_at).is_(None)).order_by(col(Patient.id))).all()
    for start in range(0, len(patient_ids), AT_ONCE):
        evaluate(database, now=now, patient_ids=patient_ids[start : start + AT_ONCE])


def evaluate_fresh(database: Database, now: datetime) -> None:
    """Bring the flags of those up to date of whom something is new."""
    with reading(database.main) as db:
        patient_ids = {patient_id for statement in _something_new(now - FRESH) for patient_id in db.exec(statement)}
    if patient_ids:
        evaluate(database, now=now, patient_ids=patient_ids)


def evaluate(database: Database, *, now: datetime, patient_ids: Collection[UUID]) -> None:
    """Bring the flags of these patients up to date. Doing it twice is harmless."""
    known = read_known_patients(database, now=now, patient_ids=patient_ids)
    with reading(database.main) as db:
        rows = _read_rows(db, patient_ids, now=now)
    found = {each.person.patient_id: _find(each, rows.get(each.person.patient_id, ())) for each in known}
    people = {each.person.patient_id: each.person for each in known}
    concerned = {patient_id for patient_id in people if found[patient_id] or rows.get(patient_id)}
    if known:
        with writing(database.main, owner=OWNER) as db:
            write_summaries(db, known)  # first: whoever writes of the same patients waits here until we are done
            _write(db, {patient_id: found[patient_id] for patient_id in concerned}, people, now=now)


def _something_new(since: datetime) -> Iterable[Any]:
    """Return the queries for patients of whom something is new: trained, said, prescribed, excused, corrected."""
    corrected = select(TrainingSession.patient_id).join(
        Correction, col(Correction.training_session_id) == col(TrainingSession.id)
    )
    return (
        select(TrainingSession.patient_id).where(
            sa.or_(
                col(TrainingSession.opened_at) >= since,
                col(TrainingSession.closed_at) >= since,
                col(TrainingSession.retracted_at) >= since,
            )
        ),
        select(SelfReport.patient_id).where(sa.or_(col(SelfReport.at) >= since, col(SelfReport.retracted_at) >= since)),
        select(PlanVersion.patient_id).where(col(PlanVersion.created_at) >= since),
        select(TrainingPause.patient_id).where(
            sa.or_(col(TrainingPause.created_at) >= since, col(TrainingPause.withdrawn_at) >= since)
        ),
        corrected.where(sa.or_(col(Correction.at) >= since, col(Correction.withdrawn_at) >= since)),
        select(Retraction.right_patient_id).where(
            col(Retraction.at) >= since, col(Retraction.right_patient_id).is_not(None)
        ),
        select(Retraction.wrong_patient_id).where(col(Retraction.at) >= since),
    )


def _find(known: KnownPatient, rows: Iterable[FlagRow]) -> list[Finding]:
    """Return what the rules find for a patient; nothing where the organisation wants nothing judged."""
    standing = {row.cause for row in rows if row.ended_at is None}
    return find(known.facts, standing=standing) if known.person.is_judged else []


def _write(
    db: Session, found: Mapping[UUID, list[Finding]], people: Mapping[UUID, PersonInCourse], *, now: datetime
) -> None:
    """Write what is new, changed or over, and tell who treats the patient."""
    rows = _read_rows(db, found, now=now)
    therapists = _read_therapists(db, found, now=now)
    for patient_id, findings in found.items():
        person = people[patient_id]
        known = {row.id: (row, read_flag(row)) for row in _newest_of_each_cause(rows.get(patient_id, ()))}
        by_cause = {flag.finding.cause_key: row for row, flag in known.values()}
        new, changed, _ = carry_on((flag for _, flag in known.values()), findings, now=now)
        for flag in new:
            row = new_flag_row(flag, person.patient_id, person.organisation_id, since=_since(flag, person))
            db.add(row)
            db.flush()
            note_change(db, TABLE, row.id, version=row.version)
            _tell(db, row, flag, person, therapists.get(patient_id, ()), now=now)
        for flag in changed:
            row = by_cause[flag.finding.cause_key]
            is_worse = flag.version > row.version
            if write_flag(row, flag, since=_since(flag, person)):
                db.add(row)
                note_change(db, TABLE, row.id, version=row.version)
            if is_worse:
                _tell(db, row, flag, person, therapists.get(patient_id, ()), now=now)


def _tell(
    db: Session, row: FlagRow, flag: Flag, person: PersonInCourse, therapists: Iterable[UUID], *, now: datetime
) -> None:
    """Tell who treats the patient, each once a day of one cause."""
    if flag.finding.severity < TOLD_FROM:
        return
    for account_id in therapists:
        put_notice(
            db,
            organisation_id=person.organisation_id,
            recipient=to_account(account_id),
            kind=NOTICE_KIND,
            cause=f"flag:{person.patient_id}:{flag.finding.cause_key}",
            day=person.day_of(now),
            now=now,
            patient_id=person.patient_id,
            data={"flag_id": str(row.id), "rule": flag.finding.rule.value, "number": flag.finding.number},
        )


def _since(flag: Flag, person: PersonInCourse) -> datetime:
    """Return the beginning of the local day since which a flag's condition holds."""
    return _midnight(flag.finding.since, person)


def _midnight(day: date, person: PersonInCourse) -> datetime:
    return datetime.combine(day, time(), person.zone)


def _read_rows(db: Session, patient_ids: Collection[UUID] | None, *, now: datetime) -> dict[UUID, list[FlagRow]]:
    """Return the flags that stand, or ended so lately that they may come back."""
    lately: Any = sa.or_(col(FlagRow.ended_at).is_(None), col(FlagRow.ended_at) >= now - RETURNS_WITHIN)
    return group_by_patient(db, FlagRow, patient_ids, lately)


def _newest_of_each_cause(rows: Iterable[FlagRow]) -> Iterable[FlagRow]:
    """Return the flag of each cause that was opened last."""
    return {row.cause: row for row in sorted(rows, key=lambda row: row.opened_at)}.values()


def _read_therapists(db: Session, patient_ids: Iterable[UUID], *, now: datetime) -> Mapping[UUID, set[UUID]]:
    """Return the members of staff in whose care each patient is: themselves, by a team, or standing in for one."""
    therapists: dict[UUID, set[UUID]] = {}
    in_force = (
        col(CareRelation.patient_id).in_(patient_ids)
        & (col(CareRelation.starts_at) <= now)
        & sa.or_(col(CareRelation.ends_at).is_(None), col(CareRelation.ends_at) > now)
    )
    direct = sa.select(col(CareRelation.patient_id), col(CareRelation.account_id)).where(
        in_force, col(CareRelation.account_id).is_not(None)
    )
    by_team = (
        sa.select(col(CareRelation.patient_id), col(TeamMembership.account_id))
        .join(TeamMembership, col(TeamMembership.team_id) == col(CareRelation.team_id))
        .where(
            in_force,
            col(TeamMembership.starts_at) <= now,
            sa.or_(col(TeamMembership.ends_at).is_(None), col(TeamMembership.ends_at) > now),
        )
    )
    for statement in (direct, by_team):
        for patient_id, account_id in db.execute(statement):
            therapists.setdefault(patient_id, set()).add(account_id)
    substitutes = _read_substitutes(db, now=now)
    for treating in therapists.values():
        treating |= {account_id for absent in treating for account_id in substitutes.get(absent, ())}
    return therapists


def _read_substitutes(db: Session, *, now: datetime) -> Mapping[UUID, set[UUID]]:
    """Return who stands in for whom now, by the absent one."""
    substitutes: dict[UUID, set[UUID]] = {}
    in_force = (col(Substitution.starts_at) <= now) & (col(Substitution.ends_at) > now)
    for row in db.exec(select(Substitution).where(in_force)):
        substitutes.setdefault(row.absent_account_id, set()).add(row.substitute_account_id)
    return substitutes
