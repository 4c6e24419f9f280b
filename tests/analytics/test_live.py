"""The engine on simulated hinges, made independently of it."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from types import FrameType
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from analytics import ALGORITHM_VERSION, EXERCISES, REPETITION_DTYPE, Engine, Phase, Reason
from tests.analytics.signals import SCALES, Recording, Repetition, seated_knee_extension, ticks_of

N = 10
Raw = npt.NDArray[np.int16]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """What an engine said: repetitions, angle (n_samples, n_patients) and, per tick, phase and reason."""

    repetitions: npt.NDArray[Any]
    angle_deg: npt.NDArray[np.float32]
    phase: npt.NDArray[np.uint8]
    reason: npt.NDArray[np.uint8]


def joined(n_patients: int, exercise: str = "knee_extension_seated", **options: Any) -> Engine:
    engine = Engine(n_patients)
    for slot in range(n_patients):
        engine.join(slot, exercise=exercise, side="right", **SCALES, **options)
    return engine


def run(engine: Engine, ticks: Iterable[Raw], valid: Sequence[Mask] | None = None) -> Seen:
    """Let an engine see ticks, all slots ready."""
    repetitions, angles, phases, reasons = [], [], [], []
    all_valid, ready = np.ones((2 * engine.capacity, N), bool), np.ones(engine.capacity, bool)
    for at, raw in enumerate(ticks):
        repetitions.append(engine.advance(raw, all_valid if valid is None else valid[at], ready))
        angles.append(engine.angle_deg.copy())
        phases.append(engine.phase.copy())
        reasons.append(engine.reason.copy())
    return Seen(
        repetitions=np.concatenate(repetitions),
        angle_deg=np.concatenate(angles),
        phase=np.array(phases),
        reason=np.array(reasons),
    )


@cache
def varied(seed: int, n_repetitions: int = 8, **options: float) -> tuple[Recording, tuple[Repetition, ...]]:
    """Return a recording whose repetitions differ by 10 % in range and last 2 to 6 s, some with a long hold."""
    random = np.random.default_rng(1000 + seed)
    made = tuple(
        Repetition(
            up_s=random.uniform(0.9, 2.4),
            hold_s=float(random.choice([0.2, 0.8, 5.0], p=[0.4, 0.4, 0.2])),
            down_s=random.uniform(0.9, 2.4),
            pause_s=random.uniform(0, 1.5),
            range_deg=82.5 * random.uniform(0.9, 1.1),
        )
        for _ in range(n_repetitions)
    )
    return seated_knee_extension([*made, Repetition(range_deg=0)], seed=seed, **options), made


def rmse_deg(angle_deg: npt.NDArray[np.float32], truth_deg: npt.NDArray[np.float64]) -> float:
    error = angle_deg - truth_deg[: len(angle_deg)]
    assert np.isfinite(error).mean() > 0.8
    return float(np.sqrt(np.nanmean(error**2)))


def test_the_angle_is_right_over_two_minutes_with_bias_and_misplacement() -> None:
    made = [Repetition(range_deg=80)] * 30
    recordings = [
        seated_knee_extension(made, seed=seed, bias_deg_s=bias_deg_s, misplaced_deg=10, around_deg=around_deg)
        for seed, (bias_deg_s, around_deg) in enumerate([(0.5, 0), (3, 0), (5, 0), (3, -70), (3, 160), (5, 90)])
    ]
    engine = joined(len(recordings))
    seen = run(engine, ticks_of(*recordings))
    assert len(seen.angle_deg) >= 12_000
    errors = [rmse_deg(seen.angle_deg[:, slot], each.angle_deg) for slot, each in enumerate(recordings)]
    assert max(errors) <= 3.0, errors
    assert engine.repetition_count.tolist() == [len(made)] * len(recordings)


def test_counts_are_exact_whatever_range_time_and_hold() -> None:
    people = [varied(seed, bias_deg_s=2.0) for seed in range(8)]
    rows = run(joined(len(people)), ticks_of(*(recording for recording, _ in people))).repetitions
    for slot, (_, made) in enumerate(people):
        _check_repetitions(rows[rows["slot"] == slot], made)


def _check_repetitions(rows: npt.NDArray[Any], made: Sequence[Repetition]) -> None:
    assert len(rows) == len(made)
    np.testing.assert_allclose(rows["rom_deg"], [each.range_deg for each in made], atol=3)
    starts = 400 + 100 * np.cumsum([0, *(each.duration_s for each in made[:-1])])
    stops = starts + [100 * (each.duration_s - each.pause_s) for each in made]
    assert np.abs(rows["start"] - starts).max() < 40
    assert np.abs(rows["stop"] - stops).max() < 40
    middle_is_late = ((rows["start"] - starts) + (rows["stop"] - stops)) / 2
    assert abs(np.mean(middle_is_late)) < 4  # the low-pass is later by seven samples
    np.testing.assert_allclose(
        rows["peak_speed_deg_s"],
        [1.875 * each.range_deg / min(each.up_s, each.down_s) for each in made],
        rtol=0.1,
    )
    phases_s = rows["up_s"] + rows["hold_s"] + rows["down_s"]
    np.testing.assert_allclose(phases_s, (rows["stop"] - rows["start"]) / 100, atol=0.1)


def test_rows_say_whose_they_are_and_which_algorithm_made_them() -> None:
    first, _ = varied(0, 3)
    second = seated_knee_extension([Repetition()] * 3, seed=4)
    length = len(second.angle_deg)
    cut = Recording(raw=first.raw[..., :length], angle_deg=first.angle_deg[:length])
    engine = joined(2)
    rows = run(engine, ticks_of(cut, second)).repetitions
    assert rows.dtype == REPETITION_DTYPE
    of_second = rows[rows["slot"] == 1]
    assert of_second["index"].tolist() == [1, 2, 3]
    assert set(rows["algorithm_version"]) == {ALGORITHM_VERSION}
    assert np.isnan(rows["score"]).all()
    assert (rows["trust"][1:] == 1).all()
    assert engine.last_rom_deg[1] == of_second["rom_deg"][-1]
    assert np.isclose(of_second["peak_angle_deg"], 10, atol=3).all()


def test_how_sensors_are_understood_is_told_in_their_own_frames() -> None:
    """Sensors lie along their segments (x down the limb, y forwards, z to the right); the knee opens about z."""
    recording = seated_knee_extension([Repetition(range_deg=80)] * 6, bias_deg_s=3, misplaced_deg=0, sideways_share=0)
    engine = joined(2)
    assert engine.calibration(0) == (None, None), "nobody has been still yet"
    run(engine, ticks_of(recording, recording))
    for slot in range(2):
        thigh, shank = engine.calibration(slot)
        assert thigh is not None
        assert shank is not None
        for sensor, up in ((thigh, (0, 1, 0)), (shank, (-1, 0, 0))):
            np.testing.assert_allclose(sensor.up, up, atol=0.01)
            np.testing.assert_allclose(np.linalg.norm(sensor.gyro_bias_rad_s), np.radians(3), rtol=0.05)
            assert abs(sensor.axis[2]) > 0.999
    engine.leave(0)
    assert engine.calibration(0) == (None, None)
    assert engine.calibration(1)[0] == thigh


def test_a_sensor_that_is_not_used_has_no_calibration() -> None:
    engine = joined(1, sensors="distal", exercise="shoulder_abduction")
    recording = seated_knee_extension([Repetition(range_deg=80)] * 2)
    run(engine, ticks_of(recording))
    assert engine.calibration(0)[0] is None


def test_half_repetitions_and_fidgets_count_nothing() -> None:
    made = [Repetition(range_deg=r) for r in (80, 35, 5, 80, 38, 80, 3)]
    recording = seated_knee_extension(made, seed=3)
    engine = joined(1)
    run(engine, ticks_of(recording))
    assert engine.repetition_count[0] == 3


def test_a_target_says_what_half_of_the_range_is() -> None:
    recording = seated_knee_extension([Repetition(range_deg=35)] * 3, seed=3)
    engine = joined(1, target_deg=(45.0, 55.0))
    run(engine, ticks_of(recording))
    assert engine.repetition_count[0] == 3
    np.testing.assert_array_equal(engine.target_deg[:, 0], [45, 55])


def test_a_neutral_angle_handed_in_shifts_the_angle() -> None:
    recording = seated_knee_extension([Repetition()] * 2, seed=3)
    angle = run(joined(1), ticks_of(recording)).angle_deg
    shifted = run(joined(1, neutral_angle_deg=80.0, target_deg=(0, 10)), ticks_of(recording)).angle_deg
    np.testing.assert_allclose(shifted, angle - 10, atol=1e-3)


def test_nothing_starts_before_three_seconds_of_stillness() -> None:
    restless = seated_knee_extension([Repetition(range_deg=4, pause_s=0, hold_s=0)] * 3, still_s=0.0, seed=1)
    still = seated_knee_extension([Repetition()], still_s=4.0, seed=1)
    engine = joined(1)
    seen = run(engine, [*ticks_of(restless), *ticks_of(still)])
    restless_ticks = len(restless.angle_deg) // N
    assert np.isnan(seen.angle_deg[: len(restless.angle_deg) + 250]).all()
    assert set(seen.phase[:restless_ticks, 0]) <= {Phase.WAITING_STILL, Phase.CALIBRATING}
    assert Reason.NOT_STILL in seen.reason[:restless_ticks, 0]
    assert engine.repetition_count[0] == 1


def test_the_phases_go_from_waiting_to_the_movement() -> None:
    recording = seated_knee_extension([Repetition(up_s=1.5, hold_s=1.5, down_s=1.5, pause_s=1)] * 2, seed=1)
    phases = run(joined(1), ticks_of(recording)).phase[:, 0].tolist()
    order = [phase for k, phase in enumerate(phases) if k == 0 or phase != phases[k - 1]]
    once = [Phase.UP, Phase.HOLD, Phase.DOWN, Phase.READY]
    assert order == [Phase.WAITING_STILL, Phase.CALIBRATING, Phase.READY, *once, *once]


def test_a_bias_beyond_belief_is_named() -> None:
    recording = seated_knee_extension([Repetition()], seed=2, bias_deg_s=9.0)
    seen = run(joined(1), ticks_of(recording))
    assert Reason.BIAS_TOO_LARGE in seen.reason[:, 0]
    assert np.isnan(seen.angle_deg).all()


def test_a_clipped_sensor_is_named_and_less_trusted() -> None:
    recording = seated_knee_extension([Repetition()] * 2, seed=2)
    raw = recording.raw.copy()
    raw[1, 5, 600:620] = 32767
    engine = joined(1)
    seen = run(engine, ticks_of(Recording(raw=raw, angle_deg=recording.angle_deg))[:65])
    assert seen.reason[-1, 0] == Reason.CLIPPED
    assert 0.6 < engine.trust[0] < 1


def without(
    recording: Recording, start: int, stop: int, sensors: Sequence[int] = (0, 1)
) -> tuple[list[Raw], list[Mask]]:
    """Return the ticks of a recording that lacks some samples, and what is valid."""
    valid = np.ones((2, recording.raw.shape[-1]), bool)
    valid[list(sensors), start:stop] = False
    raw = np.where(valid[:, None], recording.raw, 0).astype(np.int16)
    masks = [valid[:, k : k + N] for k in range(0, valid.shape[1] - N + 1, N)]
    return ticks_of(Recording(raw=raw, angle_deg=recording.angle_deg)), masks


def side_by_side(patients: Sequence[tuple[list[Raw], list[Mask]]]) -> tuple[list[Raw], list[Mask]]:
    """Return the ticks of several patients with gaps of their own as those of one engine."""
    ticks = [np.concatenate(raw) for raw in zip(*(ticks for ticks, _ in patients), strict=True)]
    return ticks, [np.concatenate(valid) for valid in zip(*(valid for _, valid in patients), strict=True)]


def test_a_gap_of_up_to_a_tick_is_bridged_and_counted_as_missing() -> None:
    recording = seated_knee_extension([Repetition()] * 3, seed=5)
    gaps = [(512, 518), (506, 514), (503, 513), (510, 520), (0, 0)]
    ticks, valid = side_by_side([without(recording, start, stop) for start, stop in gaps])
    engine = joined(len(gaps))
    first = run(engine, ticks[:100], valid[:100])
    missing = [(stop - start) / 1000 for start, stop in gaps]
    np.testing.assert_allclose(engine.completeness, 1 - np.array(missing), atol=1e-5)
    later = run(engine, ticks[100:], valid[100:])
    angle = np.concatenate([first.angle_deg, later.angle_deg])[400:]
    assert np.isfinite(angle).all()
    assert (np.abs(angle - angle[:, -1:]).max(axis=0) < 4).all()
    assert engine.repetition_count.tolist() == [3] * len(gaps)
    np.testing.assert_allclose(engine.completeness, 1, atol=1e-5)


def test_a_gap_inside_a_tick_is_interpolated() -> None:
    recording = seated_knee_extension([Repetition()], seed=5, noise=0)
    ticks, valid = side_by_side([without(recording, 451, 459), without(recording, 0, 0)])
    angle = run(joined(2), ticks, valid).angle_deg[400:]
    assert np.abs(angle[:, 0] - angle[:, 1]).max() < 0.15


def test_after_a_long_gap_counting_goes_on_where_it_was() -> None:
    recording = seated_knee_extension([Repetition(pause_s=1.0)] * 6, seed=5, bias_deg_s=3.0)
    # The gap begins in the second repetition (8.1 s) and ends in the third (12.2 s).
    ticks, valid = side_by_side([without(recording, 950, 1290, sensors) for sensors in ((0,), (1,), (0, 1))])
    seen = run(joined(3), ticks, valid)
    lost = np.isnan(seen.angle_deg)
    assert lost[970:1290].all()
    assert not lost[1410:].any()
    assert not lost[320:950].any()
    assert set(seen.reason[97:128].ravel()) == {Reason.DATA_MISSING}
    for slot in range(3):
        assert rmse_deg(seen.angle_deg[1410:, slot], recording.angle_deg[1410:]) < 3
        rows = seen.repetitions[seen.repetitions["slot"] == slot]
        assert rows["index"].tolist() == [1, 2, 3, 4]
        assert rows["start"][1] > 1290


def test_a_patient_who_is_never_heard_of_does_not_start() -> None:
    recording = seated_knee_extension([Repetition()], seed=5)
    ticks, valid = without(recording, 0, len(recording.angle_deg), (1,))
    engine = joined(1)
    seen = run(engine, ticks, valid)
    assert set(seen.reason[:, 0]) == {Reason.DATA_MISSING}
    assert np.isnan(engine.trust[0])


def test_a_slot_that_is_not_ready_stays_as_it_was_and_goes_on_later() -> None:
    recording, _ = varied(1, 2)
    other, _ = varied(2, 2)
    length = min(recording.raw.shape[-1], other.raw.shape[-1]) // N * N
    both = [ticks_of(recording)[: length // N], ticks_of(other)[: length // N]]
    steady, halting = joined(2), joined(2)
    valid = np.ones((4, N), bool)
    random = np.random.default_rng(3)
    waiting = iter(both[1])
    steady_angle, halting_angle = [], []
    for raw in both[0]:
        takes_part = bool(random.random() < 0.7)
        before = _state_of(halting, 1)
        second = next(waiting) if takes_part else random.integers(-9999, 9999, (2, 6, N)).astype(np.int16)
        halting.advance(np.concatenate([raw, second]), valid, np.array([True, takes_part]))
        if takes_part:
            steady.advance(np.concatenate([raw, second]), valid, np.array([False, True]))
            steady_angle.append(steady.angle_deg[:, 1].copy())
            halting_angle.append(halting.angle_deg[:, 1].copy())
        else:
            assert np.isnan(halting.angle_deg[:, 1]).all()
            for saved, now in zip(before, _state_of(halting, 1), strict=True):
                np.testing.assert_array_equal(saved, now)
    np.testing.assert_array_equal(np.concatenate(halting_angle), np.concatenate(steady_angle))
    assert halting.repetition_count[1] == steady.repetition_count[1] > 0


def test_joining_and_leaving_disturb_nobody() -> None:
    recording, _ = varied(1, 2)
    other, _ = varied(2, 2)
    length = min(recording.raw.shape[-1], other.raw.shape[-1])
    together = [
        Recording(raw=each.raw[..., :length], angle_deg=each.angle_deg[:length])
        for each in (recording, other, recording)
    ]
    quiet, busy = Engine(3), Engine(3)
    for engine in (quiet, busy):
        engine.join(1, exercise="knee_extension_seated", side="right", **SCALES)
    valid, ready = np.ones((6, N), bool), np.ones(3, bool)
    for at, raw in enumerate(ticks_of(*together)):
        if at == 40:
            busy.join(0, exercise="sit_to_stand", side="left", **SCALES)
        if at == 60:
            busy.join(2, exercise="elbow_flexion", side="right", sensors="distal", **SCALES)
        if at == 150:
            busy.leave(0)
        rows, alone = busy.advance(raw, valid, ready), quiet.advance(raw, valid, ready)
        np.testing.assert_array_equal(busy.angle_deg[:, 1], quiet.angle_deg[:, 1])
        assert rows[rows["slot"] == 1].tobytes() == alone.tobytes()
    for saved, now in zip(_state_of(quiet, 1), _state_of(busy, 1), strict=True):
        np.testing.assert_array_equal(saved, now)
    assert quiet.repetition_count[1] > 0
    assert busy.phase[0] == Phase.OFF


def test_a_patient_means_the_same_in_any_slot() -> None:
    recordings = [varied(seed, 2)[0] for seed in range(4)]
    length = min(each.raw.shape[-1] for each in recordings)
    cut = [Recording(raw=each.raw[..., :length], angle_deg=each.angle_deg[:length]) for each in recordings]
    order = [2, 0, 3, 1]
    here, there = joined(4), joined(4)
    seen = run(here, ticks_of(*cut))
    moved = run(there, ticks_of(*(cut[slot] for slot in order)))
    np.testing.assert_array_equal(moved.angle_deg, seen.angle_deg[:, order])
    np.testing.assert_array_equal(there.repetition_count, here.repetition_count[order])


def test_leaving_and_joining_again_begins_from_nothing() -> None:
    recording, made = varied(0, 2)
    engine = joined(1)
    first = run(engine, ticks_of(recording))
    engine.join(0, exercise="knee_extension_seated", side="right", **SCALES)
    assert engine.repetition_count[0] == 0
    assert engine.phase[0] == Phase.WAITING_STILL
    again = run(engine, ticks_of(recording))
    np.testing.assert_array_equal(again.angle_deg, first.angle_deg)
    assert again.repetitions.tobytes() == first.repetitions.tobytes()
    assert len(again.repetitions) == len(made)


@pytest.mark.parametrize("exercise", [each.code for each in EXERCISES.values() if each.needs_both_sensors])
def test_an_exercise_of_two_sensors_refuses_one(exercise: str) -> None:
    with pytest.raises(ValueError, match="both sensors"):
        joined(1, exercise, sensors="distal")


def test_raising_an_arm_is_measured_by_tilt() -> None:
    recording = seated_knee_extension([Repetition(range_deg=100)] * 3, seed=1, misplaced_deg=5)
    engine = joined(1, "shoulder_abduction", sensors="distal")
    rows = run(engine, ticks_of(recording)).repetitions
    np.testing.assert_allclose(rows["rom_deg"], 105, atol=4)  # the shank of this recording turns with the thigh's lift


def test_a_tick_costs_the_same_calls_whatever_the_number_of_patients() -> None:
    recording = seated_knee_extension([Repetition()] * 2, seed=1)
    few, many = _instructions_per_tick(recording, 10), _instructions_per_tick(recording, 200)
    assert few == many
    assert len(set(few)) == 1


def _instructions_per_tick(recording: Recording, n_patients: int) -> list[int]:
    """Return how many bytecode instructions each tick from the third second to the end of a repetition takes."""
    engine = joined(n_patients)
    valid, ready = np.ones((2 * n_patients, N), bool), np.ones(n_patients, bool)
    ticks = [np.tile(raw, (n_patients, 1, 1)) for raw in ticks_of(recording)[:80]]
    counted = 0

    def count(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal counted
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        counted += event == "opcode"
        return count

    tallies = []
    previous = sys.gettrace()
    for at, raw in enumerate(ticks):
        counted = 0
        if at >= 25:
            sys.settrace(count)
        try:
            engine.advance(raw, valid, ready)
        finally:
            sys.settrace(previous)
        tallies.append(counted)
    assert engine.repetition_count.min() >= 1
    return tallies[25:]


def _state_of(engine: Engine, slot: int) -> list[npt.NDArray[Any]]:
    """Return everything that an engine remembers of one slot."""
    columns = np.array([slot, slot + engine.capacity])
    return [
        *(state.take(columns) for state in engine._per_column),
        *(state.take(np.array([slot])) for state in engine._per_slot),
    ]
