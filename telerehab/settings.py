"""What an operator may choose, read from `TELEREHAB_...` variables of the environment."""

import contextlib
import hashlib
import hmac
import os
import secrets
import stat
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from telerehab.errors import SettingsError

ENVIRONMENT_PREFIX: Final = "TELEREHAB_"
SECRET_KEY_BYTES: Final = 32

Port = Annotated[int, Field(ge=0, le=65_535)]


def _default_data_dir() -> Path:
    """Return the folder of the user's own data."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(base).expanduser() / "telerehab"


class Settings(BaseSettings):
    """All settings of all roles; the same value reaches every child process as its environment."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="ignore")

    data_dir: Path = Field(default_factory=_default_data_dir)
    database_url: str = ""
    """SQLAlchemy's address of the main database; empty: a SQLite file in `data_dir`."""
    hot_database_url: str = ""
    """Where ingest keeps blocks; empty: a SQLite file of its own, or the main database on PostgreSQL."""
    archive_url: str = ""
    """Where sealed segments lie, for fsspec: `file:///...`, `s3://...`; empty: the folder `archive` in `data_dir`."""
    archive_grace_s: Annotated[float, Field(ge=0)] = 600.0
    """How long after the end of a training session, or of an hour, late blocks are waited for before sealing. [s]"""
    secret_key_file: Path = Path()
    key_ring_file: Path = Path()
    """Where the keys of the patients' sealed data lie; empty: `keys/keyring.json` in `data_dir`. Never in a backup."""
    mqtt_host: str = "127.0.0.1"
    mqtt_port: Port = 1883
    ingest_client_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{0,64}$")] = ""
    """The client id under which Mosquitto keeps what ingest has not committed; empty: random, and nothing is kept."""
    mqtt_reader: Literal["fast", "stock"] = "fast"
    """How ingest reads from its broker connection; `stock`: by paho's own means."""
    web_host: str = "127.0.0.1"
    web_port: Port = 8000
    public_hosts: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """Host names under which browsers reach us, `*.localhost` for any name below; others' pages are refused."""
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    media_address: str = "127.0.0.1"
    """The address that browsers send their audio and video to (announced in ICE candidates)."""
    media_control_port: Port = 0
    demo: bool = False
    dev: bool = False
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("public_hosts", mode="before")
    @classmethod
    def _split_hosts(cls, value: object) -> object:
        """Accept `a.example,*.localhost`, as an environment can hold it."""
        if isinstance(value, str):
            return [host.strip().lower() for host in value.split(",") if host.strip()]
        return value

    @field_validator("database_url", "hot_database_url")
    @classmethod
    def _name_the_driver(cls, url: str) -> str:
        """Say psycopg 3 where only PostgreSQL was said."""
        for short in ("postgresql://", "postgres://"):
            if url.startswith(short):
                return "postgresql+psycopg://" + url.removeprefix(short)
        return url

    @model_validator(mode="after")
    def _fill_in(self) -> "Settings":
        """Derive the places that nobody named from those that somebody did."""
        data_dir = self.data_dir.expanduser().absolute()
        chosen = {"data_dir": data_dir}
        if self.secret_key_file == Path():
            chosen["secret_key_file"] = data_dir / "secret.key"
        if self.key_ring_file == Path():
            chosen["key_ring_file"] = data_dir / "keys" / "keyring.json"
        urls = {}
        if not self.database_url:
            urls["database_url"] = f"sqlite:///{data_dir / 'telerehab.db'}"
        if not self.hot_database_url:
            main_is_sqlite = urls.get("database_url", self.database_url).startswith("sqlite")
            urls["hot_database_url"] = f"sqlite:///{data_dir / 'blocks.db'}" if main_is_sqlite else self.database_url
        if not self.archive_url:
            urls["archive_url"] = f"file://{data_dir / 'archive'}"
        for name, value in (chosen | urls).items():
            object.__setattr__(self, name, value)
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key belong together: give both or none")
        return self

    @property
    def scheme(self) -> Literal["http", "https"]:
        """Return how browsers reach the web role."""
        return "https" if self.tls_certificate is not None else "http"

    def secret_for(self, purpose: str) -> bytes:
        """Return the 32-byte secret of one purpose, derived from the secret key file.

        The file is made, readable by its owner only, where there is none yet; several roles may ask at once.

        Raises
        ------
        SettingsError
            The file cannot be made or read, is too short, or others may read it.
        """
        key = _read_or_make_key(self.secret_key_file)
        return hmac.new(key, purpose.encode(), hashlib.sha256).digest()

    def mqtt_password(self, role: str) -> str:
        """Return the password with which one of our roles logs in to the broker."""
        return self.secret_for(f"mqtt:{role}").hex()

    def as_environment(self) -> dict[str, str]:
        """Return the variables that give a child process these settings."""
        variables = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if value is None:
                continue
            text = ",".join(value) if isinstance(value, list) else str(value)
            variables[f"{ENVIRONMENT_PREFIX}{name.upper()}"] = text
        return variables


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises
    ------
    SettingsError
        Names the variables that are wrong and why, never their values.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = "; ".join(
            f"{ENVIRONMENT_PREFIX}{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors()
        )
        raise SettingsError(f"The settings are wrong: {faults}") from None


def _read_or_make_key(path: Path) -> bytes:
    """Return the key in the file; make file and key where there is none."""
    try:
        if not path.exists():
            _make_key(path)
        mode = path.stat().st_mode
        key = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"The secret key file {path} cannot be used: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise SettingsError(f"Others may read the secret key file {path}: run `chmod 600` on it")
    if len(key) < SECRET_KEY_BYTES:
        raise SettingsError(f"The secret key file {path} is shorter than {SECRET_KEY_BYTES} bytes")
    return key


def _make_key(path: Path) -> None:
    """Write a new key; of several processes that do so at once, one wins and all read its key."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink()
