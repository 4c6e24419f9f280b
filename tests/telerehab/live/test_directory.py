"""The live directory lets nobody see what the gate would not, and asks the same number of questions whoever looks."""

import random
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import event
from sqlmodel import Session

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.clock import ManualClock, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import Database, reading, writing
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.repositories.people import helper_context
from telerehab.db.tables import (
    Account,
    BreakGlass,
    CareRelation,
    Helper,
    HelperGrant,
    Patient,
    Substitution,
    Team,
    TeamMembership,
    TrainingSession,
)
from telerehab.errors import NotFoundError
from telerehab.live.directory import read_directory

NOW = utc_now(ManualClock())
DAY = timedelta(days=1)


def _fill(db: Session, key_ring: KeyRing, rng: random.Random) -> tuple[list[Reader], list[Patient]]:
    """Write two organisations with every relation there is: in force, over, and not yet begun."""

    def when() -> dict[str, Any]:
        return rng.choice(
            [
                {"starts_at": NOW - DAY, "ends_at": NOW + DAY},
                {"starts_at": NOW - 2 * DAY, "ends_at": NOW},
                {"starts_at": NOW, "ends_at": NOW + DAY},
                {"starts_at": NOW + DAY, "ends_at": NOW + 2 * DAY},
            ]
        )

    readers: list[Reader] = []
    patients: list[Patient] = []
    for number in range(2):
        organisation = provisioning.create_organisation(db, name=f"org {number}")
        own = [
            provisioning.create_patient(db, key_ring=key_ring, organisation_id=organisation.id, name=f"P{i}")
            for i in range(8)
        ]
        accounts: list[Account] = [
            provisioning.create_account(
                db, organisation_id=organisation.id, email=f"{i}@{number}.example", display_name=f"T{i}"
            )
            for i in range(8)
        ]
        teams = [Team(organisation_id=organisation.id, name=f"team {i}") for i in range(3)]
        db.add_all(teams)
        db.flush()
        for patient in own:
            db.add(
                TrainingSession(
                    patient_id=patient.id,
                    exercise="sit_to_stand",
                    side="both",
                    opened_at=NOW,
                    opened_by=accounts[0].id,
                )
            )
        for _ in range(10):
            db.add(CareRelation(account_id=rng.choice(accounts).id, patient_id=rng.choice(own).id, **when()))
            db.add(TeamMembership(team_id=rng.choice(teams).id, account_id=rng.choice(accounts).id, **when()))
        for _ in range(4):
            db.add(CareRelation(team_id=rng.choice(teams).id, patient_id=rng.choice(own).id, **when()))
            absent, substitute = rng.sample(accounts, 2)
            db.add(
                Substitution(
                    absent_account_id=absent.id, substitute_account_id=substitute.id, created_by=absent.id, **when()
                )
            )
            db.add(
                BreakGlass(
                    organisation_id=organisation.id,
                    account_id=rng.choice(accounts).id,
                    patient_id=rng.choice(own).id,
                    reason_sealed=b"x",
                    **when(),
                )
            )
        helpers = [uuid4() for _ in range(4)]
        for helper_id in helpers:
            sealed = key_ring.seal(b"Poul", context=helper_context(helper_id))
            db.add(Helper(id=helper_id, organisation_id=organisation.id, name_sealed=sealed, created_at=NOW))
        db.flush()
        for _ in range(12):
            db.add(
                HelperGrant(
                    patient_id=rng.choice(own).id,
                    helper_id=rng.choice(helpers),
                    invited_name_sealed=b"x",
                    scopes=rng.sample(["join", "see_plan", "see_results", "train_for"], 2),
                    accepted_at=rng.choice([NOW, NOW, None]),
                    revoked_at=rng.choice([None, None, NOW]),
                    created_by=own[0].id,
                    **when(),
                )
            )
        logins: dict[str, Any] = {"login_id": uuid4(), "organisation_id": organisation.id}
        readers += [Reader(**logins, role="therapist", account_id=account.id) for account in accounts]
        readers += [Reader(**logins, role="helper", helper_id=helper_id) for helper_id in helpers]
        readers += [Reader(**logins, role="tablet", tablet_id=uuid4(), patient_id=own[0].id)]
        readers += [Reader(**logins, role="team_manager", account_id=accounts[0].id)]
        patients += own
    db.flush()
    return readers, patients


def _gate(db: Session, reader: Reader, patient: Patient, scope: Scope, key_ring: KeyRing) -> bool:
    try:
        PatientRepository(db, reader=reader, now=NOW, key_ring=key_ring).require(patient.id, scope)
    except NotFoundError:
        return False
    return True


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_directory_agrees_with_the_gate(database: Database, key_ring: KeyRing, seed: int) -> None:
    with writing(database.main, owner="web") as db:
        readers, patients = _fill(db, key_ring, random.Random(seed))
    directory = read_directory(database, key_ring=key_ring, readers=readers, named=(), now=NOW)
    patient_of = {training.id: training.patient_id for training in directory.trainings}
    assert len(patient_of) == 16
    seen_count = 0
    with reading(database.main) as db:
        for reader in readers:
            visible = {patient_of[training] for training in directory.visible_trainings(reader)}
            allowed = {p.id for p in patients if _gate(db, reader, p, Scope.SEE_RESULTS, key_ring)}
            assert visible == allowed, reader.role
            seen_count += len(visible)
            if reader.role == "helper":
                for patient in patients:
                    may_join = _gate(db, reader, patient, Scope.JOIN, key_ring)
                    assert directory.may_join(reader, patient.id) == may_join
    assert seen_count > 10, "somebody sees somebody"


def test_the_number_of_questions_does_not_grow(database: Database, key_ring: KeyRing) -> None:
    with writing(database.main, owner="web") as db:
        readers, patients = _fill(db, key_ring, random.Random(1))
    counts = []
    for lookers, named in ((readers[:1], []), (readers, [patient.id for patient in patients])):
        asked: list[str] = []

        def note(_c: object, _cursor: object, statement: str, *_: object, asked: list[str] = asked) -> None:
            asked.append(statement)

        event.listen(database.main, "before_cursor_execute", note)
        read_directory(database, key_ring=key_ring, readers=lookers, named=named, now=NOW)
        event.remove(database.main, "before_cursor_execute", note)
        counts.append(sum("SELECT" in statement for statement in asked))
    assert counts[0] == counts[1] <= 11
