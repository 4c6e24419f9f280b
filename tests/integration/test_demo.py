"""The demonstration as a person runs it: it starts, accounts for every block, ends, and says plainly what is wrong."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.demo_process import END_TIMEOUT_S, ROOT, free_port, running_demo
from tests.netns import namespace


def run_demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "telerehab", "demo", *arguments],
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
        check=False,
    )


@pytest.mark.netns
@pytest.mark.timeout(600)
def test_a_short_demonstration_where_there_is_only_loopback_loses_nothing_and_ends_by_itself(tmp_path: Path) -> None:
    with namespace() as prefix, running_demo(tmp_path, "--homes", "2", "--for", "25", prefix=prefix) as demo:
        report = demo.wait(END_TIMEOUT_S)
        exit_code = demo.process.returncode
        homes = report["homes"]
    assert [home["blocks_lost"] for home in homes] == [home["blocks_unexplained"] for home in homes] == [0, 0]
    assert all(home["blocks_produced"] > 400 for home in homes)
    assert all(home["counted_repetition_count"] >= 2 for home in homes)
    assert report["is_whole"], report
    assert report["is_right"], report
    outcomes = report["care"]["outcomes"]
    assert (outcomes.pop("help_unanswered"), outcomes.pop("help_closed")) == ("left out", "left out")
    assert set(outcomes.values()) == {"right"}, report["care"]
    assert len(outcomes) == 8
    assert exit_code == 0
    assert report["age_ms"]["age_p95_ms"] < 1000
    assert {each["name"] for each in report["processes"]} >= {"broker", "ingest", "media", "web", "jobs"}


@pytest.mark.chaos
@pytest.mark.timeout(600)
def test_killed_parts_come_back_and_no_block_is_lost(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--homes", "2") as demo:
        for role in ("ingest", "media", "web"):
            time.sleep(6)  # training goes on: a set is cut in the middle
            psutil.Process(demo.pid_of(role)).send_signal(signal.SIGKILL)
        time.sleep(6)
        with demo.control_page() as control:
            assert "Killed after" not in control.get("").text
            assert control.post("kill-intake").status_code == 303
            deadline_s = time.monotonic() + END_TIMEOUT_S
            while "values were back after" not in control.get("").text:
                assert time.monotonic() < deadline_s, control.get("").text
                time.sleep(0.5)
        report = demo.finish()
    assert [kill["back_after_s"] > 0 for kill in report["intake_kills"]] == [True]
    assert report["restarts"] == {"broker": 0, "ingest": 2, "media": 1, "web": 1, "jobs": 0}
    assert [home["blocks_lost"] for home in report["homes"]] == [0, 0]
    assert all(home["blocks_stored"] == home["blocks_produced"] > 500 for home in report["homes"])
    assert "wrong" not in report["care"]["outcomes"].values(), report["care"]
    assert report["care"]["outcomes"]["alert_seen"] == "right"


@pytest.mark.timeout(600)
def test_ctrl_c_ends_every_process(tmp_path: Path) -> None:
    with running_demo(tmp_path, "--homes", "1") as demo:
        children = psutil.Process(demo.process.pid).children(recursive=True)
        assert len(children) >= 7
        demo.finish()
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def test_a_taken_port_is_one_plain_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run_demo("--port", str(port))
    assert result.returncode == 3
    assert result.stderr.strip() == (
        f"Port {port} is taken, perhaps by another demonstration; choose another with --port."
    )


def test_a_folder_that_cannot_be_written_is_one_plain_sentence() -> None:
    result = run_demo("--port", str(free_port()), "--folder", "/proc/nowhere")
    assert result.returncode == 3
    assert result.stderr.count("\n") == 1
    assert "cannot be written" in result.stderr


@pytest.mark.parametrize("arguments", [["--homes", "0"], ["--homes", "9"], ["--port", "70000"], ["--for", "-1"]])
def test_wrong_arguments_are_refused_before_anything_starts(arguments: list[str]) -> None:
    assert run_demo(*arguments).returncode == 2


@pytest.mark.long
@pytest.mark.timeout(600)
def test_what_the_therapist_sees_is_at_most_300_ms_old(tmp_path: Path) -> None:
    ages_ms = []
    for run in range(3):
        with running_demo(tmp_path / str(run), "--for", "60") as demo:
            report = demo.wait(END_TIMEOUT_S)
        assert set(report["care"]["outcomes"].values()) == {"right"}, report["care"]
        ages_ms.append(report["age_ms"]["age_p95_ms"])
    assert sorted(ages_ms)[1] <= 300, ages_ms


def test_a_missing_build_is_one_plain_sentence(tmp_path: Path) -> None:
    for package in ("telerehab", "analytics", "devices", "sessions"):
        left_out = shutil.ignore_patterns("node_modules", "static", "client", "__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=left_out)
    result = subprocess.run(
        [sys.executable, "-m", "telerehab", "demo", "--port", str(free_port())],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=END_TIMEOUT_S,
        check=False,
    )
    assert result.returncode == 3
    assert result.stderr == "The page enter.html is not built; run `make install` once.\n"
