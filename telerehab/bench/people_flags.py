"""The flags on simulated patients: what is found, how soon and how often in vain, beside the rule "any drop".

The constants of the rules were chosen on the seeds 100 to 129 of `simulated_patients`; what is measured here and in the
tests are other seeds. A deterioration counts when it could be known, and one more planned session follows, within the
thirty days. It is found when a flag of its rule (and joint) stands by that session. A flag is right when it is the
first that belongs to a deterioration which has begun; every other one, also a second one of the same, is wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import timedelta
from statistics import median
from typing import Final

from telerehab.bench.runner import Figure, Floor
from telerehab.bench.simulated_patients import FIRST_DAY, N_DAYS, RULES_OF, Deterioration, SimulatedPatient, simulate
from telerehab.care.flag_rules import PatientFacts, find
from telerehab.care.flags import Finding, Flag, Rule, carry_on
from telerehab.care.range_change import joint_of

SEEDS: Final = tuple(range(1, 21))
RECALL_MIN, PRECISION_MIN, FLAGS_A_DAY_MAX = 0.95, 0.60, 5.0

FindAll = Callable[[PatientFacts, AbstractSet[str]], Iterable[Finding]]


@dataclass(kw_only=True, frozen=True, slots=True)
class Outcome:
    """What a way of finding did on the patients of some seeds."""

    planted: Counter[str]
    """Deteriorations that could be known, by kind."""
    found: Counter[str]
    """Of these, in time."""
    right: int
    wrong: Counter[str]
    """By rule."""
    flags_a_day: tuple[int, ...]
    """New flags on each day of each seed."""
    days_to_find: tuple[int, ...]
    """From onset to flag, of all that were found."""

    @property
    def recall(self) -> float:
        """Return the share of the planted deteriorations that was found in time."""
        return self.found.total() / self.planted.total()

    @property
    def precision(self) -> float:
        """Return the share of the flags that was right."""
        return self.right / (self.right + self.wrong.total())

    @property
    def flags_a_day_mean(self) -> float:
        """Return new flags a day, of all patients of one seed together."""
        return sum(self.flags_a_day) / len(self.flags_a_day)


def measure_flags(seeds: Sequence[int] = SEEDS) -> tuple[dict[str, Figure], dict[str, Floor]]:
    """Return the figures of the flags and their floors, all seeds together."""
    rules, baseline = judge(seeds, find_by_rules), judge(seeds, find_any_drop)
    figures: dict[str, Figure] = {
        "flags_recall": {"value": round(rules.recall, 3), "unit": f"of {rules.planted.total()}, within one session"},
        "flags_precision": {
            "value": round(rules.precision, 3),
            "unit": f"of {rules.right + rules.wrong.total()} flags",
        },
        "flags_a_day": {"value": round(rules.flags_a_day_mean, 2), "unit": "new, 38 patients"},
        "flags_a_day_most": {"value": max(rules.flags_a_day), "unit": f"on one of {len(rules.flags_a_day)} days"},
        "flags_days_to_find": {"value": median(rules.days_to_find), "unit": "days from onset, median"},
        "flags_any_drop_recall": {"value": round(baseline.recall, 3), "unit": "baseline"},
        "flags_any_drop_precision": {"value": round(baseline.precision, 3), "unit": "baseline"},
        "flags_any_drop_a_day": {"value": round(baseline.flags_a_day_mean, 2), "unit": "baseline"},
    }
    for kind, n_planted in sorted(rules.planted.items()):
        figures[f"flags_{kind}"] = {"value": f"{rules.found[kind]} of {n_planted}", "unit": "found in time"}
    floors = {
        "flags_recall": _floor(rules.recall, ">=", RECALL_MIN),
        "flags_precision": _floor(rules.precision, ">=", PRECISION_MIN),
        "flags_a_day": _floor(rules.flags_a_day_mean, "<=", FLAGS_A_DAY_MAX),
    }
    return figures, floors


def judge(seeds: Sequence[int], find_all: FindAll) -> Outcome:
    """Return what a way of finding did on the patients of some seeds."""
    planted, found, wrong = Counter[str](), Counter[str](), Counter[str]()
    flags_a_day: list[int] = []
    days_to_find: list[int] = []
    for seed in seeds:
        new_on = [0] * N_DAYS
        for patient in simulate(seed):
            deterioration = patient.deterioration
            stood = watch(patient, find_all)
            for opened_day, _, _ in stood:
                new_on[opened_day] += 1
            right = [] if deterioration is None else [each for each in stood if _belongs(each, deterioration)]
            days_to_find += [each[0] - deterioration.onset for each in right[:1] if deterioration is not None]
            wrong.update(each[2].rule.value for each in stood if each not in right[:1])
            if deterioration is not None and deterioration.deadline_day is not None:
                planted[deterioration.kind.value] += 1
                found[deterioration.kind.value] += any(_is_in_time(each, deterioration) for each in stood)
        flags_a_day += new_on
    return Outcome(
        planted=planted,
        found=found,
        right=len(days_to_find),
        wrong=wrong,
        flags_a_day=tuple(flags_a_day),
        days_to_find=tuple(days_to_find),
    )


def watch(patient: SimulatedPatient, find_all: FindAll) -> list[tuple[int, int, Finding]]:
    """Return each flag of a patient: the day on which it opened, the last day on which it stood, what was found."""
    flags: dict[str, Flag] = {}
    stood: dict[str, tuple[int, int, Finding]] = {}
    over: list[tuple[int, int, Finding]] = []
    for day in range(N_DAYS):
        facts = patient.facts(day)
        standing = {key for key, flag in flags.items() if flag.ended_at is None}
        new, changed, _ = carry_on(flags.values(), find_all(facts, standing), now=facts.now)
        flags.update((flag.finding.cause_key, flag) for flag in (*new, *changed))
        for flag in new:
            over += [stood.pop(flag.finding.cause_key)] if flag.finding.cause_key in stood else []
            stood[flag.finding.cause_key] = (day, day, flag.finding)
        for flag in changed:
            opened_day, _, first = stood[flag.finding.cause_key]
            stood[flag.finding.cause_key] = (opened_day, day, first)
    return sorted([*over, *stood.values()], key=lambda each: each[0])


def find_by_rules(facts: PatientFacts, standing: AbstractSet[str]) -> list[Finding]:
    """Find as the product does."""
    return find(facts, standing=standing)


def find_any_drop(facts: PatientFacts, standing: AbstractSet[str]) -> list[Finding]:
    """Find whenever the last value is worse than the one before: what one would write without thinking of errors."""
    del standing
    yesterday = facts.today - timedelta(days=1)
    found = []
    for exercise in sorted({each.exercise for each in facts.ranges}):
        last = [each for each in facts.ranges if each.exercise == exercise][-2:]
        if len(last) == 2 and last[1].rom_deg < last[0].rom_deg:
            found.append(_crude(Rule.RANGE_FALLING, f"range:{joint_of(exercise)}:right"))
    if len(facts.pains) > 1 and facts.pains[-1].value > facts.pains[-2].value:
        found.append(_crude(Rule.PAIN_RISING, "pain"))
    if facts.planned_days and not facts.planned_days[-1].is_done and not facts.planned_days[-1].is_excused:
        found.append(_crude(Rule.DAYS_MISSED, "days_missed"))
    if facts.trainings and facts.trainings[-1].is_score_withheld:
        found.append(_crude(Rule.SCORE_WITHHELD, "score_withheld"))
    if facts.trainings and facts.trainings[-1].day == yesterday and not _is_heard_on_last_training(facts):
        found.append(_crude(Rule.DEVICE_SILENT, "device:sensor"))
    return found


def _is_heard_on_last_training(facts: PatientFacts) -> bool:
    heard_at = facts.sensors[0].last_heard_at
    return heard_at is not None and heard_at >= facts.trainings[-1].at


def _crude(rule: Rule, cause_key: str) -> Finding:
    return Finding(rule=rule, cause_key=cause_key, number=1.0, unit="1", threshold=0.0, since=FIRST_DAY)


def _belongs(stood: tuple[int, int, Finding], deterioration: Deterioration) -> bool:
    """Return whether a flag was opened by a deterioration that had begun."""
    return stood[0] >= deterioration.onset and _is_of(stood[2], deterioration)


def _is_in_time(stood: tuple[int, int, Finding], deterioration: Deterioration) -> bool:
    """Return whether a flag stood between onset and deadline, also one that somebody had opened by chance before."""
    assert deterioration.deadline_day is not None
    overlaps = stood[0] <= deterioration.deadline_day and stood[1] >= deterioration.onset
    return overlaps and _is_of(stood[2], deterioration)


def _is_of(finding: Finding, deterioration: Deterioration) -> bool:
    return finding.rule in RULES_OF[deterioration.kind] and deterioration.cause_key in (None, finding.cause_key)


def _floor(value: float, direction: str, floor: float) -> Floor:
    met = value >= floor if direction == ">=" else value <= floor
    return {"value": round(value, 3), "floor": floor, "direction": direction, "met": met}
