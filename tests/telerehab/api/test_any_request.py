"""Whatever is sent to whichever operation, the answer is one that the API means: never a fault of the server."""

import json
import os
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from tests.telerehab.api.world import World, training

METHODS: Final = ("get", "post", "put", "delete", "patch")
EXAMPLES_PER_OPERATION: Final = (
    {"get": 15, "post": 60, "put": 60, "delete": 15, "patch": 40}
    if "TELEREHAB_LONG" in os.environ
    else {"get": 8, "post": 30, "put": 30, "delete": 8, "patch": 20}
)
ANSWER_MAX_BYTES: Final = 65_536
"""The exercise library with its figures is the longest answer there is."""

Operation = tuple[str, str, Mapping[str, Any] | None]

odd_text = st.text(max_size=20) | st.sampled_from(["", "\x00", "\ud800", "a\x00b@c.d", "x" * 300, "\u202e", "' OR 1=1"])
odd_number = st.integers() | st.floats() | st.sampled_from([10**400, -(2**63), 2**63, float("nan"), float("inf")])
odd_value = st.recursive(
    st.none() | st.booleans() | odd_number | odd_text,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(odd_text, children, max_size=3),
    max_leaves=5,
)


def operations_of(world: World) -> list[Operation]:
    """Return path, method and body schema of every operation in the app's own description."""
    description = world.app.openapi()
    found: list[Operation] = []
    for path, methods in description["paths"].items():
        for method in methods.keys() & set(METHODS):
            content = methods[method].get("requestBody", {}).get("content", {})
            schema = content.get("application/json", {}).get("schema")
            found.append((path, method, None if schema is None else _resolved(schema, description)))
    return sorted(found, key=lambda operation: operation[:2])


def _resolved(schema: Mapping[str, Any], description: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else description["components"]["schemas"][reference.rsplit("/", 1)[-1]]


def _field(schema: Mapping[str, Any], ids: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return values that fit a field of a body, roughly."""
    if "anyOf" in schema:
        return st.one_of([_field(each, ids) for each in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    if schema.get("format") == "uuid":
        return ids
    match schema.get("type"):
        case "array":
            return st.lists(_field(schema["items"], ids), min_size=schema.get("minItems", 0), max_size=2)
        case "integer":
            return st.integers(schema.get("minimum", -5), schema.get("maximum", 2**70))
        case "number":
            return st.floats(schema.get("minimum"), schema.get("maximum"))
        case "null":
            return st.none()
    return st.sampled_from(["a@b.dk", "knee_extension_seated", "123456", "a\x00@b.dk", "\x00"]) | odd_text


def bodies_for(schema: Mapping[str, Any], ids: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Return bodies of which some fit, some almost, and some not at all."""
    fields = {name: _field(field, ids) for name, field in schema["properties"].items()}
    fitting = st.fixed_dictionaries(fields)
    spoiled = st.builds(
        lambda body, name, value: {**body, name: value}, fitting, st.sampled_from(sorted(fields)) | odd_text, odd_value
    )
    return fitting | fitting.map(dict) | spoiled | odd_value  # hypothesis would take the same one once only


@pytest.fixture
def browsers(world: World) -> dict[str, TestClient]:
    """Give a browser of each kind of reader."""
    return {
        "stranger": world.browser(),
        "therapist": world.logged_in(world.here.therapist_link),
        "tablet": world.logged_in(world.here.tablet_link),
    }


def test_no_request_makes_the_server_fail(world: World, browsers: dict[str, TestClient]) -> None:
    stranger = browsers["stranger"]
    stranger.portal = world.client.portal
    known = [str(each) for each in (*world.here.patient_ids, world.here.stranger_id, *world.there.patient_ids)]
    live = browsers["therapist"].post("/api/live-sessions", json={"title": "Hold", "patient_ids": known[:1]}).json()
    session_id = str(uuid.uuid4())
    browsers["therapist"].put(f"/api/training-sessions/{session_id}", json=training(world.here.patient_ids[0]))
    ids = st.sampled_from([*known[:2] * 8, *known, live["id"], session_id, str(uuid.uuid4())])  # often one's own
    ids_in_paths = ids | st.sampled_from(["\x00", "0", "..", "é", "\ud800", "x" * 2_000])
    seen: set[int] = set()

    for path, method, schema in operations_of(world):
        bodies = st.none() if schema is None else bodies_for(schema, ids)
        _try_operation(path, method, ids_in_paths, bodies, browsers, seen)
    assert {200, 201, 204, 401, 403, 404, 422} <= seen, "the generator reaches the insides"


def _try_operation(
    path: str,
    method: str,
    ids: st.SearchStrategy[str],
    bodies: st.SearchStrategy[Any],
    browsers: Mapping[str, TestClient],
    seen: set[int],
) -> None:
    """Send generated requests to one operation and judge the answers."""
    readers = ["stranger"] if path == "/api/logout" else ["therapist", "therapist", "therapist", "tablet", "stranger"]

    @settings(
        max_examples=EXAMPLES_PER_OPERATION[method] if "{" in path or method != "get" else len(readers),
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(who=st.sampled_from(readers), id=ids, body=bodies)
    def check(who: str, id: str, body: Any) -> None:
        address = re.sub(r"\{\w+\}", lambda _: quote(id, errors="surrogatepass"), path)
        content = None if body is None else json.dumps(body).encode()
        answer = browsers[who].request(method, address, content=content, headers={"Content-Type": "application/json"})
        seen.add(answer.status_code)
        assert answer.status_code < 500 or path == "/readyz", (method, path, who, body)
        assert answer.headers["Cache-Control"] == "no-store"
        assert len(answer.content) < ANSWER_MAX_BYTES, "an answer does not grow with what was sent"
        if answer.status_code >= 400 and path != "/readyz":
            assert answer.json()["code"]

    check()
