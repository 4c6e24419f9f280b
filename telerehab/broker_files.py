"""Mosquitto's files, written from the database and kept so: who may connect follows the table of devices.

`devices/mosquitto_files.py` says what stands in them. A running Mosquitto reads passwords and access again on SIGHUP,
and then ends the connections of accounts that are gone or have another password (seen with 2.0.11); listeners and
limits it reads at its start only.
"""

import contextlib
import os
import secrets
import signal
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devices.mosquitto_files import PID_FILE, MosquittoPlan, render_files
from telerehab.auth.device_credentials import BROKER_ROLES, SALT_BYTES, hash_device_password, read_device_credentials
from telerehab.db.engine import Database, reading
from telerehab.errors import BrokerFolderError
from telerehab.settings import Settings

PROGRAM: Final = "mosquitto"


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What one round of writing did."""

    device_count: int
    changed_files: tuple[str, ...]
    is_reloaded: bool = False
    """Whether a running Mosquitto was told."""


class MosquittoFiles:
    """The files of one Mosquitto.

    Parameters
    ----------
    settings : Settings
        Its secret key gives the roles' passwords.
    plan : MosquittoPlan
        Where Mosquitto listens; its `folder` is where the files are written.
    """

    def __init__(self, settings: Settings, plan: MosquittoPlan) -> None:
        self._plan = plan
        self._folder = Path(plan.folder)
        self._role_credentials = role_credentials(settings)
        self._owes_reload = True  # somebody may have written between the start of Mosquitto and ours

    def write(self, database: Database) -> Written:
        """Write what differs from what stands there.

        Raises
        ------
        BrokerFolderError
            The folder cannot be written, or everybody may write there.
        BrokerFileError
            A name or path cannot stand in the files.
        """
        with reading(database.main) as db:
            devices = read_device_credentials(db)
        files = render_files(self._plan, device_credentials=devices, role_credentials=self._role_credentials)
        changed = write_files(self._folder, files)
        return Written(device_count=len(devices), changed_files=changed)

    def keep(self, database: Database) -> Written:
        """Write what differs, and tell a running Mosquitto; as often as it takes until it was told."""
        written = self.write(database)
        self._owes_reload |= bool(written.changed_files)
        is_reloaded = self._owes_reload and tell_mosquitto(self._folder / PID_FILE)
        self._owes_reload &= not is_reloaded
        return Written(device_count=written.device_count, changed_files=written.changed_files, is_reloaded=is_reloaded)


def role_credentials(settings: Settings) -> Mapping[str, str]:
    """Return the hashes of our own roles' passwords; the same secret key gives the same."""
    return {
        role: hash_device_password(
            settings.mqtt_password(role), salt=settings.secret_for(f"mqtt-salt:{role}")[:SALT_BYTES]
        )
        for role in BROKER_ROLES
    }


def write_files(folder: Path, files: Mapping[str, str]) -> tuple[str, ...]:
    """Bring the files of a folder to these texts, each at once and readable by its owner only; return what changed.

    Raises
    ------
    BrokerFolderError
        The folder cannot be made or written, or everybody may write there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if folder.stat().st_mode & stat.S_IWOTH:
            raise BrokerFolderError(f"Everybody may write in {folder}: run `chmod o-w` on it")
        return tuple(name for name, text in files.items() if _write_if_other(folder / name, text.encode()))
    except OSError as error:
        raise BrokerFolderError(f"The folder {folder} cannot be used: {error.strerror}") from error


def tell_mosquitto(pid_file: Path) -> bool:
    """Let the Mosquitto of a pid file read its files again; False when none runs."""
    try:
        pid = int(pid_file.read_text(encoding="ascii"))
        if Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip() != PROGRAM:
            return False  # it has ended, and another process has its number
        os.kill(pid, signal.SIGHUP)
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return False
    except OSError as error:
        raise BrokerFolderError(f"Mosquitto cannot be told to read {pid_file.parent}: {error.strerror}") from error
    return True


def _write_if_other(path: Path, content: bytes) -> bool:
    """Replace a file whose content or mode differs; a reader sees the old one or the new one, whole."""
    with contextlib.suppress(FileNotFoundError):
        if path.read_bytes() == content and stat.S_IMODE(path.stat().st_mode) == stat.S_IRUSR | stat.S_IWUSR:
            return False
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise
    return True
