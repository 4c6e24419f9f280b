"""Patients who come from a file together: all or none, and back again as long as nothing hangs on them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID, uuid4

from sqlalchemy import Table as SqlTable
from sqlalchemy import exists
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.patient_import import FAULTS_MAX, ImportFault, ImportRow, read_file
from telerehab.db import provisioning
from telerehab.db.changes import note_change
from telerehab.db.repositories.organisations import lock_organisation, organisation_zone
from telerehab.db.sealing import cpr_hash
from telerehab.db.tables import Account, CareRelation, Patient, PatientImport, PatientSummary, Table, Team
from telerehab.errors import ConflictError, NotFoundError

LIST_MAX: Final = 100
SOURCE: Final = "import"
"""The source of a care relation that came with the patient."""
_TABLE: Final = "patient_import"
_AT_ONCE: Final = 500
"""Values in one question to the database."""


@dataclass(kw_only=True, frozen=True, slots=True)
class ImportResult:
    """What came of a file. Nothing was written where there is a fault, or where it was only tried."""

    row_count: int
    """Rows that are good."""
    faults: Sequence[ImportFault]
    """The first `FAULTS_MAX`."""
    fault_count: int
    unread_columns: Sequence[int]
    """Columns, counted from 1, whose first row says nothing that we know."""
    import_id: UUID | None


@dataclass(kw_only=True, frozen=True, slots=True)
class ImportRows:
    """An import, and what stands against undoing it."""

    id: UUID
    account_id: UUID
    created_at: datetime
    row_count: int
    undone_at: datetime | None
    hindered_by: Sequence[str]
    """Tables with rows that hang on its patients; empty: it can be undone."""


class PatientImportRepository:
    """The imports of the reader's organisation."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring

    def list(self) -> Sequence[ImportRows]:
        """Return the imports, the latest first."""
        statement = select(PatientImport).where(col(PatientImport.organisation_id) == self._reader.organisation_id)
        rows = self._db.exec(statement.order_by(col(PatientImport.created_at).desc()).limit(LIST_MAX)).all()
        hindered_by = self._hindrances([row.id for row in rows if row.undone_at is None])
        return [_shown(row, hindered_by) for row in rows]

    def run(
        self, content: bytes | str, *, delimiter: str | None, is_dry_run: bool, import_id: UUID | None
    ) -> ImportResult:
        """Read a file and write its patients, unless it is only tried or one row is wrong.

        Raises
        ------
        ConflictError
            An import has this id (`import_known`).
        """
        lock_organisation(self._db, self._reader.organisation_id)
        if import_id is not None and self._db.get(PatientImport, import_id) is not None:
            raise ConflictError("an import has this id", code="import_known")
        today = self._now.astimezone(organisation_zone(self._db, self._reader)).date()
        read = read_file(content, today=today, delimiter=delimiter)
        hashes = {row.line: cpr_hash(self._key_ring, self._organisation_id, row.cpr) for row in read.rows if row.cpr}
        therapists, teams = self._holders(read.rows)
        faults = [*read.faults, *self._unknown(read.rows, hashes, therapists, teams)]
        result = ImportResult(
            row_count=len(read.rows) - (len(faults) - len(read.faults)),
            faults=sorted(faults, key=lambda fault: (fault.line, fault.column))[:FAULTS_MAX],
            fault_count=len(faults),
            unread_columns=read.unread_columns,
            import_id=None,
        )
        if faults or is_dry_run or not read.rows:
            return result
        row = self._write(read.rows, therapists, teams, import_id or uuid4())
        return ImportResult(
            row_count=result.row_count, faults=(), fault_count=0, unread_columns=read.unread_columns, import_id=row.id
        )

    def undo(self, import_id: UUID) -> ImportRows:
        """Take the patients of an import back: what told who they are is destroyed. A second time changes nothing.

        Raises
        ------
        NotFoundError
            There is none in the reader's organisation.
        ConflictError
            Something hangs on a patient already (`import_in_use`); the list of imports says what.
        """
        lock_organisation(self._db, self._organisation_id)
        row = self._db.get(PatientImport, import_id)
        if row is None or row.organisation_id != self._organisation_id:
            raise NotFoundError("no such import")
        if row.undone_at is not None:
            return _shown(row, {})
        patients = self._db.exec(select(Patient).where(col(Patient.import_id) == row.id).with_for_update()).all()
        hindered_by = self._hindrances([row.id]).get(row.id)
        if hindered_by:
            raise ConflictError(f"rows hang on its patients: {', '.join(hindered_by)}", code="import_in_use")
        for patient in patients:
            _forget(patient)
            patient.ended_at = self._now
            self._db.add(patient)
        for relation in self._db.exec(self._own_relations(row)):
            relation.ends_at = max(relation.starts_at, self._now)
            self._db.add(relation)
        row.undone_at = self._now
        self._db.add(row)
        self._db.flush()
        note_change(self._db, _TABLE, row.id, version=2)
        self._record("undo_patient_import", row)
        return _shown(row, {})

    @property
    def _organisation_id(self) -> UUID:
        return self._reader.organisation_id

    def _write(
        self,
        rows: Sequence[ImportRow],
        therapists: dict[str, UUID],
        teams: dict[str, UUID],
        import_id: UUID,
    ) -> PatientImport:
        """Write all patients and who treats them."""
        assert self._reader.account_id is not None
        made = PatientImport(
            id=import_id,
            organisation_id=self._organisation_id,
            account_id=self._reader.account_id,
            created_at=self._now,
            row_count=len(rows),
        )
        self._db.add(made)
        self._db.flush()
        patients = [self._patient(row, import_id) for row in rows]
        self._db.add_all(patients)
        self._db.flush()
        for row, patient in zip(rows, patients, strict=True):
            therapist_id = therapists.get(row.therapist_email or "")
            team_id = teams.get((row.team_name or "").casefold())
            if therapist_id is not None:
                self._db.add(self._relation(patient, account_id=therapist_id))
            if team_id is not None:
                self._db.add(self._relation(patient, team_id=team_id))
        self._db.flush()
        note_change(self._db, _TABLE, made.id, version=1)
        self._record("import_patients", made)
        return made

    def _relation(
        self, patient: Patient, *, account_id: UUID | None = None, team_id: UUID | None = None
    ) -> CareRelation:
        return CareRelation(
            account_id=account_id,
            team_id=team_id,
            patient_id=patient.id,
            starts_at=self._now,
            source=SOURCE,
            created_by=self._reader.account_id,
        )

    def _patient(self, row: ImportRow, import_id: UUID) -> Patient:
        return provisioning.new_patient(
            key_ring=self._key_ring,
            organisation_id=self._organisation_id,
            name=row.name,
            birth_date=row.birth_date,
            cpr=row.cpr,
            telephone=row.telephone,
            has_protected_address=row.has_protected_address,
            language=row.language,
            import_id=import_id,
            created_at=self._now,
        )

    def _holders(self, rows: Sequence[ImportRow]) -> tuple[dict[str, UUID], dict[str, UUID]]:
        """Return the therapists by e-mail and the teams by name, of those whom the file names; `""` names nobody."""
        emails = {row.therapist_email for row in rows if row.therapist_email}
        accounts: dict[str, UUID] = {}
        for some in _parts(emails):
            statement = select(Account.email, Account.id).where(
                col(Account.organisation_id) == self._organisation_id,
                col(Account.role) == "therapist",
                col(Account.disabled_at).is_(None),
                col(Account.email).in_(some),
            )
            accounts.update(self._db.exec(statement).all())
        if not any(row.team_name for row in rows):
            return accounts, {}
        named = select(Team.name, Team.id).where(
            col(Team.organisation_id) == self._organisation_id, col(Team.ended_at).is_(None)
        )
        return accounts, {name.casefold(): team_id for name, team_id in self._db.exec(named)}

    def _unknown(
        self,
        rows: Sequence[ImportRow],
        hashes: dict[int, str],
        therapists: dict[str, UUID],
        teams: dict[str, UUID],
    ) -> Sequence[ImportFault]:
        """Return the faults that only the database can tell; one a row."""
        known: set[str] = set()
        for some in _parts(set(hashes.values())):
            statement = select(Patient.cpr_hash).where(
                col(Patient.organisation_id) == self._organisation_id, col(Patient.cpr_hash).in_(some)
            )
            known.update(value for value in self._db.exec(statement) if value is not None)
        faults = []
        for row in rows:
            if hashes.get(row.line) in known:
                faults.append(ImportFault(line=row.line, column="cpr", kind="known_already"))
            elif row.therapist_email is not None and row.therapist_email not in therapists:
                faults.append(ImportFault(line=row.line, column="therapist", kind="unknown_therapist"))
            elif row.team_name is not None and row.team_name.casefold() not in teams:
                faults.append(ImportFault(line=row.line, column="team", kind="unknown_team"))
        return faults

    def _hindrances(self, import_ids: Sequence[UUID]) -> Mapping[UUID, Sequence[str]]:
        """Return the tables with rows that hang on the patients of imports, other than the care they brought.

        One question a table, however many imports.
        """
        found: dict[UUID, list[str]] = {}
        for table, column in _tables_of_patients() if import_ids else ():
            hangs = exists().where(col(Patient.import_id) == col(PatientImport.id), table.c[column] == col(Patient.id))
            if table.name == CareRelation.__tablename__:
                hangs = hangs.where(table.c.source != SOURCE)
            for import_id in self._db.exec(
                select(PatientImport.id).where(col(PatientImport.id).in_(import_ids), hangs)
            ):
                found.setdefault(import_id, []).append(table.name)
        return found

    def _own_relations(self, row: PatientImport) -> SelectOfScalar[CareRelation]:
        own = select(Patient.id).where(col(Patient.import_id) == row.id)
        return select(CareRelation).where(col(CareRelation.patient_id).in_(own), col(CareRelation.ends_at).is_(None))

    def _record(self, action: str, row: PatientImport) -> None:
        record(self._db, actor=self._reader, action=action, object=f"{_TABLE}:{row.id}", now=self._now)


def _shown(row: PatientImport, hindered_by: Mapping[UUID, Sequence[str]]) -> ImportRows:
    return ImportRows(
        id=row.id,
        account_id=row.account_id,
        created_at=row.created_at,
        row_count=row.row_count,
        undone_at=row.undone_at,
        hindered_by=hindered_by.get(row.id, ()),
    )


def _tables_of_patients() -> Iterable[tuple[SqlTable, str]]:
    """Yield every table of the main store whose rows belong to a patient, and the column that says to whom.

    Not the figures that jobs count of everybody: nobody has entered them.
    """
    for table in Table.metadata.sorted_tables:
        if table.name == PatientSummary.__tablename__:
            continue
        for foreign_key in table.foreign_keys:
            if foreign_key.target_fullname == "patient.id":
                yield table, foreign_key.parent.name


def _forget(patient: Patient) -> None:
    """Destroy the patient's key and all that lies under it."""
    patient.wrapped_key = None
    patient.name_sealed = patient.birth_date_sealed = patient.telephone_sealed = None
    patient.cpr_sealed = patient.protected_address_sealed = None
    patient.cpr_hash = None


def _parts(values: Iterable[str]) -> Iterable[Sequence[str]]:
    """Yield values in parts that one question can hold."""
    rest = sorted(values)
    for start in range(0, len(rest), _AT_ONCE):
        yield rest[start : start + _AT_ONCE]
