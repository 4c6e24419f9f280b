"""`telerehab broker render|watch`: Mosquitto's files from the table of devices, once or kept fresh."""

import getpass
import logging
from pathlib import Path
from typing import Annotated, Final

import typer
from sqlalchemy.exc import SQLAlchemyError

from devices.errors import BrokerFileError
from devices.mosquitto_files import LOOPBACK, SETTINGS_FILE, MosquittoPlan, TlsFiles
from telerehab.broker_files import MosquittoFiles, Written
from telerehab.cli.output import ExitCode, fail, print_json, say
from telerehab.cli.people import ready_settings
from telerehab.db.engine import open_database
from telerehab.roles.process import set_up_logging, wish_to_end
from telerehab.settings import Settings

log = logging.getLogger(__name__)

WATCH_INTERVAL_S: Final = 2.0
DEVICE_PORT: Final = 8883

broker = typer.Typer(help="Mosquitto as the broker, in place of the embedded one.", no_args_is_help=True)

Out = Annotated[Path, typer.Option("--out", help="folder for the files, of the account that Mosquitto runs as")]
TlsCert = Annotated[Path | None, typer.Option(help="certificate chain for devices (PEM); default: that of the pages")]
TlsKey = Annotated[Path | None, typer.Option(help="its private key (PEM)")]
NoTls = Annotated[bool, typer.Option("--no-tls", help="serve devices unencrypted, on the loopback only")]
DevicePort = Annotated[int, typer.Option(min=1, max=65_535, help="where devices connect")]
DeviceAddress = Annotated[str | None, typer.Option(help="address for devices; default: all of this machine")]
RunAs = Annotated[str | None, typer.Option(help="account that Mosquitto becomes; default: the one that runs this")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object")]


@broker.command()
def render(
    out: Out,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    no_tls: NoTls = False,
    device_port: DevicePort = DEVICE_PORT,
    device_address: DeviceAddress = None,
    run_as: RunAs = None,
    as_json: AsJson = False,
) -> None:
    """Write configuration, passwords and access rules for `mosquitto -c OUT/mosquitto.conf`."""
    settings = ready_settings()
    plan = _plan(settings, out, _tls(settings, tls_cert, tls_key, no_tls), device_port, device_address, run_as)
    database = open_database(settings)
    try:
        written = MosquittoFiles(settings, plan).write(database)
    except BrokerFileError as error:
        fail(f"Mosquitto cannot be set up: {error}.", ExitCode.USAGE)
    finally:
        database.close()
    _tell(plan, written, as_json=as_json)


@broker.command()
def watch(
    out: Out,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    no_tls: NoTls = False,
    device_port: DevicePort = DEVICE_PORT,
    device_address: DeviceAddress = None,
    run_as: RunAs = None,
) -> None:
    """Keep the files fresh until SIGTERM; a revoked device loses its connection within 5 seconds."""
    settings = ready_settings()
    set_up_logging(settings, role="broker")
    plan = _plan(settings, out, _tls(settings, tls_cert, tls_key, no_tls), device_port, device_address, run_as)
    files = MosquittoFiles(settings, plan)
    wish = wish_to_end()
    database = open_database(settings)
    try:
        while not wish.is_set():
            try:
                written = files.keep(database)
            except SQLAlchemyError as error:
                log.warning("devices could not be read: %s", type(error).__name__)
            else:
                if written.changed_files or written.is_reloaded:
                    log.info("%d devices may connect; Mosquitto told: %s", written.device_count, written.is_reloaded)
            wish.wait(WATCH_INTERVAL_S)
    except BrokerFileError as error:
        fail(f"Mosquitto cannot be set up: {error}.", ExitCode.USAGE)
    finally:
        database.close()


def _tls(settings: Settings, certificate: Path | None, key: Path | None, no_tls: bool) -> TlsFiles | None:
    """Return the files of the devices' listener, those of the pages where none are named."""
    if no_tls:
        if certificate is not None or key is not None:
            fail("--no-tls and a certificate exclude each other.", ExitCode.USAGE)
        return None
    if certificate is None and key is None:
        certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        fail("Devices need TLS: give --tls-cert and --tls-key, or --no-tls for the loopback.", ExitCode.USAGE)
    for path in (certificate, key):
        try:
            path.read_bytes()
        except OSError as error:
            fail(f"The file {path} cannot be read: {error.strerror}.", ExitCode.USAGE)
    return TlsFiles(certificate=certificate.absolute(), key=key.absolute())


def _plan(
    settings: Settings,
    out: Path,
    tls: TlsFiles | None,
    device_port: int,
    device_address: str | None,
    run_as: str | None,
) -> MosquittoPlan:
    return MosquittoPlan(
        folder=out.expanduser().absolute(),
        device_port=device_port,
        role_port=settings.mqtt_port,
        tls=tls,
        device_address=device_address if tls is not None or device_address is not None else LOOPBACK,
        role_address=settings.mqtt_host,
        run_as=run_as or getpass.getuser(),
    )


def _tell(plan: MosquittoPlan, written: Written, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "folder": str(plan.folder),
                "devices": written.device_count,
                "changed": list(written.changed_files),
                "device_port": plan.device_port,
                "role_port": plan.role_port,
                "has_tls": plan.tls is not None,
            }
        )
        return
    say(f"{written.device_count} devices may connect; {len(written.changed_files)} files changed.")
    say(f"Start it with: mosquitto -c {plan.folder / SETTINGS_FILE}")
