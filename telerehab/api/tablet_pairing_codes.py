"""Codes that pair a tablet."""

from datetime import datetime

from fastapi import APIRouter

from telerehab.api.dependencies import TabletPairingCodes
from telerehab.api.models import Answer, Body, LooseUuid
from telerehab.auth.access import Scope
from telerehab.auth.policies import THERAPIST_OR_MANAGER, declares

router = APIRouter(prefix="/api/tablet-pairing-codes", tags=["logins"])


class PairingCodeBody(Body):
    """Whose tablet it will be."""

    patient_id: LooseUuid


class PairingCodeRead(Answer):
    """Six digits to read out, and until when."""

    code: str
    expires_at: datetime


@router.post("", status_code=201, response_model=PairingCodeRead)
@declares(THERAPIST_OR_MANAGER, scope=Scope.LEND)
def create_tablet_pairing_code(body: PairingCodeBody, codes: TabletPairingCodes) -> object:
    """Make a code for a patient; it is shown this once."""
    return codes.create(body.patient_id)
