"""The figure of the flags: simulated patients with planted deteriorations, on seeds that no constant was chosen on."""

from functools import cache

from telerehab.bench.people_flags import (
    FLAGS_A_DAY_MAX,
    PRECISION_MIN,
    RECALL_MIN,
    SEEDS,
    Outcome,
    find_any_drop,
    find_by_rules,
    judge,
    measure_flags,
    watch,
)
from telerehab.bench.simulated_patients import N_PATIENTS, PLANTED, simulate

CHOSEN_ON = range(100, 130)


@cache
def _rules() -> Outcome:
    return judge(SEEDS[:12], find_by_rules)


def test_planted_deteriorations_are_found_within_one_planned_session() -> None:
    assert not set(SEEDS) & set(CHOSEN_ON)
    assert _rules().planted.total() >= 150
    assert _rules().recall >= RECALL_MIN


def test_every_kind_of_deterioration_is_found() -> None:
    assert set(_rules().planted) == {kind.value for kind in PLANTED}
    assert all(_rules().found[kind] / n_planted >= 0.85 for kind, n_planted in _rules().planted.items())


def test_most_flags_are_right() -> None:
    assert _rules().precision >= PRECISION_MIN


def test_there_are_few_flags_a_day() -> None:
    days = _rules().flags_a_day
    assert _rules().flags_a_day_mean <= FLAGS_A_DAY_MAX
    assert sum(n_new > FLAGS_A_DAY_MAX for n_new in days) / len(days) <= 0.02


def test_a_rule_without_measurement_error_would_cry_wolf() -> None:
    baseline = judge(SEEDS[:2], find_any_drop)
    assert baseline.precision < 0.1
    assert baseline.flags_a_day_mean > FLAGS_A_DAY_MAX


def test_the_benchmark_prints_both_and_holds_the_floors() -> None:
    figures, floors = measure_flags(SEEDS[:2])
    assert {"flags_recall", "flags_precision", "flags_any_drop_precision"} <= set(figures)
    assert set(floors) == {"flags_recall", "flags_precision", "flags_a_day"}


def test_half_of_the_patients_have_nothing_and_the_sizes_begin_where_they_matter() -> None:
    patients = [patient for seed in SEEDS for patient in simulate(seed)]
    planted = [patient.deterioration for patient in patients if patient.deterioration]
    assert len(patients) == N_PATIENTS * len(SEEDS)
    assert len(planted) * 2 == len(patients)
    losses = [each.size for each in planted if each.kind.startswith("range")]
    rises = [each.size for each in planted if each.kind.startswith("pain")]
    assert min(losses) < 11
    assert max(losses) <= 25
    assert min(rises) < 2.7


def test_nothing_is_seen_before_it_happened() -> None:
    patient = simulate(1)[0]
    whole = watch(patient, find_by_rules)
    for day in (5, 12, 20):
        facts = patient.facts(day)
        assert max((each.day for each in facts.trainings), default=facts.today) <= facts.today
        days = [each.day for each in facts.ranges] + [each.day for each in facts.pains]
        assert max((*days, *(each.day for each in facts.planned_days))) < facts.today
    assert whole == watch(simulate(1)[0], find_by_rules)
