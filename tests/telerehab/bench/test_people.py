import pytest

from telerehab.bench import people_caseload
from telerehab.bench.people_caseload import measure_caseload
from tests.telerehab.db.postgres import PostgresServer


def test_the_caseload_is_read_whole_in_as_many_questions_as_for_few_patients() -> None:
    figures, floors = measure_caseload(n_patients=40, n_days=5)
    assert floors["caseload queries sqlite, 40 patients"]["met"]
    assert isinstance(figures["caseload sqlite"]["value"], float)
    assert "not measured" in str(figures["caseload postgresql"]["value"])


@pytest.mark.postgres
def test_the_caseload_is_read_whole_on_postgresql_too(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(people_caseload.DATABASE_VARIABLE, postgres_server.create_database())
    figures, floors = measure_caseload(n_patients=20, n_days=5)
    assert floors["caseload queries postgresql, 20 patients"]["met"]
    assert isinstance(figures["caseload postgresql"]["value"], float)


@pytest.mark.long
@pytest.mark.postgres
@pytest.mark.timeout(600)
def test_300_patients_of_90_days_are_shown_within_50_ms_on_both_databases(
    postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(people_caseload.DATABASE_VARIABLE, postgres_server.create_database())
    _, floors = measure_caseload()
    assert {key: floor["value"] for key, floor in floors.items() if not floor["met"]} == {}
