"""The process of the intake: the real pipeline, with the thread of the store and the connection as values.

What `telerehab/roles/ingest.py` and `telerehab/intake/hot_store.py` do with sockets and threads is done here by events.
The live analysis is paused, as after a restart: what is simulated is order, store and acknowledgement.
"""

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from devices.effects import BlockKey, Outgoing, SequenceRun, StepEffects
from devices.ports import Raw
from telerehab.clock import ForwardTime
from telerehab.intake.hot_store import count_rows, keys_of
from telerehab.live_pipeline import LivePipeline

if TYPE_CHECKING:
    from tests.simulation.world import World

STEP_US: Final = 100_000
GROUP_WAIT_US: Final = 75_000
COMMIT_US: Final = (5_000, 60_000)
RETRY_US: Final = 500_000
QUEUE_MAX_ROWS: Final = 60
RECONNECT_US: Final = 1_000_000
RESTART_US: Final = (300_000, 2_500_000)


class Intake:
    """One life of the process, from start to crash."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.is_alive = True
        self.committed_keys: list[BlockKey | SequenceRun] = []
        self.pipeline = LivePipeline(capacity=1, window_samples=100)
        self.pipeline.pause_showing()
        self.pipeline.ingest.set_known_devices(world.device_names)
        self._time = ForwardTime()
        self.now_us = self._time.tell(world.utc_us)
        store = world.store
        self.pipeline.restore(store.read_runs(), lost=store.read_lost(), missing=store.read_open(), now_us=self.now_us)
        self._inbox: list[Raw] = []
        self._queue: deque[StepEffects] = deque()
        self._is_committing = False
        self._is_refused = False
        self._next_connect_us = world.now_us

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing waits, for the store or from a device."""
        return not (self._queue or self._is_committing or self._inbox or self.committed_keys)

    @property
    def n_queued_rows(self) -> int:
        """Return how many rows wait for their commit."""
        return sum(map(count_rows, self._queue))

    def hear(self, topic: str, payload: bytes) -> None:
        """Note a message of the broker."""
        self._inbox.append(Raw(topic, payload, self.world.utc_us))

    def crash(self) -> None:
        """Die: all that is not in the store is gone."""
        self.is_alive = False
        self.world.broker.drop("intake")

    def step(self) -> None:
        """Do what the role does in one round of its loop."""
        world = self.world
        if not world.is_intake_connected and world.now_us >= self._next_connect_us:
            self._next_connect_us = world.now_us + RECONNECT_US
            world.connect_intake(self.hear)
        self.now_us = self._time.tell(world.utc_us)
        if self._time.is_set_back:
            world.restart_intake()
            return
        keys, self.committed_keys = self.committed_keys, []
        self._publish(self.pipeline.committed(keys, now_us=self.now_us))
        raws, self._inbox = self._inbox, []
        effects = self.pipeline.step(raws, now_us=self.now_us, is_storing=not self._is_refused)
        if not self.offer(effects.to_store):
            world.refused_group_count += 1
            self.pipeline.refused(effects, now_us=self.now_us)
        self._publish(effects.outgoing)

    def offer(self, effects: StepEffects) -> bool:
        """Queue what a step wants kept; False when there is no room."""
        n_rows = count_rows(effects)
        if not n_rows:
            return True
        if self._queue and self.n_queued_rows + n_rows > QUEUE_MAX_ROWS:
            return False
        self._queue.append(effects)
        if not self._is_committing:
            self._begin_commit(GROUP_WAIT_US)
        return True

    def _begin_commit(self, wait_us: int) -> None:
        self._is_committing = True
        self.world.after(wait_us + self.world.chance.randint(*COMMIT_US), self._commit)

    def _commit(self) -> None:
        if not self.is_alive:
            return
        groups = list(self._queue)
        if self.world.wants_torn_group and groups:
            self.world.tear_group(groups)
            return
        is_committed = self.world.store.commit(groups)
        self._is_refused = not is_committed
        if is_committed:
            self._queue.clear()
            self.committed_keys += [key for effects in groups for key in keys_of(effects)]
        self._is_committing = bool(self._queue)
        if self._queue:
            self._begin_commit(RETRY_US)

    def _publish(self, messages: Iterable[Outgoing]) -> None:
        for message in messages:
            self.world.publish_to_device(message)
