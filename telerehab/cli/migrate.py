"""`telerehab migrate`: bring the databases to the version of the program."""

from typing import Annotated

import typer

from telerehab.cli.output import ExitCode, fail, print_json, say
from telerehab.db.migrate import is_at_head, upgrade
from telerehab.settings import load_settings


def migrate(
    only_check: Annotated[bool, typer.Option("--check", help="change nothing; exit 1 when a step is missing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Bring the main and the hot database to the version that this program needs."""
    settings = load_settings()
    if not only_check:
        upgrade(settings)
    at_head = is_at_head(settings)
    if as_json:
        print_json({"at_head": at_head})
    elif at_head:
        say("The databases have the version that this program needs.")
    if not at_head:
        fail("The databases need `telerehab migrate`.", ExitCode.FAILED)
