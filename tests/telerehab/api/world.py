"""Two organisations with a therapist, patients and tablets each, and the app with stand-ins for broker and media."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from fastapi import FastAPI
from sqlmodel import Session
from starlette.testclient import TestClient

from telerehab.app import equip
from telerehab.auth.cookies import COOKIE_NAME
from telerehab.auth.key_ring import KeyRing, open_key_ring
from telerehab.auth.passwords import Passwords
from telerehab.auth.reader import StaffRole
from telerehab.auth.tokens import hash_token, new_token
from telerehab.clock import ManualClock, utc_now
from telerehab.db import provisioning
from telerehab.db.changes import Change
from telerehab.db.engine import Database, writing
from telerehab.db.repositories.people import helper_context
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import Helper, HelperGrant, LiveSession, Login, Participant, Patient, Repetition
from telerehab.settings import Settings

PASSWORD = "correct horse battery staple"
CHEAP_PASSWORDS = Passwords(memory_cost_kib=64)
HASHED_PASSWORD = CHEAP_PASSWORDS.hash(PASSWORD)
BASE_URL = "https://clinic.localhost"
WRITE = {"X-Telerehab": "1"}


@dataclass(kw_only=True, slots=True)
class RecordedChanges:
    """Changes that were told, in a list."""

    told: list[Change] = field(default_factory=list)
    is_connected: bool = True

    def announce(self, change: Change) -> None:
        self.told.append(change)


@dataclass(kw_only=True, slots=True)
class MediaStandIn:
    """Writes the rows of a live session as the media worker does."""

    database: Database
    clock: ManualClock

    async def create_live_session(
        self, *, organisation_id: UUID, therapist_account_id: UUID, title: str, patient_ids: Sequence[UUID]
    ) -> UUID:
        live_session = LiveSession(
            organisation_id=organisation_id,
            title=title,
            therapist_account_id=therapist_account_id,
            state="open",
            opened_at=utc_now(self.clock),
        )
        with writing(self.database.main, owner="media") as db:
            db.add(live_session)
            db.flush()
            seats: list[dict[str, Any]] = [{"role": "therapist", "account_id": therapist_account_id}]
            seats += [{"role": "patient", "patient_id": patient_id} for patient_id in patient_ids]
            for seat in seats:
                db.add(Participant(live_session_id=live_session.id, state="invited", **seat))
        return live_session.id


@dataclass(kw_only=True, frozen=True, slots=True)
class Clinic:
    """One organisation's ids, and the one-time links of its people."""

    organisation_id: UUID
    therapist_id: UUID
    email: str
    patient_ids: tuple[UUID, UUID]
    stranger_id: UUID
    """A patient of the organisation whom the therapist does not treat."""
    therapist_link: str
    tablet_link: str
    """Of the first patient."""
    tablet_id: UUID
    staff_ids: Mapping[StaffRole, UUID]
    """An account of each role of staff; `World.as_staff` logs it in."""
    helper_id: UUID
    """Has a grant of every scope for the first patient; `World.as_helper` logs it in."""
    grant_id: UUID


@dataclass(kw_only=True, slots=True)
class World:
    """What a test of the API needs."""

    settings: Settings
    database: Database
    clock: ManualClock
    changes: RecordedChanges
    media: MediaStandIn
    app: FastAPI
    client: TestClient
    here: Clinic
    there: Clinic

    def browser(self) -> TestClient:
        """Return another browser: it shares the app and nothing else."""
        return TestClient(self.app, base_url=BASE_URL, headers=WRITE, raise_server_exceptions=False)

    def logged_in(self, link: str) -> TestClient:
        """Return a browser that has entered by a link."""
        browser = self.browser()
        browser.portal = self.client.portal
        answer = browser.post("/api/enter", json={"token": link})
        assert answer.status_code == 200, answer.text
        return browser

    def as_staff(self, role: StaffRole, *, clinic: Clinic | None = None, assurance: str = "full") -> TestClient:
        """Return a browser of a member of staff, `here` where nothing else is said."""
        account_id = (clinic or self.here).staff_ids[role]
        return self.with_login(account_id=account_id, assurance=assurance)

    def as_helper(self, *, clinic: Clinic | None = None) -> TestClient:
        """Return a browser of the helper of the first patient, `here` where nothing else is said."""
        return self.with_login(helper_id=(clinic or self.here).helper_id)

    def as_tablet(self, *, clinic: Clinic | None = None) -> TestClient:
        """Return the browser of the first patient's tablet, `here` where nothing else is said."""
        return self.with_login(tablet_id=(clinic or self.here).tablet_id)

    def with_login(
        self,
        *,
        account_id: UUID | None = None,
        tablet_id: UUID | None = None,
        helper_id: UUID | None = None,
        assurance: str = "full",
    ) -> TestClient:
        """Return a browser that holds a new login, whichever way it was opened."""
        token, now = new_token(), utc_now(self.clock)
        with writing(self.database.main, owner="web") as db:
            db.add(
                Login(
                    token_hash=hash_token(token),
                    account_id=account_id,
                    tablet_id=tablet_id,
                    helper_id=helper_id,
                    assurance=assurance,
                    created_at=now,
                    last_seen_at=now,
                    expires_at=now + timedelta(hours=12),
                )
            )
        browser = self.browser()
        browser.portal = self.client.portal
        browser.cookies.set(COOKIE_NAME, token, domain="clinic.localhost")
        return browser

    def add_repetition(self, training_session_id: UUID, index: int) -> None:
        """Write a repetition as ingest does."""
        with writing(self.database.main, owner="ingest") as db:
            db.add(
                Repetition(
                    training_session_id=training_session_id,
                    index=index,
                    start_us=1_790_000_000_000_000 + index,
                    stop_us=1_790_000_001_000_000 + index,
                    rom_deg=81.5,
                    up_s=1.0,
                    hold_s=0.2,
                    down_s=1.1,
                    peak_speed_deg_s=140.0,
                    trust=0.9,
                    reason=0,
                    algorithm_version="1",
                )
            )


def training(patient_id: UUID, **chosen: object) -> dict[str, object]:
    """Return the body of a training session."""
    return {"patient_id": str(patient_id), "exercise": "knee_extension_seated", "side": "right", **chosen}


def new_id() -> str:
    """Return an id as a page makes them."""
    return str(uuid.uuid4())


def token_of(browser: TestClient) -> str:
    """Return the login token that a browser holds."""
    token = browser.cookies[COOKIE_NAME]
    assert isinstance(token, str)
    return token


@contextmanager
def running_world(settings: Settings, database: Database, app: FastAPI) -> Iterator[World]:
    """Fill a database, start the app on it, and give both."""
    clock = ManualClock()
    key_ring = open_key_ring(settings)
    here, there = (_add_clinic(database, clock, name, key_ring) for name in ("here", "there"))
    changes = RecordedChanges()
    media = MediaStandIn(database=database, clock=clock)
    equip(app, settings, clock=clock, changes=changes, live_session_maker=media, passwords=CHEAP_PASSWORDS)
    with TestClient(app, base_url=BASE_URL, headers=WRITE, raise_server_exceptions=False) as client:
        yield World(
            settings=settings,
            database=database,
            clock=clock,
            changes=changes,
            media=media,
            app=app,
            client=client,
            here=here,
            there=there,
        )


def _add_clinic(database: Database, clock: ManualClock, name: str, key_ring: KeyRing) -> Clinic:
    now = utc_now(clock)
    with writing(database.main, owner="web") as db:
        organisation = provisioning.create_organisation(db, name=name)
        therapist = provisioning.create_account(
            db,
            organisation_id=organisation.id,
            email=f"Ida@{name}.example",
            display_name=f"Ida Therapist {name}",
            password_hash=HASHED_PASSWORD,
        )
        patients = [
            provisioning.create_patient(
                db,
                key_ring=key_ring,
                organisation_id=organisation.id,
                name=f"Karen Patient {i} {name}",
                birth_date=date(1940 + i, 2, 3),
            )
            for i in range(3)
        ]
        for patient in patients[:2]:
            provisioning.create_care_relation(
                db, account_id=therapist.id, patient_id=patient.id, starts_at=now - timedelta(days=1)
            )
        staff_ids: dict[StaffRole, UUID] = {"therapist": therapist.id}
        others: tuple[StaffRole, ...] = ("team_manager", "admin", "auditor")
        for role in others:
            staff_ids[role] = provisioning.create_account(
                db,
                organisation_id=organisation.id,
                email=f"{role}@{name}.example",
                display_name=f"Bo {role} {name}",
                password_hash=HASHED_PASSWORD,
                role=role,
            ).id
        grant = _add_helper(db, key_ring, organisation.id, patients[0], now)
        assert grant.helper_id is not None
        tablet = provisioning.create_tablet(db, patient_id=patients[0].id)
        therapist_link = provisioning.create_one_time_link(db, now=now, account_id=therapist.id, is_full=True)
        tablet_link = provisioning.create_one_time_link(db, now=now, tablet_id=tablet.id)
    return Clinic(
        organisation_id=organisation.id,
        therapist_id=therapist.id,
        email=therapist.email,
        patient_ids=(patients[0].id, patients[1].id),
        stranger_id=patients[2].id,
        therapist_link=therapist_link.token,
        tablet_link=tablet_link.token,
        tablet_id=tablet.id,
        staff_ids=staff_ids,
        helper_id=grant.helper_id,
        grant_id=grant.id,
    )


def _add_helper(db: Session, key_ring: KeyRing, organisation_id: UUID, patient: Patient, now: datetime) -> HelperGrant:
    """Write a helper with every scope for a patient."""
    helper_id, grant_id = uuid.uuid4(), uuid.uuid4()
    sealed = key_ring.seal(b"Poul Helper", context=helper_context(helper_id))
    db.add(Helper(id=helper_id, organisation_id=organisation_id, name_sealed=sealed, created_at=now))
    db.flush()
    grant = HelperGrant(
        id=grant_id,
        patient_id=patient.id,
        helper_id=helper_id,
        invited_name_sealed=PatientSeal(patient, key_ring).seal(
            "Poul Helper", table="helper_grant", column="invited_name", row_id=grant_id
        ),
        scopes=["join", "see_plan", "see_results", "train_for"],
        starts_at=now,
        ends_at=now + timedelta(days=30),
        accepted_at=now,
        created_by=patient.id,
    )
    db.add(grant)
    db.flush()
    return grant
