"""What came of training: results with corrections, pauses, adherence; and what was entered for the wrong patient."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends, Query, status
from pydantic import Field, StringConstraints, model_validator

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseDay, LooseUuid
from telerehab.auth.policies import CARE, THERAPIST, THERAPIST_OR_TABLET, declares
from telerehab.care.adherence import DayAdherence
from telerehab.care.results import CorrectionKind, RepetitionDone, SetResult
from telerehab.db.repositories.retractions import RetractionRepository, RetractionWish
from telerehab.db.repositories.training_results import (
    CorrectionWish,
    OpenedCorrection,
    OpenedResults,
    PauseWish,
    TrainingResultRepository,
)

router = APIRouter(prefix="/api", tags=["training results"])


def get_training_results(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> TrainingResultRepository:
    """Return the results that the reader may see."""
    return TrainingResultRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_training_results(
    db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> TrainingResultRepository:
    """Return the results that the reader may see, to correct them."""
    return TrainingResultRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_retractions(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> RetractionRepository:
    """Return where entries for the wrong patient are taken back."""
    return RetractionRepository(db, reader=reader, now=now, key_ring=key_ring)


TrainingResults = Annotated[TrainingResultRepository, Depends(get_training_results)]
WritableTrainingResults = Annotated[TrainingResultRepository, Depends(get_writable_training_results)]
Retractions = Annotated[RetractionRepository, Depends(get_retractions)]

Note = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")]


class CorrectedBody(Body):
    """The number that holds, of a `repetition_count`."""

    repetitions: Annotated[int, Field(ge=0, le=1_000)] | None = None


class CorrectionBody(Body):
    """What a set, or a whole training session, really was; `note` alone changes nothing."""

    id: LooseUuid
    training_set_id: LooseUuid | None = None
    kind: CorrectionKind
    corrected: CorrectedBody = CorrectedBody()
    note: Note | None = None

    @model_validator(mode="after")
    def _says_what_it_is(self) -> Self:
        """Refuse a count without number, a number without count, and an empty note."""
        if (self.kind == "repetition_count") != (self.corrected.repetitions is not None):
            raise ValueError("a count has a number, and nothing else has one")
        if self.kind == "note" and self.note is None:
            raise ValueError("a note says something")
        return self


class PauseBody(Body):
    """Days on which nobody expects training; the last one belongs to the pause, none: until it is ended."""

    id: LooseUuid
    kind: Literal["planned_rest", "illness", "holiday"]
    starts_on: LooseDay
    ends_on: LooseDay | None = None

    @model_validator(mode="after")
    def _ends_after_it_began(self) -> Self:
        """Refuse a pause that ends before it begins."""
        if self.ends_on is not None and self.ends_on < self.starts_on:
            raise ValueError("a pause ends after it began")
        return self


class RetractionBody(Body):
    """What was entered for the wrong patient, and whose it really is where that is known."""

    what: Literal["training_session", "self_report", "questionnaire_response", "goal", "message", "referral"]
    row_id: LooseUuid
    right_patient_id: LooseUuid | None = None
    reason: Note


class RepetitionResultRead(Answer):
    """One repetition; the range of motion is null where it is not measured."""

    index: int
    start_us: int
    stop_us: int
    rom_deg: float | None
    trust: float
    completeness: float | None
    reason: int


class CorrectionRead(Answer):
    """A correction beside the original; one that was taken back counts nothing."""

    id: UUID
    training_set_id: UUID | None
    kind: str
    original: dict[str, Any]
    corrected: dict[str, Any]
    note: str | None
    author: str | None
    at: datetime
    withdrawn_at: datetime | None


class SetResultRead(Answer):
    """A set and what came of it; null where it is not known, which is not 0. `id` is null without sets."""

    id: UUID | None
    number: int
    plan_item: int | None
    set_number: int | None
    exercise: str
    side: str
    target_low_deg: float | None
    target_high_deg: float | None
    target_repetitions: int | None
    started_at: datetime
    ended_at: datetime | None
    end_reason: str | None
    repetitions: list[RepetitionResultRead]
    counted: int | None
    counted_by: str | None
    original_count: int | None
    rom_median_deg: float | None
    in_target_count: int | None
    trust: float | None
    completeness: float | None
    is_incomplete: bool
    is_valid: bool
    corrections: list[CorrectionRead]


class SelfReportRead(Answer):
    """What the patient said."""

    id: UUID
    training_set_id: UUID | None
    kind: str
    value: int | None
    phase: str
    at: datetime


class PlanShareRead(Answer):
    """How much of the day's plan was done in this training session."""

    plan_number: int
    prescribed_set_count: int
    done_set_count: int
    share: float | None


class ResultsRead(Answer):
    """What came of a training session; `outside` are repetitions between sets, `corrections` those of no set."""

    training_session_id: UUID
    sets: list[SetResultRead]
    outside: list[RepetitionResultRead]
    corrections: list[CorrectionRead]
    self_reports: list[SelfReportRead]
    plan: PlanShareRead | None


class DayAdherenceRead(Answer):
    """One day."""

    day: date
    status: str
    plan_number: int | None
    prescribed_set_count: int
    done_set_count: int | None
    completeness: float | None
    is_incomplete: bool
    pause: str | None


class AdherenceRead(Answer):
    """The days `[from, to)` and what they come to."""

    days: list[DayAdherenceRead]
    completeness: float | None
    is_incomplete: bool
    missed_run: int


class PauseRead(Answer):
    """A pause; its last day belongs to it."""

    id: UUID
    kind: str
    starts_on: date
    ends_on: date | None


class RetractionRead(Answer):
    """What was taken back."""

    id: UUID
    what: str
    row_id: UUID
    wrong_patient_id: UUID
    right_patient_id: UUID | None
    at: datetime


@router.get("/training-sessions/{training_session_id}/results", response_model=ResultsRead)
@declares(CARE)
def get_results(training_session_id: UUID, training_results: TrainingResults) -> object:
    """Show what came of a training session, set by set."""
    return read_results(training_results.get(training_session_id))


@router.post(
    "/training-sessions/{training_session_id}/corrections",
    response_model=CorrectionRead,
    status_code=status.HTTP_201_CREATED,
)
@declares(THERAPIST)
def add_correction(
    training_session_id: UUID, body: CorrectionBody, training_results: WritableTrainingResults
) -> object:
    """Write beside a result what it really was; the result itself stays."""
    wish = CorrectionWish(
        id=body.id,
        training_set_id=body.training_set_id,
        kind=body.kind,
        count=body.corrected.repetitions,
        note=body.note,
    )
    return read_correction(training_results.correct(training_session_id, wish))


@router.delete("/corrections/{correction_id}", status_code=status.HTTP_204_NO_CONTENT)
@declares(THERAPIST)
def withdraw_correction(correction_id: UUID, training_results: WritableTrainingResults) -> None:
    """Take a correction back."""
    training_results.withdraw_correction(correction_id)


@router.get("/patients/{patient_id}/adherence", response_model=AdherenceRead)
@declares(CARE)
def get_adherence(
    patient_id: UUID,
    first_day: Annotated[LooseDay, Query(alias="from")],
    stop_day: Annotated[LooseDay, Query(alias="to")],
    training_results: TrainingResults,
) -> object:
    """Show what was planned and done on the local days `[from, to)`, at most 400."""
    found = training_results.adherence(patient_id, first_day=first_day, stop_day=stop_day)
    return AdherenceRead(
        days=[_read_day(day) for day in found.days],
        completeness=found.completeness,
        is_incomplete=found.is_incomplete,
        missed_run=found.missed_run,
    )


@router.get("/patients/{patient_id}/pauses", response_model=list[PauseRead])
@declares(CARE)
def list_pauses(patient_id: UUID, training_results: TrainingResults) -> object:
    """List the pauses of a patient, the newest first."""
    return training_results.pauses(patient_id)


@router.post("/patients/{patient_id}/pauses", response_model=PauseRead, status_code=status.HTTP_201_CREATED)
@declares(THERAPIST_OR_TABLET)
def add_pause(patient_id: UUID, body: PauseBody, training_results: WritableTrainingResults) -> object:
    """Say that nobody expects training on these days."""
    return training_results.add_pause(patient_id, PauseWish(**dict(body)))


@router.delete("/pauses/{pause_id}", status_code=status.HTTP_204_NO_CONTENT)
@declares(THERAPIST_OR_TABLET)
def withdraw_pause(pause_id: UUID, training_results: WritableTrainingResults) -> None:
    """Take a pause back."""
    training_results.withdraw_pause(pause_id)


@router.post("/retractions", response_model=RetractionRead, status_code=status.HTTP_201_CREATED)
@declares(THERAPIST)
def retract(body: RetractionBody, retractions: Retractions) -> object:
    """Take back what was entered for the wrong patient, and hand it to the right one where that one is known."""
    return retractions.retract(RetractionWish(**dict(body)))


def read_results(opened: OpenedResults) -> ResultsRead:
    """Return results as JSON shows them."""
    return ResultsRead(
        training_session_id=opened.training_session.id,
        sets=[_read_set(each, opened.corrections) for each in opened.result.sets],
        outside=[_read_repetition(each) for each in opened.result.outside],
        corrections=[read_correction(each) for each in opened.corrections if each.row.training_set_id is None],
        self_reports=[SelfReportRead.model_validate(each) for each in opened.self_reports],
        plan=None if opened.plan is None else PlanShareRead.model_validate(opened.plan),
    )


def read_correction(opened: OpenedCorrection) -> CorrectionRead:
    """Return a correction as JSON shows it."""
    row = opened.row
    return CorrectionRead(
        id=row.id,
        training_set_id=row.training_set_id,
        kind=row.kind,
        original=row.original,
        corrected=row.corrected,
        note=opened.note,
        author=opened.author,
        at=row.at,
        withdrawn_at=row.withdrawn_at,
    )


def _read_set(result: SetResult, corrections: Sequence[OpenedCorrection]) -> SetResultRead:
    trained = result.trained
    return SetResultRead(
        id=trained.id,
        number=trained.number,
        plan_item=trained.plan_item,
        set_number=trained.set_number,
        exercise=trained.exercise,
        side=trained.side,
        target_low_deg=trained.target_low_deg,
        target_high_deg=trained.target_high_deg,
        target_repetitions=trained.target_repetitions,
        started_at=trained.started_at,
        ended_at=trained.ended_at,
        end_reason=trained.end_reason,
        repetitions=[_read_repetition(each) for each in result.repetitions],
        counted=result.counted,
        counted_by=result.counted_by,
        original_count=result.original_count,
        rom_median_deg=result.rom_median_deg,
        in_target_count=result.in_target_count,
        trust=result.trust,
        completeness=result.completeness,
        is_incomplete=result.is_incomplete,
        is_valid=result.is_valid,
        corrections=[
            read_correction(each)
            for each in corrections
            if each.row.training_set_id is not None and each.row.training_set_id == trained.id
        ],
    )


def _read_repetition(repetition: RepetitionDone) -> RepetitionResultRead:
    return RepetitionResultRead(
        index=repetition.index,
        start_us=repetition.start_us,
        stop_us=repetition.stop_us,
        rom_deg=repetition.rom_deg if repetition.is_measured else None,
        trust=repetition.trust,
        completeness=repetition.completeness,
        reason=repetition.reason,
    )


def _read_day(day: DayAdherence) -> DayAdherenceRead:
    return DayAdherenceRead(
        day=day.day,
        status=day.status,
        plan_number=day.plan_number,
        prescribed_set_count=day.prescribed_set_count,
        done_set_count=day.done_set_count,
        completeness=day.completeness,
        is_incomplete=day.is_incomplete,
        pause=day.pause,
    )
