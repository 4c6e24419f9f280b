"""Devices and kits of one organisation, and to whom they are lent, from when to when.

An assignment's time range alone decides whose a measurement is (`telerehab.attribution`): what a device measured
before, after or between two assignments belongs to nobody. `provisioning.assign_device` sees to it that no two of a
device ever share a moment. A device that comes back is lent again once it keeps nothing (`telerehab.care.lending`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID, uuid4, uuid5

from sqlalchemy import ColumnElement, or_
from sqlmodel import Session, col, func, select

from analytics.exercises import EXERCISES
from devices.topics import N_SHARDS, is_device_name, shard_name
from telerehab.attribution import Unattributed
from telerehab.auth.access import Scope
from telerehab.auth.audit import record
from telerehab.auth.device_credentials import BROKER_ROLES, hash_device_password, new_device_password
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.phone_links import LINK_LIFETIME, PHONE_KIND, make_phone_token
from telerehab.auth.reader import Reader
from telerehab.care.lending import Hindrance, find_hindrance
from telerehab.clock import from_us, to_us
from telerehab.db import provisioning
from telerehab.db.assignment_rows import read_lendings
from telerehab.db.changes import note_change
from telerehab.db.device_reports import DeviceSaid, read_reports
from telerehab.db.ledger_rows import (
    read_boots,
    read_duplicates,
    read_holes,
    read_minutes,
    read_single_blocks,
    read_tallies,
)
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.organisations import lock_organisation
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository, is_visible_patient
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import Assignment, Device, Kit, Patient
from telerehab.db.unique import flush_unique
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError
from telerehab.intake.hot_reads import read_clocks
from telerehab.ledger import ALL_TIME, StreamLedger, find_unattributed, is_undecided, make_ledger

LIST_MAX: Final = 5_000
KIT_DEVICES_MAX: Final = 20
UNATTRIBUTED_MAX: Final = 500
DESK_LOOKS_BACK: Final = timedelta(days=90)
CLOCK_SLACK: Final = timedelta(minutes=5)
"""How far in the past a page's clock may let an assignment begin; earlier, nobody can say who wore the device."""
_SINGLE: Final = frozenset({"pelvis", "trunk", "chest"})
_SEGMENTS: Final = frozenset(
    site for exercise in EXERCISES.values() for site in (exercise.proximal_site, exercise.distal_site)
)
BODY_SITES: Final = frozenset(
    {*_SINGLE, *(f"{site}_{side}" for site in (*_SEGMENTS - _SINGLE, "wrist", "finger") for side in ("left", "right"))}
)
"""Where a device is worn."""
_ASSIGNMENT: Final = "assignment"
DeviceList = list["LentDevice"]


@dataclass(kw_only=True, frozen=True, slots=True)
class LentDevice:
    """A device, and whether it is lent; to whom only where the reader may see the patient."""

    name: str
    kind: str
    kit_id: UUID | None
    kit_name: str | None
    usual_site: str | None
    is_lent: bool
    lent_to: Identity | None
    assignment_id: UUID | None
    """Only where the reader may see the patient."""
    is_revoked: bool
    hindrance: Hindrance | None
    """Why a device that is free cannot be lent yet."""
    bytes_kept: int | None
    """What it last said that it keeps, if it is free."""
    heard_at: datetime | None
    """When it last said how it is, if it is free."""
    wipe_asked_at: datetime | None


@dataclass(kw_only=True, frozen=True, slots=True)
class UnattributedPart:
    """Samples of a device that are nobody's, and why."""

    device_name: str
    reason: Unattributed
    since: datetime
    until: datetime
    sample_count: int


@dataclass(kw_only=True, frozen=True, slots=True)
class KitRows:
    """A kit and its devices."""

    id: UUID
    name: str
    shard: str
    devices: Sequence[LentDevice]


@dataclass(kw_only=True, frozen=True, slots=True)
class NewPhoneLink:
    """The token of a link, shown once."""

    token: str
    expires_at: datetime


class DeviceRepository:
    """The devices of the reader's organisation, and the assignments of the reader's patients."""

    def __init__(self, db: Session, *, hot: Session, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._hot = hot
        self._reader = reader
        self._now = now
        self._key_ring = key_ring
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self) -> Sequence[LentDevice]:
        """Return all devices by name, free and lent, at most `LIST_MAX`."""
        statement = (
            select(Device, Kit.name)
            .join(Kit, col(Kit.id) == col(Device.kit_id), isouter=True)
            .where(col(Device.organisation_id) == self._reader.organisation_id)
        )
        rows = self._db.exec(statement.order_by(col(Device.name)).limit(LIST_MAX)).all()
        lent = self._lent_now()
        seen = self._seen([assignment.patient_id for assignment in lent.values()])
        free = [device.name for device, _ in rows if device.name not in lent and device.revoked_at is None]
        said, returned_us = read_reports(self._hot, free), self._returned_us(free)
        return [
            self._shown(device, kit_name, lent.get(device.name), seen, said, returned_us) for device, kit_name in rows
        ]

    def kits(self) -> Sequence[KitRows]:
        """Return the kits by name, each with its devices."""
        by_kit: dict[UUID | None, DeviceList] = {}
        for device in self.list():
            by_kit.setdefault(device.kit_id, []).append(device)
        statement = select(Kit).where(
            col(Kit.organisation_id) == self._reader.organisation_id, col(Kit.retired_at).is_(None)
        )
        kits = self._db.exec(statement.order_by(col(Kit.name), col(Kit.id)).limit(LIST_MAX))
        return [KitRows(id=kit.id, name=kit.name, shard=kit.shard, devices=by_kit.get(kit.id, [])) for kit in kits]

    def create_kit(self, name: str, *, kit_id: UUID | None) -> KitRows:
        """Make a kit, on the shard that has the fewest kits; the same id and name again adds nothing.

        Raises
        ------
        NotFoundError
            The id is one of elsewhere.
        ConflictError
            The id is that of another kit.
        """
        known = None if kit_id is None else self._db.get(Kit, kit_id)
        if known is not None:
            kit = self._require_kit(known.id)
            if kit.name != name:
                raise ConflictError("this kit has another name")
            return self._kit_rows(kit)
        used = dict(self._db.exec(select(Kit.shard, func.count()).group_by(col(Kit.shard))).all())
        shard = min((shard_name(i) for i in range(N_SHARDS)), key=lambda each: (used.get(each, 0), each))
        kit = Kit(id=kit_id or uuid4(), organisation_id=self._reader.organisation_id, name=name, shard=shard)
        self._db.add(kit)
        self._db.flush()
        self._record("create_kit", f"kit:{kit.id}")
        return self._kit_rows(kit)

    def retire_kit(self, kit_id: UUID) -> None:
        """Take a kit out of use.

        Raises
        ------
        NotFoundError
            There is none in the reader's organisation.
        ConflictError
            Devices are in it (`kit_not_empty`).
        """
        kit = self._require_kit(kit_id)
        in_it = select(Device.name).where(col(Device.kit_id) == kit.id, col(Device.revoked_at).is_(None))
        if self._db.exec(in_it).first() is not None:
            raise ConflictError("devices are in this kit", code="kit_not_empty")
        kit.retired_at = self._now
        self._db.add(kit)
        self._record("retire_kit", f"kit:{kit.id}")

    def create_device(
        self, name: str, *, kind: str, kit_id: UUID | None, usual_site: str | None
    ) -> provisioning.NewDevice:
        """Make a device; its password is shown this once.

        Raises
        ------
        NotFoundError
            There is no such kit in the reader's organisation.
        ConflictError
            A device has this name (`device_known`), or the kit is full (`kit_full`).
        InvalidContentError
            A device cannot have this name.
        """
        if not is_device_name(name) or name in BROKER_ROLES:
            raise InvalidContentError("no name for a device", faults=[{"at": "body.name", "kind": "device_name"}])
        if kit_id is not None:
            self._require_room(kit_id)
        password = new_device_password()
        device = Device(
            name=name,
            organisation_id=self._reader.organisation_id,
            kit_id=kit_id,
            kind=kind,
            usual_site=usual_site,
            credential_hash=hash_device_password(password),
        )
        if self._db.get(Device, name) is not None:
            raise ConflictError("a device has this name", code="device_known")
        self._db.add(device)
        flush_unique(self._db, "a device has this name", code="device_known")
        self._record("create_device", f"device:{name}")
        return provisioning.NewDevice(device=device, password=password)

    def change_device(self, name: str, *, kit_id: UUID | None, usual_site: str | None) -> LentDevice:
        """Put a device into a kit, or out of it, and say where it is usually worn.

        Raises
        ------
        NotFoundError
            Device or kit is of elsewhere.
        ConflictError
            The device is lent and would change its kit (`device_lent`): its kit's shard is where it sends to.
        """
        device = self._require_device(name, lock=True)
        if kit_id != device.kit_id:
            if name in self._lent_now(name):
                raise ConflictError("the device is lent", code="device_lent")
            if kit_id is not None:
                self._require_room(kit_id)
            device.kit_id = kit_id
        device.usual_site = usual_site
        self._db.add(device)
        self._db.flush()
        self._record("change_device", f"device:{name}")
        return next(each for each in self.list() if each.name == name)

    def renew_credential(self, name: str) -> provisioning.NewDevice:
        """Give a device another password, shown this once; the old one is void."""
        device = self._require_device(name, lock=True)
        password = new_device_password()
        device.credential_hash = hash_device_password(password)
        device.revoked_at = None
        self._db.add(device)
        self._db.flush()
        self._record("renew_device_credential", f"device:{name}")
        return provisioning.NewDevice(device=device, password=password)

    def revoke_device(self, name: str) -> None:
        """Let a device in no more, and end its assignments: it was lost or is worn out."""
        device = self._require_device(name, lock=True)
        for assignment in self._running(col(Assignment.device_name) == name):
            self._end(assignment)
        if device.revoked_at is None:
            device.revoked_at = self._now
            self._db.add(device)
            self._record("revoke_device", f"device:{name}")

    def wipe(self, name: str) -> LentDevice:
        """Let a device that came back forget what it keeps; intake tells it, also when it is switched on later.

        Raises
        ------
        NotFoundError
            The device is of elsewhere.
        ConflictError
            It is lent, or will be (`device_lent`): what it keeps is somebody's; or it is revoked (`device_revoked`).
        """
        device = self._require_device(name, lock=True)
        if device.revoked_at is not None:
            raise ConflictError("the device is revoked", code="device_revoked")
        if self._running(col(Assignment.device_name) == name):
            raise ConflictError("the device is lent", code="device_lent")
        device.wipe_asked_at = self._now
        self._db.add(device)
        self._db.flush()
        self._record("wipe_device", f"device:{name}")
        return next(each for each in self.list() if each.name == name)

    def unattributed(self) -> Sequence[UnattributedPart]:
        """Return what the devices brought in `DESK_LOOKS_BACK` that is nobody's, newest first, `UNATTRIBUTED_MAX`."""
        names = self._db.exec(
            select(Device.name).where(col(Device.organisation_id) == self._reader.organisation_id).limit(LIST_MAX)
        ).all()
        minutes = read_minutes(self._hot, names, since_us=to_us(self._now - DESK_LOOKS_BACK))
        heard = {tally.device for tally in minutes}
        lendings, clocks = read_lendings(self._db, heard), read_clocks(self._hot, heard)
        received = []
        for tally in minutes:
            clock = clocks.get((tally.device, tally.boot))
            single = read_single_blocks(self._hot, tally) if is_undecided(tally, clock=clock, lendings=lendings) else ()
            received += single or [tally]
        return [
            UnattributedPart(
                device_name=found.device,
                reason=found.reason,
                since=from_us(found.since_us),
                until=from_us(found.until_us),
                sample_count=found.sample_count,
            )
            for found in find_unattributed(received, clocks=clocks, lendings=lendings)[:UNATTRIBUTED_MAX]
        ]

    def ledger(self, name: str) -> Sequence[StreamLedger]:
        """Return the account of all that a device has sent, by boot and stream.

        Raises
        ------
        NotFoundError
            The device is of elsewhere.
        """
        self._require_device(name)
        boots = read_boots(self._hot, [name])
        return make_ledger(
            read_tallies(self._hot, dict.fromkeys(boots, ALL_TIME), clocks=read_clocks(self._hot, [name])),
            read_holes(self._hot, boots),
            read_duplicates(self._hot, boots),
        )

    def assignments(self, patient_id: UUID) -> Sequence[Assignment]:
        """Return what is and was lent to a patient, the latest first; NotFoundError where the reader may not see it."""
        self._patients.require(patient_id, Scope.IDENTIFY)
        statement = select(Assignment).where(col(Assignment.patient_id) == patient_id)
        return self._db.exec(
            statement.order_by(col(Assignment.starts_at).desc(), col(Assignment.device_name)).limit(LIST_MAX)
        ).all()

    def lend(
        self,
        patient_id: UUID,
        device_name: str,
        *,
        assignment_id: UUID | None,
        body_site: str | None,
        starts_at: datetime | None,
        ends_at: datetime | None,
    ) -> Assignment:
        """Lend a device to a patient; the same under the same id again adds nothing.

        Raises
        ------
        NotFoundError
            The reader may not lend to the patient, or the device is of elsewhere.
        ConflictError
            It is lent in this time (`device_lent`), another device is worn there (`site_taken`), the course is over
            (`course_ended`), the device is revoked (`device_revoked`), or the id is that of another assignment.
            Another patient has it still (`device_not_returned`), or it has not shown since it came back that it keeps
            nothing: it was not heard (`device_unheard`), keeps something (`device_not_empty`), or blocks of it are
            missing (`device_has_holes`).
        InvalidContentError
            It would begin in the past, or end before it begins.
        """
        opened = self._require_patient(patient_id)
        known = None if assignment_id is None else self._db.get(Assignment, assignment_id)
        if known is not None:
            if (known.patient_id, known.device_name, known.body_site) != (patient_id, device_name, body_site):
                raise ConflictError("this assignment is another one")
            return known
        starts_at = self._checked_start(starts_at, ends_at)
        self._refuse_ended(opened)
        device = self._require_device(device_name, lock=True)
        made = self._assign(device, opened, assignment_id or uuid4(), body_site, starts_at, ends_at)
        self._record("lend_device", f"{_ASSIGNMENT}:{made.id}", patient_id=patient_id)
        return made

    def lend_kit(
        self,
        patient_id: UUID,
        kit_id: UUID,
        *,
        assignment_id: UUID | None,
        starts_at: datetime | None,
        ends_at: datetime | None,
    ) -> Sequence[Assignment]:
        """Lend all devices of a kit to a patient, each for its usual site: all or none.

        Raises
        ------
        NotFoundError
            The reader may not lend to the patient, or the kit is of elsewhere.
        ConflictError
            As for a single device; the kit is empty (`kit_empty`).
        InvalidContentError
            It would begin in the past, or end before it begins.
        """
        opened = self._require_patient(patient_id)
        kit = self._require_kit(kit_id)
        first_id = assignment_id or uuid4()
        statement = select(Device).where(col(Device.kit_id) == kit.id, col(Device.revoked_at).is_(None))
        devices = self._db.exec(statement.order_by(col(Device.name)).with_for_update()).all()
        if not devices:
            raise ConflictError("the kit is empty", code="kit_empty")
        ids = {device.name: uuid5(first_id, device.name) for device in devices}
        known = self._db.exec(select(Assignment).where(col(Assignment.id).in_(ids.values()))).all()
        if known:
            if any(row.patient_id != patient_id for row in known):
                raise ConflictError("these assignments are others")
            return known
        starts_at = self._checked_start(starts_at, ends_at)
        self._refuse_ended(opened)
        made = [
            self._assign(device, opened, ids[device.name], device.usual_site, starts_at, ends_at) for device in devices
        ]
        self._record("lend_kit", f"kit:{kit.id}", patient_id=patient_id)
        return made

    def create_phone_link(self, assignment_id: UUID, *, key: bytes) -> NewPhoneLink:
        """Make a link that makes a telephone the device that is lent.

        Raises
        ------
        NotFoundError
            There is no such assignment, or the reader may not lend to its patient.
        ConflictError
            The device is back (`not_lent`), revoked (`device_revoked`), or no telephone (`not_a_phone`).
        """
        assignment = self._require_assignment(assignment_id)
        device = self._require_device(assignment.device_name, lock=True)
        if assignment.ends_at is not None and assignment.ends_at <= self._now:
            raise ConflictError("the device is back", code="not_lent")
        if device.revoked_at is not None:
            raise ConflictError("the device is revoked", code="device_revoked")
        if device.kind != PHONE_KIND:
            raise ConflictError("the device is no telephone", code="not_a_phone")
        expires_at = self._now + LINK_LIFETIME
        token = make_phone_token(device.name, expires_at=expires_at, credential_hash=device.credential_hash, key=key)
        self._record("invite_phone", f"device:{device.name}", patient_id=assignment.patient_id)
        return NewPhoneLink(token=token, expires_at=expires_at)

    def end(self, assignment_id: UUID) -> Assignment:
        """Take a device back now, or before it was lent; one that is back stays so.

        Raises
        ------
        NotFoundError
            There is no such assignment, or the reader may not.
        """
        assignment = self._require_assignment(assignment_id)
        if assignment.ends_at is None or assignment.ends_at > self._now:
            self._end(assignment)
            self._record("take_back_device", f"{_ASSIGNMENT}:{assignment.id}", patient_id=assignment.patient_id)
        return assignment

    def _assign(
        self,
        device: Device,
        opened: OpenedPatient,
        assignment_id: UUID,
        body_site: str | None,
        starts_at: datetime,
        ends_at: datetime | None,
    ) -> Assignment:
        if device.revoked_at is not None:
            raise ConflictError("the device is revoked", code="device_revoked")
        at_site = (col(Assignment.patient_id) == opened.patient.id) & (col(Assignment.body_site) == body_site)
        if body_site is not None and provisioning.is_assigned(self._db, at_site, starts_at, ends_at):
            raise ConflictError("another device is worn there in this time", code="site_taken")
        made = provisioning.assign_device(
            self._db,
            device_name=device.name,
            patient_id=opened.patient.id,
            body_site=body_site,
            starts_at=starts_at,
            ends_at=ends_at,
            assignment_id=assignment_id,
            created_by=self._reader.account_id,
        )
        self._refuse_full(device, made)
        device.wipe_asked_at = None
        self._db.add(device)
        note_change(self._db, _ASSIGNMENT, made.id, version=1)
        return made

    def _refuse_full(self, device: Device, made: Assignment) -> None:
        """Refuse a device that may still hold what it measured on somebody else; a patient's own may run on."""
        others = [row for row in self._running(col(Assignment.device_name) == device.name) if row.id != made.id]
        if any(row.patient_id != made.patient_id for row in others):
            raise ConflictError("another patient has the device still", code="device_not_returned")
        if others:
            return
        said = read_reports(self._hot, [device.name]).get(device.name)
        returned_us = self._returned_us([device.name]).get(device.name)
        hindrance = find_hindrance(None if said is None else said.ring, returned_us=returned_us)
        if hindrance is not None:
            raise ConflictError("the device may keep what it measured before", code=hindrance)

    def _returned_us(self, names: Sequence[str]) -> dict[str, int]:
        """Return when each of these devices was last taken back; those that were never lent are left out."""
        statement = (
            select(Assignment.device_name, func.max(col(Assignment.ends_at)))
            .where(
                col(Assignment.device_name).in_(names),
                col(Assignment.ends_at) <= self._now,
                col(Assignment.ends_at) > col(Assignment.starts_at),
            )
            .group_by(col(Assignment.device_name))
        )
        return {name: to_us(ended_at) for name, ended_at in self._db.exec(statement) if ended_at is not None}

    def _require_patient(self, patient_id: UUID) -> OpenedPatient:
        """Return a patient to whom the reader may lend; of several who do, one at a time goes on."""
        opened = self._patients.require(patient_id, Scope.LEND)
        lock_patient(self._db, patient_id)
        self._db.refresh(opened.patient)  # the course may have ended while we waited
        return opened

    def _refuse_ended(self, opened: OpenedPatient) -> None:
        if opened.patient.ended_at is not None:
            raise ConflictError("the patient's course is over", code="course_ended")

    def _checked_start(self, starts_at: datetime | None, ends_at: datetime | None) -> datetime:
        """Return when an assignment begins: never in hindsight."""
        if starts_at is not None and starts_at < self._now - CLOCK_SLACK:
            raise InvalidContentError("in hindsight", faults=[{"at": "body.starts_at", "kind": "in_the_past"}])
        begins_at = max(starts_at or self._now, self._now)
        if ends_at is not None and ends_at <= begins_at:
            raise InvalidContentError("no time", faults=[{"at": "body.ends_at", "kind": "too_early"}])
        return begins_at

    def _require_device(self, name: str, *, lock: bool = False) -> Device:
        if not is_device_name(name):  # also what a database would not even compare
            raise NotFoundError("no such device")
        statement = select(Device).where(
            col(Device.name) == name, col(Device.organisation_id) == self._reader.organisation_id
        )
        device = self._db.exec(statement.with_for_update() if lock else statement).first()
        if device is None:
            raise NotFoundError("no such device")
        return device

    def _require_assignment(self, assignment_id: UUID) -> Assignment:
        assignment = self._db.exec(
            select(Assignment).where(col(Assignment.id) == assignment_id).with_for_update()
        ).first()
        if assignment is None:
            raise NotFoundError("no such assignment")
        try:
            self._patients.require(assignment.patient_id, Scope.LEND)
        except NotFoundError:
            raise NotFoundError("no such assignment") from None
        return assignment

    def _require_kit(self, kit_id: UUID) -> Kit:
        kit = self._db.exec(
            select(Kit).where(
                col(Kit.id) == kit_id,
                col(Kit.organisation_id) == self._reader.organisation_id,
                col(Kit.retired_at).is_(None),
            )
        ).first()
        if kit is None:
            raise NotFoundError("no such kit")
        return kit

    def _require_room(self, kit_id: UUID) -> None:
        lock_organisation(self._db, self._reader.organisation_id)
        kit = self._require_kit(kit_id)
        count = self._db.exec(select(func.count()).where(col(Device.kit_id) == kit.id)).one()
        if count >= KIT_DEVICES_MAX:
            raise ConflictError("the kit is full", code="kit_full")

    def _end(self, assignment: Assignment) -> None:
        assignment.ends_at = max(assignment.starts_at, self._now)
        self._db.add(assignment)
        note_change(self._db, _ASSIGNMENT, assignment.id, version=2)

    def _running(self, which: ColumnElement[bool]) -> Sequence[Assignment]:
        """Return the assignments that are in force or to come."""
        return self._db.exec(
            select(Assignment).where(which, or_(col(Assignment.ends_at).is_(None), col(Assignment.ends_at) > self._now))
        ).all()

    def _lent_now(self, name: str | None = None) -> dict[str, Assignment]:
        """Return the assignments in force of the organisation's devices, or of one, by device."""
        in_force = (
            select(Assignment)
            .join(Device, col(Device.name) == col(Assignment.device_name))
            .where(
                col(Device.organisation_id) == self._reader.organisation_id,
                col(Assignment.starts_at) <= self._now,
                or_(col(Assignment.ends_at).is_(None), col(Assignment.ends_at) > self._now),
            )
        )
        if name is not None:
            in_force = in_force.where(col(Device.name) == name)
        return {assignment.device_name: assignment for assignment in self._db.exec(in_force)}

    def _seen(self, patient_ids: Sequence[UUID]) -> dict[UUID, Identity]:
        """Return the identities of those patients whom the reader may see."""
        statement = select(Patient).where(
            col(Patient.id).in_(set(patient_ids)), is_visible_patient(self._reader, self._now, Scope.IDENTIFY)
        )
        return {patient.id: PatientSeal(patient, self._key_ring).identity() for patient in self._db.exec(statement)}

    def _shown(
        self,
        device: Device,
        kit_name: str | None,
        lent: Assignment | None,
        seen: dict[UUID, Identity],
        reports: dict[str, DeviceSaid],
        returned_us: dict[str, int],
    ) -> LentDevice:
        lent_to = None if lent is None else seen.get(lent.patient_id)
        said = reports.get(device.name)
        is_free = lent is None and device.revoked_at is None
        hindrance = find_hindrance(None if said is None else said.ring, returned_us=returned_us.get(device.name))
        return LentDevice(
            name=device.name,
            kind=device.kind,
            kit_id=device.kit_id,
            kit_name=kit_name,
            usual_site=device.usual_site,
            is_lent=lent is not None,
            lent_to=lent_to,
            assignment_id=lent.id if lent is not None and lent_to is not None else None,
            is_revoked=device.revoked_at is not None,
            hindrance=hindrance if is_free else None,
            bytes_kept=None if said is None else said.bytes_kept,
            heard_at=None if said is None else from_us(said.ring.heard_us),
            wipe_asked_at=device.wipe_asked_at,
        )

    def _kit_rows(self, kit: Kit) -> KitRows:
        return next(rows for rows in self.kits() if rows.id == kit.id)

    def _record(self, action: str, what: str, *, patient_id: UUID | None = None) -> None:
        record(self._db, actor=self._reader, action=action, patient_id=patient_id, object=what, now=self._now)
