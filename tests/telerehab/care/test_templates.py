from datetime import date

import pytest

from telerehab.care.library import find_shared
from telerehab.care.plans import read_plan_content
from telerehab.care.reading import write_value
from telerehab.care.templates import TEMPLATE_CODES, fill_template, find_template, read_templates
from telerehab.errors import InvalidContentError

DAY = date(2026, 11, 23)


@pytest.mark.parametrize("code", TEMPLATE_CODES)
def test_a_template_is_a_valid_plan_for_either_side(code: str) -> None:
    template = find_template(code)
    assert not template.is_clinically_reviewed

    for side, other in (("left", "right"), ("right", "left")):
        content = fill_template(template, side=side, valid_from=DAY)  # type: ignore[arg-type]
        assert read_plan_content(write_value(content)) == content
        assert other not in {item.side for item in content.items}
        assert side in {item.side for item in content.items}


def test_templates_name_versions_of_exercises_that_there_are() -> None:
    for template in read_templates():
        for item in template.items:
            assert find_shared(item.exercise, item.exercise_version)


def test_an_unknown_template_is_named() -> None:
    with pytest.raises(InvalidContentError):
        find_template("neck")
