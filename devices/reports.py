"""The JSON that devices publish about themselves: meta and state (`docs/protocol.md` sections 5 and 6)."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

from devices.topics import is_stream_name
from devices.wire import Schema

MAX_REPORT_BYTES: Final = 16 * 1024
MAX_STREAMS: Final = 16
MAX_CHANNELS: Final = 32
MAX_KEPT: Final = 64
MAX_TEXT: Final = 64
_U32: Final = 2**32


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One number of a row: `value [unit] = integer * scale`."""

    name: str
    unit: str
    scale: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamMeta:
    """What a stream carries. `rate_hz` is 0 where rows carry their own time."""

    schema: Schema
    rate_hz: float
    channels: tuple[Channel, ...]
    body_site: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """The oldest frame that a device still has of one boot and stream."""

    boot: int
    stream: str
    oldest_sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a device is. `kept` is None where it says nothing about it."""

    is_online: bool
    boot: int | None
    kept: tuple[Kept, ...] | None


def parse_document(payload: bytes) -> dict[str, Any] | None:
    """Return a JSON object, None for anything else or for too much of it."""
    if len(payload) > MAX_REPORT_BYTES:
        return None
    try:
        document = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def read_meta(document: Mapping[str, Any]) -> Mapping[str, StreamMeta] | None:
    """Return the streams that a device describes by name; None if the document does not follow the protocol."""
    streams = document.get("streams")
    if not isinstance(streams, dict) or len(streams) > MAX_STREAMS:
        return None
    read = {name: _read_stream(stream) for name, stream in streams.items() if is_stream_name(name)}
    known = {name: stream for name, stream in read.items() if stream is not None}
    return known if len(known) == len(streams) else None


def read_state(document: Mapping[str, Any]) -> State | None:
    """Return how a device is; None if the document does not follow the protocol."""
    is_online, boot, kept = document.get("online"), document.get("boot"), document.get("kept")
    if not isinstance(is_online, bool) or not (boot is None or _is_u32(boot)):
        return None
    if kept is None:
        return State(is_online=is_online, boot=boot, kept=None)
    if not isinstance(kept, list) or len(kept) > MAX_KEPT:
        return None
    entries = [_read_kept(entry) for entry in kept]
    if None in entries:
        return None
    return State(is_online=is_online, boot=boot, kept=tuple(entry for entry in entries if entry is not None))


def _read_kept(entry: object) -> Kept | None:
    match entry:
        case [boot, str(stream), oldest] if _is_u32(boot) and _is_u32(oldest) and is_stream_name(stream):
            return Kept(boot=boot, stream=stream, oldest_sequence=oldest)
        case _:
            return None


def _read_stream(stream: object) -> StreamMeta | None:
    if not isinstance(stream, dict):
        return None
    match stream:
        case {"schema": int(schema), "rate_hz": int() | float() as rate_hz, "channels": list(channels)} if (
            not isinstance(schema, bool)
            and schema in set(Schema)
            and _is_finite(rate_hz)
            and rate_hz >= 0
            and len(channels) <= MAX_CHANNELS
        ):
            read = [_read_channel(channel) for channel in channels]
            body_site = stream.get("body_site")
            if None in read or not (body_site is None or _is_text(body_site)):
                return None
            return StreamMeta(
                schema=Schema(schema),
                rate_hz=float(rate_hz),
                channels=tuple(channel for channel in read if channel is not None),
                body_site=body_site,
            )
        case _:
            return None


def _read_channel(channel: object) -> Channel | None:
    if not isinstance(channel, dict):
        return None
    match channel:
        case {"name": str(name), "unit": str(unit), "scale": int() | float() as scale} if (
            _is_text(name) and _is_text(unit) and _is_finite(scale)
        ):
            match channel.get("range"):
                case None:
                    return Channel(name=name, unit=unit, scale=float(scale))
                case [low, high] if _is_finite(low) and _is_finite(high):
                    return Channel(name=name, unit=unit, scale=float(scale), low=float(low), high=float(high))
    return None


def _is_u32(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < _U32


def _is_finite(value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and abs(value) < 1e18 and math.isfinite(value)  # type: ignore[arg-type]


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= MAX_TEXT
