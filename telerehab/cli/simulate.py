"""`telerehab simulate`: the device simulator, a program of its own, with the arguments handed on."""

import os
import sys

import typer


def simulate(context: typer.Context) -> None:
    """Run simulated devices against a broker; `telerehab simulate --help-simulator` lists the arguments."""
    arguments = ["--help" if each == "--help-simulator" else each for each in context.args]
    os.execv(sys.executable, [sys.executable, "-m", "firmware_sim", *arguments])
