"""Patients from CSV files."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body, LooseUuid
from telerehab.auth.policies import TEAM_MANAGER, declares
from telerehab.db.repositories.patient_imports import PatientImportRepository
from telerehab.errors import InvalidContentError

router = APIRouter(prefix="/api/patient-imports", tags=["patients"])


def get_patient_imports(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> PatientImportRepository:
    """Return the imports of the reader's organisation."""
    return PatientImportRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_patient_imports(
    db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys
) -> PatientImportRepository:
    """Return the imports of the reader's organisation, to add to them and undo them."""
    return PatientImportRepository(db, reader=reader, now=now, key_ring=key_ring)


PatientImports = Annotated[PatientImportRepository, Depends(get_patient_imports)]
WritablePatientImports = Annotated[PatientImportRepository, Depends(get_writable_patient_imports)]


class ImportBody(Body):
    """A file: as text, or as base64 of its bytes, whose encoding is then found out here."""

    id: LooseUuid | None = None
    csv: Annotated[str, StringConstraints(min_length=1)] | None = None
    csv_base64: Annotated[str, StringConstraints(min_length=1, pattern=r"^[A-Za-z0-9+/=]*$")] | None = None
    delimiter: Literal[",", ";", "\t"] | None = None
    is_dry_run: bool

    def content(self) -> bytes | str:
        """Return the file; raise InvalidContentError where both or none is there, or the base64 is none."""
        if (self.csv is None) == (self.csv_base64 is None):
            raise InvalidContentError("one file", faults=[{"at": "body.csv", "kind": "one_of_csv_and_csv_base64"}])
        if self.csv is not None:
            return self.csv
        try:
            return base64.b64decode(self.csv_base64 or "", validate=True)
        except binascii.Error:
            raise InvalidContentError("no base64", faults=[{"at": "body.csv_base64", "kind": "base64"}]) from None


class ImportFaultRead(Answer):
    """What is wrong at one place of the file; never what stands there."""

    line: int
    column: str
    kind: str


class ImportResultRead(Answer):
    """What came of a file: written only where `import_id` is there."""

    rows_ok: int
    errors: list[ImportFaultRead]
    error_count: int
    unread_columns: list[int]
    import_id: UUID | None


class ImportRead(Answer):
    """An import; `hindered_by` names what stands against undoing it."""

    id: UUID
    account_id: UUID
    created_at: datetime
    row_count: int
    undone_at: datetime | None
    hindered_by: list[str]


@router.get("", response_model=list[ImportRead])
@declares(TEAM_MANAGER)
def list_patient_imports(imports: PatientImports) -> object:
    """List the imports, the latest first."""
    return imports.list()


@router.post("", response_model=ImportResultRead)
@declares(TEAM_MANAGER)
def import_patients(body: ImportBody, imports: WritablePatientImports) -> object:
    """Try a file, or write its patients: all of them, or none where one row is wrong."""
    result = imports.run(body.content(), delimiter=body.delimiter, is_dry_run=body.is_dry_run, import_id=body.id)
    return ImportResultRead(
        rows_ok=result.row_count,
        errors=[ImportFaultRead.model_validate(fault) for fault in result.faults],
        error_count=result.fault_count,
        unread_columns=list(result.unread_columns),
        import_id=result.import_id,
    )


@router.post("/{import_id}/undo", response_model=ImportRead)
@declares(TEAM_MANAGER)
def undo_patient_import(import_id: UUID, imports: WritablePatientImports) -> object:
    """Take the patients of an import back, as long as nothing hangs on them."""
    return imports.undo(import_id)
