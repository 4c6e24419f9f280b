"""The `telerehab` command: one module per subcommand."""

import sys

import typer

from telerehab.cli.archive import archive
from telerehab.cli.audit import audit
from telerehab.cli.bench import bench
from telerehab.cli.broker import broker
from telerehab.cli.demo import demo
from telerehab.cli.migrate import migrate
from telerehab.cli.output import ExitCode, say
from telerehab.cli.people import device, patient, user
from telerehab.cli.serve import serve
from telerehab.cli.simulate import simulate
from telerehab.errors import TelerehabError

app = typer.Typer(
    name="telerehab",
    help="Home rehabilitation with live video and movement sensors. Training support, not an alarm system.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(serve)
app.command()(demo)
app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(simulate)
app.command()(migrate)
app.command()(bench)
app.add_typer(user, name="user")
app.add_typer(patient, name="patient")
app.add_typer(device, name="device")
app.add_typer(audit, name="audit")
app.add_typer(broker, name="broker")
app.add_typer(archive, name="archive")


def main() -> None:
    """Run the command line; a known error is one plain sentence and an exit code."""
    try:
        app(args=_with_lan_address(sys.argv[1:]))
    except TelerehabError as error:
        say(str(error))
        raise SystemExit(int(ExitCode.ENVIRONMENT)) from None


def _with_lan_address(arguments: list[str]) -> list[str]:
    """Let `--lan` stand alone or with an address, which the option parser cannot express."""
    if "--lan" not in arguments:
        return arguments
    at = arguments.index("--lan")
    has_address = at + 1 < len(arguments) and not arguments[at + 1].startswith("-")
    return arguments if has_address else [*arguments[: at + 1], "auto", *arguments[at + 1 :]]


if __name__ == "__main__":
    main()
