"""Who looked at what and who decided what: a chain in which no link can be changed, taken out or swapped unseen.

Each row's MAC covers its own record and the MAC before it, under a key that is not in the database. What the end of
the chain cannot tell, that links behind it were cut off, an anchor tells: the number and MAC of an earlier head, kept
somewhere else. Records hold ids only, never names or free text: a name can be erased, and the chain still holds.

A record has the fields in which patients' own access logs are exchanged: system, action (the activity), reason code,
organisation, actor, role, on behalf of whom, and the login as that which belongs together.
"""

import hashlib
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.sql import expression
from sqlmodel import Session, col, select

from telerehab.auth.reader import Reader
from telerehab.db.tables import AuditEvent
from telerehab.errors import AuditKeyError
from telerehab.settings import Settings

FIRST_MAC: Final = bytes(32)
KEY_OPTION: Final = "telerehab_audit_key"
"""The engine's option that carries the key; `db.engine.open_database` sets it."""
SYSTEM: Final = "telerehab"
BATCH_ROWS: Final = 10_000
_LOCK: Final = 0x7E1E_AD17
"""The number of PostgreSQL's advisory lock under which the chain grows."""

_COLUMNS: Final[tuple[Any, ...]] = tuple(
    AuditEvent.__table__.columns[name]  # type: ignore[attr-defined]  # SQLModel gives every table one
    for name in ("sequence", "record", "mac", "at", "organisation_id", "patient_id", "action")
)

Fault = Literal["changed", "missing", "truncated"]


@dataclass(kw_only=True, frozen=True, slots=True)
class Link:
    """One row of the chain, as it lies in the database."""

    sequence: int
    record: str
    mac: str
    columns: Mapping[str, str | None]
    """`at`, `organisation`, `patient` and `action`: what is searched by repeats what the record says."""


@dataclass(kw_only=True, frozen=True, slots=True)
class Anchor:
    """A head of the chain: how many links there were, and the MAC of the last one."""

    count: int
    mac: str


@dataclass(kw_only=True, frozen=True, slots=True)
class Verdict:
    """What a look at the whole chain found: a sound head, or the first fault."""

    head: Anchor
    fault: Fault | None = None
    sequence: int | None = None
    """Where the first fault is."""


def audit_key(settings: Settings) -> bytes:
    """Return the key of an installation's chain; it lies outside the database."""
    return settings.secret_for("audit")


def record(
    db: Session,
    *,
    actor: Reader,
    action: str,
    patient_id: UUID | None = None,
    object: str | None = None,
    allowed: bool = True,
    reason_code: str | None = None,
    on_behalf_of: UUID | None = None,
    now: datetime,
) -> None:
    """Add a link to the chain, in the caller's writing transaction: it is there when what it tells of is, or neither.

    Call it last: until the commit, whoever else wants to add a link waits.

    Parameters
    ----------
    action : str
        Short and fixed, as "reveal_cpr" or "revoke_tablet".
    object : str, optional
        What was acted upon, as "tablet:ID". Ids only.
    reason_code : str, optional
        One of a fixed list, never what somebody wrote.
    on_behalf_of : UUID, optional
        For whom a helper or a substitute acts; a helper acts for the patient where nothing else is said.
    """
    if on_behalf_of is None and actor.role == "helper":
        on_behalf_of = patient_id
    _append(
        db,
        at=now,
        organisation_id=actor.organisation_id,
        patient_id=patient_id,
        action=action,
        fields={
            "actor": f"{actor.role}:{actor.holder_id}",
            "role": actor.role,
            "login": str(actor.login_id),
            "object": object,
            "allowed": allowed,
            "reason": reason_code,
            "on_behalf_of": _text(on_behalf_of),
        },
    )


def record_of_system(
    db: Session,
    *,
    action: str,
    organisation_id: UUID | None = None,
    patient_id: UUID | None = None,
    object: str | None = None,
    now: datetime,
) -> None:
    """Add a link about what the system, or whoever runs its commands, did; as `record` in all else."""
    _append(
        db,
        at=now,
        organisation_id=organisation_id,
        patient_id=patient_id,
        action=action,
        fields={"actor": "system", "role": "system", "object": object, "allowed": True},
    )


def mac_of(record_text: str, *, previous: bytes, key: bytes) -> bytes:
    """Return the MAC of a record that follows the one with MAC `previous`."""
    return hmac.new(key, previous + record_text.encode(), hashlib.sha256).digest()


def as_text(fields: Mapping[str, Any]) -> str:
    """Return a record as the text that its MAC covers."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def verify(links: Iterable[Link], *, key: bytes, anchor: Anchor | None = None) -> Verdict:
    """Look at a whole chain, in the order of its sequence; say where it first is not what was written.

    Parameters
    ----------
    anchor : Anchor, optional
        An earlier head, kept elsewhere. Without it a chain that was cut off at its end looks sound.
    """
    previous, count = FIRST_MAC, 0
    for link in links:
        if link.sequence != count:
            return Verdict(head=_head(count, previous), fault="missing", sequence=count)
        expected = mac_of(link.record, previous=previous, key=key)
        if not hmac.compare_digest(expected.hex(), link.mac) or not _agrees(link):
            return Verdict(head=_head(count, previous), fault="changed", sequence=count)
        previous, count = expected, count + 1
        if anchor is not None and count == anchor.count and not hmac.compare_digest(link.mac, anchor.mac):
            return Verdict(head=_head(count, previous), fault="changed", sequence=count - 1)
    if anchor is not None and count < anchor.count:
        return Verdict(head=_head(count, previous), fault="truncated", sequence=count)
    return Verdict(head=_head(count, previous))


def read_links(db: Session) -> Iterator[Link]:
    """Yield the whole chain in its order, reading a bounded part at a time."""
    after = -1
    while True:
        statement = expression.select(*_COLUMNS).where(col(AuditEvent.sequence) > after)
        rows = db.connection().execute(statement.order_by(col(AuditEvent.sequence)).limit(BATCH_ROWS)).all()
        for sequence, record_text, mac, at, organisation_id, patient_id, action in rows:
            yield Link(
                sequence=sequence,
                record=record_text,
                mac=mac,
                columns={
                    "at": _moment(at),
                    "organisation": _text(organisation_id),
                    "patient": _text(patient_id),
                    "action": action,
                },
            )
        if len(rows) < BATCH_ROWS:
            return
        after = rows[-1][0]


def _append(
    db: Session,
    *,
    at: datetime,
    organisation_id: UUID | None,
    patient_id: UUID | None,
    action: str,
    fields: Mapping[str, Any],
) -> None:
    """Write one link behind the head."""
    key = db.get_bind().get_execution_options().get(KEY_OPTION)
    if key is None:
        raise AuditKeyError("the database was opened without the key of the audit chain")
    db.flush()  # what waits to be written may wait for others' rows, and must not do so while others wait for us
    _lock_chain(db)
    newest = select(AuditEvent.sequence, AuditEvent.mac).order_by(col(AuditEvent.sequence).desc()).limit(1)
    head = db.exec(newest).first()
    sequence, previous = (0, FIRST_MAC) if head is None else (head[0] + 1, bytes.fromhex(head[1]))
    record_text = as_text(
        {
            **{name: value for name, value in fields.items() if value is not None},
            "system": SYSTEM,
            "at": _moment(at),
            "action": action,
            "organisation": _text(organisation_id),
            "patient": _text(patient_id),
            "seq": sequence,
        }
    )
    db.add(
        AuditEvent(
            sequence=sequence,
            at=at,
            organisation_id=organisation_id,
            patient_id=patient_id,
            action=action,
            record=record_text,
            mac=mac_of(record_text, previous=previous, key=key).hex(),
        )
    )
    db.flush()


def _lock_chain(db: Session) -> None:
    """Be the only one who adds a link until the commit. On SQLite a writing transaction is that already."""
    if db.get_bind().dialect.name == "postgresql":
        db.connection().execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": _LOCK})


def _agrees(link: Link) -> bool:
    """Return whether the columns beside a record say what it says."""
    said = json.loads(link.record)
    return said.get("seq") == link.sequence and all(said.get(name) == value for name, value in link.columns.items())


def _head(count: int, mac: bytes) -> Anchor:
    return Anchor(count=count, mac=mac.hex())


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds")


def _text(identifier: UUID | None) -> str | None:
    return None if identifier is None else str(identifier)
