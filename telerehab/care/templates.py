"""Plan templates: a start from which a therapist writes a plan. Examples, not clinically reviewed.

Package data (`data/templates/<code>.v<version>.json`), written for the right side; `fill_template` turns them.
"""

import json
from dataclasses import dataclass, replace
from datetime import date
from functools import cache
from importlib import resources
from typing import Annotated, ClassVar, Final, Literal

from pydantic import ConfigDict, Field

from telerehab.care.plans import PlanContent, PlanItem, find_plan_faults
from telerehab.care.reading import KNOWN_FIELDS_ONLY, Switch, Whole, Words, invalid, read_value, refuse
from telerehab.care.safety import Limits

TEMPLATE_CODES: Final = ("knee", "hip", "shoulder")


@dataclass(frozen=True, kw_only=True, slots=True)
class PlanTemplate:
    """One version of a template."""

    __pydantic_config__: ClassVar[ConfigDict] = KNOWN_FIELDS_ONLY
    code: Literal["knee", "hip", "shoulder"]
    version: Annotated[Whole, Field(ge=1)]
    title: Words
    is_clinically_reviewed: Switch
    items: Annotated[tuple[PlanItem, ...], Field(min_length=1, max_length=30)]


def fill_template(template: PlanTemplate, *, side: Literal["left", "right"], valid_from: date) -> PlanContent:
    """Return plan content for one side of the body, with the default limits."""
    items = (replace(item, side=side) if item.side == "right" else item for item in template.items)
    return PlanContent(items=tuple(items), limits=Limits(), valid_from=valid_from)


def find_template(code: str) -> PlanTemplate:
    """Return the newest version of a template; raise InvalidContentError where there is none."""
    found = [template for template in read_templates() if template.code == code]
    if not found:
        raise invalid("template", "template_unknown")
    return max(found, key=lambda template: template.version)


@cache
def read_templates() -> tuple[PlanTemplate, ...]:
    """Return all versions of all templates; the package data is read once."""
    folder = resources.files("telerehab.care").joinpath("data", "templates")
    files = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return tuple(_read_template(file.read_text(encoding="utf-8")) for file in files)


def _read_template(content: str) -> PlanTemplate:
    template = read_value(PlanTemplate, json.loads(content))
    refuse([*find_plan_faults(fill_template(template, side="right", valid_from=date(2026, 1, 1)))])
    return template
