"""Questionnaires: definitions, schedules and responses."""

from datetime import date, datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, status
from pydantic import Field

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseDay, LooseMoment, LooseUuid
from telerehab.auth.policies import CARE, STAFF, THERAPIST, THERAPIST_OR_MANAGER, declares
from telerehab.care.questionnaires import (
    QUESTIONS_MAX,
    TEXT_ANSWER_MAX_CHARACTERS,
    Code,
    Definition,
    Schedule,
    check_import,
)
from telerehab.care.reading import Number, Words, invalid
from telerehab.db.repositories.questionnaires import (
    OpenedResponse,
    QuestionnaireRepository,
    ResponseWish,
    ScheduleWish,
)
from telerehab.db.tables import QuestionnaireSchedule

router = APIRouter(prefix="/api", tags=["questionnaires"])

ANSWER_AGE_MAX: Final = timedelta(days=30)
"""How long a page may have kept answers before it could send them."""
TextAnswer = Annotated[str, Field(max_length=TEXT_ANSWER_MAX_CHARACTERS, pattern=r"^[^\x00]*$")]


def get_questionnaires(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> QuestionnaireRepository:
    """Return the questionnaires that the reader may see."""
    return QuestionnaireRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_questionnaires(
    db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> QuestionnaireRepository:
    """Return the questionnaires that the reader may see, to write."""
    return QuestionnaireRepository(db, reader=reader, now=now, key_ring=key_ring)


Questionnaires = Annotated[QuestionnaireRepository, Depends(get_questionnaires)]
WritableQuestionnaires = Annotated[QuestionnaireRepository, Depends(get_writable_questionnaires)]


class QuestionnaireRead(Answer):
    """A questionnaire that can be used; `id` is null of a built-in one."""

    id: UUID | None
    definition: Definition


class ImportBody(Body):
    """A definition file of an instrument for which the organisation holds a licence."""

    definition: Definition


class ScheduleRead(Answer):
    """When a patient is asked: on `first_on`, and every `every_days` until `until` (left out)."""

    id: UUID
    code: str
    questionnaire_id: UUID | None
    first_on: date
    every_days: int | None
    until: date | None
    created_at: datetime


class ScheduleBody(Body):
    """A schedule, under an id that the page chose."""

    id: LooseUuid
    code: Code
    questionnaire_id: LooseUuid | None = None
    first_on: LooseDay
    every_days: Annotated[int, Field(ge=1, le=366)] | None = None
    until: LooseDay | None = None


class DueRead(Answer):
    """A questionnaire that the patient should answer now."""

    schedule_id: UUID
    due_on: date
    questionnaire_id: UUID | None
    definition: Definition


class ScoreRead(Answer):
    """A score, or the reason why there is none."""

    code: str
    title: Words
    value: float | None
    reason: Literal["too_much_missing", "not_in_table"] | None


class ResponseRead(Answer):
    """What a patient answered."""

    id: UUID
    code: str
    questionnaire_id: UUID | None
    schedule_id: UUID | None
    due_on: date | None
    title: Words
    answers: dict[str, str | float | None] | None
    scores: list[ScoreRead]
    answered_by: UUID
    answered_at: datetime


class ResponseBody(Body):
    """Answers: the code of an option, a number, text, or null."""

    code: Code
    questionnaire_id: LooseUuid | None = None
    schedule_id: LooseUuid | None = None
    due_on: LooseDay | None = None
    answers: Annotated[dict[Code, Number | TextAnswer | None], Field(max_length=QUESTIONS_MAX)]
    answered_at: LooseMoment | None = None
    """Where the page could not send at once; null: now."""


@router.get("/questionnaires", response_model=list[QuestionnaireRead])
@declares(STAFF)
def list_questionnaires(questionnaires: Questionnaires) -> object:
    """List the built-in questionnaires and the organisation's own."""
    return [QuestionnaireRead(id=one.id, definition=one.definition) for one in questionnaires.list()]


@router.post("/questionnaires", response_model=QuestionnaireRead, status_code=status.HTTP_201_CREATED)
@declares(THERAPIST_OR_MANAGER)
def import_questionnaire(body: ImportBody, questionnaires: WritableQuestionnaires) -> object:
    """Import a definition; its licence must name the holder and be confirmed."""
    check_import(body.definition)
    return QuestionnaireRead.model_validate(questionnaires.add(body.definition))


@router.get("/patients/{patient_id}/questionnaire-schedules", response_model=list[ScheduleRead])
@declares(CARE)
def list_schedules(patient_id: UUID, questionnaires: Questionnaires) -> object:
    """List when a patient is asked what."""
    return questionnaires.list_schedules(patient_id)


@router.post(
    "/patients/{patient_id}/questionnaire-schedules", response_model=ScheduleRead, status_code=status.HTTP_201_CREATED
)
@declares(THERAPIST)
def add_schedule(patient_id: UUID, body: ScheduleBody, questionnaires: WritableQuestionnaires) -> QuestionnaireSchedule:
    """Have a patient asked."""
    schedule = Schedule(first_day=body.first_on, every_days=body.every_days, until=body.until)
    wish = ScheduleWish(code=body.code, questionnaire_id=body.questionnaire_id, schedule=schedule)
    return questionnaires.add_schedule(patient_id, body.id, wish)


@router.delete("/questionnaire-schedules/{schedule_id}", status_code=status.HTTP_204_NO_CONTENT)
@declares(THERAPIST)
def end_schedule(schedule_id: UUID, questionnaires: WritableQuestionnaires) -> None:
    """Ask no more."""
    questionnaires.end_schedule(schedule_id)


@router.get("/patients/{patient_id}/questionnaires-due", response_model=list[DueRead])
@declares(CARE)
def list_due(patient_id: UUID, questionnaires: Questionnaires) -> object:
    """List what a patient should answer today."""
    return [
        DueRead(
            schedule_id=due.schedule_id,
            due_on=due.due_on,
            questionnaire_id=due.questionnaire.id,
            definition=due.questionnaire.definition,
        )
        for due in questionnaires.list_due(patient_id)
    ]


@router.put("/patients/{patient_id}/questionnaire-responses/{response_id}", response_model=ResponseRead)
@declares(CARE)
def put_response(
    patient_id: UUID, response_id: UUID, body: ResponseBody, questionnaires: WritableQuestionnaires, now: Now
) -> object:
    """Keep what a patient answered, under an id that the page chose."""
    if body.answered_at is not None and body.answered_at < now - ANSWER_AGE_MAX:
        raise invalid("answered_at", "too_old")
    return _read(questionnaires.put_response(patient_id, response_id, ResponseWish(**dict(body))))


@router.get("/patients/{patient_id}/questionnaire-responses", response_model=list[ResponseRead])
@declares(CARE)
def list_responses(patient_id: UUID, questionnaires: Questionnaires) -> object:
    """List what a patient answered, the newest first."""
    return [_read(response) for response in questionnaires.list_responses(patient_id)]


def _read(response: OpenedResponse) -> ResponseRead:
    row = response.row
    titles = {rule.code: rule.title for rule in response.definition.scores}
    return ResponseRead(
        id=row.id,
        code=row.code,
        questionnaire_id=row.questionnaire_id,
        schedule_id=row.schedule_id,
        due_on=row.due_on,
        title=response.definition.title,
        answers=None if response.answers is None else dict(response.answers),
        scores=[
            ScoreRead(code=score.code, title=titles[score.code], value=score.value, reason=score.reason)
            for score in response.scores
        ],
        answered_by=row.answered_by,
        answered_at=row.answered_at,
    )
