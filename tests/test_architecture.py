"""The drawing in ARCHITECTURE.md is true: the star of packages, where third parties stand, and every name in it."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("analytics", "devices", "sessions", "firmware_sim", "telerehab")

MAY_IMPORT_OF_OURS = {
    "analytics": set[str](),
    "devices": set[str](),
    "sessions": set[str](),
    "firmware_sim": {"devices.wire"},
    "telerehab": {"devices", "sessions", "analytics"},
}
MAY_IMPORT_OF_OTHERS = {
    "analytics": {"numpy", "scipy"},
    "devices": {"numpy", "paho", "amqtt"},
    "sessions": {"aiortc", "aioice", "av", "pylibsrtp"},
    "firmware_sim": {"numpy", "paho"},
}
STANDS_ONLY_IN = {
    ("devices", "paho"): {"devices/broker_client.py", "devices/fast_reader.py", "devices/gathering_reader.py"},
    ("devices", "amqtt"): {"devices/embedded_broker.py"},
}
PRIVATE_NAMES_OF_AIORTC_ONLY_IN = "sessions/media/compat.py"
IMPURE = {"time", "datetime", "random", "secrets", "socket", "threading", "logging", "asyncio"}
PURE_MODULES = (
    "devices/broker_access.py",
    "devices/codec.py",
    "devices/clock_sync.py",
    "devices/ingest.py",
    "devices/mosquitto_files.py",
    "devices/ring.py",
    "devices/sequencer.py",
    "devices/topics.py",
    "devices/wire.py",
    "sessions/media/packet.py",
    "sessions/live_session.py",
    "sessions/participant.py",
)


def python_files(package: str) -> list[Path]:
    return sorted(p for p in (ROOT / package).rglob("*.py") if "node_modules" not in p.parts)


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


def is_within(module: str, allowed: set[str]) -> bool:
    return any(module == each or module.startswith(f"{each}.") for each in allowed)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_imports_only_what_the_star_allows(package: str) -> None:
    allowed = MAY_IMPORT_OF_OURS[package] | {package}
    files = python_files(package)
    assert files, f"{package} is empty"
    crossings = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in files
        for module in imported_modules(path)
        if module.split(".")[0] in {*PACKAGES, "tests"} and not is_within(module, allowed)
    ]
    assert crossings == []


@pytest.mark.parametrize("package", sorted(MAY_IMPORT_OF_OTHERS))
def test_third_parties_stand_only_where_the_table_says(package: str) -> None:
    strangers = []
    for path in python_files(package):
        where = path.relative_to(ROOT).as_posix()
        for module in imported_modules(path):
            top = module.split(".")[0]
            if top in sys.stdlib_module_names or top in PACKAGES:
                continue
            only_in = STANDS_ONLY_IN.get((package, top))
            if top not in MAY_IMPORT_OF_OTHERS[package] or (only_in is not None and where not in only_in):
                strangers.append(f"{where} imports {module}")
            if package == "sessions" and not where.startswith("sessions/media/"):
                strangers.append(f"{where} imports {module}")
    assert strangers == []


def test_one_module_of_the_simulator_knows_the_mqtt_client() -> None:
    knowing = {p.name for p in python_files("firmware_sim") if any(m.startswith("paho") for m in imported_modules(p))}
    assert len(knowing) <= 1


@pytest.mark.parametrize("module", PURE_MODULES)
def test_a_pure_module_has_no_clock_no_chance_and_no_port(module: str) -> None:
    assert set(imported_modules(ROOT / module)) & IMPURE == set()


def test_the_rules_of_care_know_no_clock_no_port_and_no_database() -> None:
    impure = IMPURE - {"datetime"} | {
        "sqlmodel",
        "sqlalchemy",
        "fastapi",
        "telerehab.db",
        "telerehab.api",
        "telerehab.auth",
    }
    crossings = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in sorted((ROOT / "telerehab" / "care").rglob("*.py"))
        for module in imported_modules(path)
        if is_within(module, impure)
    }
    now = {
        f"{path.relative_to(ROOT)} asks what time it is"
        for path in sorted((ROOT / "telerehab" / "care").rglob("*.py"))
        if re.search(r"\b(?:datetime\.now|date\.today|utcnow)\b", path.read_text(encoding="utf-8"))
    }
    assert crossings | now == set()


def test_analytics_has_no_clock_no_port_and_no_log() -> None:
    impure = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in python_files("analytics")
        for module in imported_modules(path)
        if module.split(".")[0] in IMPURE
    }
    assert impure == set()


def test_every_file_and_name_in_the_architecture_page_exists() -> None:
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:analytics|devices|sessions|firmware_sim|telerehab|tests|docs)/[\w./-]*)`", page))
    assert len(named) > 20
    missing_files = {each for each in named if not (ROOT / each).exists()}
    names = set(re.findall(r"`((?:[\w/]+\.py):([\w.]+))`", page))
    missing_names = {
        whole
        for whole, name in names
        if not re.search(
            rf"^\s*(?:async def|def|class) {re.escape(name.split('.')[-1])}\b|^{re.escape(name)}\b",
            (ROOT / whole.split(":")[0]).read_text(encoding="utf-8"),
            re.MULTILINE,
        )
    }
    assert missing_files == set()
    assert missing_names == set()


def test_every_package_file_of_the_architecture_table_is_typed_and_shipped() -> None:
    assert (ROOT / "telerehab" / "py.typed").exists()
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert all(f'"{package}"' in pyproject for package in PACKAGES)


def test_every_direct_dependency_has_a_paragraph() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    block = pyproject[pyproject.index("dependencies = [") : pyproject.index("[project.optional-dependencies]")]
    dependencies = re.findall(r'"([a-z][a-z0-9-]*)', block)
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert len(dependencies) > 10
    assert [each for each in dependencies if f"**{each}**" not in page] == []


def test_no_tracked_file_holds_a_path_of_a_machine_or_a_registry() -> None:
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False).stdout
    if not tracked:
        tracked = b"\0".join(str(p.relative_to(ROOT)).encode() for p in ROOT.glob("*.*"))
    forbidden = [
        re.compile(rb"/(?:work|root|home/[a-z]+)/"),
        re.compile(rb"registry\.npm|files\.pythonhosted|pypi\.o" + rb"rg/simple"),
    ]
    found = []
    for name in filter(None, tracked.decode().split("\0")):
        path = ROOT / name
        if path == Path(__file__) or not path.is_file():
            continue
        content = path.read_bytes()
        found += [f"{name}: {pattern.pattern!r}" for pattern in forbidden if pattern.search(content)]
    assert found == []


def test_the_locked_node_is_the_one_that_the_build_hook_asks_for() -> None:
    hook = (ROOT / "hatch_build.py").read_text(encoding="utf-8")
    (requirement,) = re.findall(r'NODE_REQUIREMENT: Final = "([^"]+)"', hook)
    assert (ROOT / "requirements-node.lock").read_text(encoding="utf-8").startswith(requirement)
