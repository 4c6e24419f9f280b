"""The exercise library as one organisation sees it: the shared exercises, and its own variants with versions."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from telerehab.auth.reader import Reader
from telerehab.care.library import EXERCISE_CODES, ExerciseContent, find_content_faults, find_shared, newest_shared
from telerehab.care.plans import PlanItem
from telerehab.care.reading import Fault, Words, invalid, read_value, refuse, write_value
from telerehab.db.changes import note_change
from telerehab.db.tables import LocalExercise, Organisation
from telerehab.errors import ConflictError, InvalidContentError, NotFoundError
from telerehab.texts import text

EXERCISE_MOVED: Final = "exercise_moved"
LOCAL_MAX: Final = 200
"""Local exercises that one organisation can have."""
_TABLE: Final = "local_exercise"


@dataclass(kw_only=True, frozen=True, slots=True)
class LibraryExercise:
    """One version of an exercise, shared or local."""

    code: str
    version: int
    local_id: UUID | None
    """None: shared."""
    name: Words
    content: ExerciseContent


class ExerciseRepository:
    """The exercises that one reader's organisation has."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime) -> None:
        self._db = db
        self._reader = reader
        self._now = now

    def list(self) -> Sequence[LibraryExercise]:
        """Return the newest versions: the shared exercises, then the local ones by name."""
        heads: dict[UUID, LocalExercise] = {}
        statement = self._own().where(col(LocalExercise.retired_at).is_(None)).order_by(col(LocalExercise.version))
        for row in self._db.exec(statement):
            heads[row.exercise_id] = row
        local = sorted((_local(row) for row in heads.values()), key=lambda one: (one.name.da.casefold(), one.local_id))
        return [*(_shared(one.code, one.version) for one in newest_shared()), *local]

    def read_items(self, items: Iterable[PlanItem]) -> Sequence[LibraryExercise]:
        """Return the exercise of each item of a plan, in the version that it names, retired or not.

        Raises
        ------
        InvalidContentError
            The organisation has no such exercise or version; each place is named.
        """
        items = list(items)
        local = self._local_versions(items)
        found: list[LibraryExercise] = []
        faults: list[Fault] = []
        for index, item in enumerate(items):
            exercise = self._find(item, local)
            if exercise is None:
                faults.append(Fault(at=f"items.{index}.exercise_version", code="exercise_unknown"))
            else:
                found.append(exercise)
        refuse(faults)
        return found

    def put_local(self, exercise_id: UUID, *, code: str, based_on: int, content: ExerciseContent) -> LibraryExercise:
        """Write the next version of a local exercise; the same one twice is written once.

        Parameters
        ----------
        based_on : int
            The version that was read; 0 for a new exercise.

        Raises
        ------
        InvalidContentError
            The content makes no sense, or the organisation has `LOCAL_MAX` already.
        NotFoundError
            The exercise belongs to somebody else.
        ConflictError
            Somebody has written a version since, or the exercise is retired.
        """
        faults = [*find_content_faults(content, is_shared=False)]
        if code not in EXERCISE_CODES:
            faults.append(Fault(at="code", code="exercise_unknown"))
        refuse(faults)
        head = self._lock_head(exercise_id)
        if head is not None and head.code != code:
            raise invalid("code", "code_changed")
        written = write_value(content)
        if head is not None and head.version == based_on + 1 and head.content == written:
            return _local(head)
        if (head.version if head else 0) != based_on:
            raise ConflictError("somebody has written another version", code=EXERCISE_MOVED)
        if head is None and len({row.exercise_id for row in self._db.exec(self._own())}) >= LOCAL_MAX:
            raise invalid("exercise_id", "too_many")
        assert self._reader.account_id is not None
        row = LocalExercise(
            exercise_id=exercise_id,
            version=based_on + 1,
            organisation_id=self._reader.organisation_id,
            code=code,
            content=written,
            created_by=self._reader.account_id,
            created_at=self._now,
        )
        self._db.add(row)
        note_change(self._db, _TABLE, row.id, version=row.version)
        return _local(row)

    def retire(self, exercise_id: UUID) -> None:
        """Take a local exercise off the list; plans that name it keep it.

        Raises
        ------
        NotFoundError
            The organisation has none of this id.
        """
        if self._lock_head(exercise_id, even_retired=True) is None:
            raise NotFoundError("no such exercise")
        for row in self._db.exec(self._own().where(col(LocalExercise.exercise_id) == exercise_id)):
            if row.retired_at is None:
                row.retired_at = self._now
                self._db.add(row)
                note_change(self._db, _TABLE, row.id, version=row.version)

    def _own(self) -> SelectOfScalar[LocalExercise]:
        return select(LocalExercise).where(col(LocalExercise.organisation_id) == self._reader.organisation_id)

    def _lock_head(self, exercise_id: UUID, *, even_retired: bool = False) -> LocalExercise | None:
        """Return the newest version; of several writers in an organisation, one at a time goes on."""
        own = col(Organisation.id) == self._reader.organisation_id
        self._db.exec(select(Organisation.id).where(own).with_for_update()).first()
        statement = select(LocalExercise).where(col(LocalExercise.exercise_id) == exercise_id)
        head = self._db.exec(statement.order_by(col(LocalExercise.version).desc()).limit(1)).first()
        if head is None:
            return None
        if head.organisation_id != self._reader.organisation_id:
            raise NotFoundError("no such exercise")
        if head.retired_at is not None and not even_retired:
            raise ConflictError("this exercise is retired", code="exercise_retired")
        return head

    def _local_versions(self, items: Sequence[PlanItem]) -> dict[tuple[UUID, int], LocalExercise]:
        ids = {item.local_exercise_id for item in items if item.local_exercise_id is not None}
        if not ids:
            return {}
        rows = self._db.exec(self._own().where(col(LocalExercise.exercise_id).in_(ids)))
        return {(row.exercise_id, row.version): row for row in rows}

    @staticmethod
    def _find(item: PlanItem, local: dict[tuple[UUID, int], LocalExercise]) -> LibraryExercise | None:
        if item.local_exercise_id is not None:
            row = local.get((item.local_exercise_id, item.exercise_version))
            return _local(row) if row is not None and row.code == item.exercise else None
        try:
            return _shared(item.exercise, item.exercise_version)
        except InvalidContentError:
            return None


def _shared(code: str, version: int) -> LibraryExercise:
    name = Words(da=text(f"exercise.{code}", "da"), en=text(f"exercise.{code}", "en"))
    content = find_shared(code, version).content
    return LibraryExercise(code=code, version=version, local_id=None, name=name, content=content)


def _local(row: LocalExercise) -> LibraryExercise:
    content = read_value(ExerciseContent, row.content)
    assert content.title is not None  # put_local has seen to it
    return LibraryExercise(
        code=row.code, version=row.version, local_id=row.exercise_id, name=content.title, content=content
    )
