"""The first therapist, patient and device of an installation come from the command line."""

import json
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest

from telerehab.auth.device_credentials import is_device_password
from telerehab.auth.key_ring import open_key_ring
from telerehab.db.engine import open_database, reading
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import Account, Device, Patient
from telerehab.settings import Settings
from tests.telerehab.cli.test_commands import telerehab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    assert telerehab("migrate", folder=tmp_path).returncode == 0
    return tmp_path


def add(folder: Path, *arguments: str) -> dict[str, str]:
    result = telerehab(*arguments, "--json", folder=folder)
    assert result.returncode == 0, result.stderr
    made: dict[str, str] = json.loads(result.stdout)
    return made


def test_a_therapist_a_patient_and_a_device_are_made_in_turn(folder: Path) -> None:
    therapist = add(folder, "user", "add", "t@clinic.example", "--name", "Therapist", "--link")
    assert therapist["link"].startswith("http://127.0.0.1:8000/enter#")
    patient = add(folder, "patient", "add", "Patient", "--therapist", "T@clinic.example ", "--birth-date", "1940-02-03")
    device = add(folder, "device", "add", "knee-1", "--patient", patient["id"], "--site", "shank_right")
    database = open_database(Settings(data_dir=folder))
    with reading(database.main) as db:
        row = db.get(Device, "knee-1")
        assert row is not None
        assert is_device_password(device["password"], row.credential_hash)
        assert device["password"] not in row.credential_hash
        key_ring = open_key_ring(Settings(data_dir=folder))
        identity = PatientSeal(db.get_one(Patient, UUID(patient["id"])), key_ring).identity()
        assert (identity.name, identity.birth_date) == ("Patient", date(1940, 2, 3))
    database.close()


def test_a_user_has_the_role_that_is_said(folder: Path) -> None:
    made = add(folder, "user", "add", "a@clinic.example", "--name", "Admin", "--role", "admin", "--link")
    database = open_database(Settings(data_dir=folder))
    with reading(database.main) as db:
        assert db.get_one(Account, UUID(made["id"])).role == "admin"
    database.close()
    refused = telerehab("user", "add", "b@clinic.example", "--name", "B", "--role", "owner", "--link", folder=folder)
    assert refused.returncode == 2


def test_what_is_wrong_is_one_plain_sentence(folder: Path) -> None:
    add(folder, "user", "add", "t@clinic.example", "--name", "Therapist", "--link")
    cases = {
        ("user", "add", "t@clinic.example", "--name", "Again", "--link"): "There is an account",
        ("user", "add", "nobody", "--name", "Nobody", "--link"): "is no e-mail address",
        ("patient", "add", "Patient", "--therapist", "x@clinic.example"): "There is no account",
        ("device", "add", "knee-1", "--patient", "00000000-0000-0000-0000-000000000001"): "no such patient",
    }
    for arguments, said in cases.items():
        result = telerehab(*arguments, folder=folder)
        assert result.returncode in (1, 2)
        assert said in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_database_that_was_never_made_is_said(tmp_path: Path) -> None:
    result = telerehab("user", "add", "t@clinic.example", "--name", "Therapist", "--link", folder=tmp_path)
    assert result.returncode == 3
    assert "telerehab migrate" in result.stderr
