from copy import deepcopy
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telerehab.care.questionnaires import (
    PAIN_NRS,
    PERCEIVED_EFFORT,
    Answer,
    Definition,
    Schedule,
    built_in_definitions,
    count_scores,
    find_answer_faults,
    find_definition,
    find_due_dates,
    find_open_due_date,
    read_import,
)
from telerehab.care.reading import read_value, write_value
from telerehab.errors import InvalidContentError

DAY = date(2026, 11, 2)
OPTIONS = [{"code": f"o{i}", "text": {"da": f"svar {i}"}, "value": i} for i in range(5)]
IMPORT: dict[str, Any] = {
    "code": "made_up_scale",
    "version": 1,
    "title": {"da": "Opdigtet skala"},
    "licence": {"holder": "Opdigtet institut", "reference": "A-1", "is_confirmed": True},
    "questions": [
        *({"kind": "choice", "code": f"q{i}", "text": {"da": "?"}, "options": OPTIONS} for i in range(4)),
        {"kind": "number", "code": "n", "text": {"da": "?"}, "minimum": 0, "maximum": 1, "step": 0.1},
        {"kind": "text", "code": "words", "text": {"da": "?"}},
    ],
    "scores": [
        {"code": "sum", "title": {"da": "s"}, "method": "sum", "questions": ["q0", "q1", "q2", "q3"]},
        {
            "code": "share",
            "title": {"da": "s"},
            "method": "mean",
            "questions": ["q0", "q1", "q2", "q3"],
            "missing_max": 2,
            "factor": -25,
            "offset": 100,
        },
        {
            "code": "profile",
            "title": {"da": "s"},
            "method": "table",
            "questions": ["q0", "n"],
            "table": {"1-0.5": 0.87, "4-1": -0.2},
        },
    ],
}


def _import(**changes: Any) -> Definition:
    return read_import({**deepcopy(IMPORT), **changes})


def _faults(said: Any) -> set[tuple[str, str]]:
    with pytest.raises(InvalidContentError) as caught:
        read_import(said)
    return {(fault["at"], fault["kind"]) for fault in caught.value.faults}


def _scores(answers: dict[str, Answer]) -> dict[str, tuple[float | None, str | None]]:
    return {score.code: (score.value, score.reason) for score in count_scores(_import(), answers)}


def test_pain_and_effort_are_built_in_and_nothing_licensed_is() -> None:
    assert {definition.code for definition in built_in_definitions()} == {PAIN_NRS, PERCEIVED_EFFORT}
    assert all(definition.licence is None for definition in built_in_definitions())


def test_pain_is_a_whole_number_from_zero_to_ten() -> None:
    pain = find_definition(PAIN_NRS)

    assert find_answer_faults(pain, {"pain": 7}) == ()
    assert count_scores(pain, {"pain": 7})[0].value == 7
    assert count_scores(pain, {"pain": 0})[0].value == 0
    for wrong in (11, -1, 6.5, "7", True, float("nan")):
        assert [fault.code for fault in find_answer_faults(pain, {"pain": wrong})] == ["does_not_fit"]
    assert [fault.code for fault in find_answer_faults(pain, {})] == ["missing"]
    assert count_scores(pain, {})[0].reason == "too_much_missing"


def test_effort_is_one_of_four_words() -> None:
    effort = find_definition(PERCEIVED_EFFORT)

    assert count_scores(effort, {"effort": "very_hard"})[0].value == 4
    assert [fault.code for fault in find_answer_faults(effort, {"effort": "huge"})] == ["does_not_fit"]


def test_an_unknown_questionnaire_is_named() -> None:
    with pytest.raises(InvalidContentError):
        find_definition("eq5d")


def test_an_imported_definition_is_the_same_after_writing_and_reading() -> None:
    definition = _import()
    assert read_value(Definition, write_value(definition)) == definition


def test_scores_are_counted_as_their_definition_says() -> None:
    answers: dict[str, Answer] = {"q0": "o1", "q1": "o2", "q2": "o3", "q3": "o4", "n": 0.5}

    assert _scores(answers) == {"sum": (10, None), "share": (37.5, None), "profile": (0.87, None)}


def test_a_score_is_unknown_where_too_much_is_missing_and_filled_by_the_mean_only_where_allowed() -> None:
    assert _scores({"q0": "o4", "q1": "o2"}) == {
        "sum": (None, "too_much_missing"),
        "share": (25, None),
        "profile": (None, "too_much_missing"),
    }
    assert _scores({"q0": "o4"})["share"] == (None, "too_much_missing")
    assert _scores({"q0": "o4", "n": 0.3})["profile"] == (None, "not_in_table")


@given(st.lists(st.sampled_from([None, 0, 1, 2, 3, 4]), min_size=4, max_size=4))
@settings(deadline=None)
def test_a_missing_answer_is_never_counted_as_nothing(values: list[int | None]) -> None:
    answers: dict[str, Answer] = {f"q{i}": None if value is None else f"o{value}" for i, value in enumerate(values)}
    known = [value for value in values if value is not None]

    share, reason = _scores(answers)["share"]

    assert (share is None) == (len(known) < 2) == (reason == "too_much_missing")
    if share is not None:
        assert share == pytest.approx(100 - 25 * sum(known) / len(known))


def test_a_sum_with_a_missing_answer_is_that_of_as_many_answers() -> None:
    said = deepcopy(IMPORT)
    said["scores"][0]["missing_max"] = 1

    assert count_scores(read_import(said), {"q0": "o1", "q1": "o2", "q2": "o3"})[0].value == 8


def test_an_option_that_does_not_apply_counts_as_missing() -> None:
    said = deepcopy(IMPORT)
    said["questions"][0]["options"] = [*OPTIONS, {"code": "na", "text": {"da": "ikke relevant"}, "value": None}]
    answers: dict[str, Answer] = {"q0": "na", "q1": "o2", "q2": "o2", "q3": "o2"}

    scores = {score.code: score.value for score in count_scores(read_import(said), answers)}

    assert (scores["sum"], scores["share"]) == (None, 50)


def test_a_step_that_binary_numbers_cannot_hold_still_fits() -> None:
    definition = _import()
    answers: dict[str, Answer] = {f"q{i}": "o1" for i in range(4)}

    assert find_answer_faults(definition, {**answers, "n": 0.7}) == ()
    assert [fault.at for fault in find_answer_faults(definition, {**answers, "n": 0.75})] == ["answers.n"]


def test_an_answer_to_an_unknown_question_is_refused_without_repeating_its_name() -> None:
    faults = find_answer_faults(find_definition(PAIN_NRS), {"pain": 1, "Else Jensen": 1})

    assert [(fault.at, fault.code) for fault in faults] == [("answers", "question_unknown")]


def test_an_import_without_a_confirmed_licence_is_refused() -> None:
    assert _faults({**IMPORT, "licence": None}) == {("licence", "missing")}
    unconfirmed = {**IMPORT["licence"], "is_confirmed": False}
    assert _faults({**IMPORT, "licence": unconfirmed}) == {("licence.is_confirmed", "not_confirmed")}
    assert _faults({**IMPORT, "code": PAIN_NRS}) == {("code", "built_in")}


def test_a_definition_that_makes_no_sense_is_named_in_full() -> None:
    said = deepcopy(IMPORT)
    said["questions"][1]["code"] = "q0"
    said["questions"][4]["minimum"] = 2
    said["questions"][2]["options"][1]["code"] = "o0"
    said["scores"][0] |= {"questions": ["q0", "words"], "table": {}, "missing_max": 2}
    said["scores"][1] |= {"questions": ["q0", "q0"], "code": "sum", "missing_max": 0}
    said["scores"][2] |= {"table": None, "missing_max": 1}

    assert _faults(said) == {
        ("questions", "twice"),
        ("questions.4.minimum", "crossed"),
        ("questions.0.options", "twice"),
        ("questions.1.options", "twice"),
        ("questions.2.options", "twice"),
        ("questions.3.options", "twice"),
        ("scores", "twice"),
        ("scores.0.questions", "question_does_not_count"),
        ("scores.0.table", "not_wanted"),
        ("scores.0.missing_max", "out_of_range"),
        ("scores.1.questions", "twice"),
        ("scores.2.table", "missing"),
        ("scores.2.missing_max", "out_of_range"),
    }


def test_numbers_that_no_score_can_hold_and_rows_that_no_database_keeps_are_refused() -> None:
    huge = deepcopy(IMPORT)
    huge["questions"][0]["options"][0]["value"] = 1e308
    huge["scores"][2]["table"] = {"1-0.5": -1e308}
    assert _faults(huge) == {
        *((f"questions.{i}.choice.options.0.value", "less_than_equal") for i in range(4)),
        ("scores.2.table.?", "greater_than_equal"),
    }
    for row in ("1\x00", "1\ud800"):
        odd = deepcopy(IMPORT)
        odd["scores"][2]["table"] = {row: 1}
        assert {at for at, _ in _faults(odd)} == {"scores.2.table.?.?"}


def test_a_file_that_is_no_definition_is_refused() -> None:
    wrong: list[Any] = [[], None, {"code": "X"}, {**IMPORT, "questions": "many"}]
    for said in wrong:
        assert _faults(said)


@given(
    st.integers(0, 40),
    st.one_of(st.none(), st.integers(1, 20)),
    st.one_of(st.none(), st.integers(0, 60)),
    st.integers(-5, 60),
    st.integers(0, 60),
)
def test_due_dates_are_those_found_day_by_day(
    first: int, every: int | None, until: int | None, start: int, length: int
) -> None:
    schedule = Schedule(
        first_day=DAY + timedelta(days=first),
        every_days=every,
        until=None if until is None else DAY + timedelta(days=until),
    )
    window = [DAY + timedelta(days=start + i) for i in range(length)]

    def is_due(day: date) -> bool:
        since = (day - schedule.first_day).days
        is_on_beat = since == 0 if every is None else since >= 0 and since % every == 0
        return is_on_beat and (schedule.until is None or day < schedule.until)

    found = find_due_dates(
        schedule, first_day=DAY + timedelta(days=start), stop_day=DAY + timedelta(days=start + length)
    )
    assert list(found) == [day for day in window if is_due(day)]


def test_what_is_due_stays_open_until_answered_and_is_never_asked_twice() -> None:
    weekly = Schedule(first_day=DAY, every_days=7)

    def at(i: int) -> date:
        return DAY + timedelta(days=i)

    assert find_open_due_date(weekly, answered_on=[], today=at(-1)) is None
    assert find_open_due_date(weekly, answered_on=[], today=at(6)) == DAY
    assert find_open_due_date(weekly, answered_on=[at(2)], today=at(6)) is None
    assert find_open_due_date(weekly, answered_on=[at(7)], today=at(7)) is None
    assert find_open_due_date(weekly, answered_on=[at(2)], today=at(7)) == at(7)
    assert find_open_due_date(weekly, answered_on=[], today=at(20)) == at(14)


def test_a_schedule_that_has_ended_asks_for_nothing() -> None:
    ended = Schedule(first_day=DAY, every_days=7, until=DAY + timedelta(days=10))
    once = Schedule(first_day=DAY)

    assert find_open_due_date(ended, answered_on=[], today=DAY + timedelta(days=10)) is None
    assert find_open_due_date(once, answered_on=[], today=DAY + timedelta(days=300)) == DAY
    assert find_open_due_date(once, answered_on=[DAY + timedelta(days=3)], today=DAY + timedelta(days=300)) is None
