"""What patients say of pain and effort, and that they stop: judged when it comes, in the order in which it comes."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.safety import Observation, SafetyEvent, Watch, confirm, step
from telerehab.clock import to_us
from telerehab.db.alert_rows import read_confirmation_times, read_limits_in_force, store_event
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.alerts import StandingStop, read_standing_stop
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.tables import SelfReport, TrainingSession, TrainingSet
from telerehab.errors import ConflictError, NotFoundError

REPORTS_MAX: Final = 2_000
"""Of one training session."""
OWNER: Final = "web"
_TABLE: Final = "self_report"


@dataclass(kw_only=True, frozen=True, slots=True)
class SaidByPatient:
    """One report."""

    training_session_id: UUID | None
    training_set_id: UUID | None
    kind: str
    value: int | None
    phase: str
    at: datetime


class SelfReportRepository:
    """The reports of the patients with whom one reader may train."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def put(self, patient_id: UUID, report_id: UUID, said: SaidByPatient) -> StandingStop:
        """Write a report under an id that the page chose, and return what the tablet must do; twice is once.

        Raises
        ------
        NotFoundError
            There is no such patient or training session, or the reader may not train with them.
        ConflictError
            The id is taken by another report, or there are more than anybody gives.
        """
        patient = self._patients.require(patient_id, Scope.TRAIN).patient
        lock_patient(self._db, patient_id)
        known = self._db.get(SelfReport, report_id)
        if known is not None:
            if known.patient_id != patient_id:
                raise NotFoundError("no such report")
            if not _is_same(known, said):
                raise ConflictError("another report has this id")
            return read_standing_stop(self._db, patient_id)
        training_session = self._require_own(said, patient_id)
        report = SelfReport(
            id=report_id,
            patient_id=patient_id,
            training_session_id=said.training_session_id,
            training_set_id=said.training_set_id,
            kind=said.kind,
            value=said.value,
            phase=said.phase,
            reported_by=self._reader.holder_id,
            at=min(said.at, self._now),
            received_at=self._now,
        )
        events = self._judge(report, training_session)
        self._db.add(report)
        self._db.flush()
        for event in events:
            store_event(self._db, event, patient=patient, training_session_id=said.training_session_id, found_by=OWNER)
        note_change(self._db, _TABLE, report.id, version=1)
        return read_standing_stop(self._db, patient_id)

    def _judge(self, report: SelfReport, training_session: TrainingSession | None) -> tuple[SafetyEvent, ...]:
        """Return what the newest report amounts to, after all that came before it in its training session.

        Whatever the organisation's switches say of sensors, what a patient says counts.
        """
        trained_by = None if training_session is None else training_session.plan_version_id
        limits = read_limits_in_force(self._db, {report.patient_id: trained_by}, now=self._now)[report.patient_id]
        watch = Watch()
        if training_session is not None:
            for earlier in self._earlier(training_session.id):
                if earlier is None:
                    watch = confirm(watch)
                else:
                    watch, _ = step(watch, _observe(earlier), limits, at_us=_came_us(earlier))
        _, events = step(watch, _observe(report), limits, at_us=_came_us(report))
        return tuple(replace(event, onset_us=to_us(report.at)) for event in events)

    def _earlier(self, training_session_id: UUID) -> list[SelfReport | None]:
        """Return the reports of a training session in the order in which they came; None stands for a confirmation.

        Raises
        ------
        ConflictError
            There are more reports than anybody gives.
        """
        statement = select(SelfReport).where(
            col(SelfReport.training_session_id) == training_session_id, col(SelfReport.retracted_at).is_(None)
        )
        reports = self._db.exec(statement.limit(REPORTS_MAX)).all()
        if len(reports) >= REPORTS_MAX:
            raise ConflictError("there are too many reports")
        confirmations = [to_us(at) for at in read_confirmation_times(self._db, training_session_id)]
        keyed: list[tuple[int, bool, int, str, SelfReport | None]] = [
            (_came_us(report), False, to_us(report.at), str(report.id), report) for report in reports
        ]
        keyed += [(at_us, True, at_us, "", None) for at_us in confirmations]
        return [each for *_, each in sorted(keyed, key=lambda key: key[:4])]

    def _require_own(self, said: SaidByPatient, patient_id: UUID) -> TrainingSession | None:
        """Return the training session of a report; raise NotFoundError where it or the set is somebody else's."""
        if said.training_session_id is None:
            if said.training_set_id is not None:
                raise NotFoundError("no such set")
            return None
        training_session = self._db.get(TrainingSession, said.training_session_id)
        if training_session is None or training_session.patient_id != patient_id:
            raise NotFoundError("no such training session")
        if said.training_set_id is not None:
            training_set = self._db.get(TrainingSet, said.training_set_id)
            if training_set is None or training_set.training_session_id != training_session.id:
                raise NotFoundError("no such set")
        return training_session


def _observe(report: SelfReport) -> Observation:
    return Observation(pain=report.value if report.kind == "pain" else None, is_stop_pressed=report.kind == "stop")


def _came_us(report: SelfReport) -> int:
    return to_us(report.received_at or report.at)


def _is_same(row: SelfReport, said: SaidByPatient) -> bool:
    there = (row.training_session_id, row.training_set_id, row.kind, row.value, row.phase)
    is_at_same_time = row.at == (said.at if row.received_at is None else min(said.at, row.received_at))
    return is_at_same_time and there == (
        said.training_session_id,
        said.training_set_id,
        said.kind,
        said.value,
        said.phase,
    )
