"""Bytes of the wire become arrays, or a named refusal. Whole groups at once; nothing here raises on bad input."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import itemgetter
from typing import Any, Final
from zlib import crc32

import numpy as np

from devices.wire import (
    CLOCK_ANSWER,
    CLOCK_ANSWER_DTYPE,
    CRC_OFFSET,
    HEADER_DTYPE,
    HEADER_SIZE,
    IRREGULAR_SCHEMAS,
    MAGIC,
    MAX_FRAME_BYTES,
    MAX_JOINTS,
    MAX_TIME_US,
    ROW_DTYPES,
    VERSION,
    Schema,
)


class Refusal(StrEnum):
    """Why a frame was refused, in the order of the checks. From `VERSION` on a right crc vouches for the key."""

    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    MAGIC = "magic"
    CRC = "crc"
    VERSION = "version"
    SCHEMA = "schema"
    LENGTH = "length"
    PERIOD = "period"
    TIME = "time"


_REFUSALS: Final = tuple(Refusal)
_WITH_TRUSTED_KEY: Final = frozenset({Refusal.VERSION, Refusal.SCHEMA, Refusal.LENGTH, Refusal.PERIOD, Refusal.TIME})
_UNKNOWN_ROW: Final = 0
# functions in C, because they are called for every frame
_HEAD_OF: Final = itemgetter(slice(0, CRC_OFFSET))
_BODY_OF: Final = itemgetter(slice(HEADER_SIZE, None))


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """One refused payload.

    `boot` and `sequence` are what its header says, None where there is no header; `has_trusted_key` tells whether a
    right crc vouches for them.
    """

    index: int
    why: Refusal
    boot: int | None = None
    sequence: int | None = None

    @property
    def has_trusted_key(self) -> bool:
        """Tell whether the frame arrived as the device sent it."""
        return self.why in _WITH_TRUSTED_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameGroup:
    """Frames of one schema and one length.

    `index`, shape (n_frames,), tells which payload each one was; `headers`, shape (n_frames,), HEADER_DTYPE;
    `rows`, shape (n_frames, n_rows), the schema's dtype.
    """

    schema: Schema
    index: np.ndarray[Any, np.dtype[np.intp]]
    headers: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]

    @property
    def n_rows(self) -> int:
        """Return the rows of each frame; for joint angles that is samples times joints."""
        return int(self.rows.shape[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedFrames:
    """What became of a list of payloads: each one is in exactly one group or in `malformed`."""

    groups: tuple[FrameGroup, ...]
    malformed: tuple[Malformed, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockBatch:
    """Blocks of one schema in the order of their payloads.

    `headers`, shape (n_blocks,), HEADER_DTYPE; `rows`, shape (n_rows,), the schema's dtype, blocks in order;
    `row_start`, shape (n_blocks + 1,); `malformed`, one entry per refused payload.
    """

    headers: np.ndarray[Any, Any]
    rows: np.ndarray[Any, Any]
    row_start: np.ndarray[Any, np.dtype[np.int64]]
    malformed: tuple[Malformed, ...]


def decode_frames(payloads: Sequence[bytes]) -> DecodedFrames:
    """Check and decode frames of any schema; groups have equal length, so each is decoded as one array."""
    lengths = list(map(len, payloads))
    by_length: dict[int, list[int]] = {}
    if len(set(lengths)) == 1:
        by_length[lengths[0]] = list(range(len(lengths)))
    else:
        for index, length in enumerate(lengths):
            by_length.setdefault(length, []).append(index)
    groups: list[FrameGroup] = []
    malformed: list[Malformed] = []
    for length, indices in by_length.items():
        if length < HEADER_SIZE or length > MAX_FRAME_BYTES:
            why = Refusal.TOO_SHORT if length < HEADER_SIZE else Refusal.TOO_LONG
            malformed.extend(Malformed(index=index, why=why) for index in indices)
        else:
            of_length = payloads if len(indices) == len(payloads) else [payloads[index] for index in indices]
            _decode_equally_long(of_length, np.asarray(indices), length, groups, malformed)
    return DecodedFrames(groups=tuple(groups), malformed=tuple(sorted(malformed, key=_index_of)))


def decode_blocks(payloads: Sequence[bytes], *, schema: Schema) -> BlockBatch:
    """Decode many messages of one schema at once; malformed ones are returned, not raised.

    A well-formed frame of another schema counts as malformed (`Refusal.SCHEMA`).
    """
    decoded = decode_frames(payloads)
    malformed = list(decoded.malformed)
    mine = [group for group in decoded.groups if group.schema == schema]
    for group in decoded.groups:
        if group.schema != schema:
            malformed.extend(_refuse(group.index, group.headers, Refusal.SCHEMA))
    row = ROW_DTYPES[schema]
    index = np.concatenate([group.index for group in mine]) if mine else np.empty(0, np.intp)
    n_rows = np.concatenate([np.full(group.index.size, group.n_rows) for group in mine]) if mine else index
    order = np.argsort(index, kind="stable")
    row_start = np.concatenate([[0], np.cumsum(n_rows[order])]).astype(np.int64)
    headers, rows = np.empty(index.size, HEADER_DTYPE), np.empty(int(row_start[-1]), row)
    for group in mine:
        place = np.searchsorted(index[order], group.index)
        headers[place] = group.headers
        rows[row_start[place][:, None] + np.arange(group.n_rows)] = group.rows
    return BlockBatch(
        headers=headers, rows=rows, row_start=row_start, malformed=tuple(sorted(malformed, key=_index_of))
    )


def decode_clock_answer(payload: bytes) -> tuple[int, int, int] | None:
    """Return (s1_us, d2_us, d3_us) of a device's answer to a probe; None for anything else, our own probes included."""
    if len(payload) != CLOCK_ANSWER_DTYPE.itemsize or payload[0] != CLOCK_ANSWER:
        return None
    answer = np.frombuffer(payload, CLOCK_ANSWER_DTYPE)[0]
    return int(answer["s1_us"]), int(answer["d2_us"]), int(answer["d3_us"])


def _decode_equally_long(
    payloads: Sequence[bytes],
    index: np.ndarray[Any, np.dtype[np.intp]],
    length: int,
    groups: list[FrameGroup],
    malformed: list[Malformed],
) -> None:
    buffer = b"".join(payloads)
    headers = np.ndarray(len(payloads), HEADER_DTYPE, buffer, 0, (length,))
    refusal = _check(headers, _crc_of(payloads), length)
    for code in np.unique(refusal[refusal > 0]):
        refused = np.flatnonzero(refusal == code)
        malformed.extend(_refuse(index[refused], headers[refused], _REFUSALS[code]))
    good = refusal == 0
    for schema in np.unique(headers["schema"][good]):
        of_schema = np.flatnonzero(good & (headers["schema"] == schema))
        known = Schema(schema)
        row = ROW_DTYPES[known]
        body = np.ndarray(
            (len(payloads), (length - HEADER_SIZE) // row.itemsize),
            row,
            buffer,
            HEADER_SIZE,
            (length, row.itemsize),
        )
        whole = of_schema.size == len(payloads)
        groups.append(
            FrameGroup(
                schema=known,
                index=index if whole else index[of_schema],
                headers=headers if whole else headers[of_schema],
                rows=body if whole else body[of_schema],
            )
        )


def _crc_of(payloads: Sequence[bytes]) -> np.ndarray[Any, np.dtype[np.uint32]]:
    heads, bodies = map(_HEAD_OF, payloads), map(_BODY_OF, payloads)
    return np.fromiter(map(crc32, bodies, map(crc32, heads)), np.uint32, len(payloads))


def _check(
    headers: np.ndarray[Any, Any], crc: np.ndarray[Any, np.dtype[np.uint32]], length: int
) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return for each header 0 or the position in `_REFUSALS` of the first check it fails."""
    schema, n_samples = headers["schema"], headers["n_samples"].astype(np.int64)
    row_bytes = _ROW_BYTES[schema]
    body_bytes = length - HEADER_SIZE
    has_length = n_samples * row_bytes == body_bytes
    is_joints = schema == Schema.JOINT_ANGLES
    if is_joints.any():
        joints = body_bytes // np.maximum(n_samples * row_bytes, 1)
        fits = joints * n_samples * row_bytes == body_bytes
        has_length = np.where(is_joints, fits & (joints <= MAX_JOINTS) & ((joints > 0) | (n_samples == 0)), has_length)
    is_regular = headers["period_us"] > 0
    failures = (
        (headers["magic"] != MAGIC, Refusal.MAGIC),
        (headers["crc32"] != crc, Refusal.CRC),
        (headers["version"] != VERSION, Refusal.VERSION),
        (row_bytes == _UNKNOWN_ROW, Refusal.SCHEMA),
        (~has_length, Refusal.LENGTH),
        (is_regular == _IS_IRREGULAR[schema], Refusal.PERIOD),
        (headers["t0_us"] >= MAX_TIME_US, Refusal.TIME),
    )
    refusal = np.zeros(headers.size, np.uint8)
    for fails, why in reversed(failures):
        refusal[fails] = _REFUSALS.index(why)
    return refusal


def _refuse(index: np.ndarray[Any, np.dtype[np.intp]], headers: np.ndarray[Any, Any], why: Refusal) -> list[Malformed]:
    keys = zip(index.tolist(), headers["boot"].tolist(), headers["sequence"].tolist(), strict=True)
    return [Malformed(index=position, why=why, boot=boot, sequence=sequence) for position, boot, sequence in keys]


def _index_of(malformed: Malformed) -> int:
    return malformed.index


def _table_of_row_bytes() -> np.ndarray[Any, np.dtype[np.int64]]:
    table = np.zeros(256, np.int64)
    for schema, row in ROW_DTYPES.items():
        table[schema] = row.itemsize
    table.setflags(write=False)
    return table


def _table_of_irregular() -> np.ndarray[Any, np.dtype[np.bool_]]:
    table = np.zeros(256, np.bool_)
    table[[int(schema) for schema in IRREGULAR_SCHEMAS]] = True
    table.setflags(write=False)
    return table


_ROW_BYTES: Final = _table_of_row_bytes()
_IS_IRREGULAR: Final = _table_of_irregular()
