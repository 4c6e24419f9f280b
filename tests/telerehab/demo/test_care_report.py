"""The account of the care scene: what went wrong fails a run, and what a run had no time for does not."""

import pytest

from telerehab.demo.care_report import CareReport, CareStep, Outcome, StepReport, account_for


def played(*left_out: CareStep, wrong: CareStep | None = None) -> list[StepReport]:
    return [
        StepReport(step=step, outcome=Outcome.WRONG if step is wrong else Outcome.RIGHT, detail="")
        for step in CareStep
        if step not in left_out
    ]


def test_a_scene_in_which_everything_was_seen_is_right() -> None:
    assert account_for(played(), planned_s=60, was_told_to_end=False).is_right


@pytest.mark.parametrize("step", list(CareStep))
def test_one_wrong_step_fails_a_run_of_any_length(step: CareStep) -> None:
    for planned_s in (15, 60, 300, None):
        assert not account_for(played(wrong=step), planned_s=planned_s, was_told_to_end=True).is_right


@pytest.mark.parametrize(
    ("planned_s", "was_told_to_end", "is_right"),
    [(59, False, True), (60, False, False), (300, False, False), (300, True, True), (None, True, True)],
)
def test_what_was_not_reached_fails_a_run_that_had_the_time(
    planned_s: float | None, was_told_to_end: bool, is_right: bool
) -> None:
    steps = played(CareStep.FLAGS, CareStep.HELP_CLOSED)
    assert account_for(steps, planned_s=planned_s, was_told_to_end=was_told_to_end).is_right is is_right


def test_steps_stand_in_their_order_whoever_was_first() -> None:
    report = account_for(reversed(played()), planned_s=60, was_told_to_end=False)
    assert [each.step for each in report.steps] == list(CareStep)
    assert report.outcomes()["flags"] == "right"


def test_a_report_without_all_steps_is_not_right() -> None:
    assert not CareReport(steps=()).is_right
    assert not CareReport(steps=tuple(played(CareStep.FLAGS))).is_right
