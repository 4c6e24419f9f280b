"""Requests drawn from the API's own description: every answer is one that the description promises."""

import os
import re
import uuid
from collections.abc import Mapping
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import missing_required_header, positive_data_acceptance, unsupported_method
from starlette.testclient import TestClient

from telerehab.auth.reader import STAFF_ROLES
from tests.telerehab.api.world import WRITE, World, training

EXAMPLES: Final = int(os.environ.get("TELEREHAB_CONTRACT_EXAMPLES", "10"))
ENDS_OWN_LOGINS: Final = re.compile(r"/logout$|/my/logins$|/my/password$")
ENDS_LOGINS: Final = re.compile(r"/disable$|/tablets/|/helper-grants/|/consents/")
"""Not with ids that exist: who is logged out reaches nothing any more."""
NOT_ASKED: Final = [
    positive_data_acceptance,  # a body may fit its schema and still make no sense: 422 names why
    missing_required_header,  # the header of writes is judged before routing, and tested in test_routes
    unsupported_method,
]


def browsers_of(world: World) -> dict[str, TestClient]:
    """Return a browser of each kind of reader."""
    browsers: dict[str, TestClient] = {role: world.as_staff(role) for role in STAFF_ROLES}
    browsers["first_factor"] = world.as_staff("therapist", assurance="first_factor")
    browsers |= {"helper": world.as_helper(), "tablet": world.as_tablet(), "stranger": world.browser()}
    browsers["stranger"].portal = world.client.portal
    return browsers


def known_ids(world: World, therapist: TestClient) -> list[str]:
    """Return ids that exist: patients, live session, training session."""
    patient_ids = [str(each) for each in world.here.patient_ids]
    live = therapist.post("/api/live-sessions", json={"title": "Hold", "patient_ids": patient_ids[:1]}).json()["id"]
    session_id = str(uuid.uuid4())
    assert therapist.put(f"/api/training-sessions/{session_id}", json=training(world.here.patient_ids[0])).is_success
    here = world.here
    others = (here.organisation_id, *here.staff_ids.values(), here.tablet_id, here.helper_id, here.grant_id)
    return [*patient_ids * 4, live, session_id, *map(str, others), str(world.there.patient_ids[0])]


def test_every_answer_is_one_that_the_description_promises(sqlite_world: World) -> None:
    browsers = browsers_of(sqlite_world)
    ids = known_ids(sqlite_world, browsers["therapist"])
    description = schemathesis.openapi.from_dict(sqlite_world.app.openapi())
    operations = [result.ok() for result in description.get_all_operations() if isinstance(result, Ok)]
    operations = [operation for operation in operations if operation.path.startswith("/api/")]  # not the health checks
    assert len(operations) > 120
    tally: dict[int, int] = {}
    for operation in operations:
        _try_operation(operation, browsers, ids, tally)
    assert {200, 201, 204, 401, 403, 404, 422} <= tally.keys(), "the generator reaches the insides"
    assert not any(status >= 500 for status in tally)
    assert tally[401] < sum(tally.values()) / 4


def _try_operation(operation: Any, browsers: Mapping[str, TestClient], ids: list[str], tally: dict[int, int]) -> None:
    """Send generated requests to one operation and hold each answer against the description."""
    names = ["stranger"] if ENDS_OWN_LOGINS.search(operation.path) else sorted(browsers)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(
        case=st.one_of(
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
            operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)
            if operation.body or operation.query or operation.path_parameters
            else st.nothing(),
        ),
        who=st.sampled_from(names),
        known=st.sampled_from(ids),
        is_known=st.booleans(),
    )
    def check(case: Any, who: str, known: str, is_known: bool) -> None:
        if is_known and case.meta.generation.mode.is_positive and not ENDS_LOGINS.search(operation.path):
            for name in case.path_parameters or {}:
                if re.search(r"id$", name):
                    case.path_parameters[name] = known
        arguments = case.as_transport_kwargs(base_url="https://clinic.localhost", headers=WRITE)
        arguments.pop("cookies", None)
        if isinstance(arguments.get("data"), bytes | str):
            arguments["content"] = arguments.pop("data")
        response = browsers[who].request(**{key: value for key, value in arguments.items() if value is not None})
        tally[response.status_code] = tally.get(response.status_code, 0) + 1
        case.validate_response(response, excluded_checks=NOT_ASKED)

    check()


@pytest.mark.long
def test_every_answer_is_promised_with_many_examples(sqlite_world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.contract.test_openapi.EXAMPLES", 100)
    test_every_answer_is_one_that_the_description_promises(sqlite_world)
