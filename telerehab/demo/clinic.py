"""The demonstration clinic: an organisation with its people, and a patient with a kit of sensors in each home.

Beside the homes there are patients without sensors: Vera Lind, with whom the care scene is played, and some who have
trained for weeks (`past`). A second organisation is there to see nothing of all this.
"""

import datetime as dt
from collections.abc import Iterable
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
from telerehab.db.tables import Organisation
from telerehab.demo.desk import Desk, plan_for
from telerehab.demo.past import PAST_PATIENTS, Planted, write_past, write_past_repetitions

CLINIC_HOST: Final = "clinic.localhost"
HELPER_HOST: Final = "helper.localhost"
VERA_HOST: Final = "vera.localhost"
STRANGER_HOST: Final = "elsewhere.localhost"
THERAPIST_NAME: Final = "Mette Holm"
HELP_TELEPHONE: Final = "+45 00 00 00 00"
"""Nobody's number."""
PATIENT_NAMES: Final = (
    *("Anna Madsen", "Bent Holm", "Else Juhl", "Poul Krogh"),
    *("Ida Bak", "Karl Friis", "Gerda Lund", "Svend Dam"),
)
"""Of nobody: invented for the demonstration."""
BIRTH_DATES: Final = tuple(dt.date(1938 + 2 * number, 1 + number, 3 * number + 1) for number in range(8))
VERA_NAME: Final = "Vera Lind"
VERA_BIRTH_DATE: Final = dt.date(1944, 3, 9)
EXERCISE: Final = "knee_extension_seated"
SIDES: Final = ("right", "left")
GOALS: Final = (
    *("Gå til bageren og hjem igen", "Gå op ad trappen uden gelænder"),
    *("Sidde på gulvet med børnebørnene", "Cykle til stranden"),
)
STAFF: Final = (
    ("colleague", "Jonas Vang", "therapist"),
    ("manager", "Kirsten Bach", "team_manager"),
    ("admin", "Ole Toft", "admin"),
    ("auditor", "Sanne Riis", "auditor"),
)
"""Beside the therapist: what the link is called, who it is, and the role."""


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
class DemoLogin:
    """A one-time token, for which host name, and what its link is called."""

    name: str
    host: str
    token: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CareCast:
    """Who plays in the care scene, with a token for each of the scene's own logins."""

    patient_id: UUID
    tablet_token: str
    therapist_token: str
    stranger_token: str
    """Of a therapist of the other organisation."""
    planted: tuple[Planted, ...]
    """What the flags must find."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Clinic:
    """What the demonstration made; the tokens are nowhere else."""

    live_session_title: str
    therapist_token: str
    observer_token: str
    homes: tuple[DemoHome, ...]
    staff: tuple[DemoLogin, ...]
    vera: DemoLogin
    """For a person's browser."""
    invitation_token: str
    """Of somebody who shall help the first home's patient."""
    care: CareCast


def home_host(number: int) -> str:
    """Return the host name of a home's pages on this machine."""
    return f"home{number}.localhost"


def host_names(homes: int) -> list[str]:
    """Return all host names of a demonstration on this machine."""
    staff = [_staff_host(name) for name, _, _ in STAFF]
    return [CLINIC_HOST, HELPER_HOST, VERA_HOST, *staff, *(home_host(number) for number in range(1, homes + 1))]


def make_clinic(database: Database, *, key_ring: KeyRing, homes: int, now: dt.datetime) -> Clinic:
    """Write the clinic into empty databases."""
    with writing(database.main, owner="web") as db:
        organisation = create_organisation(db, name="Demo Kommune")
        organisation.help_telephone = HELP_TELEPHONE
        therapist_id = create_account(
            db,
            organisation_id=organisation.id,
            email="therapist@clinic.example",
            display_name=THERAPIST_NAME,
        ).id
        desk = Desk(db, organisation=organisation, account_id=therapist_id, key_ring=key_ring, now=now)
        staff = _make_staff(db, organisation, now)
        desk.put_on_duty([therapist_id, staff[0].account_id])
        made = [_make_home(db, number, desk) for number in range(1, homes + 1)]
        _write_care(desk, made)
        past = [write_past(desk, patient) for patient in PAST_PATIENTS]
        vera_id = _make_patient(
            db, desk, VERA_NAME, VERA_BIRTH_DATE, goal="Danse til barnebarnets bryllup", side="right"
        )
        vera_tablet_id = create_tablet(db, patient_id=vera_id).id

        def tablet_token() -> str:
            return create_one_time_link(db, now=now, tablet_id=vera_tablet_id).token

        clinic = Clinic(
            live_session_title="Knæhold",
            therapist_token=_staff_token(db, therapist_id, now),
            observer_token=_staff_token(db, therapist_id, now),
            homes=tuple(made),
            staff=tuple(each.login for each in staff),
            vera=DemoLogin(name="vera", host=VERA_HOST, token=tablet_token()),
            invitation_token=desk.invite_helper(made[0].patient_id, name="Lise Madsen"),
            care=CareCast(
                patient_id=vera_id,
                tablet_token=tablet_token(),
                therapist_token=_staff_token(db, therapist_id, now),
                stranger_token=_make_stranger(db, now),
                planted=tuple(each.planted for each in past if each.planted is not None),
            ),
        )
    with writing(database.main, owner="ingest") as db:
        write_past_repetitions(db, past)
    return clinic


@dataclass(frozen=True, kw_only=True, slots=True)
class _Staff:
    account_id: UUID
    login: DemoLogin


def _make_staff(db: Session, organisation: Organisation, now: dt.datetime) -> list[_Staff]:
    made = []
    for name, display_name, role in STAFF:
        account = create_account(
            db, organisation_id=organisation.id, email=f"{name}@clinic.example", display_name=display_name, role=role
        )
        login = DemoLogin(name=name, host=_staff_host(name), token=_staff_token(db, account.id, now))
        made.append(_Staff(account_id=account.id, login=login))
    return made


def _staff_host(name: str) -> str:
    return f"{name}.localhost"


def _staff_token(db: Session, account_id: UUID, now: dt.datetime) -> str:
    return create_one_time_link(db, now=now, account_id=account_id, is_full=True).token


def _make_stranger(db: Session, now: dt.datetime) -> str:
    """Make the other organisation with its therapist; return the therapist's token."""
    organisation = create_organisation(db, name="Nabo Kommune")
    account = create_account(
        db, organisation_id=organisation.id, email="therapist@elsewhere.example", display_name="Rikke Bjerg"
    )
    return _staff_token(db, account.id, now)


def _make_patient(db: Session, desk: Desk, name: str, birth_date: dt.date, *, goal: str, side: str) -> UUID:
    """Make a patient of the therapist, with a plan and a goal."""
    patient_id = create_patient(
        db,
        key_ring=desk.key_ring,
        organisation_id=desk.organisation.id,
        name=name,
        birth_date=birth_date,
        created_at=desk.now,
    ).id
    create_care_relation(db, account_id=desk.account_id, patient_id=patient_id, starts_at=desk.now)
    desk.write_plan(patient_id, plan_for(side, first_exercise=EXERCISE, valid_from=desk.today))
    desk.write_goal(patient_id, goal)
    return patient_id


def _write_care(desk: Desk, homes: Iterable[DemoHome]) -> None:
    """Write what stands on the homes' pages beside the plan."""
    for home in homes:
        desk.write_message(home.patient_id, "Godt gået i sidste uge. Vi ses på skærmen i dag.")
        desk.make_appointment(home.patient_id, title="Træning på skærmen", starts_in=dt.timedelta(hours=1))
        desk.note_consent(home.patient_id, kind="seen_by_group")


def _make_home(db: Session, number: int, desk: Desk) -> DemoHome:
    now, organisation_id = desk.now, desk.organisation.id
    side = SIDES[(number - 1) % len(SIDES)]
    patient_id = _make_patient(
        db,
        desk,
        PATIENT_NAMES[number - 1],
        BIRTH_DATES[number - 1],
        goal=GOALS[(number - 1) % len(GOALS)],
        side=side,
    )
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
