"""`telerehab audit verify`: whether the audit chain is still what was written."""

import json
from pathlib import Path
from typing import Annotated

import typer

from telerehab.auth.audit import Anchor, Verdict, audit_key, read_links, verify
from telerehab.cli.output import ExitCode, fail, print_json, say
from telerehab.cli.people import ready_settings
from telerehab.db.engine import open_database, reading

audit = typer.Typer(help="The log of who looked at what.", no_args_is_help=True)


@audit.callback()
def _group() -> None:
    """Keep `verify` a word of its own."""


@audit.command("verify")
def verify_chain(
    anchor: Annotated[
        Path | None, typer.Option(help="an earlier head: without it a chain that was cut off looks sound")
    ] = None,
    write_anchor: Annotated[
        Path | None, typer.Option(help="keep the head of a sound chain here, on another machine's disk")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object")] = False,
) -> None:
    """Look at the whole audit chain: flipped, deleted, swapped and, with an anchor, cut off links are found."""
    settings = ready_settings()
    earlier = None if anchor is None else _read_anchor(anchor)
    database = open_database(settings)
    try:
        with reading(database.main) as db:
            verdict = verify(read_links(db), key=audit_key(settings), anchor=earlier)
    finally:
        database.close()
    if write_anchor is not None and verdict.fault is None:
        _write_anchor(write_anchor, verdict.head)
    _tell(verdict, as_json=as_json)
    if verdict.fault is not None:
        raise SystemExit(int(ExitCode.FAILED))


def _read_anchor(path: Path) -> Anchor:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Anchor(count=int(kept["count"]), mac=str(kept["mac"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        fail(f"The anchor {path} cannot be read: {type(error).__name__}.", ExitCode.USAGE)


def _write_anchor(path: Path, head: Anchor) -> None:
    try:
        path.write_text(json.dumps({"count": head.count, "mac": head.mac}) + "\n", encoding="utf-8")
    except OSError as error:
        fail(f"The anchor {path} cannot be written: {error.strerror}.")


def _tell(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "is_sound": verdict.fault is None,
                "count": verdict.head.count,
                "mac": verdict.head.mac,
                "fault": verdict.fault,
                "sequence": verdict.sequence,
            }
        )
    elif verdict.fault is None:
        say(f"{verdict.head.count} records, all as they were written.")
    else:
        say(f"Record {verdict.sequence} is {verdict.fault}; {verdict.head.count} before it are as they were written.")
