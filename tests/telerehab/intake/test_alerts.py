"""Limits on the live stream become alerts: found in time, written once, told, and found again after a restart."""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
import pytest
from sqlmodel import col, select

from devices.clock_sync import ClockFit
from devices.effects import ClockFitted, StepEffects
from devices.wire import EVENT_DTYPE, EventCode, Schema
from telerehab.attribution import Lending
from telerehab.auth.key_ring import KeyRing
from telerehab.care.safety import Cause, Limits, SafetyEvent, alert_id, write_limits
from telerehab.clock import ManualClock, SystemClock, from_us, utc_now
from telerehab.db import provisioning
from telerehab.db.changes import Change
from telerehab.db.engine import Database, reading, writing
from telerehab.db.tables import Alert, AlertAcknowledgement, Organisation, PlanVersion, TrainingSession
from telerehab.db.workers import Heartbeat
from telerehab.intake import main_store
from telerehab.intake.guard import FoundEvent, Guard
from telerehab.intake.guard_replay import replay_guard
from telerehab.intake.hot_store import HotStore
from telerehab.intake.main_store import MainStore, read_untold, write_alerts
from telerehab.intake.places import Places, Training, read_places
from telerehab.live_pipeline import Effects
from tests.telerehab.intake.bodies import PATIENT, START_US, STEP_US, House, knee, training
from tests.telerehab.intake.straps import EVENTS, SECOND_US, SPO2, Strap
from tests.telerehab.intake.test_main_store import wait_until

LIMITS = Limits(heart_rate_max_per_min=150, heart_rate_min_per_min=45, spo2_min_percent=90)
TRAINING_SESSION = UUID(int=1)
WORN = frozenset({"thigh-1", "shank-1", "heart-1", "heart-2"})


def judged(**changed: Any) -> Training:
    values: dict[str, Any] = {"limits": LIMITS, "worn": WORN, "spo2": "heart-2", **changed}
    return training(**values)


def keep(house: House, database: Database) -> None:
    """Store what the house has stored so far in the real hot store."""
    store = HotStore(database.hot, group_wait_s=0, queue_max_rows=1_000_000)
    for effects in house.effects:
        assert store.offer(effects.to_store)
    store.start()
    assert store.close(timeout_s=10)


def found_again(house: House, database: Database, *, came: Sequence[Effects] = ()) -> list[FoundEvent]:
    """Return what an intake finds that begins with nothing but the stores, and with what has just come."""
    guard = Guard()
    guard.follow(house.places)
    with reading(database.hot) as db:
        replay_guard(
            db, guard, now_us=house.now_us, came=[block for effects in came for block in effects.to_store.blocks]
        )
    return list(guard.look(house.now_us))


def found_in(house: House) -> list[FoundEvent]:
    return [each for effects in house.effects for each in effects.found]


def seen_us(house: House) -> int:
    """Return when the first event left the pipeline."""
    return START_US + STEP_US * (1 + next(index for index, effects in enumerate(house.effects) if effects.found))


def feed(house: House, strap: Strap, values: Sequence[int]) -> None:
    """Let a strap send a value a second, each in a block of its own."""
    for value in values:
        house.run(1)
        house.send(strap.raw([value], at_us=house.now_us))
    house.run(0.05)


# --- on the live stream ----------------------------------------------------------------------------------------------


def test_H6_a_heart_rate_over_the_limit_is_found_within_two_seconds_of_its_tenth_second() -> None:
    house = House([], [judged()])
    feed(house, Strap(name="heart-1"), [120] * 5 + [151] * 15)
    (found,) = found_in(house)
    assert (found.training_session, found.event.cause) == (TRAINING_SESSION, Cause.HEART_RATE_HIGH)
    assert (found.event.value, found.event.limit) == (151, 150)
    step_us = START_US + 6 * SECOND_US
    assert abs(found.event.onset_us - step_us) < SECOND_US
    assert 0 <= seen_us(house) - step_us - 10 * SECOND_US <= 2 * SECOND_US


@pytest.mark.parametrize("values", [[150] * 40, [149] * 40, [0] * 40, [151, 0, 0, 0] * 3, [45] * 40, [46] * 40])
def test_H6_at_the_limit_inside_it_and_without_skin_nothing_is_found(values: list[int]) -> None:
    house = House([], [judged()])
    feed(house, Strap(name="heart-1"), values)
    assert found_in(house) == []


def test_H6_a_block_that_holds_many_seconds_counts_for_all_of_them() -> None:
    house = House([], [judged()])
    house.run(15)
    house.send(Strap(name="heart-1").raw([170] * 11, at_us=house.now_us))
    house.run(0.05)
    (found,) = found_in(house)
    assert found.event.at_us - found.event.onset_us == 10 * SECOND_US


def test_H6_what_a_stalled_link_brings_at_once_counts_for_the_time_in_which_it_was_taken() -> None:
    house = House([], [judged()])
    strap = Strap(name="heart-1")
    feed(house, strap, [110] * 5)
    stalled = [strap.raw([160], at_us=0) for _ in range(15)]
    house.run(15)
    house.send(*(raw._replace(received_us=house.now_us) for raw in stalled))
    house.run(0.05)
    (found,) = found_in(house)
    assert abs(found.event.onset_us - START_US - 6 * SECOND_US) < SECOND_US
    assert found.event.at_us - found.event.onset_us == 10 * SECOND_US


@pytest.mark.parametrize(
    ("jump_us", "late_max_s"),
    [
        (-3_600_000_000, 12),  # intake takes ten blocks to believe such a clock
        (-20_000_000, 22),  # the values stand still as long as the clock was set back
        (20_000_000, 2),
        (3_600_000_000, 12),
    ],
)
def test_H12_a_devices_clock_that_jumps_within_a_boot_silences_no_limit(jump_us: int, late_max_s: float) -> None:
    house = House([], [judged()])
    strap = Strap(name="heart-1", clock_us=7_200_000_000)
    feed(house, strap, [110] * 5)
    strap.clock_us += jump_us
    feed(house, strap, [160] * 45)
    assert len(found_in(house)) == 1
    assert (seen_us(house) - START_US) / SECOND_US - 16 <= late_max_s


def test_H12_a_device_that_starts_anew_counts_by_its_new_clock() -> None:
    house = House([], [judged()])
    strap = Strap(name="heart-1", clock_us=60_000_000)
    feed(house, strap, [110] * 5)
    strap.boot, strap.sequence, strap.clock_us = 2, 0, strap.clock_us - 20_000_000
    feed(house, strap, [160] * 15)
    assert (seen_us(house) - START_US) / SECOND_US - 16 <= 2


def test_H12_a_devices_clock_that_jumps_or_begins_anew_changes_nothing() -> None:
    house = House([], [judged()])
    strap = Strap(name="heart-1")
    for change in (-3_600_000_000, 7_200_000_000, 0):
        strap.clock_us = max(strap.clock_us + change, 0)
        strap.boot, strap.sequence = strap.boot + 1, 0
        feed(house, strap, [160] * 4)
    (found,) = found_in(house)
    assert abs(found.event.at_us - found.event.onset_us - 10 * SECOND_US) < SECOND_US


def test_a_low_saturation_and_a_hint_of_a_fall_are_found() -> None:
    house = House([], [judged()])
    feed(house, Strap(name="heart-2", schema=SPO2), [97] * 3 + [89] * 12)
    events = Strap(name="heart-1", schema=EVENTS)
    house.send(events.raw([0, 1, 3, 4, 9, 65535], at_us=house.now_us))
    house.run(1.05)
    assert len(found_in(house)) == 1
    house.send(events.raw([3, 2, 9], at_us=house.now_us))
    house.run(0.05)
    assert [each.event.cause for each in found_in(house)] == [Cause.SPO2_LOW, Cause.FALL_HINT]


def test_a_sensor_that_falls_silent_is_found_and_one_that_never_spoke_is_not() -> None:
    house = House(knee(), [judged()])
    house.run(3)
    house.sensors[1].is_delayed = True
    house.run(14)
    house.follow([judged()])  # as every two seconds: it stands as it was
    house.run(14)
    assert found_in(house) == []
    house.run(4)
    (found,) = found_in(house)
    assert (found.event.cause, found.event.stream) == (Cause.STREAM_LOST, "shank-1")


def test_where_the_organisation_only_measures_nothing_is_found_and_the_heart_rate_is_shown() -> None:
    house = House(knee(), [judged(limits=None)])
    feed(house, Strap(name="heart-1"), [170] * 15)
    assert found_in(house) == []
    assert house.entries()[-1]["heart_rate"] == 170


def test_H7_after_a_confirmation_a_heart_rate_that_is_still_too_high_is_found_again() -> None:
    house = House([], [judged()])
    strap = Strap(name="heart-1")
    feed(house, strap, [170] * 30)
    assert len(found_in(house)) == 1
    house.follow([judged(confirmed_us=house.now_us)])
    feed(house, strap, [170] * 9)
    house.follow([judged(confirmed_us=START_US + 30_050_000)])  # as every two seconds: it stands as it was
    assert len(found_in(house)) == 1
    feed(house, strap, [170] * 4)
    assert len(found_in(house)) == 2


def test_a_training_session_that_is_closed_is_not_judged_any_more() -> None:
    house = House([], [judged()])
    strap = Strap(name="heart-1")
    feed(house, strap, [170] * 5)
    house.follow([])
    feed(house, strap, [170] * 10)
    assert found_in(house) == []


# --- in the database -------------------------------------------------------------------------------------------------


class Clinic:
    """A patient with a heart-rate strap in an open training session."""

    def __init__(self, database: Database, key_ring: KeyRing) -> None:
        self.database = database
        with writing(database.main, owner="web") as db:
            self.organisation_id = provisioning.create_organisation(db, name="clinic").id
            self.patient_id = provisioning.create_patient(
                db, key_ring=key_ring, organisation_id=self.organisation_id, name="Patient"
            ).id
            self.account_id = provisioning.create_account(
                db, organisation_id=self.organisation_id, email="ida@clinic.example", display_name="Ida"
            ).id
            provisioning.create_device(db, organisation_id=self.organisation_id, name="heart-1", kind="heart")
            provisioning.assign_device(
                db, device_name="heart-1", patient_id=self.patient_id, body_site=None, starts_at=from_us(START_US)
            )
            db.add(
                TrainingSession(
                    id=TRAINING_SESSION,
                    patient_id=self.patient_id,
                    exercise="knee_extension_seated",
                    side="right",
                    opened_at=from_us(START_US),
                    opened_by=self.account_id,
                )
            )

    def serve(self, service: str) -> None:
        with writing(self.database.main, owner="web") as db:
            organisation = db.get_one(Organisation, self.organisation_id)
            organisation.service = service
            db.add(organisation)

    def plan(self, number: int, limits: Limits, *, valid_from: date) -> UUID:
        with writing(self.database.main, owner="web") as db:
            version = PlanVersion(
                patient_id=self.patient_id,
                number=number,
                content={"items": [], "limits": write_limits(limits)},
                content_hash="0" * 64,
                valid_from=valid_from,
                author_id=self.account_id,
                reason_sealed=b"-",
                created_at=from_us(START_US),
            )
            db.add(version)
            db.flush()
            return version.id

    def trains_by(self, version_id: UUID | None) -> None:
        with writing(self.database.main, owner="web") as db:
            training_session = db.get_one(TrainingSession, TRAINING_SESSION)
            training_session.plan_version_id = version_id
            db.add(training_session)

    def acknowledge(self, alert: UUID, action: str, *, at_us: int) -> None:
        with writing(self.database.main, owner="web") as db:
            acknowledgement = AlertAcknowledgement(
                alert_id=alert, account_id=self.account_id, action=action, at=from_us(at_us)
            )
            db.add(acknowledgement)

    def places(self, now_us: int = START_US) -> Places:
        with reading(self.database.main) as db:
            return read_places(db, now=from_us(now_us))

    def alerts(self) -> list[Alert]:
        with reading(self.database.main) as db:
            return list(db.exec(select(Alert).order_by(col(Alert.began_at))))


@pytest.fixture
def clinic(database: Database, key_ring: KeyRing) -> Clinic:
    return Clinic(database, key_ring)


def high(onset_s: int, *, cause: Cause = Cause.HEART_RATE_HIGH, stream: str | None = None) -> FoundEvent:
    onset_us = START_US + onset_s * SECOND_US
    event = SafetyEvent(
        cause=cause, onset_us=onset_us, at_us=onset_us + 10 * SECOND_US, value=160, limit=150, stream=stream
    )
    return FoundEvent(training_session=TRAINING_SESSION, event=event)


def test_H14_an_event_becomes_one_row_however_often_it_is_found(clinic: Clinic) -> None:
    first = high(0)
    (change,) = write_alerts(clinic.database.main, [first, first])
    assert write_alerts(clinic.database.main, [first]) == []
    (row,) = clinic.alerts()
    assert (change.table, change.id) == ("alert", row.id)
    assert row.id == alert_id(TRAINING_SESSION, first.event)
    assert (row.patient_id, row.organisation_id) == (clinic.patient_id, clinic.organisation_id)
    assert (row.cause, row.value, row.limit_value, row.found_by) == ("heart_rate_high", 160, 150, "ingest")
    assert (row.is_stop, row.needs_confirmation_by) == (True, "therapist")
    assert row.found_at - row.began_at == timedelta(seconds=10)


def test_H14_an_onset_that_is_seen_a_little_elsewhere_after_a_restart_is_the_same_episode(clinic: Clinic) -> None:
    write_alerts(clinic.database.main, [high(0)])
    clinic.acknowledge(clinic.alerts()[0].id, "seen", at_us=START_US + 20 * SECOND_US)
    assert write_alerts(clinic.database.main, [high(3)]) == []
    assert len(clinic.alerts()) == 1


def test_H9_while_nobody_has_seen_an_alert_a_second_one_of_its_cause_is_not_written(clinic: Clinic) -> None:
    write_alerts(clinic.database.main, [high(0)])
    assert write_alerts(clinic.database.main, [high(600)]) == []
    assert len(write_alerts(clinic.database.main, [high(610, cause=Cause.SPO2_LOW)])) == 1
    clinic.acknowledge(clinic.alerts()[0].id, "seen", at_us=START_US + 700 * SECOND_US)
    assert len(write_alerts(clinic.database.main, [high(800)])) == 1
    assert len(clinic.alerts()) == 3


def test_H9_sensors_that_fall_silent_together_are_one_alert_that_stops_nothing(clinic: Clinic) -> None:
    lost = [high(at_s, cause=Cause.STREAM_LOST, stream=name) for at_s, name in ((0, "heart-1"), (2, "shank-1"))]
    assert len(write_alerts(clinic.database.main, lost)) == 1
    (row,) = clinic.alerts()
    assert (row.is_stop, row.needs_confirmation_by, row.data) == (False, None, {"stream": "heart-1"})


def test_an_event_of_a_training_session_that_is_gone_does_not_stop_the_others(clinic: Clinic) -> None:
    gone = FoundEvent(training_session=uuid4(), event=high(0).event)
    assert len(write_alerts(clinic.database.main, [gone, high(0)])) == 1


def test_an_event_that_comes_after_its_training_session_was_taken_back_stands_at_nobody(clinic: Clinic) -> None:
    with writing(clinic.database.main, owner="web") as db:
        db.get_one(TrainingSession, TRAINING_SESSION).retracted_at = utc_now(SystemClock())
    write_alerts(clinic.database.main, [high(0)])
    (row,) = clinic.alerts()
    assert row.retracted_at is not None


def test_events_that_come_while_a_full_queue_is_written_are_written_too(
    sqlite_database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[FoundEvent] = []
    heartbeat = Heartbeat(sqlite_database.main, role="ingest", clock=SystemClock())
    heartbeat.register()
    monkeypatch.setattr(main_store, "QUEUE_MAX_EVENTS", 2)
    store = MainStore(sqlite_database.main, heartbeat=heartbeat, status=dict, clock=SystemClock())

    def write(_engine: object, found: Sequence[FoundEvent]) -> list[Change]:
        if found and not written:
            store.write_found([high(200)])
        written.extend(found)
        return []

    monkeypatch.setattr(main_store, "write_alerts", write)
    store.write_found([high(0), high(100)])
    store.start()
    wait_until(lambda: len(written) == 3)
    assert store.close(timeout_s=5)
    assert [each.event.onset_us for each in written] == [high(at_s).event.onset_us for at_s in (0, 100, 200)]


def test_H14_what_was_written_and_perhaps_not_told_is_told_again_at_the_start(clinic: Clinic) -> None:
    (written,) = write_alerts(clinic.database.main, [high(0)])
    heartbeat = Heartbeat(clinic.database.main, role="ingest", clock=SystemClock())
    heartbeat.register()
    store = MainStore(clinic.database.main, heartbeat=heartbeat, status=dict, clock=ManualClock())
    store.start()
    store.look_again()
    told: list[Change] = []

    def has_told(count: int) -> bool:
        told.extend(store.take_changes())
        return len(told) >= count

    wait_until(lambda: has_told(1))
    assert [change.id for change in told] == [written.id]
    store.write_found([high(0), high(5, cause=Cause.SPO2_LOW)])
    wait_until(lambda: has_told(2))
    assert store.close(timeout_s=5)
    assert len(told) == len(clinic.alerts()) == 2
    clinic.acknowledge(written.id, "seen", at_us=START_US)
    assert [change.id for change in read_untold(clinic.database.main, since=from_us(START_US))] == [told[1].id]


def test_H14_a_killed_intake_finds_the_same_alert_again_in_what_is_stored(database: Database) -> None:
    house = House([], [judged()])
    feed(house, Strap(name="heart-1"), [110] * 20 + [160] * 12)
    keep(house, database)
    assert len(found_in(house)) == 1
    assert found_again(house, database) == found_in(house)


@pytest.mark.parametrize("stored_count", [0, 5, 14, 20])
def test_H14_what_a_killed_intake_finds_again_needs_not_be_stored_yet(database: Database, stored_count: int) -> None:
    house = House([], [judged()])
    feed(house, Strap(name="heart-1"), [170] * 20)
    (known,) = found_in(house)
    came = house.effects[stored_count * 20 :]
    house.effects = house.effects[: (stored_count + 3) * 20]  # some of both
    keep(house, database)
    (found,) = found_again(house, database, came=came)
    assert abs(found.event.onset_us - known.event.onset_us) <= SECOND_US


def test_H14_what_came_before_the_training_session_opened_is_not_judged_in_it(database: Database) -> None:
    house = House([], [judged()])
    feed(house, Strap(name="heart-1"), [170] * 20)
    came = house.effects
    assert len(found_again(house, database, came=came)) == 1
    house.follow([judged(opened_us=house.now_us)])
    assert found_again(house, database, came=came) == []


def test_H14_blocks_that_a_device_kept_over_the_restart_count_in_their_place(database: Database) -> None:
    house = House([], [judged()])
    strap = Strap(name="heart-1")
    feed(house, strap, [110, 110, 110, 160, 160, 160, 160])
    kept = [strap.raw([160], at_us=0, is_backfill=True) for _ in range(20)]
    house.run(20)
    feed(house, strap, [110, 110])
    house.send(*(raw._replace(received_us=house.now_us) for raw in kept))
    house.run(0.2)
    keep(house, database)
    assert found_in(house) == [], "live values alone do not show it"
    (found,) = found_again(house, database)
    assert abs(found.event.onset_us - START_US - 4 * SECOND_US) < SECOND_US
    assert found.event.at_us - found.event.onset_us == 10 * SECOND_US


def test_H7_what_was_confirmed_before_the_restart_is_not_found_again(database: Database) -> None:
    house = House([], [judged()])
    feed(house, Strap(name="heart-1"), [160] * 12 + [110] * 3)
    keep(house, database)
    house.follow([judged(confirmed_us=house.now_us)])
    assert found_again(house, database) == []


# --- by which limits -------------------------------------------------------------------------------------------------


def test_without_a_plan_the_usual_limits_hold(clinic: Clinic) -> None:
    assert clinic.places().trainings[0].limits == Limits()


def test_the_plan_in_force_on_the_day_judges_and_the_one_that_is_trained_before_it(clinic: Clinic) -> None:
    today = from_us(START_US).date()
    first = clinic.plan(1, Limits(pain_max=5), valid_from=today - timedelta(days=9))
    clinic.plan(2, Limits(pain_max=6), valid_from=today - timedelta(days=1))
    clinic.plan(3, Limits(pain_max=4), valid_from=today + timedelta(days=9))
    limits = clinic.places().trainings[0].limits
    assert limits is not None
    assert limits.pain_max == 6
    clinic.trains_by(first)
    limits = clinic.places().trainings[0].limits
    assert limits is not None
    assert limits.pain_max == 5


def test_limits_that_make_no_sense_leave_the_usual_ones(clinic: Clinic) -> None:
    version = clinic.plan(1, Limits(), valid_from=from_us(START_US).date())
    with writing(clinic.database.main, owner="web") as db:
        row = db.get_one(PlanVersion, version)
        row.content = {"items": [], "limits": {"pain_max": "seven"}}
        db.add(row)
    assert clinic.places().trainings[0].limits == Limits()


def test_an_organisation_that_only_measures_has_no_limits_and_one_without_sensors_no_analysis(clinic: Clinic) -> None:
    clinic.serve("measure_only")
    (trained,) = clinic.places().trainings
    assert trained.limits is None
    assert trained.heart == "heart-1"
    clinic.serve("communication_only")
    assert clinic.places().trainings == ()
    assert clinic.places().known_devices == {"heart-1"}


def test_H7_only_the_word_to_go_on_lets_intake_begin_anew(clinic: Clinic) -> None:
    write_alerts(clinic.database.main, [high(0)])
    (row,) = clinic.alerts()
    clinic.acknowledge(row.id, "seen", at_us=START_US + 15 * SECOND_US)
    assert clinic.places().trainings[0].confirmed_us == 0
    clinic.acknowledge(row.id, "may_continue", at_us=START_US + 20 * SECOND_US)
    assert clinic.places().trainings[0].confirmed_us == START_US + 20 * SECOND_US


def test_H8_the_patients_word_after_their_own_stop_wipes_out_no_hint_of_a_fall_that_comes_late(clinic: Clinic) -> None:
    write_alerts(clinic.database.main, [high(0, cause=Cause.STOP_PRESSED)])
    clinic.acknowledge(clinic.alerts()[0].id, "may_continue", at_us=START_US + 30 * SECOND_US)
    guard = Guard()
    guard.follow(clinic.places())
    hint = np.array([(0, EventCode.FALL_HINT, 0)], dtype=EVENT_DTYPE)
    guard.note_rows("heart-1", Schema.EVENTS, hint, last_us=START_US + 29 * SECOND_US)
    assert [each.event.cause for each in guard.look(START_US + 31 * SECOND_US)] == [Cause.FALL_HINT]


# --- of whom the values are ------------------------------------------------------------------------------------------


def old_strap(house: House, *, began_us: int) -> Strap:
    """Return a strap whose boot has a clock fit: what it sends next was taken from `began_us` on."""
    strap = Strap(name="heart-1")
    fit = ClockFit(a_us=float(began_us - strap.clock_us), b=1.0, rmse_us=0.0, n=9)
    house.pipeline.slots.grid.note_clock("heart-1", 1, fit, device_us=0)
    house.effects.append(
        Effects(
            to_store=StepEffects(clock_fits=[ClockFitted(device="heart-1", boot=1, from_us=0, fit=fit)]), outgoing=()
        )
    )
    return strap


@pytest.mark.parametrize(("lent_s", "found_count"), [(0, 1), (100, 0)])
def test_hazard_h2_values_of_an_earlier_wearer_are_neither_shown_nor_judged(
    database: Database, lent_s: int, found_count: int
) -> None:
    lending = Lending(PATIENT, START_US + lent_s * SECOND_US)
    house = House([], [judged()], now_us=START_US + 100 * SECOND_US, lendings={"heart-1": lending})
    strap = old_strap(house, began_us=START_US + 50 * SECOND_US)
    feed(house, strap, [170] * 20)
    assert len(found_in(house)) == found_count
    assert {int(entry["heart_rate"]) for entry in house.entries()} <= ({0, 170} if found_count else {0})
    keep(house, database)
    assert len(found_again(house, database)) == found_count


@pytest.mark.parametrize("has_fit", [True, False])
def test_hazard_h2_what_a_device_kept_of_an_earlier_wearer_is_not_found_after_a_restart(
    database: Database, has_fit: bool
) -> None:
    lending = Lending(PATIENT, START_US + 100 * SECOND_US)
    house = House([], [judged()], now_us=START_US + 100 * SECOND_US, lendings={"heart-1": lending})
    strap = old_strap(house, began_us=START_US) if has_fit else Strap(name="heart-1")
    for _ in range(20):
        house.send(strap.raw([170], at_us=house.now_us, is_backfill=True))
        house.run(1)
    keep(house, database)
    assert found_again(house, database) == []
