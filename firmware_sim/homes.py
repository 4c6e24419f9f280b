"""The homes file: which devices are worn in which home. It holds credentials, so its mode should be 0600."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from firmware_sim.errors import HomesFileError
from firmware_sim.exercises import EXERCISE_CODES
from firmware_sim.faults import CONDITIONS, Fault

KINDS: Final = ("imu6", "heart")
MIDDLE_SITES: Final = ("pelvis", "trunk")
LIMB_SITES: Final = ("thigh", "shank", "foot", "upper_arm", "forearm", "hand")
_HOME: Final = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_NAME: Final = re.compile(r"[a-z0-9-]{1,64}\Z")
_STREAM: Final = re.compile(r"[a-z0-9-]{1,16}\Z")
_SHARD: Final = re.compile(r"[0-3][0-9a-f]\Z")


@dataclass(frozen=True, kw_only=True, slots=True)
class WornDevice:
    """One device of a home; `segment` is empty for what is not strapped to a limb."""

    name: str
    password: str
    kind: str
    stream: str
    site: str
    segment: str
    side: str

    def __repr__(self) -> str:
        return f"WornDevice(name={self.name!r}, kind={self.kind!r}, site={self.site!r})"


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """One home; `start_at_utc_s` is when the exercise begins, None for right after the still start."""

    name: str
    shard: str
    exercise: str
    side: str
    n_repetitions: int | None
    start_at_utc_s: float | None
    devices: tuple[WornDevice, ...]
    faults: Mapping[Fault, float] = field(default_factory=dict)
    """How the person moves otherwise than shown, and how much, 0 to 1."""


def read_homes(path: Path) -> tuple[Home, ...]:
    """Read a homes file.

    Raises
    ------
    HomesFileError
        With the place and what was expected there.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise HomesFileError(f"{path.name} cannot be read: {error.strerror}") from error
    except json.JSONDecodeError as error:
        raise HomesFileError(f"{path.name} line {error.lineno}: not JSON: {error.msg}") from error
    except UnicodeDecodeError as error:
        raise HomesFileError(f"{path.name} is not UTF-8") from error
    try:
        homes = tuple(_home(each, f"homes[{i}]") for i, each in enumerate(_list(content, "homes", "the file")))
    except HomesFileError as error:
        raise HomesFileError(f"{path.name}: {error}") from error
    names = [home.name for home in homes] + [device.name for home in homes for device in home.devices]
    doubled = {name for name in names if names.count(name) > 1}
    if doubled:
        raise HomesFileError(f"{path.name}: the name {min(doubled)!r} is used more than once")
    return homes


def _home(content: object, where: str) -> Home:
    name = _text(content, "home", where, like=_HOME)
    exercise = _text(content, "exercise", where)
    if exercise not in EXERCISE_CODES:
        raise HomesFileError(f"{where}.exercise: {exercise!r} is no exercise; one of {', '.join(EXERCISE_CODES)}")
    side = _text(content, "side", where)
    if side not in ("left", "right"):
        raise HomesFileError(f"{where}.side: expected left or right, not {side!r}")
    devices = tuple(
        _device(each, f"{where}.devices[{i}]", side) for i, each in enumerate(_list(content, "devices", where))
    )
    return Home(
        name=name,
        shard=_text(content, "shard", where, like=_SHARD),
        exercise=exercise,
        side=side,
        n_repetitions=_count_or_none(content, "repetitions", where),
        start_at_utc_s=_time_or_none(content, "start_at", where),
        devices=devices,
        faults=_faults(content, where),
    )


def _faults(content: object, where: str) -> Mapping[Fault, float]:
    """Return the sizes of `faults`, which may be absent, over those of the condition, which may be absent too."""
    assert isinstance(content, Mapping)
    condition = content.get("condition")
    if condition is not None and condition not in list(CONDITIONS):
        raise HomesFileError(f"{where}.condition: expected one of {', '.join(CONDITIONS)}, not {condition!r}")
    said = content.get("faults", {})
    if not isinstance(said, Mapping):
        raise HomesFileError(f"{where}.faults: expected an object")
    for name, size in said.items():
        if name not in list(Fault):
            raise HomesFileError(f"{where}.faults: {name!r} is no fault; one of {', '.join(Fault)}")
        if isinstance(size, bool) or not isinstance(size, int | float) or not 0 <= size <= 1:
            raise HomesFileError(f"{where}.faults.{name}: expected a number from 0 to 1, not {size!r}")
    own = {Fault(name): float(size) for name, size in said.items()}
    return {**(CONDITIONS[condition] if condition is not None else {}), **own}


def _device(content: object, where: str, exercising_side: str) -> WornDevice:
    kind = _text(content, "kind", where)
    if kind not in KINDS:
        raise HomesFileError(f"{where}.kind: expected one of {', '.join(KINDS)}, not {kind!r}")
    site = _text(content, "site", where) if kind == "imu6" else ""
    segment, side = _segment_and_side(site, f"{where}.site", exercising_side) if site else ("", exercising_side)
    return WornDevice(
        name=_text(content, "name", where, like=_NAME),
        password=_text(content, "password", where),
        kind=kind,
        stream=_text(content, "stream", where, like=_STREAM),
        site=site,
        segment=segment,
        side=side,
    )


def _segment_and_side(site: str, where: str, exercising_side: str) -> tuple[str, str]:
    if site in MIDDLE_SITES:
        return site, exercising_side
    segment, _, side = site.rpartition("_")
    if segment not in LIMB_SITES or side not in ("left", "right"):
        sites = ", ".join([*MIDDLE_SITES, *(f"{each}_left, {each}_right" for each in LIMB_SITES)])
        raise HomesFileError(f"{where}: expected one of {sites}, not {site!r}")
    return segment, side


def _member(content: object, key: str, where: str) -> Any:
    if not isinstance(content, Mapping):
        raise HomesFileError(f"{where}: expected an object")
    if key not in content:
        raise HomesFileError(f"{where}: {key!r} is missing")
    return content[key]


def _text(content: object, key: str, where: str, *, like: re.Pattern[str] | None = None) -> str:
    value = _member(content, key, where)
    if not isinstance(value, str) or not value:
        raise HomesFileError(f"{where}.{key}: expected text")
    if like is not None and not like.match(value):
        raise HomesFileError(f"{where}.{key}: {value!r} is not of the form {like.pattern[:-2]}")
    return value


def _list(content: object, key: str, where: str) -> list[Any]:
    value = _member(content, key, where)
    if not isinstance(value, list) or not value:
        raise HomesFileError(f"{where}.{key}: expected a list that is not empty")
    return value


def _count_or_none(content: object, key: str, where: str) -> int | None:
    value = _member(content, key, where)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise HomesFileError(f"{where}.{key}: expected null or a whole number, not {value!r}")
    return value


def _time_or_none(content: object, key: str, where: str) -> float | None:
    value = _member(content, key, where)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise HomesFileError(f"{where}.{key}: expected null, seconds of UTC or ISO 8601, not {value!r}") from error
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
