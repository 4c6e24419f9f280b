"""From frames to live frames in made-up time: counting, clocks, rates, silence, lateness, a store that refuses."""

import struct
import zlib
from dataclasses import replace
from uuid import UUID

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.results import Phase, Reason
from devices.clock_sync import ClockSync
from devices.effects import SequenceRun
from devices.ports import Raw, Token
from devices.wire import HEADER_DTYPE
from telerehab import live_frame, live_pipeline
from telerehab.attribution import Lending
from telerehab.intake.grid import DRIFT_MAX_US, LEAD_IN_US, LiveGrid
from telerehab.live_pipeline import LivePipeline
from tests.devices.encoder import frame
from tests.telerehab.intake.bodies import (
    GYRO_NOISE,
    GYRO_SCALE,
    RANGE_DEG,
    REPETITION_S,
    START_US,
    STILL_S,
    House,
    Sensor,
    extension_deg,
    knee,
    swing,
    training,
)

SKEW_KNOWN_S = 120  # before that, six good probes do not span enough to tell how fast a clock runs
TURN = 2 * np.pi * 0.5  # of `swing` [rad/s]


def angles_deg(house: House, training_session: int = 1) -> NDArray[np.float64]:
    """Return all angles that the screens saw, one row a frame, NaN where unknown."""
    angle = np.array([entry["angle"] for entry in house.entries(training_session)], np.float64)
    return np.where(angle == live_frame.UNKNOWN_ANGLE, np.nan, angle / 100)


def fields(entry: NDArray[np.void], *names: str) -> list[int]:
    return [int(entry[name]) for name in names]


def swing_time_error_s(house: House, column: int, *, n: int = 200) -> float:
    """Return how far a column's samples lie from the server times of their places, by the phase of the swing."""
    grid = house.pipeline.slots.grid
    samples, valid = grid.ring.last(column, n)
    assert valid.all()
    head = int(grid.ring.heads[column])
    t_s = np.array([(grid.server_us_at(column // 2, index) - START_US) * 1e-6 for index in range(head - n, head)])
    speed = samples[4] * GYRO_SCALE / 100
    seen = np.angle(np.mean(speed * np.exp(-1j * TURN * t_s)))
    return float((seen - (-np.pi / 2)) / TURN)


def test_repetitions_are_counted_timed_and_shown() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 3 * REPETITION_S)
    assert [ended.index for ended in house.ended] == [0, 1, 2]
    for ended in house.ended:
        assert ended.training_session == UUID(int=1)
        began_s = STILL_S + ended.index * REPETITION_S
        assert began_s - 0.1 < (ended.start_us - START_US) * 1e-6 < began_s + 0.7
        assert (ended.peak_us - START_US) * 1e-6 == pytest.approx(began_s + 1.25, abs=0.25)
        assert began_s + 1.8 < (ended.stop_us - START_US) * 1e-6 < began_s + 2.8
        assert ended.row["rom_deg"] == pytest.approx(RANGE_DEG, abs=5)
    last = house.entries()[-1]
    assert fields(last, "repetitions", "flags", "reason") == [3, 0, Reason.NONE]
    assert last["last_rom"] / 10 == pytest.approx(RANGE_DEG, abs=5)
    assert fields(last, "target_low", "target_high") == [0, 2_000]
    assert last["age_ms"] <= 110
    assert [tick for tick in np.diff([now_us for now_us, _ in house.frames]) if tick != 100_000] == []


def test_the_shown_angle_is_that_of_the_knee_at_the_time_that_the_age_tells() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + 2 * REPETITION_S)
    angle, sent_us = angles_deg(house), np.array([now_us for now_us, _ in house.frames])
    age_us = np.array([entry["age_ms"] for entry in house.entries()]) * 1_000.0
    t_s = (sent_us - age_us - START_US)[:, None] * 1e-6 - np.arange(9, -1, -1) * 0.01
    moving = t_s[:, 0] > STILL_S
    error = angle - (90 - extension_deg(t_s - 0.07))  # the low-pass of the analysis is some 70 ms behind
    assert np.sqrt(np.nanmean(error[moving] ** 2)) < 5


def test_sensors_whose_clocks_run_apart_stay_side_by_side() -> None:
    sensors = [
        Sensor(name="thigh-1", signal=swing, drift_ppm=300),
        Sensor(name="shank-1", signal=swing, drift_ppm=-300, clock_offset_us=9_000_000_000),
    ]
    house = House(sensors, [training()])
    for _ in range(4):
        house.run(15)
        for column in (0, 1):
            assert abs(swing_time_error_s(house, column)) < 0.012  # without correction 36 ms apart after a minute
    assert house.pipeline.slots.grid.slip_count > 0
    assert house.pipeline.slots.jump_count == 0


def test_a_sensor_of_25_hz_reaches_the_grid_of_100_hz() -> None:
    sensors = [
        Sensor(name="thigh-1", signal=swing),
        Sensor(name="shank-1", signal=swing, period_us=40_000, n_samples=5, clock_offset_us=123_456_789),
    ]
    house = House(sensors, [training()])
    house.run(8)
    ring = house.pipeline.slots.grid.ring
    samples, valid = ring.last(1, 400)
    assert valid.all()
    assert abs(swing_time_error_s(house, 1)) < 0.008
    grid = house.pipeline.slots.grid
    at_s = np.array([grid.server_us_at(0, int(ring.heads[1]) - 400 + index) - START_US for index in range(400)]) * 1e-6
    expected = 100 * np.sin(TURN * at_s)
    assert np.abs(samples[4] * GYRO_SCALE - expected).max() < 3.2 + 5 * GYRO_NOISE  # 10 ms of the fastest turn


def test_blocks_that_come_late_are_stored_and_change_nothing_on_the_screen() -> None:
    def house_with_a_hole() -> House:
        house = House(knee(), [training()])
        house.run(STILL_S + 1)
        house.sensors[1].is_silent = True
        house.run(0.3)
        house.sensors[1].is_silent = False
        house.run(1)
        return house

    without, late = house_with_a_hole(), house_with_a_hole()
    kept = late.sensors[1].kept
    assert len(kept) == 3
    late.send(*reversed(kept))
    without.run(3)
    late.run(3)
    assert np.array_equal(angles_deg(late), angles_deg(without), equal_nan=True)
    assert {raw.payload for raw in kept} <= set(late.stored.values())
    assert not {raw.payload for raw in kept} & set(without.stored.values())


def test_a_silent_sensor_makes_values_older_and_unknown_while_others_go_on() -> None:
    house = House(knee(1) + knee(2), [training(1), training(2)])
    house.run(STILL_S)
    house.sensors[1].is_silent = True
    house.run(3)
    silent, other = house.entries(1)[-30:], house.entries(2)[-30:]
    ages_ms = [int(entry["age_ms"]) for entry in silent]
    assert np.diff(ages_ms[5:]).tolist() == [100] * 24
    assert ages_ms[-1] > 2_800
    assert np.isnan(angles_deg(house, 1)[-25:]).all()
    assert [int(entry["flags"]) for entry in silent[::29]] == [0, live_frame.FLAG_SENSOR_LOST]
    assert silent[-1]["reason"] == Reason.DATA_MISSING
    assert max(int(entry["age_ms"]) for entry in other) <= 110
    assert not np.isnan(angles_deg(house, 2)[-25:]).any()


def test_after_a_silence_the_newest_samples_are_shown_and_the_gap_is_known() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S)
    house.sensors[0].is_silent = True
    house.run(5)
    house.sensors[0].is_silent = False
    house.run(4)
    assert house.pipeline.slots.jump_count == 1
    assert house.entries()[-1]["age_ms"] <= 110
    assert house.entries()[-1]["completeness"] < 100
    assert not np.isnan(angles_deg(house)[-5:]).any()
    house.run(2 * REPETITION_S)
    assert house.entries()[-1]["repetitions"] >= 1


def test_what_is_skipped_after_a_long_stall_is_told_as_a_gap() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S)
    n_frames = len(house.entries())
    house.now_us += 7_000_000  # nothing was done meanwhile, everything arrives at once
    house.run(0.5)
    assert house.pipeline.slots.jump_count == 1
    assert house.entries()[-1]["age_ms"] <= 110
    assert np.isnan(angles_deg(house)[n_frames : n_frames + 4]).all()
    assert house.entries()[-1]["completeness"] < 100
    assert {int(entry["flags"]) for entry in house.entries()[:n_frames]} == {0}
    house.run(20)
    assert house.entries()[-1]["flags"] == live_frame.FLAG_PARTIAL, "the count has a hole for good"
    house.follow([training(exercise="heel_slide")])
    house.run(0.2)
    assert not house.entries()[-1]["flags"] & live_frame.FLAG_PARTIAL


def test_what_stays_behind_after_a_clock_slip_is_skipped_and_values_are_fresh_again() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S - 1)
    age_ms = int(house.entries()[-1]["age_ms"])
    house.pipeline.slots.grid._slip(1, samples=-1)  # nine samples wait at every tick from now on
    house.pipeline.slots.grid._clock_a_us[1] -= 10_000
    house.run(0.5)
    assert house.entries()[-1]["age_ms"] == age_ms + 100
    house.run(4)  # the first repetition lies in it: nothing is skipped while the knee moves
    assert house.entries()[-1]["age_ms"] <= age_ms + 10
    assert len(house.ended) == 1
    assert house.entries()[-1]["completeness"] == 100


def test_a_short_delay_is_made_up_for() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S)
    sensor = house.sensors[0]
    sensor.is_delayed = True
    house.run(0.5)
    sensor.is_delayed = False
    house.send(*sensor.kept)
    house.run(1.5)
    assert house.pipeline.slots.jump_count == 0
    assert house.entries()[-1]["age_ms"] <= 110
    assert house.entries()[-1]["completeness"] == 100


def test_what_is_committed_is_acknowledged_and_nothing_before() -> None:
    house = House(knee(), [training()])
    house.run(1)
    assert house.acknowledged("thigh-1") >= 1
    house.is_storing = False
    house.run(3)
    assert house.acknowledged("thigh-1") <= 10
    assert house.entries()[-1]["flags"] == live_frame.FLAG_NOT_STORED
    house.is_storing = True
    house.run(2)
    assert house.entries()[-1]["flags"] == 0
    assert house.acknowledged("thigh-1") >= 45


def test_what_the_store_had_no_room_for_and_nobody_sends_again_is_handed_over_until_it_has() -> None:
    house = House(knee(), [training()])
    house.has_room = False
    house.run(2)
    refused_count = len(house.effects)
    house.has_room = True
    house.run(0.05)
    stored = house.effects[refused_count].to_store
    names = {"thigh-1", "shank-1"}
    assert {meta.device for meta in stored.device_meta} == names
    assert {state.device for state in stored.device_state} == names
    assert {fitted.device for fitted in stored.clock_fits} == names
    assert {(gap.device, gap.start_sequence) for gap in stored.gaps_closed} >= {(name, 0) for name in names}
    house.run(0.05)
    assert house.effects[-1].to_store.device_meta == []


def test_backfill_gets_a_bounded_share_of_a_step_and_live_data_goes_first() -> None:
    house = House(knee(), [training()])
    house.run(1)
    many = Sensor(name="thigh-1", signal=lambda t_s: np.zeros((len(t_s), 6)), boot=9)
    kept = [Raw("bf/1/00/thigh-1/imu", many.make_block(flags=1), house.now_us) for _ in range(2_500)]
    house.send(*kept)
    before_count = len(house.stored)
    steps = []
    for _ in range(4):
        house.run(0.05)
        steps.append(house.effects[-1].to_store.blocks)
    assert [sum(block.boot == 9 for block in blocks) for blocks in steps] == [1_000, 1_000, 500, 0]
    assert sum(block.boot == 1 for blocks in steps for block in blocks) >= 2
    assert not house.pipeline.dropped_backfill_count
    house.run(0.1)
    assert len(house.stored) >= before_count + 2_500


def test_a_message_may_be_forgotten_by_the_broker_when_its_own_step_is_committed_and_no_sooner(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_pipeline, "BACKFILL_PER_STEP", 1)
    pipeline = LivePipeline()
    raws = [
        Raw("bf/1/00/band/imu", b"", 1, Token(0, 1)),
        Raw("bf/1/00/band/imu", b"", 1, Token(0, 2)),
        Raw("rt/1/00/band/imu", b"", 1, Token(0, 3)),
        Raw("rt/1/00/band/imu", b"", 1),
    ]
    steps = [pipeline.step(arrived, now_us=START_US, is_storing=True).tokens for arrived in (raws, [], [])]
    assert steps == [[Token(0, 3), Token(0, 1)], [Token(0, 2)], []], "whatever is wrong with them"


def test_backfill_that_waits_is_bounded_and_what_is_dropped_is_not_acknowledged(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(live_pipeline, "BACKFILL_WAITING_MAX", 30)
    house = House(knee(), [training()])
    many = Sensor(name="thigh-1", signal=lambda t_s: np.zeros((len(t_s), 6)), boot=9)
    house.send(*(Raw("bf/1/00/thigh-1/imu", many.make_block(flags=1), house.now_us) for _ in range(50)))
    house.run(1.5)
    assert house.pipeline.dropped_backfill_count == 20
    assert {key.sequence for key in house.stored if key.boot == 9} == set(range(30))
    assert [9, "imu", 30] in [entry for topic, entries in house.acks if topic == "ack/1/thigh-1" for entry in entries]


def test_devices_are_told_of_the_training_session_that_they_show() -> None:
    house = House(knee(), [training()])
    house.run(0.3)
    assert house.told == {"thigh-1": True, "shank-1": True, "heart-1": True}
    house.pipeline.follow(replace(house.places, trainings=()))
    house.run(0.1)
    assert house.told == {"thigh-1": False, "shank-1": False, "heart-1": False}


def test_nobody_is_asked_for_what_is_missing_while_it_could_not_be_kept() -> None:
    house = House(knee(), [training()])
    house.run(1)
    house.sensors[0].sequence += 1
    house.run(0.3)
    assert house.requests == []
    asked = []
    for is_storing, has_room in ((False, True), (True, False), (True, True)):
        house.now_us += 1_000_000
        effects = house.pipeline.step([], now_us=house.now_us, is_storing=is_storing, has_room=has_room)
        asked.append([message.topic for message in effects.outgoing if message.topic.endswith("/resend")])
    assert asked == [[], [], ["cmd/1/thigh-1/resend"]]


def test_blocks_for_which_the_store_had_no_room_are_asked_for_and_stored_when_they_come_again() -> None:
    house = House(knee(), [training()])
    house.run(1)
    house.has_room = False
    house.run(0.5)
    house.has_room = True
    house.run(1)
    missing = [sequence for sequence in range(20) if not any(key.sequence == sequence for key in house.stored)]
    assert len(missing) >= 4
    assert {request.topic for request in house.requests} == {"cmd/1/thigh-1/resend", "cmd/1/shank-1/resend"}
    for sensor in house.sensors:
        again = Sensor(name=sensor.name, signal=sensor.signal, clock_offset_us=sensor.clock_offset_us)
        for sequence in range(20):
            again.sequence = sequence
            house.send(Raw(f"bf/1/00/{sensor.name}/imu", again.make_block(flags=1), house.now_us))
    house.run(0.2)
    for sensor in house.sensors:
        stored = {key.sequence for key in house.stored if key.device == sensor.name}
        assert set(range(20)) <= stored
    house.run(1.5)
    assert min(house.acknowledged("thigh-1"), house.acknowledged("shank-1")) >= 20


def test_a_new_target_is_shown_without_calibrating_again() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S)
    house.follow([training(target_deg=(10.0, 30.0))])
    house.run(0.2)
    assert fields(house.entries()[-1], "target_low", "target_high") == [1_000, 3_000]
    assert house.entries()[-1]["phase"] not in (Phase.WAITING_STILL, Phase.CALIBRATING)


def test_a_closed_training_session_leaves_the_screen_and_its_slot_serves_the_next() -> None:
    house = House(knee(), [training()])
    house.run(STILL_S + REPETITION_S)
    assert house.entries()[-1]["repetitions"] == 1
    house.follow([])
    house.frames.clear()
    house.run(0.3)
    assert house.entries() == []
    house.follow([training(id=UUID(int=7))])
    house.run(0.4)
    assert house.entries(1) == []
    assert house.entries(7)[-1]["repetitions"] == 0
    assert house.entries(7)[-1]["phase"] == Phase.WAITING_STILL


def test_the_count_goes_on_when_a_sensor_is_exchanged_in_a_training_session() -> None:
    spare = Sensor(name="spare-1", signal=knee()[1].signal, clock_offset_us=42)
    house = House([*knee(), spare], [training()])
    house.run(STILL_S + REPETITION_S)
    assert house.entries()[-1]["repetitions"] == 1
    house.follow([training(distal="spare-1")])
    house.run(0.3)
    assert house.entries()[-1]["repetitions"] == 1
    assert house.entries()[-1]["phase"] in (Phase.WAITING_STILL, Phase.CALIBRATING)


def test_a_training_session_without_the_sensors_it_needs_is_shown_as_unknown() -> None:
    house = House(knee(), [training(proximal=None)])
    house.run(1)
    entry = house.entries()[-1]
    assert fields(entry, "phase", "reason", "flags") == [0, Reason.DATA_MISSING, live_frame.FLAG_SENSOR_LOST]
    assert fields(entry, "age_ms", "trust") == [live_frame.UNKNOWN_AGE_MS, live_frame.UNKNOWN_PERCENT]
    assert np.isnan(angles_deg(house)).all()


def test_a_boot_without_a_clock_fit_is_stored_and_not_shown() -> None:
    house = House(knee(), [training()])
    house.sensors[0].answer = lambda probe, *, now_us: None  # type: ignore[method-assign]
    house.run(2)
    assert house.pipeline.slots.grid.unplaced_block_count > 0
    assert house.entries()[-1]["age_ms"] == live_frame.UNKNOWN_AGE_MS
    assert len({key.sequence for key in house.stored if key.device == "thigh-1"}) >= 18


def test_a_sensor_that_starts_anew_goes_on_at_the_right_time() -> None:
    sensors = [Sensor(name="thigh-1", signal=swing), Sensor(name="shank-1", signal=swing)]
    house = House(sensors, [training()])
    house.run(3)
    again = Sensor(name="shank-1", signal=swing, boot=2, clock_offset_us=3_000, sequence=32)
    house.sensors[1] = again
    house.send(again.state())
    house.run(4)
    assert abs(swing_time_error_s(house, 1)) < 0.008
    assert house.entries()[-1]["age_ms"] <= 110


def test_the_newest_heart_rate_is_shown_for_five_seconds() -> None:
    house = House(knee(), [training()])
    body = bytes.fromhex("0000000048005503") + bytes.fromhex("e8b50c004b005c03")
    house.run(0.5)
    strap = Sensor(name="heart-1", signal=swing)
    house.send(Raw("rt/1/00/heart-1/heart", heart_frame(strap, body), house.now_us))
    house.run(0.2)
    assert house.entries()[-1]["heart_rate"] == 75
    house.run(4)
    assert house.entries()[-1]["heart_rate"] == 75
    house.run(1.5)
    assert house.entries()[-1]["heart_rate"] == live_frame.UNKNOWN_HEART_RATE


def test_only_as_many_are_analysed_as_there_are_slots_and_the_rest_is_stored() -> None:
    house = House(knee(1) + knee(2), [training(1), training(2)], pipeline=LivePipeline(capacity=1, window_samples=500))
    house.run(1)
    assert len(house.entries(1)) > 0
    assert house.entries(2) == []
    assert {key.device for key in house.stored} == {"thigh-1", "shank-1", "thigh-2", "shank-2"}
    house.follow([training(2)])
    house.run(0.5)
    assert len(house.entries(2)) > 0


def heart_frame(strap: Sensor, body: bytes) -> bytes:
    """Return a frame of schema 4."""
    head = struct.pack("<HBBHHIIQI", 0x5254, 1, 4, 0, len(body) // 8, strap.boot, 0, 5_000_000, 0)
    return head + struct.pack("<I", zlib.crc32(body, zlib.crc32(head))) + body


def test_rows_that_give_blocks_up_outlast_a_full_store(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_pipeline, "UNKEPT_MAX_GAPS", 1)
    pipeline = LivePipeline(capacity=1, window_samples=100)
    pipeline.pause_showing()
    pipeline.ingest.set_known_devices(["band-1"])
    state = Raw("dev/1/band-1/state", b'{"online": true, "boot": 1, "kept": [[1, "imu", 5]]}', START_US)
    frames = [Raw("rt/1/00/band-1/imu", frame(number), START_US) for number in (5, 9, 13, 17)]
    for raws in (frames, [state], []):
        effects = pipeline.step(raws, now_us=START_US, is_storing=False)
        pipeline.refused(effects, now_us=START_US)
    rows = pipeline.step([], now_us=START_US, is_storing=True).to_store
    assert [row.given_up for row in rows.gaps_closed if row.given_up] == [SequenceRun("band-1", 1, "imu", 0, 5)]


def test_hazard_h12_two_sensors_with_clocks_200_ppm_apart_stay_on_one_time_base_for_twenty_minutes() -> None:
    """Equal places of the grid are moments of both sensors that are never more than a sample and a half apart."""
    grid, start_us, minutes = LiveGrid(n_places=1, window=1_000), START_US, 20
    drift_ppm, origin_us = {"thigh-1": 200.0, "shank-1": -200.0}, {"thigh-1": 77_000_000, "shank-1": 9_000_000_000}
    grid.follow(dict.fromkeys(drift_ppm, Lending(UUID(int=7), start_us)))
    grid.open(0, sensors=("thigh-1", "shank-1"))
    clocks = {name: ClockSync() for name in drift_ppm}
    chance, sequence, apart_us = np.random.default_rng(4), dict.fromkeys(drift_ppm, 0), []

    def device_us(name: str, at_us: float) -> int:
        return round((at_us - start_us) * (1 + drift_ppm[name] * 1e-6)) + origin_us[name]

    for second in range(60 * minutes):
        now_us = start_us + (second + 1) * 1_000_000
        for name, clock in clocks.items():
            if second % 5 == 0:
                there_us, back_us = (8_000 + chance.exponential(4_000, 2)).round().tolist()
                stamp_us = device_us(name, now_us + there_us)
                assert clock.add_probe(now_us, stamp_us, stamp_us, round(now_us + there_us + back_us))
                fit = clock.fit()
                assert fit is not None
                grid.note_clock(name, 1, fit, device_us=stamp_us)
            made = sequence[name]
            while origin_us[name] + (made + 100) * 10_000 <= device_us(name, now_us):
                header = np.zeros(1, HEADER_DTYPE)
                header["boot"], header["n_samples"], header["period_us"] = 1, 100, 10_000
                header["t0_us"] = origin_us[name] + made * 10_000
                number = np.arange(made, made + 100)
                samples = np.zeros((1, 100, 6), np.int16)
                samples[0, :, 0], samples[0, :, 1] = number % 30_000, number // 30_000  # a sample says which it is
                grid.write([name], header, samples)
                made += 100
            sequence[name] = made
        newest = int(grid.newest().min())
        if second < SKEW_KNOWN_S:
            continue
        raw, valid = grid.window(np.array([newest]), 100)
        assert valid.all()
        true_us = []
        for column, name in enumerate(drift_ppm):
            number = raw[column, 0].astype(np.int64) + 30_000 * raw[column, 1].astype(np.int64)
            true_us.append(start_us + number * 10_000 / (1 + drift_ppm[name] * 1e-6))
        apart_us.append(np.abs(true_us[0] - true_us[1]).max())
    assert len(apart_us) > 1_000
    assert max(apart_us) <= 2 * DRIFT_MAX_US, "each column is at most so far from the grid"
    assert grid.slip_count >= 2 * 60 * minutes * 200 * 1e-6 / 0.01 * 0.8, "the clocks did run apart"


def test_hazard_h2_only_what_was_measured_while_the_sensors_were_lent_is_shown() -> None:
    """The training session is open from the start, the sensors are lent from the tenth to the twentieth second."""
    lent_us, back_us = START_US + 10_000_000, START_US + 20_000_000
    lendings = dict.fromkeys(("thigh-1", "shank-1"), Lending(UUID(int=7), lent_us, back_us))
    house = House(knee(), [training()], lendings=lendings)
    house.run(9)
    assert house.entries()[-1]["age_ms"] == live_frame.UNKNOWN_AGE_MS
    house.run(9)
    assert house.entries()[-1]["age_ms"] <= 200
    house.run(6)
    grid = house.pipeline.slots.grid
    assert grid.server_us_at(0, 0) + LEAD_IN_US >= lent_us - 20_000
    assert grid.server_us_at(0, int(grid.newest().max())) <= back_us + 20_000
    assert grid.unattributed_block_count > 0
    assert house.entries()[-1]["age_ms"] > 3_000
