"""When training must stop or the therapist must hear of it: one set of limits, and the rules that watch them.

Training support, not an alarm system. Every rule is pure and takes its time as an argument. The tablet runs the same
rules on the same limits (`telerehab/web/client/shared/safety.ts`); both are held to `safety_cases.json` of the tests.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Final

from telerehab.errors import TelerehabError

PAIN_MAX: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of one plan version. None switches a limit off; "over" and "under" leave the limit itself out."""

    pain_max: int = 7
    """This pain, reported once, stops training; 0 to 10."""
    pain_rise: int = 3
    """So much more pain than at the start of the training session stops training."""
    heart_rate_max_per_min: int | None = None
    """Over this for `heart_rate_hold_s` stops training."""
    heart_rate_min_per_min: int | None = None
    """Under this for `heart_rate_hold_s` stops training."""
    heart_rate_hold_s: int = 10
    heart_rate_margin_per_min: int = 5
    """An episode is over when the heart rate has been this far inside the limit for as long as the hold."""
    spo2_min_percent: int | None = None
    """Under this for `spo2_hold_s` stops training."""
    spo2_hold_s: int = 10
    spo2_margin_percent: int = 2
    is_fall_hint_on: bool = True
    """Whether a sensor's hint of a fall stops training."""
    stream_lost_s: int | None = 30
    """A sensor of the training session that is silent for so long is told to the therapist; it stops nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitFault:
    """What is wrong with one field: `unknown`, `missing`, `not_a_number`, `not_a_switch`, `out_of_range`, `crossed`."""

    field: str
    code: str


class LimitsError(TelerehabError):
    """The limits make no sense; `faults` names each field."""

    def __init__(self, faults: tuple[LimitFault, ...]) -> None:
        super().__init__(", ".join(f"{fault.field}: {fault.code}" for fault in faults))
        self.faults = faults


RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "pain_max": (1, PAIN_MAX),
    "pain_rise": (1, PAIN_MAX),
    "heart_rate_max_per_min": (60, 220),
    "heart_rate_min_per_min": (30, 100),
    "heart_rate_hold_s": (10, 60),
    "heart_rate_margin_per_min": (2, 20),
    "spo2_min_percent": (70, 99),
    "spo2_hold_s": (10, 60),
    "spo2_margin_percent": (1, 5),
    "stream_lost_s": (10, 600),
}
"""Lowest and highest value of each field; both are allowed."""
OPTIONAL: Final = frozenset({"heart_rate_max_per_min", "heart_rate_min_per_min", "spo2_min_percent", "stream_lost_s"})
HEART_RATE_APART_MIN_PER_MIN: Final = 20


def find_faults(said: Mapping[str, Any]) -> tuple[LimitFault, ...]:
    """Return everything that is wrong with limits as they came; fields that are left out have their default."""
    known = {field.name for field in fields(Limits)}
    faults = [LimitFault(field=name[:64], code="unknown") for name in said if name not in known]
    for name, (low, high) in RANGES.items():
        value = said.get(name, getattr(_DEFAULTS, name))
        if value is None:
            if name not in OPTIONAL:
                faults.append(LimitFault(field=name, code="missing"))
        elif type(value) is not int:
            faults.append(LimitFault(field=name, code="not_a_number"))
        elif not low <= value <= high:
            faults.append(LimitFault(field=name, code="out_of_range"))
    if type(said.get("is_fall_hint_on", True)) is not bool:
        faults.append(LimitFault(field="is_fall_hint_on", code="not_a_switch"))
    highest, lowest = said.get("heart_rate_max_per_min"), said.get("heart_rate_min_per_min")
    if not faults and highest is not None and lowest is not None and highest - lowest < HEART_RATE_APART_MIN_PER_MIN:
        faults.append(LimitFault(field="heart_rate_min_per_min", code="crossed"))
    return tuple(faults)


def read_limits(said: Mapping[str, Any]) -> Limits:
    """Return the limits; raise LimitsError with all faults where there are any."""
    faults = find_faults(said)
    if faults:
        raise LimitsError(faults)
    return Limits(**said)


def write_limits(limits: Limits) -> dict[str, int | bool | None]:
    """Return the limits as JSON; `read_limits` gives the same limits again."""
    return asdict(limits)


_DEFAULTS: Final = Limits()
