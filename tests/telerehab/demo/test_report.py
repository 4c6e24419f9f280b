"""The closing account finds what was missed, invented and lost."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from telerehab.cli import demo as command
from telerehab.demo.care_report import CareReport, CareStep, Outcome, StepReport, account_for
from telerehab.demo.intake_scene import IntakeKill
from telerehab.demo.observer import Observer, SeenAngles
from telerehab.demo.portal import Portal
from telerehab.demo.report import DemoReport, HomeReport, angle_rmse_deg, match_repetitions
from telerehab.demo.truth import POSE_DTYPE, Repetition
from telerehab.live_frame import ENTRY_DTYPE, UNKNOWN_AGE_MS, UNKNOWN_ANGLE, encode_live_frame

S = 1_000_000


def repetitions(*spans_s: tuple[float, float]) -> list[Repetition]:
    return [Repetition(start_us=int(a * S), stop_us=int(b * S), rom_deg=80) for a, b in spans_s]


@pytest.mark.parametrize(
    ("counted", "missed_and_invented"),
    [
        ([(1, 3), (5, 7)], (0, 0)),
        ([(1.4, 3.2), (5.3, 6.8)], (0, 0)),
        ([(1, 3)], (1, 0)),
        ([(1, 3), (5, 7), (8, 9)], (0, 1)),
        ([(1, 1.9), (2.1, 3), (5, 7)], (0, 1)),
        ([(2.8, 5.1), (5, 7)], (1, 1)),
    ],
)
def test_a_counted_repetition_belongs_to_the_true_one_it_covers(
    counted: list[tuple[float, float]], missed_and_invented: tuple[int, int]
) -> None:
    truth = repetitions((1, 3), (5, 7))
    assert match_repetitions(truth, repetitions(*counted), stopped_us=20 * S) == missed_and_invented


def test_what_ends_as_the_simulator_stops_counts_on_neither_side() -> None:
    assert match_repetitions(repetitions((17, 19)), [], stopped_us=20 * S) == (0, 0)
    assert match_repetitions([], repetitions((17, 19)), stopped_us=20 * S) == (0, 0)


def home(**changes: int) -> HomeReport:
    values = {"missed_count": 0, "invented_count": 0, "blocks_produced": 10, "blocks_lost": 0, **changes}
    return HomeReport(
        home="home1",
        true_repetition_count=1,
        counted_repetition_count=1,
        missed_count=values["missed_count"],
        invented_count=values["invented_count"],
        true_rom_deg=80.0,
        rom_deg=80.0,
        angle_rmse_deg=1.0,
        blocks_produced=values["blocks_produced"],
        blocks_sent=10,
        blocks_stored=values["blocks_produced"] - values["blocks_lost"],
        blocks_lost=values["blocks_lost"],
        blocks_late=2,
        blocks_duplicate=1,
        blocks_missing={"device_overflow": values["blocks_lost"]},
    )


def demo_report(
    *homes: HomeReport, care: CareReport | None = None, intake_kills: Sequence[IntakeKill] = ()
) -> DemoReport:
    return DemoReport(
        seconds=1,
        homes=homes,
        age_ms={},
        processes=[],
        restarts={},
        intake_kills=intake_kills,
        care=care or account_for([], planned_s=1, was_told_to_end=False),
    )


@pytest.mark.parametrize(
    ("changes", "is_whole"),
    [
        ({}, True),
        ({"blocks_lost": 1}, False),
        ({"missed_count": 1}, False),
        ({"invented_count": 1}, False),
        ({"blocks_produced": 0}, False),
    ],
)
def test_a_report_is_whole_only_when_nothing_is_missing(changes: dict[str, int], is_whole: bool) -> None:
    report = demo_report(home(**changes))
    assert report.is_whole is is_whole
    assert report.is_right is is_whole


def test_a_report_without_homes_is_not_whole() -> None:
    assert not demo_report().is_whole


def test_a_whole_report_is_right_only_when_the_care_scene_is() -> None:
    wrong = StepReport(step=CareStep.ALERT_SEEN, outcome=Outcome.WRONG, detail="there is no alert")
    report = demo_report(home(), care=account_for([wrong], planned_s=20, was_told_to_end=False))
    assert report.is_whole
    assert not report.is_right
    said = json.loads(json.dumps(report.as_dict()))
    assert (said["is_whole"], said["is_right"], said["care"]["is_right"]) == (True, False, False)
    assert said["care"]["outcomes"]["alert_seen"] == "wrong"
    assert [each["blocks_unexplained"] for each in said["homes"]] == [0]


@pytest.mark.parametrize(("back_after_s", "is_right"), [(8.5, True), (None, False)])
def test_a_report_is_right_only_when_values_came_back_after_intake_was_killed(
    back_after_s: float | None, is_right: bool
) -> None:
    steps = account_for([], planned_s=1, was_told_to_end=False)
    report = demo_report(home(), care=steps, intake_kills=[IntakeKill(at_s=3, back_after_s=back_after_s)])
    assert report.is_whole
    assert report.is_right is is_right


def test_what_is_not_stored_and_in_no_hole_is_unexplained() -> None:
    assert replace(home(blocks_lost=3), blocks_missing={"missing": 2}).blocks_unexplained == 1


@pytest.mark.parametrize(("outcome", "exit_code"), [(Outcome.RIGHT, 0), (Outcome.WRONG, 1)])
def test_the_command_ends_with_what_the_report_says(
    outcome: Outcome, exit_code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    steps = [StepReport(step=step, outcome=outcome, detail="seen", seconds=0.5) for step in CareStep]
    report = demo_report(home(), care=account_for(steps, planned_s=60, was_told_to_end=False))

    async def ended(*_options: object, **_ways_to_say: object) -> DemoReport:
        return report

    monkeypatch.setattr("telerehab.demo.run.run_demo", ended)
    with pytest.raises(SystemExit) as ended_by:
        command.demo()
    assert ended_by.value.code == exit_code
    said = capsys.readouterr()
    assert said.out.count(outcome.value) >= len(CareStep)
    assert ("DID NOT GO AS IT SHOULD" in said.err) is (exit_code == 1)


def test_angles_are_compared_at_their_capture() -> None:
    poses = np.zeros(101, POSE_DTYPE)
    poses["utc_us"] = np.arange(101) * 10_000
    poses["angle_deg"] = np.arange(101)
    seen = SeenAngles()
    seen.add(500_000.0, (np.arange(41, 51) * 100).astype(np.int16))
    assert angle_rmse_deg(seen, poses) == 0
    seen.add(600_000.0, (np.arange(41, 51) * 100).astype(np.int16))  # ten degrees behind
    assert angle_rmse_deg(seen, poses) == pytest.approx(np.sqrt(50), abs=0.01)


def test_the_observer_takes_unknown_for_unknown() -> None:
    observer = Observer(Portal(address="127.0.0.1", port=1, host="h", authority=None, cookie=""))
    entry = np.zeros(1, ENTRY_DTYPE)
    session = uuid.uuid4()
    entry["training_session"] = np.frombuffer(session.bytes, "V16")
    entry["age_ms"], entry["repetitions"] = UNKNOWN_AGE_MS, 3
    entry["angle"] = UNKNOWN_ANGLE
    observer.take(encode_live_frame(entry, tick=1), now_s=1.0, now_us=1e6)
    assert observer.arrival_age_ms == []
    assert observer.repetitions == {session: 3}
    entry["age_ms"], entry["angle"] = 120, 9000
    observer.take(encode_live_frame(entry, tick=2), now_s=1.1, now_us=1.1e6)
    assert observer.arrival_age_ms == [120.0]
    captured_us, angle_deg = observer.angles[session].as_arrays()
    assert captured_us[-1] == pytest.approx(1.1e6 - 120e3)
    assert angle_deg.tolist() == [90.0] * 10
    late = encode_live_frame(entry, tick=3, sent_us=1_200_000)
    observer.take(late, now_s=1.3, now_us=1.3e6)
    assert observer.arrival_age_ms == [120.0, 220.0], "what was on its way for a tenth of a second is that much older"
    assert observer.angles[session].as_arrays()[0][-1] == pytest.approx(1.2e6 - 120e3)
