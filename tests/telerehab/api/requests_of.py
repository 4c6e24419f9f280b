"""Requests built from the app's own description: every path with real ids, every body with fields that fit."""

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from fastapi import FastAPI

from tests.telerehab.api.every_row import EveryRow

METHODS: Final = ("get", "post", "put", "delete", "patch")
TABLE_OF: Final[Mapping[str, str]] = {
    "relation_id": "care_relation",
    "feed_id": "calendar_feed",
    "grant_id": "helper_grant",
    "response_id": "questionnaire_response",
    "schedule_id": "questionnaire_schedule",
    "set_id": "training_set",
    "training_set_id": "training_set",
    "import_id": "patient_import",
    "report_id": "self_report",
    "exercise_id": "local_exercise",
    "device_name": "device",
    "group_id": "patient_group",
    "pause_id": "training_pause",
    "therapist_id": "account",
    "absent_account_id": "account",
    "substitute_account_id": "account",
    "right_patient_id": "patient",
    "challenge_id": "passkey_challenge",
    "row_id": "training_session",
    "account_ids": "account",
    "member_ids": "account",
    "patient_ids": "patient",
}
"""Which table a parameter or field names, where its name does not say."""
FITTING: Final[Mapping[str, Any]] = {
    "email": "new@here.example",
    "cpr": "0102401234",
    "code": "123456",
    "pin": "1234",
    "token": "x" * 43,
    "reason": "et godt og langt skema",
    "telephone": "+4512345678",
    "help_telephone": "+4512345678",
    "time_zone": "Europe/Copenhagen",
    "exercise": "knee_extension_seated",
    "body_site": "thigh_right",
    "kind": "other",
    "day": "2026-09-22",
    "old": "correct horse battery staple",
    "new": "tre grønne måger i modvind",
    "password": "correct horse battery staple",
}
"""What a field's kind does not tell."""
_PARAMETER: Final = re.compile(r"\{(\w+)\}")

Choose = Callable[[str], str]
"""Return the id for a parameter or field of this name."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Operation:
    """One route as the app describes it."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    """The schema of its body."""
    query: Sequence[Mapping[str, Any]]
    """Its query parameters."""
    components: Mapping[str, Any]

    @property
    def route(self) -> tuple[str, str]:
        """Return method and path."""
        return self.method.upper(), self.path


def operations_of(app: FastAPI) -> list[Operation]:
    """Return every operation of the app, in the order of paths."""
    description = app.openapi()
    components = description.get("components", {}).get("schemas", {})
    found = []
    for path, methods in description["paths"].items():
        for method in sorted(methods.keys() & set(METHODS)):
            content = methods[method].get("requestBody", {}).get("content", {})
            query = [each for each in methods[method].get("parameters", ()) if each["in"] == "query"]
            found.append(
                Operation(
                    method=method,
                    path=path,
                    body=content.get("application/json", {}).get("schema"),
                    query=query,
                    components=components,
                )
            )
    return sorted(found, key=lambda operation: (operation.path, operation.method))


def key_for(name: str, rows: EveryRow) -> str:
    """Return the key of the row that a parameter or field of this name means; a new id where it means a new row."""
    table = TABLE_OF.get(name, name.removesuffix("_id"))
    if name == "number":
        return "1"
    return str(rows.key.get(table, uuid4()))


def address_of(operation: Operation, choose: Choose) -> str:
    """Return the path with ids in it."""
    return _PARAMETER.sub(lambda match: choose(match.group(1)), operation.path)


def query_of(operation: Operation, choose: Choose, now: datetime, *, all_of_them: bool) -> dict[str, str]:
    """Return query parameters that fit."""
    made = {}
    for parameter in operation.query:
        if parameter.get("required") or all_of_them:
            value = _value(parameter["name"], parameter["schema"], operation, choose, now, all_of_them=True)
            if value is not None:
                made[parameter["name"]] = str(value)
    return made


def body_of(operation: Operation, choose: Choose, now: datetime, *, all_of_them: bool = False) -> Any:
    """Return a body that fits, with the fields that are needed or with all."""
    if operation.body is None:
        return None
    return _value("body", operation.body, operation, choose, now, all_of_them=all_of_them)


def has_ids(operation: Operation) -> bool:
    """Return whether an id stands anywhere in path, query or body."""
    names: list[str] = []

    def note(name: str) -> str:
        names.append(name)
        return str(uuid4())

    now = datetime.fromisoformat("2026-09-22T00:00:00+00:00")
    address_of(operation, note)
    query_of(operation, note, now, all_of_them=True)
    body_of(operation, note, now, all_of_them=True)
    return bool(set(names) - {"id", "number", "token"})


def _value(
    name: str, schema: Mapping[str, Any], operation: Operation, choose: Choose, now: datetime, *, all_of_them: bool
) -> Any:
    schema = _resolved(schema, operation)
    if "anyOf" in schema:
        choices = [each for each in schema["anyOf"] if each.get("type") != "null"]
        return _value(name, choices[0], operation, choose, now, all_of_them=all_of_them)
    if "const" in schema:
        return schema["const"]
    if "enum" in schema:
        return schema["enum"][0]
    kind, form = schema.get("type"), schema.get("format")
    if kind == "object" or "properties" in schema:
        return dict(_fields(schema, operation, choose, now, all_of_them=all_of_them))
    if kind == "array" and "items" not in schema:
        return []
    if kind == "array":
        items = [_value(name, schema["items"], operation, choose, now, all_of_them=all_of_them)]
        return items * max(1, schema.get("minItems", 1))
    if form == "uuid":
        return str(uuid4()) if name == "id" else choose(name)
    if form == "date":
        return (now + timedelta(days=1)).date().isoformat()
    if form == "date-time":
        later = name.startswith(("ends", "to", "until"))
        return (now + timedelta(hours=2 if later else 1)).isoformat()
    if name in FITTING:
        return FITTING[name]
    match kind:
        case "string":
            return _text(schema, name, choose)
        case "integer":
            return int(schema.get("minimum", schema.get("default", 1)))
        case "number":
            return float(schema.get("minimum", 1.0))
        case "boolean":
            return True
    return None


def _text(schema: Mapping[str, Any], name: str, choose: Choose) -> str:
    if name == "device_name":
        return choose(name)
    return "words"[: schema.get("maxLength", 5)].ljust(schema.get("minLength", 0), "x")


def _fields(
    schema: Mapping[str, Any], operation: Operation, choose: Choose, now: datetime, *, all_of_them: bool
) -> Iterator[tuple[str, Any]]:
    needed = set(schema.get("required", ()))
    for name, field in schema.get("properties", {}).items():
        if name in needed or all_of_them:
            yield name, _value(name, field, operation, choose, now, all_of_them=all_of_them)


def _resolved(schema: Mapping[str, Any], operation: Operation) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    resolved: Mapping[str, Any] = operation.components[reference.rsplit("/", 1)[-1]]
    return resolved


def foreign_choice(rng: random.Random, rows: EveryRow) -> Choose:
    """Return a choice among the ids of an organisation: mostly the one that is meant, now and then any other."""

    def choose(name: str) -> str:
        return key_for(name, rows) if rng.random() < 0.8 else rng.choice(rows.all_ids())

    return choose
