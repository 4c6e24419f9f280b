"""A wheel built from a clean clone installs into an empty environment elsewhere and serves both pages."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path

import pytest

from tests.demo_process import free_port

ROOT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> None:
    result = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]


def fetch(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, ""
    except OSError:
        return 0, ""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_a_wheel_from_a_clean_clone_serves_both_pages_elsewhere(tmp_path: Path) -> None:
    clone, elsewhere = tmp_path / "clone", tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("git", "clone", "--quiet", ROOT, clone, cwd=tmp_path)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", tmp_path, cwd=clone)
    (wheel,) = tmp_path.glob("telerehab-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"telerehab/web/static/{page}.html" for page in ("enter", "therapist", "patient")} <= names
    assert not [name for name in names if name.startswith(("tests/", "telerehab/web/client/"))]

    run(sys.executable, "-m", "venv", "environment", cwd=elsewhere)
    python = elsewhere / "environment" / "bin" / "python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements.lock", cwd=elsewhere)
    run(*pip, "--no-deps", wheel, cwd=elsewhere)

    port = free_port()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")} | {
        "TELEREHAB_DATA_DIR": str(elsewhere / "data"),
        "TELEREHAB_WEB_PORT": str(port),
        "TELEREHAB_MQTT_PORT": str(free_port()),
    }
    server = subprocess.Popen(
        [elsewhere / "environment" / "bin" / "telerehab", "serve", "--dev"],
        cwd=elsewhere,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline_s = time.monotonic() + 60
        while fetch(f"http://127.0.0.1:{port}/readyz")[0] != 200 and time.monotonic() < deadline_s:
            time.sleep(0.2)
        assert fetch(f"http://127.0.0.1:{port}/readyz")[0] == 200
        for page in ("therapist", "patient"):
            status, body = fetch(f"http://127.0.0.1:{port}/{page}")
            assert status == 200
            assert '<script type="module"' in body
    finally:
        server.terminate()
        server.wait(30)
