"""What the caseload shows of each patient, counted while the flags are: two weeks of days, last training, last pain."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from telerehab.db.tables import PatientSummary
from telerehab.jobs.patient_facts import KnownPatient

SHOWN: Final = timedelta(days=14)
"""So many days are shown, today the last."""


def write_summaries(db: Session, known: Iterable[KnownPatient]) -> None:
    """Write the rows of these patients; of two who count at the same moment either may win."""
    rows = [summarise(each) for each in known]
    if not rows:
        return
    insert = (postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert)(PatientSummary)
    changed = {name: insert.excluded[name] for name in rows[0] if name not in ("patient_id", "organisation_id")}
    ordered = sorted(rows, key=lambda row: row["patient_id"].hex)  # the same order in every process: nobody waits twice
    db.execute(insert.on_conflict_do_update(index_elements=["patient_id"], set_=changed), ordered)


def summarise(known: KnownPatient) -> dict[str, Any]:
    """Return the row of one patient."""
    facts = known.facts
    shown = [day for day in known.days if day.day > facts.today - SHOWN]
    judged = [day for day in shown if day.completeness is not None]
    prescribed = sum(day.prescribed_set_count for day in judged)
    return {
        "patient_id": known.person.patient_id,
        "organisation_id": known.person.organisation_id,
        "day": facts.today,
        "counted_at": facts.now,
        "last_training_at": known.last_training_at,
        "pain_last": facts.pains[-1].value if facts.pains else None,
        "completeness": sum(day.done_set_count or 0 for day in judged) / prescribed if prescribed else None,
        "data": {"statuses": [day.status.value for day in shown]},
    }
