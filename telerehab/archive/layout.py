"""The bytes of a segment before they are encrypted: a Parquet file with a column per channel. Pure.

Samples are int16 (or as wide as the wire has them), DELTA_BINARY_PACKED and zstd, without dictionaries. What is known
of each block lies in the file's own metadata, as runs of equal steps: a regular stream needs some hundred bytes for an
hour. When a block arrived is kept to a second, the rest exactly.
"""

import io
import json
import zlib
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from devices.wire import Schema
from telerehab.archive.errors import SegmentDamagedError
from telerehab.archive.frames import BLOCK_DTYPE, StreamBlocks

FORMAT_VERSION: Final = 1
ZSTD_LEVEL: Final = 19
ROWS_PER_GROUP: Final = 1 << 20
ARRIVAL_US: Final = 1_000_000
_ABOUT: Final = b"telerehab"
_BLOCKS: Final = b"telerehab.blocks"
_COUNT: Final = np.dtype("<u4")
_STEP: Final = np.dtype("<i8")
_STORED: Final = ("boot", "sequence", "t0_us", "period_us", "n_samples", "flags")


def encode_body(stream: StreamBlocks, about: Mapping[str, Any]) -> bytes:
    """Return the plain content of a segment.

    Parameters
    ----------
    about : mapping
        Whatever JSON can say of the stream: channels, clock fits, whose it is.
    """
    said = json.dumps({"format": FORMAT_VERSION, "schema": int(stream.schema), **about}, separators=(",", ":"))
    table = pa.table({name: pa.array(values) for name, values in stream.channels.items()})
    sink = io.BytesIO()
    with pq.ParquetWriter(
        sink,
        table.schema,
        compression="zstd",
        compression_level=ZSTD_LEVEL,
        use_dictionary=False,
        column_encoding="DELTA_BINARY_PACKED",
        data_page_version="2.0",
        write_statistics=False,
        store_schema=False,
    ) as writer:
        writer.write_table(table, row_group_size=ROWS_PER_GROUP)
        writer.add_key_value_metadata({_ABOUT: zlib.compress(said.encode(), 9), _BLOCKS: pack_blocks(stream.blocks)})
    return sink.getvalue()


def decode_body(body: bytes) -> tuple[StreamBlocks, dict[str, Any]]:
    """Return the blocks of a segment and what is said of them.

    Raises
    ------
    SegmentDamagedError
        These bytes are no segment, or one of a later format.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(body))
        kept = file.metadata.metadata
        about = json.loads(zlib.decompress(kept[_ABOUT]))
        blocks = unpack_blocks(kept[_BLOCKS])
        if about["format"] != FORMAT_VERSION:
            raise SegmentDamagedError(f"a segment of format {about['format']}: a later program wrote it")
        table = file.read()
        channels = {name: _as_array(column) for name, column in zip(table.column_names, table.columns, strict=True)}
        schema = Schema(about["schema"])
    except (pa.ArrowException, zlib.error, ValueError, KeyError, TypeError) as error:
        raise SegmentDamagedError(f"the content of a segment cannot be read: {type(error).__name__}") from error
    if any(values.size != int(blocks["n_samples"].sum()) for values in channels.values()):
        raise SegmentDamagedError("a segment has another number of samples than its blocks")
    return StreamBlocks(schema=schema, blocks=blocks, channels=channels), about


def pack_blocks(blocks: NDArray[Any]) -> bytes:
    """Return what is known of blocks, shape (n_blocks,), BLOCK_DTYPE; arrival to a second."""
    base_us, arrival = _arrival(blocks)
    parts = [_COUNT.type(blocks.size).tobytes(), _STEP.type(base_us).tobytes()]
    for values in (*(np.diff(blocks[name], prepend=0) for name in _STORED), arrival):
        is_first = np.ones(values.size, np.bool_)
        is_first[1:] = np.diff(values) != 0
        first = np.flatnonzero(is_first)
        counts = np.diff(first, append=values.size).astype(_COUNT)
        parts += [_COUNT.type(first.size).tobytes(), values[first].astype(_STEP).tobytes(), counts.tobytes()]
    return zlib.compress(b"".join(parts), 9)


def unpack_blocks(packed: bytes) -> NDArray[Any]:
    """Return blocks as they were packed.

    Raises
    ------
    ValueError, zlib.error
        These bytes were not made by `pack_blocks`.
    """
    content = zlib.decompress(packed)
    blocks = np.zeros(int(np.frombuffer(content, _COUNT, 1)[0]), BLOCK_DTYPE)
    base_us = int(np.frombuffer(content, _STEP, 1, _COUNT.itemsize)[0])
    offset = _COUNT.itemsize + _STEP.itemsize
    for name in (*_STORED, "received_us"):
        n_runs = int(np.frombuffer(content, _COUNT, 1, offset)[0])
        offset += _COUNT.itemsize
        steps = np.frombuffer(content, _STEP, n_runs, offset)
        offset += steps.nbytes
        counts = np.frombuffer(content, _COUNT, n_runs, offset)
        offset += counts.nbytes
        values = np.repeat(steps, counts)
        blocks[name] = values if name == "received_us" else np.cumsum(values)
    blocks["received_us"] = blocks["t0_us"] + base_us + blocks["received_us"] * ARRIVAL_US
    return blocks


def _arrival(blocks: NDArray[Any]) -> tuple[int, NDArray[np.int64]]:
    """Return the shortest way from device clock to server clock, and how many whole seconds more each block took."""
    way_us = blocks["received_us"] - blocks["t0_us"]
    base_us = int(way_us.min()) if way_us.size else 0
    return base_us, (way_us - base_us) // ARRIVAL_US


def _as_array(column: Any) -> NDArray[Any]:
    """Return a column as an array, without a copy where it lies in one piece."""
    chunks = column.chunks
    values: NDArray[Any] = chunks[0].to_numpy() if len(chunks) == 1 else column.to_numpy()
    return values
