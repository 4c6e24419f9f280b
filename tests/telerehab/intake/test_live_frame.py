"""The live frame, byte by byte: the browser and the web role read these offsets."""

from uuid import UUID

import numpy as np
import pytest

from telerehab import live_frame

FIRST = UUID("00112233-4455-6677-8899-aabbccddeeff")
SECOND = UUID("ffffffff-0000-0000-0000-000000000001")

GOLDEN = bytes.fromhex(
    "524c 01 34 0200 0000 04030201 00000000"  # header: magic, version, 52, two entries, tick 0x01020304
    "00112233445566778899aabbccddeeff"  # first training session
    "9600 05 00 0c00 64 63 1f03 48 00"  # 150 ms, phase 5, reason 0, 12 repetitions, 100 %, 99 %, 79.9°, 72/min, no flag
    "0000 6400 9cff 2823 ff7f 0180 0080 0080 0100 ffff"  # 0° 1° -1° 90° 327.67° -327.67° unknown unknown 0.01° -0.01°
    "b80b 2823"  # target 30° to 90°
    "ffffffff000000000000000000000001"  # second training session: nothing known
    "ffff 00 02 0000 ff ff ffff 00 03"
    "0080 0080 0080 0080 0080 0080 0080 0080 0080 0080"
    "0080 0080"
)


def golden_entries() -> np.ndarray:
    entries = np.zeros(2, live_frame.ENTRY_DTYPE)
    entries["training_session"] = np.frombuffer(FIRST.bytes + SECOND.bytes, "V16")
    entries["age_ms"] = live_frame.to_age_ms([150_000.0, np.nan])
    entries["phase"] = [5, 0]
    entries["reason"] = [0, 2]
    entries["repetitions"] = [12, 0]
    entries["trust"] = live_frame.to_percent([1.0, np.nan])
    entries["completeness"] = live_frame.to_percent([0.99, np.nan])
    entries["last_rom"] = live_frame.to_tenths_of_degree([79.9, np.nan])
    entries["heart_rate"] = [72, live_frame.UNKNOWN_HEART_RATE]
    entries["flags"] = [0, live_frame.FLAG_NOT_STORED | live_frame.FLAG_SENSOR_LOST]
    entries["angle"][0] = live_frame.to_centidegrees([0, 1, -1, 90, 400, -400, np.nan, np.nan, 0.01, -0.01])
    entries["angle"][1] = live_frame.UNKNOWN_ANGLE
    entries["target_low"] = live_frame.to_centidegrees([30, np.nan])
    entries["target_high"] = live_frame.to_centidegrees([90, np.nan])
    return entries


def test_a_frame_has_the_bytes_that_were_agreed() -> None:
    assert live_frame.encode_live_frame(golden_entries(), tick=0x01020304) == GOLDEN


def test_a_frame_read_back_has_the_values_that_were_sent() -> None:
    tick, entries = live_frame.decode_live_frame(GOLDEN)
    assert tick == 0x01020304
    assert entries.tobytes() == golden_entries().tobytes()


def test_the_tick_counter_wraps() -> None:
    frame = live_frame.encode_live_frame(np.zeros(0, live_frame.ENTRY_DTYPE), tick=2**32 + 7)
    assert live_frame.decode_live_frame(frame)[0] == 7


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        GOLDEN[:15],
        GOLDEN[:-1],
        GOLDEN + b"\0",
        b"\0" + GOLDEN[1:],
        GOLDEN[:2] + b"\2" + GOLDEN[3:],
        GOLDEN[:3] + b"\x33" + GOLDEN[4:],
        GOLDEN[:4] + b"\3" + GOLDEN[5:],
    ],
    ids=["empty", "short header", "cut", "longer", "magic", "version", "entry size", "number of entries"],
)
def test_what_is_no_frame_is_refused(frame: bytes) -> None:
    with pytest.raises(live_frame.MalformedLiveFrameError):
        live_frame.decode_live_frame(frame)
