"""What all tests share: the event loop's kind, and the rule that CI skips nothing in silence."""

import os
import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

ALLOWED_SKIPS = ("TELEREHAB_DATA", "optional peer")
"""With CI=true a skip is a failure, unless its reason begins with one of these."""


def data_folder() -> Path | None:
    """Return the folder of public recordings, or None where it is absent."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("TELEREHAB_DATA", root.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def find_program(name: str) -> str | None:
    """Return the path of a Debian program, also from the folders of administrators."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    absent = {
        "data": None if data_folder() else "TELEREHAB_DATA names no folder with the recordings",
        "browser": None if find_program("chromium") else "Debian's chromium is not installed",
        "mosquitto": None if find_program("mosquitto") else "Debian's mosquitto is not installed",
        "netns": None if os.geteuid() == 0 and find_program("ip") else "network namespaces need root and iproute2",
    }
    for item in items:
        for marker, reason in absent.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where CI=true and the reason is not an allowed one."""
    report = yield
    if report.skipped and os.environ.get("CI") == "true" and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        if not reason.removeprefix("Skipped: ").startswith(ALLOWED_SKIPS):
            report.outcome = "failed"
            report.longrepr = f"skipped under CI=true: {reason}"
    return report
