"""Questionnaires of an organisation; when the patients whom one reader may see are asked, and what they answered."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.questionnaires import (
    Answer,
    Definition,
    Schedule,
    Score,
    built_in_definitions,
    count_scores,
    find_answer_faults,
    find_definition,
    find_open_due_date,
)
from telerehab.care.reading import invalid, read_value, refuse, write_value
from telerehab.db.changes import note_change
from telerehab.db.locks import lock_patient
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository
from telerehab.db.tables import (
    Organisation,
    Questionnaire,
    QuestionnaireResponse,
    QuestionnaireSchedule,
)
from telerehab.errors import ConflictError, NotFoundError

QUESTIONNAIRES_MAX: Final = 100
"""Definitions that one organisation can import, all versions together."""
SCHEDULES_MAX: Final = 50
"""Schedules of one patient that run."""
RESPONSES_MAX: Final = 500
"""Responses that are listed, the newest first."""
_RESPONSE: Final = "questionnaire_response"
_SCHEDULE: Final = "questionnaire_schedule"


@dataclass(kw_only=True, frozen=True, slots=True)
class KnownQuestionnaire:
    """A questionnaire that the organisation can use; `id` is None of a built-in one."""

    id: UUID | None
    definition: Definition


@dataclass(kw_only=True, frozen=True, slots=True)
class ScheduleWish:
    """When a patient shall be asked what."""

    code: str
    questionnaire_id: UUID | None
    schedule: Schedule


@dataclass(kw_only=True, frozen=True, slots=True)
class DueQuestionnaire:
    """A questionnaire that a patient should answer now."""

    schedule_id: UUID
    due_on: date
    questionnaire: KnownQuestionnaire


@dataclass(kw_only=True, frozen=True, slots=True)
class ResponseWish:
    """What somebody answered, and when on the page's clock."""

    code: str
    questionnaire_id: UUID | None
    schedule_id: UUID | None
    due_on: date | None
    answers: Mapping[str, Answer]
    answered_at: datetime | None


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedResponse:
    """A response with its answers; without them once the patient's key was destroyed."""

    row: QuestionnaireResponse
    definition: Definition
    answers: Mapping[str, Answer] | None

    @property
    def scores(self) -> Sequence[Score]:
        """Return the scores."""
        return () if self.answers is None else count_scores(self.definition, self.answers)


class QuestionnaireRepository:
    """The questionnaires of one reader's organisation and of the patients whom the reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self) -> Sequence[KnownQuestionnaire]:
        """Return the built-in questionnaires and the newest version of each imported one."""
        newest: dict[str, Questionnaire] = {}
        for row in self._db.exec(self._own().order_by(col(Questionnaire.version))):
            if row.retired_at is None:
                newest[row.code] = row
        built_in = [KnownQuestionnaire(id=None, definition=definition) for definition in built_in_definitions()]
        return [*built_in, *(_known(newest[code]) for code in sorted(newest))]

    def add(self, definition: Definition) -> KnownQuestionnaire:
        """Keep a definition that was read by `read_import`; the same one twice is kept once.

        Raises
        ------
        ConflictError
            This version of this code is there with other content: give it another version.
        """
        own = col(Organisation.id) == self._reader.organisation_id
        self._db.exec(select(Organisation.id).where(own).with_for_update()).first()
        rows = self._db.exec(self._own()).all()
        written = write_value(definition)
        for row in rows:
            if (row.code, row.version) == (definition.code, definition.version):
                if row.definition != written:
                    raise ConflictError("this version is there with other content", code="version_taken")
                return _known(row)
        if len(rows) >= QUESTIONNAIRES_MAX:
            raise invalid("definition", "too_many")
        assert self._reader.account_id is not None
        assert definition.licence is not None
        row = Questionnaire(
            organisation_id=self._reader.organisation_id,
            code=definition.code,
            version=definition.version,
            definition=written,
            licence=f"{definition.licence.holder}, {definition.licence.reference}",
            created_by=self._reader.account_id,
            created_at=self._now,
        )
        self._db.add(row)
        note_change(self._db, "questionnaire", row.id, version=row.version)
        return _known(row)

    def list_schedules(self, patient_id: UUID) -> Sequence[QuestionnaireSchedule]:
        """Return the schedules of a patient that run.

        Raises
        ------
        NotFoundError
            There is no such patient, or the reader may not; so it is in all that follows.
        """
        self._patients.require(patient_id, Scope.SEE_RESULTS)
        return self._running(patient_id)

    def add_schedule(self, patient_id: UUID, schedule_id: UUID, wish: ScheduleWish) -> QuestionnaireSchedule:
        """Have a patient asked; the same schedule under the same id is made once."""
        self._patients.require(patient_id, Scope.WRITE_CARE)
        self._find_known(wish.code, wish.questionnaire_id)
        if wish.schedule.until is not None and wish.schedule.until <= wish.schedule.first_day:
            raise invalid("until", "crossed")
        lock_patient(self._db, patient_id)
        row = self._db.get(QuestionnaireSchedule, schedule_id)
        if row is not None:
            if row.patient_id != patient_id:
                raise NotFoundError("no such schedule")
            if (row.code, row.questionnaire_id, _schedule(row)) != (wish.code, wish.questionnaire_id, wish.schedule):
                raise ConflictError("another schedule has this id")
            return row
        if len(self._running(patient_id)) >= SCHEDULES_MAX:
            raise invalid("id", "too_many")
        assert self._reader.account_id is not None
        row = QuestionnaireSchedule(
            id=schedule_id,
            patient_id=patient_id,
            code=wish.code,
            questionnaire_id=wish.questionnaire_id,
            first_on=wish.schedule.first_day,
            every_days=wish.schedule.every_days,
            until=wish.schedule.until,
            created_by=self._reader.account_id,
            created_at=self._now,
        )
        self._db.add(row)
        note_change(self._db, _SCHEDULE, row.id, version=1)
        return row

    def end_schedule(self, schedule_id: UUID) -> None:
        """Ask no more; a schedule that has ended stays so."""
        row = self._db.get(QuestionnaireSchedule, schedule_id)
        if row is None:
            raise NotFoundError("no such schedule")
        self._patients.require(row.patient_id, Scope.WRITE_CARE)
        if row.ended_at is None:
            row.ended_at = self._now
            self._db.add(row)
            note_change(self._db, _SCHEDULE, row.id, version=2)

    def list_due(self, patient_id: UUID) -> Sequence[DueQuestionnaire]:
        """Return what a patient should answer on the local day."""
        opened = self._patients.require(patient_id, Scope.TRAIN)
        zone = ZoneInfo(self._db.get_one(Organisation, opened.patient.organisation_id).time_zone)
        today = self._now.astimezone(zone).date()
        schedules = self._running(patient_id)
        answered: dict[UUID, list[date]] = {}
        statement = select(QuestionnaireResponse.schedule_id, QuestionnaireResponse.answered_at).where(
            col(QuestionnaireResponse.schedule_id).in_([row.id for row in schedules]),
            col(QuestionnaireResponse.retracted_at).is_(None),
        )
        for schedule_id, answered_at in self._db.exec(statement):
            if schedule_id is not None:
                answered.setdefault(schedule_id, []).append(answered_at.astimezone(zone).date())
        due = [
            (row, find_open_due_date(_schedule(row), answered_on=answered.get(row.id, ()), today=today))
            for row in schedules
        ]
        return [
            DueQuestionnaire(
                schedule_id=row.id, due_on=due_on, questionnaire=self._find_known(row.code, row.questionnaire_id)
            )
            for row, due_on in due
            if due_on is not None
        ]

    def put_response(self, patient_id: UUID, response_id: UUID, wish: ResponseWish) -> OpenedResponse:
        """Keep what somebody answered; the same answers under the same id are kept once.

        Raises
        ------
        ConflictError
            The id is taken by other answers.
        InvalidContentError
            The answers do not fit the questionnaire.
        """
        opened = self._patients.require(patient_id, Scope.TRAIN)
        definition = self._find_known(wish.code, wish.questionnaire_id).definition
        refuse(find_answer_faults(definition, wish.answers))
        if wish.schedule_id is not None:
            schedule = self._db.get(QuestionnaireSchedule, wish.schedule_id)
            if schedule is None or schedule.patient_id != patient_id:
                raise NotFoundError("no such schedule")
            if (schedule.code, schedule.questionnaire_id) != (wish.code, wish.questionnaire_id):
                raise invalid("schedule_id", "another_questionnaire")
        lock_patient(self._db, patient_id)
        row = self._db.get(QuestionnaireResponse, response_id)
        if row is not None:
            if row.patient_id != patient_id:
                raise NotFoundError("no such response")
            there = _open(row, definition, opened)
            what = (row.code, row.questionnaire_id, row.schedule_id, row.due_on, there.answers)
            if what != (wish.code, wish.questionnaire_id, wish.schedule_id, wish.due_on, dict(wish.answers)):
                raise ConflictError("other answers have this id")
            return there
        scores = count_scores(definition, wish.answers)
        row = QuestionnaireResponse(
            id=response_id,
            patient_id=patient_id,
            code=wish.code,
            questionnaire_id=wish.questionnaire_id,
            schedule_id=wish.schedule_id,
            due_on=wish.due_on,
            answers_sealed=opened.seal.seal(
                json.dumps(dict(wish.answers)), table=_RESPONSE, column="answers", row_id=response_id
            ),
            score=scores[0].value if scores else None,
            answered_by=self._reader.holder_id,
            answered_at=self._now if wish.answered_at is None else min(wish.answered_at, self._now),
        )
        self._db.add(row)
        note_change(self._db, _RESPONSE, row.id, version=1)
        return _open(row, definition, opened)

    def list_responses(self, patient_id: UUID) -> Sequence[OpenedResponse]:
        """Return what a patient answered, the newest first; without retracted ones."""
        opened = self._patients.require(patient_id, Scope.SEE_RESULTS)
        rows = self._db.exec(
            select(QuestionnaireResponse)
            .where(
                col(QuestionnaireResponse.patient_id) == patient_id, col(QuestionnaireResponse.retracted_at).is_(None)
            )
            .order_by(col(QuestionnaireResponse.answered_at).desc(), col(QuestionnaireResponse.id))
            .limit(RESPONSES_MAX)
        ).all()
        imported = {row.id: read_value(Definition, row.definition) for row in self._db.exec(self._own())}
        return [_open(row, _definition_of(row, imported), opened) for row in rows]

    def _find_known(self, code: str, questionnaire_id: UUID | None) -> KnownQuestionnaire:
        """Return a questionnaire of the organisation; what belongs to another one does not exist."""
        if questionnaire_id is None:
            return KnownQuestionnaire(id=None, definition=find_definition(code))
        row = self._db.exec(self._own().where(col(Questionnaire.id) == questionnaire_id)).first()
        if row is None or row.code != code:
            raise NotFoundError("no such questionnaire")
        return _known(row)

    def _own(self) -> SelectOfScalar[Questionnaire]:
        return select(Questionnaire).where(col(Questionnaire.organisation_id) == self._reader.organisation_id)

    def _running(self, patient_id: UUID) -> Sequence[QuestionnaireSchedule]:
        statement = select(QuestionnaireSchedule).where(
            col(QuestionnaireSchedule.patient_id) == patient_id, col(QuestionnaireSchedule.ended_at).is_(None)
        )
        ordered = statement.order_by(col(QuestionnaireSchedule.created_at), col(QuestionnaireSchedule.id))
        return self._db.exec(ordered).all()


def _known(row: Questionnaire) -> KnownQuestionnaire:
    return KnownQuestionnaire(id=row.id, definition=read_value(Definition, row.definition))


def _schedule(row: QuestionnaireSchedule) -> Schedule:
    return Schedule(first_day=row.first_on, every_days=row.every_days, until=row.until)


def _definition_of(row: QuestionnaireResponse, imported: Mapping[UUID, Definition]) -> Definition:
    return find_definition(row.code) if row.questionnaire_id is None else imported[row.questionnaire_id]


def _open(row: QuestionnaireResponse, definition: Definition, opened: OpenedPatient) -> OpenedResponse:
    answers = opened.seal.open(row.answers_sealed, table=_RESPONSE, column="answers", row_id=row.id)
    return OpenedResponse(row=row, definition=definition, answers=None if answers is None else json.loads(answers))
