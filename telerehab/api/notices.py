"""What a person is told."""

from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer
from telerehab.auth.policies import LOGGED_IN, declares
from telerehab.db.repositories.notices import NoticeRepository, NoticeRows

router = APIRouter(prefix="/api/notices", tags=["notices"])


def get_notices(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> NoticeRepository:
    """Return the reader's notices."""
    return NoticeRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_notices(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> NoticeRepository:
    """Return the reader's notices, to mark them."""
    return NoticeRepository(db, reader=reader, now=now, key_ring=key_ring)


Notices = Annotated[NoticeRepository, Depends(get_notices)]
WritableNotices = Annotated[NoticeRepository, Depends(get_writable_notices)]


class NoticeRead(Answer):
    """Something that the reader is told; `kind` is a text key, `data` fills its sentence."""

    id: UUID
    kind: str
    patient_id: UUID | None
    display_name: str | None
    """None: the notice is about nobody, or about somebody whom the reader may not see (any more)."""
    birth_date: date | None
    day: date
    data: dict[str, Any]
    created_at: datetime
    read_at: datetime | None


@router.get("", response_model=list[NoticeRead])
@declares(LOGGED_IN)
def list_notices(notices: Notices) -> object:
    """List what the reader was told, the newest first."""
    return [_read(rows) for rows in notices.list()]


@router.post("/{notice_id}/read", status_code=204)
@declares(LOGGED_IN)
def read_notice(notice_id: UUID, notices: WritableNotices) -> None:
    """Note that the reader has read a notice."""
    notices.mark_read(notice_id)


def _read(rows: NoticeRows) -> NoticeRead:
    notice, identity = rows.notice, rows.identity
    return NoticeRead(
        id=notice.id,
        kind=notice.kind,
        patient_id=notice.patient_id if identity else None,
        display_name=identity.name if identity else None,
        birth_date=identity.birth_date if identity else None,
        day=date.fromisoformat(notice.day),
        data=notice.data,
        created_at=notice.created_at,
        read_at=notice.read_at,
    )
