"""The role ingest: sockets, threads, transactions and time around `telerehab.live_pipeline`, which decides everything.

Three threads serve one loop: the network's only appends messages, the hot store's only commits groups, the main store's
only writes repetitions and reads who trains. The loop itself waits for none of them.
"""

import logging
import threading
from typing import Any, Final

from devices.broker_client import BrokerClient
from devices.clock_sync import ClockFit
from devices.ports import Raw
from devices.reports import read_meta
from telerehab.clock import Clock, ForwardTime, SystemClock, utc_now
from telerehab.db.changes import CHANGED, DEVICE_STARTED, Change, changed_message
from telerehab.db.engine import Database, open_database, reading
from telerehab.db.migrate import is_database_at_head
from telerehab.db.workers import Heartbeat
from telerehab.intake.catch_up import CatchUp
from telerehab.intake.grid import FEW_PROBES
from telerehab.intake.guard_replay import replay_guard
from telerehab.intake.hot_reads import (
    has_blocks_of,
    read_device_reports,
    read_lost_gaps,
    read_newest_clock_fits,
    read_open_gaps,
    read_sequence_runs,
)
from telerehab.intake.hot_store import HotStore
from telerehab.intake.main_store import MainStore
from telerehab.intake.places import Places, read_places
from telerehab.live_pipeline import LivePipeline
from telerehab.roles.process import set_up_logging, settle, wish_to_end
from telerehab.settings import Settings
from telerehab.supervision import EXIT_SETTINGS

log = logging.getLogger(__name__)

STEP_NS: Final = 50_000_000
BEHIND_MAX_NS: Final = 1_000_000_000  # further behind, the schedule starts anew from now
CLOSE_TIMEOUT_S: Final = 5.0
FRAMES: Final = ("rt/1/#", "bf/1/#")
SUBSCRIPTIONS: Final = ("dev/1/#", "clk/1/#", f"{CHANGED}#")
SESSION_EXPIRY_S: Final = 3_600
REDELIVERY_PERIOD_NS: Final = 5_000_000_000
CATCH_UP_MIN_NS: Final = 2_000_000_000  # devices send again 1.5 s after they were not answered
CATCH_UP_MAX_NS: Final = 8_000_000_000
CATCH_UP_GIVE_UP_NS: Final = 30_000_000_000  # with a connection that comes and goes
CATCH_UP_SHARE_NS: Final = 200_000_000  # of a step: acknowledgements leave meanwhile
ACK_PERIOD_US: Final = 1_000_000


def run(settings: Settings) -> int:
    """Take in, analyse and store until SIGTERM or SIGINT; return the exit code."""
    set_up_logging(settings, role="ingest")
    wish = wish_to_end()
    database = open_database(settings)
    if not is_database_at_head(database):
        log.error("The database has another version than this program: run `telerehab migrate`")
        return EXIT_SETTINGS
    clock = SystemClock()
    intake = Intake(settings, database, clock=clock)
    settle()
    try:
        intake.start()
        exit_code = intake.run(wish)
    finally:
        intake.close()
        database.close()
    return exit_code


class Intake:
    """All that the role owns, opened and closed together."""

    def __init__(self, settings: Settings, database: Database, *, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._heartbeat = Heartbeat(database.main, role="ingest", clock=clock)
        self._live_topic = f"live/1/{self._heartbeat.id}"
        self._pipeline = LivePipeline()
        self._catch_up: CatchUp | None = None
        self._are_complete = False
        self._wanted_ns = 0
        self._hot_store = HotStore(database.hot)
        self._main_store = MainStore(database.main, heartbeat=self._heartbeat, status=self.status, clock=clock)
        keeps = bool(settings.ingest_client_id)  # else the broker forgets all with the connection, and QoS 1 is useless
        self._client = BrokerClient(
            settings.mqtt_host,
            settings.mqtt_port,
            username="ingest",
            password=settings.mqtt_password("ingest"),
            client_id=settings.ingest_client_id or None,
            subscriptions=SUBSCRIPTIONS if keeps else (*FRAMES, *SUBSCRIPTIONS),
            kept_subscriptions=FRAMES if keeps else (),
            session_expiry_s=SESSION_EXPIRY_S if keeps else None,
            protocol_version=5 if keeps else 4,
            reader=settings.mqtt_reader,
        )
        self._redelivered_ns = 0
        self._time = ForwardTime()
        self._now_us = 0
        self._subscribed_ns: int | None = None
        self._late_step_count = 0
        self._refused_group_count = 0

    def start(self) -> None:
        """Take up what the stores know, then connect."""
        self._heartbeat.register({"state": "starting"})
        self._tell_time()
        with reading(self._database.main) as db:
            places = read_places(db, now=utc_now(self._clock))
        self._main_store.start()
        self._hot_store.start()
        if restore_order(self._pipeline, self._database, places, now_us=self._now_us):
            self._pipeline.pause_showing()
            self._catch_up = CatchUp(self._pipeline.slots)
        self._client.start()
        log.info("connecting to the broker as %s", self._client.client_id)
        if self._catch_up is not None:
            self._catch_up.read(self._database)

    def run(self, wish: threading.Event) -> int:
        """Make a step every 50 ms; return the exit code, other than 0 when the role has to be started anew."""
        due_ns = self._clock.monotonic_ns()
        while not wish.is_set():
            self._step()
            if not (self._hot_store.is_alive and self._main_store.is_alive):
                log.error("a thread of the role has ended: so does the role, to be started anew")
                return 1
            if self._time.is_set_back:
                log.warning("the clock of this machine was set back: the role begins anew with the new time")
                return 1
            due_ns += STEP_NS
            wait_ns = due_ns - self._clock.monotonic_ns()
            if wait_ns < -BEHIND_MAX_NS:
                due_ns -= wait_ns
            self._late_step_count += wait_ns < 0
            wish.wait(max(wait_ns, 0) * 1e-9)
        return 0

    def close(self) -> None:
        """Store what has arrived, acknowledge it, say goodbye."""
        self._step()
        if not self._hot_store.close(timeout_s=CLOSE_TIMEOUT_S):
            log.warning("not everything could be stored; devices keep it and send it again")
        acks = self._pipeline.committed(self._hot_store.take_committed(), now_us=self._now_us + ACK_PERIOD_US)
        self._client.publish_all(acks)
        self._client.commit(self._hot_store.take_committed_tokens())
        self._client.close()
        self._main_store.close(timeout_s=CLOSE_TIMEOUT_S)
        self._heartbeat.remove()

    def status(self) -> dict[str, Any]:
        """Return what the heartbeat tells of the role; no personal data."""
        return {
            "connected": self._client.is_connected,
            "storing": self._hot_store.is_storing,
            "showing": self._pipeline.is_showing,
            "training_sessions": len(self._pipeline.slots.trainings),
            "training_sessions_turned_away": self._pipeline.slots.turned_away_count,
            "ticks": self._pipeline.tick_count,
            "jumps": self._pipeline.slots.jump_count,
            "blocks_unplaced": self._pipeline.slots.grid.unplaced_block_count,
            "late_steps": self._late_step_count,
            "blocks_committed": self._hot_store.committed_block_count,
            "blocks_sealed": self._hot_store.forgotten_block_count,
            "rows_queued": self._hot_store.n_queued_rows,
            "groups_refused": self._refused_group_count,
            "commits_refused": self._hot_store.refused_commit_count,
            "main_refused": self._main_store.refused_count,
            "messages_dropped": self._client.dropped_count,
            "reading_paused": self._client.pause_count,
            "backfill_dropped": self._pipeline.dropped_backfill_count,
            "resubscribed": self._client.resubscribed_count,
            "reconnected": self._client.replaced_count,
            "redelivered": self._client.redelivered_count,
            "reader": self._client.reader,
            "counts": dict(self._pipeline.ingest.counts),
        }

    def _step(self) -> None:
        """Take what has arrived, hand on what follows from it."""
        self._tell_time()
        pipeline, now_us = self._pipeline, self._now_us
        places = self._main_store.take_places()
        if places is not None:
            pipeline.follow(places)
        sealed = self._main_store.take_sealed()
        if sealed is not None:
            self._hot_store.forget(sealed)
        self._client.publish_all(pipeline.committed(self._hot_store.take_committed(), now_us=now_us))
        self._client.commit(self._hot_store.take_committed_tokens())
        if self._catch_up is not None and self._has_caught_up(self._catch_up):
            self._main_store.write(self._catch_up.take_up(self._database))
            with reading(self._database.hot) as db:
                replay_guard(db, pipeline.guard, now_us=now_us, came=self._catch_up.came_of_values)
            self._catch_up = None
            pipeline.resume_showing()
        dropped_backfill_count = pipeline.dropped_backfill_count
        effects = pipeline.step(
            self._take(), now_us=now_us, is_storing=self._hot_store.is_storing, has_room=self._hot_store.has_room
        )
        if self._catch_up is not None:
            self._catch_up.note(effects.to_store.blocks)
        if not self._hot_store.offer(effects.to_store, tokens=effects.tokens):
            self._refused_group_count += 1
            pipeline.refused(effects, now_us=now_us)
            self._client.owes_redelivery |= bool(effects.tokens)
        self._client.owes_redelivery |= pipeline.dropped_backfill_count > dropped_backfill_count
        if effects.live_frame is not None:
            self._client.publish(self._live_topic, effects.live_frame)
        self._client.publish_all(effects.outgoing)
        for assignment in effects.started:
            self._client.publish(*changed_message(Change(table=DEVICE_STARTED, id=assignment, version=1)))
        self._main_store.write(effects.ended)
        self._main_store.write_found(effects.found)
        for change in self._main_store.take_changes():
            self._client.publish(*changed_message(change), qos=1)
        self._tend(self._clock.monotonic_ns())

    def _tend(self, now_ns: int) -> None:
        """Look after the connection; ask again for what was dropped, once there is room for it."""
        self._client.tend(now_ns)
        has_room = self._hot_store.is_storing and not self._hot_store.n_queued_rows
        if self._client.owes_redelivery and has_room and now_ns - self._redelivered_ns > REDELIVERY_PERIOD_NS:
            self._redelivered_ns = now_ns
            self._client.redeliver()

    def _has_caught_up(self, catch_up: CatchUp) -> bool:
        """Bring the analysis on by what a step has time for; return whether it has come to where the devices are."""
        began_ns = self._clock.monotonic_ns()
        self._are_complete = self._are_complete or self._have_sent_again(began_ns)
        while catch_up.end(self._database) if self._are_complete else catch_up.go_on():
            if self._clock.monotonic_ns() - began_ns > CATCH_UP_SHARE_NS:
                return False
        return self._are_complete

    def _have_sent_again(self, now_ns: int) -> bool:
        """Return whether devices have sent again what they made while nobody listened, or have had time enough."""
        self._wanted_ns = self._wanted_ns or now_ns
        if now_ns - self._wanted_ns > CATCH_UP_GIVE_UP_NS:
            log.warning("devices could not send again in peace; what they still keep is stored, and not analysed")
            return True
        if not self._client.is_subscribed:
            self._subscribed_ns = None
            return False
        if self._subscribed_ns is None:
            self._subscribed_ns = now_ns
        heard_ns = now_ns - self._subscribed_ns
        is_whole = not self._pipeline.has_holes()
        if heard_ns > CATCH_UP_MAX_NS or (heard_ns > CATCH_UP_MIN_NS and is_whole):
            log.info("devices have sent again for %.1f s, %s", heard_ns * 1e-9, "whole" if is_whole else "with holes")
            return True
        return False

    def _take(self) -> list[Raw]:
        """Return the messages of devices; those of our own roles only wake the main store."""
        raws = self._client.take()
        if any(raw.topic.startswith(CHANGED) for raw in raws):
            self._main_store.look_again()
            return [raw for raw in raws if not raw.topic.startswith(CHANGED)]
        return raws

    def _tell_time(self) -> None:
        """Read the clock; the pipeline's time never runs backwards."""
        self._now_us = self._time.tell(self._clock.utc_ns() // 1000)


def restore_order(pipeline: LivePipeline, database: Database, places: Places, *, now_us: int) -> bool:
    """Take up order, clocks and scales from the store; return whether an open training session has blocks already."""
    worn = {device for training in places.trainings for device in training.devices}
    with reading(database.hot) as db:
        pipeline.follow(places)
        pipeline.restore(read_sequence_runs(db), lost=read_lost_gaps(db), missing=read_open_gaps(db), now_us=now_us)
        for fit in read_newest_clock_fits(db):
            clock = ClockFit(a_us=fit.a_us, b=fit.b, rmse_us=fit.rmse_us, n=FEW_PROBES)
            pipeline.slots.grid.note_clock(fit.device, fit.boot, clock, device_us=0)
        for device, (meta, _) in read_device_reports(db).items():
            pipeline.slots.note_meta(device, read_meta(meta) or {})
        return has_blocks_of(db, worn)
