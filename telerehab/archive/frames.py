"""Frames of one device's stream as columns, and back to the same bytes. Pure.

A frame is its header and its rows; nothing else of it is kept, because magic, version and crc follow from the rest.
So what goes into a file can be compared with what the device sent, byte by byte.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, NamedTuple
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from devices.codec import decode_frames
from devices.wire import CRC_OFFSET, HEADER_DTYPE, HEADER_SIZE, MAGIC, ROW_DTYPES, VERSION, Schema
from telerehab.archive.errors import FramesRefusedError

BLOCK_DTYPE: Final = np.dtype(
    [
        ("boot", "<i8"),
        ("sequence", "<i8"),
        ("t0_us", "<i8"),  # device clock at the first sample
        ("period_us", "<i8"),
        ("n_samples", "<i8"),
        ("flags", "<i8"),
        ("received_us", "<i8"),  # server's UTC at arrival
    ]
)
_AXES: Final = "xyz"


class Run(NamedTuple):
    """Blocks `[start, stop)` of one boot."""

    boot: int
    start: int
    stop: int


@dataclass(kw_only=True, frozen=True, slots=True)
class StreamBlocks:
    """Blocks of one schema and width, in order of boot and sequence, each key at most once.

    `blocks`, shape (n_blocks,), BLOCK_DTYPE; `channels`, by name in the order of the wire, each of shape (n_samples,),
    integers as the device sent them.
    """

    schema: Schema
    blocks: NDArray[Any]
    channels: Mapping[str, NDArray[Any]]

    @property
    def n_samples(self) -> int:
        """Return how many samples there are."""
        return int(self.blocks["n_samples"].sum())

    @property
    def first_rows(self) -> NDArray[np.int64]:
        """Return at which sample each block begins, and where the last one ends, shape (n_blocks + 1,)."""
        return np.concatenate([[0], np.cumsum(self.blocks["n_samples"])]).astype(np.int64)

    def runs(self) -> list[Run]:
        """Return the sequences of the blocks as runs without holes."""
        boot, sequence = self.blocks["boot"], self.blocks["sequence"]
        is_first = np.ones(self.blocks.size, np.bool_)
        is_first[1:] = (np.diff(boot) != 0) | (np.diff(sequence) != 1)
        first = np.flatnonzero(is_first)
        last = np.append(first[1:], self.blocks.size) - 1
        return [
            Run(boot=int(boot[left]), start=int(sequence[left]), stop=int(sequence[right]) + 1)
            for left, right in zip(first, last, strict=True)
        ]

    def select(self, keep: NDArray[np.bool_]) -> "StreamBlocks":
        """Return the blocks where `keep`, shape (n_blocks,), is true."""
        if keep.all():
            return self
        rows = np.repeat(keep, self.blocks["n_samples"])
        channels = {name: values[rows] for name, values in self.channels.items()}
        return StreamBlocks(schema=self.schema, blocks=self.blocks[keep], channels=channels)


def channel_names(schema: Schema, *, n_joints: int = 0) -> tuple[str, ...]:
    """Return the columns of a schema in the order of the wire.

    Examples
    --------
    >>> channel_names(Schema.IMU6)
    ('accel_x', 'accel_y', 'accel_z', 'gyro_x', 'gyro_y', 'gyro_z')
    >>> channel_names(Schema.JOINT_ANGLES, n_joints=2)
    ('joint_0', 'joint_1')
    """
    if schema is Schema.JOINT_ANGLES:
        return tuple(f"joint_{joint}" for joint in range(n_joints))
    row = ROW_DTYPES[schema]
    assert row.names is not None
    return tuple(
        f"{name}_{axis}" if row[name].shape else name
        for name in row.names
        for axis in (_AXES if row[name].shape else " ")
    )


def from_frames(payloads: Sequence[bytes], received_us: Sequence[int]) -> list[StreamBlocks]:
    """Return the frames of one stream as columns: one value for each schema, and number of joints, that there is.

    Raises
    ------
    FramesRefusedError
        One of them is no frame; it names why.
    """
    decoded = decode_frames(payloads)
    if decoded.malformed:
        raise FramesRefusedError(f"a block is no frame: {decoded.malformed[0].why}")
    arrived = np.asarray(received_us, np.int64)
    parts: dict[tuple[Schema, int], list[tuple[NDArray[Any], NDArray[Any]]]] = {}
    for group in decoded.groups:
        n_samples = group.headers["n_samples"].astype(np.int64)
        cells = group.rows
        is_joints = group.schema is Schema.JOINT_ANGLES
        for count in np.unique(n_samples):  # joint angles alone may have one length and several numbers of samples
            mine = n_samples == count
            width = cells.shape[1] // int(count) if is_joints and count else 0
            blocks = _as_blocks(group.headers[mine], arrived[group.index[mine]])
            parts.setdefault((group.schema, width), []).append((blocks, cells[mine]))
    return [_join(schema, width, pieces) for (schema, width), pieces in parts.items()]


def to_frames(stream: StreamBlocks) -> list[bytes]:
    """Return the frames as the device sent them, in the order of the blocks."""
    blocks = stream.blocks
    headers = np.zeros(blocks.size, HEADER_DTYPE)
    headers["magic"], headers["version"], headers["schema"] = MAGIC, VERSION, int(stream.schema)
    for name in ("flags", "n_samples", "boot", "sequence", "t0_us", "period_us"):
        headers[name] = blocks[name]
    heads = headers.tobytes()
    rows = _as_rows(stream)
    body, n_bytes = rows.tobytes(), rows.itemsize * (rows.shape[1] if rows.ndim == 2 else 1)
    starts = (stream.first_rows * n_bytes).tolist()
    frames = []
    for block, (start, stop) in enumerate(pairwise(starts)):
        head = heads[block * HEADER_SIZE : block * HEADER_SIZE + CRC_OFFSET]
        part = body[start:stop]
        frames.append(head + crc32(part, crc32(head)).to_bytes(4, "little") + part)
    return frames


def digest_of(frames: Iterable[bytes]) -> str:
    """Return the SHA-256 of frames in their order, in hex."""
    digest = hashlib.sha256()
    for frame in frames:
        digest.update(len(frame).to_bytes(4, "little"))
        digest.update(frame)
    return digest.hexdigest()


def merge_blocks(parts: Sequence[StreamBlocks]) -> StreamBlocks:
    """Return all blocks of several values of one schema and width, in order, of each key the first that is there."""
    if len(parts) == 1:
        return parts[0]
    blocks = np.concatenate([part.blocks for part in parts])
    channels = {name: np.concatenate([part.channels[name] for part in parts]) for name in parts[0].channels}
    return _in_order(parts[0].schema, blocks, channels)


def _as_blocks(headers: NDArray[Any], received_us: NDArray[np.int64]) -> NDArray[Any]:
    blocks = np.zeros(headers.size, BLOCK_DTYPE)
    for name in ("boot", "sequence", "t0_us", "period_us", "n_samples", "flags"):
        blocks[name] = headers[name]
    blocks["received_us"] = received_us
    return blocks


def _join(schema: Schema, width: int, pieces: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> StreamBlocks:
    """Return blocks of different lengths as one value."""
    blocks = np.concatenate([each[0] for each in pieces])
    rows = np.concatenate([each[1].reshape(-1) for each in pieces])
    names = channel_names(schema, n_joints=width)
    columns: list[NDArray[Any]] = []
    if schema is Schema.JOINT_ANGLES:
        cells = rows["centidegrees"].reshape(-1, width) if width else np.zeros((0, 0), np.int16)
        columns = list(cells.T)
    else:
        assert rows.dtype.names is not None
        for field in rows.dtype.names:
            values = rows[field]
            columns += [values] if values.ndim == 1 else list(values.T)
    channels = {name: np.ascontiguousarray(column) for name, column in zip(names, columns, strict=True)}
    return _in_order(schema, blocks, channels)


def _in_order(schema: Schema, blocks: NDArray[Any], channels: Mapping[str, NDArray[Any]]) -> StreamBlocks:
    """Return blocks by boot and sequence, each once."""
    order = np.lexsort((blocks["sequence"], blocks["boot"]))
    is_new = np.ones(order.size, np.bool_)
    boot, sequence = blocks["boot"][order], blocks["sequence"][order]
    is_new[1:] = (np.diff(boot) != 0) | (np.diff(sequence) != 0)
    order = order[is_new]
    n_samples = blocks["n_samples"]
    starts = np.concatenate([[0], np.cumsum(n_samples)[:-1]])
    lengths = n_samples[order]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    rows = np.repeat(starts[order], lengths) + within
    if rows.size == n_samples.sum() and (np.diff(rows) == 1).all():
        return StreamBlocks(schema=schema, blocks=blocks[order], channels=dict(channels))
    return StreamBlocks(
        schema=schema, blocks=blocks[order], channels={name: values[rows] for name, values in channels.items()}
    )


def _as_rows(stream: StreamBlocks) -> NDArray[Any]:
    """Return the rows as they lie on the wire."""
    columns = list(stream.channels.values())
    if stream.schema is Schema.JOINT_ANGLES:
        return np.stack(columns, axis=1).astype("<i2") if columns else np.zeros((0, 0), "<i2")
    rows = np.zeros(columns[0].size, ROW_DTYPES[stream.schema])
    assert rows.dtype.names is not None
    for field in rows.dtype.names:
        if rows[field].ndim == 1:
            rows[field] = columns.pop(0)
        else:
            for axis in range(rows[field].shape[1]):
                rows[field][:, axis] = columns.pop(0)
    return rows
