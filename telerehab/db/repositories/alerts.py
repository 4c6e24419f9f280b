"""Alerts of the patients whom one reader may see, and what somebody says follows from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.safety import Cause
from telerehab.care.stops import CONFIRMED_BY, Confirmer, Stops, opening
from telerehab.db.alert_rows import MAY_CONTINUE, TABLE, is_not_retracted, is_open, is_standing_stop
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository, is_visible_patient
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import Account, Alert, AlertAcknowledgement, Organisation, Patient
from telerehab.errors import ConflictError, NotFoundError

STOP_UNCONFIRMED: Final = "stop_unconfirmed"
NEEDS_THERAPIST: Final = "needs_therapist"
LIST_MAX: Final = 500
LIST_PERIOD: Final = timedelta(days=30)
"""How far the list of all alerts goes back; open ones are on it however old they are."""
ACKNOWLEDGEMENTS_MAX: Final = 50
"""Of one alert; the word that lets the patient go on is heard all the same."""
_ACKNOWLEDGEMENT: Final = "alert_acknowledgement"


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedAcknowledgement:
    """What somebody said follows from an alert; no name where the patient confirmed it."""

    row: AlertAcknowledgement
    account_name: str | None
    note: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedAlert:
    """An alert, whose it is, and the last thing that was said about it."""

    row: Alert
    identity: Identity
    is_standing: bool
    """Nobody has let the patient go on."""
    acknowledged: OpenedAcknowledgement | None


@dataclass(kw_only=True, frozen=True, slots=True)
class StandingStop:
    """What a patient's tablet must do now."""

    stops: Stops
    cause: Cause | None
    """The one that decides who must confirm; of several the newest."""
    since: datetime | None
    confirmable_ids: tuple[UUID, ...]
    """The alerts that the patient may confirm: all, or none as long as a therapist's word is missing."""
    telephone: str | None


class AlertRepository:
    """The alerts of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self, *, is_open_only: bool) -> Sequence[OpenedAlert]:
        """Return alerts, the newest first, at most `LIST_MAX`.

        Open is what nobody has acknowledged, and every stop from which nobody has let the patient go on.
        """
        wanted = is_open() | is_standing_stop()
        if not is_open_only:
            wanted |= col(Alert.found_at) >= self._now - LIST_PERIOD
        statement = (
            select(Alert, Patient, is_standing_stop())
            .join(Patient, col(Patient.id) == col(Alert.patient_id))
            .where(is_visible_patient(self._reader, self._now, Scope.SEE_RESULTS), is_not_retracted(), wanted)
            .order_by(col(Alert.found_at).desc(), col(Alert.id))
            .limit(LIST_MAX)
        )
        rows = self._db.exec(statement).all()
        seals = {patient.id: PatientSeal(patient, self._key_ring) for _, patient, _ in rows}
        said = self._last_said([row.id for row, _, _ in rows])
        return [
            OpenedAlert(
                row=row,
                identity=seals[row.patient_id].identity(),
                is_standing=is_standing,
                acknowledged=_open(said.get(row.id), seals[row.patient_id]),
            )
            for row, _, is_standing in rows
        ]

    def acknowledge(self, alert_id: UUID, *, action: str, note: str | None) -> OpenedAlert:
        """Say what follows from an alert; the same thing said twice in a row is said once.

        Raises
        ------
        NotFoundError
            There is none, or the reader does not treat the patient.
        ConflictError
            More has been said about it than anybody needs.
        """
        row, opened = self._require_locked(alert_id, Scope.WRITE_CARE)
        last = self._last_said([alert_id]).get(alert_id)
        if last is None or (last[0].account_id, last[0].action, _note(last[0], opened.seal)) != (
            self._reader.account_id,
            action,
            note,
        ):
            self._say(row, opened, action=action, note=note)
        return self._reopen(row, opened)

    def confirm(self, alert_id: UUID) -> OpenedAlert:
        """Let the patient confirm a stop by themselves, where that suffices.

        Raises
        ------
        NotFoundError
            There is none, or it is not this tablet's patient's.
        ConflictError
            Another must confirm it (code `needs_therapist`).
        """
        row, opened = self._require_locked(alert_id, Scope.TRAIN)
        if row.needs_confirmation_by != Confirmer.PATIENT:
            raise ConflictError("a therapist must confirm this", code=NEEDS_THERAPIST)
        if self._is_standing(row):
            self._say(row, opened, action=MAY_CONTINUE, note=None)
        return self._reopen(row, opened)

    def standing_stop(self, patient_id: UUID) -> StandingStop:
        """Return whether a patient's training stands still, why, and whose word is missing.

        Raises
        ------
        NotFoundError
            There is no such patient, or the reader may not train with them.
        """
        self._patients.require(patient_id, Scope.TRAIN)
        return read_standing_stop(self._db, patient_id)

    def _require_locked(self, alert_id: UUID, scope: Scope) -> tuple[Alert, OpenedPatient]:
        """Return an alert with whose patient the reader may do this.

        Until it is said, nobody says anything else about the patient's alerts, and no report of the patient's is
        judged: a stop pressed meanwhile would count as the one that is confirmed here.
        """
        found = select(Alert).where(col(Alert.id) == alert_id, is_not_retracted())
        row = self._db.exec(found).first()
        if row is None:
            raise NotFoundError("no such alert")
        try:
            opened = self._patients.require(row.patient_id, scope)
        except NotFoundError as error:
            raise NotFoundError("no such alert") from error
        lock_patient(self._db, opened.patient.id)
        row = self._db.exec(found.execution_options(populate_existing=True)).first()
        if row is None or row.patient_id != opened.patient.id:
            raise NotFoundError("no such alert")
        return row, opened

    def _say(self, row: Alert, opened: OpenedPatient, *, action: str, note: str | None) -> None:
        """Write what follows from an alert, and tell everybody."""
        said = select(AlertAcknowledgement.id).where(col(AlertAcknowledgement.alert_id) == row.id)
        count = len(self._db.exec(said).all())
        is_way_back = action == MAY_CONTINUE and self._is_standing(row)
        if count >= ACKNOWLEDGEMENTS_MAX and not is_way_back:
            raise ConflictError("enough has been said about this alert")
        acknowledgement = AlertAcknowledgement(
            alert_id=row.id, account_id=self._reader.account_id, action=action, at=self._now
        )
        if note is not None:
            acknowledgement.note_sealed = opened.seal.seal(
                note, table=_ACKNOWLEDGEMENT, column="note", row_id=acknowledgement.id
            )
        self._db.add(acknowledgement)
        self._db.flush()
        note_change(self._db, TABLE, row.id, version=2 + count)
        record(
            self._db,
            actor=self._reader,
            action="acknowledge_alert",
            patient_id=row.patient_id,
            object=f"alert:{row.id}",
            reason_code=action,
            now=self._now,
        )

    def _reopen(self, row: Alert, opened: OpenedPatient) -> OpenedAlert:
        """Return an alert as it stands now."""
        return OpenedAlert(
            row=row,
            identity=opened.identity,
            is_standing=self._is_standing(row),
            acknowledged=_open(self._last_said([row.id]).get(row.id), opened.seal),
        )

    def _is_standing(self, row: Alert) -> bool:
        """Return whether an alert is a stop from which nobody has let the patient go on."""
        standing = select(Alert.id).where(col(Alert.id) == row.id, is_standing_stop())
        return self._db.exec(standing).first() is not None

    def _last_said(self, alerts: Sequence[UUID]) -> dict[UUID, tuple[AlertAcknowledgement, str | None]]:
        """Return the last acknowledgement of each alert that has one, and the name of who gave it."""
        statement = (
            select(AlertAcknowledgement, Account.display_name)
            .join(Account, col(Account.id) == col(AlertAcknowledgement.account_id), isouter=True)
            .where(col(AlertAcknowledgement.alert_id).in_(alerts))
            .order_by(col(AlertAcknowledgement.at))
        )
        return {row.alert_id: (row, name) for row, name in self._db.exec(statement)}


def require_no_open_stop(db: Session, patient_id: UUID) -> None:
    """Let a training session be opened, or go on, only when no stop of the patient waits for a confirmation.

    Raises
    ------
    ConflictError
        With code `stop_unconfirmed`.
    """
    if read_standing_stop(db, patient_id).stops.open_causes:
        raise ConflictError("a stop waits for a confirmation", code=STOP_UNCONFIRMED)


def read_standing_stop(db: Session, patient_id: UUID) -> StandingStop:
    """Return what stands in a patient's way; asks nobody who reads."""
    statement = select(Alert).where(col(Alert.patient_id) == patient_id, is_standing_stop())
    standing = db.exec(statement.order_by(col(Alert.found_at).desc())).all()
    stops = opening(Cause(row.cause) for row in standing)
    deciding = next((row for row in standing if CONFIRMED_BY[Cause(row.cause)] is stops.needs_confirmation_by), None)
    own = stops.needs_confirmation_by is Confirmer.PATIENT
    telephone = db.exec(
        select(Organisation.help_telephone)
        .join(Patient, col(Patient.organisation_id) == col(Organisation.id))
        .where(col(Patient.id) == patient_id)
    ).first()
    return StandingStop(
        stops=stops,
        cause=None if deciding is None else Cause(deciding.cause),
        since=None if deciding is None else deciding.began_at,
        confirmable_ids=tuple(row.id for row in standing) if own else (),
        telephone=telephone,
    )


def _open(said: tuple[AlertAcknowledgement, str | None] | None, seal: PatientSeal) -> OpenedAcknowledgement | None:
    if said is None:
        return None
    row, name = said
    return OpenedAcknowledgement(row=row, account_name=name, note=_note(row, seal))


def _note(row: AlertAcknowledgement, seal: PatientSeal) -> str | None:
    return seal.open(row.note_sealed, table=_ACKNOWLEDGEMENT, column="note", row_id=row.id)
