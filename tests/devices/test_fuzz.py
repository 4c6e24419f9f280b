"""Behind the crc: whatever a frame says with a right checksum, it is read or refused by name, and the intake goes on.

Frames that are well formed are changed in header and body, and then their crc is put right. Without that nearly every
changed frame would end at the checksum. Half of the time goes to a fixed seed, half to a fresh one, which is printed.
"""

import random
import secrets
import struct
import time
import zlib
from typing import Final

import pytest

from devices.codec import DecodedFrames, decode_frames
from devices.ingest import Ingest
from devices.ports import Raw
from devices.wire import CRC_OFFSET, HEADER_SIZE, ROW_DTYPES, Schema
from tests.devices.encoder import GOLDEN_EVENT, GOLDEN_HEART, GOLDEN_IMU6, IRREGULAR, frame

NOW_US: Final = 1_700_000_000_000_000
FRAMES_MAX, DEADLINE_S = 400_000, 5.0
FRAMES_A_STEP = 40
SEEDS = [1, pytest.param(secrets.randbits(32), id="fresh")]
INTERESTING: Final = (
    0,
    1,
    2,
    4,
    8,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    2**31,
    2**32 - 1,
    2**53 - 1,
    2**53,
    2**64 - 1,
)
FIELDS: Final = ((0, "H"), (2, "B"), (3, "B"), (4, "H"), (6, "H"), (8, "I"), (12, "I"), (16, "Q"), (24, "I"))


def well_formed() -> list[bytes]:
    frames = [GOLDEN_IMU6, GOLDEN_HEART, GOLDEN_EVENT]
    frames += [frame(sequence, schema=schema, n=n) for sequence in (0, 7) for schema in range(1, 8) for n in (0, 1, 10)]
    return frames


class Mutator:
    """Makes frames with a right crc out of well-formed ones."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.corpus = well_formed()

    def make(self) -> bytes:
        chance = self.chance
        payload = bytearray(chance.choice(self.corpus))
        for _ in range(chance.randint(0, 3)):
            chance.choice((self.set_field, self.set_field, self.flip_bits, self.resize, self.splice))(payload)
        if len(payload) >= HEADER_SIZE:
            if chance.random() < 0.8:
                payload[:3] = b"\x54\x52\x01"
            head, body = bytes(payload[:CRC_OFFSET]), bytes(payload[HEADER_SIZE:])
            payload[CRC_OFFSET:HEADER_SIZE] = struct.pack("<I", zlib.crc32(body, zlib.crc32(head)))
        return bytes(payload)

    def set_field(self, payload: bytearray) -> None:
        place, kind = self.chance.choice(FIELDS)
        size = struct.calcsize(kind)
        if place + size <= len(payload):
            value = self.chance.choice((*INTERESTING, self.chance.getrandbits(64))) % (1 << 8 * size)
            payload[place : place + size] = struct.pack(f"<{kind}", value)

    def flip_bits(self, payload: bytearray) -> None:
        for _ in range(self.chance.randint(1, 8) if payload else 0):
            payload[self.chance.randrange(len(payload))] ^= 1 << self.chance.randrange(8)

    def resize(self, payload: bytearray) -> None:
        if self.chance.random() < 0.5:
            del payload[self.chance.randrange(len(payload) + 1) :]
        else:
            payload += self.chance.randbytes(self.chance.choice((1, 2, 4, 12, 18, 100, 3000)))

    def splice(self, payload: bytearray) -> None:
        other = self.chance.choice(self.corpus)
        payload[self.chance.randrange(len(payload) + 1) :] = other[self.chance.randrange(len(other)) :]


def is_well_formed(payload: bytes) -> bool:
    """Tell by the words of the protocol, slowly, whether a frame with a right crc can be read."""
    if not HEADER_SIZE <= len(payload) <= 65_536:
        return False
    magic, version, schema, _, n, _, _, t0_us, period_us, _ = struct.unpack("<HBBHHIIQII", payload[:HEADER_SIZE])
    if magic != 0x5254 or version != 1 or schema not in range(1, 8) or t0_us >= 2**53:
        return False
    row, body = ROW_DTYPES[Schema(schema)].itemsize, len(payload) - HEADER_SIZE
    if schema == Schema.JOINT_ANGLES:
        has_length = body == 0 if n == 0 else body % (n * row) == 0 and 1 <= body // (n * row) <= 32
    else:
        has_length = body == n * row
    return has_length and (period_us == 0) == (schema in IRREGULAR)


def check(payloads: list[bytes], decoded: DecodedFrames) -> None:
    read = {int(index): group for group in decoded.groups for index in group.index}
    refused = {each.index for each in decoded.malformed}
    assert read.keys() | refused == set(range(len(payloads)))
    assert read.keys().isdisjoint(refused)
    for index, payload in enumerate(payloads):
        assert (index in read) == is_well_formed(payload), payload.hex()
    for group in decoded.groups:
        for index, rows in zip(group.index.tolist(), group.rows, strict=True):
            assert rows.tobytes() == payloads[index][HEADER_SIZE:]


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_stands_behind_a_right_crc_is_read_or_refused_by_name(seed: int) -> None:
    print(f"seed {seed}")  # noqa: T201 - pytest shows it where the test fails
    mutator = Mutator(seed)
    ingest = Ingest(known_devices=("band-1", "band-2"))
    frame_count = accepted_count = 0
    stop_s = time.process_time() + DEADLINE_S
    while frame_count < FRAMES_MAX and time.process_time() < stop_s:
        payloads = [mutator.make() for _ in range(FRAMES_A_STEP)]
        check(payloads, decode_frames(payloads))
        topics = mutator.chance.choices(
            ("rt/1/00/band-1/imu", "bf/1/00/band-1/imu", "rt/1/00/band-2/more"), k=len(payloads)
        )
        now_us = NOW_US + frame_count * 10_000
        raws = [Raw(topic, payload, now_us) for topic, payload in zip(topics, payloads, strict=True)]
        effects = ingest.step(raws, now_us)
        ingest.committed([block.key for block in effects.blocks], now_us=now_us)
        frame_count += len(payloads)
        accepted_count += len(effects.blocks)
    assert ingest.counts["poison"] == 0
    assert accepted_count > 100
    assert frame_count >= 2_000
    last = frame(0, boot=4_000_000_000)
    assert len(ingest.step([Raw("rt/1/00/band-2/new", last, NOW_US * 2)], NOW_US * 2).blocks) == 1
