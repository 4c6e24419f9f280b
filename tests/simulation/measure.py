"""`python -m tests.simulation.measure`: what `telerehab bench simulation` prints, as one JSON object."""

import argparse
import json
import sys
import time
from typing import Final

from tests.simulation.planted import PLANTED, find_planted
from tests.simulation.seeds import describe, shrink
from tests.simulation.world import run_seed

PLANTED_SEEDS_MAX: Final = 100


def main() -> int:
    """Run seeds and look for the planted mistakes; exit 0 whatever was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--first", type=int, default=1_000_000)
    options = parser.parse_args()
    started_s = time.perf_counter()
    outcomes = [run_seed(seed) for seed in range(options.first, options.first + options.seeds)]
    elapsed_s = time.perf_counter() - started_s
    failing = [outcome for outcome in outcomes if outcome.broken]
    for outcome in failing:
        sys.stderr.write(describe(shrink(outcome)) + "\n")
    planted = {
        name: find_planted(name, iter(range(options.first, options.first + PLANTED_SEEDS_MAX))) for name in PLANTED
    }
    found = {
        "seeds": len(outcomes),
        "failing": [outcome.seed for outcome in failing],
        "elapsed_s": elapsed_s,
        "simulated_s": sum(outcome.simulated_us for outcome in outcomes) / 1e6,
        "events": sum(outcome.event_count for outcome in outcomes),
        "blocks": sum(outcome.produced_count for outcome in outcomes),
        "lost_by_devices": sum(outcome.lost_count for outcome in outcomes),
        "planted": {
            name: None if outcome is None else [outcome.seed - options.first + 1, outcome.seed]
            for name, outcome in planted.items()
        },
    }
    sys.stdout.write(json.dumps(found) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
