"""Who may do what: every route and channel, for every kind of reader in every relation to a patient.

The routes come from the app, the expectation from `access_table` and from what a relation is worth, written down here
once more. Nothing that is sent is kept: every transaction ends without commit, so that no request changes another.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID, uuid4

import pytest
from sqlmodel import Session
from starlette.testclient import TestClient

from telerehab.api.routes import declared_policies, declared_scopes
from telerehab.auth import policies
from telerehab.auth.access import Scope
from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.policies import Policy
from telerehab.auth.reader import STAFF_ROLES
from telerehab.care.questionnaires import PAIN_NRS
from telerehab.clock import utc_now
from telerehab.db import provisioning
from telerehab.db.engine import writing
from telerehab.db.repositories.people import helper_context
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import (
    BreakGlass,
    CareRelation,
    Helper,
    HelperGrant,
    Patient,
    Substitution,
    Team,
    TeamMembership,
)
from tests.telerehab.api.access_table import EXPECTED, WORDS
from tests.telerehab.api.every_row import LOCAL_EXERCISE, PLAN, EveryRow, fill, fingerprint
from tests.telerehab.api.requests_of import (
    Operation,
    address_of,
    body_of,
    key_for,
    operations_of,
    query_of,
)
from tests.telerehab.api.world import HASHED_PASSWORD, World
from tests.telerehab.care.test_questionnaires import IMPORT

ALL: Final = frozenset(Scope)
NONE: Final[frozenset[Scope]] = frozenset()
DAY: Final = timedelta(days=1)
POLICIES: Final = {each.name: each for each in vars(policies).values() if isinstance(each, Policy)}
OFF_THE_TABLE: Final = {("GET", "/api/calendar/{token}.ics"), ("POST", "/api/logout")}
"""The token is the key to the first, and has tests of its own; the second ends the login that is tried."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Seeker:
    """Somebody who tries every route, and what they are worth for the patient whose rows are tried."""

    name: str
    browser: TestClient
    role: str | None
    scopes: frozenset[Scope] = NONE
    is_full: bool = True
    is_here: bool = True


def make_seekers(world: World) -> list[Seeker]:
    """Return a browser for every kind of reader in every relation to the first patient."""
    here, there, patient_id, now = world.here, world.there, world.here.patient_ids[0], utc_now(world.clock)
    key_ring = open_key_ring(world.settings)

    def account(db: Session, name: str) -> UUID:
        return provisioning.create_account(
            db,
            organisation_id=here.organisation_id,
            email=f"{name}@here.example",
            display_name=name,
            password_hash=HASHED_PASSWORD,
        ).id

    with writing(world.database.main, owner="web") as db:
        ids = {name: account(db, name) for name in ("team", "substitute", "ended", "breaker", "stranger", "over")}
        team = Team(organisation_id=here.organisation_id, name="Hold")
        db.add(team)
        db.flush()
        db.add(TeamMembership(team_id=team.id, account_id=ids["team"], starts_at=now - DAY))
        db.add(CareRelation(team_id=team.id, patient_id=patient_id, starts_at=now - DAY))
        db.add(CareRelation(account_id=ids["ended"], patient_id=patient_id, starts_at=now - DAY, ends_at=now))
        db.add(
            Substitution(
                absent_account_id=here.therapist_id,
                substitute_account_id=ids["substitute"],
                starts_at=now - DAY,
                ends_at=now + DAY,
                created_by=here.therapist_id,
            )
        )
        seal = PatientSeal(db.get_one(Patient, patient_id), key_ring)
        for name, ends_at in (("breaker", now + DAY / 24), ("over", now)):
            db.add(
                BreakGlass(
                    organisation_id=here.organisation_id,
                    account_id=ids[name],
                    id=(look_id := uuid4()),
                    patient_id=patient_id,
                    reason_sealed=seal.seal("words", table="break_glass", column="reason", row_id=look_id),
                    starts_at=now - DAY,
                    ends_at=ends_at,
                )
            )
        helpers = {}
        for scope in ("join", "see_plan", "see_results", "train_for", "ended", "revoked"):
            helper_id = helpers[scope] = uuid4()
            sealed = key_ring.seal(b"Poul", context=helper_context(helper_id))
            db.add(Helper(id=helper_id, organisation_id=here.organisation_id, name_sealed=sealed, created_at=now))
            db.flush()
            grant_id = uuid4()
            is_over = scope in ("ended", "revoked")
            db.add(
                HelperGrant(
                    id=grant_id,
                    patient_id=patient_id,
                    helper_id=helper_id,
                    invited_name_sealed=seal.seal("Poul", table="helper_grant", column="invited_name", row_id=grant_id),
                    scopes=["join", "see_plan", "see_results", "train_for"] if is_over else [scope],
                    starts_at=now - DAY,
                    ends_at=now if scope == "ended" else now + DAY,
                    revoked_at=now if scope == "revoked" else None,
                    accepted_at=now - DAY,
                    created_by=here.therapist_id,
                )
            )
        other_tablet = provisioning.create_tablet(db, patient_id=here.patient_ids[1])

    glass = frozenset({Scope.IDENTIFY, Scope.SEE_PLAN, Scope.SEE_RESULTS})
    manages = frozenset({Scope.IDENTIFY, Scope.LEND, Scope.ASSIGN})
    own = ALL - {Scope.WRITE_CARE, Scope.LEND, Scope.ASSIGN}
    helps = {
        "join": Scope.JOIN,
        "see_plan": Scope.SEE_PLAN,
        "see_results": Scope.SEE_RESULTS,
        "train_for": Scope.TRAIN,
    }

    def staff(name: str, scopes: frozenset[Scope] = NONE) -> Seeker:
        browser = world.with_login(account_id=ids[name])
        return Seeker(name=name, browser=browser, role="therapist", scopes=scopes)

    half = world.as_staff("therapist", assurance="first_factor")
    nobody = world.browser()
    nobody.portal = world.client.portal
    return [
        Seeker(name="in care", browser=world.as_staff("therapist"), role="therapist", scopes=ALL),
        staff("team", ALL),
        staff("substitute", ALL),
        staff("breaker", glass),
        *(staff(name) for name in ("ended", "over", "stranger")),
        Seeker(name="manager", browser=world.as_staff("team_manager"), role="team_manager", scopes=manages),
        *(Seeker(name=role, browser=world.as_staff(role), role=role) for role in STAFF_ROLES[2:]),
        Seeker(name="own tablet", browser=world.as_tablet(), role="tablet", scopes=own),
        Seeker(name="other tablet", browser=world.with_login(tablet_id=other_tablet.id), role="tablet"),
        *(
            Seeker(
                name=f"helper: {scope}",
                browser=world.with_login(helper_id=helper_id),
                role="helper",
                scopes=frozenset({Scope.IDENTIFY, helps[scope]}) if scope in helps else NONE,
            )
            for scope, helper_id in helpers.items()
        ),
        Seeker(name="first factor only", browser=half, role="therapist", scopes=ALL, is_full=False),
        Seeker(name="logged out", browser=nobody, role=None),
        *(
            Seeker(name=f"{role} there", browser=world.as_staff(role, clinic=there), role=role, is_here=False)
            for role in STAFF_ROLES
        ),
        Seeker(name="tablet there", browser=world.as_tablet(clinic=there), role="tablet", is_here=False),
        Seeker(name="helper there", browser=world.as_helper(clinic=there), role="helper", is_here=False),
    ]


def expected_of(seeker: Seeker, policy: Policy, word: str, operation: Operation) -> str:
    """Return what has to happen: "401", "403", "404", "in" (let in), or "any" (let in; it depends on rows)."""
    if policy.roles is not None:
        if seeker.role is None:
            return "401"
        if seeker.role not in policy.roles or (policy.needs_full and not seeker.is_full):
            return "403"
    if word not in WORDS:
        return "in" if seeker.scopes & {Scope(each) for each in word.split("|")} else "404"
    if word != "-" and not seeker.is_here and "{" in operation.path:
        return "404"
    return "in" if word == "org" and seeker.is_here else "any"


def is_as_expected(expected: str, status: int) -> bool:
    match expected:
        case "401" | "403" | "404":
            return str(status) == expected
        case "in":
            return status < 500 and status not in (401, 403, 404, 422)
    return status < 500 or status == 503


def test_access_matrix_names_every_route_and_every_route_is_in_it(sqlite_world: World) -> None:
    app = sqlite_world.app
    routes = {
        (method, path): policy.name
        for path, methods, policy in declared_policies(app)
        for method in (methods or {"ANY"})
        if method != "HEAD"
    }
    assert routes == {route: policy for route, (policy, _) in EXPECTED.items()}
    for route, scope in declared_scopes(app):
        assert EXPECTED[route][1] == scope, f"{route} declares another scope than the table"


def adapted(route: tuple[str, str], body: Any, rows: EveryRow, seeker: Seeker, now: datetime) -> Any:
    """Return a body with what the app's description cannot say: which of two fields, and what fits together."""
    given_how = "on_tablet" if seeker.role == "tablet" else "spoken"
    holder = {"therapist_id": str(rows.key["account"])}
    changes: Mapping[tuple[str, str], Mapping[str, Any]] = {
        ("POST", "/api/patients/{patient_id}/helpers"): {"consent": {"given_how": given_how}},
        ("POST", "/api/patients/{patient_id}/consents"): {"given_how": given_how},
        ("POST", "/api/patients/{patient_id}/care-relations"): holder,
        ("POST", "/api/patients/{patient_id}/reopen"): holder,
        ("POST", "/api/patients/{patient_id}/assignments"): {"device_name": rows.key["device"]},
        ("POST", "/api/patients/{patient_id}/plan-versions"): {
            "based_on": 1,
            "content": {**PLAN, "valid_from": now.date().isoformat(), "items": PLAN["items"][:1]},
        },
        ("POST", "/api/exercises"): {
            "code": "heel_slide",
            "based_on": 0,
            "content": LOCAL_EXERCISE,
        },
        ("PUT", "/api/patients/{patient_id}/questionnaire-responses/{response_id}"): {
            "code": PAIN_NRS,
            "answers": {"pain": 3},
        },
        ("POST", "/api/patients/{patient_id}/questionnaire-schedules"): {"code": PAIN_NRS},
        ("PUT", "/api/patients/{patient_id}/self-reports/{report_id}"): {"kind": "pain", "value": 3},
        ("POST", "/api/training-sessions/{training_session_id}/corrections"): {"kind": "note", "note": "words"},
        ("POST", "/api/patient-imports"): {"csv": "name;birth_date", "is_dry_run": True},
        ("POST", "/api/questionnaires"): {"definition": IMPORT},
        ("POST", "/api/substitutions"): {"substitute_account_id": str(rows.second_therapist_id)},
    }
    return {**(body or {}), **changes[route]} if route in changes else body


@contextlib.contextmanager
def nothing_is_kept(route: tuple[str, str]) -> Iterator[None]:
    """Let transactions end without their commit; not where media writes and web reads it again."""

    def flush_and_forget(db: Session) -> None:
        db.flush()
        db.rollback()

    with pytest.MonkeyPatch.context() as patched:
        if route != ("POST", "/api/live-sessions"):
            patched.setattr("sqlmodel.Session.commit", flush_and_forget)
        yield


def try_route(operation: Operation, seeker: Seeker, rows: EveryRow, now: datetime) -> int:
    """Send one request about the first patient's rows; return the status."""

    def choose(name: str) -> str:
        return key_for(name, rows)

    body = adapted(operation.route, body_of(operation, choose, now), rows, seeker, now)
    with nothing_is_kept(operation.route):
        answer = seeker.browser.request(
            operation.method.upper(),
            address_of(operation, choose),
            params=query_of(operation, choose, now, all_of_them=False),
            **({} if body is None else {"json": body}),
        )
    return int(answer.status_code)


def test_access_matrix_of_every_route_for_every_reader_in_every_relation(sqlite_world: World) -> None:
    world, now = sqlite_world, utc_now(sqlite_world.clock)
    seekers = make_seekers(world)
    rows = fill(world.database, open_key_ring(world.settings), world.here, now)
    before = fingerprint(world.database, rows)
    wrong, tried_count = [], 0
    for operation in operations_of(world.app):
        if operation.route in OFF_THE_TABLE:
            continue
        policy, word = EXPECTED[operation.route]
        for seeker in seekers:
            status = try_route(operation, seeker, rows, now)
            expected = expected_of(seeker, POLICIES[policy], word, operation)
            tried_count += 1
            if not is_as_expected(expected, status):
                wrong.append((*operation.route, seeker.name, f"expected {expected}, got {status}"))
    assert wrong == []
    assert tried_count == len(seekers) * (len(operations_of(world.app)) - len(OFF_THE_TABLE)) > 3_500
    assert fingerprint(world.database, rows) == before
