"""The demonstration clinic: one organisation, one therapist, and a patient with a kit of sensors in each home."""

import datetime as dt
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid4

from sqlmodel import Session

from telerehab.auth.key_ring import KeyRing
from telerehab.db.engine import Database, writing
from telerehab.db.provisioning import (
    assign_device,
    create_account,
    create_care_relation,
    create_device,
    create_kit,
    create_one_time_link,
    create_organisation,
    create_patient,
    create_tablet,
)

CLINIC_HOST: Final = "clinic.localhost"
THERAPIST_NAME: Final = "Mette Holm"
PATIENT_NAMES: Final = (
    *("Anna Madsen", "Bent Holm", "Else Juhl", "Poul Krogh"),
    *("Ida Bak", "Karl Friis", "Gerda Lund", "Svend Dam"),
)
"""Of nobody: invented for the demonstration."""
BIRTH_DATES: Final = tuple(dt.date(1938 + 2 * number, 1 + number, 3 * number + 1) for number in range(8))
EXERCISE: Final = "knee_extension_seated"
SIDES: Final = ("right", "left")


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoDevice:
    """A simulated device and the secret with which it logs in to the broker."""

    name: str
    password: str
    kind: str
    stream: str
    site: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class DemoHome:
    """One patient's home: its kit, its training session, and one-time tokens for its host name.

    `page_token` is for a person's browser, `tablet_token` for the simulated tablet, `opener_token` for the program that
    opens the training session.
    """

    name: str
    host: str
    patient_id: UUID
    training_session_id: UUID
    exercise: str
    side: str
    shard: str
    devices: tuple[DemoDevice, ...]
    page_token: str
    tablet_token: str
    opener_token: str

    def as_simulated(self) -> dict[str, Any]:
        """Return the home as the simulator's file of homes describes it."""
        devices = [
            {"name": each.name, "password": each.password, "kind": each.kind, "stream": each.stream}
            | ({"site": each.site} if each.site else {})
            for each in self.devices
        ]
        return {
            "home": self.name,
            "shard": self.shard,
            "exercise": self.exercise,
            "side": self.side,
            "repetitions": None,
            "start_at": None,
            "devices": devices,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Clinic:
    """What the demonstration made; the tokens are nowhere else."""

    live_session_title: str
    therapist_token: str
    observer_token: str
    homes: tuple[DemoHome, ...]


def home_host(number: int) -> str:
    """Return the host name of a home's pages on this machine."""
    return f"home{number}.localhost"


def make_clinic(database: Database, *, key_ring: KeyRing, homes: int, now: dt.datetime) -> Clinic:
    """Write the clinic into empty databases."""
    with writing(database.main, owner="web") as db:
        organisation_id = create_organisation(db, name="Demo Kommune").id
        therapist_id = create_account(
            db,
            organisation_id=organisation_id,
            email="therapist@clinic.example",
            display_name=THERAPIST_NAME,
        ).id
        return Clinic(
            live_session_title="Knæhold",
            therapist_token=create_one_time_link(db, now=now, account_id=therapist_id, is_full=True).token,
            observer_token=create_one_time_link(db, now=now, account_id=therapist_id, is_full=True).token,
            homes=tuple(
                _make_home(db, number, organisation_id, therapist_id, now, key_ring) for number in range(1, homes + 1)
            ),
        )


def _make_home(
    db: Session, number: int, organisation_id: UUID, therapist_id: UUID, now: dt.datetime, key_ring: KeyRing
) -> DemoHome:
    side = SIDES[(number - 1) % len(SIDES)]
    patient_id = create_patient(
        db,
        key_ring=key_ring,
        organisation_id=organisation_id,
        name=PATIENT_NAMES[number - 1],
        birth_date=BIRTH_DATES[number - 1],
        created_at=now,
    ).id
    create_care_relation(db, account_id=therapist_id, patient_id=patient_id, starts_at=now)
    tablet_id = create_tablet(db, patient_id=patient_id).id
    kit = create_kit(db, organisation_id=organisation_id, name=f"Kit {number}", shard=number - 1)

    def lend(name: str, *, kind: str, stream: str, site: str | None) -> DemoDevice:
        made = create_device(
            db, organisation_id=organisation_id, name=f"demo-{number}-{name}", kind=kind, kit_id=kit.id
        )
        assign_device(db, device_name=made.device.name, patient_id=patient_id, body_site=site, starts_at=now)
        return DemoDevice(name=made.device.name, password=made.password, kind=kind, stream=stream, site=site)

    def token() -> str:
        return create_one_time_link(db, now=now, tablet_id=tablet_id).token

    return DemoHome(
        name=f"home{number}",
        host=home_host(number),
        patient_id=patient_id,
        training_session_id=uuid4(),
        exercise=EXERCISE,
        side=side,
        shard=kit.shard,
        devices=(
            lend("thigh", kind="imu6", stream="imu", site=f"thigh_{side}"),
            lend("shank", kind="imu6", stream="imu", site=f"shank_{side}"),
            lend("heart", kind="heart", stream="heart", site=None),
        ),
        page_token=token(),
        tablet_token=token(),
        opener_token=token(),
    )
