"""`telerehab serve`: all roles as supervised child processes, or one of them in this process."""

import asyncio
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from telerehab.cli.output import ExitCode, fail, say
from telerehab.db.migrate import upgrade
from telerehab.roles import Role
from telerehab.roles.__main__ import run_role
from telerehab.settings import Settings, load_settings
from telerehab.supervision import Supervisor, role_child


def serve(
    role: Annotated[Role | None, typer.Option(help="run this role alone, in this process")] = None,
    dev: Annotated[bool, typer.Option("--dev", help="allow plain HTTP, for development on this machine")] = False,
    tls_cert: Annotated[Path | None, typer.Option(help="certificate chain of the web role (PEM)")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="private key of the web role (PEM)")] = None,
    external_broker: Annotated[
        bool, typer.Option("--external-broker", help="use the broker at TELEREHAB_MQTT_HOST, start none")
    ] = False,
) -> None:
    """Run the application; settings come from the environment (TELEREHAB_...)."""
    settings = load_settings()
    if tls_cert is not None or tls_key is not None:
        _check_readable(tls_cert, tls_key)
        settings = settings.model_copy(update={"tls_certificate": tls_cert, "tls_key": tls_key})
    if role is not None:
        raise SystemExit(run_role(role, settings))
    if settings.scheme == "http" and not (dev or settings.dev):
        fail(
            "Browsers need HTTPS for camera and login: give --tls-cert and --tls-key, "
            "or --dev for development on this machine.",
            ExitCode.USAGE,
        )
    roles = [each for each in Role if not (external_broker and each is Role.BROKER)]
    raise SystemExit(asyncio.run(_run_all(settings, roles)))


def _check_readable(certificate: Path | None, key: Path | None) -> None:
    if certificate is None or key is None:
        fail("--tls-cert and --tls-key belong together: give both.", ExitCode.USAGE)
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            fail(f"The file {path} cannot be read: {error.strerror}.", ExitCode.USAGE)


async def _run_all(settings: Settings, roles: Sequence[str]) -> int:
    """Run the roles until a signal comes, or until one of them stays down."""
    told_to_stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop.set)
    await asyncio.to_thread(upgrade, settings)
    async with Supervisor([role_child(settings, role) for role in roles]) as supervisor:
        say(f"telerehab serves {settings.scheme}://{settings.web_host}:{settings.web_port} (Ctrl-C ends it)")
        stop = asyncio.create_task(told_to_stop.wait())
        failure = asyncio.create_task(supervisor.wait_given_up())
        await asyncio.wait({stop, failure}, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        if failure.done():
            name, exit_code = failure.result()
            say(f"The role {name} cannot run (exit code {exit_code}); its log above says why.")
            return int(ExitCode.ENVIRONMENT)
        failure.cancel()
    return int(ExitCode.OK)
