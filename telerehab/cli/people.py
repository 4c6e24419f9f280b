"""`telerehab user|patient|device add`: the first rows of an installation, until the pages can make them."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, select

from telerehab.auth.key_ring import open_key_ring
from telerehab.auth.passwords import (
    PASSWORD_MAX_CHARACTERS,
    PASSWORD_MIN_CHARACTERS,
    Passwords,
    require_good_password,
)
from telerehab.auth.reader import StaffRole
from telerehab.cli.output import ExitCode, fail, print_json, say
from telerehab.clock import SystemClock, utc_now
from telerehab.db import provisioning
from telerehab.db.engine import open_database, writing
from telerehab.db.migrate import is_at_head
from telerehab.db.tables import Account, Organisation, Patient
from telerehab.errors import InvalidContentError
from telerehab.settings import Settings, load_settings

user = typer.Typer(help="Members of staff.", no_args_is_help=True)
patient = typer.Typer(help="People in rehabilitation.", no_args_is_help=True)
device = typer.Typer(help="Sensors.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="one JSON object")]


@user.command("add")
def add_user(
    email: Annotated[str, typer.Argument(help="address to log in with")],
    name: Annotated[str, typer.Option(help="as patients see it")],
    organisation: Annotated[str, typer.Option(help="made when there is none of this name")] = "Clinic",
    role: Annotated[StaffRole, typer.Option(help="what the account is for")] = "therapist",
    language: Annotated[str, typer.Option(help="da or en")] = "da",
    link: Annotated[
        bool, typer.Option("--link", help="print a one-time link instead of asking for a password")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Add a member of staff, who sets up a second factor at the first login."""
    if "@" not in email:
        fail(f"'{email}' is no e-mail address.", ExitCode.USAGE)
    if language not in ("da", "en"):
        fail("The language is da or en.", ExitCode.USAGE)
    settings = ready_settings()
    password_hash = None if link else Passwords().hash(_ask_password([email, name, organisation]))

    def add(db: Session, now: datetime) -> dict[str, str]:
        known = db.exec(select(Organisation).where(Organisation.name == organisation)).first()
        account = provisioning.create_account(
            db,
            organisation_id=(known or provisioning.create_organisation(db, name=organisation)).id,
            email=email,
            display_name=name,
            password_hash=password_hash,
            role=role,
            language=language,
        )
        if not link:
            return {"id": str(account.id)}
        token = provisioning.create_one_time_link(db, now=now, account_id=account.id).token
        host = settings.public_hosts[0] if settings.public_hosts else settings.web_host
        base = f"{settings.scheme}://{host}:{settings.web_port}"
        return {"id": str(account.id), "link": provisioning.link_address(base, token)}

    _tell(_write(settings, add, taken=f"There is an account for {email} already."), as_json)


@patient.command("add")
def add_patient(
    name: Annotated[str, typer.Argument(help="as the therapist sees it")],
    therapist: Annotated[str, typer.Option(help="e-mail address of the therapist who treats the patient")],
    birth_date: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="stands beside the name wherever a patient is chosen")
    ] = None,
    language: Annotated[str, typer.Option(help="da or en")] = "da",
    as_json: AsJson = False,
) -> None:
    """Add a patient of a therapist; the therapist's page pairs the tablet."""
    settings = ready_settings()
    key_ring = open_key_ring(settings)

    def add(db: Session, now: datetime) -> dict[str, str]:
        account = db.exec(select(Account).where(Account.email == therapist.strip().lower())).first()
        if account is None:
            fail(f"There is no account for {therapist}; add it with `telerehab user add`.", ExitCode.FAILED)
        made = provisioning.create_patient(
            db,
            key_ring=key_ring,
            organisation_id=account.organisation_id,
            name=name,
            birth_date=None if birth_date is None else birth_date.date(),
            language=language,
            created_at=now,
        )
        provisioning.create_care_relation(db, account_id=account.id, patient_id=made.id, starts_at=now)
        return {"id": str(made.id)}

    _tell(_write(settings, add, taken="The patient exists already."), as_json)


@device.command("add")
def add_device(
    name: Annotated[str, typer.Argument(help="1 to 64 of a-z, 0-9 and -; also its user name at the broker")],
    patient_id: Annotated[UUID, typer.Option("--patient", help="who wears it from now on")],
    kind: Annotated[str, typer.Option(help="imu6, heart, ...: the schema's name of its main stream")] = "imu6",
    site: Annotated[str | None, typer.Option(help="where it is worn: thigh_right, shank_left, ...")] = None,
    as_json: AsJson = False,
) -> None:
    """Add a device and lend it to a patient; its password is shown once."""

    def add(db: Session, now: datetime) -> dict[str, str]:
        wearer = db.get(Patient, patient_id)
        if wearer is None:
            fail("There is no such patient; `telerehab patient add` prints the id.", ExitCode.FAILED)
        try:
            made = provisioning.create_device(db, organisation_id=wearer.organisation_id, name=name, kind=kind)
        except ValueError as error:
            fail(f"'{name}' cannot be used: {error}.", ExitCode.USAGE)
        provisioning.assign_device(db, device_name=name, patient_id=patient_id, body_site=site, starts_at=now)
        return {"name": name, "password": made.password, "topics": f"rt/1/00/{name}/<stream>"}

    _tell(_write(ready_settings(), add, taken=f"There is a device {name} already."), as_json)


def ready_settings() -> Settings:
    """Return the settings of an installation whose databases are at the program's version."""
    settings = load_settings()
    if not is_at_head(settings):
        fail("The databases need `telerehab migrate` first.")
    return settings


def _ask_password(context: list[str]) -> str:
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    try:
        require_good_password(password, context=context)
    except InvalidContentError as error:
        if error.faults[0]["kind"] == "too_common":
            fail("This password would be guessed early: take words that nobody connects with you.", ExitCode.USAGE)
        fail(f"A password has {PASSWORD_MIN_CHARACTERS} to {PASSWORD_MAX_CHARACTERS} characters.", ExitCode.USAGE)
    return password


def _write(settings: Settings, add: Callable[[Session, datetime], dict[str, str]], *, taken: str) -> dict[str, str]:
    """Run `add` in one transaction; a row that exists already is one plain sentence."""
    database = open_database(settings)
    try:
        with writing(database.main, owner="web") as db:
            return add(db, utc_now(SystemClock()))
    except IntegrityError:
        fail(taken, ExitCode.FAILED)
    finally:
        database.close()


def _tell(made: dict[str, str], as_json: bool) -> None:
    if as_json:
        print_json(made)
        return
    for key, value in made.items():
        say(f"{key}: {value}")
