"""Messages between a patient and those who treat the patient."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends
from pydantic import Field, StringConstraints

from telerehab.api.dependencies import CurrentReader, Keys, Now, ReadingDb, WritingDb
from telerehab.api.models import Answer, Body
from telerehab.auth.policies import THERAPIST_OR_TABLET, declares
from telerehab.db.repositories.messages import MessageRepository

router = APIRouter(prefix="/api/patients/{patient_id}/messages", tags=["messages"])


def get_messages(db: ReadingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> MessageRepository:
    """Return the messages that the reader may see."""
    return MessageRepository(db, reader=reader, now=now, key_ring=key_ring)


def get_writable_messages(db: WritingDb, reader: CurrentReader, now: Now, key_ring: Keys) -> MessageRepository:
    """Return the messages that the reader may see, to write and mark them."""
    return MessageRepository(db, reader=reader, now=now, key_ring=key_ring)


Messages = Annotated[MessageRepository, Depends(get_messages)]
WritableMessages = Annotated[MessageRepository, Depends(get_writable_messages)]


class MessageBody(Body):
    """What somebody writes."""

    text: Annotated[
        str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000, pattern=r"^[^\x00]*$")
    ]


class MessageRead(Answer):
    """A message; `is_own`: the reader's side wrote it."""

    id: UUID
    patient_id: UUID
    sender: Literal["patient", "staff"] = Field(serialization_alias="from")
    author: str | None
    is_own: bool
    text: str | None
    sent_at: datetime
    read_at: datetime | None


class MarkedRead(Answer):
    """How many messages became read."""

    count: int


@router.get("", response_model=list[MessageRead])
@declares(THERAPIST_OR_TABLET)
def list_messages(patient_id: UUID, messages: Messages, before: UUID | None = None) -> object:
    """List the newest messages, the oldest of them first; `before` pages back."""
    return messages.of(patient_id, before=before)


@router.put("/{message_id}", response_model=MessageRead)
@declares(THERAPIST_OR_TABLET)
def put_message(patient_id: UUID, message_id: UUID, body: MessageBody, messages: WritableMessages) -> object:
    """Send a message under an id that the page chose."""
    return messages.put(patient_id, message_id, body.text)


@router.post("/read", response_model=MarkedRead)
@declares(THERAPIST_OR_TABLET)
def mark_messages_read(patient_id: UUID, messages: WritableMessages) -> object:
    """Mark what the other side has written as read."""
    return MarkedRead(count=messages.mark_read(patient_id))
