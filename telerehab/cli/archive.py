"""`telerehab archive verify|merge|export|reanalyse`: care for the sealed recordings."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

import typer

from telerehab.archive.errors import ArchiveError, ArchiveUnavailableError
from telerehab.cli.output import ExitCode, fail, print_json, print_table, say
from telerehab.cli.people import ready_settings

archive = typer.Typer(help="Sealed recordings of the sensors.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="one JSON object")]


@archive.command("verify")
def verify_archive(as_json: AsJson = False) -> None:
    """Read every segment: is it there, does it open, is it what was sealed? Exit code 1 and findings where not."""
    found = _commands().run_verify(ready_settings(), _say_progress)
    if as_json:
        print_json(found)
    else:
        _tell_findings(found)
    if not found["is_sound"]:
        raise SystemExit(int(ExitCode.FAILED))


@archive.command("merge")
def merge_archive(as_json: AsJson = False) -> None:
    """Make one segment of several of the same stream; the old ones go after the new one was read back."""
    done = _commands().run_merge(ready_settings(), _say_progress)
    print_json(done) if as_json else say(f"{len(done['merged'])} segments made of several.")


@archive.command("export")
def export_archive(
    training_session: Annotated[UUID, typer.Argument(help="its id")],
    folder: Annotated[Path, typer.Argument(help="made where there is none")],
    form: Annotated[Literal["npz", "csv"], typer.Option("--format", help="npz: arrays; csv: a line a sample")] = "npz",
    as_json: AsJson = False,
) -> None:
    """Write one training session with units and metadata, without the patient's name; the access log tells of it."""
    try:
        done = _commands().run_export(ready_settings(), training_session, folder, form)
    except ArchiveUnavailableError:
        raise
    except ArchiveError as error:
        fail(f"It cannot be exported: {error}.", ExitCode.FAILED)
    if as_json:
        print_json(done)
        return
    for path in done["files"]:
        say(path)


@archive.command("reanalyse")
def reanalyse_archive(
    training_sessions: Annotated[list[UUID] | None, typer.Argument(help="ids; none: all that are archived")] = None,
    as_json: AsJson = False,
) -> None:
    """Analyse recordings with this version; older results stay. Exit code 1 where one cannot be read."""
    done = _commands().run_reanalyse(ready_settings(), training_sessions or [], _say_progress)
    if as_json:
        print_json(done)
    else:
        say(
            f"{done['analysed']} recordings analysed, {done['repetitions']} repetitions; {done['known']} were known, "
            f"{done['not_measurable']} cannot be measured, {len(done['unreadable'])} cannot be read."
        )
    if done["unreadable"]:
        raise SystemExit(int(ExitCode.FAILED))


def _commands() -> Any:
    """Return the module that does the work: it needs a library that the other commands shall not wait for."""
    return import_module("telerehab.archive.commands")


def _say_progress(done: int, whole: int) -> None:
    """Say on a terminal how far it is."""
    if sys.stderr.isatty() and (done == whole or done % max(whole // 20, 1) == 0):
        say(f"{done} of {whole}")


def _tell_findings(found: dict[str, Any]) -> None:
    if found["findings"]:
        names = ("fault", "segment_id", "training_session_id", "device", "stream")
        print_table("findings", names, [[each[name] for name in names] for each in found["findings"]])
    say(
        f"{found['segments']} segments, {found['samples']} samples, {found['bytes']} bytes; {found['erased']} of "
        f"erased patients; {len(found['stray_files'])} files that belong to none."
    )
