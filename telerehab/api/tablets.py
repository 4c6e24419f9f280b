"""Tablets in patients' homes, and the PIN that a tablet's page asks for."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentReader, CurrentSite, Keys, Now, Parts, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body
from telerehab.auth.access import Scope
from telerehab.auth.policies import TABLET, THERAPIST_OR_MANAGER, declares
from telerehab.auth.totp import qr_svg
from telerehab.db.provisioning import link_address
from telerehab.db.repositories.tablets import TabletRepository, TabletRows
from telerehab.errors import NotAllowedError

router = APIRouter(prefix="/api", tags=["tablets"])

Pin = Annotated[str, StringConstraints(pattern=r"^[0-9]{4,8}$")]


def get_tablets(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> TabletRepository:
    """Return the tablets of the patients whom the reader may see."""
    return TabletRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_tablets(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> TabletRepository:
    """Return the tablets of the patients whom the reader may see, to change them."""
    return TabletRepository(db, reader=reader, now=now, key_ring=key_ring)


Tablets = Annotated[TabletRepository, Depends(get_tablets)]
WritableTablets = Annotated[TabletRepository, Depends(get_writable_tablets)]


class TabletRead(Answer):
    """A tablet."""

    id: UUID
    paired_at: datetime
    revoked_at: datetime | None
    last_seen_at: datetime | None
    has_pin: bool


class LinkRead(Answer):
    """A link that works once, as an address and as a QR code; shown this once."""

    link: str
    qr_svg: str
    expires_at: datetime


class PinRead(Answer):
    """Whether there is a PIN."""

    has_pin: bool


class PinBody(Body):
    """A new PIN, or none, and the old one where there is one."""

    pin: Pin | None
    old_pin: Pin | None = None


class PinCheckBody(Body):
    """What somebody typed on the tablet."""

    pin: Pin


@router.get("/patients/{patient_id}/tablets", response_model=list[TabletRead])
@declares(THERAPIST_OR_MANAGER, scope=Scope.LEND)
def list_tablets(patient_id: UUID, tablets: Tablets) -> object:
    """List a patient's tablets, the newest first."""
    return [_shown(rows) for rows in tablets.list(patient_id)]


@router.post("/patients/{patient_id}/tablet-links", status_code=201, response_model=LinkRead)
@declares(THERAPIST_OR_MANAGER, scope=Scope.LEND)
def create_tablet_link(patient_id: UUID, tablets: WritableTablets, site: CurrentSite) -> object:
    """Make a link, and its QR code, that pairs one tablet."""
    made = tablets.create_link(patient_id)
    address = link_address(site.origin, made.token)
    return LinkRead(link=address, qr_svg=qr_svg(address), expires_at=made.expires_at)


@router.delete("/tablets/{tablet_id}", status_code=204)
@declares(THERAPIST_OR_MANAGER, scope=Scope.LEND)
def revoke_tablet(tablet_id: UUID, tablets: WritableTablets) -> None:
    """Make a tablet unknown again; its sockets close."""
    tablets.revoke(tablet_id)


@router.get("/my/tablet-pin", response_model=PinRead)
@declares(TABLET)
def show_tablet_pin(reader: CurrentReader, parts: Parts) -> object:
    """Tell whether this tablet's page is to ask for a PIN when it is opened."""
    return PinRead(has_pin=parts.tablet_pins.is_set(_tablet_of(reader.tablet_id)))


@router.put("/my/tablet-pin", status_code=204)
@declares(TABLET)
def set_tablet_pin(body: PinBody, reader: CurrentReader, parts: Parts) -> None:
    """Set, change or take away the PIN that this tablet's page asks for."""
    parts.tablet_pins.set(_tablet_of(reader.tablet_id), pin=body.pin, old_pin=body.old_pin)


@router.post("/my/tablet-pin/check", status_code=204)
@declares(TABLET)
def check_tablet_pin(body: PinCheckBody, reader: CurrentReader, parts: Parts) -> None:
    """Check what somebody typed."""
    parts.tablet_pins.check(_tablet_of(reader.tablet_id), body.pin)


def _tablet_of(tablet_id: UUID | None) -> UUID:
    if tablet_id is None:
        raise NotAllowedError("tablets alone have a PIN")
    return tablet_id


def _shown(rows: TabletRows) -> TabletRead:
    tablet = rows.tablet
    assert tablet.paired_at is not None
    return TabletRead(
        id=tablet.id,
        paired_at=tablet.paired_at,
        revoked_at=tablet.revoked_at,
        last_seen_at=rows.last_seen_at,
        has_pin=tablet.pin_hash is not None,
    )
