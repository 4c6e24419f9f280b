from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlmodel import col, func, select

from telerehab.auth.key_ring import KeyRing, open_key_ring
from telerehab.bench.people_rows import MadePeople, make_people
from telerehab.care.plans import read_plan_content
from telerehab.db.engine import Database, reading
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import Patient, PlanVersion, Repetition, SelfReport, TrainingSession, TrainingSet
from telerehab.db.tables.base import Table
from tests.telerehab.db.stores import make_settings

NOW = datetime(2026, 11, 20, 13, tzinfo=UTC)

N_PATIENTS, N_DAYS = 9, 21


def _make(database: Database, key_ring: KeyRing, seed: int = 1) -> MadePeople:
    return make_people(database, key_ring=key_ring, now=NOW, seed=seed, n_patients=N_PATIENTS, n_days=N_DAYS)


def test_the_rows_of_people_fit_the_tables_and_each_other(database: Database, key_ring: KeyRing) -> None:
    made = _make(database, key_ring)
    with reading(database.main) as db:
        patients = db.exec(select(Patient)).all()
        assert {patient.id for patient in patients} == set(made.patient_ids)
        identities = [PatientSeal(patient, key_ring).identity() for patient in patients]
        assert all(identity.name and identity.birth_date for identity in identities)
        for version in db.exec(select(PlanVersion)):
            assert read_plan_content(version.content).valid_from == version.valid_from
        sessions = db.exec(select(TrainingSession)).all()
        assert len(sessions) > 50
        assert all(row.closed_at and row.opened_at < row.closed_at < NOW for row in sessions)
        in_sets = (
            select(func.count())
            .select_from(Repetition)
            .join(
                TrainingSet,
                (col(TrainingSet.id) == col(Repetition.training_set_id))
                & (col(TrainingSet.training_session_id) == col(Repetition.training_session_id)),
            )
        )
        assert db.exec(in_sets).one() == made.row_counts["repetition"] > 0
        assert db.exec(select(func.count()).select_from(SelfReport)).one() == 3 * len(sessions)


def test_the_same_seed_makes_the_same_rows(sqlite_database: Database, tmp_path: Path) -> None:
    key_ring = open_key_ring(make_settings(tmp_path))
    made = _make(sqlite_database, key_ring)
    first = _ids(sqlite_database, made)
    with sqlite_database.main.begin() as connection:
        for name in reversed(list(made.row_counts)):
            connection.execute(sa.delete(Table.metadata.tables[name]))
    again = make_people(
        sqlite_database,
        key_ring=key_ring,
        now=NOW,
        n_patients=N_PATIENTS,
        n_days=N_DAYS,
        account_id=made.account_id,
        organisation_id=made.organisation_id,
    )
    assert _ids(sqlite_database, again) == first
    other = _make(sqlite_database, key_ring, seed=2)
    assert _ids(sqlite_database, other)["training_session"] > first["training_session"]


def _ids(database: Database, made: MadePeople) -> dict[str, set[tuple[Any, ...]]]:
    """Return the keys of all rows, by table."""
    with reading(database.main) as db:
        return {
            name: {tuple(row) for row in db.connection().execute(sa.select(*Table.metadata.tables[name].primary_key))}
            for name in made.row_counts
        }
