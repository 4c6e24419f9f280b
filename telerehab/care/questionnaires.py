"""Questionnaires: definitions as data, answers checked against them, scores, and when they are due.

Built in are pain from 0 to 10 and perceived effort (`data/questionnaires/`). Licensed instruments (EQ-5D, KOOS, DASH)
are not contained: an organisation that holds a licence imports a definition file, which names the holder and confirms
the licence.

A score is None, with a reason, where too much is missing. It is never filled with a guess beyond what its definition
allows (`missing_max`, by the mean of what was answered).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib import resources
from statistics import fmean
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from telerehab.care.reading import (
    KNOWN_FIELDS_ONLY,
    Day,
    Fault,
    Line,
    Number,
    Switch,
    Whole,
    Words,
    invalid,
    read_value,
    refuse,
)

PAIN_NRS: Final = "pain_nrs"
PERCEIVED_EFFORT: Final = "perceived_effort"
QUESTIONS_MAX: Final = 100
TEXT_ANSWER_MAX_CHARACTERS: Final = 2_000
TABLE_ROWS_MAX: Final = 5_000
DUE_DATES_MAX: Final = 1_000

Code = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
QuestionText = Annotated[str, Field(min_length=1, max_length=1_000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]*$")]
ScoreNumber = Annotated[Number, Field(ge=-1e6, le=1e6)]
"""Bounded, so that sums of many stay numbers."""
TableRow = Annotated[str, Field(max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")]
Answer = str | float | None
"""The code of an option, a number, or text; None is "not answered"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LongWords:
    """A question in Danish and, where there is one, in English."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    da: QuestionText
    en: QuestionText | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Option:
    """One answer to choose, and what it counts; None counts as not answered ("does not apply")."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    code: Code
    text: LongWords
    value: ScoreNumber | None


@dataclass(frozen=True, kw_only=True, slots=True)
class ChoiceQuestion:
    """A question with answers to choose from."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    kind: Literal["choice"]
    code: Code
    text: LongWords
    options: Annotated[tuple[Option, ...], Field(min_length=2, max_length=20)]
    is_required: Switch = True


@dataclass(frozen=True, kw_only=True, slots=True)
class NumberQuestion:
    """A question with a number on a scale as answer."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    kind: Literal["number"]
    code: Code
    text: LongWords
    minimum: ScoreNumber
    maximum: ScoreNumber
    step: Annotated[Number, Field(ge=0.001, le=1e6)]
    is_required: Switch = True


@dataclass(frozen=True, kw_only=True, slots=True)
class TextQuestion:
    """A question with the patient's own words as answer; it never counts."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    kind: Literal["text"]
    code: Code
    text: LongWords
    is_required: Switch = False


Question = Annotated[ChoiceQuestion | NumberQuestion | TextQuestion, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoreRule:
    """How a score comes from answers: `offset + factor * x`, x the sum or mean of the values.

    Up to `missing_max` missing answers are replaced by the mean of the others. `table` looks up the values of all
    questions in order, joined by "-" ("1-1-2"), and allows none missing; factor and offset do not apply.
    """

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    code: Code
    title: Words
    method: Literal["sum", "mean", "table"]
    questions: Annotated[tuple[Code, ...], Field(min_length=1, max_length=QUESTIONS_MAX)]
    missing_max: Annotated[Whole, Field(ge=0, le=QUESTIONS_MAX)] = 0
    factor: ScoreNumber = 1.0
    offset: ScoreNumber = 0.0
    table: Annotated[dict[TableRow, ScoreNumber], Field(max_length=TABLE_ROWS_MAX)] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Licence:
    """Who may use an instrument, and that somebody has confirmed it."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    holder: Line
    reference: Line
    is_confirmed: Switch


@dataclass(frozen=True, kw_only=True, slots=True)
class Definition:
    """One version of a questionnaire."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    code: Code
    version: Annotated[Whole, Field(ge=1, le=100_000)]
    title: Words
    licence: Licence | None
    questions: Annotated[tuple[Question, ...], Field(min_length=1, max_length=QUESTIONS_MAX)]
    scores: Annotated[tuple[ScoreRule, ...], Field(max_length=20)] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Score:
    """A score, or why there is none: `too_much_missing` or `not_in_table`."""

    code: str
    value: float | None
    reason: Literal["too_much_missing", "not_in_table"] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule:
    """When a questionnaire is due: on the first day, and every so many days until a day (left out). None: once."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    first_day: Day
    every_days: Annotated[Whole, Field(ge=1, le=366)] | None = None
    until: Day | None = None


def find_definition_faults(definition: Definition) -> Iterator[Fault]:
    """Yield what makes no sense in a definition."""
    codes = [question.code for question in definition.questions]
    if len(set(codes)) != len(codes):
        yield Fault(at="questions", code="twice")
    for index, question in enumerate(definition.questions):
        at = f"questions.{index}"
        if isinstance(question, NumberQuestion) and question.minimum >= question.maximum:
            yield Fault(at=f"{at}.minimum", code="crossed")
        if isinstance(question, ChoiceQuestion) and len({one.code for one in question.options}) != len(
            question.options
        ):
            yield Fault(at=f"{at}.options", code="twice")
    if len({rule.code for rule in definition.scores}) != len(definition.scores):
        yield Fault(at="scores", code="twice")
    counting = {question.code for question in definition.questions if not isinstance(question, TextQuestion)}
    for index, rule in enumerate(definition.scores):
        yield from _rule_faults(rule, counting=counting, at=f"scores.{index}")


def read_import(said: object) -> Definition:
    """Return a definition that an organisation imports, from JSON data; raise InvalidContentError with all faults."""
    definition = read_value(Definition, said)
    check_import(definition)
    return definition


def check_import(definition: Definition) -> None:
    """Raise InvalidContentError where a definition cannot be imported.

    It must make sense, name the licence's holder and confirm the licence, and not take the code of a built-in one.
    """
    faults = [*find_definition_faults(definition)]
    if definition.licence is None:
        faults.append(Fault(at="licence", code="missing"))
    elif not definition.licence.is_confirmed:
        faults.append(Fault(at="licence.is_confirmed", code="not_confirmed"))
    if any(definition.code == built_in.code for built_in in built_in_definitions()):
        faults.append(Fault(at="code", code="built_in"))
    refuse(faults)


@cache
def built_in_definitions() -> tuple[Definition, ...]:
    """Return the questionnaires that everybody has; the package data is read once."""
    folder = resources.files("telerehab.care").joinpath("data", "questionnaires")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    definitions = tuple(read_value(Definition, json.loads(file.read_text(encoding="utf-8"))) for file in files)
    for definition in definitions:
        refuse([*find_definition_faults(definition)])
    return definitions


def find_answer_faults(definition: Definition, answers: Mapping[str, Answer]) -> tuple[Fault, ...]:
    """Return what does not fit the definition; an unknown question is not named, for its name was sent."""
    faults = []
    for question in definition.questions:
        answer = answers.get(question.code)
        at = f"answers.{question.code}"
        if answer is None:
            if question.is_required:
                faults.append(Fault(at=at, code="missing"))
        elif not _fits(question, answer):
            faults.append(Fault(at=at, code="does_not_fit"))
    if set(answers) - {question.code for question in definition.questions}:
        faults.append(Fault(at="answers", code="question_unknown"))
    return tuple(faults)


def count_scores(definition: Definition, answers: Mapping[str, Answer]) -> tuple[Score, ...]:
    """Return every score of a definition from answers without faults (a required answer may be missing)."""
    values = {question.code: _value(question, answers.get(question.code)) for question in definition.questions}
    return tuple(_score(rule, [values[code] for code in rule.questions]) for rule in definition.scores)


def find_due_dates(schedule: Schedule, *, first_day: date, stop_day: date) -> tuple[date, ...]:
    """Return the days of `[first_day, stop_day)` on which the questionnaire is due, at most `DUE_DATES_MAX`.

    Examples
    --------
    >>> schedule = Schedule(first_day=date(2026, 11, 2), every_days=14, until=date(2026, 12, 1))
    >>> [day.isoformat() for day in find_due_dates(schedule, first_day=date(2026, 11, 3), stop_day=date(2027, 1, 1))]
    ['2026-11-16', '2026-11-30']
    """
    stop_day = min(stop_day, schedule.until or stop_day)
    if schedule.every_days is None:
        return (schedule.first_day,) if first_day <= schedule.first_day < stop_day else ()
    n_before = max(0, -((schedule.first_day - first_day).days // schedule.every_days))
    start = schedule.first_day + timedelta(days=n_before * schedule.every_days)
    n_due = max(0, -((start - stop_day).days // schedule.every_days))
    return tuple(start + timedelta(days=i * schedule.every_days) for i in range(min(n_due, DUE_DATES_MAX)))


def find_open_due_date(schedule: Schedule, *, answered_on: Sequence[date], today: date) -> date | None:
    """Return the newest due day up to today if it has not been answered since; None if nothing is open.

    Older due days that nobody answered are over: nobody is asked twice for the same thing.
    """
    horizon = (schedule.every_days or 1) + 1
    first_day = schedule.first_day if schedule.every_days is None else today - timedelta(days=horizon)
    if schedule.until is not None and schedule.until <= today:
        return None
    due = find_due_dates(schedule, first_day=first_day, stop_day=today + timedelta(days=1))
    if not due or any(day >= due[-1] for day in answered_on):
        return None
    return due[-1]


def find_definition(code: str) -> Definition:
    """Return a built-in definition; raise InvalidContentError where there is none."""
    for definition in built_in_definitions():
        if definition.code == code:
            return definition
    raise invalid("questionnaire", "questionnaire_unknown")


def _rule_faults(rule: ScoreRule, *, counting: set[str], at: str) -> Iterator[Fault]:
    if not set(rule.questions) <= counting:
        yield Fault(at=f"{at}.questions", code="question_does_not_count")
    if len(set(rule.questions)) != len(rule.questions):
        yield Fault(at=f"{at}.questions", code="twice")
    if (rule.method == "table") != (rule.table is not None):
        yield Fault(at=f"{at}.table", code="missing" if rule.table is None else "not_wanted")
    if rule.missing_max >= len(rule.questions) or (rule.method == "table" and rule.missing_max):
        yield Fault(at=f"{at}.missing_max", code="out_of_range")


def _fits(question: ChoiceQuestion | NumberQuestion | TextQuestion, answer: str | float) -> bool:
    if isinstance(question, ChoiceQuestion):
        return any(option.code == answer for option in question.options)
    if isinstance(question, TextQuestion):
        return isinstance(answer, str) and len(answer) <= TEXT_ANSWER_MAX_CHARACTERS and "\x00" not in answer
    if isinstance(answer, str | bool) or not question.minimum <= answer <= question.maximum:
        return False
    n_steps = (answer - question.minimum) / question.step
    return abs(n_steps - round(n_steps)) < _STEP_TOLERANCE


def _value(question: ChoiceQuestion | NumberQuestion | TextQuestion, answer: Answer) -> float | None:
    if isinstance(question, ChoiceQuestion):
        return next((option.value for option in question.options if option.code == answer), None)
    return answer if isinstance(question, NumberQuestion) and not isinstance(answer, str) else None


def _score(rule: ScoreRule, values: Sequence[float | None]) -> Score:
    known = [value for value in values if value is not None]
    if not known or len(values) - len(known) > rule.missing_max:
        return Score(code=rule.code, value=None, reason="too_much_missing")
    if rule.table is not None:
        found = rule.table.get("-".join(f"{value:g}" for value in known))
        return Score(code=rule.code, value=found, reason="not_in_table" if found is None else None)
    mean = fmean(known)
    x = mean if rule.method == "mean" else mean * len(values)
    return Score(code=rule.code, value=round(rule.offset + rule.factor * x, _SCORE_DIGITS))


_STEP_TOLERANCE: Final = 1e-6
_SCORE_DIGITS: Final = 6
