"""`python -m tests.simulation.replay SEED [--only 0,3]`: one course again, with all its faults or some of them."""

import argparse
import sys

from tests.simulation.faults import draw_faults
from tests.simulation.seeds import describe
from tests.simulation.world import run_seed


def main() -> int:
    """Run a course; exit 1 where a promise is broken."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seed", type=int)
    parser.add_argument("--only", help="positions of the faults, or none", default="")
    options = parser.parse_args()
    faults = draw_faults(options.seed)
    if options.only:
        wanted = [] if options.only == "none" else [int(position) for position in options.only.split(",")]
        faults = tuple(faults[position] for position in wanted)
    outcome = run_seed(options.seed, faults)
    verdict = describe(outcome) if outcome.broken else "every block is stored once, or a row says why not"
    sys.stdout.write(
        f"digest {outcome.digest}, {outcome.simulated_us / 1e6:.0f} s, {outcome.produced_count} blocks\n{verdict}\n"
    )
    return int(bool(outcome.broken))


if __name__ == "__main__":
    raise SystemExit(main())
