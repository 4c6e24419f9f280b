"""The topics between devices and server, version 1 (`docs/protocol.md` section 2). No patient, name or health word."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

N_SHARDS: Final = 64
_SHARD: Final = re.compile(r"[0-3][0-9a-f]\Z")
_DEVICE: Final = re.compile(r"[a-z0-9-]{1,64}\Z")
_STREAM: Final = re.compile(r"[a-z0-9-]{1,16}\Z")
_COMMAND: Final = re.compile(r"[a-z]{1,16}\Z")


class TopicKind(StrEnum):
    """What travels on a topic."""

    LIVE = "live"
    BACKFILL = "backfill"
    META = "meta"
    STATE = "state"
    CLOCK = "clock"
    ACK = "ack"
    COMMAND = "command"


class CommandName(StrEnum):
    """What the server may ask of a device."""

    RATE = "rate"
    START = "start"
    STOP = "stop"
    SESSION = "session"
    RESEND = "resend"
    SHARD = "shard"
    WIPE = "wipe"
    FIRMWARE = "firmware"


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedTopic:
    """A topic taken apart; what a kind does not have is empty."""

    kind: TopicKind
    device: str
    shard: str = ""
    stream: str = ""
    command: str = ""


def live_topic(shard: str, device: str, stream: str) -> str:
    """Return where a device publishes new blocks."""
    return f"rt/1/{shard}/{device}/{stream}"


def backfill_topic(shard: str, device: str, stream: str) -> str:
    """Return where a device publishes blocks it had to keep."""
    return f"bf/1/{shard}/{device}/{stream}"


def meta_topic(device: str) -> str:
    """Return where a device describes itself (retained)."""
    return f"dev/1/{device}/meta"


def state_topic(device: str) -> str:
    """Return where a device tells how it is (retained, and its last will)."""
    return f"dev/1/{device}/state"


def clock_topic(device: str) -> str:
    """Return where time probes travel, both ways."""
    return f"clk/1/{device}"


def ack_topic(device: str) -> str:
    """Return where a device hears how far its blocks are committed."""
    return f"ack/1/{device}"


def command_topic(device: str, name: str) -> str:
    """Return where a device hears one command."""
    return f"cmd/1/{device}/{name}"


def shard_name(number: int) -> str:
    """Return a shard as it stands in a topic: two hexadecimal digits.

    >>> shard_name(26)
    '1a'
    """
    if not 0 <= number < N_SHARDS:
        raise ValueError(f"a shard is 0 to {N_SHARDS - 1}")
    return f"{number:02x}"


def is_device_name(name: str) -> bool:
    """Tell whether a name can be part of a topic without opening another subtree."""
    return _DEVICE.match(name) is not None


def is_stream_name(name: str) -> bool:
    """Tell whether a name can be a stream of a device."""
    return _STREAM.match(name) is not None


def parse_topic(topic: str) -> ParsedTopic | None:
    """Take a device topic apart; None for anything that is not one of ours.

    >>> parse_topic("rt/1/00/band-7/imu").stream
    'imu'
    >>> parse_topic("rt/1/00/band-7/imu/more") is None
    True
    """
    match topic.split("/"):
        case ["rt" | "bf" as root, "1", shard, device, stream] if (
            _SHARD.match(shard) and is_device_name(device) and is_stream_name(stream)
        ):
            kind = TopicKind.LIVE if root == "rt" else TopicKind.BACKFILL
            return ParsedTopic(kind=kind, shard=shard, device=device, stream=stream)
        case ["dev", "1", device, "meta"] if is_device_name(device):
            return ParsedTopic(kind=TopicKind.META, device=device)
        case ["dev", "1", device, "state"] if is_device_name(device):
            return ParsedTopic(kind=TopicKind.STATE, device=device)
        case ["clk", "1", device] if is_device_name(device):
            return ParsedTopic(kind=TopicKind.CLOCK, device=device)
        case ["ack", "1", device] if is_device_name(device):
            return ParsedTopic(kind=TopicKind.ACK, device=device)
        case ["cmd", "1", device, command] if is_device_name(device) and _COMMAND.match(command):
            return ParsedTopic(kind=TopicKind.COMMAND, device=device, command=command)
        case _:
            return None
