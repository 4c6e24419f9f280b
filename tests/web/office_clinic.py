"""The real web role with the people of an organisation, for pages that need no live values."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import uvicorn

from telerehab.app import create_app
from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.passwords import Passwords
from telerehab.auth.reader import StaffRole
from telerehab.clock import SystemClock, utc_now
from telerehab.db import migrate, provisioning
from telerehab.db.engine import open_database, writing
from telerehab.settings import Settings
from tests.telerehab.api.world import RecordedChanges

START_TIMEOUT_S = 10.0
ROLES: tuple[StaffRole, ...] = ("team_manager", "admin", "auditor")


@dataclass(kw_only=True, slots=True)
class OfficeClinic:
    """Where the pages are, and a one-time link for each role."""

    url: str
    links: dict[str, str]


@contextmanager
def serve_office(folder: Path) -> Iterator[OfficeClinic]:
    """Serve an organisation with staff, patients, a kit and a sensor."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = Settings(data_dir=folder, public_hosts=["*.localhost"], web_port=port, mqtt_port=1)
    migrate.upgrade(settings)
    links = _fill(settings)
    app = create_app(settings, changes=RecordedChanges(), passwords=Passwords(memory_cost_kib=64))
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline_s = time.monotonic() + START_TIMEOUT_S
    while not server.started and time.monotonic() < deadline_s:
        time.sleep(0.02)
    try:
        yield OfficeClinic(url=f"http://clinic.localhost:{port}", links=links)
    finally:
        server.should_exit = True
        thread.join(START_TIMEOUT_S)


def _fill(settings: Settings) -> dict[str, str]:
    database, key_ring, now = open_database(settings), open_key_ring(settings), utc_now(SystemClock())
    with writing(database.main, owner="web") as db:
        clinic = provisioning.create_organisation(db, name="Sundby Kommune")
        therapist = provisioning.create_account(
            db, organisation_id=clinic.id, email="mette@sundby.example", display_name="Mette Holm"
        )
        for number, name in enumerate(("Else Juhl", "Poul Krogh")):
            patient = provisioning.create_patient(
                db, key_ring=key_ring, organisation_id=clinic.id, name=name, birth_date=date(1941 + number, 5, 6)
            )
            provisioning.create_care_relation(
                db, account_id=therapist.id, patient_id=patient.id, starts_at=now - timedelta(days=1)
            )
        kit = provisioning.create_kit(db, organisation_id=clinic.id, name="Kasse 1")
        provisioning.create_device(db, organisation_id=clinic.id, name="knee-1", kind="imu6", kit_id=kit.id)
        links: dict[str, str] = {}
        for role in ROLES:
            account = provisioning.create_account(
                db, organisation_id=clinic.id, email=f"{role}@sundby.example", display_name=f"Bo {role}", role=role
            )
            links[role] = provisioning.create_one_time_link(db, now=now, account_id=account.id, is_full=True).token
    database.close()
    return links
