"""One row of every table for each organisation, made from the tables' own description: real ids for every path."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Date,
    Float,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    Uuid,
    insert,
    select,
)
from sqlalchemy.sql.schema import CheckConstraint
from sqlmodel.sql.sqltypes import AutoString

from telerehab.auth.key_ring import KeyRing
from telerehab.care.library import find_shared
from telerehab.care.plans import canonical_json
from telerehab.care.questionnaires import PAIN_NRS
from telerehab.care.reading import write_value
from telerehab.care.templates import fill_template, find_template
from telerehab.db import provisioning, tables
from telerehab.db.engine import Database, reading, writing
from telerehab.db.sealing import PatientSeal
from tests.telerehab.api.world import Clinic
from tests.telerehab.care.test_questionnaires import IMPORT

KINDS: Final[Mapping[type, type]] = {
    tables.base.UtcDateTime: datetime,
    Uuid: UUID,
    AutoString: str,
    String: str,
    Text: str,
    LargeBinary: bytes,
    JSON: dict,
    Integer: int,
    BigInteger: int,
    SmallInteger: int,
    Boolean: bool,
    Float: float,
    Date: date,
}
"""What a column holds."""
NOT_OF_ANYBODY: Final = frozenset({"audit_event", "job", "worker", "login", "patient_summary", "passkey_challenge"})
METADATA: Final = tables.base.Table.metadata
HOUR: Final = timedelta(hours=1)
PLAN: Final[Any] = json.loads(
    canonical_json(fill_template(find_template("knee"), side="right", valid_from=date(2026, 1, 1)))
)
LOCAL_EXERCISE: Final[Any] = {
    **json.loads(json.dumps(write_value(find_shared("heel_slide").content))),
    "title": {"da": "Hælen ind på håndklæde", "en": None},
}

CHOSEN: Final[Mapping[tuple[str, str], Any]] = {
    ("participant", "role"): "patient",
    ("appointment", "kind"): "visit",
    ("help_call", "state"): "called",
    ("flag", "rule"): "days_missed",
    ("flag", "severity"): 2,
    ("flag", "suggested_action"): "call",
    ("live_session", "state"): "open",
    ("training_set", "exercise"): "knee_extension_seated",
    ("training_session", "exercise"): "knee_extension_seated",
    ("training_session", "side"): "right",
    ("training_set", "side"): "right",
    ("notice", "day"): "2026-01-01",
    ("patient_summary", "day"): "2026-01-01",
    ("duty", "weekday"): 0,
    ("questionnaire_schedule", "code"): PAIN_NRS,
    ("questionnaire_response", "code"): PAIN_NRS,
    ("questionnaire", "definition"): IMPORT,
    ("local_exercise", "code"): "heel_slide",
    ("local_exercise", "content"): LOCAL_EXERCISE,
    ("secret_look", "what"): "cpr",
    ("self_report", "value"): 3,
    ("retraction", "what"): "training_session",
}
"""What a column's kind does not tell."""
HELD_BY: Final[Mapping[str, str]] = {
    "passkey": "account_id",
    "calendar_feed": "account_id",
    "one_time_link": "tablet_id",
    "care_relation": "account_id",
    "appointment": "patient_id",
    "message": "account_id",
    "participant": "patient_id",
}
"""Which of several possible holders a row has."""
OF_PATIENT: Final = frozenset({"patient_id", "training_session_id", "live_session_id", "plan_version_id"})
"""References that a row gets although it need not have them."""


@dataclass(kw_only=True, slots=True)
class EveryRow:
    """The key of one row of each table, by table, in one organisation."""

    clinic: Clinic
    key: dict[str, Any] = field(default_factory=dict)
    second_therapist_id: UUID
    """Somebody who could stand in."""

    def all_ids(self) -> list[str]:
        """Return every id there is in the organisation."""
        return [str(each) for each in self.key.values()]


def fill(database: Database, key_ring: KeyRing, clinic: Clinic, now: datetime) -> EveryRow:
    """Write what is missing and return the keys."""
    with writing(database.main, owner="web") as db:
        second = provisioning.create_account(
            db,
            organisation_id=clinic.organisation_id,
            email=f"second-{clinic.email}",
            display_name="Second",
        )
    rows = EveryRow(
        clinic=clinic,
        second_therapist_id=second.id,
        key={
            "organisation": clinic.organisation_id,
            "account": clinic.therapist_id,
            "patient": clinic.patient_ids[0],
            "helper": clinic.helper_id,
            "helper_grant": clinic.grant_id,
            "tablet": clinic.tablet_id,
        },
    )
    with reading(database.main) as db:
        seal = PatientSeal(db.get_one(tables.Patient, clinic.patient_ids[0]), key_ring)
    for table in METADATA.sorted_tables:
        if table.info["store"] != "main" or table.name in NOT_OF_ANYBODY or table.name in rows.key:
            continue
        values = _values(table, rows, seal, now)
        owner = "web" if table.info["owner"] == "*" else table.info["owner"]
        with writing(database.main, owner=owner) as db:
            db.connection().execute(insert(table).values(**values))
        rows.key[table.name] = values[next(iter(table.primary_key.columns)).name]
    return rows


def fingerprint(database: Database, rows: EveryRow) -> dict[str, Any]:
    """Return the content of all rows of an organisation, to be compared."""
    content: dict[str, Any] = {}
    with reading(database.main) as db:
        for name, key in rows.key.items():
            table = METADATA.tables[name]
            first = next(iter(table.primary_key.columns))
            found = db.connection().execute(select(table).where(first == key)).all()
            content[name] = [tuple(row) for row in found]
        for name in ("account", "patient", "care_relation", "team_membership", "consent", "tablet", "helper_grant"):
            table = METADATA.tables[name]
            content[f"all {name}"] = sorted(str(tuple(row)) for row in db.connection().execute(select(table)).all())
    return content


def _values(table: Table, rows: EveryRow, seal: PatientSeal, now: datetime) -> dict[str, Any]:
    row_id = uuid4()
    return {
        column.name: value
        for column in table.columns
        if (value := _value(table, column, rows, seal, row_id, now)) is not None
    }


def _value(table: Table, column: Column[Any], rows: EveryRow, seal: PatientSeal, row_id: UUID, now: datetime) -> Any:
    name = column.name
    if (table.name, name) in CHOSEN:
        return CHOSEN[table.name, name]
    if column.foreign_keys:
        is_wanted = not column.nullable or name in OF_PATIENT or HELD_BY.get(table.name) == name
        is_other = table.name in HELD_BY and HELD_BY[table.name] != name and column.nullable
        target = next(iter(column.foreign_keys)).column.table.name
        return rows.key[target] if is_wanted and not is_other else None
    if name in ("id", "exercise_id"):  # the id that all versions share
        return row_id
    if column.nullable and name != "paired_at":
        return None
    if name.endswith("_sealed"):
        text = "{}" if name == "answers_sealed" else "words"
        return seal.seal(text, table=table.name, column=name.removesuffix("_sealed"), row_id=row_id)
    return _plain(table, column, rows, now)


def _plain(table: Table, column: Column[Any], rows: EveryRow, now: datetime) -> Any:
    name = column.name
    kind = KINDS[type(column.type)]
    if name == "content" and table.name == "plan_version":
        return PLAN
    if kind is datetime:
        later = name.endswith(("ends_at", "expires_at"))
        return now + HOUR if later else now - HOUR
    if kind is UUID:
        return rows.key["account"]
    if kind is str:
        words = _words(table, name)
        return words[0] if words else secrets.token_hex(16)
    if kind is bytes:
        return secrets.token_bytes(16)
    if kind is dict:
        return [] if name in ("scopes", "told") else {}
    return {int: 1, bool: False, float: 1.0, date: now.date()}[kind]


def _words(table: Table, column: str) -> list[str]:
    """Return the words that a constraint allows."""
    for constraint in table.constraints:
        said = str(constraint.sqltext) if isinstance(constraint, CheckConstraint) else ""
        if said.startswith(f"{column} IN ("):
            return [word.strip(" '") for word in said[said.index("(") + 1 : -1].split(",")]
    return []
