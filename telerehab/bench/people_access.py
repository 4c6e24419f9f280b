"""What a check of access costs besides its one query: a route's declared policy, and the decision on a patient."""

import statistics
import time
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from telerehab.auth.access import Scope, Standing, scopes_of
from telerehab.auth.policies import CARE, Policy, declares, policy_of
from telerehab.auth.reader import Reader
from telerehab.bench.runner import Figure, Floor

FLOOR_US: Final = 50.0
BATCHES: Final = 50
CHECKS_PER_BATCH: Final = 1_000
_ORGANISATION: Final = UUID(int=1)
_PATIENT: Final = UUID(int=2)


@declares(CARE, scope=Scope.SEE_PLAN)
def _endpoint() -> None:
    """Stand for a route."""


def measure_access(
    *, batches: int = BATCHES, checks_per_batch: int = CHECKS_PER_BATCH
) -> tuple[dict[str, Figure], dict[str, Floor]]:
    """Time checks in one process; the median over batches, each over readers of all kinds."""
    cases = _cases()
    times_us = [_time_us(cases, checks_per_batch) for _ in range(batches)]
    median_us = statistics.median(times_us)
    return (
        {
            "policy_check": {"value": round(median_us, 2), "unit": "us, median"},
            "policy_check_worst_batch": {"value": round(max(times_us), 2), "unit": "us"},
        },
        {
            "policy_check": {
                "value": round(median_us, 2),
                "floor": FLOOR_US,
                "direction": "<=",
                "met": median_us <= FLOOR_US,
            }
        },
    )


def check(reader: Reader, standing: Standing) -> bool:
    """Do what a request costs: find the route's policy, apply it, and decide on the patient."""
    policy = policy_of(_endpoint)
    assert isinstance(policy, Policy)
    policy.check(reader)
    return Scope.SEE_PLAN in scopes_of(reader, standing)


def _time_us(cases: Sequence[tuple[Reader, Standing]], count: int) -> float:
    """Return what one check takes. [µs]"""
    began_ns = time.perf_counter_ns()
    for number in range(count):
        check(*cases[number % len(cases)])
    return (time.perf_counter_ns() - began_ns) / count / 1_000


def _cases() -> list[tuple[Reader, Standing]]:
    """Return readers who may and who may not."""
    therapist = Reader(login_id=UUID(int=3), role="therapist", organisation_id=_ORGANISATION, account_id=UUID(int=4))
    tablet = Reader(
        login_id=UUID(int=5),
        role="tablet",
        organisation_id=_ORGANISATION,
        tablet_id=UUID(int=6),
        patient_id=_PATIENT,
    )
    helper = Reader(login_id=UUID(int=7), role="helper", organisation_id=_ORGANISATION, helper_id=UUID(int=8))
    granted = frozenset({"join", "see_plan", "see_results", "train_for"})
    return [
        (therapist, Standing(patient_id=_PATIENT, organisation_id=_ORGANISATION, is_in_care=True)),
        (therapist, Standing(patient_id=_PATIENT, organisation_id=_ORGANISATION, has_broken_glass=True)),
        (therapist, Standing(patient_id=_PATIENT, organisation_id=UUID(int=9), is_in_care=True)),
        (tablet, Standing(patient_id=_PATIENT, organisation_id=_ORGANISATION)),
        (helper, Standing(patient_id=_PATIENT, organisation_id=_ORGANISATION, granted=granted, has_grant=True)),
    ]
