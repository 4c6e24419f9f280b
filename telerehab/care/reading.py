"""JSON into values of this package and back: one reader for package data, database columns and what pages send.

What does not fit is a `Fault` with a place and a named reason, never a sentence and never the value itself.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, ClassVar, Final, TypeVar, cast

from pydantic import BeforeValidator, ConfigDict, Field, StringConstraints, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from telerehab.errors import InvalidContentError

T = TypeVar("T")

KNOWN_FIELDS_ONLY: Final = ConfigDict(extra="forbid")
"""The pydantic configuration of every dataclass that is read. Not strict: a strict one would refuse JSON objects. So
numbers and switches are strict one by one (`Whole`, `Number`, `Switch`)."""

Whole = Annotated[int, Field(strict=True)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Switch = Annotated[bool, Field(strict=True)]
Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
]


def _only_a_day(said: object) -> object:
    """Refuse the numbers and times of day that pydantic would take for a date."""
    if isinstance(said, datetime) or not (
        isinstance(said, date) or (isinstance(said, str) and _DAY_PATTERN.fullmatch(said))
    ):
        raise PydanticCustomError("day_format", "not a day as 2026-11-22")
    return said


_DAY_PATTERN: Final = re.compile(r"\d{4}-\d{2}-\d{2}")
Day = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2200, 1, 1)), BeforeValidator(_only_a_day)]
"""A calendar day of the place where the patient lives."""
FAULTS_MAX: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What is wrong with one place of a value: `at` as "items.2.sets", `code` a word."""

    at: str
    code: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """One line in Danish and, where there is one, in English."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    da: Line
    en: Line | None = None


def read_value(kind: type[T], said: object) -> T:
    """Return a dataclass from JSON data; raise InvalidContentError with all faults where there are any."""
    try:
        value: T = _adapter(cast(Hashable, kind)).validate_python(said)
        return value
    except ValidationError as error:
        raise _error_of([_fault_of(detail) for detail in error.errors(include_input=False)]) from None


def write_value(value: object) -> Any:
    """Return a dataclass as JSON data; `read_value` makes an equal one of it."""
    return _adapter(cast(Hashable, type(value))).dump_python(value, mode="json")


def refuse(faults: Sequence[Fault]) -> None:
    """Raise InvalidContentError, which names them, if there is a fault."""
    if faults:
        raise _error_of(faults)


def invalid(at: str, code: str) -> InvalidContentError:
    """Return the error of one fault."""
    return _error_of([Fault(at=at, code=code)])


def _error_of(faults: Sequence[Fault]) -> InvalidContentError:
    listed = [{"at": fault.at, "kind": fault.code} for fault in faults[:FAULTS_MAX]]
    return InvalidContentError("the content makes no sense", faults=listed)


@cache
def _adapter(kind: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast(type[Any], kind))


def _fault_of(detail: Mapping[str, Any]) -> Fault:
    return Fault(at=name_place(detail), code=str(detail["type"]))


def name_place(detail: Mapping[str, Any]) -> str:
    """Return where one of pydantic's errors is. A name that was sent and that we do not know is not repeated."""
    places = detail["loc"][:-1] if detail["type"] in _UNKNOWN_FIELD else detail["loc"]
    return ".".join(str(place) if _OUR_NAME.fullmatch(str(place)) else "?" for place in places)


_UNKNOWN_FIELD: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
_OUR_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}|\d{1,5}")
