"""Mosquitto's own program and our hashes agree, in both directions."""

import subprocess
from pathlib import Path

import pytest

from telerehab.auth.device_credentials import is_device_password
from tests.conftest import find_program


@pytest.mark.mosquitto
def test_what_mosquitto_hashes_we_accept(tmp_path: Path) -> None:
    program = find_program("mosquitto_passwd")
    assert program is not None
    file = tmp_path / "passwords"
    file.touch(mode=0o600)
    subprocess.run([program, "-b", file, "device", "kaffe og kage"], check=True, capture_output=True)
    name, _, credential_hash = file.read_text().strip().partition(":")
    assert name == "device"
    assert is_device_password("kaffe og kage", credential_hash)
    assert not is_device_password("kaffe og kager", credential_hash)
