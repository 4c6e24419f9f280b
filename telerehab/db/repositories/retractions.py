"""What was entered for the wrong patient is taken back, and handed to the right one where that one is known.

A row that is handed over changes its patient, and everything that hangs on it goes along: sets, repetitions,
corrections, reports, alerts. What was sealed under the wrong patient's key is sealed anew under the right one's. A row
that nobody knows the patient of stays where it is, marked: it is shown nowhere and counts nowhere. Figures that are
reckoned from rows (results, adherence, caseload) follow at once, flags with the next look of the jobs role
(`telerehab.jobs.retractions`).
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from sqlmodel import Session, SQLModel, col, select

from telerehab.auth.access import Scope
from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.safety import Cause
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.repositories.plans import read_content
from telerehab.db.tables import (
    Alert,
    AlertAcknowledgement,
    Correction,
    Goal,
    Message,
    Notice,
    Participant,
    PlanVersion,
    QuestionnaireResponse,
    Referral,
    Retraction,
    SelfReport,
    TrainingSession,
    TrainingSet,
)
from telerehab.db.training_rows import (
    RETRACTED,
    end_training_session,
    find_plan_version,
    local_day,
    note_new_version,
)
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError

RETRACTABLE: Final[Mapping[str, type[SQLModel]]] = {
    "training_session": TrainingSession,
    "self_report": SelfReport,
    "questionnaire_response": QuestionnaireResponse,
    "goal": Goal,
    "message": Message,
    "referral": Referral,
}
"""The tables, by name."""
_SEALED: Final = {
    "questionnaire_response": "answers",
    "goal": "text",
    "message": "text",
    "referral": "note",
}
"""The sealed column of each, without its ending."""
_CAUSES_OF: Final = {
    "pain": (Cause.PAIN_HIGH.value, Cause.PAIN_RISE.value),
    "stop": (Cause.STOP_PRESSED.value,),
    "effort": (),
}
_TABLE: Final = "retraction"
_LIST_MAX: Final = 1_000


@dataclass(kw_only=True, frozen=True, slots=True)
class RetractionWish:
    """What was entered for the wrong patient, and whose it is."""

    what: str
    row_id: UUID
    right_patient_id: UUID | None
    reason: str


class RetractionRepository:
    """What one reader may take back: what belongs to patients whose care the reader writes."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def retract(self, wish: RetractionWish) -> Retraction:
        """Take a row back; the same wish twice is done once.

        Raises
        ------
        NotFoundError
            There is no such row, or one of the patients is not in the reader's care.
        ConflictError
            It was taken back for another reason, or the key of one of the patients has been destroyed.
        InvalidContentError
            The right patient is the one who has it.
        """
        row: Any = self._db.get(RETRACTABLE[wish.what], wish.row_id)
        if row is None:
            raise NotFoundError("no such row")
        known = self._find_known(wish, row)
        if known is not None:
            return self._same(known, wish)
        wrong = self._patients.require(row.patient_id, Scope.WRITE_CARE)
        right = None
        if wish.right_patient_id is not None:
            right = self._patients.require(wish.right_patient_id, Scope.WRITE_CARE)
        if wish.right_patient_id == row.patient_id:
            raise InvalidContentError("it is this patient's", faults=[{"at": "right_patient_id", "kind": "same"}])
        if not wrong.seal.has_key or (right is not None and not right.seal.has_key):
            raise ConflictError("a key has been destroyed")
        for patient_id in sorted(each.patient.id for each in (wrong, right) if each is not None):
            lock_patient(self._db, patient_id)
        self._db.refresh(row)
        if row.patient_id != wrong.patient.id:
            raise ConflictError("somebody has taken it back meanwhile")
        concerned = self._take_back(wish.what, row, wrong, right)
        self._drop_notices(wrong.patient.id, concerned)
        return self._write_down(wish, wrong, right)

    def _find_known(self, wish: RetractionWish, row: Any) -> Retraction | None:
        """Return the retraction that has led to how the row stands now, where that is what is wished."""
        statement = select(Retraction).where(col(Retraction.what) == wish.what, col(Retraction.row_id) == wish.row_id)
        last = self._db.exec(statement.order_by(col(Retraction.at).desc(), col(Retraction.id))).first()
        if last is None or last.right_patient_id != wish.right_patient_id:
            return None
        stands = (
            row.retracted_at is not None if last.right_patient_id is None else row.patient_id == last.right_patient_id
        )
        return last if stands else None

    def _same(self, known: Retraction, wish: RetractionWish) -> Retraction:
        """Return a retraction that is there already."""
        wrong = self._patients.require(known.wrong_patient_id, Scope.WRITE_CARE)
        if known.right_patient_id is not None:
            self._patients.require(known.right_patient_id, Scope.WRITE_CARE)
        if wrong.seal.open(known.reason_sealed, table=_TABLE, column="reason", row_id=known.id) != wish.reason:
            raise ConflictError("it was taken back for another reason")
        return known

    # --- what is taken back ---

    def _take_back(self, what: str, row: Any, wrong: OpenedPatient, right: OpenedPatient | None) -> set[UUID]:
        """Hand a row over, or mark it; return the ids of all that went along."""
        if isinstance(row, TrainingSession):
            return self._take_back_training(row, wrong, right)
        concerned, since = {row.id}, row.retracted_at
        if isinstance(row, SelfReport):
            concerned |= self._take_back_alerts(self._alerts_of(row), wrong, right, since=since, keeps_session=False)
        self._hand_over(row, right, since=since)
        if right is not None and what in _SEALED:
            _seal_anew(row, what, _SEALED[what], wrong, right)
        if right is not None and isinstance(row, SelfReport):
            row.training_session_id = row.training_set_id = None
        if right is not None and isinstance(row, QuestionnaireResponse):
            row.schedule_id = None
        if isinstance(row, (Goal, Referral)):
            row.version += 1
        self._db.add(row)
        note_change(self._db, what, row.id, version=getattr(row, "version", 2))
        return concerned

    def _take_back_training(self, row: TrainingSession, wrong: OpenedPatient, right: OpenedPatient | None) -> set[UUID]:
        """Hand a training session over with all that hangs on it, or mark it; an open one is closed first."""
        if row.closed_at is None:
            end_training_session(self._db, row, reason=RETRACTED, now=self._now)
        reports = self._all(SelfReport, col(SelfReport.training_session_id) == row.id)
        corrections = self._all(Correction, col(Correction.training_session_id) == row.id)
        sets = self._all(TrainingSet, col(TrainingSet.training_session_id) == row.id)
        alerts = self._all(Alert, col(Alert.training_session_id) == row.id)
        since = row.retracted_at
        for report in reports:
            self._hand_over(report, right, since=since)
        if right is not None:
            for correction in corrections:
                _seal_anew(correction, "correction", "note", wrong, right)
            self._fit_to_plan(row, sets, right.patient.id)
            row.live_session_id = row.live_session_id if self._has_seat(row, right.patient.id) else None
            row.helper_id = None
        self._hand_over(row, right, since=since)
        note_new_version(self._db, row)
        concerned = {row.id, *(each.id for each in (*reports, *corrections, *sets))}
        return concerned | self._take_back_alerts(alerts, wrong, right, since=since, keeps_session=True)

    def _take_back_alerts(
        self,
        alerts: Sequence[Alert],
        wrong: OpenedPatient,
        right: OpenedPatient | None,
        *,
        since: datetime | None,
        keeps_session: bool,
    ) -> set[UUID]:
        """Hand alerts over with what was said of them, or mark them; a stop that stands now stops the right patient."""
        for alert in alerts:
            self._hand_over(alert, right, since=since)
            if right is not None:
                for each in self._all(AlertAcknowledgement, col(AlertAcknowledgement.alert_id) == alert.id):
                    _seal_anew(each, "alert_acknowledgement", "note", wrong, right)
                alert.training_session_id = alert.training_session_id if keeps_session else None
            note_change(self._db, "alert", alert.id, version=2)
        return {alert.id for alert in alerts}

    def _alerts_of(self, report: SelfReport) -> Sequence[Alert]:
        """Return the alerts that a report led to, without those that another report would have led to as well."""
        found = self._all(
            Alert,
            col(Alert.patient_id) == report.patient_id,
            col(Alert.training_session_id) == report.training_session_id,
            col(Alert.cause).in_(_CAUSES_OF[report.kind]),
            col(Alert.began_at) == report.at,
        )
        others = self._all(
            SelfReport,
            col(SelfReport.patient_id) == report.patient_id,
            col(SelfReport.training_session_id) == report.training_session_id,
            col(SelfReport.kind) == report.kind,
            col(SelfReport.id) != report.id,
            col(SelfReport.retracted_at).is_(None),
        )
        return [alert for alert in found if not any(_leads_to(other, report, alert) for other in others)]

    def _hand_over(self, row: Any, right: OpenedPatient | None, *, since: datetime | None) -> None:
        """Give a row to the right patient, or mark it.

        A mark from an earlier time (`since`) at which nobody knew the right patient is taken off; one of its own stays.
        """
        if right is None:
            row.retracted_at = row.retracted_at or self._now
        else:
            row.patient_id = right.patient.id
            row.retracted_at = None if row.retracted_at == since else row.retracted_at
        self._db.add(row)

    def _fit_to_plan(self, row: TrainingSession, sets: Sequence[TrainingSet], patient_id: UUID) -> None:
        """Let a training session and its sets name the right patient's plan, as it was on that day."""
        version = find_plan_version(self._db, patient_id, local_day(self._db, patient_id, row.opened_at))
        row.plan_version_id = None if version is None else version.id
        places = _places(version)
        for each in sets:
            each.plan_item = places.get((each.exercise, each.side))
            self._db.add(each)

    def _has_seat(self, row: TrainingSession, patient_id: UUID) -> bool:
        """Return whether the patient sat in the live session of a training session."""
        statement = select(Participant.id).where(
            col(Participant.live_session_id) == row.live_session_id, col(Participant.patient_id) == patient_id
        )
        return self._db.exec(statement).first() is not None

    def _drop_notices(self, patient_id: UUID, concerned: Collection[UUID]) -> None:
        """Take away what somebody was told of the wrong patient because of it."""
        ids = [str(each) for each in concerned]
        for notice in self._all(Notice, col(Notice.patient_id) == patient_id):
            said = f"{notice.cause} {json.dumps(notice.data)}"
            if any(each in said for each in ids):
                self._db.delete(notice)

    def _write_down(self, wish: RetractionWish, wrong: OpenedPatient, right: OpenedPatient | None) -> Retraction:
        assert self._reader.account_id is not None
        retraction = Retraction(
            what=wish.what,
            row_id=wish.row_id,
            wrong_patient_id=wrong.patient.id,
            right_patient_id=None if right is None else right.patient.id,
            reason_sealed=b"",
            account_id=self._reader.account_id,
            at=self._now,
        )
        retraction.reason_sealed = wrong.seal.seal(wish.reason, table=_TABLE, column="reason", row_id=retraction.id)
        self._db.add(retraction)
        self._db.flush()
        note_change(self._db, _TABLE, retraction.id, version=1)
        thing = f"{wish.what}:{wish.row_id}"
        record(self._db, actor=self._reader, action="retract", patient_id=wrong.patient.id, object=thing, now=self._now)
        if right is not None:
            record(
                self._db,
                actor=self._reader,
                action="take_over_retracted",
                patient_id=right.patient.id,
                object=thing,
                now=self._now,
            )
        return retraction

    def _all(self, table: type[Any], *conditions: Any) -> Sequence[Any]:
        return self._db.exec(select(table).where(*conditions).limit(_LIST_MAX)).all()


def _seal_anew(row: Any, table: str, column: str, wrong: OpenedPatient, right: OpenedPatient) -> None:
    """Seal a row's value under the right patient's key."""
    name = f"{column}_sealed"
    text = wrong.seal.open(getattr(row, name), table=table, column=column, row_id=row.id)
    if text is not None:
        setattr(row, name, right.seal.seal(text, table=table, column=column, row_id=row.id))


def _places(version: PlanVersion | None) -> dict[tuple[str, str], int]:
    """Return where each exercise and side stands in a plan."""
    items = () if version is None else read_content(version).items
    return {(item.exercise, item.side): place for place, item in enumerate(items)}


def _leads_to(other: SelfReport, report: SelfReport, alert: Alert) -> bool:
    """Return whether another report would have led to the same alert; in doubt it does."""
    if report.value is None or other.value is None:
        return True
    limit = report.value if alert.limit_value is None else min(report.value, alert.limit_value)
    return other.value >= limit
