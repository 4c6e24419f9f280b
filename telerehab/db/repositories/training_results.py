"""What came of training: results with their corrections, pauses, and adherence, as far as one reader may see them."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID

from sqlalchemy import exists
from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.adherence import Adherence, TrainingDone, find_adherence
from telerehab.care.results import (
    CorrectionKind,
    CorrectionMade,
    PlanShare,
    RepetitionDone,
    SetResult,
    SetTrained,
    TrainingResult,
    find_plan_share,
    find_results,
    original_of,
)
from telerehab.db.changes import note_change
from telerehab.db.done_sets import NOT_VALID, is_done_set
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.patients import PatientRepository
from telerehab.db.repositories.plans import read_content
from telerehab.db.repositories.training_sessions import TrainingSessionRepository
from telerehab.db.sealing import PatientSeal
from telerehab.db.tables import (
    Account,
    Correction,
    PlanVersion,
    Repetition,
    SelfReport,
    TrainingPause,
    TrainingSession,
    TrainingSet,
)
from telerehab.db.training_rows import local_day, zone_of
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError
from telerehab.jobs.people import read_prescribed

CORRECTIONS_MAX: Final = 200
"""Of one training session."""
PAUSES_MAX: Final = 200
"""Of one patient."""
DONE: Final = "done"
_CORRECTION: Final = "correction"
_PAUSE: Final = "training_pause"


@dataclass(kw_only=True, frozen=True, slots=True)
class CorrectionWish:
    """What a therapist says it really was."""

    id: UUID
    training_set_id: UUID | None
    kind: CorrectionKind
    count: int | None
    note: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedCorrection:
    """A correction, what was written with it, and who wrote it."""

    row: Correction
    note: str | None
    author: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedResults:
    """A training session and what came of it."""

    training_session: TrainingSession
    result: TrainingResult
    plan: PlanShare | None
    """By the version that was in force when it was opened."""
    corrections: Sequence[OpenedCorrection]
    self_reports: Sequence[SelfReport]


@dataclass(kw_only=True, frozen=True, slots=True)
class PauseWish:
    """Days on which nobody expects training; the last one belongs to it."""

    id: UUID
    kind: str
    starts_on: date
    ends_on: date | None


class TrainingResultRepository:
    """Results of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)
        self._training_sessions = TrainingSessionRepository(db, reader=reader, now=now, key_ring=key_ring)

    # --- one training session ---

    def get(self, training_session_id: UUID) -> OpenedResults:
        """Return what came of a training session.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see results; so it is in all that follows.
        """
        row = self._training_sessions.get(training_session_id)
        seal = self._patients.require(row.patient_id, Scope.SEE_RESULTS).seal
        corrections = self._read_corrections(row.id, seal)
        result = self._find(row, corrections)
        reports = select(SelfReport).where(
            col(SelfReport.training_session_id) == row.id, col(SelfReport.retracted_at).is_(None)
        )
        return OpenedResults(
            training_session=row,
            result=result,
            plan=self._find_plan_share(row, result.sets),
            corrections=corrections,
            self_reports=self._db.exec(reports.order_by(col(SelfReport.at), col(SelfReport.id))).all(),
        )

    def correct(self, training_session_id: UUID, wish: CorrectionWish) -> OpenedCorrection:
        """Write a correction beside what was measured; the same one sent twice is written once.

        Raises
        ------
        NotFoundError
            The reader may not change the patient's results, or the set is another training session's.
        ConflictError
            The id is another correction's, or there are too many.
        InvalidContentError
            A count without set.
        """
        row = self._training_sessions.get(training_session_id, Scope.WRITE_CARE)
        opened = self._patients.require(row.patient_id, Scope.WRITE_CARE)
        lock_patient(self._db, row.patient_id)
        known = self._db.get(Correction, wish.id)
        if known is not None:
            if known.training_session_id != row.id:
                raise NotFoundError("no such correction")
            return self._same_correction(known, wish, opened.seal)
        corrections = self._read_corrections(row.id, opened.seal)
        if len(corrections) >= CORRECTIONS_MAX:
            raise ConflictError("there are too many corrections")
        result = self._find(row, corrections)
        corrected_set = next((each for each in result.sets if each.trained.id == wish.training_set_id), None)
        if wish.training_set_id is not None and corrected_set is None:
            raise NotFoundError("no such set")
        if wish.kind == "repetition_count" and corrected_set is None:
            fault = {"at": "training_set_id", "kind": "missing"}
            raise InvalidContentError("a count is that of one set", faults=[fault])
        assert self._reader.account_id is not None
        correction = Correction(
            id=wish.id,
            training_session_id=row.id,
            training_set_id=wish.training_set_id,
            kind=wish.kind,
            original={} if corrected_set is None else dict(original_of(corrected_set, wish.kind)),
            corrected=_corrected(wish),
            account_id=self._reader.account_id,
            at=self._now,
        )
        if wish.note is not None:
            correction.note_sealed = opened.seal.seal(wish.note, table=_CORRECTION, column="note", row_id=wish.id)
        self._db.add(correction)
        self._db.flush()
        note_change(self._db, _CORRECTION, wish.id, version=1)
        return self._open(correction, opened.seal)

    def withdraw_correction(self, correction_id: UUID) -> None:
        """Take a correction back; it stays readable and counts nothing. Twice is once."""
        correction = self._db.get(Correction, correction_id)
        if correction is None:
            raise NotFoundError("no such correction")
        self._training_sessions.get(correction.training_session_id, Scope.WRITE_CARE)
        if correction.withdrawn_at is None:
            correction.withdrawn_at = self._now
            self._db.add(correction)
            note_change(self._db, _CORRECTION, correction_id, version=2)

    # --- days ---

    def adherence(self, patient_id: UUID, *, first_day: date, stop_day: date) -> Adherence:
        """Return what was planned and done on the local days `[first_day, stop_day)`."""
        self._patients.require(patient_id, Scope.SEE_RESULTS)
        today = local_day(self._db, patient_id, self._now)
        prescribed = read_prescribed(self._db, [patient_id]).get(patient_id)
        return find_adherence(
            prescribed.versions if prescribed else (),
            self._read_done(patient_id, first_day=first_day, stop_day=stop_day),
            prescribed.pauses if prescribed else (),
            first_day=first_day,
            stop_day=stop_day,
            today=today,
        )

    def pauses(self, patient_id: UUID) -> Sequence[TrainingPause]:
        """Return the pauses of a patient that have not been taken back, the newest first."""
        opened = self._patients.require(patient_id, Scope.IDENTIFY)
        if not opened.scopes & {Scope.SEE_PLAN, Scope.SEE_RESULTS}:
            raise NotFoundError("no such patient")
        statement = select(TrainingPause).where(
            col(TrainingPause.patient_id) == patient_id, col(TrainingPause.withdrawn_at).is_(None)
        )
        newest_first = statement.order_by(col(TrainingPause.starts_on).desc(), col(TrainingPause.id))
        return self._db.exec(newest_first.limit(PAUSES_MAX)).all()

    def add_pause(self, patient_id: UUID, wish: PauseWish) -> TrainingPause:
        """Write a pause under an id that the page chose; twice is once. Patients report their own illness and holiday.

        Raises
        ------
        ConflictError
            The id is another pause's, or there are too many.
        """
        self._require_pauses(patient_id)
        lock_patient(self._db, patient_id)
        known = self._db.get(TrainingPause, wish.id)
        if known is not None:
            if known.patient_id != patient_id:
                raise NotFoundError("no such pause")
            if (known.kind, known.starts_on, known.ends_on) != (wish.kind, wish.starts_on, wish.ends_on):
                raise ConflictError("another pause has this id")
            return known
        if len(self.pauses(patient_id)) >= PAUSES_MAX:
            raise ConflictError("there are too many pauses")
        row = TrainingPause(
            id=wish.id,
            patient_id=patient_id,
            kind=wish.kind,
            starts_on=wish.starts_on,
            ends_on=wish.ends_on,
            created_by=self._reader.holder_id,
            created_at=self._now,
        )
        self._db.add(row)
        note_change(self._db, _PAUSE, row.id, version=1)
        return row

    def withdraw_pause(self, pause_id: UUID) -> None:
        """Take a pause back; twice is once."""
        row = self._db.get(TrainingPause, pause_id)
        if row is None:
            raise NotFoundError("no such pause")
        self._require_pauses(row.patient_id)
        if row.withdrawn_at is None:
            row.withdrawn_at = self._now
            self._db.add(row)
            note_change(self._db, _PAUSE, pause_id, version=2)

    # --- inside ---

    def _require_pauses(self, patient_id: UUID) -> None:
        """Let those in who treat the patient, and the patient's own tablet."""
        scope = Scope.TRAIN if self._reader.role == "tablet" else Scope.WRITE_CARE
        self._patients.require(patient_id, scope)

    def _find(self, row: TrainingSession, corrections: Sequence[OpenedCorrection]) -> TrainingResult:
        sets = [_trained(each) for each in self._training_sessions.sets(row.id)] or [_whole(row)]
        statement = select(Repetition).where(col(Repetition.training_session_id) == row.id)
        return find_results(
            sets,
            (_repetition(each) for each in self._db.exec(statement)),
            (_correction(each.row) for each in corrections),
        )

    def _find_plan_share(self, row: TrainingSession, results: Sequence[SetResult]) -> PlanShare | None:
        version = None if row.plan_version_id is None else self._db.get(PlanVersion, row.plan_version_id)
        if version is None:
            return None
        day = local_day(self._db, row.patient_id, row.opened_at)
        return find_plan_share(
            read_content(version), number=version.number, isoweekday=day.isoweekday(), results=results
        )

    def _read_corrections(self, training_session_id: UUID, seal: PatientSeal) -> Sequence[OpenedCorrection]:
        statement = (
            select(Correction, Account.display_name)
            .join(Account, col(Account.id) == col(Correction.account_id))
            .where(col(Correction.training_session_id) == training_session_id)
            .order_by(col(Correction.at), col(Correction.id))
        )
        return [
            OpenedCorrection(row=row, note=_note(row, seal), author=author) for row, author in self._db.exec(statement)
        ]

    def _same_correction(self, known: Correction, wish: CorrectionWish, seal: PatientSeal) -> OpenedCorrection:
        there = (known.training_set_id, known.kind, known.corrected, _note(known, seal))
        if there != (wish.training_set_id, wish.kind, _corrected(wish), wish.note):
            raise ConflictError("another correction has this id")
        return self._open(known, seal)

    def _open(self, row: Correction, seal: PatientSeal) -> OpenedCorrection:
        author = self._db.get(Account, row.account_id)
        return OpenedCorrection(row=row, note=_note(row, seal), author=None if author is None else author.display_name)

    def _read_done(self, patient_id: UUID, *, first_day: date, stop_day: date) -> list[TrainingDone]:
        """Return what was trained on the local days, one value for each exercise and side of a training session.

        Where a training session has no sets, its repetitions, or the patient's word that it is done, say that there was
        training that nobody counted.
        """
        zone = zone_of(self._db, patient_id)
        start, stop = (datetime.combine(day, datetime.min.time(), zone) for day in (first_day, stop_day))
        sessions = self._db.exec(
            select(TrainingSession).where(
                col(TrainingSession.patient_id) == patient_id,
                col(TrainingSession.retracted_at).is_(None),
                col(TrainingSession.opened_at) >= start,
                col(TrainingSession.opened_at) < stop,
            )
        ).all()
        counts = self._count_done_sets([row.id for row in sessions])
        uncounted = self._find_uncounted([row.id for row in sessions])
        done: list[TrainingDone] = []
        for row in sessions:
            found: dict[tuple[str, str], int | None] = dict(counts.get(row.id, {}))
            if row.id in uncounted and (row.close_reason == DONE or uncounted[row.id]):
                found[row.exercise, row.side] = None
            day = row.opened_at.astimezone(zone).date()
            done += [
                TrainingDone(day=day, exercise=exercise, side=side, set_count=set_count)
                for (exercise, side), set_count in found.items()
            ]
        return done

    def _count_done_sets(self, training_sessions: Sequence[UUID]) -> dict[UUID, Counter[tuple[str, str]]]:
        """Return how many sets of each exercise and side were done, by training session."""
        statement = (
            select(TrainingSet.training_session_id, TrainingSet.exercise, TrainingSet.side)
            .join(TrainingSession, col(TrainingSession.id) == col(TrainingSet.training_session_id))
            .where(col(TrainingSession.id).in_(training_sessions), is_done_set())
        )
        counts: dict[UUID, Counter[tuple[str, str]]] = {}
        for training_session, exercise, side in self._db.exec(statement):
            counts.setdefault(training_session, Counter())[exercise, side] += 1
        return counts

    def _find_uncounted(self, training_sessions: Sequence[UUID]) -> dict[UUID, bool]:
        """Return the training sessions without sets that nobody called not valid, and whether sensors saw movement."""
        this = col(TrainingSession.id)
        has_sets = exists().where(col(TrainingSet.training_session_id) == this)
        is_void = exists().where(
            col(Correction.training_session_id) == this,
            col(Correction.training_set_id).is_(None),
            col(Correction.kind) == NOT_VALID,
            col(Correction.withdrawn_at).is_(None),
        )
        has_moved = exists().where(col(Repetition.training_session_id) == this)
        statement = select(TrainingSession.id, has_moved).where(this.in_(training_sessions), ~has_sets, ~is_void)
        return {identifier: bool(moved) for identifier, moved in self._db.exec(statement)}


def _corrected(wish: CorrectionWish) -> dict[str, Any]:
    if wish.kind == "repetition_count":
        return {"repetitions": wish.count}
    return {"is_valid": False} if wish.kind == "not_valid" else {}


def _note(row: Correction, seal: PatientSeal) -> str | None:
    return seal.open(row.note_sealed, table=_CORRECTION, column="note", row_id=row.id)


def _correction(row: Correction) -> CorrectionMade:
    return CorrectionMade(
        id=row.id,
        set_id=row.training_set_id,
        kind=row.kind,  # type: ignore[arg-type]  # written by `correct` only
        count=row.corrected.get("repetitions"),
        at=row.at,
        is_withdrawn=row.withdrawn_at is not None,
    )


def _repetition(row: Repetition) -> RepetitionDone:
    return RepetitionDone(
        index=row.index,
        set_id=row.training_set_id,
        start_us=row.start_us,
        stop_us=row.stop_us,
        rom_deg=row.rom_deg,
        peak_angle_deg=row.data.get("peak_angle_deg"),
        trust=row.trust,
        completeness=row.data.get("trust_completeness"),
        reason=row.reason,
    )


def _trained(row: TrainingSet) -> SetTrained:
    return SetTrained(
        id=row.id,
        number=row.number,
        plan_item=row.plan_item,
        set_number=row.set_number,
        exercise=row.exercise,
        side=row.side,
        target_low_deg=row.target_low_deg,
        target_high_deg=row.target_high_deg,
        target_repetitions=row.target_repetitions,
        started_at=row.started_at,
        ended_at=row.ended_at,
        end_reason=row.end_reason,
        counted_repetitions=row.counted_repetitions,
    )


def _whole(row: TrainingSession) -> SetTrained:
    """Return a training session without sets as its one set."""
    return SetTrained(
        id=None,
        number=1,
        plan_item=None,
        set_number=None,
        exercise=row.exercise,
        side=row.side,
        target_low_deg=row.target_low_deg,
        target_high_deg=row.target_high_deg,
        target_repetitions=row.target_repetitions,
        started_at=row.opened_at,
        ended_at=row.closed_at,
        end_reason=row.close_reason,
        counted_repetitions=None,
    )
