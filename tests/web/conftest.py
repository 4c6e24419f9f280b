"""The built faces, made once from the sources that lie here."""

from pathlib import Path

import pytest

import hatch_build

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def npm() -> hatch_build.Npm:
    """Return how to call npm, or skip where neither the machine nor PyPI has brought one."""
    try:
        return hatch_build.find_npm()
    except hatch_build.PagesMissingError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def built_pages() -> Path:
    """Return the folder of the built pages; builds them when the sources are newer."""
    if not hatch_build.is_fresh(ROOT):
        try:
            found = hatch_build.find_npm()
        except hatch_build.PagesMissingError as error:
            pytest.skip(str(error))
        hatch_build.build_pages(ROOT, found)
    return ROOT / hatch_build.STATIC
