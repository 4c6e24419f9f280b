"""What a Mosquitto needs to serve our devices and roles: its settings, passwords and access files, as texts. Pure.

Two listeners, each with accounts and access of its own: the outer one for devices, encrypted, where the account's name
is also the client id, so that nobody can push another client out; the inner one, on the loopback, for our own roles.
Who may do what comes from `devices/broker_access.py`, as it does in the embedded broker.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from types import MappingProxyType
from typing import Final

from devices.broker_access import OWN_ROLES, READABLE, WRITABLE
from devices.errors import BrokerFileError
from devices.ports import Role
from devices.topics import is_device_name
from devices.wire import MAX_FRAME_BYTES

SETTINGS_FILE: Final = "mosquitto.conf"
PID_FILE: Final = "mosquitto.pid"
DEVICE_PASSWORDS_FILE: Final = "devices.passwords"
DEVICE_ACCESS_FILE: Final = "devices.acl"
ROLE_PASSWORDS_FILE: Final = "roles.passwords"
ROLE_ACCESS_FILE: Final = "roles.acl"

LOOPBACK: Final = "127.0.0.1"
MAX_PACKET_BYTES: Final = MAX_FRAME_BYTES + 256
"""Of a whole MQTT packet: the longest frame with the longest topic fits, nothing much longer does."""
MAX_QUEUED_MESSAGES: Final = 100_000
MAX_QUEUED_BYTES: Final = 256 * 1024 * 1024
_CREDENTIAL: Final = re.compile(r"\$7\$[1-9][0-9]{0,6}\$[A-Za-z0-9+/]+={0,2}\$[A-Za-z0-9+/]+={0,2}\Z")
_ACCOUNT: Final = re.compile(r"[a-z_][a-z0-9_-]{0,31}\Z")
_WORDS: Final = MappingProxyType({(True, True): "readwrite", (True, False): "read", (False, True): "write"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """The certificate chain and the private key of the listener for devices (PEM)."""

    certificate: PurePath
    key: PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class MosquittoPlan:
    """Where a Mosquitto listens and where its files lie.

    `folder` is absolute. `device_address` None means every address of the machine; without `tls` it must be on the
    loopback. `run_as` is the account of the machine that Mosquitto becomes when it was started as root: it must be able
    to read the files again after that.
    """

    folder: PurePath
    device_port: int
    role_port: int
    tls: TlsFiles | None
    device_address: str | None = None
    role_address: str = LOOPBACK
    run_as: str | None = None


def render_files(
    plan: MosquittoPlan, *, device_credentials: Mapping[str, str], role_credentials: Mapping[str, str]
) -> dict[str, str]:
    """Return the texts of all files by their names, the settings after what they name.

    The same values give the same texts.

    Parameters
    ----------
    plan
        Listeners and places.
    device_credentials, role_credentials
        By the account's name, the hash in the form `$7$iterations$salt$hash`.

    Raises
    ------
    BrokerFileError
        A name, hash, path, address or port cannot stand in these files.
    """
    for name in device_credentials:
        if not is_device_name(name) or name in OWN_ROLES:
            raise BrokerFileError(f"no name for a device: {name!r}")
    for name in role_credentials:
        if name not in OWN_ROLES:
            raise BrokerFileError(f"no role of ours: {name!r}")
    return {
        DEVICE_PASSWORDS_FILE: _passwords(device_credentials),
        DEVICE_ACCESS_FILE: _access_of_devices(),
        ROLE_PASSWORDS_FILE: _passwords(role_credentials),
        ROLE_ACCESS_FILE: _access_of_roles(),
        SETTINGS_FILE: _settings(plan),
    }


def _settings(plan: MosquittoPlan) -> str:
    device_address, role_address = _address(plan.device_address), _address(plan.role_address)
    if plan.tls is None and not _is_loopback(plan.device_address):
        raise BrokerFileError("devices are served without TLS on the loopback only")
    if not _is_loopback(plan.role_address):
        raise BrokerFileError("our own roles are served on the loopback only")
    if plan.run_as is not None and _ACCOUNT.match(plan.run_as) is None:
        raise BrokerFileError(f"no account of this machine: {plan.run_as!r}")
    if plan.device_port == plan.role_port:
        raise BrokerFileError("devices and roles need different ports")
    lines = [
        "per_listener_settings true",
        *([f"user {plan.run_as}"] if plan.run_as is not None else []),
        f"pid_file {_path(plan.folder / PID_FILE)}",
        "persistence false",
        "persistent_client_expiration 1d",
        "max_inflight_messages 0",
        f"max_queued_messages {MAX_QUEUED_MESSAGES}",
        f"max_queued_bytes {MAX_QUEUED_BYTES}",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "set_tcp_nodelay true",
        "connection_messages false",
        "log_dest stderr",
        "",
        f"listener {_port(plan.device_port)}{device_address}",
        "use_username_as_clientid true",
        "allow_anonymous false",
        f"password_file {_path(plan.folder / DEVICE_PASSWORDS_FILE)}",
        f"acl_file {_path(plan.folder / DEVICE_ACCESS_FILE)}",
    ]
    if plan.tls is not None:
        lines += [
            f"certfile {_path(plan.tls.certificate)}",
            f"keyfile {_path(plan.tls.key)}",
            "tls_version tlsv1.2",
        ]
    lines += [
        "",
        f"listener {_port(plan.role_port)}{role_address}",
        "allow_anonymous false",
        f"password_file {_path(plan.folder / ROLE_PASSWORDS_FILE)}",
        f"acl_file {_path(plan.folder / ROLE_ACCESS_FILE)}",
    ]
    return _text(lines)


def _passwords(credentials: Mapping[str, str]) -> str:
    for name, credential in credentials.items():
        if _CREDENTIAL.match(credential) is None:
            raise BrokerFileError(f"the credential of {name} is none that Mosquitto reads")
    return _text([f"{name}:{credentials[name]}" for name in sorted(credentials)])


def _access_of_devices() -> str:
    """Return patterns alone: at this listener every account is a device."""
    return _text([f"pattern {word} {topic.replace('{name}', '%u')}" for word, topic in _rules("device")])


def _access_of_roles() -> str:
    """Return each role's topics; a topic with the client id is a pattern, which Mosquitto grants to all of a file."""
    roles: list[Role] = ["ingest", "web", "media", "jobs"]
    lines, patterns = [], []
    for role in roles:
        lines.append(f"user {role}")
        for word, topic in _rules(role):
            if "{client_id}" in topic:
                patterns.append(f"pattern {word} {topic.replace('{client_id}', '%c')}")
            else:
                lines.append(f"topic {word} {topic}")
    for pattern in sorted(set(patterns)):
        if patterns.count(pattern) != len(roles):
            raise BrokerFileError(f"not every role has it, and Mosquitto cannot say so: {pattern}")
        lines.append(pattern)
    return _text(lines)


def _rules(role: Role) -> Iterator[tuple[str, str]]:
    """Yield what a role may do and where, each topic once."""
    for topic in dict.fromkeys((*READABLE[role], *WRITABLE[role])):
        yield _WORDS[topic in READABLE[role], topic in WRITABLE[role]], topic


def _address(address: str | None) -> str:
    """Return how an address follows the port, nothing for every address."""
    if address is None:
        return ""
    try:
        return f" {ipaddress.ip_address(address)}"
    except ValueError:
        raise BrokerFileError(f"no address to listen on: {address!r}") from None


def _is_loopback(address: str | None) -> bool:
    return address is not None and ipaddress.ip_address(address).is_loopback


def _port(port: int) -> int:
    if not 1 <= port <= 65_535:
        raise BrokerFileError(f"no port: {port}")
    return port


def _path(path: PurePath) -> str:
    text = str(path)
    if not path.is_absolute() or not text.isprintable() or text != text.strip():
        raise BrokerFileError(f"no absolute path that can stand in a line: {text!r}")
    return text


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)
