"""Pain, effort and stops, as the patient says; the answer tells the tablet what to do."""

from typing import Annotated, Literal, Self
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field, model_validator

from telerehab.api.alerts import StopRead, read_stop
from telerehab.api.dependencies import CurrentReader, Keys, Now, WritingDb
from telerehab.api.models import Body, LooseMoment, LooseUuid
from telerehab.auth.access import Scope
from telerehab.auth.policies import CARE, declares
from telerehab.db.repositories.self_reports import SaidByPatient, SelfReportRepository

router = APIRouter(prefix="/api", tags=["self reports"])


def get_writable_self_reports(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> SelfReportRepository:
    """Return the reports of the patients with whom the reader may train."""
    return SelfReportRepository(db, reader=reader, now=now, key_ring=key_ring)


WritableSelfReports = Annotated[SelfReportRepository, Depends(get_writable_self_reports)]


class SelfReportBody(Body):
    """What a patient says: pain or effort from 0 to 10, or that it is enough."""

    training_session_id: LooseUuid | None
    training_set_id: LooseUuid | None = None
    kind: Literal["pain", "effort", "stop"]
    value: Annotated[int, Field(ge=0, le=10)] | None = None
    phase: Literal["start", "during", "after_set", "end"]
    at: LooseMoment

    @model_validator(mode="after")
    def _has_a_number_where_one_belongs(self) -> Self:
        """Refuse pain without a number, and a stop with one."""
        if (self.value is None) != (self.kind == "stop"):
            raise ValueError("pain and effort have a value, a stop has none")
        return self


@router.put("/patients/{patient_id}/self-reports/{report_id}", response_model=StopRead)
@declares(CARE, scope=Scope.TRAIN)
def put_self_report(
    patient_id: UUID, report_id: UUID, body: SelfReportBody, self_reports: WritableSelfReports
) -> object:
    """Take in what a patient says, under an id that the page chose; say whether training must stand still."""
    return read_stop(self_reports.put(patient_id, report_id, SaidByPatient(**dict(body))))
