"""`telerehab bench`: measure, and hold the figures against their floors."""

from typing import Annotated

import typer

from telerehab.bench.runner import BENCHMARKS, Result, run_benchmark, unmet_floors
from telerehab.cli.output import ExitCode, fail, print_json, print_table, say


def bench(
    name: Annotated[str, typer.Argument(help=f"one of: all, {', '.join(BENCHMARKS)}")],
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object a benchmark")] = False,
    assert_floors: Annotated[bool, typer.Option("--assert", help="exit 1 when a floor is not met")] = False,
) -> None:
    """Measure on this machine; each figure beside its floor."""
    if name != "all" and name not in BENCHMARKS:
        fail(f"There is no benchmark '{name}'. There are: all, {', '.join(BENCHMARKS)}.", ExitCode.USAGE)
    unmet: list[str] = []
    for each in BENCHMARKS if name == "all" else [name]:
        say(f"measuring {each} ...")
        result = run_benchmark(each)
        print_json(result) if as_json else _print_result(result)
        unmet += unmet_floors(result)
    for sentence in unmet:
        say(sentence)
    if unmet and assert_floors:
        raise SystemExit(int(ExitCode.FAILED))


def _print_result(result: Result) -> None:
    print_table(
        result["name"],
        ["figure", "value", "unit", "floor"],
        [
            (
                key,
                f"{figure['value']:.4g}" if isinstance(figure["value"], float) else figure["value"],
                figure["unit"],
                _floor_text(result, key),
            )
            for key, figure in result["figures"].items()
        ],
    )


def _floor_text(result: Result, key: str) -> str:
    floor = result["floors"].get(key)
    if floor is None:
        return ""
    return f"{floor['direction']} {floor['floor']:.4g} {'met' if floor['met'] else 'NOT MET'}"
