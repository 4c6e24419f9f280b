"""Commands answer with data on standard output, sentences on standard error, and exit codes that mean something."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from telerehab.bench.runner import BENCHMARKS, Result, unmet_floors
from telerehab.cli.__main__ import _with_lan_address


def telerehab(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "telerehab", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "TELEREHAB_DATA_DIR": str(folder), **environment},
    )


def test_migrate_says_what_is_missing_and_then_brings_it(tmp_path: Path) -> None:
    before = telerehab("migrate", "--check", "--json", folder=tmp_path)
    assert (before.returncode, json.loads(before.stdout)) == (1, {"at_head": False})
    after = telerehab("migrate", "--json", folder=tmp_path)
    assert (after.returncode, json.loads(after.stdout)) == (0, {"at_head": True})
    assert telerehab("migrate", "--check", folder=tmp_path).returncode == 0


def test_serve_wants_https_or_the_word_dev(tmp_path: Path) -> None:
    result = telerehab("serve", folder=tmp_path)
    assert result.returncode == 2
    assert "--tls-cert" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--tls-cert", "a.pem"], "belong together"),
        (["--tls-cert", "missing.pem", "--tls-key", "missing.pem"], "missing.pem cannot be read"),
    ],
)
def test_a_certificate_that_cannot_be_used_is_named(tmp_path: Path, arguments: list[str], said: str) -> None:
    result = telerehab("serve", *arguments, folder=tmp_path)
    assert result.returncode == 2
    assert said in result.stderr


def test_a_wrong_setting_is_named_without_its_value(tmp_path: Path) -> None:
    result = telerehab("migrate", folder=tmp_path, TELEREHAB_WEB_PORT="secret-looking")
    assert result.returncode == 3
    assert "TELEREHAB_WEB_PORT" in result.stderr
    assert "secret-looking" not in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unknown_benchmark_is_answered_with_the_known_ones(tmp_path: Path) -> None:
    result = telerehab("bench", "nothing", folder=tmp_path)
    assert result.returncode == 2
    assert all(name in result.stderr for name in BENCHMARKS)


def test_simulate_hands_its_arguments_on(tmp_path: Path) -> None:
    result = telerehab("simulate", "--broker", "192.0.2.1:1883", folder=tmp_path)
    assert result.returncode == 2
    assert "firmware_sim" in result.stderr or "homes" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "understood"),
    [
        (["demo", "--lan"], ["demo", "--lan", "auto"]),
        (["demo", "--lan", "--homes", "2"], ["demo", "--lan", "auto", "--homes", "2"]),
        (["demo", "--lan", "192.0.2.7"], ["demo", "--lan", "192.0.2.7"]),
        (["demo"], ["demo"]),
    ],
)
def test_lan_stands_alone_or_with_an_address(arguments: list[str], understood: list[str]) -> None:
    assert _with_lan_address(arguments) == understood


def test_a_floor_that_is_not_reached_is_said() -> None:
    result: Result = {
        "name": "n",
        "figures": {"a": {"value": 1.0, "unit": "x"}},
        "floors": {
            "a": {"value": 1.0, "floor": 2.0, "direction": ">=", "met": False},
            "b": {"value": 1.0, "floor": 2.0, "direction": "<=", "met": True},
        },
    }
    assert unmet_floors(result) == ["n: a is 1, not >= 2"]
