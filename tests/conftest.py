"""What all tests share: the event loop's kind, and the rule that CI skips nothing in silence."""

import contextlib
import fcntl
import gc
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest
from playwright._impl._driver import compute_driver_executable

ALLOWED_SKIPS = ("TELEREHAB_DATA", "optional peer")
"""With CI=true a skip is a failure, unless its reason begins with one of these."""
WHOLE_CHAINS = {"browser", "chaos", "live", "test_demo"}
"""Folders and modules whose tests run whole chains, in real time."""
ALONE = {"test_live_room"}
"""Those of them that keep two processors busy by themselves."""


def data_folder() -> Path | None:
    """Return the folder of public recordings, or None where it is absent."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("TELEREHAB_DATA", root.parent / "shared" / "data"))
    return folder if folder.is_dir() else None


def find_program(name: str) -> str | None:
    """Return the path of a Debian program, also from the folders of administrators."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin")


def why_no_browser() -> str | None:
    """Return why pages cannot be driven here, None where they can."""
    if find_program("chromium") is None:
        return "Debian's chromium is not installed"
    driver, *_ = compute_driver_executable()
    if subprocess.run([driver, "--version"], capture_output=True, check=False).returncode != 0:
        return "Playwright's driver does not run here (Debian's libatomic1?)"
    return None


def why_no_namespace() -> str | None:
    """Return why network namespaces cannot be made here, None where they can."""
    ip = find_program("ip")
    if os.geteuid() != 0 or ip is None:
        return "network namespaces need root and iproute2"
    name = f"telerehab-probe-{os.getpid()}"
    made = subprocess.run([ip, "netns", "add", name], capture_output=True, check=False).returncode == 0
    entered = (
        made and subprocess.run([ip, "netns", "exec", name, "true"], capture_output=True, check=False).returncode == 0
    )
    subprocess.run([ip, "netns", "delete", name], capture_output=True, check=False)
    return None if entered else "this machine lets nobody make a network namespace"


def why_no_mount() -> str | None:
    """Return why a small disk in memory cannot be mounted here, None where it can."""
    if os.geteuid() != 0:
        return "mounting a small disk needs root"
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", folder], capture_output=True, check=False)
        if mounted.returncode == 0:
            subprocess.run(["umount", folder], check=True)
    return None if mounted.returncode == 0 else "this machine lets nobody mount a small disk"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip, with the reason, what this machine cannot run."""
    wanted = {marker.name for item in items for marker in item.iter_markers()}
    absent = {
        "data": None if data_folder() else "TELEREHAB_DATA names no folder with the recordings",
        "browser": why_no_browser() if "browser" in wanted else None,
        "mosquitto": None if find_program("mosquitto") else "Debian's mosquitto is not installed",
        "netns": why_no_namespace() if "netns" in wanted else None,
        "mount": why_no_mount() if "mount" in wanted else None,
    }
    for item in items:
        for marker, reason in absent.items():
            if reason and item.get_closest_marker(marker):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish() -> None:
    """Let the garbage collector leave alone what was imported: it halves what an app costs that a test sets up."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let whole chains run one after the other, and those that two browsers watch alone on the machine.

    They train in real time, whatever else the workers do. Who wants the room alone keeps its door shut while the others
    leave. This is the outermost hook, so that waiting does not count as a test's time.
    """
    places = {item.path.parent.name, item.path.stem}
    is_alone = bool(ALONE & places)
    with contextlib.ExitStack() as held:
        if WHOLE_CHAINS & places and not is_alone:
            held.enter_context(_locked("chain", fcntl.LOCK_EX))
        with _locked("door", fcntl.LOCK_EX):
            held.enter_context(_locked("room", fcntl.LOCK_EX if is_alone else fcntl.LOCK_SH))
        return (yield)


@contextlib.contextmanager
def _locked(name: str, kind: int) -> Generator[None, None, None]:
    """Hold a lock that all workers know."""
    with (Path(tempfile.gettempdir()) / f"telerehab-{name}-{os.getuid()}.lock").open("w") as file:
        fcntl.flock(file, kind)
        yield


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
