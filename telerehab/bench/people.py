"""What people wait for and rely on: the caseload page, the check of access, and the flags on simulated patients."""

from telerehab.bench.people_access import measure_access
from telerehab.bench.people_caseload import measure_caseload
from telerehab.bench.people_flags import measure_flags
from telerehab.bench.runner import Figure, Floor, Result


def run() -> Result:
    """Measure all of it."""
    figures: dict[str, Figure] = {}
    floors: dict[str, Floor] = {}
    for measure in (measure_access, measure_flags, measure_caseload):
        some_figures, some_floors = measure()
        figures |= some_figures
        floors |= some_floors
    return {"name": "people", "figures": figures, "floors": floors}
