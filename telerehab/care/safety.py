"""When training must stop or the therapist must hear of it: one set of limits, and the rules that watch them.

Training support, not an alarm system. Every rule is pure and takes its time as an argument. The tablet runs the same
rules on the same limits (`telerehab/web/client/shared/safety.ts`); both are held to `safety_cases.json` of the tests.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final
from uuid import UUID, uuid5

from telerehab.care.sustained import UNBROKEN, Sustained, take
from telerehab.errors import TelerehabError

PAIN_MAX: Final = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """The limits of one plan version. None switches a limit off."""

    pain_max: int = 7
    """This pain, reported once, stops training; 0 to 10."""
    pain_rise: int = 3
    """So much more pain than at the start of the training session stops training."""
    heart_rate_max_per_min: int | None = None
    """Over this, the limit itself left out, for `heart_rate_hold_s` stops training."""
    heart_rate_min_per_min: int | None = None
    """Under this for `heart_rate_hold_s` stops training."""
    heart_rate_hold_s: int = 10
    heart_rate_margin_per_min: int = 5
    """An episode is over when the heart rate has been this far inside the limit for half a minute."""
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


# --- what is seen, and what follows from it ------------------------------------------------------------------------


class Cause(StrEnum):
    """Why the therapist must hear of it."""

    HEART_RATE_HIGH = "heart_rate_high"
    HEART_RATE_LOW = "heart_rate_low"
    SPO2_LOW = "spo2_low"
    PAIN_HIGH = "pain_high"
    PAIN_RISE = "pain_rise"
    FALL_HINT = "fall_hint"
    STOP_PRESSED = "stop_pressed"
    STREAM_LOST = "stream_lost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """What is newly known at one instant. Zero, NaN and impossible values are unknown, like what is left out."""

    heart_rate_per_min: float | None = None
    spo2_percent: float | None = None
    pain: int | None = None
    """Reported by the patient; the first one of a training session is the start value."""
    has_fall_hint: bool = False
    is_stop_pressed: bool = False
    heard: tuple[str, ...] = ()
    """Streams of which something arrived."""

    def without_sensors(self) -> "Observation":
        """Return what the patient says: all that counts where sensors are only measured with, or switched off."""
        return Observation(pain=self.pain, is_stop_pressed=self.is_stop_pressed)


@dataclass(frozen=True, kw_only=True, slots=True)
class SafetyEvent:
    """One episode has begun."""

    cause: Cause
    onset_us: int
    """When the first value of it came."""
    at_us: int
    """When it was found."""
    value: float | None = None
    limit: float | None = None
    stream: str | None = None
    """For a lost stream: which one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class StreamWatch:
    """When one stream was heard last, and whether it counts as lost."""

    name: str
    heard_us: int
    back_us: int | None = None
    """Heard again since then, while it still counts as lost."""
    is_lost: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Watch:
    """All that the rules remember of one training session."""

    at_us: int | None = None
    heart_rate_high: Sustained = UNBROKEN
    heart_rate_low: Sustained = UNBROKEN
    spo2_low: Sustained = UNBROKEN
    start_pain: int | None = None
    pain_cause: Cause | None = None
    """The worst that the reports since the last calm one amount to."""
    fall_hint_us: int | None = None
    is_stop_pressed: bool = False
    streams: tuple[StreamWatch, ...] = ()


HEART_RATE_KNOWN_PER_MIN: Final = (20, 250)
"""A strap that says anything else has lost the skin, or its wits."""
SPO2_KNOWN_PERCENT: Final = (50, 100)
FALL_HINT_SAME_US: Final = 60_000_000
"""Hints closer than this are one fall."""
STREAM_BACK_US: Final = 60_000_000
"""A stream that comes and goes is lost once, until it has stayed for so long."""
NOT_LISTENING_US: Final = 5_000_000
"""Nobody has looked for so long: nothing can be said of streams in that time."""


def step(
    watch: Watch, observation: Observation, limits: Limits, *, at_us: int
) -> tuple[Watch, tuple[SafetyEvent, ...]]:
    """Take in what is known at one instant; return the episodes that begin with it.

    Call it for each value, and about once a second when there is none. An episode gives one event, until values are
    calm again or somebody confirms (`confirm`).

    Parameters
    ----------
    at_us : int
        When it was known here, by a clock that the caller trusts; earlier than before counts as now. [µs]
    """
    at_us = at_us if watch.at_us is None else max(at_us, watch.at_us)
    heart_rate = _known(observation.heart_rate_per_min, HEART_RATE_KNOWN_PER_MIN)
    spo2 = _known(observation.spo2_percent, SPO2_KNOWN_PERCENT)
    margin = limits.heart_rate_margin_per_min
    high, low = limits.heart_rate_max_per_min, limits.heart_rate_min_per_min
    sustained = (
        (Cause.HEART_RATE_HIGH, watch.heart_rate_high, heart_rate, high, margin, limits.heart_rate_hold_s),
        (Cause.HEART_RATE_LOW, watch.heart_rate_low, heart_rate, low, -margin, limits.heart_rate_hold_s),
        (
            Cause.SPO2_LOW,
            watch.spo2_low,
            spo2,
            limits.spo2_min_percent,
            -limits.spo2_margin_percent,
            limits.spo2_hold_s,
        ),
    )
    events: list[SafetyEvent] = []
    standing: list[Sustained] = []
    for cause, before, value, limit, inside, hold_s in sustained:
        now = take(before, value, limit=limit, margin=inside, hold_us=hold_s * 1_000_000, at_us=at_us)
        if now.is_raised and not before.is_raised:
            onset_us = at_us if now.onset_us is None else now.onset_us
            events.append(SafetyEvent(cause=cause, onset_us=onset_us, at_us=at_us, value=value, limit=limit))
        standing.append(now)
    after = replace(watch, heart_rate_high=standing[0], heart_rate_low=standing[1], spo2_low=standing[2])
    for rule in (_take_pain, _take_stop, _take_fall_hint, _take_streams):
        after, found = rule(after, observation, limits, at_us)
        events += found
    return replace(after, at_us=at_us), tuple(events)


def confirm(watch: Watch) -> Watch:
    """Return the watch after somebody looked at it and let training go on: what breaks a limit from now on is new."""
    return Watch(at_us=watch.at_us, start_pain=watch.start_pain, streams=watch.streams)


def alert_id(training_session: UUID, event: SafetyEvent) -> UUID:
    """Return the same id for the same episode, whoever finds it again."""
    return uuid5(training_session, f"{event.cause}/{event.stream or ''}/{event.onset_us}")


# --- the single rules ----------------------------------------------------------------------------------------------


def _known(value: float | None, allowed: tuple[int, int]) -> float | None:
    """Return a value that can be; None is unknown, NaN lies nowhere."""
    return value if value is not None and allowed[0] <= value <= allowed[1] else None


_Found = tuple[Watch, tuple[SafetyEvent, ...]]


def _take_pain(watch: Watch, observation: Observation, limits: Limits, at_us: int) -> _Found:
    """Judge a report by itself; a worse one within an episode is told, a milder one is not."""
    pain = observation.pain
    if pain is None or not 0 <= pain <= PAIN_MAX:
        return watch, ()
    start = pain if watch.start_pain is None else watch.start_pain
    cause, limit = None, 0
    if pain >= limits.pain_max:
        cause, limit = Cause.PAIN_HIGH, limits.pain_max
    elif pain - start >= limits.pain_rise:
        cause, limit = Cause.PAIN_RISE, start + limits.pain_rise
    if cause is None:
        return replace(watch, start_pain=start, pain_cause=None), ()
    if watch.pain_cause in (Cause.PAIN_HIGH, cause):
        return watch, ()
    event = SafetyEvent(cause=cause, onset_us=at_us, at_us=at_us, value=pain, limit=limit)
    return replace(watch, start_pain=start, pain_cause=cause), (event,)


def _take_stop(watch: Watch, observation: Observation, limits: Limits, at_us: int) -> _Found:
    """The patient's own stop: no limit, no switch."""
    if not observation.is_stop_pressed or watch.is_stop_pressed:
        return watch, ()
    return replace(watch, is_stop_pressed=True), (SafetyEvent(cause=Cause.STOP_PRESSED, onset_us=at_us, at_us=at_us),)


def _take_fall_hint(watch: Watch, observation: Observation, limits: Limits, at_us: int) -> _Found:
    """One fall gives many hints."""
    if not observation.has_fall_hint or not limits.is_fall_hint_on:
        return watch, ()
    after = replace(watch, fall_hint_us=at_us)
    if watch.fall_hint_us is not None and at_us - watch.fall_hint_us < FALL_HINT_SAME_US:
        return after, ()
    return after, (SafetyEvent(cause=Cause.FALL_HINT, onset_us=at_us, at_us=at_us),)


def _take_streams(watch: Watch, observation: Observation, limits: Limits, at_us: int) -> _Found:
    """Follow every stream from the first time that it is heard."""
    if limits.stream_lost_s is None:
        return replace(watch, streams=()), ()
    lost_us = limits.stream_lost_s * 1_000_000
    has_listened = watch.at_us is not None and at_us - watch.at_us < NOT_LISTENING_US
    streams: list[StreamWatch] = []
    events: list[SafetyEvent] = []
    for stream in watch.streams:
        heard_us = stream.heard_us if has_listened else at_us
        if stream.name in observation.heard:
            back_us = (at_us if stream.back_us is None else stream.back_us) if stream.is_lost else None
            is_lost = back_us is not None and at_us - back_us < STREAM_BACK_US
            streams.append(replace(stream, heard_us=at_us, back_us=back_us if is_lost else None, is_lost=is_lost))
        elif at_us - heard_us < lost_us:
            streams.append(replace(stream, heard_us=heard_us))
        else:
            streams.append(replace(stream, heard_us=heard_us, back_us=None, is_lost=True))
            if not stream.is_lost:
                events.append(
                    SafetyEvent(
                        cause=Cause.STREAM_LOST,
                        onset_us=heard_us,
                        at_us=at_us,
                        value=(at_us - heard_us) // 1_000_000,
                        limit=limits.stream_lost_s,
                        stream=stream.name,
                    )
                )
    known = {stream.name for stream in watch.streams}
    streams += [StreamWatch(name=name, heard_us=at_us) for name in observation.heard if name not in known]
    return replace(watch, streams=tuple(streams)), tuple(events)
