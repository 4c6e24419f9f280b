"""How much of decoder and sequencer their own tests reach, branch by branch; in a child, it slows what it watches."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLOOR_PERCENT: Final = 95.0
WATCHED: Final = ("devices/codec.py", "devices/sequencer.py")
TESTS: Final = ("tests/devices/test_codec.py", "tests/devices/test_sequencer.py")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    """Return what coverage.py says of each watched file."""
    folder = tmp_path_factory.mktemp("coverage")
    environment = {**os.environ, "COVERAGE_FILE": str(folder / "data"), "PYTHONHASHSEED": "0"}
    arguments = ["run", "--branch", f"--include={','.join(WATCHED)}", "-m", "pytest", "-q", *TESTS]
    for each in (arguments, ["json", "-q", "-o", str(folder / "report.json")]):
        made = subprocess.run(
            [sys.executable, "-m", "coverage", *each],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert made.returncode == 0, made.stdout[-3_000:] + made.stderr[-1_000:]
    report = json.loads((folder / "report.json").read_text())
    return {name: file["summary"] for name, file in report["files"].items()}


@pytest.mark.long
@pytest.mark.parametrize("name", WATCHED)
def test_the_tests_reach_nearly_every_branch(files: dict[str, dict[str, float]], name: str) -> None:
    found = files[name]
    percent = 100 * found["covered_branches"] / found["num_branches"]
    assert percent >= FLOOR_PERCENT, found
    assert found["percent_statements_covered"] >= FLOOR_PERCENT, found
