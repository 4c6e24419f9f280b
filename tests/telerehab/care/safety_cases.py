"""Reads the cases that the rules in Python and in TypeScript are both held to."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from telerehab.care.safety import Limits, Observation, SafetyEvent, Watch, confirm, read_limits, step

CASES: Final[dict[str, Any]] = json.loads((Path(__file__).with_name("safety_cases.json")).read_text("utf-8"))
SECOND_US: Final = 1_000_000


def run_case(case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the events of one case in the words of the file."""
    limits: Limits = read_limits(case["limits"])
    watch, found = Watch(), []
    for at_us, said in instants(case["seen"]):
        if said.get("confirm"):
            watch = confirm(watch)
            continue
        watch, events = step(watch, observation_of(said), limits, at_us=at_us)
        found += [in_words(event) for event in events]
    return found


def instants(seen: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield every instant of a case [µs] with what is known then."""
    for said in seen:
        if "at_s" in said:
            yield said["at_s"] * SECOND_US, said
        else:
            every_us = said.get("every_ms", 1_000) * 1_000
            yield from (
                (at_us, said) for at_us in range(said["from_s"] * SECOND_US, said["to_s"] * SECOND_US, every_us)
            )


def observation_of(said: dict[str, Any]) -> Observation:
    return Observation(
        heart_rate_per_min=_number(said.get("heart_rate")),
        spo2_percent=_number(said.get("spo2")),
        pain=said.get("pain"),
        has_fall_hint=said.get("fall_hint", False),
        is_stop_pressed=said.get("stop", False),
        heard=tuple(said.get("heard", ())),
    )


def in_words(event: SafetyEvent) -> dict[str, Any]:
    words: dict[str, Any] = {
        "cause": event.cause.value,
        "onset_s": event.onset_us / SECOND_US,
        "at_s": event.at_us / SECOND_US,
        "value": event.value,
        "limit": event.limit,
    }
    return words if event.stream is None else {**words, "stream": event.stream}


def _number(value: float | str | None) -> float | None:
    return math.nan if value == "NaN" else None if value is None else float(value)
