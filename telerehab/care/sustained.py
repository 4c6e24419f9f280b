"""A limit that must be broken for some time: evidence for, evidence against, and what a dropout is worth (nothing)."""

from dataclasses import dataclass, replace
from typing import Final

APART_MAX_US: Final = 5_000_000
"""Values further apart say nothing of the time between them: a dropout counts neither for nor against."""
ODD_US: Final = 1_000_000
"""Values that speak against a change for so long begin it anew; a single odd value in between does not."""
FORGET_US: Final = 30_000_000
"""After a dropout as long as this the evidence begins anew."""
CALM_US: Final = 30_000_000
"""An episode ends when values have been inside the limit by the margin for so long."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sustained:
    """How one limit stands that must be broken for some time."""

    is_raised: bool = False
    for_us: int = 0
    """How long known values have spoken for a change: beyond the limit, or, once raised, well inside it."""
    against_us: int = 0
    onset_us: int | None = None
    value: float | None = None
    value_us: int = 0


UNBROKEN: Final = Sustained()


def take(
    before: Sustained, value: float | None, *, limit: int | None, margin: int, hold_us: int, at_us: int
) -> Sustained:
    """Follow one limit by one value.

    It is raised when known values have been beyond the limit for the hold, and ends when they have been inside it by
    the margin for `CALM_US`. Only the time between two neighbouring values that agree is counted.

    Parameters
    ----------
    value : float or None
        None is unknown: nothing changes.
    limit : int or None
        None: nothing is ever raised. The limit itself is not beyond.
    margin : int
        Lies inside the limit: positive under a highest value, negative over a lowest one.
    at_us : int
        Never less than before. [µs]
    """
    if limit is None:
        return UNBROKEN
    if value is None:
        return before
    apart_us = at_us - before.value_us
    if before.value is not None and apart_us > FORGET_US:
        before = Sustained(is_raised=before.is_raised)
    is_for = _speaks_for_change(value, before.is_raised, limit, margin)
    agrees = before.value is not None and is_for == _speaks_for_change(before.value, before.is_raised, limit, margin)
    counted_us = apart_us if agrees and apart_us <= APART_MAX_US else 0
    now = replace(before, value=value, value_us=at_us)
    if not is_for:
        now = replace(now, against_us=before.against_us + counted_us)
        return replace(now, for_us=0, onset_us=None) if now.for_us == 0 or now.against_us >= ODD_US else now
    onset_us = at_us if before.onset_us is None else before.onset_us
    now = replace(now, for_us=before.for_us + counted_us, against_us=0, onset_us=onset_us)
    if before.is_raised:
        return Sustained(value=value, value_us=at_us) if now.for_us >= CALM_US else now
    return replace(now, is_raised=True, for_us=0) if now.for_us >= hold_us else now


def _speaks_for_change(value: float, is_raised: bool, limit: int, margin: int) -> bool:
    """Return whether a value is beyond the limit, or, once raised, well inside it."""
    beyond = value - limit if margin > 0 else limit - value
    return beyond <= -abs(margin) if is_raised else beyond > 0
