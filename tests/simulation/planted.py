"""Five mistakes that each lose data, to see the simulation find them."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final
from unittest.mock import patch

from devices import ingest
from devices.effects import BlockKey, StepEffects
from devices.sequencer import Change, GapCause, StreamSequence
from telerehab.intake.hot_store import keys_of
from tests.simulation.flash_device import FlashDevice
from tests.simulation.intake import Intake
from tests.simulation.store import Store
from tests.simulation.world import Outcome, Parts, run_seed

IMPATIENCE_US: Final = 3_000_000


class AcknowledgesBeforeCommit(Intake):
    """Takes a group for committed as soon as it is queued."""

    def offer(self, effects: StepEffects) -> bool:
        is_taken = super().offer(effects)
        if is_taken:
            self.committed_keys += keys_of(effects)
        return is_taken


class KeyWithoutBoot(Store):
    """Takes the first block after a restart for the first block of all."""

    def key_of(self, key: BlockKey) -> Any:
        return (key.device, key.stream, key.sequence)


class FreesAtPuback(FlashDevice):
    """Takes the broker's word for the server's."""

    def got_puback(self, key: BlockKey) -> None:
        self.forget(key)


class WatermarkIsMaximum(StreamSequence):
    """Acknowledges the newest committed block, whatever is missing before it."""

    __slots__ = ()

    @property
    def watermark(self) -> int:
        return max((stop for _, stop in self._committed), default=0)


class ClosesGapsWithoutData(StreamSequence):
    """Loses patience with a hole."""

    __slots__ = ()

    def receive(self, start: int, stop: int, *, now_us: int) -> Change | None:
        change = super().receive(start, stop, now_us=now_us)
        old = [hole for hole in self.holes if now_us - hole.seen_at_us > IMPATIENCE_US]
        if change is None or not old:
            return change
        lost = [self.lose(hole.start, hole.stop, GapCause.DEVICE_OVERFLOW, now_us=now_us) for hole in old]
        closed = tuple(hole for each in lost for hole in each.closed)
        return Change(accepted=change.accepted, opened=change.opened, closed=(*change.closed, *closed))


PLANTED: Final[Mapping[str, tuple[Parts, type[StreamSequence]]]] = MappingProxyType(
    {
        "ack before commit": (Parts(intake=AcknowledgesBeforeCommit), StreamSequence),
        "key without boot": (Parts(store=KeyWithoutBoot), StreamSequence),
        "watermark = max": (Parts(), WatermarkIsMaximum),
        "ring freed at PUBACK": (Parts(flash_device=FreesAtPuback), StreamSequence),
        "gap closed without data": (Parts(), ClosesGapsWithoutData),
    }
)


def find_planted(name: str, seeds: Iterator[int]) -> Outcome | None:
    """Return the first course in which a planted mistake shows, None if it never does."""
    parts, sequence = PLANTED[name]
    with patch.object(ingest, "StreamSequence", sequence):
        outcomes = (run_seed(seed, parts=parts) for seed in seeds)
        return next((outcome for outcome in outcomes if outcome.broken), None)
