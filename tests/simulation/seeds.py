"""What to do with a seed that fails: leave out every fault that it fails without, say how to see it again, keep it."""

import fcntl
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from tests.simulation.faults import Fault, draw_faults
from tests.simulation.world import Outcome, run_seed

CORPUS: Final = Path(__file__).with_name("corpus.json")
Run = Callable[[int, Sequence[Fault]], Outcome]


def kind_of(broken: str) -> str:
    """Return what is broken without the names and numbers of this course."""
    return broken.partition(":")[0]


def shrink(outcome: Outcome, run: Run = run_seed) -> Outcome:
    """Return the same failure with fewer faults: it is another one, or none, without any of those that are left."""
    wanted = kind_of(outcome.broken)
    position = 0
    while position < len(outcome.faults):
        fewer = run(outcome.seed, outcome.faults[:position] + outcome.faults[position + 1 :])
        if kind_of(fewer.broken) == wanted:
            outcome, position = fewer, 0
        else:
            position += 1
    return outcome


def describe(outcome: Outcome) -> str:
    """Return what a person needs to see a failure again."""
    drawn = draw_faults(outcome.seed)
    lines = [f"seed {outcome.seed}: {outcome.broken}", "  with these faults alone:"]
    lines += [
        f"{fault.at_us / 1e6:10.2f} s {fault.kind.value} of {fault.which} for {fault.for_us / 1e6:.2f} s"
        for fault in outcome.faults
    ]
    only = ",".join(str(position) for position, fault in enumerate(drawn) if fault in outcome.faults) or "none"
    return "\n".join([*lines, f"  again: python -m tests.simulation.replay {outcome.seed} --only {only}"])


def read_corpus(file: Path = CORPUS) -> list[tuple[int, tuple[Fault, ...]]]:
    """Return the courses that once failed: seed and faults."""
    entries = json.loads(file.read_text(encoding="utf-8")) if file.exists() else []
    return [(each["seed"], tuple(map(Fault.from_json, each["faults"]))) for each in entries]


def keep(outcome: Outcome, file: Path = CORPUS) -> None:
    """Add a failure to the corpus, once; several processes may do so at a time."""
    entry = {
        "seed": outcome.seed,
        "broken": kind_of(outcome.broken),
        "faults": [fault.as_json() for fault in outcome.faults],
    }
    with file.open("a+", encoding="utf-8") as corpus:
        fcntl.flock(corpus, fcntl.LOCK_EX)
        corpus.seek(0)
        entries = json.loads(corpus.read() or "[]")
        if entry not in entries:
            corpus.truncate(0)
            corpus.write(json.dumps([*entries, entry], indent=1) + "\n")


def find_failures(seeds: Iterable[int], *, corpus: Path = CORPUS, run: Run = run_seed) -> list[str]:
    """Run seeds with the faults that they draw; each one that fails is shrunk, kept and described."""
    found = []
    for seed in seeds:
        outcome = run(seed, draw_faults(seed))
        if outcome.broken:
            smallest = shrink(outcome, run)
            keep(smallest, corpus)
            found.append(describe(smallest))
    return found
