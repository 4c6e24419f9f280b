"""Flags as rows: the life of a flag is written by jobs, what people did with it by web."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from telerehab.care.flags import Evidence, Finding, Flag, Mark, MarkKind, Rule, Severity
from telerehab.db.tables import Flag as FlagRow
from telerehab.db.tables import FlagAction


def read_flag(row: FlagRow) -> Flag:
    """Return a row's flag as a value."""
    data = row.data
    level = data.get("level", {"severity": row.severity, "number": row.value or 0.0})
    return Flag(
        finding=Finding(
            rule=Rule(row.rule),
            cause_key=row.cause,
            number=row.value or 0.0,
            unit=row.unit or "",
            threshold=row.threshold or 0.0,
            since=read_since(row.since, data.get("since")),
            exercise=data.get("exercise"),
            side=data.get("side"),
            evidence=read_evidence(data),
        ),
        opened_at=row.opened_at,
        seen_at=row.updated_at,
        level_severity=Severity(level["severity"]),
        level_number=level["number"],
        version=row.version,
        ended_at=row.ended_at,
    )


def read_since(since: datetime, named: str | None) -> date:
    """Return the first day on which a flag's condition held: as the row's data name it, in the organisation's zone."""
    return since.date() if named is None else date.fromisoformat(named)


def read_evidence(data: dict[str, Any]) -> tuple[Evidence, ...]:
    """Return the raw data behind a flag."""
    return tuple(
        Evidence(source=each["source"], id=each["id"], day=date.fromisoformat(each["day"]), value=each["value"])
        for each in data.get("evidence", ())
    )


def read_marks(actions: Sequence[FlagAction]) -> list[Mark]:
    """Return what people did with one flag."""
    return [Mark(kind=MarkKind(each.action), at=each.at, flag_version=each.flag_version) for each in actions]


def new_flag_row(flag: Flag, patient_id: UUID, organisation_id: UUID, *, since: datetime) -> FlagRow:
    """Return the row of a new flag; `since` is the beginning of its first day in the organisation's time zone."""
    finding = flag.finding
    return FlagRow(
        organisation_id=organisation_id,
        patient_id=patient_id,
        rule=finding.rule.value,
        cause=finding.cause_key,
        severity=int(finding.severity),
        value=finding.number,
        threshold=finding.threshold,
        unit=finding.unit,
        since=since,
        opened_at=flag.opened_at,
        updated_at=flag.seen_at,
        suggested_action=finding.action.value,
        data=_data(flag),
        version=flag.version,
    )


def write_flag(row: FlagRow, flag: Flag, *, since: datetime) -> bool:
    """Write a flag into its row; return whether anything but the time of the last look is different."""
    finding = flag.finding
    written = {
        "rule": finding.rule.value,
        "severity": int(finding.severity),
        "value": finding.number,
        "threshold": finding.threshold,
        "unit": finding.unit,
        "since": since,
        "ended_at": flag.ended_at,
        "suggested_action": finding.action.value,
        "data": _data(flag),
        "version": flag.version,
    }
    if all(getattr(row, name) == value for name, value in written.items()):
        return False
    for name, value in written.items():
        setattr(row, name, value)
    row.updated_at = flag.ended_at or flag.seen_at
    return True


def _data(flag: Flag) -> dict[str, Any]:
    """Return what stands in a flag's JSON."""
    finding = flag.finding
    return {
        "since": finding.since.isoformat(),
        "exercise": finding.exercise,
        "side": finding.side,
        "level": {"severity": int(flag.level_severity), "number": flag.level_number},
        "evidence": [
            {"source": each.source, "id": each.id, "day": each.day.isoformat(), "value": each.value}
            for each in finding.evidence
        ],
    }
