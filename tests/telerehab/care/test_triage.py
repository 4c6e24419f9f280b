import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from telerehab.care.flags import SEVERITY, FlagState, Rule, Severity
from telerehab.care.triage import NEED_OF, Need, PatientNeeds, StandingFlag, order_caseload, triage

NOW = datetime(2026, 10, 20, 6, tzinfo=UTC)


def _ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def _flag(rule: Rule, state: FlagState = FlagState.OPEN, hours: float = 5) -> StandingFlag:
    return StandingFlag(rule=rule, severity=SEVERITY[rule], state=state, opened_at=_ago(hours))


def _needs(name: str, **standing: object) -> PatientNeeds:
    return PatientNeeds(patient_id=UUID(int=sum(name.encode())), name=name, **standing)  # type: ignore[arg-type]


def test_the_order_of_need() -> None:
    in_order = [
        _needs("help", help_calls_at=(_ago(0),)),
        _needs("alert", alerts_at=(_ago(1),)),
        _needs("high pain", flags=(_flag(Rule.PAIN_HIGH),)),
        _needs("rising pain", flags=(_flag(Rule.PAIN_RISING),)),
        _needs("range", flags=(_flag(Rule.RANGE_FALLING),)),
        _needs("missed", flags=(_flag(Rule.DAYS_MISSED),)),
        _needs("silent", flags=(_flag(Rule.DEVICE_SILENT),)),
        _needs("message", unread_messages_at=(_ago(40),)),
        _needs("seen", flags=(_flag(Rule.PAIN_HIGH, FlagState.ACKNOWLEDGED),)),
        _needs("goal met", flags=(_flag(Rule.GOAL_MET),)),
        _needs("fine"),
    ]
    shuffled = random.Random(4).sample(in_order, len(in_order))
    assert [each.name for each in order_caseload(shuffled)] == [each.name for each in in_order]


def test_of_several_needs_the_greatest_counts_since_its_own_beginning() -> None:
    worst = triage(
        _needs("Else", flags=(_flag(Rule.DEVICE_SILENT, hours=90),), alerts_at=(_ago(2), _ago(7)), help_calls_at=())
    )
    assert (worst.need, worst.since) == (Need.ALERT, _ago(7))


def test_who_waits_longest_comes_first_and_then_the_name() -> None:
    patients = [
        _needs("Bent", flags=(_flag(Rule.RANGE_FALLING, hours=3),)),
        _needs("Anna", flags=(_flag(Rule.RANGE_FALLING, hours=30),)),
        _needs("Carl"),
        _needs("Dora"),
    ]
    assert [each.name for each in order_caseload(reversed(patients))] == ["Anna", "Bent", "Carl", "Dora"]


def test_what_is_resolved_or_over_needs_nobody() -> None:
    for state in (FlagState.RESOLVED, FlagState.ENDED):
        assert triage(_needs("Else", flags=(_flag(Rule.PAIN_HIGH, state),))).need is Need.FINE


def test_a_seen_alert_stays_in_sight() -> None:
    assert triage(_needs("Else", seen_alerts_at=(_ago(3),))).need is Need.SEEN


def test_every_severity_has_a_need_in_the_same_order() -> None:
    needs = [NEED_OF[severity] for severity in Severity]
    assert all(less < more for less, more in pairwise(needs))


@given(st.lists(st.tuples(st.sampled_from(Rule), st.sampled_from(FlagState), st.floats(0, 500)), max_size=8))
def test_another_flag_never_makes_a_patient_need_less(flags: list[tuple[Rule, FlagState, float]]) -> None:
    standing = tuple(_flag(*each) for each in flags)
    needs = [triage(_needs("Else", flags=standing[:n])).need for n in range(len(standing) + 1)]
    assert all(fewer <= more for fewer, more in pairwise(needs))
