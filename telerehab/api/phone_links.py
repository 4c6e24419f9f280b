"""Links that make a telephone a sensor."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentSite, CurrentVisit, Parts
from telerehab.api.devices import WritableDevices
from telerehab.api.models import Answer, Body
from telerehab.auth.access import Scope
from telerehab.auth.phone_links import TOKEN_MAX_CHARS
from telerehab.auth.policies import PUBLIC, THERAPIST_OR_MANAGER, declares
from telerehab.auth.totp import qr_svg

router = APIRouter(prefix="/api", tags=["devices"])


class PhoneLinkRead(Answer):
    """A link that works once, as an address and as a QR code; shown this once."""

    link: str
    qr_svg: str
    expires_at: datetime


class PhoneTokenBody(Body):
    """The token of a link."""

    token: Annotated[str, StringConstraints(min_length=1, max_length=TOKEN_MAX_CHARS)]


class PhoneCredentialRead(Answer):
    """What the telephone's page logs in with from now on; shown this once."""

    device: str
    password: str


@router.post("/assignments/{assignment_id}/phone-link", status_code=201, response_model=PhoneLinkRead)
@declares(THERAPIST_OR_MANAGER, scope=Scope.LEND)
def create_phone_link(assignment_id: UUID, devices: WritableDevices, parts: Parts, site: CurrentSite) -> object:
    """Make a link, and its QR code, that makes a telephone the sensor that is lent."""
    made = devices.create_phone_link(assignment_id, key=parts.phone_link_desk.key)
    address = f"{site.origin}/sensor#{made.token}"  # browsers never send nor log the fragment
    return PhoneLinkRead(link=address, qr_svg=qr_svg(address), expires_at=made.expires_at)


@router.post("/phone-links/claim", response_model=PhoneCredentialRead)
@declares(PUBLIC)
def claim_phone_link(body: PhoneTokenBody, parts: Parts, visit: CurrentVisit) -> object:
    """Take a link, once."""
    made = parts.phone_link_desk.claim(body.token, visit=visit)
    return PhoneCredentialRead(device=made.device, password=made.password)
