"""All patients in one therapist's care at a glance, in the order of need, in a constant number of queries.

What takes many rows to count lies ready in `patient_summary`; what somebody waits for (help calls, alerts, flags,
messages) is read as it stands now.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlmodel import Session, col, select

from telerehab.auth.access import Scope
from telerehab.auth.key_ring import KeyRing
from telerehab.auth.reader import Reader
from telerehab.care.flags import FlagState, Mark, MarkKind, Rule, Severity, standing_state
from telerehab.care.triage import PatientNeeds, StandingFlag, Triaged, order_caseload
from telerehab.db.alert_rows import is_open, is_standing_stop
from telerehab.db.repositories.patients import is_visible_patient
from telerehab.db.sealing import Identity, identity_columns, open_identity
from telerehab.db.tables import Alert, Flag, FlagAction, HelpCall, Message, Patient, PatientSummary

PATIENTS_MAX: Final = 1_000


@dataclass(frozen=True, slots=True)
class Waits:
    """Since when somebody waits for something besides flags, the oldest first."""

    help_calls: list[datetime] = field(default_factory=list)
    """Not closed."""
    help_call_ids: list[UUID] = field(default_factory=list)
    alerts: list[datetime] = field(default_factory=list)
    """Acknowledged by nobody."""
    seen_alerts: list[datetime] = field(default_factory=list)
    messages: list[datetime] = field(default_factory=list)
    """Not read."""


class FlagColumns(NamedTuple):
    """What a caseload shows of a flag that stands; not the rows behind it, which are many."""

    id: UUID
    rule: str
    severity: int
    value: float | None
    threshold: float | None
    unit: str | None
    since: datetime
    first_day: str | None
    opened_at: datetime
    suggested_action: str
    exercise: str | None
    side: str | None
    version: int


class CaseloadFlag(NamedTuple):
    """A flag that stands, and where."""

    flag: FlagColumns
    state: FlagState

    @property
    def as_needed(self) -> StandingFlag:
        """Return as much of it as the order of the patients needs."""
        flag = self.flag
        return StandingFlag(
            rule=Rule(flag.rule), severity=Severity(flag.severity), state=self.state, opened_at=flag.opened_at
        )


class Summary(NamedTuple):
    """What jobs counted of one patient, as its row says."""

    counted_at: datetime
    day: date
    """The last of those in `data`."""
    last_training_at: datetime | None
    pain_last: int | None
    completeness: float | None
    data: Mapping[str, Any]


class CaseloadPatient(NamedTuple):
    """One patient of the caseload."""

    identity: Identity
    flags: Sequence[CaseloadFlag]
    """Open and acknowledged ones, the gravest first."""
    waits: Waits
    summary: Summary | None
    """None: nothing has been counted yet."""

    @property
    def needs(self) -> PatientNeeds:
        """Return as much as the order of the patients needs."""
        waits = self.waits
        return PatientNeeds(
            patient_id=self.identity.patient_id,
            name=(self.identity.name or "").casefold(),
            help_calls_at=waits.help_calls,
            alerts_at=waits.alerts,
            seen_alerts_at=waits.seen_alerts,
            flags=[each.as_needed for each in self.flags],
            unread_messages_at=waits.messages,
        )


_IN_DATA: Final = {"first_day": "since", "exercise": "exercise", "side": "side"}
"""Fields of `FlagColumns` that lie in the flag's JSON, and under which name."""
_FLAG_COLUMNS: Final = tuple(
    col(Flag.data)[_IN_DATA[name]].as_string() if name in _IN_DATA else getattr(Flag, name)
    for name in FlagColumns._fields
)
_MARK_COLUMNS: Final = (col(FlagAction.action), col(FlagAction.at), col(FlagAction.flag_version))
"""What somebody did with a flag; all None where nobody did anything."""
_NOTHING: Final = Waits()
_SUMMARY_COLUMNS: Final = tuple(getattr(PatientSummary, name) for name in Summary._fields)


class CaseloadRepository:
    """The caseload of one therapist."""

    def __init__(self, db: Session, *, reader: Reader, now: datetime, key_ring: KeyRing) -> None:
        self._db = db
        self._key_ring = key_ring
        self._is_in_caseload = is_visible_patient(reader, now, Scope.SEE_RESULTS) & col(Patient.ended_at).is_(None)
        # The query of the ids, not the ids: a list of hundreds would be sent with each query. PostgreSQL asks it once:
        # where it has no statistics yet, it would look anew who may see a patient for every row of the other tables.
        visible = select(Patient.id).where(self._is_in_caseload).cte("visible")
        self._patient_ids = sa.select(visible.prefix_with("MATERIALIZED", dialect="postgresql").c.id)

    def list(self) -> list[tuple[Triaged, CaseloadPatient]]:
        """Return the patients in the reader's care, the greatest need first, at most `PATIENTS_MAX`."""
        found = self._db.execute(
            sa.select(*identity_columns(), *_SUMMARY_COLUMNS)
            .outerjoin(PatientSummary, col(PatientSummary.patient_id) == col(Patient.id))
            .where(self._is_in_caseload)
            .limit(PATIENTS_MAX)
        ).all()
        n_identity = len(identity_columns())
        flags = self._flags()
        waits = self._waits()
        patients = {
            row[0]: CaseloadPatient(
                identity=open_identity(row[:n_identity], self._key_ring),
                flags=flags.get(row[0], ()),
                waits=waits.get(row[0], _NOTHING),
                summary=_read_summary(row[n_identity:]),
            )
            for row in found
        }
        ordered = order_caseload(patient.needs for patient in patients.values())
        return [(triaged, patients[triaged.patient_id]) for triaged in ordered]

    def _flags(self) -> Mapping[UUID, Sequence[CaseloadFlag]]:
        """Return the open and acknowledged flags by patient."""
        found = self._db.execute(
            sa.select(col(Flag.patient_id), *_FLAG_COLUMNS, *_MARK_COLUMNS)
            .outerjoin(FlagAction, col(FlagAction.flag_id) == col(Flag.id))
            .where(col(Flag.patient_id).in_(self._patient_ids), col(Flag.ended_at).is_(None))
            .order_by(col(Flag.severity).desc(), col(Flag.opened_at), col(Flag.id))
        ).all()
        n_flag = 1 + len(_FLAG_COLUMNS)
        standing: dict[UUID, list[CaseloadFlag]] = defaultdict(list)
        for (patient_id, *columns), rows in groupby(found, key=lambda row: row[:n_flag]):
            flag = FlagColumns(*columns)
            marks = [Mark(kind=MarkKind(kind), at=at, flag_version=n) for *_, kind, at, n in rows if kind is not None]
            state = standing_state(flag.version, marks)
            if state is not FlagState.RESOLVED:
                standing[patient_id].append(CaseloadFlag(flag, state))
        return standing

    def _waits(self) -> Mapping[UUID, Waits]:
        """Return what stands besides flags by patient; nothing of those for whom nothing does."""
        help_calls: sa.Select[*tuple[Any, ...]] = sa.select(
            sa.literal("help_calls"),
            col(HelpCall.patient_id),
            col(HelpCall.called_at).label("at"),
            col(HelpCall.id).label("help_call_id"),
        ).where(col(HelpCall.patient_id).in_(self._patient_ids), col(HelpCall.closed_at).is_(None))
        alerts = sa.select(
            sa.case((is_open(), "alerts"), else_="seen_alerts"),
            col(Alert.patient_id),
            col(Alert.found_at),
            sa.null(),
        ).where(col(Alert.patient_id).in_(self._patient_ids), sa.or_(is_open(), is_standing_stop()))
        messages = sa.select(sa.literal("messages"), col(Message.patient_id), col(Message.sent_at), sa.null()).where(
            col(Message.patient_id).in_(self._patient_ids),
            col(Message.account_id).is_(None),
            col(Message.read_at).is_(None),
            col(Message.retracted_at).is_(None),
        )
        found: dict[UUID, Waits] = defaultdict(Waits)
        # The first of a union says what its columns are.
        for kind, patient_id, at, help_call_id in self._db.execute(
            sa.union_all(help_calls, alerts, messages).order_by("at", "help_call_id")
        ):
            waits = found[patient_id]
            getattr(waits, kind).append(at)
            if help_call_id is not None:
                waits.help_call_ids.append(help_call_id)
        return found


def _read_summary(columns: Sequence[Any]) -> Summary | None:
    """Return what was counted; None where no row was joined."""
    return None if columns[0] is None else Summary(*columns)
