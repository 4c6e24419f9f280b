"""A strap, a finger clip or a fall hint, byte by byte as the protocol says; never packed by the product."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from devices.ports import Raw

HEART: Final = 4
SPO2: Final = 5
EVENTS: Final = 7
STREAMS: Final = {HEART: "heart", SPO2: "spo2", EVENTS: "events"}
ROW: Final = {HEART: "<IHH", SPO2: "<IBB", EVENTS: "<IHh"}
SECOND_US: Final = 1_000_000


@dataclass(kw_only=True)
class Strap:
    """A device that sends values with a clock of its own."""

    name: str
    schema: int = HEART
    boot: int = 1
    sequence: int = 0
    clock_us: int = 5_000_000
    """What its clock reads at the next block's first row."""

    def frame(self, values: Sequence[int], *, every_us: int = SECOND_US, flags: int = 0) -> bytes:
        """Return the next block: one row per value, evenly apart."""
        body = b"".join(struct.pack(ROW[self.schema], index * every_us, value, 0) for index, value in enumerate(values))
        head = struct.pack(
            "<HBBHHIIQI", 0x5254, 1, self.schema, flags, len(values), self.boot, self.sequence, self.clock_us, 0
        )
        self.sequence += 1
        self.clock_us += len(values) * every_us
        return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body

    def raw(self, values: Sequence[int], *, at_us: int, every_us: int = SECOND_US, is_backfill: bool = False) -> Raw:
        """Return the next block as a message."""
        root = "bf" if is_backfill else "rt"
        topic = f"{root}/1/00/{self.name}/{STREAMS[self.schema]}"
        return Raw(topic, self.frame(values, every_us=every_us, flags=int(is_backfill)), at_us)
