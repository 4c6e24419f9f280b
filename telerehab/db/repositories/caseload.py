"""All patients in one therapist's care at a glance, in the order of need, in a constant number of queries.

What takes many rows to count lies ready in `patient_summary`; what somebody waits for (help calls, alerts, flags,
messages) is read as it stands now.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from enum import StrEnum
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


_IdsAndMoments = list[tuple[UUID, datetime]]


class _Waiting(StrEnum):
    """What somebody waits for, besides flags."""

    HELP_CALL = "help_call"
    ALERT = "alert"
    SEEN_ALERT = "seen_alert"
    MESSAGE = "message"


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
    triaged: Triaged
    flags: Sequence[CaseloadFlag]
    """Open and acknowledged ones, the gravest first."""
    open_alert_count: int
    help_call_id: UUID | None
    unread_message_count: int
    summary: Summary | None
    """None: nothing has been counted yet."""


_IN_DATA: Final = {"first_day": "since", "exercise": "exercise", "side": "side"}
"""Fields of `FlagColumns` that lie in the flag's JSON, and under which name."""
_FLAG_COLUMNS: Final = tuple(
    col(Flag.data)[_IN_DATA[name]].as_string() if name in _IN_DATA else getattr(Flag, name)
    for name in FlagColumns._fields
)
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

    def list(self) -> list[CaseloadPatient]:
        """Return the patients in the reader's care, the greatest need first, at most `PATIENTS_MAX`."""
        found = self._db.execute(
            sa.select(*identity_columns(), *_SUMMARY_COLUMNS)
            .outerjoin(PatientSummary, col(PatientSummary.patient_id) == col(Patient.id))
            .where(self._is_in_caseload)
            .limit(PATIENTS_MAX)
        ).all()
        n_identity = len(identity_columns())
        identities = {row[0]: open_identity(row[:n_identity], self._key_ring) for row in found}
        summaries = {row[0]: _read_summary(row[n_identity:]) for row in found}
        flags = self._flags()
        waiting = self._waiting()
        alerts, help_calls, messages = (
            waiting[kind] for kind in (_Waiting.ALERT, _Waiting.HELP_CALL, _Waiting.MESSAGE)
        )
        ordered = order_caseload(
            PatientNeeds(
                patient_id=patient_id,
                name=(identity.name or "").casefold(),
                help_calls_at=[at for _, at in help_calls.get(patient_id, ())],
                alerts_at=[at for _, at in alerts.get(patient_id, ())],
                seen_alerts_at=[at for _, at in waiting[_Waiting.SEEN_ALERT].get(patient_id, ())],
                flags=[each.as_needed for each in flags.get(patient_id, ())],
                unread_messages_at=[at for _, at in messages.get(patient_id, ())],
            )
            for patient_id, identity in identities.items()
        )
        return [
            CaseloadPatient(
                identity=identities[triaged.patient_id],
                triaged=triaged,
                flags=flags.get(triaged.patient_id, ()),
                open_alert_count=len(alerts.get(triaged.patient_id, ())),
                help_call_id=next((call_id for call_id, _ in help_calls.get(triaged.patient_id, ())), None),
                unread_message_count=len(messages.get(triaged.patient_id, ())),
                summary=summaries[triaged.patient_id],
            )
            for triaged in ordered
        ]

    def _flags(self) -> Mapping[UUID, Sequence[CaseloadFlag]]:
        """Return the open and acknowledged flags by patient."""
        is_shown = col(Flag.patient_id).in_(self._patient_ids) & col(Flag.ended_at).is_(None)
        found = self._db.execute(
            sa.select(col(Flag.patient_id), *_FLAG_COLUMNS)
            .where(is_shown)
            .order_by(col(Flag.severity).desc(), col(Flag.opened_at), col(Flag.id))
        )
        marks: dict[UUID, list[Mark]] = {}
        for flag_id, kind, at, flag_version in self._db.execute(
            sa.select(col(FlagAction.flag_id), col(FlagAction.action), col(FlagAction.at), col(FlagAction.flag_version))
            .join(Flag, col(Flag.id) == col(FlagAction.flag_id))
            .where(is_shown)
        ):
            marks.setdefault(flag_id, []).append(Mark(kind=MarkKind(kind), at=at, flag_version=flag_version))
        standing: dict[UUID, list[CaseloadFlag]] = {}
        for patient_id, *columns in found:
            flag = FlagColumns(*columns)
            state = standing_state(flag.version, marks.get(flag.id, ()))
            if state is not FlagState.RESOLVED:
                standing.setdefault(patient_id, []).append(CaseloadFlag(flag, state))
        return standing

    def _waiting(self) -> dict[_Waiting, dict[UUID, _IdsAndMoments]]:
        """Return what stands besides flags, by its kind and by patient: its id and since when, the oldest first."""
        alerts = sa.select(
            sa.case((is_open(), _Waiting.ALERT), else_=_Waiting.SEEN_ALERT).label("kind"),
            col(Alert.patient_id),
            col(Alert.id),
            col(Alert.found_at).label("at"),
        ).where(col(Alert.patient_id).in_(self._patient_ids), sa.or_(is_open(), is_standing_stop()))
        help_calls = sa.select(
            sa.literal(_Waiting.HELP_CALL), col(HelpCall.patient_id), col(HelpCall.id), col(HelpCall.called_at)
        ).where(col(HelpCall.patient_id).in_(self._patient_ids), col(HelpCall.closed_at).is_(None))
        messages = sa.select(
            sa.literal(_Waiting.MESSAGE), col(Message.patient_id), col(Message.id), col(Message.sent_at)
        ).where(
            col(Message.patient_id).in_(self._patient_ids),
            col(Message.account_id).is_(None),
            col(Message.read_at).is_(None),
            col(Message.retracted_at).is_(None),
        )
        waiting: dict[_Waiting, dict[UUID, _IdsAndMoments]] = {kind: {} for kind in _Waiting}
        for kind, patient_id, row_id, at in self._db.execute(
            sa.union_all(alerts, help_calls, messages).order_by("at", "id")
        ):
            waiting[_Waiting(kind)].setdefault(patient_id, []).append((row_id, at))
        return waiting


def _read_summary(columns: Sequence[Any]) -> Summary | None:
    """Return what was counted; None where no row was joined."""
    return None if columns[0] is None else Summary(*columns)
