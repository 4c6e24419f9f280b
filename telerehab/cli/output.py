"""What every command shares: exit codes, plain sentences on standard error, tables on a terminal, JSON on request."""

import json
import sys
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import NoReturn

from rich.console import Console
from rich.table import Table


class ExitCode(IntEnum):
    """What the exit code of each command means (also in `docs/operations.md`)."""

    OK = 0
    FAILED = 1
    """It ran, and the answer is no: something was lost, a floor not met, a check failed."""
    USAGE = 2
    """The arguments are wrong."""
    ENVIRONMENT = 3
    """This machine or folder cannot run it: port taken, folder read-only, pages not built."""


def fail(sentence: str, code: ExitCode = ExitCode.ENVIRONMENT) -> NoReturn:
    """Say one plain sentence on standard error and end."""
    print(sentence, file=sys.stderr, flush=True)
    raise SystemExit(int(code))


def say(sentence: str) -> None:
    """Say one sentence of progress on standard error, at once."""
    print(sentence, file=sys.stderr, flush=True)


def print_json(value: object) -> None:
    """Print one JSON object on one line."""
    print(json.dumps(value, ensure_ascii=False, default=str), flush=True)


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table: ruled on a terminal, tab-separated elsewhere."""
    if not sys.stdout.isatty():
        print("\t".join(columns))
        for row in rows:
            print("\t".join(map(str, row)))
        return
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    Console().print(table)
