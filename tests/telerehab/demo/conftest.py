"""The demonstration runs on SQLite; that its scenes play on PostgreSQL too is shown in `make test-long`."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        if item.path.parent == Path(__file__).parent and "postgres" in parameters.values():
            item.add_marker(pytest.mark.long)
