"""What the way to the broker does to blocks: loses, doubles and damages them, from a seed."""

from dataclasses import dataclass

from firmware_sim.seeds import random_stream


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkFaults:
    """Share of the sent blocks that are lost, doubled, damaged; each 0 to 1."""

    loss: float = 0.0
    duplicates: float = 0.0
    corrupt: float = 0.0


class FaultyLink:
    """The way of one device; depends on the seed and the device alone."""

    def __init__(self, faults: LinkFaults, *, seed: int, device: str) -> None:
        self.lost = 0
        self.doubled = 0
        self.damaged = 0
        self._faults = faults
        self._random = random_stream(seed, device, "link")

    def carry(self, payload: bytes) -> list[bytes]:
        """Return what comes out at the far end: nothing, the payload, or the payload twice, maybe damaged."""
        lost, doubled, damaged = self._random.random(3)
        if lost < self._faults.loss:
            self.lost += 1
            return []
        if damaged < self._faults.corrupt:
            self.damaged += 1
            payload = self._damage(payload)
        if doubled < self._faults.duplicates:
            self.doubled += 1
            return [payload, payload]
        return [payload]

    def _damage(self, payload: bytes) -> bytes:
        damaged = bytearray(payload)
        damaged[int(self._random.integers(len(payload)))] ^= int(self._random.integers(1, 256))
        return bytes(damaged)
