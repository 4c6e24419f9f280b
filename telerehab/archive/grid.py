"""Blocks of a stream on the stream's own grid: values with units, and which of them are there. Pure.

A grid belongs to a boot and a period, and begins anew where a device was silent for longer than `HOLE_MAX_US`: such a
silence is time between two parts, not a million invalid samples. Server times come from the clock fits when reading;
what the device said stays as it is.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, radians
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from devices.reports import Channel
from devices.wire import IRREGULAR_SCHEMAS, Schema
from telerehab.archive.attribution import to_server_us
from telerehab.archive.errors import ScaleUnknownError
from telerehab.archive.frames import StreamBlocks
from telerehab.attribution import StoredFit

HOLE_MAX_US: Final = 60_000_000
NO_TIME: Final = -1
COUNTS: Final = "1"
_SI: Final[Mapping[str, tuple[str, float]]] = MappingProxyType(
    {"deg/s": ("rad/s", radians(1.0)), "deg": ("rad", radians(1.0)), "uT": ("T", 1e-6)}
)
_DELTA: Final = "delta_us"


@dataclass(kw_only=True, frozen=True, slots=True)
class Part:
    """Samples `[start, stop)` of one boot, `period_us` apart; 0 where each has a time of its own."""

    boot: int
    start: int
    stop: int
    period_us: int


@dataclass(kw_only=True, frozen=True, slots=True)
class Recording:
    """One stream of a device.

    `values`, float32, shape (n_channels, n_samples), in `units` (SI: m/s2, rad/s, ...); `valid`, shape (n_samples,),
    which of them are there; `device_us` and `server_us`, shape (n_samples,), when they were taken by the device's clock
    and by the server's (`NO_TIME` where the boot has no clock fit).
    """

    device: str
    stream: str
    schema: Schema
    names: tuple[str, ...]
    units: tuple[str, ...]
    scales: tuple[float, ...]
    """`values` of one count of the device."""
    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    device_us: NDArray[np.int64]
    server_us: NDArray[np.int64]
    parts: tuple[Part, ...]

    @property
    def n_samples(self) -> int:
        """Return the length of the grid."""
        return int(self.valid.size)


def make_recording(
    stream: StreamBlocks,
    *,
    device: str,
    name: str,
    channels: Sequence[Channel] | None,
    fits: Mapping[int, Sequence[StoredFit]],
    as_counts: bool = False,
) -> Recording:
    """Return a stream on its grid.

    Parameters
    ----------
    channels : sequence of Channel, optional
        What the device said of its numbers, in the order of the wire.
    fits : mapping
        The clock fits of each boot, in order of `from_us`.
    as_counts : bool
        The integers as they are, in unit "1".

    Raises
    ------
    ScaleUnknownError
        The channels are not known, or others than the columns.
    """
    columns = {key: values for key, values in stream.channels.items() if key != _DELTA}
    names, units, scales = _scales(columns, None if as_counts else channels, as_counts=as_counts)
    place = _place_irregular if stream.schema in IRREGULAR_SCHEMAS else _place_regular
    rows, n_samples, parts, device_us = place(stream)
    valid = np.zeros(n_samples, np.bool_)
    valid[rows] = True
    values = np.zeros((len(columns), n_samples), np.float32)
    for channel, (column, scale) in enumerate(zip(columns.values(), scales, strict=True)):
        if isinstance(rows, slice):
            np.multiply(column, np.float32(scale), out=values[channel, rows], dtype=np.float32, casting="unsafe")
        else:
            values[channel, rows] = column * np.float32(scale)
    return Recording(
        device=device,
        stream=name,
        schema=stream.schema,
        names=names,
        units=units,
        scales=scales,
        values=values,
        valid=valid,
        device_us=device_us,
        server_us=_server_us(device_us, parts, fits),
        parts=parts,
    )


def _scales(
    columns: Mapping[str, NDArray[Any]], channels: Sequence[Channel] | None, *, as_counts: bool
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[float, ...]]:
    """Return name, SI unit and scale of each column."""
    if as_counts:
        return tuple(columns), (COUNTS,) * len(columns), (1.0,) * len(columns)
    if channels is None or len(channels) != len(columns):
        raise ScaleUnknownError("the device has not said what the numbers of this stream mean")
    in_si = [_SI.get(channel.unit, (channel.unit, 1.0)) for channel in channels]
    return (
        tuple(channel.name for channel in channels),
        tuple(unit for unit, _ in in_si),
        tuple(channel.scale * factor for channel, (_, factor) in zip(channels, in_si, strict=True)),
    )


def _place_regular(
    stream: StreamBlocks,
) -> tuple[slice | NDArray[np.int64], int, tuple[Part, ...], NDArray[np.int64]]:
    """Return where each sample lies on the grid, its length, its parts, and the device time of each place."""
    blocks = stream.blocks
    if not blocks.size:
        return slice(0, 0), 0, (), np.zeros(0, np.int64)
    boot, t0_us, period_us, n_samples = (
        np.ascontiguousarray(blocks[name]) for name in ("boot", "t0_us", "period_us", "n_samples")
    )
    starts = stream.first_rows
    is_first = np.ones(blocks.size, np.bool_)
    step_us = np.diff(t0_us)
    is_first[1:] = (np.diff(boot) != 0) | (np.diff(period_us) != 0) | (step_us < 0)
    is_first[1:] |= step_us > n_samples[:-1] * period_us[:-1] + HOLE_MAX_US
    first = np.flatnonzero(is_first)
    part = np.cumsum(is_first) - 1
    index = (t0_us - t0_us[first][part] + period_us // 2) // period_us
    lengths = np.maximum.reduceat(index + n_samples, first)
    in_time = np.argsort(blocks["received_us"][first], kind="stable")
    offsets = np.zeros(first.size, np.int64)
    offsets[in_time] = np.cumsum(lengths[in_time]) - lengths[in_time]
    begins = offsets[part] + index
    total = int(lengths.sum())
    parts = tuple(
        Part(
            boot=int(boot[first[each]]),
            start=int(offsets[each]),
            stop=int(offsets[each] + lengths[each]),
            period_us=int(period_us[first[each]]),
        )
        for each in in_time.tolist()
    )
    device_us = np.concatenate(
        [
            np.arange(
                t0_us[first[each]], t0_us[first[each]] + lengths[each] * period_us[first[each]], period_us[first[each]]
            )
            for each in in_time.tolist()
        ]
    )
    rows: slice | NDArray[np.int64]
    if total == starts[-1] and (begins == starts[:-1]).all():
        rows = slice(0, total)
    else:
        within = np.arange(starts[-1]) - np.repeat(starts[:-1], n_samples)
        rows = np.repeat(begins, n_samples) + within
    return rows, total, parts, device_us


def _place_irregular(
    stream: StreamBlocks,
) -> tuple[slice | NDArray[np.int64], int, tuple[Part, ...], NDArray[np.int64]]:
    """Return samples that have times of their own, boots in the order of their arrival."""
    blocks, starts = stream.blocks, stream.first_rows
    device_us = np.repeat(blocks["t0_us"], blocks["n_samples"]) + stream.channels[_DELTA].astype(np.int64)
    boots, first = np.unique(blocks["boot"], return_index=True)
    rows = np.zeros(device_us.size, np.int64)
    parts: list[Part] = []
    at = 0
    for each in np.argsort(blocks["received_us"][first], kind="stable").tolist():
        left = int(starts[first[each]])
        right = int(starts[first[each + 1]]) if each + 1 < boots.size else device_us.size
        rows[left:right] = at + np.arange(right - left)
        parts.append(Part(boot=int(boots[each]), start=at, stop=at + right - left, period_us=0))
        at += right - left
    placed = np.zeros_like(device_us)
    placed[rows] = device_us
    return rows, device_us.size, tuple(parts), placed


def _server_us(
    device_us: NDArray[np.int64], parts: Sequence[Part], fits: Mapping[int, Sequence[StoredFit]]
) -> NDArray[np.int64]:
    """Return the server's time of each sample; on a grid a fit holds for a stretch: no look-up by sample."""
    server_us = np.full(device_us.size, NO_TIME, np.int64)
    for part in parts:
        known = fits.get(part.boot, ())
        if not known or part.start == part.stop:
            continue
        if not part.period_us:
            server_us[part.start : part.stop] = to_server_us(device_us[part.start : part.stop], known)
            continue
        begin_us = int(device_us[part.start])
        cuts = [part.start, *(part.start + ceil((fit.from_us - begin_us) / part.period_us) for fit in known[1:])]
        for fit, left, right in zip(known, cuts, [*cuts[1:], part.stop], strict=True):
            start, stop = max(left, part.start), min(right, part.stop)
            if start < stop:
                moments = device_us[start:stop] * fit.b
                moments += fit.a_us
                server_us[start:stop] = np.rint(moments, out=moments)
    return server_us
