"""Debian's mosquitto, with the files that we render, on free ports."""

import getpass
import socket
import ssl
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from devices.mosquitto_files import LOOPBACK, SETTINGS_FILE, MosquittoPlan, TlsFiles, render_files
from telerehab.auth.device_credentials import hash_device_password
from telerehab.broker_files import write_files
from telerehab.demo.certificates import make_certificates
from tests.conftest import find_program
from tests.devices.broker_fixtures import ACCOUNTS, password_of, until


@dataclass(frozen=True, kw_only=True)
class Mosquitto:
    """A running one; `tls` is what a device trusts, None where it is not encrypted."""

    process: subprocess.Popen[bytes]
    plan: MosquittoPlan
    tls: ssl.SSLContext | None

    def port_for(self, username: str) -> int:
        """Return where an account belongs."""
        return self.plan.device_port if ACCOUNTS[username] == "device" else self.plan.role_port

    def tls_for(self, username: str) -> ssl.SSLContext | None:
        return self.tls if ACCOUNTS[username] == "device" else None


def free_port() -> int:
    with socket.socket() as free:
        free.bind((LOOPBACK, 0))
        return int(free.getsockname()[1])


def plan_in(folder: Path, *, tls: TlsFiles | None = None) -> MosquittoPlan:
    return MosquittoPlan(
        folder=folder,
        device_port=free_port(),
        role_port=free_port(),
        tls=tls,
        device_address=LOOPBACK,
        run_as=getpass.getuser(),
    )


def credentials_of(*names: str) -> Mapping[str, str]:
    return {name: hash_device_password(password_of(name)) for name in names}


@contextmanager
def running_mosquitto(plan: MosquittoPlan) -> Iterator[subprocess.Popen[bytes]]:
    """Start a mosquitto on files that lie there already."""
    program = find_program("mosquitto")
    assert program is not None
    folder = Path(plan.folder)
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([program, "-c", str(folder / SETTINGS_FILE)], stderr=log)
    try:
        until(lambda: _answers(plan.role_port) and _answers(plan.device_port), within_s=10)
        yield process
    finally:
        process.terminate()
        process.wait(10)


@contextmanager
def rendered_mosquitto(folder: Path, *, is_encrypted: bool) -> Iterator[Mosquitto]:
    """Render for the accounts of the tests, and start."""
    tls, trust = None, None
    if is_encrypted:
        made = make_certificates(folder, hosts=[LOOPBACK], now=datetime.now(UTC))
        tls = TlsFiles(certificate=made.certificate, key=made.key)
        trust = ssl.create_default_context(cafile=str(made.authority))
    plan = plan_in(folder / "mosquitto files", tls=tls)
    devices = [name for name, role in ACCOUNTS.items() if role == "device"]
    files = render_files(
        plan,
        device_credentials=credentials_of(*devices),
        role_credentials=credentials_of(*(name for name in ACCOUNTS if name not in devices)),
    )
    write_files(Path(plan.folder), files)
    with running_mosquitto(plan) as process:
        yield Mosquitto(process=process, plan=plan, tls=trust)


def _answers(port: int) -> bool:
    try:
        socket.create_connection((LOOPBACK, port), 1).close()
    except OSError:
        return False
    return True
