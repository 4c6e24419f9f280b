"""Run benchmarks and hold each figure against its floor.

A benchmark is a module with `run() -> Result`. A result names its figures and, for some of them, a floor: the value
that every change must keep. Ratios are measured in one process, both sides alternated, and print both sides' CPU time.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Final, NotRequired, TypedDict, cast


class Figure(TypedDict):
    """One measured value."""

    value: float | int | str
    unit: str


class Floor(TypedDict):
    """What a figure must reach."""

    value: float
    floor: float
    direction: str
    met: bool
    note: NotRequired[str]


class Result(TypedDict):
    """What one benchmark found."""

    name: str
    figures: dict[str, Figure]
    floors: dict[str, Floor]


BENCHMARKS: Final[Mapping[str, str]] = {
    "live-tick": "telerehab.bench.live_tick",
    "ingest": "telerehab.bench.ingest",
    "forward": "telerehab.bench.forward",
    "people": "telerehab.bench.people",
    "simulation": "telerehab.bench.simulation",
    "archive": "telerehab.bench.archive",
}
"""Name -> module, in the order in which `telerehab bench all` runs them; imported when asked for."""


def run_benchmark(name: str) -> Result:
    """Run one benchmark by its name, a key of `BENCHMARKS`."""
    return cast(Result, import_module(BENCHMARKS[name]).run())


def unmet_floors(result: Result) -> list[str]:
    """Return one sentence for each floor that the result does not reach.

    Examples
    --------
    >>> floor: Floor = {"value": 3.0, "floor": 8.0, "direction": ">=", "met": False}
    >>> unmet_floors({"name": "live-tick", "figures": {}, "floors": {"speedup": floor}})
    ['live-tick: speedup is 3, not >= 8']
    """
    return [
        f"{result['name']}: {key} is {floor['value']:.4g}, not {floor['direction']} {floor['floor']:.4g}"
        for key, floor in result["floors"].items()
        if not floor["met"]
    ]
