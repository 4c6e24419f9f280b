"""Whether a device that came back may be lent again: only with nothing left in it of whoever had it before. Pure.

A device keeps what it could not send. Lent to the next patient it would bring that later, so it has to say first that
it keeps nothing: because everything came, or because it was told to forget (`wipe`). What a device says is worth
something only if it said it after it came back; a last will (`online: false` alone) says nothing about what is kept.
"""

from dataclasses import dataclass
from typing import Literal

Hindrance = Literal["device_unheard", "device_not_empty", "device_has_holes"]


@dataclass(frozen=True, kw_only=True, slots=True)
class RingReport:
    """What a device has said of what it keeps; moments are when it was heard. [µs, server's UTC]"""

    heard_us: int
    kept_told_us: int | None
    """When it last told what it keeps; None: it never did."""
    emptied_us: int | None
    """When it last told that it keeps nothing."""
    is_online: bool
    """Whether the last that was heard is that it is there; a device without memory says no more than this."""
    oldest_hole_us: int | None = None
    """Since when blocks are missing that may still come; None where none are."""


def find_hindrance(report: RingReport | None, *, returned_us: int | None) -> Hindrance | None:
    """Return why a device cannot be lent now, None where it can.

    Parameters
    ----------
    report : RingReport, optional
        None for a device that has never said anything.
    returned_us : int, optional
        When it was last taken back; None where it has never been lent.

    Examples
    --------
    >>> find_hindrance(None, returned_us=None) is None
    True
    >>> find_hindrance(None, returned_us=5)
    'device_unheard'
    """
    since_us = -1 if returned_us is None else returned_us
    if report is None:
        return None if returned_us is None else "device_unheard"
    if report.emptied_us is not None and report.emptied_us > since_us:
        is_open = report.oldest_hole_us is not None and report.oldest_hole_us <= report.emptied_us
        return "device_has_holes" if is_open else None
    if report.kept_told_us is not None and report.kept_told_us > since_us:
        return "device_not_empty"
    if report.kept_told_us is None and report.is_online and report.heard_us > since_us:
        return None
    return "device_unheard"
