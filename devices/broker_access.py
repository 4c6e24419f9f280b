"""Who may read and write which topic at the broker (`docs/protocol.md` T4 to T6). The one place of this fact.

The embedded broker asks `is_allowed` at every message; a Mosquitto gets the same tables as its access files
(`devices/mosquitto_files.py`). `{name}` stands for the account's name, `{client_id}` for that of the connection.
"""

from typing import Final

from devices.ports import Role
from devices.topics import is_device_name

OWN_ROLES: Final = frozenset({"ingest", "web", "media", "jobs"})

READABLE: Final[dict[Role, tuple[str, ...]]] = {
    "device": ("clk/1/{name}", "ack/1/{name}", "cmd/1/{name}/#"),
    "ingest": ("rt/1/#", "bf/1/#", "dev/1/#", "clk/1/#", "app/1/changed/#", "app/1/echo/{client_id}"),
    "web": (
        "live/1/#",
        "evt/1/#",
        "app/1/changed/#",
        "dev/1/#",
        "cmd/1/#",
        "clk/1/#",
        "ack/1/#",
        "app/1/echo/{client_id}",
    ),
    "media": ("app/1/changed/#", "app/1/echo/{client_id}"),
    "jobs": ("app/1/changed/#", "app/1/echo/{client_id}"),
}
"""What a role may subscribe to and receive (`docs/protocol.md` T4 to T6)."""

WRITABLE: Final[dict[Role, tuple[str, ...]]] = {
    "device": ("rt/1/+/{name}/+", "bf/1/+/{name}/+", "dev/1/{name}/meta", "dev/1/{name}/state", "clk/1/{name}"),
    "ingest": (
        "clk/1/#",
        "ack/1/#",
        "cmd/1/#",
        "live/1/#",
        "app/1/changed/alert",
        "app/1/changed/device_started",
        "app/1/echo/{client_id}",
    ),
    "web": ("app/1/changed/#", "dev/1/#", "cmd/1/#", "rt/1/#", "bf/1/#", "clk/1/#", "app/1/echo/{client_id}"),
    "media": ("evt/1/#", "app/1/changed/#", "app/1/echo/{client_id}"),
    "jobs": ("app/1/changed/#", "app/1/echo/{client_id}"),
}
"""What a role may publish."""


def is_allowed(role: Role, topic: str, *, name: str, client_id: str, is_writing: bool) -> bool:
    """Tell whether an account may write a topic, or read a topic or filter.

    >>> is_allowed("device", "rt/1/00/band-7/imu", name="band-7", client_id="", is_writing=True)
    True
    >>> is_allowed("device", "ack/1/#", name="band-7", client_id="", is_writing=False)
    False
    """
    if role == "device" and not is_device_name(name):
        return False
    levels = topic.split("/")
    return any(
        _covers([_fill(level, name, client_id) for level in pattern.split("/")], levels)
        for pattern in (WRITABLE if is_writing else READABLE)[role]
    )


def _fill(level: str, name: str, client_id: str) -> str:
    if level == "{name}":
        return name
    return client_id if level == "{client_id}" else level


def _covers(pattern: list[str], levels: list[str]) -> bool:
    """Tell whether every topic that `levels` can mean is one that `pattern` means."""
    for index, level in enumerate(pattern):
        if level == "#":
            return True
        if index >= len(levels) or levels[index] == "#" or (level not in ("+", levels[index])):
            return False
    return len(pattern) == len(levels)
