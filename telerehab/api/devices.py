"""Devices, kits, and who has them."""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, StringConstraints

from telerehab.api.dependencies import CurrentReader, HotDb, Keys, Now, ReadingDb, WritingDb
from telerehab.api.ledgers import StreamLedgerRead, shown_stream
from telerehab.api.models import Answer, Body, LooseMoment, LooseUuid, Title
from telerehab.auth.policies import MANAGER_OR_ADMIN, THERAPIST_MANAGER_OR_ADMIN, THERAPIST_OR_MANAGER, declares
from telerehab.db.provisioning import NewDevice
from telerehab.db.repositories.devices import BODY_SITES, DeviceRepository, KitRows, LentDevice
from telerehab.errors import InvalidContentError

router = APIRouter(prefix="/api", tags=["devices"])


def _known_site(site: str) -> str:
    if site not in BODY_SITES:
        raise ValueError("unknown site")
    return site


DeviceName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[a-z0-9-]+$")]
BodySite = Annotated[str, StringConstraints(max_length=32), AfterValidator(_known_site)]


def get_devices(db: ReadingDb, hot: HotDb, reader: CurrentReader, now: Now, key_ring: Keys) -> DeviceRepository:
    """Return the devices of the reader's organisation."""
    return DeviceRepository(db, hot=hot, reader=reader, now=now, key_ring=key_ring)


def get_writable_devices(
    db: WritingDb, hot: HotDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> DeviceRepository:
    """Return the devices of the reader's organisation, to change and lend them."""
    return DeviceRepository(db, hot=hot, reader=reader, now=now, key_ring=key_ring)


Devices = Annotated[DeviceRepository, Depends(get_devices)]
WritableDevices = Annotated[DeviceRepository, Depends(get_writable_devices)]


class KitBody(Body):
    """A new kit."""

    id: LooseUuid | None = None
    name: Title


class DeviceBody(Body):
    """Where a device belongs and is usually worn."""

    kit_id: LooseUuid | None = None
    usual_site: BodySite | None = None


class NewDeviceBody(DeviceBody):
    """A new device."""

    name: DeviceName
    kind: Literal["imu6", "imu9", "force", "heart", "spo2", "phone"]


class AssignmentBody(Body):
    """What shall be lent to a patient: one device, worn at a site, or a kit, whose devices know their sites."""

    id: LooseUuid | None = None
    device_name: DeviceName | None = None
    kit_id: LooseUuid | None = None
    body_site: BodySite | None = None
    starts_at: LooseMoment | None = None
    ends_at: LooseMoment | None = None


class WearerRead(Answer):
    """Who has a device."""

    id: UUID
    display_name: str | None
    birth_date: date | None


class DeviceRead(Answer):
    """A device; who has it is told to those who may see the patient.

    `hindrance` says why a free one cannot be lent yet: `device_unheard`, `device_not_empty`, `device_has_holes`.
    """

    name: str
    kind: str
    kit_id: UUID | None
    kit_name: str | None
    usual_site: str | None
    is_lent: bool
    patient: WearerRead | None
    assignment_id: UUID | None
    is_revoked: bool
    hindrance: str | None
    bytes_kept: int | None
    heard_at: datetime | None
    wipe_asked_at: datetime | None


class CredentialRead(Answer):
    """A device's credential; shown this once."""

    name: str
    kind: str
    kit_id: UUID | None
    usual_site: str | None
    password: str


class UnattributedRead(Answer):
    """Samples that are nobody's: `no_clock_fit` (placed by their arrival), `outside_assignments`, `across_border`."""

    device_name: str
    reason: str
    since: datetime
    until: datetime
    sample_count: int


class KitRead(Answer):
    """A kit and its devices."""

    id: UUID
    name: str
    shard: str
    devices: list[DeviceRead]


class AssignmentRead(Answer):
    """A device is lent to a patient during `[starts_at, ends_at)`."""

    id: UUID
    device_name: str
    patient_id: UUID
    body_site: str | None
    starts_at: datetime
    ends_at: datetime | None


@router.get("/devices", response_model=list[DeviceRead])
@declares(THERAPIST_MANAGER_OR_ADMIN)
def list_devices(devices: Devices) -> object:
    """List the devices, free and lent."""
    return [_shown_device(device) for device in devices.list()]


@router.post("/devices", status_code=201, response_model=CredentialRead)
@declares(MANAGER_OR_ADMIN)
def create_device(body: NewDeviceBody, devices: WritableDevices) -> object:
    """Make a device; its password is shown this once."""
    return _shown_credential(
        devices.create_device(body.name, kind=body.kind, kit_id=body.kit_id, usual_site=body.usual_site)
    )


@router.put("/devices/{device_name}", response_model=DeviceRead)
@declares(MANAGER_OR_ADMIN)
def put_device(device_name: str, body: DeviceBody, devices: WritableDevices) -> object:
    """Put a device into a kit, or out of it, and say where it is usually worn."""
    return _shown_device(devices.change_device(device_name, kit_id=body.kit_id, usual_site=body.usual_site))


@router.post("/devices/{device_name}/credential", response_model=CredentialRead)
@declares(MANAGER_OR_ADMIN)
def renew_credential(device_name: str, devices: WritableDevices) -> object:
    """Give a device another password, shown this once."""
    return _shown_credential(devices.renew_credential(device_name))


@router.delete("/devices/{device_name}", status_code=204)
@declares(MANAGER_OR_ADMIN)
def revoke_device(device_name: str, devices: WritableDevices) -> None:
    """Let a device in no more: it was lost or is worn out."""
    devices.revoke_device(device_name)


@router.post("/devices/{device_name}/wipe", response_model=DeviceRead)
@declares(THERAPIST_MANAGER_OR_ADMIN)
def wipe_device(device_name: str, devices: WritableDevices) -> object:
    """Let a device that came back forget what it keeps: what nobody has received of it is lost."""
    return _shown_device(devices.wipe(device_name))


@router.get("/devices/{device_name}/ledger", response_model=list[StreamLedgerRead])
@declares(MANAGER_OR_ADMIN)
def get_device_ledger(device_name: str, devices: Devices) -> object:
    """Tell what became of every block that a device has numbered."""
    return [shown_stream(stream) for stream in devices.ledger(device_name)]


@router.get("/unattributed", response_model=list[UnattributedRead])
@declares(THERAPIST_MANAGER_OR_ADMIN)
def list_unattributed(devices: Devices) -> object:
    """List what devices measured that is nobody's, and why."""
    return devices.unattributed()


@router.get("/kits", response_model=list[KitRead])
@declares(THERAPIST_MANAGER_OR_ADMIN)
def list_kits(devices: Devices) -> object:
    """List the kits and their devices."""
    return [_shown_kit(rows) for rows in devices.kits()]


@router.post("/kits", status_code=201, response_model=KitRead)
@declares(MANAGER_OR_ADMIN)
def create_kit(body: KitBody, devices: WritableDevices) -> object:
    """Make a kit."""
    return _shown_kit(devices.create_kit(body.name, kit_id=body.id))


@router.delete("/kits/{kit_id}", status_code=204)
@declares(MANAGER_OR_ADMIN)
def retire_kit(kit_id: UUID, devices: WritableDevices) -> None:
    """Take an empty kit out of use."""
    devices.retire_kit(kit_id)


@router.get("/patients/{patient_id}/assignments", response_model=list[AssignmentRead])
@declares(THERAPIST_OR_MANAGER)
def list_assignments(patient_id: UUID, devices: Devices) -> object:
    """List what is and was lent to a patient, the latest first."""
    return devices.assignments(patient_id)


@router.post("/patients/{patient_id}/assignments", status_code=201, response_model=list[AssignmentRead])
@declares(THERAPIST_OR_MANAGER)
def create_assignments(patient_id: UUID, body: AssignmentBody, devices: WritableDevices) -> object:
    """Lend a device or a whole kit to a patient."""
    if (body.device_name is None) == (body.kit_id is None):
        raise InvalidContentError(
            "a device or a kit", faults=[{"at": "body.device_name", "kind": "one_of_device_and_kit"}]
        )
    if body.kit_id is not None:
        return devices.lend_kit(
            patient_id, body.kit_id, assignment_id=body.id, starts_at=body.starts_at, ends_at=body.ends_at
        )
    assert body.device_name is not None
    return [
        devices.lend(
            patient_id,
            body.device_name,
            assignment_id=body.id,
            body_site=body.body_site,
            starts_at=body.starts_at,
            ends_at=body.ends_at,
        )
    ]


@router.post("/assignments/{assignment_id}/end", response_model=AssignmentRead)
@declares(THERAPIST_OR_MANAGER)
def end_assignment(assignment_id: UUID, devices: WritableDevices) -> object:
    """Take a device back."""
    return devices.end(assignment_id)


def _shown_device(device: LentDevice) -> DeviceRead:
    lent_to = device.lent_to
    return DeviceRead(
        name=device.name,
        kind=device.kind,
        kit_id=device.kit_id,
        kit_name=device.kit_name,
        usual_site=device.usual_site,
        is_lent=device.is_lent,
        patient=None
        if lent_to is None
        else WearerRead(id=lent_to.patient_id, display_name=lent_to.name, birth_date=lent_to.birth_date),
        assignment_id=device.assignment_id,
        is_revoked=device.is_revoked,
        hindrance=device.hindrance,
        bytes_kept=device.bytes_kept,
        heard_at=device.heard_at,
        wipe_asked_at=device.wipe_asked_at,
    )


def _shown_kit(rows: KitRows) -> KitRead:
    return KitRead(
        id=rows.id, name=rows.name, shard=rows.shard, devices=[_shown_device(device) for device in rows.devices]
    )


def _shown_credential(made: NewDevice) -> CredentialRead:
    device = made.device
    return CredentialRead(
        name=device.name, kind=device.kind, kit_id=device.kit_id, usual_site=device.usual_site, password=made.password
    )
