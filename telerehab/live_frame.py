"""The live frame: what all screens of one tick share, as bytes.

It travels on `live/1/<worker>` and, filtered, as the WebSocket's binary message. A frame is a header and one entry of
fixed size per training session that is being analysed. It names training sessions only: no patient, no device. Unknown
is a value of its own in every field that can be unknown, never a zero that looks measured.
"""

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

MAGIC: Final = 0x4C52
VERSION: Final = 1
N_SAMPLES_PER_TICK: Final = 10

HEADER_DTYPE: Final = np.dtype(
    [
        ("magic", "<u2"),
        ("version", "u1"),
        ("entry_size", "u1"),  # a reader of version 1 skips what a later entry has beyond the fields it knows
        ("n_entries", "<u2"),
        ("reserved", "<u2"),
        ("tick", "<u4"),  # counts the sender's ticks, wraps
        ("sent_ms", "<u4"),  # the servers' UTC at sending, low 32 bits; 0 = unknown
    ]
)
ENTRY_DTYPE: Final = np.dtype(
    [
        ("training_session", "V16"),  # UUID.bytes
        ("age_ms", "<u2"),  # at sending, since capture of the newest sample
        ("phase", "u1"),  # analytics.live.Phase
        ("reason", "u1"),  # analytics.live.Reason
        ("repetitions", "<u2"),  # of the set that is trained now, where there are no sets of the training session
        ("trust", "u1"),  # [%]
        ("completeness", "u1"),  # [%] of the last 10 s
        ("last_rom", "<u2"),  # [0.1°]
        ("heart_rate", "u1"),  # [/min]
        ("flags", "u1"),
        ("angle", "<i2", N_SAMPLES_PER_TICK),  # [0.01°], 100 Hz, oldest first
        ("target_low", "<i2"),  # [0.01°]
        ("target_high", "<i2"),  # [0.01°]
    ]
)
assert HEADER_DTYPE.itemsize == 16  # the browser reads these offsets
assert ENTRY_DTYPE.itemsize == 52

UNKNOWN_AGE_MS: Final = 65535
AGE_MAX_MS: Final = 65534
UNKNOWN_PERCENT: Final = 255
NO_ROM: Final = 65535
UNKNOWN_HEART_RATE: Final = 0
UNKNOWN_ANGLE: Final = -32768
FLAG_NOT_STORED: Final = 1  # the disk or the database refuses: what is seen now is not being kept
FLAG_SENSOR_LOST: Final = 2  # no sample, or only old ones
FLAG_PARTIAL: Final = 4  # seconds of this training session were skipped: what was counted is a part of it

_ANGLE_LIMIT: Final = 32767
_U32: Final = 0xFFFFFFFF


class MalformedLiveFrameError(ValueError):
    """Bytes that are no live frame of this version. Drop the message; the next tick brings another."""


def encode_live_frame(entries: NDArray[np.void], *, tick: int, sent_us: int | None = None) -> bytes:
    """Return the bytes of one tick.

    Parameters
    ----------
    entries : ndarray of ENTRY_DTYPE, shape (n_entries,)
    tick : int
        The sender's tick; its low 32 bits are sent.
    sent_us : int, optional
        Time of which the ages are. [µs, UTC]
    """
    header = np.zeros(1, HEADER_DTYPE)
    header["magic"], header["version"], header["entry_size"] = MAGIC, VERSION, ENTRY_DTYPE.itemsize
    header["n_entries"], header["tick"] = len(entries), tick & _U32
    header["sent_ms"] = 0 if sent_us is None else sent_us // 1000 & _U32
    return header.tobytes() + np.ascontiguousarray(entries, ENTRY_DTYPE).tobytes()


def decode_live_frame(frame: bytes) -> tuple[int, NDArray[np.void]]:
    """Return the tick and the entries, a writable copy, shape (n_entries,), ENTRY_DTYPE.

    Raises
    ------
    MalformedLiveFrameError
        When magic, version or length do not fit.
    """
    if len(frame) < HEADER_DTYPE.itemsize:
        raise MalformedLiveFrameError("shorter than its header")
    header = np.frombuffer(frame, HEADER_DTYPE, count=1)[0]
    if header["magic"] != MAGIC or header["version"] != VERSION or header["entry_size"] != ENTRY_DTYPE.itemsize:
        raise MalformedLiveFrameError("another magic, version or entry size")
    if len(frame) != HEADER_DTYPE.itemsize + int(header["n_entries"]) * ENTRY_DTYPE.itemsize:
        raise MalformedLiveFrameError("length and number of entries differ")
    return int(header["tick"]), np.frombuffer(frame, ENTRY_DTYPE, offset=HEADER_DTYPE.itemsize).copy()


def transit_us(frame: bytes, *, now_us: int) -> int:
    """Return how long ago a well-formed frame was sent, for a reader with the servers' clock; 0 where nobody knows.

    Examples
    --------
    >>> frame = encode_live_frame(np.zeros(0, ENTRY_DTYPE), tick=1, sent_us=1_700_000_000_000_000)
    >>> transit_us(frame, now_us=1_700_000_000_120_000), transit_us(frame, now_us=1_699_999_999_000_000)
    (120000, 0)
    """
    sent_ms = int(np.frombuffer(frame, HEADER_DTYPE, count=1)[0]["sent_ms"])
    since_ms = (now_us // 1000 - sent_ms) & _U32
    is_past = sent_ms != 0 and since_ms <= _U32 // 2  # otherwise the clocks differ, or one was put back
    return since_ms * 1000 if is_past else 0


def to_age_ms(age_us: ArrayLike) -> NDArray[np.uint16]:
    """Return ages [µs, NaN = unknown] as the frame's field."""
    age_ms = np.asarray(age_us, np.float64) / 1000
    known = np.clip(np.round(np.nan_to_num(age_ms)), 0, AGE_MAX_MS)
    return np.where(np.isnan(age_ms), UNKNOWN_AGE_MS, known).astype(np.uint16)


def to_centidegrees(angle_deg: ArrayLike) -> NDArray[np.int16]:
    """Return angles [°, NaN = unknown] as the frame's field; what does not fit is held at the limit."""
    angle = np.asarray(angle_deg, np.float64) * 100
    known = np.clip(np.round(np.nan_to_num(angle)), -_ANGLE_LIMIT, _ANGLE_LIMIT)
    return np.where(np.isnan(angle), UNKNOWN_ANGLE, known).astype(np.int16)


def to_percent(share: ArrayLike) -> NDArray[np.uint8]:
    """Return shares [0 to 1, NaN = unknown] as the frame's field."""
    percent = np.asarray(share, np.float64) * 100
    known = np.clip(np.round(np.nan_to_num(percent)), 0, 100)
    return np.where(np.isnan(percent), UNKNOWN_PERCENT, known).astype(np.uint8)


def to_tenths_of_degree(rom_deg: ArrayLike) -> NDArray[np.uint16]:
    """Return ranges of motion [°, NaN = none yet] as the frame's field."""
    tenths = np.asarray(rom_deg, np.float64) * 10
    known = np.clip(np.round(np.nan_to_num(tenths)), 0, NO_ROM - 1)
    return np.where(np.isnan(tenths), NO_ROM, known).astype(np.uint16)
