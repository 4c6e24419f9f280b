"""The table of hazards names tests that exist, and no hazard is without one or a reason."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
HAZARDS = (ROOT / "docs" / "safety" / "hazards.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| (H\d+) \|(.*)\|$", HAZARDS, re.MULTILINE))


def test_all_fifteen_hazards_stand_in_the_table() -> None:
    assert list(ROWS) == [f"H{number}" for number in range(1, 16)]


@pytest.mark.parametrize("hazard", list(ROWS))
def test_every_hazard_names_tests_that_exist(hazard: str) -> None:
    named = re.findall(r"`(tests/[\w./]+\.py)(?:::(\w+))?`", ROWS[hazard])
    assert named, "a test, beside whatever is not there yet"
    for file, test in named:
        path = ROOT / file
        assert path.is_file(), file
        if test:
            assert re.search(rf"^(?:async )?def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE), test


def test_no_document_of_safety_claims_a_mark() -> None:
    for path in (ROOT / "docs" / "safety").glob("*.md"):
        assert not re.search(r"\b(?:is|has been) CE[- ]marked\b", path.read_text(encoding="utf-8"))
