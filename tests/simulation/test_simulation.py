"""Nothing is lost, whatever goes wrong: seeded courses of devices, broker, intake and store in virtual time."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.faults import Fault, FaultKind, draw_faults
from tests.simulation.planted import PLANTED, find_planted
from tests.simulation.seeds import describe, find_failures, keep, read_corpus, shrink
from tests.simulation.world import Outcome, run_seed

ROOT = Path(__file__).resolve().parents[2]
CHUNK, LONG_CHUNK = 20, 250
FIRST_LONG_SEED = 100_000
FIRST_FRESH_SEED = 1_000


@pytest.mark.parametrize(("seed", "faults"), read_corpus())
def test_what_once_failed_does_not_fail_again(seed: int, faults: Sequence[Fault]) -> None:
    outcome = run_seed(seed, faults)
    assert not outcome.broken, describe(outcome)


@pytest.mark.parametrize("first", range(0, 200, CHUNK))
def test_every_block_is_stored_once_or_a_row_says_why_not(first: int) -> None:
    failures = find_failures(range(first, first + CHUNK))
    assert not failures, "\n".join(failures)


@pytest.mark.long
@pytest.mark.parametrize("first", range(FIRST_LONG_SEED, FIRST_LONG_SEED + 10_000, LONG_CHUNK))
def test_so_it_is_under_ten_thousand_seeds(first: int) -> None:
    failures = find_failures(range(first, first + LONG_CHUNK))
    assert not failures, "\n".join(failures)


@pytest.mark.parametrize("name", PLANTED)
def test_a_mistake_that_loses_data_is_found_within_a_hundred_fresh_seeds(name: str) -> None:
    found = find_planted(name, iter(range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + 100)))
    assert found is not None
    assert run_seed(found.seed).broken == ""


def test_the_same_seed_gives_the_same_course_in_any_process() -> None:
    code = "from tests.simulation.world import run_seed; print([run_seed(seed).digest for seed in (3, 4)])"
    environment = {**os.environ, "PYTHONHASHSEED": "4711", "PYTHONPATH": str(ROOT)}
    elsewhere = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    here = [run_seed(seed).digest for seed in (3, 4)]
    assert here == [run_seed(seed).digest for seed in (3, 4)]
    assert elsewhere.stdout.strip() == str(here)
    assert here[0] != here[1]


def test_the_courses_are_eventful() -> None:
    outcomes = [run_seed(seed) for seed in range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + 15)]
    assert sum(outcome.lost_count > 0 for outcome in outcomes) >= 3
    assert {fault.kind for seed in range(200) for fault in draw_faults(seed)} == set(FaultKind)


def test_a_failing_seed_is_shrunk_described_and_kept_once(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus.json"
    culprit = draw_faults(5)[1]
    quiet = run_seed(5, ())

    def run(seed: int, faults: Sequence[Fault]) -> Outcome:
        broken = f"planted: {len(faults)} faults" if culprit in faults else ""
        return replace(quiet, faults=tuple(faults), broken=broken)

    (told,) = find_failures([5], corpus=corpus, run=run)
    assert "planted: 1 faults" in told
    assert "python -m tests.simulation.replay 5 --only 1" in told
    keep(shrink(run(5, draw_faults(5)), run), corpus)
    assert read_corpus(corpus) == [(5, (culprit,))]
