"""Flags of the patients whom one reader may see, and what somebody did with them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import ColumnElement
from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.audit import record
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.flags import FlagState, MarkKind, state_of
from telerehab.db.changes import note_change
from telerehab.db.flag_rows import read_flag, read_marks
from telerehab.db.repositories.patients import OpenedPatient, PatientRepository, is_visible_patient
from telerehab.db.sealing import Identity, PatientSeal
from telerehab.db.tables import Account, Flag, FlagAction, Patient
from telerehab.errors import ConflictError, NotFoundError

LIST_MAX: Final = 1_000
FLAG_ENDED: Final = "flag_ended"
_ACTION_TABLE: Final = "flag_action"


@dataclass(kw_only=True, frozen=True, slots=True)
class FlagRows:
    """A flag, whose it is and where it stands."""

    flag: Flag
    identity: Identity
    state: FlagState


@dataclass(kw_only=True, frozen=True, slots=True)
class OpenedAction:
    """What somebody did with a flag."""

    action: FlagAction
    name: str
    note: str | None


@dataclass(kw_only=True, frozen=True, slots=True)
class FlagDetail:
    """A flag with its history."""

    rows: FlagRows
    actions: Sequence[OpenedAction]
    """The oldest first."""


class FlagRepository:
    """The flags of the patients whom one reader may see."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._reader = reader
        self._now = now
        self._key_ring = key_ring
        self._patients = PatientRepository(db, reader=reader, now=now, key_ring=key_ring)

    def list(self, states: Collection[FlagState]) -> list[FlagRows]:
        """Return flags in one of these states, the gravest first, then the oldest, at most `LIST_MAX`."""
        statement = (
            select(Flag, Patient)
            .join(Patient, col(Patient.id) == col(Flag.patient_id))
            .where(
                is_visible_patient(self._reader, self._now, Scope.SEE_RESULTS),
                col(Flag.organisation_id) == self._reader.organisation_id,
                col(Patient.ended_at).is_(None),
            )
        )
        if FlagState.ENDED not in states:
            statement = statement.where(col(Flag.ended_at).is_(None))
        ordered = statement.order_by(col(Flag.severity).desc(), col(Flag.opened_at), col(Flag.id))
        found = self._db.exec(ordered.limit(LIST_MAX)).all()
        actions = read_actions(self._db, col(Flag.id).in_([flag.id for flag, _ in found]))
        rows = [
            FlagRows(
                flag=flag,
                identity=PatientSeal(patient, self._key_ring).identity(),
                state=state_of(read_flag(flag), read_marks(actions.get(flag.id, ()))),
            )
            for flag, patient in found
        ]
        return [each for each in rows if each.state in states]

    def get(self, flag_id: UUID) -> FlagDetail:
        """Return one flag with its history.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not see its patient's results.
        """
        flag, opened = self._require(flag_id, Scope.SEE_RESULTS)
        actions = read_actions(self._db, col(Flag.id) == flag.id).get(flag.id, [])
        return self._detail(flag, opened, actions)

    def act(self, flag_id: UUID, kind: MarkKind, *, note: str | None, version: int | None) -> FlagDetail:
        """Take a flag up or settle it; the same twice is done once.

        Parameters
        ----------
        version : int, optional
            The version that the reader looked at: when it became worse since, it stays open. None: as it is now.

        Raises
        ------
        NotFoundError
            There is none, or the reader may not treat the patient.
        ConflictError
            The flag has ended by itself (`flag_ended`).
        """
        flag, opened = self._require(flag_id, Scope.WRITE_CARE)
        if flag.ended_at is not None:
            raise ConflictError("this flag has ended", code=FLAG_ENDED)
        assert self._reader.account_id is not None
        actions = read_actions(self._db, col(Flag.id) == flag.id).get(flag.id, [])
        seen_version = flag.version if version is None else min(version, flag.version)
        if actions and self._is_same(actions[-1], opened, kind, note, seen_version):
            return self._detail(flag, opened, actions)
        action = FlagAction(
            flag_id=flag.id,
            account_id=self._reader.account_id,
            action=kind.value,
            flag_version=seen_version,
            at=self._now,
        )
        if note is not None:
            action.note_sealed = opened.seal.seal(note, table=_ACTION_TABLE, column="note", row_id=action.id)
        self._db.add(action)
        self._db.flush()
        note_change(self._db, "flag", flag.id, version=flag.version)
        detail = self._detail(flag, opened, [*actions, action])
        record(
            self._db,
            actor=self._reader,
            action=f"flag_{kind.value}",
            patient_id=flag.patient_id,
            object=f"flag:{flag.id}",
            now=self._now,
        )
        return detail

    def _require(self, flag_id: UUID, scope: Scope) -> tuple[Flag, OpenedPatient]:
        """Return a flag and its patient, with whom the reader may do this."""
        flag = self._db.get(Flag, flag_id)
        if flag is None or flag.organisation_id != self._reader.organisation_id:
            raise NotFoundError("no such flag")
        return flag, self._patients.require(flag.patient_id, scope)

    def _is_same(self, last: FlagAction, opened: OpenedPatient, kind: MarkKind, note: str | None, version: int) -> bool:
        """Return whether the last action is the one that is sent."""
        said = (last.account_id, last.action, last.flag_version, _open_note(last, opened))
        return said == (self._reader.account_id, kind.value, version, note)

    def _detail(self, flag: Flag, opened: OpenedPatient, actions: Sequence[FlagAction]) -> FlagDetail:
        ids = {action.account_id for action in actions}
        names = dict(self._db.exec(select(Account.id, Account.display_name).where(col(Account.id).in_(ids))).all())
        return FlagDetail(
            rows=FlagRows(flag=flag, identity=opened.identity, state=state_of(read_flag(flag), read_marks(actions))),
            actions=[
                OpenedAction(action=action, name=names[action.account_id], note=_open_note(action, opened))
                for action in actions
            ],
        )


def read_actions(db: Session, which: ColumnElement[bool]) -> dict[UUID, list[FlagAction]]:
    """Return what people did with flags, by flag, the oldest first; `which` is a condition on rows of `Flag`."""
    statement = select(FlagAction).join(Flag, col(Flag.id) == col(FlagAction.flag_id)).where(which)
    by_flag: dict[UUID, list[FlagAction]] = {}
    for action in db.exec(statement.order_by(col(FlagAction.at), col(FlagAction.id))):
        by_flag.setdefault(action.flag_id, []).append(action)
    return by_flag


def _open_note(action: FlagAction, opened: OpenedPatient) -> str | None:
    return opened.seal.open(action.note_sealed, table=_ACTION_TABLE, column="note", row_id=action.id)
