"""`telerehab demo`: the demonstration clinic on this machine."""

import asyncio
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import segno
import typer

from telerehab.cli.output import ExitCode, print_json, print_table, say

if TYPE_CHECKING:
    from telerehab.demo.report import DemoReport
    from telerehab.demo.run import Links


def demo(
    homes: Annotated[int, typer.Option(min=1, max=8, help="simulated homes")] = 4,
    port: Annotated[int, typer.Option(min=1, max=65535, help="of the pages")] = 8000,
    seconds: Annotated[float | None, typer.Option("--for", min=1, help="end by itself after SECONDS")] = None,
    lan: Annotated[
        str | None, typer.Option("--lan", metavar="[ADDRESS]", help="serve tablets on the network, over HTTPS")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="keep everything in this folder")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="the report as one JSON object")] = False,
) -> None:
    """Run a clinic with simulated homes on this machine and account for every sample at the end.

    Exit code 1 when something was lost, missed or invented, or the care scene did not go as it should; 3 when it cannot
    run here.
    """
    run = import_module("telerehab.demo.run")  # a third of all that there is to import: no other command waits for it
    options = run.DemoOptions(homes=homes, port=port, seconds=seconds, lan=lan, folder=folder)
    report: DemoReport = asyncio.run(run.run_demo(options, say=say, show_links=_show_links))
    if as_json:
        print_json(report.as_dict())
    else:
        _print_report(report)
    raise SystemExit(int(ExitCode.OK if report.is_right else ExitCode.FAILED))


def _show_links(links: "Links") -> None:
    say("")
    say("Open these in Chromium; each link works once:")
    for name, link in links.staff.items():
        say(f"  {name:9}  {link}")
    for name, link in [*links.tablets.items(), ("helper", links.helper)]:
        say(f"  {name:9}  {link}")
        if links.authority is not None:
            segno.make(link, error="m").terminal(out=sys.stderr, compact=True)
    if links.authority is not None:
        say(f"Tablets must trust this authority first: {links.authority}")
    say("")


def _print_report(report: "DemoReport") -> None:
    print_table(
        f"Demonstration of {report.seconds:.0f} s",
        [
            "home",
            "repetitions",
            "true",
            "missed",
            "invented",
            "range of motion",
            "true",
            "angle error",
            "blocks",
            "sent",
            "late",
            "again",
            "missing",
            "unexplained",
        ],
        [
            (
                home.home,
                home.counted_repetition_count,
                home.true_repetition_count,
                home.missed_count,
                home.invented_count,
                _degrees(home.rom_deg),
                _degrees(home.true_rom_deg),
                _degrees(home.angle_rmse_deg),
                f"{home.blocks_stored}/{home.blocks_produced}",
                home.blocks_sent,
                home.blocks_late,
                home.blocks_duplicate,
                ", ".join(f"{cause} {count}" for cause, count in home.blocks_missing.items()) or 0,
                home.blocks_unexplained,
            )
            for home in report.homes
        ],
    )
    ages = ", ".join(f"{name} {value}" for name, value in report.age_ms.items())
    say(f"Age of what the therapist sees: {ages}")
    print_table(
        "Processes",
        ["process", "processor", "memory", "restarts"],
        [
            (each.name, f"{each.cpu_share:.1%}", f"{each.memory_mib:.0f} MiB", report.restarts.get(each.name, 0))
            for each in report.processes
        ],
    )
    print_table(
        "Care scene",
        ["what", "", "took", "seen"],
        [
            (each.step.value, each.outcome.value, "" if each.seconds is None else f"{each.seconds:.1f} s", each.detail)
            for each in report.care.steps
        ],
    )
    for kill in report.intake_kills:
        back = "no values since" if kill.back_after_s is None else f"values back after {kill.back_after_s} s"
        say(f"Intake was killed after {kill.at_s:.0f} s: {back}")
    say("Nothing was lost." if report.is_whole else "NOT EVERYTHING IS ACCOUNTED FOR; see the table.")
    if not report.care.is_right:
        say("THE CARE SCENE DID NOT GO AS IT SHOULD; see the table.")


def _degrees(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.1f}°"
