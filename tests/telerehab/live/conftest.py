"""A clinic per test."""

from pathlib import Path

import pytest

from tests.telerehab.live.clinic import make_template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))
