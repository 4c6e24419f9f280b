"""After a restart the live analysis catches up with the patients who went on training, a little at every step.

What the store has of open training sessions runs through first, while devices send again what nobody took. Once they
have, or have had time enough, all that came meanwhile follows in the order in which it was measured, and screens see
values again. Until then every block is stored and acknowledged as ever.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Final

from devices.effects import StoreBlock
from telerehab.db.engine import Database, reading
from telerehab.intake.hot_reads import read_blocks
from telerehab.intake.places import read_stored_repetitions
from telerehab.intake.replay import Replay, only_new
from telerehab.intake.sets import read_set_counts
from telerehab.intake.slots import MOVEMENT_SCHEMAS, EndedRepetition, LiveSlots

log = logging.getLogger(__name__)

STILL_COMING_US: Final = 1_000_000
"""Of the newest that is stored, so much may have holes that are being filled."""


class CatchUp:
    """The way of the live analysis from the store to now.

    Parameters
    ----------
    slots : LiveSlots
        Follows the training sessions already, and knows scales and clock fits.
    """

    def __init__(self, slots: LiveSlots) -> None:
        self._slots = slots
        self._replay = Replay(slots)
        self._ended: list[EndedRepetition] = []
        self._whole_until_us = 0
        self._unplaced: set[str] = set()
        self._came: list[StoreBlock] = []
        self.came_of_values: list[StoreBlock] = []
        """Of everything but movement: for the limits, which the store may not have yet."""

    def read(self, database: Database) -> None:
        """Take what is stored of the open training sessions."""
        newest_us = {device: self._read(database, device) for device in self._measured_from_us()}
        self._unplaced = {device for device, at_us in newest_us.items() if not at_us}
        # All wait for the sensor that is furthest behind: the ring holds ten seconds, and two make one angle.
        self._whole_until_us = min(newest_us.values(), default=0) - STILL_COMING_US

    def note(self, blocks: Iterable[StoreBlock]) -> None:
        """Take what has come now."""
        worn = {device for training in self._slots.trainings for device in (*training.worn, *training.devices)}
        for block in blocks:
            if block.device in worn:
                (self._came if block.schema in MOVEMENT_SCHEMAS else self.came_of_values).append(block)

    def go_on(self) -> bool:
        """Analyse a tenth of a second of what is whole; return whether there was any."""
        return self._move(self._whole_until_us)

    def end(self, database: Database) -> bool:
        """Analyse the next tenth of a second of all that has come; return whether there was any."""
        while self._unplaced:  # their clocks are known by now, if ever
            self._read(database, self._unplaced.pop())
        if self._came:
            came: dict[str, list[bytes]] = {}
            for block in self._came:
                came.setdefault(block.device, []).append(block.payload)
            self._came = []
            measured_from_us = self._measured_from_us()
            for device in came.keys() & measured_from_us:
                self._replay.add(device, came[device], from_us=measured_from_us[device])
        return self._move(None)

    def take_up(self, database: Database) -> Sequence[EndedRepetition]:
        """Let counts go on where the store stands; return the repetitions that are not stored yet."""
        trainings = self._slots.trainings
        with reading(database.main) as db:
            named = {training.id for training in trainings} | {each.training_session for each in self._ended}
            stored = read_stored_repetitions(db, list(named))
            in_sets = read_set_counts(db, [training.set.id for training in trainings if training.set])
        new = only_new(self._ended, stored)
        for training in trainings:
            known = stored[training.id].repetition_count if training.id in stored else 0
            own = [each for each in new if each.training_session == training.id]
            self._slots.count_from(training.id, known + len(own))
            if training.used_sensors & self._replay.cut:
                self._slots.count_as_whole(training.id)
            if training.set is not None:
                in_set = sum(training.set.contains(each.start_us) for each in own)
                self._slots.count_set_from(training.id, in_sets.get(training.set.id, 0) + in_set)
        log.info("taken up: %d training sessions, %d repetitions not stored yet", len(trainings), len(new))
        return new

    def _move(self, until_us: int | None) -> bool:
        for ended in self._replay.run(self._measured_from_us(), until_us=until_us):
            self._ended += ended
            return True
        return False

    def _read(self, database: Database, device: str) -> int:
        """Add what is stored of a device; return when the newest block began, 0 without one that has its place."""
        from_us = self._measured_from_us().get(device)
        if from_us is None:
            return 0
        with reading(database.hot) as db:
            return self._replay.add(device, read_blocks(db, device=device, received_from_us=from_us), from_us=from_us)

    def _measured_from_us(self) -> dict[str, int]:
        """Return since when each movement sensor that is worn shows the exercise of its training session."""
        return {device: each.measured_from_us for each in self._slots.trainings for device in each.used_sensors}
