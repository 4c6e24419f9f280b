"""Devices, broker, intake and store in virtual time under seeded faults: what fails, how fast, what is found.

The world stands with the tests (`tests/simulation/`), which an installed product does not have: it runs as a child
process where there is a checkout.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Final

from telerehab.bench.runner import Figure, Floor, Result

ROOT: Final = Path(__file__).resolve().parents[2]
WORLD: Final = ROOT / "tests" / "simulation" / "measure.py"
TIMEOUT_S: Final = 3_600
PLANTED_SEEDS_MAX: Final = 100


def run(*, seeds: int = 200) -> Result:
    """Run seeds that no test uses.

    Raises
    ------
    RuntimeError
        If the child process fails.
    """
    if not WORLD.exists():
        skipped: Figure = {"value": "skipped", "unit": "the simulation is part of a checkout, not of an installation"}
        return {"name": "simulation", "figures": {"simulation": skipped}, "floors": {}}
    child = subprocess.run(
        [sys.executable, "-m", "tests.simulation.measure", "--seeds", str(seeds)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    if child.returncode != 0:
        raise RuntimeError(f"the simulation ended with exit code {child.returncode}")
    found = json.loads(child.stdout)
    figures: dict[str, Figure] = {
        "seeds": {"value": found["seeds"], "unit": "courses of 20 s of faults and the quiet after them"},
        "failing": {"value": len(found["failing"]), "unit": f"seeds {found['failing']}"},
        "blocks": {"value": found["blocks"], "unit": f"{found['lost_by_devices']} lost by devices themselves"},
        "speed": {"value": round(found["simulated_s"] / found["elapsed_s"]), "unit": "simulated s per s"},
        "events": {"value": round(found["events"] / found["elapsed_s"]), "unit": "events/s"},
    }
    floors: dict[str, Floor] = {
        "failing": {"value": len(found["failing"]), "floor": 0, "direction": "<=", "met": not found["failing"]}
    }
    for name, seed in found["planted"].items():
        count = PLANTED_SEEDS_MAX + 1 if seed is None else seed[0]
        where = "not found" if seed is None else f"seeds until found, seed {seed[1]}"
        figures[name] = {"value": count, "unit": where}
        floors[name] = {
            "value": count,
            "floor": PLANTED_SEEDS_MAX,
            "direction": "<=",
            "met": count <= PLANTED_SEEDS_MAX,
        }
    return {"name": "simulation", "figures": figures, "floors": floors}
